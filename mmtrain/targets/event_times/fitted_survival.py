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
from mmtrain.metrics.score import Metric
from mmtrain.targets.fitted_target import FittedTarget, ScoreTable, TruthSpec
from mmtrain.targets.labels.yes_no import read_answers
from mmtrain.targets.numbers.single_number import FittedNumber
from mmtrain.targets.prediction_columns import PREDICTION, TRUTH
from mmtrain.targets.traits import DummyBaseline, TaskTraits

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


class SurvivalTraits(TaskTraits):
    """A time to an event."""

    title = "a time to an event"
    meaning = "The probability that the event has not happened by each time, the first of which is 0."
    noun = "outcome"
    is_continuous = True
    is_censored = True
    stratifies = True
    metrics = (
        Metric("concordance", higher_is_better=True, title="Concordance (Harrell)", unbiased=True, minimum=0, maximum=1),
        Metric("integrated_brier", higher_is_better=False, title="Integrated Brier score", unbiased=True, minimum=0),
    )
    main_metric = "concordance"
    plots = ("survival_curves",)
    dummy = DummyBaseline("Kaplan-Meier", "survival curve of the training rows (Kaplan-Meier)")

    @property
    def late_scores(self) -> tuple[str, ...]:
        """With proportional hazards, that of the curve: the loss leaves the level of the hazards open."""
        return ("integrated_brier",) if dict(self).get("method") == "cox" else ()


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

        known = ~tf.math.is_nan(truth[:, 0])
        times = tf.where(known, truth[:, 0], -tf.ones_like(truth[:, 0]))
        died = known & (truth[:, 1] > 0.5)
        return self._partial_likelihood(times, died, raw[:, 0]) if self.method == "cox" else self._likelihood(times, died, raw)

    def _likelihood(self, times: Any, died: Any, raw: Any) -> Any:
        import tensorflow as tf

        edges = tf.constant(self.edges, tf.float64)
        begins, ends, times = edges[:-1], edges[1:], times[:, None]
        inside = (times <= ends) & ((times > begins) | ((begins == 0) & (times == 0)))
        # A censored row has passed the interval of its time if it has passed the middle of it.
        passed = tf.where(died[:, None], times > ends, times >= (begins + ends) / 2)
        here = tf.cast(inside & died[:, None], tf.float32)
        return -tf.reduce_sum(tf.cast(passed, tf.float32) * tf.math.log_sigmoid(raw) + here * tf.math.log_sigmoid(-raw), axis=1)

    def _partial_likelihood(self, times: Any, died: Any, raw: Any) -> Any:
        import tensorflow as tf

        from mmtrain.layers.numbers.target_scales import LARGEST_EXPONENT

        raw = tf.clip_by_value(raw, -LARGEST_EXPONENT, LARGEST_EXPONENT)
        order = tf.argsort(times, direction="DESCENDING", stable=True)
        peak = tf.stop_gradient(tf.reduce_max(raw))
        at_risk = tf.cumsum(tf.gather(tf.exp(raw - peak), order))
        # Of equal times, all rows are at risk: the last of them has the whole sum.
        last = tf.searchsorted(-tf.gather(times, order), -times, side="right") - 1
        # Per row at risk: without it, a loss would grow with the batch, and that of validation would be above that of training.
        logs = tf.math.log(tf.maximum(tf.gather(at_risk, last) / tf.cast(last + 1, tf.float32), 1e-30)) + peak
        return tf.where(died, logs - raw, tf.zeros_like(raw))

    def with_baseline(self, truth: np.ndarray[Any, Any], raw: np.ndarray[Any, Any], weight: np.ndarray[Any, Any]) -> list[Any] | None:
        """Return the cumulative baseline hazard at the times of the curve, of relative hazards exp(raw) (Breslow 1972)."""
        import numpy as np

        from mmtrain.layers.numbers.target_scales import LARGEST_EXPONENT

        if self.method != "cox":
            return None
        known = self.known_rows(truth)
        times, died, weight = truth[known, 0], truth[known, 1] * weight[known], weight[known].astype(np.float64)
        relative = weight * np.exp(np.clip(raw[known, 0].astype(np.float64), -LARGEST_EXPONENT, LARGEST_EXPONENT))
        distinct, codes = np.unique(times, return_inverse=True)
        at_risk = np.cumsum(np.bincount(codes, relative, len(distinct))[::-1])[::-1]
        grown = np.cumsum(np.bincount(codes, died, len(distinct)) / np.maximum(at_risk, 1e-300))
        places = np.searchsorted(distinct, self.edges, side="right")
        return [np.append(0.0, grown)[places].astype(np.float32)]

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What each row adds to the integrated Brier score."""
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

    def tables(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> dict[str, ScoreTable]:
        """Predicted and observed survival at the horizon, by groups of similar prediction."""
        import numpy as np

        from mmtrain.metrics.survival import survived_share

        times, died = self._observations(truth)
        at = np.array([np.interp(self.horizon, self.edges, row) for row in prediction])
        rows: list[list[str | bool | int | float | None]] = []
        for number, group in enumerate(np.array_split(np.argsort(at, kind="stable"), min(GROUPS, len(at)))):
            observed = survived_share(times[group], died[group], self.horizon)
            label = f"group {number + 1}, from {at[group].min():.2f} to {at[group].max():.2f}"
            rows.append([label, len(group), float(at[group].mean()), *observed])
        head = ("Predicted survival", "rows", "mean predicted", "observed", "low", "high")
        note = "Observed is the Kaplan-Meier estimate, with its 95 % interval (Greenwood, Rothman)."
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
