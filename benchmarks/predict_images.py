"""How fast a run predicts images from their files, against decoding those files and nothing else.

    python benchmarks/predict_images.py [--quick] [--json FILE]      (about two minutes on two cores)

2,000 JPEGs of 256x256, generated from a seed, and a small CNN that takes them at 64x64, and at 128x128. The yardstick decodes the same
files with all cores and does nothing with them, as `jpegs.py` says. Beside it stand the bare model, over decoded images in
memory, and reading alone: decoding, resizing and checking. `one after the other` is the time of these two; `predict`, which also
writes its file, has several pieces of the table under way. Rounds take all ways in turn; a ratio is the median of the rounds'
ratios; `of_cpu` is the same ratio in seconds of the processor.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from jpegs import decode_only, generated, yardstick
from script import keep, parser
from turns import Measured, in_turn
from ways_to_predict import Summary, Way, bare, reading, summary, trained, whole

from mmtrain.data.images.image_file import ImageFile


def experiment(side: int) -> dict[str, object]:
    return {
        "columns": {"scan": {"role": "image", "size": [side, side]}, "y": {"role": "target", "task": "binary"}},
        "branches": {"scan": {"columns": ["scan"], "architecture": "cnn", "filters": [8, 16]}},
        "training": {"epochs": 1, "deterministic": True},
    }


def of_size(folder: Path, files: list[ImageFile], side: int, times: int) -> Summary:
    names = [Path(file.path).name for file in files]
    (folder / "table.csv").write_text("\n".join(["scan,y", *(f"{name},{row % 2}" for row, name in enumerate(names[:200])), ""]))
    (folder / "new.csv").write_text("\n".join(["scan", *names, ""]))
    loaded = trained(folder, f"images{side}", experiment(side))
    _, decode = yardstick()
    ways: dict[str, Way] = {"decode only": lambda: decode_only(files, decode)}
    ways |= {way: make(loaded, folder / "new.csv") for way, make in (("bare model", bare), ("reading", reading), ("predict", whole))}
    taken = in_turn(ways, times)
    both = zip(taken["reading"], taken["bare model"], strict=True)
    taken["one after the other"] = [Measured(read.clock + model.clock, read.processor + model.processor) for read, model in both]
    return summary(taken, len(files), "decode only")


def main() -> None:
    options = parser(__doc__, quick="A tenth of the images, two rounds.").parse_args()
    count, times = (200, 2) if options.quick else (2000, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MMTRAIN_CACHE"] = str(folder / "cache")
        files = generated(folder, count)
        results = {f"{side}x{side}": of_size(folder, files, side, times) for side in (64, 128)}
    print(json.dumps(results, indent=1))
    for size, found in results.items():
        clock, processor = (found["predict"][f"of_decode_only{of}"] for of in ("", "_of_cpu"))
        print(f"{size}: {clock:.2f} of decoding by the clock, {processor:.2f} of the processor")
    print(f"The aim: 0.6 of decoding. Load of the machine: {os.getloadavg()[0]:.1f}.")
    keep(options, {"images": count, "rounds": times, "yardstick": yardstick()[0]}, results)


if __name__ == "__main__":
    main()
