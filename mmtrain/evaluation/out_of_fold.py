"""Out-of-fold predictions: the predictions of all members of a group, combined and scored.

Where a row was scored by several members (repeats, seeds), its prediction is their mean: of probabilities, or of numbers. Decisions follow
from it, unless members chose decision thresholds on their validation rows: then from the mean of probabilities that are stretched so that
the threshold of each member is at 0.5, since members may place the same rows at different probabilities.
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
from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing, fit_postprocessing
from mmtrain.evaluation.prediction_table import parse_predictions, prediction_column, prediction_frame, probability_columns
from mmtrain.evaluation.scoring import main_score
from mmtrain.targets import FittedTarget
from mmtrain.targets.base import UNCHOSEN

Array = np.ndarray[Any, Any]
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
    """The targets with the classes of all members, see `RunGroup.labels`; without thresholds."""

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
    def _parsed(self) -> dict[str, tuple[Array, Array, Array]]:
        """The answers of each target, its mean predictions, and the same stretched to thresholds of 0.5; (rows, ...)."""
        return {key: self._parse(key) for key in self.labels}

    def _parse(self, key: str) -> tuple[Array, Array, Array]:
        parsed = [self._parse_member(key, one) for one in self.members]
        truths = np.zeros((len(self.rows), *parsed[0][0].shape[1:]), parsed[0][0].dtype)
        total, stretched = np.zeros((2, len(self.rows), *parsed[0][1].shape[1:]))
        times = np.zeros((len(self.rows), *[1] * (total.ndim - 1)))
        for one, (truth, prediction) in zip(self.members, parsed, strict=True):
            places = np.searchsorted(self.rows, _positions(one))
            truths[places] = truth
            total[places] += prediction
            stretched[places] += stretch(prediction, one.targets[key].decision_threshold)
            times[places] += 1
        return truths, (total / times).astype(np.float32), (stretched / times).astype(np.float32)

    def _parse_member(self, key: str, one: MemberPredictions) -> tuple[Array, Array]:
        # A class that the training rows of a member do not have has a probability of 0.
        absent = [name for name in probability_columns(key, self.labels) if name not in one.rows]
        return parse_predictions(one.rows.assign(**dict.fromkeys(absent, "0")), key, self.labels)

    def frame(self) -> pd.DataFrame:
        """Return predictions_oof.csv: row, id, fold, and per target truth, prediction and probabilities, in the order of the table.

        The folds of a row that several members have scored are separated by blanks.
        """
        ids = np.full(len(self.rows), "", dtype=object)
        folds: list[dict[int, None]] = [{} for _ in self.rows]
        for one in self.members:
            places = np.searchsorted(self.rows, _positions(one))
            ids[places] = one.rows["id"].to_numpy()
            for place in places.tolist():
                folds[place][one.member.fold] = None
        truths, predictions, stretched = ({key: parsed[side] for key, parsed in self._parsed.items()} for side in range(3))
        frame = prediction_frame(self.rows, ids.tolist(), self.labels, truths, predictions)
        for key, target in self.labels.items():
            frame[prediction_column(key, self.labels)] = target.predict_label(stretched[key])
        frame.insert(2, "fold", [" ".join(map(str, numbers)) for numbers in folds])
        return frame

    def postprocessing(self, section: Evaluation) -> Postprocessing:
        """Return calibration, threshold and conformal bound of the mean of the members, as `section` configures them.

        They are fitted on the combined predictions, each of which was made for a row that its members have not learned from. One member
        is a little worse than the mean of all, so the bound errs on the safe side.
        """
        if not section.decides:
            return Postprocessing()
        rows = {key: EvalSet.of(target, *self._parsed[key][:2], None) for key, target in self.labels.items()}
        return Postprocessing(targets={key: fit_postprocessing(section, one, one) for key, one in rows.items()})

    def scores(self, key: str) -> dict[str, float | None]:
        """Return the scores of one target by name, of all rows with a known answer."""
        target, (truth, prediction, stretched) = self.labels[key], self._parsed[key]
        known = target.known_rows(truth)
        if not known.any():
            return {}

        def values(predictions: Array, threshold: float = UNCHOSEN) -> dict[str, float | None]:
            scores = target.with_threshold(threshold).all_scores(truth[known], predictions[known])
            return {score.name: score.value for score in scores}

        scores = values(prediction)
        if np.array_equal(prediction, stretched):
            return scores
        # A score that another threshold changes is one of decisions.
        others, decided = [values(prediction, threshold) for threshold in (0.0, 1.1)], values(stretched)
        return {name: decided[name] if any(one[name] != value for one in others) else value for name, value in scores.items()}


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

    """
    by_fold = [[value for value in values[start : start + seeds] if value is not None] for start in range(0, len(values), seeds)]
    means = [float(np.mean(known)) for known in by_fold if known] if len(by_fold) > 1 else by_fold[0]
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else None
    mean = float(np.mean(means)) if means else None
    return MemberScores(values=list(values), mean=mean, deviation=deviation, out_of_fold=out_of_fold)


def stretch(prediction: Array, threshold: float | None) -> Array:
    """Return probabilities, moved so that `threshold` is at 0.5 and 0 and 1 stay; without a chosen threshold as they are.

    >>> stretch(np.array([0.0, 0.25, 0.75, 1.0], np.float32), 0.75).round(3).tolist()
    [0.0, 0.167, 0.5, 1.0]
    """
    if threshold is None or threshold == UNCHOSEN or not 0 < threshold < 1:
        return prediction
    # In float32, as decisions compare them.
    at, values = np.float32(threshold), prediction.astype(np.float64)
    return np.asarray(np.where(prediction < at, values / (2 * at), 0.5 + (values - at) / (2 * (1 - at))))


def _positions(one: MemberPredictions) -> NDArray[np.int64]:
    return one.rows["row"].to_numpy(dtype=np.int64)
