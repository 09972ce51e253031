"""The training loop: epochs of steps, a validation after each, the best weights kept.

The test part never comes here.
"""

from __future__ import annotations

import time

from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import Problem, RunError, did_you_mean, listed
from mmtrain.model.memory_errors import step_oom_errors
from mmtrain.training import checkpoints
from mmtrain.training.early_stopping import EarlyStopper
from mmtrain.training.events import Ended, EpochBegan, EpochEnded, Started, Stepped, StepsBegan, Watcher
from mmtrain.training.loss_accumulator import LossAccumulator, NotFinite, divergence_error
from mmtrain.training.signals import GracefulShutdown, Interrupted
from mmtrain.training.step import EmaWeights, TrainStep
from mmtrain.training.training_data import TrainingData
from mmtrain.training.validation import Validation


def train(
    material: TrainingData, run: Run, watch: Watcher, resume: str | None = None, interruption: GracefulShutdown | None = None
) -> Ended:
    """Train to the end, to the patience's end or to an interruption; `checkpoints/best` holds the best weights.

    `resume` names the checkpoint to go on from, None begins; what the run wrote after it is cut away first.

    Raises RunError when the loss is no longer finite, Interrupted after SIGINT or SIGTERM, both with a whole checkpoint.
    """
    loop = _Loop(material, run, watch)
    loop.go_on_from(resume)
    with step_oom_errors(str(run.folder), material.experiment.training.batch_size):
        return loop.run_epochs(interruption or GracefulShutdown())


class _Loop:
    """The state of one training: where it stands, and what stops it."""

    def __init__(self, material: TrainingData, run: Run, watch: Watcher) -> None:
        self.material, self.run, self.watch = material, run, watch
        training = material.experiment.training
        self.training = training
        self.steps = TrainStep(material.experiment, material.fitted, material.models)
        self.validation = Validation(material, self.steps, watch, str(run.folder))
        self.batches = self.steps.batches(material.arrays, material.partition.train)
        self.stopping = EarlyStopper(training.early_stopping)
        self.stages = self.steps.stages
        self.stage, self.rate = 0, self.stages.learning_rate(0)
        self.best_scores: dict[str, float | None] = {}
        self.start = checkpoints.Position()
        self.saved = time.perf_counter()

    def go_on_from(self, name: str | None) -> None:
        """Take everything from a checkpoint: weights, optimizer, the state of stopping and of the rate, the place in the epoch."""
        folder = self.run / "checkpoints"
        checkpoints.keep_only(folder, name)
        if name is not None:
            self.start = checkpoints.load(folder, name, self.material.models.network, self.steps.optimizer)
            self.enter_stage_of(max(1, self.start.epoch))
            self.stopping.restore(self.start.stopping)
            self.rate.restore(self.start.learning_rate)
            self.best_scores = self.start.best_scores
        if self.start.is_best:  # the process may have been killed between the two
            self.checkpoint_best(self.start.epoch)
        self.run.cut_lines("metrics.jsonl", self.start.epoch)

    def run_epochs(self, interruption: GracefulShutdown) -> Ended:
        self.watch(self.started())
        epoch, reason = self.start.epoch, self.out_of_patience or interruption.after_epoch
        while epoch < self.training.epochs and not reason:
            epoch += 1
            self.run_epoch(epoch, interruption)
            reason = self.out_of_patience or interruption.after_epoch
        if not self.stopping.best_epoch:  # the monitored score was never defined: the last weights are as good as any
            self.checkpoint_best(epoch)
        ended = Ended(epoch, self.stopping.best_epoch or epoch, self.best_scores, reason)
        self.watch(ended)
        return ended

    def enter_stage_of(self, epoch: int) -> None:
        """Train what the stage of this epoch trains, if it is another stage than before; its schedule and its patience begin anew."""
        stage = self.stages.of_epoch(epoch)
        if stage != self.stage:
            self.steps.enter_stage(stage)
            self.stage, self.rate = stage, self.stages.learning_rate(stage)
            self.stopping.waited = 0

    @property
    def out_of_patience(self) -> str:
        """Why to stop, once the patience of the last stage has run out; empty before. Earlier stages run all their epochs."""
        return self.stopping.reason if self.stage == self.stages.last else ""

    def started(self) -> Started:
        """What is about to be done, and what is done."""
        rule, start = self.training.early_stopping, self.start
        return Started(
            self.training.epochs,
            len(self.batches),
            len(self.batches.rows),
            rule.monitor,
            rule.direction,
            done=start.epoch,
            done_steps=start.step,
            done_rows=start.rows,
            best_epoch=self.stopping.best_epoch,
            best=self.stopping.best.value,
            main=self.validation.main,
        )

    def run_epoch(self, epoch: int, interruption: GracefulShutdown) -> None:
        """One epoch of steps, then validation, the best weights, a line of metrics and a checkpoint."""
        self.enter_stage_of(epoch)
        self.watch(EpochBegan(epoch))
        begun = time.perf_counter()
        tally = self.train_epoch(epoch, interruption)
        rows_per_second = (tally.rows - self.begins(epoch).rows) / (time.perf_counter() - begun)
        learning_rate = float(self.steps.optimizer.learning_rate.numpy())
        try:
            with EmaWeights(self.steps):
                scores = _means(tally) | self.validation.scores(epoch, interruption)
        except Interrupted:  # all steps are done, but the validation
            self.checkpoint("last", epoch - 1, tally)
            raise
        monitored = self.monitored(scores)
        is_best = self.stopping.epoch_ended(epoch, monitored)
        self.rate.epoch_ended(improved=is_best)
        if is_best:
            self.best_scores = scores
        self.run.append_line("metrics.jsonl", {"epoch": epoch, "learning_rate": learning_rate, **scores})
        self.checkpoint("last", epoch)
        if is_best:  # after `last`, from which it can be made again: so they never contradict each other
            self.checkpoint_best(epoch)
        seconds = time.perf_counter() - begun
        self.watch(EpochEnded(epoch, scores, learning_rate, seconds, rows_per_second, is_best, self.stopping.best_epoch))

    def monitored(self, scores: dict[str, float | None]) -> float | None:
        """None where it is undefined. Raises RunError where there is no such score: only users' own tasks come so far."""
        monitor = self.training.early_stopping.monitor
        if monitor not in scores:
            hint = did_you_mean(monitor, scores) or f"There are {listed(list(scores))}."
            raise RunError(Problem(str(self.run.folder), f"training.early_stopping.monitor: no epoch has a score {monitor!r}.", hint))
        return scores[monitor]

    def train_epoch(self, epoch: int, interruption: GracefulShutdown) -> LossAccumulator:
        """All steps of an epoch. Raises RunError when a loss is not finite, Interrupted."""
        here = self.begins(epoch)
        tally, step = LossAccumulator(here.losses, here.rows, here.step), here.step
        done = epoch - 1 - self.stages.epochs_before(self.stage)
        try:
            for batch in self.batches.epoch(epoch, here.step):
                self.checkpoint_if_due(epoch, tally, interruption)
                rates = [self.rate.at(done + number / len(self.batches)) for number in range(step, step + batch.steps)]
                self.watch(StepsBegan(epoch, step))
                tally.add(len(batch.rows), self.steps.train(batch, rates))
                step += batch.steps
                if self.training.callbacks:  # they are told of these steps while the weights are those after them
                    tally.settle()
                if tally.step > here.step:
                    self.watch(Stepped(epoch, tally.step, tally.rows, tally.sums["loss"] / tally.rows))
            tally.settle()
        except NotFinite as found:
            what = f"the loss became {found.value} in epoch {epoch}, step {found.step + 1}."
            raise divergence_error(self.material, str(self.run.folder), what, "training rows", self.batches.rows) from None
        self.watch(Stepped(epoch, tally.step, tally.rows, tally.sums["loss"] / tally.rows))
        return tally

    def begins(self, epoch: int) -> checkpoints.Position:
        """What of an epoch was done before; only the first one of this process can have anything."""
        return self.start if self.start.epoch == epoch - 1 else checkpoints.Position()

    def checkpoint_if_due(self, epoch: int, tally: LossAccumulator, interruption: GracefulShutdown) -> None:
        """A checkpoint within the epoch, every few minutes and where a person or a cluster interrupts; then Interrupted is raised."""
        if interruption.number or time.perf_counter() - self.saved > 60 * self.training.checkpoint_minutes:
            tally.settle()
            self.checkpoint("last", epoch - 1, tally)
        if interruption.number:
            raise Interrupted(interruption.number)

    def checkpoint_best(self, epoch: int) -> None:
        """Keep the weights that were judged at the end of `epoch`."""
        with EmaWeights(self.steps):
            self.checkpoint("best", epoch)

    def checkpoint(self, name: str, epoch: int, tally: LossAccumulator | None = None) -> None:
        """`epoch` epochs are done, and of the next one what `tally` counts."""
        inside = tally or LossAccumulator({}, 0, 0)
        states = self.stopping.state(), self.rate.state(), dict(self.best_scores)
        position = checkpoints.Position(epoch, inside.step, inside.rows, dict(inside.sums), *states)
        self.saved = time.perf_counter()
        checkpoints.save(self.run / "checkpoints", name, self.material.models.network, self.steps.optimizer, position)


def _means(tally: LossAccumulator) -> dict[str, float | None]:
    return {f"train_{name}_loss" if name != "loss" else "train_loss": total / tally.rows for name, total in tally.sums.items()}
