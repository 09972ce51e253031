"""Scores of ordered levels, counts, quantiles, several numbers and survival, pinned to scikit-learn and lifelines."""

import numpy as np
import pytest

from mmtrain.metrics.bootstrap_counts import unit_counts
from mmtrain.metrics.labels.ordinal import ordinal_scorer, ordinal_scores
from mmtrain.metrics.numbers.counts import count_scorer, count_scores, deviances
from mmtrain.metrics.numbers.quantiles import quantile_scorer, quantile_scores
from mmtrain.metrics.numbers.vectors import vector_scorer, vector_scores
from mmtrain.metrics.survival import (
    BLOCK,
    Steps,
    concordant_pairs,
    greenwood,
    integrated_brier,
    kaplan_meier,
    observed_longer,
    survival_scorer,
    survival_scores,
    survived_share,
)
from mmtrain.targets import tasks

RANDOM = np.random.default_rng(19)
ROWS = 120
LEVELS = RANDOM.integers(0, 4, ROWS)
PROBABILITIES = RANDOM.dirichlet(np.ones(4), ROWS)
CALLED = np.clip(LEVELS + RANDOM.integers(-1, 2, ROWS), 0, 3)
COUNTED = RANDOM.poisson(2.0, ROWS).astype(float)
MEANS = RANDOM.gamma(2.0, 1.0, ROWS)
NUMBERS = RANDOM.normal(5, 2, ROWS)
QUANTILES = np.sort(RANDOM.normal(5, 2, (ROWS, 3)), axis=1)
PAIRS = np.stack([NUMBERS, np.where(RANDOM.random(ROWS) < 0.3, np.nan, 100 * NUMBERS)], axis=1)
PREDICTED = np.nan_to_num(PAIRS, nan=1.0) + RANDOM.normal(size=(ROWS, 2))
TIMES = RANDOM.integers(1, 30, ROWS).astype(float)
EVENTS = RANDOM.random(ROWS) < 0.6
EXPECTED = np.round(TIMES / 20 + RANDOM.normal(size=ROWS), 1)
EDGES = np.array([0.0, 5.0, 10.0, 20.0])
CURVES = np.concatenate([np.ones((ROWS, 1)), np.sort(RANDOM.random((ROWS, 3)), axis=1)[:, ::-1]], axis=1)
NOBODY = Steps(EDGES[:0], EDGES[:0])
OBSERVED = kaplan_meier(TIMES, ~EVENTS)


def values(scores):
    assert all(task in tasks for task in ("ordinal", "count", "quantiles", "vector", "survival"))
    return {score.name: score.value for score in scores}


def test_ordinal_scores_are_those_of_scikit_learn():
    from sklearn import metrics

    assert values(ordinal_scores(LEVELS, PROBABILITIES, CALLED)) == pytest.approx(
        {
            "quadratic_kappa": metrics.cohen_kappa_score(LEVELS, CALLED, weights="quadratic"),
            "rank_mae": metrics.mean_absolute_error(LEVELS, CALLED),
            "accuracy": metrics.accuracy_score(LEVELS, CALLED),
            "log_loss": metrics.log_loss(LEVELS, PROBABILITIES, labels=range(4)),
        },
        rel=1e-6,
    )


def test_kappa_of_a_single_level_is_undefined():
    kappa, *_ = ordinal_scores([1, 1], [[0.5, 0.5]] * 2, [1, 1])
    assert kappa.undefined == "Kappa needs two levels at least, true or predicted; this part has one."


def test_count_scores_are_those_of_scikit_learn():
    from sklearn import metrics

    assert values(count_scores(COUNTED, MEANS)) == pytest.approx(
        {
            "mean_deviance": metrics.mean_poisson_deviance(COUNTED, MEANS),
            "mae": metrics.mean_absolute_error(COUNTED, MEANS),
            "rmse": metrics.root_mean_squared_error(COUNTED, MEANS),
        }
    )


def test_deviance_of_the_negative_binomial_is_twice_the_gain_in_likelihood():
    from scipy.stats import nbinom

    dispersion = 0.7

    def likelihood(mean):
        mean = np.maximum(mean, 1e-12)
        return nbinom.logpmf(COUNTED, 1 / dispersion, 1 / (1 + dispersion * mean))

    expected = 2 * (likelihood(COUNTED) - likelihood(MEANS))
    assert np.allclose(deviances(COUNTED, MEANS, dispersion), expected, atol=1e-8)
    assert np.allclose(deviances(COUNTED, MEANS, 1e-7), deviances(COUNTED, MEANS), atol=1e-5)


def test_quantile_scores_are_those_of_scikit_learn_and_gneiting():
    from sklearn import metrics

    levels = (0.1, 0.5, 0.8)
    found = values(quantile_scores(NUMBERS, QUANTILES, levels))
    losses = [metrics.mean_pinball_loss(NUMBERS, QUANTILES[:, place], alpha=level) for place, level in enumerate(levels)]
    low, high = QUANTILES[:, 0], QUANTILES[:, 2]
    inside = ((low <= NUMBERS) & (high >= NUMBERS)).mean()
    assert found["pinball_loss"] == pytest.approx(np.mean(losses))
    assert found["coverage_gap"] == pytest.approx(abs(inside - 0.7))
    assert found["mae"] == pytest.approx(np.abs(NUMBERS - QUANTILES[:, 1]).mean())
    equal = values(quantile_scores(NUMBERS, QUANTILES, (0.1, 0.5, 0.9)))["interval_score"]
    penalty = np.maximum(low - NUMBERS, 0) + np.maximum(NUMBERS - high, 0)
    assert equal == pytest.approx((high - low + 2 / 0.2 * penalty).mean())


def test_vector_scores_are_means_over_the_numbers_of_known_rows():
    from sklearn import metrics

    scales = np.array([2.0, 200.0])
    known = [~np.isnan(PAIRS[:, place]) for place in range(2)]
    columns = [(PAIRS[rows, place], PREDICTED[rows, place]) for place, rows in enumerate(known)]
    found = values(vector_scores(PAIRS, PREDICTED, scales))
    assert found["mean_r2"] == pytest.approx(np.mean([metrics.r2_score(*pair) for pair in columns]))
    errors = [metrics.root_mean_squared_error(*pair) / scale for pair, scale in zip(columns, scales, strict=True)]
    assert found["scaled_rmse"] == pytest.approx(np.mean(errors))


@pytest.mark.parametrize("rows", [60, 2 * BLOCK + 100])
def test_concordance_is_that_of_lifelines_with_ties_of_both(rows):
    from lifelines.utils import concordance_index

    random = np.random.default_rng(rows)
    times, events = random.integers(1, 25, rows).astype(float), random.random(rows) < 0.6
    expected = np.round(times / 20 + random.normal(size=rows), 1)
    counts = np.stack([np.ones(rows, int), np.bincount(random.integers(0, rows, rows), minlength=rows)])
    concordant, comparable = concordant_pairs(times, events, expected, counts)
    for place, drawn in enumerate(counts):
        several = np.repeat(np.arange(rows), drawn)
        assert concordant[place] / comparable[place] == pytest.approx(concordance_index(times[several], expected[several], events[several]))


def test_kaplan_meier_curve_and_its_error_are_those_of_lifelines():
    from lifelines import KaplanMeierFitter

    fitter = KaplanMeierFitter().fit(TIMES, EVENTS)
    at = np.array([0.5, 3.0, 12.5, 29.0])
    assert kaplan_meier(TIMES, EVENTS).at(at) == pytest.approx(fitter.predict(at).to_numpy())
    survived, error = greenwood(TIMES, EVENTS, 12.5)
    # lifelines keeps the sum of Greenwood's formula.
    assert survived == pytest.approx(float(fitter.predict(12.5)))
    assert error == pytest.approx(survived * np.sqrt(float(fitter._cumulative_sq_.loc[:12.5].iloc[-1])))


def test_the_interval_of_survival_is_that_of_wilson_and_has_a_width_at_0_and_1():
    from scipy.stats import binomtest

    times = np.arange(1.0, 21.0)
    for events in (5, 0, 20):  # nobody is censored before the horizon: a proportion
        share = survived_share(times, times <= events, 20.5 if events == 20 else max(events, 1) + 0.5)
        wilson = binomtest(20 - events, 20).proportion_ci(method="wilson") if events else binomtest(19, 19).proportion_ci(method="wilson")
        assert share == pytest.approx((1 - events / 20, *wilson))
    assert survived_share(times, times < 0, 30.0) == (1.0, 0.0, 1.0)  # all are censored before


def test_events_come_before_the_ends_of_observations_at_equal_times():
    random = np.random.default_rng(0)
    months, ends = random.geometric(0.25, (2, 20_000))
    observed = observed_longer(np.minimum(months, ends).astype(float), months <= ends)
    assert observed.at(np.arange(1.0, 5.0)) == pytest.approx(0.75 ** np.arange(1, 5), abs=0.02)


def test_integrated_brier_score_weighs_by_the_probability_to_be_observed():
    from lifelines import KaplanMeierFitter

    censoring = KaplanMeierFitter().fit(TIMES, ~EVENTS)

    def at_edge(place):
        edge, total = EDGES[place], 0.0
        for time, event, curve in zip(TIMES, EVENTS, CURVES[:, place], strict=True):
            if time <= edge and event:
                total += curve**2 / float(censoring.predict(time - 1e-9))
            elif time > edge:
                total += (1 - curve) ** 2 / float(censoring.predict(edge))
        return total / ROWS

    scores = [at_edge(place) for place in range(len(EDGES))]
    expected = np.trapezoid(scores, EDGES) / EDGES[-1]
    assert integrated_brier(TIMES, EVENTS, CURVES, EDGES, OBSERVED).mean() == pytest.approx(expected)
    assert survival_scores(TIMES, EVENTS, EXPECTED, CURVES, EDGES, OBSERVED)[1].value == pytest.approx(expected)


def test_rows_without_an_event_have_no_concordance():
    concordance, brier = survival_scores(np.array([1.0, 2.0]), np.zeros(2, bool), EXPECTED[:2], CURVES[:2], EDGES, NOBODY)
    assert concordance.undefined == "Concordance needs two rows of different times, the shorter one with an event; this part has none."
    assert brier.value is not None


SCORERS = {
    "ordinal": lambda rows: (
        ordinal_scores(LEVELS[rows], PROBABILITIES[rows], CALLED[rows]),
        ordinal_scorer(LEVELS, PROBABILITIES, CALLED),
    ),
    "count": lambda rows: (count_scores(COUNTED[rows], MEANS[rows], 0.5), count_scorer(COUNTED, MEANS, 0.5)),
    "quantiles": lambda rows: (
        quantile_scores(NUMBERS[rows], QUANTILES[rows], (0.1, 0.5, 0.9)),
        quantile_scorer(NUMBERS, QUANTILES, (0.1, 0.5, 0.9)),
    ),
    "vector": lambda rows: (
        vector_scores(PAIRS[rows], PREDICTED[rows], np.ones(2)),
        vector_scorer(PAIRS, PREDICTED, np.ones(2)),
    ),
    "survival": lambda rows: (
        survival_scores(TIMES[rows], EVENTS[rows], EXPECTED[rows], CURVES[rows], EDGES, OBSERVED),
        survival_scorer(TIMES, EVENTS, EXPECTED, CURVES, EDGES, OBSERVED),
    ),
}


@pytest.mark.parametrize("task", sorted(SCORERS))
def test_scores_of_draws_are_those_of_the_rows_that_were_drawn(task):
    random = np.random.default_rng(3)
    counts = np.stack([np.bincount(random.integers(0, ROWS, ROWS), minlength=ROWS) for _ in range(2)])
    for place, drawn in enumerate(counts):
        of_rows, scorer = SCORERS[task](np.repeat(np.arange(ROWS), drawn))
        assert {name: each[place] for name, each in scorer(counts).items()} == pytest.approx(values(of_rows))


@pytest.mark.parametrize("task", sorted(SCORERS))
def test_no_rows_have_no_scores(task):
    of_rows, _ = SCORERS[task](np.arange(0))
    assert {score.undefined for score in of_rows} == {"There are no rows to score."}
    assert [score.name for score in of_rows] == [metric.name for metric in tasks[task].metrics]
    assert unit_counts(0).shape == (1, 0)
