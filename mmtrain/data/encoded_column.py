"""Encoded columns of large tables: encoded once, kept in the cache, memory-mapped by later commands.

An encoded column is an entry of the cache, named by the SHA-256 of everything its codes depend on: the bytes of the table,
the rows that take part, the header, what counts as missing, what training rows taught the column, and who encodes. So a later
run, `--resume` and `evaluate` find it, and whatever changes gives another entry. Batches gather from the map; its pages belong
to the file and are given back when memory is short. Small columns stay in memory and are not written: to encode them again
takes about a second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.config.byte_size import format_bytes
from mmtrain.config.experiment import Cache
from mmtrain.data.cache import (
    COLUMNS,
    FULL,
    MANIFEST,
    MappedFile,
    building,
    mark_used,
    new_array,
    no_room,
    only_builder,
    publish,
    remove_unfinished,
)
from mmtrain.system.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from mmtrain.columns import RowSource

VERSION = 3
"""Part of the name of every entry; to be raised when the preprocessing layers or `raw` give other codes for the same cells."""

MIN_DISK_BYTES = 16 * 10**6
"""Bytes from which a column is kept on disk: of texts of 30 words that is 130,000 rows, which take two seconds to encode, and 0.05 s
to write (measured on two cores)."""

Array = np.ndarray[Any, Any]
EncodedPieces = Callable[[], "Generator[tuple[Array, Array]]"]
"""Codes and presence of every row, in the order of the rows; may be called again."""


@dataclass(frozen=True, eq=False)
class EncodedColumn:
    """A row source: `codes` (rows, ...) as the column's spec says, and `shown` (rows, 1) float32, 0 or 1; in memory or mapped into it.

    Of a stack of columns, `codes` is (rows, sum of their widths) and `shown` (rows, columns).
    """

    codes: Array
    shown: Array
    notice: str = ""
    """The reason why a large column is in memory, a phrase."""
    files: tuple[MappedFile, ...] = ()
    """The files of a column that is mapped into memory."""

    @property
    def nbytes(self) -> int:
        """Bytes of codes and presence."""
        return self.codes.nbytes + self.shown.nbytes

    def expect(self, rows: Array) -> None:
        """Do nothing: codes are small, and the kernel reads ahead in what is mapped."""

    def take(self, rows: Array, out: Array | None = None) -> Array:
        """Return the codes of `rows`, in `out` where it is given. Raises RunError when a mapped file has become shorter."""
        for file in self.files:
            file.check()
        if self.codes.flags.c_contiguous:
            return np.take(self.codes, rows, axis=0, out=out)
        # `np.take` would first copy all rows of a part of a stack.
        if out is None:
            return self.codes[rows]
        out[...] = self.codes[rows]
        return out

    def present(self, rows: Array) -> Array:
        """Return (len(rows), 1) float32, 0 or 1."""
        return self.shown[rows]


@dataclass(frozen=True, eq=False)
class StackedColumn(EncodedColumn):
    """One column of a stack; its arrays are views."""

    stack: EncodedColumn | None = None
    places: slice = field(default_factory=lambda: slice(0))
    """Its part of the second axis of the stack."""
    position: int = 0
    """Its place in the presence of the stack."""

    @classmethod
    def of(cls, stack: EncodedColumn, places: slice, position: int) -> StackedColumn:
        """Return the column that has these places in a stack."""
        shown = stack.shown[:, position : position + 1]
        return cls(stack.codes[:, places], shown, stack.notice, stack.files, stack, places, position)


def joined_columns(columns: Iterable[RowSource]) -> Iterator[RowSource]:
    """Yield row sources that have the values of `columns` side by side: neighbours in one stack as one, every other one as it is."""
    run: list[StackedColumn] = []
    for column in columns:
        # Neighbours share a stack and have consecutive positions in it.
        if run and not (isinstance(column, StackedColumn) and column.stack is run[-1].stack and column.position == run[-1].position + 1):
            yield _joined(run)
            run = []
        if isinstance(column, StackedColumn):
            run.append(column)
        else:
            yield column
    if run:
        yield _joined(run)


def _joined(run: list[StackedColumn]) -> EncodedColumn:
    """Return neighbours in a stack as one source; the stack itself, where they are all of its columns."""
    first, last = run[0], run[-1]
    stack = first.stack
    if stack is None:
        return first
    if len(run) == stack.shown.shape[1]:
        return stack
    shown = stack.shown[:, first.position : last.position + 1]
    return EncodedColumn(stack.codes[:, first.places.start : last.places.stop], shown, stack.notice, stack.files)


@dataclass(frozen=True)
class Provenance:
    """Everything that the codes of a column depend on, as plain values, and the table for a person to see."""

    values: Mapping[str, Any]
    table: Path
    header: str


@dataclass(frozen=True)
class ArrayLayout:
    """`shape` is without the rows; `columns` share it."""

    rows: int
    shape: tuple[int, ...]
    dtype: str
    columns: int = 1

    @property
    def size(self) -> int:
        """Bytes of codes and presence, which is float32, one number per row and column."""
        return self.rows * (math.prod(self.shape) * np.dtype(self.dtype).itemsize + 4 * self.columns)


def encoded_column(
    layout: ArrayLayout,
    provenance: Callable[[], Provenance],
    pieces: EncodedPieces,
    cache: Cache | None,
    *,
    least: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> EncodedColumn:
    """The column from the cache, or encoded now; in memory where it is small, or where the cache has no room for it.

    Small are fewer bytes than `least`, by default than MIN_DISK_BYTES.

    Without a `cache` it stays in memory. `provenance` is called only where the column is large, as hashing a table takes time. Of several
    processes that need the same column, one encodes it; `say` gets a message if this one waits for another.
    """
    if cache is None or layout.size < (MIN_DISK_BYTES if least is None else least):
        return _in_memory(layout, pieces)
    known = provenance()
    if column := cached_column(layout, known, cache):
        return column
    folder, name = cache.folder or cache_folder(), _entry_name(known, layout)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_builder(folder, name, lambda: say(f"Another process computes {known.header}: waiting for it.")):
            if column := cached_column(layout, known, cache):
                return column
            remove_unfinished(folder)
            reason = no_room(folder, layout.size, cache.disk)
            if not reason:
                return _built(folder, name, layout, known, pieces)
    except OSError as error:
        reason = f"the disk of {folder} is full" if error.errno in FULL else f"{folder} cannot be written"
    return _in_memory(layout, pieces, _notice(layout, reason))


def cached_column(layout: ArrayLayout, provenance: Provenance, cache: Cache) -> EncodedColumn | None:
    """Return the column from the cache; None where it is not there."""
    return _opened((cache.folder or cache_folder()) / _entry_name(provenance, layout), layout)


def _entry_name(provenance: Provenance, layout: ArrayLayout) -> str:
    return sha256(_key(provenance, layout).encode()).hexdigest()


def _key(provenance: Provenance, layout: ArrayLayout) -> str:
    return json.dumps([VERSION, provenance.header, provenance.values, layout.rows, layout.shape, layout.dtype], sort_keys=True)


def _notice(layout: ArrayLayout, reason: str) -> str:
    return (
        f"{'its' if layout.columns == 1 else 'their'} encoded cells take {format_bytes(layout.size)} and are not kept in the cache: "
        f"{reason}. They stay in memory, until this run ends. To keep them, raise `data.cache.disk`, set `data.cache.folder` to another "
        "disk, or remove what is old with `mmtrain cache clear`."
    )


def _opened(folder: Path, layout: ArrayLayout) -> EncodedColumn | None:
    """The entry in `folder`; None when there is none, or a machine that went down has left a damaged one."""
    try:
        paths = folder / COLUMNS.array, folder / COLUMNS.second
        files = tuple(map(MappedFile, paths))
        # A plain array: `np.memmap` adds the cost of a Python subclass to every slice.
        codes, present = (np.asarray(np.load(path, mmap_mode="r")) for path in paths)
    except (OSError, ValueError):
        return None
    # The name is a hash of the content's origin; a machine that went down may still have left a file of zero bytes.
    if (codes.shape, codes.dtype, present.shape) != ((layout.rows, *layout.shape), np.dtype(layout.dtype), (layout.rows, layout.columns)):
        return None
    mark_used(folder)
    return EncodedColumn(codes, present, files=files)


def _built(cache: Path, name: str, layout: ArrayLayout, provenance: Provenance, pieces: EncodedPieces) -> EncodedColumn:
    """Encode into files under a temporary name, open them, and give them their own name."""
    shape, dtype = (layout.rows, *layout.shape), np.dtype(layout.dtype)
    with building(cache, name) as temporary:
        with (
            new_array(temporary / COLUMNS.array, shape, dtype) as (codes, _),
            new_array(temporary / COLUMNS.second, (layout.rows, layout.columns), np.dtype(np.float32)) as (present, _),
        ):
            # Pieces come in the order of the rows, so they are appended.
            for _, encoded, shown in _numbered(pieces, layout):
                codes.write(_bytes(encoded, dtype))
                present.write(_bytes(shown, np.dtype(np.float32)))
        about = {"header": provenance.header, "rows": layout.rows, "shape": layout.shape, "dtype": layout.dtype}
        lines = [f"{COLUMNS.title} {VERSION}", json.dumps(about), json.dumps(str(provenance.table.resolve())), _key(provenance, layout), ""]
        (temporary / MANIFEST).write_text("\n".join(lines), encoding="utf-8")
        # Opened before it is renamed: what other processes do to the name from then on does not matter any more.
        column = _opened(temporary, layout)
        if column is None:
            raise OSError("it cannot be read right after it was written")
        publish(temporary, cache / name, lambda folder: _opened(folder, layout) is not None)
    return column


def _in_memory(layout: ArrayLayout, pieces: EncodedPieces, notice: str = "") -> EncodedColumn:
    codes: NDArray[Any] = np.empty((layout.rows, *layout.shape), dtype=layout.dtype)
    present: NDArray[np.float32] = np.empty((layout.rows, layout.columns), dtype=np.float32)
    for start, encoded, shown in _numbered(pieces, layout):
        codes[start : start + len(encoded)] = encoded
        present[start : start + len(encoded)] = shown
    return EncodedColumn(codes, present, notice)


def _numbered(pieces: EncodedPieces, layout: ArrayLayout) -> Iterator[tuple[int, Array, Array]]:
    """Every piece with its first row. Raises RuntimeError when rows are missing or left over, a bug of mmtrain."""
    start = 0
    with closing(pieces()) as encoded:
        for codes, present in encoded:
            yield start, codes, present
            start += len(codes)
    if start != layout.rows:
        raise RuntimeError(f"{start} rows were encoded, the table has {layout.rows}.")


def _bytes(values: Array, dtype: np.dtype[Any]) -> memoryview:
    return np.ascontiguousarray(values, dtype=dtype).data.cast("B")
