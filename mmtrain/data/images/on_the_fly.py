"""Images without a store: each is decoded when a batch asks for it, by the same reader and so to the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.data.images.decode import Progress, decode_all, image_bytes, image_format, layout_of
from mmtrain.data.images.image_file import ImageFile
from mmtrain.errors import Problem, RunError
from mmtrain.image_decoding import Layout, UnreadableImage, read
from mmtrain.image_decoding.folder_content import file_state
from mmtrain.system.threads import cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PIECE = 4
"""Images that a thread takes at once: a batch of 32 has work for eight cores."""


class OnTheFlyImages:
    """Stands for the pixels of a store: (files, height, width, channels), of which `take` makes those that are asked for.

    The first files that fit into `memory` bytes stay there once they were decoded, and none ever makes room for another: an
    epoch asks for every image once, so the one used longest ago is no worse to keep than the one used last. Besides these, no
    more is held than one image per core.
    """

    def __init__(self, files: Sequence[ImageFile], layout: Layout, *, memory: int = 0) -> None:
        self.dtype, image = image_format(layout)
        self.shape: tuple[int, ...] = (len(files), *image)
        self.nbytes = 0
        self._files = files
        self._layout = layout
        # Pages of memory are taken only when an image is written to them.
        self._cached = np.empty((min(len(files), memory // image_bytes(layout)), *image), dtype=self.dtype)
        self._is_cached = np.zeros(len(self._cached), dtype=np.bool_)
        self._threads = ThreadPoolExecutor(cores(), thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._files)

    @property
    def cached_images(self) -> int:
        """Images that stay in memory."""
        return len(self._cached)

    @property
    def memory(self) -> int:
        """Bytes that images may come to take."""
        return self._cached.nbytes

    def check(self, progress: Progress | None = None) -> dict[int, tuple[str, str]]:
        """Decode every file once; (what, fix) of those that cannot be."""
        return decode_all(self._files, self._layout, self._keep, progress=progress).unreadable

    def expect(self, images: NDArray[np.int64]) -> None:
        """Do nothing: a file is decoded when it is taken."""

    def gather(self, images: NDArray[np.int64]) -> NDArray[Any]:
        """Return images, (len(images), height, width, channels)."""
        out = np.empty((len(images), *self.shape[1:]), dtype=self.dtype)
        self.take(images, out)
        return out

    def take(self, images: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Fill `out` (len(images), height, width, channels) with these images; places of negative ones are left alone.

        Raises:
            RunError: a file is not what it was when it was checked.

        """
        places = np.flatnonzero(images >= 0)

        def fill(piece: NDArray[np.int64]) -> None:
            for place in piece.tolist():
                out[place] = self._image(int(images[place]))

        # `list` waits for all threads and raises what one of them raised.
        list(self._threads.map(fill, [places[start : start + _PIECE] for start in range(0, len(places), _PIECE)]))

    def _image(self, position: int) -> NDArray[Any]:
        if position < len(self._is_cached) and self._is_cached[position]:
            return np.asarray(self._cached[position])
        file = self._files[position]
        try:
            # Bytes of a cell do not change; reading a member of an archive checks its archive.
            if file.changed and file.offset < 0 and file_state(file.path) != (file.size, file.changed):
                raise _changed(file.path, "the image has changed since it was checked.")
            pixels = read(file.source, layout_of(file, self._layout), writable=False)
        except (OSError, UnreadableImage) as error:
            raise _changed(file.path, f"the image can no longer be read: {error}") from error
        self._keep(position, pixels)
        return pixels

    def _keep(self, position: int, pixels: NDArray[Any]) -> None:
        if position < len(self._cached):
            self._cached[position] = pixels
            # After the pixels: from here on, other threads read them without a lock.
            self._is_cached[position] = True


def _changed(path: str, what: str) -> RunError:
    return RunError(Problem(path, what, "Leave the images alone while they are used, or let them be put into a store; then start again."))
