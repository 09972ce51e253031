"""Profile of a column's cells: counts, ranges and likenesses, from which a role guesses whether the column is its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mmtrain.errors import listed
from mmtrain.result_model import FullResult
from mmtrain.text.label_lists import LabelLists
from mmtrain.text.printable import quote_value

NEARLY_ALL = 0.95
"""Proportion of cells that have to look alike; the others may be typing errors."""

FEW_NAMES = 100
"""Words of at most this many different values look like categories."""


class Range(FullResult):
    """Smallest, middle and largest of some finite numbers."""

    minimum: float
    median: float
    maximum: float


class Profile(FullResult):
    """One column. All counts of cells leave out the missing ones; `filled` is the number of the others."""

    header: str
    rows: int
    missing: int
    distinct: int
    """Different values, at most `MOST_DISTINCT`; there may be more when it is that many."""
    frequent: tuple[tuple[str, int], ...] = ()
    """The most frequent values and their rows, most rows first."""
    counted: bool = True
    """True where all values were counted within `MOST_BYTES`; otherwise the rows in `frequent` are lower bounds."""
    rows_per_value: Range | None = None
    """None when not `counted`."""
    number_cells: int = 0
    whole: bool = False
    """True where every number is a whole one."""
    numbers: Range | None = None
    """Range of the cells that are numbers."""
    not_numbers: tuple[str, ...] = ()
    """The first different cells that are not numbers, in a column that has numbers; at most five."""
    missing_words: tuple[tuple[str, int], ...] = ()
    """Cells that mean that there is no value, `NA` for instance, and their rows; they are not counted as missing."""
    words: Range | None = None
    """Words in a cell."""
    wordless: int = 0
    """Cells without any word, such as `-`."""
    spaced: int = 0
    """Cells with a blank between two words."""
    images: int = 0
    """Cells that end like the name of an image file that can be read."""
    unread_images: int = 0
    """Cells that end like the name of a file of a format that is not read, TIFF or DICOM for instance."""
    image_lists: int = 0
    """Cells that list several files, or one in brackets."""
    addresses: int = 0
    """Cells that are addresses, such as https://, rather than paths."""
    dates: int = 0
    earliest: str = ""
    """Day of the earliest date, `2024-03-31`, in a column that is nearly all dates; empty where it is unknown, as 03/04/2021 may be two."""
    latest: str = ""
    """Day of the latest one."""
    labels: LabelLists | None = None
    """Where cells hold several labels each."""

    @property
    def filled(self) -> int:
        """Number of cells that are not missing."""
        return self.rows - self.missing

    @property
    def period(self) -> str:
        """`2015-01-07 to 2024-03-31`; empty where it is unknown."""
        return self.earliest and f"{self.earliest} to {self.latest}"

    @property
    def values(self) -> list[str]:
        """The most frequent values; all of them where there are `distinct`."""
        return [value for value, _ in self.frequent]

    @property
    def example(self) -> str:
        """The most frequent value in quotes."""
        return quote_value(self.frequent[0][0])

    @property
    def examples(self) -> str:
        """The three most frequent values in quotes: `'a', 'b' and 'c'`."""
        return listed([quote_value(value) for value in self.values[:3]])

    @property
    def all_numbers(self) -> bool:
        """True where every cell is a number."""
        return 0 < self.number_cells == self.filled

    @property
    def repeats(self) -> bool:
        """True where few values repeat often, as categories do: at most 100, of two rows each on average."""
        return self.distinct <= FEW_NAMES and self.distinct * 2 <= self.filled

    @property
    def has_sentences(self) -> bool:
        """True where a quarter of the cells or more have several words."""
        return self.spaced * 4 >= self.filled

    def nearly_all(self, cells: int) -> bool:
        """Return whether this many cells are nearly all of the column's."""
        return cells >= NEARLY_ALL * self.filled

    def without(self, words: Mapping[str, int]) -> Profile:
        """Return the profile with these cells (and their rows) empty, in the fields that the guess of a target reads."""
        if not words:
            return self
        return self.model_copy(
            update={
                "missing": self.missing + sum(words.values()),
                "distinct": self.distinct - len(words),
                "frequent": tuple((value, rows) for value, rows in self.frequent if value not in words),
                "not_numbers": tuple(value for value in self.not_numbers if value not in words),
                "missing_words": tuple((value, rows) for value, rows in self.missing_words if value not in words),
            }
        )


def name_words(header: str) -> list[str]:
    """Return the words of a header in lower case: `patientID`, `patient_id` and `Patient ID` all give patient, id."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header).lower())
