"""Runs whose process was stopped while it wrote their report: they are not finished, and are completed without their data."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import two_blobs, write_experiment

from mmtrain.artifacts import runs
from mmtrain.artifacts.lock import run_lock
from mmtrain.cli.app import run as command_line
from mmtrain.commands.fit import fit
from mmtrain.commands.report import report as write_report
from mmtrain.errors import UsageError
from mmtrain.reports import report
from mmtrain.training.signals import Interrupted

TREE = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\ntraining: {epochs: 2, batch_size: 16, optimizer: sgd}"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was interrupted in its report, and whose table is gone; the states that the report was written in."""
    folder = tmp_path_factory.mktemp("lost")
    two_blobs(folder)
    seen = []

    def write(run, *_):
        seen.append((run.state, run.is_trained, (run / "model.keras").is_file()))
        raise Interrupted(15)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", write)
        with pytest.raises(Interrupted):
            fit(write_experiment(folder / "a.yaml", TREE), output=folder / "runs")
    (folder / "table.csv").unlink()
    return runs.find(None, folder / "runs"), seen


@pytest.fixture
def run(stopped, tmp_path):
    return runs.open_run(Path(shutil.copytree(stopped[0].folder, tmp_path / "run")))


def facts(run):
    return json.loads((run.folder / "run.json").read_text())


def test_run_is_finished_after_everything_is_written(stopped):
    run, seen = stopped
    assert seen == [("running", True, True)]
    assert (run.state, run.is_trained) == ("interrupted", True)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("state", ["interrupted", "running", "failed", "finished"])
@pytest.mark.parametrize("command", [["fit", "--resume"], ["report"]])
def test_lost_report_is_written_without_the_data(run, capsys, command, state):
    run.update(state=state)
    epochs = (run / "metrics.jsonl").read_bytes()
    assert command_line([*command, str(run.folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(run / "report.html") if command == ["report"] else str(run.folder)]
    assert (run.state, (run / "metrics.jsonl").read_bytes()) == ("finished", epochs)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "The training did not finish" not in page
    assert (run / "model_card.md").is_file()
    assert "error" not in facts(run)


def test_resumed_run_tells_what_its_training_came_to(run, capsys):
    assert command_line(["fit", "--resume", str(run.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    line = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][found["best_epoch"] - 1]
    assert (found["epochs"], found["report"]) == (2, str(run / "report.html"))
    assert found["scores"]["validation_loss"] == line["validation_loss"]


def test_report_of_a_finished_run_is_written_anew(run, capsys):
    write_report(str(run.folder))
    (run / "report.html").write_text("half")
    assert command_line(["report", str(run.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": str(run.folder), "report": str(run / "report.html")}
    assert (run / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_run_that_is_being_trained_is_left_alone(run):
    with run_lock(run), pytest.raises(UsageError, match="the run is being trained by process"):
        write_report(str(run.folder))


def test_run_without_a_model_has_no_report(run, capsys):
    run.update(trained=None, files=None)
    (run / "model.keras").unlink()
    assert command_line(["report", str(run.folder)]) == 1
    assert capsys.readouterr().err.splitlines()[1] == (
        f"{run.folder}: the run has no trained model; its state is 'interrupted'. Train again with `mmtrain fit`."
    )
