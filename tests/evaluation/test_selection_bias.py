"""The score of the best of many models, corrected for the choice, on models of known worth."""

import numpy as np
import pytest

from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.evaluation.selection_bias import ScoredPart, correct_choice
from mmtrain.targets.labels.binary import FittedBinary

TARGET = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
ROWS = 80


def answers(generator, rows=ROWS):
    return generator.permutation(np.arange(rows) % 2)


def corrected(truth, predictions, *, groups=None, score="auc", target=TARGET, draws=200):
    bootstrap = Bootstrap(len(truth), groups=groups, draws=draws, confidence=0.95, seed=0)
    return correct_choice([ScoredPart(target, truth, predictions)], 0, score, bootstrap)


def auc(truth, prediction):
    return next(one.value for one in TARGET.all_scores(truth, prediction) if one.name == "auc")


def test_the_best_of_random_models_is_worth_as_much_as_any_of_them():
    generator = np.random.default_rng(0)
    gaps, best = [], []
    for _ in range(6):
        truth = answers(generator)
        models = [generator.random((ROWS, 1)) for _ in range(20)]
        result = corrected(truth, models, draws=100)
        best.append(max(auc(truth, one) for one in models))
        gaps.append(result.value - 0.5)
    assert np.mean(best) > 0.6
    assert abs(np.mean(gaps)) < 0.04


def test_a_model_that_is_better_on_all_rows_keeps_its_score():
    generator = np.random.default_rng(1)
    truth = answers(generator)
    good = np.clip(0.5 + (truth - 0.5) / 4 + generator.normal(0, 0.15, ROWS), 0, 1)[:, np.newaxis]
    models = [generator.random((ROWS, 1)), *[generator.random((ROWS, 1)) for _ in range(5)], good]
    result = corrected(truth, models)
    assert result.value == pytest.approx(auc(truth, good), abs=0.02)
    assert result.own == pytest.approx(auc(truth, models[0]), abs=0.02)
    assert (result.better, result.draws) == (1.0, 200)
    assert result.gain == result.value - result.own
    # Percentiles of the draws, each scored on the rows that it leaves out.
    assert result.low < result.value < result.high <= 1
    assert (result.rows, result.confidence) == (ROWS, 0.95)


def test_rows_of_a_group_are_drawn_together():
    """Copies of rows in a group are not other rows: the correction is that of the groups."""
    generator = np.random.default_rng(2)
    truth = answers(generator, 40)
    models = [generator.random((40, 1)) for _ in range(20)]
    copied = corrected(np.repeat(truth, 5), [np.repeat(one, 5, axis=0) for one in models], groups=np.repeat(np.arange(40), 5))
    single = corrected(truth, models)
    assert copied.value == pytest.approx(single.value, abs=1e-9)
    independent = corrected(np.repeat(truth, 5), [np.repeat(one, 5, axis=0) for one in models])
    assert independent.value > single.value + 0.05


def test_predictions_of_two_folds_are_not_ranked_among_each_other():
    """A trial whose trainings differ in level orders the rows of every fold well, and the rows of all folds badly."""
    truth = np.tile([0, 1], 60)
    level = np.linspace(0.2, 0.8, 120)[:, np.newaxis]
    fixed = np.random.default_rng(4).random((120, 1))
    folds = [0.001 + 0.3 * truth[:, np.newaxis] + offset + level / 10 for offset in (0.0, 0.5)]
    parts = [
        ScoredPart(TARGET, truth[rows], [fixed[rows], one[rows]]) for rows, one in zip((slice(60), slice(60, 120)), folds, strict=True)
    ]
    result = correct_choice(parts, 0, "auc", Bootstrap(120, groups=None, draws=200, confidence=0.95, seed=0))
    assert (result.value, result.better, result.rows) == (1.0, 1.0, 120)
    assert auc(truth, np.concatenate([one.predictions[1] for one in parts])) < 0.8
    # Where the rows of a fold that a draw leaves out have no event, the other fold scores it.
    rare = [parts[0]._replace(truth=np.arange(60) // 59), parts[1]]
    assert correct_choice(rare, 0, "auc", Bootstrap(120, groups=None, draws=200, confidence=0.95, seed=0)).draws == 200


def test_lower_is_better_for_an_error():
    generator = np.random.default_rng(3)
    truth = answers(generator)
    good = (0.1 + 0.8 * truth)[:, np.newaxis]
    result = corrected(truth, [generator.random((ROWS, 1)), good], score="log_loss")
    assert result.value == pytest.approx(-np.log(0.9), abs=1e-6)
    assert (result.gain < 0, result.better) == (True, 1.0)


def test_a_model_with_an_undefined_score_is_never_the_best():

    class Target:
        """A target whose models have the same score in every draw: their prediction."""

        def all_scorer(self, truth, prediction):
            return lambda counts: {"auc": np.full(len(counts), prediction)}

    truth = np.zeros(20)
    result = corrected(truth, [0.3, np.nan, 0.9, 0.6], target=Target())
    assert (result.value, result.own, result.better, result.draws) == (pytest.approx(0.9), pytest.approx(0.3), 1.0, 200)
    assert corrected(truth, [np.nan, np.nan], target=Target()) is None


def test_draws_without_a_score_on_both_sides_are_left_out():
    """Two rows of a class: in about half of the draws both or none of them are drawn, and one side has a single class."""
    truth = np.zeros(60, np.int64)
    truth[[3, 40]] = 1
    model = np.linspace(0, 1, 60)[:, np.newaxis]
    inside = np.array([np.random.default_rng(seed).random((60, 1)) for seed in range(3)])
    few = corrected(truth, [model, *inside], draws=400)
    truth[[11, 52]] = 1
    more = corrected(truth, [model, *inside], draws=400)
    assert few is None or few.draws < 0.6 * 400
    assert 0.7 * 400 < more.draws < 400


def test_a_class_of_one_row_has_no_correction():
    truth = np.zeros(20, np.int64)
    truth[3] = 1
    generator = np.random.default_rng(4)
    assert corrected(truth, [generator.random((20, 1)), generator.random((20, 1))]) is None
