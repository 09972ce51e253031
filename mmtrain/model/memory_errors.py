"""Errors for a device whose memory is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import tensorflow as tf

from mmtrain.errors import Problem, RunError

ELSEWHERE = "End other programs that use the device, or leave it alone: `CUDA_VISIBLE_DEVICES= mmtrain ...` uses the processor."


@contextmanager
def oom_errors(where: str, what: str, fix: str) -> Iterator[None]:
    """Context that raises RunError where TensorFlow has not enough memory for `what`."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise RunError(Problem(where, f"the memory was not enough for {what}.", fix)) from error


def step_oom_errors(where: str, batch_size: int | str) -> AbstractContextManager[None]:
    """Context for steps of a training."""
    fix = f"Lower training.batch_size (now {batch_size}), the size of images, or the widths of the network."
    return oom_errors(where, "a step of the training", fix)


def prediction_oom_errors(rows: int) -> AbstractContextManager[None]:
    """Context for predictions of this many rows at once."""
    return oom_errors("the network", f"the predictions of {rows:,} rows at once", ELSEWHERE)


def explanation_oom_errors() -> AbstractContextManager[None]:
    """Context for explanations, one row at a time."""
    return oom_errors("the network", "explaining a row", ELSEWHERE)
