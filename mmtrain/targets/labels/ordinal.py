"""`task: ordinal`: one of several ordered levels, by conditional probabilities to exceed each (CORN: Shi et al. 2021, arXiv:2111.08851).

The raw outputs are levels - 1 logits: of exceeding a level, given that it is reached. The product of these conditional probabilities
gives the probability of each level, which is consistent by construction. The sum of the losses of the conditional tasks of a row is minus
the logarithm of the probability of its level, which is minimized here with the same weight for every row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.base import Names
from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import parse_numbers
from mmtrain.errors import listed
from mmtrain.metrics.score import Metric, metrics_named
from mmtrain.targets.base import ClassWeights, task
from mmtrain.targets.labels.class_balance import class_weights
from mmtrain.targets.labels.classes import ClassTarget, ClassTraits
from mmtrain.targets.labels.multiclass import FittedMulticlass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score


class OrdinalTraits(ClassTraits):
    """One of several ordered levels, each with a probability."""

    title = "one of several ordered levels"
    meaning = "A probability per level, in their order; together they are 1. Predicted is the median level."
    noun = "level"
    is_ordered = True
    metrics = (
        Metric("quadratic_kappa", higher_is_better=True, title="Quadratic weighted kappa", maximum=1),
        Metric("rank_mae", higher_is_better=False, title="Mean absolute error of ranks", unbiased=True, minimum=0),
        *metrics_named(("accuracy", "log_loss")),
    )
    main_metric = "quadratic_kappa"
    plots = ("probability_histograms", "reliability")
    explained_as = "probability of {name}"


class FittedOrdinal(OrdinalTraits, FittedMulticlass):
    """`classes` are the levels, from the lowest to the highest."""

    task: Literal["ordinal"] = "ordinal"  # type: ignore[assignment]

    @property
    def raw_units(self) -> int:
        """A logit for each level but the highest."""
        return len(self.classes) - 1

    @property
    def raw_bias(self) -> tuple[float, ...]:
        """The logits of the training rows that exceed each level, among those that reach it: zeros would make each level half as likely
        as the one below it.
        """
        reached = [sum(self.counts[level:]) for level in range(len(self.counts))]
        # Half a row more on either side: levels without rows have no infinite logit.
        return tuple(math.log((reached[level + 1] + 0.5) / (self.counts[level] + 0.5)) for level in range(self.raw_units))

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Minus the logarithm of the probability of the true level: the sum of the losses of its conditional tasks."""
        import tensorflow as tf

        from mmtrain.layers.numbers.target_scales import log_levels

        labels = tf.one_hot(truth, self.units) * (1 - self.label_smoothing) + self.label_smoothing / self.units
        return -tf.reduce_sum(labels * log_levels(raw), axis=1)

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (levels have no common logits)
        """Cross-entropy from the probabilities of the teacher."""
        import tensorflow as tf

        from mmtrain.layers.numbers.target_scales import log_levels

        return -tf.reduce_sum(teacher * log_levels(raw), axis=1)

    def activation(self, name: str) -> Any:
        """Products of the conditional probabilities; (batch, levels)."""
        from mmtrain.layers.numbers.target_scales import LevelProbabilities

        return LevelProbabilities(dtype="float32", name=name)

    def predicted_codes(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the codes of the median levels, (rows,), with `decision` under its prior: the lowest mean distance of ranks."""
        import numpy as np

        factors = self.decision_factors
        shares = prediction if factors is None else prediction * factors
        reached = np.cumsum(shares, axis=1)
        return np.asarray((reached[:, :-1] < reached[:, -1:] / 2).sum(axis=1))

    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The median level."""
        return self.decode_truth(self.predicted_codes(prediction))

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Agreement of ranks, and the log loss."""
        from mmtrain.metrics.labels.ordinal import ordinal_scores

        return ordinal_scores(truth, prediction, self.predicted_codes(prediction))

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics.labels.ordinal import ordinal_scorer

        return ordinal_scorer(truth, prediction, self.predicted_codes(prediction))

    def serving_outputs(self, prediction: Any) -> dict[str, Any]:
        """The median level, as from `predict_label`, and (batch, levels)."""
        import tensorflow as tf

        factors = self.decision_factors
        reached = tf.cumsum(prediction if factors is None else prediction * factors, axis=1)
        codes = tf.reduce_sum(tf.cast(reached[:, :-1] < reached[:, -1:] / 2, tf.int32), axis=1)
        return {"prediction": tf.gather(list(self.classes), codes), "probabilities": prediction}


@task("ordinal", FittedOrdinal)
class OrdinalTarget(OrdinalTraits, ClassTarget):
    """One of several ordered levels, such as grades."""

    task: Literal["ordinal"] = "ordinal"
    order: Names = Field(
        (),
        description="The levels from the lowest to the highest; left out: levels are numbers, in their order.",
        examples=[["mild", "moderate", "severe"]],
    )

    @property
    def named_answers(self) -> tuple[str, ...]:
        """The levels of `order`, and those with a weight or a share."""
        return tuple(dict.fromkeys((*self.order, *super().named_answers)))

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing answers, fewer than two levels, cells that are none of the levels, and one number in two spellings."""
        errors = super().faults(cells) + self.malformed(cells)
        return errors if errors or self.order else self._spelled_twice(cells)

    def _spelled_twice(self, cells: pd.Series[str]) -> list[CellError]:
        """Return the error of a number that is written in two ways, as `1` and `1.0`: two levels of one rank."""
        import numpy as np
        import pandas as pd

        levels = cells[~self.missing_cells(cells)].drop_duplicates()
        numbers = pd.Series(parse_numbers(levels), index=levels.index)
        again = levels[numbers.duplicated()]
        if not len(again):
            return []
        first, second = levels[numbers == numbers[again.index[0]]].iloc[:2]
        rows = np.flatnonzero(cells == second)
        return [CellError(rows, f"{second!r} is the same level as {first!r}.", "Write every level in one way.")]

    def malformed(self, cells: pd.Series[str]) -> list[CellError]:
        """Return the cells that are not in `order`; without it, those that are not numbers."""
        import numpy as np

        known = ~self.missing_cells(cells)
        if not self.order:
            words = np.flatnonzero(known & np.isnan(parse_numbers(cells)))
            fix = "List the levels from the lowest to the highest: `order: [...]`."
            what = f"{cells.iloc[words[0]]!r} is not a number, so the order of the levels is not known." if len(words) else ""
            return [CellError(words, what, fix)] if len(words) else []
        strange = np.flatnonzero(known & ~cells.isin(self.order).to_numpy(dtype=bool))
        if not len(strange):
            return []
        what = f"{cells.iloc[strange[0]]!r} is not a level of `order`: {listed(self.order)}."
        return [CellError(strange, what, "Add it to `order` at its place, or correct the cell.")]

    def answers(self, cells: Mapping[str, pd.Series[str]]) -> list[str]:
        """The levels that occur, in their order."""
        return list(self._ordered(super().answers(cells)))

    def _ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the levels of `order`, or these names by their numbers."""
        import numpy as np
        import pandas as pd

        # Of equal numbers in the order of their names; what is not a number, which `malformed` refuses, comes last.
        named = sorted(names)
        places = np.argsort(parse_numbers(pd.Series(named, dtype="str")), kind="stable")
        return self.order or tuple(named[place] for place in places)

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedOrdinal:
        """The levels in their order, with the training rows of each."""
        counts = cells[self.column].value_counts()
        by_level = {name: int(counts.get(name, 0)) for name in self._ordered(str(name) for name in counts.index)}
        weights = class_weights(by_level, default_weights if self.class_weights is None else self.class_weights)
        return FittedOrdinal(
            column=self.column,
            loss_weight=self.loss_weight,
            classes=tuple(by_level),
            counts=tuple(by_level.values()),
            weights=tuple(weights.values()),
            prior=self.prior(by_level),
            label_smoothing=self.label_smoothing,
            sample=self.sample,
        )
