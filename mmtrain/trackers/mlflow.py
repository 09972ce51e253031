"""`mlflow`: a run of MLflow for each run folder, nested as child runs are.

MLflow's own client is used, and not its active run, so that a program that trains several models keeps its own. The identity of the run
at MLflow is in `mlflow.json`: a resumed training, `evaluate` and child runs find it there.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from mmtrain.trackers.base import tracker
from mmtrain.trackers.run_settings import (
    LOGGED_FILES,
    epoch_scores,
    flat_settings,
    numbers_of,
    read_record,
    run_above,
    run_name,
    write_record,
)

RECORD = "mlflow.json"
"""File of a run with its identity at each tracking URI."""
MODEL_FOLDER = "model"
"""Artefact folder of the pyfunc flavour."""
LOADER = "mmtrain.api.mlflow_model"
"""Module by which MLflow loads the model."""
MAX_PARAMETERS, MAX_LENGTH = 100, 500
"""Parameters of one request, and characters of a value: the limits of MLflow's servers, older ones included."""
CLIENT_DEFAULTS = {
    # By default a server that is away holds a training up for minutes: 7 retries of 120 s.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Settings of MLflow's client, where the environment has none."""


PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")


def _without_password(address: str) -> str:
    if PASSWORD.search(address):
        what = "the password would be in the run folder, its report and all copies of them"
        raise ValueError(f"{what}. Leave `tracking_uri` out, and set MLFLOW_TRACKING_URI in the environment.")
    return address


@tracker(package="mlflow")
class Mlflow:
    """Record the run in MLflow: settings, scores per epoch, scores of `evaluate` with intervals, report and model.

    The model has the flavour `pyfunc`: `mlflow.pyfunc.load_model("runs:/<id>/model").predict(frame)` takes raw rows.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tracking_uri: Annotated[
            str,
            AfterValidator(_without_password),
            Field(description="Server or database, `http://host:5000` or `sqlite:///mlflow.db`. Left out: as MLflow is configured."),
        ] = "",
        experiment: Annotated[str, Field(description="Name of the experiment at MLflow. Left out: the name of this experiment.")] = "",
        log_model: Annotated[bool, Field(description="Upload the model, as `pyfunc`.")] = True,
    ) -> None:
        for name, value in CLIENT_DEFAULTS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # a new database would announce its 50 migrations
            logging.getLogger(name).setLevel(logging.WARNING)
        self._folder, self._above, self._log_model = folder, run_above(folder), log_model
        self._client: Any = MlflowClient(tracking_uri or None)
        self._experiment = experiment or (self._above or folder).parent.name
        self._run = self._known_run(folder)

    def started(self, event: Any) -> None:  # noqa: ARG002
        """Open the run; the settings of a resumed one are there already, and cannot change."""
        if self._run:
            self._client.update_run(self._run, status="RUNNING")
        else:
            self._create()

    def group_began(self, event: Any) -> None:
        """Open the run that the runs of folds, seeds and trials are nested in."""
        self.started(event)

    def epoch_ended(self, event: Any) -> None:
        """Log the scores of an epoch."""
        speed = {"learning_rate": event.learning_rate, "rows_per_second": event.rows_per_second}
        self._log_scores(self._run, {**numbers_of(event.scores), **speed}, event.epoch)

    def ended(self, event: Any) -> None:
        """Log the scores of the kept epoch, and close the run."""
        best = {f"best_{name}": value for name, value in numbers_of(event.best_scores).items()}
        self._log_scores(self._run, {"best_epoch": float(event.best_epoch), **best}, event.epochs)
        self._client.set_terminated(self._run, "FINISHED")

    def stopped(self, event: Any) -> None:
        """Close the run of a training that was interrupted or failed."""
        self._client.set_tag(self._run, "reason", event.reason)
        self._client.set_terminated(self._run, "KILLED" if event.interrupted else "FAILED")

    def trial_ended(self, event: Any) -> None:
        """Record a trial as a nested run."""
        run = self._new_run(f"trials/{event.trial}", self._run)
        settings = {f"tune.{name}": str(value) for name, value in event.settings.items()}
        self._log_parameters(run, settings)
        for epoch, scores in epoch_scores(self._folder / "trials" / str(event.trial)):
            self._log_scores(run, scores, epoch)
        if event.value is not None:
            self._log_scores(run, {event.score: event.value}, event.epochs)
        self._client.set_tag(run, "outcome", event.outcome)
        self._client.set_terminated(run, "FINISHED" if event.outcome == "complete" else "FAILED" if event.outcome == "failed" else "KILLED")

    def finished(self, event: Any) -> None:
        """Upload report, settings and model."""
        self._create_ended()
        self._log_scores(self._run, numbers_of(event.scores), 0)
        for name in LOGGED_FILES:
            if (self._folder / name).is_file():
                self._client.log_artifact(self._run, str(self._folder / name))
        if self._log_model and event.unpacked is not None:
            self._upload_model(event)
        self._client.set_terminated(self._run, "FINISHED")

    def evaluated(self, event: Any) -> None:
        """Log the scores of a part with their intervals, and upload the report with them."""
        self._create_ended()
        self._log_scores(self._run, numbers_of(event.scores), 0)
        if (self._folder / "report.html").is_file():
            self._client.log_artifact(self._run, str(self._folder / "report.html"))

    def _create_ended(self) -> None:
        """Create the run of a training without this tracker, or whose server was away at the beginning."""
        if not self._run:
            self._create()
            self._client.set_terminated(self._run, "FINISHED")

    def _create(self) -> None:
        """Create the run with its parameters, and note its identity in the run folder."""
        parent = "" if self._above is None else self._known_run(self._above)
        self._run = self._new_run(run_name(self._folder), parent)
        write_record(self._folder / RECORD, read_record(self._folder / RECORD) | {self._server: self._run})
        self._log_parameters(self._run, flat_settings(self._folder))

    def _known_run(self, folder: Path) -> str:
        """Return the run at this server of the run in a folder, empty without one: a run may be recorded at several servers."""
        run: str = read_record(folder / RECORD).get(self._server, "")
        return run

    @property
    def _server(self) -> str:
        return PASSWORD.sub("", self._client.tracking_uri)

    def _new_run(self, name: str, parent: str) -> str:
        known = self._client.get_experiment_by_name(self._experiment)
        experiment = self._client.create_experiment(self._experiment) if known is None else known.experiment_id
        tags = {"mlflow.parentRunId": parent} if parent else {}
        run: str = self._client.create_run(experiment, run_name=name, tags={**tags, "mlflow.source.name": "mmtrain"}).info.run_id
        return run

    def _log_parameters(self, run: str, settings: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        entries = [Param(_allowed(name), value[:MAX_LENGTH]) for name, value in settings.items()]
        for start in range(0, len(entries), MAX_PARAMETERS):
            self._client.log_batch(run, params=entries[start : start + MAX_PARAMETERS])

    def _log_scores(self, run: str, scores: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(run, metrics=[Metric(_allowed(name), value, now, step) for name, value in scores.items()])

    def _upload_model(self, event: Any) -> None:
        """Upload the packed run as a model of MLflow, with the signature of its raw rows."""
        from mlflow import pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema
        from mlflow.types.schema import AnyType

        kinds: dict[str, Any] = {"number": "double", "text": "string", "any": AnyType()}
        columns: Any = [ColSpec(kinds[kind], header, required=False) for header, kind in event.inputs.items()]
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            # MLflow misses an example row, which would be a row of the table.
            warnings.simplefilter("ignore")
            model = Path(folder) / MODEL_FOLDER
            pyfunc.save_model(
                model,
                loader_module=LOADER,
                data_path=event.unpacked(Path(folder) / "run"),
                signature=ModelSignature(inputs=Schema(columns)),
                pip_requirements=[f"mmtrain=={version('mmtrain')}"],
            )
            self._client.log_artifacts(self._run, str(model), MODEL_FOLDER)


def _allowed(name: str) -> str:
    """Return a name as MLflow takes it: `auc[red]` becomes `auc_red`."""
    return re.sub(r"[^\w/.\- :]+", "_", name).strip("_")
