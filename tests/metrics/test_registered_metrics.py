"""Custom metrics: they follow those of the task everywhere, have intervals, and can be monitored."""

import numpy as np
import pytest
from tiny import write_experiment

from mmtrain.config import load
from mmtrain.errors import ConfigError
from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.metrics import metric
from mmtrain.metrics.registered_metrics import registered_metrics
from mmtrain.metrics.score import _METRICS
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.numbers.regression import FittedRegression

BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
NUMBER = FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=0, maximum=1, error="squared")
TRUTH = np.array([0, 0, 1, 1, 1], dtype=np.int32)
PREDICTION = np.array([[0.2], [0.7], [0.6], [0.9], [0.1]], dtype=np.float32)


@pytest.fixture(autouse=True)
def youden():
    @metric("binary", higher_is_better=True, title="Youden's J")
    def youden(y_true, prediction, target):
        called = target.predict_label(prediction) == target.columns[1]
        if len(np.unique(y_true)) < 2:
            return float("nan")
        return called[y_true == 1].mean() - called[y_true == 0].mean()

    yield
    registered_metrics.remove("youden")
    del _METRICS["youden"]


def test_a_registered_metric_follows_the_scores_of_its_task():
    *own, last = BINARY.all_scores(TRUTH, PREDICTION)
    assert own == list(BINARY.scores(TRUTH, PREDICTION))
    assert (last.name, last.value) == ("youden", pytest.approx(2 / 3 - 1 / 2))
    assert [one.title for one in BINARY.all_metrics][-1] == "Youden's J"
    assert "youden" not in [one.name for one in NUMBER.all_metrics]


def test_rows_that_have_no_such_score_say_so():
    assert BINARY.all_scores(TRUTH[:2], PREDICTION[:2])[-1].undefined == "The metric is not a number for these rows."
    assert BINARY.all_scores(TRUTH[:0], PREDICTION[:0])[-1].undefined == "There are no rows to score."


def test_its_interval_comes_from_the_same_draws():
    bootstrap = Bootstrap(len(TRUTH), groups=None, draws=50, confidence=0.9, seed=3)
    drawn = bootstrap.scores(BINARY, TRUTH, PREDICTION)
    recall, specificity = drawn["sensitivity"], drawn["specificity"]
    assert drawn["youden"] == pytest.approx(recall + specificity - 1, nan_ok=True)
    assert 0 < np.isfinite(drawn["youden"]).sum() <= 50


def test_it_can_be_monitored_for_the_tasks_it_names(tmp_path):
    tree = (
        "columns: {{x: {{role: numeric}}, y: {{role: target, task: {}}}}}\ntraining: {{early_stopping: {{monitor: validation_youden}}}}\n"
    )
    write_experiment(tmp_path / "a.yaml", tree.format("binary"))
    assert load(tmp_path / "a.yaml").training.early_stopping.direction == "maximize"
    write_experiment(tmp_path / "b.yaml", tree.format("regression"))
    with pytest.raises(ConfigError, match="there is no score 'validation_youden' for these targets"):
        load(tmp_path / "b.yaml")


def test_a_known_score_is_not_registered_with_another_direction():
    with pytest.raises(ValueError, match="The score 'auc' already exists, and is better when it is higher"):

        @metric("binary", higher_is_better=False)
        def auc(y_true, prediction, target):
            return 0.0
