"""The progress of work on many images: a bar on a terminal, one line at its end elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

REFRESHES = 5.0
"""Redraws a second at most: each costs some 5 ms."""


def duration(seconds: float) -> str:
    """`1 h 5 min`, `2 min 3 s`, `40 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


class ImageProgress:
    """Images done so far, of one column after the other; a smaller number than before begins another column."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._drawn = 0.0
        self._done = self._first = 0
        self._began = 0.0

    def update(self, doing: str, done: int, total: int, size: int) -> None:
        """`done` of `total` images; `size` are the bytes of them all."""
        if done < self._done or not self._done:
            # The clock starts behind the first images, as nothing is told before.
            self._first, self._began = done, time.perf_counter()
        self._done = done
        text = f"{doing} images: {done:,} of {total:,}  {size / 1e6:,.0f} MB{self._pace(total)}"
        if done == total:
            self.close()
            self.console.print(text, soft_wrap=True)
        elif self.console.is_terminal and self._due():
            self._draw(text, done, total)

    def close(self) -> None:
        """Take the bar away, which may stand anywhere."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, text: str, done: int, total: int) -> None:
        if self._bar is None:
            # The text first: where a terminal is narrow, the bar gives way. Without a thread of its own, as it is told often enough.
            columns = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)), BarColumn(bar_width=None)
            self._bar = Progress(*columns, console=self.console, auto_refresh=False, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(text, total=total)
        self._bar.update(self._task, description=text, completed=done, total=total, refresh=True)

    def _due(self) -> bool:
        moment = time.perf_counter()
        if moment - self._drawn < 1 / REFRESHES:
            return False
        self._drawn = moment
        return True

    def _pace(self, total: int) -> str:
        """Images a second, and what is left at that pace; empty as long as there is nothing to tell it by."""
        rate = (self._done - self._first) / max(1e-9, time.perf_counter() - self._began)
        if not rate:
            return ""
        return f"  {rate:,.0f}/s" + (f"  {duration((total - self._done) / rate)} left" if self._done < total else "")
