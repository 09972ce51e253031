"""The contract of a column role, and the register of roles.

`Column` is what the file declares; `fit` reads the cells of training rows and returns a `FittedColumn`: plain values
that can be written as JSON, and that build the Keras layer doing the preprocessing.

*Fit may refuse; encode never fails.* `faults` says before training what is wrong with the cells. After that, every cell
gets an encoding: a cell with an unknown value, or that is not a number, has a code of its own.

Cells arrive as pandas Series of text without blanks at their ends, NA for missing, whatever the file's format: `001` stays `001`.
A column that reads several headers gets a DataFrame with a column of such texts for each header, in the order of `reads`; its
`faults` and `missing_cells` are asked header by header.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, get_args

from pydantic import AfterValidator, Field

from mmtrain.errors import counted
from mmtrain.registry import OneOf, Registry, Section
from mmtrain.result_model import FullResult
from mmtrain.specs import Kind, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile
    from mmtrain.columns.summaries.base import Accumulator


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a name is there twice")
    return names


Names = Annotated[tuple[str, ...], AfterValidator(_once)]
"""Categories, words or classes in the order of their codes; each has one."""


@dataclass(frozen=True)
class CellError:
    """A fault of some cells of one column; `rows` are positions in the table, the first one is shown."""

    rows: np.ndarray[Any, Any]
    what: str
    fix: str


LONGEST_REMARK = 300
"""Characters of a phrase about a cell."""


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_REMARK else f"{text[: LONGEST_REMARK - 100]} ... {text[-95:]}"


@dataclass(frozen=True)
class CellWarning:
    """A remark on some cells of one column when their rows are predicted; `rows` are positions, `what` is a phrase.

    `fix` is a sentence where the cell is refused, so that its row cannot be predicted, and empty where it is predicted all the same.
    """

    rows: np.ndarray[Any, Any]
    what: str
    fix: str = ""

    def __post_init__(self) -> None:
        # A cell may be a whole document, put into the wrong column; its beginning and its end tell that.
        object.__setattr__(self, "what", _shorten(self.what))
        object.__setattr__(self, "fix", _shorten(self.fix))


@dataclass(frozen=True)
class RawInput:
    """One input of the saved model before preprocessing; `shape` is without the batch axis."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class EncodingDescription:
    """The way from a cell to its encoded tensor, in whole sentences, for programs that feed an exported network without mmtrain."""

    meaning: str
    encoded: str
    present: str
    cell: str | Mapping[str, str] | None = ""
    """A cell that might be in the table, of several headers by header; None for an image."""


Purpose = Literal["", "input", "answer", "naming", "grouping", "assigning", "ordering", "weighting"]
"""The purpose of a column: it feeds the network, is predicted, or says of its row how it is called, what it belongs to, which part of
the split it is in, when it happened, or how much it counts."""
Content = Literal["", "numbers", "names", "texts", "images"]
"""The content of an input's cells: a number, a name that recurs, a text of its own, an image; empty where checks can assume nothing."""


OptionValue = str | int | float | bool | list[str] | list[int]


class Evidence(IntEnum):
    """Strength of what speaks for a role, the weakest first; numbers in between are allowed.

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
    SPLIT_WORDS = 90
    """Words for train, validation and test, or folds."""
    FILES = 100
    """Names of image files, or images themselves."""


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


class RowSource(Protocol):
    """The encoded cells of one column in all rows, whatever they lie in; `mmtrain.data` has the implementations.

    Rows are positions in the table. An entry has the shape and dtype of the fitted column's spec.
    """

    @property
    def nbytes(self) -> int:
        """Bytes of all entries, in memory or on disk; 0 where they are made on the fly."""

    def expect(self, rows: np.ndarray[Any, Any]) -> None:
        """Prepare for `take` of these rows, called a few batches ahead; may return at once and work in a thread."""

    def take(self, rows: np.ndarray[Any, Any], out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """Return the entries of `rows`, (len(rows), *shape), in `out` where it is given. Raises RunError when a file has changed."""

    def present(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return (len(rows), 1) float32: 1 where the network sees the entry, else 0."""


class CellReader(Protocol):
    """The cells of one column of a table, as `FittedColumn.open` may read them."""

    def __len__(self) -> int:
        """Rows."""

    def chunks(self) -> Iterator[pd.Series[str]]:
        """Yield the cells in the order of the rows, chunk by chunk, spelled as training rows were."""

    def encoded(self) -> RowSource:
        """Encode the cells by the column's preprocessing layer: in memory, or in the cache where they are many."""

    def images(self) -> RowSource:
        """Return the store of the decoded images that the cells name."""


class Column(Section):
    """A column as declared. The class variables are the traits of its role; other modules use these, never a role's name."""

    role: str
    column: str = Field("", description="Header in the table, where it differs from the key.")

    purpose: ClassVar[Purpose] = ""
    content: ClassVar[Content] = ""
    harm_of_spellings: ClassVar[str] = ""
    """The harm that two spellings of one name do, a sentence; empty where cells are not names."""
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

    def doubts(self, cells: pd.Series[str]) -> list[CellError]:  # noqa: ARG002
        """Return cells of the whole table that can be used but probably mean something else; not called for a streamed column."""
        return []

    def missing_cells(self, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows without a value, (rows,); by default those whose cell is empty, of several headers all of them."""
        import numpy as np

        empty = np.asarray(cells.isna())
        return np.asarray(empty if empty.ndim == 1 else empty.all(axis=1))

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


class InputColumn(Column):
    """A column that feeds the network."""

    own_branch: ClassVar[bool] = False
    """True if it has a branch of its own where the file names no branches; all others share one."""

    purpose: ClassVar[Purpose] = "input"

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Kind of the tensor this column becomes; known before any data is read."""

    @abstractmethod
    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedColumn:
        """Learn from the cells of training rows, given in one or several pieces."""

    @property
    def description(self) -> str:
        """Role and the options that decide on the kind, with an article."""
        return f"{'an' if self.role[:1] in 'aeiou' else 'a'} {self.role} column"

    def option_for(self, kinds: Collection[str]) -> str:  # noqa: ARG002
        """Return the option that would give a tensor of one of these kinds, `name: value`; empty where none would."""
        return ""

    def options_without_effect(self) -> dict[str, tuple[str, str]]:
        """Return the options that have no effect with the others, by name: a sentence, and what to do."""
        return {}

    def remarks(self, cells: pd.Series[str], raw: np.ndarray[Any, Any], encoded: np.ndarray[Any, Any]) -> list[CellWarning]:  # noqa: ARG002
        """Return the remarks on cells that are predicted; the fitted column makes `raw` of them, and `encoded` of that.

        The policy for missing values is that of training: what it refuses or leaves out there cannot be predicted here.
        """
        import numpy as np

        rows = np.flatnonzero(self.missing_cells(cells))
        what, fix = MISSING_CELL_WARNINGS[self.policy or "error"]
        return [CellWarning(rows, what, fix)] if len(rows) else []


class CellAttribution(NamedTuple):
    """Attributions of the parts of one cell, each a name and a value; they add up to that of the cell."""

    elements: tuple[tuple[str, float], ...]
    reading: tuple[tuple[str, float], ...] = ()
    """The words that the network reads, in reading order."""
    unread: int = 0
    """Words at the end that the network does not read."""


class FittedColumn(Section):
    """A column as training rows taught it: plain values."""

    attributed_to: ClassVar[Literal["cells", "words", "regions"]] = "cells"
    """Parts of a cell that explanations attribute to."""
    decodes_images: ClassVar[bool] = False
    """True if the layer decodes image files; its third output is then the status of each, see `mmtrain.layers.image_decoding`."""

    role: str

    @property
    @abstractmethod
    def spec(self) -> TensorSpec:
        """The encoded tensor."""

    @abstractmethod
    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """Inputs of the saved model for this column, by name."""

    @abstractmethod
    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """Return cells as the array that `raw_inputs` describes, (rows, 1); of several headers (rows, headers)."""

    def open(self, cells: CellReader) -> RowSource:
        """Return the source of this column's encoded cells, a row for each row of `cells`."""
        return cells.encoded()

    def spelled(self, cells: pd.Series[str]) -> pd.Series[str]:
        """Numbers and truth values that nobody has written as text, as training rows wrote them, where the writing matters."""
        return cells

    def recipe(self) -> EncodingDescription:
        """The preprocessing in words, for the contract next to an export."""
        return EncodingDescription(f"A column of the role {self.role}.", "As its layer in model.keras computes it.", "As that layer says.")

    def accumulator(self, learned: Any = None) -> Accumulator | None:  # noqa: ARG002
        """Return what counts the column's rows for statistics.json; None where no summary is kept.

        `learned` are the statistics of training rows, when later rows are compared with them.
        """
        return None

    def baseline(self, learned: Any) -> str | np.ndarray[Any, Any] | None:  # noqa: ARG002
        """Return what attributions start from, as uninformative as an entry can be: a cell, or an entry (1, *spec.shape).

        None leaves it to the branch's embedding: the zero vector. `learned` are the statistics of training rows, if there are any.
        """
        import numpy as np

        return np.zeros((1, *self.spec.shape), dtype=self.spec.dtype) if self.spec.kind == "vector" else None

    def baseline_words(self, learned: Any) -> str:  # noqa: ARG002
        """Describe `baseline`, a noun phrase."""
        return {"vector": "zero", "index": "no category"}.get(self.spec.kind, "no words")

    def says_nothing(self, entry: np.ndarray[Any, Any]) -> bool:  # noqa: ARG002
        """Return whether an encoded entry (1, *spec.shape) that is present stands for a cell without content."""
        return False

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution | None:  # noqa: ARG002
        """Divide the attributions `values` of the places of an entry (*spec.shape[:2]) among the parts of its cell; None: it has none."""
        return None

    @property
    def named_cell(self) -> bool:
        """Return whether the whole cell names what is attributed to it."""
        return self.spec.kind in ("vector", "index")

    def learned_words(self, declared: InputColumn, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """Describe in one line what was learned, with numbers as `number` writes them; here short values, and how long others are."""
        words = []
        for name, value in self.model_dump().items():
            long = isinstance(value, list | tuple | dict)
            short = number(value) if isinstance(value, float) else str(value)
            words += [] if name == "role" else [f"{name}: {counted(len(value), 'value') if long else short}"]
        return "; ".join(words) or "nothing"

    @property
    def tabular(self) -> Literal["", "numbers", "codes"]:
        """Return the form in which a model of trees reads the encoded column; empty: it does not."""
        return "numbers" if self.spec.kind == "vector" else "codes" if self.spec.kind == "index" else ""

    def features(self, encoded: np.ndarray[Any, Any], present: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return encoded numbers (rows, width) as features of a model of trees, float64, NaN where a value is missing."""
        import numpy as np

        return np.where(present > 0, encoded.astype(np.float64), np.nan)

    @abstractmethod
    def preprocessing(self) -> Any:
        """A registered Keras layer: raw tensors in, `(encoded, present)` out; present is (batch, 1) float32, 0 or 1.

        What it gives beyond these two is not seen by the network.
        """

    @classmethod
    def preprocessing_together(cls, columns: Sequence[Any]) -> Any:  # noqa: ARG003
        """Return one registered layer for several columns of this class, `columns`, or None: each has its own layer.

        It takes the raw tensors of all columns side by side, (batch, columns), and gives their encoded tensors side by side and their
        presence, (batch, columns). A class that is derived from this one and changes `preprocessing` has to change this as well.
        """
        return None


MISSING_WORDS = (
    *("na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "not available", "unknown", "missing"),
    *("n.a.", "n.a", "-nan", "(null)", "(blank)", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"),
    *("?", "-", "--", "."),
)
"""Words that stand for a missing value, in lower case: R, pandas, spreadsheets and people write them into cells that have none. The
formulas of a spreadsheet that failed are among them."""

MISSING_CELL_WARNINGS = {
    "median": ("missing, imputed", ""),
    "code": ("missing, has a code of its own", ""),
    "mask": ("masked, the cell is empty", ""),
    "error": ("the cell is empty", "Fill it in, or train with another `missing` than `error`."),
    "drop": ("the cell is empty", "Fill it in, or train with another `missing` than `drop`."),
}
"""The remark on an empty cell, and what would be right where it is refused, by the column's `missing`."""

roles: Registry[Any] = Registry("role")
fitted_roles: Registry[type[FittedColumn]] = Registry("fitted role")


def role(name: str, *, fitted: type[FittedColumn] | None = None) -> Callable[[Any], Any]:
    """Register a `Column` class (or an annotated union of such) as `role: name`, with the class that `fit` returns."""

    def register(column: Any) -> Any:
        roles.add(name, column)
        if fitted is not None:
            fitted_roles.add(name, fitted)
        return column

    return register


def role_class(name: str) -> type[Column]:
    """Return the class of a role, with its traits; of an unregistered name `Column`, which has none."""
    entry = dict(roles.items()).get(name, Column)
    cls: type[Column] = next(iter(get_args(entry)), entry)
    return cls


AnyColumn = Annotated[Column, OneOf("role", lambda: dict(roles.items()))]
AnyFittedColumn = Annotated[FittedColumn, OneOf("role", lambda: dict(fitted_roles.items()))]


OfRole = TypeVar("OfRole", bound=Column)


def column_of_role(columns: Mapping[str, Column], role: type[OfRole]) -> OfRole | None:
    """Return the column of a role that at most one column has, or None."""
    return next((column for column in columns.values() if isinstance(column, role)), None)


def inputs_among(columns: Mapping[str, Column | None]) -> dict[str, InputColumn]:
    """Return the columns that feed the network, by key, in their order."""
    return {key: column for key, column in columns.items() if isinstance(column, InputColumn)}


def missing_words(rows: int) -> str:
    """`missing in 12 training rows`."""
    return f"missing in {counted(rows, 'training row')}" if rows else "never missing"


def rows_by_value(cells: pd.Series[str], rows: np.ndarray[Any, Any]) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """The different values of the cells at `rows`, each with its rows."""
    import numpy as np
    import pandas as pd

    if not len(rows):
        return []  # pandas takes longer over nothing than the network over the piece
    codes, names = pd.factorize(cells.iloc[rows])
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    return [(str(name), places) for name, places in zip(names, np.split(rows[np.argsort(codes, kind="stable")], ends), strict=False)]


def concatenate(cells: Iterable[pd.Series[str]]) -> pd.Series[str]:
    """Return all chunks in one Series."""
    import pandas as pd

    pieces = list(cells)
    return pieces[0] if len(pieces) == 1 else pd.concat(pieces, ignore_index=True)


def is_word(cells: pd.Series[str], words: Collection[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Cells that are one of `words` (in lower case), whatever their case, (rows,); a missing cell is none."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not words:
        return np.zeros(len(cells), dtype=np.bool_)
    lower = pc.utf8_lower(pa.array(cells, pa.large_string(), from_pandas=True))
    matches: np.ndarray[Any, np.dtype[np.bool_]] = pc.is_in(lower, value_set=pa.array(words, pa.large_string())).to_numpy(
        zero_copy_only=False
    )
    return matches


def intern_cells(cells: pd.Series[str]) -> pd.Categorical[str]:
    """Cells as codes and names, an empty string where missing: of a million cells of few different values, 1 to 4 MB."""
    import pandas as pd

    return pd.Categorical(cells.fillna("") if cells.isna().any() else cells)


def missing_cell_error(cells: pd.Series[str], policy: str, allowed: Mapping[str, str]) -> list[CellError]:
    """Return the fault of `missing: error` when a cell is missing; `allowed` describes the other policies for the fix."""
    import numpy as np

    rows = np.flatnonzero(cells.isna())
    if policy != "error" or not len(rows):
        return []
    ways = ["Fill it in", *(f"set `missing: {name}` to {effect}" for name, effect in allowed.items())]
    fix = f"{', '.join(ways[:-1])}, or {ways[-1]}."
    return [CellError(rows, "the cell is empty.", fix)]
