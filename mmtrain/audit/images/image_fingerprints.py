"""Fingerprints of decoded images: brightness, contrast, perceptual hash.

An image is shrunk to `SIDE` x `SIDE` fields, the means of some of its pixels. Its hash has a bit for each of the 64 lowest
frequencies of the cosine transform (after Zauner 2010, "Implementation and benchmarking of perceptual image hash functions").
Zauner compares coefficients with their median. In drawings half of them are near 0, so that noise decides: 69 % of emoji saved as
JPEG kept their hash within 3 bits. Compared with `CLEAR` times the root mean square, all emoji did, as did photos.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.data.images.decode import Progress, image_bytes, in_chunks
from mmtrain.data.images.prefetch import PixelSource
from mmtrain.image_decoding import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 32
"""Fields of an image, each way."""

COARSE = 8
"""Fields that are kept, each way."""

QUICK, THOROUGH = 2, 4
"""Pixels of a field that are averaged, each way: for all images, and for pairs that are compared."""

CLEAR = 0.3
"""A coefficient of the cosine transform sets its bit above this share of the root mean square of all."""

STEPS = 24
"""Levels of `ImageFingerprints.coarse` in a standard deviation."""

_PIECE = 64
"""Images per task of a thread; bounds the memory where images are decoded on the fly."""


@dataclass(frozen=True, eq=False)
class ImageFingerprints:
    """One entry per image; levels run from 0 to 255 whatever the bits of the pixels."""

    brightness: NDArray[np.float32]
    """Mean luma."""
    contrast: NDArray[np.float32]
    """Highest less lowest luma of a field, or difference of red and blue where that varies more."""
    hashes: NDArray[np.uint64]
    coarse: NDArray[np.int8]
    """(images, 64): the luma of 8 x 8 fields, less their mean, in `STEPS` a standard deviation."""
    prints: NDArray[np.uint64]
    """Equal for equal fields."""

    def select(self, which: NDArray[Any]) -> ImageFingerprints:
        """Select the images where a mask is true, or at some positions."""
        return ImageFingerprints(*(values[which] for values in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Pixels:
    """Decoded images of one store or several with the same layout, or decoded again at each use."""

    sources: tuple[PixelSource, ...]
    layout: Layout

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources)

    def take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Return images, (len(positions), height, width, channels); positions run through all sources. Of a volume the middle slice."""
        taken = self._gather(positions)
        return taken[:, taken.shape[1] // 2] if self.layout.depth else taken

    def _gather(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        if len(self.sources) == 1:
            return self.sources[0].gather(positions)
        out = np.empty((len(positions), *self.sources[0].shape[1:]), dtype=self.sources[0].dtype)
        start = 0
        for source in self.sources:
            places = np.flatnonzero((positions >= start) & (positions < start + len(source)))
            if len(places):
                out[places] = source.gather(positions[places] - start)
            start += len(source)
        return out

    def fields(self, positions: NDArray[np.int64], *, samples: int) -> NDArray[np.float32]:
        """Return fields, (len(positions), SIDE, SIDE, channels), 0 to 255, one channel or three: means of samples x samples pixels."""
        return _fields(self.take(positions), self.layout, samples)


def fingerprint_images(pixels: Pixels, positions: NDArray[np.int64], *, progress: Progress | None = None) -> ImageFingerprints:
    """Return the fingerprints of the images at these positions, computed in threads."""
    count = len(positions)
    fingerprints = ImageFingerprints(
        np.empty(count, dtype=np.float32),
        np.empty(count, dtype=np.float32),
        np.empty(count, dtype=np.uint64),
        np.empty((count, COARSE * COARSE), dtype=np.int8),
        np.empty(count, dtype=np.uint64),
    )

    def look(piece: range) -> int:
        # Threads write into disjoint slices.
        span = slice(piece.start, piece.stop)
        for name, values in vars(_fingerprint(pixels.fields(positions[span], samples=QUICK))).items():
            getattr(fingerprints, name)[span] = values
        return len(piece)

    with closing(in_chunks(look, count, size=_PIECE)) as pieces:
        for piece, _ in pieces:
            if progress is not None:
                progress(piece.stop, count, piece.stop * image_bytes(pixels.layout))
    return fingerprints


def _fingerprint(fields: NDArray[np.float32]) -> ImageFingerprints:
    """Return the fingerprints of fields, (images, SIDE, SIDE, channels)."""
    luma = luma_of(fields)
    contrast = np.ptp(luma, axis=(1, 2))
    if fields.shape[-1] == 3:
        # Red and blue of one luma differ in colour alone.
        contrast = np.maximum(contrast, np.ptp(fields[..., 0] - fields[..., 2], axis=(1, 2)))
    # A random linear hash modulo 2^64: equal fields give equal prints, different ones almost never.
    prints = fields.reshape(len(fields), -1).view(np.uint32).astype(np.uint64) @ _factors(fields[0].size)
    return ImageFingerprints(luma.mean(axis=(1, 2)), contrast, _hashes(luma), _coarse(luma), prints)


def luma_of(fields: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the luma by ITU-R BT.601, (images, side, side), of (images, side, side, channels)."""
    if fields.shape[-1] == 1:
        return fields[..., 0]
    red, green, blue = np.moveaxis(fields, -1, 0)
    luma: NDArray[np.float32] = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma


def downsample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means, (images, COARSE, COARSE, ...), of (images, SIDE, SIDE, ...)."""
    share = SIDE // COARSE
    means: NDArray[np.float32] = values.reshape(len(values), COARSE, share, COARSE, share, *values.shape[3:]).mean(axis=(2, 4))
    return means


@lru_cache
def _factors(count: int) -> NDArray[np.uint64]:
    # A fixed seed, so that prints agree between runs.
    return np.random.Generator(np.random.PCG64(0)).integers(0, 2**64, count, dtype=np.uint64)


def _hashes(luma: NDArray[np.float32]) -> NDArray[np.uint64]:
    waves = _waves()
    spectrum = (waves @ luma @ waves.T).reshape(len(luma), 64)
    # Without the brightness, a lighter copy keeps its hash.
    spectrum[:, 0] = 0  # the brightness
    bits = spectrum > CLEAR * np.sqrt((spectrum**2).mean(axis=1, keepdims=True))
    hashes: NDArray[np.uint64] = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return hashes


@lru_cache
def _waves() -> NDArray[np.float32]:
    """Return the cosines of the eight lowest frequencies, orthonormal (DCT-II), (8, SIDE)."""
    waves = np.sqrt(2 / SIDE) * np.cos(np.pi * (2 * np.arange(SIDE) + 1) * np.arange(8)[:, None] / (2 * SIDE))
    waves[0] /= np.sqrt(2)
    rounded: NDArray[np.float32] = waves.astype(np.float32)
    return rounded


def _coarse(luma: NDArray[np.float32]) -> NDArray[np.int8]:
    fields = downsample(luma).reshape(len(luma), -1)
    fields -= fields.mean(axis=1, keepdims=True)
    spread = np.sqrt((fields**2).mean(axis=1, keepdims=True))
    # A quarter of the memory of floats, since all pairs of neighbours are read; the floor is for blank images.
    coarse: NDArray[np.int8] = np.rint(STEPS * fields / np.maximum(spread, 1e-6)).clip(-127, 127).astype(np.int8)
    return coarse


def _fields(images: NDArray[Any], layout: Layout, samples: int) -> NDArray[np.float32]:
    """Return fields, (images, SIDE, SIDE, channels), of images (images, height, width, channels): means of `samples` x `samples` pixels."""
    # Centres of a regular grid: a few pixels of a field stand for all.
    height, width = (((np.arange(SIDE * samples) + 0.5) * length / (SIDE * samples)).astype(np.int64) for length in images.shape[1:3])
    width = width.reshape(SIDE, samples).T.ravel()  # the first samples of all fields, then the second ones: long runs to add
    sampled = images.take(height, axis=1).take(width, axis=2)
    if sampled.shape[-1] == 4:  # transparent pixels are laid on the background, as in the store
        opacity = sampled[..., 3:].astype(np.float32) / 255
        sampled = sampled[..., :3] * opacity + np.array(layout.background, dtype=np.float32) * (1 - opacity)
    count, *_, channels = sampled.shape
    summed = _sum_over(_sum_over(sampled.reshape(count, SIDE, samples, samples, SIDE * channels), 2), 2)
    # 16-bit levels are brought to 0 to 255: 65,535 is 257 x 255.
    return summed.reshape(count, SIDE, SIDE, channels) / np.float32(samples**2 * (257 if images.dtype == np.uint16 else 1))


def _sum_over(values: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """Sum over a short axis: one addition of whole arrays for each step along it is three times as fast as `sum`."""
    first, *others = np.moveaxis(values, axis, 0)
    total: NDArray[np.float32] = first.astype(np.float32)
    for other in others:
        total += other
    return total
