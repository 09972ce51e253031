"""How fast pictures are inspected, against decoding the same files and keeping nothing.

    python benchmarks/inspect_pictures.py [--quick] [--pictures 2000] [--rounds 7] [--json FILE]      (about a minute on two cores)

Pictures are generated JPEGs of 256x256, quality 90, 4:2:0, from a seed; a few are copies. The yardstick is Pillow at full size, in as
many threads as there are cores. `inspect` is all that `inspect-data` does with pictures: it builds the store, reads every file for
its header and its hash, looks at all pixels and compares them. `check` is the same with a store that an earlier run has built.
Every round takes all ways in turn; a ratio is the median of the rounds' ratios. On a machine with other work, compare processor times.
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
import pandas as pd
from PIL import Image as Pillow

from mmtrain.columns import Image
from mmtrain.config.experiment import Cache
from mmtrain.data.findings.cohort import Cohort
from mmtrain.data.findings.picture_column import PictureColumn
from mmtrain.data.findings.pictures import picture_findings
from mmtrain.data.images import open_store
from mmtrain.threads import cores

SIDE, PIECE = 256, 16
COPIES = 20
TARGET = 0.6
PROCESSOR = ", processor"


def generated(folder: Path, count: int) -> list[str]:
    """Soft shapes with some noise, about 25 kB each; the last are the first, saved again."""
    random = np.random.default_rng(0)
    names = []
    for number in range(count):
        shapes = Pillow.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((SIDE, SIDE), Pillow.Resampling.BICUBIC)
        noisy = np.asarray(shapes, dtype=np.float32) + random.normal(0, 8, (SIDE, SIDE, 3)).astype(np.float32)
        picture = Pillow.fromarray(noisy.clip(0, 255).astype(np.uint8))
        if (copied := number - (count - COPIES)) >= 0:
            picture = Pillow.open(folder / names[copied])
        names.append(f"{number:06}.jpg")
        picture.save(folder / names[-1], quality=90 if copied < 0 else 80)
    return names


def decode_only(folder: Path, names: list[str]) -> None:
    """Read and decode every file with all cores."""

    def piece(start: int) -> None:
        for name in names[start : start + PIECE]:
            Pillow.open(BytesIO((folder / name).read_bytes())).load()

    with ThreadPoolExecutor(cores()) as threads:
        list(threads.map(piece, range(0, len(names), PIECE)))


def inspect(folder: Path, names: list[str], side: int, cache: Path, *, anew: bool) -> None:
    """Build the store, unless it may be there, and look for findings."""
    cache = cache / ("new" if anew else "kept")
    cells = pd.Series(names, dtype="str")
    column = Image.model_validate({"role": "image", "size": [side, side]})
    store, unreadable = open_store(cells, column, folder, cache=Cache.model_validate({"folder": cache}))
    numbers = np.arange(len(names))
    cohort = Cohort(len(names), parts=(numbers % 3).astype(np.int8), labels=numbers % 2, classes=("no", "yes"))
    picture = PictureColumn("picture", cells, numbers, column, store, unreadable)
    found = {finding.kind: finding.count for finding in picture_findings([picture], folder, cohort)}
    if found.get("similar_pictures_across_parts", 0) + found.get("similar_pictures", 0) != 2 * COPIES:
        raise SystemExit(f"Not all copies were found: {found}")


def measured(folder: Path, names: list[str], cache: Path, rounds: int) -> dict[str, list[float]]:
    """The seconds of every way in every round; a first round warms up and is not counted."""
    ways: dict[str, Callable[[], None]] = {
        "decode only": lambda: decode_only(folder, names),
        "inspect 256x256": lambda: inspect(folder, names, SIDE, cache, anew=True),
        "check 256x256": lambda: inspect(folder, names, SIDE, cache, anew=False),
        "inspect 128x128": lambda: inspect(folder, names, 128, cache, anew=True),
        "check 128x128": lambda: inspect(folder, names, 128, cache, anew=False),
    }
    seconds: dict[str, list[float]] = {f"{way}{kind}": [] for way in ways for kind in ("", PROCESSOR)}
    for number in range(rounds + 1):
        for way, run in ways.items():
            shutil.rmtree(cache / "new", ignore_errors=True)  # no part of the work
            begun, used = time.perf_counter(), time.process_time()
            run()
            if number:
                seconds[way].append(time.perf_counter() - begun)
                seconds[f"{way}{PROCESSOR}"].append(time.process_time() - used)
    return seconds


def summary(seconds: dict[str, list[float]], pictures: int) -> dict[str, dict[str, float]]:
    """Median pictures a second, and the share of decoding speed, round by round."""

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
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        seconds = measured(pictures, generated(pictures, chosen.pictures), Path(folder) / "cache", chosen.rounds)
    found = summary(seconds, chosen.pictures)
    print(f"{chosen.pictures} JPEGs of {SIDE}x{SIDE}, {chosen.rounds} rounds, {cores()} cores; yardstick: Pillow at full size")
    for way, numbers in found.items():
        print(
            f"{way:18} {numbers['pictures_per_second']:9,.0f} pictures/s  {numbers['of_decoding']:5.2f} of decoding"
            f" ({numbers['of_decoding_by_processor_time']:.2f} by processor time)"
        )
    print(f"The aim is {TARGET} of decoding; load of the machine: {os.getloadavg()[0]:.1f}.")
    if chosen.json:
        settings = {"pictures": chosen.pictures, "rounds": chosen.rounds, "cores": cores()}
        settings |= {"machine": platform.machine(), "python": platform.python_version()}
        chosen.json.write_text(
            json.dumps({"name": "inspect_pictures", "settings": settings, "results": found, "seconds": seconds}, indent=1)
        )


if __name__ == "__main__":
    main()
