"""Baselines next to the model in an evaluation: they learn from the training rows of the run and are scored on the same rows.

Unimodal baselines train each branch without the others: the same rows, settings and seeds. They are child runs `baselines/<branch>`
of the run, trained when an evaluation first asks for them.

A branch may have as many epochs as the model was allowed, and stops by the same patience: earlier or later than the model did, since
the two need not converge equally fast, and a branch that was cut short would make fusion look better than it is. If something else
ended the model's training (an interruption, a failure, a callback, which a branch does not have), the branch is limited to the number
of whole epochs of the model, at the learning rates of the full number of epochs. If the run is resumed, the branch is trained again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count

import numpy as np

from mmtrain.artifacts.results import BaselineResult, TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.config.sections.training import EarlyStopping
from mmtrain.data import encode
from mmtrain.data.images.store import Progress, Say
from mmtrain.data.splits.split_file import read_split
from mmtrain.errors import MmtrainError, counted, shell_command
from mmtrain.evaluation.baselines import BaselinePredictions, dummy_baseline
from mmtrain.pipeline.analyze import AnalysisInput
from mmtrain.pipeline.build import EncodedTable, encode_table
from mmtrain.pipeline.child_run import ChildPlan, finished_child, train_child
from mmtrain.pipeline.distillation.student import is_distilled, is_out_of_fold, read_teacher
from mmtrain.pipeline.postprocess import read_postprocessing
from mmtrain.pipeline.restore import restore_data, with_cached_features
from mmtrain.pipeline.tabular_baselines import tabular_baselines
from mmtrain.specs import layer_names
from mmtrain.targets.decides import UNCHOSEN
from mmtrain.training.listeners.events import Ended, EpochBegan, Event, Started, StopAsked, Warned

SECONDS_BETWEEN_LINES = 5.0
"""Minimum time between two lines about the training of a branch."""


@dataclass(frozen=True, eq=False)
class BaselineContext:
    """The run that is evaluated, and the table that it was trained on, for baselines to learn from the same rows."""

    run: Run
    experiment: Experiment
    scored: AnalysisInput | None
    """The scored rows, if they are of the run's own table."""
    progress: Progress | None
    say: Say

    @cached_property
    def table(self) -> EncodedTable:
        """The table of the training, read and encoded when first needed if it is not the scored one. Raises DataError if it is gone."""
        fitted = encode.of_run(self.run, self.experiment.columns)  # without thresholds: those of `subject` were chosen for the model
        if self.scored is not None:
            partition = read_split(self.run / "split.csv").plan.holdout
            return EncodedTable(self.experiment, self.scored.data, partition, fitted, self.scored.arrays)
        data, partition = restore_data(self.run, self.experiment, progress=self.progress, say=self.say)
        return encode_table(self.experiment, data, partition, fitted, self.say)


def add_baselines(results: Mapping[str, TargetResult], subject: AnalysisInput, context: BaselineContext) -> dict[str, TargetResult]:
    """Return the results with every baseline of `evaluation.baselines`, and with the difference of the model to each."""
    outcomes = [*_teacher(subject, context), *_unimodal(subject, context), *tabular_baselines(subject, lambda: context.table, context.say)]
    baselines = [one for one in outcomes if isinstance(one, BaselinePredictions)]
    return compare_with(baselines, results, subject, notes=[one for one in outcomes if isinstance(one, str)])


def compare_with(
    others: Sequence[BaselinePredictions], results: Mapping[str, TargetResult], subject: AnalysisInput, notes: Sequence[str] = ()
) -> dict[str, TargetResult]:
    """Return the results with the dummy baseline and `others`, and with the difference of the model to each."""
    return {
        key: result.model_copy(update={"baselines": _compare(key, result, subject, others), "baseline_notes": list(notes)})
        for key, result in results.items()
    }


def _compare(key: str, result: TargetResult, subject: AnalysisInput, others: Sequence[BaselinePredictions]) -> list[BaselineResult]:
    """Score every baseline on the rows with a known label, the dummy baseline first."""
    model = subject.scored[key].bootstrap_scores
    if model is None:
        return result.baselines
    known = subject.truths.known_rows(key)
    baselines = [dummy_baseline(key, model.rows.target, len(model.rows)), *(one.of(known) for one in others if key in one.predictions)]
    return [one.against(key, model) for one in baselines]


def _teacher(subject: AnalysisInput, context: BaselineContext) -> Iterator[BaselinePredictions | str]:
    """Return the predictions of the teacher of a distilled run for rows of its own table."""
    record = subject.run.read("run.json").distillation
    if record is None or context.scored is None or not is_distilled(subject.run):
        return
    # The teacher decides by its own threshold; a prior is that of the training rows, which are the same ones.
    targets = {key: target.with_threshold(record.thresholds.get(key, UNCHOSEN)) for key, target in subject.fitted.targets.items()}
    predictions = {key: values[subject.rows] for key, values in read_teacher(subject.run, targets, subject.data.table).items()}
    lacking = sum(not np.isfinite(one).all() for values in predictions.values() for one in values)
    if lacking:
        yield f"The teacher {record.teacher} has no prediction of {counted(lacking, 'row')}, so it is not compared."
        return
    name = f"its teacher, {record.teacher}"
    if record.trainings > 1 and is_out_of_fold(subject.run, subject.data.table.rows[subject.rows]):
        # On such rows the student has chosen its epoch, and a mean of all trainings would have learned from them.
        name += ": each row by those of its trainings that have not seen it, which are fewer than those that predict new rows"
    yield BaselinePredictions("teacher", "teacher", name, targets, predictions)


def _unimodal(subject: AnalysisInput, context: BaselineContext) -> Iterator[BaselinePredictions | str]:
    branches, names = subject.experiment.branches, subject.section.baselines
    if "single_branch" not in names:
        if len(branches) > 1:
            more = ", ".join([*(one if isinstance(one, str) else json.dumps(one.model_dump()) for one in names), "single_branch"])
            command = shell_command("evaluate", subject.run, "--set", f"evaluation.baselines=[{more}]")
            yield f"To see what each branch achieves alone: {command}"
        return
    if len(branches) == 1:
        yield f"The model has one branch only, {next(iter(branches))}: alone it is the model itself."
        return
    limit = epoch_limit(subject.run, subject.experiment.training.early_stopping)
    if limit is not None:
        yield (
            f"The training of this run ended after {limit} of {subject.experiment.training.epochs} epochs, "
            "so no branch was trained alone for more."
        )
    for branch in branches:
        try:
            yield _branch_alone(branch, subject, context, limit)
        except MmtrainError as error:  # the model can still be scored. Only `what`: the place may be a path, which is never packed
            yield f"{branch} alone has no scores: {error.problems[0].what}"


def epoch_limit(run: Run, rule: EarlyStopping) -> int | None:
    """Return the number of whole epochs after which a training was cut off; None if it ended by its epochs or its patience."""
    # The rule's own reason means that patience ran out, which is an ordinary end.
    if run.is_trained and run.read_json("run.json").get("stopped", "") in ("", rule.reason):
        return None
    # Lines of unfinished epochs have a step.
    return sum(line.step is None for line in run.read_lines("metrics.jsonl"))


def branch_plan(experiment: Experiment, branch: str, limit: int | None) -> ChildPlan:
    """Return the plan of a branch trained alone, for at most `limit` epochs."""
    name = f"baselines/{child_names(experiment.branches)[branch]}"
    return ChildPlan(name, experiment.alone(branch), {"branch": branch}, last_epoch=limit)


def child_names(branches: Iterable[str]) -> dict[str, str]:
    """Name a child for each branch; names that differ by case only are numbered, since some file systems ignore case."""
    names: dict[str, str] = {}
    for branch, name in layer_names(branches).items():
        taken = {other.casefold() for other in names.values()}
        names[branch] = next(one for one in chain([name], (f"{name}_{number}" for number in count(2))) if one.casefold() not in taken)
    return names


def _branch_alone(branch: str, subject: AnalysisInput, context: BaselineContext, limit: int | None) -> BaselinePredictions:
    """Predict by a branch alone, which is trained now unless it was before. Raises MmtrainError."""
    from mmtrain.model import model_file

    plan = branch_plan(subject.experiment, branch, limit)
    watch = BranchWatcher(branch, limit, context.say)
    # `context.table` is evaluated only for a branch that has to be trained: it may read and encode the whole table.
    child = finished_child(subject.run, plan) or train_child(subject.run, plan, context.table, watch, context.say)
    decisions = read_postprocessing(child, plan.experiment, subject.fitted)
    fitted, scored = subject.fitted.of(plan.experiment.inputs), (subject.data, subject.arrays.of(subject.branches[branch]))
    _, whole = model_file.of_run(child, plan.experiment.branches, fitted)
    own_table = context.scored is not None
    predictor, inputs = with_cached_features(child, whole, plan.experiment, fitted, scored, context.say, own_table=own_table)
    predictions = model_file.predict(predictor, inputs, subject.rows)
    targets = decisions.with_thresholds(subject.fitted.targets)
    return BaselinePredictions("single_branch", f"{branch} alone", f"{branch} alone", targets, predictions)


class BranchWatcher:
    """Reports the training of a branch alone: its first epoch, then one every few seconds, and its end."""

    def __init__(self, branch: str, limit: int | None, say: Say) -> None:
        self.branch, self.limit, self.say = branch, limit, say
        self.begins_at, self.epochs, self.last_line = 1, 0, 0.0

    def __call__(self, event: Event) -> None:
        """Report an event of the training."""
        name = f"the baseline {self.branch} alone"
        if isinstance(event, Started):
            self.epochs, self.begins_at = min(event.epochs, self.limit or event.epochs), event.done + 1
        elif isinstance(event, EpochBegan) and self._due(event.epoch):
            self.last_line = time.perf_counter()
            self.say(f"Training {name}: epoch {event.epoch} of {self.epochs}")
        elif isinstance(event, Warned):
            self.say(f"warning: {self.branch} alone: {event.text}")
        elif isinstance(event, StopAsked):
            self.say(f"Stopping {name} after this step, with a checkpoint.")
        elif isinstance(event, Ended):
            self.say(f"Trained {name}: best epoch {event.best_epoch} of {event.epochs}")

    def _due(self, epoch: int) -> bool:
        return epoch == self.begins_at or time.perf_counter() - self.last_line > SECONDS_BETWEEN_LINES
