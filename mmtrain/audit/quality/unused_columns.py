"""Columns that an experiment does not use, but that say something about its rows: dates, and whom a row belongs to."""

from __future__ import annotations

from collections.abc import Collection

from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.columns.bookkeeping import names_person
from mmtrain.columns.profile import NEARLY_ALL, name_words
from mmtrain.data.tables.table_file import Cells, TableFile
from mmtrain.data.tables.table_problems import header_problem
from mmtrain.text.date_patterns import DATE, YEAR

GLANCE = 10_000
"""Rows by which the content of a column is judged."""


def unused_columns(file: TableFile, used: Collection[str]) -> list[ColumnUsage]:
    """Those of the other columns, by their first rows; a column of dates also where the experiment uses it. Raises DataError."""
    headers = [header for header in dict.fromkeys(file.headers) if header and header_problem(file, header) is None]
    if not headers:
        return []
    beginning = next(iter(file.pieces(headers, size=GLANCE)), Cells())
    found = []
    for header, cells in beginning.items():
        filled = cells.dropna()
        if not len(filled):
            continue
        patterns = [DATE, *([YEAR] if "year" in name_words(header) else [])]
        if any(filled.str.match(pattern).mean() >= NEARLY_ALL for pattern in patterns):
            found.append(ColumnUsage(header, "", unused="dates"))
        elif header not in used and names_person(header) and 10 <= filled.nunique() < len(filled):
            found.append(ColumnUsage(header, "", unused="persons"))
    return found
