"""Losses of a batch: of each target by the fused prediction, and of each branch alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from mmtrain.targets import FittedTarget
from mmtrain.training.distillation import Distillation

LABELS = ("targets", "weights", "teacher")
"""Parts of a batch that the losses read; the last one only of a training with a teacher."""


class BatchLosses:
    """Losses of the raw predictions for a batch, for one set of targets.

    Args:
        targets: Fitted targets by key, which name the loss and its weight.
        members: Number of members of an ensemble, whose predictions are (batch, members, units); 0 without one.
        distillation: Predictions of a teacher, which are part of the losses. Without it, a part `teacher` of a batch is not read.

    """

    def __init__(self, targets: Mapping[str, FittedTarget], members: int, distillation: Distillation | None = None) -> None:
        self.targets, self.members, self.distillation = targets, members, distillation

    def __call__(self, outputs: tuple[Any, Any, Any], batch: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the loss of each target by the fused prediction, and the total loss of each branch alone.

        `outputs` are those of `Models.trained`: fused predictions, those of each branch, and the presence of each branch.
        """
        fused, single, present = outputs
        alone = {branch: self.by_target(raw, _weighted(batch, present[branch])) for branch, raw in single.items()}
        losses, auxiliary = self.by_target(fused, batch), {branch: self.total(losses) for branch, losses in alone.items()}
        if "share" in batch:  # means over the rows of this worker, whose weighted sum over workers is the mean over all rows
            losses, auxiliary = tf.nest.map_structure(lambda loss: loss * batch["share"], (losses, auxiliary))
        return losses, auxiliary

    def total(self, losses: Mapping[str, Any]) -> Any:
        """Return the weighted sum of the losses over targets."""
        return sum(self.weighted(losses))

    def weighted(self, losses: Mapping[str, Any]) -> list[Any]:
        """Return the loss of each target times its weight."""
        return [losses[key] * target.loss_weight for key, target in self.targets.items()]

    def by_target(self, raw: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the loss of each target, {target: scalar}, by raw predictions.

        Members of an ensemble are rows of their own, each with the truth and weight of its row.
        """
        if "other" in batch:
            # Of mixed rows, the loss of the other answer comes in addition.
            theirs = self.by_target(raw, batch["other"])
            mine = self.by_target(raw, {part: values for part, values in batch.items() if part != "other"})
            return {key: loss + theirs[key] for key, loss in mine.items()}
        labels = {part: batch[part] for part in LABELS if part in batch}
        # Next to a branch with members, the head of a branch without them gives (batch, units).
        if self.members and not all(len(values.shape) == 2 for values in raw.values()):
            # Row 0 as often as there are members, then row 1: the order in which the reshape lays out (batch, members).
            members = self.members
            labels = {part: {key: tf.repeat(values[key], members, axis=0) for key in self.targets} for part, values in labels.items()}
            raw = {key: tf.reshape(values, (-1, *values.shape[2:])) for key, values in raw.items()}
        return {key: self._loss(key, target, labels, raw[key]) for key, target in self.targets.items()}

    def _loss(self, key: str, target: FittedTarget, labels: Mapping[str, Any], raw: Any) -> Any:
        """Return the loss of one target, with its part of the teacher where `labels` have its predictions."""
        truth, weight = labels["targets"][key], labels["weights"][key]
        if self.distillation is None or "teacher" not in labels:
            return target.loss(truth, raw, weight)
        return self.distillation.loss(target, truth, raw, weight, labels["teacher"][key])


def _weighted(batch: Mapping[str, Any], present: Any) -> dict[str, Any]:
    """Return the labels of a batch, with weight 0 in the rows where a branch is absent; `present` is (batch, 1)."""
    shown = tf.cast(present[:, 0] > 0, tf.float32)
    weighted = {**batch, "weights": {key: weights * shown for key, weights in batch["weights"].items()}}
    return {**weighted, "other": _weighted(batch["other"], present)} if "other" in batch else weighted
