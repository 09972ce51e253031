"""Tables as JSON Lines: an object a line, whose keys are headers, also compressed with gzip.

A key that an object lacks is a missing cell, as is null. Numbers, true, false, and lists of texts or of numbers become the texts that
Parquet gives. The file is read once when it is opened, to learn its keys and to name every line that cannot be read.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mmtrain.data.tables.file_formats.delimited_text import open_text
from mmtrain.data.tables.file_formats.parquet_file import as_text, cell_texts
from mmtrain.data.tables.table_file import TableFile, other_places
from mmtrain.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

LONGEST = 2_000_000
"""Bytes of a line."""

_ROWS = 10_000
"""Objects that are held at once."""

_MOST_BROKEN = 100
"""Lines that cannot be read, after which no further one is looked for."""

_DAMAGED = (OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class _Keys:
    """The keys of a file in the order in which they are met."""

    keys: tuple[str, ...]
    written: frozenset[str]
    """Keys with a text among their values."""
    nested: dict[str, str]
    """The reason why the values of a key cannot be cells."""


_ONE_OBJECT = "Write one JSON object a line."
_AS_UTF8 = "Save the file as UTF-8, with one JSON object a line."


class _BrokenLineError(ValueError):
    """A fault of a line, and its fix."""

    def __init__(self, what: str, fix: str = _ONE_OBJECT) -> None:
        super().__init__(what)
        self.fix = fix


class JsonFile(TableFile):
    """A JSON Lines file."""

    unit = "line"

    def __init__(self, path: Path, missing_values: Sequence[str] = ()) -> None:
        self._lines: NDArray[np.int64] | None = None
        super().__init__(path, missing_values)

    def _read_headers(self) -> tuple[str, ...]:
        self._keys = _keys(self.path, *self._state)
        return self._keys.keys

    def refusal(self, header: str) -> str:
        """Objects, and lists of other things than texts or numbers, cannot be cells."""
        return self._keys.nested.get(header, "")

    def typed(self, header: str) -> bool:
        """Return whether no value of the key is a text."""
        return header not in self._keys.written

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        rows = (values for _, values in _objects(self.path))
        while piece := list(islice(rows, min(size, _ROWS))):
            yield [_texts([values.get(header) for values in piece]) for header in headers]

    def number(self, row: int) -> int:
        """The line, from 1; blank lines are skipped."""
        if self._lines is None:
            self._lines = np.fromiter((line for line, _ in _objects(self.path)), dtype=np.int64)
        return int(self._lines[row])

    def where(self, row: int) -> str:
        """`patients.jsonl:40`."""
        return f"{self.path.name}:{self.number(row)}"


def _texts(values: list[Any]) -> pa.Array:
    """Return the cells of a piece; all lists of numbers are written by one call, digit for digit as those of Parquet."""
    import pyarrow as pa

    numbers = [row for row, value in enumerate(values) if isinstance(value, list) and not _is_list_of(value, str)]
    written = as_text(pa.array([[_number(one) for one in values[row]] for row in numbers], pa.list_(pa.float64()))).to_pylist()
    for row, value in enumerate(values):
        if isinstance(value, list):
            values[row] = json.dumps(value, ensure_ascii=False)
    for row, text in zip(numbers, written, strict=True):
        values[row] = text
    return cell_texts(values)


def _number(value: float | None) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def _is_list_of(value: object, *kinds: type) -> bool:
    """Return whether a value is a list whose members are of these types, or null; true and false are not numbers."""
    return isinstance(value, list) and all(one is None or (isinstance(one, kinds) and not isinstance(one, bool)) for one in value)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of every row. Raises DataError for a line that is not an object, and for a damaged file."""
    for line, text in _lines(path):
        try:
            yield line, _object(text)
        except _BrokenLineError as error:
            raise DataError(Problem(f"{path.name}:{line}", f"{error}.", error.fix)) from None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open_text(path) as file:
            for line, text in enumerate(_bounded(file), start=1):
                if text.strip():
                    yield line, text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text
    except _DAMAGED as error:
        if isinstance(error, PermissionError):
            raise
        what = f"the file cannot be read: {str(error).splitlines()[0]}."
        raise DataError(Problem(path.name, what, "Write it again, or copy it again, whole.")) from error


def _bounded(file: IO[bytes]) -> Iterator[bytes]:
    """Lines; of one that is too long no more than shows that."""
    while text := file.readline(LONGEST + 1):
        yield text
        if len(text) > LONGEST:
            return


def _object(text: bytes) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise _BrokenLineError(f"the line is longer than {LONGEST:,} bytes")
    if b"\0" in text:  # as in every ASCII character of UTF-16, which `json` would take for a whole document of it
        raise _BrokenLineError("the line is not UTF-8 text; by its zero bytes it is UTF-16 or UTF-32", _AS_UTF8)
    try:
        # The hook sees all pairs of an object; in a dict, the second of two equal keys would silently win.
        value = json.loads(text.rstrip(), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise _BrokenLineError(f"the byte 0x{text[error.start]:02X} is not UTF-8 text", _AS_UTF8) from None
    except json.JSONDecodeError as error:
        raise _BrokenLineError(f"the line is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at character {error.colno}") from None
    except RecursionError:
        raise _BrokenLineError("the line is nested too deep") from None
    except ValueError as error:  # an integer of thousands of digits
        raise error if isinstance(error, _BrokenLineError) else _BrokenLineError("the line holds a number that is too long") from None
    if not isinstance(value, dict):
        raise _BrokenLineError(f"the line holds {_called(value)}, not an object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _BrokenLineError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return unique


def _called(value: Any) -> str:
    kinds = {list: "a list", dict: "an object", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


@lru_cache(maxsize=4)
def _keys(path: Path, size: int, changed: int) -> _Keys:  # noqa: ARG001
    """One pass over the file. Raises DataError for a file without rows and for the first lines that cannot be read."""
    keys: dict[str, None] = {}
    written: set[str] = set()
    nested: dict[str, str] = {}
    broken: list[tuple[int, _BrokenLineError]] = []
    for line, text in _lines(path):
        try:
            values = _object(text)
        except _BrokenLineError as error:
            broken.append((line, error))
            if len(broken) == _MOST_BROKEN:
                break
            continue
        for key, value in values.items():
            keys.setdefault(key)
            if isinstance(value, str) or _is_list_of(value, str) or _is_list_of(value, int, float):
                written.add(key)
            elif isinstance(value, list | dict):
                nested.setdefault(key, f"line {line} holds {_called(value)}.")
    if broken:
        (line, first), *more = broken
        what = f"{first}.{other_places('line', 'line', [number for number, _ in more])}"
        raise DataError(Problem(f"{path.name}:{line}", what, first.fix))
    if not keys:
        raise DataError(Problem(path.name, "the file is empty.", _ONE_OBJECT))
    return _Keys(tuple(keys), frozenset(written), nested)
