"""`mmtrain.cross_validate`: `fit` with folds, under the name that other libraries give it."""

from __future__ import annotations

from mmtrain.api.cross_validated_run import CrossValidatedRun
from mmtrain.api.experiments import check, fit
from mmtrain.api.inputs import ExperimentLike, Overrides, PathOrText, TableLike, experiment_argument
from mmtrain.config.yaml_source import read
from mmtrain.errors import ConfigError, Problem

DEFAULT_FOLDS = 5
"""Folds of an experiment that has none."""


def cross_validate(
    experiment: ExperimentLike,
    table: TableLike | None = None,
    *,
    folds: int | None = None,
    repeats: int | None = None,
    seeds: int | None = None,
    images: PathOrText | None = None,
    overrides: Overrides = (),
    output: PathOrText = "runs",
    progress: bool = True,
) -> CrossValidatedRun:
    """Train every fold of an experiment, and score each on the rows that it left out; a run is trained as by `fit`.

    Args:
        experiment: As for `fit`.
        table: As for `fit`.
        folds: Number of folds, in place of `split.folds`; None for that of the experiment, or 5 where it has none. With
            `split: {method: column}` the column names the folds, and with `method: time` each fold learns from the rows before it.
        repeats: Number of times that the rows are divided into folds, in place of `split.repeats`.
        seeds: Number of trainings of each fold with different seeds, in place of `training.seeds`.
        images: As for `fit`.
        overrides: As for `fit`.
        output: The folder that holds the runs.
        progress: Show the progress.

    Returns:
        The group of trainings: `scores` with intervals that are valid for cross-validation, the out-of-fold `predictions`, and `members`.

    Raises:
        ConfigError, DataError, RunError, KeyboardInterrupt: As for `fit`.

    Example:
        run = mmtrain.cross_validate("clinic.yaml", folds=5, repeats=2)
        run.scores  # one row per target and score

    """
    wanted = experiment_argument(experiment, overrides)
    split = read(wanted.source, wanted.overrides).tree.get("split")
    declared = split if isinstance(split, dict) else {}
    by_column = declared.get("method") == "column"
    if folds is None and declared.get("folds") is None and not by_column:
        folds = DEFAULT_FOLDS
    given = {"split.folds": folds, "split.repeats": repeats, "training.seeds": seeds}
    settings = (*wanted.overrides, *(f"{key}={value}" for key, value in given.items() if value is not None))
    # Before the training: a split by folds has no part `train`.
    if by_column and "train" in set(check(experiment, table, images=images, overrides=settings, progress=False).splits["split"]):
        what = "the column of the split names parts, not folds."
        fix = "Give it folds (0, 1, ..., or any words with `folds: true`), or choose another method."
        raise ConfigError(Problem("split.method", what, fix))
    run = fit(experiment, table, images=images, overrides=settings, output=output, progress=progress)
    assert isinstance(run, CrossValidatedRun)  # noqa: S101 (several folds are a group)
    return run
