"""How much worse the scores become when something about the inputs is changed, compared row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmtrain.evaluation.evaluation_set import BootstrapScores
from mmtrain.metrics.score import Estimate, higher_is_better


def score_drops(before: BootstrapScores, after: Sequence[BootstrapScores]) -> dict[str, Estimate]:
    """How much worse every score becomes, in its own unit: above 0 where the change harms, whichever direction is better.

    The mean over several changes, of every score of all rows together that is defined before and after each of them.

    Before and after are of the same rows and the same draws (paired bootstrap); after may have the first of them only.
    """
    found = {}
    bootstrap = after[0].bootstrap
    for name, score in before.scores.items():
        values = [value for one in after if (value := one.scores[name].value) is not None]
        if "[" in name or score.value is None or len(values) < len(after):
            continue
        sign = 1 if higher_is_better(name) else -1
        value = sign * (score.value - float(np.mean(values)))
        lost = sign * (before.draws[name][: bootstrap.draws] - np.mean([one.draws[name] for one in after], axis=0))
        low, high = bootstrap.interval(lost, value) or (None, None)
        found[name] = Estimate(value=value, low=low, high=high)
    return found
