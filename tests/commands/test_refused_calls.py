"""Calls that do not fit the run, the folder or each other, with the whole text of the message: no model, no TensorFlow."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import write_experiment

from mmtrain import config
from mmtrain.api.cross_validated_run import CrossValidatedRun
from mmtrain.api.results import TrainedRun
from mmtrain.artifacts.runs import create
from mmtrain.cli.app import run as run_command
from mmtrain.commands import demo
from mmtrain.commands.comparison.compare import compare
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.distill import DistillOptions, distill
from mmtrain.commands.fitting.fit_group import check_fold, check_processes
from mmtrain.commands.init import init
from mmtrain.commands.report import report
from mmtrain.errors import MmtrainError
from mmtrain.pipeline.groups.workers import Processes
from mmtrain.splits.plan import Partition, SplitPlan


def message(call, *arguments, **options):
    with pytest.raises(MmtrainError) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A group of two seeds and a single training, both interrupted."""
    monkeypatch.chdir(tmp_path)
    group, single = create("group", Path("runs")), create("single", Path("runs"))
    group.update(members=[{"name": f"seeds/{seed}", "seed": seed, "fold": 0} for seed in (0, 1)], state="interrupted")
    single.update(state="interrupted")
    experiment = config.load(write_experiment(tmp_path / "a.yaml", "{columns: {x: {role: numeric}, y: {role: target, task: binary}}}"))
    for run in (group, single):
        run.write_text("config.yaml", config.to_yaml(experiment, run.folder))
    return group, single


def test_a_group_is_used_when_all_of_its_trainings_are_finished(runs, tmp_path):
    folder = tmp_path.resolve() / "runs" / "group" / "1"
    resume = f"mmtrain fit --resume {folder}"
    assert (
        message(report, "group") == f"group/1: its trainings are not all finished, so there is nothing to report yet. Finish them: {resume}"
    )
    assert message(pack, "group", Path("a.zip")) == (
        f"{folder}: the group cannot be packed before all of its trainings are finished; its state is 'interrupted'. Resume it: {resume}"
    )
    with pytest.raises(MmtrainError) as caught:
        _ = CrossValidatedRun(runs[0]).cross_validation
    assert str(caught.value) == "runs/group/1: the trainings of this group are not all finished. Call `mmtrain.resume` to train the others."


def test_a_group_is_not_compared_with_a_single_training(runs):
    assert message(compare, ["group", "single"]) == (
        "mmtrain compare: group/1 has several trainings, and the other runs have one each. Compare runs with folds, or single trainings."
    )


def test_predictions_are_those_of_an_evaluation(runs):
    with pytest.raises(MmtrainError) as caught:
        _ = TrainedRun(runs[1]).predictions
    assert str(caught.value) == 'runs/single/1: the run has not been evaluated. Call `run.evaluate("test")` first.'


def test_options_of_a_student():
    options = DistillOptions(name="a/b", weight=0, temperature=0.5, overrides=("data.table=x",))
    assert message(distill, "any", options).splitlines() == [
        "--weight: expected a number above 0 and up to 1; found 0.",
        "--temperature: expected a number from 1 to 100; found 0.5.",
        "--name a/b: this is not the name of a run. A name has letters, digits, `.`, `_` and `-`, and begins with a letter or a digit; "
        "--output names a folder.",
        "--set data.table=x: the rows and columns of a student are those of its teacher. "
        "Sections that can be set are branches, fusion, training and evaluation.",
    ]


def test_a_resumed_run_keeps_its_settings(capsys):
    assert run_command(["fit", "--resume", "any", "--dry-run"]) == 2
    assert " ".join(capsys.readouterr().err.split("\n")[1:]).strip() == (
        "mmtrain fit: --dry-run cannot be given with --resume: a resumed run keeps its settings. "
        "To try an experiment, name its file: mmtrain fit config.yaml --dry-run"
    )


def test_folds_and_workers_of_a_single_training():
    plan = SplitPlan.of(Partition.from_codes(np.array([0, 1, 2])))
    assert message(check_fold, 0, plan) == "--fold 0: the split has no folds. Set `split.folds`, or leave --fold out."
    assert message(check_processes, Processes(2), group=False) == (
        "--workers 2: a training by a preset has one process. Write its settings into the file, then leave --preset out."
    )


def test_class_folders_have_their_answer_and_their_table(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "images" / name / "1.png")
    images, file = tmp_path / "images", tmp_path / "x.yaml"
    assert message(init, images, file=file, target="y") == (
        f"--target: {images} is a folder of class folders, whose names are the answer. Leave the option out, or give a table."
    )
    file.with_suffix(".csv").touch()
    assert message(init, images, file=file) == (
        f"{tmp_path / 'x.csv'}: the table for the folder exists already. Choose another name with --output, or replace it with --force."
    )


def test_an_installation_without_sample_data(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "TABLE", "gone.csv")
    package = Path(demo.__file__).parents[1]
    assert message(demo.write_demo, tmp_path / "new") == (
        f"{package}: this installation has no sample data. Install mmtrain again from its wheel."
    )
