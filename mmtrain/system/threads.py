"""Work in several threads, for code that releases Python's interpreter lock: TensorFlow, Arrow, image libraries."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of cores that this process may use."""
    # A container or `taskset` may allow fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], *, most: int = 4) -> Generator[Result]:
    """Yield `work(item)` in the order of the items, computed in one thread per core, at most `most`.

    At any time as many items as threads, and one more, are in memory.
    """
    threads = min(cores(), most)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                # One more than threads, so that a thread that is done finds its next item.
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)  # also when the caller stops early, or an item fails


class Share(Iterator[Item]):
    """One of several iterators over the same items, each for a thread of its own; see `shares_of`."""

    def __init__(self, shared: _Shared[Item]) -> None:
        self._shared = shared
        self.at = 0

    def __next__(self) -> Item:
        return self._shared.next(self)

    def close(self) -> None:
        """Take no more items; the others no longer wait for this one."""
        self._shared.leave(self)

    def stop(self) -> None:
        """Stop all readers: their next item raises RuntimeError."""
        self._shared.stop()


class _Shared(Generic[Item]):
    """Buffer of the items between the first and the last reader."""

    def __init__(self, items: Iterable[Item], count: int, ahead: int) -> None:
        self._items = iter(items)
        self._ahead = ahead
        self._changed = Condition()
        self._waiting: deque[Item] = deque()
        self._begin = 0
        self._end: BaseException | None = None
        self._stopped = False
        self.readers = {Share(self) for _ in range(count)}

    def next(self, reader: Share[Item]) -> Item:
        with self._changed:
            # Until the item that this reader wants is there.
            while self._stopped or reader.at == self._begin + len(self._waiting):
                if self._stopped:
                    raise RuntimeError("The reading was stopped.")
                if self._end is not None:
                    raise self._end
                # The first reader to want it takes the next item for all.
                if len(self._waiting) < self._ahead:
                    self._take()
                else:
                    self._changed.wait()  # until the last reader moves on, leaves, or all are stopped
            item = self._waiting[reader.at - self._begin]
            reader.at += 1
            self._forget()
            return item

    def leave(self, reader: Share[Item]) -> None:
        with self._changed:
            self.readers.discard(reader)
            self._forget()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take(self) -> None:
        try:
            self._waiting.append(next(self._items))
        except BaseException as error:  # StopIteration or a failure: every reader raises it
            self._end = error
        self._changed.notify_all()

    def _forget(self) -> None:
        """Drop the items that all readers have seen."""
        # The slowest reader decides; without readers nothing is kept back.
        first = min((reader.at for reader in self.readers), default=self._begin)
        while self._begin < first:
            self._waiting.popleft()
            self._begin += 1
            self._changed.notify_all()


def shares_of(items: Iterable[Item], count: int, *, ahead: int = 8) -> list[Share[Item]]:
    """Return `count` iterators over the same items, which are computed once; the first is at most `ahead` items before the last.

    Each is for a thread of its own, and must be closed: readers wait for those that are behind.
    """
    return list(_Shared(items, count, ahead).readers)
