"""The contract of a column role, and the register of roles.

`Column` is what the file declares; `fit` reads the cells of training rows and returns a `FittedColumn`: plain values
that can be written as JSON, and that build the Keras layer doing the preprocessing.

*Fit may refuse; encode never fails.* `faults` says before training what is wrong with the cells. After that, every cell
gets an encoding: a cell with an unknown value, or that is not a number, has a code of its own.

Cells arrive as pandas Series of text without blanks at their ends, NA for missing, whatever the file's format: `001` stays `001`.
A column that reads several headers gets a DataFrame with a column of such texts for each header, in the order of `reads`; its
`faults` and `missing_cells` are asked header by header.

    >>> import pandas as pd
    >>> from mmtrain.columns.numeric import Numeric
    >>> age = Numeric(column="age")
    >>> [error.what for error in age.faults(pd.Series(["61", "old"], dtype="str"))]
    ["'old' is not a number."]
    >>> fitted = age.fit([pd.Series(["60", "70", None], dtype="str")])
    >>> fitted.center, fitted.scale, fitted.fill, fitted.spec.shape
    (65.0, 5.0, 65.0, (2,))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import AfterValidator, Field

from mmtrain.columns.cells import MISSING_WORDS, CellError, ImageCells
from mmtrain.columns.fitted_column import FittedColumn
from mmtrain.registry import OneOf, Registry, Section
from mmtrain.result_model import FullResult

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"{Counter(names).most_common(1)[0][0]!r} is listed twice. List it once.")
    return names


Names = Annotated[tuple[str, ...], AfterValidator(_once)]
"""Categories, words or classes in the order of their codes; each has one."""


Purpose = Literal["", "input", "answer", "naming", "grouping", "assigning", "ordering", "weighting"]
"""The purpose of a column: it feeds the network, is predicted, or says of its row how it is called, what it belongs to, which part of
the split it is in, when it happened, or how much it counts."""
Content = Literal["", "numbers", "names", "dates", "vectors", "texts", "images", "series"]
"""The content of an input's cells: numbers, recurring names, dates, vectors, texts, images or numbers over time; empty if unknown."""


OptionValue = str | int | float | bool | list[str] | list[int]


class Evidence(IntEnum):
    """Strength of the evidence for a role, the weakest first; numbers in between are allowed.

    Cells that have the form of one role only weigh more than what a header says, and that more than how often values repeat.
    """

    ANYTHING = 0
    """Values of any kind."""
    SENTENCES = 10
    """Several words in many cells."""
    FEW_VALUES = 20
    """Few values that repeat often."""
    REPEATED_IDS = 25
    """Words of letters and digits, each in several rows."""
    NUMBERS = 30
    FEW_NUMBERS = 40
    """Few whole numbers that repeat often."""
    CODES = 45
    """Whole numbers with leading zeros, or under a header that says code."""
    HEADER = 50
    """A header that says so, above values that allow it."""
    UNIQUE = 60
    """A different value in each row."""
    UNITS = 70
    """Numbers with one unit."""
    DATES = 80
    LISTS = 85
    """Lists of numbers in brackets."""
    SPLIT_WORDS = 90
    """Words for train, validation and test, or folds."""
    FILES = 100
    """Names of image files, or images themselves."""
    RECORDINGS = 105
    """Names of recordings; above `FILES`, as images guess from such names that their files cannot be read."""
    FILE_LISTS = 110
    """Lists of names of image files, many of which end like single ones."""


class Guess(FullResult):
    """A role that a column may have, with its options. `role` is empty for a column that cannot be used at all."""

    role: str
    reason: str
    """In one line, for a person to confirm."""
    options: dict[str, OptionValue] = Field(default_factory=dict)
    used: bool = True
    """False where the column is left out, and only named for a user who wants it after all."""
    missing_words: tuple[str, ...] = ()
    """Cells that have to be listed under `data.missing_values` for this role."""
    evidence: int = Field(Evidence.ANYTHING, exclude=True)
    """The strongest guess of all roles wins; of two equally strong ones that of the role that was registered last."""

    @property
    def purpose(self) -> Purpose:
        """Purpose of the role."""
        return role_class(self.role).purpose

    @property
    def content(self) -> Content:
        """Content of the role's cells."""
        return role_class(self.role).content

    @property
    def answer_words(self) -> tuple[str, ...]:
        """Words that mean a missing answer, in lower case, of a target."""
        words = self.options.get("missing_words")
        return tuple(map(str, words)) if isinstance(words, list) else MISSING_WORDS


class Column(Section):
    """A column as declared. The class variables are the traits of its role; other modules use these, never a role's name."""

    role: str
    column: str = Field("", description="Header in the table, where it differs from the key.")

    purpose: ClassVar[Purpose] = ""
    content: ClassVar[Content] = ""
    harm_of_spellings: ClassVar[str] = ""
    """The harm that two spellings of one name do, a sentence; empty where cells are not names."""
    lists: ClassVar[bool] = False
    """True for cells that may list several values."""
    streamed: ClassVar[bool] = False
    """True for cells too large to keep in memory; they are read again from the file when needed."""

    def reads(self) -> tuple[str, ...]:
        """Headers this column needs."""
        return (self.column,)

    @property
    def part_of_model(self) -> bool:
        """Return whether the column feeds the network."""
        return self.purpose == "input"

    @property
    def holds_numbers(self) -> bool:
        """Return whether cells are read as numbers."""
        return False

    @property
    def image_cells(self) -> ImageCells | None:
        """Rules by which cells are decoded into images, which are kept in an image store; None for cells that name no images."""
        return None

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:  # noqa: ARG003
        """Return a guess where a column of an undescribed table may have this role, else None.

        `mmtrain init` asks every role, with the profile of the column's header and cells. It has at least two different values.
        """
        return None

    @classmethod
    def ranks(cls, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]] | None:  # noqa: ARG003
        """Return the numbers by which audit checks order cells, (cells,), NaN where a cell has none; None for a role without an order."""
        return None

    def faults(self, cells: pd.Series[str]) -> list[CellError]:  # noqa: ARG002
        """Return what `fit` would refuse in the cells of the whole table; of a streamed column, in one chunk of it."""
        return []

    def header_faults(self, header: str, cells: pd.Series[str]) -> list[CellError]:  # noqa: ARG002
        """Return `faults` of the cells under one header; a column whose headers differ in kind tells them apart here."""
        return self.faults(cells)

    def doubts(self, cells: pd.Series[str]) -> list[CellError]:  # noqa: ARG002
        """Return cells of the whole table that can be used but probably mean something else; not called for a streamed column."""
        return []

    def missing_cells(self, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows without a value, (rows,); by default those whose cell is empty, of several headers all of them."""
        import numpy as np

        # For the few cells of a request, `isna` of a Series takes 20 us, that of its array 1 us. A DataFrame has no `array`.
        empty = np.asarray(getattr(cells, "array", cells).isna())
        # (rows, headers) of several headers: a row lacks its value only when all cells are empty.
        return np.asarray(empty if empty.ndim == 1 else empty.all(axis=1))

    def missing_rows(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows without a value, (rows,), from the cells under its headers; by default those where all of them are missing."""
        import numpy as np

        return np.asarray(np.logical_and.reduce([self.missing_cells(column) for column in cells.values()]))

    @property
    def policy(self) -> str:
        """The treatment of missing cells: the option `missing` of those roles that have it, else an empty string."""
        return str(dict(self).get("missing", ""))

    @property
    def drops_missing(self) -> bool:
        """Return whether rows without a value leave the table."""
        return self.policy == "drop"

    @property
    def empty_cells_drop_rows(self) -> bool:
        """Return whether `drops_missing` is decided by the cell alone, when the table is read."""
        return self.drops_missing

    @property
    def masks_missing(self) -> bool:
        """Return whether the network goes without the column where it has no value."""
        return self.policy == "mask"


roles: Registry[Any] = Registry("role")
fitted_roles: Registry[type[FittedColumn]] = Registry("fitted role")


def role(name: str, *, fitted: Any = None) -> Callable[[Any], Any]:
    """Register a `Column` class (or an annotated union of such) as `role: name`, with the class, or the union, that `fit` returns."""

    def register(column: Any) -> Any:
        roles.add(name, column)
        if fitted is not None:
            fitted_roles.add(name, fitted)
        return column

    return register


def role_class(name: str) -> type[Column]:
    """Return the class of a role, with its traits; of an unregistered name `Column`, which has none."""
    # Called some sixty times for each column of a table: without a copy of the registry.
    entry = roles[name] if name in roles else Column  # noqa: SIM401 (a registry has no `get`)
    # An annotated union stands for classes with the same traits; the first one has them.
    cls: type[Column] = next(iter(get_args(entry)), entry)
    return cls


def input_roles() -> list[str]:
    """Return the names of the roles whose columns feed the network, in the order of their registration."""
    return [name for name in roles if role_class(name).purpose == "input"]


AnyColumn = Annotated[Column, OneOf("role", lambda: dict(roles.items()))]
AnyFittedColumn = Annotated[FittedColumn, OneOf("role", lambda: dict(fitted_roles.items()))]


OfRole = TypeVar("OfRole", bound=Column)


def column_of_role(columns: Mapping[str, Column], role: type[OfRole]) -> OfRole | None:
    """Return the column of a role that at most one column has, or None."""
    return next((column for column in columns.values() if isinstance(column, role)), None)


def images_among(columns: Mapping[str, Column]) -> dict[str, ImageCells]:
    """Return how the cells of columns that name images are decoded, by key, in the order of the columns."""
    return {key: cells for key, column in columns.items() if (cells := column.image_cells) is not None}
