"""`batch_size: auto`: the largest power of two whose steps fit in memory, found before training.

Batches of doubling size are trained on, with a network that is thrown away. On an accelerator until its memory is exceeded; on
a CPU, where that would end the process, as long as the next doubling can be foretold to fit: memory grows in proportion to the
batch, so that twice the rows take at most twice what the last size took.
"""

from __future__ import annotations

import tensorflow as tf

from mmtrain.batches import Batches
from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Arrays, Fitted
from mmtrain.errors import Problem, RunError
from mmtrain.model.assemble import assemble
from mmtrain.system.memory import available_memory, peak_memory
from mmtrain.training.device import prepare
from mmtrain.training.step import TrainStep

SMALLEST, LARGEST = 8, 1024
"""Larger batches gain no speed on today's devices, and take scores (Keskar et al. 2017, arXiv:1609.04836)."""
LEAST_STEPS = 16
"""An epoch has this many steps at least, or training would hardly move."""
SHARE = 0.5
"""Of the free memory, what a step may take on a CPU: validation, a checkpoint and the rest of the machine need some too."""


def largest_batch_size(experiment: Experiment, fitted: Fitted, arrays: Arrays, rows: Array) -> tuple[int, str]:
    """The size and the sentence that says why. Call `device.prepare` afterwards.

    Raises RunError when even the smallest batch does not fit.
    """
    limit = max(SMALLEST, min(LARGEST, _power_of_two(len(rows) // LEAST_STEPS)))
    fits, why = 0, ""
    before = experiment.decided(jit="off", steps_per_call=1).untried()
    prepare(before.training.seed, deterministic=False, precision=before.training.precision)
    steps = TrainStep(before, fitted, assemble(before, fitted))
    accelerated = bool(tf.config.list_physical_devices("GPU"))
    size = SMALLEST
    while size <= limit:
        taken = _peak_of_a_step(steps, arrays, rows[:size])
        if taken is None:
            why = f"{size} rows need more memory than there is"
            break
        fits, allowed = size, SHARE * available_memory()
        if not accelerated and 2 * taken > allowed and 2 * size <= limit:
            why = f"{2 * size} rows would need about {2 * taken / 1e9:.1f} GB, more than half of the free memory"
            break
        size *= 2
    if not fits:
        fix = "Lower the size of images or the widths of the network."
        raise RunError(Problem(experiment.name, f"the memory is not enough for a batch of {SMALLEST} rows.", fix))
    return fits, f"batch_size {fits}: {why or _reason(fits, len(rows))}"


def _reason(fits: int, rows: int) -> str:
    """Why not more, where memory is not short."""
    if fits == LARGEST:
        return f"it is the largest that is tried ({LARGEST})"
    return f"an epoch keeps {LEAST_STEPS} steps" if rows >= fits * LEAST_STEPS else f"it is the smallest that is tried ({SMALLEST})"


def _power_of_two(number: int) -> int:
    """The largest that is not above `number`; 1 below 2."""
    return 1 << max(0, number.bit_length() - 1)


def _peak_of_a_step(steps: TrainStep, arrays: Arrays, rows: Array) -> int | None:
    """Bytes that two steps on these rows took at their peak beyond what was there before; None where there was no room."""
    peak_memory.restart()
    before = peak_memory.bytes()
    try:
        for epoch in (1, 2):
            for batch in Batches(arrays, rows, len(rows), 0, steps.chance_columns).epoch(epoch):
                steps.train(batch, [0.0])["loss"].numpy()
    except tf.errors.ResourceExhaustedError:
        return None
    return peak_memory.bytes() - before
