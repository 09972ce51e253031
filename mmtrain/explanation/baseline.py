"""Baseline inputs of integrated gradients: as uninformative as an input of its column can be (`FittedColumn.baseline`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmtrain.columns.summaries import Statistics
from mmtrain.data import encode
from mmtrain.data.encode import Array, Fitted


def baseline(fitted: Fitted, statistics: Statistics) -> dict[str, Array]:
    """Return the encoded values, (1, ...), from which attributions start; of other columns they start from the zero vector."""
    entries: dict[str, Array] = {}
    cells: dict[str, str] = {}
    for key, column in fitted.columns.items():
        start = column.baseline(statistics.columns.get(key))
        if isinstance(start, str):
            cells[key] = start
        elif start is not None:
            entries[key] = np.asarray(start)
    return entries | _encoded(fitted, cells)


def words(fitted: Fitted, statistics: Statistics) -> dict[str, str]:
    """Return the same in words, by column."""
    return {key: column.baseline_words(statistics.columns.get(key)) for key, column in fitted.columns.items()}


def _encoded(fitted: Fitted, cells: dict[str, str]) -> dict[str, Array]:
    """Cells as the columns' own preprocessing encodes them."""
    if not cells:
        return {}
    import tensorflow as tf

    columns = {key: fitted.columns[key] for key in cells}
    raw = {key: tf.constant(columns[key].raw(pd.Series([cell], dtype="str"))) for key, cell in cells.items()}
    encoded = encode.encoder(columns)(raw)
    return {key: encoded[key].numpy() for key in cells}
