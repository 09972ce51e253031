"""The code of a category: 0 missing, 1 unseen, then the categories in their order, or 2 + bucket."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.export.runners.encoding.fingerprint import fingerprint
from mmtrain.export.runners.encoding.numeric import LARGEST, NUMBER


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from the cell to its code."""
    buckets, codes = column["buckets"], {name: code for code, name in enumerate(column["categories"], 2)}
    spelling = Spelling(column["categories"]) if context["typed"] else None

    def encode(cells: list[Any], _: Path) -> tuple[Any, Any]:
        cell = cells[0]
        cell = cell if spelling is None or cell is None else spelling.of_training(cell)
        present = cell is not None or not column["masked"]
        if cell is None:
            return np.array([0]), present
        return np.array([2 + fingerprint(cell.encode()) % buckets if buckets else codes.get(cell, 1)]), present

    return encode


class Spelling:
    """Numbers and truth values as training rows wrote them: `1` as `1.0`, `true` as `True`."""

    def __init__(self, names: list[str]) -> None:
        values = [value_of(name) for name in names]
        occurring = {value for value in values if value is not None}
        self._numbers = occurring <= {"true", "false"} or occurring <= {0.0, 1.0}
        values = [self._number(value) for value in values]
        self._names = set(names)
        self._known = {value: name for value, name in zip(values, names, strict=True) if value is not None and values.count(value) == 1}

    def of_training(self, cell: str) -> str:
        """Return a cell in the spelling of training rows, where they have its value."""
        return cell if cell in self._names else self._known.get(self._number(value_of(cell)), cell)

    def _number(self, value: Any) -> Any:
        return float(value == "true") if self._numbers and isinstance(value, str) else value


def value_of(name: str) -> float | str | None:
    """Return a name as a truth value in lower case or as a number; None for any other."""
    if name.lower() in ("true", "false"):
        return name.lower()
    value = float(name) if NUMBER.fullmatch(name) else math.nan
    return value if abs(value) <= LARGEST else None
