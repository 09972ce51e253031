"""Score of the best of several models, corrected for having chosen it on the rows that score it.

The best of many noisy scores is too optimistic. In every draw of a bootstrap the best model on the drawn rows is scored on the rows that
were not drawn (Tsamardinos, Greasidou and Borboudakis 2018, Machine Learning 107, "bootstrap bias corrected"): the mean of these scores is
an estimate for the whole procedure, choice included. It needs the predictions of all models and no further training.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from mmtrain.artifacts.search_results import CorrectedChoice
from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.metrics.bootstrap_counts import Counts, Values, mean_of_defined
from mmtrain.metrics.score import higher_is_better
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
LEAST_DRAWS = 0.5
"""Minimum proportion of draws in which the score is defined on both sides."""


class ScoredPart(NamedTuple):
    """Rows that one training of every model predicts: all validation rows, or those of a fold."""

    target: FittedTarget
    """The target as fitted for this training."""
    truth: Array
    """Its answers, all known, (rows, ...)."""
    predictions: Sequence[Array]
    """Predictions of every model, (rows, units) each."""


def correct_choice(parts: Sequence[ScoredPart], first: int, score: str, bootstrap: Bootstrap) -> CorrectedChoice | None:
    """Return the corrected score of choosing the best model, and that of one fixed model.

    The score of a model is the mean over the parts in which it is defined, as in a search by folds: trainings of two folds need not
    have comparable predictions, so that ranks among the rows of both say nothing.

    Args:
        parts: The rows, with the same models in each part.
        first: Position of the fixed model, which needs no choice.
        score: Name of the score.
        bootstrap: Draws of the rows of all parts in their order, or of whole groups.

    Returns:
        The scores; None if the score is undefined in most draws, where few rows have one of the classes.

    """
    scorers = [[part.target.all_scorer(part.truth, one) for one in part.predictions] for part in parts]
    bounds = list(pairwise(accumulate((len(part.truth) for part in parts), initial=0)))
    sign = 1.0 if higher_is_better(score) else -1.0

    def means(counts: Counts) -> Values:
        """Return the score of every model in each draw, (models, draws)."""
        of_parts = [
            np.stack([scorer(counts[:, begin:end])[score] for scorer in some]) for some, (begin, end) in zip(scorers, bounds, strict=True)
        ]
        return mean_of_defined(np.stack(of_parts, axis=-1))

    def score_draws(counts: Counts) -> Values:
        inside, outside = means(counts), means((counts == 0).astype(counts.dtype))
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
        rows=bounds[-1][1],
    )
