"""Predicted rows of requests, and their plain values for JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mmtrain.data.arrays import Array
from mmtrain.data.prediction_chunks import Chunk
from mmtrain.evaluation.prediction_table import row_columns
from mmtrain.serving.batcher import Part
from mmtrain.targets import FittedTarget

FEW_ROWS = 16
"""Rows up to which Python is faster than a call of Arrow."""


class GivenTruth(NamedTuple):
    """The part of a target's answers that the rows of a request have, such as their exposure or their group."""

    truth: Array
    """As encoded, (rows, ...); NaN for what a row lacks."""
    given: Array
    """(rows,) bool: rows that have the headers."""


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
    targets: Mapping[str, FittedTarget] = field(default_factory=dict)
    truths: Mapping[str, GivenTruth] = field(default_factory=dict)
    """By target, if some row has its `row_headers`."""

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


def request_records(parts: Sequence[Part[ServedRows]]) -> list[dict[str, Any]]:
    """Return the rows of one request, which may be in several parts, as plain values by column.

    They have what `records` has, and columns that follow from cells which no branch reads, such as the rank of a row in its group, where
    a row of the request has these cells. A call of the network may also hold rows of other requests, which are not compared with these.
    """
    records = [record for part in parts for record in part.result.records(part.start, part.stop)]
    for key, target in parts[0].result.targets.items():
        places = [slice(part.start, part.stop) for part in parts]
        known = [part.result.truths.get(key) for part in parts]
        if not any(one is not None and one.given[place].any() for one, place in zip(known, places, strict=True)):
            continue
        prediction = np.concatenate([part.result.predictions[key][place] for part, place in zip(parts, places, strict=True)])
        truth = np.full((len(prediction), *target.truth_spec.shape), np.nan)
        first = 0
        for one, place in zip(known, places, strict=True):
            if one is not None:
                truth[first : first + place.stop - place.start] = one.truth[place]
            first += place.stop - place.start
        for name, values in row_columns(key, parts[0].result.targets, truth, prediction).items():
            for record, value in zip(records, _plain(values), strict=True):
                # The status stays the last one.
                record.update({name: value, "status": record.pop("status")})
    return records


def undefined_columns(key: str, targets: Mapping[str, FittedTarget]) -> dict[str, Array]:
    """Return the columns of one target that `request_records` adds, of a row that lacks what they follow from."""
    target = targets[key]
    if not target.row_headers:
        return {}
    return row_columns(key, targets, np.full((1, *target.truth_spec.shape), np.nan), np.zeros((1, target.units), np.float32))


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
