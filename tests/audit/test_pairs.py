"""Pairs of codes against loops over all rows."""

import numpy as np
import pytest

from mmtrain.audit.pairs import distinct_pairs, has_several, positions_in_runs


@pytest.mark.parametrize("rows", [0, 1, 200])
def test_pairs_of_codes_are_those_of_a_loop(rows):
    generator = np.random.default_rng(rows)
    first, second = generator.integers(0, 30, rows), generator.integers(0, 4, rows).astype(np.int32)
    expected = sorted(set(zip(first.tolist(), second.tolist(), strict=True)))
    assert list(zip(*(codes.tolist() for codes in distinct_pairs(first, second)), strict=True)) == expected
    several = [len({two for one, two in expected if one == code}) > 1 for code in range(31)]
    assert has_several(first, second, 31).tolist() == several


def test_positions_start_again_in_each_run():
    lengths = np.array([3, 0, 1, 2])
    assert positions_in_runs(lengths).tolist() == [0, 1, 2, 0, 0, 1]
    assert positions_in_runs(np.zeros(2, dtype=np.int64)).tolist() == []
