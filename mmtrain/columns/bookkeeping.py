"""Roles that say something about rows without feeding the network: `group`, `id`, `split`, `weight`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.base import Column, Evidence, Guess, Purpose, role
from mmtrain.columns.cells import CellError, missing_cell_error
from mmtrain.columns.numbers import AT_ONCE, number_errors, parse_numbers
from mmtrain.columns.profile import FEW_NAMES, Profile, name_words
from mmtrain.columns.split_words import MOST_FOLDS, SplitWords, are_folds, guess_split, misread, split_words

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


NAME_PARTS = "Write train, validation or test."
LAST_NUMBER = r"(?P<number>[0-9]{1,15})[^0-9]*$"

ID_WORDS = {"id", "uuid", "guid", "identifier", "index", "key", "nr", "no"}
PERSON_WORDS = {
    *("patient", "subject", "person", "family", "household", "donor", "animal", "participant", "respondent", "student"),
    *("customer", "client", "user", "visitor", "member", "owner", "worker", "session"),
    *("author", "writer", "sender", "speaker", "reviewer"),
}
ALPHANUMERIC_ID = re.compile(r"(?=(?:[^0-9]*[0-9]){3})(?=.*[A-Za-z])[A-Za-z0-9_.:-]{4,64}")
FEW_GROUPS = 10
"""With fewer different values, a column names a kind of row rather than whom a row belongs to."""


def names_person(header: str) -> bool:
    """Return whether a header names whom a row belongs to: `patient_id`, but not `patient_age`."""
    words = name_words(header)
    # `patient_id` and `patient_name` name a patient; `patient_age` does not.
    while words and words[-1] in {*ID_WORDS, "name", "code", "number"}:
        words = words[:-1]
    return bool(words) and words[-1] in PERSON_WORDS


def _names_id(header: str) -> bool:
    words = name_words(header)
    return bool(words) and (words[-1] in ID_WORDS or words[0] in {"id", "uuid", "guid"})


def _repeats_ids(profile: Profile) -> bool:
    """Return whether values are letters and at least three digits each, `C00123`, and occur in two rows on average, or more.

    Up to 100 of them that each occur in more than 20 rows on average are taken for categories.
    """
    many = profile.distinct > FEW_NAMES or profile.distinct * 20 >= profile.filled
    return many and profile.distinct * 2 <= profile.filled and all(ALPHANUMERIC_ID.fullmatch(value) for value in profile.values)


@role("group")
class Group(Column):
    """Keeps rows with the same value (the scans of a patient) on one side of a split, whatever the method."""

    purpose: ClassVar[Purpose] = "grouping"
    harm_of_spellings: ClassVar[str] = "If they mean the same, its rows may be on two sides of the split, and scores on test are too good."

    role: Literal["group"] = "group"
    missing: Literal["error", "drop"] = Field("error", description="error: refuse; drop: leave the row out.")

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by a header that names a person or an id, `patient_id`, or by ids that repeat."""
        names_whom = names_person(profile.header)
        named = names_whom or _names_id(profile.header)
        if not FEW_GROUPS <= profile.distinct < profile.filled or (profile.number_cells and not profile.whole):
            return None
        if not named and not _repeats_ids(profile):
            return None
        why = "the name says whom a row belongs to" if names_whom else "the name says id, and ids repeat"
        why = why if named else f"ids such as {profile.example} repeat"
        evidence = Evidence.HEADER if named else Evidence.REPEATED_IDS
        reason = f"{why}: {profile.distinct:,} in {profile.filled:,} rows, never torn apart by the split"
        return Guess(role="group", evidence=evidence, reason=reason, options={"missing": "drop"} if profile.missing else {})

    @classmethod
    def ranks(cls, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the last number in each name."""
        return last_numbers(cells)

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """A row without a group could stand on either side."""
        return missing_cell_error(cells, self.missing, {"drop": "leave the row out"})


@role("id")
class Id(Column):
    """Names a row in predictions and messages; every value occurs once."""

    purpose: ClassVar[Purpose] = "naming"
    harm_of_spellings: ClassVar[str] = "If they mean the same, a row is there twice."

    role: Literal["id"] = "id"

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by a different value in every row, with a header that says so, numbers without a gap or single words."""
        if profile.distinct < profile.rows or profile.rows < 3:
            return None
        span = profile.numbers.maximum - profile.numbers.minimum if profile.numbers else 0.0
        if _names_id(profile.header):
            reason = "every cell is different and the name says id"
        elif profile.all_numbers and profile.whole and span == profile.rows - 1:
            reason = "a running number"
        elif not profile.number_cells and not profile.spaced:
            reason = f"every cell is a different word, as {profile.example}"
        else:
            return None
        return Guess(role="id", evidence=Evidence.UNIQUE, reason=reason)

    @classmethod
    def ranks(cls, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the last number in each id."""
        return last_numbers(cells)

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing and repeated ids."""
        import numpy as np

        faults = (
            [CellError(np.flatnonzero(cells.isna()), "the id is empty.", "Give every row an id of its own.")] if cells.isna().any() else []
        )
        # Looking up repeats exactly is expensive, so it is only done when 64-bit hashes say that there may be some.
        again = np.flatnonzero(cells.duplicated() & cells.notna()) if _may_repeat(cells) else np.empty(0, dtype=np.int64)
        if len(again):
            what = f"the id {cells.iloc[again[0]]!r} occurs more than once."
            faults.append(CellError(again, what, "Give every row an id of its own, or use the role `group` if rows belong together."))
        return faults


def last_numbers(names: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the last number in each name, of at most 15 digits, NaN where it holds none."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    # RE2 in Arrow: the pattern is anchored at the end only, so it takes the last run of digits.
    digits = pc.struct_field(pc.extract_regex(pa.array(names, pa.large_string()), LAST_NUMBER), "number")
    return parse_numbers(pd.Series(digits.to_numpy(zero_copy_only=False), dtype="str"))


def _may_repeat(cells: pd.Series[str]) -> bool:
    """Return whether two cells are equal, or, once in 4 million tables of a million, not: by 64 bits of each.

    A table of all different texts takes a hundred bytes for each, to be looked up in.
    """
    import numpy as np
    import pandas as pd

    filled = cells.dropna()
    prints = np.empty(len(filled), dtype=np.uint64)
    for start in range(0, len(filled), AT_ONCE):
        # Hashed in chunks: as objects, a hundred thousand texts take ten megabytes.
        piece = filled.iloc[start : start + AT_ONCE].to_numpy(dtype=object)
        prints[start : start + AT_ONCE] = pd.util.hash_array(piece, categorize=False)
    # Sorted, equal hashes are neighbours.
    prints.sort()
    return bool((prints[1:] == prints[:-1]).any())


@role("split")
class Split(Column):
    """Says which part a row belongs to, for `split: {method: column}`; other usual words, such as `val` or `Testing`, are understood.

    In a column of folds, it says the fold of the row, for cross-validation.
    """

    purpose: ClassVar[Purpose] = "assigning"

    role: Literal["split"] = "split"
    folds: bool | None = Field(
        None,
        description="true: every word but those for parts names a fold, such as a hospital; a row is scored by the training of its fold. "
        "Left out: numbers of folds, as 0 to 4 or fold_1 to fold_5, are recognized.",
    )

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by words for the parts of a split."""
        return guess_split(profile)

    def words(self, cells: pd.Series[str]) -> SplitWords:
        """Return what the different cells stand for."""
        return split_words(str(word) for word in cells.dropna().unique())

    def parts(self, cells: pd.Series[str]) -> pd.Series[str]:
        """Return the part of each row, of cells without faults, or the name of its fold as the table has it."""
        parts = self.words(cells).parts
        return cells.map({word: parts.get(word, word) for word in cells.unique()})

    def fold_words(self, cells: pd.Series[str]) -> list[str]:
        """Return the words that name folds; none for a column of parts."""
        words = self.words(cells)
        others = [str(word) for word in cells.dropna().unique() if word not in words.parts and word not in words.doubts]
        named = self.folds or (self.folds is None and are_folds(others))
        return others if named else []

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Return as faults all cells but the words for the three parts and those for folds, and words with two possible readings."""
        import numpy as np

        words = self.words(cells)
        if len(folds := self.fold_words(cells)) > MOST_FOLDS:
            what = f"the column has {len(folds):,} different words, each of which would be a fold."
            return [CellError(np.flatnonzero(cells == folds[-1])[:1], what, f"Name at most {MOST_FOLDS} folds.")]
        if self.folds and len(folds) < 2:
            named = f"one fold only, {folds[0]!r}" if folds else "no fold"
            return [CellError(np.arange(1), f"the column names {named}.", "Write the fold of each row, or leave `folds` out.")]
        first: dict[str, str] = {}
        for word, doubt in words.doubts.items():
            first.setdefault(doubt, word)
        # Only the first cell of each doubt: one line of a message per doubt is enough.
        faults = [CellError(np.flatnonzero(cells == word)[:1], f"{word!r} {doubt}", NAME_PARTS) for doubt, word in first.items()]
        unknown = [str(w) for w in cells.dropna().unique() if w not in words.parts and w not in words.doubts and w not in folds]
        if sentences := misread(unknown, self.column):
            return [*faults, CellError(np.flatnonzero(cells.isin(unknown))[:1], *sentences)]
        bad = np.flatnonzero(cells.isna() | cells.isin(unknown))
        if not len(bad):
            return faults
        cell = cells.iloc[bad[0]]
        what = f"{cell!r} is not a part." if isinstance(cell, str) else "the cell is empty."
        return [*faults, CellError(bad, what, "Write the fold of the row." if folds else NAME_PARTS)]


@role("weight")
class Weight(Column):
    """How much a row counts in the loss; 0 or more. Scores are not weighted.

    The weights are divided by their mean in training rows, in every part, so that 1, 2, 4 and 10, 20, 40 train alike.
    """

    purpose: ClassVar[Purpose] = "weighting"

    role: Literal["weight"] = "weight"
    missing: Literal["error", "drop"] = Field("error", description="error: refuse; drop: leave the row out.")

    @property
    def holds_numbers(self) -> bool:
        """Always."""
        return True

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing, unreadable and negative weights, and no weight at all."""
        import numpy as np

        faults = missing_cell_error(cells, self.missing, {"drop": "leave the row out"}) + number_errors(cells)
        negative = np.flatnonzero(parse_numbers(cells) < 0)
        if len(negative):
            faults.append(CellError(negative, f"the weight {cells.iloc[negative[0]]} is negative.", "Write 0 or more."))
        if not faults and not (parse_numbers(cells.dropna()) > 0).any():
            faults.append(
                CellError(np.arange(1), "no row has a weight above 0.", "Give the rows that are to count a weight, or remove the role.")
            )
        return faults
