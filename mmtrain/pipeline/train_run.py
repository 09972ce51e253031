"""From what a training works on to a run that has its best model, whatever ends the training."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmtrain.artifacts import run_folder
from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import MmtrainError, RunError
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.pipeline.postprocess import fit_and_save_postprocessing, forget
from mmtrain.training.events import Ended, StopAsked, Watcher, all_of
from mmtrain.training.signals import GracefulShutdown, Interrupted

if TYPE_CHECKING:
    from mmtrain.training.callbacks import Named
    from mmtrain.training.training_data import TrainingData


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves behind."""

    run: Run
    ended: Ended
    monitor: str
    """The score that decided which epoch is the best."""
    decisions: Postprocessing
    """What was fitted on validation rows for the best model."""


def train(
    run: Run, material: TrainingData, watch: Watcher, checkpoint: str | None = None, callbacks: Sequence[Named] = ()
) -> TrainingResult:
    """Train, from `checkpoint` on if given, and save the best model whatever happens; Ctrl-C is gentle until all is written."""
    with GracefulShutdown(lambda times: watch(StopAsked(times))) as interruption:
        ended, decisions = training_result(
            run, material, _watchers(run, material, watch, callbacks, interruption), checkpoint, interruption
        )
    return TrainingResult(run, ended, material.experiment.training.early_stopping.monitor, decisions)


def training_result(
    run: Run, material: TrainingData, watch: Watcher, checkpoint: str | None = None, interruption: GracefulShutdown | None = None
) -> tuple[Ended, Postprocessing]:
    """Train and save the best model with what is fitted for it; without an `interruption`, Ctrl-C ends it where it is.

    The run is not finished with that: whoever writes the rest of it says so.
    """
    from mmtrain.training import loop

    begun = time.perf_counter()
    try:
        ended = loop.train(material, run, watch, checkpoint, interruption)
    except BaseException:
        with suppress(RunError):  # what stopped the training is to be told, not that its disk has no room for the model either
            run.update(seconds=_seconds(run, begun))
            keep_best(run, material)
        raise
    decisions = keep_best(run, material)
    facts = {"seconds": _seconds(run, begun), "epochs": ended.epochs, "best_epoch": ended.best_epoch, "stopped": ended.reason}
    run.update(trained=run_folder.now(), ended=run_folder.now(), **facts)
    return ended, decisions


def _watchers(run: Run, material: TrainingData, watch: Watcher, callbacks: Sequence[Named], interruption: GracefulShutdown) -> Watcher:
    """Whoever is told of the training: first the person, then the logs, then the callbacks, which may fail."""
    watchers = [watch]
    if material.experiment.training.tensorboard:
        from mmtrain.training.tensorboard import Logs

        watchers.append(Logs(run))
    if callbacks:
        from mmtrain.training.callbacks import Callbacks

        watchers.append(Callbacks(callbacks, material.models.network, interruption, str(run.folder)))
    return all_of(*watchers)


@contextmanager
def run_state(run: Run) -> Iterator[None]:
    """Whatever ends the training early, the run says so."""
    try:
        yield
    except BaseException as error:
        known = isinstance(error, MmtrainError | Interrupted)
        with suppress(RunError):
            run.update(state=_state_after(error), ended=run_folder.now(), error=str(error) if known else repr(error))
        raise


def _seconds(run: Run, begun: float) -> dict[str, float]:
    """Of training, in all processes that worked on the run and were not killed."""
    before = run.read_json("run.json").get("seconds", {}).get("training", 0.0)
    return {"training": round(before + time.perf_counter() - begun, 3)}


def keep_best(run: Run, material: TrainingData) -> Postprocessing:
    """Save the model with its best weights, and what validation rows decide for it.

    Also when the training was interrupted, or failed, after a good epoch.
    """
    from mmtrain.training import checkpoints

    models = material.models

    if not (run / "checkpoints" / "best").is_dir():
        return Postprocessing()
    checkpoints.load(run / "checkpoints", "best", models.network)
    forget(run)
    # Keras insists on the suffix.
    with disk_errors(run / "model.keras"), atomic_write(run / "model.keras", ".keras") as temporary:
        models.end_to_end.save(temporary)
    run.seal("model.keras")
    return fit_and_save_postprocessing(run, material)


def _state_after(error: BaseException) -> run_folder.State:
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
