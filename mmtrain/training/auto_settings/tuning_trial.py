"""`tune: auto`: pretrained encoders are tuned if that fits into the minutes given, by the time of a few steps on this device.

Only the encoders are timed, forward and back through their adapters: nearly all of the time of such a training is theirs. Scores play no
part: a few steps do not tell whether tuning will raise them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mmtrain.branches import Branch, Pretrained
from mmtrain.config.sections.training import Training
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.counter_rng import epoch_permutation
from mmtrain.errors import counted, duration
from mmtrain.splits.plan import Partition
from mmtrain.training.device import prepare

TIMED_BATCHES, DEFAULT_ROWS = 3, 32
"""Timed batches, and their rows unless the training gives a number."""


@dataclass(frozen=True)
class TuningChoice:
    """The branches that tune their encoders, and for how many epochs."""

    tuned: tuple[str, ...]
    epochs: int
    """Epochs of the tuning that fit; 0 where no branch tunes."""
    reasons: tuple[str, ...]


def open_branches(branches: Mapping[str, Branch]) -> dict[str, Pretrained]:
    """Return the encoders of branches with `tune: auto`, by branch."""
    encoders = {key: branch.pretrained() for key, branch in branches.items()}
    return {key: pretrained for key, pretrained in encoders.items() if pretrained is not None and pretrained.tune == "auto"}


def choose_tuning(
    encoders: Mapping[str, tuple[str, Pretrained]], training: Training, epochs: tuple[int, int], arrays: Arrays, partition: Partition
) -> TuningChoice:
    """Choose the encoders, given with their column by branch, that are tuned, and the number of epochs, from the least to the most.

    They are taken in their order as long as the least epochs of all of them fit into the minutes of each. Call `device.prepare`
    afterwards.
    """
    least, most = epochs
    prepare(training.seed, deterministic=False)  # times are not reproducible anyway
    tuned: dict[str, float] = {}
    limit, reasons = float("inf"), []
    for key, (column, pretrained) in encoders.items():
        seconds = _epoch_seconds(pretrained, column, training, arrays, partition)
        together, allowed = least * (seconds + sum(tuned.values())), min(limit, 60 * pretrained.minutes)
        if together <= allowed:
            tuned[key], limit = seconds, allowed
        else:
            others = " with the branches before" if tuned else ""
            what = f"{counted(least, 'epoch')} of tuning{others} would take about {duration(max(together, 1))}"
            reasons.append(f"branch {key} stays frozen: {what}, and {allowed / 60:g} minutes are allowed")
    if not tuned:
        return TuningChoice((), 0, tuple(reasons))
    count = max(least, min(most, int(limit / sum(tuned.values()))))
    for key, seconds in tuned.items():
        what = f"{counted(count, 'epoch')} of about {duration(max(seconds, 1))}, {limit / 60:g} minutes allowed"
        reasons.append(f"branch {key} is tuned with adapters: {what}")
    return TuningChoice(tuple(tuned), count, tuple(reasons))


def _epoch_seconds(pretrained: Pretrained, column: str, training: Training, arrays: Arrays, partition: Partition) -> float:
    """Return the seconds of training rows forward and back, and of validation rows forward."""
    network = pretrained.load(arrays.specs[column], owner=column).network
    size = DEFAULT_ROWS if training.batch_size == "auto" else int(training.batch_size)
    visited = epoch_permutation(training.seed, 1, partition.train)[: size * TIMED_BATCHES]
    batches = [arrays.inputs[column].take(visited[first : first + size]) for first in range(0, len(visited), size)]

    def step(inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(inputs, training=True)))
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, network.trainable_variables)]

    forward, back = _row_seconds(lambda inputs: network(inputs, training=False), network, batches), _row_seconds(step, network, batches)
    return len(partition.train) * back + len(partition.validation) * forward


def _row_seconds(function: Any, network: Any, batches: list[Array]) -> float:
    """Return the seconds of a row in compiled calls of a function, the fastest of the batches: other load only slows them down."""
    signature = tf.TensorSpec(network.inputs[0].shape, network.inputs[0].dtype)
    call = tf.function(function, input_signature=[signature], autograph=False).get_concrete_function()
    call(tf.constant(batches[0]))  # what the first call allocates
    seconds = []
    for inputs in batches:
        begun = time.perf_counter()
        tf.nest.map_structure(lambda values: values.numpy(), call(tf.constant(inputs)))
        seconds.append((time.perf_counter() - begun) / len(inputs))
    return min(seconds)
