"""Features of frozen encoders: computed once for every image, kept in the cache, and read like any encoded column.

A frozen network gives the same vector for the same image in every epoch, so that the training needs the vectors only: at 160 pixels,
EfficientNet-Lite0 reads 103 images a second on two cores, and 9,800 vectors are trained on in that time. An entry of the cache depends on
the weights, the decoded images with their size, and the augmented views; later runs, children and folds find it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
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
from mmtrain.training.augment import UNIFORMS_PER_IMAGE, augment_images
from mmtrain.training.text_features import DistinctTexts, text_features

VERSION = 1
"""Part of the name of every entry; to be raised when encoders give other features for the same pixels and weights."""
MOST_AT_ONCE = 64
"""Images of a batch; a larger one is no faster on a CPU."""


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """A row source of features of images or texts: `features` of each, and which of them every row has, -1 for none."""

    features: EncodedColumn
    index: Array

    @property
    def nbytes(self) -> int:
        """Bytes of the features, in memory or on disk."""
        return self.features.nbytes

    def expect(self, rows: Array) -> None:
        """Do nothing: features are small, and the kernel reads ahead in what is mapped."""

    def take(self, rows: Array, out: Array | None = None) -> Array:
        """Return the features of `rows`, (len(rows), views, width), zeros where a row has no image."""
        images = self.index[rows]
        values = self.features.take(np.maximum(images, 0), out)
        values[images < 0] = 0
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
    """Return `arrays` with features in place of the images that a frozen encoder alone reads, as the networks of a training take them.

    `stores` are the images by column. `say` gets a sentence about every column whose features are computed now.
    Raises RunError for missing, damaged or other weights.
    """
    for column, pretrained in frozen_columns(branches).items():
        encoder = pretrained.load(arrays.specs[column], owner=column)
        spec = arrays.specs[column]
        if isinstance(spec, PieceSpec):
            texts = DistinctTexts.of(arrays.inputs[column], arrays.present[column], spec)
            features = text_features(encoder, texts, columns[column].column, cache, say)
            arrays = arrays.with_source(column, FeatureSource(features, texts.index), FeatureSpec(encoder.width))
            continue
        views = _Views(pretrained.views, columns[column])
        features = _features(encoder, stores[column], views, columns[column].column, cache, say)
        arrays = arrays.with_source(column, FeatureSource(features, stores[column].index), FeatureSpec(encoder.width, 1 + views.count))
    return arrays


@dataclass(frozen=True)
class _Views:
    """Augmented views of every image, besides the image itself."""

    count: int
    column: Column

    @property
    def augment(self) -> Any:
        return getattr(self.column, "augmentation", None) if self.count else None

    def record(self) -> Any:
        """Return what the views depend on, plain JSON."""
        return None if self.augment is None else [self.count, self.augment.model_dump()]

    def of(self, pixels: Array, images: Array, view: int, levels: int) -> Any:
        """Return the pixels of a view, 0 for the images themselves. Its random numbers follow from the view and the image."""
        if view == 0 or self.augment is None:
            return tf.constant(pixels)
        return augment_images(tf.constant(pixels), tf.constant(uniform(0, view, images, UNIFORMS_PER_IMAGE)), self.augment, levels)


def _features(encoder: Encoder, store: ImageStore, views: _Views, header: str, cache: Cache, say: Say) -> EncodedColumn:
    """Return the features of every image of a store, (images, views, width), from the cache or computed now."""
    images = len(store.pixels)
    layout = ArrayLayout(images, (1 + views.count, encoder.width), "float32")

    def provenance() -> Provenance:
        values = {
            "features": VERSION,
            "weights": encoder.fingerprint,
            "model": encoder.design,
            "pixels": store.digest,
            "views": views.record(),
            "tensorflow": tf.__version__,
        }
        return Provenance(values, Path(encoder.name), f"{header} by {encoder.name}")

    def chunks() -> Generator[tuple[Array, Array]]:
        begun = time.perf_counter()
        for values in _computed(encoder, store, views):
            yield values, np.ones((len(values), 1), np.float32)
        seconds = time.perf_counter() - begun
        read = counted(images * (1 + views.count), "image")
        say(f"{header}: {encoder.name} has read {read} in {seconds:.0f} s ({images * (1 + views.count) / seconds:.0f} a second).")

    return encoded_column(layout, provenance, chunks, cache, least=0)


def _computed(encoder: Encoder, store: ImageStore, views: _Views) -> Generator[Array]:
    """Yield the features of the images in their order, zeros for unreadable ones; the next batch is gathered meanwhile."""
    network = encoder.network
    signature = [tf.TensorSpec(network.inputs[0].shape, network.inputs[0].dtype)]
    call = tf.function(lambda pixels: network(pixels, training=False), input_signature=signature, autograph=False)
    compiled = call.get_concrete_function()
    size = min(MOST_AT_ONCE, rows_at_once(network))
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
