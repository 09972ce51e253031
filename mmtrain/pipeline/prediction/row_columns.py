"""Columns of predictions that follow from cells which no branch reads: the rank of a row in its group, the count at its exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.data.arrays import Array
from mmtrain.data.encode import as_trained
from mmtrain.data.tables.table_file import TableFile
from mmtrain.evaluation.prediction_table import row_columns

if TYPE_CHECKING:
    from mmtrain.pipeline.prediction.predictor import PredictedChunk, Predictor


def chunk_columns(loaded: Predictor, file: TableFile, predicted: PredictedChunk) -> dict[str, dict[str, Array]]:
    """Return the columns of a chunk by target and name, (rows,) each, of targets whose `row_headers` the table has."""
    targets = loaded.fitted.targets
    truths = {key: _truth(loaded, file, key, predicted) for key in targets}
    return {key: row_columns(key, targets, truth, predicted.predictions[key]) if truth is not None else {} for key, truth in truths.items()}


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
