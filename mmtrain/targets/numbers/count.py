"""`task: count`: how often something happens, 0, 1, 2 and so on, in the same or in different exposures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationInfo, field_validator

from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import number_errors, parse_numbers
from mmtrain.targets.base import ClassWeights, Target, task
from mmtrain.targets.numbers.fitted_count import MOST_DISPERSION, CountTraits, FittedCount
from mmtrain.targets.numbers.single_number import NumberTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@task("count", FittedCount)
class CountTarget(CountTraits, NumberTarget):
    """Number of times that something happens: 0, 1, 2 and so on."""

    task: Literal["count"] = "count"
    distribution: Literal["poisson", "negative_binomial"] = Field(
        "poisson",
        description="poisson: the variance of a count is its mean; negative_binomial: it may be larger, by a dispersion that is predicted "
        "for every row. For counts that vary more than their mean says, such as visits of patients.",
    )

    exposure: str = Field(
        "",
        description="Header of the time, area or number of units in which the row was counted, above 0, in any unit: predictions are "
        "counts per unit. Left out: every row has the same.",
    )

    @field_validator("exposure")
    @classmethod
    def _other_header(cls, exposure: str, values: ValidationInfo) -> str:
        if exposure and exposure == values.data.get("column"):
            raise ValueError("`column` and `exposure` name one column. Name the column of the exposure.")
        return exposure

    def reads(self) -> tuple[str, ...]:
        """The headers of count and exposure."""
        return (self.column, self.exposure) if self.exposure else (self.column,)

    @property
    def needs_every_header(self) -> bool:
        """True: a rate needs both the count and the exposure."""
        return True

    def header_faults(self, header: str, cells: pd.Series[str]) -> list[CellError]:
        """Missing cells, and those that are not counts or exposures."""
        if header != self.exposure:
            return self.faults(cells)
        return Target.faults(self, cells) + self.header_malformed(header, cells)

    def header_malformed(self, header: str, cells: pd.Series[str]) -> list[CellError]:
        """Return cells that are not counts, or exposures that are not above 0."""
        import numpy as np

        if header != self.exposure:
            return self.malformed(cells)
        given = cells.mask(self.missing_cells(cells))
        errors = number_errors(given, "Name the header of the exposure under `exposure`.")
        strange = np.flatnonzero(parse_numbers(given) <= 0)
        if errors or not len(strange):
            return errors
        what = f"{str(cells.iloc[strange[0]])!r} is not above 0, and nothing is counted in an exposure of 0."
        return [CellError(strange, what, "Correct the cell, or remove the row.")]

    def malformed(self, cells: pd.Series[str]) -> list[CellError]:
        """Words, infinities, and numbers that are not counts."""
        import numpy as np

        errors = super().malformed(cells)
        if errors:
            return errors
        values = np.where(self.missing_cells(cells), 0.0, parse_numbers(cells))
        strange = np.flatnonzero((values < 0) | (values != np.floor(values)))
        if not len(strange):
            return []
        what = f"{str(cells.iloc[strange[0]])!r} is not a count: counts are whole numbers of 0 or more."
        return [CellError(strange, what, "Correct the cell, or set `task: regression`.")]

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedCount:  # noqa: ARG002
        """Mean, deviation and dispersion of training rows."""
        import numpy as np

        values = parse_numbers(cells[self.column])
        exposures = parse_numbers(cells[self.exposure]) if self.exposure else np.ones(len(values))
        known = ~np.isnan(values) & (exposures > 0)
        values, exposures = values[known], exposures[known]
        # Half a count more than nothing, where every training row has 0.
        total = float(exposures.sum()) or 1.0
        usual = total / max(len(exposures), 1)
        mean = float(values.sum()) / total or 0.5 / total
        rates = values / exposures
        variance = float(np.average(np.square(rates - mean), weights=exposures)) if len(values) else 0.0
        # By moments: the variance of a count is its mean + dispersion * mean ** 2.
        over = np.square(values - mean * exposures).sum() - values.sum()
        dispersion = min(max(float(over / np.square(mean * exposures).sum()), 0.01), MOST_DISPERSION) if len(values) else 0.01
        return FittedCount(
            column=self.column,
            loss_weight=self.loss_weight,
            mean=mean,
            maximum=float(rates.max(initial=1.0 / usual)),
            deviation=variance**0.5 or 1.0 / usual,
            dispersion=dispersion if self.distribution == "negative_binomial" else None,
            exposure=self.exposure,
            usual_exposure=usual,
        )
