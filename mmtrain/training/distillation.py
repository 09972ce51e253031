"""Knowledge distillation: a network learns the predictions of a teacher together with the answers.

Method: Hinton, Vinyals and Dean (2015, arXiv:1503.02531). The loss of a row is a weighted sum of the loss of its answer and of the
distance from the teacher's prediction: for classes the cross-entropy of probabilities softened by a temperature, times its square, so that
gradients have one size whatever the temperature; for a number, the loss of the task with the teacher's number as the answer.

Reported losses and the validation are those of the answers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mmtrain.data.arrays import Array
from mmtrain.targets import FittedTarget


@dataclass(frozen=True, eq=False)
class Distillation:
    """The predictions of a teacher for the rows of a training, and their part in its loss."""

    teacher: Mapping[str, Array]
    """By target, (rows, units) float32: row i is that of the table; NaN in rows without a prediction, which learn their answer alone."""
    weight: float
    """Part of the distance from the teacher in the loss, from 0 to 1; the rest is that of the answer."""
    temperature: float
    """Divisor of logits, from which probabilities are softened; 1 leaves them as they are."""

    @property
    def specs(self) -> dict[str, Any]:
        """The signature of a batch of teacher predictions."""
        return {key: tf.TensorSpec((None, *values.shape[1:]), tf.float32) for key, values in self.teacher.items()}

    def loss(self, target: FittedTarget, truth: Any, raw: Any, weight: Any, teacher: Any) -> Any:
        """Return the loss of a batch, a scalar, as `FittedTarget.loss`; `teacher` is (batch, units)."""
        known = tf.reduce_all(tf.math.is_finite(teacher), axis=1)
        # Replaced before the loss: the gradient of a NaN that is masked after it would be NaN.
        filled = tf.where(known[:, None], teacher, tf.ones_like(teacher) / teacher.shape[1])
        share = tf.where(known, self.weight, 0.0)
        distance = target.distillation_loss(filled, raw, self.temperature)
        return target.batch_mean((1.0 - share) * target.weighted_losses(truth, raw, weight) + share * distance * weight)
