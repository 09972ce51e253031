"""Losses other than the default of each task; each returns the loss of every row, (batch,) float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from mmtrain.optim.base import loss

LOGIT_ADJUSTED = "logit_adjusted"
"""Name of the loss that takes the frequencies of classes out of what is learned."""


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


@loss("binary", "multiclass", "multilabel")
def focal(
    target: Any,
    truth: Any,
    raw: Any,
    *,
    gamma: Annotated[float, Field(ge=0, description="How much well-classified rows count less; 0 is the cross-entropy.")] = 2.0,
) -> Any:
    """Cross-entropy times (1 - probability of the true class) ** gamma, of each label alone (Lin et al. 2017, arXiv:1708.02002)."""
    import tensorflow as tf

    # The cross-entropy of the task is -log p of the true class, smoothing included.
    log_probability = -(target.label_losses(truth, raw) if target.has_labels else target.row_loss(truth, raw))
    losses = -log_probability * tf.pow(1.0 - tf.exp(log_probability), gamma)
    return target.mean_over_labels(truth, losses) if target.has_labels else losses


@loss("multilabel")
def asymmetric(
    target: Any,
    truth: Any,
    raw: Any,
    *,
    gamma_positive: Annotated[float, Field(ge=0, description="Exponent of the focal factor of labels that a row has.")] = 0.0,
    gamma_negative: Annotated[float, Field(ge=0, description="The same of labels that a row does not have.")] = 4.0,
    margin: Annotated[
        float, Field(ge=0, lt=1, description="Probability up to which a label that the row does not have adds nothing to the loss.")
    ] = 0.05,
) -> Any:
    """Focal loss whose factor is stronger for absent labels, which are the many (Ridnik et al. 2021, arXiv:2009.14119)."""
    import tensorflow as tf

    probability = tf.sigmoid(raw)
    shifted = tf.maximum(probability - margin, 0.0)
    # log(0) is the loss of a wrong label with probability 0 or 1 in float32; 1e-8 is the bound of the authors' code.
    present = -tf.pow(1.0 - probability, gamma_positive) * tf.math.log(tf.maximum(probability, 1e-8))
    absent = -tf.pow(shifted, gamma_negative) * tf.math.log(tf.maximum(1.0 - shifted, 1e-8))
    return target.mean_over_labels(truth, tf.where(truth > 0, present, absent))


@loss("binary", "multiclass")
def logit_adjusted(
    target: Any,
    truth: Any,
    raw: Any,
    *,
    strength: Annotated[
        float, Field(gt=0, le=4, description="Power of the class frequencies; 1 aims at the balanced accuracy, less lies in between.")
    ] = 1.0,
) -> Any:
    """Cross-entropy of logits to which the log frequency of each class in training rows is added (Menon et al. 2021, arXiv:2007.07314).

    The network learns what the classes look like apart from how often they occur, so that its most probable class is the best for the
    balanced accuracy, and its probabilities are those of equally frequent classes.
    """
    import tensorflow as tf

    offsets = [strength * math.log(max(count, 1)) for count in target.counts]
    # A single logit stands for the difference between the second class and the first.
    return target.row_loss(truth, raw + tf.constant([offsets[1] - offsets[0]] if target.units == 1 else offsets, tf.float32))


def bin_losses(bins: Sequence[float], numbers: Any, logits: Any) -> Any:
    """Return the cross-entropy, (batch,), of the bins around each of `numbers`, (batch,), with `logits`, (batch, bins).

    A number between two of the ascending `bins` is divided between them so that the expectation is the number; one beyond the first or the
    last bin is that bin.
    """
    import tensorflow as tf

    places = tf.constant(bins, tf.float32)
    answers = tf.clip_by_value(numbers, places[0], places[-1])[:, None]
    gaps = places[1:] - places[:-1]
    # Shares (batch, bins): 1 at a bin, falling linearly to 0 at its neighbours.
    rising = tf.pad((answers - places[:-1]) / gaps, [[0, 0], [1, 0]], constant_values=1.0)
    falling = tf.pad((places[1:] - answers) / gaps, [[0, 0], [0, 1]], constant_values=1.0)
    return tf.nn.softmax_cross_entropy_with_logits(tf.maximum(tf.minimum(rising, falling), 0.0), logits)


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
