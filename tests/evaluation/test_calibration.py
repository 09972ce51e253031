"""Calibration: fitted temperatures and curves, calibrated probabilities, and the measures of reliability."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.evaluation.postprocessing.calibration import Curve, Isotonic, Temperature, fit_isotonic, fit_temperature, isotonic_fit, notes
from mmtrain.evaluation.postprocessing.reliability import measure_reliability, wilson_proportion


def draws(rows, groups=None):
    return Bootstrap(rows, groups=groups, draws=200, confidence=0.95, seed=0)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(chances, generator):
    """One true class per row, (rows, classes) bool."""
    cumulative = chances.cumsum(axis=1)
    code = (generator.random((len(chances), 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
    return code[:, None] == np.arange(chances.shape[1])


def over_confident(rows, classes, seed, by=3.0):
    """Return probabilities of a model whose logits are `by` times too large, and one true class per row."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.2, (rows, classes))
    return softmax(by * logits), drawn(softmax(logits), generator)


def ece(probabilities, true, *, exclusive=True):
    return measure_reliability(probabilities, true, exclusive=exclusive, groups=None, bootstrap=draws(len(true))).ece.value


# Temperature


@pytest.mark.parametrize("classes", [2, 5])
def test_temperature_lowers_the_calibration_error_of_an_over_confident_model(classes):
    probabilities, true = over_confident(4000, classes, seed=0)
    new, came = over_confident(4000, classes, seed=1)
    fitted = fit_temperature(probabilities, true, exclusive=True)
    assert fitted.temperatures[0] == pytest.approx(3.0, rel=0.1)
    assert ece(new, came) > 0.1
    assert ece(fitted.apply(new), came) < 0.03


def test_temperature_of_a_calibrated_model_is_about_one():
    probabilities, true = over_confident(4000, 3, seed=2, by=1.0)
    assert fit_temperature(probabilities, true, exclusive=True).temperatures[0] == pytest.approx(1.0, abs=0.06)


def test_temperature_is_the_likeliest_of_a_fine_grid():
    probabilities, true = over_confident(500, 3, seed=3)
    grid = np.round(np.arange(2, 5, 0.001), 3)

    def loss(temperature):
        return -np.log(Temperature(exclusive=True, temperatures=(temperature,)).apply(probabilities)[true]).mean()

    best = grid[np.argmin([loss(temperature) for temperature in grid])]
    assert fit_temperature(probabilities, true, exclusive=True).temperatures[0] == pytest.approx(best, abs=0.001)


def test_temperature_of_two_classes_divides_the_logit():
    probability = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    found = Temperature(exclusive=True, temperatures=(2.0,)).apply(probability)
    logit = np.log(probability[:, 1] / probability[:, 0]) / 2
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("probabilities", "true", "temperature"),
    [
        ([[0.3, 0.7], [0.6, 0.4]], [[False, True], [True, False]], 0.1),  # every row right: the surer, the likelier
        ([[0.3, 0.7], [0.6, 0.4]], [[True, False], [False, True]], 10.0),  # every row wrong
        ([[0.5, 0.5], [0.5, 0.5]], [[True, False], [False, True]], 1.0),  # no row tells anything
    ],
)
def test_temperature_stays_within_its_limits(probabilities, true, temperature):
    fitted = fit_temperature(np.array(probabilities), np.array(true), exclusive=True)
    assert fitted.temperatures == (temperature,)
    warnings = notes(fitted, 5000)
    assert warnings == (() if temperature == 1 else ("Temperatures are limited to 0.1 to 10; the validation rows would have gone beyond.",))


def test_labels_have_temperatures_of_their_own_and_one_without_contrast_keeps_its_probabilities():
    generator = np.random.default_rng(4)
    logits = generator.normal(0, 1.5, (4000, 3))
    true = generator.random(logits.shape) < 1 / (1 + np.exp(-logits))
    true[:, 2] = False
    probabilities = 1 / (1 + np.exp(-logits * [2.0, 0.5, 1.0]))
    fitted = fit_temperature(probabilities, true, exclusive=False)
    assert fitted.temperatures == pytest.approx((2.0, 0.5, 1.0), rel=0.1)
    assert fitted.temperatures[2] == 1.0
    np.testing.assert_allclose(fitted.apply(probabilities)[:, 2], probabilities[:, 2], atol=1e-6)


def test_probabilities_of_exactly_zero_and_one_stay_numbers():
    probabilities = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    fitted = fit_temperature(probabilities, np.array([[False, True], [True, False], [True, False]]), exclusive=True)
    assert np.isfinite(fitted.apply(probabilities)).all()


# Isotonic


@pytest.mark.parametrize("seed", range(5))
def test_rising_is_what_scikit_learn_finds(seed):
    generator = np.random.default_rng(seed)
    at = np.round(generator.random(300), 2)  # with ties
    true = generator.random(300) < at**2
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(at, true)
    anywhere = np.linspace(-0.1, 1.1, 1001)
    np.testing.assert_allclose(isotonic_fit(at, true)(anywhere), theirs.predict(anywhere), atol=1e-9)


def test_rising_keeps_only_the_ends_of_level_stretches():
    curve = isotonic_fit(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([False, False, False, True, True]))
    assert curve == Curve(at=(0.1, 0.3, 0.4, 0.5), values=(0.0, 0.0, 1.0, 1.0))
    assert isotonic_fit(np.array([0.1, 0.2]), np.array([True, False])) == Curve(at=(0.1, 0.2), values=(0.5, 0.5))
    assert isotonic_fit(np.array([0.4, 0.4]), np.array([True, False])) == Curve(at=(0.4,), values=(0.5,))


def test_isotonic_of_two_classes_lowers_the_calibration_error():
    probabilities, true = over_confident(4000, 2, seed=5)
    new, came = over_confident(4000, 2, seed=6)
    fitted = fit_isotonic(probabilities, true, exclusive=True)
    assert len(fitted.curves) == 1
    assert ece(fitted.apply(new), came) < 0.03 < 0.1 < ece(new, came)
    np.testing.assert_allclose(fitted.apply(new).sum(axis=1), 1)


def test_isotonic_of_several_classes_is_one_against_the_rest_divided_by_the_sum():
    step = Curve(at=(0.4, 0.5), values=(0.0, 1.0))
    fitted = Isotonic(exclusive=True, curves=(step, step, Curve(at=(0.0,), values=(0.25,))))
    found = fitted.apply(np.array([[0.6, 0.3, 0.1], [0.5, 0.5, 0.0]]))
    np.testing.assert_allclose(found, [[0.8, 0.0, 0.2], [4 / 9, 4 / 9, 1 / 9]])


def test_isotonic_keeps_the_probabilities_of_a_row_whose_curves_all_say_zero():
    step = Curve(at=(0.6, 0.7), values=(0.0, 1.0))
    found = Isotonic(exclusive=True, curves=(step, step, step)).apply(np.array([[0.5, 0.3, 0.2]]))
    assert found.tolist() == [[0.5, 0.3, 0.2]]


def test_isotonic_from_few_rows_is_remarked():
    fitted = Isotonic(exclusive=False, curves=(Curve(at=(0.5,), values=(0.5,)),))
    assert notes(fitted, 1000) == ()
    assert notes(fitted, 999) == ("Isotonic curves overfit on few rows, and here there are 999; temperature scaling needs fewer.",)


# Reliability


def test_reliability_is_that_of_the_formulas():
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]])
    found = measure_reliability(
        probabilities, np.array([[1, 0], [0, 1], [1, 0]], dtype=bool), exclusive=True, groups=None, bootstrap=draws(len(probabilities))
    )
    assert found.brier.value == pytest.approx((0.2**2 + 0.4**2 + 0.9**2) / 3)
    assert found.ece.value == pytest.approx((0.2 + 0.4 + 0.9) / 3)  # every row is a bin of its own
    assert [(one.rows, one.said, one.share) for one in found.bins] == [(1, 0.2, 0.0), (1, 0.6, 1.0), (1, 0.9, 0.0)]


def test_reliability_of_several_classes_looks_at_the_most_probable():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    found = measure_reliability(
        probabilities, np.array([[1, 0, 0], [0, 1, 0]], dtype=bool), exclusive=True, groups=None, bootstrap=draws(len(probabilities))
    )
    assert found.brier.value == pytest.approx((0.25 + 0.09 + 0.04 + 0.01 + 0.81 + 0.64) / 2)
    assert [(one.said, one.share) for one in found.bins] == [(0.5, 1.0), (0.8, 0.0)]


def test_bins_have_equal_mass_whatever_the_order_and_keep_equal_probabilities_together():
    generator = np.random.default_rng(7)
    chance = np.concatenate([np.full(600, 0.01), generator.uniform(0.02, 1, 900)])
    true = generator.random(1500) < chance
    probabilities = np.stack([1 - chance, chance], axis=1)
    came = np.stack([~true, true], axis=1)
    found = measure_reliability(probabilities, came, exclusive=True, groups=None, bootstrap=draws(len(probabilities)))
    shuffled = generator.permutation(1500)
    again = measure_reliability(probabilities[shuffled], came[shuffled], exclusive=True, groups=None, bootstrap=draws(len(probabilities)))
    assert again.ece.value == pytest.approx(found.ece.value, abs=1e-12)
    assert [one.rows for one in found.bins] == [one.rows for one in again.bins]
    counts = [one.rows for one in found.bins]
    assert (len(counts), sum(counts)) == (10, 1500)  # six of fifteen bins have become one
    assert all(99 <= rows <= 101 or rows in (600, 608) for rows in counts), counts


def stated(rows, steepness, seed, each=1):
    """Return probabilities, and outcomes whose true logits are `steepness` times as large; rows are alike in tens.

    `each` rows are copies of one another.
    """
    generator = np.random.default_rng(seed)
    chance = generator.beta(2, 2, rows // each)
    true = generator.random(rows // each) < 1 / (1 + (1 / chance - 1) ** steepness)
    probabilities, came = np.repeat(chance, each), np.repeat(true, each)
    return np.stack([1 - probabilities, probabilities], axis=1), np.stack([~came, came], axis=1)


def of_yes(rows, steepness, seed, *, each=1, groups=None):
    return measure_reliability(*stated(rows, steepness, seed, each), exclusive=True, groups=groups, bootstrap=draws(rows, groups))


def test_calibration_error_has_an_interval_that_begins_at_0_where_probabilities_may_be_right():
    right, wrong = of_yes(400, 1, seed=3), of_yes(400, 0.4, seed=3)
    assert right.ece.interval.low == 0.0 < right.ece.value <= right.ece.interval.high
    assert 0.05 < wrong.ece.interval.low < OFF[0.4] < wrong.ece.interval.high < 0.2
    assert wrong.brier.interval.low < wrong.brier.value < wrong.brier.interval.high
    assert sorted(wrong.to_json()["ece"]) == ["high", "low", "value"]


def test_calibration_error_of_rows_in_groups_is_less_sure():
    groups = np.repeat(np.arange(100), 4)
    by_row, by_group = (of_yes(400, 0.4, seed=5, each=4, groups=one).ece.interval for one in (None, groups))
    assert by_group.high - by_group.low > 1.5 * (by_row.high - by_row.low)


def test_calibration_of_rows_that_are_all_right_has_no_interval():
    certain = np.array([[0.0, 1.0], [1.0, 0.0]])
    found = measure_reliability(certain, certain > 0, exclusive=True, groups=None, bootstrap=draws(2))
    assert found.to_json()["ece"] == found.to_json()["brier"] == {"value": 0.0, "note": "No interval: every draw has the same value."}


OFF = {1: 0.0, 0.7: 0.0462, 0.4: 0.1015}
"""The calibration error of all such rows, by 15 bins of 2,000,000 of them."""


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 400, 2000])
@pytest.mark.parametrize("steepness", OFF)
def test_95_of_100_intervals_of_the_calibration_error_hold_the_truth(rows, steepness):
    """Bias-corrected percentiles of the draws, as for other scores, would never contain an error of 0."""
    intervals = [of_yes(rows, steepness, seed).ece.interval for seed in range(300)]
    assert np.mean([interval.low <= OFF[steepness] <= interval.high for interval in intervals]) >= 0.92


# Shares


def test_interval_of_a_share_is_that_of_wilson():
    found = wilson_proportion(np.arange(10) < 8, groups=None, confidence=0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.49016, 0.94331), abs=1e-5)
    all_true = wilson_proportion(np.ones(20, dtype=bool), groups=None, confidence=0.95)
    assert (all_true.value, all_true.low, all_true.high) == pytest.approx((1.0, 0.83887, 1.0), abs=1e-5)


def test_interval_of_a_share_counts_rows_that_are_all_alike_once_for_a_group():
    groups = np.repeat(np.arange(10), 7)
    alike = np.repeat(np.arange(10) < 8, 7)
    wide = wilson_proportion(alike, groups=groups, confidence=0.95)
    once = wilson_proportion(np.arange(10) < 8, groups=None, confidence=0.95)
    assert (wide.low, wide.high) == pytest.approx((once.low, once.high), abs=0.03)
    assert wilson_proportion(np.ones(70, dtype=bool), groups=groups, confidence=0.95).low == pytest.approx(0.72247, abs=1e-5)


def test_interval_of_a_share_of_groups_holds_the_truth():
    """95 of 100 for groups whose rows are alike; an interval for independent rows would contain it in about 70."""
    generator = np.random.default_rng(8)
    held, naive = 0, 0
    for _ in range(400):
        chance = np.repeat(generator.beta(2, 1, 40), 8)
        true = generator.random(320) < chance
        for groups in (np.repeat(np.arange(40), 8), None):
            found = wilson_proportion(true, groups=groups, confidence=0.95)
            held += groups is not None and found.low <= 2 / 3 <= found.high
            naive += groups is None and found.low <= 2 / 3 <= found.high
    assert held / 400 > 0.93
    assert naive / 400 < 0.85


def test_share_of_no_rows_is_anything():
    assert wilson_proportion(np.zeros(0, dtype=bool), groups=None, confidence=0.95).to_json() == {
        "rows": 0,
        "value": None,
        "low": 0.0,
        "high": 1.0,
    }
