"""Trainings of a group in several processes: `python -m mmtrain.pipeline.groups.workers FOLDER` trains members next to others.

Each process has TensorFlow, the encoded table and one training in memory; images and cached columns are mapped and shared, the cores are
divided. A member is locked while it is trained, so it does not matter which process trains it: a training depends on its seed and its
rows. A process that is stopped leaves a checkpoint, as a single one does.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.data.images.store import Say
from mmtrain.errors import Problem, RunError, UsageError, counted
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.checks.requirements import make_callbacks
from mmtrain.pipeline.groups.run_group import RunGroup
from mmtrain.pipeline.prepare import Moved
from mmtrain.pipeline.restore import restore_plan
from mmtrain.pipeline.time_budget import TimeBudget
from mmtrain.pipeline.train_run import StopRule
from mmtrain.system.user_code import allow_callbacks, import_code
from mmtrain.system.worker_process import POLL_SECONDS, Worker, end_with_parent, worker_processes
from mmtrain.training.signals import Interrupted, at_once

MODULE = "mmtrain.pipeline.groups.workers"


@dataclass(frozen=True)
class Processes:
    """The number of processes that train members, and what they need to know of the command that starts them."""

    count: int = 1
    code: Sequence[Path] = ()
    """Files of --code."""
    any_callbacks: bool = False
    """True if the experiment may import any module for callbacks."""
    budget: TimeBudget | None = None
    """The minutes of all trainings; None without a limit."""
    given: bool = False
    """True if the user has chosen `count`; otherwise a single training takes the devices of the machine."""
    restarts: int = 0
    """Number of restarts of the processes of a single training after one was lost."""
    command: tuple[str, ...] = ()
    """The arguments of `mmtrain` that train the experiment; empty where no other process can read it."""
    options: tuple[str, ...] = ()
    """The arguments among them that a resumed run takes as well."""


def train_in_processes(group: RunGroup, processes: Processes, fold: int | None, moved: Moved, say: Say) -> None:
    """Train the members that no other process trains, or those of one `fold`, in several processes.

    Raises RunError if a member is left unfinished, with the reason of the process that failed; Interrupted on SIGINT or SIGTERM, which
    leaves a checkpoint of every member in training.
    """
    wanted = [member for member in group.unfinished(fold) if not group.is_in_training(member)]
    waiting = list(wanted)
    with at_once(), _running(group.run, processes, fold, moved, min(processes.count, len(wanted))) as workers:
        while True:
            running = any(worker.process.poll() is None for worker in workers)
            # Their states alone: files of a training that is running come and go.
            for member in [one for one in waiting if group.state_of(one) == "finished"]:
                say(f"{group.title(member)}: finished; {group.run / member.name}.")
                waiting.remove(member)
            if not running:
                break
            time.sleep(POLL_SECONDS)
    left = [member for member in group.unfinished(fold) if not group.is_in_training(member)]
    reason = next((worker.failure for worker in workers if worker.failure), "")
    # Without a failure, what is left was in training on another machine, and was given up there.
    if left and (reason or len(left) == len(wanted)):
        what = f"the training in a process of its own failed: {reason or 'the process ended before it.'}"
        raise RunError(Problem(str(group.run / left[0].name), what))


def wait_for_others(group: RunGroup, fold: int | None, say: Say) -> bool:
    """Wait while other processes train all members that are left, or those of one `fold`; return whether any is left.

    Raises Interrupted on SIGINT or SIGTERM.
    """
    left = group.unfinished(fold)
    if waiting := left and all(map(group.is_in_training, left)):
        say(f"Other processes train {counted(len(left), 'training')}: waiting for {'it' if len(left) == 1 else 'them'}.")
    with at_once():
        while waiting and all(map(group.is_in_training, left)):
            time.sleep(POLL_SECONDS)
    return bool(left)


def _running(run: Run, processes: Processes, fold: int | None, moved: Moved, count: int) -> AbstractContextManager[list[Worker]]:
    """Start the processes; whatever ends the block ends them, with a checkpoint."""
    options = {
        "folder": str(run.folder.absolute()),
        "fold": fold,
        "table": moved.table and str(moved.table.absolute()),
        "images": moved.images and str(moved.images.absolute()),
        "code": [str(path.absolute()) for path in processes.code],
        "any_callbacks": processes.any_callbacks,
        "budget": None if processes.budget is None else [processes.budget.minutes, processes.budget.start],
        "count": count,
    }
    return worker_processes(MODULE, options, count)


def work(options: dict[str, Any]) -> None:
    """Train members of a group until none is left that no other process trains."""
    import_code([Path(path) for path in options["code"]])
    if options["any_callbacks"]:
        allow_callbacks()
    run = Run(Path(options["folder"]))
    places = [None if options[name] is None else Path(options[name]) for name in ("table", "images")]
    experiment = Moved(*places).applied(config.load(run / "config.yaml"))
    data, plan = restore_plan(run, experiment, exactly=True)
    start_tensorflow()
    group = RunGroup(run, experiment, data, plan, lambda: make_callbacks(experiment.training.callbacks, run / "config.yaml"))
    budget = None if options["budget"] is None else TimeBudget(*options["budget"])
    # The own share first, then what is left of the others, from the end: two processes rarely want the same member.
    share = group.members[options["number"] :: options["count"]]
    order = [*share, *(one for one in reversed(group.members) if one not in share)]

    def rule_of_next(_: int) -> StopRule:
        # Each process has its share of the trainings that are left, one after the other.
        assert budget is not None  # noqa: S101 (not called without)
        return budget.rule_of_next(ceil(sum(group.state_of(one) != "finished" for one in group.members) / options["count"]))

    members = [member for member in order if options["fold"] in (None, member.fold)]
    group.train(members, rule_of_next=None if budget is None else rule_of_next)


def main() -> int:
    """Train members; the return value is the exit code."""
    end_with_parent()
    try:
        with at_once():
            work(json.loads(sys.argv[1]))
    except Interrupted as stopped:
        return stopped.exit_code
    except (RunError, UsageError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
