"""Settings of TensorFlow and Keras before a network is built, and the sum over the devices that share a step."""

from __future__ import annotations

import gc
from typing import Any, Protocol

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


class Strategy(Protocol):
    """Sums what the workers of a training have computed from their shares of a batch.

    Used as a collective only: variables and the optimizer are ordinary ones, so that clipping, accumulation and averaging act on the
    gradients of the whole batch, and several workers train as one process does.
    """

    def sum(self, losses: dict[str, Any], gradients: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return the losses and gradients of the whole batch, the same on every worker."""
        ...


class SingleDevice:
    """One worker, which has the whole batch."""

    def sum(self, losses: dict[str, Any], gradients: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return them unchanged."""
        return losses, gradients
