"""How rows are divided into train, validation and test."""

import numpy as np
import pytest

from mmtrain.errors import DataError
from mmtrain.splits import Partition, Rows, SplitPlan, split_methods
from mmtrain.splits.group_allocation import Tally

LABELS = list("aaaaaaaabbbbaaaabbbb")
GROUPS = [f"p{row // 2}" for row in range(20)]
GIVEN = ["train", "train", "test", "test"] * 5
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


def split(rows: Rows, *, method: str, **options) -> Partition:
    """The partition of a method that makes no folds."""
    return split_methods[method].plan(rows, **options).holdout


def lists(partition: Partition) -> list[list[int]]:
    return [positions.tolist() for _, positions in partition.items()]


@pytest.mark.parametrize(
    ("method", "rows", "train", "validation", "test"),
    [
        ("random", Rows(20), [0, 1, 3, 6, 7, 8, 10, 12, 13, 14, 15, 16], [4, 5, 18, 19], [2, 9, 11, 17]),
        ("random", Rows(20, groups=GROUPS), [0, 1, 2, 3, 6, 7, 12, 13, 14, 15, 16, 17], [4, 5, 8, 9], [10, 11, 18, 19]),
        ("stratified", Rows(20, labels=LABELS), [1, 3, 6, 8, 10, 12, 13, 14, 15, 16, 18, 19], [0, 7, 9, 17], [2, 4, 5, 11]),
        ("stratified", Rows(20, GROUPS, LABELS), [0, 1, 2, 3, 6, 7, 8, 9, 14, 15, 16, 17], [10, 11, 12, 13], [4, 5, 18, 19]),
        ("column", Rows(20, given=GIVEN), [0, 1, 4, 5, 12, 13, 16], [8, 9, 17], [2, 3, 6, 7, 10, 11, 14, 15, 18, 19]),
        ("column", Rows(20, None, LABELS, GIVEN), [0, 1, 5, 8, 9, 13, 16], [4, 12, 17], [2, 3, 6, 7, 10, 11, 14, 15, 18, 19]),
        ("column", Rows(20, GROUPS, LABELS, GIVEN), [0, 1, 4, 5, 8, 9], [12, 13, 16, 17], [2, 3, 6, 7, 10, 11, 14, 15, 18, 19]),
    ],
)
def test_split_is_pinned(method, rows, train, validation, test):
    # Change these values only when every earlier run may be split anew.
    fraction = 0.3 if method == "column" else 0.2
    assert lists(split(rows, method=method, validation=fraction, test=0.2, seed=7)) == [train, validation, test]


def test_split_of_another_seed_differs():
    found = {tuple(split(Rows(50), method="random", validation=0.2, test=0.2, seed=seed).test.tolist()) for seed in range(5)}
    assert len(found) == 5


@pytest.mark.parametrize(
    ("count", "validation", "test", "sizes"),
    [
        (400, 0.15, 0.15, [280, 60, 60]),
        (10, 0.15, 0.15, [7, 2, 1]),
        (7, 0.2, 0.2, [5, 1, 1]),
        (100, 0.25, 0.0, [75, 25, 0]),
        (100, 0.0, 0.1, [90, 0, 10]),
        (5, 0.0, 0.0, [5, 0, 0]),
        (3, 0.01, 0.01, [1, 1, 1]),  # a part that was asked for is never empty
    ],
)
def test_split_sizes_are_nearest_to_the_fractions(count, validation, test, sizes):
    parts = split(Rows(count), method="random", validation=validation, test=test, seed=0)
    assert [len(positions) for _, positions in parts.items()] == sizes


def test_split_random_pays_no_heed_to_labels():
    plain = split(Rows(20), method="random", validation=0.2, test=0.2, seed=7)
    assert lists(split(Rows(20, labels=["rare"] + ["a"] * 19), method="random", validation=0.2, test=0.2, seed=7)) == lists(plain)


@pytest.mark.parametrize(
    ("of_class", "expected"),
    [
        ({"a": 320, "b": 80}, {"a": [224, 48, 48], "b": [56, 12, 12]}),
        ({"a": 100, "b": 4}, {"a": [70, 15, 15], "b": [2, 1, 1]}),
        ({"a": 100, "b": 3}, {"a": [70, 15, 15], "b": [1, 1, 1]}),
        ({"a": 10, "b": 10}, {"a": [7, 1, 2], "b": [7, 2, 1]}),
    ],
)
def test_split_stratified_keeps_the_mix_of_classes(of_class, expected):
    labels = np.array([name for name, rows in of_class.items() for _ in range(rows)])
    parts = split(Rows(len(labels), labels=labels), method="stratified", validation=0.15, test=0.15, seed=3)
    found = {name: [int((labels[positions] == name).sum()) for _, positions in parts.items()] for name in of_class}
    assert found == expected


def clinic(seed: int) -> Rows:
    """150 patients of 1-4 scans in mixed order, a fifth of them positive."""
    chance = np.random.default_rng(seed)
    scans = chance.integers(1, 5, 150)
    groups = np.repeat([f"P{patient:03}" for patient in range(150)], scans)
    labels = np.repeat(np.where(chance.random(150) < 0.2, "malignant", "benign"), scans)
    order = chance.permutation(len(groups))
    return Rows(len(groups), groups[order].tolist(), labels[order].tolist())


def test_split_of_a_clinic_is_grouped_and_near_in_size_and_mix():
    sizes, mixes = [], []
    for seed in range(60):
        rows = clinic(seed)
        groups, positive = np.array(rows.groups), np.array(rows.labels) == "malignant"
        parts = split(rows, method="stratified", validation=0.15, test=0.15, seed=seed)
        assert np.array_equal(np.sort(np.concatenate(lists(parts))), np.arange(rows.count))
        held = [set(groups[positions]) for _, positions in parts.items()]
        assert sum(map(len, held)) == len(set.union(*held)) == 150
        sizes += [abs(len(positions) / rows.count - SHARES[part]) for part, positions in parts.items()]
        mixes += [abs(positive[positions].mean() - positive.mean()) for _, positions in parts.items()]
    assert len(sizes) == len(mixes) == 180
    # Over 300 seeds the worst were 0.4 points in size and 2.3 points in mix.
    assert max(sizes) < 0.006
    assert max(mixes) < 0.03


def test_split_stratified_rows_of_each_class_are_near_their_share():
    deviations = []
    for seed in range(60):
        chance = np.random.default_rng(seed)
        of_class = chance.integers(3, 80, size=chance.integers(2, 30))
        labels = chance.permutation(np.repeat(np.arange(len(of_class)), of_class))
        parts = split(Rows(len(labels), labels=labels.astype(str)), method="stratified", validation=0.15, test=0.15, seed=seed)
        assert np.array_equal(np.sort(np.concatenate(lists(parts))), np.arange(len(labels)))
        for part, positions in parts.items():
            found = np.bincount(labels[positions], minlength=len(of_class))
            assert found.min() >= 1
            deviations.append(np.abs(found - SHARES[part] * of_class).max())
    assert len(deviations) == 180
    assert max(deviations) < 1.5  # over 500 seeds the worst was 1.2 rows


@pytest.mark.parametrize("labels", [None, ["a", "b"] * 500])
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([500, 100, 60, 40] + [10] * 20 + [1] * 100, [700, 150, 150]),
        ([800] + [2] * 100, [800, 100, 100]),  # nothing can be done about the one, but the others make up for it
    ],
)
def test_split_small_groups_make_up_for_large_ones(sizes, expected, labels):
    groups = [f"site {site}" for site, rows in enumerate(sizes) for _ in range(rows)]
    method = "random" if labels is None else "stratified"
    parts = split(Rows(1000, groups, labels), method=method, validation=0.15, test=0.15, seed=1)
    found = [len(positions) for _, positions in parts.items()]
    assert np.abs(np.array(found) - expected).max() <= 1


def test_split_large_groups_reach_every_part():
    """Were the largest groups placed by their rows alone, all of them would be in train."""
    sizes = [20] * 10 + [1] * 800
    groups = np.repeat([f"p{number}" for number in range(len(sizes))], sizes)
    parts = split(Rows(1000, groups), method="random", validation=0.2, test=0.2, seed=0)
    large = {f"p{number}" for number in range(10)}
    assert [len(large & set(groups[positions])) for _, positions in parts.items()] == [6, 2, 2]


def test_split_three_groups_of_a_class_reach_three_parts():
    labels = ["rare"] * 6 + ["common"] * 300
    groups = np.repeat([f"p{number}" for number in range(153)], 2)
    reached = 0
    for seed in range(20):
        parts = split(Rows(306, groups, labels), method="stratified", validation=0.1, test=0.1, seed=seed)
        assert [int((positions < 6).sum()) for _, positions in parts.items()] == [2, 2, 2]
        reached += 1
    assert reached == 20


def test_split_is_tried_again_where_a_first_deal_leaves_a_class_out():
    classes = {"A": "xz", "B": "x", "C": "z", "D": "yz", "E": "yz", "F": "xy"}
    groups = [group for group, held in classes.items() for _ in held]
    labels = np.array([label for held in classes.values() for label in held])
    parts = split(Rows(10, groups, labels.tolist()), method="stratified", validation=0.15, test=0.15, seed=0)
    assert [sorted(set(labels[positions])) for _, positions in parts.items()] == [["x", "y", "z"]] * 3


@pytest.mark.parametrize("validation", [0.15, 0.0])
def test_split_by_column_takes_the_parts_given(validation):
    given = ["test", "train", "train", "validation", "train"]
    parts = split(Rows(5, labels=list("abcde"), given=given), method="column", validation=validation, test=0.15, seed=0)
    assert parts.names(5).tolist() == given


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (0.9, 0.15)])
def test_split_by_column_takes_no_fraction_of_the_test_rows(validation, test):
    rows = Rows(20, given=["train"] * 10 + ["test"] * 10)
    parts = split(rows, method="column", validation=validation, test=test, seed=0)
    assert [len(positions) for _, positions in parts.items()] == [10 - 10 * validation, 10 * validation, 10]


def test_split_by_column_leaves_validation_empty_when_none_is_asked_for():
    parts = split(Rows(3, given=["train", "train", "test"]), method="column", validation=0.0, test=0.15, seed=0)
    assert lists(parts) == [[0, 1], [], [2]]


def test_split_by_column_takes_validation_from_a_fraction_of_the_training_rows():
    rows = Rows(200, labels=["a", "b"] * 100, given=["train"] * 100 + ["test"] * 100)
    parts = split(rows, method="column", validation=0.2, test=0.0, seed=0)
    assert parts.test.tolist() == list(range(100, 200))
    assert len(parts.validation) == 20
    assert sum(int(position) % 2 for position in parts.validation) == 10


RARE_FIX = "Merge it with another class, leave those rows out, or use `split: {method: random}`."
EACH_FIX = "Merge each with another class, leave those rows out, or use `split: {method: random}`."
TANGLED = {"A": "xy", "B": "xy", "C": "xz", "D": "yz", "E": "z"}


@pytest.mark.parametrize(
    ("method", "rows", "problems"),
    [
        ("random", Rows(2), ["split: the table has 2 rows, fewer than the 3 parts. Add rows, or set `test: 0`."]),
        (
            "stratified",
            Rows(6, groups=list("pppppq"), labels=list("aabbcc")),
            ["split: the table has 2 groups, fewer than the 3 parts. Add groups, or set `test: 0`."],
        ),
        ("stratified", Rows(9, labels=list("aaaaaaaxx")), [f"split: class 'x' has 2 rows, fewer than the 3 parts. {RARE_FIX}"]),
        ("stratified", Rows(9, labels=list("aaaaaaaax")), [f"split: class 'x' has 1 row, fewer than the 3 parts. {RARE_FIX}"]),
        (
            "stratified",
            Rows(9, groups=list("pppqrsttt"), labels=list("aaaaaaxxx")),
            [f"split: class 'x' has 1 group, fewer than the 3 parts. {RARE_FIX}"],
        ),
        (
            "stratified",
            Rows(12, labels=list("aaabbcdefggh")),
            [f"split: 7 classes have fewer rows than the 3 parts: 'b' (2), 'c' (1), 'd' (1), 'e' (1), 'f' (1) and 2 more. {EACH_FIX}"],
        ),
        (
            "stratified",
            Rows(
                9, [group for group, labels in TANGLED.items() for _ in labels], [label for labels in TANGLED.values() for label in labels]
            ),
            [f"split: no way was found to deal the groups to 3 parts so that each part has some of class 'z'. {RARE_FIX}"],
        ),
        (
            "column",
            Rows(6, groups=list("pqqrrs"), given=["test", "test", "validation", "validation", "test", "test"]),
            [
                "split: no row is marked train. Write train in the split column of the rows to learn from.",
                "split: the split column tears 2 groups apart: 'q' and 'r'. Mark all rows of a group for the same part.",
            ],
        ),
        (
            "column",
            Rows(4, labels=list("aaax"), given=["train"] * 4),
            [
                "split: no row is marked test. Write test in the split column of some rows, or set `test: 0`.",
                "split: class 'x' has 1 row marked train, fewer than the 2 parts. "
                "Merge it with another class, leave those rows out, or mark the validation rows in the split column.",
            ],
        ),
        (
            "column",
            Rows(14, groups=list("abcdefg" * 2), given=["train"] * 7 + ["test"] * 7),
            [
                "split: the split column tears 7 groups apart: 'a', 'b', 'c', 'd', 'e' and 2 more. "
                "Mark all rows of a group for the same part."
            ],
        ),
        (
            "column",
            Rows(3, given=["train", "test", "test"]),
            ["split: 1 row marked train cannot be divided into train and validation. Mark more rows train, or mark some validation."],
        ),
    ],
)
def test_split_that_cannot_be_made_is_refused(method, rows, problems):
    with pytest.raises(DataError) as refused:
        split(rows, method=method, validation=0.15, test=0.15, seed=0)
    assert str(refused.value).splitlines() == problems


def test_split_counts_only_the_parts_asked_for():
    parts = split(Rows(9, labels=list("aaaaaaaxx")), method="stratified", validation=0.2, test=0.0, seed=0)
    assert sorted(position in parts.validation for position in (7, 8)) == [False, True]


@pytest.mark.parametrize(
    ("method", "rows", "validation", "message"),
    [
        ("random", Rows(4), 0.9, "validation 0.9 and test 0.1 must be 0 or more and leave some rows to train."),
        ("random", Rows(4), -0.1, "validation -0.1 and test 0.1 must be 0 or more and leave some rows to train."),
        ("random", Rows(4, groups=["a", "b", None, "c"]), 0.1, "groups must have a value for each of the 4 rows."),
        ("stratified", Rows(4, labels=["a", "b", "b"]), 0.1, "labels must have a value for each of the 4 rows."),
        ("stratified", Rows(4), 0.1, "A stratified split needs labels."),
        ("column", Rows(4), 0.1, "A split by column needs the parts given."),
        ("column", Rows(2, given=["train", "dev"]), 0.1, "given must be one of train, validation or test for each of the 2 rows."),
    ],
)
def test_split_asked_for_wrongly_is_a_bug_of_the_caller(method, rows, validation, message):
    with pytest.raises(ValueError) as refused:
        split(rows, method=method, validation=validation, test=0.1, seed=0)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("train", "validation", "test", "groups", "message"),
    [
        ([0, 1], [2], [4], None, "The split is unsound: 1 row in no part (first: 3)."),
        ([0, 1, 2], [2, 3], [3, 4], None, "The split is unsound: 2 rows in several parts (first: 2)."),
        ([0, 1], [2, 3], [4], list("abbcc"), "The split is unsound: 2 groups in several parts (first: 'b')."),
        ([0], [1], [1], list("abbcc"), "The split is unsound: 3 rows in no part (first: 2), 1 row in several parts (first: 1), "
         "1 group in several parts (first: 'b')."),
    ],
)  # fmt: skip
def test_check_finds_what_is_torn_or_lost(train, validation, test, groups, message):
    partition = Partition(*(np.array(positions, np.int64) for positions in (train, validation, test)))
    with pytest.raises(RuntimeError) as raised:
        SplitPlan.of(partition).check(Rows(5, groups))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("groups", "labels", "profiles"),
    [
        ([0, 1, 2, 3, 4], [0, 1, 0, 2, 1], [0, 1, 0, 2, 1]),
        ([0, 0, 1, 2, 2, 3], [0, 0, 0, 0, 0, 1], [0, 1, 0, 2]),  # a class per group
        ([0, 0, 1, 1, 2, 2, 3], [0, 1, 1, 1, 1, 0, 1], [0, 1, 0, 2]),  # several
        ([], [], []),
    ],
)
def test_groups_are_alike_that_have_the_same_rows_of_each_class(groups, labels, profiles):
    tally = Tally.of(np.array(groups, dtype=np.int64), np.array(labels, dtype=np.int64))
    assert tally.profiles().tolist() == profiles


def test_many_parts_of_many_classes_are_counted():
    """100 folds times 400 classes are more than 16 bits hold, which the parts of `deal` have."""
    rows = np.arange(40_000)
    tally = Tally.of_rows(rows, (rows % 400).astype(np.int32))
    assert (tally.groups_with_class((rows // 400).astype(np.int16), 100) == 1).all()
