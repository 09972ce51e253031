"""The scores of subgroups of the rows, and how far apart the best and the worst of them are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmtrain.artifacts.analysis_results import Gap, Subgroup, Subgroups
from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.analyses.subgroup_columns import SubgroupCodes
from mmtrain.evaluation.bootstrap import LEAST_DEFINED
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.metrics.score import higher_is_better

LEAST_ROWS = 10
"""Of a subgroup that is compared with others: with fewer, almost any score comes about by chance."""
SHIFT = 1000
"""Added to the seed of the first subgroup's draws. Subgroups of equal size must not have equal draws: their rows have nothing in
common, and draws in step would make the difference of two scores look more, or less, certain than it is."""


def score_subgroups(answered: EvalSet, divided: SubgroupCodes, main: str, section: Evaluation) -> Subgroups:
    """Of one column; `divided` is of the same rows, `main` the score that speaks for the target."""
    found = tuple(answered.only(divided.codes == code).drawn(section, shift=SHIFT + code) for code in range(len(divided.names)))
    subgroups = [
        Subgroup(name=name, rows=len(one.rows), groups=one.groups, scores=one.scores)
        for name, one in zip(divided.names, found, strict=True)
    ]
    gap = _gap(divided.names, found, main)
    return Subgroups(column=divided.header, main=main, confidence=section.confidence, subgroups=subgroups, gap=gap)


def _gap(names: Sequence[str | None], found: Sequence[BootstrapScores], main: str) -> Gap | None:
    """The rows of two subgroups are different ones, so the interval is that of the differences of their own draws.

    Where rows of one group are in both, that interval is rather too wide.
    """
    sign = 1 if higher_is_better(main) else -1
    values = {place: one.scores[main].value for place, one in enumerate(found) if len(one.rows) >= LEAST_ROWS}
    ranked = sorted(
        (sign * value, place)
        for place, value in values.items()
        if value is not None and np.isnan(found[place].draws[main]).mean() <= 1 - LEAST_DEFINED
    )
    if len(ranked) < 2:
        return None
    (worst_value, worst), (best_value, best) = ranked[0], ranked[-1]
    apart = sign * (found[best].draws[main] - found[worst].draws[main])
    value = best_value - worst_value
    low, high = found[best].bootstrap.interval(apart, value) or (None, None)
    return Gap(best=names[best], worst=names[worst], value=value, low=low, high=high, compared=len(ranked))
