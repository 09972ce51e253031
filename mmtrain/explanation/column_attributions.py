"""From attributions at activation hooks to what each column, word and region of an image adds to the output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmtrain.columns import FittedColumn
from mmtrain.data.encode import Array, Fitted
from mmtrain.explanation.attribution import ColumnAttribution, ElementAttribution, RowInputs
from mmtrain.explanation.integrated_gradients import Attributions

ALL = "all"
"""The element of a column that has no parts."""


def attribute_columns(found: Attributions, fitted: Fitted, cells: RowInputs) -> tuple[ColumnAttribution, ...]:
    """Return the attribution of every input column, in the order of the experiment."""
    missing = cells.missing(fitted)
    return tuple(_attribute(key, column, _of_column(found, key), cells, missing=key in missing) for key, column in fitted.columns.items())


def _of_column(found: Attributions, key: str) -> list[Array]:
    """The attributions at every hook of a column; it has several where several branches read it."""
    return [values for tap, values in found.attributions.items() if tap.column == key]


def _attribute(key: str, column: FittedColumn, values: Sequence[Array], cells: RowInputs, *, missing: bool) -> ColumnAttribution:
    to, cell = column.attributed_to, cells.texts[key]
    if missing:
        return ColumnAttribution(key, to, cell, missing, (ElementAttribution("missing", 0.0),))
    places = _by_axes(values, column.spec.shape[:2])
    parts = None if places is None or to == "cells" else column.attribute(cell, places, cells.encoded[key])
    if parts is None:
        name = cell if column.named_cell else ALL
        return ColumnAttribution(key, to, cell, missing, (ElementAttribution(name, float(sum(one.sum() for one in values))),))
    elements, reading = (tuple(ElementAttribution(*one) for one in several) for several in (parts.elements, parts.reading))
    return ColumnAttribution(key, to, cell, missing, elements, reading, parts.unread, places if to == "regions" else None)


def _by_axes(values: Sequence[Array], shape: tuple[int, ...]) -> Array | None:
    """The sum over all axes behind those of `shape`; None where a hook has not these axes."""
    if any(one.shape[: len(shape)] != shape for one in values):
        return None
    together: Array = np.sum([one.sum(axis=tuple(range(len(shape), one.ndim))) for one in values], axis=0)
    return together
