"""Permutation importance: how much worse the scores become when the values of a branch or a column are shuffled among the rows.

Permutation importance (Breiman 2001; Fisher, Rudin and Dominici 2019, arXiv:1801.01489), on the rows that are scored, of the model as
it is: an input whose values another input tells as well contributes little, though the model may look at it.

Rows are shuffled group by group and the input is rolled by the size of the largest group, so that no row receives a value of its own
group, whose rows are alike, unless one group has more than half of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.analysis_results import InputImportance, PermutationImportance
from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import Array, BootstrapScores, MultiTargetEvalSet, score_drops
from mmtrain.metrics.score import Estimate

MOST_ROWS = 5000
"""Of larger parts a sample is shuffled, so that the time does not grow with the part."""
LEAST_DRAWS = 200
"""For the intervals, if the section has so many. Its draws are divided among the shuffles, as every shuffle is scored on all of
them."""

SECONDS = 120.0
"""Time budget for all inputs and all targets."""
PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class PermutedInput:
    """A branch, or one of the several columns of a branch."""

    branch: str
    columns: tuple[str, ...]
    whole: bool
    """Whether it is the branch with all of its columns."""

    @property
    def name(self) -> str:
        """That of the branch, or of the column."""
        return self.branch if self.whole else self.columns[0]

    def importance(self, losses: dict[str, Estimate]) -> InputImportance:
        """Return the result for this input."""
        return InputImportance(name=self.name, branch=self.branch, columns=list(self.columns), whole_branch=self.whole, losses=losses)


Shuffled = Callable[[PermutedInput, Array], Mapping[str, Array]]
"""Predictions per target when row i has the values that row `donors[i]` has in one input; donors are (rows,)."""


class Budget:
    """The time that contributions may take: it grows with the product of inputs, shuffles and classes.

    Results depend on it only where it does not suffice: then every input is shuffled less often, but once at least; after twice the
    time, the inputs that have not been reached are left out.
    """

    def __init__(
        self, seconds: float = SECONDS, *, say: Callable[[str], None] = lambda _: None, clock: Callable[[], float] = monotonic
    ) -> None:
        """`say` gets a progress message every `PROGRESS_SECONDS` seconds."""
        self.clock = clock
        self._seconds, self._say = seconds, say
        self._begun = self._told = clock()

    def affordable(self, each: float, *, inputs: int, most: int) -> int:
        """Return how often every input can be shuffled if a shuffle takes `each` seconds: from 1 to `most`."""
        return most if each * inputs * most <= self._seconds else max(1, int(self._seconds / (each * inputs)))

    def allows(self, done: int, *, of: int) -> bool:
        """Return True if there is time for another input."""
        now = self.clock()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._say(f"Contributions: {done:,} of {of:,} inputs have been shuffled.")
        return done == 0 or now - self._begun <= 2 * self._seconds


def permuted_inputs(branches: Mapping[str, Sequence[str]]) -> tuple[PermutedInput, ...]:
    """Return what is shuffled, given the columns of every branch: each branch, and each column of a branch with several.

    Nothing where there is one column in all, which would contribute everything; of a single branch its columns only.
    """
    if sum(map(len, branches.values())) < 2:
        return ()
    found = []
    for branch, columns in branches.items():
        found += [PermutedInput(branch, tuple(columns), whole=True)] if len(branches) > 1 else []
        found += [PermutedInput(branch, (column,), whole=False) for column in columns if len(columns) > 1]
    return tuple(found)


def sample_rows(rows: int, seed: int) -> NDArray[np.int64]:
    """Positions of the rows that are shuffled, ascending; all of them where there are not too many."""
    if rows <= MOST_ROWS:
        return np.arange(rows, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))


def donor_rows(groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """For each row the row whose values it takes; `groups` (rows,) are codes from 0 on, of two or more rows."""
    sizes = np.bincount(groups)
    shift = min(int(sizes.max()), len(groups) // 2)
    circle = np.lexsort((generator.random(len(groups)), generator.permutation(len(sizes))[groups]))
    found = np.empty(len(groups), dtype=np.int64)
    found[circle] = np.roll(circle, -shift)
    return found


def permutation_importance(
    truths: MultiTargetEvalSet,
    before: Mapping[str, BootstrapScores],
    shuffled: Shuffled,
    inputs: Sequence[PermutedInput],
    section: Evaluation,
    *,
    budget: Budget | None = None,
) -> dict[str, PermutationImportance]:
    """Compute the importance of every input to every target with two answered rows; `truths` and `shuffled` have the same rows.

    `before` are the scores of each target as the rows are, on as many draws as the section says. Where the time of the `budget` does
    not suffice, every input is shuffled less often, and those that it does not reach at all are left out.
    """
    known = {key: drawn for key, drawn in before.items() if len(drawn.rows) > 1}
    if not inputs or not section.permutations or not known:
        return {}
    budget = budget or Budget()
    generator = np.random.default_rng(section.seed)
    groups = np.arange(len(truths)) if truths.groups is None else np.unique(truths.groups, return_inverse=True)[1]
    circles = [donor_rows(groups, generator) for _ in range(section.permutations)]
    draws = min(section.draws, max(LEAST_DRAWS, section.draws // section.permutations))
    found: dict[str, list[InputImportance]] = {key: [] for key in known}

    def rescored(one: PermutedInput, circle: Array) -> dict[str, BootstrapScores]:
        values = shuffled(one, circle)
        again = {key: truths.answered(key, values[key]).drawn(section, draws=draws) for key in known}
        for drawn in again.values():
            drawn.scores  # noqa: B018 (computed now, so that the budget counts it)
        return again

    for place, one in enumerate(inputs):
        if not budget.allows(place, of=len(inputs)):
            break
        after: list[dict[str, BootstrapScores]] = []
        while len(after) < len(circles):
            begun = budget.clock()
            after.append(rescored(one, circles[len(after)]))
            if place == 0 and len(after) > 1:  # the first one also compiles
                circles = circles[: budget.affordable(budget.clock() - begun, inputs=len(inputs), most=len(circles))]
        after = after[: len(circles)]
        for key, as_it_is in known.items():
            found[key].append(one.importance(score_drops(as_it_is, [again[key] for again in after])))
    return {
        key: PermutationImportance(
            main=truths.main[key],
            rows=len(drawn.rows),
            permutations=len(circles),
            confidence=section.confidence,
            draws=draws,
            inputs=found[key],
            permutations_asked=section.permutations if section.permutations > len(circles) else None,
            left_out=[one.name for one in inputs[len(found[key]) :]],
        )
        for key, drawn in known.items()
    }
