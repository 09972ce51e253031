"""benchmarks/nested_cross_validation.py: the formula of Bates, Hastie and Tibshirani by hand."""

from math import sqrt
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def nested(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import nested_cross_validation

    return nested_cross_validation


def test_nested_cross_validation_is_the_formula_of_bates_hastie_and_tibshirani(nested):
    """Three folds by hand: of inner scores the means are .5, .6 and .7, of outer ones .4, .7 and .7."""
    inner = np.array([[[9, 0.4, 0.6], [0.5, 9, 0.7], [0.6, 0.8, 9]]])
    outer = np.array([[0.4, 0.7, 0.7]])
    sampling = np.full((1, 3), 0.003)
    one = nested.nested_cross_validation("accuracy", nested.NestedScores(outer, inner, sampling), naive_error=0.05)
    # (.5 - .4)^2, (.6 - .7)^2 and 0, less .003 each.
    squared = 0.02 / 3 - 0.003
    assert one.value == pytest.approx(0.6 - (1 + 1 / 3) * (0.6 - 0.6))
    assert one.standard_error == pytest.approx(sqrt(2 / 3) * sqrt(squared))
    assert one.method == nested.NESTED
    assert one.interval(0.95).high - one.value == pytest.approx(1.959964 * one.standard_error, rel=1e-5)


@pytest.mark.parametrize(("naive", "error"), [(0.2, 0.2), (0.01, 0.01 * sqrt(3))])
def test_the_error_of_nested_cross_validation_is_kept_in_its_range(nested, naive, error):
    inner = np.array([[[9, 0.4, 0.6], [0.5, 9, 0.7], [0.6, 0.8, 9]]])
    one = nested.nested_cross_validation("accuracy", nested.NestedScores(np.array([[0.4, 0.7, 0.7]]), inner, np.full((1, 3), 0.003)), naive)
    assert one.standard_error == pytest.approx(sqrt(2 / 3) * error)


def test_nested_cross_validation_corrects_for_the_rows_that_a_fold_lacks(nested):
    inner = np.full((1, 5, 5), 0.70)
    one = nested.nested_cross_validation("accuracy", nested.NestedScores(np.full((1, 5), 0.75), inner, np.zeros((1, 5))), 0.01)
    assert one.value == pytest.approx(0.70 + (1 + 3 / 5) * 0.05)
