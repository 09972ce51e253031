"""Memory of the machine and of this process, in bytes; if a system does not report it, it counts as infinite, or 0."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
_VERSION_2 = ("memory.max", "memory.current", "file")
"""Where a control group tells its limit, its use and its cache of files. One without a limit says "max", which is no number."""


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


def anonymous_memory() -> int:
    """Return the bytes that the process holds beyond mapped files, now."""
    return int(_stated(Path("/proc/self/status"), "RssAnon:", 0.0)) * 1024


class _PeakMemory:
    """The most that the process has held, mapped files included."""

    def restart(self) -> None:
        """Count from now on, where the system can (Linux); else since the process began."""
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return

    def bytes(self) -> int:
        """The peak; outside Linux since the process began, whatever was restarted."""
        since_begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
        return int(_stated(Path("/proc/self/status"), "VmHWM:", since_begin)) * 1024


peak_memory = _PeakMemory()
