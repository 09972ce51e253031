"""Columns of predictions that follow from cells which no branch reads: the rank of a row in its group, the count at its exposure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.columns import CellWarning
from mmtrain.columns.cells import rows_by_value
from mmtrain.data.arrays import Array
from mmtrain.data.encode import as_trained
from mmtrain.data.tables.table_file import TableFile
from mmtrain.evaluation.prediction_table import row_columns
from mmtrain.targets import FittedTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmtrain.pipeline.prediction.predictor import PredictedChunk, Predictor

Remarks = list[tuple[str, CellWarning]]
"""Remarks on cells, each with the header of its column."""


def with_row_columns(loaded: Predictor, file: TableFile, predicted: PredictedChunk) -> PredictedChunk:
    """Return a chunk with the columns of targets whose `row_headers` the table has, and with remarks on rows that have no value there."""
    targets, piece = loaded.fitted.targets, predicted.piece
    columns: dict[str, dict[str, Array]] = {}
    remarks = list(piece.remarks)
    for key, target in targets.items():
        truth = _truth(loaded, file, key, predicted)
        if truth is not None:
            columns[key] = row_columns(key, targets, truth, predicted.predictions[key])
            remarks += remarks_on_undefined(target, piece.cells, columns[key], ~piece.refused())
    return replace(predicted, piece=replace(piece, remarks=remarks), columns=columns)


def remarks_on_undefined(
    target: FittedTarget, cells: Mapping[str, pd.Series[str]], columns: Mapping[str, Array], predicted: Array
) -> Remarks:
    """Return remarks, each with its header, on `predicted` rows, a mask (rows,), whose cells give no value of a target's `row_columns`."""
    undefined = np.logical_or.reduce([np.isnan(values) for values in columns.values()]) & predicted
    effect = f"so that there is no {' and '.join(f'`{name}`' for name in columns)}"
    remarks = []
    for header in target.row_headers if undefined.any() else ():
        missing = cells[header].isna().to_numpy()
        if (undefined & missing).any():
            remarks.append((header, CellWarning(np.flatnonzero(undefined & missing), f"missing, {effect}")))
        others = undefined & ~missing & bool(target.row_rule)
        for cell, rows in rows_by_value(cells[header], np.flatnonzero(others)):
            remarks.append((header, CellWarning(rows, f"{cell!r} is not {target.row_rule}, {effect}")))
    return remarks


class RankedColumns:
    """The columns of a whole table, where rows of a group may be in several chunks: three numbers a row are kept."""

    def __init__(self, loaded: Predictor, file: TableFile) -> None:
        self._loaded, self._file = loaded, file
        self._kept: dict[str, list[tuple[Array, Array]]] = {
            key: [] for key, target in loaded.fitted.targets.items() if target.is_ranked and _has(target.row_headers, file)
        }

    def __bool__(self) -> bool:
        """True if a target needs the whole table."""
        return bool(self._kept)

    def add(self, predicted: PredictedChunk) -> None:
        """Keep the groups and predictions of the next chunk."""
        for key, kept in self._kept.items():
            truth = _truth(self._loaded, self._file, key, predicted)
            if truth is not None:
                kept.append((truth, predicted.predictions[key]))

    def complete(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the predictions of all chunks with the columns of the whole table in place of those of each chunk."""
        rows, columns = frame["row"].to_numpy(), {}
        for key, kept in self._kept.items():
            if len(kept) > 1:
                truth, prediction = (np.concatenate(parts) for parts in zip(*kept, strict=True))
                made = row_columns(key, self._loaded.fitted.targets, truth, prediction)
                columns.update({name: values[rows] for name, values in made.items()})
        return frame.assign(**columns)


def _has(headers: tuple[str, ...], file: TableFile) -> bool:
    return bool(headers) and set(headers) <= set(file.headers)


def _truth(loaded: Predictor, file: TableFile, key: str, predicted: PredictedChunk) -> Array | None:
    """Return the encoded answers of a chunk, NaN where they are missing or a row is refused; None without the headers that are needed."""
    target, cells = loaded.fitted.targets[key], predicted.piece.cells
    if not _has(target.row_headers, file):
        return None
    absent = pd.Series([None] * len(predicted.piece), dtype="str")
    truth = target.truth(
        {
            header: as_trained(loaded.fitted, target, file, header, cells[header]) if header in cells else absent
            for header in loaded.experiment.targets[key].reads()
        }
    )
    truth[predicted.piece.refused()] = np.nan
    return truth
