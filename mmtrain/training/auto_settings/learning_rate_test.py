"""`learning_rate: auto`: the learning-rate range test (Smith 2017, arXiv:1506.01186) on a network that is thrown away.

The rate grows exponentially from step to step, over batches of training rows. The rate is chosen at which the loss falls fastest, over
the logarithm of the rate: below it training is slow, and a little above it the loss stops falling and diverges. Batches differ more than
one step changes their loss, so each loss is compared with that of the same batch under the initial weights, and the slope is that of a
line through the steps of a whole power of ten. The result follows from the seed, and is written into the run's config.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from mmtrain.batches import Batch
from mmtrain.config.sections.training import UNTRIED, Training
from mmtrain.data.arrays import Array, Arrays
from mmtrain.training.auto_settings.autotune import MakeTrainStep
from mmtrain.training.device import forget_networks, prepare
from mmtrain.training.step import TrainStep

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]

LOWEST_RATE, HIGHEST_RATE, STEPS = 1e-5, 1.0, 200
"""Range of the test; 40 steps for each power of ten."""
WINDOW = 41
"""Steps of a line whose slope counts: a power of ten."""
DIVERGED = 1.5
"""The test ends where the average loss is this multiple of that of the initial weights."""
AVERAGED = 0.9
"""Momentum of that average: about the last ten steps."""


def find_learning_rate(training: Training, make_step: MakeTrainStep, arrays: Arrays, rows: Array) -> tuple[float, str]:
    """Return the learning rate and the sentence that says why; the default one where the loss never falls.

    Call `device.prepare` afterwards. `training` has a batch size.
    """
    untuned = training.with_settings(jit="off", steps_per_call=1, accumulate=1, weight_average=None).without_trial()
    forget_networks()
    prepare(untuned.seed, deterministic=untuned.deterministic, precision=untuned.precision)
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, STEPS)
    changes = _loss_changes(make_step(untuned), arrays, rows, rates)
    rate, steps = steepest_rate(rates, changes), f"in {len(changes)} steps of rising rates"
    if rate is None:
        default = float(UNTRIED["learning_rate"])
        return default, f"learning_rate {default:g}: the loss did not fall {steps}"
    return rate, f"learning_rate {rate:g}: the loss fell fastest at this rate, {steps}"


def _loss_changes(steps: TrainStep, arrays: Arrays, rows: Array, rates: Numbers) -> Numbers:
    """Return the loss of each step's batch minus that under the initial weights, until the average diverges."""
    initial = [_loss_without_training(steps, batch) for _, batch in _first_batches(steps, arrays, rows, rates)]
    allowed, average, changes = (DIVERGED - 1) * float(np.mean(initial)), 0.0, []
    for (rate, batch), before in zip(_first_batches(steps, arrays, rows, rates), initial, strict=True):
        change = float(steps.train(batch, [rate])["loss"].numpy()[0]) - before
        average = AVERAGED * average + (1 - AVERAGED) * change
        if not average <= allowed:  # also where it is not a number
            break
        changes.append(change)
    return np.array(changes)


def _first_batches(steps: TrainStep, arrays: Arrays, rows: Array, rates: Numbers) -> Iterator[tuple[float, Batch]]:
    """Yield each rate with a batch, in the order of the first epochs."""
    return zip(rates.tolist(), (batch for epoch in count(1) for batch in steps.batches(arrays, rows).epoch(epoch)), strict=False)


def _loss_without_training(steps: TrainStep, batch: Batch) -> float:
    tree = {part: values for part, values in batch.tree().items() if part != "uniforms"}
    losses, _ = steps.eval_step(tree)
    return sum(float(loss.numpy().mean()) * steps.fitted.targets[key].loss_weight for key, loss in losses.items())


def steepest_rate(rates: Numbers, losses: Numbers) -> float | None:
    """Return the rate, to two digits, at the middle of the steepest line through `WINDOW` losses; None where no line falls."""
    if len(losses) < WINDOW:
        return None
    offsets = np.arange(WINDOW) - WINDOW // 2
    slopes = np.correlate(losses, offsets / (offsets**2).sum(), mode="valid")
    if slopes.min() >= 0:
        return None
    return float(f"{rates[int(np.argmin(slopes)) + WINDOW // 2]:.2g}")
