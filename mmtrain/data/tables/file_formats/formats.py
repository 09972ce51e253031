"""Registry of table formats by the file's suffix."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from mmtrain.config.experiment import SecondTable
from mmtrain.config.sections.table_format import TEXT_OPTIONS, TableFormat
from mmtrain.data.tables.file_formats.combined_table import CombinedTable
from mmtrain.data.tables.file_formats.csv_file import CsvFile, usual_separator
from mmtrain.data.tables.file_formats.delimited_text import open_text
from mmtrain.data.tables.file_formats.dialect import Dialect
from mmtrain.data.tables.file_formats.excel_file import ExcelFile
from mmtrain.data.tables.file_formats.json_file import JsonFile
from mmtrain.data.tables.file_formats.parquet_file import ParquetFile
from mmtrain.data.tables.file_formats.sniff import fits, sniffed, with_clear_decimals
from mmtrain.data.tables.joined_file import JoinedFile
from mmtrain.data.tables.table_file import PART_SUFFIXES, TableFile, table_parts
from mmtrain.errors import DataError, Problem, listed, similar_file
from mmtrain.system.folder_names import existing_form
from mmtrain.system.paths import input_fault, table_folder
from mmtrain.system.remote import fetch, local_path

TEXT = (".csv", ".tsv", ".tab", ".txt", ".csv.gz", ".tsv.gz", ".tab.gz", ".txt.gz")
JSON = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
EXCEL = (".xlsx", ".xlsm")
SUFFIXES = (*TEXT, *JSON, ".xlsx", ".parquet")

INSTEAD = {
    ".xls": "Save it as .xlsx.",
    ".ods": "Save it as .xlsx.",
    ".json": "Write one object a line, and end the name in .jsonl.",
}
"""Fixes for formats that resemble one that is read."""

HEAD = 100_000
"""Bytes at the beginning of a text by which its dialect is found."""


def open_table(
    path: Path,
    missing_values: Sequence[str] = (),
    table_format: TableFormat | None = None,
    *,
    tables: Mapping[str, SecondTable] | None = None,
    later: bool = False,
    otherwise: str = "Set `data.table` to its path.",
) -> TableFile:
    """The table file at `path`; its suffix says the format, `table_format` what is known of how it is written.

    With second `tables` it also has their headers, see `joined_file`.

    A table that comes `later` than the training may be written otherwise: its format is looked for where the given one does not
    fit. `otherwise` is as for `no_table`.

    Raises:
        DataError: there is no such file, its format is not read, it can be read in several ways, or it has no headers.

    """
    path = local_path(path)
    fetch(path)
    if (fault := input_fault(path)) is None or fault.absent:
        path = existing_form(path)
    given = table_format or TableFormat()
    if table_parts(path)[1]:
        return join_tables(_combined(path, missing_values, given, later=later), tables)
    suffix = next((suffix for suffix in (*SUFFIXES, *EXCEL) if path.name.lower().endswith(suffix)), "")
    endings = ", ".join(SUFFIXES)
    if fault := input_fault(path):
        if fault.kind == "a folder":
            fix = f"Name a file that ends in one of {endings}; `mmtrain init` makes a table of a folder that has a folder per class."
            fault = replace(fault, fix=fix)
        elif fault.kind:
            fault = replace(fault, fix=f"Name a file that ends in one of {endings}.")
        raise DataError(no_table(path, otherwise) if fault.absent else fault.problem(path, "the table"))
    if not suffix:
        what = f"tables that end in '{path.suffix}' are not read." if path.suffix else "a table without an ending is not read."
        raise DataError(Problem(str(path), what, INSTEAD.get(path.suffix.lower(), f"Save it as one of {endings}.")))
    if not later:
        _check_options(path, suffix, given)
    return join_tables(_opened(path, suffix, missing_values, given, later=later), tables)


def join_tables(file: TableFile, tables: Mapping[str, SecondTable] | None) -> TableFile:
    """Return the file with the headers of those second tables of which it has none. Raises DataError for what cannot be joined."""
    opened = {
        name: (one, open_table(one.table, file.missing_values, one.format, otherwise=f"Set `data.tables.{name}.table` to its path."))
        for name, one in (tables or {}).items()
        if not any(header.startswith(f"{name}.") for header in file.headers)
    }
    return JoinedFile(file, opened) if opened else file


def _combined(path: Path, missing_values: Sequence[str], given: TableFormat, *, later: bool) -> TableFile:
    """Open a table of several files, all of the format of the first. Raises DataError for files of several formats."""
    parts = table_parts(path)[1]
    endings = {next((ending for ending in PART_SUFFIXES if part.name.lower().endswith(ending)), part.suffix): part for part in parts}
    if len(endings) > 1 or next(iter(endings)) not in PART_SUFFIXES:
        what = f"its files end in {listed(sorted(endings))}."
        folder = path if path.is_dir() else table_folder(path)
        fix = f"Name files of one format by a pattern, `{folder}/*.parquet`."
        raise DataError(Problem(str(path), what, fix))
    (suffix,) = endings
    if not later:
        _check_options(parts[0], suffix, given)

    def open_file(part: Path, first: TableFile | None) -> TableFile:
        if isinstance(first, CsvFile):  # told from the first lines of one file, which hold for all
            return CsvFile(part, missing_values, first.dialect, given.explicit)
        return _opened(part, suffix, missing_values, given, later=later)

    return CombinedTable(path, open_file, missing_values)


def _opened(path: Path, suffix: str, missing_values: Sequence[str], given: TableFormat, *, later: bool) -> TableFile:
    if suffix == ".parquet":
        return ParquetFile(path, missing_values)
    if suffix in JSON:
        return JsonFile(path, missing_values)
    if suffix in EXCEL:
        return ExcelFile(path, missing_values, given, later=later)
    status = path.stat()
    return CsvFile(path, missing_values, _dialect(path, status.st_size, status.st_mtime_ns, given, later), given.explicit)


def _check_options(path: Path, suffix: str, given: TableFormat) -> None:
    """Raise DataError for an option without a meaning for this format."""
    able = TEXT_OPTIONS if suffix in TEXT else ("sheet", "skip_lines") if suffix in EXCEL else ()
    wrong = [option for option in given.explicit if option not in able]
    if wrong:
        problems = [Problem(f"data.format.{option}", f"the option has no meaning for {path.name}.", "Remove it.") for option in wrong]
        raise DataError(problems)


@lru_cache(maxsize=16)
def _dialect(path: Path, size: int, changed: int, given: TableFormat, later: bool) -> Dialect:  # noqa: ARG001
    """The dialect of a text file; a command opens it several times."""
    try:
        with open_text(path) as file:
            head = file.read(HEAD)
            # One more byte tells whether the head is the whole file.
            whole = not file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, PermissionError):
            raise
        head, whole = b"", True  # the reader says what is wrong
    encoding = _encoding(path, head, given, later=later)
    # The head may end within a character; only at the end of the file is that an error.
    text = codecs.getincrementaldecoder(Dialect(encoding=encoding).codec)("replace").decode(head, final=whole)
    usual = usual_separator(path)
    if later and given.explicit:
        likely = given.model_copy(update={"separator": given.separator or usual or None})
        # A later table may lack the titles above the headers, and then no line is to be skipped.
        for attempt in (likely.model_copy(update={"skip_lines": None}), likely) if likely.separator else ():
            dialect = sniffed(path.name, text, whole, attempt, usual, encoding)
            if fits(text, whole, dialect):
                return with_clear_decimals(text, whole, dialect)
        given = TableFormat()
    return sniffed(path.name, text, whole, given, usual, encoding)


def _encoding(path: Path, head: bytes, given: TableFormat, *, later: bool) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return given.encoding if given.encoding and not later else "utf-16"
    # A zero byte hints at UTF-16, whose ASCII letters each have one.
    if given.encoding and later and b"\0" not in head and _is_utf8(path):
        return "utf-8"
    return given.encoding or "utf-8"


def _is_utf8(path: Path) -> bool:
    """Return whether the whole file can be read as UTF-8; a text in another encoding with letters beyond ASCII hardly ever can."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_text(path) as file:
            for block in iter(lambda: file.read(HEAD), b""):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except (UnicodeError, OSError, EOFError, zlib.error):
        return False
    return True


def no_table(path: Path, otherwise: str) -> Problem:
    """Return the problem of a table that does not exist; `otherwise` is the fix where no file in its folder has a similar name."""
    siblings = [] if input_fault(path.parent, "folder") else [entry.name for entry in path.parent.iterdir()]
    return Problem(str(path), "the table does not exist.", similar_file(path.name, siblings) or otherwise)
