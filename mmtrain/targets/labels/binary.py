"""`task: binary`: one of two classes; the raw output is one logit, the prediction the probability of the positive class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mmtrain.columns.base import Names
from mmtrain.columns.cells import CellError
from mmtrain.errors import counted, listed
from mmtrain.metrics.score import BINARY, metrics_named
from mmtrain.targets.base import ClassWeights, task
from mmtrain.targets.decides import UNCHOSEN
from mmtrain.targets.labels.class_balance import class_weights
from mmtrain.targets.labels.classes import ClassTarget, ClassTraits, FittedClassTarget, difference, near_spellings
from mmtrain.targets.labels.yes_no import opposites, positive_of
from mmtrain.targets.losses import softened_distance
from mmtrain.text.label_lists import lists_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score


class BinaryTraits(ClassTraits):
    """One of two classes, with a threshold between them."""

    title = "one of two classes"
    meaning = "The probability of {last!r}."
    metrics = metrics_named(BINARY)
    main_metric = "auc"
    thresholdable = True
    plots = ("threshold_curves", "probability_histograms", "reliability")


class FittedBinary(BinaryTraits, FittedClassTarget):
    """`classes` is (negative, positive)."""

    task: Literal["binary"] = "binary"
    classes: Annotated[Names, Field(min_length=2, max_length=2)]
    threshold: float = Field(UNCHOSEN, gt=0, lt=1)

    @property
    def units(self) -> int:
        """One logit."""
        return 1

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Binary cross-entropy from logits, with smoothed labels where asked."""
        import tensorflow as tf

        labels = tf.cast(truth, tf.float32) * (1 - self.label_smoothing) + self.label_smoothing / 2
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=tf.reshape(raw, (-1,)))

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:
        """Cross-entropy from the softened probability of the teacher."""
        return softened_distance(teacher[:, 0], raw[:, 0], temperature)

    def activation(self, name: str) -> Any:
        """The sigmoid; (batch, 1)."""
        import keras

        return keras.layers.Activation("sigmoid", dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Ranking, threshold and probability scores."""
        from mmtrain.metrics import binary_scores

        return binary_scores(truth, prediction.reshape(-1), classes=(self.classes[0], self.classes[1]), threshold=self.threshold)

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics import binary_scorer

        return binary_scorer(truth, prediction.reshape(-1), threshold=self.threshold)

    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The positive class from the threshold on."""
        return self.decode_truth((prediction.reshape(-1) >= self.threshold).astype("int32"))

    def probabilities(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(rows, 2)."""
        import numpy as np

        positive = prediction.reshape(-1, 1)
        return np.concatenate([1 - positive, positive], axis=1)

    def parse_outputs(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """The probability of the positive class, (rows, 1)."""
        return super().parse_outputs(columns)[:, 1:]

    def serving_outputs(self, prediction: Any) -> dict[str, Any]:
        """The class and (batch, 2)."""
        import tensorflow as tf

        positive = tf.reshape(prediction, (-1, 1))
        codes = tf.cast(positive[:, 0] >= self.threshold, tf.int32)
        return {"prediction": tf.gather(list(self.classes), codes), "probabilities": tf.concat([1 - positive, positive], axis=1)}

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The share of positive training rows, for every row."""
        import numpy as np

        return np.full((count, 1), self.counts[1] / sum(self.counts))


def _too_many(what: str, counts: Mapping[str, int]) -> tuple[str, str]:
    """Return the error of more than two classes; near spellings are taken for one class."""
    near = near_spellings(counts)
    if not near:
        return what, "Set `task: multiclass`."
    rows = {name: f"{name!r} ({counted(number, 'row')})" for name, number in counts.items()}
    pairs = [f"{listed([rows[name] for name in alike])} {difference(alike)}" for alike in near]
    fix = "Write every class in one way."
    # Merging every group of near spellings would still leave more than two classes.
    if len(counts) - sum(len(alike) - 1 for alike in near) > 2:
        fix = f"{fix} `task: multiclass` is for more than two classes."
    return f"{what} {listed(pairs, most=3)}.", fix


@task("binary", FittedBinary)
class BinaryTarget(BinaryTraits, ClassTarget):
    """One of two classes."""

    task: Literal["binary"] = "binary"
    positive: str | None = Field(
        None,
        description="The class whose probability is predicted; left out: the one that reads like a yes (1, true, abnormal), "
        "else the last by name.",
    )

    @property
    def named_answers(self) -> tuple[str, ...]:
        """The positive class and what says no to it, as `-` to `+`, and the classes that have a weight."""
        if self.positive is None:
            return super().named_answers
        return (*super().named_answers, self.positive, *opposites(self.positive))

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """More than two classes, or none called as `positive` says."""
        import numpy as np

        errors = super().faults(cells)
        answers = cells[~self.missing_cells(cells)]
        names = sorted(answers.unique())
        if len(names) > 2:
            row = np.flatnonzero(cells == names[2])[:1]
            what = f"`task: binary` has two classes, the column has {len(names)}: {listed(names)}."
            lists = lists_of(answers)
            listing = (what, f"{lists.fix}: {lists.example!r} looks like several labels.") if lists is not None else None
            errors.append(CellError(row, *(listing or _too_many(what, Counter(answers.tolist())))))
        if self.positive is not None and names and self.positive not in names:
            what = f"`positive: {self.positive}` is not among the classes {listed(names)}."
            errors.append(CellError(np.arange(1), what, f"Set `positive` to {listed(names, 'or')}."))
        return errors

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedBinary:
        """The two classes, negative first."""
        counts = cells[self.column].value_counts()
        names = sorted(str(name) for name in counts.index)
        known = positive_of((names[0], names[1])) if len(names) == 2 else None
        positive = self.positive or (known[0] if known else names[-1])
        # False sorts before True: the negative class first.
        classes = sorted(names, key=lambda name: name == positive)
        by_class = {name: int(counts[name]) for name in classes}
        wanted = default_weights if self.class_weights is None else self.class_weights
        weights = class_weights(by_class, wanted)
        fitted = FittedBinary(
            column=self.column,
            loss_weight=self.loss_weight,
            classes=tuple(classes),
            counts=tuple(by_class.values()),
            weights=tuple(weights[name] for name in classes),
            prior=self.prior(by_class),
            label_smoothing=self.label_smoothing,
            sample=self.sample,
        )
        factors = fitted.decision_factors
        # A class whose factor vanishes leaves no threshold inside (0, 1).
        if factors is None or not 0 < factors[0] / factors.sum() < 1:
            return fitted
        # Positive where p * factors[1] >= (1 - p) * factors[0].
        return fitted.with_threshold(float(factors[0] / factors.sum()))
