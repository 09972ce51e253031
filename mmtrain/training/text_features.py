"""Features of frozen text encoders: every distinct text is read once, in batches of texts of about the same length.

The time of a transformer grows with the padded length of a batch; sorted by length, reviews of 20 to 128 pieces take 60 % of it.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.columns import RowSource
from mmtrain.config.experiment import Cache
from mmtrain.data.arrays import Array
from mmtrain.data.encoded_column import ArrayLayout, EncodedColumn, Provenance, encoded_column
from mmtrain.data.images.store import Say
from mmtrain.encoders import Encoder
from mmtrain.errors import counted
from mmtrain.specs import PieceSpec
from mmtrain.system.threads import in_threads

VERSION = 1
"""Part of the name of every entry; to be raised when encoders give other features for the same pieces and weights."""
PIECES_AT_ONCE = 4096
"""Pieces of a batch, padding included: 32 texts of 128. Larger batches are no faster on a CPU, and take 25 MB per 1,024 of inner width."""
ROWS_AT_ONCE = 65_536
"""Rows that are hashed at once."""


@dataclass(frozen=True, eq=False)
class DistinctTexts:
    """The distinct texts among the rows of a column, the shortest first."""

    source: RowSource
    rows: Array
    """A row of each text."""
    lengths: Array
    """Pieces of each text."""
    index: Array
    """The text of every row, -1 where the column is absent."""
    digest: str
    """SHA-256 of all distinct texts; the same for the same texts in other rows."""

    @classmethod
    def of(cls, source: RowSource, present: Array, spec: PieceSpec) -> DistinctTexts:
        """Find the distinct texts of a source of ids (rows, length) by two 64-bit multilinear hashes of their ids."""
        factors = np.random.default_rng(0).integers(1, 2**63, size=(2, spec.length), dtype=np.uint64) | np.uint64(1)
        count = len(present)
        hashes, lengths = np.empty((count, 2), np.uint64), np.empty(count, np.int32)
        for start in range(0, count, ROWS_AT_ONCE):
            ids = source.take(np.arange(start, min(start + ROWS_AT_ONCE, count)))
            places = slice(start, start + len(ids))
            hashes[places] = ids.astype(np.uint64) @ factors.T
            lengths[places] = (ids != spec.padding).sum(axis=1)
        _, first, inverse = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(lengths[first], kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        rows = first[order]
        digest = sha256()
        for start in range(0, len(rows), ROWS_AT_ONCE):
            digest.update(np.ascontiguousarray(source.take(rows[start : start + ROWS_AT_ONCE])).tobytes())
        index = np.where(present[:, 0] > 0, rank[inverse.reshape(-1)], -1)
        return cls(source, rows, lengths[rows], index, digest.hexdigest())

    def batches(self) -> Generator[Array]:
        """Yield ids, (texts, length of the longest), in the order of the texts."""
        start = 0
        while start < len(self.rows):
            most = max(1, PIECES_AT_ONCE // int(self.lengths[start]))
            longest = int(self.lengths[min(start + most, len(self.rows)) - 1])
            stop = start + max(1, PIECES_AT_ONCE // longest)
            yield self.source.take(self.rows[start:stop])[:, : int(self.lengths[min(stop, len(self.rows)) - 1])]
            start = stop


def text_features(encoder: Encoder, texts: DistinctTexts, header: str, cache: Cache, say: Say) -> EncodedColumn:
    """Return the features of every distinct text, (texts, 1, width), from the cache or computed now.

    They depend on the weights, the architecture and the pieces of the texts, so that tables with the same texts share them.
    """
    layout = ArrayLayout(len(texts.rows), (1, encoder.width), "float32")

    def provenance() -> Provenance:
        values = {
            "features": VERSION,
            "weights": encoder.fingerprint,
            "model": encoder.design,
            "pieces": texts.digest,
            "tensorflow": tf.__version__,
        }
        return Provenance(values, Path(encoder.name), f"{header} by {encoder.name}")

    def chunks() -> Generator[tuple[Array, Array]]:
        begun = time.perf_counter()
        for values in _computed(encoder.network, texts):
            yield values[:, None], np.ones((len(values), 1), np.float32)
        seconds, count = time.perf_counter() - begun, len(texts.rows)
        say(f"{header}: {encoder.name} has read {counted(count, 'distinct text')} in {seconds:.0f} s ({count / seconds:.0f} a second).")

    return encoded_column(layout, provenance, chunks, cache, least=0)


def _computed(network: Any, texts: DistinctTexts) -> Generator[Array]:
    """Yield the features of the texts in their order, batch by batch; the next batch is gathered meanwhile."""
    signature = [tf.TensorSpec((None, None), tf.int32)]
    call = tf.function(lambda ids: network(ids, training=False), input_signature=signature, autograph=False)
    compiled = call.get_concrete_function()
    for ids in in_threads(np.ascontiguousarray, texts.batches(), most=1):
        yield compiled(tf.constant(ids)).numpy()
