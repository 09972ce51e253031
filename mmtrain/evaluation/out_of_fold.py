"""Out-of-fold predictions: the predictions of all members of a group, combined and scored.

Where a row was scored by several members (repeats, seeds), its prediction is their mean, or their weighted mean (`ensemble_weights`), of
probabilities or of numbers. Decisions follow from the mean of probabilities that contain the decision of each member: its threshold, which
it chose on its own validation rows, or its prior, which it corrects by the classes of its own training rows. See
`mmtrain.evaluation.member_decisions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmtrain.artifacts.group_results import CrossValidation, Member, MemberScores
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.cross_validation import CrossValidated, Estimate, OutOfFold, estimate_scores
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.member_decisions import align, decision_scores, with_decision
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing, fit_postprocessing
from mmtrain.evaluation.prediction_table import parse_prediction, parse_predictions, parse_truth, prediction_column, prediction_frame
from mmtrain.evaluation.scoring import main_score
from mmtrain.metrics.bootstrap_counts import mean_of_defined
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
MOST_VALIDATION = 1 / 3
"""A fold learns from the rows that it does not score, of which at most this share are validation rows; a fold by time, from fewer."""
GROUP = "group"
"""Column of a member's predictions with the code of the group of each row, for intervals."""


@dataclass(frozen=True, eq=False)
class MemberPredictions:
    """One member, its predictions as text, and its targets with the thresholds that it chose."""

    member: Member
    rows: pd.DataFrame
    targets: Mapping[str, FittedTarget]

    def scores(self, key: str) -> dict[str, float | None]:
        """Return the scores of one target by name, of the rows whose answer this member knows; empty without such rows."""
        target = self.targets[key]
        rows = EvalSet.of(target, *parse_predictions(self.rows, key, self.targets), None)
        return {score.name: score.value for score in target.all_scores(rows.truth, rows.prediction)} if len(rows) else {}


@dataclass(frozen=True, eq=False)
class Combined:
    """The predictions of several members, one for each row that any of them has."""

    members: Sequence[MemberPredictions]
    labels: Mapping[str, FittedTarget]
    """The targets with the classes of all members, see `RunGroup.labels`."""
    weights: Mapping[str, NDArray[np.float64]] | None = None
    """By target, (members, rows): the weight of each member in each of `rows`; None where all count the same."""

    @cached_property
    def plain_labels(self) -> dict[str, FittedTarget]:
        """The targets without corrections of decisions: for predictions that contain them."""
        return {key: target.without_decision() for key, target in self.labels.items()}

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Positions in the table's file, ascending."""
        return np.unique(np.concatenate([_positions(one) for one in self.members]))

    @cached_property
    def groups(self) -> NDArray[np.int64] | None:
        """The code of the group of each row; None if rows have no groups."""
        if any(GROUP not in one.rows for one in self.members):
            return None
        groups = np.zeros(len(self.rows), np.int64)
        for one in self.members:
            groups[np.searchsorted(self.rows, _positions(one))] = one.rows[GROUP].to_numpy(dtype=np.int64)
        return groups

    @cached_property
    def parsed(self) -> dict[str, tuple[Array, Array, Array]]:
        """The answers of each target, its mean predictions, and the mean of predictions with the decision of each member; (rows, ...)."""
        return {key: self._parse(key) for key in self.labels}

    def _parse(self, key: str) -> tuple[Array, Array, Array]:
        parsed, target = [self._parse_member(key, one) for one in self.members], self.labels[key]
        truths = np.zeros((len(self.rows), *parsed[0][0].shape[1:]), parsed[0][0].dtype)
        total, decided = np.zeros((2, len(self.rows), *parsed[0][1].shape[1:]))
        times = np.zeros((len(self.rows), *[1] * (total.ndim - 1)))
        for number, (one, (truth, prediction)) in enumerate(zip(self.members, parsed, strict=True)):
            places = np.searchsorted(self.rows, _positions(one))
            truths[places] = truth
            weight = np.ones(len(places)) if self.weights is None else self.weights[key][number, places]
            # No product with a weight of 0: a training that does not count may predict infinities.
            counting = weight > 0
            places, weight, values = places[counting], weight[counting].reshape(-1, *[1] * (total.ndim - 1)), prediction[counting]
            total[places] += weight * target.to_moments(values)
            decided[places] += weight * target.to_moments(with_decision(target.with_decision_of(one.targets[key]), values))
            times[places] += weight
        mean, decision = (target.from_moments(each / times).astype(np.float32) for each in (total, decided))
        return truths, mean, decision

    def _parse_member(self, key: str, one: MemberPredictions) -> tuple[Array, Array]:
        truth, prediction = parse_truth(one.rows, key, self.labels), parse_prediction(one.rows, key, one.targets)
        return truth, align(self.labels[key], one.targets[key], prediction)

    def out_of_fold(self, key: str, repeat_folds: int) -> OutOfFold:
        """Return the rows of one target whose answer is known, for intervals; the members are those of one repeat and seed."""
        target, (truth, prediction, decided) = self.plain_labels[key], self.parsed[key]
        folds = np.zeros(len(self.rows), np.int64)
        for one in self.members:
            folds[np.searchsorted(self.rows, _positions(one))] = one.member.fold % repeat_folds
        rows = EvalSet.of(target, truth, prediction, self.groups)
        folds = folds[target.known_rows(truth)]
        if np.array_equal(prediction, decided):
            return OutOfFold(rows, folds)
        return OutOfFold(rows, folds, EvalSet.of(target, truth, decided, self.groups), decision_scores(rows))

    def frame(self) -> pd.DataFrame:
        """Return the table of predictions_oof.csv: row, id, fold, and per target truth, prediction and probabilities, in the table's order.

        The folds of a row that several members have scored are separated by blanks.
        """
        ids = np.full(len(self.rows), "", dtype=object)
        folds: list[dict[int, None]] = [{} for _ in self.rows]
        for one in self.members:
            places = np.searchsorted(self.rows, _positions(one))
            ids[places] = one.rows["id"].to_numpy()
            for place in places.tolist():
                folds[place][one.member.fold] = None
        truths, predictions, decided = ({key: parsed[side] for key, parsed in self.parsed.items()} for side in range(3))
        frame = prediction_frame(self.rows, ids.tolist(), self.labels, truths, predictions)
        for key, target in self.plain_labels.items():
            frame[prediction_column(key, self.labels)] = target.predict_label(decided[key])
        frame.insert(2, "fold", [" ".join(map(str, numbers)) for numbers in folds])
        return frame

    def postprocessing(self, section: Evaluation, held_back: Combined) -> Postprocessing:
        """Return calibration, threshold and conformal bound of the mean of the members, as `section` configures them.

        They are fitted on the combined predictions, each of which was made for a row that its members have not learned from; the bound
        on those `held_back`, which no member has chosen epochs by either. Of folds both are the same rows: one member is a little worse
        than the mean of all, so the bound errs on the safe side.
        """
        if not section.decides:
            return Postprocessing()
        targets = {}
        for key, target in self.labels.items():
            rows, bounding = (EvalSet.of(target, *one.parsed[key][:2], one.groups) for one in (self, held_back))
            targets[key] = fit_postprocessing(section, rows, bounding)
        return Postprocessing(targets=targets)

    def scores(self, key: str) -> dict[str, float | None]:
        """Return the scores of one target by name, of all rows with a known answer."""
        target, (truth, prediction, decided) = self.plain_labels[key], self.parsed[key]
        known = target.known_rows(truth)
        if not known.any():
            return {}
        plain, of_decisions = (
            {score.name: score.value for score in target.all_scores(truth[known], values[known])} for values in (prediction, decided)
        )
        if np.array_equal(prediction, decided):
            return plain
        changing = decision_scores(EvalSet.of(target, truth, prediction, None))
        return {name: of_decisions[name] if name in changing else value for name, value in plain.items()}


def score_members(members: Sequence[MemberPredictions], combined: Combined, monitor: str, *, folds: bool, repeats: int) -> CrossValidation:
    """Score every member on its own rows and, with folds, all out-of-fold predictions together.

    `monitor` is the score by which epochs are chosen: it is the main score where it is one of the scores of a target.
    """
    every = [one.member for one in members]
    seeds = max(member.seed for member in every) + 1
    targets, main = {}, {}
    for key, target in combined.labels.items():
        values = [one.scores(key) for one in members]
        names = list(dict.fromkeys(name for scores in values for name in scores))
        together = combined.scores(key) if folds else {}
        targets[key] = {name: summarize([scores.get(name) for scores in values], seeds, together.get(name)) for name in names}
        main[key] = main_score(monitor, target, names, f"{key}_" if len(combined.labels) > 1 else "")
    return CrossValidation(
        folds=len({member.fold for member in every}) // repeats,
        repeats=repeats,
        seeds=seeds,
        members=every,
        rows=len(combined.rows),
        part="test" if folds else "validation",
        main=main,
        targets=targets,
        predictions="predictions_oof.csv" if folds else "",
    )


def summarize(values: Sequence[float | None], seeds: int, out_of_fold: float | None = None) -> MemberScores:
    """Return the mean and the sample standard deviation over folds of one score; without folds, over seeds.

    Args:
        values: The score of each member, by fold, then by seed; None where it is undefined.
        seeds: Number of seeds of each fold.
        out_of_fold: The score of all out-of-fold predictions together.

    >>> summarize([0.5, 0.7, 0.9, None], seeds=2).mean
    0.75
    >>> summarize([14 / 15] * 3, seeds=3).deviation
    0.0

    """
    by_fold = [[value for value in values[start : start + seeds] if value is not None] for start in range(0, len(values), seeds)]
    means = [float(np.mean(known)) for known in by_fold if known] if len(by_fold) > 1 else by_fold[0]
    mean = float(np.mean(means)) if means else None
    # Rounding of the mean gives equal scores a deviation of 1e-16.
    deviation = None if len(means) < 2 else float(np.std(means, ddof=1)) if len(set(means)) > 1 else 0.0
    return MemberScores(values=list(values), mean=mean, deviation=deviation, out_of_fold=out_of_fold)


def with_intervals(
    result: CrossValidation, members: Sequence[MemberPredictions], combined: Combined, section: Evaluation
) -> CrossValidation:
    """Return the scores of a group with folds with their estimates and intervals; without folds as they are.

    See `mmtrain.evaluation.cross_validation` for the methods.
    """
    if not result.predictions:
        return result
    targets = {}
    for key, scores in result.targets.items():
        scored = cross_validated(key, result, members, combined.labels)
        estimates = estimate_scores(scored, scored.sets[0][0].rows.resample(section).bootstrap)
        targets[key] = {name: _with_interval(one, scored, estimates.get(name), name, section.confidence) for name, one in scores.items()}
    return result.model_copy(update={"targets": targets, "confidence": section.confidence})


def cross_validated(
    key: str, result: CrossValidation, members: Sequence[MemberPredictions], labels: Mapping[str, FittedTarget]
) -> CrossValidated:
    """Return one target of a cross-validation: its rows by repeat and seed, and the scores of its folds."""
    sets = [
        [
            Combined([one for one in members if (one.member.repeat, one.member.seed) == (repeat, seed)], labels).out_of_fold(
                key, result.folds
            )
            for seed in range(result.seeds)
        ]
        for repeat in range(result.repeats)
    ]
    shape = result.repeats, result.folds, result.seeds
    folds = {
        name: mean_of_defined(np.array([np.nan if value is None else value for value in one.values]).reshape(shape))
        for name, one in result.targets[key].items()
    }
    scored = sum(one.rows for one in result.members)
    learned = sum(min(result.rows - one.rows, one.train_rows / (1 - MOST_VALIDATION)) for one in result.members)
    return CrossValidated(sets, folds, scored / learned)


def _with_interval(one: MemberScores, scored: CrossValidated, estimate: Estimate | None, name: str, confidence: float) -> MemberScores:
    if estimate is None:
        center = scored.center(name)
        return one if np.isnan(center) else one.model_copy(update={"estimate": center})
    low, high = estimate.interval(confidence)
    values = {"estimate": estimate.value, "low": low, "high": high, "standard_error": estimate.standard_error, "method": estimate.method}
    return one.model_copy(update=values)


def _positions(one: MemberPredictions) -> NDArray[np.int64]:
    return one.rows["row"].to_numpy(dtype=np.int64)
