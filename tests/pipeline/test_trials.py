"""Trials of a search without TensorFlow: what becomes of trainings that go well, are slow, fail, or come too late."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from tiny import write_experiment, write_table

from mmtrain import config
from mmtrain.artifacts.run_folder import begin
from mmtrain.artifacts.search_results import best_trial
from mmtrain.config.sections.tune import Tune
from mmtrain.config.yaml_source import Origin
from mmtrain.data.tables.read_table import read as read_table
from mmtrain.errors import DataError, Problem, RunError
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.search import trials as module
from mmtrain.pipeline.search.inner_folds import inner_folds, trial_tables
from mmtrain.pipeline.search.results import trials_table
from mmtrain.pipeline.search.space import load_space
from mmtrain.pipeline.search.trials import Search, open_study, read_space, run_trials, save_space, trial_results
from mmtrain.splits.plan import Partition
from mmtrain.training.listeners.events import Ended, EpochBegan, EpochEnded
from mmtrain.training.signals import Interrupted

EXPERIMENT = """
columns: {x: {role: numeric}, y: {role: target, task: binary}}
branches: {table: {columns: [x], architecture: mlp}}
training: {epochs: 9, learning_rate: 0.5, early_stopping: {monitor: validation_auc}, trackers: [steps], tensorboard: true,
           callbacks: [{name: keras.callbacks.TerminateOnNaN}]}
tune:
  space: {training.learning_rate: {low: 0.001, high: 1, scale: log}, branches.table: [mlp, tabm], branches.table.members: [2, 4]}
"""


@pytest.fixture
def search(tmp_path):
    experiment = config.load(write_experiment(tmp_path / "a.yaml", EXPERIMENT))
    space = load_space(Origin(tmp_path / "a.yaml"), experiment.tune.space, experiment)
    (tmp_path / "run").mkdir()
    run = begin(tmp_path / "run", "a")
    section = experiment.tune.model_copy(update={"trials": 6})
    study = open_study(run, space, section)
    study.begin(space)
    return Search(run, space, section, (SimpleNamespace(),), study)


def train(monkeypatch, score, before_epoch=lambda plan, epoch: None):
    """Trainings whose score of an epoch is `score(experiment, epoch)`; return their plans."""
    plans = []

    def train_child(parent, plan, table, listener, say, stop):
        plans.append(plan)
        best, best_epoch, reason = None, 0, ""
        for epoch in range(1, plan.experiment.training.epochs + 1):
            before_epoch(plan, epoch)
            listener(EpochBegan(epoch))
            value = score(plan.experiment, epoch)
            is_best = value is not None and (best is None or value > best)
            best, best_epoch = (value, epoch) if is_best else (best, best_epoch)
            event = EpochEnded(epoch, {"validation_auc": value}, 0.1, 1.0, 1.0, is_best, best_epoch)
            listener(event)
            if reason := stop(event):
                break
        listener(Ended(epoch, best_epoch or epoch, {}, reason))

    monkeypatch.setattr(module, "train_child", train_child)
    return plans


def near(experiment, epoch):
    """The score of a search whose best learning rate is 0.01; the third epoch is the best."""
    return 1 - abs(np.log10(experiment.training.learning_rate) + 2) / 4 - 0.01 * abs(epoch - 3)


def outcomes(search):
    return [trial.outcome for trial in trial_results(search.study, search.space)]


def test_the_score_of_a_trial_is_that_of_the_kept_epoch(search, monkeypatch):
    train(monkeypatch, near)
    run_trials(search)
    results = trial_results(search.study, search.space)
    assert [one.trial for one in results] == [0, 1, 2, 3, 4, 5]
    own, *others = results
    assert (own.own, own.outcome, own.best_epoch, own.epochs) == (True, "complete", 3, 9)
    assert own.score == pytest.approx(1 - abs(np.log10(0.5) + 2) / 4)
    assert own.settings == {"training.learning_rate": 0.5, "branches.table.architecture": "mlp"}
    assert not any(one.own for one in others)
    assert best_trial(results, "maximize").score == max(one.score for one in results if one.outcome == "complete")
    assert best_trial(results, "minimize").score == min(one.score for one in results if one.outcome == "complete")


def test_trials_are_children_without_models_callbacks_or_open_settings(search, monkeypatch):
    plans = train(monkeypatch, near)
    run_trials(search)
    assert [plan.name for plan in plans] == [f"trials/{number}" for number in range(6)]
    assert plans[0].differences == {"settings": {}}
    for plan in plans:
        training = plan.experiment.training
        assert (training.callbacks, training.trackers, training.tensorboard, training.open_settings) == ((), (), False, [])
        assert (plan.keep_model, plan.partition, plan.experiment.tune) == (False, None, None)


def test_a_trial_below_the_median_is_pruned_and_cannot_be_the_best(search, monkeypatch):
    train(monkeypatch, lambda experiment, epoch: 0.9)
    run_trials(search)
    assert outcomes(search) == ["complete"] * 6
    train(monkeypatch, lambda experiment, epoch: 0.1)
    run_trials(replace(search, section=Tune(trials=7)))
    results = trial_results(search.study, search.space)
    assert (results[-1].outcome, results[-1].epochs, results[-1].reason) == ("pruned", 3, "validation_auc was 0.1 in epoch 3")
    assert best_trial(results, "minimize").score == 0.9


def test_the_search_goes_on_after_a_training_that_failed(search, monkeypatch):
    def fail(plan, epoch):
        if plan.name == "trials/1":
            raise RunError(Problem("trials/1", "the loss became nan in epoch 1, step 3."))

    train(monkeypatch, near, fail)
    run_trials(search)
    assert outcomes(search)[:3] == ["complete", "failed", "complete"]
    assert trial_results(search.study, search.space)[1].reason == "the loss became nan in epoch 1, step 3."


def test_a_full_disk_ends_the_search(search, monkeypatch):
    def fail(plan, epoch):
        raise RunError(Problem("a", "the file cannot be written: no space left on device.")) from OSError(28, "No space left on device")

    train(monkeypatch, near, fail)
    with pytest.raises(RunError, match="no space left"):
        run_trials(search)


def test_a_trial_without_a_defined_score_is_failed(search, monkeypatch):
    train(monkeypatch, lambda experiment, epoch: None)
    run_trials(replace(search, section=Tune(trials=1)))
    (result,) = trial_results(search.study, search.space)
    assert (result.outcome, result.reason) == ("failed", "validation_auc is undefined in the kept epoch")


def test_trials_end_at_the_deadline_and_are_repeated_when_the_search_goes_on(search, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now[0], perf_counter=time.perf_counter))

    def pass_time(plan, epoch):
        now[0] += 0.2 if plan.name != "trials/0" else 0

    train(monkeypatch, near, pass_time)
    run_trials(replace(search, deadline=0.3))
    assert outcomes(search) == ["complete", "out of time"]
    assert search.study.repeat_lost() == 1
    train(monkeypatch, near)
    run_trials(search)
    again = trial_results(search.study, search.space)
    assert len(again) == 7
    assert again[2].settings == again[1].settings


def test_an_interrupted_trial_is_repeated(search, monkeypatch):
    def interrupt(plan, epoch):
        if plan.name == "trials/1":
            raise Interrupted(2)

    train(monkeypatch, near, interrupt)
    with pytest.raises(Interrupted):
        run_trials(search)
    assert outcomes(search) == ["complete", "running"]
    search.study.repeat_lost()
    train(monkeypatch, near)
    run_trials(search)
    assert outcomes(search)[:3] == ["complete", "lost", "complete"]
    assert len(outcomes(search)) == 7


def test_no_row_of_the_test_part_is_in_the_table_of_trials(search):
    rows = np.arange(10)
    partition = Partition(rows[:6], rows[6:8], rows[8:])
    (table,) = trial_tables(EncodedTable(search.space.experiment, None, partition, None, None), search.space, Tune())
    assert (table.partition.train.tolist(), table.partition.validation.tolist()) == (rows[:6].tolist(), [6, 7])
    assert len(table.partition.test) == 0


@pytest.fixture
def folded(search):
    """The same search with three trainings in each trial, without the trial of the file's own values."""
    section = search.section.model_copy(update={"folds": 3})
    (search.run.folder / "folded").mkdir()
    run = begin(search.run.folder / "folded", "a")
    study = open_study(run, search.space, section)
    return Search(run, search.space, section, tuple(SimpleNamespace(fold=fold) for fold in range(3)), study)


def test_the_score_of_a_trial_with_folds_is_the_mean_of_its_trainings(folded, monkeypatch):
    of_folds = iter([0.6, 0.9, 0.75] * 6)
    now = [0.0]

    def score(experiment, epoch):
        now[0] = next(of_folds) if epoch == 1 else now[0]
        return now[0]

    plans = train(monkeypatch, score)
    run_trials(replace(folded, section=folded.section.model_copy(update={"trials": 2})))
    results = trial_results(folded.study, folded.space)
    assert [(one.outcome, one.score, one.fold_scores, one.epochs) for one in results] == [("complete", 0.75, [0.6, 0.9, 0.75], 27)] * 2
    assert [plan.name for plan in plans[:3]] == ["trials/0-fold-0", "trials/0-fold-1", "trials/0-fold-2"]
    # Other first weights in each fold, the same for all trials.
    first = folded.space.experiment.training.seed
    assert [plan.experiment.training.seed for plan in plans] == [first, first + 1, first + 2] * 2
    assert trials_table(results, [], "validation_auc")["fold_scores"].tolist() == ["0.6, 0.9, 0.75"] * 2


def test_a_trial_with_folds_is_pruned_after_a_training_and_not_within_one(folded, monkeypatch):
    train(monkeypatch, lambda experiment, epoch: 0.7 if epoch > 5 else 0.1)
    run_trials(replace(folded, section=folded.section.model_copy(update={"trials": 4})))
    train(monkeypatch, lambda experiment, epoch: 0.6)
    run_trials(replace(folded, section=folded.section.model_copy(update={"trials": 5})))
    *others, last = trial_results(folded.study, folded.space)
    assert [one.outcome for one in others] == ["complete"] * 4
    assert (last.outcome, last.epochs, last.reason) == ("pruned", 9, "validation_auc was 0.6 after 1 fold of 3")


def test_a_fold_without_a_defined_score_fails_the_trial(folded, monkeypatch):
    scores = iter([0.6, None, 0.75])
    train(monkeypatch, lambda experiment, epoch: next(scores) if epoch == 1 else None)
    run_trials(replace(folded, section=folded.section.model_copy(update={"trials": 1})))
    (result,) = trial_results(folded.study, folded.space)
    assert (result.outcome, result.reason) == ("failed", "validation_auc is undefined in the kept epoch")


def test_folds_of_trials_divide_the_rows_that_learn_and_validate_by_group_and_class(tmp_path):
    cells = [{"x": row, "who": f"p{row // 2}", "y": "ab"[row // 2 % 3 == 0]} for row in range(60)]
    write_table(tmp_path / "table.csv", cells)
    columns = "columns: {x: {role: numeric}, who: {role: group}, y: {role: target, task: binary}}\n"
    experiment = config.load(write_experiment(tmp_path / "b.yaml", columns))
    table = read_table(experiment.data.table, experiment.columns)
    partition = Partition(np.arange(0, 30), np.arange(30, 44), np.arange(48, 60), np.arange(44, 48))
    parts = inner_folds(experiment, table, partition, 3)
    assert sorted(np.concatenate([one.validation for one in parts]).tolist()) == list(range(44))
    for one in parts:
        assert sorted([*one.train, *one.validation]) == list(range(44))
        assert {row // 2 for row in one.train}.isdisjoint({row // 2 for row in one.validation})
        assert (len(one.test), len(one.calibration)) == (0, 0)
        assert {cells[row]["y"] for row in one.validation} == {"a", "b"}
    again = inner_folds(experiment, table, partition, 3)
    assert all((one.validation == two.validation).all() for one, two in zip(parts, again, strict=True))
    with pytest.raises(
        DataError, match=r"^tune\.folds: class 'b' has 8 groups, fewer than the 9 folds of `tune.folds`. Lower `tune.folds`."
    ):
        inner_folds(experiment, table, partition, 9)


def test_the_space_of_a_search_is_read_again_as_it_was(search):
    save_space(search.run, search.space)
    text = config.to_yaml(search.space.experiment, search.run.folder)
    search.run.write_text("config.yaml", text)
    # Places of data are those of config.yaml: the folder may have moved.
    assert "table.csv" not in (search.run / "search.json").read_text()
    space = read_space(search.run, config.load(search.run / "config.yaml"))
    assert (space.settings, dict(space.values)) == (search.space.settings, dict(search.space.values))
    values = {"branches.table.architecture": "tabm", "branches.table.members": 2, "training.learning_rate": 0.25}
    assert space.trial_experiment(values) == search.space.trial_experiment(values)


def test_the_table_of_trials_has_a_column_for_each_setting(search, monkeypatch):
    train(monkeypatch, near)
    run_trials(search)
    keys = [setting.key for setting in search.space.settings]
    table = trials_table(trial_results(search.study, search.space), keys, "validation_auc")
    assert list(table) == ["trial", "outcome", "validation_auc", "best_epoch", "epochs", "seconds", *keys, "reason"]
    assert table["branches.table.members"].notna().tolist() == (table["branches.table.architecture"] == "tabm").tolist()
    assert yaml.safe_load(str(table["training.learning_rate"][0])) == 0.5
