"""Each branch of a run trained alone: the same rows, settings and loop as the model's, without the other branches.

They are trained when an evaluation first asks for them and stay in the run:

    baselines/<branch>/    run.json, metrics.jsonl, model.keras

Such a folder counts once its run.json says that the training is finished, which is written last, and as long as the model has the
hash that stands there. A training that was killed, or a damaged model, is begun anew.

A branch alone may have as many epochs as the model was allowed, and stops by the same rule of patience: earlier or later than the model
did, as the epochs of the one say nothing of what the other needs, and a branch that was cut short would make fusion look better than it
is. Where something else ended the model's training, an interruption, a failure or a callback, which a branch alone does not have, it
is trained for as many epochs as the model has whole ones, at the rates that the full number of epochs gives. Where the run has other
ones by now, the branch is trained anew.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from mmtrain.artifacts import run_folder
from mmtrain.artifacts.atomic_files import disk_errors
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.config.experiment import EarlyStopping
from mmtrain.data.encode import Arrays, Fitted
from mmtrain.data.images.store import Say
from mmtrain.errors import RunError
from mmtrain.pipeline.environment import versions
from mmtrain.pipeline.train_run import training_result
from mmtrain.specs import layer_names
from mmtrain.splits.plan import Partition
from mmtrain.training.early_stopping import out_of_patience
from mmtrain.training.events import Ended, EpochBegan, EpochEnded, Event, Started, Warned
from mmtrain.training.signals import GracefulShutdown

FOLDER = "baselines"
SECONDS = 5.0
"""Between two lines about a training."""


@dataclass(frozen=True)
class TrainingContext:
    """What a run was trained on, encoded."""

    experiment: Experiment
    fitted: Fitted
    arrays: Arrays
    partition: Partition


def folders(run: Run, experiment: Experiment) -> dict[str, Path]:
    """Where each branch trained alone is kept; numbered where two names differ in case alone, which not every file system tells apart."""
    found: dict[str, str] = {}
    for branch, name in layer_names(experiment.branches).items():
        taken = {other.casefold() for other in found.values()}
        names = chain([name], (f"{name}_{number}" for number in count(2)))
        found[branch] = next(one for one in names if one.casefold() not in taken)
    return {branch: run / FOLDER / name for branch, name in found.items()}


def most_epochs(run: Run, rule: EarlyStopping) -> int | None:
    """After how many epochs the training of a run ended before its time; None where its epochs or its patience came to their end."""
    if run.is_trained and run.read_json("run.json").get("stopped", "") in ("", out_of_patience(rule)):
        return None
    return sum("step" not in line for line in run.read_lines("metrics.jsonl"))


def cached_predictions(folder: Path, branch: str, most: int | None) -> Run | None:
    """The branch that was trained alone to the end, or to epoch `most`, unchanged since; None where there is no such."""
    try:
        found = run_folder.open_run(folder)
        facts = found.read_json("run.json")
    except RunError:
        return None
    as_wanted = facts["state"] == "finished" and facts.get("name") == _called(branch) and facts.get("most_epochs") == most
    return found if as_wanted else None


def _called(branch: str) -> str:
    return f"{branch} alone"


def train_single_branch(run: Run, branch: str, ground: TrainingContext, most: int | None, say: Say) -> Run:
    """Train a branch of `run` alone, to epoch `most` at the latest, and keep it.

    Raises RunError when it diverges, UsageError when another process does it already.
    """
    folder = folders(run, ground.experiment)[branch]
    with disk_errors(folder):
        folder.parent.mkdir(exist_ok=True)
    with run_lock(Run(folder.parent)):
        if found := cached_predictions(folder, branch, most):  # by another process, in the meantime
            return found
        shutil.rmtree(folder, ignore_errors=True)
        with disk_errors(folder):
            folder.mkdir()
        alone = run_folder.begin(folder, _called(branch))
        alone.update(versions=versions(), seed=ground.experiment.training.seed, most_epochs=most)
        _train(alone, ground, ground.experiment.alone(branch), BranchWatcher(branch, most, say))
    return alone


def _train(run: Run, ground: TrainingContext, experiment: Experiment, told: BranchWatcher) -> None:
    from mmtrain.model.assemble import assemble
    from mmtrain.training.device import forget_networks, prepare
    from mmtrain.training.training_data import TrainingData

    fitted, arrays = ground.fitted.of(experiment.inputs), ground.arrays.of(experiment.inputs)
    training = experiment.training
    with _precision_kept():
        forget_networks()  # that of the branch before
        prepare(training.seed, deterministic=training.deterministic, precision=training.precision)
        material = TrainingData(experiment, fitted, arrays, ground.partition, assemble(experiment, fitted))
        training_result(run, material, told, interruption=told.interruption)
        run.update(state="finished", trained=None)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)


@contextmanager
def _precision_kept() -> Iterator[None]:
    """What layers compute in is afterwards what it was."""
    import keras

    before = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class BranchWatcher:
    """Says how the training of a branch alone goes: its first epoch, then one every few seconds, and its end; ends it with epoch `most`."""

    def __init__(self, branch: str, most: int | None, say: Say) -> None:
        self.branch, self.most, self.say = branch, most, say
        self.epochs, self.said = 0, 0.0
        self.interruption = GracefulShutdown()

    def __call__(self, event: Event) -> None:
        """Watch the training."""
        if isinstance(event, Started):
            self.epochs = min(event.epochs, self.most or event.epochs)
        elif isinstance(event, EpochEnded) and event.epoch == self.most:
            self.interruption.after_epoch = f"the model has {self.most} epochs, too"
        elif isinstance(event, EpochBegan) and (event.epoch == 1 or time.perf_counter() - self.said > SECONDS):
            self.said = time.perf_counter()
            self.say(f"Training the baseline {self.branch} alone: epoch {event.epoch} of {self.epochs}")
        elif isinstance(event, Warned):
            self.say(f"warning: {self.branch} alone: {event.text}")
        elif isinstance(event, Ended):
            self.say(f"Trained the baseline {self.branch} alone: best epoch {event.best_epoch} of {event.epochs}")
