"""Rows of a part with the highest loss, with their cells and images, for a person to look at.

They often reveal wrong labels, images that show something else, and kinds of rows on which the model fails. Cells and pixels are read
for these rows alone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mmtrain.artifacts.results import AnswerProbabilities, WorstPrediction
from mmtrain.columns import InputColumn
from mmtrain.columns.cells import concatenate
from mmtrain.data.images.store import ImageStore
from mmtrain.data.tables.table import Table, shown_cells
from mmtrain.evaluation.evaluation_set import MultiTargetEvalSet
from mmtrain.image_decoding.data_uri import without_content
from mmtrain.image_decoding.resize import thumbnail
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
Positions = npt.NDArray[np.int64]

ROWS = 12
"""Rows that are kept for each target."""
CELLS, IMAGES = 40, 4
"""Maximum number of cells and of images of a row; the first ones in the order of the experiment."""
LETTERS = 300
"""Maximum number of characters of a cell."""
SIDE = 96
"""Longer side of a thumbnail, in pixels."""


def worst_predictions(
    columns: Mapping[str, InputColumn],
    table: Table,
    stores: Mapping[str, ImageStore],
    rows: Positions,
    truths: MultiTargetEvalSet,
    predictions: Mapping[str, Array],
) -> dict[str, list[WorstPrediction]]:
    """Describe, per target, those of the scored `rows` (positions in the table) with the highest loss, the highest first.

    Raises DataError if a column is not kept in memory and the file has changed since the table was read.
    """
    by_target = {}
    for key, target in truths.targets.items():
        truth, prediction = truths.values[key], predictions[key]
        worst = highest_loss_rows(target, truth, prediction)
        if len(worst):
            inputs = inputs_of(columns, table, stores, rows[worst])
            answers = describe_answers(target, truth[worst], prediction[worst])
            by_target[key] = [WorstPrediction(**inputs_of_row, **answer) for inputs_of_row, answer in zip(inputs, answers, strict=True)]
    return by_target


def highest_loss_rows(target: FittedTarget, truth: Array, prediction: Array) -> Positions:
    """Return positions of the rows with the highest loss, the highest first; rows without a known answer are left out."""
    losses = target.row_losses(truth, prediction)
    # A row without a known answer has the loss NaN.
    known = np.flatnonzero(~np.isnan(losses))
    return known[np.argsort(-losses[known], kind="stable")[:ROWS]].astype(np.int64)


def describe_answers(target: FittedTarget, truth: Array, prediction: Array) -> list[dict[str, Any]]:
    """Return per row the fields of `WorstPrediction` that describe its answer."""
    labels, predicted, losses = target.decode_truth(truth), target.predict_label(prediction), target.row_losses(truth, prediction)
    rows: list[dict[str, Any]] = [
        {"truth": _text_or_number(true), "prediction": _text_or_number(prediction), "loss": float(loss)}
        for true, prediction, loss in zip(labels, predicted, losses, strict=True)
    ]
    if target.has_classes:
        codes = {name: code for code, name in enumerate(target.columns)}
        for row, true, name, probabilities in zip(rows, truth, predicted, target.probabilities(prediction), strict=True):
            # `true` is the code of the true class, `codes[name]` that of the predicted one.
            row["probability"] = AnswerProbabilities(truth=float(probabilities[true]), prediction=float(probabilities[codes[name]]))
    return rows


def inputs_of(columns: Mapping[str, InputColumn], table: Table, stores: Mapping[str, ImageStore], rows: Positions) -> list[dict[str, Any]]:
    """Return per table row the fields of `WorstPrediction` that describe its inputs. Raises as `worst_predictions` does."""
    # Read in ascending order, each row once, as files and stores are; then put back in the order of the rows.
    ascending, place = np.unique(rows, return_inverse=True)
    shown = list(columns.items())[:CELLS]
    cells = {key: shown_cells(column.reads(), concatenate(table.chunks(column.reads(), ascending))) for key, column in shown}
    images = {key: _thumbnails(stores[key], ascending) for key in [key for key, _ in shown if key in stores][:IMAGES]}
    fields = [
        {
            "row": int(table.rows[row]),
            "id": clip(identifier),
            "cells": {key: "" if pd.isna(cell := texts.iloc[number]) else clip(str(cell)) for key, texts in cells.items()},
            "images": {key: jpegs[number] for key, jpegs in images.items() if jpegs[number]},
        }
        for number, (row, identifier) in enumerate(zip(ascending, table.ids(ascending), strict=True))
    ]
    return [fields[number] for number in place]


def clip(text: str) -> str:
    """Cut a text to `LETTERS` characters; keep of images in a cell their type, `data:image/png;base64,…`."""
    text = without_content(text)
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def _text_or_number(answer: Any) -> str | float:
    return clip(answer) if isinstance(answer, str) else float(answer)


def _thumbnails(store: ImageStore, rows: Positions) -> list[str]:
    """Return a JPEG in Base64 for each row, empty where it has no image; one image is in memory at a time, as each may be large."""
    present = store.present(rows)[:, 0] > 0
    return [
        b64encode(thumbnail(store.display_image(rows[number]), SIDE)).decode("ascii") if has_image else ""
        for number, has_image in enumerate(present)
    ]
