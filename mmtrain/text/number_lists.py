r"""Cells with several numbers, such as `[0.5, 1, null]`, `0.5 1 2` and `["0.5", "1"]`: RE2 patterns, as TensorFlow and Arrow read them.

>>> import pandas as pd
>>> values, ends = split_numbers(pd.Series(["[0.5, 1]", None, "2 x"], dtype="str"))
>>> values.tolist(), ends.tolist()
([0.5, 1.0, 2.0, nan], [2, 2, 4])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

AROUND = r"""[\[\](){}"']+"""
"""Left out of a cell."""
BETWEEN = r"[,;\s]+"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
MISSING_NUMBERS = ("null", "none", "nan", "na")
"""Words for a missing number in a list, in lower case."""


def split_numbers(cells: pd.Series[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the numbers of all cells one after the other, NaN in the place of other words, and the end of each cell among them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    words, ends = split_words(cells)

    numbers = pc.match_substring_regex(words, f"^(?:{NUMBER})$").to_numpy(zero_copy_only=False)
    values = np.full(len(words), np.nan)
    values[numbers] = pc.cast(words.filter(pa.array(numbers)), pa.float64()).to_numpy(zero_copy_only=False)
    return values, ends


def split_words(cells: pd.Series[str]) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the words of all cells one after the other, and the end of each cell among them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pc.fill_null(pa.array(cells, pa.large_string(), from_pandas=True), "")
    spaced = pc.ascii_trim_whitespace(pc.replace_substring_regex(pc.replace_substring_regex(array, AROUND, " "), BETWEEN, " "))
    lists = pc.split_pattern(spaced, " ")
    empty = pc.equal(spaced, "").to_numpy(zero_copy_only=False)
    lengths = np.where(empty, 0, pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    return lists.filter(pa.array(~empty)).flatten(), np.cumsum(lengths).astype(np.int64)
