"""A folder of table files, or the files that a pattern names, as one table: Parquet, CSV or JSON Lines, partitioned or not.

Rows come in one order: files by their path within the folder, and rows as they stand in each. Folders of the form `site=a` give a column
`site`, as Hive, Spark and Arrow write partitions. Files are read one after the other by the readers of single files, so a cell is the same
text as in one file, and memory does not grow with the number of files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from mmtrain.data.tables.file_formats.csv_file import joined_blocks
from mmtrain.data.tables.file_formats.parquet_file import ParquetFile
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import TableFile, table_parts
from mmtrain.errors import DataError, Problem, did_you_mean, listed

if TYPE_CHECKING:
    import pyarrow as pa

Result = TypeVar("Result")

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
"""Value of a partition of rows without one, as Hive and Arrow write it."""
MOST_PROBLEMS = 5
"""Files with other headers that are named."""


class CombinedTable(TableFile):
    """Table files as one table."""

    unit = "row"

    def __init__(self, path: Path, open_file: Callable[[Path, TableFile | None], TableFile], missing_values: Sequence[str] = ()) -> None:
        """`open_file` opens a file of the table; it gets the first one, whose format the others have, or None for that itself."""
        self._root, paths = table_parts(path)
        self._names = [part.relative_to(self._root).as_posix() for part in paths]
        first = self._located(0, partial(open_file, paths[0], None))
        self._files = [first] + [self._located(number, partial(open_file, part, first)) for number, part in enumerate(paths[1:], 1)]
        self._partitions = [_partition(name) for name in self._names]
        self._rows: list[int | None] = [None] * len(paths)
        super().__init__(path, missing_values)
        self.numerals, self.format_options, self.notice = first.numerals, first.format_options, first.notice

    def _read_headers(self) -> tuple[str, ...]:
        """Return the headers of the first file and those of its partition, after all files were compared with it."""
        if problems := [*self._header_problems(), *self._type_problems()]:
            raise DataError(problems[:MOST_PROBLEMS])
        first = self._files[0]
        return (*first.headers, *(key for key in self._partitions[0] if key not in first.headers))

    def _header_problems(self) -> Iterator[Problem]:
        first, keys = self._files[0], set(self._partitions[0])
        for name, file, partition in zip(self._names[1:], self._files[1:], self._partitions[1:], strict=True):
            lacking, more = (
                [one for one in first.headers if one not in file.headers],
                [one for one in file.headers if one not in first.headers],
            )
            if lacking:
                fix = did_you_mean(lacking[0], more) or "All files of a table have the same columns, in any order."
                yield Problem(name, f"the file has no column {listed([repr(one) for one in lacking])}, unlike {self._names[0]}.", fix)
            elif more:
                fix = "All files of a table have the same columns, in any order."
                yield Problem(name, f"the file has the column {listed([repr(one) for one in more])}, unlike {self._names[0]}.", fix)
            elif set(partition) != keys:
                fix = "Give all files folders of the same keys, as `site=a/year=2024`."
                yield Problem(name, f"its folders name {listed(sorted(partition)) or 'no column'}, those of {self._names[0]} others.", fix)

    def _type_problems(self) -> Iterator[Problem]:
        """Yield columns that a Parquet file stores as another type than the first file that says one."""
        known: dict[str, tuple[str, str]] = {}
        for name, file in zip(self._names, self._files, strict=True):
            for header, kind in (file.kinds() if isinstance(file, ParquetFile) else {}).items():
                other, where = known.setdefault(header, (kind, name))
                if kind != other:
                    what = f"the column holds {kind}, and {other} in {where}."
                    yield Problem(f"{name}: {header}", what, "Write the files again with one type for the column.")

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        yield from joined_blocks(self._blocks(headers, size), size)

    def _blocks(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        for number, file in enumerate(self._files):
            # Without a column of the file, its rows could not be counted.
            within = [header for header in headers if header in file.times] or [file.headers[0]]
            rows = 0
            batches = file._batches(within, size)
            while (arrays := self._located(number, partial(next, batches, None))) is not None:
                by_header = dict(zip(within, arrays, strict=True))
                rows += len(arrays[0])
                yield [by_header[header] if header in by_header else self._repeated(number, header, len(arrays[0])) for header in headers]
            self._rows[number] = rows

    def _repeated(self, number: int, header: str, rows: int) -> pa.Array:
        import pyarrow as pa

        return pa.repeat(pa.scalar(self._partitions[number][header], pa.large_string()), rows)

    def refusal(self, header: str) -> str:
        """Return why the column cannot become text, or an empty string."""
        return self._files[0].refusal(header) if header in self._files[0].times else ""

    def typed(self, header: str) -> bool:
        """Return whether the files store the column as numbers or truth values."""
        return header in self._files[0].times and any(file.typed(header) for file in self._files)

    def undecodable(self, headers: Sequence[str]) -> frozenset[str]:
        """Columns over cells that are not text in the encoding of some file."""
        within = [header for header in headers if header in self._files[0].times]
        return frozenset().union(*(file.undecodable(within) for file in self._files)) if within else frozenset()

    def number(self, row: int) -> int:
        """Return the position of the row in the whole table."""
        return row

    def where(self, row: int) -> str:
        """`site=a/part-0.csv:40`, `site=a/part-0.parquet: row 39`."""
        ends = list(accumulate(self._rows_of(number) for number in range(len(self._files))))
        number = bisect_right(ends, row)
        file = self._files[number]
        return file.where(row - (ends[number - 1] if number else 0)).replace(file.path.name, self._names[number], 1)

    def _rows_of(self, number: int) -> int:
        if self._rows[number] is None:
            file = self._files[number]
            self._rows[number] = sum(len(arrays[0]) for arrays in file._batches(file.headers[:1], READ_CHUNK_ROWS))
        return self._rows[number] or 0

    def _located(self, number: int, work: Callable[[], Result]) -> Result:
        """Do something with a file; its problems name the file by its path within the folder."""
        try:
            return work()
        except DataError as error:
            name, path = self._names[number], self._root / self._names[number]
            problems = [
                Problem(f"{name}{problem.where.removeprefix(str(path)).removeprefix(path.name)}", problem.what, problem.fix)
                if problem.where.startswith((path.name, str(path)))
                else problem
                for problem in error.problems
            ]
            raise DataError(problems) from error


def _partition(name: str) -> dict[str, str | None]:
    """Return the columns that the folders of a file name, `{"site": "a"}` for `site=a/part-0.parquet`; None for Hive's null.

    >>> _partition("site=a/year=2024/part-0.parquet")
    {'site': 'a', 'year': '2024'}
    """
    pairs = [folder.partition("=") for folder in name.split("/")[:-1] if "=" in folder.strip("=")]
    return {unquote(key): None if value == HIVE_NULL else unquote(value) for key, _, value in pairs}
