"""The pairwise logistic loss of rankings (RankNet: Burges et al. 2005)."""

from __future__ import annotations

from typing import Any


def pair_losses(groups: Any, relevance: Any, number: Any, weight: Any) -> Any:
    """Return the weighted loss of each row of a batch, (batch,) float32; a TensorFlow function.

    A pair of rows of one group whose relevances differ costs log(1 + exp(-d)), where d is by how much the number of the more relevant row
    exceeds that of the other; each of its rows has a half. A group weighs as much as the sum of the weights of its rows, however many
    pairs it has, so that the loss of a random order is about log 2 per row.

    Args:
        groups: Codes, (batch,), NaN for a row without one.
        relevance: (batch,), NaN where it is not known: such a row is in no pair.
        number: Predicted numbers, (batch,) float32.
        weight: Weights of rows, (batch,) float32; a pair has the geometric mean of those of its rows, and none with a weight of 0.
    """
    import tensorflow as tf

    # NaN is neither equal to nor above anything: rows without a group or a relevance drop out.
    same = groups[:, None] == groups[None, :]
    pairs = tf.cast(same & (relevance[:, None] > relevance[None, :]), tf.float32)
    root = tf.sqrt(weight)
    pairs = pairs * root[:, None] * root[None, :]
    losses = tf.math.softplus(number[None, :] - number[:, None]) * pairs
    of_rows = (tf.reduce_sum(losses, axis=0) + tf.reduce_sum(losses, axis=1)) / 2
    members = tf.cast(same, tf.float32)
    pairs_of_group = tf.linalg.matvec(members, tf.reduce_sum(pairs, axis=1))
    known = tf.cast(~tf.math.is_nan(relevance), tf.float32)
    weight_of_group = tf.linalg.matvec(members, weight * known)
    return of_rows * tf.math.divide_no_nan(weight_of_group, pairs_of_group)
