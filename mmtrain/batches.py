"""Batches: gathers by row index, one call ahead of the one that is running.

A call of the compiled step may take several steps at once; then their rows are gathered together, one batch after the other.

The order of an epoch is a function of (seed, epoch), so that the position in a training is two integers. What augmentation
does to a row is a function of (seed, epoch, row): it depends neither on the batch size nor on where a training was resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.counter_rng import epoch_permutation, uniform
from mmtrain.data.sampling import EpochSampler, repetitions

PREFETCH_BATCHES = 4
"""Batches that are announced to a store before they are gathered."""


@dataclass(frozen=True)
class Batch:
    """Rows of one call, `steps` batches of equal size one after the other.

    `uniforms` holds uniform numbers in [0, 1), (rows, uniform columns), for augmentation.
    """

    rows: Array
    inputs: dict[str, Array]
    targets: dict[str, Array]
    weights: dict[str, Array]
    uniforms: Array
    steps: int = 1
    teacher: Mapping[str, Array] = field(default_factory=dict)
    """Predictions of a teacher by target; empty without one."""
    total: int = 0
    """Rows of the call on all workers."""
    share: float = 1.0
    """Rows of this worker in each batch as a share of those of all; 0 where its row stands in for none."""

    def tree(self) -> dict[str, Any]:
        """Return the arguments of the compiled step."""
        taught = {"teacher": dict(self.teacher)} if self.teacher else {}
        return {"inputs": self.inputs, "targets": self.targets, "weights": self.weights, "uniforms": self.uniforms, **taught}


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch over `rows` of `arrays`."""

    arrays: Arrays
    rows: Array
    size: int
    seed: int
    uniform_columns: int = 0
    steps_per_call: int = 1
    placed: Callable[[Array], Any] | None = None
    """Brings an array to where it is computed with, ahead of the step as well."""
    teacher: Mapping[str, Array] = field(default_factory=dict)
    """Predictions of a teacher for all rows, by target; empty without one."""
    sampler: EpochSampler | None = None
    """Draws or orders the `rows` of an epoch by class or group; without one an epoch visits each of them once, in any order."""
    worker: int = 0
    workers: int = 1
    """The number of this worker, which takes every row of a batch whose place, modulo their count, is its number."""

    def __len__(self) -> int:
        """Steps of an epoch."""
        # Rounded up: the last, smaller batch counts.
        return (self.visits + self.size - 1) // self.size

    @property
    def visits(self) -> int:
        """Rows that an epoch visits, each as often as it does."""
        return len(self.rows) if self.sampler is None else len(self.sampler)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of the calls of one epoch, in its order, from step `start` on; the last batch may be smaller.

        Full batches that are too few for another call of `steps_per_call` come one by one.
        """
        calls = [slice(first * self.size, (first + steps) * self.size) for first, steps in self._calls(start)]
        if self.sampler is None:
            visited = epoch_permutation(self.seed, number, self.rows)
            return _prefetch(
                lambda rows: self._batch(rows, number), [visited[call] for call in calls], lambda rows: self.arrays.expect(self._own(rows))
            )
        visited = self.rows[self.sampler.positions(self.seed, number)]
        # (2, visits): a row that comes again in the epoch is augmented in another way.
        numbered = np.stack([visited, repetitions(visited)])
        pieces = [numbered[:, call] for call in calls]
        return _prefetch(
            lambda piece: self._batch(piece[0], number, piece[1]), pieces, lambda piece: self.arrays.expect(self._own(piece[0]))
        )

    def _calls(self, start: int) -> Iterator[tuple[int, int]]:
        """First step and number of steps of every call."""
        full = self.visits // self.size
        while start < len(self):
            # A call of several steps reshapes its rows to (steps, size, ...), so it takes full batches only.
            steps = self.steps_per_call if start + self.steps_per_call <= full else 1
            yield start, steps
            start += steps

    def _own(self, rows: Array) -> Array:
        """Return the rows of this worker in a call, which are as many in each of its batches; the first row of a batch without any."""
        if self.workers == 1:
            return rows
        batches = [rows[first : first + self.size][self.worker :: self.workers] for first in range(0, len(rows), self.size)]
        own: Array = np.concatenate(batches)
        return own if len(own) else rows[:1]

    def _batch(self, whole: Array, epoch: int, repeated: Array | None = None) -> Batch:
        arrays, rows = self.arrays, self._own(whole)
        repeated = None if repeated is None else self._own(repeated)
        # Without rows of its own, a worker takes part with one of another, which must not count twice.
        share = len(rows) / len(whole) if min(len(whole), self.size) > self.worker else 0.0
        inputs = {key: self._placed(values) for key, values in arrays.values(rows).items()}
        inputs |= {name: self._gathered(present, rows) for name, present in arrays.presence.items()}
        return Batch(
            rows,
            inputs,
            {key: self._placed(values[rows]) for key, values in arrays.targets.items()},
            {key: self._gathered(values, rows) for key, values in arrays.weights.items()},
            self._placed(self._uniforms(rows, epoch, repeated)),
            # A last, smaller batch is one step as well.
            max(1, len(whole) // self.size),
            {key: self._placed(values[rows]) for key, values in self.teacher.items()},
            len(whole),
            share,
        )

    def _uniforms(self, rows: Array, epoch: int, repeated: Array | None) -> Array:
        """Return the uniform numbers of rows, (rows, columns); of a row that is `repeated` in the epoch others each time."""
        numbers = uniform(self.seed, epoch, rows, self.uniform_columns)
        if repeated is None or not self.uniform_columns:
            return numbers
        for count in np.unique(repeated[repeated > 0]).tolist():
            again = repeated == count
            # No training has 2 ** 32 epochs: the first number of a later visit belongs to no other epoch.
            numbers[again] = uniform(self.seed, epoch + (count << 32), rows[again], self.uniform_columns)
        return numbers

    def _placed(self, values: Array) -> Any:
        return self.placed(values) if self.placed is not None else values

    def _gathered(self, values: Array, rows: Array) -> Any:
        """Presence or weights of `rows`. Where they are the same for every row, as most are, one placed array serves all batches."""
        # Keyed by identity, which is safe while `self.arrays` keeps the arrays alive.
        if id(values) not in self._uniform:
            return self._placed(values[rows])
        known = self._uniform[id(values)]
        # Two or three lengths occur: a call of several steps, a full batch, the last batch.
        if len(rows) not in known:
            known[len(rows)] = self._placed(values[: len(rows)])
        return known[len(rows)]

    @cached_property
    def _uniform(self) -> dict[int, dict[int, Any]]:
        """By identity of the array, then by number of rows."""
        # Empty arrays have no first value.
        small = (*self.arrays.presence.values(), *self.arrays.weights.values())
        return {id(values): {} for values in small if len(values) and (values == values[0]).all()}


def sequential_batches(arrays: Arrays, rows: Array, size: int) -> Iterator[dict[str, Array]]:
    """Inputs of `rows` as they stand, for prediction."""
    return _prefetch(arrays.take, [rows[first : first + size] for first in range(0, len(rows), size)], arrays.expect)


def _prefetch(make: Callable[[Array], Any], pieces: list[Array], expect: Callable[[Array], None]) -> Iterator[Any]:
    """`make` of every piece, the next one gathered by another thread while the caller works on this one.

    `expect` gets pieces a few calls earlier, so that a disk can begin to read them.
    """
    if not pieces:
        return

    def gathered(number: int) -> Any:
        # The first piece announces the first `PREFETCH_BATCHES`, each later one only the piece that enters this window.
        for piece in pieces[:PREFETCH_BATCHES] if number == 0 else pieces[number + PREFETCH_BATCHES - 1 : number + PREFETCH_BATCHES]:
            expect(piece)
        return make(pieces[number])

    # One thread: pieces stay in order, and at most one finished batch waits in memory.
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(gathered, 0)
        for number in range(1, len(pieces)):
            ready = coming.result()
            # Submitted before the yield, so that the gather runs while the caller computes on `ready`.
            coming = pool.submit(gathered, number)
            yield ready
        yield coming.result()
