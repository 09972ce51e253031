"""The scores of subgroups of the rows, and how far apart the best and the worst of them are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.analyses.subgroup_columns import SubgroupCodes
from mmtrain.evaluation.bootstrap import LEAST_DEFINED
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.metrics.score import Interval, higher_is_better

LEAST_ROWS = 10
"""Of a subgroup that is compared with others: with fewer, almost any score comes about by chance."""
SHIFT = 1000
"""Added to the seed of the first subgroup's draws. Subgroups of equal size must not have equal draws: their rows have nothing in
common, and draws in step would make the difference of two scores look more, or less, certain than it is."""


@dataclass(frozen=True)
class Gap:
    """The subgroups with the best and the worst main score, and by how much the one is better, above 0 whichever direction is better."""

    best: str | None
    worst: str | None
    value: float
    interval: Interval | None
    compared: int
    """Subgroups that were compared."""


@dataclass(frozen=True)
class Subgroups:
    """The scores of every subgroup of one column."""

    header: str
    main: str
    confidence: float
    names: tuple[str | None, ...]
    """None is that of the rows whose cell is missing."""
    scores: tuple[BootstrapScores, ...]
    gap: Gap | None
    """None where there are not two subgroups of `LEAST_ROWS` rows whose main score is defined, on most draws as well."""

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        gap = self.gap
        return {
            "column": self.header,
            "main": self.main,
            "confidence": self.confidence,
            "subgroups": [{"name": name, **found.plain()} for name, found in zip(self.names, self.scores, strict=True)],
            "gap": None
            if gap is None
            else {
                "best": gap.best,
                "worst": gap.worst,
                "value": gap.value,
                **(gap.interval.plain() if gap.interval is not None else {}),
                "compared": gap.compared,
            },
        }


def score_subgroups(answered: EvalSet, divided: SubgroupCodes, main: str, section: Evaluation) -> Subgroups:
    """Of one column; `divided` is of the same rows, `main` the score that speaks for the target."""
    found = tuple(answered.only(divided.codes == code).drawn(section, shift=SHIFT + code) for code in range(len(divided.names)))
    return Subgroups(divided.header, main, section.confidence, divided.names, found, _gap(divided.names, found, main))


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
    return Gap(names[best], names[worst], value, found[best].bootstrap.interval(apart, value), len(ranked))
