"""A task in one file of a user's own, from its schema to its export: nothing else is to be changed for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import write_experiment, write_table

COUNTS = '''
"""Counts with a Poisson loss."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mmtrain.columns.numbers import parse_numbers
from mmtrain.metrics.score import Metric, Score
from mmtrain.targets import FittedTarget, Target, TaskTraits, TruthSpec, task


class CountTraits(TaskTraits):
    title = "a count"
    meaning = "The expected count."
    is_continuous = True
    metrics = (Metric("poisson_deviance", higher_is_better=False), Metric("mae", higher_is_better=False))
    main_metric = "poisson_deviance"
    conformal = "intervals"
    plots = ("residuals",)


class FittedCount(CountTraits, FittedTarget):
    task: Literal["tally"] = "tally"
    mean: float

    @property
    def units(self):
        return 1

    @property
    def truth_spec(self):
        return TruthSpec((), "float64")

    def truth(self, cells):
        return parse_numbers(cells[self.column])

    def row_loss(self, truth, raw):
        import tensorflow as tf

        return tf.nn.log_poisson_loss(tf.cast(truth, tf.float32), tf.reshape(raw, (-1,)))

    def row_losses(self, truth, prediction):
        return np.abs(truth - prediction.reshape(-1))

    def activation(self, name):
        import keras

        return keras.layers.Activation("exponential", dtype="float32", name=name)

    def scores(self, truth, prediction):
        if not len(truth):
            return tuple(Score(metric.name, None, "There are no rows to score.") for metric in self.metrics)
        expected = prediction.reshape(-1).astype(np.float64)
        logs = np.where(truth > 0, truth * np.log(np.maximum(truth, 1) / expected), 0)
        return Score("poisson_deviance", float(2 * (logs - truth + expected).mean())), Score("mae", float(np.abs(truth - expected).mean()))

    def predict_label(self, prediction):
        return prediction.reshape(-1)

    def decode_truth(self, truth):
        return truth

    def probabilities(self, prediction):
        return np.empty((len(prediction), 0), dtype=np.float32)

    def parse_outputs(self, columns):
        return parse_numbers(columns["prediction"]).reshape(-1, 1)

    def serving_outputs(self, prediction):
        import tensorflow as tf

        return {"prediction": tf.reshape(prediction, (-1,))}

    def baseline(self, count):
        return np.full((count, 1), self.mean)


@task("tally", FittedCount)
class TallyTarget(CountTraits, Target):
    """How often something happens."""

    task: Literal["tally"] = "tally"

    @property
    def holds_numbers(self):
        return True

    def fit(self, cells, default_weights):
        return FittedCount(column=self.column, loss_weight=self.loss_weight, mean=float(parse_numbers(cells[self.column]).mean()))
'''
TREE = """
columns: {x: {role: numeric}, y: {role: target, task: tally}}
training: {epochs: 3, batch_size: 16, jit: 'off', steps_per_call: 1, early_stopping: {monitor: validation_poisson_deviance}}
evaluation: {conformal: 0.8, draws: 100, baselines: [majority]}
"""


def mmtrain(folder, *arguments):
    called = [sys.executable, "-m", "mmtrain", *arguments, "--code", "counts.py"]
    done = subprocess.run(
        called, cwd=folder, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    write_table(tmp_path / "table.csv", [{"x": row % 5, "y": row % 5 * 2 + row % 2} for row in range(120)])
    write_experiment(tmp_path / "counts.yaml", TREE)
    (tmp_path / "counts.py").write_text(COUNTS, encoding="utf-8")
    return tmp_path


IN_ONE = """
from mmtrain.cli.app import run
assert [run([*command, '--code', 'counts.py']) for command in (['schema'], ['check', 'counts.yaml'])] == [0, 0]
"""


@pytest.mark.slow  # a fresh process; tests/cli/test_extending.py has one for all that a file registers
def test_schema_and_check_know_a_task_of_ones_own(folder):
    done = subprocess.run([sys.executable, "-c", IN_ONE], cwd=folder, capture_output=True, text=True, timeout=300, check=True)
    schema, end = json.JSONDecoder().raw_decode(done.stdout)
    assert "TallyTarget" in schema["$defs"]
    assert "counts.yaml" in done.stdout[end:]


@pytest.mark.slow
def test_a_task_of_ones_own_is_trained_scored_explained_and_exported(folder):
    mmtrain(folder, "fit", "counts.yaml", "--output", "runs")
    run = folder / "runs" / "counts" / "1"
    mmtrain(folder, "evaluate", str(run))
    result = json.loads((run / "metrics.json").read_text())["test"]["y"]
    assert list(result["scores"]) == ["poisson_deviance", "mae"]
    assert result["baselines"][0]["label"] == "majority"
    assert result["conformal"]["kind"] == "intervals"
    report = (run / "report.html").read_text()
    for words in ("y (a count)", "Poisson deviance", "Mean absolute error", "Residuals"):
        assert words in report
    assert (run / "plots" / "residuals_test.png").is_file()
    mmtrain(folder, "explain", str(run))
    mmtrain(folder, "export", str(run), "--format", "saved_model")
    (signature,) = Path(run).rglob("signature.json")
    (first, _) = json.loads(signature.read_text())["outputs"]
    assert (first["task"], first["dtype"]) == ("tally", "float32")
