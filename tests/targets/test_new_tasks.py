"""Ordered levels, counts and quantiles: losses, decisions, and what a head begins with."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from mmtrain.targets import CountTarget, OrdinalTarget, QuantileTarget, RegressionTarget
from mmtrain.targets.numbers.gaussian import GaussianTarget

RANDOM = np.random.default_rng(5)


def cells(*values):
    return pd.Series(list(values), dtype="str")


def fitted(target, *values):
    return target.model_copy(update={"column": "y"}).fit({"y": cells(*values)}, "none")


def test_levels_keep_their_order_and_those_without_rows():
    assert fitted(OrdinalTarget(), "10", "9", "2", "9").classes == ("2", "9", "10")
    named = fitted(OrdinalTarget(order=("low", "mid", "high")), "high", "low")
    assert (named.classes, named.counts) == (("low", "mid", "high"), (1, 0, 1))
    assert OrdinalTarget(column="y").answers({"y": cells("10", "9", "2")}) == ["2", "9", "10"]


@pytest.mark.usefixtures("tensorflow")
def test_ordinal_loss_is_the_sum_of_the_conditional_tasks_of_corn():
    import keras

    target = fitted(OrdinalTarget(), "1", "2", "3", "4")
    raw, truth = RANDOM.normal(size=(30, 3)).astype(np.float32), RANDOM.integers(0, 4, 30)
    expected = np.zeros(30)
    for step in range(3):  # rows that reach a level learn whether they exceed it
        loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
        each = loss((truth > step).astype(np.float32)[:, None], raw[:, [step]]).numpy()
        expected += np.where(truth >= step, each, 0)
    assert np.allclose(target.row_loss(truth, raw), expected, atol=1e-5)
    assert np.allclose(target.row_losses(truth, np.asarray(target.activation("p")(raw))), expected, atol=1e-5)


@pytest.mark.usefixtures("tensorflow")
def test_ordinal_head_begins_with_the_shares_of_training_rows():
    import keras

    target = fitted(OrdinalTarget(), *["1"] * 40, *["2"] * 30, *["3"] * 30)
    given = keras.Input((2,))
    network = keras.Model(given, target.activation("p")(target.head(given, "head")))
    assert np.allclose(network(np.zeros((1, 2), np.float32)), [[0.4, 0.3, 0.3]], atol=0.01)


def test_ordinal_decision_is_the_median_also_under_a_prior():
    target = fitted(OrdinalTarget(), "1", "2", "3")
    probabilities = np.array([[0.45, 0.15, 0.4], [0.6, 0.2, 0.2], [0.1, 0.3, 0.6]], np.float32)
    assert target.predict_label(probabilities).tolist() == ["2", "1", "3"]
    rare = target.model_copy(update={"prior": (0.05, 0.05, 0.9)})
    assert rare.predict_label(probabilities).tolist() == ["3", "3", "3"]
    assert rare.without_decision() == target


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("distribution", ["poisson", "negative_binomial"])
def test_count_loss_is_minus_the_log_likelihood_up_to_a_constant(distribution):
    from scipy.special import gammaln
    from scipy.stats import nbinom, poisson

    target = fitted(CountTarget(distribution=distribution), "0", "1", "9", "2")
    raw, truth = RANDOM.normal(size=(20, target.units)).astype(np.float32), RANDOM.poisson(3, 20).astype(float)
    moments = np.asarray(target.activation("p")(raw), dtype=np.float64)
    mean = np.exp(raw[:, 0]) * target.mean  # the prediction is limited, the loss is not
    if distribution == "poisson":
        likelihood = poisson.logpmf(truth, mean)
    else:
        size = 1 / moments[:, 1]
        likelihood = nbinom.logpmf(truth, size, size / (size + mean))
    assert np.allclose(target.row_loss(truth, raw), -likelihood - gammaln(truth + 1), rtol=1e-4, atol=1e-4)
    assert np.allclose(moments[:, 0], np.minimum(mean, 2 * 9 + 1), rtol=1e-5)


def test_a_larger_dispersion_alone_is_no_better_score():
    """By its own dispersion, a prediction that says nothing about the row would have the deviance of a perfect one."""
    target = fitted(CountTarget(distribution="negative_binomial"), "0", "1", "9", "2")
    truth = np.array([0.0, 1, 9, 2])
    wide, narrow = (np.tile([target.mean, dispersion], (4, 1)) for dispersion in (1e4, target.dispersion))
    assert target.scores(truth, wide) == target.scores(truth, narrow)
    assert (target.row_losses(truth, wide) == target.row_losses(truth, narrow)).all()
    assert target.scores(truth, np.stack([truth, [1.0] * 4], axis=1))[0].value < target.scores(truth, narrow)[0].value


def test_count_learns_mean_and_dispersion_and_writes_both():
    target = fitted(CountTarget(distribution="negative_binomial"), "0", "1", "9", "2")
    assert (target.mean, target.number_columns) == (3, ("prediction", "dispersion"))
    assert target.dispersion == pytest.approx((np.var([0, 1, 9, 2]) - 3) / 9)
    assert target.outputs(target.baseline(1))["prediction"].tolist() == [3]
    assert fitted(CountTarget(), "0", "0").mean == 0.25


@pytest.mark.usefixtures("tensorflow")
def test_quantiles_never_cross_and_their_loss_is_pinball():
    from sklearn.metrics import mean_pinball_loss

    target = fitted(QuantileTarget(levels=(0.05, 0.3, 0.6, 0.9)), "10", "14")
    raw, truth = RANDOM.normal(0, 5, size=(40, 4)).astype(np.float32), RANDOM.normal(12, 3, 40)
    quantiles = np.asarray(target.activation("p")(raw), dtype=np.float64)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    expected = np.mean([mean_pinball_loss(truth, quantiles[:, place], alpha=level) for place, level in enumerate(target.levels)])
    assert float(np.mean(target.row_loss(truth, raw))) == pytest.approx(expected / target.scale, rel=1e-5)
    assert target.explained_unit == 2
    assert target.tables(truth, quantiles)["coverage"].rows[-1][:2] == ["between 0.05 and 0.9", 0.85]


def test_levels_have_to_ascend():
    with pytest.raises(ValidationError, match=r"`levels` have to ascend. Write them as \[0.1, 0.9\]."):
        QuantileTarget(column="y", levels=(0.9, 0.1))


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("target", [OrdinalTarget(), CountTarget()], ids=lambda one: one.task)
def test_members_of_an_ensemble_are_averaged_as_predictions(target):
    found = fitted(target, "0", "1", "2", "5")
    layer = found.activation("p")
    raw = RANDOM.normal(size=(3, 4, found.raw_units)).astype(np.float32)
    mean = layer(layer.mean_of_members("mean")(raw))
    each = np.stack([layer(raw[:, member]) for member in range(4)])
    assert np.allclose(mean, each.mean(axis=0), rtol=1e-4, atol=1e-5) or target.task == "count"
    if target.task == "count":  # below the limit of the prediction
        assert np.allclose(mean, np.minimum(each, 11).mean(axis=0), rtol=1e-4)


def test_levels_that_the_training_rows_lack_are_never_decided_on():
    target = OrdinalTarget(column="y", order=("low", "mid", "high"), decision={"prior": "given"}).fit({"y": cells("high", "low")}, "none")
    assert target.decision_factors.tolist() == [1, 0, 1]


def test_levels_are_listed_once_and_numbers_written_in_one_way():
    with pytest.raises(ValidationError, match=r"'low' is listed twice\. List it once\."):
        OrdinalTarget(column="y", order=("low", "high", "low"))
    assert [(fault.rows.tolist(), fault.what) for fault in OrdinalTarget(column="y").faults(cells("1", "2", "1.0", "1.0"))] == [
        ([2, 3], "'1.0' is the same level as '1'.")
    ]


def test_classes_that_are_not_numbers_have_an_order_until_they_are_refused():
    assert OrdinalTarget(column="y").answers({"y": cells("mild", "10", "2")}) == ["2", "10", "mild"]


def test_levels_with_one_name_of_a_column_are_refused():
    with pytest.raises(ValidationError, match="two `levels` differ after six digits"):
        QuantileTarget(column="y", levels=(0.1234567, 0.1234568))


@pytest.mark.parametrize("target", [CountTarget(), QuantileTarget(), GaussianTarget(), RegressionTarget()], ids=lambda one: one.task)
def test_numbers_that_are_missing_or_too_close_for_float32_are_refused(target):
    target = target.model_copy(update={"column": "y", "missing": "drop"})
    assert [fault.what for fault in target.faults(cells(None, None))] == ["no row has a number."]
    assert [fault.what for fault in target.faults(cells("3000000001", "3000000003"))] == [
        "the numbers lie 1 around 3,000,000,002 on average, where predictions (of 32 bits) come in steps of 256."
    ]
