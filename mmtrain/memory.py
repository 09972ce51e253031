"""How much memory there is, and how much this process takes. Bytes; what a system does not tell is taken to be plenty, or 0."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

UNKNOWN = 2**62


def free_memory() -> int:
    """What can still be taken: of the machine, and of the control group that the process may be limited to."""
    return min([_free_of_machine(), *_free_of_groups()])


def _free_of_machine() -> int:
    return _field(Path("/proc/meminfo"), "MemAvailable", UNKNOWN)


def _free_of_groups() -> list[int]:
    """Limit minus use of the control groups above this process, version 2 and version 1.

    Pages of files are not counted as used: the system gives them away when memory is asked for.
    """
    free = []
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, names = Path("/sys/fs/cgroup"), ("memory.max", "memory.current", "file")
        elif "memory" in controllers.split(","):
            root, names = Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
        else:
            continue
        group = root / path.lstrip("/")
        for folder in [group, *group.parents]:
            limit, used = _number(folder / names[0]), _number(folder / names[1])
            if limit is not None and used is not None:
                free.append(max(0, limit - used + _field(folder / "memory.stat", names[2], 0, unit=1)))
            if folder == root:
                break
    return free


def anonymous_memory() -> int:
    """What the process holds beyond mapped files, now."""
    return _field(Path("/proc/self/status"), "RssAnon", 0)


class _PeakMemory:
    """The most that the process has held, mapped files included."""

    def restart(self) -> None:
        """Count from now on, where the system can (Linux); else since the process began."""
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return

    def bytes(self) -> int:
        """The peak."""
        since_begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return _field(Path("/proc/self/status"), "VmHWM", since_begin)


peak_memory = _PeakMemory()


def _field(path: Path, name: str, default: int, *, unit: int = 1024) -> int:
    """The number behind `name` in a file of names and numbers."""
    for line in _text(path).splitlines():
        words = line.replace(":", " ").split()
        if len(words) > 1 and words[0] == name:
            return int(words[1]) * unit
    return default


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
