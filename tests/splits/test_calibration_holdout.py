"""The half of the validation part that is held back for conformal prediction."""

import numpy as np
import pytest

from mmtrain.data.splits.split_file import read_split, to_csv
from mmtrain.errors import DataError
from mmtrain.splits.plan import Partition, Rows, SplitPlan, hold_out_calibration

PARTITION = Partition.from_codes(np.array([0, 2, 1, 1, 1, 0, 1, 1, 1, 2, 1, 1]))
GROUPS = list("xyaaaxbbcydd")


def held(groups=None, fewest=1, seed=0, coverage=0.6, partition=PARTITION):
    return hold_out_calibration(partition, Rows(12, groups=groups), coverage=coverage, fewest=fewest, seed=seed)


def test_half_of_the_rows_are_held_back_and_no_other_part_changes():
    found = held()
    assert found.calibration.tolist() == [4, 6, 7, 10]
    assert found.validation.tolist() == [2, 3, 8, 11]
    assert (found.train.tolist(), found.test.tolist()) == ([0, 5], [1, 9])


def test_halves_are_of_whole_groups_and_validation_keeps_the_odd_one():
    for seed in range(20):
        found = held(GROUPS, seed=seed)
        mine, theirs = ({GROUPS[row] for row in rows} for rows in (found.calibration, found.validation))
        assert mine.isdisjoint(theirs)
        assert (len(mine), len(theirs)) == (2, 2)
    odd = hold_out_calibration(Partition.from_codes(np.array([0, 1, 1, 1])), Rows(4), coverage=0.6, fewest=1, seed=0)
    assert (len(odd.validation), len(odd.calibration)) == (2, 1)


def test_halves_follow_from_the_seed():
    assert held(seed=3).calibration.tolist() == held(seed=3).calibration.tolist()
    assert len({tuple(held(seed=seed).calibration.tolist()) for seed in range(10)}) > 5


def test_part_comes_back_from_split_csv(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("".join(to_csv(SplitPlan.of(held()), range(12))))
    assert "\n4,,0,calibration\n" in path.read_text()
    written = read_split(path).plan.holdout
    assert {part: rows.tolist() for part, rows in written.items()} == {part: rows.tolist() for part, rows in held().items()}
    assert [part for part, _ in written.items()] == ["train", "validation", "test", "calibration"]


@pytest.mark.parametrize(
    ("groups", "fewest", "coverage", "problem"),
    [
        (
            None,
            9,
            0.9,
            "a coverage of 0.9 needs 9 rows held back; the validation part has 8 rows, half of which is 4. "
            "Raise `split.validation`, or lower the coverage to 0.8, or leave `conformal` out.",
        ),
        (
            GROUPS,
            4,
            0.8,
            "a coverage of 0.8 needs 4 groups held back; the validation part has 4 groups, half of which is 2. "
            "Raise `split.validation`, or lower the coverage to 0.66, or leave `conformal` out.",
        ),
    ],
)
def test_too_few_rows_or_groups_are_refused(groups, fewest, coverage, problem):
    with pytest.raises(DataError) as caught:
        held(groups, fewest, coverage=coverage)
    assert str(caught.value) == f"evaluation.conformal: {problem}"


def test_one_row_cannot_be_halved():
    with pytest.raises(DataError) as caught:
        hold_out_calibration(Partition.from_codes(np.array([0, 1])), Rows(2), coverage=0.6, fewest=2, seed=0)
    assert str(caught.value) == (
        "evaluation.conformal: a coverage of 0.6 needs 2 rows held back; the validation part has 1 row, half of which is 0. "
        "Raise `split.validation`, or leave `conformal` out."
    )
