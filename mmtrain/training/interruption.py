"""Ctrl-C and a cluster's SIGTERM: noticed between two steps, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self


class Interrupted(Exception):  # noqa: N818 (not an error: a person or the cluster asked for it)
    """Training stopped on request, after a checkpoint; `exit_code` is 130 for SIGINT and 143 for SIGTERM."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(f"Interrupted by {signal.Signals(number).name}.")


class Interruption:
    """While active, the first SIGINT or SIGTERM only sets `number`; a second one ends the process as usual."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(self, *_: object) -> None:
        self._restore()
