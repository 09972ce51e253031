"""A DataFrame kept as a Parquet file under the hash of its content, so that other processes find the rows of a run again.

Columns with a type keep it. Columns of objects become the texts that `FrameTable` reads in them, so that a row means the same
whether it comes as a DataFrame or from the file. The index is not a column of the table: it lies in a file of its own, whose name is
noted in the table's metadata, and is restored in results.
"""

from __future__ import annotations

import filecmp
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mmtrain.artifacts.atomic_files import disk_errors, file_hash
from mmtrain.data.tables.file_formats.frame_table import NAME, FrameTable, typed_array
from mmtrain.errors import DataError, MmtrainError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "tables"
"""Next to the runs."""
INDEX = b"mmtrain.index"
DIGITS = 16
"""Characters of the hash in names: enough for some million tables in one folder."""


def store(frame: Any, folder: Path) -> Path:
    """Write the frame to `folder`, unless it is there already; the file. Row i of the frame is row i of the file.

    Raises:
        DataError: it is not a DataFrame, or has no columns.
        RunError: the file cannot be written.

    """
    if not isinstance(frame, pd.DataFrame):
        fix = "Give the path of a table, or a pandas DataFrame with a column per header."
        raise DataError(Problem("table", f"a table is expected; found a {type(frame).__name__}.", fix))
    if not len(frame.columns):
        raise DataError(Problem(NAME, "it has no columns.", "Give a DataFrame with a column per header."))
    table = _arrow_table(frame)
    if index := _store_index(frame.index, folder):
        table = table.replace_schema_metadata({INDEX: index.encode()})
    return _write(folder, lambda path: _parquet(table, path))


def index_of(path: Path) -> pd.Index[Any] | None:
    """The index of the frame that is stored at `path`; None for a table that is not a stored frame, or was counted from 0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix != ".parquet" or not path.is_file():
        return None
    with suppress(pa.ArrowException, OSError, ValueError):
        name = ((pq.read_schema(path).metadata or {}).get(INDEX) or b"").decode()
        if name and Path(name).name == name:  # a stranger's table may name any file
            columns = pd.read_parquet(path.parent / name)
            # `level_0` stands for an index without a name.
            names = [None if str(header).startswith("level_") else header for header in columns]
            index = pd.Index(columns.iloc[:, 0]) if len(names) == 1 else pd.MultiIndex.from_frame(columns)
            return index.set_names(names)
    return None


@contextmanager
def reported_as_frame(path: Path) -> Iterator[None]:
    """Problems with the stored frame at `path` are reported as problems with the DataFrame, which is what the user knows."""
    try:
        yield
    except MmtrainError as error:
        error.problems = tuple(
            Problem(*(text.replace(str(path), NAME).replace(path.name, NAME) for text in (one.where, one.what, one.fix)))
            for one in error.problems
        )
        error.args = ("\n".join(map(str, error.problems)),)
        raise


def _arrow_table(frame: pd.DataFrame) -> pa.Table:
    """Columns by position, as headers may occur twice, which readers of the table refuse."""
    import pyarrow as pa

    file = FrameTable(frame)
    arrays = [
        _refused(frame.iloc[:, place]) if file.refusal(header) else typed_array(frame.iloc[:, place])
        for place, header in enumerate(file.headers)
    ]
    return pa.Table.from_arrays(arrays, names=[header.encode("utf-8", "replace").decode() for header in file.headers])


def _refused(cells: pd.Series[Any]) -> pa.Array:
    """Cells that are not text or numbers, as lists say: kept as bytes, which are refused as well, but only where a column uses them."""
    import pyarrow as pa

    return pa.array([None if cell is None else repr(cell).encode() for cell in cells], pa.large_binary())


def _store_index(index: pd.Index[Any], folder: Path) -> str:
    """The name of the file with the index; empty for one that counts from 0, and for one of objects that Parquet does not know."""
    if isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index))) and index.name is None:
        return ""
    names = [f"level_{place}" if name is None else str(name) for place, name in enumerate(index.names)]
    columns = pd.concat([pd.Series(index.get_level_values(place)) for place in range(index.nlevels)], axis=1)
    columns.columns = pd.Index(names)
    try:
        return _write(folder, columns.to_parquet, kind="index").name
    except (TypeError, ValueError):
        return ""


def _parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")


def _write(folder: Path, write: Callable[[Path], object], kind: str = "") -> Path:
    """Have `write` fill a file of this folder that is called by the hash of its content."""
    suffix = f".{kind}.parquet" if kind else ".parquet"
    temporary = folder / f".{secrets.token_hex(4)}.tmp{suffix}"
    with disk_errors(folder / temporary.name):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            path = folder / f"{file_hash(temporary)[:DIGITS]}{suffix}"
            # The name has 64 bits of the hash; should two tables share them, the bytes tell them apart.
            if not path.is_file() or not filecmp.cmp(path, temporary, shallow=False):
                temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
    return path
