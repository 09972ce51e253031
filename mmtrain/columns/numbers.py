"""Cells as numbers: parsing, what is not a number and why, and the edges of bins."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mmtrain.columns.cells import CellError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


LARGEST = 3.4028234663852886e38
"""The largest float32, in which the network computes; a larger number would be infinite there."""


NUMBER_BEGINS = r"(?i)^[+-]?[0-9.in]"
"""A digit, a point, `inf` or `nan`: pandas need not look at a text that begins otherwise."""


AT_ONCE = 100_000
"""Cells that are read at once: on the way to a number a cell takes fifty bytes."""


def parse_numbers(cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Parse cells as float64; NaN where a cell is missing or not a number up to `LARGEST`. Blanks around a number are ignored."""
    import numpy as np
    import pyarrow as pa

    if len(cells) <= AT_ONCE:
        # The array, since pyarrow takes 90 us to recognize a Series.
        return parse_texts(pa.array(cells.array, pa.large_string(), from_pandas=True))
    numbers = np.empty(len(cells), dtype=np.float64)
    for start in range(0, len(cells), AT_ONCE):
        numbers[start : start + AT_ONCE] = parse_numbers(cells.iloc[start : start + AT_ONCE])
    return numbers


def parse_texts(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Parse large strings as `parse_numbers` does, all at once."""
    import numpy as np

    values = _parse(texts)
    # Comparisons with NaN are false, so NaN stays NaN.
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _parse(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Parse large strings as float64, infinities included; NaN for other texts."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        # Tables give cells without blanks at their ends, so that the first attempt is enough for a column of numbers.
        return np.asarray(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:
        texts = pc.utf8_trim_whitespace(texts)
    try:
        return np.asarray(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:  # some cell is not a number; pandas takes fifteen times as long, and gives the same bits
        values = np.full(len(texts), np.nan)
    # Cells that cannot be numbers are left to NaN: pandas would try each of them.
    likely = np.flatnonzero(pc.fill_null(pc.match_substring_regex(texts, NUMBER_BEGINS), False).to_numpy(zero_copy_only=False))
    parsed = pd.to_numeric(texts.take(pa.array(likely)).to_pandas(), errors="coerce")
    values[likely] = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def number_errors(cells: pd.Series[str], instead: str = "") -> list[CellError]:
    """Return the errors of cells that are not numbers within float32: words, infinities, 1e40.

    `instead` is what to do where the whole column is words.
    """
    import numpy as np

    bad = np.flatnonzero(cells.notna().to_numpy() & np.isnan(parse_numbers(cells)))
    if not len(bad):
        return []
    cell = str(cells.iloc[bad[0]])
    what, fix = number_fault(cell)
    # Nothing but words: the column has the wrong role, and mending one cell would not help.
    only_words = len(bad) > 1 and cell.strip()[0].isalpha() and "," not in cell and len(bad) == cells.notna().sum()
    return [CellError(bad, f"{what}.", instead if instead and only_words else fix)]


def number_fault(cell: str) -> tuple[str, str]:
    """Return why a cell is refused as a number, and the fix."""
    if cell.strip().lower().lstrip("+-") in {"inf", "infinity"}:
        return f"{cell!r} is infinite", "Write a finite number, or leave the cell empty."
    if _is_number(cell):
        return f"{cell!r} is too large", "Write a number between -3.4e38 and 3.4e38, or leave the cell empty."
    fix = f"Write a number, or list {cell!r} under `data.missing_values` if it stands for a missing value."
    if "," in cell:
        fix = "Write the decimal point as a dot and leave out thousands separators, or set `decimal` or `thousands` in `data.format`."
    return f"{cell!r} is not a number", fix


def _is_number(cell: str) -> bool:
    import numpy as np
    import pyarrow as pa

    return not np.isnan(_parse(pa.array([cell], pa.large_string()))[0])


def center_and_scale(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Mean and standard deviation; of equal numbers that number and 1."""
    if values.min() == values.max():
        return float(values[0]), 1.0  # rounding may move their mean off them: three times 0.1 has a deviation of 1e-17
    return float(values.mean()), float(values.std()) or 1.0  # 0 when the squares are too small for float64


MAX_EDGES = 49
"""Most edges of the bins of one column."""


FEWEST_EDGES = 8


WIDTHS = (1e-36, 1e36)
"""Bounds of the width of a bin."""


ROWS_PER_EDGE = 16
"""Training rows for each edge, at least: bins of a few rows would only learn their noise."""


def bin_edges(numbers: np.ndarray[Any, np.dtype[np.float64]], most: int = 0) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return edges of bins, increasing, and the rank at each: the share of numbers below it and half of those at it.

    There are at most `most` of them; where it is 0, at most `MAX_EDGES` and fewer of few rows. They are the union of quantiles of the rows
    and quantiles of the different numbers. Of a column that is 92 % zeros, such as the capital gain of adult, the rows alone give 2
    edges; the different numbers give 23 more.
    """
    import numpy as np

    distinct, counts = np.unique(numbers, return_counts=True)
    # At least 16 rows per edge, between 8 and 49 edges.
    most = most or int(np.clip(len(numbers) // ROWS_PER_EDGE, FEWEST_EDGES, MAX_EDGES))
    ends = np.cumsum(counts)
    places = np.arange(len(distinct))
    if len(distinct) > most:
        # Half of the edges at quantiles of the rows, half at quantiles of the distinct numbers.
        of_rows = np.searchsorted(ends, np.linspace(0, len(numbers) - 1, (most + 1) // 2), side="right")
        of_values = np.rint(np.linspace(0, len(distinct) - 1, most // 2)).astype(np.int64)
        places = np.unique(np.concatenate([of_rows, of_values]))
    # Mid-rank: ties count half, so that a frequent number has the middle of its rows.
    ranks = (ends[places] - counts[places] / 2) / len(numbers)
    return tuple(distinct[places].tolist()), tuple(ranks.tolist())


@lru_cache(maxsize=4096)
def encoded_edges(
    edges: tuple[float, ...], ranks: tuple[float, ...], center: float, scale: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return edges as the column's layer encodes them, and their ranks; without those that float32 cannot divide into bins.

    Different numbers may coincide in float32, and the slope of a bin that is narrower or wider than `WIDTHS` would not be finite.
    """
    import numpy as np

    # In float32, as the layer has them; equal ones collapse.
    encoded, places = np.unique(((np.array(edges) - center) / scale).astype(np.float32), return_index=True)
    narrow, wide = WIDTHS
    if len(encoded) and np.abs(encoded).max() > wide:
        return (), ()
    # From the second edge on, a bin narrower than 1e-36 has a slope beyond float32; the first edge has no bin to its
    # left.
    wide_enough = np.flatnonzero(np.diff(encoded, prepend=-np.inf) > narrow)
    return tuple(encoded[wide_enough].tolist()), tuple(ranks[place] for place in places[wide_enough])
