"""A series in each row as training rows taught it: its length, and the scale of each of its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.categorical import texts
from mmtrain.columns.cells import missing_words
from mmtrain.columns.fitted_column import EncodingDescription, FittedColumn, RawInput
from mmtrain.errors import counted, listed
from mmtrain.registry import Section
from mmtrain.specs import SequenceSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator

EXAMPLE = "[1, 2, 3]"


class FittedSequence(FittedColumn):
    """Length of the encoded series, center and scale of each value."""

    role: Literal["sequence"] = "sequence"
    headers: tuple[str, ...] = Field(min_length=1, description="Headers of the values and, with `timed`, of their times at the end.")
    timed: bool
    step: float = Field(ge=0, description="Time between two steps; 0 for events, which are a step each.")
    from_start: bool
    length: int = Field(ge=1, description="Steps that the network reads.")
    longest: int = Field(description="Steps of the longest training series.")
    center: tuple[float, ...]
    scale: tuple[float, ...]
    masked: bool
    missing: int = Field(description="Training rows without a series.")

    @property
    def values(self) -> tuple[str, ...]:
        """Headers of the values."""
        return self.headers[: len(self.center)]

    @property
    def spec(self) -> SequenceSpec:
        """(batch, length, width)."""
        return SequenceSpec(self.length, len(self.center), timed=self.timed and not self.step)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """A text with a list for each header, empty for missing."""
        return {name: RawInput((len(self.headers),), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, headers) str."""
        import numpy as np

        table: Any = cells  # of several headers a DataFrame
        return np.stack([texts(cells if len(self.headers) == 1 else table[header]) for header in self.headers], axis=1)

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Number of steps."""
        from mmtrain.columns.summaries.vectors import SequenceAccumulator

        return SequenceAccumulator(len(self.center))

    def baseline_entry(self, entry: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the steps of an entry with training means in the place of their values.

        Without steps there would be no path: that a step is there does not change by degrees.
        """
        start = entry.copy()
        start[:, :, : len(self.center)] = 0
        return start

    def baseline_words(self, learned: Any) -> str:  # noqa: ARG002
        """Describe the baseline."""
        return "training means at the times of the row"

    def says_nothing(self, entry: np.ndarray[Any, Any]) -> bool:
        """Return whether the series has no steps."""
        return not entry.any()

    @property
    def named_cell(self) -> bool:
        """The numbers name nothing."""
        return False

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """Values, steps, and how many are cut off."""
        steps = f"{counted(self.length, 'step')}, the longest series has {number(self.longest)}"
        cut = f"; the {'first' if self.from_start else 'last'} ones are read" if self.longest > self.length else ""
        each = f"; a step each {number(self.step)}" if self.step else ""
        return f"{listed(self.values)}: {steps}{cut}{each}; {missing_words(self.missing)}"

    def recipe(self) -> EncodingDescription:
        """Steps and scaling."""
        time = f" at the times of {self.headers[-1]!r}" if self.timed else ""
        grid = (
            f"Values between two multiples of {self.step!r}, counted from the first time of the row, are one step with their mean. "
            if self.step
            else ""
        )
        since = ", then ln(1 + the time since the step before)" if self.spec.timed else ""
        encoded = (
            f"{grid}A step has (value - center) / scale for each value of {listed(self.values)}, center {list(self.center)!r} and scale "
            f"{list(self.scale)!r}, 0 for a missing one, then 1 or 0 for each value that is there or not{since}. The "
            f"{'first' if self.from_start else 'last'} {self.length} steps are kept, and zeros follow the last one."
        )
        present = "1 if there is a step, else 0." if self.masked else "Always 1."
        cell = EXAMPLE if len(self.headers) == 1 else dict.fromkeys(self.headers, EXAMPLE)
        return EncodingDescription(f"Lists of numbers in the order of time{time}, such as {EXAMPLE}.", encoded, present, cell)

    def preprocessing(self) -> Any:
        """Reads, resamples and scales series."""
        from mmtrain.layers.numbers.series import EncodeSequence

        names = ("length", "center", "scale", "timed", "step", "from_start", "masked")
        return EncodeSequence(**{name: getattr(self, name) for name in names})
