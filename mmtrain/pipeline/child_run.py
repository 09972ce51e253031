"""Child runs: further trainings on the table of a run, below its folder and with the same files.

A child is described by a `ChildPlan`: its name and its differences from the parent. `train_child` trains it on the table of the parent,
which is read, decoded and encoded once for all children, and resumes one that was stopped. A finished child is reused as long as its
sealed files are unchanged and its plan is the requested one; otherwise it is trained again. The parent's run.json holds the plan and
the state of each child.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.artifacts import run_folder, runs
from mmtrain.artifacts.atomic_files import disk_errors
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data.images.store import Say
from mmtrain.errors import RunError
from mmtrain.pipeline.build import EncodedTable, assemble_training
from mmtrain.pipeline.train_run import StopRule, TrainingResult, after_epoch, newest_checkpoint, run_state, train, versions
from mmtrain.splits.plan import Partition
from mmtrain.training.listeners.events import Listener

if TYPE_CHECKING:
    from mmtrain.training.auto_settings.autotune import TuningResult
    from mmtrain.training.listeners.callbacks import Named
    from mmtrain.training.training_data import TrainingData


@dataclass(frozen=True, eq=False)
class ChildPlan:
    """The name of a child run, and its differences from the parent."""

    name: str
    """`<group>/<name>`, as `Run.child` takes it."""
    experiment: Experiment
    """The parent's experiment with the differences and without `auto` settings; its images are those of the parent."""
    differences: Mapping[str, Any]
    """The same differences as JSON values: a child that was trained with other ones is trained again."""
    partition: Partition | None = None
    """The rows of the child; None for those of the parent."""
    last_epoch: int | None = None
    """Last epoch of the child; None for all epochs of its experiment."""
    keep_model: bool = True
    """False for a child of which only the scores of its epochs are needed."""
    recorded: ClassVar[tuple[str, ...]] = ("columns.json",)
    """Files that are written and sealed before the first step, and do not change after it."""

    def record(self) -> dict[str, Any]:
        """Return the plan as it is stored in run.json."""
        return {**self.differences, "last_epoch": self.last_epoch}

    def settled(self, child: Run) -> Experiment:  # noqa: ARG002
        """Return the experiment, with settings that an earlier process chose for this child in a trial."""
        return self.experiment

    def callbacks(self) -> Sequence[Named]:
        """Return the callbacks of the training."""
        return ()

    def share_steps(self, data: TrainingData) -> TrainingData:
        """Return the data with compiled functions of an earlier child, where it had the same network."""
        return data

    def write_inputs(self, child: Run, table: EncodedTable, data: TrainingData, tuning: TuningResult) -> None:  # noqa: ARG002
        """Write and seal the `recorded` files, before the first step; with frozen encoders network.json, too."""
        from mmtrain.model.summary import model_summary

        experiment = table.experiment
        if data.models.encoders:  # `evaluate` then finds their features under the weights that this training read
            child.write_json("network.json", model_summary(data.models, experiment.branches, experiment.fusion, table.fitted))
        child.write_text("columns.json", table.fitted.model_dump_json(indent=1) + "\n")
        child.seal(*self.recorded)

    def write_results(self, child: Run, table: EncodedTable, data: TrainingData, result: TrainingResult) -> None:
        """Write the files that a finished child has in addition to its model."""


def finished_child(parent: Run, plan: ChildPlan) -> Run | None:
    """Return the child of this plan if it is finished and unchanged, else None."""
    child = parent.child(plan.name)
    facts = _facts(child, plan)
    return child if facts is not None and facts["state"] == "finished" else None


def train_child(
    parent: Run,
    plan: ChildPlan,
    table: EncodedTable,
    listener: Listener = lambda _: None,
    say: Say = lambda _: None,
    stop: StopRule | None = None,
) -> Run:
    """Train a child of `parent` on the parent's table, from its newest checkpoint if it was stopped; return the finished child.

    It ends early for a reason of `stop`, which is not called if the plan has a last epoch.

    Raises:
        RunError: the training diverged, or the disk is full; the child can be resumed.
        RunInUseError: another process trains the child now.
        Interrupted: SIGINT or SIGTERM; the child has a checkpoint.

    """
    child = parent.child(plan.name)
    with disk_errors(child.folder):
        child.folder.mkdir(parents=True, exist_ok=True)
    with run_lock(child):
        if finished_child(parent, plan) is None:  # another process may have finished it while this one waited for the lock
            checkpoint = _begin_or_reopen(child, plan, say)
            with _recorded(parent, child, plan), run_state(child):
                _train(child, plan, table, checkpoint, listener, say, stop)
    return child


def _facts(child: Run, plan: ChildPlan) -> dict[str, Any] | None:
    """Return run.json of a child of this plan whose sealed files are unchanged; None if there is none."""
    try:
        facts: dict[str, Any] = runs.open_run(child.folder).read_json("run.json")
    except RunError:
        return None
    return facts if facts.get("plan") == plan.record() else None


def _begin_or_reopen(child: Run, plan: ChildPlan, say: Say) -> str | None:
    """Return the checkpoint to resume from; None for a new child."""
    # Stopped and unchanged: go on from its newest checkpoint.
    if (facts := _facts(child, plan)) is not None:
        child.reopen(name for name in plan.recorded if name in facts.get("files", {}))
        return newest_checkpoint(child, say)
    # Another plan, or files that do not match their seal: begin again.
    child.clear()
    run_folder.begin(child.folder, plan.name, plan=plan.record())
    return None


@contextmanager
def _recorded(parent: Run, child: Run, plan: ChildPlan) -> Iterator[None]:
    """Keep the state of the child in the parent's run.json, before and after the block."""

    def record() -> None:
        entry = {plan.name: {"state": child.state, "plan": plan.record()}}
        parent.change("run.json", lambda facts: {**facts, "children": {**facts.get("children", {}), **entry}})

    record()
    try:
        yield
    finally:
        with suppress(RunError):  # on a full disk, the error of the training is the one to report
            record()


def _train(
    child: Run, plan: ChildPlan, table: EncodedTable, checkpoint: str | None, listener: Listener, say: Say, stop: StopRule | None
) -> None:
    from mmtrain.training.device import forget_networks

    child_table = table.for_child(plan.settled(child), plan.partition, say)
    with _precision_restored():
        forget_networks()  # that of the training before
        experiment, data, tuning = assemble_training(child_table, say)
        data = plan.share_steps(data)
        child_table = replace(child_table, experiment=experiment)
        # Sealed before the training, so that a resumed child is known to have the same columns.
        plan.write_inputs(child, child_table, data, tuning)
        child.update(versions=versions(), seed=experiment.training.seed)
        rule = stop if plan.last_epoch is None else after_epoch(plan.last_epoch)
        result = train(child, data, experiment.evaluation, listener, checkpoint, plan.callbacks(), stop=rule, keep_model=plan.keep_model)
        plan.write_results(child, child_table, data, result)
    child.update(state="finished", trained=None)
    shutil.rmtree(child / "checkpoints", ignore_errors=True)  # a finished child is never resumed; they take four times its model


@contextmanager
def _precision_restored() -> Iterator[None]:
    """Restore Keras's precision after the block, since the parent's model may be in use around the training of a child."""
    import keras

    before = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
