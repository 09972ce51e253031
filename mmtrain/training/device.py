"""Settings of TensorFlow and Keras before a network is built."""

from __future__ import annotations

import gc

import keras
import tensorflow as tf


def prepare(seed: int, *, deterministic: bool, precision: str = "float32") -> None:
    """Seed all random numbers (initial weights, dropout), and set the precision of layers that are built from now on.

    Args:
        seed: Any integer; taken modulo 2**32, the largest seed of NumPy.
        deterministic: Whether TensorFlow has to use reproducible operations.
        precision: Type that layers compute in, `float32`, `float16` or `bfloat16`; their weights stay float32.
    """
    # Names of layers begin anew; the collection of garbage is left to `forget_networks`.
    keras.backend.clear_session(free_memory=False)
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    keras.utils.set_random_seed(seed % 2**32)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def forget_networks() -> None:
    """Free the memory of unused networks. They contain reference cycles, so only the garbage collector finds them.

    This takes 0.1 s and more, so the first training of a process does without.
    """
    gc.collect()
