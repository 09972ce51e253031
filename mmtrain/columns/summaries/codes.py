"""Summary of a column of codes, one a row or several: how many are missing or unseen, and how many new ones are to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mmtrain.columns.numbers import parse_numbers
from mmtrain.columns.summaries.base import Accumulator, ColumnStatistics, SeenRows, exceeds, percent, share, statistics_kinds
from mmtrain.errors import listed


class CodeStatistics(ColumnStatistics):
    """Categories or words; `rows` counts them without the missing ones."""

    kind: Literal["categorical", "text"]
    missing: int = Field(description="Rows without a category or a text.")
    unseen: int = Field(description="Values that have no code of their own.")
    once: int = Field(description="Values that occur once: as many may be new among as many further rows (Good 1953).")

    def drift(self, now: CodeStatistics) -> dict[str, str]:
        """Missing categories, and unseen ones."""
        text = now.kind == "text"
        sentences = {} if text else super().drift(now)  # rows of words are not those of the table, and a missing text shows in its row
        # Good and Turing: the share of values seen once estimates the share of new ones.
        usual = share(self.unseen + self.once, self.rows)
        if exceeds(now.unseen, now.rows, usual):
            noun = "words" if text else "categories"
            sentences["unseen"] = f"{percent(now.unseen, now.rows)} of the {noun} are unknown to training; {usual:.0%} were to be expected."
        return sentences


statistics_kinds.add("categorical", CodeStatistics)
statistics_kinds.add("text", CodeStatistics)


class CodeAccumulator(Accumulator):
    """Adds up (rows, any) int32 codes. Below `first` are the special ones: unseen just below it, then missing, then padding.

    With `names`, those of single categories, cells of another type than all of these are counted. Codes in `uncounted` are left out.
    """

    def __init__(
        self, kind: Literal["categorical", "text"], size: int, first: int, names: Sequence[str] = (), *, uncounted: Sequence[int] = ()
    ) -> None:
        self._uncounted = list(uncounted)
        self._kind = kind
        self._first = first
        self._names = names
        self._of_numbers = _are_numbers(names)
        self._other_type = 0
        self._counts = np.zeros(size, dtype=np.int64)

    def add(self, seen: SeenRows) -> None:
        """Count codes, and unseen cells that are numbers where all categories are words, or the other way round."""
        entries = seen.require("entries")
        # (rows, any) codes in one count
        self._counts += np.bincount(entries.reshape(-1), minlength=len(self._counts))
        if seen.cells is not None and self._of_numbers is not None:
            unseen = seen.cells.iloc[np.flatnonzero(entries[:, 0] == self._first - 1)]
            # A cell is of the other type when "not a number" meets categories that are numbers, or the reverse.
            self._other_type += int((np.isnan(parse_numbers(unseen)) == self._of_numbers).sum())

    def statistics(self) -> CodeStatistics:
        """Summarize everything added so far."""
        counts = self._counts.copy()
        counts[self._uncounted] = 0
        # By the contract of codes: unseen is first - 1, missing first - 2.
        unseen, missing, known = int(counts[self._first - 1]), int(counts[self._first - 2]), counts[self._first :]
        return CodeStatistics(kind=self._kind, rows=unseen + int(known.sum()), missing=missing, unseen=unseen, once=int((known == 1).sum()))

    def drift(self, learned: ColumnStatistics, *, folder_hint: str = "") -> dict[str, str]:
        """Cells of another type than the categories of training, from which all else follows; else as the statistics say."""
        if not exceeds(self._other_type, self.statistics().rows, 0.5):
            return super().drift(learned, folder_hint=folder_hint)
        now, before = ("words", "numbers") if self._of_numbers else ("numbers", "words")
        known = listed([repr(name) for name in self._names], most=5)
        return {"type": f"most cells are {now}, where training saw {before}: {known}."}


class PieceAccumulator(CodeAccumulator):
    """Adds up the pieces of texts, (rows, length) ids of a pretrained vocabulary.

    `framing` are the ids of padding and of the pieces that begin and end every text, `unknown` is that of unknown pieces,
    None for a vocabulary that covers every text.
    """

    def __init__(self, size: int, *, framing: Sequence[int], unknown: int | None) -> None:
        super().__init__("text", 3 + size, 3)
        self._code_of = np.arange(3, 3 + size)
        self._code_of[list(framing)] = 0
        if unknown is not None:
            self._code_of[unknown] = 2

    def add(self, seen: SeenRows) -> None:
        """Count pieces, and texts that have none as missing."""
        codes = self._code_of[seen.require("entries")]
        codes[~codes.any(axis=1), 0] = 1
        super().add(SeenRows(entries=codes))


def _are_numbers(names: Sequence[str]) -> bool | None:
    """Return whether all are numbers; None where some are and some are not."""
    known: np.ndarray[Any, Any] = ~np.isnan(parse_numbers(pd.Series(list(names), dtype="str")))
    return bool(known[0]) if len(known) and (known == known[0]).all() else None
