"""Predicted rows of requests, and their plain values for JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmtrain.data.arrays import Array
from mmtrain.data.prediction_chunks import Chunk

FEW_ROWS = 16
"""Rows up to which Python is faster than a call of Arrow."""


@dataclass(frozen=True)
class ServedRows:
    """Predicted rows, in the order in which they were given."""

    columns: Mapping[str, Array]
    """The columns of `mmtrain predict --proba`, but `row`, `id` and `status`: (rows,) each; what refused rows have there means nothing."""
    status: Array
    """(rows,) texts."""
    refused: Array
    """(rows,) bool: rows that could not be predicted."""
    ids: Array
    """(rows,) texts, empty where a row has none."""
    chunk: Chunk
    """The rows as they were encoded by the first member."""
    predictions: Mapping[str, Array]
    """By target, as the network has them."""
    inputs: Sequence[Mapping[str, Array]]
    """The rows as each member encodes them, `{column, column_present}`."""

    def records(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return some rows as plain values by column, with `id` where there are any, and `status`; None where there is no prediction."""
        part = slice(start, stop)
        lists = {name: _plain(values[part]) for name, values in self.columns.items()}
        ids = self.ids[part].tolist()
        named = {"id": ids} if any(ids) else {}
        rows = []
        for number, (status, refused) in enumerate(zip(self.status[part].tolist(), self.refused[part].tolist(), strict=True)):
            row = {name: values[number] for name, values in named.items()}
            row |= {name: None if refused else values[number] for name, values in lists.items()}
            rows.append(row | {"status": status})
        return rows


def _plain(values: Array) -> list[Any]:
    """Return Python's own values; of float32 the shortest decimals that are read as the same float32, None for what JSON has no number."""
    if not np.issubdtype(values.dtype, np.floating):
        return [str(value) for value in values.tolist()]
    texts = _float_texts(values)
    # The bounds of an interval may be infinite.
    return [float(text) if finite else None for text, finite in zip(texts, np.isfinite(values).tolist(), strict=True)]


def _float_texts(values: Array) -> Sequence[str]:
    if len(values) <= FEW_ROWS:
        return [str(value) for value in values]
    import pyarrow as pa
    import pyarrow.compute as pc

    texts: list[str] = pc.cast(pa.array(values), pa.large_string()).to_pylist()
    return texts
