"""The functions of `import mmtrain` that use a trained run: `load`, `evaluate`, `predict`, `explain`, `export`, `compare`.

They have the names and options of the command line, like those in `mmtrain.api.experiments`.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from mmtrain.api import progress as progress_display
from mmtrain.api.cross_validated_run import RunLike, name_of_run, trained_run
from mmtrain.api.findings import Comparison
from mmtrain.api.inputs import (
    Overrides,
    PathOrText,
    TableArgument,
    TableLike,
    as_overrides,
    as_path,
    as_table,
    named_as_given,
)
from mmtrain.api.results import Evaluation, Explanations, Export, TrainedRun
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.runs import find
from mmtrain.errors import Problem, UsageError, did_you_mean, listed
from mmtrain.splits.plan import USE_NAMED, USES

if TYPE_CHECKING:
    import pandas as pd

    from mmtrain.explanation.selection import Method
    from mmtrain.pipeline.prediction.predictor import OnError


def load(run: RunLike = None, *, output: PathOrText = "runs") -> TrainedRun:
    """Open a run to predict with it; the model is read now, and not with the first prediction.

    Args:
        run: The run, its folder, its name (its latest run under `output`), or None (the latest run of all).
        output: The folder that holds the runs.

    Raises:
        UsageError: there is no such run.
        RunError: the run is damaged, or has no model.

    Example:
        mmtrain.load("clinic").predict(frame, proba=True)

    """
    opened = trained_run(find(name_of_run(run), as_path(output), group=True))
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

    Every evaluation of the test split is recorded in the run.

    Args:
        run: The run, its folder, its name (its latest run under `output`), or None (the latest run of all).
        split: `test`, `validation`, `train` or `calibration`; not used with `table`.
        table: Another table, all of whose rows are scored: a path or a DataFrame.
        images: The folder that image cells are relative to.
        subgroups: Further columns to divide the scores by, `sex` or `age=0,40,65`.
        overrides: Values of the section `evaluation`; other sections cannot be changed after the training.
        output: The folder that holds the runs.
        progress: Show the progress.

    Raises:
        UsageError: there is no such run, split or column.
        ConfigError: an override has a mistake.
        DataError: the table does not fit the run, or the split is empty.
        RunError: the run is damaged, or has no model.

    """
    from mmtrain.commands.evaluate import EvaluateOptions
    from mmtrain.commands.evaluate import evaluate as score

    split = _use(split)
    opened, file = _opened(run, table, output, group=True)
    folder = _images(opened, file, images)
    options = EvaluateOptions(split, None if file is None else file.path, folder, tuple(subgroups), as_overrides(overrides))
    with named_as_given(file), progress_display.watching(progress) as shown:
        done = score(str(opened.folder), options, progress=shown.images, say=shown.say)
    return Evaluation(trained_run(opened), done)


def predict(
    run: RunLike,
    table: TableLike,
    *,
    proba: bool = False,
    on_error: OnError = "status",
    images: PathOrText | None = None,
    output: PathOrText = "runs",
) -> pd.DataFrame:
    """Predict every row of a table; row i in is row i out, under the index of a DataFrame.

    Args:
        run: The run, its folder, its name (its latest run under `output`), or None (the latest run of all).
        table: A path or a DataFrame with the input columns of the training. A file may be larger than memory.
        proba: Add a column `probability_<class>` per class or label, from 0 to 1.
        on_error: For rows that cannot be predicted: `status` leaves their predictions empty, `skip` leaves out the rows, `fail` raises.
        images: The folder that image cells are relative to. Left out: the experiment's, else the folder of a table in a file.
        output: The folder that holds the runs.

    Returns:
        One row per row of the table: `row`, `id`, `prediction` (with several targets `<target>_prediction`), `status`; see
        `TrainedRun.predict`. `attrs["drift"]` lists differences from the training rows.

    Raises:
        UsageError: there is no such run.
        DataError: columns are missing, the table is damaged or has no rows, or `on_error` is `fail` and a row cannot be predicted.
        RunError: the run is damaged, or has no model.

    """
    # An open run has its model loaded already.
    opened = run if isinstance(run, TrainedRun) else trained_run(find(name_of_run(run), as_path(output), group=True))
    if not isinstance(table, str | PathLike):
        return opened.predict(table, proba=proba, on_error=on_error, images=images)
    return _predicted_file(opened, as_path(table), proba=proba, on_error=on_error, images=images)


def _predicted_file(run: TrainedRun, table: Path, *, proba: bool, on_error: OnError, images: PathOrText | None) -> pd.DataFrame:
    """Predict as the command does, which reads tables larger than memory."""
    import pandas as pd

    from mmtrain.commands.predict import PredictOptions
    from mmtrain.commands.predict import predict as predict_file

    with TemporaryDirectory(prefix="mmtrain_") as folder:
        # Parquet keeps texts and numbers apart; a CSV would turn classes such as `01` into numbers.
        file = Path(folder) / "predictions.parquet"
        options = PredictOptions(file, proba, on_error, None if images is None else as_path(images))
        done = predict_file(str(run.folder), table, options)
        predictions = pd.read_parquet(file)
    predictions.attrs["drift"] = [str(drift) for drift in done.drifts]
    return predictions


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

    Args:
        run: The run, its folder, its name (its latest run under `output`), or None (the latest run of all).
        rows: Ids or, in a table without ids, positions from 0. Left out: the rows of the split with the highest loss and the most
            confident ones.
        split: `test`, `validation`, `train` or `calibration`; not used with `table`.
        table: Another table: a path or a DataFrame.
        images: The folder that image cells are relative to.
        target: The target to explain. Left out: the first one.
        class_name: The class or label whose output is explained. Left out: the positive class, or the class predicted for each row.
        method: `integrated_gradients`, `grad_cam` or `both`.
        steps: Steps of integrated gradients. Left out: doubled until the attributions add up to 1 %.
        folder: The folder for the images and tables. Left out: `explanations/` in the run.
        output: The folder that holds the runs.
        progress: Show the progress.

    Raises:
        UsageError: there is no such run, row, target or class, or the folder exists already.
        DataError: the table does not fit the run, or the split is empty.
        RunError: the run is damaged, or has no model.

    """
    from mmtrain.commands.explain import ExplainOptions
    from mmtrain.commands.explain import explain as attribute

    split = _use(split)
    opened, file = _opened(run, table, output)
    # A single id would be taken letter by letter.
    names = (rows,) if isinstance(rows, str) else tuple(str(row) for row in rows)
    path, to = None if file is None else file.path, None if folder is None else as_path(folder)
    options = ExplainOptions(names, split, path, _images(opened, file, images), target, class_name, method, steps, to)
    with named_as_given(file), progress_display.watching(progress) as shown:
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
    """Write a trained model for other programs, checked against its own predictions on validation rows.

    Args:
        run: The run, its folder, its name (its latest run under `output`), or None (the latest run of all).
        format: `saved_model`, `keras`, `onnx` or `litert`.
        quantize: `float16` or `int8`, for formats that have it.
        inputs: The inputs that are expected, refused where the format takes the others: `raw` cells, or `encoded` numbers.
        folder: The folder of the export. Left out: `exports/<format>` in the run.
        force: Keep a quantized export even if its scores fall by more than 0.01.
        output: The folder that holds the runs.
        progress: Show the progress.

    Raises:
        UsageError: there is no such run or format, a package is missing, or the folder exists already.
        DataError: the table of the training is no longer there, or has changed.
        RunError: the export fails its check; nothing is left in the folder.

    """
    from mmtrain.commands.deployment.export import ExportOptions
    from mmtrain.commands.deployment.export import export as write

    opened, _ = _opened(run, None, output, group=True)
    options = ExportOptions(format, quantize, inputs, None if folder is None else as_path(folder), force)
    with progress_display.watching(progress) as shown:
        done = write(str(opened.folder), options, progress=shown.images, say=shown.say)
    return Export(trained_run(opened), done)


def compare(runs: Iterable[RunLike] = (), split: str = "test", *, output: PathOrText = "runs") -> Comparison:
    """Compare runs on rows that each has scored with `evaluate`, the first against the others: differences with intervals.

    Nothing is scored again.

    Args:
        runs: Two or more runs: objects, folders or names. Left out: the two latest of different experiments.
        split: The split, or the name under which the runs scored another table.
        output: The folder that holds the runs.

    Raises:
        UsageError: there is no such run, or the runs did not score the same rows of the same answers.
        RunError: a run is damaged.

    """
    from mmtrain.commands.comparison.compare import compare as compare_runs

    return Comparison(compare_runs([str(name_of_run(run)) for run in runs], part=split, output=as_path(output)))


def _opened(run: RunLike, table: TableLike | None, output: PathOrText, *, group: bool = False) -> tuple[Run, TableArgument | None]:
    """The run, and another table as a file; a DataFrame is kept next to that run."""
    opened = find(name_of_run(run), as_path(output), group=group)
    # A run is at output/name/number: two levels up is the folder in which tables are kept.
    return opened, None if table is None else as_table(table, opened.folder.parent.parent)


def _images(run: Run, file: TableArgument | None, images: PathOrText | None) -> Path | None:
    """The folder in `images`; for a DataFrame without one that of the training, since a DataFrame has no folder of its own."""
    if images is not None:
        return as_path(images)
    from mmtrain import config

    return config.load(run / "config.yaml").data.images_folder.path if file is not None and file.frame else None


def _use(split: str) -> str:
    """Return the use of the rows that `split` names; `conformal` is another word for `calibration`. Raises UsageError."""
    if split not in USE_NAMED:
        raise UsageError(Problem("split", f"expected {listed(USES, 'or')}; found {split!r}.", did_you_mean(str(split), USES)))
    return USE_NAMED[split]
