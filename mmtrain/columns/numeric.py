"""`role: numeric`: one number per row.

Encoded as kind `vector`: (batch, 1) float32, or (batch, 2) when training rows have holes and `missing: median` fills
them: the second value is 1 where the number was missing. A cell that is not a number within float32, met after training,
counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.base import Content, Evidence, Guess, role
from mmtrain.columns.cells import MISSING_WORDS, CellError, CellWarning, missing_cell_error, rows_by_value
from mmtrain.columns.input_column import InputColumn
from mmtrain.columns.numbers import bin_edges, center_and_scale, number_errors, number_fault, parse_numbers
from mmtrain.columns.vectorizers.fitted_number import FittedNumeric
from mmtrain.columns.vectorizers.number_transforms import NumberTransform
from mmtrain.errors import counted, listed
from mmtrain.specs import Kind, NumberEncoding
from mmtrain.text.printable import format_number, quote_value

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile

MISSING = {
    "median": "use the training median",
    "mean": "use the training mean",
    "constant": "use a number of your own",
    "mask": "leave the number out of that row",
    "drop": "leave the row out",
}


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


@role("numeric", fitted=FittedNumeric)
class Numeric(InputColumn):
    """A number."""

    content: ClassVar[Content] = "numbers"

    role: Literal["numeric"] = "numeric"
    normalize: Literal["standard", "minmax", "robust", "log1p", "yeo_johnson", "quantile", "none"] = Field(
        "standard",
        description="standard: mean 0 and standard deviation 1; minmax: 0 to 1; robust: median 0 and interquartile range 1; log1p: "
        "logarithm of 1 + the number, with its sign, then standard; yeo_johnson: likeliest power (Yeo and Johnson 2000), then standard; "
        "quantile: normal score of the rank; none: as it is. Learned from training rows.",
    )
    clip: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Numbers outside of the training quantiles `clip` and 1 - `clip` are taken to be these: 0.01 bounds the "
        "largest and the smallest hundredth. 0: no bounds.",
    )
    missing: Literal["median", "mean", "constant", "mask", "error", "drop"] = Field(
        "median",
        description="median or mean: that of training rows and an indicator; constant: the option `constant` and an indicator; mask: the "
        "branch goes without; error: refuse; drop: leave the row out.",
    )
    constant: float = Field(0.0, allow_inf_nan=False, description="Number in the place of a missing one, with `missing: constant`.")
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

    def options_without_effect(self) -> dict[str, tuple[str, str]]:
        """Return `constant` where nothing is filled with it."""
        if not self.constant or self.missing == "constant":
            return {}
        what = f"`constant` has no effect with `missing: {self.missing}`."
        return {"constant": (what, "Set `missing: constant`, or leave it out.")}

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
        return [CellWarning(rows, *number_fault(cell)) for cell, rows in rows_by_value(cells, bad)] + super().remarks(cells, raw, encoded)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedNumeric:
        """Median, center and scale of the numbers in training rows; a constant column gets scale 1."""
        import numpy as np

        values = np.concatenate([parse_numbers(piece) for piece in cells])
        known = values[~np.isnan(values)]
        # Training rows without any number, which only a part of the table can have: zeros keep every statistic finite.
        if not len(known):
            known = np.zeros(1)
        bounds = tuple(np.quantile(known, (self.clip, 1 - self.clip)).tolist()) if self.clip else None
        bounded = known if bounds is None else np.clip(known, *bounds)
        method = self.normalize if self.normalize in ("log1p", "yeo_johnson", "quantile") else None
        transform = NumberTransform.fit(method, bounded) if method else None
        center, scale = self._scaling(bounded if transform is None else transform.apply(bounded))
        missing = int(np.isnan(values).sum())
        edges, ranks = bin_edges(known)
        fills = {"mean": float(known.mean()), "constant": self.constant}
        # A masked number is never read; filled with the center, it is encoded as 0.
        if transform is None and bounds is None:
            fills["mask"] = center
        return FittedNumeric(
            fill=fills[self.missing] if self.missing in fills else float(np.median(known)),
            center=center,
            scale=scale,
            # Without a missing training row an indicator would be constant, and its weight untrained.
            indicator=self.missing in ("median", "mean", "constant") and missing > 0,
            masked=self.missing == "mask",
            minimum=float(known.min()),
            maximum=float(known.max()),
            missing=missing,
            embed=self.embed,
            few_rows=len(known) < AUTO_ROWS,
            edges=edges,
            ranks=ranks,
            bounds=bounds,
            transform=transform,
        )

    def _scaling(self, numbers: np.ndarray[Any, Any]) -> tuple[float, float]:
        """Return center and scale of transformed numbers; the scale of equal ones is 1."""
        import numpy as np

        if self.normalize == "none" or (self.normalize == "quantile" and numbers.min() < numbers.max()):
            return 0.0, 1.0
        if self.normalize == "minmax":
            return float(numbers.min()), float(numbers.max() - numbers.min()) or 1.0
        if self.normalize == "robust":
            low, middle, high = np.quantile(numbers, (0.25, 0.5, 0.75)).tolist()
            # Where half of the numbers are equal, their deviation stands in for the range.
            return middle, high - low or center_and_scale(numbers)[1]
        return center_and_scale(numbers)
