"""Settings found by a trial on this device: batch size, precision, XLA, and steps per call.

The fastest setting depends on the network and the machine: a table model ran four times faster with sixteen steps to a call and XLA, a
small CNN on a CPU half as fast with XLA, twice as fast in bfloat16 on a CPU that has it and far slower on one that has not. So they are
timed, on batches of training rows, with networks that are thrown away. Only open settings (`auto`) are
tried. The trial ends at a tenth of the expected training time. Another precision than float32 must be 1.3 times as fast, as it may
change scores. The result is written into the run's config.yaml.

`batch_size: auto` is the largest power of two whose steps fit in memory. Batches of doubling size are tried: on an accelerator until
its memory is exceeded; on a CPU, where that would end the process, while the next doubling is predicted to fit. Memory grows in
proportion to the batch, so twice the rows take at most twice the memory.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import tensorflow as tf

from mmtrain.artifacts.run_schema.run_facts import TuningRecord
from mmtrain.batches import Batch, Batches
from mmtrain.config.sections.training import Training
from mmtrain.data.arrays import Array, Arrays
from mmtrain.errors import Problem, RunError
from mmtrain.system.memory import available_memory, peak_memory
from mmtrain.training.device import forget_networks, prepare
from mmtrain.training.step import TrainStep

TUNED_SETTINGS = ("precision", "jit", "steps_per_call")
MOST_STEPS_PER_CALL, LONGEST_CALL_SECONDS = 16, 0.5
"""With 16 steps a call's overhead is a sixteenth per step; an interruption waits for the end of a call."""
FEWEST_TRIAL_STEPS = 2000
"""A shorter training gains at most some seconds from XLA and longer calls, about the cost of trying them."""
LIGHT_STEP_SECONDS = 0.02
"""For longer steps a call's overhead is below a twentieth, and precision matters most."""
SHORTEST_TRAINING_SECONDS = 20.0
"""Shorter trainings are not worth a trial."""
TRIAL_TIME_SHARE = 0.1
"""Largest share of the training time for the trial."""
ROUNDS, ROUND_SECONDS = 3, 0.15
"""Rounds in which two settings take turns, and the minimum duration of a turn."""
LEAST_SPEEDUP = {"precision": 1.3, "jit": 1.1, "steps_per_call": 1.03}
"""Speed-up from which a setting is taken. Longer calls give the same weights to the bit, so any gain counts."""
SMALLEST_BATCH, LARGEST_BATCH = 8, 1024
"""Larger batches gain no speed on today's devices, and cost accuracy (Keskar et al. 2017, arXiv:1609.04836)."""
LEAST_EPOCH_STEPS = 16
"""Steps that an epoch keeps at least; with fewer, training would hardly move."""
STEP_MEMORY_SHARE = 0.5
"""Largest share of the free memory for a step on a CPU; validation, a checkpoint and the rest of the machine need some too."""


MakeTrainStep = Callable[[Training], TrainStep]
"""Function that assembles a network with fresh weights and compiles its step with these settings."""


@dataclass
class TuningResult:
    """The section `training` with the settings that were chosen, the reasons, and the seconds of a step with each setting tried."""

    training: Training
    reasons: list[str] = field(default_factory=list)
    seconds_per_step: dict[str, float] = field(default_factory=dict)

    @property
    def record(self) -> TuningRecord:
        """The reasons and times for run.json."""
        return TuningRecord(reasons=self.reasons, seconds_per_step={name: round(value, 7) for name, value in self.seconds_per_step.items()})


def tune_settings(training: Training, make_step: MakeTrainStep, arrays: Arrays, rows: Array) -> TuningResult:
    """Time the open settings on the training `rows`; `deterministic` skips every trial.

    Sets Keras up anew for every network that it tries: call `device.prepare` afterwards.
    """
    open_fields = training.open_settings
    result = TuningResult(training.without_trial())
    if not open_fields:
        return result
    # Steps of an epoch, rounded up, times epochs.
    steps = -(-len(rows) // int(result.training.batch_size)) * training.epochs
    if training.deterministic:
        if "precision" in open_fields:  # it is not the default, so the user asked for it
            result.reasons.append(f"{_describe_settings(result.training, open_fields)}: `deterministic` allows no trial")
    elif "precision" in open_fields or steps >= FEWEST_TRIAL_STEPS:
        _Trial(result, make_step, arrays, rows).run(open_fields, steps)
    return result


class _Trial:
    """Networks that are timed against each other and thrown away."""

    def __init__(self, result: TuningResult, make_step: MakeTrainStep, arrays: Arrays, rows: Array) -> None:
        self.result, self.make_step, self.arrays, self.rows = result, make_step, arrays, rows
        self.best = self.attempt(result.training)
        self.begun = time.perf_counter()

    def attempt(self, training: Training) -> _Attempt:
        return _Attempt(training, self.make_step, self.arrays, self.rows)

    def run(self, open_fields: list[str], steps: int) -> None:
        """Try the open settings, the most promising first, each against the best so far."""
        step = self.best.seconds_per_step()
        self.result.seconds_per_step[_describe_settings(self.result.training)] = step
        if step * steps < SHORTEST_TRAINING_SECONDS:
            settings = _describe_settings(self.result.training, open_fields)
            self.result.reasons.append(f"{settings}: the training takes about {step * steps:.0f} s, so a trial is not worth its time")
            return
        allowed = TRIAL_TIME_SHARE * step * steps
        for name, value in self.candidates(open_fields, step):
            if time.perf_counter() - self.begun > allowed:
                self.result.reasons.append(f"{name} was not tried: the trial has used its {allowed:.0f} s")
            else:
                self.compare(name, value)

    def candidates(self, open_fields: list[str], step: float) -> list[tuple[str, Any]]:
        """Return the settings to try and their values, the most promising first."""
        full = len(self.rows) // self.best.steps.batch_size
        most = min(MOST_STEPS_PER_CALL, max(1, int(LONGEST_CALL_SECONDS / step)))
        # As few calls as hold all full batches, and then calls of equal length:
        together = full // -(-full // most) if full else 1  # so that few batches are left over
        # On a CPU, XLA made every CNN slower, and compiling it took seconds.
        images = any(len(tensor.shape) == 4 for tensor in self.best.steps.models.network.inputs)
        values = {
            "steps_per_call": together if together > 1 else None,
            "jit": "on" if not images or tf.config.list_physical_devices("GPU") else None,
            "precision": fast_precision() or None,
        }
        # A light step is mostly the overhead of its call; a heavy one is arithmetic.
        order = list(values) if step < LIGHT_STEP_SECONDS else [*reversed(values)]
        return [(name, values[name]) for name in order if name in open_fields and values[name] is not None]

    def compare(self, name: str, value: Any) -> None:
        """Take `value` if it is fast enough (`LEAST_SPEEDUP`)."""
        before = self.result.training
        after = before.with_settings(**{name: value})
        try:
            other = self.attempt(after)
            old, new = _time_in_turns(self.best, other)
        # XLA may refuse an operation, and the device may run out of memory: the setting before stays.
        except tf.errors.OpError as error:
            self.result.reasons.append(f"not {name} {value}: {str(error).splitlines()[0][:120]}")
            return
        self.result.seconds_per_step[_describe_settings(after)] = new
        times = round(old / new, 2)  # as it is printed
        taken = times >= LEAST_SPEEDUP[name]
        verdict = f"{times:.2f} times as fast as {getattr(before, name)}"
        self.result.reasons.append(
            f"{name} {value}: {verdict}" if taken else f"not {name} {value}: {verdict}, less than {LEAST_SPEEDUP[name]}"
        )
        if taken:
            self.best, self.result.training = other, after


class _Attempt:
    """A network with fresh weights, and some batches to train it on."""

    def __init__(self, training: Training, make_step: MakeTrainStep, arrays: Arrays, rows: Array) -> None:
        forget_networks()  # an attempt that was not taken
        prepare(training.seed, deterministic=False, precision=training.precision)
        self.steps = make_step(training)
        # Two calls of the compiled step are enough to time it.
        enough = 2 * self.steps.batch_size * self.steps.steps_per_call
        self.batches: list[Batch] = [batch for batch in self.steps.batches(arrays, rows[:enough]).epoch(1) if len(batch.rows) > 0]
        # At rate 0 no weight changes, so that any number of rounds meets the same finite losses.
        self.rate = [0.0] * self.steps.steps_per_call
        for _ in range(2):  # compilation, and what the first call allocates
            self._round()

    def _round(self) -> int:
        """Train on every batch and return the number of steps."""
        losses = [self.steps.train(batch, self.rate[: batch.steps])["loss"] for batch in self.batches]
        return sum(len(loss.numpy()) for loss in losses)  # waits for the device

    def seconds_per_step(self) -> float:
        """Return the mean over at least `ROUND_SECONDS`."""
        begun, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - begun < ROUND_SECONDS:
            steps += self._round()
        return (time.perf_counter() - begun) / steps


def _time_in_turns(one: _Attempt, other: _Attempt) -> tuple[float, float]:
    """Return the median seconds per step of two attempts. Their rounds alternate, so that other load on the machine affects both."""
    rounds = [(one.seconds_per_step(), other.seconds_per_step()) for _ in range(ROUNDS)]
    # The median of three rounds forgives one that other load disturbed.
    return median(first for first, _ in rounds), median(second for _, second in rounds)


def fast_precision() -> str:
    """Return the mixed precision that may be faster on this device; empty where there is none."""
    accelerators = tf.config.list_physical_devices("GPU")
    if accelerators:
        major, _ = tf.config.experimental.get_device_details(accelerators[0]).get("compute_capability", (0, 0))
        # Compute capability 8 (Ampere) brought bfloat16 to NVIDIA's tensor cores; 7 (Volta, Turing) has float16 only.
        return "bfloat16" if major >= 8 else "float16" if major == 7 else ""
    if platform.system() != "Linux":
        # Only Linux has /proc/cpuinfo.
        return ""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else ""


def _describe_settings(training: Training, fields: list[str] | None = None) -> str:
    """Return for example `precision float32, jit off, steps_per_call 1`."""
    return ", ".join(f"{name} {getattr(training, name)}" for name in fields or TUNED_SETTINGS)


def largest_batch_size(training: Training, make_step: MakeTrainStep, arrays: Arrays, rows: Array, *, where: str) -> tuple[int, str]:
    """Return the batch size and the sentence that says why. Call `device.prepare` afterwards.

    Raises RunError, with `where` as its place, when even the smallest batch does not fit.
    """
    limit = max(SMALLEST_BATCH, min(LARGEST_BATCH, _power_of_two(len(rows) // LEAST_EPOCH_STEPS)))
    fits, why = 0, ""
    untuned = training.with_settings(jit="off", steps_per_call=1).without_trial()
    prepare(untuned.seed, deterministic=False, precision=untuned.precision)
    steps = make_step(untuned)
    accelerated = bool(tf.config.list_physical_devices("GPU"))
    size = SMALLEST_BATCH
    while size <= limit:
        taken = _peak_of_a_step(steps, arrays, rows[:size])
        if taken is None:
            why = f"{size} rows need more memory than there is"
            break
        # Read anew for every size: the steps before have taken memory that is not given back.
        fits, allowed = size, STEP_MEMORY_SHARE * available_memory()
        if not accelerated and 2 * taken > allowed and 2 * size <= limit:
            why = f"{2 * size} rows would need about {2 * taken / 1e9:.1f} GB, more than half of the free memory"
            break
        size *= 2
    if not fits:
        fix = "Lower the size of images or the widths of the network."
        raise RunError(Problem(where, f"the memory is not enough for a batch of {SMALLEST_BATCH} rows.", fix))
    return fits, f"batch_size {fits}: {why or _reason(fits, len(rows))}"


def _reason(fits: int, rows: int) -> str:
    """Return why the batch is not larger although memory would allow it."""
    if fits == LARGEST_BATCH:
        return f"it is the largest that is tried ({LARGEST_BATCH})"
    if rows >= fits * LEAST_EPOCH_STEPS:
        return f"an epoch keeps {LEAST_EPOCH_STEPS} steps"
    return f"it is the smallest that is tried ({SMALLEST_BATCH})"


def _power_of_two(number: int) -> int:
    """Return the largest power of two that is not above `number`; 1 below 2."""
    return 1 << max(0, number.bit_length() - 1)


def _peak_of_a_step(steps: TrainStep, arrays: Arrays, rows: Array) -> int | None:
    """Return the peak memory of two steps on these rows beyond the memory before, in bytes; None where memory was not enough."""
    peak_memory.restart()
    before = peak_memory.bytes()
    try:
        for epoch in (1, 2):
            for batch in Batches(steps.inputs_of(arrays), rows, len(rows), 0, steps.uniform_columns).epoch(epoch):
                steps.train(batch, [0.0])["loss"].numpy()
    except tf.errors.ResourceExhaustedError:
        return None
    return peak_memory.bytes() - before
