"""How fast an image store is built, against decoding the same files and keeping nothing.

    python benchmarks/image_store.py [--quick] [--pictures 2000] [--rounds 7] [--json FILE]      (about a minute on two cores)

Pictures are generated JPEGs of 256x256, quality 90, 4:2:0, from a seed. The yardstick is simplejpeg, a thin layer over
libjpeg-turbo, in as many threads as there are cores; it is no dependency of mmtrain and can be lent from elsewhere:
`pip install --target DIR --no-deps simplejpeg`, then `PYTHONPATH=DIR python benchmarks/image_store.py`. Without it, Pillow
decodes at full size, and the output says so. Every round takes all ways in turn; a ratio is the median of the rounds' ratios.
What removes the store of the round before is not counted. On a machine with other work, compare processor times.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mmtrain.config.experiment import Cache
from mmtrain.data.pictures.build import decoded
from mmtrain.data.pictures.files import ImageFile
from mmtrain.pixels import Layout
from mmtrain.threads import cores

SIDE, PIECE = 256, 16
TARGET = 0.6
PROCESSOR = ", processor"


def generated(folder: Path, count: int) -> list[ImageFile]:
    """Soft shapes with some noise, about 25 kB each."""
    random = np.random.default_rng(0)
    files = []
    for number in range(count):
        shapes = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        noisy = np.asarray(shapes, dtype=np.float32) + random.normal(0, 8, (SIDE, SIDE, 3)).astype(np.float32)
        path = folder / f"{number:06}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        status = path.stat()
        files.append(ImageFile(str(path), status.st_size, status.st_mtime_ns))
    return files


def yardstick() -> tuple[str, Callable[[bytes], object]]:
    """What decodes one JPEG, and its name."""
    try:
        import simplejpeg
    except ImportError:
        return "Pillow, full size (simplejpeg is not installed)", lambda data: Image.open(BytesIO(data)).load()
    return f"libjpeg-turbo by simplejpeg {simplejpeg.__version__}", simplejpeg.decode_jpeg


def decode_only(files: list[ImageFile], decode: Callable[[bytes], object]) -> None:
    """Read and decode every file with all cores."""

    def piece(start: int) -> None:
        for file in files[start : start + PIECE]:
            decode(Path(file.path).read_bytes())

    with ThreadPoolExecutor(cores()) as threads:
        list(threads.map(piece, range(0, len(files), PIECE)))


def build(files: list[ImageFile], side: int, cache: Path, verify: str = "stat") -> None:
    """A new store of all files, in an empty cache."""
    store = decoded(files, Layout((side, side), 3), cache=Cache.model_validate({"folder": cache, "verify": verify}))
    if store.notice or store.unreadable:
        raise SystemExit(store.notice or f"{len(store.unreadable)} pictures cannot be read.")


def measured(files: list[ImageFile], cache: Path, rounds: int) -> tuple[str, dict[str, list[float]]]:
    """What the yardstick is, and the seconds of every way in every round."""
    name, decode = yardstick()
    ways: dict[str, Callable[[], None]] = {
        "decode only": lambda: decode_only(files, decode),
        "store 256x256": lambda: build(files, SIDE, cache),
        "store 256x256, contents verified": lambda: build(files, SIDE, cache, "content"),
        "store 224x224": lambda: build(files, 224, cache),
        "store 128x128": lambda: build(files, 128, cache),
    }
    return name, in_turn(ways, rounds, lambda _: shutil.rmtree(cache, ignore_errors=True))


def in_turn(ways: dict[str, Callable[[], None]], rounds: int, prepare: Callable[[str], None]) -> dict[str, list[float]]:
    """All ways in every round: seconds by the clock and, under names of their own, of the processor; the first round is not counted.

    `prepare` is called with the name of each way before its time begins.
    """
    seconds: dict[str, list[float]] = {f"{way}{kind}": [] for way in ways for kind in ("", PROCESSOR)}
    for number in range(rounds + 1):
        for way, run in ways.items():
            prepare(way)
            begun, used = time.perf_counter(), time.process_time()
            run()
            if number:
                seconds[way].append(time.perf_counter() - begun)
                seconds[f"{way}{PROCESSOR}"].append(time.process_time() - used)
    return seconds


def summary(seconds: dict[str, list[float]], pictures: int) -> dict[str, dict[str, float]]:
    """Median pictures a second, and the share of the yardstick's speed, round by round."""

    def share(way: str, kind: str) -> float:
        pairs = zip(seconds[f"decode only{kind}"], seconds[f"{way}{kind}"], strict=True)
        return round(statistics.median(first / second for first, second in pairs), 3)

    return {
        way: {
            "pictures_per_second": round(pictures / statistics.median(own), 1),
            "of_decoding": share(way, ""),
            "of_decoding_by_processor_time": share(way, PROCESSOR),
        }
        for way, own in seconds.items()
        if not way.endswith(PROCESSOR)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="Also write the results to this file.")
    parser.add_argument("--quick", action="store_true", help="A smoke run of seconds.")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.pictures, chosen.rounds = 100, 1
    with tempfile.TemporaryDirectory() as folder:
        files = generated(Path(folder), chosen.pictures)
        name, seconds = measured(files, Path(folder) / "cache", chosen.rounds)
    found = summary(seconds, chosen.pictures)
    print(f"{chosen.pictures} JPEGs of {SIDE}x{SIDE}, {chosen.rounds} rounds, {cores()} cores; yardstick: {name}")
    for way, numbers in found.items():
        print(
            f"{way:34} {numbers['pictures_per_second']:9,.0f} pictures/s  {numbers['of_decoding']:5.2f} of decoding"
            f" ({numbers['of_decoding_by_processor_time']:.2f} by processor time)"
        )
    print(f"The aim is {TARGET} of decoding; load of the machine: {os.getloadavg()[0]:.1f}.")
    if chosen.json:
        settings = {"pictures": chosen.pictures, "rounds": chosen.rounds, "cores": cores(), "yardstick": name}
        settings |= {"machine": platform.machine(), "python": platform.python_version()}
        chosen.json.write_text(json.dumps({"name": "image_store", "settings": settings, "results": found, "seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()
