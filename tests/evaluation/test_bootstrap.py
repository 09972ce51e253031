"""Bootstrap: draws of rows and groups, scores of draws, and the coverage of the intervals."""

import time

import numpy as np
import pytest

from mmtrain.artifacts.results import BootstrapInfo
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.bootstrap import METHOD, Bootstrap, Resampling
from mmtrain.metrics.bootstrap_counts import by_row, unit_counts
from mmtrain.metrics.labels.auc import Ranking
from mmtrain.targets.fitted_target import FittedTarget
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

CHANCE = np.random.default_rng(0)


def info(confidence, draws, unit, units, column=""):
    return BootstrapInfo(confidence=confidence, draws=draws, unit=unit, units=units, column=column, method=METHOD)


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

    vectorised = target.scorer(truth, prediction)(counts)
    one_by_one = FittedTarget.scorer(target, truth, prediction)(counts)
    assert list(vectorised) == list(one_by_one) == [score.name for score in target.scores(truth, prediction)]
    for name, values in vectorised.items():
        np.testing.assert_allclose(values, one_by_one[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("draws", [3, 100])
@pytest.mark.parametrize("rows_of_a_class", [2, 80])
@pytest.mark.parametrize("decimals", [1, 9], ids=["heavy ties", "distinct"])
def test_scores_of_draws_of_many_classes_are_the_scores_of_the_drawn_rows(draws, rows_of_a_class, decimals):
    """Small classes are compared with all rows in one matrix product, large ones are sorted; few draws are added up in another way."""
    random, classes = np.random.default_rng(2), 9
    truth = np.concatenate([np.repeat(np.arange(classes - 1), rows_of_a_class), np.full(30, classes - 1)])
    prediction = random.dirichlet(np.full(classes, 0.3), len(truth)).round(decimals).astype("float32")
    names = tuple("abcdefghi")
    target = MULTICLASS.model_copy(update={"classes": names, "counts": (1,) * classes, "weights": (1,) * classes})
    counts = random.integers(0, 3, (draws, len(truth)))

    vectorised = target.scorer(truth, prediction)(counts)
    one_by_one = FittedTarget.scorer(target, truth, prediction)(counts[:3])
    for name, values in vectorised.items():
        np.testing.assert_allclose(values[:3], one_by_one[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_r2_of_draws_with_equal_answers_is_undefined_whatever_their_spread_is_rounded_to():
    random = np.random.default_rng(0)
    counts = random.integers(0, 3, (50, ROWS))
    counts[:, 3] = 0
    for equal in random.normal(0, 1000, 10):
        truth = np.where(np.arange(ROWS) == 3, 2.5, equal)
        assert np.isnan(REGRESSION.scorer(truth, random.normal(5, 1, (ROWS, 1)))(counts)["r2"]).all()


@pytest.mark.parametrize("case", TASKS)
def test_the_draw_that_has_every_row_once_has_the_scores_of_the_rows_to_the_bit(case):
    """The bias correction counts the draws below the score: rounding must not add one that is equal to it."""
    target, truth, prediction = TASKS[case]
    found = target.scorer(truth, prediction)(np.ones((70, ROWS), dtype=np.int64))
    known = [score for score in target.scores(truth, prediction) if score.value is not None]
    assert len(known) >= 3
    for score in known:
        np.testing.assert_allclose(found[score.name], score.value, rtol=1e-12)
        if score.name.rpartition("_")[2].partition("[")[0] in ("auc", "f1", "accuracy"):
            assert set(found[score.name]) == {score.value}


def test_columns_are_sorted_once_for_all_draws(monkeypatch):
    sorted_columns = []
    made = Ranking.__init__

    def noted(self, truth, score):
        sorted_columns.append(score.tobytes())
        made(self, truth, score)

    monkeypatch.setattr(Ranking, "__init__", noted)
    monkeypatch.setattr("mmtrain.evaluation.bootstrap.CHUNK_CELLS", 10 * ROWS)
    for case, columns in (("binary", 1), ("multiclass", 0), ("multilabel", 2)):
        target, truth, prediction = TASKS[case]
        bootstrap(ROWS).scores(target, truth, prediction)
        assert len(sorted_columns) == columns
        sorted_columns.clear()


@pytest.mark.parametrize("case", TASKS)
def test_a_draw_without_rows_has_no_score(case):
    target, truth, prediction = TASKS[case]
    found = target.scorer(truth, prediction)(np.zeros((1, ROWS), dtype=np.int64))
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


# Intervals


def test_interval_leaves_a_fortieth_of_the_draws_out_on_each_side():
    found = bootstrap(10_000).interval(np.arange(1001) / 1000)
    assert (found.low, found.high) == (pytest.approx(0.025, abs=1e-4), pytest.approx(0.975, abs=1e-4))
    assert found == (found.low, found.high)


@pytest.mark.parametrize(("confidence", "outside"), [(0.8, 0.1), (0.99, 0.005)])
def test_interval_is_as_wide_as_the_confidence_asks(confidence, outside):
    drawn = Bootstrap(10_000, groups=None, draws=100, confidence=confidence, seed=0)
    assert drawn.interval(np.arange(1001) / 1000).low == pytest.approx(outside, abs=1e-4)


@pytest.mark.parametrize(
    ("units", "outside"),  # the normal's share beyond t * sqrt(n / (n - 1)), as scipy.stats has it
    [(5, 0.000954), (10, 0.008551), (30, 0.018754), (100, 0.023064)],
)
def test_interval_is_wider_for_few_rows_or_groups(units, outside):
    found = bootstrap(units).interval(np.arange(100_001) / 100_000)
    assert (found.low, found.high) == (pytest.approx(outside, abs=2e-5), pytest.approx(1 - outside, abs=2e-5))


def test_interval_moves_away_from_where_the_draws_lean():
    """0.8413 of the draws lie above the estimate, so z0 is minus one standard deviation and the interval shifts by two."""
    values = np.arange(1001) / 1000
    found = bootstrap(10_000).interval(values, 1 - 0.8413)
    assert (found.low, found.high) == (pytest.approx(0.0000, abs=1e-3), pytest.approx(0.4840, abs=1e-3))
    assert bootstrap(10_000).interval(values, 0.5) == bootstrap(10_000).interval(values)


def test_interval_holds_the_estimate_however_far_off_the_draws_are():
    found = bootstrap(50).interval(np.linspace(0.4, 0.6, 100), 0.9)
    assert (found.low, found.high) == (pytest.approx(0.6, abs=1e-3), 0.9)


@pytest.mark.parametrize(
    ("values", "units", "doubt"),
    [
        (np.append(np.full(10, np.nan), np.linspace(0, 1, 90)), 50, ""),
        (np.append(np.full(11, np.nan), np.linspace(0, 1, 89)), 50, "It is undefined in 11% of the draws."),
        (np.full(100, np.nan), 50, "It is undefined in 100% of the draws."),
        (np.full(100, 0.7), 50, "Every draw has the same value."),
        (np.linspace(0, 1, 100), 1, "There is only one row to draw."),
    ],
)
def test_interval_is_not_given_where_the_draws_cannot_carry_it(values, units, doubt):
    asked = bootstrap(units)
    assert asked.obstacle(values) == doubt
    assert (asked.interval(values, 0.7) is None) is bool(doubt)


def test_one_group_gives_no_interval():
    assert bootstrap(30, groups=np.zeros(30, dtype=int)).obstacle(np.linspace(0, 1, 100)) == "There is only one group to draw."


def test_scores_are_stated_with_their_intervals_or_why_they_have_none():
    truth, probability = np.repeat([0, 1], 20), np.concatenate([np.linspace(0.1, 0.6, 20), np.linspace(0.5, 0.9, 20)])[:, np.newaxis]
    asked = bootstrap(40)
    stated = {
        score.name: score for score in asked.with_intervals(BINARY.scores(truth, probability), asked.scores(BINARY, truth, probability))
    }
    assert (stated["auc"].value, stated["auc"].note) == (pytest.approx(0.96625), "")
    assert 0.85 < stated["auc"].interval.low < 0.96625 < stated["auc"].interval.high < 1
    assert (stated["sensitivity"].interval, stated["sensitivity"].note) == (None, "No interval: every draw has the same value.")
    assert stated["auc"].to_json() == {"value": stated["auc"].value, **stated["auc"].interval._asdict()}


def test_a_score_that_is_undefined_stays_so_without_an_interval():
    truth, probability = np.zeros(40, dtype=int), np.linspace(0, 1, 40)[:, np.newaxis]
    asked = bootstrap(40)
    stated = asked.with_intervals(BINARY.scores(truth, probability), asked.scores(BINARY, truth, probability))
    assert (stated[0].value, stated[0].interval, stated[0].note) == (None, None, "")


@pytest.mark.parametrize(
    ("drawing", "words"),
    [
        (info(0.95, 1000, "row", 2500), "1,000 draws of 2,500 rows"),
        (info(0.95, 1000, "group", 60, "patient"), "1,000 draws of 60 groups (patient)"),
        (info(0.9, 100, "group", 19, "site"), "100 draws of 19 groups (site); with so few, intervals are rough"),
        (info(0.9, 100, "row", 1), "100 draws of 1 row; with so few, intervals are rough"),
    ],
)
def test_what_was_drawn_is_told_in_words(drawing, words):
    assert drawing.text == words


def test_the_rows_that_are_scored_keep_their_groups():
    section = Evaluation(draws=100, confidence=0.9, seed=3)
    resampling = Resampling(section, np.array([5, 5, 8, 8, 9]), "patient")
    asked = resampling.bootstrap(np.array([True, True, False, True, False]))
    assert resampling.info(asked) == info(0.9, 100, "group", 2, "patient")
    assert Resampling(section).info(Resampling(section).bootstrap(np.ones(7, dtype=bool))) == info(0.9, 100, "row", 7)


# How often intervals hold the truth

AUC_OF_ONE = 0.7602  # of two normals one standard deviation apart, Phi(1 / sqrt(2))


def alike(generator, groups, rows_each):
    """Rows of a group share a class and, by half of its variance, their score; the classes lie one standard deviation apart."""
    codes = np.repeat(np.arange(groups), rows_each)
    truth = (generator.random(groups) < 0.5).astype(int)[codes]
    score = truth + np.sqrt(0.5) * (generator.normal(size=groups)[codes] + generator.normal(size=len(codes)))
    return codes, truth, 1 / (1 + np.exp(0.5 - score))[:, np.newaxis]


def share_that_holds(simulations, groups, rows_each, *, by_group):
    """Return the proportion of 95 % intervals of the AUC that contain the AUC of the population."""
    found = [
        interval_of_auc(seed, *alike(np.random.default_rng(seed), groups, rows_each), by_group=by_group) for seed in range(simulations)
    ]
    return np.mean([interval.low <= AUC_OF_ONE <= interval.high for interval in found])


def interval_of_auc(seed, codes, truth, probability, *, by_group):
    asked = Bootstrap(len(codes), groups=codes if by_group else None, draws=1000, confidence=0.95, seed=seed)
    score = probability[:, 0]
    ranked = Ranking(truth, score)
    return asked.interval(asked.of(lambda counts: ranked.auc(by_row(counts))), float(ranked.auc(by_row(unit_counts(len(truth))))[0]))


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 400])
def test_95_of_100_intervals_of_auc_hold_the_truth(rows):
    assert 0.93 <= share_that_holds(500, rows, 1, by_group=False) <= 0.97


@pytest.mark.slow
def test_intervals_of_grouped_rows_hold_the_truth_only_when_groups_are_drawn():
    assert 0.93 <= share_that_holds(500, 60, 7, by_group=True) <= 0.97
    assert share_that_holds(500, 60, 7, by_group=False) < 0.8


def test_intervals_of_grouped_rows_are_too_narrow_when_rows_are_drawn():
    rows = alike(np.random.default_rng(1), 60, 7)
    by_group, by_row = (interval_of_auc(0, *rows, by_group=by_group) for by_group in (True, False))
    assert by_group.high - by_group.low > 1.6 * (by_row.high - by_row.low)


@pytest.mark.slow
def test_twenty_scores_of_2000_rows_are_drawn_1000_times_in_ten_seconds():
    generator, labels = np.random.default_rng(0), tuple("abcdefgh")
    target = MULTILABEL.model_copy(update={"labels": labels})
    truth, prediction = generator.integers(0, 2, (2000, len(labels))), generator.random((2000, len(labels)))
    start = time.process_time()
    found = bootstrap(2000, draws=1000).scores(target, truth, prediction)
    assert len(found) == 30
    assert time.process_time() - start < 10
