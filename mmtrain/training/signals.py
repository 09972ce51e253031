"""What stops us from outside: Ctrl-C and a cluster's SIGTERM, a training between two steps and all else at once.

A callback stops a training at the end of an epoch.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Stopped on request; `exit_code` is 130 for SIGINT and 143 for SIGTERM.

    No error, so that nobody who catches those takes it for one: it may come in the middle of the import of a library.
    """

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(f"Interrupted by {signal.Signals(number).name}.")


@contextmanager
def at_once() -> Iterator[None]:
    """SIGINT and SIGTERM raise Interrupted where they find us, but where they are ignored, as in a shell's background.

    Where that came to nothing, Interrupted is raised at the end of the block, also where it ends with `sys.exit(0)`.
    """
    heard: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        raise Interrupted(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in NUMBERS if signal.getsignal(number) != signal.SIG_IGN}
    unraisable, sys.unraisablehook = sys.unraisablehook, _unless_interrupted(sys.unraisablehook)
    try:
        yield
    except SystemExit as request:
        if heard and not request.code:
            raise Interrupted(heard[0]) from None
        raise
    except Exception:
        if heard:  # a module written in C, found in the middle of its import, fails with an error of its own
            raise Interrupted(heard[0]) from None
        raise
    else:
        if heard:  # where Python throws exceptions away, as in a destructor
            raise Interrupted(heard[0])
    finally:
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)


def _unless_interrupted(shown: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What Python calls for an exception that it throws away; ours is looked at when the block ends, and needs no traceback."""

    def hook(thrown: Any) -> None:
        if not isinstance(thrown.exc_value, Interrupted):
            shown(thrown)

    return hook


class GracefulShutdown:
    """While active, the first SIGINT or SIGTERM only sets `number`, and the second nothing; a third raises Interrupted where it finds us.

    `told` hears the first two, with their count: a person who sees nothing happen presses Ctrl-C again, in the middle of the checkpoint.
    """

    def __init__(self, told: Callable[[int], None] = lambda _: None) -> None:
        self.number = 0
        self.after_epoch = ""
        """Why the training is to end with this epoch, in words; empty as long as it is not."""
        self._told = told
        self._times = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in NUMBERS}
        return self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._times += 1
        if self._times > 2:
            raise Interrupted(number)
        self.number = self.number or number
        with suppress(RuntimeError):  # the signal came while standard error was written to; it cannot be entered twice
            self._told(self._times)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
