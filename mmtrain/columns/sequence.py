"""`role: sequence`: a series of numbers in the order of time, as a list in a cell, or as the rows of a second table.

Encoded as kind `sequence`: (batch, length, width) float32. Several headers give several values a step; a header of times makes their
distances part of the series, or with `step` a grid of equal distances on which values are averaged. Steps without a value are masked.

    >>> import pandas as pd
    >>> column = TimeSeries(column="pulse", most=2)
    >>> [(doubt.rows.tolist(), doubt.what) for doubt in column.doubts(pd.Series(["[70, 72, 75]", "[64]"], dtype="str"))]
    [([0], 'the series has 3 steps, and the last 2 of them are read.')]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mmtrain.columns.base import Content, Evidence, Guess, role
from mmtrain.columns.cells import CellError, CellWarning, missing_cell_error
from mmtrain.columns.embedding import list_lengths, shown_list
from mmtrain.columns.input_column import InputColumn
from mmtrain.columns.numbers import LARGEST
from mmtrain.columns.vectorizers.fitted_sequence import FittedSequence
from mmtrain.errors import DataError, Problem, counted
from mmtrain.specs import Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile

NOTHING = r"(?i)[\[\](){}\"',;\s]*(?:\b(?:null|none|nan|na)\b[\[\](){}\"',;\s]*)*"
"""A list without any number."""
WITHIN = "Write numbers between -3.4e38 and 3.4e38, or null."
MISSING = {"mask": "leave the series out of that row", "drop": "leave the row out"}


@role("sequence", fitted=FittedSequence)
class TimeSeries(InputColumn):
    """A series of numbers in the order of time, such as measurements of a stay."""

    content: ClassVar[Content] = "series"
    own_branch: ClassVar[bool] = True

    role: Literal["sequence"] = "sequence"
    columns: tuple[str, ...] = Field(
        (),
        description="Headers of the values of a step, such as [vitals.pulse, vitals.pressure]. Left out: that of `column`.",
    )
    time: str = Field(
        "", description="Header of the times of the values, numbers in any unit, in order. Left out: only the order of values is known."
    )
    step: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Distance of the steps in the unit of `time`: values between two multiples of it are averaged, and empty steps masked. "
        "0: each time is a step, with its distance from the one before.",
    )
    most: int = Field(256, ge=1, le=100_000, description="Steps that are read at most.")
    keep: Literal["last", "first"] = Field("last", description="Steps that are read of series with more than `most`.")
    normalize: Literal["standard", "none"] = Field(
        "standard", description="standard: mean 0 and standard deviation 1 of each value over the steps of training rows; none: as it is."
    )
    missing: Literal["mask", "error", "drop"] = Field(
        "mask", description="Rows without any step. mask: the branch goes without; error: refuse; drop: leave the row out."
    )

    @model_validator(mode="after")
    def _steps_need_times(self) -> TimeSeries:
        if self.step and not self.time:
            raise ValueError("`step` needs `time`, the header of the times that it divides.")
        if len(set(self.reads())) < len(self.reads()):
            raise ValueError("`columns` and `time` name each header once.")
        return self

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by lists of numbers in brackets that differ in length."""
        lengths = list_lengths(profile)
        if len(lengths) < 2:
            return None
        return Guess(role="sequence", evidence=Evidence.LISTS, reason=f"lists of {min(lengths)} to {max(lengths)} numbers")

    @property
    def kind(self) -> Kind:
        """Always a sequence."""
        return "sequence"

    def reads(self) -> tuple[str, ...]:
        """Headers of the values, then that of the times."""
        return (*(self.columns or (self.column,)), *([self.time] if self.time else []))

    def missing_cells(self, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows without any number among their values; a list may be `[]` or `[null]`."""
        import numpy as np

        if cells.ndim == 1:
            return _without_numbers(cells)
        table: Any = cells  # of several headers a DataFrame
        return np.asarray(np.logical_and.reduce([_without_numbers(table[header]) for header in self.columns or (self.column,)]))

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Words among numbers, numbers beyond float32, a column without any list, and missing cells where those are refused."""
        import numpy as np

        faults = missing_cell_error(cells.mask(_without_numbers(cells)), self.missing, MISSING)
        if _without_numbers(cells).all():
            return faults or [CellError(np.arange(1), "no row has a series.", "Remove the column from the file, or fill it in.")]
        return [*faults, *_word_faults(cells)]

    def doubts(self, cells: pd.Series[str]) -> list[CellError]:
        """Series of more steps than are read."""
        import numpy as np

        from mmtrain.text.number_lists import split_words

        counts = np.diff(split_words(cells)[1], prepend=0)
        long = np.flatnonzero(counts > self.most)
        if self.step or not len(long):
            return []
        what = f"the series has {counts[long[0]]:,} steps, and the {self.keep} {self.most:,} of them are read."
        return [CellError(long, what, "Raise `most` to read more of them, or set `step` to average some.")]

    def _time_faults(self, cells: Any) -> list[CellError]:
        """Return rows with another number of times than of values; without `step`, also those whose times are not in order."""
        import numpy as np

        from mmtrain.text.number_lists import split_numbers

        moments, time_ends = split_numbers(cells[self.time])
        times = np.diff(time_ends, prepend=0)
        for header in self.columns or (self.column,):
            counts = np.diff(split_numbers(cells[header])[1], prepend=0)
            if len(bad := np.flatnonzero((counts != times) & ~_without_numbers(cells[header]))):
                what = f"the series {shown_list(cells[header].iloc[bad[0]])} of {header!r} has {counted(int(counts[bad[0]]), 'value')}"
                return [CellError(bad, f"{what}, and {counted(int(times[bad[0]]), 'time')}.", "Write a time for each value, or null.")]
        known = np.flatnonzero(~np.isnan(moments))
        rows = np.searchsorted(time_ends, known, side="right")
        back = np.flatnonzero((np.diff(moments[known]) < 0) & (np.diff(rows) == 0))
        if self.step or not len(back):
            return []
        what = f"the times {shown_list(cells[self.time].iloc[rows[back[0]]])} are not in order."
        return [CellError(np.unique(rows[back]), what, "Sort the lists by time; of a second table, name the header as its `time` as well.")]

    def remarks(self, cells: pd.Series[str], raw: np.ndarray[Any, Any], encoded: np.ndarray[Any, Any]) -> list[CellWarning]:
        """Refuse words, values without times, and times that are not in order, as in training."""
        table: Any = cells  # of several headers a DataFrame
        faults = [fault for header in self.reads() for fault in _word_faults(cells if cells.ndim == 1 else table[header])]
        faults += self._time_faults(cells) if self.time else []
        return [CellWarning(fault.rows, fault.what.rstrip("."), fault.fix) for fault in faults] + super().remarks(cells, raw, encoded)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedSequence:
        """Length of the longest series, mean and deviation of each value over the steps of training rows.

        Raises DataError for values without times, and for times that are not in order.
        """
        import numpy as np
        import tensorflow as tf

        from mmtrain.columns.summaries.base import Moments
        from mmtrain.layers.numbers.series import steps

        headers, values = self.reads(), len(self.columns or (self.column,))
        options: dict[str, Any] = {"timed": bool(self.time), "step": self.step, "from_start": self.keep == "first"}
        draft = FittedSequence(
            headers=headers,
            **options,
            length=1,
            longest=0,
            center=(0.0,) * values,
            scale=(1.0,) * values,
            masked=self.missing == "mask",
            missing=0,
        )
        moments, longest, missing = [Moments() for _ in range(values)], 0, 0
        for piece in cells:
            if self.time and (faults := self._time_faults(piece)):
                raise DataError([Problem(self.column, fault.what, fault.fix) for fault in faults])
            numbers, observed, _, count = (
                one.numpy() for one in steps(tf.constant(draft.raw(piece), tf.string), values, most=self.most, **options)
            )
            for channel, one in enumerate(moments):
                one.add(numbers[:, :, channel][observed[:, :, channel]])
            longest, missing = max(longest, int(count.max(initial=0))), missing + int((count == 0).sum())
        scaled = self.normalize == "standard"
        return draft.model_copy(
            update={
                "length": max(1, min(longest, self.most)),
                "longest": longest,
                "missing": missing,
                "center": tuple(float(one.mean) if scaled else 0.0 for one in moments),
                # Equal numbers, up to the rounding of their mean, have no deviation to divide by.
                "scale": tuple(float(one.deviation) if scaled and one.deviation > 1e-9 * np.abs(one.mean) else 1.0 for one in moments),
            }
        )


def _without_numbers(cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which cells are empty, or lists without numbers such as `[]` and `[null]`."""
    import numpy as np

    return np.asarray(cells.fillna("").str.fullmatch(NOTHING), dtype=np.bool_)


def _word_faults(cells: pd.Series[str]) -> list[CellError]:
    """Return the fault of lists with words among their numbers, else that of numbers that are too large."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from mmtrain.text.number_lists import MISSING_NUMBERS, split_numbers, split_words

    values, _ = split_numbers(cells)
    words, ends = split_words(cells)
    means_missing = pc.is_in(pc.utf8_lower(words), pa.array(MISSING_NUMBERS, words.type)).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(np.isnan(values) & ~means_missing)
    if not len(wrong):
        large = np.flatnonzero(np.abs(values) > LARGEST)
        rows = np.unique(np.searchsorted(ends, large, side="right"))
        return [CellError(rows, f"{words[int(large[0])].as_py()!r} is too large.", WITHIN)] if len(large) else []
    rows = np.unique(np.searchsorted(ends, wrong, side="right"))
    what = f"{words[int(wrong[0])].as_py()!r} in {shown_list(cells.iloc[rows[0]])} is not a number."
    return [CellError(rows, what, "Write lists such as [70, 72.5, null], null for a missing number.")]
