"""The functions of `import mmtrain`: one per command, with the names and options of the command line.

Experiments are paths, dictionaries of the file's shape, or `Experiment` objects; tables are paths or DataFrames. What a user must
mend is raised as ConfigError, DataError or RunError, whose text is what the command line prints.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mmtrain.api import progress as progress_display
from mmtrain.api.findings import Check, Comparison, DataInspection, Starter
from mmtrain.api.inputs import (
    ExperimentLike,
    Overrides,
    PathOrText,
    TableFileOf,
    TableLike,
    as_overrides,
    as_path,
    as_table,
    asked,
    table_for_now,
)
from mmtrain.api.results import Evaluation, Explanations, Export, TrainedRun
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.runs import find
from mmtrain.errors import Problem, UsageError, did_you_mean, listed

if TYPE_CHECKING:
    import pandas as pd

    from mmtrain.cli.views.training_progress import Display
    from mmtrain.commands.fit import Listeners
    from mmtrain.explanation.selection import Method
    from mmtrain.pipeline.predictor import OnError

RunLike: TypeAlias = PathOrText | TrainedRun | None
"""A run, its folder, its name (the latest run of that name under `output`), or None: the latest run of all."""
SPLITS = ("train", "validation", "test", "conformal")


def fit(
    experiment: ExperimentLike,
    table: TableLike | None = None,
    *,
    images: PathOrText | None = None,
    overrides: Overrides = (),
    output: PathOrText = "runs",
    progress: bool = True,
) -> TrainedRun:
    """Train an experiment; everything lands in a new run folder under `output`.

    Args:
        experiment: A path, a dictionary of the file's shape, or an `Experiment`. Paths in a dictionary are relative to the current
            folder, those in a file to the file.
        table: A path or a DataFrame, in place of the experiment's `data.table`. A DataFrame is kept under `output/tables`, so that the
            run can be evaluated, explained and resumed later, in another process too.
        images: The folder that image cells are relative to, in place of `data.images`.
        overrides: Values in place of those of the experiment: `{"training.epochs": 3}` or `["training.epochs=3"]`.
        output: The folder that holds the runs.
        progress: Whether to show what happens.

    Raises:
        ConfigError: the experiment is wrong; every mistake is named with its place.
        DataError: the table or its images are wrong.
        RunError: the training failed.
        KeyboardInterrupt: it was interrupted; the best model so far is kept, see `resume`.

    """
    from mmtrain.commands.fit import fit as train

    wanted = asked(experiment, overrides)
    file = None if table is None else as_table(table, output)
    wanted = wanted.on(file, images)
    with _reported(file), progress_display.watching(progress) as shown:
        done = train(wanted.source, overrides=wanted.overrides, output=as_path(output), listeners=_listeners(shown))
    return TrainedRun(done.run)


def resume(run: RunLike = None, *, output: PathOrText = "runs", progress: bool = True) -> TrainedRun:
    """Go on with a run that was interrupted or killed, from its last checkpoint, as if it had never stopped.

    Raises UsageError for a run that is finished or is trained by another process, DataError when its data have changed since.
    """
    from mmtrain.commands.fit import resume as go_on

    with progress_display.watching(progress) as shown:
        done = go_on(_which(run), output=as_path(output), listeners=_listeners(shown))
    return TrainedRun(done.run)


def load(run: RunLike = None, *, output: PathOrText = "runs") -> TrainedRun:
    """Open a run to predict with it: a folder, a name (its latest run under `output`), or None (the latest run of all).

    The model is read now, and not with the first prediction. Raises UsageError where there is no such run, RunError for one that
    cannot be used.
    """
    opened = TrainedRun(find(_which(run), as_path(output)))
    opened.start()
    return opened


def evaluate(
    run: RunLike = None,
    split: str = "test",
    table: TableLike | None = None,
    *,
    images: PathOrText | None = None,
    subgroups: Iterable[str] = (),
    overrides: Overrides = (),
    output: PathOrText = "runs",
    progress: bool = True,
) -> Evaluation:
    """Score a run next to its baselines, on one of its splits or on all rows of another table.

    Every evaluation of the test split is recorded in the run. `subgroups` are further columns to divide the scores by, `sex` or
    `age=0,40,65`; `overrides` may change the section `evaluation` only.
    """
    from mmtrain.commands.evaluate import EvaluateOptions
    from mmtrain.commands.evaluate import evaluate as score

    _check_word("split", split, SPLITS)
    opened, file = _opened(run, table, output)
    folder = _images(opened, file, images)
    options = EvaluateOptions(split, None if file is None else file.path, folder, tuple(subgroups), as_overrides(overrides))
    with _reported(file), progress_display.watching(progress) as shown:
        done = score(str(opened.folder), options, progress=shown.images, say=shown.say)
    return Evaluation(TrainedRun(opened), done)


def predict(
    run: RunLike,
    table: TableLike,
    *,
    proba: bool = False,
    on_error: OnError = "status",
    images: PathOrText | None = None,
    output: PathOrText = "runs",
) -> pd.DataFrame:
    """Predict every row of a table; row i in is row i out, under the index of a DataFrame. See `TrainedRun.predict`.

    The image cells of a table in a file are relative to its folder unless `images` or the experiment says otherwise.
    """
    opened = run if isinstance(run, TrainedRun) else TrainedRun(find(_which(run), as_path(output)))
    if not isinstance(table, str | PathLike):
        return opened.predict(table, proba=proba, on_error=on_error, images=images)
    return _predicted_file(opened, as_path(table), proba=proba, on_error=on_error, images=images)


def _predicted_file(run: TrainedRun, table: Path, *, proba: bool, on_error: OnError, images: PathOrText | None) -> pd.DataFrame:
    """Predict as the command does, which reads tables larger than memory."""
    import pandas as pd

    from mmtrain.commands.predict import PredictOptions
    from mmtrain.commands.predict import predict as predict_file

    with TemporaryDirectory(prefix="mmtrain_") as folder:
        file = Path(folder) / "predictions.parquet"
        options = PredictOptions(file, proba, on_error, None if images is None else as_path(images))
        done = predict_file(str(run.folder), table, options)
        found = pd.read_parquet(file)
    found.attrs["drift"] = [str(drift) for drift in done.drifts]
    return found


def explain(
    run: RunLike = None,
    rows: Iterable[Any] = (),
    *,
    split: str = "test",
    table: TableLike | None = None,
    images: PathOrText | None = None,
    target: str | None = None,
    class_name: str | None = None,
    method: Method = "both",
    steps: int | None = None,
    folder: PathOrText | None = None,
    output: PathOrText = "runs",
    progress: bool = True,
) -> Explanations:
    """Explain the predictions of single rows: by column, word and region of the image.

    `rows` are ids or, in a table without ids, positions; left out, the worst and the most confident predictions of the split. What is
    explained is the output for `class_name` of `target`: left out, the positive class, or the class predicted for each row.
    """
    from mmtrain.commands.explain import ExplainOptions
    from mmtrain.commands.explain import explain as attribute

    _check_word("split", split, SPLITS)
    opened, file = _opened(run, table, output)
    names = (rows,) if isinstance(rows, str) else tuple(str(row) for row in rows)
    path, to = None if file is None else file.path, None if folder is None else as_path(folder)
    options = ExplainOptions(names, split, path, _images(opened, file, images), target, class_name, method, steps, to)
    with _reported(file), progress_display.watching(progress) as shown:
        done = attribute(str(opened.folder), options, progress=shown.images, say=shown.say)
    return Explanations(TrainedRun(opened), done)


def export(
    run: RunLike,
    format: str,
    *,
    quantize: Literal["", "float16", "int8"] = "",
    inputs: Literal["raw", "encoded"] | None = None,
    folder: PathOrText | None = None,
    force: bool = False,
    output: PathOrText = "runs",
    progress: bool = True,
) -> Export:
    """Write a trained model for other programs (`saved_model`, `keras`, `onnx`, `litert`), checked against its own predictions."""
    from mmtrain.commands.export import ExportOptions
    from mmtrain.commands.export import export as write

    opened, _ = _opened(run, None, output)
    options = ExportOptions(format, quantize, inputs, None if folder is None else as_path(folder), force)
    with progress_display.watching(progress) as shown:
        done = write(str(opened.folder), options, progress=shown.images, say=shown.say)
    return Export(TrainedRun(opened), done)


def check(
    experiment: ExperimentLike,
    table: TableLike | None = None,
    *,
    images: PathOrText | None = None,
    overrides: Overrides = (),
    progress: bool = True,
) -> Check:
    """Check everything that `fit` would refuse, without training; nothing is kept. Raises as `fit` does, with every problem."""
    from mmtrain.commands.check import check as examine

    wanted = asked(experiment, overrides)
    with ExitStack() as stack:
        file = None if table is None else stack.enter_context(table_for_now(table))
        stack.enter_context(_reported(file))
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

    `source` is an experiment or, with guessed roles, a table: a path or a DataFrame. `html` also writes a page to read in a browser.
    Mistakes that `fit` would refuse are no errors here but `problems` of the result.
    """
    from mmtrain.api.findings import inspect

    found = inspect(source, table, images=images, overrides=overrides, progress=progress)
    if html is not None:
        found.write(html)
    return found


def init(
    table: TableLike,
    target: str | None = None,
    *,
    images: PathOrText | None = None,
    file: PathOrText | None = None,
    force: bool = False,
    output: PathOrText = "runs",
) -> Starter:
    """Guess a first experiment for a table: a role for each column, with the reason.

    The result has it as a dictionary for `fit` and as the text of a file, which is written where `file` says so. `target` is the
    column to be predicted and `images` the folder of the images; left out, both are guessed.
    """
    from mmtrain.commands.init import init as write
    from mmtrain.commands.init import usable_survey

    kept = as_table(table, output)
    folder = as_path(images) if images is not None else Path.cwd() if kept.frame else None
    with kept.reported():
        if file is None:
            return Starter(usable_survey(kept.path, target=target, images=folder), None)
        done = write(kept.path, target=target, images=folder, file=as_path(file), force=force)
    return Starter(done.survey, done.file)


def compare(runs: Iterable[RunLike], split: str = "test", *, output: PathOrText = "runs") -> Comparison:
    """Compare runs on rows that each has scored with `evaluate`, the first against the others: differences with intervals.

    `split` may also be the name under which the runs scored another table. Nothing is scored again.
    """
    from mmtrain.commands.compare import compare as compare_runs

    return Comparison(compare_runs([str(_which(run)) for run in runs], part=split, output=as_path(output)))


def _listeners(shown: Display) -> Listeners:
    from mmtrain.commands.fit import Listeners

    return Listeners(shown.event, shown.plan, shown.images, shown.say)


def _which(run: RunLike) -> str | None:
    return None if run is None else str(run.folder if isinstance(run, TrainedRun) else Path(run))


def _opened(run: RunLike, table: TableLike | None, output: PathOrText) -> tuple[Run, TableFileOf | None]:
    """The run, and another table as a file; a DataFrame is kept next to that run."""
    opened = find(_which(run), as_path(output))
    return opened, None if table is None else as_table(table, opened.folder.parent.parent)


def _images(run: Run, file: TableFileOf | None, images: PathOrText | None) -> Path | None:
    """The folder of images as it is asked for; of a DataFrame else that of the training, as no table lies next to them."""
    if images is not None:
        return as_path(images)
    from mmtrain import config

    return config.load(run / "config.yaml").data.images_folder.path if file is not None and file.frame else None


def _reported(file: TableFileOf | None) -> AbstractContextManager[None]:
    return nullcontext() if file is None else file.reported()


def _check_word(option: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        fix = did_you_mean(str(word), known)
        raise UsageError(Problem(option, f"expected {listed(known, 'or')}; found {word!r}.", fix))
