"""Survival targets as fitted: a curve of the probability to survive fixed times, by hazards of intervals or by proportional hazards.

With `method: hazard`, a raw output per interval is the logit of surviving it, given that it is reached; the loss is minus the
log-likelihood of what is known of the row (Gensheimer and Narasimhan 2019, arXiv:1805.00917). With `method: cox`, the one raw output is
the logarithm of the relative hazard; the loss is the partial likelihood within the batch (Katzman et al. 2018, arXiv:1606.00931), and the
baseline hazard is fitted to the training rows once the network is trained (Breslow 1972).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.numbers import parse_numbers
from mmtrain.targets.baseline_models import ReferenceKind
from mmtrain.targets.event_times.likelihoods import baseline_hazard, distance_from_curve, interval_losses, partial_losses, relative_hazard
from mmtrain.targets.event_times.survival_traits import SurvivalTraits
from mmtrain.targets.fitted_target import FittedTarget, ScoreTable, TruthSpec
from mmtrain.targets.labels.yes_no import read_answers
from mmtrain.targets.numbers.single_number import FittedNumber
from mmtrain.targets.prediction_columns import PREDICTION, TRUTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score
    from mmtrain.metrics.survival import Steps

CENSORED = "+"
"""Mark behind a time whose event had not happened: `12.5+`, as R writes it."""
GROUPS = 5
"""Groups of rows of similar prediction, in the table of calibration."""


class FittedSurvival(SurvivalTraits, FittedNumber):
    """The truth of a row is its time, and 1 where it ends with the event or 0 where it is censored."""

    task: Literal["survival"] = "survival"
    time: str
    event: str
    method: Literal["hazard", "cox"]
    edges: tuple[float, ...] = Field(
        min_length=2, description="Times of the curve, ascending, from 0 to that of 95 % of the events of training rows."
    )
    survived: tuple[float, ...] = Field(description="Kaplan-Meier curve of training rows at these times.")
    horizon: float = Field(gt=0, description="Time of the table of calibration.")
    censoring: tuple[tuple[float, float], ...] = Field(description="Times of training rows, with the probability to be observed longer.")

    @property
    def number_columns(self) -> tuple[str, ...]:
        """A probability for each time."""
        return tuple(f"survival_{edge:g}" for edge in self.edges)

    @property
    def raw_units(self) -> int:
        """A logit per interval; with proportional hazards one number."""
        return 1 if self.method == "cox" else len(self.edges) - 1

    @property
    def compares_rows(self) -> bool:
        """With proportional hazards, each event is compared with the rows that are still at risk."""
        return self.method == "cox"

    @property
    def raw_bias(self) -> tuple[float, ...]:
        """The Kaplan-Meier curve of training rows; nothing for relative hazards."""
        # Kept from 0 and 1, as a logit is infinite there.
        kept = [min(max(end / begin if begin else 0.5, 0.01), 0.99) for begin, end in zip(self.survived, self.survived[1:], strict=False)]
        return () if self.method == "cox" else tuple(log(share / (1 - share)) for share in kept)

    @property
    def explained_unit(self) -> int:
        """The time nearest to the horizon."""
        return min(range(len(self.edges)), key=lambda place: abs(self.edges[place] - self.horizon))

    @property
    def squares_losses(self) -> bool:
        """False: the log-likelihood is minimized as it is."""
        return False

    @property
    def truth_spec(self) -> TruthSpec:
        """Time and event; float64."""
        return TruthSpec((2,), "float64")

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, 2) float64; NaN in both where either is missing."""
        import numpy as np

        times, answers = parse_numbers(cells[self.time]), read_answers(cells[self.event]).astype(np.float64)
        missing = np.isnan(times) | (times < 0) | (answers < 0)
        return np.where(missing[:, None], np.nan, np.stack([times, answers], axis=1))

    def known_rows(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Rows with a time and an outcome."""
        import numpy as np

        return np.asarray(~np.isnan(truth).any(axis=1))

    def member_matrix(self, member: FittedTarget) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Interpolate the curves of another training, linearly between its times; level behind its last one."""
        import numpy as np

        other: tuple[float, ...] = dict(member)["edges"]
        if other == self.edges:
            return None
        # Column by column of the identity: the curve that is 1 at one of its times and 0 at the others.
        return np.stack([np.interp(self.edges, other, row) for row in np.eye(len(other))]).astype(np.float32)

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Minus the log-likelihood of the intervals that a row has passed, or minus that of its place among the rows of the batch."""
        import tensorflow as tf

        times, died = self._outcomes(truth)
        if self.method == "cox":
            return partial_losses(times, died, raw[:, 0], tf.ones_like(raw[:, 0]))
        return interval_losses(self.edges, times, died, raw)

    def weighted_losses(self, truth: Any, raw: Any, weight: Any) -> Any:
        """With proportional hazards, rows at risk count by their weight."""
        if self.method != "cox" or self.own_loss is not None:
            return super().weighted_losses(truth, raw, weight)
        return partial_losses(*self._outcomes(truth), raw[:, 0], weight)

    def _outcomes(self, truth: Any) -> tuple[Any, Any]:
        """Return times, -1 where one is not known, and events of a batch."""
        import tensorflow as tf

        known = ~tf.math.is_nan(truth[:, 0])
        return tf.where(known, truth[:, 0], -tf.ones_like(truth[:, 0])), known & (truth[:, 1] > 0.5)

    @property
    def softens_probabilities(self) -> bool:
        """True of hazards, whose logits are those of probabilities."""
        return not self.compares_rows

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:
        """Minus the expected log-likelihood of times by the teacher's curve, or the squared distance of relative hazards."""
        import tensorflow as tf

        if self.method == "hazard":
            return distance_from_curve(teacher, raw, temperature)
        # At time 0 every curve is 1.
        place = max(self.explained_unit, 1)
        return tf.square(raw[:, 0] - relative_hazard(teacher[:, place], self.survived[place]))

    def with_baseline(self, truth: np.ndarray[Any, Any], raw: np.ndarray[Any, Any], weight: np.ndarray[Any, Any]) -> list[Any] | None:
        """Return the cumulative baseline hazard at the times of the curve, of relative hazards exp(raw)."""
        import numpy as np

        if self.method != "cox":
            return None
        known = self.known_rows(truth)
        return [baseline_hazard(truth[known, 0], truth[known, 1], raw[known, 0], weight[known], self.edges).astype(np.float32)]

    @property
    def reference_kind(self) -> ReferenceKind:
        """Proportional hazards, whatever the method of the network."""
        return "times"

    def reference_curve(
        self, truth: np.ndarray[Any, Any], hazard: np.ndarray[Any, Any], weight: np.ndarray[Any, Any], others: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        """Curves of proportional hazards, with the baseline hazard of training rows."""
        import numpy as np

        level = baseline_hazard(truth[:, 0], truth[:, 1], hazard, weight, self.edges)
        return np.asarray(np.exp(-np.exp(np.clip(others, -30.0, 30.0))[:, None] * level))

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the contribution of each row to the integrated Brier score."""
        import numpy as np

        from mmtrain.metrics.survival import integrated_brier

        known = self.known_rows(truth)
        losses = np.full(len(truth), np.nan)
        losses[known] = integrated_brier(*self._observations(truth[known]), prediction[known], np.array(self.edges), self._observed())
        return losses

    def _observations(self, truth: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        return truth[:, 0], truth[:, 1] > 0.5

    def _observed(self) -> Steps:
        import numpy as np

        from mmtrain.metrics.survival import Steps

        times, values = np.array(self.censoring, dtype=np.float64).reshape(-1, 2).T
        return Steps(times, values)

    def activation(self, name: str) -> Any:
        """The curve; (batch, times)."""
        from mmtrain.layers.numbers.target_scales import ProportionalHazards, SurvivalCurve

        if self.method == "cox":
            # Until `with_baseline`, that of all training rows together; a curve that ends at 0 would have an infinite hazard.
            hazard = [-log(max(share, 1e-6)) for share in self.survived]
            return ProportionalHazards(hazard=hazard, dtype="float32", name=name)
        return SurvivalCurve(dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Concordance and integrated Brier score."""
        from mmtrain.metrics.survival import survival_scores

        return survival_scores(*self._scored(truth, prediction))

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics.survival import survival_scorer

        return survival_scorer(*self._scored(truth, prediction))

    def _scored(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Any, ...]:
        import numpy as np

        return *self._observations(truth), self.predict_label(prediction), prediction, np.array(self.edges), self._observed()

    def tables(
        self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any], groups: np.ndarray[Any, Any] | None = None
    ) -> dict[str, ScoreTable]:
        """Predicted and observed survival at the horizon, by fifths of similar prediction."""
        import numpy as np

        from mmtrain.metrics.survival import survived_share

        times, died = self._observations(truth)
        at = np.array([np.interp(self.horizon, self.edges, row) for row in prediction])
        rows: list[list[str | bool | int | float | None]] = []
        for number, group in enumerate(np.array_split(np.argsort(at, kind="stable"), min(GROUPS, len(at)))):
            observed = survived_share(times[group], died[group], self.horizon, None if groups is None else groups[group])
            label = f"group {number + 1}, from {at[group].min():.2f} to {at[group].max():.2f}"
            rows.append([label, len(group), float(at[group].mean()), *observed])
        head = ("Predicted survival", "rows", "mean predicted", "observed", "low", "high")
        error = "Greenwood" if groups is None else "by groups: Williams"
        note = f"Observed is the Kaplan-Meier estimate, with its 95 % interval ({error}, Rothman)."
        return {"calibration": ScoreTable(head, rows, f"Survival at {self.horizon:g}, predicted and observed", note)}

    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The restricted mean survival time: the area below the curve up to its last time, (rows,) float32."""
        import numpy as np

        middles = (prediction[:, 1:].astype(np.float64) + prediction[:, :-1]) / 2
        return np.asarray(middles @ np.diff(self.edges), dtype=np.float32)

    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The time, with `+` behind it where it is censored; empty where it is not known."""
        import numpy as np

        words = [
            "" if np.isnan(time) else f"{float(time)!r}{'' if died > 0.5 else CENSORED}".replace(".0+", "+").removesuffix(".0")
            for time, died in truth
        ]
        return np.array(words, dtype=object)

    def parse_truth(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, 2) float64, from times as `decode_truth` writes them."""
        import numpy as np

        cells = columns[TRUTH]
        times = parse_numbers(cells.str.removesuffix(CENSORED))
        died = (~cells.fillna("").str.endswith(CENSORED)).to_numpy(dtype=np.float64)
        return np.stack([times, np.where(np.isnan(times), np.nan, died)], axis=1)

    def serving_outputs(self, prediction: Any) -> dict[str, Any]:
        """The restricted mean survival time, as from `predict_label`, and the curve."""
        import numpy as np
        import tensorflow as tf

        widths = np.diff(self.edges).astype(np.float32)
        means = tf.linalg.matvec((prediction[:, 1:] + prediction[:, :-1]) / 2, tf.constant(widths))
        return {PREDICTION: means, "columns": prediction}

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The Kaplan-Meier curve of training rows."""
        import numpy as np

        return np.tile(self.survived, (count, 1))
