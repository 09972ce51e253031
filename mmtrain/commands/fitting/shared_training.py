"""One training in several processes: what each of them does, and the command that starts them on this machine.

A worker is `mmtrain fit` in an environment that names all of them (`mmtrain.system.cluster`). The first one makes the run and does all
that a training in one process does; the others take their rows of each batch, and write nothing.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mmtrain.artifacts.lock import run_of_process
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.fitting.fit_group import check_processes
from mmtrain.config import Experiment
from mmtrain.config.sections.training import Training
from mmtrain.data.images.store import Say
from mmtrain.errors import ConfigError, LostWorkerError, Problem, RunError, UsageError, counted, shell_command
from mmtrain.pipeline.checks.shareable import Place, check_shareable
from mmtrain.pipeline.groups.workers import Processes
from mmtrain.system.cluster import Cluster, assign_gpus, local_cluster, visible_gpus
from mmtrain.system.threads import cores
from mmtrain.system.worker_process import POLL_SECONDS, Worker
from mmtrain.training.signals import STOP_SIGNALS, GracefulShutdown, Interrupted

if TYPE_CHECKING:
    from mmtrain.training.training_data import TrainingData

MODULE = "mmtrain.cli.fit_worker"
GRACE_SECONDS = 2.0
"""Time from the loss of one worker to the end of the others."""
MISTAKE_SECONDS = 20.0
"""The same after a worker that has refused to train: the first one, which alone shows mistakes, most often finds the same a bit later."""


class TrainedByFirst(Exception):  # noqa: N818 (the end of a training, not an error)
    """Raised at the end of a training whose run and results the first worker has made and shown.

    `exit_code` is what the command of this process ends with, `folder` the run, empty if it is not known.
    """

    def __init__(self, exit_code: int = 0, folder: str = "") -> None:
        super().__init__("The first worker has made the run.")
        self.exit_code, self.folder = exit_code, folder


def plan_sharing(
    experiment: Experiment, processes: Processes, cluster: Cluster | None, place: Place, say: Say, *, group: bool
) -> LocalWorkers | None:
    """Return the workers to start for a training; None where this process trains it, alone or as one of a `cluster`.

    A group gives each of its trainings to one process; a single training is shared by all of them. Without a number of processes, these
    are the GPUs of this machine. `place` says where a setting was written.

    Raises UsageError for a group in a cluster, ConfigError for an experiment that cannot be shared.
    """
    if cluster is not None:
        if group:
            what = f"the experiment is a group of trainings, and the {cluster.count} workers of this environment share one."
            fix = "Begin it in one process, without them; then start `mmtrain fit --resume RUN` in each, which takes trainings of its own."
            raise UsageError(Problem("mmtrain fit", what, fix))
        check_shareable(experiment, cluster.count, place)
        return None
    count = processes.count if processes.given else _devices(experiment.training)
    if group or count == 1 or not (processes.given or processes.command):
        return None
    try:
        check_shareable(experiment, count, place)
    except ConfigError as error:
        if processes.given or experiment.training.devices != "all":
            raise
        say(f"One of {count} GPUs is used: {error.problems[0].what}")
        return None
    check_processes(processes, group=False)
    return LocalWorkers(count, processes.command, processes.options, processes.restarts)


def _devices(training: Training) -> int:
    """Return the number of devices of this machine that share a training."""
    gpus = max(1, len(visible_gpus()))
    return gpus if training.devices == "all" else min(gpus, training.devices)


def follow(data: TrainingData, name: str) -> NoReturn:
    """Train as a worker that is not the first. Raises TrainedByFirst at the end."""
    from mmtrain.training import loop

    try:
        with GracefulShutdown() as interruption:
            loop.train(data, Run(Path(name)), lambda _: None, None, interruption)
    except Interrupted as stopped:
        raise TrainedByFirst(stopped.exit_code) from None
    # It still writes the model and the report; a worker that is gone would be an error to it.
    raise TrainedByFirst(folder=data.workers.of_first(""))


def record_workers(run: Run, data: TrainingData, say: Say = lambda _: None) -> None:
    """Record the number of workers, and name the run in their errors. Print when the number has changed: sums round differently."""
    data.workers.where = str(run.folder)
    before, now = run.read("run.json").workers or 1, data.workers.count
    if data.training.deterministic and before != now and run.read("run.json").files:
        say(f"The training had {counted(before, 'process', 'processes')} and continues with {now}: equal up to rounding, not to the bit.")
    if (before, now) != (1, 1):
        run.update(workers=now if now > 1 else None)


@dataclass(frozen=True)
class LocalWorkers:
    """Workers of one training on this machine."""

    count: int
    command: tuple[str, ...]
    """The arguments of `mmtrain` that each worker runs."""
    options: tuple[str, ...] = ()
    """The arguments among them that a resumed run takes as well."""
    restarts: int = 0
    """Number of restarts of all workers from the last checkpoint after one was lost."""

    def train(self, runs: Path, say: Say) -> NoReturn:
        """Start the workers, and again if one is lost; `runs` is the folder with the runs of the experiment.

        Raises TrainedByFirst at the end, RunError if one is lost and no restart is left, or if another than the first one failed.
        """
        command = self.command
        for left in range(self.restarts, -1, -1):
            ended = self._run(command, runs)
            if ended.lost is None:
                raise TrainedByFirst(ended.exit_code, "" if ended.run is None else str(ended.run.folder))
            if ended.run is None or not left:
                raise RunError(self._problem(ended))
            say(f"{ended.lost}; restart {self.restarts - left + 1} of {self.restarts} from the last checkpoint of {ended.run.folder}.")
            command = ("fit", "--resume", str(ended.run.folder), *self.options)
        raise AssertionError("The last of the restarts returns or raises.")

    def _problem(self, ended: _Ended) -> Problem:
        if ended.run is None:
            return Problem("mmtrain fit", f"{ended.lost}; no run was made.", "Start it again.")
        resume = shell_command("fit", "--resume", ended.run.folder, "--workers", self.count)
        return Problem(str(ended.run.folder), f"{ended.lost}; the others were stopped.", f"Continue from the last checkpoint: {resume}")

    def _run(self, command: Sequence[str], runs: Path) -> _Ended:
        """Run all workers until the last one has ended."""
        with _started(command, self.count) as workers, _forwarding(workers) as forwarded:
            while all(one.process.poll() is None for one in workers):
                time.sleep(POLL_SECONDS / 5)
            ended = time.monotonic()
            while None in (codes := [one.process.poll() for one in workers]):
                lost = any(code is not None and (code < 0 or code == LostWorkerError.exit_code) for code in codes)
                if any(codes) and not forwarded and time.monotonic() > ended + (GRACE_SECONDS if lost else MISTAKE_SECONDS):
                    break
                time.sleep(POLL_SECONDS / 5)
        first, run = workers[0].process, run_of_process(runs, workers[0].process.pid)
        if forwarded:
            return _Ended(None, first.returncode if first.returncode >= 0 else 128 + forwarded[0], run)
        killed = [(number, -code) for number, code in enumerate(codes) if code is not None and code < 0]
        if killed:
            number, by = killed[0]
            return _Ended(f"worker {number} of {self.count} was killed by {signal.Signals(by).name}", 1, run)
        failed = [number for number, code in enumerate(codes) if code not in (None, 0, LostWorkerError.exit_code)]
        if failed and failed[0]:  # the message of the first one is on the screen
            raise RunError(Problem(f"worker {failed[0]} of {self.count}", workers[failed[0]].failure))
        if not failed and any(codes):
            return _Ended(f"the {self.count} workers have lost their connection", 1, run)
        return _Ended(None, first.returncode, run)


@dataclass(frozen=True)
class _Ended:
    """The end of all workers."""

    lost: str | None
    """The worker that was lost; None if none was."""
    exit_code: int
    run: Run | None


@contextmanager
def _started(command: Sequence[str], count: int) -> Iterator[list[Worker]]:
    """Start the workers, of which the first one has this terminal; whatever ends the block ends them."""
    gpus, threads = assign_gpus(count, visible_gpus()), max(1, cores() // count)
    workers: list[Worker] = []
    try:
        for cluster, gpu in zip(local_cluster(count), gpus, strict=True):
            device = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
            environment = {"TF_CONFIG": cluster.to_tf_config(), **device}
            workers.append(Worker(MODULE, command, threads, environment, shown=cluster.number == 0))
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.close()


@contextmanager
def _forwarding(workers: Sequence[Worker]) -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on to the workers, which stop after the same step; yields the signals so far."""
    forwarded: list[int] = []

    def forward(number: int, _frame: Any) -> None:
        forwarded.append(number)
        for worker in workers:
            worker.send(number)

    before = {number: signal.signal(number, forward) for number in STOP_SIGNALS}
    try:
        yield forwarded
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
