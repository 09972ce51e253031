"""The bins of a numeric column: edges from the rows and from the different numbers, learned from training rows."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.columns.numbers import MAX_EDGES, bin_edges
from mmtrain.columns.numeric import Numeric
from mmtrain.columns.vectorizers.fitted_number import FittedNumeric


def cells(numbers):
    return pd.Series([None if number is None else repr(float(number)) for number in numbers], dtype="str")


def test_few_different_numbers_are_all_edges_with_their_ranks():
    edges, ranks = bin_edges(np.array([3.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0] * 2))
    assert edges == (1.0, 2.0, 3.0)
    assert ranks == (2 / 16, 5 / 16, 11 / 16)


def test_edges_of_a_column_of_zeros_divide_the_other_numbers_too():
    """`capital-gain` of adult is 92 % zeros: quantiles of the rows alone would be two different numbers."""
    random = np.random.default_rng(0)
    numbers = np.where(random.random(20_000) < 0.92, 0, random.integers(1, 10_000, 20_000))
    edges, _ = bin_edges(numbers.astype(float))
    assert edges[0] == 0
    assert len(np.unique(np.quantile(numbers, np.linspace(0, 1, 25)))) <= 4
    assert 25 <= len(edges) <= MAX_EDGES
    assert edges[-1] == numbers.max()


def test_edges_of_a_continuous_column_are_bounded_and_increasing():
    numbers = np.random.default_rng(1).lognormal(size=5_000)
    edges, ranks = bin_edges(numbers)
    assert 40 <= len(edges) <= MAX_EDGES
    assert (np.diff(edges) > 0).all()
    assert (np.diff(ranks) > 0).all()
    assert (edges[0], edges[-1]) == (numbers.min(), numbers.max())
    assert np.allclose(ranks, [(numbers <= edge).mean() - 0.5 / len(numbers) for edge in edges])


def test_few_rows_have_few_edges():
    assert len(bin_edges(np.arange(40.0))[0]) <= 10
    assert len(bin_edges(np.arange(8.0))[0]) == 8


def test_edges_are_encoded_as_the_numbers_themselves_are():
    fitted = Numeric(role="numeric").fit([cells([10, 20, 40, 40])])
    assert fitted.edges == (10, 20, 40)
    expected = np.array([(number - fitted.center) / fitted.scale for number in fitted.edges], np.float32)
    assert fitted.spec.edges == tuple(expected.tolist())
    assert (fitted.spec.embed, fitted.spec.few_rows, fitted.spec.width) == ("auto", True, 1)


@pytest.mark.parametrize(
    ("options", "rows", "expected"),
    [
        ({}, 999, ("auto", True)),
        ({}, 1000, ("auto", False)),
        ({"embed": "quantile"}, 9, ("quantile", True)),
        ({"embed": "none"}, 1000, ("none", False)),
    ],
)
def test_architectures_are_told_of_few_rows(options, rows, expected):
    fitted = Numeric(role="numeric", **options).fit([cells([*range(rows), None])])
    assert (fitted.spec.embed, fitted.spec.few_rows) == expected


@pytest.mark.parametrize(
    ("numbers", "options", "count"),
    [
        ([5, 5, 5], {}, 1),
        ([None, None], {}, 1),
        ([1e-200, 3e-200], {"normalize": "none"}, 1),
        ([-3e38, 3e38], {"normalize": "none"}, 0),
        ([1, 1 + 1e-12, 2], {"normalize": "none"}, 2),
    ],
)
def test_numbers_that_float32_cannot_divide_have_no_bins(numbers, options, count):
    fitted = Numeric(role="numeric", **options).fit([cells(numbers)])
    assert len(fitted.spec.edges) == len(fitted.spec.ranks) == count


def test_a_column_of_an_older_run_has_no_encoding():
    old = {"fill": 0, "center": 0, "scale": 1, "indicator": False, "masked": False, "minimum": 0, "maximum": 1, "missing": 0}
    fitted = FittedNumeric.model_validate(old)
    assert (fitted.spec.embed, fitted.spec.edges) == ("none", ())


def test_the_line_of_a_column_counts_its_bins():
    declared = Numeric(role="numeric", embed="piecewise_linear")
    assert "3 edges of bins" in declared.fit([cells([1, 2, 4])]).learned_words(declared, str)
    assert "bins" not in Numeric(role="numeric", embed="none").fit([cells([1, 2, 4])]).learned_words(declared, str)
