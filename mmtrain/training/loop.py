"""The training loop: epochs of steps, a validation after each, the best weights kept.

The test part never comes here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.batches import Batches, in_order
from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Arrays, Fitted
from mmtrain.data.split import Parts
from mmtrain.errors import Problem, RunError, listed
from mmtrain.evaluation.scoring import known_rows
from mmtrain.model.assemble import Network
from mmtrain.named_score import Score
from mmtrain.runs import Run
from mmtrain.training import checkpoints
from mmtrain.training.events import Ended, EpochEnded, Started, Stepped, Warned, Watcher
from mmtrain.training.interruption import Interrupted, Interruption
from mmtrain.training.schedules import LearningRate
from mmtrain.training.step import Averaged, Steps
from mmtrain.training.stopping import Stopping

JUDGED_AT_ONCE = 256
"""Rows of one evaluation step."""


@dataclass(frozen=True)
class Material:
    """What a training works on."""

    experiment: Experiment
    fitted: Fitted
    arrays: Arrays
    parts: Parts
    network: Network
    place: Callable[[int], str] = "row {}".format
    """Where a person finds a row of the table."""


def train(material: Material, run: Run, watch: Watcher, resume: str | None = None) -> Ended:
    """Train to the end, to the patience's end or to an interruption; `checkpoints/best` holds the best weights.

    `resume` names the checkpoint to go on from, None begins; what the run wrote after it is cut away first.

    Raises RunError when the loss is no longer finite, Interrupted after SIGINT or SIGTERM, both with a whole checkpoint.
    """
    loop = _Loop(material, run, watch)
    loop.go_on_from(resume)
    try:
        with Interruption() as interruption:
            return loop.run_epochs(interruption)
    except tf.errors.ResourceExhaustedError as error:
        training = material.experiment.training
        fix = f"Lower training.batch_size (now {training.batch_size}), the size of pictures, or the widths of the network."
        raise RunError(Problem(str(run.folder), "the memory was not enough for a step of the training.", fix)) from error


class _Loop:
    """The state of one training: where it stands, and what stops it."""

    def __init__(self, material: Material, run: Run, watch: Watcher) -> None:
        self.material, self.run, self.watch = material, run, watch
        training = material.experiment.training
        self.training = training
        self.steps = Steps(material.experiment, material.fitted, material.network)
        self.batches = Batches(material.arrays, material.parts.train, training.batch_size, training.seed, self.steps.chance_columns)
        self.stopping = Stopping(training.early_stopping)
        self.rate = LearningRate(training.schedule, base=training.learning_rate, epochs=training.epochs, best=self.stopping.best)
        self.best_scores: dict[str, float | None] = {}
        self.warned: set[str] = set()
        self.start = checkpoints.Position()
        self.saved = time.perf_counter()

    def go_on_from(self, name: str | None) -> None:
        """Take everything from a checkpoint: weights, optimizer, the state of stopping and of the rate, the place in the epoch."""
        folder = self.run / "checkpoints"
        checkpoints.keep_only(folder, name)
        if name is not None:
            self.start = checkpoints.load(folder, name, self.material.network.core, self.steps.optimizer)
            self.stopping.restore(self.start.stopping)
            self.rate.restore(self.start.learning_rate)
            self.best_scores = self.start.best_scores
        if self.start.is_best:  # the process may have been killed between the two
            self.checkpoint_best(self.start.epoch)
        self.run.cut_lines("metrics.jsonl", self.start.epoch)

    def run_epochs(self, interruption: Interruption) -> Ended:
        rule = self.training.early_stopping
        self.watch(Started(self.training.epochs, len(self.batches), len(self.batches.rows), rule.monitor, rule.direction))
        epoch = self.start.epoch
        while epoch < self.training.epochs and not self.stopping.stop:
            epoch += 1
            self.run_epoch(epoch, interruption)
        if not self.stopping.best_epoch:  # the monitored score was never defined: the last weights are as good as any
            self.checkpoint_best(epoch)
        reason = f"{rule.monitor} has not improved for {rule.patience} epochs" if self.stopping.stop else ""
        ended = Ended(epoch, self.stopping.best_epoch or epoch, self.best_scores, reason)
        self.watch(ended)
        return ended

    def run_epoch(self, epoch: int, interruption: Interruption) -> None:
        """One epoch of steps, then validation, the best weights, a line of metrics and a checkpoint."""
        begun = time.perf_counter()
        sums, rows = self.train_epoch(epoch, interruption)
        rows_per_second = len(self.batches.rows) / (time.perf_counter() - begun)
        learning_rate = float(self.steps.optimizer.learning_rate.numpy())
        try:
            with Averaged(self.steps):
                scores = _means(sums, rows) | self.validate(epoch, interruption)
        except Interrupted:  # all steps are done, but the validation
            self.checkpoint("last", epoch - 1, len(self.batches), rows, sums)
            raise
        monitored = scores.get(self.training.early_stopping.monitor)
        is_best = self.stopping.epoch_ended(epoch, monitored)
        self.rate.epoch_ended(monitored)
        if is_best:
            self.best_scores = scores
        self.run.append_line("metrics.jsonl", {"epoch": epoch, "learning_rate": learning_rate, **scores})
        self.checkpoint("last", epoch)
        if is_best:  # after `last`, from which it can be made again: so they never contradict each other
            self.checkpoint_best(epoch)
        seconds = time.perf_counter() - begun
        self.watch(EpochEnded(epoch, scores, learning_rate, seconds, rows_per_second, is_best, self.stopping.best_epoch))

    def train_epoch(self, epoch: int, interruption: Interruption) -> tuple[dict[str, float], int]:
        """All steps of an epoch; its losses, added up over its rows, and their number."""
        here = self.start if self.start.epoch == epoch - 1 else checkpoints.Position()
        sums, rows = dict(here.losses), here.rows
        for number, batch in enumerate(self.batches.epoch(epoch, here.step), start=here.step):
            if interruption.number or time.perf_counter() - self.saved > 60 * self.training.checkpoint_minutes:
                self.checkpoint("last", epoch - 1, number, rows, sums)
            if interruption.number:
                raise Interrupted(interruption.number)
            self.steps.optimizer.learning_rate.assign(self.rate.at(epoch - 1 + number / len(self.batches)))
            losses = {name: float(value) for name, value in self.steps.train(batch.tree()).items()}
            if not np.isfinite(losses["loss"]):
                what = f"the loss became {losses['loss']} in epoch {epoch}, step {number + 1}."
                raise RunError(self.diverged(what, "training rows", self.batches.rows))
            rows += len(batch.rows)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch.rows)
            self.watch(Stepped(epoch, number + 1, rows, sums["loss"] / rows))
        return sums, rows

    def validate(self, epoch: int, interruption: Interruption) -> dict[str, float | None]:
        """Losses, weighted as in training, and scores of the validation rows whose answer training knows; None where undefined."""
        rows = self.material.parts.validation
        losses, predictions = judged(self.steps, self.material.arrays, rows, interruption)
        total: float | None = 0.0
        of_targets: dict[str, float | None] = {}
        for key, target in self.material.fitted.targets.items():
            infix = f"{key}_" if len(losses) > 1 else ""
            truth = self.material.arrays.targets[key][rows]
            known = known_rows(truth)
            self.warn_unknown(key, int((~known).sum()))
            loss = self.mean_loss(epoch, losses[key][known], rows[known])
            total = None if total is None or loss is None else total + loss * target.loss_weight
            if infix:
                of_targets[f"validation_{infix}loss"] = loss
            found = target.scores(truth[known], predictions[key][known])
            of_targets |= {f"validation_{infix}{score.name}": score.value for score in found}
            self.warn_undefined(found, infix)
        return {"validation_loss": total, **of_targets}

    def mean_loss(self, epoch: int, losses: Array, rows: Array) -> float | None:
        """The mean over `rows`, None of no rows. Raises RunError when one is not finite: the network no longer gives numbers."""
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            what = f"the loss of {len(bad)} of {len(losses)} validation rows is no longer finite in epoch {epoch}."
            raise RunError(self.diverged(what, "those rows", rows[bad]))
        return float(losses.mean(dtype=np.float64)) if len(losses) else None

    def warn_unknown(self, key: str, count: int) -> None:
        """Say once that some validation rows have a class that no training row has."""
        if count and key not in self.warned:
            self.warned.add(key)
            rows = "1 validation row is" if count == 1 else f"{count} validation rows are"
            self.watch(Warned(f"{rows} left out of the scores of {key}: training rows do not have their class"))

    def warn_undefined(self, found: tuple[Score, ...], infix: str) -> None:
        monitor = self.training.early_stopping.monitor
        for score in found:
            if score.value is None and f"validation_{infix}{score.name}" == monitor and monitor not in self.warned:
                self.warned.add(monitor)
                self.watch(Warned(f"{monitor}, which decides what the best epoch is, is undefined: {score.undefined}"))

    def checkpoint_best(self, epoch: int) -> None:
        """Keep the weights that were judged at the end of `epoch`."""
        with Averaged(self.steps):
            self.checkpoint("best", epoch)

    def checkpoint(self, name: str, epoch: int, step: int = 0, rows: int = 0, losses: Mapping[str, float] | None = None) -> None:
        """`epoch` epochs are done, and `step` steps of the next with these rows and losses."""
        position = checkpoints.Position(
            epoch, step, rows, dict(losses or {}), self.stopping.state(), self.rate.state(), dict(self.best_scores)
        )
        self.saved = time.perf_counter()
        checkpoints.save(self.run / "checkpoints", name, self.material.network.core, self.steps.optimizer, position)

    def diverged(self, what: str, which: str, rows: Array) -> Problem:
        """A loss that is no number any more, with what could be the cause in `rows`.

        Of training rows all are looked at: what upsets the weights in one step shows in the loss of the next.
        """
        suspects = [f"{name} {value:g} ({self.material.place(row)})" for name, value, row in suspicious(self.material.arrays, rows)]
        seen = (
            f"Out of the ordinary in {which}: {listed(suspects, most=5)}." if suspects else f"No number in {which} is out of the ordinary."
        )
        fix = f"Lower training.learning_rate (now {self.training.learning_rate:g}); normalize numbers; look for outliers."
        return Problem(str(self.run.folder), f"{what} {seen}", fix)


def suspicious(arrays: Arrays, rows: Array) -> list[tuple[str, float, int]]:
    """Inputs and weights of `rows` that are not finite or are larger than 1000, as (name, size, row); the two largest of each."""
    found = []
    weights = {f"weight of {key}": values for key, values in arrays.weights.items()}
    for name, values in [*arrays.inputs.items(), *weights.items()]:
        if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating):
            continue
        largest = np.abs(values[rows].reshape(len(rows), -1).astype(np.float64)).max(axis=1)
        largest[np.isnan(largest)] = np.inf
        for place in np.argsort(-largest, kind="stable")[:2]:
            if largest[place] > 1e3:
                found.append((name, float(largest[place]), int(rows[place])))
    return found


def _means(sums: Mapping[str, float], rows: int) -> dict[str, float | None]:
    return {f"train_{name}_loss" if name != "loss" else "train_loss": total / rows for name, total in sums.items()}


def judged(
    steps: Steps, arrays: Arrays, rows: Array, interruption: Interruption | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The loss of every row and the predictions of `rows`, in their order, per target.

    Raises Interrupted in the middle when the `interruption` says so.
    """
    losses: dict[str, list[Array]] = {}
    predictions: dict[str, list[Array]] = {}
    start = 0
    for inputs in in_order(arrays, rows, JUDGED_AT_ONCE):
        if interruption is not None and interruption.number:
            raise Interrupted(interruption.number)
        here = rows[start : start + JUDGED_AT_ONCE]
        start += len(here)
        batch = {
            "inputs": inputs,
            "targets": {key: values[here] for key, values in arrays.targets.items()},
            "weights": {key: values[here] for key, values in arrays.weights.items()},
        }
        found, predicted = steps.judge(batch)
        _append(losses, found)
        _append(predictions, predicted)
    return {key: np.concatenate(pieces) for key, pieces in losses.items()}, {
        key: np.concatenate(pieces) for key, pieces in predictions.items()
    }


def _append(pieces: dict[str, list[Array]], batch: Mapping[str, Any]) -> None:
    for key, values in batch.items():
        pieces.setdefault(key, []).append(values.numpy())


def prepare(seed: int, *, deterministic: bool, precision: str = "float32") -> None:
    """Seed everything that draws: initial weights, dropout. Deterministic also asks TensorFlow for reproducible operations.

    `precision` is what layers compute in from now on; their weights stay float32.
    """
    import keras

    keras.backend.clear_session()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    keras.utils.set_random_seed(seed % 2**32)  # NumPy takes no more
    if deterministic:
        tf.config.experimental.enable_op_determinism()
