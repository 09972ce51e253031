"""Conformal sets and intervals have their nominal coverage on new rows."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.config.sections.evaluation import Evaluation, fewest_units
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.postprocessing.conformal import Intervals, fit_intervals, fit_sets, quantile
from mmtrain.evaluation.postprocessing.fit_postprocessing import MEAN_WIDTH, Postprocessing, _conformal, columns, fit_postprocessing
from mmtrain.reports.target_results.postprocessing import _describe_numbers
from mmtrain.targets import CountTarget, GaussianTarget, QuantileTarget, RegressionTarget
from mmtrain.targets.numbers.vector import FittedVector
from mmtrain.targets.prediction_columns import ConformalBand

ROWS = 5000


def classes(seed, kinds=4, rows=ROWS, sharpness=1.5):
    """Return codes and probabilities of a model that is far too confident, on which the coverage does not depend."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, sharpness, (rows, kinds))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    codes = (generator.random((rows, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    probabilities = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    return codes, probabilities.astype(np.float32)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("sharpness", [0.7, 1.5, 6.0])
def test_sets_cover_what_was_asked(coverage, sharpness):
    """Also for a model that is right more often than the coverage: then some sets are empty."""
    fitted = fit_sets(*classes(1, sharpness=sharpness), coverage=coverage, groups=None)
    codes, probabilities = classes(2, sharpness=sharpness)
    members = fitted.members(probabilities)
    assert members[np.arange(ROWS), codes].mean() == pytest.approx(coverage, abs=0.015)
    assert (fitted.rows, fitted.groups, fitted.note) == (ROWS, None, "")


def test_sets_of_a_better_model_are_smaller():
    blunt, sharp = (fit_sets(*classes(1, sharpness=by), coverage=0.9, groups=None).members(classes(2, sharpness=by)[1]) for by in (0.7, 4))
    assert sharp.sum(axis=1).mean() < 1.5 < 2.5 < blunt.sum(axis=1).mean()


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_intervals_cover_what_was_asked(coverage):
    generator = np.random.default_rng(3)
    prediction = generator.normal(0, 5, 2 * ROWS).astype(np.float32)
    truth = prediction + generator.standard_t(3, 2 * ROWS)
    fitted = fit_intervals(truth[:ROWS], around(prediction[:ROWS]), coverage=coverage, groups=None)
    low, high = fitted.ends(around(prediction[ROWS:]))
    assert ((low <= truth[ROWS:]) & (truth[ROWS:] <= high)).mean() == pytest.approx(coverage, abs=0.015)
    assert (fitted.contains(truth[ROWS:], around(prediction[ROWS:])) == ((low <= truth[ROWS:]) & (truth[ROWS:] <= high))).all()


def test_intervals_follow_the_spread_that_a_target_predicts():
    """Standard deviations and quantiles that are too small by a half are corrected; wide rows keep wider intervals than narrow ones."""
    generator = np.random.default_rng(3)
    x, noise = generator.uniform(0.2, 3, 2 * ROWS), generator.normal(size=2 * ROWS)
    truth = 7 + x * noise
    numbers = pd.Series(map(repr, truth.tolist()), dtype="str")
    gaussian = GaussianTarget(column="y").fit({"y": numbers}, "none")
    quantiles = QuantileTarget(column="y").fit({"y": numbers}, "none")
    seven = np.full(2 * ROWS, 7.0)
    for target, prediction in (
        (gaussian, np.stack([seven, x / 2], axis=1)),
        (quantiles, np.stack([seven - x / 2, seven, seven + x / 2], axis=1)),
        (quantiles, np.stack([seven - 9 * x, seven, seven + 9 * x], axis=1)),  # far too wide: they are narrowed
    ):
        band = target.conformal_band(prediction.astype(np.float32))
        first, second = (band.only(np.isin(np.arange(2 * ROWS) < ROWS, half)) for half in (True, False))
        fitted = fit_intervals(truth[:ROWS], first, coverage=0.9, groups=None)
        low, high = fitted.ends(second)
        inside = (low <= truth[ROWS:]) & (truth[ROWS:] <= high)
        assert inside.mean() == pytest.approx(0.9, abs=0.015)
        assert (low <= high).all()
        assert (high - low)[x[ROWS:] > 2].mean() > 1.3 * (high - low)[x[ROWS:] < 1].mean()
        result = _conformal(fitted, EvalSet(target, truth[ROWS:], prediction[ROWS:].astype(np.float32), None), 0.95)
        assert (result.width, result.note) == (pytest.approx((high - low).mean()), "The intervals differ in width; this is their mean.")
        if target is gaussian:
            assert inside[x[ROWS:] > 2].mean() == pytest.approx(0.9, abs=0.03)


def around(prediction):
    return ConformalBand(prediction.astype(np.float64), prediction.astype(np.float64), np.ones(len(prediction)))


def grouped(generator, groups, of):
    """Return errors of rows in groups of 1 to `of` rows; large groups have the largest errors."""
    sizes = generator.integers(1, of + 1, groups)
    scale = np.exp(generator.normal(0, 0.7, groups)) * sizes**2
    codes = np.repeat(np.arange(groups), sizes)
    return codes, np.abs(generator.normal(0, 1, len(codes)) * scale[codes])


def test_intervals_cover_rows_of_new_groups_where_rows_of_large_groups_do_not_count_more():
    """One row of each of 3,000 new groups. The quantile of all rows would be that of the large groups."""
    codes, distance = grouped(np.random.default_rng(4), 3000, 12)
    bound = quantile(distance, 0.9, codes)
    again, found = grouped(np.random.default_rng(5), 3000, 12)
    first = np.unique(again, return_index=True)[1]
    assert (found[first] <= bound).mean() == pytest.approx(0.9, abs=0.015)
    assert (found[first] <= quantile(distance, 0.9, None)).mean() > 0.93


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [(0.9, 9), (0.8, 4), (0.95, 19), (0.99, 99), (0.75, 3), (0.6, 2)],
)
def test_fewest_units_are_those_of_the_order_statistic(coverage, expected):
    assert fewest_units(coverage) == expected
    assert quantile(np.arange(expected, dtype=float), coverage, None) == expected - 1
    assert quantile(np.arange(expected - 1, dtype=float), coverage, None) is None


def test_quantile_is_the_order_statistic_of_the_textbook():
    scores = np.random.default_rng(6).permutation(100).astype(float)
    assert quantile(scores, 0.9, None) == 90  # the 91st smallest of 100: 101 * 0.9 rounded up
    assert quantile(scores, 0.9, np.arange(100)) == 90  # every row a group


def test_quantile_of_groups_weighs_each_group_once():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 10.0, 11.0, 12.0, 13.0])
    assert quantile(scores, 0.6, np.array([0, 1, 2, 3, 4, 4, 4, 4])) == 4.0  # five groups: four of six equal shares are 0.67
    assert quantile(scores, 0.6, None) == 11.0


def test_too_few_rows_are_told_and_every_answer_is_possible():
    codes, probabilities = classes(7, rows=8)
    sets = fit_sets(codes, probabilities, coverage=0.9, groups=None)
    assert sets.members(probabilities).all()
    assert sets.note == ("8 rows with a known answer: a coverage of 0.9 needs 9. Every set contains every class.")
    intervals = fit_intervals(np.arange(40.0), around(np.zeros(40)), coverage=0.9, groups=np.repeat(np.arange(4), 10))
    assert intervals.reach is None
    assert intervals.ends(around(np.array([3.0]))) == (-np.inf, np.inf)
    assert intervals.note == ("4 groups with a known answer: a coverage of 0.9 needs 9. Every interval is infinite.")


def test_intervals_of_counts_end_at_zero():
    counts = pd.Series(["0", "1", "5", "9"], dtype="str")
    target = CountTarget(column="y").fit({"y": counts}, "none")
    prediction = np.array([[0.5], [6.0]], np.float32)
    fitted = Intervals(coverage=0.9, rows=40, reach=2.0)
    low, high = fitted.ends(target.conformal_band(prediction))
    assert (low.tolist(), high.tolist()) == ([0.0, 4.0], [2.5, 8.0])
    assert Intervals(coverage=0.9, rows=4).ends(target.conformal_band(prediction))[0].tolist() == [0.0, 0.0]
    result = _conformal(fitted, EvalSet(target, np.array([3.0, 4.0]), prediction, None), 0.95)
    assert (result.width, result.found.value, result.note) == (3.25, 0.5, MEAN_WIDTH)


@pytest.mark.parametrize(("transform", "least"), [("log", 0.0), ("quantile", -1.5), ("none", -1.5)])
def test_intervals_of_a_number_that_is_learned_as_its_logarithm_end_at_zero(transform, least):
    target = RegressionTarget(column="y", transform=transform).fit({"y": pd.Series(["0", "1", "5", "9"], dtype="str")}, "none")
    low, high = Intervals(coverage=0.9, rows=40, reach=2.0).ends(target.conformal_band(np.array([[0.5], [6.0]], np.float32)))
    assert (low.tolist(), high.tolist()) == ([least, 4.0], [2.5, 8.0])


def test_each_number_has_intervals_of_its_own_from_the_rows_that_have_it():
    """The second number is three times as noisy as the first, and missing in half of the rows."""
    generator = np.random.default_rng(5)
    target = FittedVector(column="y", loss_weight=1, numbers=("a", "b"), centers=(0, 0), scales=(1, 1))
    prediction = generator.normal(size=(2 * ROWS, 2)).astype(np.float32)
    truth = prediction + generator.normal(size=(2 * ROWS, 2)) * [1, 3]
    truth[::2, 1] = np.nan
    fitted = fit_postprocessing(
        Evaluation(conformal=0.9), EvalSet(target, truth, prediction, None), EvalSet(target, truth, prediction, None)
    )
    assert [one.rows for one in fitted.conformal.numbers.values()] == [2 * ROWS, ROWS]
    assert Postprocessing(targets={"y": fitted}).matches({"y": target})
    added = columns(target, fitted, prediction, probabilities=True)
    assert list(added) == ["low_a", "high_a", "low_b", "high_b"]
    assert np.mean(added["high_b"] - added["low_b"]) / np.mean(added["high_a"] - added["low_a"]) == pytest.approx(3, rel=0.1)
    result = _conformal(fitted.conformal, EvalSet(target, truth[ROWS:], prediction[ROWS:], None), 0.95)
    assert [one.found.value for one in result.numbers.values()] == pytest.approx([0.9, 0.9], abs=0.015)
    assert result.numbers["b"].found.rows == ROWS // 2
    first, second, last = _describe_numbers(result)
    assert first.startswith("Conformal intervals of a, fitted on 10,000 held-out rows, 3.2") and "intervals of b" in second
    assert last == "Each holds for its number alone, not for all numbers of a row together."


def test_number_that_no_scored_row_has_does_not_get_infinite_intervals():
    target = FittedVector(column="y", loss_weight=1, numbers=("a", "b"), centers=(0, 0), scales=(1, 1))
    truth, prediction = np.arange(80.0).reshape(40, 2), np.zeros((40, 2), np.float32)
    fitted = fit_postprocessing(Evaluation(conformal=0.9), *[EvalSet(target, truth, prediction, None)] * 2)
    missing = truth * [1, np.nan]
    for groups in (None, np.arange(40) // 2):
        result = _conformal(fitted.conformal, EvalSet(target, missing, prediction, groups), 0.95)
        assert (result.numbers["b"].width, result.numbers["b"].found.rows) == (None, 0)
        assert (
            list(_describe_numbers(result))[1] == "Conformal intervals of b, fitted on 40 held-out rows: none of these rows has an answer."
        )
