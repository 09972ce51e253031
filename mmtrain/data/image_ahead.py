"""Reading a store that is larger than the memory there is: the kernel is told which pictures come next.

Left alone, the kernel reads what lies around every page that is touched, up to megabytes. Pictures come in shuffled order, so
that without room to keep it this is thrown away unused, and each wait is for one request. Where a store does not fit, reading
around is switched off and the pictures of coming batches are asked for by name, many at a time.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUEST = 1 << 17
"""Bytes asked for at once: of a longer range, a kernel with usual settings reads only so much."""

FITS = 0.5
"""A store fits when it takes up to this share of the memory that is available before TensorFlow has taken its own."""


class ReadAhead:
    """Asks for pictures of one mapped store. It is to be made only where the store does not fit."""

    def __init__(self, mapped: mmap.mmap, pixels: NDArray[Any]) -> None:
        self._mapped = mapped
        self._picture = pixels.nbytes // len(pixels)
        self._start = len(mapped) - pixels.nbytes
        self._asked = np.zeros(len(pixels), dtype=np.bool_)
        _advise(mapped, mmap.MADV_RANDOM, 0, len(mapped))

    def expect(self, pictures: NDArray[np.int64]) -> None:
        """Have these read, without waiting for it; negative ones are none."""
        wanted = np.unique(pictures[pictures >= 0])
        for first, last in runs(wanted[~self._asked[wanted]]):
            start = self._start + first * self._picture
            end = self._start + (last + 1) * self._picture
            start -= start % mmap.PAGESIZE
            for begin in range(start, end, REQUEST):
                _advise(self._mapped, mmap.MADV_WILLNEED, begin, min(REQUEST, end - begin))
        self._asked[wanted] = True

    def taken(self, pictures: NDArray[np.int64]) -> None:
        """These were used: from now on they may have to be read again."""
        self._asked[pictures[pictures >= 0]] = False


def read_ahead(mapped: mmap.mmap, pixels: NDArray[Any]) -> ReadAhead | None:
    """For a store of `pixels` at the end of the file `mapped`; None where it fits into memory and nothing need be done."""
    return ReadAhead(mapped, pixels) if len(pixels) and pixels.nbytes > FITS * available_memory() else None


def _advise(mapped: mmap.mmap, advice: int, start: int, length: int) -> None:
    with suppress(OSError):  # a wish, which a file system may not know
        mapped.madvise(advice, start, length)


def runs(numbers: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last of every run of consecutive numbers; `numbers` rise."""
    if len(numbers):
        breaks = np.flatnonzero(np.diff(numbers) > 1)
        firsts, lasts = numbers[np.append(0, breaks + 1)], numbers[np.append(breaks, len(numbers) - 1)]
        yield from zip(firsts.tolist(), lasts.tolist(), strict=True)


def available_memory(root: Path = Path("/")) -> float:
    """Bytes that this process may still take, caches of files counted as free; infinite where the system does not say.

    The least of what the machine has and what the control groups (Linux, version 1 or 2) around the process allow. `root` is
    where `proc` and `sys` are.
    """
    found = [_stated(root / "proc/meminfo", "MemAvailable:") * 1024]
    for group, names in _groups(root):
        with suppress(OSError, ValueError):
            limit, used = (float((group / name).read_text()) for name in names[:2])
            found.append(limit - used + _stated(group / "memory.stat", names[2], 0.0))
    return max(0.0, min(found))


_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
_VERSION_2 = ("memory.max", "memory.current", "file")  # a group without a limit says "max", which is no number


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The control groups that this process is in, up to the outermost, and where each tells limit, use and file cache."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = top / path.lstrip("/")
        while True:  # inside a container a group may not be found under its own name, but the container's is the outermost
            yield group, _VERSION_1 if controllers else _VERSION_2
            if group == top:
                break
            group = group.parent


def _stated(path: Path, name: str, otherwise: float = float("inf")) -> float:
    """The number behind `name` in a file of lines like `name 12`."""
    with suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] == [name]:
                return float(words[1])
    return otherwise
