"""The guard of the fusion: a branch alone answers only where it is better on validation rows beyond noise."""

import numpy as np
import pytest

from mmtrain.artifacts.run_schema.run_facts import BranchAlone, FusionGuard
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.fusion_guard import choose_answer
from mmtrain.reports.target_results.postprocessing import describe_guard
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

ROWS = 300
RANDOM = np.random.default_rng(1)
NOISE = RANDOM.normal(size=(ROWS, 3))
BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
MULTICLASS = FittedMulticlass(
    column="y", loss_weight=1, classes=("cat", "dog", "owl"), counts=(1, 1, 1), weights=(1, 1, 1), label_smoothing=0
)
MULTILABEL = FittedMultilabel(
    column="y", loss_weight=1, labels=("a", "b", "c"), one_column_each=False, separator=";", rows=1, counts=(1, 1, 1), weights=(1, 1, 1)
)
REGRESSION = FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=0, maximum=1, error="squared")
CODES = RANDOM.integers(0, 3, ROWS)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(values):
    return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)


TASKS = {
    "binary": (BINARY, np.minimum(CODES, 1), lambda noise: sigmoid(2 * np.minimum(CODES, 1)[:, None] - 1 + noise * NOISE[:, :1])),
    "multiclass": (MULTICLASS, CODES, lambda noise: softmax(2 * np.eye(3)[CODES] + noise * NOISE)),
    "multilabel": (MULTILABEL, np.eye(3, dtype=int)[CODES], lambda noise: sigmoid(2 * np.eye(3)[CODES] - 1 + noise * NOISE)),
    "regression": (REGRESSION, CODES.astype(np.float32), lambda noise: CODES[:, None] + noise * NOISE[:, :1]),
}
"""By task: the target, its truth, and predictions with this much noise."""


def choice(task, fused, **alone):
    target, truth, predict = TASKS[task]
    return choose_answer(Evaluation(draws=300), target, truth, predict(fused), {key: predict(noise) for key, noise in alone.items()})


@pytest.mark.parametrize("task", TASKS)
def test_a_branch_that_is_better_beyond_noise_answers_alone(task):
    guard = choice(task, 3.0, table=1.0, scan=30.0)
    assert guard.chosen == "table"
    assert (guard.rows, guard.score, guard.confidence) == (ROWS, TASKS[task][0].main_metric, pytest.approx(0.975))
    assert guard.branches["table"].low > 0 > guard.branches["scan"].high
    difference = guard.branches["table"].value - guard.fused
    assert guard.branches["table"].gain == pytest.approx(-difference if task == "regression" else difference)


@pytest.mark.parametrize("task", TASKS)
def test_the_fusion_is_kept_unless_a_branch_is_better_beyond_noise(task):
    assert choice(task, 1.0, table=3.0, scan=30.0).chosen == ""
    guard = choice(task, 1.0, table=1.0)
    assert (guard.chosen, guard.branches["table"].gain, guard.branches["table"].low) == ("", 0, None)
    other = choice(task, 2.0, table=-2.0)  # as much noise, of the other sign
    assert (other.chosen, other.branches["table"].low < 1e-9) == ("", True)


def test_rounding_chooses_no_branch():
    target, truth, predict = TASKS["regression"]
    fused = predict(2.0)
    guard = choose_answer(Evaluation(draws=100), target, truth, fused, {"table": truth[:, None] + (fused - truth[:, None]) * (1 - 1e-8)})
    assert (guard.chosen, guard.branches["table"].low > 0) == ("", True)


def test_the_best_of_several_better_branches_answers():
    assert choice("regression", 3.0, first=2.0, second=1.0, third=1.5).chosen == "second"


def test_the_monitored_score_is_compared_and_unknown_answers_are_left_out():
    target, truth, predict = TASKS["binary"]
    unknown = np.where(np.arange(ROWS) < 100, -1, truth)
    guard = choose_answer(
        Evaluation(draws=100), target, unknown, predict(3.0), {"table": predict(1.0)}, monitor="validation_y_accuracy", prefix="y_"
    )
    assert (guard.score, guard.rows, guard.confidence) == ("accuracy", 200, 0.95)


def test_rows_of_a_group_are_one_observation():
    target, truth, predict = TASKS["regression"]
    predictions = predict(2.0), {"table": predict(1.0)}
    assert choose_answer(Evaluation(draws=100), target, truth, *predictions).chosen == "table"
    one_group = choose_answer(Evaluation(draws=100), target, truth, *predictions, groups=np.zeros(ROWS, dtype=np.int64))
    assert (one_group.chosen, one_group.branches["table"].low) == ("", None)


def test_an_undefined_score_keeps_the_fusion():
    target, truth, predict = TASKS["binary"]
    guard = choose_answer(Evaluation(draws=100), target, np.zeros_like(truth), predict(3.0), {"table": predict(1.0)})
    assert (guard.chosen, guard.fused, guard.branches["table"].value) == ("", None, None)
    assert list(describe_guard({"y": guard})) == [
        "Fusion of y: kept, as no branch alone is better beyond noise. On 300 validation rows its AUC is undefined; branches alone: "
        "undefined."
    ]


def test_the_choice_is_told_in_sentences():
    table = BranchAlone(value=0.98, gain=1.96, low=1.78, high=2.21)
    scores = {"score": "rmse", "rows": 300, "confidence": 0.975}
    replaced = FusionGuard(**scores, fused=2.94, branches={"table": table, "scan": BranchAlone(value=30.0)}, chosen="table")
    kept = FusionGuard(**scores, fused=0.975, branches={"table": BranchAlone(value=2.94)})
    assert list(describe_guard({"price": replaced, "size": kept})) == [
        "Fusion of price: replaced by the branch table alone in all rows that have it. On 300 validation rows its root mean squared "
        "error is 0.980, that of the fusion 2.94: better by 1.96, 97.5 % interval 1.78 to 2.21.",
        "Fusion of size: kept, as no branch alone is better beyond noise. On 300 validation rows its root mean squared error is 0.975; "
        "branches alone: table 2.94.",
    ]
