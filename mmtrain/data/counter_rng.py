"""Random numbers and orders as functions of seed, epoch and row, without a state: SplitMix64 (Steele, Lea and Flood 2014) and PCG64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def uniform(seed: int, epoch: int, rows: NDArray[np.int64], columns: int) -> NDArray[np.float32]:
    """Uniform numbers in [0, 1) for (seed, epoch, row, column); (rows, columns)."""
    if not columns:
        return np.empty((len(rows), 0), dtype=np.float32)
    # Arrays of one number instead of scalars: NumPy wraps overflow silently in arrays and warns of it in scalars.
    start = mix_bits(np.array([mix_bits(np.array([seed % 2**64], dtype=np.uint64))[0] ^ np.uint64(epoch)], dtype=np.uint64))[0]
    # (rows, columns): a number of its own for every cell, so that cells are independent of each other.
    counter = rows.astype(np.uint64)[:, None] * np.uint64(columns) + np.arange(columns, dtype=np.uint64)
    bits = mix_bits(counter ^ start) >> np.uint64(40)  # 24 bits, what a float32 holds exactly
    return (bits.astype(np.float32)) * np.float32(2.0**-24)


def mix_bits(values: NDArray[np.uint64], step: int = 1) -> NDArray[np.uint64]:
    """The output function of SplitMix64 on (n,) or (n, m) states, `step` steps further on."""
    # The increment is 2**64 over the golden ratio; the two factors are those of Stafford's variant 13, as published.
    values = values + np.uint64(step * 0x9E3779B97F4A7C15 % 2**64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def epoch_permutation(seed: int, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `rows` (n,) in the order in which `epoch` visits them; `seed` and `epoch` are 0 or more.

    A sampler with a state would have to be saved, restored and kept in step. Of a function two integers (epoch, step) say where a
    run is, any epoch can be entered in the middle, and every worker computes the same order by itself.

    NumPy may change what a Generator draws from a seed between its versions (NEP 19); the tests pin literal orders, so
    that such a change is seen here and not in the scores of a resumed run.
    """
    entropy = np.random.SeedSequence([seed, epoch])
    return np.random.Generator(np.random.PCG64(entropy)).permutation(rows)
