"""Scores, confusion matrix, decisions and reliability of out-of-fold predictions, next to the dummy baseline of the folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmtrain.artifacts.group_results import CrossValidation
from mmtrain.artifacts.results import BaselineResult, TargetResult
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.out_of_fold import Combined, MemberPredictions, cross_validated, summarize
from mmtrain.evaluation.postprocessing.fit_postprocessing import (
    Postprocessing,
    TargetPostprocessing,
    compare_decisions,
    evaluate_postprocessing,
)
from mmtrain.evaluation.prediction_table import prediction_columns
from mmtrain.evaluation.scoring import score_target
from mmtrain.metrics.score import Score


def out_of_fold_result(key: str, result: CrossValidation, combined: Combined, section: Evaluation) -> TargetResult:
    """Return scores, confusion matrix and reliability of the combined predictions of one target.

    Its scores have no intervals: those of a bootstrap alone would be too narrow for trainings on other rows.
    """
    target, (truth, prediction, with_decisions) = combined.plain_labels[key], combined.parsed[key]
    scored = score_target(key, target, truth, with_decisions).result
    scores = {name: scored.scores[name] if value is None else Score(name, value) for name, value in combined.scores(key).items()}
    plain, decided = (EvalSet.of(target, truth, values, combined.groups).resample(section) for values in (prediction, with_decisions))
    whole = evaluate_postprocessing(
        scored.model_copy(update={"scores": scores, "baselines": [fold_baseline(key, result, combined)]}), TargetPostprocessing(), plain
    )
    return whole.model_copy(update={"decision": compare_decisions(combined.labels[key], decided, plain)})


def fold_baseline(key: str, result: CrossValidation, combined: Combined) -> BaselineResult:
    """Return the scores of the baseline `majority`: each training predicts the class frequencies, or the mean, of its own training rows.

    They are estimated like those of the members, by the mean of the folds where it is unbiased; without folds by the mean over seeds. Over
    all folds together, the AUC of such predictions would be below 0.5: a fold with more positive rows has fewer of them to learn from.
    """
    # A branch alone has learned from the rows of the training of all branches, whose guess is the same.
    members = [_guessing(key, one) for one in combined.members if not one.member.branch]
    scores = [one.scores(key) for one in members]
    by_name = {name: summarize([one.get(name) for one in scores], result.seeds) for name in result.targets[key]}
    centers = {name: np.nan if one.mean is None else one.mean for name, one in by_name.items()}
    if result.predictions:
        guessed = cross_validated(key, result.model_copy(update={"targets": {key: by_name}}), members, combined.plain_labels)
        centers = {name: guessed.center(name) for name in by_name}
    dummy = combined.labels[key].dummy
    return BaselineResult(
        kind="majority",
        label=dummy.label,
        name=dummy.description,
        scores={name: _score(name, center) for name, center in centers.items()},
        differences={},
    )


def _guessing(key: str, one: MemberPredictions) -> MemberPredictions:
    """Return a member that predicts the frequencies of its training rows, whatever the row."""
    targets = {name: target.without_decision() for name, target in one.targets.items()}
    guesses = targets[key].baseline(len(one.rows)).astype(np.float32)
    columns = prediction_columns(key, targets, Postprocessing(), guesses)
    return replace(one, rows=one.rows.assign(**{name: values.astype(str) for name, values in columns.items()}), targets=targets)


def _score(name: str, value: float) -> Score:
    return Score(name, None, "It is undefined in every training.") if np.isnan(value) else Score(name, value)
