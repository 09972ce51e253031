"""Spellings: names and classes that are nearly alike, ids that a spreadsheet has rounded, and words for the parts of a split."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.label_index import LabelIndex
from mmtrain.audit.quality.misspelt_names import misspelt_categories, misspelt_classes
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.columns.split_words import split_words
from mmtrain.errors import counted
from mmtrain.targets.labels.classes import near_spellings
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

HARM_TO_CLASSES = "If they mean the same, the model is asked to tell equal things apart, and scores count it as wrong where it cannot."
FIX = "Write each name in one way, unless they mean different things."


def spellings(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on the spellings of names, classes and parts."""
    findings: list[Finding] = []
    for cells in (cells for cells in table.columns if cells.use.column_class.harm_of_spellings):
        findings += _near(cells, metadata) + _rounded(cells)
        findings += misspelt_categories(cells) if cells.use.content == "names" else []
    for labels in metadata.targets:
        findings += _near_classes(labels) + misspelt_classes(labels)
    for cells in table.of_purpose("assigning"):
        findings += _parts(cells)
    return findings


def is_spelled(use: ColumnUsage) -> bool:
    """Return True where cells, or the labels in them, are names; of two classes `check` refuses a third, however it is spelled."""
    return bool(use.column_class.harm_of_spellings or use.separator) or (use.traits.has_classes and not use.traits.thresholdable)


def _near(cells: ColumnValues, metadata: RowMetadata) -> list[Finding]:
    """Find names that differ only by capitals, leading zeros, `.0`, inner blanks or the form of their letters."""
    if cells.keys is None:
        return []
    codes, prints = pd.factorize(cells.prints)
    # Keys are computed by row; of each distinct name the key of its first row.
    keys = pd.factorize(cells.keys[_first_rows(codes, len(prints))])[0]
    # The print 0 is a missing cell, which has no spelling.
    several = (np.bincount(keys)[keys] > 1) & (prints != 0)
    if not several.any():
        return []
    rows = np.flatnonzero(several[codes])
    what = _in_several_ways(len(np.unique(keys[several])), "name", _example(cells, prints, keys, codes[rows[0]]), rows)
    # For a grouping column only: a patient in training and test under two spellings is a leak.
    if torn := _on_two_sides(keys[codes[rows]], rows, metadata) if cells.use.purpose == "grouping" else 0:
        what = f"{what} The spellings of {torn:,} of them are on two sides of the split."
    level: Level = "note" if cells.use.content == "names" else "warning"
    why = cells.use.column_class.harm_of_spellings
    return [Finding(level, "near_spellings", cells.header, what, why, FIX, first_rows(rows), count=len(rows))]


def _near_classes(labels: LabelIndex) -> list[Finding]:
    """Find classes or labels of a target that are nearly spelled alike, where cells name them."""
    # Labels in columns of their own are headers, each written once.
    alike = [] if labels.rows else near_spellings(filter(None, labels.names))
    if not alike:
        return []
    code = {name: number for number, name in enumerate(labels.names)}
    rows = np.unique(np.concatenate([labels.holders(code[name]) for name in chain.from_iterable(alike)]))
    what = _in_several_ways(len(alike), labels.noun, f", such as {quote_value(alike[0][0])} and {quote_value(alike[0][1])}", rows)
    return [Finding("warning", "near_spellings", labels.header, what, HARM_TO_CLASSES, FIX, first_rows(rows), count=len(rows))]


def _in_several_ways(number: int, noun: str, example: str, rows: NDArray[np.int64]) -> str:
    plural = "classes" if noun == "class" else ""
    return (
        f"{counted(number, noun, plural)} {'is' if number == 1 else 'are'} spelled in several ways{example}: {counted(len(rows), 'row')}."
    )


def _first_rows(codes: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return the first row of each code, (number,)."""
    first = np.empty(number, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several assignments to a code the last one counts: its first row
    return first


def _example(cells: ColumnValues, prints: NDArray[np.uint64], keys: NDArray[np.int64], code: int) -> str:
    """Return `, such as 'P7' and 'p7'`; nothing where the names were not kept."""
    pair = [cells.names.get(int(prints[other]), "") for other in np.flatnonzero(keys == keys[code])[:2]]
    return f", such as {quote_value(pair[0])} and {quote_value(pair[1])}" if all(pair) else ""


def _on_two_sides(keys: NDArray[np.int64], rows: NDArray[np.int64], metadata: RowMetadata) -> int:
    """Count the keys that have rows in several parts."""
    if metadata.parts is None:
        return 0
    divided = metadata.parts[rows] >= 0
    sets = np.column_stack([pd.factorize(keys[divided])[0], rows[divided]])
    return int(metadata.spans(sets, metadata.parts).sum())


def _rounded(cells: ColumnValues) -> list[Finding]:
    """Find `1.23457E+14` among names: the last digits are lost."""
    if cells.rounded is None or not cells.rounded.any():
        return []
    rows = np.flatnonzero(cells.rounded)
    name = cells.names.get(int(cells.prints[rows[0]]), "")
    example = f", such as {quote_value(name)}" if name else ""
    verb = "looks" if len(rows) == 1 else "look"
    what = f"{counted(len(rows), 'cell')} {verb} like a long number that a spreadsheet has rounded{example}."
    why = "Different names that begin alike have become one, and no row can be traced by it."
    fix = "Take the column from its source again, and format it as text before a spreadsheet reads it."
    level: Level = "note" if cells.use.content == "names" else "warning"
    return [Finding(level, "rounded_ids", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


def _parts(cells: ColumnValues) -> list[Finding]:
    meaning = split_words(cells.names.values()).meaning()
    if not meaning:
        return []
    why = "The parts are called train, validation and test; other usual words are understood."
    return [Finding("note", "split_words", cells.header, f"{meaning}.", why, "Write the names of the parts, if this is not what is meant.")]
