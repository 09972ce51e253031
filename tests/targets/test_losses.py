"""Registered losses: what they compute, where they are refused, and that a training minimizes the one that is declared."""

import json

import numpy as np
import pytest
from tiny import write_experiment

from mmtrain.config import load
from mmtrain.errors import ConfigError
from mmtrain.optim import losses
from mmtrain.targets.binary import FittedBinary
from mmtrain.targets.multiclass import FittedMulticlass
from mmtrain.targets.regression import FittedRegression

NUMBER = FittedRegression(column="y", loss_weight=1, center=10, scale=2, minimum=0, maximum=20, error="squared")
BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
CLASSES = FittedMulticlass(column="y", loss_weight=1, classes=("a", "b", "c"), counts=(1, 1, 1), weights=(1, 1, 1), label_smoothing=0)
TREE = "columns: {{x: {{role: numeric}}, y: {{role: target, task: {task}, {options}}}}}\n"


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("squared", {}, [0.25, 9.0]),
        ("absolute", {}, [0.5, 3.0]),
        ("huber", {}, [0.125, 2.5]),
        ("huber", {"delta": 2.0}, [0.125, 4.0]),
    ],
)
def test_losses_of_a_number_are_of_its_standardized_distance(method, options, expected):
    target = NUMBER.model_copy(update={"own_loss": {"method": method, **options}})
    truth, raw = np.array([11.0, 16.0]), np.array([[0.0], [0.0]], dtype=np.float32)
    assert target.minimized(truth, raw).numpy().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "raw", "probability"),
    [
        (BINARY, [[0.0], [np.log(4.0)]], [0.5, 0.8]),
        (CLASSES, [[0.0, 0.0, np.log(2.0)], [0.0, np.log(8.0), 0.0]], [0.25, 0.8]),
    ],
)
def test_focal_loss_is_the_cross_entropy_times_a_power_of_the_error(target, raw, probability):
    focal = target.model_copy(update={"own_loss": {"method": "focal", "gamma": 2.0}})
    truth = np.array([0, 1], dtype=np.int32)
    expected = [-np.log(p) * (1 - p) ** 2 for p in probability]
    assert focal.minimized(truth, np.array(raw, dtype=np.float32)).numpy().tolist() == pytest.approx(expected, rel=1e-5)
    plain = target.model_copy(update={"own_loss": {"method": "focal", "gamma": 0.0}})
    assert plain.minimized(truth, np.array(raw, dtype=np.float32)).numpy().tolist() == pytest.approx(list(-np.log(probability)), rel=1e-5)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (
            "binary",
            "loss: huber",
            "columns.y.loss: the loss `huber` is for `task: regression`. Set `focal`, or leave it out.",
        ),
        (
            "regression",
            "loss: focal",
            "columns.y.loss: the loss `focal` is for `task: binary or multiclass`. Set `squared`, `absolute` or `huber`, or leave it out.",
        ),
        (
            "regression",
            "error: huber, loss: {method: huber, delta: 2}",
            "columns.y.loss: `loss` and `error` both choose the loss. Leave one of them out.",
        ),
        (
            "multiclass",
            "loss: focal, label_smoothing: 0.1",
            "columns.y.loss: `label_smoothing` is for the cross-entropy, and `loss: focal` is another one. Leave one of them out.",
        ),
        ("binary", "label_smoothing: 1", "columns.y.label_smoothing: 1 is out of range. It has to be less than 1."),
        ("binary", "loss: focl", "columns.y.loss.method: there is no method 'focl'. Did you mean 'focal'?"),
        ("binary", "loss: {method: focal, gamma: -1}", "columns.y.loss.gamma: -1 is out of range. It has to be 0 or more."),
    ],
)
def test_a_loss_that_does_not_fit_its_target_is_refused(tmp_path, task, options, message):
    write_experiment(tmp_path / "a.yaml", TREE.format(task=task, options=options))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert message in str(caught.value)


def test_a_fitted_target_keeps_the_declared_loss_in_its_file(tmp_path):
    write_experiment(tmp_path / "a.yaml", TREE.format(task="binary", options="loss: focal"))
    target = load(tmp_path / "a.yaml").targets["y"]
    fitted = BINARY.with_loss(target.loss)
    assert fitted.own_loss == {"method": "focal", "gamma": 2.0}
    again = type(fitted).model_validate(json.loads(fitted.model_dump_json()))
    assert again == fitted
    assert all(name in losses for name in ("squared", "absolute", "huber", "focal"))
