"""Worker processes of a search: `python -m mmtrain.pipeline.search.worker FOLDER` runs trials next to others of the same search.

Each process has TensorFlow and the encoded table of its own; images and cached columns are mapped and shared. A worker ends with its
parent: its standard input is a pipe, which the kernel closes when the parent ends, however it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.data import encode
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import encode_table
from mmtrain.pipeline.restore import restore_data
from mmtrain.pipeline.search.inner_folds import trial_tables
from mmtrain.pipeline.search.trials import Search, open_study, read_space, run_trials
from mmtrain.system.threads import cores
from mmtrain.system.user_code import import_code
from mmtrain.training.signals import Interrupted, at_once

POLL_SECONDS = 0.5
"""Time between two looks at the workers."""
STOP_SECONDS = 10.0
"""Time that a worker has to end after SIGTERM."""
GRACE_SHARE, MOST_GRACE = 0.04, 20.0
"""Share of the minutes, and maximum number of seconds, that a worker may take after the deadline to end its step or its validation."""
MOST_OUTPUT = 2_000
"""Maximum number of bytes of a worker's standard error that a message shows."""


@contextmanager
def workers(search: Search, code: Iterable[Path] = ()) -> Iterator[list[Worker]]:
    """Start the worker processes of a search; whatever ends the block ends them."""
    started: list[Worker] = []
    options = {
        "folder": str(search.run.folder.absolute()),
        "trials": search.section.trials,
        "deadline": search.deadline,
        "code": [str(path) for path in code],
    }
    try:
        for number in range(search.section.workers):
            started.append(Worker({**options, "number": number}, threads=max(1, cores() // search.section.workers)))
        yield started
    finally:
        for worker in started:
            worker.stop()


def wait(running: list[Worker], search: Search, poll: Callable[[], None]) -> None:
    """Wait until all workers have ended, or until shortly after the deadline; `poll` is called meanwhile."""
    grace = min(MOST_GRACE, GRACE_SHARE * 60 * (search.section.minutes or 0.0))
    while any(worker.process.poll() is None for worker in running):
        poll()
        if search.deadline is not None and time.time() > search.deadline + grace:
            return
        time.sleep(POLL_SECONDS)
    poll()


class Worker:
    """One worker process."""

    def __init__(self, options: Mapping[str, Any], threads: int, module: str = "mmtrain.pipeline.search.worker") -> None:
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (read after the process has ended)
        # Compiled code of several processes shares the cores; on a GPU, each takes only the memory that it needs.
        limits = {name: str(threads) for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")}
        # -P: nothing is imported from the current folder, which may be a stranger's.
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", module, json.dumps(options)],
            env={"TF_FORCE_GPU_ALLOW_GROWTH": "true", **limits, **os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._messages,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which stops its workers
        )

    @property
    def failure(self) -> str:
        """The end of what a worker that failed has written; empty for any other."""
        if self.process.poll() in (None, 0):
            return ""
        size = self._messages.seek(0, os.SEEK_END)
        self._messages.seek(max(0, size - MOST_OUTPUT))
        text = self._messages.read().decode(errors="replace").strip()
        return text or f"the process ended with exit code {self.process.returncode}"

    def stop(self) -> None:
        """End the process, if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


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
    study = open_study(run, space, section, worker=options["number"])
    run_trials(Search(run, space, section, trial_tables(table, space, section), study, options["deadline"]))


def end_with_parent() -> None:
    """End this process at once when its standard input ends."""

    def watch() -> None:
        # Not `sys.stdin.read`: its lock would still be held when Python ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
