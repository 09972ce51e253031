"""Images of all columns with the same layout, so that their pixels can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.images.exposure import is_blank
from mmtrain.audit.images.image_column import ImageFiles, file_offsets
from mmtrain.audit.images.image_fingerprints import ImageFingerprints, Pixels, fingerprint_images
from mmtrain.audit.images.near_duplicates import equal_pixels, similar_pairs
from mmtrain.data.images.decode import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ComparableImages:
    """`at`, `files` and `looks` have an entry per image that was decoded."""

    pixels: Pixels
    at: NDArray[np.int64]
    """Position in `pixels`."""
    files: NDArray[np.int64]
    """Position among the files of all columns, one column after the other."""
    looks: ImageFingerprints

    @property
    def faint(self) -> NDArray[np.bool_]:
        """Mark images of one colour, or nearly so, which are equal or similar for no other reason."""
        return is_blank(self.looks, self.pixels.layout.bits)

    def equal(self, contents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return pairs of files with the same pixels, (pairs, 2); files with equal `contents` need no comparison."""
        entries = self._different(contents)
        return self.files[entries[equal_pixels(self.pixels, self.looks.select(entries), self.at[entries])]]

    def similar(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return pairs of files that look the same, (pairs, 2); files with equal `images` (the same pixels) need no comparison."""
        entries = self._different(images)
        return self.files[entries[similar_pairs(self.pixels, self.looks.select(entries), self.at[entries])]]

    def _different(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return one entry of each number, without those of one colour."""
        entries = np.flatnonzero(~self.faint)
        _, first = np.unique(numbers[self.files[entries]], return_index=True)
        # Ascending, so that pixels that follow each other are read without a copy.
        return np.sort(entries[first])


def comparable_images(columns: Sequence[ImageFiles], progress: Progress | None = None) -> Iterator[ComparableImages]:
    """Yield the images of each layout."""
    starts = file_offsets(columns).tolist()
    layouts = dict.fromkeys(column.layout for column in columns)
    for layout in layouts:
        members = [(start, column) for start, column in zip(starts, columns, strict=False) if column.layout == layout]
        sources = tuple(column.of.store.pixels for _, column in members if column.of.store is not None)
        if layout is None or not sources:
            continue
        at = np.flatnonzero(np.concatenate([column.readable for _, column in members]))
        files = np.concatenate([start + np.arange(len(column.located.files)) for start, column in members])
        if len(at):
            pixels = Pixels(sources, layout)
            yield ComparableImages(pixels, at, files[at], fingerprint_images(pixels, at, progress=progress))
