"""The training loop: epochs of steps, a validation after each, a checkpoint of the best weights.

Test rows are never seen here.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict

from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import Problem, RunError, did_you_mean, listed
from mmtrain.model.memory_errors import step_oom_errors
from mmtrain.training import checkpoints
from mmtrain.training.early_stopping import EarlyStopper
from mmtrain.training.listeners.events import Ended, EpochBegan, EpochEnded, Listener, Started, Stepped, StepsBegan
from mmtrain.training.loss_accumulator import LossAccumulator, NotFinite, divergence_error
from mmtrain.training.optimization.ema_weights import EmaWeights
from mmtrain.training.signals import GracefulShutdown, Interrupted
from mmtrain.training.soup import WeightSoup
from mmtrain.training.step import TrainStep
from mmtrain.training.training_data import TrainingData
from mmtrain.training.validation import Validation
from mmtrain.training.workers.collective import Wishes


def train(
    data: TrainingData, run: Run, listener: Listener, resume: str | None = None, interruption: GracefulShutdown | None = None
) -> Ended:
    """Train until the last epoch, early stopping or an interruption; `checkpoints/best` then holds the best weights.

    Args:
        data: Section `training`, encoded rows and network.
        run: The run folder.
        listener: Called with every event of the training.
        resume: Name of the checkpoint to continue from; None starts anew. Later lines of the run's logs are cut first.
        interruption: Checked between two calls of the compiled step.

    Raises RunError when the loss is not finite, Interrupted after SIGINT or SIGTERM, both after a complete checkpoint.
    """
    with data.workers.lost_worker_errors(), step_oom_errors(str(run.folder), data.training.batch_size):
        loop = _Loop(data, run, listener)
        loop.resume_from(resume)
        return loop.run_epochs(interruption or GracefulShutdown())


class _Loop:
    """The state of one training."""

    def __init__(self, data: TrainingData, run: Run, listener: Listener) -> None:
        self.data, self.run, self.listener, self.training = data, run, listener, data.training
        self.steps = data.steps or TrainStep(data.training, data.columns, data.fitted, data.models, data.workers, data.distillation)
        self.validation = Validation(data, self.steps, listener, str(run.folder))
        self.batches = self.steps.batches(data.arrays, data.partition.train)
        groups = None if data.groups is None else data.groups[data.partition.validation]
        self.stopping = EarlyStopper(data.training.early_stopping, groups=groups)
        self.soup = WeightSoup(run, self.steps, data.training)
        self.stages = self.steps.stages
        self.stage, self.rate = 0, self.stages.learning_rate(0)
        self.best_scores: dict[str, float | None] = {}
        self.start = checkpoints.Position()
        self.saved = time.perf_counter()
        self.workers = data.workers
        self.wishes = Wishes()
        """Wishes of all workers that are known, those of the call before the last one."""
        self.checkpoint_requested = False
        """True from the wish for a checkpoint on until it is written: a wish is known two calls later."""

    def resume_from(self, name: str | None) -> None:
        """Restore weights, optimizer, early stopping, learning rate and position from a checkpoint."""
        folder = self.run / "checkpoints"
        if self.workers.is_first:
            checkpoints.keep_only(folder, name)
            if name is not None:
                self.start = checkpoints.load(folder, name, self.data.models.stored, self.steps.optimizer)
        self.share_start()
        if self.start.epoch or self.start.step:
            # The stage of the last completed epoch, whose state is restored below; `run_epoch` enters the next one if
            # it has begun.
            self.enter_stage_of(max(1, self.start.epoch))
            self.stopping.restore(self.start.stopping)
            self.rate.restore(self.start.learning_rate)
            self.best_scores = self.start.best_scores
            self.soup.restore(self.start)
        if self.start.is_best:  # the process may have been killed after `last` and before `best`
            self.checkpoint_best(self.start.epoch)
        # Lines of later epochs would appear twice, as these epochs are run again.
        if self.workers.is_first:
            self.run.cut_lines("metrics.jsonl", self.start.epoch)

    def share_start(self) -> None:
        """Give every worker the position and the weights of the first one, which alone reads and writes the run folder."""
        if self.workers.count > 1:
            self.start = checkpoints.Position(**json.loads(self.workers.of_first(json.dumps(asdict(self.start)))))
            self.workers.share_weights([*self.data.models.stored.variables, *self.steps.optimizer.variables])

    def run_epochs(self, interruption: GracefulShutdown) -> Ended:
        self.listener(self.started())
        # A run that had stopped before it was resumed stops at once.
        epoch, reason = self.start.epoch, self.reason_to_end(interruption)
        while epoch < self.training.epochs and not reason:
            epoch += 1
            self.run_epoch(epoch, interruption)
            reason = self.reason_to_end(interruption)
        if not self.stopping.best_epoch:  # the monitored score was never defined: take the last weights
            self.checkpoint_best(epoch)
        self.mix_best_epochs(interruption)
        ended = Ended(epoch, self.stopping.best_epoch or epoch, self.best_scores, reason)
        self.listener(ended)
        return ended

    def reason_to_end(self, interruption: GracefulShutdown) -> str:
        """Return the reason to end the training after an epoch, else empty. Callbacks and time limits are those of the first worker."""
        return self.workers.of_first(self.out_of_patience or interruption.after_epoch)

    def enter_stage_of(self, epoch: int) -> None:
        """Enter the stage of this epoch, if it is a new one; its schedule and its patience begin anew."""
        stage = self.stages.of_epoch(epoch)
        if stage != self.stage:
            # The best score stays: a later stage has to beat it.
            self.steps.enter_stage(stage)
            # A stage may take other inputs: features of encoders, or the images that they read.
            self.batches = self.steps.batches(self.data.arrays, self.data.partition.train)
            self.stage, self.rate = stage, self.stages.learning_rate(stage)
            self.stopping.waited = 0

    def begin_with_best(self, epoch: int) -> None:
        """Take the weights of the best epoch if `epoch` is the first of a stage that begins with them; optimizer states stay."""
        first = epoch == self.stages.epochs_before(self.stage) + 1
        if not first or not self.stages.begins_with_best(self.stage) or self.position_in(epoch).step or not self.stopping.best_epoch:
            return
        folder = self.run / "checkpoints"
        # After a damaged `last` was replaced by `previous`, `best` may be of an epoch that is run again.
        if self.workers.is_first and checkpoints.epoch_of(folder, "best") == self.stopping.best_epoch:
            checkpoints.load(folder, "best", self.data.models.stored)
        self.workers.share_weights(self.data.models.stored.variables)

    @property
    def out_of_patience(self) -> str:
        """The reason to stop once patience has run out, else empty. Only the last stage stops early."""
        return self.stopping.reason if self.stage == self.stages.last else ""

    def started(self) -> Started:
        """Return the event before the first step."""
        rule, start = self.training.early_stopping, self.start
        return Started(
            self.training.epochs,
            len(self.batches),
            self.batches.visits,
            rule.monitor,
            rule.direction,
            done=start.epoch,
            done_steps=start.step,
            done_rows=start.rows,
            best_epoch=self.stopping.best_epoch,
            best=self.stopping.best,
            main=self.validation.main,
        )

    def run_epoch(self, epoch: int, interruption: GracefulShutdown) -> None:
        """Run one epoch: steps, validation, a line of metrics, checkpoints."""
        self.enter_stage_of(epoch)
        self.begin_with_best(epoch)
        self.listener(EpochBegan(epoch))
        begun = time.perf_counter()
        losses = self.train_epoch(epoch, interruption)
        # Only rows of this process: after a resume, `losses` also holds those before it.
        rows_per_second = (losses.rows - self.position_in(epoch).rows) / (time.perf_counter() - begun)
        learning_rate = float(self.steps.optimizer.learning_rate.numpy())
        try:
            with EmaWeights(self.steps.variables, self.steps.optimizer):
                scores = _means(losses) | self.steps.learned_weights() | self.validation.scores(epoch, interruption)
        except Interrupted:  # in the validation: all steps are done
            self.checkpoint("last", epoch - 1, losses)
            raise
        monitored = self.monitored(scores)
        is_best = self.stopping.epoch_ended(epoch, monitored, self.validation.row_losses)
        self.soup.epoch_ended(epoch, monitored)
        self.rate.epoch_ended(improved=not self.stopping.waited)
        if is_best:
            self.best_scores = scores
        # Before the checkpoint: if the process is killed in between, a resume cuts the line off and runs the epoch
        # again.
        if self.workers.is_first:
            self.run.append_line("metrics.jsonl", {"epoch": epoch, "learning_rate": learning_rate, **scores})
        self.checkpoint("last", epoch)
        if is_best:  # after `last`, from which `best` can be restored, so that they never contradict each other
            self.checkpoint_best(epoch)
        self.soup.keep(epoch)
        seconds = time.perf_counter() - begun
        self.listener(EpochEnded(epoch, scores, learning_rate, seconds, rows_per_second, is_best, self.stopping.best_epoch))

    def monitored(self, scores: dict[str, float | None]) -> float | None:
        """Return the monitored score, None where undefined. Raises RunError for an unknown one, which only a user's own task can have."""
        monitor = self.training.early_stopping.monitor
        if monitor not in scores:
            hint = did_you_mean(monitor, scores) or f"There are {listed(list(scores))}."
            raise RunError(Problem(str(self.run.folder), f"training.early_stopping.monitor: no epoch has a score {monitor!r}.", hint))
        return scores[monitor]

    def train_epoch(self, epoch: int, interruption: GracefulShutdown) -> LossAccumulator:
        """Run all steps of an epoch. Raises RunError when a loss is not finite, Interrupted."""
        here = self.position_in(epoch)
        losses, step = LossAccumulator(here.losses, here.rows, here.step), here.step
        # Whole epochs of this stage that are done, for the schedule.
        done = epoch - 1 - self.stages.epochs_before(self.stage)
        try:
            for batch in self.batches.epoch(epoch, here.step):
                # Before the step: the weights are still those of the losses counted so far.
                self.checkpoint_if_due(epoch, losses, interruption)
                # One rate per step, even within a call.
                rates = [self.rate.at(done + number / len(self.batches)) for number in range(step, step + batch.steps)]
                self.listener(StepsBegan(epoch, step))
                losses.add(batch.total, self.steps.train(batch, rates, self.wishes_of_this(interruption)))
                self.wishes = losses.wishes
                step += batch.steps
                if self.training.callbacks:  # callbacks must see the weights of the step they are called for
                    losses.settle()
                # Losses lag one call behind the steps: before the second call there is none to show.
                if losses.step > here.step:
                    self.listener(Stepped(epoch, losses.step, losses.rows, losses.sums["loss"] / losses.rows))
            losses.settle()
        except NotFinite as error:
            what = f"the loss became {error.value} in epoch {epoch}, step {error.step + 1}."
            raise divergence_error(self.data, str(self.run.folder), what, "training rows", self.batches.rows) from None
        self.listener(Stepped(epoch, losses.step, losses.rows, losses.sums["loss"] / losses.rows))
        return losses

    def position_in(self, epoch: int) -> checkpoints.Position:
        """Return the position at which this process enters an epoch; not the beginning only in the first epoch after a resume."""
        return self.start if self.start.epoch == epoch - 1 else checkpoints.Position()

    def checkpoint_if_due(self, epoch: int, losses: LossAccumulator, interruption: GracefulShutdown) -> None:
        """Write a checkpoint within the epoch, every `checkpoint_minutes` and on interruption. Raises Interrupted on interruption."""
        # Several workers act on what all of them know, so that they write and stop between the same steps.
        wishes = self.wishes_of_this(interruption) if self.workers.count == 1 else self.wishes
        if wishes.signal or wishes.checkpoint:
            losses.settle()
            self.checkpoint("last", epoch - 1, losses)
        if wishes.signal:
            raise Interrupted(wishes.signal)

    def wishes_of_this(self, interruption: GracefulShutdown) -> Wishes:
        """Return what this process wishes; the clock of the first worker says when a checkpoint is due."""
        due = (
            self.workers.is_first
            and not self.checkpoint_requested
            and time.perf_counter() - self.saved > 60 * self.training.checkpoint_minutes
        )
        self.checkpoint_requested = self.checkpoint_requested or (due and self.workers.count > 1)
        # `number` is that of the signal, 0 while there was none.
        return Wishes(interruption.number, due)

    def checkpoint_best(self, epoch: int) -> None:
        """Save the weights that were evaluated at the end of `epoch`."""
        with EmaWeights(self.steps.variables, self.steps.optimizer):
            self.checkpoint("best", epoch)

    def mix_best_epochs(self, interruption: GracefulShutdown) -> None:
        """Average the weights of the best epochs where that does not lower the score; keep the mean as the checkpoint `soup_best`."""
        folder, best = self.run / "checkpoints", self.stopping.best_epoch
        shutil.rmtree(folder / checkpoints.SOUP, ignore_errors=True)
        if self.training.soup is None:
            return
        checkpoints.load(folder, "best", self.data.models.stored)

        def score() -> float | None:
            try:
                return self.monitored(self.validation.scores(best, interruption))
            except RunError:  # a mean of weights may have losses that are not finite, although no epoch has
                return None

        if self.soup.mix(best, self.batches, score):
            self.checkpoint(checkpoints.SOUP, best)

    def checkpoint(self, name: str, epoch: int, losses: LossAccumulator | None = None) -> None:
        """Save a checkpoint after `epoch` epochs and the steps in `losses` of the next one."""
        inside = losses or LossAccumulator({}, 0, 0)
        states = {**self.stopping.state(), **self.soup.state()}, self.rate.state(), dict(self.best_scores)
        position = checkpoints.Position(epoch, inside.step, inside.rows, dict(inside.sums), *states)
        self.saved, self.checkpoint_requested, self.wishes = time.perf_counter(), False, Wishes()
        if self.workers.is_first:
            checkpoints.save(self.run / "checkpoints", name, self.data.models.stored, self.steps.optimizer, position)


def _means(losses: LossAccumulator) -> dict[str, float | None]:
    return {f"train_{name}_loss" if name != "loss" else "train_loss": total / losses.rows for name, total in losses.sums.items()}
