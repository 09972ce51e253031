"""A table file, whatever its format, as pieces of text cells.

Every cell is text without blanks at its ends, so that a group, an id, a class, a category or a part is the same with and without
them; or NA when it is missing: empty, only blanks, or one of the user's `missing_values`. `001` stays `001`, `NA` and `null` are text
like any other.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.artifacts.atomic_files import file_hash
from mmtrain.data.tables.numerals import PLAIN
from mmtrain.errors import DataError, Problem, listed
from mmtrain.system.paths import PATTERN_SIGNS
from mmtrain.system.remote import fetch
from mmtrain.text.spelling import BLANKS, trimmed

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


PART_SUFFIXES = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
"""Endings of files that a folder of a table is made of."""

MAX_GATHERED_BYTES = 8_000_000
"""Bytes of cells that are worth looking at in one go."""

TEXT = pd.StringDtype("pyarrow", na_value=float("nan"))
"""The dtype that pandas calls `str`."""

GATHERED_ROWS = 8192
"""Rows that are."""


class Cells(dict[str, "pd.Series[str]"]):
    """The cells of some columns by header. `unclear` has the positions of cells that no column of numbers can take for a number."""

    unclear: Mapping[str, NDArray[np.int64]] = MappingProxyType({})


class TableFile(ABC):
    """One file with a table in it."""

    unit: str
    """The unit that `number` counts: `line` or `row`."""
    numerals = PLAIN
    """The notation of numbers in its texts."""
    format_options: Mapping[str, Any] = MappingProxyType({})
    """Options of `data.format` to read this file as it is read, where that was found out."""
    notice = ""
    """A note for the user on how the file is read."""
    second_hashes: Mapping[str, str] = MappingProxyType({})
    """SHA-256 of each second table that gives it further headers, by name."""
    joins: Mapping[str, str] = MappingProxyType({})
    """Header by which each second table is joined, by the name of its file."""

    def __init__(self, path: Path, missing_values: Sequence[str] = ()) -> None:
        self.path = path
        self.missing_values = tuple(value.strip(BLANKS) for value in missing_values)
        self._state = self._stamp()
        self.headers = self._read_headers()
        self.times = Counter(self.headers)
        """Count the occurrences of each header."""
        # Reversed, so that of equal headers the first place stays.
        self._places = {header: place for place, header in reversed(list(enumerate(self.headers)))}

    @abstractmethod
    def _read_headers(self) -> tuple[str, ...]:
        """Return all headers, in order."""

    @abstractmethod
    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        """Cells as large_string arrays of at most `size` rows, one array per header; only nulls of the format itself are null."""

    @abstractmethod
    def number(self, row: int) -> int:
        """Name the place, for a person, of the row at position `row`: its line in the file, or its row, counted from 0."""

    @abstractmethod
    def where(self, row: int) -> str:
        """`patients.csv:40` or `patients.parquet: row 39`."""

    def refusal(self, header: str) -> str:  # noqa: ARG002
        """Return why the column `header` cannot become text, or an empty string."""
        return ""

    def typed(self, header: str) -> bool:  # noqa: ARG002
        """Return whether the cells of the column `header` are numbers or truth values, so that nobody has written their texts."""
        return False

    def undecodable(self, headers: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        """Return those of `headers` over cells that are not text in the file's encoding, so that the others can still be read."""
        return frozenset()

    def pieces(self, headers: Sequence[str], *, size: int) -> Iterator[Cells]:
        """The cells of some columns, from the first row to the last, in pieces of at most `size` rows.

        Raises:
            DataError: the file is damaged, is not UTF-8, or is no longer the file that was opened.

        """
        self._require_unchanged()
        for arrays in self._batches(headers, size):
            yield self._cells(headers, [self._mark_missing(array) for array in arrays])
        # Once more: the file may have changed while it was read.
        self._require_unchanged()

    def _cells(self, headers: Sequence[str], arrays: Sequence[pa.Array]) -> Cells:
        if self.numerals.plain:
            return Cells({header: as_series(array) for header, array in zip(headers, arrays, strict=True)})
        cells = Cells({header: as_series(self.numerals.respelled(array)) for header, array in zip(headers, arrays, strict=True)})
        if self.numerals.decimal == ",":
            unclear = {header: _positions(self.numerals.unclear(array)) for header, array in zip(headers, arrays, strict=True)}
            cells.unclear = {header: rows for header, rows in unclear.items() if len(rows)}
        return cells

    def _mark_missing(self, array: pa.Array) -> pa.Array:
        return mark_missing(array, self.missing_values)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes.

        Raises:
            DataError: it is no longer the file that was opened.

        """
        digest = content_hash(self.path)
        self._require_unchanged()
        return digest

    def _stamp(self) -> tuple[int, int]:
        return _state_of(self.path)

    def _require_unchanged(self) -> None:
        # Streamed columns are read again much later; rows of another file must not be paired with the ones in memory.
        if self._stamp() != self._state:
            raise DataError(Problem(self.path.name, "the file was changed while it was in use.", "Start again."))


def mark_missing(texts: pa.Array, words: Sequence[str]) -> pa.Array:
    """Return large strings without blanks at their ends; null where a cell is missing: the empty text, and `words`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # The empty text is missing in every format, whatever the user lists.
    texts = trimmed(texts)
    missing = pc.is_in(texts, value_set=pa.array(["", *words], pa.large_string()))
    return pc.if_else(missing, pa.scalar(None, pa.large_string()), texts) if pc.any(missing).as_py() else texts


def gather(pieces: Iterable[dict[str, pd.Series[str]]], *, most: int = MAX_GATHERED_BYTES) -> Iterator[dict[str, pd.Series[str]]]:
    """Join pieces of cells into larger ones, of `most` bytes or a little more, for work with a cost per piece.

    Pieces of many columns are eight times as large, since such work also has a cost per column.
    """
    waiting: list[dict[str, pd.Series[str]]] = []
    nbytes = rows = 0
    for piece in pieces:
        waiting.append(piece)
        nbytes += sum(int(cells.nbytes) for cells in piece.values())
        rows += len(next(iter(piece.values())))
        if nbytes >= (most if rows >= GATHERED_ROWS else 8 * most):
            yield _joined(waiting)
            waiting, nbytes, rows = [], 0, 0
    if waiting:
        yield _joined(waiting)


def _joined(pieces: list[dict[str, pd.Series[str]]]) -> dict[str, pd.Series[str]]:
    if len(pieces) == 1:
        return pieces[0]
    return {header: pd.concat([piece[header] for piece in pieces], ignore_index=True) for header in pieces[0]}


def table_parts(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder of a table of several files, and the files in the order of its rows, that of their paths in the folder.

    `path` is a folder, which is searched at any depth, or a pattern such as `parts/*.parquet`, with `**` for any depth. Hidden files and
    those that begin with `_`, as Spark's `_SUCCESS`, do not count, nor do files of a folder that are not tables. Without files, `path` is
    the path of one file. Of an address, files are fetched first. Raises DataError if they cannot be.
    """
    fetch(path)
    if any(sign in str(path) for sign in PATTERN_SIGNS) and not path.exists():
        parts = path.parts
        first = next(place for place, part in enumerate(parts) if any(sign in part for sign in PATTERN_SIGNS))
        root, pattern = Path(*parts[:first]), str(Path(*parts[first:]))
        files = list(root.glob(pattern)) if root.is_dir() else []
    # `Path.is_dir` fails for a path that is too long or closed to this user; `open_table` says what is wrong with it.
    elif os.path.isdir(path):
        root, files = path, [file for file in path.rglob("*") if file.name.lower().endswith(PART_SUFFIXES)]
    else:
        return path, []
    names = {file.relative_to(root).parts: file for file in files if file.is_file()}
    return root, [names[parts] for parts in sorted(names) if not any(part.startswith((".", "_")) and "=" not in part for part in parts)]


def table_exists(path: Path) -> bool:
    """Return whether there is a table: a file, or a folder or a pattern of some."""
    return path.is_file() or bool(table_parts(path)[1])


def content_hash(path: Path) -> str:
    """SHA-256 of a table, read once per process unless it changes; of several files, of their names and their hashes."""
    root, parts = table_parts(path)
    if not parts:
        return _hash_of(path.resolve(), *_state_of(path))
    lines = [f"{part.relative_to(root).as_posix()} {_hash_of(part.resolve(), *_state_of(part))}\n" for part in parts]
    return sha256("".join(lines).encode()).hexdigest()


def _state_of(path: Path) -> tuple[int, int]:
    """Return the size and the time of change of a table; of several files, the sum and a hash of all."""
    _, parts = table_parts(path)
    states = [(str(part), part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    if not parts:
        status = path.stat()
        return status.st_size, status.st_mtime_ns
    return sum(size for _, size, _ in states), hash(tuple(states))


# Size and time of change are arguments, so that a changed file is hashed again.
@lru_cache(maxsize=4096)
def _hash_of(path: Path, size: int, changed: int) -> str:  # noqa: ARG001
    return file_hash(path)


def _positions(mask: pa.Array) -> NDArray[np.int64]:
    return np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).astype(np.int64)


def as_series(array: pa.Array) -> pd.Series[str]:
    """An arrow array of text as a pandas Series of dtype `str`, without copying, nor looking at what is known of its type."""
    return pd.Series(pd.arrays.ArrowStringArray(array, dtype=TEXT), copy=False)  # type: ignore[call-arg]


def distinct(cells: pd.Series[str]) -> tuple[NDArray[np.int64], pd.Series[str]]:
    """Codes of cells, -1 for a missing one, and the different cells in the order of the codes, which is that of their first rows."""
    import pyarrow as pa

    array = pa.array(cells, pa.large_string(), from_pandas=True)
    coded = (array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array).dictionary_encode()
    return coded.indices.fill_null(-1).to_numpy().astype(np.int64), as_series(coded.dictionary)


def other_places(noun: str, unit: str, numbers: Sequence[int]) -> str:
    """` 2 more such cells, in lines 41 and 57.`, to follow a sentence about the first one; empty when there are no others."""
    if not numbers:
        return ""
    plural = "s" if len(numbers) > 1 else ""
    return f" {len(numbers)} more such {noun}{plural}, in {unit}{plural} {listed(numbers, most=5)}."
