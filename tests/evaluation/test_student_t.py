"""Student's t distribution, against SciPy."""

import pytest
from scipy.stats import t as scipy_t

from mmtrain.evaluation.student_t import quantile, two_sided_p

DEGREES = (0.5, 1, 2, 4, 5.75, 19, 499, 1e6)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("probability", [0.6, 0.8, 0.95, 0.975, 0.995, 0.9999])
def test_quantiles_are_those_of_scipy(probability, degrees):
    assert quantile(probability, degrees) == pytest.approx(scipy_t.ppf(probability, degrees), rel=1e-8)
    assert quantile(1 - probability, degrees) == pytest.approx(-quantile(probability, degrees), rel=1e-8)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("value", [-40, -3.2, -0.01, 0, 0.5, 1, 2, 12])
def test_p_values_are_those_of_scipy(value, degrees):
    assert two_sided_p(value, degrees) == pytest.approx(2 * scipy_t.sf(abs(value), degrees), rel=1e-8, abs=1e-300)


def test_quantiles_of_tables():
    assert [round(quantile(0.975, degrees), 3) for degrees in (1, 2, 4, 9)] == [12.706, 4.303, 2.776, 2.262]
    assert quantile(0.5, 3) == 0


def test_an_infinite_value_has_no_tail():
    assert two_sided_p(float("inf"), 4) == 0
