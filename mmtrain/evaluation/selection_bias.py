"""Score of the best of several models, corrected for having chosen it on the rows that score it.

The best of many noisy scores is too optimistic. In every draw of a bootstrap the best model on the drawn rows is scored on the rows that
were not drawn (Tsamardinos, Greasidou and Borboudakis 2018, Machine Learning 107, "bootstrap bias corrected"): the mean of these scores is
an estimate for the whole procedure, choice included. It needs the predictions of all models and no further training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmtrain.artifacts.search_results import CorrectedChoice
from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.metrics.bootstrap_counts import Counts, Values
from mmtrain.metrics.score import higher_is_better
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
LEAST_DRAWS = 0.5
"""Minimum proportion of draws in which the score is defined on both sides."""


def correct_choice(
    target: FittedTarget, truth: Array, predictions: Sequence[Array], first: int, score: str, bootstrap: Bootstrap
) -> CorrectedChoice | None:
    """Return the corrected score of choosing the best model, and that of one fixed model.

    Args:
        target: The fitted target.
        truth: (rows, ...) its answers, all known.
        predictions: Predictions of every model, (rows, units) each.
        first: Position of the fixed model, which needs no choice.
        score: Name of the score.
        bootstrap: Draws of the rows, or of whole groups.

    Returns:
        The scores; None if the score is undefined in most draws, where few rows have one of the classes.

    """
    scorers = [target.all_scorer(truth, one) for one in predictions]
    sign = 1.0 if higher_is_better(score) else -1.0

    def score_draws(counts: Counts) -> Values:
        rest = (counts == 0).astype(counts.dtype)
        inside, outside = (np.stack([scorer(some)[score] for scorer in scorers]) for some in (counts, rest))
        # An undefined score is never the best; where all are undefined, so is the draw.
        best = np.argmax(np.where(np.isnan(inside), -np.inf, sign * inside), axis=0)
        chosen = np.where(np.isnan(inside).all(axis=0), np.nan, outside[best, np.arange(counts.shape[0])])
        return np.stack([chosen, outside[first]], axis=1)

    values = bootstrap.of(score_draws)
    defined = values[~np.isnan(values).any(axis=1)]
    if len(defined) < LEAST_DRAWS * len(values):
        return None
    corrected, fixed = defined.mean(axis=0).tolist()
    wins = sign * (defined[:, 0] - defined[:, 1])
    # Of scores of the rows that a draw leaves out, which are few: rather too wide.
    low, high = np.quantile(defined[:, 0], [(1 - bootstrap.confidence) / 2, (1 + bootstrap.confidence) / 2]).tolist()
    return CorrectedChoice(
        score=score,
        value=corrected,
        own=fixed,
        better=float((wins > 0).mean()),
        draws=len(defined),
        low=low,
        high=high,
        confidence=bootstrap.confidence,
        rows=len(truth),
    )
