"""`role: numeric`: one number per row.

Encoded as kind `vector`: (batch, 1) float32, or (batch, 2) when training rows have holes and `missing: median` fills
them: the second value is 1 where the number was missing. A cell that is not a number within float32, met after training,
counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.base import Content, Evidence, Guess, role
from mmtrain.columns.cells import MISSING_WORDS, CellError, CellWarning, missing_cell_error, missing_words, rows_by_value
from mmtrain.columns.fitted_column import EncodingDescription, FittedColumn, RawInput
from mmtrain.columns.input_column import InputColumn
from mmtrain.columns.numbers import MAX_EDGES, _encoded_edges, _not_a_number, bin_edges, center_and_scale, number_errors, parse_numbers
from mmtrain.errors import counted, listed
from mmtrain.registry import Section
from mmtrain.specs import Kind, NumberEncoding, VectorSpec
from mmtrain.text.printable import format_number, quote_value

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile
    from mmtrain.columns.summaries.base import Accumulator

MISSING = {"median": "use the training median", "mask": "leave the number out of that row", "drop": "leave the row out"}


WITH_UNIT = re.compile(
    r"(?P<before>[$€£¥₹<>≤≥~≈]\s?)?[+-]?\d[\d.,'\s]*(?P<behind>[%‰°$€£¥₹]|\s[^\W\d]{1,8}|mm|cm|km|m|mg|kg|g|ml|l|ms|s|min|h|bpm|mmHg|yrs?|years?|px)?"
)
"""A number with a sign of money or comparison in front, or with a unit behind it: after a blank any, right behind it a usual one."""


def _unit(profile: Profile) -> str:
    """Return the one unit or sign of all numbers, `mg` or `$`; empty where there is none or values repeat, as those of sizes do."""
    if profile.number_cells or profile.repeats:
        return ""
    matches = [WITH_UNIT.fullmatch(value) for value in profile.values]
    units = {(match["before"] or match["behind"] or "").strip() if match else "" for match in matches}
    return units.pop() if len(units) == 1 else ""


AUTO_ROWS = 1_000
"""Training rows with a number from which most architectures read bins where `embed` is auto; below they read the number itself. On diabetes
(287 training rows, 3 splits) bins took the R2 of an MLP from .46 to .44; the ensemble `tabm` reads both at any size."""


class FittedNumeric(FittedColumn):
    """`(value - center) / scale` on training rows; `fill` replaces a missing value before that."""

    role: Literal["numeric"] = "numeric"
    fill: float
    center: float
    scale: float = Field(gt=0)
    indicator: bool
    masked: bool
    minimum: float
    maximum: float
    missing: int = Field(description="Training rows without a value.")
    embed: NumberEncoding = "none"
    few_rows: bool = Field(False, description="Fewer training rows with a number than bins need in most architectures.")
    edges: tuple[float, ...] = Field((), max_length=MAX_EDGES, description="Edges of the bins, in the column's unit.")
    ranks: tuple[float, ...] = Field((), max_length=MAX_EDGES, description="Rank among training rows at each edge, 0 to 1.")

    @property
    def spec(self) -> VectorSpec:
        """(batch, 1) or, with the missing indicator, (batch, 2); the network expands the number as `embed` says."""
        edges, ranks = _encoded_edges(self.edges, self.ranks, self.center, self.scale)
        return VectorSpec(2 if self.indicator else 1, self.embed, edges, ranks, self.few_rows)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One float64 number, NaN for missing."""
        return {name: RawInput((1,), "float64")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1) float64."""
        return parse_numbers(cells)[:, None]

    def accumulator(self, learned: Any = None) -> Accumulator:
        """Moments, quartiles and range."""
        from mmtrain.columns.summaries.numbers import NumericAccumulator

        return NumericAccumulator(learned)

    def baseline(self, learned: Any) -> str | np.ndarray[Any, Any] | None:
        """Return the training median; 0 where it is not known."""
        return super().baseline(learned) if learned is None else repr(learned.quartiles[1])

    def baseline_words(self, learned: Any) -> str:
        """Describe the baseline with its number."""
        return super().baseline_words(learned) if learned is None else f"the training median, {learned.quartiles[1]:g}"

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:
        """Range, and what is used of mean, deviation and median."""
        words = [f"from {number(self.minimum)} to {number(self.maximum)}"]
        if dict(declared).get("normalize") == "standard":
            words.append(f"mean {number(self.center)}, standard deviation {number(self.scale)}")
        if self.embed in ("piecewise_linear", "quantile"):
            words.append(f"{len(self.edges)} edges of bins")
        if not self.masked:
            words.append(f"median {number(self.fill)}" + (" instead of a missing number" if self.missing else ""))
        return "; ".join([*words, missing_words(self.missing)])

    def features(self, encoded: np.ndarray[Any, Any], present: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return (rows, 1): the number; the indicator says which ones are missing."""
        # A filled number is present; the indicator, second column, says that it is the median.
        return super().features(encoded[:, :1], present * (encoded[:, 1:] == 0) if self.indicator else present)

    def recipe(self) -> EncodingDescription:
        """Center, scale and fill, with their numbers."""
        flag = ", then 1 if the number is missing, else 0" if self.indicator else ""
        scaled = f"(number - {self.center!r}) / {self.scale!r}, reckoned in float64 and rounded to float32"
        encoded = f"{scaled}{flag}. A missing number is taken to be {self.fill!r}."
        present = "1 if there is a number, else 0." if self.masked else "Always 1."
        return EncodingDescription("A number.", encoded, present, repr(self.fill))

    def preprocessing(self) -> Any:
        """Fills, scales and flags in float64, then rounds to float32 once."""
        return self.preprocessing_together([self])

    @classmethod
    def preprocessing_together(cls, columns: Sequence[FittedNumeric]) -> Any:
        """Return the same for the numbers of many columns at once."""
        from mmtrain.layers.encoding import EncodeNumbers

        names = ("fill", "center", "scale", "indicator", "masked")
        return EncodeNumbers(**{name: [getattr(column, name) for column in columns] for name in names})


@role("numeric", fitted=FittedNumeric)
class Numeric(InputColumn):
    """A number."""

    content: ClassVar[Content] = "numbers"

    role: Literal["numeric"] = "numeric"
    normalize: Literal["standard", "minmax", "none"] = Field(
        "standard", description="standard: mean 0 and standard deviation 1; minmax: 0 to 1; none: as it is. Learned from training rows."
    )
    missing: Literal["median", "mask", "error", "drop"] = Field(
        "median",
        description="median: the training median and an indicator; mask: the branch goes without; error: refuse; drop: leave the row out.",
    )
    embed: NumberEncoding = Field(
        "auto",
        description="Encoding inside the network, learned from training rows. none: the number itself; quantile: its rank as a normal "
        "score; piecewise_linear: a value per bin; periodic: sines of learned frequencies; auto: what the architecture chooses, in most "
        "none with less than 1,000 training rows.",
    )

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by cells that are numbers, or numbers with a unit; used where all others mean that a value is missing."""
        if unit := _unit(profile):
            reason = f"numbers with {quote_value(unit)}, as {profile.example}: write them without it, and the unit into the header"
            return Guess(role="numeric", evidence=Evidence.UNITS, reason=reason, used=False)
        if profile.numbers is None or profile.number_cells * 2 < profile.filled:
            return None
        reason = f"numbers from {format_number(profile.numbers.minimum)} to {format_number(profile.numbers.maximum)}"
        others = profile.not_numbers
        words = tuple(cell for cell in others if cell.strip().casefold() in MISSING_WORDS)
        if profile.all_numbers or len(words) == len(others) < 5:  # `not_numbers` has at most five: with five there may be more
            means = f"; {listed([quote_value(word) for word in words])} {'means' if len(words) == 1 else 'mean'} missing"
            reason += "" if profile.all_numbers else means
            return Guess(role="numeric", evidence=Evidence.NUMBERS, reason=reason, missing_words=words)
        neither_names_nor_texts = profile.distinct * 2 > profile.filled and not profile.has_sentences
        if profile.number_cells < 0.9 * profile.filled and not neither_names_nor_texts:
            return None
        number = profile.filled - profile.number_cells
        reason = f"numbers, but {counted(number, 'cell is', 'cells are')} not, as {quote_value(others[0])}"
        return Guess(role="numeric", evidence=Evidence.NUMBERS, reason=reason, used=False)

    @property
    def kind(self) -> Kind:
        """Always a vector."""
        return "vector"

    @property
    def holds_numbers(self) -> bool:
        """Always."""
        return True

    @classmethod
    def ranks(cls, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the numbers themselves."""
        return parse_numbers(cells)

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Words, infinities, numbers out of range, a column without any number, and missing cells where those are refused."""
        import numpy as np

        words = "Set `role: categorical` for names, or `role: text` for texts; a numeric column holds numbers."
        faults = number_errors(cells, words) + missing_cell_error(cells, self.missing, MISSING)
        if not faults and cells.isna().all():
            faults = [CellError(np.arange(1), "no row has a number.", "Remove the column from the file, or fill it in.")]
        return faults

    def remarks(self, cells: pd.Series[str], raw: np.ndarray[Any, Any], encoded: np.ndarray[Any, Any]) -> list[CellWarning]:
        """Words and numbers out of range are refused, as in training; what a missing number becomes is the policy's."""
        import numpy as np

        without = np.flatnonzero(np.isnan(raw[:, 0]))
        if not len(without):
            return []  # the usual case; pandas takes longer over nothing than the network over a row
        bad = without[cells.iloc[without].notna()]
        return [CellWarning(rows, *_not_a_number(cell)) for cell, rows in rows_by_value(cells, bad)] + super().remarks(cells, raw, encoded)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedNumeric:
        """Median, center and scale of the numbers in training rows; a constant column gets scale 1."""
        import numpy as np

        values = np.concatenate([parse_numbers(piece) for piece in cells])
        known = values[~np.isnan(values)]
        # Training rows without any number, which only a part of the table can have: zeros keep every statistic finite.
        if not len(known):
            known = np.zeros(1)
        center, scale = 0.0, 1.0
        if self.normalize == "standard":
            center, scale = center_and_scale(known)
        elif self.normalize == "minmax":
            # A constant column has no range to divide by.
            center, scale = float(known.min()), float(known.max() - known.min()) or 1.0
        missing = int(np.isnan(values).sum())
        edges, ranks = bin_edges(known)
        return FittedNumeric(
            # A masked number is never read; filled with the center, it is encoded as 0.
            fill=center if self.missing == "mask" else float(np.median(known)),
            center=center,
            scale=scale,
            # Without a missing training row an indicator would be constant, and its weight untrained.
            indicator=self.missing == "median" and missing > 0,
            masked=self.missing == "mask",
            minimum=float(known.min()),
            maximum=float(known.max()),
            missing=missing,
            embed=self.embed,
            few_rows=len(known) < AUTO_ROWS,
            edges=edges,
            ranks=ranks,
        )
