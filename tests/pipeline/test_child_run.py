"""Child runs: trainings below a run, on its table, that are killed and resumed as the run itself is."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import lines, ready, start, two_blobs, write_experiment

from mmtrain.artifacts.run_folder import Run, begin
from mmtrain.artifacts.runs import create, find
from mmtrain.columns.numeric import Numeric
from mmtrain.commands.deployment.pack import select
from mmtrain.commands.fit import fit
from mmtrain.data import encode
from mmtrain.errors import RunError, UsageError
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.child_run import ChildPlan, finished_child, train_child
from mmtrain.training.listeners.events import EpochBegan, EpochEnded, Started
from mmtrain.training.signals import Interrupted

EXPERIMENT = """
name: many
columns: {x: {role: numeric}, city: {role: categorical}, y: {role: target, task: binary}}
branches: {x: {columns: [x], units: [4], dropout: 0.3}, city: {columns: [city], units: [2]}}
training: {epochs: 4, batch_size: 16, deterministic: true, learning_rate: 0.05, checkpoint_minutes: 1.0e-9, optimizer: sgd, momentum: 0.9}
evaluation: {threshold: {aim: youden}, baselines: [single_branch], draws: 100, permutations: 0}
"""


@pytest.fixture(scope="module", autouse=True)
def only_here():
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    yield
    tf_config.disable_op_determinism()


def write(folder):
    two_blobs(folder, city=lambda row: f"c{row % 3}")
    return write_experiment(folder / "many.yaml", EXPERIMENT)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The table of a run, encoded."""
    made = ready(write(tmp_path_factory.mktemp("table")))
    return EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays)


@pytest.fixture
def parent(tmp_path):
    (tmp_path / "many" / "1").mkdir(parents=True)
    return begin(tmp_path / "many" / "1", "many")


def seed_plan(table, seed=3):
    return ChildPlan(f"seeds/{seed}", table.experiment.decided(seed=seed), {"seed": seed})


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """A child that was never stopped."""
    return train_child(begin(tmp_path_factory.mktemp("whole"), "many"), seed_plan(table), table)


def assert_equal_bits(one, other):
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    assert (one / "decisions.json").read_bytes() == (other / "decisions.json").read_bytes()
    facts = ("state", "epochs", "best_epoch", "stopped", "error")
    assert [one.read_json("run.json").get(key) for key in facts] == [other.read_json("run.json").get(key) for key in facts]
    assert sorted(path.name for path in one.folder.iterdir()) == sorted(path.name for path in other.folder.iterdir())
    from mmtrain.model import model_file

    mine, theirs = (model_file.load_end_to_end(run / "model.keras").get_weights() for run in (one, other))
    assert [array.tobytes() for array in mine if array.dtype.kind == "f"] == [
        array.tobytes() for array in theirs if array.dtype.kind == "f"
    ]


# Names


@pytest.mark.parametrize("name", ["folds/0", "seeds/12", "trials/7", "baselines/the_table", "baselines/B.2-x"])
def test_child_is_below_its_parent_and_knows_it(parent, name):
    child = parent.child(name)
    assert child.folder == parent.folder / name
    assert child.parent.folder == parent.folder
    assert parent.parent is None
    assert parent.children() == {}
    child.folder.mkdir(parents=True)
    begin(child.folder, name)
    assert {known: run.folder for known, run in parent.children().items()} == {name: child.folder}


@pytest.mark.parametrize(
    "name", ["", "0", "folds", "folds/", "folds/0/", "/folds/0", "folds/../0", "folds/.0", "plots/0", "folds/0/1", "baselines/a b"]
)
def test_other_names_are_no_children(parent, name):
    with pytest.raises(ValueError, match="is not the name of a child run: <group>/<name>, group being folds, seeds, trials, "):
        parent.child(name)


def test_child_is_never_taken_for_a_run(parent, tmp_path):
    child = parent.child("folds/7")
    child.folder.mkdir(parents=True)
    begin(child.folder, "folds/7")
    for named in (str(child.folder), str(parent.folder / "folds"), "many/1/folds/7"):
        with pytest.raises(UsageError) as caught:
            find(named, tmp_path)
        expected = f"{named}: this is the child run folds/7 of many/1. Name the run that it belongs to: {parent.folder}"
        assert str(caught.value) == expected
    assert find("many", tmp_path).folder == parent.folder
    assert find(None, tmp_path).folder == parent.folder
    with pytest.raises(UsageError, match="the folder holds no runs"):
        find(None, parent.folder)
    with pytest.raises(RunError) as refused:
        create("folds", parent.folder)
    assert str(refused.value) == (
        f"{parent.folder}: this is the folder of a run, whose child runs are under folds/. Give another folder with --output."
    )


# Training


@pytest.mark.slow
def test_child_is_trained_like_a_run_of_its_own_and_kept(whole, table, tmp_path):
    alone = fit(table.data.table.path.parent / "many.yaml", overrides=["training.seed=3"], output=tmp_path).run
    assert lines(whole / "metrics.jsonl") == lines(alone / "metrics.jsonl")
    assert (whole / "decisions.json").read_bytes() == (alone / "decisions.json").read_bytes()
    assert sorted(path.name for path in whole.folder.iterdir()) == [
        ".lock",
        "columns.json",
        "decisions.json",
        "metrics.jsonl",
        "model.keras",
        "run.json",
    ]
    assert whole.parent.read_json("run.json")["children"] == {
        "seeds/3": {"state": "finished", "plan": {"seed": 3, "last_epoch": None}},
    }
    events = []
    assert train_child(whole.parent, seed_plan(table), table, events.append).folder == whole.folder
    assert events == []


@pytest.mark.slow  # of a run in tests/training/test_resume.py, by the same functions; of an interrupted child below
def test_child_that_was_killed_between_epochs_ends_with_the_same_bits(whole, table, parent, tmp_path):
    """The folder as SIGKILL leaves it at that moment, with nothing cleaned up."""
    left = tmp_path / "left"

    def snapshot(event):
        if isinstance(event, EpochBegan) and event.epoch == 3:
            shutil.copytree(parent.folder, left)

    train_child(parent, seed_plan(table), table, snapshot)
    killed = Run(left)
    assert killed.child("seeds/3").state == "running"
    assert killed.read_json("run.json")["children"]["seeds/3"]["state"] == "running"
    assert finished_child(killed, seed_plan(table)) is None
    started = []
    resumed = train_child(killed, seed_plan(table), table, lambda event: started.append(event) if isinstance(event, Started) else None)
    assert [event.done for event in started] == [2]
    assert_equal_bits(whole, resumed)
    assert killed.read_json("run.json")["children"]["seeds/3"]["state"] == "finished"


@pytest.mark.slow  # of a run in tests/training/test_resume.py, by the same functions
def test_child_that_was_interrupted_has_a_checkpoint_and_goes_on(whole, table, parent):
    def stop(event):
        if isinstance(event, EpochBegan) and event.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train_child(parent, seed_plan(table), table, stop)
    child = parent.child("seeds/3")
    assert (child.state, parent.read_json("run.json")["children"]["seeds/3"]["state"]) == ("interrupted", "interrupted")
    packed = select(with_records(parent), with_rows=False)
    assert "seeds/3/checkpoints/last/position.json" in packed.files  # to go on with it elsewhere
    assert_equal_bits(whole, train_child(parent, seed_plan(table), table))
    packed = select(parent, with_rows=False)
    assert {name for name in packed.files if name.startswith("seeds/")} == {
        f"seeds/3/{name}" for name in ("columns.json", "decisions.json", "metrics.jsonl", "model.keras", "run.json")
    }


def with_records(run):
    """As if the run had been trained."""
    for name in ("config.yaml", "columns.json", "data.json", "split.csv", "statistics.json", "model.keras"):
        run.write_text(name, "")
    return run


@pytest.mark.slow
def test_child_with_a_last_epoch_is_not_trained_beyond_it(table, parent):
    child = train_child(parent, replace(seed_plan(table), last_epoch=2), table)
    assert [line["epoch"] for line in lines(child / "metrics.jsonl")] == [1, 2]
    assert child.read_json("run.json")["stopped"] == "limited to 2 epochs"


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2])
def test_child_with_a_last_epoch_is_not_trained_beyond_it_even_when_resumed(table, parent, tmp_path, epoch):
    """Killed after its last epoch and before it was finished, it takes no further epoch."""
    plan, left = replace(seed_plan(table), last_epoch=2), tmp_path / "left"

    def snapshot(event):
        if isinstance(event, EpochEnded) and event.epoch == epoch:
            shutil.copytree(parent.folder, left)

    child = train_child(parent, plan, table, snapshot)
    assert [line["epoch"] for line in lines(child / "metrics.jsonl")] == [1, 2]
    assert child.read_json("run.json")["stopped"] == "limited to 2 epochs"
    assert_equal_bits(child, train_child(Run(left), plan, table))


@pytest.mark.slow  # tests/evaluation/test_baselines.py asks which children count
@pytest.mark.parametrize("differences", [{"seed": 4}, {"seed": 3, "units": 8}])
def test_child_of_another_plan_is_begun_anew(whole, table, tmp_path, differences):
    shutil.copytree(whole.parent.folder, tmp_path / "copy")
    copy = Run(tmp_path / "copy")
    (copy / "seeds/3/predictions_old.csv").write_text("of the other plan")
    plan = replace(seed_plan(table), experiment=table.experiment.decided(seed=4, epochs=1), differences=differences)
    assert finished_child(copy, plan) is None
    child = train_child(copy, plan, table)
    assert len(lines(child / "metrics.jsonl")) == 1
    assert not (child / "predictions_old.csv").exists()
    assert child.read_json("run.json")["plan"] == {**differences, "last_epoch": None}


# The table


def test_columns_are_fitted_and_encoded_again_only_where_they_learn_something_else(table, monkeypatch):
    """On other training rows the mean of `x` is another, and the three cities are the same."""
    encoded = []
    original = encode.encode
    monkeypatch.setattr(
        encode,
        "encode",
        lambda given, fitted, *more, **named: encoded.append(list(fitted.columns)) or original(given, fitted, *more, **named),
    )
    shared = table.for_child(table.experiment.decided(seed=9), None, print)
    assert (encoded, shared.fitted.columns, shared.arrays.inputs["x"] is table.arrays.inputs["x"]) == ([], table.fitted.columns, True)
    swapped = replace(table.partition, train=table.partition.test, test=table.partition.train)
    fold = table.for_child(table.experiment, swapped, print)
    assert encoded == [["x"]]
    assert fold.fitted.columns["x"] != table.fitted.columns["x"]
    expected = encode.fit(table.experiment.columns, table.data.table, swapped.train, table.experiment.training.class_weights)
    arrays = original(table.experiment.columns, expected, table.data.table, {}, cache=table.experiment.data.cache)
    assert list(fold.arrays.inputs) == list(arrays.inputs) == ["x", "city"]
    every = np.arange(len(arrays))
    for key, source in arrays.inputs.items():
        np.testing.assert_array_equal(fold.arrays.inputs[key].take(every), source.take(every))
        np.testing.assert_array_equal(fold.arrays.present[key], arrays.present[key])
    np.testing.assert_array_equal(fold.arrays.targets["y"], arrays.targets["y"])
    np.testing.assert_array_equal(fold.arrays.weights["y"], arrays.weights["y"])


def test_another_option_of_a_column_is_fitted_again(table):
    columns = {**table.experiment.columns, "x": Numeric(column="x", normalize="none")}
    trial = table.for_child(table.experiment.model_copy(update={"columns": columns}), None, print)
    assert trial.fitted.columns["x"] != table.fitted.columns["x"]
    assert trial.arrays.inputs["city"] is table.arrays.inputs["city"]


# SIGKILL of a process that evaluates


@pytest.mark.slow  # three processes
@pytest.mark.parametrize("branch", ["x", "city"])
def test_evaluation_killed_within_a_baseline_goes_on_with_it(tmp_path, branch):
    run = fit(write(tmp_path), overrides=["training.epochs=20"], output=tmp_path / "runs").run
    shutil.copytree(run.folder, run.folder.with_name("2"))
    killed, child = Run(run.folder.with_name("2")), Run(run.folder.with_name("2")).child(f"baselines/{branch}")
    process = start("evaluate", "many/2", folder=tmp_path)
    while not (child / "checkpoints" / "previous" / "position.json").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert child.state == "running"
    for name in ("many/2", "many/1"):
        process = start("evaluate", name, folder=tmp_path)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    for name in ("x", "city"):
        assert_equal_bits(run.child(f"baselines/{name}"), killed.child(f"baselines/{name}"))
    assert child.read_json("run.json")["resumed"]
    assert json.loads((run / "metrics.json").read_text()) == json.loads((killed / "metrics.json").read_text())
