"""Out-of-fold predictions: the predictions of all members of a group, combined and scored.

Where a row was scored by several members (repeats, seeds), its prediction is their mean: of probabilities, or of numbers. The decision
follows from the mean prediction and, where members chose decision thresholds, from the mean of these.
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
from mmtrain.evaluation.prediction_table import parse_predictions, prediction_frame, probability_columns
from mmtrain.evaluation.scoring import main_score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]


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

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Positions in the table's file, ascending."""
        return np.unique(np.concatenate([_positions(one) for one in self.members]))

    @cached_property
    def targets(self) -> dict[str, FittedTarget]:
        """The targets with the mean of the thresholds that members chose."""
        chosen = {key: [one.targets[key].decision_threshold for one in self.members] for key in self.labels}
        known = {key: [value for value in values if value is not None] for key, values in chosen.items()}
        return {key: target.with_threshold(float(np.mean(known[key]))) if known[key] else target for key, target in self.labels.items()}

    @cached_property
    def _parsed(self) -> dict[str, tuple[Array, Array]]:
        """The answers and mean predictions of each target, (rows, ...)."""
        return {key: self._parse(key) for key in self.labels}

    def _parse(self, key: str) -> tuple[Array, Array]:
        truths: Array | None = None
        total: Array | None = None
        times = np.zeros(len(self.rows), np.int64)
        for one in self.members:
            # A class that the training rows of this member do not have has a probability of 0.
            absent = [name for name in probability_columns(key, self.labels) if name not in one.rows]
            truth, prediction = parse_predictions(one.rows.assign(**dict.fromkeys(absent, "0")), key, self.labels)
            if truths is None or total is None:
                truths = np.zeros((len(self.rows), *truth.shape[1:]), truth.dtype)
                total = np.zeros((len(self.rows), *prediction.shape[1:]), np.float64)
            places = np.searchsorted(self.rows, _positions(one))
            truths[places] = truth
            total[places] += prediction
            times[places] += 1
        assert truths is not None and total is not None  # noqa: S101  # a group has members
        return truths, (total / times.reshape(-1, *[1] * (total.ndim - 1))).astype(np.float32)

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
        truths, predictions = ({key: both[side] for key, both in self._parsed.items()} for side in (0, 1))
        frame = prediction_frame(self.rows, ids.tolist(), self.targets, truths, predictions)
        frame.insert(2, "fold", [" ".join(map(str, numbers)) for numbers in folds])
        return frame

    def postprocessing(self, section: Evaluation) -> Postprocessing:
        """Return calibration, threshold and conformal bound of the mean of the members, as `section` configures them.

        They are fitted on the combined predictions, each of which was made for a row that its members have not learned from. One member
        is a little worse than the mean of all, so the bound errs on the safe side.
        """
        if not section.decides:
            return Postprocessing()
        rows = {key: EvalSet.of(target, *self._parsed[key], None) for key, target in self.labels.items()}
        return Postprocessing(targets={key: fit_postprocessing(section, one, one) for key, one in rows.items()})

    def scores(self, key: str) -> dict[str, float | None]:
        """Return the scores of one target by name, of all rows with a known answer."""
        target = self.targets[key]
        rows = EvalSet.of(target, *self._parsed[key], None)
        return {score.name: score.value for score in target.all_scores(rows.truth, rows.prediction)} if len(rows) else {}


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


def _positions(one: MemberPredictions) -> NDArray[np.int64]:
    return one.rows["row"].to_numpy(dtype=np.int64)
