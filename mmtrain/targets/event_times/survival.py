"""`task: survival`: the time to an event, which some rows had not reached when their observation ended; two columns of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import number_errors, parse_numbers
from mmtrain.targets.base import ClassWeights, Target, task
from mmtrain.targets.event_times.fitted_survival import FittedSurvival
from mmtrain.targets.event_times.survival_traits import SurvivalTraits
from mmtrain.targets.labels.yes_no import read_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

LAST_EVENT = 0.95
"""Share of the events of training rows that the curve reaches; the last ones may be far apart, and would make up most of its length."""
MOST_STEPS = 200
"""Steps of the curve of censoring that are kept, at quantiles of its times."""


@task("survival", FittedSurvival)
class SurvivalTarget(SurvivalTraits, Target):
    """The time to an event, such as death, or to the end of the observation."""

    task: Literal["survival"] = "survival"
    time: str = Field(min_length=1, description="Header of the time from the start of the observation to its end, 0 or more, in any unit.")
    event: str = Field(min_length=1, description="Header of the outcome: yes or 1 where the time ends with the event, no or 0 where not.")
    method: Literal["hazard", "cox"] = Field(
        "hazard",
        description="hazard: the probability of the event in each interval of time, which may depend on the inputs in any way; cox: inputs "
        "multiply one hazard over time, for few events; its loss compares the rows of a batch, so that `training.batch_size` matters.",
    )
    intervals: int = Field(10, ge=2, le=200, description="Intervals of the curve, with about as many events of training rows in each.")
    horizon: float | None = Field(
        None,
        gt=0,
        description="Time of the calibration that `evaluate` shows, which predictions have a column of; left out: the median event time.",
    )

    @field_validator("event")
    @classmethod
    def _other_header(cls, event: str, values: ValidationInfo) -> str:
        if event == values.data.get("time"):
            raise ValueError("`time` and `event` name one column. Name the column of the outcome.")
        return event

    @property
    def holds_numbers(self) -> bool:
        """Always: times."""
        return True

    @property
    def compares_rows(self) -> bool:
        """True with `method: cox`, whose loss compares the rows of a batch that are at risk."""
        return self.method == "cox"

    def reads(self) -> tuple[str, ...]:
        """The headers of time and outcome."""
        return (self.time, self.event)

    @property
    def needs_every_header(self) -> bool:
        """True: neither time nor outcome is an answer without the other."""
        return True

    def header_faults(self, header: str, cells: pd.Series[str]) -> list[CellError]:
        """Missing answers, times below 0, outcomes that are neither yes nor no, and a table without events."""
        import numpy as np

        errors = super().faults(cells) + self.header_malformed(header, cells)
        if errors:
            return errors
        if header == self.time:
            return self._time_errors(parse_numbers(cells.mask(self.missing_cells(cells))))
        if not (read_answers(cells) == 1).any():
            return [CellError(np.arange(1), "no row has an event.", "Write 1 where the time ends with the event.")]
        return []

    def _time_errors(self, times: np.ndarray[Any, np.dtype[np.float64]]) -> list[CellError]:
        """Return the error of a table without times, or with none that reaches the horizon."""
        import numpy as np

        if np.isnan(times).all():
            return [CellError(np.arange(1), "no row has a time.", "Fill in the answers.")]
        longest = float(np.nanmax(times))
        if self.horizon is None or self.horizon <= longest:
            return []
        what = f"the longest time is {longest:g}, so that nothing is known of the horizon {self.horizon:g}."
        return [CellError(np.arange(1), what, "Set an earlier `horizon`, in the unit of the times.")]

    def header_malformed(self, header: str, cells: pd.Series[str]) -> list[CellError]:
        """Return times that are not numbers of 0 or more, and outcomes that are neither yes nor no."""
        import numpy as np

        answers = cells.mask(self.missing_cells(cells))
        if header == self.event:
            strange = np.flatnonzero(answers.notna().to_numpy() & (read_answers(answers) < 0))
            what = f"{cells.iloc[strange[0]]!r} is neither 1 nor 0." if len(strange) else ""
            return [CellError(strange, what, "Write 1 where the time ends with the event, and 0 where not.")] if len(strange) else []
        errors = number_errors(answers, "Name the header of the time under `time`.")
        below = np.flatnonzero(parse_numbers(answers) < 0)
        if errors or not len(below):
            return errors
        return [CellError(below, f"{cells.iloc[below[0]]!r} is a time below 0.", "Count times from the start of the observation.")]

    def numbers(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """The time."""
        return parse_numbers(cells[self.time])

    def strata(self, cells: Mapping[str, pd.Series[str]]) -> pd.Categorical[str] | None:
        """Event or censored, so that each part of a split has both."""
        import numpy as np
        import pandas as pd

        answers = read_answers(cells[self.event])
        return pd.Categorical(np.array(["", "censored", "event"])[answers + 1])

    def answers(self, cells: Mapping[str, pd.Series[str]]) -> list[str]:
        """The outcomes that occur."""
        return [name for name, rows in self.tally(cells).items() if rows and name]

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedSurvival:  # noqa: ARG002
        """Return the times of the curve, from quantiles of the event times of training rows, and the curves of these rows."""
        import numpy as np

        from mmtrain.metrics.survival import kaplan_meier, observed_longer

        times, answers = parse_numbers(cells[self.time]), read_answers(cells[self.event])
        known = ~np.isnan(times) & (times >= 0) & (answers >= 0)
        times, died = times[known], answers[known] == 1
        ends = times[died & (times > 0)] if (died & (times > 0)).any() else np.array([times.max(initial=1.0) or 1.0])
        # Six digits, which name the columns of predictions.
        levels = np.linspace(0, LAST_EVENT, self.intervals + 1)[1:]
        wanted = [0.0, *np.quantile(ends, levels).tolist(), *([] if self.horizon is None else [self.horizon])]
        edges = np.unique([float(f"{edge:.6g}") for edge in wanted])
        curve, censoring = kaplan_meier(times, died), observed_longer(times, died)
        # No place without a censored row.
        kept = np.unique(np.linspace(0, len(censoring.times) - 1, MOST_STEPS * bool(len(censoring.times))).astype(np.int64))
        return FittedSurvival(
            column=self.column,
            loss_weight=self.loss_weight,
            time=self.time,
            event=self.event,
            method=self.method,
            edges=tuple(edges.tolist()),
            survived=tuple(curve.at(edges).tolist()),
            horizon=self.horizon or float(np.median(ends)),
            censoring=tuple((float(censoring.times[place]), float(censoring.values[place])) for place in kept),
        )
