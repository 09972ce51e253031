"""How fast pictures are inspected, against decoding the same files and keeping nothing.

    python benchmarks/inspect_pictures.py [--quick] [--pictures 2000] [--rounds 7] [--json FILE]      (about a minute on two cores)

Pictures are generated JPEGs of 256x256, quality 90, 4:2:0, from a seed; a few are copies. The yardstick is Pillow at full size, in as
many threads as there are cores. `inspect` is all that `inspect-data` does with pictures: it builds the store, reads every file for
its header and its hash, looks at all pixels and compares them. `check` is the same with a store that an earlier run has built.
Every round takes all ways in turn; a ratio is the median of the rounds' ratios. What removes the store of the round before is not
counted. On a machine with other work, compare processor times.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from image_store import SIDE, TARGET, decode_only, generated, in_turn, summary, yardstick
from PIL import Image as Pillow

from mmtrain.columns import Image
from mmtrain.config.experiment import Cache
from mmtrain.data.findings.cohort import Cohort
from mmtrain.data.findings.pictures.column import PictureColumn
from mmtrain.data.findings.pictures.findings import picture_findings
from mmtrain.data.pictures.files import ImageFile
from mmtrain.data.pictures.store import open_store
from mmtrain.threads import cores

COPIES = 20


def with_copies(files: list[ImageFile]) -> list[ImageFile]:
    """The last files are the first ones, saved again."""
    for first, last in zip(files[:COPIES], files[-COPIES:], strict=True):
        Pillow.open(first.path).save(last.path, quality=80)
    return [ImageFile(file.path, *_stated(Path(file.path))) for file in files]


def _stated(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def inspect(folder: Path, names: list[str], side: int, cache: Path) -> None:
    """Build the store, unless it is there, and look for findings."""
    cells = pd.Series(names, dtype="str")
    column = Image.model_validate({"role": "image", "size": [side, side]})
    store, unreadable = open_store(cells, column, folder, cache=Cache.model_validate({"folder": cache}))
    numbers = np.arange(len(names))
    cohort = Cohort(len(names), parts=(numbers % 3).astype(np.int8), labels=numbers % 2, classes=("no", "yes"))
    picture = PictureColumn("picture", cells, numbers, column, store, unreadable)
    found = {finding.kind: finding.count for finding in picture_findings([picture], folder, cohort)}
    if found.get("similar_pictures_across_parts", 0) + found.get("similar_pictures", 0) != 2 * COPIES:
        raise SystemExit(f"Not all copies were found: {found}")


def measured(folder: Path, files: list[ImageFile], cache: Path, rounds: int) -> tuple[str, dict[str, list[float]]]:
    """What the yardstick is, and the seconds of every way in every round."""
    name, decode = yardstick()
    names = [Path(file.path).name for file in files]
    ways: dict[str, Callable[[], None]] = {
        "decode only": lambda: decode_only(files, decode),
        "inspect 256x256": lambda: inspect(folder, names, SIDE, cache),
        "check 256x256": lambda: inspect(folder, names, SIDE, cache),
        "inspect 128x128": lambda: inspect(folder, names, 128, cache),
        "check 128x128": lambda: inspect(folder, names, 128, cache),
    }

    def prepare(way: str) -> None:
        if not way.startswith("check"):
            shutil.rmtree(cache, ignore_errors=True)

    return name, in_turn(ways, rounds, prepare)


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
        files = with_copies(generated(pictures, chosen.pictures))
        name, seconds = measured(pictures, files, Path(folder) / "cache", chosen.rounds)
    found = summary(seconds, chosen.pictures)
    print(f"{chosen.pictures} JPEGs of {SIDE}x{SIDE}, {chosen.rounds} rounds, {cores()} cores; yardstick: {name}")
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
