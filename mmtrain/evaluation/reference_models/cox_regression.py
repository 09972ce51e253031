"""Cox regression with an L2 penalty: the linear baseline of times to an event (Cox 1972, equal times as in Breslow 1974)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def fit_cox(cells: Any, truth: Numbers, weights: Numbers, penalty: float) -> Numbers:
    """Return the coefficients, (features,), that minimize minus the log partial likelihood plus penalty / 2 times their squares.

    Args:
        cells: (rows, features), sparse or dense.
        truth: Time and event, (rows, 2), all known.
        weights: (rows,), 0 or more.
        penalty: More than 0.
    """
    from scipy.optimize import minimize

    order = np.argsort(-truth[:, 0], kind="stable")
    sorted_cells, sorted_truth, sorted_weights = cells[order], truth[order], np.asarray(weights, np.float64)[order]

    def objective(coefficients: Numbers) -> tuple[float, Numbers]:
        value, slope = _partial_likelihood(np.asarray(sorted_cells @ coefficients), sorted_truth, sorted_weights)
        gradient = np.asarray(sorted_cells.T @ slope).reshape(-1) + penalty * coefficients
        return value + penalty / 2 * float(coefficients @ coefficients), gradient

    return np.asarray(minimize(objective, np.zeros(cells.shape[1]), jac=True, method="L-BFGS-B").x, dtype=np.float64)


def partial_loss(hazard: Numbers, truth: Numbers, weights: Numbers) -> float:
    """Return minus the log partial likelihood of logarithms of relative hazards, (rows,)."""
    order = np.argsort(-truth[:, 0], kind="stable")
    return _partial_likelihood(hazard[order], truth[order], np.asarray(weights, np.float64)[order])[0]


def _partial_likelihood(hazard: Numbers, truth: Numbers, weights: Numbers) -> tuple[float, Numbers]:
    """Return minus the log partial likelihood and its derivative by `hazard`, (rows,), of rows in descending order of time."""
    peak = hazard.max(initial=0.0)
    relative = weights * np.exp(hazard - peak)
    # Of equal times, all rows are at risk: the last one has the whole sum, and the first one begins the sum over their events.
    last = np.searchsorted(-truth[:, 0], -truth[:, 0], side="right") - 1
    first = np.searchsorted(-truth[:, 0], -truth[:, 0], side="left")
    at_risk = np.maximum(np.cumsum(relative)[last], 1e-300)
    events = truth[:, 1] * weights
    value = float(np.sum(events * (np.log(at_risk) + peak - hazard)))
    later = np.cumsum((events / at_risk)[::-1])[::-1]
    return value, relative * later[first] - events
