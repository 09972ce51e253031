"""One training, from its data and network to a run with its best model, also if the training is interrupted or fails.

Main runs (`mmtrain fit`) and child runs (`pipeline.child_run`) are trained, interrupted and resumed by these functions alone.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from mmtrain.artifacts import run_folder
from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import FusionGuard, LinearBaseChoice
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.errors import MmtrainError, RunError, counted
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.pipeline.postprocess import fit_and_save_postprocessing, forget
from mmtrain.trackers import Trackers
from mmtrain.training.listeners.events import Ended, EpochEnded, Event, Listener, Started, StopAsked, Stopped, Warned, all_of
from mmtrain.training.signals import GracefulShutdown, Interrupted

if TYPE_CHECKING:
    from mmtrain.training.listeners.callbacks import Named
    from mmtrain.training.training_data import TrainingData

StopRule = Callable[[Event], str]
"""Takes the events of a training, and returns the reason to end it with the current epoch; empty to go on."""
VERSIONED_PACKAGES = ("mmtrain", "tensorflow", "keras", "numpy", "pandas", "pillow", "pyarrow")


@dataclass(frozen=True)
class TrainingResult:
    """The outcome of a training."""

    run: Run
    ended: Ended
    monitor: str
    """The score that decided which epoch is the best."""
    decisions: Postprocessing
    """What was fitted on validation rows for the best model."""
    guard: Mapping[str, FusionGuard] = field(default_factory=dict)
    """By target, after a training with auxiliary losses: the choice between the fusion and single branches."""
    base: LinearBaseChoice | None = None
    """After a training that began with a linear model: how much of what the network adds to it was kept."""


def train(
    run: Run,
    data: TrainingData,
    evaluation: Evaluation,
    listener: Listener,
    checkpoint: str | None = None,
    callbacks: Sequence[Named] = (),
    stop: StopRule | None = None,
    *,
    keep_model: bool = True,
) -> TrainingResult:
    """Train, from `checkpoint` on if given, and save the best model with its postprocessing, whatever ends the training.

    The first SIGINT or SIGTERM ends it with a checkpoint. It ends after an epoch for which `stop` gives a reason; the learning rate
    follows its schedule over all epochs of the experiment. Without `keep_model` the scores of its epochs are all that it leaves. The
    state of the run stays `running`: the caller sets `finished` once its own files are written.

    Raises RunError if the loss diverges or the disk is full, Interrupted on SIGINT or SIGTERM.
    """
    from mmtrain.training import loop, soup

    with GracefulShutdown(lambda times: listener(StopAsked(times))) as interruption:
        listeners = _listeners(run, data, listener, callbacks, interruption)
        if stop is not None:
            listeners.append(_stopper(stop, interruption))
        begun = time.perf_counter()
        try:
            ended = loop.train(data, run, all_of(*listeners), checkpoint, interruption)
        except BaseException as error:
            with suppress(Exception):  # the error of the training is the one to report
                all_of(*listeners)(Stopped(str(error) or type(error).__name__, _state_after(error) == "interrupted"))
            with suppress(RunError):  # report the reason of the stop, and not that the disk has no room for the model either
                run.update(seconds=_seconds(run, begun))
                if keep_model:
                    _save_best(run, data, evaluation)
            raise
        decisions, guard, base = _save_best(run, data, evaluation) if keep_model else (Postprocessing(), {}, None)
        facts = {"seconds": _seconds(run, begun), "epochs": ended.epochs, "best_epoch": ended.best_epoch, "stopped": ended.reason}
        run.update(trained=run_folder.now(), ended=run_folder.now(), **facts)
        soup.forget(run)
    return TrainingResult(run, ended, data.training.early_stopping.monitor, decisions, guard, base)


@contextmanager
def run_state(run: Run) -> Iterator[None]:
    """Write the state of the run and the error into run.json when the block ends with one."""
    try:
        yield
    except BaseException as error:
        known = isinstance(error, MmtrainError | Interrupted)
        with suppress(RunError):  # on a full disk, the error of the training is the one to report
            run.update(state=_state_after(error), ended=run_folder.now(), error=str(error) if known else repr(error))
        raise


def newest_checkpoint(run: Run, say: Callable[[str], None]) -> str | None:
    """Return the name of the newest whole checkpoint, None if the training begins again; damaged ones are reported."""
    from mmtrain.training import checkpoints

    checkpoints.tidy(run / "checkpoints")
    name, wrong = checkpoints.newest(run / "checkpoints")
    if wrong:
        say(f"{wrong}; going on from {f'checkpoints/{name}' if name else 'the beginning'}.")
    return name


def versions() -> dict[str, str]:
    """Return the versions of mmtrain, Python and the libraries that touch numbers or pixels."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED_PACKAGES}, "platform": platform.platform()}


def _listeners(
    run: Run, data: TrainingData, listener: Listener, callbacks: Sequence[Named], interruption: GracefulShutdown
) -> list[Listener]:
    """Return the caller's listener, then trackers and logs, then the callbacks, last since they may fail."""
    listeners = [listener]
    if data.training.trackers:
        from mmtrain.training.listeners.assembled import assembled

        trackers = Trackers(data.training.trackers, run.folder, lambda text: listener(Warned(text)))
        trackers(assembled(data))
        listeners.append(trackers)
    # The tracker of that name writes the same files.
    if data.training.tensorboard and all(one.name != "tensorboard" for one in data.training.trackers):
        from mmtrain.training.listeners.tensorboard import Logs

        listeners.append(Logs(run))
    if callbacks:
        from mmtrain.training.listeners.callbacks import Callbacks

        listeners.append(Callbacks(callbacks, data.models.network, interruption, str(run.folder)))
    return listeners


def after_epoch(last: int) -> StopRule:
    """Return a rule that ends a training after epoch `last`, also one that is resumed after that epoch."""

    def reason(event: Event) -> str:
        done = event.done if isinstance(event, Started) else event.epoch if isinstance(event, EpochEnded) else 0
        # In both events, as a resumed training may already be at its limit.
        return f"limited to {counted(last, 'epoch')}" if done >= last else ""

    return reason


def _stopper(stop: StopRule, interruption: GracefulShutdown) -> Listener:
    def pass_on(event: Event) -> None:
        if reason := stop(event):
            interruption.after_epoch = reason

    return pass_on


def _seconds(run: Run, begun: float) -> dict[str, float]:
    """Return the seconds of training, summed over all processes that were not killed."""
    before = run.read_json("run.json").get("seconds", {}).get("training", 0.0)
    return {"training": round(before + time.perf_counter() - begun, 3)}


def _save_best(
    run: Run, data: TrainingData, evaluation: Evaluation
) -> tuple[Postprocessing, dict[str, FusionGuard], LinearBaseChoice | None]:
    """Save the model with its best weights, what guards it and its postprocessing; nothing before the first epoch has ended."""
    from mmtrain.training import checkpoints
    from mmtrain.training.linear_base import settle_linear_base

    if not (run / "checkpoints" / "best").is_dir():
        return Postprocessing(), {}, None
    mixed = (run / "checkpoints" / checkpoints.SOUP).is_dir()
    checkpoints.load(run / "checkpoints", checkpoints.SOUP if mixed else "best", data.models.stored)
    data.models.merge_adapters()
    # The postprocessing of the old model must not survive next to the new one.
    forget(run)
    guard: dict[str, FusionGuard] = {}
    if data.models.branches:
        # Only with auxiliary losses, which give single branches heads of their own.
        data, guard = _guard_fusion(data, evaluation)
        run.update(fusion_guard={key: one.to_json() for key, one in guard.items()})
    base = settle_linear_base(data)
    if base is not None:
        run.update(linear_base=base.to_json())
    fit_baselines(data)
    # Keras refuses a file without the suffix .keras.
    with disk_errors(run / "model.keras"), atomic_write(run / "model.keras", ".keras") as temporary:
        data.models.end_to_end.save(temporary)
    run.seal("model.keras")
    return fit_and_save_postprocessing(run, data, evaluation), guard, base


def fit_baselines(data: TrainingData) -> None:
    """Set the weights of activations that follow from the training rows once the network is trained, such as baseline hazards."""
    import keras

    from mmtrain.model import model_file

    predictor, rows = data.models.predictor, data.partition.train
    for key, target in data.fitted.targets.items():
        # The layer that makes the prediction, and the tensor of raw values that it is called with.
        layer, node, _ = predictor.output[key]._keras_history
        if not layer.weights:
            continue
        network = keras.Model(predictor.inputs, {key: layer._inbound_nodes[node].input_tensors[0]})
        raw = model_file.predict(network, data.arrays, rows)[key]
        weights = target.with_baseline(data.arrays.targets[key][rows], raw, data.arrays.weights[key][rows])
        if weights is not None:
            layer.set_weights(weights)


def _guard_fusion(data: TrainingData, evaluation: Evaluation) -> tuple[TrainingData, dict[str, FusionGuard]]:
    """Choose on validation rows which prediction of each target the saved network gives; return the data with that network."""
    from mmtrain.evaluation.fusion_guard import choose_answer
    from mmtrain.model.branch_answers import BranchAnswers

    answers, rows = BranchAnswers(data.models, data.fitted), data.partition.validation
    fused, alone = answers.predict(data.arrays, rows)
    guard = {}
    for key, target in data.fitted.targets.items():
        guard[key] = choose_answer(
            evaluation,
            target,
            data.arrays.targets[key][rows],
            fused[key],
            {branch: predictions[key] for branch, predictions in alone.items()},
            groups=None if data.groups is None else data.groups[rows],
            monitor=data.training.early_stopping.monitor,
            prefix=f"{key}_" if len(data.fitted.targets) > 1 else "",
        )
    chosen = {key: one.chosen for key, one in guard.items() if one.chosen}
    return replace(data, models=answers.choose(chosen)) if chosen else data, guard


def _state_after(error: BaseException) -> run_folder.State:
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
