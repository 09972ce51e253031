"""Groups of trainings: folds and seeds on one table, killed and resumed, and their out-of-fold predictions."""

import csv
import json
import random
import shutil
import time
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import start, write_experiment, write_table

from mmtrain.artifacts.lock import is_locked, run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.runs import find
from mmtrain.cli.app import run as command
from mmtrain.cli.views.training_result import show_group_result
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.data import encode
from mmtrain.data.splits.split_file import read_split
from mmtrain.errors import UsageError
from mmtrain.pipeline.groups.run_group import GroupResult
from mmtrain.pipeline.groups.workers import Processes
from mmtrain.training.listeners.events import EpochBegan
from mmtrain.training.step import TrainStep

EXPERIMENT = """
name: folded
columns:
  who: {role: id}
  x: {role: numeric}
  city: {role: categorical, min_count: 1}
  person: {role: group}
  y: {role: target, task: binary, positive: high}
branches: {table: {columns: [x, city], units: [4], dropout: 0.3}}
split: {method: random, folds: 3, test: 0.2, validation: 0.25}
training: {epochs: 3, batch_size: 16, deterministic: true, learning_rate: 0.05, optimizer: sgd, momentum: 0.9}
evaluation: {threshold: {aim: youden}, draws: 100, permutations: 0}
"""
ROWS = 60
LEARNED = ("columns.json", "statistics.json", "metrics.jsonl", "decisions.json")


@pytest.fixture(scope="module", autouse=True)
def only_here():
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    yield
    tf_config.disable_op_determinism()


def cells(row):
    return {
        "who": f"r{row}",
        "x": (row % 2) * 2 - 1 + (row % 7) / 5,
        "city": f"c{row % 3}",
        "person": f"p{row // 2}",
        "y": ("low", "high")[(row % 2) ^ (row % 11 == 0)],
    }


def write(folder, changed=(), experiment=EXPERIMENT):
    """The cells of `changed` rows are as wild as they can be, their answers turned over; ids and groups stay."""
    rows = [cells(row) for row in range(ROWS)]
    for row in changed:
        rows[row] |= {"x": 1e6 * (row + 1), "city": f"somewhere {row}", "y": {"low": "high", "high": "low"}[rows[row]["y"]]}
    write_table(folder / "table.csv", rows)
    return write_experiment(folder / "folded.yaml", experiment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("folded")


@pytest.fixture(scope="module")
def outcome(folder):
    """Three folds, and a copy of their folder as SIGKILL would have left it in the second epoch of the last one."""
    moments, said = [], []

    def watch(event):
        moments.append(event)
        if isinstance(event, EpochBegan) and event.epoch == 2 and sum(isinstance(one, EpochBegan) for one in moments) == 8:
            shutil.copytree(folder / "runs/folded/1", folder / "killed/folded/1")
            shutil.copytree(folder / "runs/folded/1", folder / "unfinished/folded/1")

    encoded, original = [], encode.encode
    restarts, restart = [], TrainStep.restart
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "restart", lambda *given: restarts.append(1) or restart(*given))
        patch.setattr(
            encode, "encode", lambda given, fitted, *a, **n: encoded.append([*fitted.columns]) or original(given, fitted, *a, **n)
        )
        done = fit(write(folder), output=folder / "runs", listeners=Listeners(watch=watch, say=said.append))
    assert len(restarts) == 2  # the folds have one network: below, trainings of single folds have the same bits without sharing
    return done, said, encoded


@pytest.fixture(scope="module")
def group(outcome):
    return outcome[0].run


def bits(run):
    """The bytes of everything that a group has learned and scored."""
    names = ["predictions_oof.csv", "cross_validation.json", "split.csv", "targets.json"]
    for member in run.read("run.json").members:
        names += [f"{member.name}/{name}" for name in (*LEARNED, "data.json", "predictions_member.csv")]
    return {name: (run / name).read_bytes() for name in names}


def oof(run):
    return list(csv.DictReader((run / "predictions_oof.csv").read_text().splitlines()))


# Rows


def test_every_row_is_scored_once_by_the_training_that_left_it_out(group):
    """Row i in is row i out."""
    plan, rows = read_split(group / "split.csv").plan, oof(group)
    fold_of = {int(row): fold for fold, one in enumerate(plan.partitions) for row in one.test}
    assert [int(row["row"]) for row in rows] == sorted(fold_of) == np.setdiff1d(np.arange(ROWS), plan.test).tolist()
    assert len(plan.test) == 12
    for row in rows:
        number = int(row["row"])
        assert (row["id"], row["truth"], row["fold"]) == (f"r{number}", cells(number)["y"], str(fold_of[number]))
        member = pd.read_csv(group / f"folds/{row['fold']}/predictions_member.csv", dtype=str).set_index("row")
        assert row["probability_high"] == member.loc[row["row"], "probability_high"]
        assert row["prediction"] == member.loc[row["row"], "prediction"]  # by the threshold of its fold


def test_nothing_that_a_fold_learns_sees_the_rows_that_it_scores(group, tmp_path):
    """Other cells and answers in these rows, and in the outer test rows, change no bit of what the fold has learned."""
    plan = read_split(group / "split.csv").plan
    path = write(tmp_path, changed=[*plan.partitions[1].test.tolist(), *plan.test.tolist()])
    done = fit(path, output=tmp_path / "runs", fold=1)
    assert (done.scores, done.run.state) == (None, "interrupted")
    assert [one.is_dir() for one in (done.run / "folds/0", done.run / "folds/1")] == [False, True]
    for name in LEARNED:
        assert (done.run / f"folds/1/{name}").read_bytes() == (group / f"folds/1/{name}").read_bytes(), name
    assert (done.run / "split.csv").read_bytes() == (group / "split.csv").read_bytes()
    assert (done.run / "folds/1/predictions_member.csv").read_bytes() != (group / "folds/1/predictions_member.csv").read_bytes()


def test_columns_that_learned_the_same_are_encoded_once(outcome):
    """The three cities are in the training rows of every fold, and the mean of `x` is another in each."""
    assert outcome[2] == [["x", "city"], ["x"], ["x"]]


# Scores


def test_scores_are_those_of_the_members_on_their_rows(outcome, group):
    scores = outcome[0].scores
    assert [(one.name, one.fold, one.rows) for one in scores.members] == [(f"folds/{fold}", fold, 16) for fold in range(3)]
    assert (scores.folds, scores.seeds, scores.rows, scores.part, scores.main) == (3, 1, 48, "test", {"y": "auc"})
    auc = scores.targets["y"]["auc"]
    assert auc.mean == pytest.approx(np.mean(auc.values))
    assert auc.deviation == pytest.approx(np.std(auc.values, ddof=1))
    rows = oof(group)
    right = [row["truth"] == row["prediction"] for row in rows]
    assert scores.targets["y"]["accuracy"].out_of_fold == pytest.approx(np.mean(right))
    by_fold = [np.mean([hit for hit, row in zip(right, rows, strict=True) if row["fold"] == str(fold)]) for fold in range(3)]
    assert scores.targets["y"]["accuracy"].values == pytest.approx(by_fold)
    assert group.read("cross_validation.json") == scores


# Several processes


def test_a_process_next_to_another_one_trains_what_is_left_and_takes_its_place(outcome, group, folder, tmp_path):
    shutil.copytree(folder / "unfinished/folded/1", tmp_path / "runs/folded/1")
    shutil.copy(folder / "table.csv", tmp_path)
    run, said = Run(tmp_path / "runs/folded/1"), []
    with ExitStack() as first:
        first.enter_context(run_lock(run))
        # The other process is lost during the training.
        done = resume(str(run.folder), listeners=Listeners(watch=lambda _: first.close(), say=said.append))
    assert said[-2:] == [
        "Another process trains this group. This one trains what is left next to it, beginning at the end.",
        f"Fold 3 of 3: 24 training rows; {run.folder}/folds/2.",
    ]
    assert (done.scores, bits(run)) == (group.read("cross_validation.json"), bits(group))


@pytest.mark.slow  # 3 processes
def test_processes_that_were_started_one_by_one_train_each_member_once(tmp_path):
    path = write(tmp_path, experiment=MANY.replace("checkpoint_minutes: 1.0e-9, ", ""))
    one_thread = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
    processes = [start("fit", str(path), "--fold", "0", folder=tmp_path, **one_thread)]
    told = [processes[0].communicate(timeout=900)[1]]
    processes += [start("fit", "--resume", "folded", folder=tmp_path, **one_thread) for _ in range(2)]
    told += [one.communicate(timeout=900)[1] for one in processes[1:]]
    assert [one.returncode for one in processes] == [0, 0, 0], told
    run = Run(tmp_path / "runs/folded/1")
    began = [line.split("/folded/1/")[1] for text in told for line in text.splitlines() if " training rows; " in line]
    names = [member.name for member in run.read("run.json").members]
    assert sorted(began) == [f"{name}." for name in names]
    assert all(run.child(name).read_json("run.json").get("resumed") is None for name in names)
    assert sum("Another process trains this group." in text for text in told) == 1
    assert (run.state, len(run.read("cross_validation.json").members)) == ("finished", 6)


# Kills


def test_a_killed_group_ends_with_the_same_bits(outcome, group, folder):
    killed = Run(folder / "killed/folded/1")
    assert [killed.child(f"folds/{fold}").state for fold in range(3)] == ["finished", "finished", "running"]
    said = []
    done = resume("folded/1", output=folder / "killed", listeners=Listeners(say=said.append))
    assert [line for line in said if line.startswith("Fold")] == [
        f"Fold {fold + 1} of 3: 24 training rows; {killed.folder}/folds/{fold}." for fold in (2,)
    ]
    assert bits(done.run) == bits(group)
    assert done.run.state == "finished"
    with pytest.raises(UsageError, match="the run is finished; there is nothing to resume"):
        resume("folded/1", output=folder / "killed")


def test_a_group_killed_after_its_last_training_needs_no_table(group, tmp_path):
    shutil.copytree(group.folder, tmp_path / "folded/1")
    run = Run(tmp_path / "folded/1")
    for name in ("predictions_oof.csv", "cross_validation.json"):
        (run / name).unlink()
    run.update(state="running", trained=run.read_json("run.json")["ended"], files=None)
    run.seal("config.yaml", "split.csv", "data.json", "targets.json")
    done = resume("folded/1", output=tmp_path)
    assert bits(done.run) == bits(group)


KILLS = 20


@pytest.mark.slow
def test_bound_of_seeds_is_fitted_on_rows_that_chose_nothing(tmp_path):
    seeds = EXPERIMENT.replace("folds: 3, test: 0.2, validation: 0.25", "test: 0.2, validation: 0.4").replace(
        "epochs: 3", "seeds: 2, epochs: 1"
    )
    run = fit(write(tmp_path, experiment=seeds.replace("draws: 100", "conformal: 0.8, draws: 100")), output=tmp_path / "runs").run
    partition = read_split(run / "split.csv").plan.holdout
    names = {"predictions_member.csv": partition.validation, "predictions_held_back.csv": partition.calibration}
    for name, rows in names.items():
        assert pd.read_csv(run / f"seeds/1/{name}").row.tolist() == rows.tolist()
    bound = json.loads((run / "decisions.json").read_text())["targets"]["y"]["conformal"]
    assert (bound["rows"], bound["groups"]) == (len(partition.calibration), len({row // 2 for row in partition.calibration}))
    each = [pd.read_csv(run / f"seeds/{seed}/predictions_held_back.csv") for seed in (0, 1)]
    mean = sum(one.probability_high for one in each) / 2
    of_truth = np.where(each[0].truth == "high", mean, 1 - mean)
    assert np.abs(of_truth - bound["level"]).min() < 1e-6


MANY = EXPERIMENT.replace("epochs: 3", "seeds: 2, epochs: 30, checkpoint_minutes: 1.0e-9")


@pytest.mark.slow  # 20 processes
def test_a_group_killed_twenty_times_ends_with_the_same_bits(tmp_path):
    path = write(tmp_path, experiment=MANY)
    whole = fit(path, output=tmp_path / "whole").run
    assert [member.name for member in whole.read("run.json").members][:3] == ["folds/0-seed-0", "folds/0-seed-1", "folds/1-seed-0"]
    draw, run, moments = random.Random(5), Run(tmp_path / "runs/folded/1"), []
    arguments = ["fit", str(path)]
    while len(moments) < KILLS:
        process = start(*arguments, "--output", str(tmp_path / "runs"), folder=tmp_path)
        # Counted in checkpoints, which every step writes: the start of TensorFlow takes longer than all steps.
        wanted, seen = draw.randrange(1, 20), {position(run)}
        while len(seen) <= wanted and process.poll() is None:
            seen.add(position(run))
        time.sleep(draw.uniform(0, 0.1))
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        arguments = ["fit", "--resume", "folded/1"]
        moments.append(position(run))
    assert len(moments) == KILLS and run.state != "finished"
    process = start(*arguments, "--output", str(tmp_path / "runs"), folder=tmp_path)
    _, told = process.communicate(timeout=900)
    assert process.returncode == 0, told
    assert len(set(moments)) >= KILLS - 2  # at different moments, in several members
    assert len({name for name, _, _ in moments}) > 2
    assert bits(run) == bits(whole)


@pytest.mark.slow  # 7 processes
def test_members_in_several_processes_end_with_the_same_bits_after_a_kill(tmp_path):
    """With the same number of threads a process, a training has the same bits in any process."""
    path = write(tmp_path, experiment=MANY.replace("checkpoint_minutes: 1.0e-9, ", ""))
    fit_with = ["fit", str(path), "--workers", "2", "--output"]
    runs = [Run(tmp_path / name / "folded/1") for name in ("whole", "killed")]
    process = start(*fit_with, str(tmp_path / "whole"), folder=tmp_path)
    _, told = process.communicate(timeout=900)
    assert process.returncode == 0, told
    process = start(*fit_with, str(tmp_path / "killed"), folder=tmp_path)
    while not (runs[1] / "folds/1-seed-0/metrics.jsonl").is_file() and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    time.sleep(1)  # the processes of a command that is killed end with it
    assert not any(is_locked(runs[1].child(member.name)) for member in runs[1].read("run.json").members)
    process = start("fit", "--resume", "folded/1", "--workers", "2", "--output", str(tmp_path / "killed"), folder=tmp_path)
    _, told = process.communicate(timeout=900)
    assert process.returncode == 0, told
    assert bits(runs[1]) == bits(runs[0])


def test_several_processes_do_not_share_the_training_of_a_preset(tmp_path):
    alone = write(tmp_path, experiment=EXPERIMENT.replace("folds: 3, ", ""))
    with pytest.raises(UsageError) as refused:
        fit(alone, output=tmp_path / "runs", processes=Processes(2, given=True))
    assert str(refused.value) == (
        "--workers 2: a training by a preset has one process. Write its settings into the file, then leave --preset out."
    )
    assert not (tmp_path / "runs").exists()


def test_a_member_that_another_process_trains_is_known_by_its_lock(tmp_path):
    run = Run(tmp_path)
    assert not is_locked(run)
    with run_lock(run):
        assert is_locked(run)
    assert not is_locked(run)


def position(run):
    """The member that is trained now, with its epoch and step, by its last checkpoint."""
    for path in sorted(run.folder.glob("folds/*/checkpoints/last/position.json"), reverse=True):
        try:
            now = json.loads(path.read_text())["position"]
            return path.parents[2].name, now["epoch"], now["step"]
        except (OSError, ValueError):  # replaced in this moment
            continue
    return "", 0, 0


# Commands


def test_a_command_that_takes_one_training_names_the_members_of_a_group(group, folder):
    with pytest.raises(UsageError) as refused:
        find(str(group.folder), folder)
    assert str(refused.value) == (
        f"{group.folder}: this run is a group of 3 trainings, folds/0, folds/1 and folds/2, and the command takes one training. "
        f"Name one of them: {group.folder}/folds/0"
    )


def test_a_member_has_a_name_and_is_not_resumed_alone(group, folder):
    assert str(find(f"{group.folder}/folds/1", folder)) == "folded/1/folds/1"
    with pytest.raises(UsageError) as refused:
        resume(f"{group.folder}/folds/1")
    assert str(refused.value) == (
        f"{group.folder}/folds/1: this is one training of the group folded/1. Resume the group: mmtrain fit --resume {group.folder}"
    )


def test_a_member_is_a_run_of_its_own(group, folder, tmp_path, capsys):
    shutil.copytree(group.folder, tmp_path / "runs/folded/1")  # an evaluation writes into the run
    shutil.copy(folder / "table.csv", tmp_path)
    name = str(tmp_path / "runs/folded/1/folds/1")
    assert command(["evaluate", name, "--json"]) == 0
    assert '"rows": 16' in capsys.readouterr().out
    assert command(["report", name]) == 0


@pytest.mark.parametrize(
    ("fold", "problem"),
    [
        (3, "--fold 3: the split has 3 folds, numbered from 0. Name one from 0 to 2."),
        (-1, "--fold -1: the split has 3 folds, numbered from 0. Name one from 0 to 2."),
    ],
)
def test_a_fold_that_the_split_does_not_have(tmp_path, fold, problem):
    with pytest.raises(UsageError) as refused:
        fit(write(tmp_path), output=tmp_path / "runs", fold=fold)
    assert str(refused.value) == problem
    assert not (tmp_path / "runs").exists()


def test_the_end_of_a_group_compares_its_score_with_the_baseline(outcome, capsys):
    show_group_result(outcome[0], as_json=False, quiet=False)
    (conclusion,) = (line for line in capsys.readouterr().err.splitlines() if "the baseline (" in line)
    assert outcome[0].conclusions == (conclusion,)
    assert " It estimates the score on new rows of a training on as many rows as a fold has: " in conclusion


def test_the_end_of_a_group_says_where_its_results_are_and_what_comes_next(group, capsys):
    show_group_result(GroupResult(group, group.read("cross_validation.json")), as_json=False, quiet=False)
    told = capsys.readouterr()
    assert told.out.splitlines()[-1] == str(group.folder)
    assert told.err.splitlines()[-3:] == [
        f"Out-of-fold predictions: {group.folder}/predictions_oof.csv",
        f"Report: {group.folder}/report.html",
        f"All trainings as one predictor: mmtrain predict {group.folder} TABLE",
    ]


def test_the_report_suggests_the_outer_test_rows(group):
    page = (group / "report.html").read_text()
    assert "score all trainings together on 12 test rows that none of them has seen: mmtrain evaluate folded/1" in page
