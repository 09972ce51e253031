"""The scores of subgroups of the rows, and how far apart the best and the worst of them are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.answered import Answered, Scored, scored
from mmtrain.evaluation.bootstrap import Interval
from mmtrain.evaluation.division import Divided
from mmtrain.named_score import higher_is_better

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
    scores: tuple[Scored, ...]
    gap: Gap | None
    """None where there are not two subgroups of `LEAST_ROWS` rows whose main score has an interval."""

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


def subgroups(answered: Answered, divided: Divided, section: Evaluation) -> Subgroups:
    """Of one column; `divided` is of the same rows."""
    parts = [_Part(name, answered.only(divided.codes == code), section, SHIFT + code) for code, name in enumerate(divided.names)]
    scores = tuple(part.scored for part in parts)
    return Subgroups(divided.header, answered.main, section.confidence, divided.names, scores, _gap(parts, answered.main))


class _Part:
    """A subgroup with its own draws."""

    def __init__(self, name: str | None, rows: Answered, section: Evaluation, shift: int) -> None:
        self.name = name
        self.bootstrap = rows.bootstrap(section, shift=shift)
        self.draws = rows.drawn(self.bootstrap)
        self.scored = scored(rows, self.bootstrap, self.draws)

    def main(self, name: str) -> float | None:
        """The main score, if the subgroup can be compared by it."""
        fit = self.scored.rows >= LEAST_ROWS and self.scored.intervals.get(name) is not None
        return self.scored.scores[name].value if fit else None


def _gap(parts: Sequence[_Part], name: str) -> Gap | None:
    """Of the main score. The rows of two subgroups are different ones, so its interval is that of the differences of their own draws."""
    sign = 1 if higher_is_better(name) else -1
    ranked = sorted(((sign * value, place) for place, part in enumerate(parts) if (value := part.main(name)) is not None), reverse=True)
    if len(ranked) < 2:
        return None
    (best_value, best), (worst_value, worst) = ranked[0], ranked[-1]
    value = best_value - worst_value
    apart = sign * (parts[best].draws[name] - parts[worst].draws[name])
    return Gap(parts[best].name, parts[worst].name, value, parts[best].bootstrap.interval(apart, value), len(ranked))
