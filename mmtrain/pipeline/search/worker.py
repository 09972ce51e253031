"""Worker processes of a search: `python -m mmtrain.pipeline.search.worker FOLDER` runs trials next to others of the same search.

Each process has TensorFlow and the encoded table of its own; images and cached columns are mapped and shared.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.data import encode
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import encode_table
from mmtrain.pipeline.restore import restore_data
from mmtrain.pipeline.search.inner_folds import trial_tables
from mmtrain.pipeline.search.trials import Search, open_study, read_space, run_trials
from mmtrain.system.user_code import import_code
from mmtrain.system.worker_process import POLL_SECONDS, Worker, end_with_parent, worker_processes
from mmtrain.training.signals import Interrupted, at_once

MODULE = "mmtrain.pipeline.search.worker"
GRACE_SHARE, MOST_GRACE = 0.04, 20.0
"""Share of the minutes, and maximum number of seconds, that a worker may take after the deadline to end its step or its validation."""


def workers(search: Search, code: Iterable[Path] = ()) -> AbstractContextManager[list[Worker]]:
    """Start the worker processes of a search; whatever ends the block ends them."""
    options = {
        "folder": str(search.run.folder.absolute()),
        "trials": search.section.trials,
        "deadline": search.deadline,
        "first": search.first_worker,
        "code": [str(path) for path in code],
    }
    return worker_processes(MODULE, options, search.section.workers)


def wait(running: list[Worker], search: Search, poll: Callable[[], None]) -> None:
    """Wait until all workers have ended, or until shortly after the deadline; `poll` is called meanwhile."""
    grace = min(MOST_GRACE, GRACE_SHARE * 60 * (search.section.minutes or 0.0))
    while any(worker.process.poll() is None for worker in running):
        poll()
        if search.deadline is not None and time.time() > search.deadline + grace:
            return
        time.sleep(POLL_SECONDS)
    poll()


def work(options: dict[str, Any]) -> None:
    """Run trials of a search until there are enough or the time is up."""
    import_code([Path(path) for path in options["code"]])
    run = Run(Path(options["folder"]))
    experiment = config.load(run / "config.yaml")
    data, partition = restore_data(run, experiment, exactly=True)
    start_tensorflow()
    fitted = encode.of_run(run, experiment.columns)
    space = read_space(run, experiment)
    table = encode_table(experiment, data, partition, fitted, lambda _: None)
    assert experiment.tune is not None  # noqa: S101 (a search has its section)
    section = experiment.tune.model_copy(update={"trials": options["trials"]})
    study = open_study(run, space, section, worker=options["first"] + options["number"])
    run_trials(Search(run, space, section, trial_tables(table, space, section), study, options["deadline"]))


def main() -> int:
    """Run a worker; the return value is its exit code."""
    end_with_parent()
    try:
        with at_once():
            work(json.loads(sys.argv[1]))
    except Interrupted as stopped:
        return stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
