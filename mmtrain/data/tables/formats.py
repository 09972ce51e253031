"""Which table formats are read, told by the file's suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmtrain.data.tables.csv_file import CsvFile
from mmtrain.data.tables.parquet_file import ParquetFile
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import DataError, Problem, did_you_mean

SUFFIXES = (".csv", ".tsv", ".tab", ".csv.gz", ".tsv.gz", ".tab.gz", ".parquet")


def open_table(path: Path, missing_values: Sequence[str] = (), *, otherwise: str = "Set `data.table` to its path.") -> TableFile:
    """The table file at `path`; its suffix says the format. `otherwise` is as for `no_table`.

    Raises:
        DataError: there is no such file, its format is not read, or it has no headers.

    """
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")
    endings = ", ".join(SUFFIXES)
    if not path.exists():
        raise DataError(no_table(path, otherwise))
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a special file"
        raise DataError(Problem(str(path), f"the table is {kind}, not a file.", f"Name a file that ends in one of {endings}."))
    if not suffix:
        what = f"tables that end in '{path.suffix}' are not read." if path.suffix else "a table without an ending is not read."
        raise DataError(Problem(str(path), what, f"Save it as one of {endings}."))
    try:
        return ParquetFile(path, missing_values) if suffix == ".parquet" else CsvFile(path, missing_values)
    except PermissionError as error:
        raise DataError(Problem(str(path), "the table may not be read by this user.", "Change its permissions.")) from error


def no_table(path: Path, otherwise: str) -> Problem:
    """What is told of a table that does not exist; `otherwise` is the fix where no file beside it has a name like that."""
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return Problem(str(path), "the table does not exist.", did_you_mean(path.name, siblings) or otherwise)
