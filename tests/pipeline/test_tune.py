"""`mmtrain tune` with real trainings: its files, its best experiment, and what it must never see."""

import csv
import json
import os
import shutil
import signal
import time
from contextlib import ExitStack

import pytest
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import lines, start, two_blobs, write_experiment

import mmtrain
from mmtrain import config
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.runs import create, find
from mmtrain.cli.app import run as run_command
from mmtrain.commands.comparison.compare import compare
from mmtrain.commands.comparison.leaderboard import leaderboard
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume as resume_fit
from mmtrain.commands.tune import SEEN_FOLDS, Limits, resume, tune
from mmtrain.errors import ConfigError, MmtrainError, RunError, UsageError
from mmtrain.pipeline.search.run_search import SearchListeners
from mmtrain.training.signals import Interrupted

EXPERIMENT = """
name: searched
columns: {x: {role: numeric}, part: {role: split}, y: {role: target, task: binary}}
branches: {table: {columns: [x], architecture: linear}}
split: {method: column}
fusion: {units: []}
training: {epochs: 2, batch_size: 16, learning_rate: 0.001, deterministic: true, early_stopping: {monitor: validation_auc}}
tune:
  trials: 3
  pruner: none
  space: {training.learning_rate: {low: 0.001, high: 0.1, scale: log}, branches.table.units: [16, 4]}
"""


@pytest.fixture(scope="module", autouse=True)
def only_here():
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    yield
    tf_config.disable_op_determinism()


def write(folder, **cells):
    """A table of 40 training rows, 12 validation rows and 8 test rows."""
    parts = [*["train"] * 40, *["validation"] * 12, *["test"] * 8]
    two_blobs(folder, 60, **({"part": lambda row: parts[row]} | cells))
    return write_experiment(folder / "a.yaml", EXPERIMENT)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of three trials, with the trials that it reported."""
    folder = tmp_path_factory.mktemp("searched")
    reported = []
    path = write(folder)
    result = tune(path, output=folder / "runs", listeners=SearchListeners(trial=lambda one: reported.append((one.trial.trial, one.ended))))
    return result, reported, path


def test_a_search_leaves_its_best_experiment_its_trials_and_a_report(searched):
    result, reported, _ = searched
    run = result.run
    assert [one.trial for one in result.trials] == [0, 1, 2]
    assert result.trials[0].own
    assert reported == [(0, 1), (1, 2), (2, 3)]
    assert (run.state, run.read("run.json").children["trials/2"].state) == ("finished", "finished")
    with (run / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["outcome"] for row in rows] == ["complete"] * 3
    assert float(rows[0]["training.learning_rate"]) == 0.001
    assert result.best.score == max(one.score for one in result.trials)
    assert 0 <= result.corrected.value <= result.best.score
    page = (run / "report.html").read_text()
    assert all(part in page for part in ("Course of the search", "Values and scores", "training.learning_rate"))
    assert json.loads(json.dumps(result.to_json()))["best"]["trial"] == result.best.trial


def test_trials_share_the_split_and_leave_only_their_scores(searched):
    run = searched[0].run
    for number in range(3):
        child = run.child(f"trials/{number}")
        assert sorted(path.name for path in child.folder.iterdir()) == [
            ".lock",
            "columns.json",
            "metrics.jsonl",
            "run.json",
            "validation.npz",
        ]
        assert (child / "columns.json").read_bytes() == (run / "columns.json").read_bytes()


@pytest.mark.slow
def test_the_best_experiment_repeats_the_best_trial(searched, tmp_path):
    result, _, path = searched
    text = result.experiment.read_text()
    assert text.startswith("# Search searched/1, the best of 3 trials: trial ")
    for key, change in result.changes.items():
        assert f"#   {key}: {change.before} -> {change.after}" in text
    best = config.load(result.experiment)
    assert best.tune is None
    assert best.data.table == config.load(path).data.table
    run = fit(result.experiment, output=tmp_path).run
    mine, trials = (lines(one / "metrics.jsonl") for one in (run, result.run.child(f"trials/{result.best.trial}")))
    assert mine == trials


def test_a_process_next_to_another_one_runs_the_trials_that_are_left(searched, tmp_path):
    shutil.copytree(searched[0].run.folder, tmp_path / "runs/searched/1")
    shutil.copy(searched[2].parent / "table.csv", tmp_path)
    run, said, shown = Run(tmp_path / "runs/searched/1"), [], []
    with ExitStack() as first:
        first.enter_context(run_lock(run))
        listeners = SearchListeners(trial=lambda one: shown.append(one.trial.trial), say=said.append, watch=lambda *_: first.close())
        result = resume(str(run.folder), limits=Limits(trials=4), listeners=listeners)
    assert said == ["Another process runs this search. This one runs trials next to it."]
    assert (shown, [one.outcome for one in result.trials]) == ([3], ["complete"] * 4)
    assert result.trials[:3] == searched[0].trials


def test_processes_that_assist_find_the_deadline_of_the_process_that_resumed_the_search(searched, tmp_path):
    shutil.copytree(searched[0].run.folder, tmp_path / "runs/searched/1")
    shutil.copy(searched[2].parent / "table.csv", tmp_path)
    run, deadlines = Run(tmp_path / "runs/searched/1"), []
    run.update(deadline=1.0)
    begun = time.time()
    listeners = SearchListeners(began=lambda run, _: deadlines.append(run.read("run.json").deadline))
    resume(str(run.folder), limits=Limits(minutes=60), listeners=listeners)
    (deadline,) = deadlines
    assert begun < deadline < begun + 3600


def test_a_search_never_sees_a_test_row(searched, tmp_path):
    """Other numbers and labels in the test rows change nothing that a trial computes."""
    result = searched[0]
    numbers = {"x": lambda row: row % 2 * 2 - 1 + row % 7 / 10 if row < 52 else 1000 - row}
    labels = {"y": lambda row: ("low", "high")[row % 2 if row < 52 else row % 3 == 0]}
    path = write(tmp_path, **numbers, **labels)
    changed = tune(path, output=tmp_path / "runs", limits=Limits(trials=2))
    for number in range(2):
        mine, theirs = (one.run.child(f"trials/{number}") for one in (changed, result))
        assert (mine / "metrics.jsonl").read_bytes() == (theirs / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_an_experiment_with_folds_is_searched_on_its_first_fold(tmp_path):
    columns = "columns={x: {role: numeric}, y: {role: target, task: binary}}"
    folds = [columns, "split={method: stratified, folds: 3, validation: 0.2}", "training.seeds=2"]
    notices = []
    listeners = SearchListeners(say=notices.append)
    result = tune(write(tmp_path), overrides=folds, output=tmp_path / "runs", limits=Limits(trials=1), listeners=listeners)
    assert SEEN_FOLDS in notices
    assert (result.best.own, result.corrected) == (True, None)
    with (result.run / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["fold"] for row in rows} == {"0"}
    assert len([row for row in rows if row["part"] == "test"]) == 20
    best = config.load(result.experiment)
    assert (best.split.folds, best.training.seeds) == (3, 2)


@pytest.mark.slow
def test_a_search_goes_on_with_more_trials_and_counts_its_seconds(searched, monkeypatch):
    result = searched[0]
    before = result.run.read_json("run.json")["seconds"]["training"]
    longer = resume(str(result.run.folder), limits=Limits(trials=4))
    assert [one.trial for one in longer.trials] == [0, 1, 2, 3]
    assert longer.trials[:3] == result.trials
    assert longer.seconds > before


def test_a_search_has_no_model_and_is_no_training(searched, tmp_path):
    other = create("other", tmp_path)
    folder = str(searched[0].run.folder)
    with pytest.raises(RunError, match=r"this is a search, whose trials keep no model. Train its best experiment: mmtrain fit"):
        evaluate(folder, EvaluateOptions())
    with pytest.raises(UsageError, match=r"this is a search. Resume it: mmtrain tune --resume"):
        resume_fit(folder)
    for command in (
        lambda: pack(folder, tmp_path / "search.zip"),
        lambda: compare([folder, str(other.folder)]),
        lambda: leaderboard(folder, output=searched[0].run.folder.parent.parent),
    ):
        with pytest.raises(MmtrainError, match=r"this is a search, whose trials keep no model. Train its best experiment: mmtrain fit"):
            command()


@pytest.mark.parametrize("limit", ["trials", "minutes", "workers"])
def test_a_limit_that_allows_no_trial_is_refused(limit):
    with pytest.raises(UsageError, match=rf"^{limit}: 0 is out of range. It has to be more than 0.$"):
        Limits(**{limit: 0})


def test_the_api_has_the_same_results_as_frames(searched, tmp_path, monkeypatch):
    result, given = searched[0], []
    monkeypatch.setattr("mmtrain.commands.tune.tune", lambda source, **options: given.append((source, options)) or result)
    search = mmtrain.tune("a.yaml", minutes=3, overrides={"tune.trials": 5}, output=tmp_path, progress=False)
    (source, options), *_ = given
    assert (source.name, options["limits"], options["overrides"]) == ("a.yaml", Limits(minutes=3), ("tune.trials=5",))
    assert search.trials["training.learning_rate"].tolist() == [one.settings["training.learning_rate"] for one in result.trials]
    assert search.changes["setting"].tolist() == list(result.changes)
    assert list(search.importance) == ["setting", "share"]
    assert search.best.training.learning_rate == result.best.settings["training.learning_rate"]
    assert repr(search).startswith(f"<mmtrain search {result.run.folder}>\n3 complete; best validation_auc ")
    assert "training.learning_rate" in search._repr_html_()


def test_the_command_prints_the_best_file_and_what_it_changes(searched, monkeypatch, capsys):
    result, _, path = searched
    monkeypatch.setattr("mmtrain.commands.tune.tune", lambda *_, **__: result)
    assert run_command(["tune", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{result.experiment}\n"
    assert f"Best: trial {result.best.trial}, validation_auc {result.best.score:.3f}" in shown.err
    if not result.best.own:
        assert (
            "The best of many scores of the same validation rows is too optimistic. Corrected for that, chosen and scored on" in shown.err
        )
    assert all(f"  {key}: " in shown.err for key in result.changes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected either an experiment file or, with --resume, a search to resume."),
        (["a.yaml", "--resume", "a"], "expected either an experiment file or, with --resume, a search to resume."),
        (["--resume", "a", "--set", "tune.trials=3"], "--set cannot be given with --resume"),
    ],
)
def test_the_command_takes_a_file_or_a_search(arguments, message, capsys):
    assert run_command(["tune", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_only_a_search_is_resumed(tmp_path):
    (tmp_path / "a" / "1").mkdir(parents=True)
    from mmtrain.artifacts.run_folder import begin

    begin(tmp_path / "a" / "1", "a")
    with pytest.raises(UsageError, match=r"this run is not a search, or was stopped before its first trial. Begin one with"):
        resume("a", output=tmp_path)


def test_a_mistake_of_the_space_is_reported_before_the_table_is_read(tmp_path):
    path = write(tmp_path)
    (tmp_path / "table.csv").unlink()
    with pytest.raises(ConfigError, match=r"--set tune.space.training.learning_rat: unknown key"):
        tune(path, overrides=["tune.space={training.learning_rat: [1, 2]}"], output=tmp_path)


@pytest.mark.slow
def test_an_interrupted_search_keeps_its_results(tmp_path, monkeypatch):
    from mmtrain.pipeline.search import trials

    def interrupt(search, trial):
        raise Interrupted(signal.SIGINT)

    run_trial = trials._run_trial
    monkeypatch.setattr(trials, "_run_trial", lambda search, trial: (run_trial if trial.is_own else interrupt)(search, trial))
    with pytest.raises(Interrupted):
        tune(write(tmp_path), output=tmp_path / "runs")
    run = find("searched", tmp_path / "runs")
    assert run.state == "interrupted"
    assert (run / "best.yaml").is_file()


@pytest.mark.slow  # three processes with TensorFlow
def test_a_search_of_several_processes_that_is_killed_loses_only_the_trials_that_ran(tmp_path):
    write(tmp_path)
    options = ("--workers", "2", "--trials", "8", "--json")
    process = start("tune", "a.yaml", *options, folder=tmp_path)
    journal = tmp_path / "runs" / "searched" / "1" / "journal.log"
    while not (journal.is_file() and journal.read_text().count('"outcome"') >= 2):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1.0)  # its workers end with it
    resumed = start("tune", "--resume", "searched", *options, folder=tmp_path)
    out, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    outcomes = [trial["outcome"] for trial in json.loads(out)["trials"]]
    assert outcomes.count("complete") == 8
    assert outcomes.count("lost") <= 2
    assert len(outcomes) == 8 + outcomes.count("lost")


@pytest.mark.slow  # three processes with TensorFlow
def test_processes_that_were_started_one_by_one_run_each_trial_once(tmp_path):
    write(tmp_path)
    options = ("--trials", "12", "--json")
    processes = [start("tune", "a.yaml", *options, folder=tmp_path)]
    run = Run(tmp_path / "runs/searched/1")
    while not (run / "journal.log").is_file() and processes[0].poll() is None:
        time.sleep(0.05)
    processes += [start("tune", "--resume", "searched", *options, folder=tmp_path) for _ in range(2)]
    told = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], told
    results = [json.loads(out) for out, _ in told]
    assert [trial["outcome"] for trial in results[0]["trials"]] == ["complete"] * 12
    assert results[1]["trials"] == results[2]["trials"] == results[0]["trials"]
    assert len({trial["settings"]["training.learning_rate"] for trial in results[0]["trials"]}) == 12
    assert sorted(run.children()) == sorted(f"trials/{number}" for number in range(12))
    assert not list(run.folder.glob(".trial-*"))


@pytest.mark.slow
def test_a_search_keeps_its_minutes(tmp_path):
    write(tmp_path)
    process = start("tune", "a.yaml", "--minutes", "1", "--trials", "1000", "--json", folder=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert 54 < result["seconds"] < 66
    assert len(result["trials"]) > 1
