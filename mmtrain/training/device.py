"""What TensorFlow and Keras are set to before a network is built."""

from __future__ import annotations

import gc

import keras
import tensorflow as tf


def prepare(seed: int, *, deterministic: bool, precision: str = "float32") -> None:
    """Seed everything that draws: initial weights, dropout. Deterministic also asks TensorFlow for reproducible operations.

    `precision` is what layers compute in from now on; their weights stay float32.
    """
    keras.backend.clear_session(free_memory=False)
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    keras.utils.set_random_seed(seed % 2**32)  # NumPy takes no more
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def forget_networks() -> None:
    """Give back the memory of networks that are used no more: as they refer to themselves, only a search for garbage finds them.

    It takes a tenth of a second and more, so a training that has had no network before it does without.
    """
    gc.collect()
