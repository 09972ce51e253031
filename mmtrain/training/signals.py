"""Handling of SIGINT and SIGTERM: a training stops between two steps, everything else at once.

A callback can stop a training at the end of an epoch.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

STOP_SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
"""Signals that end a training with a checkpoint; SIGBREAK is Ctrl-Break, the only one that a process on Windows can send to another."""


class Interrupted(BaseException):
    """Stopped on request; `exit_code` is 130 for SIGINT and 143 for SIGTERM.

    Not an Exception, so that no `except Exception` swallows it: it may come in the middle of the import of a library.
    """

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(f"Interrupted by {signal.Signals(number).name}.")


@contextmanager
def at_once() -> Iterator[None]:
    """Context in which SIGINT and SIGTERM raise Interrupted at once, unless they are ignored, as in a shell's background.

    If that exception was swallowed, Interrupted is raised at the end of the block, also when it ends with `sys.exit(0)`.
    """
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise Interrupted(number)

    before: dict[int, Any] = {}
    # Python allows only its main thread to set handlers.
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
    unraisable, sys.unraisablehook = sys.unraisablehook, _unless_interrupted(sys.unraisablehook)
    try:
        yield
    except SystemExit as request:
        if received and not request.code:
            raise Interrupted(received[0]) from None
        raise
    except Exception:
        if received:  # a C extension that is interrupted in its import fails with an error of its own
            raise Interrupted(received[0]) from None
        raise
    else:
        if received:  # Python discards exceptions in destructors
            raise Interrupted(received[0])
    finally:
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)


def _unless_interrupted(shown: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a hook for discarded exceptions; Interrupted needs no traceback, as it is raised again at the end of the block."""

    def hook(thrown: Any) -> None:
        if not isinstance(thrown.exc_value, Interrupted):
            shown(thrown)

    return hook


class GracefulShutdown:
    """Context in which the first SIGINT or SIGTERM sets `number`, the second does nothing, and the third raises Interrupted at once.

    `notify` is called with the count of the first two: a user who sees nothing happen presses Ctrl-C again, during the checkpoint.
    """

    def __init__(self, notify: Callable[[int], None] = lambda _: None) -> None:
        self.number = 0
        self.after_epoch = ""
        """The reason to end the training with this epoch; empty otherwise."""
        self._notify = notify
        self._times = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python allows only its main thread to set handlers.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._times += 1
        if self._times > 2:
            raise Interrupted(number)
        self.number = self.number or number
        with suppress(RuntimeError):  # the signal came while standard error was being written, which is not reentrant
            self._notify(self._times)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
