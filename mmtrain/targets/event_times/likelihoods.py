"""Likelihoods of times to an event, as TensorFlow functions, and the baseline hazard of proportional hazards."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

NEAR = 1e-6
"""Distance from 0 and 1 of the probabilities whose logarithms are taken."""


def interval_losses(edges: Sequence[float], times: Any, died: Any, raw: Any) -> Any:
    """Return minus the log-likelihood of what is known of each row, (batch,): the intervals that it has passed, and that of its event.

    Args:
        edges: Ascending times, the first one 0.
        times: (batch,) float64, below 0 where the time is not known.
        died: (batch,) bool, whether the time ends with the event.
        raw: Logits of surviving each interval, (batch, edges - 1).
    """
    import tensorflow as tf

    ends_of = tf.constant(edges, tf.float64)
    begins, ends, times = ends_of[:-1], ends_of[1:], times[:, None]
    inside = (times <= ends) & ((times > begins) | ((begins == 0) & (times == 0)))
    # A censored row has passed the interval of its time if it has passed the middle of it.
    passed = tf.where(died[:, None], times > ends, times >= (begins + ends) / 2)
    here = tf.cast(inside & died[:, None], tf.float32)
    return -tf.reduce_sum(tf.cast(passed, tf.float32) * tf.math.log_sigmoid(raw) + here * tf.math.log_sigmoid(-raw), axis=1)


def partial_losses(times: Any, died: Any, raw: Any, weight: Any) -> Any:
    """Return minus the weighted log of the partial likelihood of each row within the batch, (batch,) float32; 0 without an event.

    Rows at risk count by their weight, as in lifelines with `weights_col` (equal times as in Breslow 1974), so that a row of weight 0 is
    not there.

    Args:
        times: (batch,) float64, below 0 where the time is not known.
        died: (batch,) bool.
        raw: Logarithms of relative hazards, (batch,).
        weight: (batch,) float32, 0 or more.
    """
    import tensorflow as tf

    from mmtrain.layers.numbers.target_scales import LARGEST_EXPONENT

    raw = tf.clip_by_value(raw, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    order = tf.argsort(times, direction="DESCENDING", stable=True)
    peak = tf.stop_gradient(tf.reduce_max(raw))
    at_risk = tf.cumsum(tf.gather(weight * tf.exp(raw - peak), order))
    # Of equal times, all rows are at risk: the last of them has the whole sum.
    last = tf.searchsorted(-tf.gather(times, order), -times, side="right") - 1
    # Per row at risk: without it, a loss would grow with the batch, and that of validation would be above that of training.
    mean = tf.math.divide_no_nan(tf.gather(at_risk, last), tf.gather(tf.cumsum(tf.gather(weight, order)), last))
    logs = tf.math.log(tf.maximum(mean, 1e-30)) + peak
    return tf.where(died, (logs - raw) * weight, tf.zeros_like(raw))


def baseline_hazard(times: Array, died: Array, raw: Array, weight: Array, edges: Sequence[float]) -> Array:
    """Return the cumulative baseline hazard at `edges`, of relative hazards exp(raw) (Breslow 1972); the arguments are (rows,)."""
    import numpy as np

    from mmtrain.layers.numbers.target_scales import LARGEST_EXPONENT

    weight = weight.astype(np.float64)
    relative = weight * np.exp(np.clip(raw.astype(np.float64), -LARGEST_EXPONENT, LARGEST_EXPONENT))
    distinct, codes = np.unique(times, return_inverse=True)
    at_risk = np.cumsum(np.bincount(codes, relative, len(distinct))[::-1])[::-1]
    grown = np.cumsum(np.bincount(codes, died * weight, len(distinct)) / np.maximum(at_risk, 1e-300))
    return np.asarray(np.append(0.0, grown)[np.searchsorted(distinct, edges, side="right")])


def distance_from_curve(curve: Any, raw: Any, temperature: float) -> Any:
    """Return minus the expected log-likelihood of times that a curve gives, (batch,): `curve` is (batch, edges), `raw` as in intervals.

    An interval counts by the probability of the curve to reach it.
    """
    import tensorflow as tf

    from mmtrain.targets.losses import softened_distance

    reached = curve[:, :-1]
    passed = curve[:, 1:] / tf.maximum(reached, NEAR)
    return tf.reduce_sum(reached * softened_distance(passed, raw, temperature), axis=1)


def relative_hazard(probability: Any, reference: float) -> Any:
    """Return the logarithm of the relative hazard, (batch,), by which a probability to survive differs from that of all rows.

    With proportional hazards, log(-log S(t)) of a row is that of the baseline plus this number, at every t.
    """
    import tensorflow as tf

    common = log(-log(min(max(reference, NEAR), 1 - NEAR)))
    return tf.math.log(-tf.math.log(tf.clip_by_value(probability, NEAR, 1 - NEAR))) - common
