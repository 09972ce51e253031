"""The linear model that a network begins with, and the share of the network's correction to it that is kept.

Before the first step, `fit_linear_base` fits a penalized regression by the losses of the targets. Its penalty, and whether it reads the
bins of numbers, are chosen by cross-validation within the training rows, so that validation rows stay unseen. After the training,
`settle_linear_base` chooses between the linear model, the network and the mean of both on validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.artifacts.run_schema.run_facts import LinearBaseChoice
from mmtrain.batches import sequential_batches
from mmtrain.data.arrays import Array
from mmtrain.errors import counted
from mmtrain.model.branch_model import LinearModel
from mmtrain.model.model_file import rows_at_once
from mmtrain.training.optimization.penalized_regression import Labels, Matrix, Regression
from mmtrain.training.training_data import TrainingData

PENALTIES = (10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""L2 penalties on the sum of the losses, strongest first; 1 / C of scikit-learn's logistic regression. With steps of 10 in place of 3, the
loss of held-out rows was 4 % higher on pbc (one inner split) and up to 3 % on diabetes (three); benchmarks/LOG.md has others."""
MOST_ROWS = 10_000
"""Most training rows for which a linear model is fitted. From more rows members learn by themselves what it has: on an inner split of
california (10,500 training rows, 8 epochs) R2 was .798 without and .790 with it."""
MOST_FEATURES = 640
"""Most features, or rows if these are fewer: their matrix of products is decomposed, in 0.2 s."""
MOST_VALUES = 15_000_000
"""Most values of the matrix of features, 60 MB in float32; of more rows a random part is read."""
FOLDS, MANY_ROWS = 3, 2_000
"""Folds of the cross-validation, and training rows from which only one of them is held out."""
FACTORS = (0.0, 0.5, 1.0)
"""Factors of the network's correction: the linear model alone, the mean of both, the network as it was trained."""
NOISE = 2.0
"""Standard errors by which one of the ends has to be better than the mean of both to take its place. On inner splits of hdma, pbc, wine
and boston, the mean had a lower loss than both or lay near the lower one."""


def fit_linear_base(data: TrainingData) -> str:
    """Fit the linear model of `data.models` and let the network begin with it; return a sentence for the user about it.

    The sentence is empty where nothing is fitted: without such a model, with too few rows or more than `MOST_ROWS`, with more features
    than `MOST_FEATURES`, and for a loss of all pairs of rows within groups.
    """
    base = data.models.base
    if base is None or len(data.partition.train) > MOST_ROWS or any(target.is_ranked for target in data.fitted.targets.values()):
        return ""
    rows = _fitted_rows(data, base)
    # First features of the model without bins, which come first, and of that with them.
    candidates = [start for start in dict.fromkeys((base.bins, 0)) if min(base.width - start, len(rows)) <= MOST_FEATURES]
    if len(rows) < 4 * FOLDS or not candidates:
        return ""
    features, labels = _features(data, base, rows), Labels.of(data, rows)
    folds = _folds(data, rows)
    trials = [(start, *_cross_validate(features[:, start:], labels, folds)) for start in candidates]
    # The plain model first: bins have to be better beyond one standard error.
    start, penalty, losses = trials[0]
    codes = None if data.groups is None else data.groups[np.concatenate([rows[:0], *(rows[out] for out in _held_out(folds))])]
    if len(trials) > 1 and _better(losses, trials[1][2], 1.0, codes):
        start, penalty, losses = trials[1]
    weights, bias = Regression(features[:, start:], labels).solve(penalty)
    _assign(base, np.concatenate([np.zeros((start, weights.shape[1])), weights]), bias)
    read = "and the bins of numbers, " if base.bins and not start else ""
    return (
        f"The network begins with a linear model of {counted(features.shape[1] - start, 'feature')}, {read}fitted to "
        f"{counted(len(rows), 'training row')} (penalty {penalty:g}), and learns its residuals."
    )


def settle_linear_base(data: TrainingData) -> LinearBaseChoice | None:
    """Choose on validation rows the share of the network's correction that is kept, and scale its heads by it.

    The mean of both is kept unless one of them has a lower loss beyond noise. None without a linear model or without validation rows.
    """
    base, rows = data.models.base, data.partition.validation
    if base is None or not base.fitted or not len(rows):
        return None
    labels = Labels.of(data, rows)
    network = _raw(data, rows)
    head_weights = [(weight, weight.numpy()) for head in base.heads for weight in head.weights]
    _scale(head_weights, 0.0)
    linear = _raw(data, rows)
    losses: dict[float, Array] = {}
    for factor in FACTORS:
        mixed = {key: linear[key] + factor * (network[key] - linear[key]) for key in linear}
        means = data.models.mean_raw({key: tf.constant(values) for key, values in mixed.items()})
        losses[factor] = labels.row_losses(tf.concat([means[key] for key in labels.targets], axis=1)).numpy()
    codes = None if data.groups is None else data.groups[rows]
    ends = [factor for factor in (0.0, 1.0) if _better(losses[0.5], losses[factor], NOISE, codes)]
    factor = min(ends, key=lambda end: float(losses[end].mean()), default=0.5)
    _scale(head_weights, factor)
    linear_loss, mean_loss, network_loss = (round(float(losses[end].mean(dtype=np.float64)), 6) for end in FACTORS)
    return LinearBaseChoice(factor=factor, rows=len(rows), linear=linear_loss, mean=mean_loss, network=network_loss)


def _better(losses: Array, others: Array, errors: float, groups: Array | None = None) -> bool:
    """Return True if `others` are lower than the losses of the same rows by more than this many standard errors.

    `groups` are the codes of rows that belong together and count as one observation.
    """
    gains = losses.astype(np.float64) - others
    if groups is not None:  # sums of groups: rows of one group gain together, so that theirs is one draw
        gains = np.bincount(np.unique(groups, return_inverse=True)[1], weights=gains).astype(np.float64)
    return bool(len(gains) > 1 and gains.mean() > errors * gains.std(ddof=1) / len(gains) ** 0.5)


def _scale(head_weights: Sequence[tuple[Any, Array]], factor: float) -> None:
    for weight, values in head_weights:
        weight.assign(values * factor)


def _raw(data: TrainingData, rows: Array) -> dict[str, Array]:
    """Return the raw values of the network, by target; with members (rows, members, units)."""
    network = data.models.network
    batches = [network(dict(batch), training=False) for batch in sequential_batches(data.arrays, rows, rows_at_once(network))]
    return {key: np.concatenate([batch[key].numpy() for batch in batches]) for key in batches[0]}


def _fitted_rows(data: TrainingData, base: LinearModel) -> Array:
    """Return training rows with a label, in their order; a random part of very many."""
    rows = data.partition.train
    known = [target.known_rows(data.arrays.targets[key][rows]) for key, target in data.fitted.targets.items()]
    # A row without the label of one target has weight 0 in the loss of that target.
    rows = rows[np.logical_or.reduce(known)]
    most = max(MANY_ROWS, MOST_VALUES // base.width)
    return rows if len(rows) <= most else np.sort(np.random.default_rng(data.training.seed).choice(rows, most, replace=False))


def _features(data: TrainingData, base: LinearModel, rows: Array) -> Array:
    """Return the inputs of the linear model, (rows, bins + numbers + codes) float32; categories are one-hot."""
    features = np.zeros((len(rows), base.width), np.float32)
    # Codes of a column begin behind those of the columns before it.
    starts = base.width - sum(base.sizes) + np.cumsum([0, *base.sizes[:-1]]).astype(np.int64)
    first = 0
    for batch in sequential_batches(data.arrays, rows, rows_at_once(data.models.network)):
        numbers, codes = base.read(batch)
        count = len(numbers if numbers is not None else codes)
        part = features[first : first + count]
        if numbers is not None:
            part[:, : numbers.shape[1]] = numbers
        if codes is not None:
            part[np.arange(count)[:, None], starts + codes] = 1.0
        first += count
    return features


def _assign(base: LinearModel, weights: Matrix, bias: Matrix) -> None:
    """Put the solution into the layer, and zeros into the heads, so that the network begins as the linear model."""
    numbers = base.width - sum(base.sizes)
    for variable, values in ((base.layer.kernel, weights[:numbers]), (base.layer.table, weights[numbers:]), (base.layer.bias, bias)):
        if variable is not None:
            variable.assign(values)
    for head in base.heads:
        for weight in head.weights:
            weight.assign(tf.zeros_like(weight))


def _folds(data: TrainingData, rows: Array) -> Array:
    """Return the fold of each row, at random; rows of a group are in the same."""
    random = np.random.default_rng(data.training.seed)
    if data.groups is None:
        return random.permutation(np.arange(len(rows)) % FOLDS)
    _, codes = np.unique(data.groups[rows], return_inverse=True)
    return (random.permutation(int(codes.max()) + 1) % FOLDS)[codes]


def _held_out(folds: Array) -> list[Array]:
    """Return the positions of the rows that each fold holds out; no fold where all rows are in one."""
    # Held-out rows of one fold are enough where they are many.
    every = [np.flatnonzero(folds == fold) for fold in range(FOLDS if len(folds) < MANY_ROWS else 1)]
    return [out for out in every if 0 < len(out) < len(folds)]


def _cross_validate(features: Array, labels: Labels, folds: Array) -> tuple[float, Array]:
    """Return the best penalty, and the losses of held-out rows with it. Penalties are tried from the strongest until the loss rises.

    Of a single group no rows can be held out: the strongest penalty, and no losses.
    """
    problems = []
    for out in _held_out(folds):
        rest = np.setdiff1d(np.arange(len(folds)), out)
        problems.append((Regression(features[rest], labels.take(rest)), features[out], labels.take(out)))
    best: tuple[float, Array] | None = None
    for penalty in PENALTIES if problems else ():
        held_out = []
        for problem, rows, answers in problems:
            weights, bias = problem.solve(penalty)
            held_out.append(answers.row_losses(tf.constant((rows @ weights + bias).astype(np.float32))).numpy())
        losses = np.concatenate(held_out)
        if best is not None and losses.mean() > best[1].mean():
            break
        best = penalty, losses
    return best if best is not None else (PENALTIES[0], np.empty(0))
