"""How pictures look, from their decoded pixels: brightness, contrast, and what tells pictures that look the same.

A picture is shrunk to `SIDE` x `SIDE` by averaging. Its hash has a bit for each of the 64 lowest frequencies of the cosine
transform (after Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"). There a bit says whether a
coefficient is above the median. In drawings half of all coefficients are next to nothing, so that noise decides: of emoji saved
as JPEG 69 of 100 kept a hash within 3 bits. Against `CLEAR` of their root mean square all did, and photos kept theirs as before.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.data.image_decode import Progress, in_pieces, picture_bytes
from mmtrain.data.image_flight import InFlight
from mmtrain.pixels import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

SIDE = 32
"""Of a thumbnail."""

COARSE = 8
"""Of what is kept of a thumbnail."""

CLEAR = 0.3
"""A coefficient of the cosine transform sets its bit above this share of the root mean square of all."""

STEPS = 24
"""Of `Looks.coarse`, in a standard deviation."""

_PIECE = 64
"""Pictures that a thread takes at once; bounds what is held where pictures are decoded in flight."""

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R BT.601."""


@dataclass(frozen=True, eq=False)
class Looks:
    """One entry per picture; levels run from 0 to 255 whatever the bits of the pixels."""

    brightness: NDArray[np.float32]
    """Mean luma."""
    contrast: NDArray[np.float32]
    """Highest less lowest luma of the thumbnail, or difference of red and blue where that varies more."""
    hashes: NDArray[np.uint64]
    coarse: NDArray[np.int8]
    """(pictures, 64): the luma of 8 x 8 fields, less their mean, in `STEPS` a standard deviation."""
    prints: NDArray[np.uint64]
    """Equal for equal thumbnails."""

    def select(self, which: NDArray[Any]) -> Looks:
        """Of those pictures only where a mask is true, or at some positions."""
        return Looks(*(values[which] for values in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Pixels:
    """Decoded pictures: of a store, of several with the same layout, or in flight, where each use decodes them again."""

    sources: tuple[NDArray[Any] | InFlight, ...]
    layout: Layout

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources)

    def take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """(len(positions), height, width, channels); positions run through all sources."""
        if len(self.sources) == 1 and not isinstance(self.sources[0], InFlight):
            return _taken(self.sources[0], positions)
        out = np.empty((len(positions), *self.sources[0].shape[1:]), dtype=self.sources[0].dtype)
        start = 0
        for source in self.sources:
            own = np.flatnonzero((positions >= start) & (positions < start + len(source)))
            if isinstance(source, InFlight):
                found = np.empty((len(own), *out.shape[1:]), dtype=out.dtype)
                source.take(positions[own] - start, found)
                out[own] = found
            elif len(own):
                out[own] = _taken(source, positions[own] - start)
            start += len(source)
        return out

    def thumbnails(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """(len(positions), SIDE, SIDE, channels), 0 to 255, uint8 or float32; one channel or three."""
        return np.stack([_thumbnail(picture, self.layout) for picture in self.take(positions)])


def _taken(source: NDArray[Any], positions: NDArray[np.int64]) -> NDArray[Any]:
    """Without a copy where positions follow each other."""
    first, last = int(positions[0]), int(positions[-1])
    if last - first == len(positions) - 1 and (np.diff(positions) == 1).all():
        return source[first : last + 1]
    taken: NDArray[Any] = source[positions]
    return taken


def looks(pixels: Pixels, positions: NDArray[np.int64], *, progress: Progress | None = None) -> Looks:
    """How the pictures at these positions look, in threads."""
    count = len(positions)
    found = Looks(
        np.empty(count, dtype=np.float32),
        np.empty(count, dtype=np.float32),
        np.empty(count, dtype=np.uint64),
        np.empty((count, COARSE * COARSE), dtype=np.int8),
        np.empty(count, dtype=np.uint64),
    )

    def look(piece: range) -> int:
        own = slice(piece.start, piece.stop)
        thumbnails = pixels.thumbnails(positions[own])
        for name, values in vars(_looks(thumbnails)).items():
            getattr(found, name)[own] = values
        return len(piece)

    with closing(in_pieces(look, count, size=_PIECE)) as pieces:
        for piece, _ in pieces:
            if progress is not None:
                progress(piece.stop, count, piece.stop * picture_bytes(pixels.layout))
    return found


def _looks(thumbnails: NDArray[Any]) -> Looks:
    """Of (pictures, SIDE, SIDE, channels)."""
    prints = [int.from_bytes(blake2b(one, digest_size=8).digest(), "big") for one in thumbnails]
    values = thumbnails.astype(np.float32)
    luma = values[..., 0] if values.shape[-1] == 1 else values @ _LUMA
    contrast = np.ptp(luma, axis=(1, 2))
    if values.shape[-1] == 3:
        contrast = np.maximum(contrast, np.ptp(values[..., 0] - values[..., 2], axis=(1, 2)))
    return Looks(luma.mean(axis=(1, 2)), contrast, _hashes(luma), _coarse(luma), np.array(prints, dtype=np.uint64))


def _hashes(luma: NDArray[np.float32]) -> NDArray[np.uint64]:
    waves = _waves()
    spectrum = (waves @ luma @ waves.T).reshape(len(luma), 64)
    spectrum[:, 0] = 0  # the brightness
    bits = spectrum > CLEAR * np.sqrt((spectrum**2).mean(axis=1, keepdims=True))
    hashes: NDArray[np.uint64] = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return hashes


@lru_cache
def _waves() -> NDArray[np.float32]:
    """(8, SIDE): the cosines of the eight lowest frequencies, orthonormal (DCT-II)."""
    waves = np.sqrt(2 / SIDE) * np.cos(np.pi * (2 * np.arange(SIDE) + 1) * np.arange(8)[:, None] / (2 * SIDE))
    waves[0] /= np.sqrt(2)
    rounded: NDArray[np.float32] = waves.astype(np.float32)
    return rounded


def _coarse(luma: NDArray[np.float32]) -> NDArray[np.int8]:
    fields = luma.reshape(len(luma), COARSE, SIDE // COARSE, COARSE, SIDE // COARSE).mean(axis=(2, 4)).reshape(len(luma), -1)
    fields -= fields.mean(axis=1, keepdims=True)
    spread = np.sqrt((fields**2).mean(axis=1, keepdims=True))
    coarse: NDArray[np.int8] = np.rint(STEPS * fields / np.maximum(spread, 1e-6)).clip(-127, 127).astype(np.int8)
    return coarse


def _thumbnail(picture: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """(SIDE, SIDE, channels) of (height, width, channels), by averages; what is transparent lies on the background."""
    from PIL.Image import Resampling

    image = _image(picture, layout)
    factors = (max(1, image.width // SIDE), max(1, image.height // SIDE))
    if factors != (1, 1):  # in whole numbers, which takes a third of the time
        image = image.reduce(factors)
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Resampling.BOX)
    return np.asarray(image).reshape(SIDE, SIDE, -1)


def _image(picture: NDArray[Any], layout: Layout) -> Image:
    from PIL import Image

    height, width, channels = picture.shape
    if picture.dtype == np.uint16:
        return Image.fromarray(picture[..., 0].astype(np.float32) / 257)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    image = Image.frombuffer(mode, (width, height), np.ascontiguousarray(picture), "raw", mode, 0, 1)
    if channels == 4:
        return Image.alpha_composite(Image.new("RGBA", image.size, (*layout.background, 255)), image).convert("RGB")
    return image
