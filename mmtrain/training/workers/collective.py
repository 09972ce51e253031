"""The sums of a training that several processes share.

TensorFlow's `MultiWorkerMirroredStrategy` is used as a collective only: every worker has ordinary variables and an ordinary optimizer,
and takes its rows of each batch; losses and gradients are summed before the optimizer sees them. So clipping, accumulation, averaging,
weight decay and loss scaling act on the gradients of the whole batch, as in one process. Under `strategy.scope()` Keras would clip the
gradients of each worker before it sums them, which is another training.

All workers must call the methods of `Workers` in the same order: a worker that leaves one out makes the others wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGINT, SIGTERM
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.data.arrays import Array
from mmtrain.errors import LostWorkerError, Problem
from mmtrain.layers.network import SharedBatch, shared_batch

WISHES = ("stop_sigint", "stop_sigterm", "checkpoint")
"""Names of the wishes of a worker, which are summed together with the losses of a step."""
SMALL_SUM, LARGE_SUM = 1_024, 2**20
"""Numbers that are summed in one call: each size is compiled once."""
SEED_STATE = "seed_generator_state"
"""Keras's name of the variables from which dropout draws."""
Losses = dict[str, Any]


@dataclass(frozen=True)
class Wishes:
    """Wishes of at least one worker: to stop, by the number of a signal, and to write a checkpoint."""

    signal: int = 0
    checkpoint: bool = False

    def vector(self) -> list[float]:
        """Return the numbers that are summed over workers, in the order of `WISHES`."""
        return [float(self.signal == SIGINT), float(self.signal not in (0, SIGINT)), float(self.checkpoint)]

    @classmethod
    def of_sums(cls, interrupt: float, terminate: float, checkpoint: float) -> Wishes:
        """Return what the sums over workers mean.

        >>> Wishes.of_sums(*Wishes(signal=15).vector()), Wishes.of_sums(0.0, 0.0, 2.0)
        (Wishes(signal=15, checkpoint=False), Wishes(signal=0, checkpoint=True))
        """
        return cls(int(SIGINT) if interrupt else int(SIGTERM) if terminate else 0, bool(checkpoint))


class Alone:
    """One process that has the whole batch: every sum is its own value."""

    count, number = 1, 0
    where = "mmtrain fit"
    """The place that an error names, the run folder once there is one."""

    @property
    def is_first(self) -> bool:
        """True on the worker that writes the run folder."""
        return self.number == 0

    @property
    def signature(self) -> dict[str, Any]:
        """Signature of the tensors that a step takes in addition to its batch."""
        return {}

    def arguments(self, share: float, wishes: Wishes) -> dict[str, Any]:  # noqa: ARG002
        """Return the values of `signature`: the share of this worker in the mean over a batch, and its wishes."""
        return {}

    def summed(self, compute: Callable[[Any], tuple[Losses, list[Any]]], batch: Mapping[str, Any]) -> tuple[Losses, list[Any]]:
        """Return the losses and gradients of the whole batch, the same on every worker; `compute` gives those of a batch."""
        return compute(batch)

    def agreed(self, wishes: Wishes) -> Wishes:
        """Return the wishes of all workers together."""
        return wishes

    def of_first(self, text: str) -> str:
        """Return the text of the first worker."""
        return text

    def gathered(self, values: Sequence[Array], rows: int) -> list[Array]:  # noqa: ARG002
        """Return arrays of all rows, of each of which this worker has rows `number`, `number + count`, and so on, in float32."""
        return list(values)

    def share_weights(self, variables: Sequence[Any]) -> None:
        """Give variables the values that the first worker has; each worker draws its own dropout."""

    @contextmanager
    def lost_worker_errors(self) -> Iterator[None]:
        """Context that raises LostWorkerError if another worker ends."""
        yield


class Workers(Alone):
    """The process of one worker, with the connections to the others; see `Alone` for its methods."""

    def __init__(self, addresses: Sequence[str], number: int) -> None:
        """Wait until all workers are there. Raises RuntimeError if TensorFlow has computed anything in this process."""
        self.count, self.number = len(addresses), number
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        spec = tf.train.ClusterSpec({"worker": list(addresses)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(spec, task_type="worker", task_id=number, rpc_layer="grpc")
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        self._sum = tf.function(
            lambda values: self._strategy.run(lambda one: _all_reduce([tf.identity(one)])[0], (values,)), autograph=False
        )

    @property
    def signature(self) -> dict[str, Any]:
        """The share of this worker in a batch, and the sums of wishes."""
        return {"share": tf.TensorSpec((), tf.float32), "wishes": tf.TensorSpec((len(WISHES),), tf.float32)}

    def arguments(self, share: float, wishes: Wishes) -> dict[str, Any]:
        """Return the share and the wishes as tensors."""
        return {"share": tf.constant(share, tf.float32), "wishes": tf.constant(wishes.vector(), tf.float32)}

    def summed(self, compute: Callable[[Any], tuple[Losses, list[Any]]], batch: Mapping[str, Any]) -> tuple[Losses, list[Any]]:
        """Trace `compute` on the rows of this worker, and add the sums over workers."""
        share, wishes = batch["share"], batch["wishes"]

        def of_worker(batch: Mapping[str, Any]) -> tuple[Losses, list[Any]]:
            # Set here: the strategy traces in a thread of its own. A worker that has no row of a batch takes part with a row of share 0.
            token = shared_batch.set(SharedBatch(_all_reduce, tf.cast(share > 0, tf.float32)))
            try:
                losses, gradients = compute(batch)
            finally:
                shared_batch.reset(token)
            reached = [place for place, gradient in enumerate(gradients) if gradient is not None]
            # One sum: all tensors of it are sent together.
            sums = iter(_all_reduce([wishes, *losses.values(), *(gradients[place] for place in reached)]))
            of_wishes = dict(zip(WISHES, tf.unstack(next(sums)), strict=True))
            of_losses = {name: next(sums) for name in losses}
            gradients = [None] * len(gradients)
            for place in reached:
                gradients[place] = next(sums)
            return {**of_losses, **of_wishes}, gradients

        result: tuple[Losses, list[Any]] = self._strategy.run(of_worker, args=(batch,))
        return result

    def agreed(self, wishes: Wishes) -> Wishes:
        """Return the wishes of all workers together."""
        return Wishes.of_sums(*self._summed(np.array(wishes.vector(), np.float32)).tolist())

    def of_first(self, text: str) -> str:
        """Return the text of the first worker."""
        content = text.encode()
        length = int(self._summed(np.array([len(content) if self.is_first else 0], np.float32))[0])
        letters = np.frombuffer(content, np.uint8) if self.is_first else np.zeros(length, np.uint8)
        return self._summed(letters.astype(np.float32)).astype(np.uint8).tobytes().decode()

    def gathered(self, values: Sequence[Array], rows: int) -> list[Array]:
        """Return arrays of all rows, see `Alone.gathered`."""
        whole = [np.zeros((rows, *one.shape[1:]), np.float32) for one in values]
        for full, own in zip(whole, values, strict=True):
            full[self.number :: self.count] = own
        # Exact: every number is added to zeros.
        return _unpacked(self._summed(np.concatenate([one.ravel() for one in whole])), whole)

    def share_weights(self, variables: Sequence[Any]) -> None:
        """Give variables the values that the first worker has."""
        floats = [one for one in variables if one.numpy().dtype == np.float32]
        # Others as bytes: float32 holds whole numbers up to 2**24 only.
        others = [one for one in variables if one.numpy().dtype != np.float32]
        for group, dtype in ((floats, np.float32), (others, np.uint8)):
            values = [one.numpy() for one in group]
            packed = [np.frombuffer(one.tobytes(), dtype) for one in values]
            own = np.concatenate(packed or [np.zeros(0, dtype)]).astype(np.float32)
            summed = self._summed(own if self.is_first else np.zeros_like(own)).astype(dtype)
            for variable, value, part in zip(group, values, _unpacked(summed, packed), strict=True):
                if not self.is_first:
                    variable.assign(self._own_seed(variable, np.frombuffer(part.tobytes(), value.dtype).reshape(value.shape)))

    def _own_seed(self, variable: Any, value: Array) -> Array:
        """Return the value, of a seed that of this worker: the first one's plus its number, so that checkpoints need not hold it."""
        if not variable.path.endswith(SEED_STATE):
            return value
        seed: Array = value + np.array([self.number, 0], value.dtype)
        return seed

    @contextmanager
    def lost_worker_errors(self) -> Iterator[None]:
        """Context that turns an error of the connection into a sentence."""
        try:
            yield
        except tf.errors.OpError as error:
            gone = tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError
            if not isinstance(error, gone) and "ollective" not in str(error):
                raise
            what = f"worker {self.number} of {self.count} has lost the connection to another, which has ended or does not answer."
            raise LostWorkerError(Problem(self.where, what, "The message of that worker says why.")) from None

    def _summed(self, values: Array) -> Array:
        """Return the sum of a vector over workers; all have the same length."""
        size = SMALL_SUM if len(values) <= SMALL_SUM else LARGE_SUM
        padded = np.zeros(-(-len(values) // size) * size, np.float32)
        padded[: len(values)] = values
        with self.lost_worker_errors():
            sums = [self._sum(tf.constant(padded[first : first + size])).numpy() for first in range(0, len(padded), size)]
        return np.concatenate(sums)[: len(values)] if sums else padded


def _all_reduce(tensors: Sequence[Any]) -> list[Any]:
    """Return the sums of tensors over workers, within `strategy.run`; their gradients are sums as well."""
    # An argument of the function itself has no device yet, which a sum needs.
    placed = [one if isinstance(one, tf.IndexedSlices) else tf.identity(one) for one in tensors]
    sums: list[Any] = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)
    return sums


def _unpacked(vector: Array, like: Sequence[Array]) -> list[Array]:
    """Cut a vector into arrays of the shapes of `like`."""
    ends = np.cumsum([one.size for one in like])
    return [part.reshape(one.shape) for part, one in zip(np.split(vector, ends[:-1]) if like else [], like, strict=True)]
