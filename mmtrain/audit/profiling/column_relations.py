"""Pairs of columns that guessed roles depend on: a column that determines the target, a split that separates rows of a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.audit.coded_table import CodedColumn, CodedTable, code_column
from mmtrain.columns.base import Guess
from mmtrain.columns.cells import is_word
from mmtrain.columns.profile import Profile
from mmtrain.columns.split_words import split_words
from mmtrain.targets import tasks
from mmtrain.text.printable import quote_value

MOST_PAIRS = 100_000
"""Distinct pairs of values of two columns, above which the two are not compared."""

OFTEN = 5
"""Rows per value, on average, from which it is suspicious that each value occurs with one answer only."""

COMPARED_ROWS = 10_000
"""Rows in which numbers are compared with a target that is a number: of 2,000 columns they take 160 MB."""

FEWEST_STEPS = 20
"""Different values of two columns of numbers, below which one may follow from the other at random."""

Pairs = dict[tuple[str, str], pd.DataFrame | None]


def resolve_relations(
    table: CodedTable, guesses: dict[str, Guess], profiles: dict[str, Profile], target: str
) -> tuple[dict[str, int], bool]:
    """Leave out columns that determine the target, and a group whose rows the given split separates.

    Returns the rows of each class, and whether some class is in fewer than three rows or groups: one for each part of a split.
    """
    classes = tasks[str(guesses[target].options["task"])].has_classes
    group = next((header for header, one in guesses.items() if one.purpose == "grouping" and one.used), None)
    given = next((header for header, one in guesses.items() if one.purpose == "assigning" and one.used), None)
    suspects = [header for header, one in guesses.items() if one.used and one.content in ("names", "numbers")]
    # Below five rows per value an id would determine any target.
    wanted = [(header, target) for header in suspects if classes and profiles[header].distinct * OFTEN <= profiles[header].filled]
    # A class has to be in several groups, or no split can put it into each part.
    wanted += [(group, target)] if group and classes else []
    # A group in two parts would leak; below, the given split wins over the group.
    wanted += [(group, given)] if group and given else []
    parts = split_words(value for value, _ in profiles[given].frequent).parts if given else {}
    words = guesses[target].answer_words
    read = _Reading(target if classes else None, whole=(group, target), meant={given or "": parts}, missing_words=words)
    pairs, counts = _pairs(table, wanted, read)
    for header in suspects:
        both = pairs.get((header, target))
        if both is not None and (reason := _determines(both, target)):
            guesses[header] = guesses[header].model_copy(update={"used": False, "reason": reason})
    numbers = [header for header in suspects if guesses[header].used and guesses[header].content == "numbers"]
    if tasks[str(guesses[target].options["task"])].is_continuous:
        for header, reason in _monotone_copies(table, numbers, target).items():
            guesses[header] = guesses[header].model_copy(update={"used": False, "reason": reason})
    # None: some group went with two parts, or the pairs were too many to tell.
    if group and given and pairs[group, given] is None:
        reason = f"{guesses[group].reason}; but the split of {quote_value(given)} separates its rows, and a split that is given comes first"
        guesses[group] = guesses[group].model_copy(update={"used": False, "reason": reason, "options": {}})
        group = None
    holders = pairs.get((group, target)) if group else None
    # A class counts once in each group: a class in one group of a hundred rows still cannot be divided.
    least = min(counts.values(), default=3) if holders is None or not len(holders) else int(holders[1].value_counts().min())
    return counts, least < 3


def _determines(pairs: pd.DataFrame, target: str) -> str:
    """Say why a column is suspicious, or nothing; `pairs` are all values with the answers they go with."""
    if not len(pairs):
        return ""
    if not pairs[1].duplicated().any():
        return f"says the same as the target {quote_value(target)} in other words; it would give the answer away"
    return f"each value goes with one value of the target {quote_value(target)} only; does it give the answer away?"


def _monotone_copies(table: CodedTable, headers: Sequence[str], target: str) -> dict[str, str]:
    """Say of which columns the target is a rising or falling function, in the first rows of the table.

    A logarithm, a rounded copy or another unit of the target: no honest input orders `FEWEST_STEPS` different values without an exception.
    """
    chunks: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {header: [] for header in (*headers, target)}
    rows = 0
    # Without columns of numbers the table need not be read again.
    for chunk in table.chunks([*headers, target]) if headers else ():
        for header, numbers in chunks.items():
            column = chunk[header]
            # Missing cells have the code -1, which reads the NaN at the end.
            numbers.append(np.append(column.numbers, np.nan)[column.codes[: COMPARED_ROWS - rows]])
        rows += len(chunks[target][-1])
        if rows >= COMPARED_ROWS:
            break
    if not rows:
        return {}
    answers = np.concatenate(chunks[target])
    reasons = {}
    for header in headers:
        way = _monotone(np.concatenate(chunks[header]), answers)
        if way:
            reasons[header] = f"{way} with the target {quote_value(target)} without an exception, as a copy in another unit or scale would"
    return reasons


def _monotone(numbers: np.ndarray[Any, np.dtype[np.float64]], answers: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """Return `rises`, `falls` or nothing; rows without a number do not count, nor does the order of rows with equal numbers."""
    known = ~(np.isnan(numbers) | np.isnan(answers))
    numbers, answers = numbers[known], answers[known]
    if min(len(np.unique(numbers)), len(np.unique(answers))) < FEWEST_STEPS:
        return ""
    # Ties in `numbers` are sorted by the answer, so that their own order breaks nothing.
    if (np.diff(answers[np.lexsort((answers, numbers))]) >= 0).all():
        return "rises"
    return "falls" if (np.diff(answers[np.lexsort((-answers, numbers))]) <= 0).all() else ""


@dataclass(frozen=True)
class _Reading:
    """Interpretation of cells when pairs are counted."""

    counted: str | None
    """The header whose values are counted; a cell of it that is one of `missing_words` has no value."""
    whole: tuple[str | None, str]
    meant: Mapping[str, Mapping[str, str]]
    """Synonyms below some headers: `Train` and `train` are one part."""
    missing_words: Sequence[str]

    def of(self, header: str, column: CodedColumn) -> CodedColumn:
        """Return the column with one value for all that mean the same."""
        values = column.series
        if header in self.meant:
            values = values.map(self.meant[header])
        if header == self.counted:
            values = values.mask(is_word(values, self.missing_words))
        if values is column.series:
            return column
        meant = code_column(values)
        # The extra code is for cells that were missing already (-1 reads it).
        return CodedColumn(np.append(meant.codes, np.int32(-1))[column.codes], meant.values)


def _pairs(table: CodedTable, wanted: Sequence[tuple[str, str]], reading: _Reading) -> tuple[Pairs, dict[str, int]]:
    """Different pairs of values (columns 0 and 1) of pairs of headers, and the rows of each value of `reading.counted`.

    None where there are too many pairs, or, but for the headers `reading.whole`, where one value goes with two others.
    """
    pairs: Pairs = dict.fromkeys(wanted, pd.DataFrame({0: [], 1: []}, dtype="str"))
    counts: Counter[str] = Counter()
    counted = reading.counted
    headers = list(dict.fromkeys([*(header for names in wanted for header in names), *([counted] if counted else [])]))
    for chunk in table.chunks(headers):
        # Pairs that were given up stay None, and their columns are no longer read.
        open_pairs = {names: known for names, known in pairs.items() if known is not None}
        columns = {header: reading.of(header, chunk[header]) for header in {*chain(*open_pairs), *([counted] if counted else [])}}
        if counted:
            column = columns[counted]
            counts.update({value: rows for value, rows in zip(column.series, column.counts.tolist(), strict=True) if rows})
        for names, known in open_pairs.items():
            pairs[names] = _extended(known, columns[names[0]], columns[names[1]], several=names == reading.whole)
    return pairs, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _extended(known: pd.DataFrame, first: CodedColumn, second: CodedColumn, *, several: bool) -> pd.DataFrame | None:
    """Return the known pairs and those of one more chunk; None as for `_pairs`, where `several` allows one value with two others."""
    size = max(len(second.values), 1)
    both = (first.codes >= 0) & (second.codes >= 0)
    # A pair of codes is one number; only distinct pairs become text.
    codes = pd.unique(first.codes[both].astype(np.int64) * size + second.codes[both])
    firsts, seconds = codes // size, codes % size
    if len(codes) > MOST_PAIRS or (not several and (np.bincount(firsts) > 1).any()):
        return None
    here = pd.DataFrame({0: first.named(firsts), 1: second.named(seconds)})
    together = pd.concat([known, here], ignore_index=True).drop_duplicates()
    return None if len(together) > MOST_PAIRS or (not several and together[0].duplicated().any()) else together
