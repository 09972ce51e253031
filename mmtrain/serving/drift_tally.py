"""Counts of the rows that one served run has predicted: cells for the metrics, and drift from the rows of training."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.data.drift import Drift
from mmtrain.data.prediction_chunks import Chunk
from mmtrain.data.tables.table_file import as_series
from mmtrain.serving.metrics import Metrics
from mmtrain.serving.row_predictor import RowPredictor
from mmtrain.specs import IndexSpec

COUNTED_ROWS = 64
"""Rows that are counted together: counting costs half a millisecond, however few they are, and requests wait for it."""
COUNTED_BYTES = 16_000_000
"""Bytes of tensors from which fewer rows are counted together."""


class DriftTally:
    """Counts the rows that one run has predicted, in pieces, for metrics and drift. Threads may call it at any time."""

    def __init__(self, predictor: RowPredictor, metrics: Metrics, model: str) -> None:
        self._monitor = predictor.monitor()
        self._fitted = predictor.loaded.fitted.columns
        self._headers = {key: column.column for key, column in predictor.experiment.inputs.items()}
        self._metrics, self._model = metrics, model
        self._chunks: list[Chunk] = []
        self._rows = self._bytes = 0
        self._lock = Lock()

    def add(self, chunk: Chunk) -> None:
        """Count the next rows, now or together with others."""
        with self._lock:
            self._chunks.append(chunk)
            self._rows += len(chunk)
            self._bytes += sum(values.nbytes for values in chunk.batch.values())
            if self._rows >= COUNTED_ROWS or self._bytes >= COUNTED_BYTES:
                self._count()

    def drifts(self) -> list[Drift]:
        """Return how the rows so far differ from those of training."""
        with self._lock:
            self._count()
            return self._monitor.drifts()

    def _count(self) -> None:
        if not self._chunks:
            return
        chunk = _merged(self._chunks)
        self._chunks, self._rows, self._bytes = [], 0, 0
        self._monitor.add(chunk)
        for key, column in self._fitted.items():
            for kind, cells in _odd_cells(column, chunk, key).items():
                if cells:
                    self._metrics.count("mmtrain_cells_total", cells, model=self._model, column=self._headers[key], kind=kind)


def _odd_cells(column: Any, chunk: Chunk, key: str) -> dict[str, int]:
    """Count cells of a column that are missing, unseen in training, or outside of its range."""
    values = chunk.inputs[key]
    if isinstance(column.spec, IndexSpec):
        return {"missing": int((values == 0).sum()), "unseen": int((values == 1).sum())}
    minimum, maximum = getattr(column, "minimum", None), getattr(column, "maximum", None)
    if minimum is not None and maximum is not None and key in chunk.raw:
        numbers = chunk.raw[key]
        return {"missing": int(np.isnan(numbers).sum()), "outside_range": int(((numbers < minimum) | (numbers > maximum)).sum())}
    return {"missing": int((chunk.inputs[f"{key}_present"] == 0).sum())}


def _merged(chunks: Sequence[Chunk]) -> Chunk:
    """Return the rows of several chunks as one, with what a monitor reads."""
    if len(chunks) == 1:
        return chunks[0]
    first = chunks[0]
    # An id may be in some requests only.
    headers = [header for header in first.cells if all(header in one.cells for one in chunks)]
    cells = {header: _joined([one.cells[header] for one in chunks]) for header in headers}
    raw, inputs = (
        {key: np.concatenate([getattr(one, name)[key] for one in chunks]) for key in getattr(first, name)} for name in ("raw", "inputs")
    )
    return Chunk(0, cells, inputs, raw=raw)


def _joined(cells: Sequence[pd.Series[str]]) -> pd.Series[str]:
    """Return the cells of several Series one after the other; `pd.concat` takes nine times as long for short ones."""
    import pyarrow as pa

    return as_series(pa.concat_arrays([pa.array(one.array) for one in cells]))
