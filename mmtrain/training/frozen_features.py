"""Features of frozen encoders: computed once for every image or distinct text, kept in the cache, and read like any encoded column.

A frozen network gives the same vector for the same input in every epoch, so that the training needs the vectors only: at 160 pixels,
EfficientNet-Lite0 reads 103 images a second on two cores, and 9,800 vectors are trained on in that time. An entry of the cache depends on
the weights, the architecture, and the pieces of the texts or the decoded images with their size and augmented views; later runs, children
and folds find it, and so do other tables with the same texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.branches import Branch, frozen_columns
from mmtrain.columns import Column
from mmtrain.config.experiment import Cache
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.counter_rng import uniform
from mmtrain.data.encoded_column import ArrayLayout, EncodedColumn, Provenance, encoded_column
from mmtrain.data.images.store import ImageStore, Say
from mmtrain.encoders import Encoder
from mmtrain.errors import counted
from mmtrain.model.model_file import rows_at_once
from mmtrain.specs import FeatureSpec, PieceSpec
from mmtrain.system.threads import in_threads
from mmtrain.training.augment import augment_images, uniforms_for
from mmtrain.training.distinct_texts import DistinctTexts

VERSION = 1
"""Part of the name of every entry; to be raised when encoders give other features for the same inputs and weights."""
MOST_AT_ONCE = 64
"""Images of a batch; larger ones gained nothing on a CPU."""


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """A row source of features: those of every image or distinct text, and the position of that of every row, -1 for none."""

    features: EncodedColumn
    index: Array

    @property
    def nbytes(self) -> int:
        """Bytes of the features, in memory or on disk."""
        return self.features.nbytes

    def expect(self, rows: Array) -> None:
        """Do nothing: features are small, and the kernel reads ahead in what is mapped."""

    def take(self, rows: Array, out: Array | None = None) -> Array:
        """Return the features of `rows`, (len(rows), views, width), zeros where a row has no image or text."""
        positions = self.index[rows]
        values = self.features.take(np.maximum(positions, 0), out)
        values[positions < 0] = 0
        return values

    def present(self, rows: Array) -> Array:
        """Return (len(rows), 1) float32, 0 or 1."""
        return np.asarray(self.index[rows] >= 0, dtype=np.float32)[:, None]


def with_features(
    arrays: Arrays,
    branches: Mapping[str, Branch],
    columns: Mapping[str, Column],
    stores: Mapping[str, ImageStore],
    cache: Cache,
    say: Say = lambda _: None,
) -> Arrays:
    """Return `arrays` with features, as the networks of a training take them, in place of columns that a frozen encoder alone reads.

    `stores` are the images by column. `say` gets a sentence about every column whose features are computed now.
    Raises RunError for missing, damaged or other weights.
    """
    for column, pretrained in frozen_columns(branches).items():
        spec = arrays.specs[column]
        encoder = pretrained.load(spec, owner=column)
        feature_cache = FeatureCache(columns[column].column, cache, say)
        if isinstance(spec, PieceSpec):
            texts = DistinctTexts.of(arrays.inputs[column], arrays.present[column], spec)
            source = FeatureSource(text_features(encoder, texts, feature_cache), texts.index)
        else:
            views = AugmentedViews(pretrained.views, columns[column])
            source = FeatureSource(image_features(encoder, stores[column], views, feature_cache), stores[column].index)
        arrays = arrays.with_source(column, source, FeatureSpec(encoder.width, 1 + pretrained.views))
    return arrays


@dataclass(frozen=True)
class AugmentedViews:
    """Augmented views of every image, in addition to the image itself."""

    count: int
    column: Column

    @property
    def augment(self) -> Any:
        """The augmentation of the column; None without views."""
        return getattr(self.column, "augmentation", None) if self.count else None

    def record(self) -> Any:
        """Return the options that the views depend on, plain JSON."""
        return None if self.augment is None else [self.count, self.augment.model_dump()]

    def of(self, pixels: Array, images: Array, view: int, levels: int) -> Any:
        """Return the pixels of a view, 0 for the images themselves. Its random numbers follow from the view and the image."""
        if view == 0 or self.augment is None:
            return tf.constant(pixels)
        numbers = uniform(0, view, images, uniforms_for(self.augment))
        return augment_images(tf.constant(pixels), tf.constant(numbers), self.augment, levels)


@dataclass(frozen=True)
class FeatureCache:
    """The cache of the features of one column, under its `header`; `say` gets a sentence when features are computed."""

    header: str
    cache: Cache
    say: Say

    def column(
        self, encoder: Encoder, layout: ArrayLayout, content: Mapping[str, Any], read: Callable[[], Iterable[Array]], noun: str
    ) -> EncodedColumn:
        """Return the features of the inputs that `content` identifies, from the cache or from `read`, which yields them in order."""

        def provenance() -> Provenance:
            facts = {"features": VERSION, "weights": encoder.fingerprint, "model": encoder.design, "tensorflow": tf.__version__}
            return Provenance({**facts, **content}, Path(encoder.name), f"{self.header} by {encoder.name}")

        def chunks() -> Generator[tuple[Array, Array]]:
            begun = time.perf_counter()
            for values in read():
                yield values, np.ones((len(values), 1), np.float32)
            seconds, count = time.perf_counter() - begun, layout.rows * layout.shape[0]
            self.say(f"{self.header}: {encoder.name} has read {counted(count, noun)} in {seconds:.0f} s ({count / seconds:.0f} a second).")

        return encoded_column(layout, provenance, chunks, self.cache, least=0)


def image_features(encoder: Encoder, store: ImageStore, views: AugmentedViews, cache: FeatureCache) -> EncodedColumn:
    """Return the features of every image of a store, (images, views, width)."""
    layout = ArrayLayout(len(store.pixels), (1 + views.count, encoder.width), "float32")
    content = {"pixels": store.digest, "views": views.record()}
    return cache.column(encoder, layout, content, lambda: _read_images(encoder, store, views), "image")


def text_features(encoder: Encoder, texts: DistinctTexts, cache: FeatureCache) -> EncodedColumn:
    """Return the features of every distinct text, (texts, 1, width)."""
    layout = ArrayLayout(len(texts.rows), (1, encoder.width), "float32")
    return cache.column(encoder, layout, {"pieces": texts.digest}, lambda: _read_texts(encoder, texts), "distinct text")


def _read_images(encoder: Encoder, store: ImageStore, views: AugmentedViews) -> Generator[Array]:
    """Yield the features of images in order, (images, views, width), zeros for unreadable ones; the next batch is gathered meanwhile."""
    compiled, size = _compile(encoder.network), min(MOST_AT_ONCE, rows_at_once(encoder.network))
    levels = np.iinfo(store.pixels.dtype).max
    batches = (np.arange(start, min(start + size, len(store.pixels))) for start in range(0, len(store.pixels), size))

    def gathered(images: Array) -> tuple[Array, Array, Array]:
        readable = ~np.isin(images, store.unreadable)
        pixels = np.zeros((len(images), *store.pixels.shape[1:]), store.pixels.dtype)
        store.pixels.take(np.where(readable, images, -1), pixels)
        pixels[~readable] = 0
        return images, readable, pixels

    for images, readable, pixels in in_threads(gathered, batches, most=1):
        features = np.stack([compiled(views.of(pixels, images, view, levels)).numpy() for view in range(1 + views.count)], axis=1)
        features[~readable] = 0
        yield features


def _read_texts(encoder: Encoder, texts: DistinctTexts) -> Generator[Array]:
    """Yield the features of the texts in their order, (texts, 1, width), batch by batch; the next batch is gathered meanwhile."""
    compiled = _compile(encoder.network)
    for ids in in_threads(np.ascontiguousarray, texts.batches(), most=1):
        yield compiled(tf.constant(ids)).numpy()[:, None]


def _compile(network: Any) -> Any:
    """Return the network as one graph for batches of any size, and texts of any length."""
    signature = [tf.TensorSpec(network.inputs[0].shape, network.inputs[0].dtype)]
    return tf.function(lambda inputs: network(inputs, training=False), input_signature=signature, autograph=False).get_concrete_function()
