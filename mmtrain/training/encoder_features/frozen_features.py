"""Features of frozen encoders: computed once for every image or distinct text, kept in the cache, and read like any encoded column.

A frozen network gives the same vector for the same input in every epoch, so that the training needs the vectors only: at 160 pixels,
EfficientNet-Lite0 reads 103 images a second on two cores, and 9,800 vectors are trained on in that time. An entry of the cache depends on
the weights, the architecture, and the pieces of the texts or the decoded images with their size and augmented views; later runs, children,
folds and `evaluate` find it, and so do other columns and tables with the same images or texts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.branches import Branch, encoder_columns
from mmtrain.columns import Column, RowSource, inputs_among
from mmtrain.config.experiment import Cache
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.counter_rng import uniform
from mmtrain.data.encoded_column import ArrayLayout, EncodedColumn
from mmtrain.data.images.store import ImageStore, Say, mark_black
from mmtrain.encoders import Encoder
from mmtrain.model.encoder_inputs import Components
from mmtrain.model.model_file import rows_at_once
from mmtrain.specs import PieceSpec, TensorSpec, feature_spec
from mmtrain.system.threads import in_threads
from mmtrain.training.augmentation.augment import augment_images, uniforms_for
from mmtrain.training.encoder_features.distinct_texts import DistinctTexts
from mmtrain.training.encoder_features.feature_cache import FeatureCache, FeatureEstimate

MOST_AT_ONCE = 64
"""Images of a batch; larger ones gained nothing on a CPU."""
ROWS_OF_COMPONENTS, ROWS_OF_CHUNK = 20_000, 4_096
"""Most rows that principal components are fitted on, and those in memory at once."""


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """A row source of features: those of every image or distinct text, and the position of that of every row, -1 for none.

    Of a column of several images per row, `index` is (rows, most).
    """

    features: EncodedColumn
    index: Array

    @property
    def nbytes(self) -> int:
        """Bytes of the features, in memory or on disk."""
        return self.features.nbytes

    def expect(self, rows: Array) -> None:
        """Do nothing: features are small, and the kernel reads ahead in what is mapped."""

    def take(self, rows: Array, out: Array | None = None) -> Array:
        """Return the features of `rows`, (len(rows), views, width), zeros where a row has no image or text.

        Of several images per row, (len(rows), most, views, width), NaN in places without an image.
        """
        positions = self.index[rows]
        values = self.features.take(np.maximum(positions, 0), out)
        values[positions < 0] = 0 if positions.ndim == 1 else np.nan
        return values

    def present(self, rows: Array) -> Array:
        """Return (len(rows), 1) float32, 0 or 1."""
        shown = self.index[rows] >= 0
        return np.asarray(shown if shown.ndim == 1 else shown.any(axis=1), dtype=np.float32)[:, None]


def with_features(  # noqa: PLR0913 (a table, an experiment and options)
    arrays: Arrays,
    branches: Mapping[str, Branch],
    columns: Mapping[str, Column],
    stores: Mapping[str, ImageStore],
    cache: Cache,
    say: Say = lambda _: None,
    *,
    encoders: Mapping[str, Encoder] | None = None,
    views: bool = True,
    tuned: bool = True,
    estimates: list[FeatureEstimate] | None = None,
) -> Arrays:
    """Return `arrays` with features, as the networks of a training take them, in place of columns that frozen encoders alone read.

    Args:
        arrays: The encoded table.
        branches: Section `branches` of the experiment.
        columns: Section `columns`.
        stores: The images by column.
        cache: The cache that features are found in and written to.
        say: Takes a sentence about every column whose features are computed now, and sentences about the progress.
        encoders: Encoders by column, such as those of a saved model; columns without one stay. None loads them from their files.
        views: False leaves out augmented views, which only a training reads.
        tuned: False leaves out features of encoders that the training tunes; otherwise they are added as `Arrays.features`.
        estimates: Where given, features that the cache lacks are estimated and not computed: each estimate is appended, and the rows have
            the features of a few others.

    Raises RunError for missing, damaged or other weights.
    """
    known: list[_Read] = []
    for column, pretrained in encoder_columns(branches, columns).items():
        if not (pretrained.frozen or tuned):
            continue
        spec = arrays.specs[column]
        encoder = pretrained.load_frozen(spec, owner=column) if encoders is None else encoders.get(column)
        if encoder is None:
            continue
        count = pretrained.views if views else 0
        feature_cache = FeatureCache(columns[column].column, cache, say, estimates)
        if isinstance(spec, PieceSpec):
            texts = DistinctTexts.of(arrays.inputs[column], arrays.present[column], spec)
            source = FeatureSource(text_features(encoder, texts, feature_cache), texts.index)
        else:
            store = stores[column]
            same = [one for one in known if one.is_read_as(encoder, spec.member) and not count and estimates is None]
            features = image_features(encoder, store, AugmentedViews(count, columns[column]), feature_cache, same)
            source = FeatureSource(features, store.index)
            known += [] if count else [_Read(encoder, spec.member, store, features)]
        if estimates is not None:
            source = FeatureSource(source.features, np.where(source.index < 0, -1, source.index % max(1, len(source.features.codes))))
        arrays = replace(arrays, features={**arrays.features, column: (source, feature_spec(spec, encoder.width, count))})
        arrays = arrays.on_features([column]) if pretrained.frozen else arrays
    return arrays


def fit_components(arrays: Arrays, columns: Mapping[str, Column], train: Array) -> dict[str, Components]:
    """Fit the principal components of the features in `arrays` on the training rows that have an image or text, by column.

    At most ROWS_OF_COMPONENTS rows are read, evenly spaced. Where rows or features have fewer directions, the other components are zero.
    """
    fitted, inputs = {}, inputs_among(columns)
    for key in arrays.inputs:
        option = inputs[key].vector_encoder
        if option is None or option.reduce != "pca":
            continue
        rows = train[arrays.present[key][train, 0] > 0]
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS_OF_COMPONENTS)).astype(np.int64)]
        fitted[key] = _components(arrays.inputs[key], rows, arrays.specs[key].shape[-1], option.components)
    return fitted


def _components(source: RowSource, rows: Array, width: int, most: int) -> Components:
    chunks = [rows[start : start + ROWS_OF_CHUNK] for start in range(0, len(rows), ROWS_OF_CHUNK)]
    count, mean = max(1, len(rows)), np.zeros(width)
    for chunk in chunks:
        mean += source.take(chunk)[:, 0].sum(axis=0, dtype=np.float64) / count
    covariance = np.zeros((width, width))
    for chunk in chunks:
        centred = source.take(chunk)[:, 0] - mean  # float64
        covariance += centred.T @ centred / count
    variances, directions = (values[..., ::-1][..., :most] for values in np.linalg.eigh(covariance))
    # A direction may point either way; its largest number is made positive, so that the same rows give the same components.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    known = variances > 1e-9 * max(float(variances[0]), 1e-30)
    scale = np.where(known, np.sign(largest) / np.sqrt(np.where(known, variances, 1)), 0)
    return Components(mean.astype(np.float32), (directions * scale).astype(np.float32))


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


@dataclass(frozen=True, eq=False)
class _Read:
    """Images that were read by an encoder, without augmented views."""

    encoder: Encoder
    spec: TensorSpec
    store: ImageStore
    features: EncodedColumn

    def is_read_as(self, encoder: Encoder, spec: TensorSpec) -> bool:
        """Return True if images of this spec have the same features by this encoder."""
        return (encoder.fingerprint, encoder.design, spec) == (self.encoder.fingerprint, self.encoder.design, self.spec)


def image_features(
    encoder: Encoder, store: ImageStore, views: AugmentedViews, cache: FeatureCache, known: Sequence[_Read] = ()
) -> EncodedColumn:
    """Return the features of every image of a store, (images, views, width); images that are among the `known` ones are not read again."""
    layout = ArrayLayout(len(store.pixels), (1 + views.count, encoder.width), "float32")
    # Black members of a set have other pixels than black images.
    content = {"pixels": store.digest, "views": views.record()} | ({"members": True} if store.index.ndim == 2 else {})
    return cache.column(encoder, layout, content, lambda: _read_images(encoder, store, views, known), "image", np.ones(layout.rows))


def text_features(encoder: Encoder, texts: DistinctTexts, cache: FeatureCache) -> EncodedColumn:
    """Return the features of every distinct text, (texts, 1, width)."""
    layout = ArrayLayout(len(texts.rows), (1, encoder.width), "float32")
    return cache.column(encoder, layout, {"pieces": texts.digest}, lambda: _read_texts(encoder, texts), "distinct text", texts.lengths)


def _pixel_batches(store: ImageStore, size: int) -> Iterable[tuple[Array, Array, Array]]:
    """Yield positions, which of them are readable, and pixels, zeros for the others; the next batch is gathered meanwhile."""
    batches = (np.arange(start, min(start + size, len(store.pixels))) for start in range(0, len(store.pixels), size))

    def gathered(images: Array) -> tuple[Array, Array, Array]:
        readable = ~np.isin(images, store.unreadable)
        pixels = np.zeros((len(images), *store.pixels.shape[1:]), store.pixels.dtype)
        store.pixels.take(np.where(readable, images, -1), pixels)
        pixels[~readable] = 0
        for place in np.flatnonzero(readable) if store.index.ndim == 2 else ():
            mark_black(pixels[place])  # as the network reads the members of a set
        return images, readable, pixels

    return in_threads(gathered, batches, most=1)


def _read_images(encoder: Encoder, store: ImageStore, views: AugmentedViews, known: Sequence[_Read]) -> Generator[Array]:
    """Yield the features of images in order, (images, views, width), zeros for unreadable ones."""
    compiled, size = _compile(encoder.network), min(MOST_AT_ONCE, rows_at_once(encoder.network))
    levels = np.iinfo(store.pixels.dtype).max
    known_places = _known_images(known, size)
    for images, readable, pixels in _pixel_batches(store, size):
        features = np.zeros((len(images), 1 + views.count, encoder.width), np.float32)
        places = [known_places.get(_digest(image)) for image in pixels] if known_places else [None] * len(images)
        fresh = readable & np.array([place is None for place in places])
        for view in range(1 + views.count) if fresh.any() else ():
            features[fresh, view] = compiled(views.of(pixels[fresh], images[fresh], view, levels)).numpy()
        for row, place in enumerate(places):
            if place is not None and readable[row]:
                features[row] = place[0].take(np.array([place[1]]))[0]
        yield features


def _known_images(known: Sequence[_Read], size: int) -> dict[bytes, tuple[EncodedColumn, int]]:
    """Return the features of images by the digest of their pixels: 500 MB/s, where an encoder reads 8 MB/s."""
    places: dict[bytes, tuple[EncodedColumn, int]] = {}
    for one in known:
        for images, readable, pixels in _pixel_batches(one.store, size):
            # An unreadable image has the pixels of a black one, but no features.
            known_images = zip(images[readable], pixels[readable], strict=True)
            places |= {_digest(image): (one.features, int(position)) for position, image in known_images}
    return places


def _digest(pixels: Array) -> bytes:
    return blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()


def _read_texts(encoder: Encoder, texts: DistinctTexts) -> Generator[Array]:
    """Yield the features of the texts in their order, (texts, 1, width), batch by batch; the next batch is gathered meanwhile."""
    compiled = _compile(encoder.network)
    for ids in in_threads(np.ascontiguousarray, texts.batches(), most=1):
        yield compiled(tf.constant(ids)).numpy()[:, None]


def _compile(network: Any) -> Any:
    """Return the network as one graph for batches of any size, and texts of any length."""
    signature = [tf.TensorSpec(network.inputs[0].shape, network.inputs[0].dtype)]
    return tf.function(lambda inputs: network(inputs, training=False), input_signature=signature, autograph=False).get_concrete_function()
