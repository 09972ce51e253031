"""Experiments that several workers cannot train together: each has a located error, since they would be other trainings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmtrain.config import Experiment
from mmtrain.errors import ConfigError, Problem, counted

if TYPE_CHECKING:
    from mmtrain.model.models import Models
    from mmtrain.training.training_data import TrainingData

Place = Callable[..., str]
"""Returns the place of a setting, from its keys."""


ALONE = {
    ("training", "minutes"): "the speed is measured in one process, so that a limit of time cannot be kept",
    ("training", "soup"): "the weights of several epochs cannot be averaged",
    ("training", "mix"): "rows of a batch cannot be mixed",
    ("training", "balance_targets"): "the weights of targets cannot be learned",
    ("fusion", "balance"): "the gradients of branches cannot be balanced",
}
"""Settings that need one process, and why."""


def check_shareable(experiment: Experiment, workers: int, place: Place) -> None:
    """Raise ConfigError for settings that need the whole batch, or all epochs, in one process."""
    training = experiment.training
    set_apart = {
        ("training", "minutes"): training.minutes is not None,
        ("training", "soup"): training.soup is not None,
        ("training", "mix"): training.mix is not None,
        ("training", "balance_targets"): training.balance_targets != "fixed",
        ("fusion", "balance"): experiment.fusion.balance != "none",
    }
    problems = [
        Problem(place(*keys), f"{ALONE[keys]} with {counted(workers, 'worker')}.", "Train it in one process, or leave it out.")
        for keys, is_set in set_apart.items()
        if is_set
    ]
    if training.batch_size != "auto" and training.batch_size < workers:
        what = f"a batch of {counted(training.batch_size, 'row')} cannot be shared by {workers} workers."
        problems.append(Problem(place("training", "batch_size"), what, f"Set {workers} or more: it counts the rows of all workers."))
    if problems:
        raise ConfigError(problems)


def check_network_shareable(experiment: Experiment, data: TrainingData, place: Place) -> None:
    """Raise ConfigError for a network or a task that needs the whole batch in one process."""
    from mmtrain.targets.fitted_target import FittedTarget

    problems = [
        Problem(
            place("columns", key), "the loss of its task compares the rows of a batch, which cannot be shared.", "Train it in one process."
        )
        for key, target in data.fitted.targets.items()
        if target.compares_rows or type(target).loss is not FittedTarget.loss
    ]
    kinds = batch_normalizations(data.models)
    for branch in [one for one, shared in kinds.items() if not shared]:
        what = "its `keras.layers.BatchNormalization` would take the moments of each worker's rows."
        fix = "Use `mmtrain.layers.network.SharedNormalization`, or train it in one process."
        problems.append(Problem(place("branches", branch), what, fix))
    if experiment.training.jit == "on" and kinds:
        what = "XLA cannot compile the moments of a batch that several workers share."
        fix = f"Set `jit: off`, or `normalization: none` in branches.{next(iter(kinds))}."
        problems.append(Problem(place("training", "jit"), what, fix))
    if problems:
        raise ConfigError(problems)


def batch_normalizations(models: Models) -> dict[str, bool]:
    """Return the branches with trained normalizations over the batch; False for one whose moments are those of one process."""
    import keras

    from mmtrain.layers.network import SharedNormalization

    kinds: dict[str, bool] = {}
    for group, members in models.groups.items():
        kind, _, branch = group.partition(".")
        layers = [inner for layer in members for inner in layer._flatten_layers(include_self=True)]
        normalizing = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
        if kind == "branches" and "." not in branch and normalizing:
            kinds[branch] = all(isinstance(layer, SharedNormalization) for layer in normalizing)
    return kinds
