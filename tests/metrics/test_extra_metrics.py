"""Metrics on request: equal to scikit-learn, of any bootstrap draw too, refused where they do not fit, and monitored."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from tiny import write_experiment

from mmtrain.config import load
from mmtrain.errors import ConfigError
from mmtrain.metrics.on_request.declared import ON_REQUEST
from mmtrain.metrics.score import metric_of
from mmtrain.reports.wording import title
from mmtrain.targets import OrdinalTarget, QuantileTarget
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

RANDOM = np.random.default_rng(0)
ROWS, CLASSES = 300, 5
BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1), threshold=0.4)
MANY = FittedMulticlass(column="y", loss_weight=1, classes=tuple("abcde"), counts=(1,) * 5, weights=(1,) * 5)
LABELS = FittedMultilabel(
    column="y", loss_weight=1, labels=tuple("abcd"), one_column_each=False, separator=";", rows=9, counts=(3,) * 4, weights=(1,) * 4
)
NUMBER = FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=0, maximum=1, error="squared")

YES = (RANDOM.random(ROWS) < 0.3).astype(np.int32)
YES_PROBABILITY = np.clip(0.3 * YES + RANDOM.random(ROWS) * 0.7, 0, 1).round(2).astype(np.float32)[:, None]
CODES = RANDOM.integers(0, CLASSES, ROWS).astype(np.int32)
SHARES = RANDOM.dirichlet(np.ones(CLASSES), ROWS) * 0.6 + 0.4 * np.eye(CLASSES)[(CODES + (RANDOM.random(ROWS) < 0.4)) % CLASSES]
HAS = (RANDOM.random((ROWS, 4)) < 0.4).astype(np.int8)
HAS_PROBABILITY = np.clip(0.3 * HAS + RANDOM.random((ROWS, 4)) * 0.7, 0, 1)
NUMBERS = RANDOM.gamma(2, 10, ROWS)
GUESSES = (NUMBERS * RANDOM.uniform(0.7, 1.2, ROWS))[:, None]

CALLED, MOST, HAS_CALLED = YES_PROBABILITY[:, 0] >= np.float32(0.4), SHARES.argmax(axis=1), HAS_PROBABILITY >= 0.5
FALSE_RATE, TRUE_RATE, _ = metrics.roc_curve(YES, YES_PROBABILITY[:, 0], drop_intermediate=False)


EXPECTED = {
    "binary": (
        BINARY,
        YES,
        YES_PROBABILITY,
        {
            "ppv": metrics.precision_score(YES, CALLED),
            "npv": metrics.precision_score(YES, CALLED, pos_label=0),
            "mcc": metrics.matthews_corrcoef(YES, CALLED),
            "cohen_kappa": metrics.cohen_kappa_score(YES, CALLED),
            "balanced_log_loss": np.mean(
                [metrics.log_loss(YES[code == YES], YES_PROBABILITY[code == YES, 0], labels=[0, 1]) for code in (0, 1)]
            ),
            "sensitivity_at_specificity@0.9": TRUE_RATE[FALSE_RATE <= 0.1 + 1e-9].max(),
            "specificity_at_sensitivity@0.95": 1 - FALSE_RATE[TRUE_RATE >= 0.95 - 1e-9].min(),
            "precision_at_k@300": YES.mean(),
        },
    ),
    "multiclass": (
        MANY,
        CODES,
        SHARES,
        {
            "mcc": metrics.matthews_corrcoef(CODES, MOST),
            "cohen_kappa": metrics.cohen_kappa_score(CODES, MOST),
            "balanced_log_loss": np.mean(
                [metrics.log_loss(CODES[c == CODES], SHARES[c == CODES], labels=range(CLASSES)) for c in range(CLASSES)]
            ),
            "top_k_accuracy@1": metrics.accuracy_score(CODES, MOST),
            "top_k_accuracy@3": metrics.top_k_accuracy_score(CODES, SHARES, k=3),
            "macro_precision": metrics.precision_score(CODES, MOST, average="macro"),
            "macro_recall": metrics.recall_score(CODES, MOST, average="macro"),
            "weighted_precision": metrics.precision_score(CODES, MOST, average="weighted"),
            "weighted_auc": metrics.roc_auc_score(CODES, SHARES, multi_class="ovr", average="weighted"),
        },
    ),
    "multilabel": (
        LABELS,
        HAS,
        HAS_PROBABILITY,
        {
            **{
                f"{average}_{name}": score(HAS, HAS_CALLED, average=average)
                for name, score in (("precision", metrics.precision_score), ("recall", metrics.recall_score), ("f1", metrics.f1_score))
                for average in ("micro", "macro", "weighted")
                if f"{average}_{name}" not in ("macro_f1", "weighted_recall")
            },
            "micro_auc": metrics.roc_auc_score(HAS, HAS_PROBABILITY, average="micro"),
            "weighted_auc": metrics.roc_auc_score(HAS, HAS_PROBABILITY, average="weighted"),
            "micro_pr_auc": metrics.average_precision_score(HAS, HAS_PROBABILITY, average="micro"),
            "weighted_pr_auc": metrics.average_precision_score(HAS, HAS_PROBABILITY, average="weighted"),
            "precision_at_k@1": HAS[np.arange(ROWS), HAS_PROBABILITY.argmax(axis=1)].mean(),
        },
    ),
    "regression": (
        NUMBER,
        NUMBERS,
        GUESSES,
        {
            "mape": metrics.mean_absolute_percentage_error(NUMBERS, GUESSES),
            "rmsle": metrics.root_mean_squared_log_error(NUMBERS, GUESSES),
            "pinball@0.9": metrics.mean_pinball_loss(NUMBERS, GUESSES, alpha=0.9),
        },
    ),
}
CASES = [pytest.param(task, name, id=f"{task}-{name}") for task, (*_, expected) in EXPECTED.items() for name in expected]


def scored(task, names):
    target, truth, prediction, _ = EXPECTED[task]
    return target.with_extra_metrics(tuple(names)), truth, prediction


@pytest.mark.parametrize(("task", "name"), CASES)
def test_a_requested_metric_equals_that_of_scikit_learn_in_the_rows_and_in_every_draw(task, name):
    target, truth, prediction = scored(task, [name])
    score = target.all_scores(truth, prediction)[-1]
    assert (score.name, score.value) == (name, pytest.approx(EXPECTED[task][3][name], abs=2e-7))
    counts = RANDOM.multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=3)
    drawn = target.all_scorer(truth, prediction)(counts)[name]
    rows = [np.repeat(np.arange(ROWS), one) for one in counts]
    assert drawn == pytest.approx([target.all_scores(truth[one], prediction[one])[-1].value for one in rows], abs=1e-9)


def test_every_metric_on_request_is_compared_with_scikit_learn():
    compared = {(task, name.partition("@")[0]) for task, (*_, expected) in EXPECTED.items() for name in expected}
    assert compared == {(task, name) for name, entry in ON_REQUEST.items() for task in entry.modules if task in EXPECTED}


def test_other_tasks_with_classes_and_numbers_have_the_metrics_of_their_decisions():
    cells = {"y": pd.Series(list("1234"), dtype="str")}
    levels = OrdinalTarget(column="y").fit(cells, "none").with_extra_metrics(("cohen_kappa",))
    shares = np.array([[0.45, 0.15, 0.4, 0.0], [0.0, 0.1, 0.2, 0.7]])
    # The median level of the first row is its second one, which is not its most probable one.
    assert levels.all_scores(np.array([1, 3]), shares)[-1].value == 1.0
    quantiles = QuantileTarget(column="y").fit(cells, "none").with_extra_metrics(("mape",))
    assert quantiles.all_scores(np.array([2.0]), np.array([[1.0, 3.0, 9.0]]))[-1].value == 0.5


def test_precision_at_k_counts_ties_in_proportion():
    target = BINARY.with_extra_metrics(("precision_at_k@1", "precision_at_k@3", "precision_at_k@5"))
    truth, probability = np.array([1, 0, 0, 1]), np.array([[0.9], [0.5], [0.5], [0.5]])
    *_, one, three, five = target.all_scores(truth, probability)
    assert (one.value, three.value) == (1.0, pytest.approx((1 + 2 / 3) / 3))
    assert five.undefined == "The metric needs as many rows, or labels, as its level says."


def test_top_k_of_as_many_places_as_classes_is_undefined():
    target, truth, prediction = scored("multiclass", [f"top_k_accuracy@{CLASSES}", "top_k_accuracy@50"])
    assert {score.undefined for score in target.all_scores(truth, prediction)[-2:]} == {
        "The level is not below the number of classes, so that every row would be right. Choose a smaller one."
    }


@pytest.mark.parametrize(
    ("task", "name", "rows"),
    [("binary", "sensitivity_at_specificity@0.9", YES == 1), ("binary", "ppv", ~CALLED), ("binary", "mcc", YES == 1)],
)
def test_an_undefined_metric_has_a_reason(task, name, rows):
    target, truth, prediction = scored(task, [name])
    assert target.all_scores(truth[rows], prediction[rows])[-1].undefined == ON_REQUEST[name.partition("@")[0]].undefined
    assert target.all_scores(truth[:0], prediction[:0])[-1].undefined == "There are no rows to score."


def test_unknown_labels_are_left_out_of_means_over_labels():
    target, truth, prediction = scored("multilabel", ["micro_f1", "micro_auc", "weighted_auc"])
    unknown = np.where(np.arange(ROWS)[:, None] < 100, np.int8(-1), truth)
    values = [score.value for score in target.all_scores(unknown, prediction)[-3:]]
    assert values == pytest.approx([score.value for score in target.all_scores(truth[100:], prediction[100:])[-3:]])


TREE = """
columns: {{x: {{role: numeric}}, y: {{role: target, task: {task}, extra_metrics: {names}}}}}
training: {{early_stopping: {{monitor: {monitor}}}}}
"""


def test_a_requested_metric_can_be_monitored(tmp_path):
    monitor = "validation_sensitivity_at_specificity@0.95"
    write_experiment(tmp_path / "a.yaml", TREE.format(task="binary", names="[sensitivity_at_specificity@0.95, mcc]", monitor=monitor))
    experiment = load(tmp_path / "a.yaml")
    assert experiment.targets["y"].extra_metrics == ("sensitivity_at_specificity@0.95", "mcc")
    assert experiment.training.early_stopping.direction == "maximize"
    assert metric_of("balanced_log_loss").higher_is_better is False
    assert title("sensitivity_at_specificity@0.95") == "Sensitivity at a specificity of 0.95"
    assert title("top_k_accuracy@3") == "Top-3 accuracy"


@pytest.mark.parametrize(
    ("task", "names", "message"),
    [
        ("binary", "[mc]", "columns.y.extra_metrics: there is no metric `mc`. Did you mean 'mcc'?"),
        (
            "regression",
            "[mcc]",
            "columns.y.extra_metrics: `mcc` is for `task: binary, multiclass or ordinal`. For `task: regression` there are mape, rmsle and "
            "pinball@LEVEL.",
        ),
        (
            "binary",
            "[sensitivity_at_specificity]",
            "`sensitivity_at_specificity` needs a number between 0 and 1 behind the @. Write `sensitivity_at_specificity@0.95`, "
            "for example.",
        ),
        ("multiclass", "[top_k_accuracy@0.5]", "`top_k_accuracy` needs a whole number from 1 behind the @."),
        ("binary", "[mcc@2]", "`mcc` has no level. Write `mcc`."),
        ("binary", "[precision_at_k@inf]", "`precision_at_k` needs a whole number from 1 behind the @."),
        ("binary", "[mcc, auc]", "`auc` is a score of every target with this task. Leave it out."),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(tmp_path, task, names, message):
    write_experiment(tmp_path / "a.yaml", TREE.format(task=task, names=names, monitor="validation_loss"))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert message in str(caught.value)


def test_a_monitor_that_was_not_asked_for_says_how(tmp_path):
    write_experiment(tmp_path / "a.yaml", TREE.format(task="binary", names="[]", monitor="validation_mcc"))
    with pytest.raises(ConfigError, match=r"Ask for it with `extra_metrics: \[mcc\]` of its target."):
        load(tmp_path / "a.yaml")
