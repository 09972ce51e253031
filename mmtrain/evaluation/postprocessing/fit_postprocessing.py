"""Post-hoc calibration, decision threshold and conformal bound: fitted on validation rows (decisions.json), evaluated on a part.

They never change the output of the network: probabilities, and with them every export, stay as they are. Calibrated probabilities have
columns of their own, and the predicted class follows the uncalibrated probability and the threshold chosen for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mmtrain.artifacts.analysis_results import Calibration as CalibrationResult
from mmtrain.artifacts.analysis_results import (
    DecisionResult,
    Reliability,
    ThresholdResult,
    ThresholdSelection,
)
from mmtrain.artifacts.conformal_results import CalibrationHoldout, PredictionIntervals, PredictionIntervalsPerNumber, PredictionSets
from mmtrain.artifacts.results import TargetResult
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.evaluation.postprocessing import calibration, conformal, decision_threshold
from mmtrain.evaluation.postprocessing.calibration import Calibration, Probabilities
from mmtrain.evaluation.postprocessing.conformal import Conformal, Intervals, IntervalsPerNumber, Sets
from mmtrain.evaluation.postprocessing.decision_threshold import DecisionThreshold
from mmtrain.evaluation.postprocessing.reliability import BINNING, BINS, measure_reliability, wilson_proportion
from mmtrain.registry import Section
from mmtrain.targets import FittedTarget
from mmtrain.targets.prediction_columns import ConformalBand

Array = np.ndarray[Any, Any]
MEAN_WIDTH = "The intervals differ in width; this is their mean."
SEPARATOR = " | "
"""Separator of the classes in a prediction set."""


class TargetPostprocessing(Section):
    """Postprocessing of one target; None where it is not configured or does not apply to the task."""

    calibration: Calibration | None = None
    calibration_notes: tuple[str, ...] = ()
    operating_point: DecisionThreshold | None = None
    conformal: Conformal | None = None


class Postprocessing(Section):
    """Postprocessing of every target."""

    targets: dict[str, TargetPostprocessing] = Field(default_factory=dict)

    def of(self, key: str) -> TargetPostprocessing:
        """Return the postprocessing of a target; an empty one if nothing is configured."""
        return self.targets.get(key, TargetPostprocessing())

    def matches(self, targets: Mapping[str, FittedTarget]) -> bool:
        """Return True if `fit_postprocessing` could have returned it for these targets."""
        return self.targets.keys() <= targets.keys() and all(_matches(one, targets[key]) for key, one in self.targets.items())

    def with_thresholds(self, targets: Mapping[str, FittedTarget]) -> dict[str, FittedTarget]:
        """Return the targets with the thresholds that were chosen for them."""
        points = {key: self.of(key).operating_point for key in targets}
        return {
            key: target if (point := points[key]) is None else target.with_threshold(point.threshold) for key, target in targets.items()
        }


def _matches(fitted: TargetPostprocessing, target: FittedTarget) -> bool:
    scaling, bound, size = fitted.calibration, fitted.conformal, len(target.columns)
    if scaling is not None:
        # Isotonic regression of two classes has the curve of the positive one, a temperature is shared by all exclusive classes.
        expected = 1 if scaling.exclusive and (size == 2 or scaling.method == "temperature") else size
        parameters = scaling.temperatures if isinstance(scaling, calibration.Temperature) else scaling.curves
        if not target.calibratable or scaling.exclusive == target.has_labels or len(parameters) != expected:
            return False
    if fitted.operating_point is not None and not target.thresholdable:
        return False
    return bound is None or target.conformal == bound.kind


def fit_postprocessing(section: Evaluation, rows: EvalSet, held_back: EvalSet) -> TargetPostprocessing:
    """Fit what is configured: calibration and threshold on the validation `rows`, the conformal bound on the rows `held_back` alone."""
    target = rows.target
    fields: dict[str, Any] = {}
    if section.calibration != "none" and target.calibratable:
        fit = calibration.fit_temperature if section.calibration == "temperature" else calibration.fit_isotonic
        if len(rows):
            true, known = _true(target, rows.truth)
            fitted = fit(target.probabilities(rows.prediction), true, exclusive=not target.has_labels, known=known)
            fields |= {"calibration": fitted, "calibration_notes": calibration.notes(fitted, len(rows))}
    if section.threshold is not None and target.thresholdable:
        classes = (target.columns[0], target.columns[1])
        fields["operating_point"] = decision_threshold.choose_threshold(section.threshold, rows.truth, rows.prediction.reshape(-1), classes)
    if section.conformal is not None:
        fields["conformal"] = _bound(section.conformal, held_back)
    return TargetPostprocessing(**fields)


def _bound(coverage: float, rows: EvalSet) -> Conformal | None:
    target = rows.target
    if target.conformal == "sets":
        return conformal.fit_sets(rows.truth, target.probabilities(rows.prediction), coverage=coverage, groups=rows.groups)
    if target.conformal == "intervals":
        truth, band = target.conformal_truth(rows.truth), target.conformal_band(rows.prediction)
        return conformal.fit_intervals(truth, band, coverage=coverage, groups=rows.groups)
    if target.conformal == "intervals_per_number":
        bands = target.conformal_bands(rows.prediction)
        return conformal.fit_intervals_per_number(rows.truth, bands, coverage=coverage, groups=rows.groups)
    return None


def _true(target: FittedTarget, truth: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Return the true classes or labels, (rows, columns) bool, and a mask of the known ones, or None if all are known."""
    if target.has_labels:
        return truth == 1, None if (truth >= 0).all() else truth >= 0
    # (rows, 1) codes against (classes,) gives (rows, classes), one True in each row.
    return np.asarray(truth[:, None] == np.arange(len(target.columns))), None


def columns(target: FittedTarget, fitted: TargetPostprocessing, prediction: Array, *, probabilities: bool) -> dict[str, Array]:
    """Return the columns that postprocessing adds to a prediction, by name, (rows,) each.

    `calibrated_<class>`, float32, only with `probabilities`; `prediction_set`, the classes joined by ` | `, empty for none; or
    `prediction_low` and `prediction_high`, float32, of each of several numbers `low_<name>` and `high_<name>`.
    """
    added: dict[str, Array] = {}
    if probabilities and fitted.calibration is not None:
        calibrated = fitted.calibration.apply(target.probabilities(prediction)).astype(np.float32)
        added |= {f"calibrated_{name}": column for name, column in zip(target.columns, calibrated.T, strict=True)}
    if isinstance(fitted.conformal, Sets):
        members = fitted.conformal.members(target.probabilities(prediction))
        added["prediction_set"] = _set_texts(members, target.columns)
    elif isinstance(fitted.conformal, Intervals):
        low, high = fitted.conformal.ends(target.conformal_band(prediction))
        added |= {"prediction_low": low.astype(np.float32), "prediction_high": high.astype(np.float32)}
    elif isinstance(fitted.conformal, IntervalsPerNumber):
        for name, band in target.conformal_bands(prediction).items():
            low, high = fitted.conformal.numbers[name].ends(band)
            # Not `prediction_low_a`, which would be the prediction of a number called `low_a`.
            added |= {f"low_{name}": low.astype(np.float32), f"high_{name}": high.astype(np.float32)}
    return added


def _set_texts(members: NDArray[np.bool_], names: tuple[str, ...]) -> Array:
    """Write each set as a text, (rows,); each distinct set is joined once, because many rows share few sets."""
    # Packed, a row of 1,000 classes is 125 bytes to sort instead of 1,000.
    kinds, which = np.unique(np.packbits(members, axis=1), axis=0, return_inverse=True)
    sets = np.unpackbits(kinds, axis=1, count=len(names)).astype(np.bool_)
    texts = [SEPARATOR.join(name for name, inside in zip(names, one, strict=True) if inside) for one in sets]
    # NumPy 2.0 alone returns the inverse with a second axis.
    return np.array(texts, dtype=object)[which.reshape(-1)]


def evaluate_postprocessing(result: TargetResult, fitted: TargetPostprocessing, scores: BootstrapScores) -> TargetResult:
    """Add `calibration`, if the target has probabilities, `decision`, if it has a prior, and what else was fitted to a result.

    `scores` are those of the part, whose rows and draws measure the coverage and the reliability.
    """
    point, bound = fitted.operating_point, fitted.conformal
    return result.model_copy(
        update={
            "calibration": _calibration(fitted, scores) if scores.rows.target.calibratable else None,
            "decision": compare_decisions(scores.rows.target, scores),
            "operating_point": None if point is None else _operating_point(point, scores.rows),
            "conformal": None if bound is None else _conformal(bound, scores.rows, scores.bootstrap.confidence),
        }
    )


def _calibration(fitted: TargetPostprocessing, scores: BootstrapScores) -> CalibrationResult:
    """Measure the uncalibrated probabilities and, if there are any, the calibrated ones."""
    target, scaling = scores.rows.target, fitted.calibration
    exclusive, probabilities = not target.has_labels, target.probabilities(scores.rows.prediction)
    return CalibrationResult(
        method="none" if scaling is None else scaling.method,
        bins=BINS,
        binning=BINNING,
        of="every label" if not exclusive else target.columns[1] if len(target.columns) == 2 else "the most probable class",
        notes=[*_shifts(target), *fitted.calibration_notes],
        before=_reliability(probabilities, scores),
        temperatures=list(scaling.temperatures) if isinstance(scaling, calibration.Temperature) else None,
        after=None if scaling is None else _reliability(scaling.apply(probabilities), scores),
    )


def _reliability(probabilities: Probabilities, scores: BootstrapScores) -> Reliability:
    rows = scores.rows
    (true, known), exclusive = _true(rows.target, rows.truth), not rows.target.has_labels
    return measure_reliability(probabilities, true, known=known, exclusive=exclusive, groups=rows.groups, bootstrap=scores.bootstrap)


def _shifts(target: FittedTarget) -> list[str]:
    """Return a warning about class weights, balanced sampling or logit adjustment, which shift probabilities."""
    weights = list(target.class_weights.values())
    shifting = any(weight != 1 for weight in weights) if target.has_labels else len(set(weights)) > 1
    if not shifting:
        return [f"{target.balance.capitalize()} shifts probabilities to those of equally frequent classes."] if target.balance else []
    heavy = target.columns[int(np.argmax(weights))]
    return [f"The class weights of the training shift probabilities towards classes of higher weight, most towards '{heavy}'."]


def compare_decisions(target: FittedTarget, decided: BootstrapScores, plain: BootstrapScores | None = None) -> DecisionResult | None:
    """Compare the decisions of `target` under its prior with the most probable class, on the same rows and draws; None without a prior.

    `plain` are the scores of the most probable class, by default those of the predictions of `decided`.
    """
    prior: tuple[float, ...] = dict(target).get("prior", ())
    if not prior:
        return None
    if plain is None:
        plain = decided.of(target.without_decision(), decided.rows.prediction)
    differences = decided.minus(plain)
    names = [name for name in ("accuracy", "balanced_accuracy") if name in differences]
    rows = sum(target.class_counts.values())
    return DecisionResult(
        prior=dict(zip(target.columns, prior, strict=True)),
        given={name: count / rows for name, count in target.class_counts.items()},
        without={name: plain.scores[name] for name in names},
        differences={name: differences[name] for name in names},
    )


def _operating_point(point: DecisionThreshold, rows: EvalSet) -> ThresholdResult:
    """Compare the threshold on validation rows and on these rows; their scores have the intervals."""
    called = rows.prediction.reshape(-1) >= point.threshold  # as in the scores: in float32, the threshold itself is positive
    positive, negative = (called[rows.truth == answer] for answer in (1, 0))
    return ThresholdResult(
        aim=point.aim,
        aim_in_words=decision_threshold.describe_aim(point.aim),
        positive=rows.target.columns[1],
        threshold=point.threshold,
        note=point.note,
        validation=ThresholdSelection(**{name: getattr(point, name) for name in ThresholdSelection.model_fields}),
        sensitivity=float(positive.mean()) if len(positive) else None,
        specificity=float(1 - negative.mean()) if len(negative) else None,
    )


def _conformal(bound: Conformal, rows: EvalSet, confidence: float) -> PredictionSets | PredictionIntervals | PredictionIntervalsPerNumber:
    """Measure the coverage and the size of the sets or intervals."""
    target = rows.target
    if isinstance(bound, Intervals):
        band, truth = target.conformal_band(rows.prediction), target.conformal_truth(rows.truth)
        return _measure_intervals(bound, truth, band, rows.groups, confidence)
    if isinstance(bound, IntervalsPerNumber):
        numbers = {}
        for answers, (name, band) in zip(rows.truth.T, target.conformal_bands(rows.prediction).items(), strict=True):
            known = ~np.isnan(answers)
            groups = None if rows.groups is None else rows.groups[known]
            numbers[name] = _measure_intervals(bound.numbers[name], answers[known], band.only(known), groups, confidence)
        return PredictionIntervalsPerNumber(kind="intervals_per_number", numbers=numbers)
    members = bound.members(target.probabilities(rows.prediction))
    inside = members[np.arange(len(members)), rows.truth]  # is the true class in the set of its row
    sizes = members.sum(axis=1)
    return PredictionSets(
        coverage=bound.coverage,
        fitted_on=CalibrationHoldout(rows=bound.rows, groups=bound.groups),
        note=bound.note,
        kind="sets",
        level=bound.level,
        mean_size=float(sizes.mean()),
        empty=int((sizes == 0).sum()),
        found=wilson_proportion(inside, groups=rows.groups, confidence=confidence),
    )


def _measure_intervals(
    bound: Intervals, truth: Array, band: ConformalBand, groups: NDArray[np.int64] | None, confidence: float
) -> PredictionIntervals:
    """Measure the coverage and the mean width of intervals; `truth` (rows,) is known in every row."""
    low, high = bound.ends(band)
    alike = bool((band.low == band.high).all() and (band.scale == 1).all() and (low > band.minimum).all())
    width = None
    if bound.reach is not None and len(truth):
        # Without the rounding of sums where all intervals have the same width.
        width = 2 * bound.reach if alike else float((high - low).mean())
    return PredictionIntervals(
        coverage=bound.coverage,
        fitted_on=CalibrationHoldout(rows=bound.rows, groups=bound.groups),
        note=bound.note or ("" if alike else MEAN_WIDTH),
        kind="intervals",
        width=width,
        found=wilson_proportion(bound.contains(truth, band), groups=groups, confidence=confidence),
    )
