"""Summary of a column of images: brightness and depth."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from mmtrain.columns.summaries.base import Accumulator, ColumnStatistics, Moments, SeenRows, percent, share, shifted, statistics_kinds
from mmtrain.image_decoding import UnreadableImage, inspect

MOST_HEADERS = 200
"""Files whose header is read for its depth."""

STRIDE = 8
"""Distance of the rows and columns whose pixels are read: one pixel in 64, which costs nothing next to decoding the image."""


class ImageStatistics(ColumnStatistics):
    """Images; brightness is 0 for black and 1 for white, the mean of each image's pixels, and may be that of some images."""

    kind: Literal["image"] = "image"
    brightness: float
    deviation: float
    headers: int = Field(description="Files whose depth was looked at.")
    deep: int = Field(description="Those with 16 bits.")

    def drift(self, now: ImageStatistics) -> dict[str, str]:
        """Missing images, another depth, another brightness."""
        sentences = super().drift(now)
        if self.headers and now.headers and abs(share(now.deep, now.headers) - share(self.deep, self.headers)) > 0.5:
            deep, usual = percent(now.deep, now.headers), percent(self.deep, self.headers)
            sentences["depth"] = f"{deep} of the images have 16 bits, in training {usual}."
        if self.rows and now.rows and (how := shifted(now.brightness, self.brightness, self.deviation, now.rows)):
            text = f"the mean brightness is {now.brightness:.2f}, in training {self.brightness:.2f} (0 black, 1 white)"
            sentences["brightness"] = f"{text}: {how}."
        return sentences


statistics_kinds.add("image", ImageStatistics)


class ImageAccumulator(Accumulator):
    """Adds up images; `levels` is the value of full brightness. Depth is looked up only where images may have 16 bits.

    With `several`, a row has several images, each of which counts.
    """

    reads: ClassVar[Literal["images"]] = "images"

    def __init__(self, levels: int, *, several: bool = False) -> None:
        self._levels, self._several = levels, several
        self._rows = self._missing = 0
        self._brightness = Moments()
        self._headers = self._deep = 0

    def add(self, seen: SeenRows) -> None:
        """Count rows by `present`; measure the images in `entries`, where they are given, and the files of these."""
        shown = seen.require("present")[:, 0] > 0
        if not seen.counted:
            self._rows += int(shown.sum())
            self._missing += int((~shown).sum())
        if seen.entries is not None:
            entries = seen.entries
            if self._several:
                entries = entries.reshape(-1, *entries.shape[2:])
                shown = np.asarray(entries.any(axis=(1, 2, 3)))
            # (rows,) brightness over a grid of pixels, in levels
            means = entries[:, ::STRIDE, ::STRIDE].mean(axis=tuple(range(1, entries.ndim)), dtype=np.float64)
            self._brightness.add(means[shown] / self._levels)
            self._look_up_depth(seen.paths if self._levels > 255 else ())

    def _look_up_depth(self, paths: Iterable[Path | bytes]) -> None:
        for path in paths:
            if self._headers == MOST_HEADERS:
                return
            try:
                # `inspect` reads the header only.
                self._deep += inspect(path).bits == 16
                self._headers += 1
            except UnreadableImage:  # reported where it is decoded
                continue

    def statistics(self) -> ImageStatistics:
        """Summarize everything added so far."""
        brightness = self._brightness
        return ImageStatistics(
            rows=self._rows,
            missing=self._missing,
            brightness=brightness.mean,
            deviation=brightness.deviation,
            headers=self._headers,
            deep=self._deep,
        )

    def drift(self, learned: ColumnStatistics, *, folder_hint: str = "") -> dict[str, str]:
        """Return the drift, with a question for the images folder where not one cell has an image."""
        sentences = super().drift(learned, folder_hint=folder_hint)
        if self._rows or not folder_hint:
            return sentences
        return {kind: f"{text} Not one cell has an image: {folder_hint}" for kind, text in sentences.items()}
