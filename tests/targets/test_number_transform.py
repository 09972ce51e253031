"""`transform` of a regression target: what is learned, the way back, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.targets import RegressionTarget

PRICES = np.round(np.exp(np.random.default_rng(0).normal(3, 1.5, 400)), 2)
COUNTS = np.random.default_rng(1).poisson(1.5, 400).astype(np.float64) ** 2


def fitted(answers, transform, error="squared"):
    cells = pd.Series([repr(float(answer)) for answer in answers], dtype="str")
    return RegressionTarget(column="y", transform=transform, error=error).fit({"y": cells}, "none")


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("transform", ["none", "log", "quantile"])
@pytest.mark.parametrize("answers", [PRICES, COUNTS], ids=["prices", "counts"])
def test_way_back_gives_the_answers_in_their_unit(transform, answers):
    target = fitted(answers, transform)
    learned = target.standardized(answers).numpy()
    assert learned.dtype == np.float32
    assert (abs(learned.mean()) < 1e-5, abs(learned.std() - 1) < 1e-4) == (True, True)
    layer = target.activation("prediction_y")
    assert layer.name == "prediction_y"
    found = layer(learned[:, None]).numpy()
    assert (found.shape, found.dtype) == ((len(answers), 1), np.float32)
    np.testing.assert_allclose(found[:, 0], answers, rtol=2e-4, atol=1e-4 * answers.std())
    again = type(layer).from_config(layer.get_config())
    assert np.array_equal(again(learned[:, None]), found)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("transform", ["log", "quantile"])
def test_skewed_answers_become_symmetric(transform):
    def skew(numbers):
        return float((((numbers - numbers.mean()) / numbers.std()) ** 3).mean())

    assert skew(PRICES) > 3
    assert abs(skew(fitted(PRICES, transform).standardized(PRICES).numpy())) < 0.3


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("transform", ["log", "quantile"])
def test_straying_outputs_and_unseen_answers_stay_finite(transform):
    target = fitted(PRICES, transform)
    found = target.activation("p")(np.float32([[-1e9], [1e9]])).numpy()[:, 0]
    assert 0 <= found[0] <= PRICES.min() + 1e-3
    assert PRICES.max() - 1 <= found[1] < 10 * PRICES.max()
    assert np.isfinite(target.standardized(np.array([-5.0, 0.0, 1e12])).numpy()).all()


@pytest.mark.parametrize("transform", ["none", "log", "quantile"])
def test_dummy_spread_and_losses_are_in_the_unit(transform):
    target = fitted(PRICES, transform)
    assert target.baseline(2).tolist() == [[pytest.approx(PRICES.mean())]] * 2
    assert target.spread == pytest.approx(PRICES.std())
    assert target.row_losses(np.array([3.0]), np.array([[5.0]])).tolist() == [2]


@pytest.mark.usefixtures("tensorflow")
def test_loss_is_of_the_transformed_number():
    """Twice too much is as wrong for a small number as for a large one."""
    target = fitted(PRICES, "log")
    raw = target.standardized(np.array([20.0, 2000.0])).numpy()[:, None]
    small, large = target.row_loss(np.array([10.0, 1000.0]), raw).numpy()
    assert small == pytest.approx(large, rel=1e-4)


def test_equal_training_answers_need_no_transform():
    assert fitted(np.full(5, 7.0), "log") == fitted(np.full(5, 7.0), "none")


@pytest.mark.parametrize(
    ("transform", "cells", "faults"),
    [
        ("log", ["0", "1", "20"], []),
        ("quantile", ["-3", "1", "20"], []),
        (
            "log",
            ["1", "-3", "20"],
            [([1], "'-3' is below 0, and `transform: log` is for numbers of 0 or more.", "Set `transform: quantile`, or leave it out.")],
        ),
    ],
)
def test_logarithm_needs_answers_of_zero_or_more(transform, cells, faults):
    found = RegressionTarget(column="y", transform=transform).faults(pd.Series(cells, dtype="str"))
    assert [(list(fault.rows), fault.what, fault.fix) for fault in found] == faults
