"""`training.minutes`: the epochs that fit, the rule that ends a training early, and a training with both."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import lines, two_blobs, write_experiment

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.fit_group import count_trainings
from mmtrain.commands.fitting.resume import budget_of, resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config.sections.training import Stage, Training
from mmtrain.pipeline import time_budget
from mmtrain.pipeline.time_budget import REPORT_SECONDS, TimeBudget, plan_epochs
from mmtrain.reports.training import describe_time_plan
from mmtrain.splits.plan import Partition, SplitPlan
from mmtrain.training import epoch_speed, loop
from mmtrain.training.listeners.events import EpochEnded, Started

EXPERIMENT = """
name: timed
columns: {x: {role: numeric}, y: {role: target, task: binary}}
branches: {table: {columns: [x], units: [4]}}
split: {method: random, folds: 2, validation: 0.25}
training: {epochs: 1000, batch_size: 16, minutes: 1}
"""


def section(epochs, *stages):
    return Training.model_construct(epochs=epochs, stages=tuple(Stage(epochs=count) for count in stages), minutes=9.0)


@pytest.fixture
def clock(monkeypatch):
    """The time, which tests set."""
    now = [1000.0]
    monkeypatch.setattr(time_budget.time, "time", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("training", "seconds_per_epoch", "seconds", "epochs", "of_stages"),
    [
        (section(30), [2.0], 35.0, 17, ()),
        (section(30), [1.0], 35.0, 30, ()),  # the file's own epochs are the most
        (section(30), [2.0], -1.0, 1, ()),  # no time is left: one epoch, for there has to be a model
        (section(30, 24, 6), [1.0, 6.0], 30.0, 15, (12, 3)),  # each stage keeps its share
        (section(30, 24, 6), [1.0, 60.0], 30.0, 2, (1, 1)),
    ],
)
def test_as_many_epochs_are_planned_as_fit(training, seconds_per_epoch, seconds, epochs, of_stages):
    planned, plan = plan_epochs(training, seconds_per_epoch, seconds, minutes=9.0)
    assert (planned.epochs, tuple(stage.epochs for stage in planned.stages), planned.minutes) == (epochs, of_stages, None)
    assert (plan.epochs, plan.most_epochs, plan.minutes) == (epochs, 30, 9.0)


def ended(epoch, seconds):
    return EpochEnded(epoch, {}, 0.1, seconds, 1.0, is_best=True, best_epoch=epoch)


def test_a_training_ends_before_an_epoch_that_would_exceed_the_minutes(clock):
    rule = TimeBudget(1.0, start=clock[0]).stop_rule(reserve=8.0)  # 60 s and 5 % of them, less 8 s
    assert rule(Started(3, 1, 1, "", "")) == ""
    clock[0] += 40
    assert rule(ended(1, 39.0)) == ""  # an epoch of 39 s would be too long, but this one has compiled
    clock[0] += 10
    assert rule(ended(2, 4.0)) == ""
    assert rule(ended(2, 5.5)) == "another epoch would exceed the minutes"


def test_trainings_share_the_minutes(clock):
    budget = TimeBudget(1.0, start=clock[0])
    clock[0] += 14
    rule = budget.rule_of_next(2)  # half of 40 s until the report, and 5 %, less what is reserved for saving
    clock[0] += 20
    assert rule(ended(2, 0.5)) != ""
    clock[0] = 1000 + 14 + 18
    assert rule(ended(2, 0.5)) == ""
    assert budget.left == 60 - 32
    assert REPORT_SECONDS < 10


@pytest.mark.parametrize(("fold", "trainings"), [(None, 12), (1, 6)])
def test_branches_that_are_trained_alone_share_the_minutes_too(fold, trainings):
    parts = [Partition(*(np.arange(first, first + 1) for first in range(start, start + 4))) for start in (0, 4)]
    experiment = SimpleNamespace(training=SimpleNamespace(seeds=2), member_branches=("scan", "note"))
    assert count_trainings(experiment, SplitPlan.of(*parts), fold) == trainings


def test_the_plan_is_described():
    plan = plan_epochs(section(30), [2.0], 35.0, minutes=9.0)[1]
    assert describe_time_plan(plan) == "`training.minutes` 9: the training has 17 epochs in place of 30; an epoch takes 2.00 s."
    both = plan.model_copy(update={"trainings": 5, "epochs": 30})
    assert describe_time_plan(both) == "`training.minutes` 9: each of 5 trainings has all 30 epochs; an epoch takes 2.00 s."


def test_compiling_is_not_taken_for_the_speed_of_a_short_epoch(monkeypatch):
    """An epoch of one call of 13 steps and a last batch of its own: both compile, and none of that repeats."""
    clock, compiled = [0.0], set()

    def train(batch, rates):
        clock[0] += 0.1 * batch.steps + (0.0 if len(batch.rows) in compiled else 10.0)
        compiled.add(len(batch.rows))
        return {"loss": np.zeros(()).view(Waited)}

    class Waited(np.ndarray):
        def numpy(self):
            return 0.0

    epoch = [SimpleNamespace(rows=np.zeros(208), steps=13), SimpleNamespace(rows=np.zeros(12), steps=1)]

    class Epochs(list):
        def epoch(self, number):
            return iter(epoch)

    monkeypatch.setattr(epoch_speed.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(epoch_speed, "_measure_validation", lambda data, steps: (0.5, 2.0))
    data = SimpleNamespace(arrays=None, partition=SimpleNamespace(train=np.arange(220)))
    steps = SimpleNamespace(batch_size=16, steps_per_call=13, batches=lambda arrays, rows: Epochs([None] * 14), train=train)
    speed = epoch_speed._measure(data, steps, epochs=30)
    assert (speed.step, speed.epoch, speed.compilation) == pytest.approx((0.1, 1.9, 22.0))


@pytest.mark.parametrize(
    ("seconds", "trained", "measured"),
    [
        ([9.0, 0.5, 0.5, 2.0, 0.5, 0.5], 4, 0.5),  # the first one compiles; 3 s are enough
        ([9.0], 1, None),  # the experiment has one epoch
    ],
)
def test_short_epochs_are_rehearsed(monkeypatch, tmp_path, seconds, trained, measured):
    done = []

    def train(data, run, listener, interruption):
        for epoch, duration in enumerate(seconds, 1):
            done.append(epoch)
            listener(ended(epoch, duration))
            if interruption.after_epoch:
                break

    monkeypatch.setattr(loop, "train", train)
    monkeypatch.setattr(epoch_speed, "replace", lambda data, **changes: data)
    assert epoch_speed.rehearse_epochs(None, None, tmp_path) == measured
    assert len(done) == trained


@pytest.mark.slow  # trains a group three times
def test_the_epochs_of_a_group_are_decided_once_and_kept_when_it_is_resumed(tmp_path, monkeypatch):
    two_blobs(tmp_path, 60)
    path = write_experiment(tmp_path / "a.yaml", EXPERIMENT)
    # Whatever this machine measures, two seconds are left for the epochs of each training.
    monkeypatch.setattr(
        time_budget, "plan_epochs", lambda training, epochs, _, minutes: plan_epochs(training, [1.0 for _ in epochs], 2.5, minutes)
    )
    notes = []
    # An hour: at its own deadline, a training on a slow machine would end before its second epoch.
    run = fit(path, overrides=["training.minutes=60"], output=tmp_path / "runs", fold=0, listeners=Listeners(say=notes.append)).run
    assert "`training.minutes` 60: the training has 2 epochs in place of 1000; an epoch takes 1.00 s." in notes
    training = config.load(run / "config.yaml").training
    assert (training.epochs, training.minutes) == (2, None)
    monkeypatch.undo()
    hurried = Run(shutil.copytree(run.folder, run.folder.parent / "2"))
    run = resume(str(run.folder)).run
    assert run.state == "finished"
    assert run.read("run.json").time_plan.epochs == 2
    assert [len(lines(run / f"folds/{fold}/metrics.jsonl")) for fold in (0, 1)] == [2, 2]
    assert "the training has 2 epochs in place of 1000" in (run / "report.html").read_text()
    # A machine that has become slower: the minutes hold for the resumed command, too.
    hurried.update(time_plan={**hurried.read_json("run.json")["time_plan"], "minutes": 0.001})
    assert budget_of(hurried, 7.0) == TimeBudget(0.001, 7.0)
    resume(str(hurried.folder))
    assert [len(lines(hurried / f"folds/{fold}/metrics.jsonl")) for fold in (0, 1)] == [2, 1]
