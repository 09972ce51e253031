"""Trackers of other packages: MLflow and Weights & Biases, with the packages themselves."""

import json
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.errors import ConfigError
from mmtrain.pipeline.checks.requirements import check_trackers
from mmtrain.trackers import Trackers, base, trackers
from mmtrain.trackers.run_settings import flat_settings
from mmtrain.training.listeners.events import Ended, EpochEnded, Evaluated, Finished, GroupBegan, Started, Stopped, TrialEnded

BEGIN = Started(epochs=2, steps=3, rows=42, monitor="validation_loss", direction="minimize")
SCORES = {"validation_auc[red]": 0.75, "validation_loss": None}
TREE = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\n"
CONFIG = "training: {epochs: 2, units: [8, 4], clip_norm: null}\ncolumns: {x: {role: numeric}}\nsplit: {folds: []}\n"


def run_folder(folder, child=""):
    path = folder / "runs" / "scans" / "1" / child
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(CONFIG)
    (path / "run.json").write_text(json.dumps({"versions": {"keras": "3", "pillow": "13"}}))
    return path


def tell(name, folder, *events, **options):
    """The warnings of a tracker that gets these events."""
    warnings = []
    follow = Trackers([trackers[name].section(name=name, **options)], folder, warnings.append)
    for event in events:
        follow(event)
    return warnings


def ended(epoch):
    return EpochEnded(epoch, SCORES, 0.5, 1.0, 10.0, True, epoch)


def test_settings_are_flat_texts_without_empty_ones(tmp_path):
    assert flat_settings(run_folder(tmp_path)) == {
        "training.epochs": "2",
        "training.units": "[8, 4]",
        "columns.x.role": "numeric",
        "versions.keras": "3",
    }


def test_a_missing_package_is_a_problem_with_the_line_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    two_blobs(tmp_path)
    path = write_experiment(tmp_path / "tracked.yaml", f"{TREE}training: {{trackers: [steps, mlflow, wandb]}}")
    with pytest.raises(ConfigError) as caught:
        check_trackers(config.load(path).training.trackers, lambda *keys: ".".join(map(str, keys)))
    assert str(caught.value).splitlines() == [
        f"training.trackers.{number}: the tracker '{name}' needs the package {name}, which is not installed. "
        f"Run `pip install 'mmtrain[{name}]'`, or leave it out."
        for number, name in ((1, "mlflow"), (2, "wandb"))
    ]
    assert tell("mlflow", tmp_path) == [
        "the tracker `mlflow` failed and is left out from now on: ModuleNotFoundError: mlflow is not installed; "
        "run `pip install 'mmtrain[mlflow]'`."
    ]


@pytest.fixture
def client(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database takes 3 s to be made
    return mlflow.MlflowClient((tmp_path / "store").as_uri())


def runs_of(client):
    (experiment,) = (one for one in client.search_experiments() if one.name != "Default")
    assert experiment.name == "scans"
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_mlflow_has_settings_scores_and_nested_child_runs(client, tmp_path):
    main, child, uri = run_folder(tmp_path), run_folder(tmp_path, "folds/0"), (tmp_path / "store").as_uri()
    assert not tell("mlflow", main, GroupBegan(), tracking_uri=uri)
    assert not tell("mlflow", child, BEGIN, ended(1), Stopped("killed", True), tracking_uri=uri)
    assert runs_of(client)["folds/0"].info.status == "KILLED"
    best = Ended(2, 2, {"validation_loss": 0.25})
    assert not tell("mlflow", child, BEGIN, ended(2), best, tracking_uri=uri)  # resumed
    trial = TrialEnded(3, {"fusion.dropout": 0.5}, "validation_auc", 0.75, "complete", 2, True)
    assert not tell("mlflow", main, trial, Evaluated("test", {"test_auc": 0.5, "test_auc_low": 0.25, "test_f1": None}), tracking_uri=uri)
    assert runs_of(client)["scans/1"].info.status == "RUNNING"
    assert not tell("mlflow", main, Finished({"cv_auc": 0.5}), tracking_uri=uri)
    found = runs_of(client)
    assert set(found) == {"scans/1", "folds/0", "trials/3"}
    parent, fold, trial = (found[name] for name in ("scans/1", "folds/0", "trials/3"))
    assert fold.data.tags["mlflow.parentRunId"] == trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert fold.info.status == trial.info.status == "FINISHED"
    assert fold.data.params["training.units"] == "[8, 4]"
    history = client.get_metric_history(fold.info.run_id, "validation_auc_red")
    assert [(one.step, one.value) for one in history] == [(1, 0.75), (2, 0.75)]
    assert fold.data.metrics["best_validation_loss"] == 0.25
    assert (trial.data.params, trial.data.metrics) == ({"tune.fusion.dropout": "0.5"}, {"validation_auc": 0.75})
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"cv_auc": 0.5, "test_auc": 0.5, "test_auc_low": 0.25}


def test_a_run_may_be_recorded_at_two_servers(client, tmp_path):
    folder = run_folder(tmp_path)
    uris = [(tmp_path / name).as_uri() for name in ("store", "other")]
    for uri in (*uris, *uris):
        assert not tell("mlflow", folder, BEGIN, ended(1), tracking_uri=uri)
    assert set(json.loads((folder / "mlflow.json").read_text())) == set(uris)
    assert len(runs_of(client)) == 1


def test_a_server_that_is_away_is_reported_once_within_seconds(client, tmp_path):
    begun = time.perf_counter()
    (warning,) = tell("mlflow", run_folder(tmp_path), BEGIN, ended(1), Ended(1, 1), tracking_uri="http://127.0.0.1:9")
    assert warning.startswith("the tracker `mlflow` failed and is left out from now on: ")
    assert time.perf_counter() - begun < 60  # MLflow's own defaults take minutes


@pytest.mark.slow
def test_mlflow_records_the_end_of_a_run_whose_server_was_away_at_its_beginning(client, tmp_path):
    assert not tell("mlflow", run_folder(tmp_path), Finished({"test_auc": 0.5}), tracking_uri=client.tracking_uri, log_model=False)
    (run,) = runs_of(client).values()
    assert (run.info.status, run.data.metrics["test_auc"], run.data.params["training.epochs"]) == ("FINISHED", 0.5, "2")


def test_no_password_of_a_server_is_recorded_or_shown(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Leave `tracking_uri` out, and set MLFLOW_TRACKING_URI"):
        trackers["mlflow"].section(name="mlflow", tracking_uri="http://me:secret@127.0.0.1:9")
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    (warning,) = tell("mlflow", run_folder(tmp_path), BEGIN)
    assert "http://127.0.0.1:9" in warning
    assert "secret" not in warning


@pytest.mark.slow  # starts the service of W&B twice; what a tracker is told is tested with MLflow
def test_wandb_writes_an_offline_run_that_later_commands_add_to(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    folder = run_folder(tmp_path)
    (folder / "report.html").write_text("a report")
    assert not tell("wandb", folder, BEGIN, ended(1), Ended(1, 1, {"validation_loss": 0.5}))
    assert not tell("wandb", folder, Evaluated("test", {"test_auc": 0.5}))
    identity = json.loads((folder / "wandb.json").read_text())["id"]
    first, second = sorted((tmp_path / "wandb").glob(f"offline-run-*/run-{identity}.wandb"))
    deadline = time.monotonic() + 60
    while b"test_auc" not in second.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)  # the process of W&B writes a little later
    assert b"validation_auc[red]" in first.read_bytes()
    assert b"test_auc" in second.read_bytes()
    assert (second.parent / "files" / "report.html").read_text() == "a report"
    assert not [path for path in folder.rglob("*") if path.is_symlink()]


SERVER = """
import os, sys
folder = sys.argv[1]
os.environ |= {
    "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"{folder}/artifacts",
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
}
from mlflow.server import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""
"""MLflow's own server at a free port: what `mlflow server` starts, without its job runners."""


@pytest.fixture(params=["store", "server"])
def tracking_uri(request, client, tmp_path):
    """The URI of a folder, and of a server that takes models over HTTP."""
    if request.param == "store":
        yield client.tracking_uri
        return
    if any(find_spec(name) is None for name in ("flask", "flask_cors", "graphene", "huey", "aiohttp")):
        pytest.skip("the packages of MLflow's server are not installed")
    with open(tmp_path / "server.log", "w") as log:
        command = [sys.executable, "-c", SERVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            try:
                yield f"http://127.0.0.1:{int(process.stdout.readline())}"
            finally:
                process.kill()


@pytest.mark.slow
def test_mlflow_loads_the_model_in_a_fresh_process_and_predicts_raw_rows(tracking_uri, tmp_path):
    import mlflow

    from mmtrain.commands.evaluate import evaluate
    from mmtrain.commands.fit import fit

    table, uri, client = two_blobs(tmp_path), tracking_uri, mlflow.MlflowClient(tracking_uri)
    tree = (
        f"{TREE}training: {{epochs: 1, batch_size: 16, seeds: 2, trackers: [{{name: mlflow, tracking_uri: '{uri}', experiment: scans}}]}}"
    )
    fit(write_experiment(tmp_path / "tracked.yaml", tree), output=tmp_path / "runs")
    evaluate("tracked", output=tmp_path / "runs")
    found = runs_of(client)
    assert set(found) == {"tracked/1", "seeds/0", "seeds/1"}
    group = found["tracked/1"]
    assert {"test_auc", "test_log_loss", "test_log_loss_low", "test_log_loss_high"} <= set(group.data.metrics)
    assert {one.path for one in client.list_artifacts(group.info.run_id)} >= {"report.html", "config.yaml", "model"}
    program = f"""
import mlflow, mmtrain, pandas as pd
mlflow.set_tracking_uri({uri!r})
frame = pd.read_csv({str(table)!r}).drop(columns="y")
served = mlflow.pyfunc.load_model("runs:/{group.info.run_id}/model").predict(frame)
own = mmtrain.load({str(tmp_path / "runs" / "tracked" / "1")!r}).predict(frame, proba=True)
pd.testing.assert_frame_equal(served, own, check_exact=True)
print(len(served))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["60"]), done.stderr
