"""The functions of `import mmtrain` that train, or prepare a training: `fit`, `resume`, `distill`, `check`, `inspect_data`, `init`.

They have the names and options of the command line. Experiments are paths, dictionaries of the file's shape, or `Experiment` objects;
tables are paths or DataFrames. Mistakes of the user are raised as ConfigError, DataError, RunError or UsageError, with the text that the
command line prints. Functions that use a trained run are in `mmtrain.api.commands`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from mmtrain.api import progress as progress_display
from mmtrain.api.cross_validated_run import RunLike, name_of_run, trained_run
from mmtrain.api.findings import Check, DataInspection, Starter
from mmtrain.api.inputs import (
    ExperimentLike,
    Overrides,
    PathOrText,
    TableLike,
    as_overrides,
    as_path,
    as_table,
    experiment_argument,
    named_as_given,
    temporary_table,
)
from mmtrain.api.results import TrainedRun
from mmtrain.artifacts.run_folder import Run


def fit(
    experiment: ExperimentLike,
    table: TableLike | None = None,
    *,
    images: PathOrText | None = None,
    overrides: Overrides = (),
    preset: Literal["quick", "good", "best"] | None = None,
    output: PathOrText = "runs",
    progress: bool = True,
) -> TrainedRun:
    """Train an experiment in a new run folder under `output`.

    Args:
        experiment: A path, a dictionary of the file's shape, or an `Experiment`. Paths in a dictionary are relative to the current
            folder, those in a file to the file.
        table: A path or a DataFrame, in place of the experiment's `data.table`. A DataFrame is kept under `output/tables`, so that the
            run can be evaluated, explained and resumed later, in another process too.
        images: The folder that image cells are relative to, in place of `data.images`.
        overrides: Values in place of those of the experiment: `{"training.epochs": 3}` or `["training.epochs=3"]`.
        preset: Settings where the experiment gives none. quick: one training; good: pretrained encoders whose weights are at hand, and 5
            folds; best: a search before them, which needs Optuna.
        output: The folder that holds the runs.
        progress: Show the progress in the notebook or on standard error.

    Returns:
        The trained run: `scores` and `history` as DataFrames, `report`, `evaluate`, `predict`, `explain`, `export`. With `split.folds`
        or `training.seeds`, a group of runs: `scores`, the out-of-fold `predictions`, and the runs as `members`.

    Raises:
        ConfigError: the experiment has mistakes; the error lists every one with its place.
        DataError: the table or its images have mistakes.
        RunError: the training failed, or the run folder cannot be written.
        KeyboardInterrupt: the training was interrupted; the best model so far is kept, see `resume`.

    Example:
        run = mmtrain.fit("clinic.yaml", overrides={"training.epochs": 3})
        run.scores  # one row per split, target and score

    """
    from mmtrain.commands.fit import fit as train
    from mmtrain.commands.fitting.fit_preset import fit_preset
    from mmtrain.commands.fitting.shared_training import TrainedByFirst

    wanted = experiment_argument(experiment, overrides)
    file = None if table is None else as_table(table, output)
    wanted = wanted.on(file, images)
    with named_as_given(file), progress_display.watching(progress) as shown:
        listeners = progress_display.listeners_of(shown)
        if preset is not None:
            done = fit_preset(wanted.source, preset, overrides=wanted.overrides, output=as_path(output), listeners=listeners)
        else:
            try:
                done = train(wanted.source, overrides=wanted.overrides, output=as_path(output), listeners=listeners)
            except TrainedByFirst as ended:  # in a process of a cluster: the run is in the folder of the first worker
                return TrainedRun(Run(Path(ended.folder)))
    return trained_run(done.run)


def resume(run: RunLike = None, *, output: PathOrText = "runs", progress: bool = True) -> TrainedRun:
    """Continue a run that was interrupted or killed from its last checkpoint, as if it had never stopped.

    Args:
        run: The run, its folder, its name (its latest run under `output`), or None (the latest run of all).
        output: The folder that holds the runs.
        progress: Show the progress.

    Raises:
        UsageError: there is no such run, it is finished, or another process trains it. Of a group that another process trains, this one
            trains members that are left.
        DataError: its table or its images have changed.
        RunError: the training failed, or the run is damaged.

    """
    from mmtrain.commands.fitting.resume import resume as go_on

    with progress_display.watching(progress) as shown:
        done = go_on(name_of_run(run), output=as_path(output), listeners=progress_display.listeners_of(shown))
    return trained_run(done.run)


def distill(
    run: RunLike = None,
    *,
    name: str = "",
    overrides: Overrides = (),
    weight: float = 0.7,
    temperature: float = 2.0,
    soft: Literal["out_of_fold", "mean"] | None = None,
    output: PathOrText = "runs",
    progress: bool = True,
) -> TrainedRun:
    """Train one network on the predictions of a run, or of a group of trainings, next to the answers (Hinton et al. 2015).

    Rows and columns of the student are those of its teacher. `evaluate` compares it with its teacher on the same rows.

    Args:
        run: The teacher: the run, its folder, its name (its latest run under `output`), or None (the latest run of all).
        name: Name of the student. Left out: that of the teacher with `-distilled`.
        overrides: Settings of the student in place of those of the teacher: `{"branches.scan.width": 16}`.
        weight: Part of the distance from the teacher in the loss, above 0 and up to 1; the rest is that of the answers.
        temperature: Divisor of logits, 1 or more: softer probabilities of classes.
        soft: Predictions of training rows: `out_of_fold`, of trainings that have not seen the row, or `mean`, of all. Left out: the
            first where the teacher has folds.
        output: The folder that holds the runs.
        progress: Show the progress.

    Raises:
        UsageError: there is no such run, an option is out of its range, or a task cannot be distilled.
        ConfigError: an override has a mistake.
        DataError: the table of the teacher has changed.
        RunError: the teacher is not finished, or the training failed.

    Example:
        mmtrain.distill(mmtrain.fit("clinic.yaml", overrides={"split.folds": 5}))

    """
    from mmtrain.commands.distill import DistillOptions
    from mmtrain.commands.distill import distill as train

    options = DistillOptions(name, as_overrides(overrides), weight, temperature, soft)
    with progress_display.watching(progress) as shown:
        done = train(name_of_run(run), options, output=as_path(output), listeners=progress_display.listeners_of(shown))
    return trained_run(done.run)


def check(
    experiment: ExperimentLike,
    table: TableLike | None = None,
    *,
    images: PathOrText | None = None,
    overrides: Overrides = (),
    progress: bool = True,
) -> Check:
    """Check everything that `fit` would refuse, without training; nothing is kept.

    Args: those of `fit`.

    Raises:
        ConfigError: the experiment has mistakes; the error lists every one with its place.
        DataError: the table or its images have mistakes.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"age": [50, 61, 47, 70] * 5, "ill": ["yes", "no"] * 10})
    >>> columns = {"age": {"role": "numeric"}, "ill": {"role": "target", "task": "binary"}}
    >>> check({"columns": columns}, table, progress=False).splits[["split", "rows"]].values.tolist()
    [['train', 14], ['validation', 3], ['test', 3]]

    """
    from mmtrain.commands.check import check as examine

    wanted = experiment_argument(experiment, overrides)
    with ExitStack() as stack:
        # Nothing is kept, so the file of a DataFrame need not outlive the check.
        file = None if table is None else stack.enter_context(temporary_table(table))
        stack.enter_context(named_as_given(file))
        shown = stack.enter_context(progress_display.watching(progress))
        wanted = wanted.on(file, images)
        return Check(examine(wanted.source, overrides=wanted.overrides, progress=shown.images))


def inspect_data(
    source: ExperimentLike | TableLike,
    table: TableLike | None = None,
    *,
    images: PathOrText | None = None,
    overrides: Overrides = (),
    html: PathOrText | None = None,
    progress: bool = True,
) -> DataInspection:
    """Describe a table column by column and name what would spoil a study: leaks, duplicates, shifts, unreadable images.

    Args:
        source: An experiment or, with guessed roles, a table: a path or a DataFrame.
        table: The table of the experiment, in place of its `data.table`; not used if `source` is a table.
        images: The folder that image cells are relative to.
        overrides: Values in place of those of the experiment.
        html: A file for the result as a page to read in a browser.
        progress: Show the progress.

    Returns:
        `columns` and `findings` as DataFrames. Mistakes that `fit` would refuse are listed in `problems` and not raised.

    Raises:
        ConfigError: the experiment cannot be read.
        DataError: the table cannot be read.

    """
    from mmtrain.api.findings import inspect

    inspection = inspect(source, table, images=images, overrides=overrides, progress=progress)
    if html is not None:
        inspection.write(html)
    return inspection


def init(
    table: TableLike,
    target: str | Sequence[str] | None = None,
    *,
    images: PathOrText | None = None,
    file: PathOrText | None = None,
    force: bool = False,
    output: PathOrText = "runs",
) -> Starter:
    """Guess a first experiment for a table: a role for each column, with the reason.

    Args:
        table: A path or a DataFrame.
        target: The column to be predicted, or several. Left out: guessed.
        images: The folder that image cells are relative to. Left out: guessed.
        file: The experiment file to write. Left out: no file is written.
        force: Replace a file that exists already.
        output: The folder of the runs, where a DataFrame is kept.

    Returns:
        `experiment`, a dictionary for `fit`, and `text`, that of a file.

    Raises:
        DataError: the table cannot be read.
        UsageError: the file exists already.
        ConfigError: the table has no column that can be predicted, or no such target.

    """
    from mmtrain.commands.init import init as write
    from mmtrain.commands.init import usable_survey

    file_of_table = as_table(table, output)
    # A DataFrame has no folder of its own: the current one takes its place.
    folder = as_path(images) if images is not None else Path.cwd() if file_of_table.frame else None
    with file_of_table.named_as_given():
        if file is None:
            return Starter(usable_survey(file_of_table.path, target=target, images=folder), None)
        done = write(file_of_table.path, target=target, images=folder, file=as_path(file), force=force)
    return Starter(done.survey, done.file)
