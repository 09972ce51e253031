"""`mmtrain distill`: train one network on the predictions of a run, or of a group of trainings, next to the answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import DistillationRecord
from mmtrain.commands.fit import TrainingOptions, train_new
from mmtrain.commands.fitting.training_listeners import CHECKED, Listeners
from mmtrain.config import Experiment
from mmtrain.config.experiment import NAME_PATTERN
from mmtrain.data import encode
from mmtrain.errors import Problem, UsageError, listed
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import assemble_training, encode_table
from mmtrain.pipeline.checks.requirements import make_callbacks
from mmtrain.pipeline.distillation.student import write_teacher
from mmtrain.pipeline.distillation.teacher import Soft, Teacher, check_distillable, chosen_thresholds
from mmtrain.pipeline.prepare import Moved
from mmtrain.pipeline.restore import restore, restore_plan
from mmtrain.pipeline.train_run import TrainingResult
from mmtrain.splits.plan import SplitPlan

SETTINGS = ("branches", "fusion", "training", "evaluation")
"""Sections that a student may have of its own; rows and columns are those of its teacher."""

DISTILLED = "# Every value of this experiment, defaults included. It was trained by `mmtrain distill`, with the teacher {teacher}.\n"
"""First line of config.yaml of a student, which `mmtrain fit` would train without its teacher."""


@dataclass(frozen=True)
class DistillOptions:
    """The student, and how it learns from its teacher."""

    name: str = ""
    """Name of the student; empty for that of the teacher with `-distilled`."""
    overrides: tuple[str, ...] = ()
    """Settings of the student in place of those of the teacher."""
    weight: float = 0.7
    """Part of the distance from the teacher in the loss, above 0 and up to 1; the rest is that of the answers."""
    temperature: float = 2.0
    """Divisor of logits, 1 or more: softer probabilities say more about unlikely classes."""
    soft: Soft | None = None
    """Predictions of training rows; None for `out_of_fold` where the teacher has folds, else `mean`."""


def distill(
    which: str | None = None,
    options: DistillOptions | None = None,
    *,
    output: Path = Path("runs"),
    listeners: Listeners | None = None,
    moved: Moved | None = None,
) -> TrainingResult:
    """Train a student of the run or group called `which` (see `runs.find`); the result is a run as from `fit`.

    Raises:
        UsageError: there is no such run, an option is out of its range, or a task cannot be distilled.
        RunError: the teacher is not finished or damaged, or the training failed.
        ConfigError: an override has a mistake.
        DataError: the table of the teacher has changed.
        Interrupted: SIGINT or SIGTERM; the student has a checkpoint and its best model.

    """
    listeners, options = listeners or Listeners(), options or DistillOptions()
    _check_options(options)
    run = runs.find(which, output, group=True)
    teacher = _open_teacher(run, moved or Moved(), listeners)
    check_distillable(teacher.labels.targets)
    soft = options.soft or ("out_of_fold" if teacher.has_folds else "mean")
    if soft == "out_of_fold" and not teacher.has_folds:
        what = f"{run} has no folds, so it has no out-of-fold predictions."
        raise UsageError(Problem("--soft out_of_fold", what, "Leave it out, or train the teacher with `split.folds`."))
    experiment, partition = _student(teacher, options, listeners), teacher.partition
    listeners.say(CHECKED)
    start_tensorflow()
    listeners.say(f"Predicting with the teacher, {run.folder}.")
    fitted = encode.fit(experiment.columns, teacher.data.table, partition.train, experiment.training.class_weights)
    predictions, costs = teacher.predict(soft, fitted.targets, listeners.say)
    table = encode_table(experiment, teacher.data, partition, fitted, listeners.say)
    experiment, training_data, tuning = assemble_training(table, listeners.say)
    rows = int(np.isin(teacher.data.table.rows[partition.train], predictions["row"]).sum())
    record = DistillationRecord(
        teacher=str(run),
        trainings=len(teacher.trainings),
        soft=soft,
        weight=options.weight,
        # Numbers have no logits that it would divide.
        temperature=options.temperature if any(one.softens_probabilities for one in fitted.targets.values()) else 1.0,
        rows=rows,
        thresholds=chosen_thresholds(teacher.labels.targets),
        costs=costs,
    )
    plan = SplitPlan.of(partition, description=f"the rows of {run}: {teacher.plan.description}", partial=True)
    student = runs.create(experiment.name, output)
    callbacks = make_callbacks(experiment.training.callbacks, run / "config.yaml", options.overrides)
    header = DISTILLED.format(teacher=run)
    extra = TrainingOptions(callbacks, header=header, record=lambda: write_teacher(student, predictions, record))
    return train_new(student, replace(table, experiment=experiment), plan, (training_data, tuning), listeners, extra)


def _check_options(options: DistillOptions) -> None:
    problems = []
    if not 0 < options.weight <= 1:
        problems.append(Problem("--weight", f"expected a number above 0 and up to 1; found {options.weight:g}."))
    if not 1 <= options.temperature <= 100:
        problems.append(Problem("--temperature", f"expected a number from 1 to 100; found {options.temperature:g}."))
    if options.name and not re.fullmatch(NAME_PATTERN, options.name):
        fix = "A name has letters, digits, `.`, `_` and `-`, and begins with a letter or a digit; --output names a folder."
        problems.append(Problem(f"--name {options.name}", "this is not the name of a run.", fix))
    for text in options.overrides:
        section = text.partition("=")[0].split(".")[0].strip()
        if section not in SETTINGS:
            what = "the rows and columns of a student are those of its teacher."
            problems.append(Problem(f"--set {text}", what, f"Sections that can be set are {listed(SETTINGS)}."))
    if problems:
        raise UsageError(problems)


def _open_teacher(run: Run, moved: Moved, listeners: Listeners) -> Teacher:
    """Open a run or a group, and the table that it was trained on. Raises RunError without a model, DataError for a changed table."""
    experiment, labels, _ = restore(run)
    experiment = moved.applied(experiment)
    data, plan = restore_plan(run, experiment, progress=listeners.progress, say=listeners.say)
    return Teacher(run, experiment, labels, data, plan)


def _student(teacher: Teacher, options: DistillOptions, listeners: Listeners) -> Experiment:
    """Return the experiment of the student: that of the teacher, for one training, with the overrides."""
    experiment = config.load(teacher.run / "config.yaml", options.overrides)
    if experiment.training.minutes is not None:
        fix = "Set `training.epochs`."
        raise UsageError(Problem("--set training.minutes", "a student is trained without a limit of time.", fix))
    if experiment.training.seeds not in (1, teacher.experiment.training.seeds):
        raise UsageError(Problem("--set training.seeds", "a student is one training.", "Distill once more for each seed: `training.seed`."))
    experiment = experiment.decided(seeds=1)
    name = options.name or f"{teacher.experiment.name}-distilled"
    listeners.say(f"{name} learns the predictions of {teacher.run.folder}.")
    # Columns and places are those of the teacher, which `restore_training` and `Moved` may have changed.
    columns = {"columns": teacher.experiment.columns, "data": teacher.experiment.data}
    return experiment.model_copy(update={"name": name, "ensemble": None, "tune": None, **columns})
