"""Checks of the arrays given to a score: NumPy would silently broadcast or truncate a wrong one.

They raise `ValueError`, because the arrays come from mmtrain and not from a user's file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-6
"""Tolerance for probabilities outside 0 to 1: a float32 softmax can return 1.0000001."""


def codes(values: ArrayLike, *, count: int, what: str, ndim: int = 1, least: int = 0) -> NDArray[np.int64]:
    """Return `values` as int64, after checking that each is a whole number from `least` to `count - 1`; booleans and whole floats pass.

    Raises:
        ValueError: there are not `ndim` axes, or a value is anything else, NaN included.
    """
    array = np.asarray(values)
    if array.ndim != ndim:
        raise ValueError(f"The {what} has the shape {array.shape}; it must have {ndim} {'axis' if ndim == 1 else 'axes'}.")
    # Negated as a whole, so that NaN, for which every comparison is False, is wrong.
    wrong = ~((array >= least) & (array < count) & (array == np.floor(array)))
    if wrong.any():
        expected = f"each must be a whole number from 0 to {count - 1}"
        raise ValueError(f"The {what} of {_share(wrong)} is not a class code: {array[wrong][0]} was received, {expected}.")
    return array.astype(np.int64)


def probabilities(values: ArrayLike, *, shape: tuple[int, ...]) -> NDArray[np.floating[Any]]:
    """Return `values` as floating point, its precision kept, after checking `shape`, NaN and the range 0 to 1.

    Raises:
        ValueError: the shape differs, a value is NaN, or a value lies outside 0 to 1.
    """
    array = _floating(values, shape=shape, what="probabilities")
    if (missing := np.isnan(array)).any():
        raise ValueError(f"The probabilities of {_share(missing)} are NaN; the model has probably diverged.")
    if (outside := (array < -ROUNDING) | (array > 1 + ROUNDING)).any():
        bounds = f"the smallest is {array.min():g}, the largest {array.max():g}"
        raise ValueError(f"The probabilities of {_share(outside)} are outside 0 to 1: {bounds}. Pass probabilities, not logits.")
    return array


def numbers(values: ArrayLike, *, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Return `values` as float64, after checking that each is finite.

    Raises:
        ValueError: the shape differs, or a value is NaN or infinite.
    """
    array = _floating(values, shape=shape, what=what)
    if (wrong := ~np.isfinite(array)).any():
        raise ValueError(f"The {what} of {_share(wrong)} are NaN or infinite.")
    return array.astype(np.float64)


def same_shape(array: NDArray[Any], *, shape: tuple[int, ...], what: str) -> None:
    """Refuse an array of another shape; `(n, 1)` against `(n,)` would broadcast to `(n, n)`.

    Raises:
        ValueError: the shape differs.
    """
    if array.shape != shape:
        raise ValueError(f"The {what} have the shape {array.shape}; the shape must be {shape}.")


def _floating(values: ArrayLike, *, shape: tuple[int, ...], what: str) -> NDArray[np.floating[Any]]:
    array = np.asarray(values)
    same_shape(array, shape=shape, what=what)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _share(wrong: NDArray[np.bool_]) -> str:
    """Count the rows in which at least one cell is wrong: `2 of 5 rows`."""
    bad_rows = wrong.reshape(len(wrong), -1).any(axis=1)
    return f"{int(bad_rows.sum())} of {len(wrong)} rows"
