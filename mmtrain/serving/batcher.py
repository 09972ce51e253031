"""Put the rows of many requests into one call of the network.

A call costs nearly the same for one row as for fifty, so rows that arrive while a call is running wait for the next one, together. Nobody
waits for rows that may never come, unless `wait` says so; the longest wait is then that, and the call before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, TypeVar

POLL_SECONDS = 0.02
"""Between two looks at a queue that is about to end."""
GATHERING_TURNS = 2
"""Turns of the loop before a call: in the first the requests that have arrived are read, in the second their rows are submitted."""

Row = TypeVar("Row")
Result = TypeVar("Result")


class QueueFull(Exception):  # noqa: N818 (refused, not an error of ours)
    """More rows wait than the queue holds."""


@dataclass(frozen=True)
class Part(Generic[Result]):
    """The result of one call, and the place of the rows of a request in it."""

    result: Result
    start: int
    stop: int


@dataclass(eq=False)
class _Waiting(Generic[Row, Result]):
    rows: Sequence[Row]
    done: asyncio.Future[Part[Result]]
    since: float


class Batcher(Generic[Row, Result]):
    """Queue of rows in front of a function that takes many at once, one call at a time, in a thread of its own or in that of the loop.

    Args:
        call: The function; takes at most `most_rows` rows.
        most_rows: Most rows of a call. A longer request is cut.
        most_waiting: Rows that may wait; a request is refused with `QueueFull` that would make them more, unless none waits.
        wait: Seconds that the first row of a call waits for others.
        inline: Whether a call with these rows is made in the thread of the loop. In a thread of its own, a call of milliseconds takes four
            times as long while requests arrive: each time it releases the interpreter's lock, it waits up to 5 ms to have it again.
        observe: Called after each call with its number of rows, and the seconds that its first row has waited.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Row]], Result],
        *,
        most_rows: int,
        most_waiting: int,
        wait: float = 0.0,
        inline: Callable[[Sequence[Row]], bool] = lambda _rows: False,
        observe: Callable[[int, float], None] = lambda _rows, _seconds: None,
    ) -> None:
        self._call, self._most_rows, self._most_waiting, self._wait, self._observe = call, most_rows, most_waiting, wait, observe
        self._inline = inline
        self._queue: deque[_Waiting[Row, Result]] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._worker: asyncio.Task[None] | None = None
        self.waiting = 0
        """Rows in the queue."""
        self._busy = False
        self._coming = 0

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Context of a request whose rows are prepared and submitted; `drain` waits for its end."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def submit(self, rows: Sequence[Row]) -> list[Part[Result]]:
        """Return the results of these rows, in their order. Raises QueueFull, and what the call raises."""
        if self.waiting and self.waiting + len(rows) > self._most_waiting:
            raise QueueFull
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        now, loop = perf_counter(), asyncio.get_running_loop()
        pieces = [
            _Waiting[Row, Result](rows[start : start + self._most_rows], loop.create_future(), now)
            for start in range(0, len(rows), self._most_rows)
        ]
        self._queue.extend(pieces)
        self.waiting += len(rows)
        self._arrived.set()
        try:
            return [await piece.done for piece in pieces]
        finally:
            # A request that was given up, or failed in a part, leaves the queue.
            for piece in pieces:
                piece.done.cancel()

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            if self._wait and self.waiting < self._most_rows:
                await asyncio.sleep(self._wait)
            for _ in range(GATHERING_TURNS):
                await asyncio.sleep(0)
            batch = self._next()
            if batch:
                self._busy = True
                await self._run(batch)
                self._busy = False
            if not self._queue:
                self._arrived.clear()

    def _next(self) -> list[_Waiting[Row, Result]]:
        """Take the pieces of the next call from the queue, the oldest first; given up ones are dropped."""
        batch: list[_Waiting[Row, Result]] = []
        rows = 0
        while self._queue and rows + len(self._queue[0].rows) <= self._most_rows:
            piece = self._queue.popleft()
            self.waiting -= len(piece.rows)
            if not piece.done.cancelled():
                batch.append(piece)
                rows += len(piece.rows)
        return batch

    async def _run(self, batch: list[_Waiting[Row, Result]]) -> None:
        rows = [row for piece in batch for row in piece.rows]
        self._observe(len(rows), perf_counter() - batch[0].since)
        try:
            if self._inline(rows):
                result = self._call(rows)
            else:
                result = await asyncio.get_running_loop().run_in_executor(self._thread, self._call, rows)
        except Exception as error:  # any error belongs to those who wait for the result
            for piece in batch:
                if not piece.done.done():
                    piece.done.set_exception(error)
            return
        start = 0
        for piece in batch:
            if not piece.done.done():
                piece.done.set_result(Part(result, start, start + len(piece.rows)))
            start += len(piece.rows)

    async def drain(self) -> None:
        """Wait until all rows are predicted, those of requests to come included, and end the thread.

        Nothing else may be submitted any more.
        """
        while self.waiting or self._busy or self._coming:
            await asyncio.sleep(POLL_SECONDS)
        if self._worker is not None:
            self._worker.cancel()
        self._thread.shutdown(wait=False)
