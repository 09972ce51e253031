"""How fast an image store is built, against decoding the same files and keeping nothing.

    python benchmarks/image_store.py [--quick] [--images 2000] [--rounds 7] [--json FILE]      (about a minute on two cores)

The images and the yardstick are those of `jpegs.py`. Every round takes all ways in turn; a ratio is the median of the rounds' ratios.
What removes the store of the round before is not counted. On a machine with other work, compare processor times.

At 224x224 the store cannot reach the aim: of processor time, decoding an image took 0.47 ms, Pillow's resize 0.81 ms and copying its
pixels 0.05 ms, 0.35 of decoding together. Resizing would have to take 0.26 ms and stay within one level of the exported model, whose
arithmetic is Pillow's. OpenCV 5 took 0.14 ms (linear), 0.27 (linear, exact) and 0.60 (area), but was off by 3 to 4 levels, and by more
than one in 2 to 9 of 100 samples: it has no antialias. Products with float32 matrices were within one level and took 1.79 ms.
Decoding at 7/8 of the size, which would be 224, is not among the sizes that TensorFlow decodes JPEGs at.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from jpegs import SIDE, decode_only, generated, yardstick
from script import keep, parser
from turns import Times, in_turn, speed, typical

from mmtrain.config.experiment import Cache
from mmtrain.data.images.build_store import decode_to_store
from mmtrain.data.images.image_file import ImageFile
from mmtrain.image_decoding import Layout
from mmtrain.system.threads import cores

TARGET = 0.6

Ways = dict[str, Callable[[], None]]


def build(files: list[ImageFile], side: int, cache: Path, verify: str = "stat") -> None:
    """A new store of all files, in an empty cache."""
    store = decode_to_store(files, Layout((side, side), 3), cache=Cache.model_validate({"folder": cache, "verify": verify}))
    if store.notice or store.unreadable:
        raise SystemExit(store.notice or f"{len(store.unreadable)} images cannot be read.")


def stores(files: list[ImageFile], cache: Path) -> Ways:
    """What is timed beside decoding."""
    return {
        "store 256x256": lambda: build(files, SIDE, cache),
        "store 256x256, contents verified": lambda: build(files, SIDE, cache, "content"),
        "store 224x224": lambda: build(files, 224, cache),
        "store 128x128": lambda: build(files, 128, cache),
    }


def summary(times: Times, images: int) -> dict[str, dict[str, float]]:
    """Median images a second, and the share of the yardstick's speed."""
    found = {}
    for way in times:
        share = speed(times, way, than="decode only")
        found[way] = {
            "images_per_second": round(images / typical(times, way).clock, 1),
            "of_decoding": round(share.clock, 3),
            "of_decoding_by_processor_time": round(share.processor, 3),
        }
    return found


def compare(doc: str | None, make: Callable[[list[ImageFile], Path], Ways], *, emptied: Callable[[str], bool] = lambda _: True) -> None:
    """A whole script: decoding and the ways that are made of images and a cache, timed, printed and kept.

    `emptied` says of a way whether it begins with an empty cache.
    """
    asked = parser(doc, quick="100 images, one round.")
    asked.add_argument("--images", type=int, default=2000)
    asked.add_argument("--rounds", type=int, default=7)
    options = asked.parse_args()
    images, rounds = (100, 1) if options.quick else (options.images, options.rounds)
    name, decode = yardstick()
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary) / "images", Path(temporary) / "cache"
        folder.mkdir()
        files = generated(folder, images)

        def prepare(way: str) -> None:
            if emptied(way):
                shutil.rmtree(cache, ignore_errors=True)

        times = in_turn({"decode only": lambda: decode_only(files, decode), **make(files, cache)}, rounds, prepare=prepare)
    print(f"{images} JPEGs of {SIDE}x{SIDE}, {rounds} rounds, {cores()} cores; yardstick: {name}")
    results = summary(times, images)
    for way, found in results.items():
        clock, processor = found["of_decoding"], found["of_decoding_by_processor_time"]
        print(f"{way:34} {found['images_per_second']:9,.0f} images/s  {clock:5.2f} of decoding ({processor:.2f} by processor time)")
    print(f"The aim is {TARGET} of decoding; load of the machine: {os.getloadavg()[0]:.1f}.")
    keep(options, {"images": images, "rounds": rounds, "yardstick": name}, {**results, "seconds": times})


if __name__ == "__main__":
    compare(__doc__, stores)
