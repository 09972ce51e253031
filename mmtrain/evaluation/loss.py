"""How much worse the scores become when something about the inputs is changed, compared row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmtrain.evaluation.answered import Answered
from mmtrain.evaluation.bootstrap import Bootstrap, Interval
from mmtrain.named_score import higher_is_better


@dataclass(frozen=True)
class Loss:
    """How much worse a score becomes, in its own unit: above 0 where the change harms, whichever direction is better."""

    value: float
    interval: Interval | None

    def plain(self) -> dict[str, float]:
        """For metrics.json."""
        return {"value": self.value, **(self.interval.plain() if self.interval is not None else {})}


class Before:
    """The scores of a target before anything is changed, and what they lose."""

    def __init__(self, answered: Answered, bootstrap: Bootstrap) -> None:
        self.bootstrap = bootstrap
        self._scores = answered.scores()
        self._draws = answered.drawn(bootstrap)

    def losses(self, changed: Sequence[Answered]) -> dict[str, Loss]:
        """The mean over several changes of the same rows, of every score of all rows together that is defined before and after each.

        Before and after are scored on the same draws (paired bootstrap).
        """
        scores = [after.scores() for after in changed]
        draws = [after.drawn(self.bootstrap) for after in changed]
        found = {}
        for name, score in self._scores.items():
            values = [after[name].value for after in scores]
            defined = [value for value in values if value is not None]
            if "[" in name or score.value is None or len(defined) < len(values):
                continue
            sign = 1 if higher_is_better(name) else -1
            value = sign * (score.value - float(np.mean(defined)))
            lost = sign * (self._draws[name] - np.mean([after[name] for after in draws], axis=0))
            found[name] = Loss(value, self.bootstrap.interval(lost, value))
        return found
