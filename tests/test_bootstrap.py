"""The bootstrap: what is drawn, that scores of draws are those of the drawn rows, and that intervals hold the truth as often as told."""

import numpy as np
import pytest

from mmtrain.evaluation.bootstrap import Bootstrap, Interval
from mmtrain.targets.base import FittedTarget
from mmtrain.targets.binary import FittedBinary
from mmtrain.targets.multiclass import FittedMulticlass
from mmtrain.targets.multilabel import FittedMultilabel
from mmtrain.targets.regression import FittedRegression

CHANCE = np.random.default_rng(0)
ROWS = 40
BINARY = FittedBinary(column="y", loss_weight=1, classes=("benign", "malignant"), counts=(1, 1), weights=(1, 1), threshold=0.4)
MULTICLASS = FittedMulticlass(
    column="y", loss_weight=1, classes=("cat", "dog", "owl"), counts=(1, 1, 1), weights=(1, 1, 1), label_smoothing=0
)
MULTILABEL = FittedMultilabel(
    column="y", loss_weight=1, labels=("beach", "boat"), one_column_each=False, separator=";", rows=1, counts=(1, 1), weights=(1, 1)
)
REGRESSION = FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=0, maximum=1, error="squared")

TASKS = {
    "binary": (BINARY, CHANCE.integers(0, 2, ROWS), CHANCE.random((ROWS, 1)).round(1)),
    "binary, one row of a class": (BINARY, np.eye(ROWS, dtype=int)[3], CHANCE.random((ROWS, 1))),
    "multiclass": (MULTICLASS, CHANCE.integers(0, 3, ROWS), CHANCE.dirichlet(np.ones(3), ROWS)),
    "multiclass, a rare class and one that never occurs": (MULTICLASS, np.eye(ROWS, dtype=int)[3], CHANCE.dirichlet(np.ones(3), ROWS)),
    "multilabel": (MULTILABEL, CHANCE.integers(0, 2, (ROWS, 2)), CHANCE.random((ROWS, 2)).round(1)),
    "multilabel, a rare label": (MULTILABEL, np.eye(ROWS, 2, dtype=int), CHANCE.random((ROWS, 2))),
    "regression": (REGRESSION, CHANCE.normal(5, 1, ROWS), CHANCE.normal(5, 1, (ROWS, 1))),
    "regression, one row differs": (REGRESSION, np.where(np.arange(ROWS) == 3, 2.5, 0.1), CHANCE.normal(5, 1, (ROWS, 1))),
}


def bootstrap(rows, groups=None, draws=200, seed=0):
    return Bootstrap(rows, groups=groups, draws=draws, confidence=0.95, seed=seed)


@pytest.mark.parametrize("case", TASKS)
def test_scores_of_draws_are_the_scores_of_the_drawn_rows(case):
    target, truth, prediction = TASKS[case]
    counts = np.random.default_rng(1).integers(0, 3, (50, ROWS))

    vectorised = target.resampled(truth, prediction, counts)
    one_by_one = FittedTarget.resampled(target, truth, prediction, counts)
    assert list(vectorised) == list(one_by_one) == [score.name for score in target.scores(truth, prediction)]
    for name, values in vectorised.items():
        np.testing.assert_allclose(values, one_by_one[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("case", TASKS)
def test_a_draw_without_rows_has_no_score(case):
    target, truth, prediction = TASKS[case]
    found = target.resampled(truth, prediction, np.zeros((1, ROWS), dtype=np.int64))
    assert len(found) >= 4
    assert all(np.isnan(values).all() for values in found.values())


def test_as_many_rows_are_drawn_as_there_are_and_each_as_often_as_the_others():
    drawn = bootstrap(5, draws=20_000)
    assert (drawn.unit, drawn.units) == ("row", 5)
    assert set(drawn.of(lambda counts: counts.sum(axis=1))) == {5}
    assert [drawn.of(lambda counts, row=row: counts[:, row]).mean() for row in range(5)] == pytest.approx([1] * 5, abs=0.03)
    assert drawn.of(lambda counts: counts[:, 0] == 0).mean() == pytest.approx((4 / 5) ** 5, abs=0.01)


def test_rows_of_a_group_are_drawn_together():
    drawn = bootstrap(6, groups=np.array([7, 7, 7, 2, 9, 9]), draws=5_000)
    assert (drawn.unit, drawn.units) == ("group", 3)
    assert drawn.of(lambda counts: (counts[:, 0] == counts[:, 1]) & (counts[:, 1] == counts[:, 2]) & (counts[:, 4] == counts[:, 5])).all()
    assert set(drawn.of(lambda counts: counts[:, [0, 3, 4]].sum(axis=1))) == {3}
    assert drawn.of(lambda counts: counts[:, 3]).mean() == pytest.approx(1, abs=0.04)


def test_draws_follow_from_the_seed_and_not_from_what_is_asked():
    asked = bootstrap(30, draws=4)
    first = asked.of(lambda counts: counts @ np.arange(30))
    assert first.tolist() == asked.of(lambda counts: counts @ np.arange(30)).tolist()
    assert first.tolist() == bootstrap(30, draws=4).of(lambda counts: counts @ np.arange(30)).tolist()
    assert first.tolist() != bootstrap(30, draws=4, seed=1).of(lambda counts: counts @ np.arange(30)).tolist()


def test_draws_come_in_chunks_of_a_million_counts_and_do_not_depend_on_them():
    sizes = []

    def place(counts):
        sizes.append(counts.shape)
        return counts @ np.arange(400_000)

    five = bootstrap(400_000, draws=5).of(place)
    assert sizes == [(2, 400_000), (2, 400_000), (1, 400_000)]
    assert bootstrap(400_000, draws=1).of(place).tolist() == five[:1].tolist()


def test_interval_leaves_a_fortieth_of_the_draws_out_on_each_side():
    found = bootstrap(10_000).interval(np.arange(1001) / 1000)
    assert (found.low, found.high) == (pytest.approx(0.025, abs=1e-4), pytest.approx(0.975, abs=1e-4))
    assert Interval(0.25, 0.5).plain() == {"low": 0.25, "high": 0.5}


@pytest.mark.parametrize(("undefined", "stated"), [(10, True), (11, False)])
def test_interval_needs_nine_of_ten_draws_to_have_the_score(undefined, stated):
    values = np.append(np.full(undefined, np.nan), np.linspace(0, 1, 100 - undefined))
    assert (bootstrap(50).interval(values) is not None) is stated
