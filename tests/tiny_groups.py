"""Groups of trainings for tests: members with simulated predictions, without a training."""

import numpy as np

from mmtrain.artifacts.group_results import Member
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.out_of_fold import Combined, MemberPredictions, score_members, with_intervals
from mmtrain.evaluation.prediction_table import prediction_frame
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.numbers.regression import FittedRegression

BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
NUMBER = FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=-9, maximum=9, error="squared")
SECTION = Evaluation(draws=100)


def group(target, predictions, *, folds=4, repeats=1, groups=None, thresholds=None, order=0, targets=None):
    """A group of members; `predictions` (sets, rows, units) are those of each repeat and seed, `targets` those of each fold."""
    rows = predictions.shape[1]
    truth = answers(target, rows)
    seeds = len(predictions) // repeats
    members = []
    for repeat in range(repeats):
        fold_of = (
            np.random.default_rng(100 * order + repeat).permutation(np.arange(rows) % folds) if repeat or order else np.arange(rows) % folds
        )
        for fold in range(folds):
            places = np.flatnonzero(fold_of == fold)
            for seed in range(seeds):
                number = repeat * folds + fold
                member = Member(
                    name=f"folds/{number}",
                    fold=number,
                    repeat=repeat,
                    seed=seed,
                    train_rows=max(rows - len(places) - 10, 1),
                    rows=len(places),
                )
                own = target if thresholds is None else target.with_threshold(thresholds[fold])
                own = own if targets is None else targets[fold]
                values = predictions[repeat * seeds + seed][places]
                frame = prediction_frame(places, [f"r{place}" for place in places], {"y": own}, {"y": truth[places]}, {"y": values})
                if groups is not None:
                    frame["group"] = groups[places]
                members.append(MemberPredictions(member, frame.astype(str), {"y": own}))
    return members


def answers(target, rows):
    random = np.random.default_rng(8)
    if target.task == "multiclass":
        return random.integers(0, target.units, rows)
    return random.integers(0, 2, rows) if target is BINARY else random.normal(size=rows)


def guesses(target, noise, rows=120, seed=0):
    truth = answers(target, rows) + noise * np.random.default_rng(seed).normal(size=rows)
    values = 1 / (1 + np.exp(0.5 - truth)) if target is BINARY else truth
    return values[np.newaxis, :, np.newaxis].astype(np.float32)


def scored(members, repeats=1):
    combined = Combined(members, {"y": members[0].targets["y"].without_decision()})
    result = score_members(members, combined, "validation_loss", folds=True, repeats=repeats)
    return with_intervals(result, members, combined, SECTION)
