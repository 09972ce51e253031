"""`mmtrain report`: write the report of a run again, and finish a run whose process was killed while it wrote the report."""

from __future__ import annotations

from pathlib import Path

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import RunFacts
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.encode import Fitted
from mmtrain.errors import Problem, UsageError, shell_command
from mmtrain.pipeline.groups.results import finish_group, report_group
from mmtrain.pipeline.postprocess import read_postprocessing
from mmtrain.pipeline.restore import restore_training
from mmtrain.pipeline.train_run import TrainingResult
from mmtrain.reports import report as reports
from mmtrain.training.listeners.events import Ended


def report(which: str | None = None, *, output: Path = Path("runs")) -> Path:
    """Write the report of the run called `which` (see `runs.find`) from the files in its folder; return the path of its page.

    Raises UsageError for an unknown run or one that is being trained, RunError for one without a model.
    """
    run = runs.find(which, output, group=True)
    with run_lock(run):
        if run.is_group:
            return _report_group(run)
        experiment, fitted, _ = restore_training(run)
        return finish(run, experiment, fitted) if run.is_trained else reports.write(run, experiment.columns, experiment.training, fitted)


def _report_group(run: Run) -> Path:
    """Write the results and the report of a group whose trainings have all ended."""
    if not run.is_trained:
        what = "its trainings are not all finished, so there is nothing to report yet."
        raise UsageError(Problem(str(run), what, f"Finish them: {shell_command('fit', '--resume', run.folder)}"))
    experiment = config.load(run / "config.yaml")
    if run.state != "finished":
        finish_group(run, experiment)
        return run / "report.html"
    return report_group(run, experiment)


def finish(run: Run, experiment: Experiment, fitted: Fitted) -> Path:
    """Write the report of a run whose training has ended, and mark the run as finished."""
    page = reports.write(run, experiment.columns, experiment.training, fitted)
    run.update(state="finished", trained=None, error=None)
    return page


def finish_trained(run: Run) -> TrainingResult:
    """Finish a run whose training had ended when its process was stopped; its data are not needed."""
    experiment = config.load(run / "config.yaml")
    fitted = encode.of_run(run, experiment.columns)
    finish(run, experiment, fitted)
    facts: RunFacts = run.read("run.json")
    best = next((line for line in run.read_lines("metrics.jsonl") if line.epoch == facts.best_epoch and line.step is None), None)
    scores = {} if best is None else {name: value for name, value in best.values.items() if name != "learning_rate"}
    ended = Ended(facts.epochs, facts.best_epoch, scores, facts.stopped)
    decisions = read_postprocessing(run, experiment, fitted)
    return TrainingResult(run, ended, experiment.training.early_stopping.monitor, decisions, facts.fusion_guard or {}, facts.linear_base)
