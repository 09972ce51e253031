"""Comparing runs: the test of two AUCs, paired differences, which runs go together, and what is told of those that do not."""

import json

import numpy as np
import pandas as pd
import pytest
from tiny import two_blobs, write_experiment, write_table

from mmtrain.cli.app import run as command_line
from mmtrain.config.evaluation import Evaluation
from mmtrain.errors import RunError, UsageError
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.comparison import compare_target
from mmtrain.evaluation.delong import delong, placements
from mmtrain.evaluation.predictions import frame, reread, to_csv
from mmtrain.targets.binary import FittedBinary
from mmtrain.targets.multiclass import FittedMulticlass
from mmtrain.targets.multilabel import FittedMultilabel
from mmtrain.targets.regression import FittedRegression
from mmtrain.workflows.compare import compare
from mmtrain.workflows.evaluate import evaluate
from mmtrain.workflows.fit import fit

# The test of DeLong


def wins(truth, score):
    """Of every positive row (down) against every negative one (across): 1 if it scores higher, a half for a tie."""
    difference = score[truth == 1][:, np.newaxis] - score[truth == 0]
    return (difference > 0) + (difference == 0) / 2


def two_scores(seed, rows=60, decimals=1):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, rows)
    first = truth + generator.normal(size=rows)
    return truth, np.round(first, decimals), np.round(first + generator.normal(size=rows) * 0.7, decimals)


@pytest.mark.parametrize("seed", range(4))
def test_delong_is_the_formula_of_1988(seed):
    """Variance of the difference: that of the mean win of each positive row, over their number, plus the same of negative rows."""
    truth, first, second = two_scores(seed)
    difference = wins(truth, second) - wins(truth, first)
    variance = sum(difference.mean(axis=axis).var(ddof=1) / difference.shape[1 - axis] for axis in (0, 1))

    found = delong(truth, first, second)
    assert found.difference == pytest.approx(difference.mean())
    assert found.standard_error == pytest.approx(np.sqrt(variance))
    assert found.plain() == {"difference": found.difference, "standard_error": found.standard_error, "p": found.p}


def test_delong_p_is_that_of_a_normal_deviate():
    truth, first, second = two_scores(0)
    found = delong(truth, first, second)
    from scipy.stats import norm

    assert found.p == pytest.approx(2 * norm.sf(abs(found.difference) / found.standard_error))


def test_placements_are_shares_of_wins():
    truth, score = np.array([1, 0, 1, 0, 0]), np.array([0.9, 0.4, 0.4, 0.1, 0.95])
    beats, beaten = placements(truth == 1, score)
    assert beats.tolist() == pytest.approx([2 / 3, 1.5 / 3])
    assert beaten.tolist() == pytest.approx([1.5 / 2, 2 / 2, 0 / 2])


def test_groups_of_one_row_change_nothing():
    truth, first, second = two_scores(1)
    assert delong(truth, first, second, np.arange(60)[::-1]).standard_error == pytest.approx(delong(truth, first, second).standard_error)


def test_delong_of_rows_that_are_all_there_four_times_knows_that_they_are():
    truth, first, second = two_scores(2, rows=100)
    fourfold = [np.repeat(values, 4) for values in (truth, first, second)]
    alone = delong(truth, first, second).standard_error
    assert delong(*fourfold, np.repeat(np.arange(100), 4)).standard_error == pytest.approx(alone, rel=1e-9)
    assert delong(*fourfold).standard_error == pytest.approx(alone / 2, rel=0.02)


def test_delong_of_groups_agrees_with_a_bootstrap_of_groups():
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(150), 4)
    truth = (generator.random(150) < 0.5).astype(int)[groups]
    first = truth + generator.normal(size=150)[groups] + generator.normal(size=600)
    second = truth + generator.normal(size=150)[groups] + generator.normal(size=600)
    asked = Resampling(Evaluation(draws=2000), groups, "patient").bootstrap(np.ones(600, dtype=bool))
    drawn = [asked.scores(BINARY, truth, 1 / (1 + np.exp(-score))[:, np.newaxis])["auc"] for score in (first, second)]
    assert delong(truth, first, second, groups).standard_error == pytest.approx((drawn[1] - drawn[0]).std(), rel=0.1)


@pytest.mark.parametrize(
    ("truth", "first", "second", "groups"),
    [
        pytest.param([0, 0, 0, 1], [1, 2, 3, 4], [4, 2, 3, 1], None, id="one positive row"),
        pytest.param([0, 0, 0, 0], [1, 2, 3, 4], [4, 2, 3, 1], None, id="one class"),
        pytest.param([0, 0, 1, 1], [1, 4, 3, 2], [2, 8, 6, 4], None, id="the same order"),
        pytest.param([0, 0, 1, 1], [1, 2, 3, 4], [4, 2, 3, 1], [0, 1, 2, 2], id="one group with positive rows"),
    ],
)
def test_delong_is_silent_where_nothing_can_be_told(truth, first, second, groups):
    assert delong(*map(np.array, (truth, first, second)), None if groups is None else np.array(groups)) is None


# Paired differences

BINARY = FittedBinary(column="y", loss_weight=1, classes=("low", "high"), counts=(1, 1), weights=(1, 1))


def compared(truth, *probabilities, groups=None):
    predictions = [np.asarray(one, dtype=np.float32).reshape(-1, 1) for one in probabilities]
    resampling = Resampling(Evaluation(draws=500), groups)
    return compare_target("y", [BINARY] * len(predictions), np.asarray(truth), predictions, resampling)


def test_differences_are_the_other_less_the_first_and_drawn_in_pairs():
    truth, first, second = two_scores(5, rows=300, decimals=3)
    probabilities = [1 / (1 + np.exp(0.5 - score)) for score in (first, second)]
    found = compared(truth, *probabilities)
    auc = {name: [score for score in scores if score.name == "auc"][0] for name, scores in zip("ab", found.scores, strict=True)}
    difference = found.against[0].differences[0]

    assert (found.rows, found.drawing.words) == (300, "500 draws of 300 rows")
    assert difference.value == pytest.approx(auc["b"].value - auc["a"].value)
    assert difference.value < difference.interval.high < 0  # the second score is the first with noise
    apart = sum((score.interval.high - score.interval.low) ** 2 for score in auc.values()) ** 0.5
    assert difference.interval.high - difference.interval.low < 0.9 * apart
    assert found.against[0].delong.difference == pytest.approx(difference.value, abs=1e-6)


def test_rows_without_a_known_answer_are_left_out():
    found = compared([0, 1, -1, 0, 1], [0.1, 0.9, 0.5, 0.2, 0.7], [0.3, 0.2, 0.5, 0.2, 0.7])
    assert found.rows == 4


def test_the_same_predictions_do_not_differ():
    truth, first, _ = two_scores(6)
    found = compared(truth, np.clip(first / 5, 0, 1), np.clip(first / 5, 0, 1)).against[0]
    assert {score.value for score in found.differences} == {0.0}
    assert {score.note for score in found.differences} == {"No interval: every draw has the same value."}
    assert found.delong is None


def test_a_difference_of_an_undefined_score_is_undefined():
    found = compared([0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.2, 0.4]).against[0].differences[0]
    assert (found.value, found.undefined) == (None, "AUC needs both classes; this part has only 'low'.")


# Predictions read back

TARGETS = {
    "binary": (BINARY, np.array([0, 1, -1]), np.array([[0.1], [0.7], [1 / 3]])),
    "multiclass": (
        FittedMulticlass(column="y", loss_weight=1, classes=("a", "b", "NA"), counts=(1, 1, 1), weights=(1, 1, 1), label_smoothing=0),
        np.array([2, 0, -1]),
        np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]),
    ),
    "multilabel": (
        FittedMultilabel(
            column="y", loss_weight=1, labels=("a", "b"), one_column_each=True, separator=";", rows=1, counts=(1, 1), weights=(1, 1)
        ),
        np.array([[1, 1], [0, 0], [0, 1]]),
        np.array([[0.1, 0.2], [0.9, 1 / 3], [0.5, 0.5]]),
    ),
    "regression": (
        FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=0, maximum=1, error="squared"),
        np.array([1.5, np.nan, 1 / 3]),
        np.array([[2.5], [-1e-9], [1 / 3]]),
    ),
}


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("task", TARGETS)
def test_predictions_are_read_back_as_they_were(task, several, tmp_path):
    target, truth, prediction = TARGETS[task]
    prediction = prediction.astype(np.float32)
    targets = {"y": target} | ({"other": TARGETS["regression"][0]} if several else {})
    truths = {"y": truth} | ({"other": np.zeros(3)} if several else {})
    rows = frame(np.arange(3), list("xyz"), targets, truths, {"y": prediction, "other": np.zeros((3, 1))})
    (tmp_path / "p.csv").write_text(to_csv(rows))
    read = pd.read_csv(tmp_path / "p.csv", dtype=str, keep_default_na=False)
    np.testing.assert_array_equal(reread(read, "y", targets)[0], truth)
    np.testing.assert_array_equal(reread(read, "y", targets)[1].astype(np.float32), prediction)


# Runs

TREE = """
name: one
columns:
  x: {role: numeric}
  y: {role: target, task: binary}
split: {method: random, validation: 0.2, test: 0.4}
training: {epochs: 1, learning_rate: 0.1}
evaluation: {draws: 200}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs that differ in their network; in a third the rows are divided in another way."""
    folder = tmp_path_factory.mktemp("compare")
    two_blobs(folder, 50)
    write_experiment(folder / "a.yaml", TREE)
    for name, overrides in (("one", ()), ("two", ("branches.x={columns: [x], architecture: mlp, units: [3]}",)), ("other", ("split.seed=9",))):
        run = fit(folder / "a.yaml", overrides=(f"name={name}", *overrides), output=folder / "runs").run
        evaluate(str(run.folder))
    return folder


def test_runs_are_compared_on_the_rows_of_a_part(folder):
    done = compare(["one", "two"], output=folder / "runs")
    assert [str(run) for run in done.runs] == ["one/1", "two/1"]
    assert (done.part, done.looks, done.remarks) == ("test", (1, 1), ())
    assert done.targets[0].rows == 20
    for run, scores in zip(done.runs, done.targets[0].scores, strict=True):
        kept = run.read_json("metrics.json")["test"]["y"]["scores"]
        assert {score.name: score.plain() for score in scores} == kept
