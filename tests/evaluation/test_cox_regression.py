"""The linear baseline of times to an event: its coefficients are those of lifelines."""

import numpy as np
import pandas as pd
import pytest

RANDOM = np.random.default_rng(0)


def data(rows=150):
    cells = RANDOM.normal(size=(rows, 3))
    times = RANDOM.exponential(np.exp(-cells @ [0.8, -0.5, 0.0])) + np.arange(rows) * 1e-6
    events, weights = RANDOM.random(rows) < 0.7, RANDOM.integers(1, 4, rows).astype(float)
    return cells, np.stack([times, events], axis=1), weights


def test_gradient_is_that_of_the_loss_with_ties_and_weights():
    from mmtrain.evaluation.reference_models.cox_regression import _partial_likelihood

    cells, truth, weights = data(30)
    truth[:, 0] = np.round(truth[:, 0], 1)
    order = np.argsort(-truth[:, 0], kind="stable")
    hazard, truth, weights = (cells @ [0.5, 1.0, -1.0])[order], truth[order], weights[order]
    value, slope = _partial_likelihood(hazard, truth, weights)
    for row in range(0, 30, 7):
        step = np.zeros(30)
        step[row] = 1e-5
        assert (_partial_likelihood(hazard + step, truth, weights)[0] - value) / 1e-5 == pytest.approx(slope[row], abs=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # of lifelines
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # of lifelines, since Python 3.12
def test_coefficients_are_those_of_lifelines():
    from lifelines import CoxPHFitter

    from mmtrain.evaluation.reference_models.cox_regression import fit_cox

    cells, truth, weights = data()
    table = pd.DataFrame(np.column_stack([cells, truth, weights]), columns=["a", "b", "c", "t", "d", "w"])
    expected = CoxPHFitter().fit(table, "t", "d", weights_col="w", robust=True).params_.to_numpy()
    np.testing.assert_allclose(fit_cox(cells, truth, weights, 1e-6), expected, atol=2e-3)
