"""Losses other than the default of each task; each returns the loss of every row, (batch,) float32."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mmtrain.optim.base import loss


@loss("regression")
def squared(target: Any, truth: Any, raw: Any) -> Any:
    """Squared error of the standardized number."""
    import tensorflow as tf

    return tf.square(_distance(target, truth, raw))


@loss("regression")
def absolute(target: Any, truth: Any, raw: Any) -> Any:
    """Absolute error of the standardized number; the best prediction is the median."""
    import tensorflow as tf

    return tf.abs(_distance(target, truth, raw))


@loss("regression")
def huber(
    target: Any,
    truth: Any,
    raw: Any,
    *,
    delta: Annotated[float, Field(gt=0, description="Distance, in standard deviations, from which the loss grows linearly.")] = 1.0,
) -> Any:
    """Squared near zero and linear beyond `delta` (Huber 1964)."""
    import tensorflow as tf

    distance = _distance(target, truth, raw)
    size = tf.abs(distance)
    # Both pieces have the value delta ** 2 / 2 and the slope delta where they meet.
    return tf.where(size <= delta, 0.5 * tf.square(size), delta * (size - 0.5 * delta))


@loss("binary", "multiclass")
def focal(
    target: Any,
    truth: Any,
    raw: Any,
    *,
    gamma: Annotated[float, Field(ge=0, description="How much well-classified rows count less; 0 is the cross-entropy.")] = 2.0,
) -> Any:
    """Cross-entropy times (1 - probability of the true class) ** gamma (Lin et al. 2017, arXiv:1708.02002)."""
    import tensorflow as tf

    # The cross-entropy of the task is -log p of the true class, smoothing included.
    log_probability = -target.row_loss(truth, raw)
    return -log_probability * tf.pow(1.0 - tf.exp(log_probability), gamma)


def softened_distance(teacher: Any, raw: Any, temperature: float) -> Any:
    """Return the cross-entropy of yes/no logits `raw` from probabilities, both softened, times the squared temperature; any shape.

    Hinton, Vinyals and Dean (2015, arXiv:1503.02531): the square keeps the size of gradients, which softening divides by it.
    """
    import tensorflow as tf

    # A float32 probability may be exactly 0 or 1, whose logits are infinite.
    given = tf.clip_by_value(teacher, 1e-6, 1.0 - 1e-6)
    logits = tf.math.log(given) - tf.math.log1p(-given)
    soft = tf.sigmoid(logits / temperature)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=soft, logits=raw / temperature) * temperature**2


def _distance(target: Any, truth: Any, raw: Any) -> Any:
    import tensorflow as tf

    return target.standardized(truth) - tf.reshape(raw, (-1,))
