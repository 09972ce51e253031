"""Rare categories and classes that are one letter away from a frequent one: `Dreses` next to `Dresses`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.column_values import ColumnValues
from mmtrain.audit.finding import Finding, first_rows
from mmtrain.audit.label_index import LabelIndex
from mmtrain.errors import counted, listed
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_LETTERS = 5
"""Letters of a word below which another letter makes another word, as of `left` and `lift`."""
TIMES_RARER = 10
"""A mistake of typing is made once in a while: how many times rarer it is than the right name, at least."""
MOST_NAMES = 2_000
"""Different names of a column that are compared; with more, it holds names of people or places, of which many are alike."""
LONGEST_NAME = 60
"""Characters of the longest name that is compared: a longer one is a sentence, and has as many shortened forms as characters."""
FIX = "Correct the cells, unless they mean different things."


def misspelt_categories(cells: ColumnValues) -> list[Finding]:
    """Return the finding on the categories of one column."""
    rows = np.flatnonzero(~cells.missing)
    if len(cells.different) > MOST_NAMES:
        return []
    codes, names = cells.codes(rows)
    pairs = misspelt(names, np.bincount(codes, minlength=len(names)))
    why = "What is learned of the right name is not known of the other."
    return _findings(cells.header, names, pairs, rows[np.isin(codes, [wrong for wrong, _ in pairs])], why)


def misspelt_classes(labels: LabelIndex) -> list[Finding]:
    """Return the finding on the classes or labels of one target; labels in columns of their own are headers, each written once."""
    if labels.rows or len(labels.names) > MOST_NAMES:
        return []
    pairs = misspelt(labels.names, labels.times)
    rows = np.unique(np.concatenate([labels.holders(wrong) for wrong, _ in pairs])) if pairs else np.empty(0, np.int64)
    why = f"A {labels.noun} of its own is learned from its few rows alone, and scores count it as wrong to predict the right name."
    return _findings(labels.header, labels.names, pairs, rows, why)


def misspelt(names: Sequence[str], times: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return pairs of positions, of the rare name and of the frequent one that it is one edit away from.

    >>> misspelt(["Dresses", "Dreses", "Tops", "Top"], np.array([120, 5, 170, 1]))
    [(1, 0)]
    """
    # Two names that are one edit apart (Damerau 1964) are equal, or equal to the other, once a letter is left out of one or both of them:
    # linear in the number of names, where comparing all pairs is not.
    shortened: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        if len(name) > LONGEST_NAME:
            continue
        for text in {name, *(name[:place] + name[place + 1 :] for place in range(len(name)))}:
            shortened[text].append(position)
    best: dict[int, int] = {}
    for together in shortened.values():
        most = max(together, key=lambda position: times[position])
        for rare in together:
            if times[rare] * TIMES_RARER <= times[most] and times[rare] and _is_one_edit(names[rare], names[most]):
                best[rare] = most if rare not in best or times[most] > times[best[rare]] else best[rare]
    return sorted(best.items())


def _is_one_edit(wrong: str, right: str) -> bool:
    """Return True if one word of letters differs, by one letter more or less, another letter, or two neighbours exchanged."""
    apart = [pair for pair in zip(wrong.split(), right.split(), strict=False) if pair[0] != pair[1]]
    if len(wrong.split()) != len(right.split()) or len(apart) != 1:
        return False
    first, second = apart[0]
    # Typing errors are rarely in the first letter; a digit or a Roman numeral makes another grade, ward or type.
    if first[0] != second[0] or min(len(first), len(second)) < LEAST_LETTERS or re.search(r"[\W\d_]", first + second):
        return False
    start = next(
        (place for place, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), min(len(first), len(second))
    )
    one, other = first[start:], second[start:]
    return one[1:] == other[1:] or one[1:] == other or one == other[1:] or (one[1::-1] == other[:2] and one[2:] == other[2:])


def _findings(header: str, names: Sequence[str], pairs: list[tuple[int, int]], rows: NDArray[np.int64], why: str) -> list[Finding]:
    if not pairs:
        return []
    shown = listed([f"{quote_value(names[wrong])} may mean {quote_value(names[right])}" for wrong, right in pairs], most=3)
    what = f"{shown}: {counted(len(rows), 'row')}."
    return [Finding("note", "misspelt_names", header, what, why, FIX, first_rows(rows), count=len(rows))]
