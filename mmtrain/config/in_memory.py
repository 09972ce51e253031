"""An experiment given as a Python dictionary of the file's shape instead of as a file.

Values become the plain values that a file would hold: numbers, truth values, paths and the scalars of numpy turn into their texts,
tuples and arrays into lists, so that everything behind `source.read` sees one kind of tree. Problems are placed by their keys,
`experiment: columns.age`, without lines.

    >>> given = InMemory({"branches": {"table": {"columns": ("age", "sex"), "units": 8}}}, Path("."))
    >>> given.source().tree
    {'branches': {'table': {'columns': ['age', 'sex'], 'units': '8'}}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import BaseModel

from mmtrain.config.yaml_source import MOST_LEVELS, Location, Mark, Source
from mmtrain.config.yaml_syntax import NESTED, Quoted
from mmtrain.errors import ConfigError, Problem

NAME = "experiment"
WHOLE = 2.0**53
"""Floats below this represent every whole number exactly; they are written as such, since `1.0` is the class `1` in a table."""


def _number(value: Real) -> str:
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < WHOLE else repr(number)


TEXTS: tuple[tuple[type[Any], Callable[[Any], str | None]], ...] = (
    # In this order: a truth value of Python is a whole number too.
    (NoneType, lambda _: None),
    (bool, lambda value: "true" if value else "false"),
    (Integral, lambda value: str(int(value))),
    (Real, _number),
    (str, Quoted),
    (PathLike, lambda value: Quoted(fspath(value))),
    (date, lambda value: value.isoformat()),
)
"""Texts of values by type; the first type that fits."""


@dataclass(frozen=True)
class InMemory:
    """A dictionary, and the folder that its relative paths start from."""

    tree: Mapping[Any, Any]
    folder: Path

    @property
    def path(self) -> Path:
        """The path that its file would have; it gives the experiment its name if the dictionary has none."""
        return self.folder / NAME

    def source(self) -> Source:
        """Return the dictionary as a tree of plain values. Raises ConfigError for one that contains itself."""
        source = Source(NAME)
        source.tree = _Reader(source).map(self.tree, ())
        return source


class _Reader:
    """Turns Python values into plain ones, and leaves a mark for each key, so that problems come in the order of the keys."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def value(self, value: Any, location: Location) -> Any:
        """Return the plain value of an object."""
        if len(location) > MOST_LEVELS:
            raise ConfigError(Problem(self.source.file, NESTED.what, NESTED.fix))
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        if isinstance(value, Mapping):
            return self.map(value, location)
        if hasattr(value, "tolist") and not isinstance(value, str):  # of numpy, pandas and Arrow; a scalar of numpy gives a scalar
            value = value.tolist()
        if isinstance(value, list | tuple | set | frozenset | range):
            items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
            return [self.value(item, (*location, number)) for number, item in enumerate(items)]
        return self.scalar(value, location)

    def map(self, values: Mapping[Any, Any], location: Location) -> dict[str, Any]:
        """Return the plain values of a dictionary; keys become texts as values do."""
        tree: dict[str, Any] = {}
        for key, value in values.items():
            text = self.scalar(key.item() if hasattr(key, "item") else key, location)
            name = "null" if text is None else str(text)
            # Marks count up, so that problems come in the order of the dictionary.
            mark = self.source.marks[(*location, name)] = Mark(column=len(self.source.marks))
            if name in tree:
                what = f"the key is here a second time: {key!r} and another key have the same text."
                self.source.notes.append((mark, Problem(self.source.place((*location, name), mark), what, "Remove one of the two.")))
            tree[name] = self.value(value, (*location, name))
        return tree

    def scalar(self, value: Any, location: Location) -> str | None:
        """Return a single value as its text; texts count as quoted, so that "1" stays a text and 1 a number."""
        if isinstance(value, Enum):
            value = value.value
        for kind, text in TEXTS:
            if isinstance(value, kind):
                return text(value)
        mark = self.source.mark(location)
        what = f"found an object of type {type(value).__name__}."
        fix = "An experiment is made of texts, numbers, truth values, None, lists and dictionaries."
        self.source.notes.append((mark, Problem(self.source.place(location, mark), what, fix)))
        return None
