"""Weights of the trainings of a group, chosen on rows that none of them has learned from.

Greedy forward selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes 2004, doi:10.1145/1015330.1015432): the ensemble
begins with the best configurations, and each round adds the one with which the mean predicts best, also one that is in it already; its
share of the rounds is its weight.

A configuration is a network (of all branches, or of one alone), with a seed, in a repeat of the division into folds. It has one
out-of-fold prediction of every row. Folds cannot have weights of their own: a row has the prediction of one of them, and weights would
say whose rows were easier.

Weights that were chosen on some rows look too good on these. So the rows are scored in parts, the folds of the first repeat, each with
weights that were chosen on the other parts; these predictions are the out-of-fold predictions of the group. Where they are not better
than the plain mean, the mean stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.group_results import EnsembleWeights, Member, TargetWeights
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.out_of_fold import Combined, MemberPredictions
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
Weights = NDArray[np.float64]
ROUNDS = 25
"""Configurations that are added, each with a weight of 1 / 25 or so; the best round counts."""
MOST_ROWS = 20_000
"""Rows on which weights are chosen: the error of a mean loss over more is far below differences that matter."""
FEWEST_UNITS = 20
"""Rows, or groups of rows, below which weights would be those of single rows."""
PARTS = 5
"""Parts of the rows that are scored by weights of the other parts, where there are no folds."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows of one target, with the predictions of every configuration, on which weights are chosen."""

    rows: EvalSet
    """Its predictions, (rows, configurations, units), are those of all configurations."""
    parts: NDArray[np.int64]
    """(rows,): the part of each row, to which one fold of the first repeat belongs, or random groups."""
    plain: Weights
    """(configurations,): the weights of the plain mean."""

    def only(self, rows: Array) -> Selection:
        """Return some of the rows."""
        return replace(self, rows=self.rows.only(rows), parts=self.parts[rows])

    def loss(self, weights: Weights) -> float:
        """Return the mean loss of the weighted mean: log loss, or the squared error of a number."""
        return float(np.mean(self.losses(np.broadcast_to(weights, (len(self.rows), len(weights))))))

    def losses(self, weights: Weights) -> NDArray[np.float64]:
        """Return the loss of each row under its own weights, (rows, configurations)."""
        target = self.rows.target
        mean = np.einsum("rc,rcu->ru", weights, self.rows.prediction.astype(np.float64))
        losses = target.row_losses(self.rows.truth, mean)
        # The distance of a number is minimal at the median; its square at the mean, as in the loss that networks minimize.
        return losses**2 if target.squares_losses else losses

    def greedy(self) -> Weights:
        """Return the greedy weights on these rows, (configurations,), together 1."""
        count = len(self.plain)
        order = sorted(range(count), key=lambda number: (self.loss(np.eye(count)[number]), number))
        # Sorted initialization: the best configurations, in the number whose mean is best.
        begun = [_share(order[:size], count) for size in range(1, count + 1)]
        best_loss, best = min(((self.loss(weights), number) for number, weights in enumerate(begun)), key=lambda pair: pair)
        chosen, weights = order[: best + 1], begun[best]
        for _ in range(ROUNDS):
            loss, number = min((self.loss(_share([*chosen, number], count)), number) for number in range(count))
            chosen.append(number)
            if loss < best_loss:
                best_loss, weights = loss, _share(chosen, count)
        return weights

    def cross_fitted(self) -> Weights:
        """Return the weights of every row, (rows, configurations), chosen without the rows of its part."""
        weights = np.empty((len(self.rows), len(self.plain)))
        for part in np.unique(self.parts):
            inside = self.parts == part
            weights[inside] = self.only(_spread(np.flatnonzero(~inside))).greedy()
        return weights


@dataclass(frozen=True, eq=False)
class WeightedGroup:
    """The weights of the trainings of a group: for new rows, and for the rows that they were chosen on."""

    weights: EnsembleWeights
    of_rows: Mapping[str, Weights]
    """By target, (members, rows): weights of the out-of-fold predictions, each row with weights that were chosen without its part."""


def choose_weights(members: Sequence[MemberPredictions], labels: Mapping[str, FittedTarget], *, folds: bool, seed: int) -> WeightedGroup:
    """Choose the weights of all members of a group, for each target; with `folds`, on out-of-fold predictions.

    `seed` is that of the random parts of rows without folds.
    """
    every = Combined(members, labels)
    keys = list(dict.fromkeys(_configuration(one.member) for one in members))
    places = np.array([keys.index(_configuration(one.member)) for one in members])
    of_folds = np.bincount(places)
    chosen, of_rows = {}, {}
    for key in labels:
        selection, known = _selection(key, every, keys, places, folds=folds, seed=seed)
        result, cross_fitted = _choose(selection, keys, folds=folds)
        weights = np.array([result.weights[_name(one, keys)] for one in keys])
        chosen[key] = result.model_copy(update={"members": (weights / of_folds)[places].tolist()})
        by_row = np.broadcast_to(selection.plain, (len(every.rows), len(keys))).copy()
        by_row[known] = cross_fitted
        of_rows[key] = by_row.T[places]
    return WeightedGroup(EnsembleWeights(part="out of fold" if folds else "validation", targets=chosen), of_rows)


def _choose(selection: Selection, keys: Sequence[tuple[str, int, int]], *, folds: bool) -> tuple[TargetWeights, Weights]:
    """Return the weights of one target, with those of every row."""
    plain = selection.plain
    of_rows = np.broadcast_to(plain, (len(selection.rows), len(plain)))
    facts: dict[str, Any] = {"method": "mean", "rows": len(selection.rows), "members": [1.0]}
    weights, reason = plain, _obstacle(selection, folds=folds)
    if not reason:
        cross_fitted = selection.cross_fitted()
        facts["losses"] = {_name(key, keys): selection.loss(np.eye(len(keys))[number]) for number, key in enumerate(keys)}
        facts["mean_loss"], facts["greedy_loss"] = selection.loss(plain), float(np.mean(selection.losses(cross_fitted)))
        better = facts["greedy_loss"] < facts["mean_loss"]
        words = f"a loss of {facts['greedy_loss']:.4g} on rows that weights were not chosen on; the mean has {facts['mean_loss']:.4g}"
        reason = f"Greedy weights have {words}{'' if better else ', and stays'}."
        if better:
            facts["method"], of_rows = "greedy", cross_fitted
            weights = selection.only(_spread(np.arange(len(selection.rows)))).greedy()
    names = {_name(key, keys): float(weight) for key, weight in zip(keys, weights, strict=True)}
    return TargetWeights(**facts, reason=reason, weights=names), of_rows


def _obstacle(selection: Selection, *, folds: bool) -> str:
    """Return the reason for which no weights are chosen; empty where they can be."""
    if len(selection.plain) == 1:
        only = "each row has one out-of-fold prediction, and weights of folds would say whose rows were easier" if folds else "there is one"
        return f"The mean stays: {only}. Set `training.seeds`, `split.repeats` or `ensemble.single_branches`."
    groups = selection.rows.groups
    units = len(selection.rows) if groups is None else len(np.unique(groups))
    if units < FEWEST_UNITS or len(np.unique(selection.parts)) < 2:
        return f"The mean stays: {units} independent rows are too few to choose weights on; {FEWEST_UNITS} are the fewest."
    return ""


def _selection(
    key: str, every: Combined, keys: Sequence[tuple[str, int, int]], places: Array, *, folds: bool, seed: int
) -> tuple[Selection, Array]:
    """Return the rows of a target with a known answer, and their positions among all rows."""
    truth = every.parsed[key][0]
    by_configuration = [
        Combined([one for one, place in zip(every.members, places, strict=True) if place == number], every.labels)
        for number in range(len(keys))
    ]
    # Folds by time may differ in rows from one configuration to the other only if a user's own split does so.
    shared = np.logical_and.reduce([np.isin(every.rows, one.rows) for one in by_configuration])
    known = np.flatnonzero(every.labels[key].known_rows(truth) & shared)
    wanted = every.rows[known]
    predictions = np.stack([one.parsed[key][1][np.searchsorted(one.rows, wanted)] for one in by_configuration], axis=1)
    groups = None if every.groups is None else every.groups[known]
    rows = EvalSet(every.labels[key], truth[known], predictions, groups)
    parts = _folds(every, wanted) if folds else _random_parts(len(wanted), groups, seed)
    plain = np.array([not branch for branch, _, _ in keys], dtype=np.float64)
    return Selection(rows, parts, plain / plain.sum()), known


def _folds(every: Combined, wanted: Array) -> NDArray[np.int64]:
    """Return the fold of each row in the first repeat."""
    folds = np.zeros(len(every.rows), np.int64)
    for one in every.members:
        if not one.member.repeat:
            folds[np.searchsorted(every.rows, one.rows["row"].to_numpy(dtype=np.int64))] = one.member.fold
    return folds[np.searchsorted(every.rows, wanted)]


def _random_parts(rows: int, groups: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """Divide rows at random into `PARTS` parts of about equal size, whole groups each."""
    names, units = np.unique(np.arange(rows) if groups is None else groups, return_inverse=True)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))
    return np.asarray((order % PARTS)[units], dtype=np.int64)


def _configuration(member: Member) -> tuple[str, int, int]:
    return member.branch, member.repeat, member.seed


def _name(key: tuple[str, int, int], keys: Sequence[tuple[str, int, int]]) -> str:
    """Return `scan alone, repeat 1, seed 2`; without what all configurations share, such as the only repeat."""
    branch, repeat, seed = key
    repeats, seeds = (len({one[place] for one in keys}) > 1 for place in (1, 2))
    words = [f"{branch} alone" if branch else "all branches"]
    words += [f"repeat {repeat}"] * repeats + [f"seed {seed}"] * seeds
    return ", ".join(words)


def _share(chosen: Sequence[int], count: int) -> Weights:
    """Return the share of each configuration among the chosen ones, (count,)."""
    return np.bincount(chosen, minlength=count) / len(chosen)


def _spread(positions: Array) -> Array:
    """Return at most `MOST_ROWS` of the positions, evenly spread over them."""
    if len(positions) <= MOST_ROWS:
        return positions
    return positions[np.linspace(0, len(positions) - 1, MOST_ROWS).astype(np.int64)]
