"""What a short trial on this device decides: precision, XLA, and how many steps one call takes.

Which of them is fast depends on the network and the machine: a table model ran four times faster with sixteen steps to a call
and XLA, a small CNN on a CPU half as fast with XLA, twice as fast in bfloat16 on a CPU that has it and far slower on one that
has not. So they are timed, on batches of the training part, with networks that are thrown away. Only what the file leaves open
(`auto`) is tried; the trial ends when it has taken a tenth of what the training is expected to take; another precision
than float32 must be 1.3 times as fast, as it may change scores. What was decided is written into the run's config.yaml.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import tensorflow as tf

from mmtrain.artifacts.run_schema import TuningRecord
from mmtrain.batches import Batch
from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Arrays, Fitted
from mmtrain.model.assemble import assemble
from mmtrain.training.device import forget_networks, prepare
from mmtrain.training.step import TrainStep

SETTINGS = ("precision", "jit", "steps_per_call")
MOST_STEPS, LONGEST_CALL = 16, 0.5
"""Of a call, at most: its own cost is then a sixteenth of what it was; and its seconds, which whoever interrupts has to wait."""
FEW_STEPS = 2000
"""A training of fewer steps gains some seconds at most from XLA and longer calls, about what trying them costs."""
LIGHT = 0.02
"""Seconds of a step; of longer ones a call's own cost is no twentieth, and precision is what matters most."""
SHORT = 20.0
"""Seconds of training for which no trial is made."""
SHARE = 0.1
"""Of the training, what the trial may take."""
ROUNDS, ROUND = 3, 0.15
"""Rounds in which two settings take turns, and the seconds of each turn at least."""
PAYS = {"precision": 1.3, "jit": 1.1, "steps_per_call": 1.03}
"""How many times faster a setting must be to be taken. Longer calls give the very same weights."""


@dataclass
class TuningResult:
    """What the trial decided, why, and the seconds a step took with everything it tried."""

    experiment: Experiment
    reasons: list[str] = field(default_factory=list)
    seconds_per_step: dict[str, float] = field(default_factory=dict)

    @property
    def record(self) -> TuningRecord:
        """What run.json keeps of the trial."""
        return TuningRecord(reasons=self.reasons, seconds_per_step={name: round(value, 7) for name, value in self.seconds_per_step.items()})


def tune_settings(experiment: Experiment, fitted: Fitted, arrays: Arrays, rows: Array) -> TuningResult:
    """Time what the experiment leaves open, on the training `rows`; `deterministic` skips every trial.

    Sets Keras up anew for every network that it tries: call `device.prepare` afterwards.
    """
    training, open_fields = experiment.training, experiment.undecided
    decision = TuningResult(experiment.untried())
    if not open_fields:
        return decision
    steps = -(-len(rows) // int(decision.experiment.training.batch_size)) * training.epochs
    if training.deterministic:
        if "precision" in open_fields:  # asked for, as it is not the default
            decision.reasons.append(f"{_told(decision.experiment, open_fields)}: `deterministic` makes no trials")
    elif "precision" in open_fields or steps >= FEW_STEPS:
        _Trial(decision, fitted, arrays, rows).run(open_fields, steps)
    return decision


class _Trial:
    """Networks that are timed against each other and thrown away."""

    def __init__(self, decision: TuningResult, fitted: Fitted, arrays: Arrays, rows: Array) -> None:
        self.decision, self.fitted, self.arrays, self.rows = decision, fitted, arrays, rows
        self.best = self.attempt(decision.experiment)
        self.begun = time.perf_counter()

    def attempt(self, experiment: Experiment) -> _Attempt:
        return _Attempt(experiment, self.fitted, self.arrays, self.rows)

    def run(self, open_fields: list[str], steps: int) -> None:
        """Try what is open, the most promising first, each against the best so far."""
        step = self.best.seconds_per_step()
        self.decision.seconds_per_step[_told(self.decision.experiment)] = step
        if step * steps < SHORT:
            told = _told(self.decision.experiment, open_fields)
            self.decision.reasons.append(f"{told}: the training takes about {step * steps:.0f} s, so a trial would not pay")
            return
        allowed = SHARE * step * steps
        for name, value in self.candidates(open_fields, step):
            if time.perf_counter() - self.begun > allowed:
                self.decision.reasons.append(f"{name} was not tried: the trial had its {allowed:.0f} s")
            else:
                self.compare(name, value)

    def candidates(self, open_fields: list[str], step: float) -> list[tuple[str, Any]]:
        """Settings to try and their values, the most promising first."""
        full = len(self.rows) // self.best.steps.batch_size
        most = min(MOST_STEPS, max(1, int(LONGEST_CALL / step)))
        together = full // -(-full // most) if full else 1  # so that few batches are left over
        # On a CPU, XLA made every CNN slower, and compiling it took seconds.
        images = any(column.content == "images" for column in self.decision.experiment.inputs.values())
        found = {
            "steps_per_call": together if together > 1 else None,
            "jit": "on" if not images or tf.config.list_physical_devices("GPU") else None,
            "precision": fast_precision() or None,
        }
        order = list(found) if step < LIGHT else [*reversed(found)]
        return [(name, found[name]) for name in order if name in open_fields and found[name] is not None]

    def compare(self, name: str, value: Any) -> None:
        """Take `value` if it is worth it."""
        before = self.decision.experiment
        after = before.decided(**{name: value})
        try:
            other = self.attempt(after)
            old, new = _taking_turns(self.best, other)
        except tf.errors.OpError as error:
            self.decision.reasons.append(f"not {name} {value}: {str(error).splitlines()[0][:120]}")
            return
        self.decision.seconds_per_step[_told(after)] = new
        times = round(old / new, 2)  # as it is told
        taken = times >= PAYS[name]
        verdict = f"{times:.2f} times as fast as {getattr(before.training, name)}"
        self.decision.reasons.append(f"{name} {value}: {verdict}" if taken else f"not {name} {value}: {verdict}, less than {PAYS[name]}")
        if taken:
            self.best, self.decision.experiment = other, after


class _Attempt:
    """A network with fresh weights, and some batches to train it on."""

    def __init__(self, experiment: Experiment, fitted: Fitted, arrays: Arrays, rows: Array) -> None:
        training = experiment.training
        forget_networks()  # an attempt that was not taken
        prepare(training.seed, deterministic=False, precision=training.precision)
        self.steps = TrainStep(experiment, fitted, assemble(experiment, fitted))
        enough = 2 * self.steps.batch_size * self.steps.steps_per_call
        self.batches: list[Batch] = [batch for batch in self.steps.batches(arrays, rows[:enough]).epoch(1) if len(batch.rows) > 0]
        self.rate = [0.0] * self.steps.steps_per_call
        for _ in range(2):  # compilation, and what the first call allocates
            self._round()

    def _round(self) -> int:
        """Train on every batch; how many steps that was."""
        losses = [self.steps.train(batch, self.rate[: batch.steps])["loss"] for batch in self.batches]
        return sum(len(loss.numpy()) for loss in losses)  # waits for the device

    def seconds_per_step(self) -> float:
        """Over `ROUND` seconds at least."""
        begun, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - begun < ROUND:
            steps += self._round()
        return (time.perf_counter() - begun) / steps


def _taking_turns(one: _Attempt, other: _Attempt) -> tuple[float, float]:
    """Medians of the seconds per step of two attempts in alternating rounds, so that what else the machine does hits both."""
    rounds = [(one.seconds_per_step(), other.seconds_per_step()) for _ in range(ROUNDS)]
    return median(first for first, _ in rounds), median(second for _, second in rounds)


def fast_precision() -> str:
    """The mixed precision that this device may be faster in; empty where there is none."""
    accelerators = tf.config.list_physical_devices("GPU")
    if accelerators:
        major, _ = tf.config.experimental.get_device_details(accelerators[0]).get("compute_capability", (0, 0))
        return "bfloat16" if major >= 8 else "float16" if major == 7 else ""
    if platform.system() != "Linux":
        return ""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else ""


def _told(experiment: Experiment, fields: list[str] | None = None) -> str:
    """`precision float32, jit off, steps_per_call 1`."""
    return ", ".join(f"{name} {getattr(experiment.training, name)}" for name in fields or SETTINGS)
