"""Cache of encoder features: missing features are computed with messages of progress, or their time is estimated on a few inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.config.experiment import Cache
from mmtrain.data.arrays import Array
from mmtrain.data.encoded_column import ArrayLayout, EncodedColumn, Provenance, cached_column, encoded_column
from mmtrain.data.images.store import Say
from mmtrain.encoders import Encoder
from mmtrain.errors import counted, duration

VERSION = 1
"""Part of the name of every entry; to be raised when encoders give other features for the same inputs and weights."""
SECONDS_TO_FIRST_LINE, SECONDS_BETWEEN_LINES = 5.0, 20.0
"""Time to the first message of progress, and from one to the next."""
BATCHES_OF_ESTIMATE = 3
"""Batches that an estimate reads. The first warms up the network and is not timed."""


@dataclass(frozen=True)
class FeatureEstimate:
    """Estimate of the time and the size of features that are not cached yet, from a few inputs."""

    column: str
    model: str
    count: int
    """Number of images with their views, or of distinct texts, that it has to read."""
    noun: str
    seconds: float
    """Time that it will take."""
    size: int
    """Bytes of the features."""


@dataclass(frozen=True)
class FeatureCache:
    """The cache of the features of one column, under its `header`; `say` gets sentences when features are computed."""

    header: str
    cache: Cache
    say: Say
    estimates: list[FeatureEstimate] | None = None
    """List that takes an estimate in place of the computation; None to compute."""

    def column(
        self,
        encoder: Encoder,
        layout: ArrayLayout,
        content: Mapping[str, Any],
        read: Callable[[], Generator[Array]],
        noun: str,
        work: Array,
    ) -> EncodedColumn:
        """Return the features of the inputs that `content` identifies, from the cache or from `read`, which yields them in order.

        `work` is in proportion to the time that each input takes.
        """
        facts = {"features": VERSION, "weights": encoder.fingerprint, "model": encoder.design, "tensorflow": tf.__version__}
        # Not under the header: other columns may have the same images or texts.
        provenance = Provenance({**facts, **content}, Path(encoder.name), f"features of {noun}s by {encoder.name}")
        if self.estimates is not None:
            return cached_column(layout, provenance, self.cache) or self._estimate(encoder, layout, read(), noun, work)

        def chunks() -> Generator[tuple[Array, Array]]:
            for values in self._with_progress(read(), encoder, layout, noun, work):
                yield values, np.ones((len(values), 1), np.float32)

        return encoded_column(layout, lambda: provenance, chunks, self.cache, least=0, say=self.say)

    def _with_progress(self, batches: Iterable[Array], encoder: Encoder, layout: ArrayLayout, noun: str, work: Array) -> Generator[Array]:
        """Yield the batches; report the progress, and at the end the duration."""
        begun = time.perf_counter()
        rows, due, whole = 0, begun + SECONDS_TO_FIRST_LINE, float(work.sum())
        total = layout.rows * layout.shape[0]
        for values in batches:
            yield values
            rows, moment = rows + len(values), time.perf_counter()
            if moment > due and rows < layout.rows:
                due, seconds, done = moment + SECONDS_BETWEEN_LINES, moment - begun, float(work[:rows].sum())
                pace = f"{rows * layout.shape[0] / seconds:,.0f} a second, {duration(seconds * (whole - done) / done)} left"
                self.say(f"{self.header}: {encoder.name} has read {rows * layout.shape[0]:,} of {counted(total, noun)} ({pace}).")
        seconds = time.perf_counter() - begun
        pace = f"in {duration(seconds)} ({total / seconds:,.0f} a second)"
        self.say(f"{self.header}: {encoder.name} has read {counted(total, noun)} {pace}.")

    def _estimate(self, encoder: Encoder, layout: ArrayLayout, batches: Generator[Array], noun: str, work: Array) -> EncodedColumn:
        """Time a few batches, and return their features as if they were all."""
        values: list[Array] = []
        timed = seconds = 0.0
        start, begun = 0, time.perf_counter()
        with closing(batches):
            for batch in islice(batches, BATCHES_OF_ESTIMATE):
                elapsed, begun = time.perf_counter() - begun, time.perf_counter()
                if values or len(batch) == layout.rows:
                    timed, seconds = timed + float(work[start : start + len(batch)].sum()), seconds + elapsed
                start += len(batch)
                values.append(batch)
        codes = np.concatenate([*values, np.zeros((0, *layout.shape), np.float32)])
        total = layout.rows * layout.shape[0]
        if self.estimates is not None and total:
            whole = seconds * float(work.sum()) / timed
            one = FeatureEstimate(self.header, encoder.name, total, noun, whole, layout.size)
            self.estimates.append(one)
            pace = f"in about {duration(whole)} ({total / max(whole, 1e-9):,.0f} a second)"
            self.say(f"{self.header}: {encoder.name} would read {counted(total, noun)} {pace}; {len(codes):,} of them were read.")
        return EncodedColumn(codes, np.ones((len(codes), 1), np.float32))
