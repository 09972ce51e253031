"""Weight soups: the mean of the weights of the best epochs of one training, which costs one network where an ensemble costs several.

Method: the greedy soup of Wortsman et al. (2022, arXiv:2203.05482), of epochs in place of trainings, as Izmailov et al. (2018,
arXiv:1803.05407) average them: beginning with the best epoch, the next best are added one by one, each if the monitored validation score
of the mean does not fall. So the soup is never worse than the best epoch on validation rows. Statistics of batch normalization belong to
weights; those of a mean are computed anew, from training rows.

Trainings with other seeds begin with other weights, whose mean computes nothing: they are averaged by their predictions.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import SoupRecord
from mmtrain.batches import Batches
from mmtrain.config.sections.training import EarlyStopping, Training
from mmtrain.data.arrays import Array
from mmtrain.training import checkpoints
from mmtrain.training.optimization.ema_weights import EmaWeights
from mmtrain.training.step import TrainStep

FOLDER = "soup"
"""Folder of a checkpoint folder with the weights of the best epochs, `<epoch>.npz`."""
MOST_BATCHES = 100
"""Batches of training rows from which statistics of batch normalization are computed."""

Weights = list[Array]


class WeightSoup:
    """The weights of the best epochs of a training so far, in files; nothing without `training.soup`."""

    def __init__(self, run: Run, steps: TrainStep, training: Training) -> None:
        self.run, self.steps, self.rule = run, steps, training.early_stopping
        self.most = training.soup or 0
        self.folder = run / "checkpoints" / FOLDER
        self.scores: list[tuple[int, float]] = []
        """The best epochs with their scores, the best first."""
        self.needed: list[int] = []
        """Epochs whose weights are kept: the best ones, and those before the last epoch, which may have to be run again."""

    def epoch_ended(self, epoch: int, value: float | None) -> None:
        """Record the monitored score of an epoch."""
        before = [number for number, _ in self.scores]
        if value is not None and self.most:
            sign = -1 if self.rule.direction == "maximize" else 1
            self.scores = sorted([*self.scores, (epoch, value)], key=lambda one: (sign * one[1], one[0]))[: self.most]
        self.needed = [*before, *(number for number, _ in self.scores)]

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds; nothing of a training without a soup."""
        return {"best_epochs": [list(one) for one in self.scores]} if self.scores else {}

    def restore(self, position: checkpoints.Position) -> None:
        """Continue from the state in a checkpoint, whose weights are in the network."""
        self.scores = [(int(epoch), value) for epoch, value in position.stopping.get("best_epochs", ())]
        self.needed = [epoch for epoch, _ in self.scores]
        if not position.step:  # the process may have been killed between the checkpoint and this file
            self.keep(position.epoch)

    def keep(self, epoch: int) -> None:
        """Write the weights of an epoch if they are needed, and remove those that are not; `last` is written before."""
        kept = {self.folder / f"{number}.npz" for number in self.needed}
        path = self.folder / f"{epoch}.npz"
        if path in kept and not path.is_file():
            with disk_errors(path), EmaWeights(self.steps.variables, self.steps.optimizer):
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(path, ".npz") as temporary:
                    np.savez(temporary, *[variable.numpy() for variable in self.steps.variables])
        for other in set(self.folder.glob("*.npz")) - kept:
            other.unlink(missing_ok=True)

    def mix(self, best: int, batches: Batches, score: Callable[[], float | None]) -> bool:
        """Put the soup into the network, whose weights are those of epoch `best`; return False if it has one epoch only.

        `score` returns the monitored score of the network.
        """
        epochs = _read_epochs(self.folder, [epoch for epoch, _ in self.scores])
        value = dict(self.scores).get(best)
        if best not in epochs or len(epochs) < 2 or value is None:
            return False

        def score_of(weights: Weights) -> float | None:
            self._assign(weights, batches)
            return score()

        chosen, reached = choose_epochs(best, epochs, value, self.rule, score_of)
        record = SoupRecord(epochs=sorted(chosen), tried=len(epochs), score=self.rule.monitor, best=value, value=reached)
        self.run.update(soup=record.to_json())
        if len(chosen) == 1:
            return False
        self._assign(mean_weights([epochs[epoch] for epoch in chosen]), batches)
        return True

    def _assign(self, weights: Weights, batches: Batches) -> None:
        for variable, values in zip(self.steps.variables, weights, strict=True):
            variable.assign(values)
        network = self.steps.models.trained
        forward = tf.function(lambda inputs: network(inputs, training=True), autograph=False, reduce_retracing=True)
        renew_statistics(network, lambda batch: forward(self.steps.augmenter.inputs(batch.tree())), batches.epoch(1))


def forget(run: Run) -> None:
    """Remove the weights of single epochs of a training that has ended."""
    shutil.rmtree(run / "checkpoints" / FOLDER, ignore_errors=True)


def _read_epochs(folder: Path, epochs: Iterable[int]) -> dict[int, Weights]:
    """Return the weights of those epochs whose files are there, in this order."""
    weights = {}
    for epoch in epochs:
        path = folder / f"{epoch}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as stored:
                weights[epoch] = [stored[name] for name in stored.files]
    return weights


def choose_epochs(
    best: int, epochs: Mapping[int, Weights], value: float, rule: EarlyStopping, score: Callable[[Weights], float | None]
) -> tuple[list[int], float]:
    """Return the epochs of the greedy soup, `best` first, and its monitored score.

    Args:
        best: The best epoch, one of `epochs`.
        epochs: Weights by epoch, the best ones first.
        value: The monitored score of the best epoch.
        rule: The direction of better scores.
        score: Takes weights into the network, and returns its monitored score; None where it is undefined.
    """
    chosen, reached = [best], value
    for epoch in epochs:
        if epoch == best:
            continue
        mixed = score(mean_weights([epochs[one] for one in (*chosen, epoch)]))
        if mixed is not None and math.isfinite(mixed) and (mixed >= reached if rule.direction == "maximize" else mixed <= reached):
            chosen, reached = [*chosen, epoch], mixed
    return chosen, reached


def mean_weights(each: Sequence[Weights]) -> Weights:
    """Return the mean of weights, array by array, summed in float64."""
    return [np.mean(arrays, axis=0, dtype=np.float64).astype(arrays[0].dtype) for arrays in zip(*each, strict=True)]


def renew_statistics(network: Any, forward: Callable[[Any], object], batches: Iterable[Any]) -> None:
    """Compute the statistics of batch normalization anew: the mean of those of each of at most `MOST_BATCHES` batches.

    `forward` runs the network on a batch as in training. Layers move their statistics towards those of the batch by 1 - momentum, from
    which these follow. Nothing happens without such layers.
    """
    layers = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    moving = [(variable, layer.momentum) for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    if not moving:
        return
    before = [variable.numpy().astype(np.float64) for variable, _ in moving]
    of_batches: list[Weights] = []
    for batch in islice(batches, MOST_BATCHES):
        forward(batch)
        moved = [(variable.numpy() - momentum * old) / (1.0 - momentum) for (variable, momentum), old in zip(moving, before, strict=True)]
        of_batches.append(moved)
        for (variable, _), old in zip(moving, before, strict=True):
            variable.assign(old)
    for (variable, _), values in zip(moving, mean_weights(of_batches), strict=True):
        variable.assign(values)
