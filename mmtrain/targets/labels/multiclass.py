"""`task: multiclass`: one of several classes; raw outputs are logits, the prediction a probability per class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from mmtrain.metrics.score import MULTICLASS, metrics_named
from mmtrain.targets.base import ClassWeights, task
from mmtrain.targets.labels.class_balance import class_weights
from mmtrain.targets.labels.classes import ClassTarget, ClassTraits, FittedClassTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score


class MulticlassTraits(ClassTraits):
    """One of several classes, each with a probability."""

    title = "one of several classes"
    meaning = "A probability per class; together they are 1."
    metrics = metrics_named(MULTICLASS)
    main_metric = "balanced_accuracy"
    plots = ("probability_histograms", "reliability")


class FittedMulticlass(MulticlassTraits, FittedClassTarget):
    """`classes` in the order of their names."""

    task: Literal["multiclass"] = "multiclass"

    def one_sided(self) -> tuple[Self, ...]:
        """The first class for nearly all rows, and the last one."""
        rare = 1e-30
        shares = [tuple(1.0 if name == favoured else rare for name in self.classes) for favoured in (self.classes[0], self.classes[-1])]
        return tuple(
            self.model_copy(update={"prior": share, "counts": (1,) * self.units, "weights": (1.0,) * self.units}) for share in shares
        )

    @property
    def units(self) -> int:
        """A logit per class."""
        return len(self.classes)

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Cross-entropy from logits, with smoothed labels where asked (Szegedy et al. 2016, arXiv:1512.00567)."""
        import tensorflow as tf

        smoothing = self.label_smoothing
        # (batch, classes): the true class keeps 1 - smoothing, all share the rest.
        labels = tf.one_hot(truth, self.units) * (1 - smoothing) + smoothing / self.units
        return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=raw)

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:
        """Cross-entropy from the softened probabilities of the teacher, times the squared temperature (Hinton et al. 2015)."""
        import tensorflow as tf

        # A float32 probability may be exactly 0, whose logarithm is infinite.
        soft = tf.nn.softmax(tf.math.log(tf.maximum(teacher, 1e-6)) / temperature)
        return tf.nn.softmax_cross_entropy_with_logits(labels=soft, logits=raw / temperature) * temperature**2

    def activation(self, name: str) -> Any:
        """The softmax; (batch, classes)."""
        import keras

        return keras.layers.Activation("softmax", dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Scores over all classes."""
        from mmtrain.metrics import multiclass_scores

        return multiclass_scores(truth, prediction, classes=self.classes, factors=self.decision_factors)

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics import multiclass_scorer

        return multiclass_scorer(truth, prediction, count=len(self.classes), factors=self.decision_factors)

    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The most probable class, with `decision` under its prior."""
        factors = self.decision_factors
        return self.decode_truth((prediction if factors is None else prediction * factors).argmax(axis=1))

    def probabilities(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(rows, classes)."""
        return prediction

    def serving_outputs(self, prediction: Any) -> dict[str, Any]:
        """The class, as from `predict_label`, and (batch, classes)."""
        import tensorflow as tf

        factors = self.decision_factors
        codes = tf.argmax(prediction if factors is None else prediction * factors, axis=1)
        return {"prediction": tf.gather(list(self.classes), codes), "probabilities": prediction}

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The share of each class in training rows: of all constants the one with the lowest log loss."""
        import numpy as np

        return np.tile(np.asarray(self.counts) / sum(self.counts), (count, 1))


@task("multiclass", FittedMulticlass)
class MulticlassTarget(MulticlassTraits, ClassTarget):
    """One of several classes."""

    task: Literal["multiclass"] = "multiclass"

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedMulticlass:
        """The classes of training rows."""
        counts = cells[self.column].value_counts()
        by_class = {name: int(counts[name]) for name in sorted(str(name) for name in counts.index)}
        wanted = default_weights if self.class_weights is None else self.class_weights
        weights = class_weights(by_class, wanted)
        return FittedMulticlass(
            column=self.column,
            loss_weight=self.loss_weight,
            classes=tuple(by_class),
            counts=tuple(by_class.values()),
            weights=tuple(weights.values()),
            prior=self.prior(by_class),
            label_smoothing=self.label_smoothing,
            sample=self.sample,
        )
