"""Results of a group, derived from the files of its finished members alone: out-of-fold predictions, scores, weights, decisions, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmtrain.artifacts import run_folder, runs
from mmtrain.artifacts.group_results import CrossValidation, Member
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.splits.split_file import read_split
from mmtrain.errors import Problem, RunError
from mmtrain.evaluation.ensemble_weights import WeightedGroup, choose_weights
from mmtrain.evaluation.out_of_fold import Combined, MemberPredictions, score_members, with_intervals
from mmtrain.evaluation.prediction_table import to_csv
from mmtrain.pipeline.postprocess import apply_postprocessing, read_postprocessing, save_postprocessing
from mmtrain.pipeline.restore import ENSEMBLE_WEIGHTS
from mmtrain.reports import report as reports
from mmtrain.reports.pages import group_report
from mmtrain.reports.report_data import read_group
from mmtrain.reports.target_results.group_scores import GroupData, TrainingFacts

MEMBER_PREDICTIONS = "predictions_member.csv"
"""File of a member with its predictions of the rows that it is scored on."""
HELD_BACK_PREDICTIONS = "predictions_held_back.csv"
"""File of a member with its predictions of its calibration rows, with a conformal bound and without folds."""
CROSS_VALIDATION = "cross_validation.json"
"""File of a group with the scores of its members."""


def finish_group(run: Run, experiment: Experiment) -> tuple[CrossValidation, tuple[str, ...]]:
    """Combine and score the predictions of finished members, write the report, and mark the group as finished.

    Returns the scores, and sentences that compare the main score of each target with the baseline.

    Raises RunError for a member that is missing or damaged.
    """
    labels = encode.read_fitted(run.read_json("targets.json"))
    weighted, combined = combine_members(run, experiment, labels)
    members = combined.members
    facts = [run.child(one.member.name).read("run.json") for one in members]
    seconds = sum(one.seconds.training for one in facts if one.seconds is not None)
    run.update(trained=run_folder.now(), ended=run_folder.now(), seconds={"training": round(seconds, 3)})
    folds, repeats = len({one.member.fold for one in members}) > 1, max(one.member.repeat for one in members) + 1
    trained = with_all_branches(members)
    result = score_members(trained, combined, experiment.training.early_stopping.monitor, folds=folds, repeats=repeats)
    result = with_intervals(result, trained, combined, experiment.evaluation)
    if folds:
        run.write_text(result.predictions, to_csv(combined.frame()))
    run.write_json(CROSS_VALIDATION, result)
    held_back = combined
    if not folds and experiment.evaluation.conformal is not None:
        # Validation rows have chosen the epochs of every member; a bound fitted on them would be too narrow.
        held_back = _combine_held_back(run, experiment, labels, weighted)
    if weighted is not None:
        run.write_json(ENSEMBLE_WEIGHTS, weighted.weights)
        run.seal(ENSEMBLE_WEIGHTS)
    save_postprocessing(run, combined.postprocessing(experiment.evaluation, held_back))
    run.seal(CROSS_VALIDATION, *([result.predictions] if folds else ()))
    contents = _report_contents(run, experiment, labels, result, combined)
    reports.write_group(run, contents)
    run.update(state="finished", trained=None, error=None)
    return result, group_report.conclusions(contents)


def report_group(run: Run, experiment: Experiment) -> Path:
    """Write the report of a finished group again; return the path of its page."""
    labels = encode.read_fitted(run.read_json("targets.json"))
    _, combined = combine_members(run, experiment, labels)
    return reports.write_group(run, _report_contents(run, experiment, labels, run.read(CROSS_VALIDATION), combined))


def combine_members(run: Run, experiment: Experiment, labels: encode.Fitted) -> tuple[WeightedGroup | None, Combined]:
    """Return the weights of the members of a group, the same ones every time, and their combined predictions; None for the plain mean.

    Raises RunError for a member that is missing or damaged.
    """
    members = read_members(run, experiment)
    if experiment.ensemble is None or experiment.ensemble.weights == "mean":
        return None, Combined(members, labels.targets)
    folds = len({one.member.fold for one in members}) > 1
    weighted = choose_weights(members, labels.targets, folds=folds, seed=experiment.evaluation.seed)
    return weighted, Combined(members, labels.targets, weighted.of_rows)


def _combine_held_back(run: Run, experiment: Experiment, labels: encode.Fitted, weighted: WeightedGroup | None) -> Combined:
    """Return the predictions of calibration rows, on which no weights were chosen: each member has one weight for all rows."""
    members = read_members(run, experiment, HELD_BACK_PREDICTIONS)
    if weighted is None:
        return Combined(members, labels.targets)
    rows = len(members[0].rows)
    by_target = {key: np.repeat(np.array(each)[:, None], rows, axis=1) for key, each in weighted.weights.member_weights().items()}
    return Combined(members, labels.targets, by_target)


def with_all_branches(members: Sequence[MemberPredictions]) -> list[MemberPredictions]:
    """Return the members that have all branches: those whose scores are the scores of the experiment."""
    return [one for one in members if not one.member.branch]


def _report_contents(run: Run, experiment: Experiment, labels: encode.Fitted, result: CrossValidation, combined: Combined) -> GroupData:
    data = read_group(run, experiment.columns, experiment.training, labels)
    weights = run.read(ENSEMBLE_WEIGHTS) if (run / ENSEMBLE_WEIGHTS).is_file() else None
    facts = _training_facts(run, experiment, result)
    return group_report.read(data, result, combined, experiment.evaluation, weights, facts)


def _training_facts(run: Run, experiment: Experiment, result: CrossValidation) -> TrainingFacts:
    """Return the facts of the trainings that the report makes suggestions by."""
    members = [run.child(member.name) for member in result.members]
    facts, most = [one.read("run.json") for one in members], experiment.training.epochs
    plan = read_split(run / "split.csv").plan
    return TrainingFacts(
        # Stopped by a limit of minutes, the number of epochs was not the limit.
        best_is_last=sum(one.best_epoch == one.epochs == most and not one.stopped for one in facts),
        test_rows=len(plan.test if len(plan.partitions) > 1 else plan.holdout.test),
        network=members[0].read("network.json") if (members[0] / "network.json").is_file() else None,
    )


def read_members(run: Run, experiment: Experiment, name: str = MEMBER_PREDICTIONS) -> list[MemberPredictions]:
    """Return the predictions of the members of a group in the file `name` of each, in their order.

    Raises RunError for one that is missing or damaged.
    """
    return [_read_member(run, member, experiment, name) for member in run.read("run.json").members or ()]


def _read_member(run: Run, member: Member, experiment: Experiment, name: str) -> MemberPredictions:
    child = runs.open_run(run / member.name)
    experiment = experiment.alone(member.branch) if member.branch else experiment
    fitted = encode.of_run(child, experiment.columns)
    targets = apply_postprocessing(fitted, read_postprocessing(child, experiment, fitted)).targets
    path = child / name
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(Problem(str(path), f"the predictions of this training cannot be read: {error}.", run_folder.RESTORE)) from None
    return MemberPredictions(member, rows, targets)
