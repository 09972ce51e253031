"""Memory of the machine and of this process in bytes, by psutil, within the control groups of Linux, which psutil does not read."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
_VERSION_2 = ("memory.max", "memory.current", "file")
"""Files of a control group with its limit and its use, and the name of its file cache in memory.stat."""


def available_memory(root: Path = Path("/")) -> float:
    """Return the bytes that this process may still take, file caches counted as free.

    It is the minimum of what the machine has and what the control groups (Linux, version 1 or 2) of the process allow. `root` is the
    folder of `proc` and `sys`.
    """
    limits = [float(psutil.virtual_memory().available)]
    for group, names in _groups(root):
        with suppress(OSError, ValueError):  # ValueError: a group without a limit has the word max in its file
            limit, used = (float((group / name).read_text(encoding="utf-8")) for name in names[:2])
            # A control group counts the file cache as used, although the kernel gives it back.
            limits.append(limit - used + _read_number(group / "memory.stat", names[2]))
    return max(0.0, min(limits))


def release_unused() -> None:
    """Give freed memory back to the system: Arrow and the C library keep it, after a table of many rows 40 bytes for each of them."""
    if (pyarrow := sys.modules.get("pyarrow")) is not None:
        pyarrow.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # of the C library of GNU alone
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def freeze_objects(*, again: bool = False) -> None:
    """Collect garbage, and exclude the objects that remain from later collections.

    A collection stops all threads: 50 ms for the objects of one model, 2 ms for what a server makes later. With `again`, objects that were
    excluded before are collected as well, which takes a third of a second.
    """
    if again:
        gc.unfreeze()
    gc.collect()
    gc.freeze()


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the control groups of this process up to the outermost, each with the names for its limit, use and file cache."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    # `number:controllers:path`, with no controllers in version 2.
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = top / path.lstrip("/")
        while True:  # in a container the path of the group may not exist, but the group of the container is mounted as the outermost
            yield group, _VERSION_1 if controllers else _VERSION_2
            if group == top:
                break
            group = group.parent


def _read_number(path: Path, name: str) -> float:
    """Return the number that follows `name` in a file of lines like `name 12`; 0 without such a line."""
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if words[:1] == [name]:
                return float(words[1])
    return 0.0


def anonymous_memory() -> int:
    """Return the current memory of the process without mapped files; on macOS with them."""
    memory = psutil.Process().memory_info()
    if sys.platform == "linux":
        return int(memory.rss - memory.shared)
    return int(getattr(memory, "private", memory.rss))  # Windows


class _PeakMemory:
    """Peak memory of the process, mapped files included."""

    def restart(self) -> None:
        """Restart the count, where the system can (Linux)."""
        try:
            # 5 resets the peak (see proc(5)).
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return

    def bytes(self) -> int:
        """Return the peak since the last restart; outside Linux since the start of the process."""
        if sys.platform == "darwin":
            import resource  # Windows lacks it

            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # psutil knows the peak on Windows only.
        memory = psutil.Process().memory_info()
        return int(getattr(memory, "peak_wset", 0)) or int(_read_number(Path("/proc/self/status"), "VmHWM:")) * 1024


peak_memory = _PeakMemory()
