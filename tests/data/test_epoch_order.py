"""The order of training rows is a function of seed and epoch."""

import numpy as np
import pytest

from mmtrain.data.counter_rng import epoch_permutation


@pytest.mark.parametrize(
    ("seed", "epoch", "rows", "visited"),
    [
        (7, 0, [0, 1, 2, 3, 4, 5, 6, 7], [0, 6, 7, 2, 4, 5, 1, 3]),
        (7, 1, [0, 1, 2, 3, 4, 5, 6, 7], [6, 3, 1, 0, 2, 4, 7, 5]),
        (7, 2, [0, 1, 2, 3, 4, 5, 6, 7], [6, 0, 2, 3, 7, 5, 1, 4]),
        (8, 0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 0, 5, 6, 1, 2, 4]),
        (7, 1, [3, 5, 8, 13], [8, 3, 13, 5]),
        (7, 1, [], []),
    ],
)
def test_order_is_pinned(seed, epoch, rows, visited):
    # Change these values only when runs in progress may be broken: a resumed run would go on in another order.
    assert epoch_permutation(seed, epoch, np.array(rows, np.int64)).tolist() == visited


def test_order_visits_every_row_once_and_leaves_its_argument_alone():
    rows = np.arange(100, dtype=np.int64) * 3
    visited = epoch_permutation(1, 5, rows)
    assert sorted(visited.tolist()) == rows.tolist() == list(range(0, 300, 3))
    assert visited.dtype == np.int64


def test_order_of_an_epoch_does_not_depend_on_the_epochs_before():
    rows = np.arange(50)
    forwards = [epoch_permutation(3, epoch, rows).tolist() for epoch in range(4)]
    backwards = [epoch_permutation(3, epoch, rows).tolist() for epoch in reversed(range(4))]
    assert forwards == backwards[::-1]
    assert len({tuple(visited) for visited in forwards}) == 4
