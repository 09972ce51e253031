"""The images among the inputs of a batch, augmented: single ones, sets of them, and cached features of augmented views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from mmtrain.columns import Column, inputs_among
from mmtrain.columns.pixels.audio_augment import AudioAugment
from mmtrain.columns.pixels.image_augment import Augment
from mmtrain.data.encode import Fitted
from mmtrain.training.augmentation.augment import augment_images, uniforms_for


class Augmenter:
    """Augments the inputs of a batch by the first `uniforms` random numbers of each row."""

    def __init__(self, columns: Mapping[str, Column], fitted: Fitted, views: Mapping[str, int]) -> None:
        """`views` has, of each column whose encoder's cached features are read, the number of augmented views that the cache holds."""
        augmentations = {key: column.augmentation for key, column in inputs_among(columns).items()}
        self.augmentations = {key: one for key, one in augmentations.items() if one is not None and views.get(key, 2) > 1}
        self.specs: dict[str, Any] = {key: fitted.columns[key].spec for key in self.augmentations}
        self.views = views

    def _most(self, key: str) -> int:
        """Return the number of images that a cell of the column holds at most."""
        return getattr(self.specs[key], "most", 1)

    @property
    def uniforms(self) -> int:
        """Uniform random numbers that a row takes."""
        return sum(self._most(key) * uniforms_for(one) for key, one in self.augmentations.items())

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of a batch with augmented images; a masked image stays all zeros, as in prediction."""
        inputs, first = dict(batch["inputs"]), 0
        for key, augment in self.augmentations.items():
            # Each image of a set has changes of its own.
            most, width = self._most(key), uniforms_for(augment)
            uniforms = tf.reshape(batch["uniforms"][:, first : first + most * width], (-1, width))
            first += most * width
            if key in self.views:
                views = tf.reshape(inputs[key], (-1, *inputs[key].shape[-2:]))
                inputs[key] = tf.reshape(choose_view(views, uniforms[:, 0]), (-1, *inputs[key].shape[1:]))
            else:
                inputs[key] = augment_cells(inputs[key], inputs[f"{key}_present"], uniforms, augment, self.specs[key].member)
        return inputs


def augment_cells(pixels: Any, present: Any, uniforms: Any, how: Augment | AudioAugment, spec: Any) -> Any:
    """Return augmented images, (batch, height, width, channels) or sets of them, (batch, most, ...); absent ones stay all zeros."""
    images = tf.reshape(pixels, (-1, *spec.shape))
    changed = augment_images(images, uniforms, how, spec.levels)
    if len(pixels.shape) == 4:
        return tf.where(tf.reshape(present > 0, (-1, 1, 1, 1)), changed, images)
    shown = tf.reduce_max(tf.reshape(images, (tf.shape(images)[0], -1)), axis=1) > 0
    # An image that is changed to black is still there: its first value is not 0.
    first = tf.one_hot(0, spec.height * spec.width * spec.channels, dtype=images.dtype)
    changed = tf.where(shown[:, None, None, None], tf.maximum(changed, tf.reshape(first, (1, *spec.shape))), images)
    return tf.reshape(changed, (-1, *pixels.shape[1:]))


def choose_view(views: Any, uniforms: Any) -> Any:
    """Return views, (batch, views, width), that are all the one that a uniform number, (batch,), draws for each row."""
    count = views.shape[1]
    drawn = tf.minimum(tf.cast(uniforms * count, tf.int32), count - 1)
    return tf.repeat(tf.gather(views, drawn[:, None], batch_dims=1), count, axis=1)
