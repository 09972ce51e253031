"""Optimizers and learning-rate schedules: registered functions whose parameters are their options."""

import math
from typing import Annotated

import numpy as np
import pytest
from pydantic import Field
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.errors import ConfigError
from mmtrain.optim import optimizers, schedule, schedules
from mmtrain.training.optimization.stages import LearningRate

BLOBS = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\n"


def rate(method="constant", *, epochs=10, base=1.0, **options):
    return LearningRate(schedules[method].section(method=method, **options), base=base, epochs=epochs)


@pytest.mark.parametrize(
    ("options", "positions", "rates"),
    [
        ({}, [0, 3.5, 10], [1, 1, 1]),
        ({"warmup_epochs": 2}, [0, 0.5, 1, 2, 9], [0, 0.25, 0.5, 1, 1]),
        ({"method": "cosine"}, [0, 2.5, 5, 7.5, 10, 11], [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0, 0]),
        ({"method": "cosine", "final": 0.2}, [0, 5, 10], [1, 0.6, 0.2]),
        ({"method": "cosine", "warmup_epochs": 2}, [0, 1, 2, 6, 10], [0, 0.5, 1, 0.5, 0]),
        ({"method": "cosine", "warmup_epochs": 20}, [5, 10], [0.25, 0.5]),
        ({"method": "exponential", "decay": 0.5}, [0, 0.5, 1, 2, 3], [1, math.sqrt(0.5), 0.5, 0.25, 0.125]),
        ({"method": "exponential", "decay": 0.5, "warmup_epochs": 1}, [0.5, 1, 2], [0.5, 1, 0.5]),
        ({"method": "plateau"}, [0, 5, 10], [1, 1, 1]),
    ],
)
def test_rate_is_this_factor_at_these_epochs(options, positions, rates):
    assert [rate(**options).at(position) for position in positions] == pytest.approx(rates, abs=1e-12)
    assert rate(**options, base=0.01).at(positions[1]) == pytest.approx(0.01 * rates[1])


@pytest.mark.parametrize(
    ("options", "improved", "rates"),
    [
        ({"patience": 2}, [1, 1, 0, 0, 0, 0, 1, 0, 0], [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]),
        ({"patience": 1, "factor": 0.1, "lowest": 0.05}, [1, 0, 0, 0], [1, 0.1, 0.05, 0.05]),
        ({"patience": 1}, [0, 0], [0.5, 0.25]),
    ],
)
def test_plateau_cuts_the_rate_when_nothing_improves(options, improved, rates):
    learning_rate = rate("plateau", **options)
    seen = []
    for one in improved:
        learning_rate.epoch_ended(improved=bool(one))
        seen.append(learning_rate.at(5))
    assert seen == pytest.approx(rates)
    restored = rate("plateau", **options)
    restored.restore(learning_rate.state())
    assert restored.at(5) == seen[-1]


def test_every_schedule_starts_at_one_and_stays_between_zero_and_one():
    assert set(schedules) == {"constant", "cosine", "exponential", "plateau"}
    for method in schedules:
        assert rate(method).at(0) == 1
        assert all(0 <= rate(method).at(position) <= 1 for position in np.linspace(0, 10, 21))


def test_a_registered_schedule_is_known_to_the_file(tmp_path):
    @schedule
    def linear(position, *, final: Annotated[float, Field(ge=0, le=1)] = 0.0) -> float:
        return 1 - (1 - final) * position.progress

    try:
        two_blobs(tmp_path)
        path = write_experiment(tmp_path / "e.yaml", BLOBS + "training: {epochs: 4, schedule: {method: linear, final: 0.5}}")
        training = config.load(path).training
        assert LearningRate(training.schedule, base=1, epochs=4).at(2) == 0.75
        with pytest.raises(ConfigError, match=r"training.schedule.final: 2 is out of range. It has to be 1 or less."):
            config.load(path, ["training.schedule.final=2"])
    finally:
        schedules.remove("linear")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", {"method": "adam", "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
        ("optimizer: sgd", {"method": "sgd", "momentum": 0.9, "nesterov": False}),
        ("optimizer: sgd, momentum: 0.5", {"method": "sgd", "momentum": 0.5, "nesterov": False}),
        ("optimizer: {method: sgd, nesterov: true}", {"method": "sgd", "momentum": 0.9, "nesterov": True}),
        ("optimizer: lion", {"method": "lion", "beta_1": 0.9, "beta_2": 0.99}),
    ],
)
def test_an_optimizer_is_a_name_or_a_name_with_options(tmp_path, written, expected):
    two_blobs(tmp_path)
    path = write_experiment(tmp_path / "e.yaml", f"{BLOBS}training: {{{written}}}")
    assert config.load(path).training.optimizer.model_dump() == expected


SETTINGS = {
    "learning_rate": 0.01,
    "global_clipnorm": None,
    "clipvalue": None,
    "gradient_accumulation_steps": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "weight_decay": None,
}


@pytest.mark.parametrize("method", ["adam", "adamw", "sgd", "rmsprop", "lion", "muon", "lamb", "adafactor"])
def test_every_optimizer_moves_weights_against_the_gradient(tensorflow, method):
    import keras

    assert len(list(optimizers)) == 8
    weights = keras.Variable(np.ones((3, 2), dtype=np.float32))
    gradient = np.array([[1, 2], [3, 4], [0, 0]], dtype=np.float32)  # of a weight whose whole row has no gradient, as dead inputs give
    optimizer = optimizers[method].section(method=method).build(SETTINGS)
    for _ in range(3):
        optimizer.apply([tensorflow.constant(gradient)], [weights])
    moved = weights.numpy()
    assert np.isfinite(moved).all()
    assert moved[:2].sum() < 4
    if method != "muon":  # its update is orthogonal: single weights may move the other way
        assert (moved[:2] < 1).all()
        assert moved[2] == pytest.approx([1, 1])


def test_adafactor_survives_a_weight_without_gradient_in_its_row_and_column(tensorflow):
    import keras

    weights = keras.Variable(np.ones((2, 2), dtype=np.float32))
    optimizer = optimizers["adafactor"].section(method="adafactor").build(SETTINGS)
    for _ in range(3):
        optimizer.apply([tensorflow.constant([[0.0, 0.0], [0.0, 1.0]])], [weights])
    assert np.isfinite(weights.numpy()).all()
