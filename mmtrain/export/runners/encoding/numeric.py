"""A number, transformed and scaled."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
LARGEST = 3.4028234663852886e38
"""The largest float32."""


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from the cell to (number - center) / scale, with 1 behind it for a missing one where there is an indicator."""
    del context
    return lambda cells, _: encode_number(column, cells[0])


def encode_number(column: dict[str, Any], cell: str | None) -> tuple[Any, Any]:
    """Return (number - center) / scale, with 1 behind it for a missing one where the column has an indicator."""
    value = float(cell) if cell is not None and NUMBER.fullmatch(cell) else math.nan
    known = abs(value) <= LARGEST

    def scaled(number: float) -> Any:
        # In float64, rounded to float32 once.
        number = transformed(column, number)
        with np.errstate(over="ignore"):
            return np.float32((np.float64(number) - column["center"]) / column["scale"])

    number = scaled(value) if known else np.float32(np.nan)
    known = bool(np.isfinite(number))
    number = number if known else scaled(column["fill"])
    values = [number, np.float32(not known)] if column["indicator"] else [number]
    return np.array(values, np.float32), known or not column["masked"]


def transformed(column: dict[str, Any], number: float) -> Any:
    """Return a number within the bounds of its column and transformed."""
    low, high = column["bounds"] or (-math.inf, math.inf)
    value = np.float64(min(max(number, low), high))
    transform = column["transform"] or {"method": ""}
    if transform["method"] == "log1p":
        return np.sign(value) * np.log1p(abs(value))
    if transform["method"] == "quantile":
        return np.interp(value, transform["knots"], transform["scores"])
    if transform["method"] == "yeo_johnson":
        sign, power = (1, transform["power"]) if value >= 0 else (-1, 2 - transform["power"])
        logarithm = np.log1p(abs(value))
        return sign * (np.expm1(power * logarithm) / power if power else logarithm)
    return value
