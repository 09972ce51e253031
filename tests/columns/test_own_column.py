"""A column type in one file of a user's own, over two headers, from its schema to its export: nothing else is to be changed for it."""

import json
import os
import subprocess
import sys

import pytest
from tiny import write_experiment, write_table

PRESSURE = '''
"""Blood pressure of two columns: the mean of both, and their difference."""

from __future__ import annotations

from typing import ClassVar, Literal

import keras
import numpy as np
import tensorflow as tf

from mmtrain.columns import CellError, FittedColumn, InputColumn, RawInput, role
from mmtrain.columns.fitted_column import EncodingDescription
from mmtrain.columns.numeric import number_errors, parse_numbers
from mmtrain.columns.summaries.base import Accumulator, ColumnStatistics, share, statistics_kinds
from mmtrain.specs import VectorSpec


@keras.saving.register_keras_serializable(package="own")
class EncodePressure(keras.layers.Layer):
    def __init__(self, centers, **kwargs):
        super().__init__(**{**kwargs, "autocast": False, "trainable": False})
        self.centers = list(centers)

    def call(self, raw):
        both = raw - tf.constant(self.centers, tf.float64)
        known = tf.reduce_all(tf.math.is_finite(both), axis=1, keepdims=True)
        pair = tf.concat([(both[:, :1] + both[:, 1:]) / 2, both[:, :1] - both[:, 1:]], axis=1)
        return tf.cast(tf.where(known, pair, tf.zeros_like(pair)), tf.float32), tf.cast(known, tf.float32)

    def compute_output_spec(self, raw):
        return keras.KerasTensor((raw.shape[0], 2), "float32"), keras.KerasTensor((raw.shape[0], 1), "float32")

    def get_config(self):
        return {**super().get_config(), "centers": self.centers}


class PressureStatistics(ColumnStatistics):
    kind: Literal["pressure"] = "pressure"
    high: int

    def drift(self, now):
        return {**super().drift(now), **({"high": "more are high."} if share(now.high, now.rows) > share(self.high, self.rows) else {})}


statistics_kinds.add("pressure", PressureStatistics)


class PressureAccumulator(Accumulator):
    reads: ClassVar[Literal["cells"]] = "cells"

    def __init__(self):
        self.rows = self.missing = self.high = 0

    def add(self, seen):
        gone = np.isnan(seen.raw).any(axis=1)
        self.rows, self.missing = self.rows + int((~gone).sum()), self.missing + int(gone.sum())
        self.high += int((seen.raw[:, 0] > 150).sum())

    def statistics(self):
        return PressureStatistics(rows=self.rows, missing=self.missing, high=self.high)


class FittedPressure(FittedColumn):
    role: Literal["pressure"] = "pressure"
    headers: tuple[str, str]
    centers: tuple[float, float]

    @property
    def spec(self):
        return VectorSpec(2)

    def raw_inputs(self, name):
        return {name: RawInput((2,), "float64")}

    def raw(self, cells):
        return np.stack([parse_numbers(cells[header]) for header in self.headers], axis=1)

    def accumulator(self, learned=None):
        return PressureAccumulator()

    def baseline_words(self, learned):
        return "the usual pressure"

    def learned_words(self, declared, number):
        return f"usual pressure {number(round(self.centers[0]))} over {number(round(self.centers[1]))}"

    def recipe(self):
        cell = dict(zip(self.headers, ("120", "80")))
        return EncodingDescription("Two numbers.", "Their mean and difference.", "1 if both are there.", cell)

    def preprocessing(self):
        return EncodePressure(self.centers)


@role("pressure", fitted=FittedPressure)
class Pressure(InputColumn):
    """Systolic and diastolic blood pressure."""

    role: Literal["pressure"] = "pressure"
    systolic: str
    diastolic: str
    missing: Literal["mask", "drop"] = "mask"

    def reads(self):
        return self.systolic, self.diastolic

    @property
    def kind(self):
        return "vector"

    @property
    def holds_numbers(self):
        return True

    def faults(self, cells):
        negative = np.flatnonzero(parse_numbers(cells) < 0)
        return [*number_errors(cells), *([CellError(negative, "a pressure is negative.", "Mend it.")] if len(negative) else [])]

    def fit(self, cells):
        values = np.concatenate([np.stack([parse_numbers(piece[header]) for header in self.reads()], axis=1) for piece in cells])
        return FittedPressure(headers=self.reads(), centers=tuple(np.nanmean(values, axis=0).tolist()))
'''
TREE = """
columns:
  pressure: {role: pressure, systolic: upper, diastolic: lower}
  age: {role: numeric}
  y: {role: target, task: binary}
training: {epochs: 3, batch_size: 16, jit: 'off', steps_per_call: 1}
evaluation: {draws: 100, permutations: 1, baselines: [gradient_boosting]}
"""


def call(folder, *arguments):
    called = [sys.executable, "-m", "mmtrain", *arguments, "--code", "pressure.py"]
    return subprocess.run(
        called, cwd=folder, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "COLUMNS": "200"}
    )


def mmtrain(folder, *arguments):
    done = call(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def rows(count=120):
    for row in range(count):
        upper = "" if row % 17 == 3 else 110 + row * 7 % 60
        yield {"upper": upper, "lower": "" if row % 17 == 3 else 70 + row % 20, "age": 20 + row % 50, "y": int(row * 7 % 60 > 30)}


@pytest.fixture
def folder(tmp_path):
    write_table(tmp_path / "table.csv", list(rows()))
    write_experiment(tmp_path / "own.yaml", TREE)
    (tmp_path / "pressure.py").write_text(PRESSURE, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_schema_and_check_know_a_column_of_ones_own(folder):
    assert "Pressure" in json.loads(mmtrain(folder, "schema"))["$defs"]
    assert "own.yaml" in mmtrain(folder, "check", "own.yaml")
    wrong = [{**row, "lower": -1} if number == 5 else row for number, row in enumerate(rows())]
    write_table(folder / "table.csv", wrong)
    assert "table.csv:7: lower: a pressure is negative. Mend it." in call(folder, "check", "own.yaml").stderr


@pytest.mark.slow
def test_a_column_of_ones_own_is_trained_scored_explained_and_exported(folder):
    mmtrain(folder, "inspect-data", "own.yaml")
    mmtrain(folder, "fit", "own.yaml", "--output", "runs")
    run = folder / "runs" / "own" / "1"
    known = json.loads((run / "columns.json").read_text())["columns"]["pressure"]
    assert (known["role"], known["headers"]) == ("pressure", ["upper", "lower"])
    learned = json.loads((run / "statistics.json").read_text())["columns"]["pressure"]
    assert learned["kind"] == "pressure"
    assert learned["missing"] > 0
    mmtrain(folder, "evaluate", str(run))
    wrong = json.loads((run / "worst_predictions_test.json").read_text())
    assert "upper: 1" in json.dumps(wrong)
    usual = " over ".join(str(round(center)) for center in known["centers"])
    assert f"usual pressure {usual}" in (run / "report.html").read_text()
    write_table(folder / "later.csv", [{"upper": 190, "lower": 100, "age": 40}] * 3 + [{"upper": "", "lower": "", "age": 50}])
    done = mmtrain(folder, "predict", str(run), "later.csv", "-o", "found.csv")
    assert "pressure: more are high." in done
    assert "pressure: masked, the cell is empty" in (folder / "found.csv").read_text()
    assert "the usual pressure" in mmtrain(folder, "explain", str(run), "--json")
    for form in ("keras", "saved_model"):
        mmtrain(folder, "export", str(run), "--format", form)
    (signature,) = run.rglob("*saved_model*/signature.json")
    found = json.loads(signature.read_text())
    assert (found["headers"]["upper"], found["headers"]["lower"]) == (["pressure"], ["pressure"])
    program = subprocess.run(
        [sys.executable, str(signature.parent / "run.py"), str(signature.parent / found["file"]), str(folder / "later.csv")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert program.returncode == 0, program.stderr
    assert len(json.loads(program.stdout)["outputs"]["prediction"]) == 4
