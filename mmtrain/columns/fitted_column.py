"""The contract of a fitted column: plain values learned from training rows, its encoding, and its part in reports and explanations.

>>> import pandas as pd
>>> from mmtrain.columns.categorical import Categorical
>>> fitted = Categorical(column="sex").fit([pd.Series(["m", "f", "f"], dtype="str")])
>>> fitted.categories, fitted.spec.size
(('f', 'm'), 4)
>>> fitted.raw(pd.Series(["m", None], dtype="str")).tolist()
[['m'], ['']]
>>> fitted.recipe().present
'Always 1.'
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from mmtrain.errors import counted
from mmtrain.registry import Section
from mmtrain.specs import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator


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
    raw: str = ""
    """The raw input of a saved model, where it is not the cell as it is."""


class RowSource(Protocol):
    """The encoded cells of one column in all rows, whatever they lie in; `mmtrain.data` has the implementations.

    Rows are positions in the table. An entry has the shape and dtype of the fitted column's spec, or of the spec that
    `Arrays.with_source` was given with the source. A source is never asked for its class: anything with these methods is one.
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


class CellAttribution(NamedTuple):
    """Attributions of the parts of one cell, each a name and a value; they add up to that of the cell."""

    elements: tuple[tuple[str, float], ...]
    reading: tuple[tuple[str, float], ...] = ()
    """The words that the network reads, in reading order."""
    unread: int = 0
    """Words at the end that the network does not read."""


class FittedColumn(Section):
    """A column as training rows taught it: plain values."""

    attributed_to: ClassVar[Literal["cells", "words", "regions", "members"]] = "cells"
    """Parts of a cell that explanations attribute to."""

    role: str

    @property
    def decodes_images(self) -> bool:
        """True if the layer decodes image files; its third output is then the status of each, see `mmtrain.layers.image_decoding`."""
        return False

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
        """Return typed numbers and truth values in the spelling of training rows, where the spelling matters."""
        return cells

    def recipe(self) -> EncodingDescription:
        """Describe the preprocessing in words, for the contract next to an export."""
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

    def baseline_entry(self, entry: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:  # noqa: ARG002
        """Return what the attributions of one entry (1, *spec.shape) start from, where that depends on the entry; None where not."""
        return None

    def baseline_words(self, learned: Any) -> str:  # noqa: ARG002
        """Describe `baseline`, a noun phrase."""
        return {"vector": "zero", "index": "no category"}.get(self.spec.kind, "no words")

    @property
    def attributed_axes(self) -> int:
        """Number of axes of an entry whose places explanations attribute to; what is behind them is summed."""
        return 2

    def says_nothing(self, entry: np.ndarray[Any, Any]) -> bool:  # noqa: ARG002
        """Return whether an encoded entry (1, *spec.shape) that is present stands for a cell without content."""
        return False

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution | None:  # noqa: ARG002
        """Divide the attributions `values` of the places of an entry among the parts of its cell; None: it has none."""
        return None

    @property
    def named_cell(self) -> bool:
        """Return whether the whole cell names what is attributed to it."""
        return self.spec.kind in ("vector", "index")

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
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
        """Return encoded numbers (rows, width) as features of a model of trees, float64, NaN where a value is missing.

        A missing indicator, the last number of columns whose field `indicator` is true, is read and left out.
        """
        import numpy as np

        if getattr(self, "indicator", False):
            # A filled value is present; the indicator says that it is filled.
            encoded, present = encoded[:, :-1], present * (encoded[:, -1:] == 0)
        return np.where(present > 0, encoded.astype(np.float64), np.nan)

    @abstractmethod
    def preprocessing(self) -> Any:
        """A registered Keras layer: raw tensors in, `(encoded, present)` out; present is (batch, 1) float32, 0 or 1.

        The network does not see further outputs.
        """

    @classmethod
    def preprocessing_together(cls, columns: Sequence[Any]) -> Any:  # noqa: ARG003
        """Return one registered layer for several columns of this class, `columns`, or None: each has its own layer.

        It takes the raw tensors of all columns side by side, (batch, columns), and gives their encoded tensors side by side and their
        presence, (batch, columns). A class that is derived from this one and changes `preprocessing` has to change this as well.
        """
        return None
