"""Compare an export, run in a separate process, with `predict` on rows that the network did not learn from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.artifacts.export_results import MAX_SCORE_DROP, ScoreChange
from mmtrain.columns import ImageCells, InputColumn, images_among
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.encode import Fitted
from mmtrain.data.images.decode import layout_of
from mmtrain.data.images.image_file import ImageFile
from mmtrain.data.images.locate import ImageFinder
from mmtrain.data.tables.table import Table
from mmtrain.errors import Problem, RunError, listed
from mmtrain.evaluation.scoring import main_score, score_target
from mmtrain.export.base import HALF, Array, Format
from mmtrain.image_decoding import UnreadableImage, read
from mmtrain.layers.start import quiet_native_stderr

IMAGES = 1e-3
"""Tolerated difference of predictions if the export decodes the images itself: JPEG decoders differ by a level."""
DECODE_BATCH = 64
"""Number of image files decoded at once."""


def give_runner(chosen: Format, folder: Path) -> None:
    """Copy the program that runs an export of this format next to it, as run.py."""
    shutil.copyfile(chosen.runner, folder / "run.py")


def raw_rows(columns: Mapping[str, InputColumn], images: ImageFolder, fitted: Fitted, table: Table) -> dict[str, Array]:
    """Return the raw rows per column, (rows, 1): numbers, texts, and the bytes of image files, empty if missing."""
    raw: dict[str, Array] = {}
    declared = images_among(columns)
    for key, column in fitted.columns.items():
        chunks = table.chunks(columns[key].reads())
        if key in declared:
            finder, cells_of_images = ImageFinder(images, declared[key].suffix, folders=declared[key].folders), declared[key]
            if cells_of_images.most:
                chunks = (_source_lists(cells_of_images, finder, cells) for cells in chunks)
            else:
                chunks = (cells.map(partial(_source, finder), na_action="ignore") for cells in chunks)
        raw[key] = np.concatenate([column.raw(cells) for cells in chunks])
    return raw


def check_images(fitted: Fitted, raw: Mapping[str, Array], present: Mapping[str, Array]) -> None:
    """Check that the graph decodes every image that training could decode; `raw` are bytes of files (rows, 1), `present` (rows, 1) 0 or 1.

    Raises:
        RunError: some cannot be decoded; a problem per column.

    """
    from mmtrain.layers.image_decoding import OK, STATUS

    problems = []
    for key, column in fitted.columns.items():
        if not column.decodes_images:
            continue
        layer, files = column.preprocessing(), raw[key][present[key][:, 0] > 0]
        with quiet_native_stderr():  # on processors without AVX-512, TensorFlow prints warnings about uint8
            # A third output of the layer is the status of every file.
            codes = [layer(files[start : start + DECODE_BATCH])[2].numpy() for start in range(0, len(files), DECODE_BATCH)]
        status = np.concatenate(codes)[files != b""] if codes else np.zeros(0, dtype=np.int64)
        if bad := [STATUS[code] for code in status.tolist() if code != OK]:
            what = f"{len(bad):,} of {len(status):,} images cannot be decoded by TensorFlow ({listed(sorted(set(bad)))})."
            fix = "Convert them to JPEG or PNG and train again, or export to ONNX, which takes decoded images."
            problems.append(Problem(key, what, fix))
    if problems:
        raise RunError(problems)


def _source_lists(images: ImageCells, finder: ImageFinder, cells: Any) -> pd.Series[Any]:
    """Return the files of each row of a column of several images, in the order of the image store."""
    lists: list[list[Any]] = []
    for names in images.names(cells):
        image_files = {file for name in names if isinstance(file := finder.find(name), ImageFile)}
        # A file that training could not decode is left out of its row before images are chosen.
        files = sorted(file for file in image_files if _can_be_read(file, images))
        lists.append([_member(files[place]) for place in images.choose(range(len(files)))])
    return pd.Series(lists, dtype=object)


def _member(file: ImageFile) -> Any:
    """Return the file, with the number of a slice of it where it gives several."""
    return (file.source, file.slice) if file.slice[0] >= 0 else file.source


def _can_be_read(file: ImageFile, images: ImageCells) -> bool:
    try:
        read(file.source, layout_of(file, images.layout), writable=False)
    except UnreadableImage:
        return False
    return True


def _source(finder: ImageFinder, cell: str) -> Path | bytes:
    """Return the file that a cell names, or the bytes of the one that it holds; no bytes where there is none."""
    file = finder.find(cell)
    return file.source if isinstance(file, ImageFile) else b""


def largest_difference(fitted: Fitted, expected: Mapping[str, Array], predicted: Mapping[str, Array]) -> float:
    """Return the largest difference over all rows and targets; infinity for another shape or a NaN.

    Differences of probabilities are absolute; those of numbers are divided by the target's standard deviation, or by the expected number
    if that is larger.
    """
    largest = 0.0
    for key, target in fitted.targets.items():
        # Relative to the standard deviation of training rows or, for numbers far from 0, to the number itself.
        unit = np.maximum(target.spread, np.abs(expected[key])) if target.is_continuous else 1.0
        if predicted[key].shape != expected[key].shape or np.isnan(predicted[key]).any():
            return float("inf")
        largest = max(largest, float(np.max(np.abs(predicted[key] - expected[key]) / unit)))
    return largest


def tolerance(chosen: Format, quantize: str, fitted: Fitted, *, mixed: bool) -> float | None:
    """Return the tolerance of the format; it is larger for a network of mixed precision, whose `predict` itself rounds to 16 bits.

    It is also larger if the export decodes images: another JPEG decoder may differ by a level.
    """
    declared = chosen.tolerances[quantize]
    if declared is None:
        return None
    decoded = chosen.inputs == "raw" and any(column.decodes_images for column in fitted.columns.values())
    return max(declared, HALF if mixed else 0, IMAGES if decoded else 0)


def check_difference(largest: float, allowed: float | None, label: str) -> None:
    """Raise RunError for an export whose predictions differ from those of `predict` by more than is allowed."""
    if not np.isfinite(largest) or (allowed is not None and largest > allowed):
        limit = "finite predictions are required" if allowed is None else f"at most {allowed:g} is allowed"
        what = f"the predictions of the export differ from those of `predict` on validation rows by up to {largest:.2g}; {limit}."
        raise RunError(Problem(f"--format {label}", what, "It was removed. Choose another format or quantization."))


def changes(
    monitor: str, fitted: Fitted, truths: Mapping[str, Array], before: Mapping[str, Array], after: Mapping[str, Array]
) -> list[ScoreChange]:
    """Return the main score of every target, of the network and of its export, where it is defined; `monitor` is that of the training."""
    changed = []
    for key, target in fitted.targets.items():
        # Scores without intervals: the same rows before and after.
        first, second = (
            {name: score.value for name, score in score_target(key, target, truths[key], predictions[key]).result.scores.items()}
            for predictions in (before, after)
        )
        prefix = f"{key}_" if len(fitted.targets) > 1 else ""
        name = main_score(monitor, target, first, prefix)
        one, other = first[name], second[name]
        if one is not None and other is not None:
            changed.append(ScoreChange(target=key, score=name, before=one, after=other))
    return changed


def check_scores(changed: list[ScoreChange], label: str) -> None:
    """Raise RunError for a quantization that lowers a score too much."""
    problems = [
        Problem(
            f"--quantize {label}",
            f"on validation rows the {change.score} of {change.target} changes from {change.before:.4g} to {change.after:.4g}.",
            f"A drop of {MAX_SCORE_DROP:g} is allowed ({MAX_SCORE_DROP:.0%} of an error). Keep the export with --force, or choose another.",
        )
        for change in changed
        if change.too_much
    ]
    if problems:
        raise RunError(problems)
