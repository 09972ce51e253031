"""The images of a store, as batches read them; of one larger than memory, the kernel gets those of coming batches by name.

Left alone, the kernel reads what lies around every page that is touched, up to megabytes. Images come in shuffled order, so
that without room to keep it this is thrown away unused, and each wait is for one request. Where a store does not fit, reading
around is switched off and the images of coming batches are asked for by name, many at a time. They are then read, not mapped:
taking pages away from a map again costs more than copying them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mmtrain.data.cache import MappedFile
from mmtrain.errors import Problem, RunError
from mmtrain.system.memory import available_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUEST = 1 << 17
"""Bytes of one request: of a longer range, a kernel with usual settings reads only this much."""

PREFETCH_MEMORY_SHARE = 0.5
"""A store fits when it takes up to this share of the memory that is available before TensorFlow has taken its own."""


class PixelSource(Protocol):
    """Decoded images by position, wherever they are kept: mapped from a store, or decoded anew for every batch."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(images, height, width, channels)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Either uint8 or uint16."""

    def __len__(self) -> int:
        """Return the number of images."""

    @property
    def nbytes(self) -> int:
        """Bytes of all images on disk; 0 where they are decoded on the fly."""

    @property
    def memory(self) -> int:
        """Bytes of `data.cache.memory` that its images may take."""

    def expect(self, images: NDArray[np.int64]) -> None:
        """Prepare for `take` of these images; negative ones are skipped."""

    def take(self, images: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Fill `out` (len(images), height, width, channels); the content at places of negative positions is left to the caller.

        Raises RunError when a file has changed.
        """

    def gather(self, images: NDArray[np.int64]) -> NDArray[Any]:
        """Return images, (len(images), height, width, channels), all positions at least 0; a view where that is possible."""


@dataclass(frozen=True, eq=False)
class StoredImages:
    """The images of a store: `pixels` (images, height, width, channels) uint8 or uint16, read-only, mapped into memory."""

    pixels: NDArray[Any]
    file: MappedFile | None = None
    """The mapped file."""
    ahead: ReadAhead | None = None
    """Reads the images of a store that memory has no room for; None where there is room."""
    memory: int = 0

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """(images, height, width, channels)."""
        return self.pixels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Either uint8 or uint16."""
        return self.pixels.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all images."""
        return self.pixels.nbytes

    def expect(self, images: NDArray[np.int64]) -> None:
        """Have the disk read these images meanwhile; where the store fits into memory, nothing is done."""
        if self.ahead is not None:
            self.ahead.expect(images)

    def take(self, images: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Fill `out` with these images. Raises RunError when the store was cut short."""
        if self.ahead is not None:
            self.ahead.take(images, out)
        elif len(self.pixels):
            if self.file is not None:
                self.file.check()
            # "clip" writes straight into `out`, "raise" would go through a buffer; it takes image 0 for -1.
            np.take(self.pixels, images, axis=0, out=out, mode="clip")

    def gather(self, images: NDArray[np.int64]) -> NDArray[Any]:
        """Return images, as a view where positions follow each other."""
        first, last = int(images[0]), int(images[-1])
        if last - first == len(images) - 1 and (np.diff(images) == 1).all():
            return self.pixels[first : last + 1]
        gathered: NDArray[Any] = self.pixels[images]
        return gathered


class ReadAhead:
    """Reads images of one store, and lets the kernel begin earlier. To be made only where the store does not fit into memory.

    `pixels` (images, height, width, channels) stand at the end of the file at `path`.
    """

    def __init__(self, path: Path, pixels: NDArray[Any]) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._image = pixels[0].nbytes
        # The header of a .npy file comes first, the pixels fill the rest.
        self._start = os.fstat(self._file).st_size - pixels.nbytes
        self._asked = np.zeros(len(pixels), dtype=np.bool_)
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        # Switches off reading around each page.
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM)

    def expect(self, images: NDArray[np.int64]) -> None:
        """Have these read, without waiting for it; negative ones are none."""
        # Sorted, so that neighbours in the file become one request.
        wanted = np.unique(images[images >= 0])
        # In a thread of its own: asking takes as long as finding room for what is asked for.
        self._asking.submit(self._ask, list(contiguous_runs(wanted[~self._asked[wanted]])))
        self._asked[wanted] = True

    def _ask(self, wanted: list[tuple[int, int]]) -> None:
        for first, last in wanted:
            start, end = self._start + first * self._image, self._start + (last + 1) * self._image
            for begin in range(start, end, REQUEST):
                os.posix_fadvise(self._file, begin, min(REQUEST, end - begin), os.POSIX_FADV_WILLNEED)

    def take(self, images: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Fill `out` (len(images), height, width, channels) with these images; places of negative ones are left alone.

        Raises:
            RunError: the store has become shorter.

        """
        self.expect(images)
        for place in np.flatnonzero(images >= 0).tolist():
            self._read(int(images[place]), out[place].data.cast("B"))
        self._asked[images[images >= 0]] = False  # from now on they may have to be read again

    def _read(self, image: int, left: memoryview) -> None:
        offset = self._start + image * self._image
        # A read may return fewer bytes than were asked for.
        while left:
            read = os.preadv(self._file, [left], offset)
            if not read:
                what = "the image store has become shorter while it was used."
                raise RunError(Problem(str(self._path), what, "Start again, and leave the cache alone while a run uses it."))
            left, offset = left[read:], offset + read


def read_ahead(path: Path, pixels: NDArray[Any]) -> ReadAhead | None:
    """Return the read-ahead for the store of `pixels` at `path`; None where it fits into memory."""
    if not hasattr(os, "posix_fadvise"):  # macOS
        return None
    return ReadAhead(path, pixels) if len(pixels) and pixels.nbytes > PREFETCH_MEMORY_SHARE * available_memory() else None


def contiguous_runs(numbers: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last of every run of consecutive numbers; `numbers` rise."""
    if len(numbers):
        breaks = np.flatnonzero(np.diff(numbers) > 1)
        firsts, lasts = numbers[np.append(0, breaks + 1)], numbers[np.append(breaks, len(numbers) - 1)]
        yield from zip(firsts.tolist(), lasts.tolist(), strict=True)
