"""Permutation importance: the drop in every score when the values of a branch or a column are shuffled among the rows.

Breiman (2001); Fisher, Rudin and Dominici (2019, arXiv:1801.01489). It is computed on the scored rows, for the model as it is: of two
inputs with the same information each contributes little, because the model still has the other one.

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
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import Array, BootstrapScores, MultiTargetEvalSet, score_drops
from mmtrain.metrics.score import Estimate

MOST_ROWS = 5000
"""Maximum number of rows that are shuffled; larger parts are sampled, so that the time does not grow with them."""
LEAST_DRAWS = 200
"""Minimum number of bootstrap draws for the intervals, unless the experiment asks for fewer. Its draws are divided among the shuffles,
because every shuffle is scored on all of them."""

SECONDS = 120.0
"""Time budget for all inputs and all targets."""
PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class PermutedInput:
    """A branch, or one of the several columns of a branch."""

    branch: str
    columns: tuple[str, ...]
    whole: bool
    """True for the branch with all of its columns."""

    @property
    def name(self) -> str:
        """Name of the branch or of the column."""
        return self.branch if self.whole else self.columns[0]

    def importance(self, losses: dict[str, Estimate]) -> InputImportance:
        """Return the result for this input."""
        return InputImportance(name=self.name, branch=self.branch, columns=list(self.columns), whole_branch=self.whole, losses=losses)


Shuffled = Callable[[PermutedInput, Array], Mapping[str, Array]]
"""Predictions per target when row i has the values that row `donors[i]` has in one input; donors are (rows,)."""


class Budget:
    """Time limit of the analysis, whose cost grows with the product of inputs, shuffles and classes.

    Results depend on it only if it is exceeded: then every input is shuffled less often, but at least once; after twice the time, the
    remaining inputs are left out.
    """

    def __init__(
        self, seconds: float = SECONDS, *, say: Callable[[str], None] = lambda _: None, clock: Callable[[], float] = monotonic
    ) -> None:
        """`say` gets a progress message every `PROGRESS_SECONDS` seconds."""
        self.clock = clock
        self._seconds, self._say = seconds, say
        self._start = self._last_message = clock()

    def affordable(self, each: float, *, inputs: int, most: int) -> int:
        """Return how often every input can be shuffled if a shuffle takes `each` seconds: from 1 to `most`."""
        # Time for everything, or as many shuffles of each input as the time allows, at least one.
        return most if each * inputs * most <= self._seconds else max(1, int(self._seconds / (each * inputs)))

    def allows(self, done: int, *, of: int) -> bool:
        """Return True if there is time for another input."""
        now = self.clock()
        if now - self._last_message >= PROGRESS_SECONDS:
            self._last_message = now
            self._say(f"Contributions: {done:,} of {of:,} inputs have been shuffled.")
        # The first input always runs, so that there is a result.
        return done == 0 or now - self._start <= 2 * self._seconds


def permuted_inputs(branches: Mapping[str, Sequence[str]]) -> tuple[PermutedInput, ...]:
    """Return the inputs to shuffle, given the columns of every branch: each branch, and each column of a branch with several.

    A single column in all would contribute everything, so it is not shuffled; of a single branch only the columns are.
    """
    if sum(map(len, branches.values())) < 2:
        return ()
    inputs = []
    for branch, columns in branches.items():
        inputs += [PermutedInput(branch, tuple(columns), whole=True)] if len(branches) > 1 else []
        inputs += [PermutedInput(branch, (column,), whole=False) for column in columns if len(columns) > 1]
    return tuple(inputs)


def sample_rows(rows: int, seed: int) -> NDArray[np.int64]:
    """Return ascending positions of the rows to shuffle: all, or a random sample of `MOST_ROWS`."""
    if rows <= MOST_ROWS:
        return np.arange(rows, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))


def donor_rows(groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return for each row the row whose values it receives, (rows,); `groups` (rows,) are codes from 0 on, of two or more rows."""
    sizes = np.bincount(groups)
    # With a group of more than half of the rows no shift keeps it apart from itself; half a turn mixes it most.
    shift = min(int(sizes.max()), len(groups) // 2)
    # lexsort sorts by its last key first: groups in random order, and the rows of each in random order.
    circle = np.lexsort((generator.random(len(groups)), generator.permutation(len(sizes))[groups]))
    donors = np.empty(len(groups), dtype=np.int64)
    # Row circle[i] receives the values of row circle[i + shift].
    donors[circle] = np.roll(circle, -shift)
    return donors


def permutation_importance(
    truths: MultiTargetEvalSet,
    before: Mapping[str, BootstrapScores],
    shuffled: Shuffled,
    inputs: Sequence[PermutedInput],
    section: Evaluation,
    *,
    budget: Budget | None = None,
) -> dict[str, PermutationImportance]:
    """Compute the importance of every input to every target that has two rows with a known answer.

    `shuffled` predicts the rows of `truths` with one input shuffled, and `before` are their scores as they are. If the `budget` is
    exceeded, every input is shuffled less often, and inputs that it does not reach are left out; the result names both.
    """
    known = {key: scores for key, scores in before.items() if len(scores.rows) > 1}
    if not inputs or not section.permutations or not known:
        return {}
    budget = budget or Budget()
    generator = np.random.default_rng(section.seed)
    groups = np.arange(len(truths)) if truths.groups is None else np.unique(truths.groups, return_inverse=True)[1]
    # The same shuffles for every input, so that their importances are comparable.
    permutations = [donor_rows(groups, generator) for _ in range(section.permutations)]
    # Five shuffles with a fifth of the draws cost as much as one shuffle with all of them, and vary less.
    draws = min(section.draws, max(LEAST_DRAWS, section.draws // section.permutations))
    importances: dict[str, list[InputImportance]] = {key: [] for key in known}

    def rescore(one: PermutedInput, donors: Array) -> dict[str, BootstrapScores]:
        predictions = shuffled(one, donors)
        by_target = {key: truths.eval_set(key, predictions[key]).resample(section, draws=draws) for key in known}
        for bootstrap_scores in by_target.values():
            bootstrap_scores.scores  # noqa: B018 (computed now, so that the budget counts it)
        return by_target

    for place, one in enumerate(inputs):
        if not budget.allows(place, of=len(inputs)):
            break
        after: list[dict[str, BootstrapScores]] = []
        while len(after) < len(permutations):
            start = budget.clock()
            after.append(rescore(one, permutations[len(after)]))
            # The second shuffle of the first input is timed: the first one also compiles, which would make every shuffle look expensive.
            if place == 0 and len(after) > 1:
                affordable = budget.affordable(budget.clock() - start, inputs=len(inputs), most=len(permutations))
                permutations = permutations[:affordable]
        # The budget may have been found to be smaller after two shuffles of the first input.
        after = after[: len(permutations)]
        for key, scores in known.items():
            importances[key].append(one.importance(score_drops(scores, [by_target[key] for by_target in after])))
    return {
        key: PermutationImportance(
            main=truths.main[key],
            rows=len(scores.rows),
            permutations=len(permutations),
            confidence=section.confidence,
            draws=draws,
            inputs=importances[key],
            permutations_asked=section.permutations if section.permutations > len(permutations) else None,
            left_out=[one.name for one in inputs[len(importances[key]) :]],
        )
        for key, scores in known.items()
    }
