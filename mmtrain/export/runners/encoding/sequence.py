"""A series of numbers: lists of the values, and with `timed` one of their times behind them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.export.runners.encoding.number_lists import numbers_of

ROUNDING = 1e-9
"""Added to the number of steps since the first: 0.3 / 0.1 is a little less than 3."""
MOST_PLACES = 2.0**40
"""Maximum number of steps between the first and the last value of a row."""


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from the lists of a row to its steps, (length, width)."""
    del context
    center, scale = (np.array(column[name], np.float64) for name in ("center", "scale"))
    events = column["timed"] and not column["step"]

    def encode(cells: list[Any], _: Path) -> tuple[Any, Any]:
        values, known, times = steps(column, [numbers_of(cell) for cell in cells])
        scaled = np.where(known, (values - center) / scale, 0.0).astype(np.float32)
        pieces = [scaled, known.astype(np.float32)]
        if events:
            there = known.any(axis=1)
            since = np.log1p(np.maximum(times[1:] - times[:-1], 0.0)).astype(np.float32)
            pieces.append(np.append(np.float32(0), np.where(there[1:] & there[:-1], since, np.float32(0)))[:, None])
        return np.concatenate(pieces, axis=1), bool(known.any()) or not column["masked"]

    return encode


def steps(column: dict[str, Any], lists: list[list[float]]) -> tuple[Any, Any, Any]:
    """Return the mean of the values of each step, (length, values), which are there, and the times, (length,)."""
    most, step, width = column["length"], column["step"], len(column["center"])
    table = np.full((max(map(len, lists)), len(lists)), np.nan)
    for place, numbers in enumerate(lists):
        table[: len(numbers), place] = numbers
    values, times = table[:, :width], table[:, width] if column["timed"] else np.zeros(len(table))
    known = np.isfinite(values) & np.isfinite(times)[:, None]
    there = known.any(axis=1)
    places = np.arange(len(table))
    if column["timed"] and not step:
        # Events without a value are left out, so that the time since the step before is that since the last value.
        places = np.cumsum(there) - 1
    if step and there.any():
        since = np.floor((np.where(there, times, 0.0) - times[there].min()) / step + ROUNDING)
        places = np.where(there, np.clip(since, 0, MOST_PLACES), 0).astype(np.int64)
    count = int((places[there] + 1).max(initial=0))
    places = places - (0 if column["from_start"] else max(count - most, 0))
    there &= (places >= 0) & (places < most)
    sums, counts, moments = np.zeros((most, width)), np.zeros((most, width)), np.zeros(most)
    np.add.at(sums, places[there], np.where(known, values, 0.0)[there])
    np.add.at(counts, places[there], known[there].astype(np.float64))
    np.add.at(moments, places[there], times[there])
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0), counts > 0, moments
