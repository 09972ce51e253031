"""The cache folder: what is kept there between runs, how it is written whole, told from what else lies there, and removed.

Two kinds are kept: image stores and encoded columns. Each is a folder named by a SHA-256 of what it was made from; an image
store with `verify: content` has the digest of the files' bytes as a second part of its name. One that is being built has
`.tmp-<process>-<random>` behind its name, and its builder holds a lock on its array; an image store that several processes may build has
`.shards-<files>`, and each shard a lock. A killed builder loses the lock, so that what it left can be told from what is still being
written.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from mmtrain.config.byte_size import format_bytes
from mmtrain.errors import Problem, RunError
from mmtrain.system.locks import LocksUnsupportedError, acquire, locked

MANIFEST = "manifest.txt"
SHARDS = "shards"
"""Folder with the locks and the records of the shards of an image store that is being built."""


@dataclass(frozen=True)
class EntryKind:
    """A kind of entry."""

    name: str
    title: str
    """The first words of every manifest."""
    array: str
    """The file with most of the bytes, on which a builder holds its lock."""
    second: str
    """The other file next to the manifest."""

    @property
    def files(self) -> tuple[str, str, str]:
        """Return the names of the files in the order of removal: without the manifest, what is left no longer counts as whole."""
        return MANIFEST, self.second, self.array


IMAGES = EntryKind("image store", "mmtrain image store", "pixels.npy", "unreadable.json")
COLUMNS = EntryKind("encoded column", "mmtrain encoded column", "codes.npy", "present.npy")
KINDS = (IMAGES, COLUMNS)

MARGIN = 10**9
"""Bytes of the disk that the cache leaves free. A run writes its checkpoints, three times the weights and as much again for the
optimizer, and its predictions after that: enough for 30 million weights, and for what other programs do meanwhile."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk."""

SHORTER_FIX = "Start again, and leave the cache alone while a run uses it."
_NAME = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{32})?(?P<unfinished>\.tmp-\d+-[0-9a-f]{8}|(?P<shards>\.shards-[0-9a-f]{8}))?")
_SHARD_FILE = re.compile(r"(\d{6}|publish)\.(lock|json|\d+\.tmp)")
SHARDS_KEPT = 24 * 60 * 60.0
"""Seconds for which the shards of a killed build wait for the next one."""
_YOUNG = 60.0
"""Seconds in which a builder that made its folder has surely locked it."""

State = Literal["complete", "damaged", "unfinished", "being built"]


@dataclass(frozen=True)
class Entry:
    """One folder of the cache. `size` is in bytes as the disk counts them, `used` in seconds since 1970."""

    path: Path
    kind: EntryKind
    state: State
    size: int
    used: float


def entries(cache: Path) -> list[Entry]:
    """List what builds have put into a folder, by name; links and everything else are passed over."""
    return sorted(_entries(cache), key=lambda entry: entry.path.name)


def _entries(cache: Path) -> Iterator[Entry]:
    try:
        folders = [Path(item.path) for item in os.scandir(cache) if item.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for folder in folders:
        name = _NAME.fullmatch(folder.name)
        if name is None:
            continue
        try:
            statuses = {file.name: file.stat(follow_symlinks=False) for file in os.scandir(folder)}
            changed = folder.stat().st_mtime
        except OSError:  # renamed or removed by another process
            continue
        size = sum(bytes_on_disk(status) for status in statuses.values())
        used = max([changed, *(status.st_mtime for status in statuses.values())])
        kind = next((kind for kind in KINDS if kind.array in statuses), None)
        if name["unfinished"]:
            yield Entry(folder, kind or IMAGES, "being built" if _in_work(folder, used) else "unfinished", size, used)
        elif kind is not None and set(statuses) <= set(kind.files):
            whole = len(statuses) == len(kind.files) and manifest(folder, kind)
            yield Entry(folder, kind, "complete" if whole else "damaged", size, used)


def bytes_on_disk(status: os.stat_result) -> int:
    """Return the bytes that a file takes."""
    # `st_blocks`, which Windows lacks, counts 512 bytes whatever the file system's blocks are; unlike the length it leaves out holes of a
    # sparse file.
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


def manifest(folder: Path, kind: EntryKind) -> list[str]:
    """The first lines of an entry's manifest: title, layout as JSON, source; empty where it has another title."""
    try:
        with (folder / MANIFEST).open(encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in islice(file, 3)]
    except (OSError, UnicodeDecodeError):
        return []
    return lines if lines and lines[0].startswith(kind.title) else []


def mark_used(folder: Path) -> None:
    """Note that the entry is used now; a folder of other users' may be read, not marked."""
    with suppress(OSError):
        os.utime(folder / MANIFEST)


def _in_work(folder: Path, used: float) -> bool:
    """Return whether a process is building here."""
    # Between making its folder and locking its array, a builder cannot be told from a killed one.
    if time.time() - used < _YOUNG:
        return True
    arrays = [folder / kind.array for kind in KINDS]
    for path in (*arrays, *(folder / SHARDS).glob("*.lock")):
        if not path.is_file():
            continue
        try:
            # Fails while the builder holds its lock, which the system drops with the process.
            os.close(acquire(path, wait=False))
        except LocksUnsupportedError:
            # Without locks, a builder counts as killed once it has written nothing for as long as shards are kept.
            if time.time() - used < SHARDS_KEPT:
                return True
        except OSError:
            return True
    return False


def no_room(cache: Path, needed: int, allowed: int | None) -> str:
    """Return why `needed` bytes cannot be added to the cache, which may hold `allowed`; empty when they can."""
    free = shutil.disk_usage(cache).free
    # Checkpoints and predictions come after the cache and must still find room.
    if needed + MARGIN > free:
        return f"{cache} has {format_bytes(free)} free, of which {format_bytes(MARGIN)} stays free"
    if allowed is None:
        return ""
    used = sum(entry.size for entry in entries(cache))
    if needed + used <= allowed:
        return ""
    others = f", of which other stores take {format_bytes(used)}" if used else ""
    return f"`data.cache.disk` allows {format_bytes(allowed)}{others}"


@contextmanager
def building(cache: Path, name: str) -> Iterator[Path]:
    """A folder to build the entry `name` in, which `publish` gives its name. What fails or is interrupted leaves nothing."""
    # The random part tells builds in threads of one process apart.
    temporary = cache / f"{name}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def only_builder(cache: Path, name: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Keep other processes from building an entry during the block; if one builds it now, call `on_wait` and wait for its end.

    So the entry may exist when the block begins.
    """
    path, descriptor = cache / f".{name}.lock", None
    path.touch()
    try:
        # FileNotFoundError: its last holder has removed the file, so the entry exists.
        with suppress(LocksUnsupportedError, FileNotFoundError):
            try:
                descriptor = acquire(path, wait=False)
            except BlockingIOError:
                on_wait()
                descriptor = acquire(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def new_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[tuple[IO[bytes], int]]:
    """A .npy file to be filled with the bytes of the array, and the offset of the first; what is not written is zero.

    Written, not mapped: on a full disk a write is an error, whereas a page of a map that cannot be written ends the process.
    """
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with path.open("wb") as file, locked(path):  # for as long as this process lives and writes
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        start = file.tell()
        yield file, start
        file.flush()
        # Also lengthens the file: a last part that was never written reads as zeros.
        file.truncate(start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        os.fsync(file.fileno())


def publish(temporary: Path, folder: Path, is_whole: Callable[[Path], bool]) -> None:
    """Give a whole entry its name, unless another process was faster; a damaged one is replaced."""
    if folder.exists() and not is_whole(folder):
        # Again a name of an unfinished build, so that a kill between the next two lines leaves nothing that is not
        # cleared away.
        damaged = temporary.with_name(f"{temporary.name[:-8]}{secrets.token_hex(4)}")
        folder.rename(damaged)
        remove(damaged)
    try:
        temporary.rename(folder)
    # Renaming onto a folder that is not empty fails: another process has published the same content first.
    except OSError:
        if not folder.is_dir():
            raise


def remove(folder: Path) -> bool:
    """Remove an entry: our files and the folder, and nothing else that lies there. Return whether it is gone."""
    try:
        for name in dict.fromkeys(name for kind in KINDS for name in kind.files):
            (folder / name).unlink(missing_ok=True)
        if (folder / SHARDS).is_dir():
            for path in (folder / SHARDS).iterdir():
                if _SHARD_FILE.fullmatch(path.name):
                    path.unlink(missing_ok=True)
            (folder / SHARDS).rmdir()
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True


def remove_unfinished(cache: Path) -> None:
    """Remove what killed builds have left; decoded shards stay for a day, as the next build goes on with them."""
    for entry in entries(cache):
        name = _NAME.fullmatch(entry.path.name)
        waits = name is not None and name["shards"] and time.time() - entry.used < SHARDS_KEPT
        if entry.state == "unfinished" and not waits:
            remove(entry.path)
    for path in cache.glob(".*.lock"):  # of `only_builder`
        with suppress(BlockingIOError, LocksUnsupportedError, FileNotFoundError):
            descriptor = acquire(path, wait=False)
            path.unlink(missing_ok=True)
            os.close(descriptor)


class MappedFile:
    """The file of a memory-mapped array, by a descriptor of its own, so that a name given to another file does no harm.

    A page of a map behind the end of its file ends the process with SIGBUS, which Python cannot catch. So the length of the file is
    compared before every batch is taken from it, which costs less than a microsecond. What is left is a file that is cut short while
    the batch is copied, some hundred microseconds. A file that is removed or replaced does no harm: the map keeps what it had.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY)
        # Closed with this object, as maps may outlive any `with` block.
        weakref.finalize(self, os.close, self._file)
        self._size = os.fstat(self._file).st_size

    def check(self) -> None:
        """Raise RunError when the file has become shorter."""
        if os.fstat(self._file).st_size < self._size:
            raise RunError(Problem(str(self.path), "the file has become shorter while it was used.", SHORTER_FIX))
