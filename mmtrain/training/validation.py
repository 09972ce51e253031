"""Losses and scores of the validation rows, after every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtrain.batches import sequential_batches
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.sampling import visits_of_rows
from mmtrain.metrics.score import Score
from mmtrain.model.model_file import rows_at_once
from mmtrain.training.listeners.events import Listener, Warned
from mmtrain.training.loss_accumulator import divergence_error
from mmtrain.training.signals import GracefulShutdown, Interrupted
from mmtrain.training.step import TrainStep
from mmtrain.training.training_data import TrainingData
from mmtrain.training.workers.collective import Wishes


class Validation:
    """Evaluates validation rows after every epoch. Each warning about them is issued once."""

    def __init__(self, data: TrainingData, steps: TrainStep, listener: Listener, where: str) -> None:
        self.data, self.steps, self.listener, self.where = data, steps, listener, where
        self.monitor = data.training.early_stopping.monitor
        # As class weights do: the loss at the frequencies of the table is lowest before the network has learned those of its epochs.
        self.visits = visits_of_rows(data.fitted.targets, data.arrays.targets, data.partition.train, data.partition.validation)
        self.order = self._group_order()
        self.warned: set[str] = set()
        self.row_losses: Array = np.empty(0)
        """Weighted sum over targets of the last epoch's losses, one per validation row; 0 for rows without a known label."""

    def _group_order(self) -> Array | None:
        """Return the places of the validation rows such that rows of a group follow each other; None where none are compared."""
        rows = self.data.partition.validation
        codes = [
            target.group_codes(self.data.arrays.targets[key][rows]) for key, target in self.data.fitted.targets.items() if target.is_ranked
        ]
        return np.argsort(codes[0], kind="stable") if codes else None

    @property
    def main(self) -> str:
        """The main metric of the first target, for example `validation_auc`; empty for a task without one."""
        targets = self.data.fitted.targets
        key, target = next(iter(targets.items()))
        return target.main_metric and f"validation_{f'{key}_' if len(targets) > 1 else ''}{target.main_metric}"

    def scores(self, epoch: int, interruption: GracefulShutdown) -> dict[str, float | None]:
        """Return losses, weighted as in training, and scores of the rows with a known label; None where undefined.

        Raises RunError when a loss is not finite, Interrupted in the middle.
        """
        rows = self.data.partition.validation
        losses, predictions = self._predict_grouped(rows, interruption)
        losses = {key: values * self.visits for key, values in losses.items()}
        total: float | None = 0.0
        self.row_losses = np.zeros(len(rows))
        of_targets: dict[str, float | None] = {}
        for key, target in self.data.fitted.targets.items():
            infix = f"{key}_" if len(losses) > 1 else ""
            truth = self.data.arrays.targets[key][rows]
            known = target.known_rows(truth)
            self._warn_unknown(key, int((~known).sum()))
            loss = self._mean_loss(epoch, losses[key][known], rows[known])
            self.row_losses[known] += losses[key][known] * target.loss_weight
            total = None if total is None or loss is None else total + loss * target.loss_weight
            if infix:
                of_targets[f"validation_{infix}loss"] = loss
            scores = tuple(
                score for score in target.all_scores(truth[known], predictions[key][known]) if score.name not in target.late_scores
            )
            of_targets |= {f"validation_{infix}{score.name}": score.value for score in scores}
            self._warn_undefined(scores, infix)
        return {"validation_loss": total, **of_targets}

    def _predict_grouped(self, rows: Array, interruption: GracefulShutdown) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the losses and predictions of `rows` per target, with rows of a group in one batch where they are compared."""
        if self.order is None:
            return self._predict(rows, interruption)
        back = np.argsort(self.order)
        losses, predictions = self._predict(rows[self.order], interruption)
        return {key: values[back] for key, values in losses.items()}, {key: values[back] for key, values in predictions.items()}

    def _predict(self, rows: Array, interruption: GracefulShutdown) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the losses and predictions of `rows` per target; of several workers, each computes those of its share."""
        workers, arrays = self.data.workers, self.data.arrays
        if workers.count == 1:
            return predict_rows(self.steps, arrays, rows, interruption)
        # Rows that are too few to share are predicted by all.
        shared = len(rows) >= workers.count
        losses, predictions = predict_rows(self.steps, arrays, rows[workers.number :: workers.count] if shared else rows)
        if shared:
            whole = iter(workers.gathered([*losses.values(), *predictions.values()], len(rows)))
            losses, predictions = {key: next(whole) for key in losses}, {key: next(whole) for key in predictions}
        # Not between two batches, whose number differs: all workers stop at the same place.
        if number := workers.agreed(Wishes(interruption.number)).signal:
            raise Interrupted(number)
        return losses, predictions

    def _mean_loss(self, epoch: int, losses: Array, rows: Array) -> float | None:
        """Return the mean over `rows`, None without rows. Raises RunError when a loss is not finite: the network has diverged."""
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            what = f"the loss of {len(bad)} of {len(losses)} validation rows is no longer finite in epoch {epoch}."
            raise divergence_error(self.data, self.where, what, "those rows", rows[bad])
        # A sum of many float32 losses would lose digits.
        return float(losses.mean(dtype=np.float64)) if len(losses) else None

    def _warn_unknown(self, key: str, count: int) -> None:
        if count and key not in self.warned:
            self.warned.add(key)
            rows = "1 validation row is" if count == 1 else f"{count} validation rows are"
            gap = "they have no answer" if self.data.fitted.targets[key].answered_share < 1 else "training rows do not have their class"
            self.listener(Warned(f"{rows} left out of the scores of {key}: {gap}"))

    def _warn_undefined(self, scores: tuple[Score, ...], infix: str) -> None:
        for score in scores:
            if score.value is None and f"validation_{infix}{score.name}" == self.monitor and self.monitor not in self.warned:
                self.warned.add(self.monitor)
                self.listener(Warned(f"{self.monitor}, which decides what the best epoch is, is undefined: {score.undefined}"))


def predict_rows(
    steps: TrainStep, arrays: Arrays, rows: Array, interruption: GracefulShutdown | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the loss of every row and the predictions of `rows`, in their order, per target.

    Raises Interrupted between two batches when the `interruption` has a signal.
    """
    losses: dict[str, list[Array]] = {}
    predictions: dict[str, list[Array]] = {}
    start, size = 0, rows_at_once(steps.models.network)
    if any(target.is_ranked for target in steps.fitted.targets.values()):
        size = min(size, steps.batch_size)  # all pairs of a batch are compared, and batches of the training fit into memory
    for inputs in sequential_batches(steps.inputs_of(arrays), rows, size):
        if interruption is not None and interruption.number:
            raise Interrupted(interruption.number)
        # Prefetched batches come in the order of `rows`.
        here = rows[start : start + size]
        start += len(here)
        batch = {
            "inputs": inputs,
            "targets": {key: values[here] for key, values in arrays.targets.items()},
            "weights": {key: values[here] for key, values in arrays.weights.items()},
        }
        batch_losses, batch_predictions = steps.eval_step(batch)
        _append(losses, batch_losses)
        _append(predictions, batch_predictions)
    return {key: np.concatenate(pieces) for key, pieces in losses.items()}, {
        key: np.concatenate(pieces) for key, pieces in predictions.items()
    }


def _append(pieces: dict[str, list[Array]], batch: Mapping[str, Any]) -> None:
    for key, values in batch.items():
        pieces.setdefault(key, []).append(values.numpy())
