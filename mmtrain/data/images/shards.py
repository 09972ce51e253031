"""Build the pixels of an image store in shards, by all processes that need it: on one machine, or on several that share the cache folder.

The pixels of all shards lie in one file, so that the store is read as one and is the same to the bit, whichever processes wrote it. A
process takes the first shard that nobody works on: it locks the file of the shard, decodes its images into their place, and leaves a
record. The kernel drops the lock of a killed process, whose shard is then decoded again by another one; shards with a record stay, also for
a later command. A process without a shard to take waits for the others.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock
from typing import Any

from numpy.typing import NDArray

from mmtrain.data.cache import FULL, IMAGES, SHARDS, bytes_on_disk, new_array
from mmtrain.data.images.decode import Outcome, Progress, decode_all, image_bytes, image_format
from mmtrain.data.images.image_file import ImageFile
from mmtrain.image_decoding import Layout
from mmtrain.system.locks import LocksUnsupportedError, acquire

SHARD_IMAGES = 1024
SHARD_BYTES = 256_000_000
"""Most images of a shard, and bytes of their pixels: a killed process loses some seconds of work."""
POLL_SECONDS = 0.05
"""Time between two looks at the shards of others."""
FLUSH_SECONDS = 0.03
"""Time for which pixels gather before the disk is made to write them."""
_SEEKING = Lock()
"""Held while the position of a file is used, where the system has no writing at a position (Windows)."""


@dataclass(frozen=True)
class ShardedBuild:
    """The build of one store: `folder` is that of the build in the cache, `hashed` asks for the hashes of the files."""

    folder: Path
    files: Sequence[ImageFile]
    layout: Layout
    hashed: bool = False

    @classmethod
    def of(cls, cache: Path, name: str, files: Sequence[ImageFile], layout: Layout, *, hashed: bool = False) -> ShardedBuild:
        """Return the build of the store `name`, which other processes may have begun; files that have changed since give another one."""
        times = sha256(json.dumps([file.changed for file in files]).encode()).hexdigest()
        return cls(cache / f"{name}.shards-{times[:8]}", files, layout, hashed)

    @cached_property
    def shards(self) -> list[range]:
        """The positions of the images of each shard."""
        size = max(1, min(SHARD_IMAGES, SHARD_BYTES // image_bytes(self.layout)))
        return [range(start, min(start + size, len(self.files))) for start in range(0, len(self.files), size)]

    @property
    def _array(self) -> Path:
        return self.folder / IMAGES.array

    @property
    def written(self) -> int:
        """Bytes on disk of a build that was begun."""
        with suppress(OSError):
            return bytes_on_disk(self._array.stat())
        return 0

    def decode(self, progress: Progress | None = None) -> Outcome | None:
        """Decode shards until all are decoded, here or elsewhere; None where another process publishes the store meanwhile.

        Raises OSError where the cache cannot be written.
        """
        done: dict[int, Outcome] = {}
        try:
            while len(done) < len(self.shards):
                if not self._array.is_file():
                    return None
                if not self._decode_free(done, progress):
                    time.sleep(POLL_SECONDS)
        except BaseException as error:
            full = isinstance(error, OSError) and error.errno in FULL
            if full or not any(self._record(number) is not None for number in range(len(self.shards))):
                self.remove()
            raise
        unreadable = {place: reason for number in sorted(done) for place, reason in done[number].unreadable.items()}
        return Outcome(unreadable, b"".join(done[number].hashes for number in sorted(done)))

    def _decode_free(self, done: dict[int, Outcome], progress: Progress | None) -> bool:
        """Add the shards that are decoded to `done`, and decode those that nobody works on; return whether there were any."""
        before, size = len(done), image_bytes(self.layout)
        for number, shard in enumerate(self.shards):
            if number in done:
                continue
            outcome = self._record(number)
            if outcome is None:
                outcome = self._take(number, shard, done, progress)
            elif progress is not None:
                count = sum(len(self.shards[one]) for one in (*done, number))
                progress(count, len(self.files), count * size)
            if outcome is not None:
                done[number] = outcome
        return len(done) > before

    def begin(self) -> None:
        """Make the folder with an array of zeros, unless another process has done so."""
        dtype, image = image_format(self.layout)
        temporary = self.folder.with_name(f"{self.folder.name.partition('.shards-')[0]}.tmp-{os.getpid()}-{os.urandom(4).hex()}")
        (temporary / SHARDS).mkdir(parents=True)
        try:
            with new_array(temporary / IMAGES.array, (len(self.files), *image), dtype):
                pass
            with suppress(OSError):  # another process was faster
                temporary.rename(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _take(self, number: int, shard: range, done: dict[int, Outcome], progress: Progress | None) -> Outcome | None:
        """Decode a shard; None where another process works on it, or the store has been published."""
        before = sum(len(self.shards[one]) for one in done)
        size = image_bytes(self.layout)

        def report(count: int, _total: int, _bytes: int) -> None:
            if progress is not None:
                progress(before + count, len(self.files), (before + count) * size)

        with _locked(self.folder / SHARDS / f"{number:06}.lock") as mine:
            if not mine:
                return None
            if (outcome := self._record(number)) is not None:  # written between the look and the lock
                return outcome
            try:
                outcome = self._write(shard, report)
            except FileNotFoundError:
                return None
            self._leave_record(number, outcome)
            return outcome

    def _write(self, shard: range, progress: Progress) -> Outcome:
        """Decode the images of a shard into their place in the array; those that cannot be are zeros."""
        size, path = image_bytes(self.layout), self._array
        start = path.stat().st_size - len(self.files) * size + shard.start * size
        with path.open("r+b", buffering=0) as file:

            def keep(position: int, pixels: NDArray[Any]) -> None:
                _write_at(file.fileno(), pixels.data.cast("B"), start + position * size)

            with written_meanwhile(file.fileno()):
                files = self.files[shard.start : shard.stop]
                outcome = decode_all(files, self.layout, keep, hashed=self.hashed, progress=progress)
                # A process that was killed in this shard may have left something in their place.
                for position in outcome.unreadable:
                    _write_at(file.fileno(), memoryview(bytes(size)), start + position * size)
            os.fsync(file.fileno())
        return Outcome({shard.start + position: reason for position, reason in outcome.unreadable.items()}, outcome.hashes)

    def _record(self, number: int) -> Outcome | None:
        """Return the outcome of a shard that has been decoded."""
        try:
            record = json.loads((self.folder / SHARDS / f"{number:06}.json").read_text(encoding="utf-8"))
            return Outcome(
                {int(place): (what, fix) for place, (what, fix) in record["unreadable"].items()}, bytes.fromhex(record["hashes"])
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _leave_record(self, number: int, outcome: Outcome) -> None:
        path = self.folder / SHARDS / f"{number:06}.json"
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_text(json.dumps({"unreadable": outcome.unreadable, "hashes": outcome.hashes.hex()}), encoding="utf-8")
        unfinished.replace(path)

    def remove_damaged(self) -> None:
        """Remove what a process left that was killed while it published the store."""
        if self.folder.is_dir() and not self._array.is_file():
            self.remove()

    @contextmanager
    def publishing(self) -> Iterator[bool]:
        """Context in which this process alone completes the folder and gives it its name; False where another one does so."""
        with _locked(self.folder / SHARDS / "publish.lock") as mine:
            yield mine and self._array.is_file()

    def remove(self) -> None:
        """Remove the folder, unless another process works on it."""
        held: list[int] = []
        with suppress(OSError):
            for path in (self.folder / SHARDS).glob("*.lock"):
                with suppress(LocksUnsupportedError):
                    held.append(acquire(path, wait=False))
            shutil.rmtree(self.folder, ignore_errors=True)
        for lock in held:
            os.close(lock)


@contextmanager
def written_meanwhile(descriptor: int) -> Iterator[None]:
    """Let the disk write what there is while more is decoded, so that next to nothing is left to wait for at the end.

    Raises:
        OSError: the disk cannot write. It says so only once, and not again when the file is closed.

    """
    done = Event()

    def write() -> None:
        while not done.wait(FLUSH_SECONDS):
            os.fsync(descriptor)

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        try:
            yield
        finally:
            done.set()
    # Raises here what the thread could not write.
    writing.result()


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Context in which a file is locked by this process; False where another one has locked it, or its folder is gone.

    On a file system without locks every process has it: then each decodes all shards, to the same bytes.
    """
    lock: int | None = None
    try:
        path.touch()  # `remove` looks for it
        lock = acquire(path, wait=False)
        # The file may have been removed before it was locked.
        mine = os.fstat(lock).st_nlink > 0 and path.is_file()
    except (FileNotFoundError, BlockingIOError):
        mine = False
    except LocksUnsupportedError:
        mine = path.is_file()
    try:
        yield mine
    finally:
        if lock is not None:
            os.close(lock)


def _write_at(descriptor: int, left: memoryview, offset: int) -> None:
    # May write fewer bytes than it was given.
    while left:
        if hasattr(os, "pwrite"):
            written = os.pwrite(descriptor, left, offset)
        else:
            with _SEEKING:
                os.lseek(descriptor, offset, os.SEEK_SET)
                written = os.write(descriptor, left)
        left, offset = left[written:], offset + written
