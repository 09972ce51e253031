"""`mmtrain evaluate`: score a run on one of its parts, or on another table.

The test part is scored here and nowhere else, with the weights of the best epoch, and the run records every evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.artifacts import runs
from mmtrain.artifacts.command_results import EvaluationResult
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import EvaluationRecord
from mmtrain.columns import Group
from mmtrain.commands.fitting.tracking import track_evaluated
from mmtrain.config import Experiment
from mmtrain.config.yaml_source import Origin
from mmtrain.data import encode
from mmtrain.data.arrays import Arrays
from mmtrain.data.images.store import Progress, Say
from mmtrain.data.tables.table import Table
from mmtrain.errors import DataError, Problem, UsageError, did_you_mean, listed, shell_command
from mmtrain.evaluation.analyses.worst_predictions import worst_predictions
from mmtrain.evaluation.baselines import BaselinePredictions
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.evaluation.prediction_table import prediction_frame, to_csv, truth_column
from mmtrain.evaluation.scoring import score_target
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.analyze import AnalysisInput, analyze
from mmtrain.pipeline.baselines import BaselineContext, add_baselines, compare_with
from mmtrain.pipeline.checks.check_labels import check_answers, unlearned
from mmtrain.pipeline.checks.requirements import check_baselines
from mmtrain.pipeline.checks.subgroups import resolve_subgroups
from mmtrain.pipeline.groups.ensemble import predict_rows
from mmtrain.pipeline.postprocess import with_postprocessing
from mmtrain.pipeline.prepare import LoadedData, Moved, groups, later_table, other_data
from mmtrain.pipeline.restore import restore, restore_plan, with_cached_features
from mmtrain.pipeline.run_record import record_evaluation, remarks
from mmtrain.reports import report
from mmtrain.reports.wording import CAVEATS, often

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class EvaluateOptions:
    """The rows to be scored, and the options."""

    part: str = "test"
    table: Path | None = None
    """Another table instead of the run's own; all its rows are scored."""
    images: Path | None = None
    """Replaces the folder that image cells are relative to."""
    subgroups: tuple[str, ...] = ()
    """Further columns to divide the scores by, `sex` or `age=0,40,65`."""
    overrides: tuple[str, ...] = ()
    """Overrides of the section `evaluation`."""
    moved: Path | None = None
    """Present place of the run's own table, if it has moved."""


def evaluate(
    which: str | None = None,
    options: EvaluateOptions | None = None,
    *,
    output: Path = Path("runs"),
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> EvaluationResult:
    """Score the run called `which` (see `runs.find`) on a part, or on all rows of another table with the same columns.

    Raises:
        UsageError: there is no such run or column.
        RunError: the run is damaged, or has no model.
        ConfigError: an override has a mistake, or a package of a baseline is missing.
        DataError: the table does not fit the run, or the part is empty.

    """
    options = options or EvaluateOptions()
    part, table = options.part, options.table
    run = runs.find(which, output, group=True)
    experiment, fitted, decisions = restore(run, options.overrides)
    check_baselines(experiment.evaluation.baselines, Origin(run / "config.yaml", tuple(options.overrides)).place)
    if table is None:
        experiment = Moved(options.moved, options.images).applied(experiment)
        data, rows = part_data(run, experiment, part, progress, say)
    else:
        data, rows = table_data(run, experiment, table, options.images, progress=progress, say=say)
    check_answers(experiment, fitted, data.table, rows, run=run.folder)
    by = resolve_subgroups(experiment.evaluation.divisions, data.table.file, options.subgroups)
    say("Data checked; starting TensorFlow.")
    start_tensorflow()
    if run.is_group:
        subject, members = score_ensemble(run, experiment, fitted, data, rows, say, own_table=table is None)
        results = analyze(subject, with_postprocessing(subject.scored, decisions), by.divisions, say)
        results = compare_with(members, results, subject)
    else:
        subject = score_subject(run, experiment, fitted, data, rows, say, own_table=table is None)
        results = analyze(subject, with_postprocessing(subject.scored, decisions), by.divisions, say)
        results = add_baselines(results, subject, BaselineContext(run, experiment, None if table else subject, progress, say))
    # Recorded before the results are shown: a look at the test part that is interrupted counts.
    looks = record_evaluation(run, data.table, rows, part if table is None else None)
    save_results(subject, looks[-1].part, results, decisions)
    done = evaluate_subject(subject, results, looks, by.remarks)
    track_evaluated(run, experiment, looks[-1].part, results, say)
    return done


def score_subject(
    run: Run, experiment: Experiment, fitted: encode.Fitted, data: LoadedData, rows: Array, say: Say, *, own_table: bool
) -> AnalysisInput:
    """Predict the `rows` of a table with the weights of the best epoch, and score every target."""
    from mmtrain.model import model_file

    # The whole table and not only `rows`, as training encoded it: the cache then has the arrays of a large table.
    arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache, say=say)
    _, whole = model_file.of_run(run, experiment.branches, fitted)
    predictor, inputs = with_cached_features(run, whole, experiment, fitted, (data, arrays), say, own_table=own_table)
    predictions = model_file.predict(predictor, inputs, rows)
    drawn = resampling(experiment, data.table, rows)
    scored = {key: score_target(key, target, arrays.targets[key][rows], predictions[key], drawn) for key, target in fitted.targets.items()}
    return AnalysisInput(run, experiment, fitted, data, arrays, rows, inputs, predictor, predictions, drawn, scored)


def score_ensemble(
    run: Run, experiment: Experiment, fitted: encode.Fitted, data: LoadedData, rows: Array, say: Say, *, own_table: bool
) -> tuple[AnalysisInput, list[BaselinePredictions]]:
    """Predict the `rows` of a table with the mean of the trainings of a group, and score every target.

    The predictions of the trainings come along. The arrays of the result hold the answers alone.
    """
    predictions, members = predict_rows(run, fitted, data, rows, say, own_table=own_table)
    arrays = Arrays({}, {}, *encode.encode_targets(experiment.columns, fitted, data.table), {})
    drawn = resampling(experiment, data.table, rows)
    scored = {key: score_target(key, target, arrays.targets[key][rows], predictions[key], drawn) for key, target in fitted.targets.items()}
    return AnalysisInput(run, experiment, fitted, data, arrays, rows, arrays, None, predictions, drawn, scored), members


def evaluate_subject(
    subject: AnalysisInput, results: dict[str, TargetResult], looks: Sequence[EvaluationRecord], notes: Sequence[str]
) -> EvaluationResult:
    """Write the report with this evaluation, the last of the `looks`, and return the result."""
    run, look = subject.run, looks[-1]
    written = None if run.is_group else report.write(run, subject.experiment.columns, subject.experiment.training, subject.fitted)
    times = sum(one.is_test_access for one in looks) if look.is_test_access else 0
    caveat = [CAVEATS[look.part]] if look.part in CAVEATS else []
    experiment, table = subject.experiment, subject.data.table
    unknown = unlearned(experiment, subject.fitted, table, subject.rows)
    return EvaluationResult(
        run=run,
        part=look.part,
        test_looks=times,
        remarks=[*remarks(run, look), *caveat, *ungrouped_notes(experiment, table), *unknown, *notes, *repeated(times)],
        targets=results,
        main=subject.main,
        predictions=run / f"predictions_{look.part}.csv",
        report=written,
    )


def repeated(looks: int) -> tuple[str, ...]:
    """Warn of a test part that has been scored before."""
    if looks < 2:
        return ()
    return (f"The test part of this run has now been scored {often(looks)}; choices made after looking make its scores too good.",)


def part_data(run: Run, experiment: Experiment, part: str, progress: Progress | None, say: Say) -> tuple[LoadedData, Array]:
    """Return the table of a run and the positions of one part. Raises DataError if the table has changed or the part is empty."""
    data, plan = restore_plan(run, experiment, progress=progress, say=say)
    if len(plan.partitions) > 1 and (part != "test" or not len(plan.test)):
        what = "each fold has parts of its own, and the group has no test part outside of the folds."
        if len(plan.test):
            what = "each fold has parts of its own; outside of the folds, the group has test rows only."
        scored = f"The out-of-fold scores are in {run / 'cross_validation.json'}; new rows are scored with `--data FILE`."
        raise UsageError(Problem(f"--part {part}", what, scored))
    rows = plan.test if len(plan.partitions) > 1 else plan.holdout[part]
    if not len(rows):
        raise DataError(Problem(str(run.folder), f"the {part} part is empty.", "Choose another part with --part."))
    return data, rows


def table_data(
    run: Run, experiment: Experiment, path: Path, images: Path | None, *, progress: Progress | None, say: Say
) -> tuple[LoadedData, Array]:
    """Return another table and all its positions. Raises DataError, for a table without answers with the command to predict it."""
    headers = later_table(experiment.data, path).headers
    lacking = [header for target in experiment.targets.values() for header in target.reads() if header not in headers]
    if lacking:
        what = f"the table has no column {listed([repr(header) for header in lacking])}, without which nothing can be scored."
        fix = f"{did_you_mean(lacking[0], headers)} Predictions need no answers: {shell_command('predict', run.folder, path)}".strip()
        raise DataError(Problem(path.name, what, fix))
    data = other_data(experiment, path, images=images, progress=progress, say=say)
    if data.table.file.notice:
        say(data.table.file.notice)
    return data, np.arange(len(data.table))


def resampling(experiment: Experiment, table: Table, rows: Array) -> Resampling:
    """Return the resampling of `rows` of a table for intervals: by group if the table has the column of groups."""
    codes, column = groups(experiment.columns, table), experiment.only(Group)
    if codes is None or column is None:
        return Resampling(experiment.evaluation)
    return Resampling(experiment.evaluation, codes[rows], column.column)


def ungrouped_notes(experiment: Experiment, table: Table) -> tuple[str, ...]:
    """Return a sentence about the intervals for a table that lacks the column of groups."""
    column = experiment.only(Group)
    if column is None or column.column in table.headers:
        return ()
    what = f"{table.path.name} has no column {column.column}, so the intervals treat all rows as independent"
    return (f"{what}; where rows have the same {column.column}, they are too narrow.",)


def save_results(subject: AnalysisInput, label: str, results: Mapping[str, TargetResult], decisions: Postprocessing) -> None:
    """Write predictions, the rows with the highest loss, and scores into the run."""
    run, table, rows, truths = subject.run, subject.data.table, subject.rows, subject.truths
    predicted = prediction_frame(table.rows[rows], table.ids(rows), subject.fitted.targets, truths.values, subject.predictions, decisions)
    worst = worst_predictions(subject.experiment.inputs, table, subject.data.stores, rows, truths, subject.predictions)
    run.write_json(f"worst_predictions_{label}.json", worst)
    run.write_text(f"predictions_{label}.csv", to_csv(with_unknown_answers(predicted, subject)))
    run.change("metrics.json", lambda known: {**known, label: dict(results)})


def with_unknown_answers(rows: pd.DataFrame, subject: AnalysisInput) -> pd.DataFrame:
    """Write classes that training did not know into the predictions as the table has them, since they have no code to be decoded."""
    targets = subject.fitted.targets
    for key, target in targets.items():
        if target.has_classes:
            unknown = ~subject.truths.known_rows(key)
            declared = subject.experiment.targets[key]
            cells = subject.data.table.cells(declared.column, subject.rows[unknown])
            rows.loc[unknown, truth_column(key, targets)] = cells.mask(declared.missing_cells(cells)).fillna("").to_numpy()
    return rows
