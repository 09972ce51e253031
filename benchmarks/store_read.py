"""How fast shuffled batches come from a store that is larger than memory, or not yet in it, against reading its file in order.

    python benchmarks/store_read.py [--quick] [--gigabytes 2] [--rounds 5] [--folder DIR] [--json FILE]      (a minute or two)

A store of random images of 128x128x3 is written from a seed and removed afterwards. Before every reading, its pages are evicted.
`limited`: in a memory control group of a quarter of the store, where one can be made (Linux, root): every epoch reads the disk.
`cold`: with all of the machine's memory, an evicted store only. Batches of 32 are expected four batches ahead, as in training.
Then a set of images four times the memory budget is decoded in flight, and its anonymous memory (RssAnon) watched.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from script import keep, parser
from turns import Times, in_turn, speed, typical

from mmtrain.config.experiment import Cache
from mmtrain.data.cache import IMAGES, MANIFEST
from mmtrain.data.images.build_store import DecodedImages, decode_to_store, open_if_whole
from mmtrain.data.images.image_file import ImageFile
from mmtrain.data.images.store import ImageStore
from mmtrain.image_decoding import Layout
from mmtrain.system.memory import anonymous_memory

SIDE, BATCH, AHEAD, TARGET = 128, 32, 4, 0.5
IMAGE = SIDE * SIDE * 3
GROUPS = Path("/sys/fs/cgroup")


def write_store(folder: Path, images: int) -> None:
    """A whole store of random pixels, without files behind it."""
    random = np.random.default_rng(0)
    with (folder / IMAGES.array).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (images, SIDE, SIDE, 3)})
        for start in range(0, images, 1000):
            file.write(random.integers(0, 256, min(1000, images - start) * IMAGE, dtype=np.uint8).tobytes())
        file.flush()
        os.fsync(file.fileno())
    (folder / IMAGES.second).write_text("{}")
    (folder / MANIFEST).write_text("")


def evict(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def limited(size: int) -> Iterator[bool]:
    """Puts the process into a control group of so many bytes of memory; gives False where none can be made."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    first = next((GROUPS / "memory" / path.lstrip("/") for _, names, path in lines if "memory" in names.split(",")), None)
    parent = first or GROUPS / lines[-1][2].lstrip("/")
    group = parent / f"store_read_{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(size))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        if group.is_dir():
            group.rmdir()
        yield False
        return
    try:
        yield True
    finally:
        (parent / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def in_order(path: Path) -> None:
    buffer = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def shuffled(store: ImageStore, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(store.index))
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    out = np.empty((BATCH, SIDE, SIDE, 3), dtype=np.uint8)
    for rows in batches[:AHEAD]:
        store.expect(rows)
    for number, rows in enumerate(batches):
        if number + AHEAD < len(batches):
            store.expect(batches[number + AHEAD])
        store.take(rows, out[: len(rows)])


def store_in(folder: Path) -> ImageStore:
    """Opened anew: whether it fits is decided then."""
    found = open_if_whole(folder, None)
    if not isinstance(found, DecodedImages):
        raise SystemExit(f"{folder} holds no store.")
    return ImageStore(found.pixels, np.arange(len(found.pixels)))


def both_ways(folder: Path, rounds: int) -> Times:
    """Seconds of reading the evicted store in order, and shuffled, another way every time."""
    path, seeds = folder / IMAGES.array, count()
    ways = {"in order": lambda: in_order(path), "shuffled": lambda: shuffled(store_in(folder), next(seeds))}
    return in_turn(ways, rounds, prepare=lambda _: evict(path))  # while no store is open: what is mapped stays


def in_flight(folder: Path, images: int, epochs: int) -> dict[str, Any]:
    """RssAnon after every epoch over images of which a quarter may stay in memory."""
    random, files = np.random.default_rng(0), []
    for number in range(images):
        path = folder / f"{number}.jpg"
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
        files.append(ImageFile(str(path), path.stat().st_size, path.stat().st_mtime_ns))
    cache = Cache.model_validate({"folder": folder / "cache", "disk": 0, "memory": images * IMAGE // 4})
    store = ImageStore(decode_to_store(files, Layout((SIDE, SIDE), 3), cache=cache).pixels, np.arange(images))
    megabytes = []
    for epoch in range(epochs):
        shuffled(store, epoch)
        megabytes.append(round(anonymous_memory() / 2**20, 2))
    return {"rss_anon_megabytes": megabytes, "budget_megabytes": cache.memory / 2**20}


def summary(times: Times, size: int) -> dict[str, float]:
    """Gigabytes a second, and the share of reading in order."""
    speeds = {way: round(size / 1e9 / typical(times, way).clock, 3) for way in times}
    return speeds | {"ratio": round(speed(times, "shuffled", than="in order").clock, 3)}


def main() -> None:
    asked = parser(__doc__, quick="A store of 0.3 GB and 400 images in flight.")
    asked.add_argument("--gigabytes", type=float, default=2.0)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--folder", type=Path, help="On the disk to be measured; by default the system's temporary folder.")
    options = asked.parse_args()
    gigabytes, rounds = (0.3, 1) if options.quick else (options.gigabytes, options.rounds)
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        images = int(gigabytes * 1e9) // IMAGE
        write_store(folder, images)
        print(f"{images} images, {gigabytes:g} GB, {rounds} rounds; GB/s:")
        with limited(max(images * IMAGE // 4, 64 << 20)) as is_limited:
            measured = {"limited": both_ways(folder, rounds)} if is_limited else {}
        measured["cold"] = both_ways(folder, rounds)
        for name, times in measured.items():
            found = summary(times, images * IMAGE)
            results[name] = {**found, "seconds": times}
            print(f"{name:8} in order {found['in order']:.3f}  shuffled {found['shuffled']:.3f}  {found['ratio']:.2f} of in order")
        if not is_limited:
            print("limited  no memory control group can be made here")
        flight = in_flight(folder, 400 if options.quick else 2000, 3 if options.quick else 6)
        results["in flight"] = flight
        print(f"in flight: budget {flight['budget_megabytes']:.0f} MB, RssAnon by epoch {flight['rss_anon_megabytes']} MB")
    print(f"The aim is {TARGET} of in order; load of the machine: {os.getloadavg()[0]:.1f}.")
    keep(options, {"gigabytes": gigabytes, "rounds": rounds, "batch": BATCH, "ahead": AHEAD}, results)


if __name__ == "__main__":
    main()
