"""Intervals of cross-validated scores: the corrections, literal values, and estimates of known tables."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.evaluation.comparison import detectable_difference
from mmtrain.evaluation.cross_validation import (
    NADEAU_BENGIO,
    CrossValidated,
    Estimate,
    OutOfFold,
    Variance,
    estimate_differences,
    estimate_scores,
    nadeau_bengio,
    pooled_correction,
    sampling_variance,
)
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.metrics.score import Interval
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.numbers.regression import FittedRegression

BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
NUMBER = FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=-9, maximum=9, error="squared")
FIVE = np.array([[0.7, 0.75, 0.8, 0.72, 0.83]])


def bootstrap(rows, groups=None, draws=200):
    return Bootstrap(rows, groups=groups, draws=draws, confidence=0.95, seed=0)


# The corrected resampled t


def test_the_corrected_variance_adds_the_share_of_scored_rows():
    variance = nadeau_bengio(FIVE, 1 / 4)
    assert variance.degrees == 4
    assert variance.value == pytest.approx(FIVE.var(ddof=1) * (1 / 5 + 1 / 4))


def test_the_corrected_interval_has_known_limits():
    """Mean .76, s = .05431, s sqrt(.45) = .03643, t with 4 degrees of freedom 2.7764."""
    variance = nadeau_bengio(FIVE, 1 / 4)
    interval = Estimate("auc", 0.76, sqrt(variance.value), variance.degrees, NADEAU_BENGIO).interval(0.95)
    assert interval == pytest.approx((0.65884, 0.86116), abs=1e-4)
    naive = stats.t.interval(0.95, 4, loc=0.76, scale=stats.sem(FIVE[0]))
    assert interval.high - interval.low == pytest.approx(1.5 * (naive[1] - naive[0]))


def test_the_t_test_of_differences_is_that_of_scipy_without_the_correction():
    differences = np.array([[0.01, 0.03, -0.01, 0.02, 0.04]])
    variance = nadeau_bengio(differences, 0.0)
    p = Estimate("auc", float(differences.mean()), sqrt(variance.value), variance.degrees, "").p
    assert p == pytest.approx(stats.ttest_1samp(differences[0], 0).pvalue)
    corrected = nadeau_bengio(differences, 1 / 4)
    assert Estimate("auc", float(differences.mean()), sqrt(corrected.value), 4, "").p > p


def test_repeats_do_not_shrink_the_interval_towards_nothing():
    scores = np.tile(FIVE, (100, 1))
    assert nadeau_bengio(scores, 1 / 4).value > FIVE.var() / 4
    assert nadeau_bengio(scores, 0.0).value < FIVE.var() / 400


@pytest.mark.parametrize("scores", [[[0.7]], [[0.7, np.nan, np.nan]], [[np.nan]]])
def test_one_score_has_no_variance(scores):
    assert nadeau_bengio(np.array(scores), 1 / 4) is None
    assert pooled_correction(np.array(scores), 1 / 4, Variance(0.01, 59)) is None


def test_the_pooled_variance_is_the_mean_of_both_with_the_degrees_of_satterthwaite():
    """Between folds s2 = .00295 with 4, of the rows 5 * .0004 = .002 with 59 degrees of freedom."""
    pooled = pooled_correction(FIVE, 1 / 4, Variance(0.0004, 59))
    between = FIVE.var(ddof=1)
    assert pooled.value == pytest.approx((between + 0.002) / 2 * 0.45)
    assert pooled.degrees == pytest.approx((between + 0.002) ** 2 / (between**2 / 4 + 0.002**2 / 59))


def test_repeats_add_no_degrees_of_freedom_to_the_pooled_variance():
    once, often = (pooled_correction(np.tile(FIVE, (times, 1)), 1 / 4, Variance(0.0, 59)) for times in (1, 10))
    assert once.degrees == often.degrees == 4


def test_an_interval_stays_within_the_range_of_its_score():
    estimate = Estimate("accuracy", 0.97, 0.03, 4, "")
    assert estimate.interval(0.95).high == 1
    assert estimate.interval(0.95, bounded=False).high == pytest.approx(0.97 + 0.03 * stats.t.ppf(0.975, 4))
    assert Estimate("log_loss", 0.1, 0.2, 4, "").interval(0.95).low == 0
    assert Estimate("r2", 0.1, 0.2, 4, "").interval(0.95).low < 0


def test_a_detectable_difference_is_found_with_the_power_that_it_names():
    estimate = Estimate("auc", 0.0, 0.02, 12, "")
    shift = estimate.detectable(0.95, 0.8) / 0.02
    found = stats.t.sf(stats.t.ppf(0.975, 12) - shift, 12)
    assert found == pytest.approx(0.8, abs=1e-6)


def test_the_detectable_difference_of_a_bootstrap_is_2_8_standard_errors():
    error = 0.01
    interval = Interval(-1.959964 * error, 1.959964 * error)
    assert detectable_difference(interval, 0.95) == pytest.approx((1.959964 + 0.841621) * error, rel=1e-5)


# Estimates of tables


def classified(seed=0, rows=100, folds=5, noise=1.0):
    """Out-of-fold probabilities with an AUC of about .76."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, rows)
    probability = 1 / (1 + np.exp(-(truth - 0.5 + noise * random.normal(size=rows))))
    fold = np.arange(rows) % folds
    return truth, probability[:, np.newaxis].astype(np.float32), fold


def of_folds(target, truth, prediction, fold, groups=None):
    count = fold.max() + 1
    each = [{score.name: score.value for score in target.all_scores(truth[fold == one], prediction[fold == one])} for one in range(count)]
    folds = {name: np.array([[scores[name] for scores in each]], dtype=float) for name in each[0]}
    return CrossValidated([[OutOfFold(EvalSet(target, truth, prediction, groups), fold)]], folds, 1 / (count - 1))


def test_means_over_rows_are_estimated_by_the_mean_of_folds_and_others_by_all_rows():
    truth, prediction, fold = classified()
    scored = of_folds(BINARY, truth, prediction, fold)
    estimates = estimate_scores(scored, bootstrap(100))
    assert estimates["auc"].value == pytest.approx(scored.folds["auc"].mean())
    whole = {score.name: score.value for score in BINARY.all_scores(truth, prediction)}
    assert estimates["f1"].value == pytest.approx(whole["f1"]) != scored.folds["f1"].mean()
    assert estimates["auc"].method == (
        "corrected resampled t (Nadeau and Bengio 2003), with the variance of folds and of a bootstrap of rows"
    )


def test_pseudo_values_of_a_mean_over_rows_are_its_fold_scores():
    truth, prediction, fold = classified()
    scored = of_folds(BINARY, truth, prediction, fold)
    np.testing.assert_allclose(scored._pseudo_values["log_loss"], scored.folds["log_loss"], rtol=1e-9)
    assert not np.allclose(scored._pseudo_values["f1"], scored.folds["f1"])


def test_the_standard_error_of_an_accuracy_is_near_that_of_a_proportion_times_the_correction():
    truth, prediction, fold = classified(rows=1000)
    one = estimate_scores(of_folds(BINARY, truth, prediction, fold), bootstrap(1000, draws=500))["accuracy"]
    proportion = sqrt(one.value * (1 - one.value) / 1000)
    assert one.standard_error == pytest.approx(proportion * 1.5, rel=0.3)


def test_rows_of_a_group_are_drawn_together():
    truth, prediction, _ = classified(rows=60)
    fourfold, groups = np.repeat(np.arange(60), 4), np.repeat(np.arange(60), 4)
    fold = groups % 5
    scored = of_folds(BINARY, truth[fourfold], prediction[fourfold], fold, groups)
    together = estimate_scores(scored, bootstrap(240, groups))["auc"]
    apart = estimate_scores(scored, bootstrap(240))["auc"]
    assert together.standard_error > 1.15 * apart.standard_error


def test_without_comparable_rows_the_folds_alone_give_the_interval():
    truth, prediction, fold = classified()
    folds = of_folds(BINARY, truth, prediction, fold).folds
    one = estimate_scores(CrossValidated([], folds, 1 / 4), bootstrap(100))["auc"]
    assert (one.method, one.degrees) == (NADEAU_BENGIO, 4)
    assert one.standard_error == pytest.approx(sqrt(folds["auc"].var(ddof=1) * 0.45))


def test_scores_that_never_vary_have_no_interval():
    truth = np.arange(40) % 2
    right = np.where(truth == 1, 0.9, 0.1)[:, np.newaxis].astype(np.float32)
    assert "auc" not in estimate_scores(of_folds(BINARY, truth, right, np.arange(40) // 8), bootstrap(40))
    # Pseudo-values of equal scores differ in their last bits.
    assert not estimate_scores(CrossValidated([], {"auc": np.array([[0.3, 0.1 + 0.2]])}, 1.0), bootstrap(40))


def test_a_fold_with_an_undefined_score_is_left_out():
    truth, prediction, fold = classified()
    truth[fold == 2] = 1
    one = estimate_scores(of_folds(BINARY, truth, prediction, fold), bootstrap(100))["auc"]
    defined = [BINARY.all_scores(truth[fold == number], prediction[fold == number])[0].value for number in (0, 1, 3, 4)]
    assert one.value == pytest.approx(np.mean(defined))


def test_the_variance_of_draws_is_that_of_a_sample():
    values = np.array([0.1, 0.2, 0.4, np.nan])
    assert sampling_variance(values, bootstrap(30)) is None  # undefined in a quarter of the draws
    variance = sampling_variance(np.array([0.1, 0.2, 0.4]), bootstrap(30))
    assert variance == (pytest.approx(np.var([0.1, 0.2, 0.4]) * 30 / 29), 29)


def test_differences_are_paired_by_row_and_fold():
    truth, first, fold = classified(rows=200)
    second = np.clip(first + 0.02 * np.random.default_rng(3).normal(size=first.shape), 0.001, 0.999).astype(np.float32)
    one, other = (of_folds(BINARY, truth, prediction, fold) for prediction in (first, second))
    differences, draws = estimate_differences(one, other, bootstrap(200))
    alone = estimate_scores(one, bootstrap(200))["log_loss"]
    assert differences["log_loss"].value == pytest.approx((other.folds["log_loss"] - one.folds["log_loss"]).mean())
    assert differences["log_loss"].standard_error < alone.standard_error / 3
    assert draws["log_loss"].mean() == pytest.approx(differences["log_loss"].value, abs=0.005)


def test_two_equal_cross_validations_do_not_differ():
    scored = of_folds(BINARY, *classified())
    assert estimate_differences(scored, scored, bootstrap(100))[0] == {}


# Coverage


@pytest.mark.slow
def test_intervals_cover_the_expected_score_as_often_as_they_say():
    """400 tables of 60 rows in 15 groups, half of whose noise is common; the predictions of a fold share the error of its training."""
    random, covered = np.random.default_rng(5), {"pooled": [], "naive": []}
    for _ in range(400):
        groups = np.repeat(np.arange(15), 4)
        noise = (random.normal(size=15)[groups] + random.normal(size=60)) / sqrt(2)
        fold = groups % 5
        truth = noise + 0.3 * random.normal(size=5)[fold]
        scored = of_folds(NUMBER, truth, np.zeros((60, 1)), fold, groups)
        one = estimate_scores(scored, bootstrap(60, groups, draws=100))["rmse"]
        covered["pooled"].append(one.interval(0.95).low < sqrt(1.09) < one.interval(0.95).high)
        naive = sqrt(scored.folds["rmse"].var(ddof=1) / 5) * stats.t.ppf(0.975, 4)
        covered["naive"].append(abs(scored.folds["rmse"].mean() - sqrt(1.09)) < naive)
    assert 0.92 <= np.mean(covered["pooled"]) <= 0.98
    assert np.mean(covered["naive"]) < 0.92
