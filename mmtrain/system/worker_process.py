"""Worker processes: `python -m MODULE OPTIONS` runs a module of mmtrain next to this process, with options in JSON.

A worker ends with its parent: its standard input is a pipe, which the kernel closes when the parent ends, however it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from mmtrain.system.cluster import visible_gpus
from mmtrain.system.threads import cores

POLL_SECONDS = 0.5
"""Time between two looks at the workers."""
STOP_SECONDS = 10.0
"""Time that a worker has to end after SIGTERM."""
MOST_OUTPUT = 2_000
"""Maximum number of bytes of a worker's standard error that a message shows."""


@contextmanager
def worker_processes(module: str, options: Mapping[str, Any], count: int) -> Iterator[list[Worker]]:
    """Start processes of a module, each with the options and its `number`, which share the cores; whatever ends the block ends them."""
    started: list[Worker] = []
    gpus = visible_gpus()
    try:
        for number in range(count):
            # A GPU of its own for each, in turns: with one alone, all share it.
            environment = {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if len(gpus) > 1 else {}
            started.append(Worker(module, (json.dumps({**options, "number": number}),), max(1, cores() // count), environment))
        yield started
    finally:
        # All at the same time: each takes until the end of its step.
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.close()


class Worker:
    """One worker process."""

    def __init__(
        self, module: str, arguments: Sequence[str], threads: int, environment: Mapping[str, str] | None = None, *, shown: bool = False
    ) -> None:
        """Start the process; it writes to the outputs of this one if it is `shown`. `environment` is in addition to that of this one."""
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (read after the process has ended)
        self._words = ""
        # Compiled code of several processes shares the cores; on a GPU, each takes only the memory that it needs.
        limits = {name: str(threads) for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")}
        # -P: nothing is imported from the current folder, which may be a stranger's.
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", module, *arguments],
            env={"TF_FORCE_GPU_ALLOW_GROWTH": "true", **limits, **os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=None if shown else subprocess.DEVNULL,
            stderr=None if shown else self._messages,
            # Ctrl-C reaches the parent alone, which stops its workers.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
        )

    @property
    def failure(self) -> str:
        """The end of what a worker that failed has written; empty for any other."""
        if self.process.poll() in (None, 0):
            return ""
        return self._last_words() or f"the process ended with exit code {self.process.returncode}"

    def _last_words(self) -> str:
        if not self._messages.closed:
            size = self._messages.seek(0, os.SEEK_END)
            self._messages.seek(max(0, size - MOST_OUTPUT))
            self._words = self._messages.read().decode(errors="replace").strip()
        return self._words

    def terminate(self) -> None:
        """Ask the process to end, if it still runs."""
        self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        """Send a signal to the process, if it still runs; on Windows, which knows no other for processes, Ctrl-Break."""
        if self.process.poll() is None:
            self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", number))

    def close(self) -> None:
        """Wait for the end of a process that was asked to, and kill it after `STOP_SECONDS`; `failure` stays known."""
        if self.process.poll() is None:
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._last_words()
        self._messages.close()


def end_with_parent() -> None:
    """End this process at once when its standard input ends."""

    def watch() -> None:
        # Not `sys.stdin.read`: its lock would still be held when Python ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
