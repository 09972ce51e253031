"""How fast images are inspected, against decoding the same files and keeping nothing.

    python benchmarks/inspect_images.py [--quick] [--images 2000] [--rounds 7] [--json FILE]      (about a minute on two cores)

Images and yardstick are those of `image_store.py`; a few of the images are copies. `inspect` is all that `inspect-data` does with
images: it builds the store, reads every file for its header and its hash, looks at all pixels and compares them. `check` is the
same with a store that an earlier run has built. Every round takes all ways in turn; a ratio is the median of the rounds' ratios.
What removes the store of the round before is not counted. On a machine with other work, compare processor times.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from image_store import Ways, compare
from jpegs import SIDE
from PIL import Image as Pillow

from mmtrain.audit.images.checks import image_findings
from mmtrain.audit.images.image_column import ImageColumn
from mmtrain.audit.label_index import LabelIndex
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView
from mmtrain.columns import Image
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.image_file import ImageFile
from mmtrain.data.images.store import open_store

COPIES = 20


def inspections(files: list[ImageFile], cache: Path) -> Ways:
    """What is timed beside decoding, after the last images have become the first ones, saved again."""
    for first, last in zip(files[:COPIES], files[-COPIES:], strict=True):
        Pillow.open(first.path).save(last.path, quality=80)
    paths = [Path(file.path) for file in files]
    folder, names = paths[0].parent, [path.name for path in paths]
    return {
        "inspect 256x256": lambda: inspect(folder, names, SIDE, cache),
        "check 256x256": lambda: inspect(folder, names, SIDE, cache),
        "inspect 128x128": lambda: inspect(folder, names, 128, cache),
        "check 128x128": lambda: inspect(folder, names, 128, cache),
    }


def inspect(folder: Path, names: list[str], side: int, cache: Path) -> None:
    """Build the store, unless it is there, and look for findings."""
    cells = pd.Series(names, dtype="str")
    column = Image.model_validate({"role": "image", "size": [side, side]})
    store, unreadable = open_store(cells, column.image_cells, ImageFolder(folder), cache=Cache.model_validate({"folder": cache}))
    numbers = np.arange(len(names))
    labels = LabelIndex("answer", ("no", "yes"), np.ones(len(names), np.bool_), numbers, numbers % 2)
    cohort = RowMetadata(len(names), parts=(numbers % 3).astype(np.int8), targets=(labels,))
    asked = [TargetView("answer", (BinaryTargetView(cohort.for_answers, cohort.for_answers % 2, labels.names),))]
    image = ImageColumn("image", cells, numbers, column, store, unreadable)
    found = {finding.kind: finding.count for finding in image_findings([image], ImageFolder(folder), cohort, asked)}
    if found.get("similar_images_across_parts", 0) + found.get("similar_images", 0) != 2 * COPIES:
        raise SystemExit(f"Not all copies were found: {found}")


if __name__ == "__main__":
    compare(__doc__, inspections, emptied=lambda way: not way.startswith("check"))
