"""The rows of a part with the highest loss, with their cells and images, for a person to look at.

Mistakes in the table, images that show something else, and groups of rows that the model fails on are often found there.
Cells and pixels are read of these rows alone.
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
from mmtrain.columns.base import concatenate
from mmtrain.data.images.store import ImageStore
from mmtrain.data.tables.table import Table, shown_cells
from mmtrain.evaluation.evaluation_set import MultiTargetEvalSet
from mmtrain.image_decoding.data_uri import is_data_uri
from mmtrain.image_decoding.resize import thumbnail
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
Positions = npt.NDArray[np.int64]

ROWS = 12
"""Of each target."""
CELLS, IMAGES = 40, 4
"""Of a row, at most; the first ones of the experiment."""
LETTERS = 300
"""Of a cell, at most."""
SIDE = 96
"""Pixels of the longer side of an image."""


def worst_predictions(
    columns: Mapping[str, InputColumn],
    table: Table,
    stores: Mapping[str, ImageStore],
    rows: Positions,
    truths: MultiTargetEvalSet,
    predictions: Mapping[str, Array],
) -> dict[str, list[WorstPrediction]]:
    """Describe, per target, those of the scored `rows` (positions in the table) with the highest loss, the highest first.

    Raises DataError when a column is not kept in memory and the file was changed since the table was read.
    """
    found = {}
    for key, target in truths.targets.items():
        truth, prediction = truths.values[key], predictions[key]
        worst = highest_loss_rows(target, truth, prediction)
        if len(worst):
            inputs = inputs_of(columns, table, stores, rows[worst])
            answers = describe_answers(target, truth[worst], prediction[worst])
            found[key] = [WorstPrediction(**of_row, **answer) for of_row, answer in zip(inputs, answers, strict=True)]
    return found


def highest_loss_rows(target: FittedTarget, truth: Array, prediction: Array) -> Positions:
    """Positions of the rows with the highest loss, the highest first; rows without a known answer are not among them."""
    losses = target.row_losses(truth, prediction)
    known = np.flatnonzero(~np.isnan(losses))
    return known[np.argsort(-losses[known], kind="stable")[:ROWS]].astype(np.int64)


def describe_answers(target: FittedTarget, truth: Array, prediction: Array) -> list[dict[str, Any]]:
    """Return per row those fields of `WorstPrediction` that its answer gives."""
    spoken, decided, losses = target.decode_truth(truth), target.predict_label(prediction), target.row_losses(truth, prediction)
    rows: list[dict[str, Any]] = [
        {"truth": _text_or_number(true), "prediction": _text_or_number(said), "loss": float(loss)}
        for true, said, loss in zip(spoken, decided, losses, strict=True)
    ]
    if target.has_classes:
        codes = {name: code for code, name in enumerate(target.columns)}
        for row, true, said, probabilities in zip(rows, truth, decided, target.probabilities(prediction), strict=True):
            row["probability"] = AnswerProbabilities(truth=float(probabilities[true]), prediction=float(probabilities[codes[said]]))
    return rows


def inputs_of(columns: Mapping[str, InputColumn], table: Table, stores: Mapping[str, ImageStore], rows: Positions) -> list[dict[str, Any]]:
    """Return per table row those fields of `WorstPrediction` that its inputs give.

    Raises DataError when a column is not kept in memory and the file was changed since the table was read.
    """
    ascending, place = np.unique(rows, return_inverse=True)
    shown = list(columns.items())[:CELLS]
    cells = {key: shown_cells(column.reads(), concatenate(table.chunks(column.reads(), ascending))) for key, column in shown}
    images = {key: _thumbnails(stores[key], ascending) for key in [key for key, _ in shown if key in stores][:IMAGES]}
    found = [
        {
            "row": int(table.rows[row]),
            "id": clip(identifier),
            "cells": {key: "" if pd.isna(cell := texts.iloc[number]) else clip(str(cell)) for key, texts in cells.items()},
            "images": {key: made[number] for key, made in images.items() if made[number]},
        }
        for number, (row, identifier) in enumerate(zip(ascending, table.ids(ascending), strict=True))
    ]
    return [found[number] for number in place]


def clip(text: str) -> str:
    """At most `LETTERS` letters; of an image in a cell its type, `data:image/png;base64,…`."""
    if is_data_uri(text):
        return f"{text.partition(',')[0]},…"
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def _text_or_number(answer: Any) -> str | float:
    return clip(answer) if isinstance(answer, str) else float(answer)


def _thumbnails(store: ImageStore, rows: Positions) -> list[str]:
    """Empty where a row has no image; one image in memory at a time, as each may be large."""
    present = store.present(rows)[:, 0] > 0
    return [
        b64encode(thumbnail(store.take(rows[[number]])[0], SIDE)).decode("ascii") if there else "" for number, there in enumerate(present)
    ]
