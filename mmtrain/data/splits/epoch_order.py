"""The order in which training rows are visited: a function of seed and epoch, not a state.

A sampler that remembers where it stands must be saved, restored and kept in step with everything else. A function need
not: two integers (epoch, step) say where a run is, any epoch can be repeated or entered in the middle, and every worker
and every input column computes the same order by itself. Only indices are shuffled, never pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def epoch_permutation(seed: int, epoch: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`rows` (n,) as they are visited in `epoch`; `seed` and `epoch` are 0 or more.

    NumPy may change what a Generator draws from a seed between its versions (NEP 19); the tests pin literal orders, so
    that such a change is seen here and not in the scores of a resumed run.
    """
    entropy = np.random.SeedSequence([seed, epoch])
    return np.random.Generator(np.random.PCG64(entropy)).permutation(rows)
