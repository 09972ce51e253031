"""One thing of each kind from a user's own file, through `--code`: in the schema, in training, report, explanation and export.

A column type, a branch and a task of one's own have tests of their own: tests/columns, tests/model and tests/targets.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import write_experiment, write_table

import mmtrain

DOCS = Path(__file__).parents[2] / "docs" / "extending.md"
PACKAGE = Path(mmtrain.__file__).parent
OWN = '''
"""Everything that mmtrain can be given from outside, one of each kind."""

from dataclasses import replace
from typing import Annotated

import numpy as np
import typer
from pydantic import Field

from mmtrain.artifacts.analysis_results import AnalysisTable
from mmtrain.audit.checks import audit_check
from mmtrain.audit.finding import Finding
from mmtrain.cli import command
from mmtrain.evaluation.analyses.registered_analyses import analysis
from mmtrain.export import export_format, export_formats
from mmtrain.fusions import fusion
from mmtrain.metrics import metric
from mmtrain.optim import loss, optimizer, schedule
from mmtrain.splits import split_method
from mmtrain.splits.plan import Partition, SplitPlan
from mmtrain.trackers import tracker


@fusion
def largest(features, present):
    """The largest of all features."""
    import keras

    from mmtrain.layers.fusion import Mask

    masked = [keras.layers.Dense(4)(Mask(fill=0.0)(feature, present[name])) for name, feature in features.items()]
    return keras.layers.Maximum()(masked) if len(masked) > 1 else masked[0]


@split_method
def every_fifth(rows, *, start: Annotated[int, Field(ge=0, lt=5)] = 0):
    """Every fifth row is scored, the one after it validates."""
    codes = np.zeros(rows.count, dtype=np.int8)
    places = (np.arange(rows.count) - start) % 5
    codes[places == 0], codes[places == 1] = 2, 1
    return SplitPlan.of(Partition.from_codes(codes), description="Every fifth row was taken")


@optimizer
def signs(settings, *, beta: Annotated[float, Field(gt=0, lt=1)] = 0.9):
    """Steps of one size."""
    import keras

    return keras.optimizers.Lion(**settings, beta_1=beta)


@schedule
def halves(position, *, every: Annotated[int, Field(ge=1)] = 2) -> float:
    """The rate is halved every few epochs."""
    return 0.5 ** (int(position.epoch) // every)


@loss("binary")
def hinge(target, truth, raw, *, margin: Annotated[float, Field(gt=0)] = 1.0):
    """Hinge loss of the logit."""
    import tensorflow as tf

    sign = 2.0 * tf.cast(truth, tf.float32) - 1.0
    return tf.nn.relu(margin - sign * tf.reshape(raw, (-1,)))


@metric("binary", higher_is_better=True, title="Youden's J")
def youden(y_true, prediction, target):
    called = target.predict_label(prediction) == target.columns[1]
    return called[y_true == 1].mean() - called[y_true == 0].mean() if len(np.unique(y_true)) == 2 else float("nan")


@audit_check
def impossible_values(values, rows):
    high = [column.header for column in values.columns if column.numbers is not None and np.nanmax(column.numbers) > 15]
    fault = ("values above 15.", "They are typing errors.", "Correct them.")
    return [Finding("warning", "impossible_values", header, *fault) for header in high]


@analysis
def errors_by_z(rows):
    wrong = rows.answers.target.predict_label(rows.answers.prediction) != rows.answers.target.decode_truth(rows.answers.truth)
    cells = rows.cells("z")
    lines = [[name, int((cells == name).sum()), float(wrong[cells == name].mean())] for name in sorted(set(cells))]
    return AnalysisTable(head=["z", "Rows", "Share of errors"], rows=lines, caption="Errors by z", note="Of the rows with an answer.")


@tracker
class Diary:
    def __init__(self, folder, *, word: str = "epoch"):
        self.path, self.word = folder / "diary.txt", word

    def epoch_ended(self, event):
        with self.path.open("a") as file:
            print(self.word, event.epoch, file=file)


@tracker
def broken(folder):
    raise OSError("no network")


@command
def count_errors(run: Annotated[str, typer.Argument(help="A run folder.")]) -> None:
    """Count the errors of a run on its test rows."""
    import mmtrain

    typer.echo(mmtrain.load(run).scores.query("split == 'test' and score == 'accuracy'").value.item())


export_format(replace(export_formats["saved_model"], name="folder"))
'''
TREE = """
columns: {x: {role: numeric}, z: {role: categorical}, y: {role: target, task: binary, loss: {method: hinge, margin: 0.5}}}
branches: {a: {columns: [x]}, b: {columns: [z]}}
fusion: {method: largest, units: [4]}
split: {method: every_fifth, start: 1}
training:
  epochs: 6
  learning_rate: 0.02
  batch_size: 16
  jit: 'off'
  steps_per_call: 1
  optimizer: {method: signs, beta: 0.8}
  schedule: {method: halves, every: 1}
  early_stopping: {monitor: validation_youden}
  trackers: [{name: diary, word: after epoch}, broken, {name: steps, every: 4}]
evaluation: {draws: 100, baselines: [majority]}
"""


def run(folder, *arguments, first=False):
    called = [sys.executable, "-m", "mmtrain", *(("--code", "own.py", *arguments) if first else (*arguments, "--code", "own.py"))]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(called, cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def folder(tmp_path):
    rows = [{"x": row % 7 if row else 20, "z": "ab"[row % 2], "y": int(row % 7 + row % 3 > 4)} for row in range(200)]
    write_table(tmp_path / "table.csv", rows)
    write_experiment(tmp_path / "own.yaml", TREE)
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return tmp_path


IN_ONE = """
from mmtrain.cli.app import run
assert [run(['schema', '--code', 'own.py']), run(['check', 'own.yaml'])] == [0, 0]  # registered in this process
"""


def test_schema_and_check_know_what_a_file_registers(folder):
    done = subprocess.run([sys.executable, "-c", IN_ONE], cwd=folder, capture_output=True, text=True, timeout=300, check=True)
    document, end = json.JSONDecoder().raw_decode(done.stdout)
    schema = json.dumps(document["$defs"])
    for name in ("largest", "every_fifth", "signs", "halves", "hinge", "diary"):
        assert f'"const": "{name}"' in schema or f'"{name}"' in schema
    assert "own.yaml" in done.stdout[end:]


@pytest.mark.slow
def test_command_of_a_file_is_listed_and_run_when_the_file_comes_first(folder):
    words = [["--code", "own.py", *words] for words in (["-h"], ["count-errors", "-h"])]
    program = f"from mmtrain.cli.app import run\nassert [run(words) for words in {words}] == [0, 0]"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.count("Count the errors of a run on its test rows.") == 2
    assert "A run folder." in done.stdout


@pytest.mark.slow
def test_what_a_file_registers_is_used_by_every_command(folder):
    findings = json.loads(run(folder, "inspect-data", "own.yaml", "--json").stdout)["findings"]
    assert [one["where"] for one in findings if one["kind"] == "impossible_values"] == ["x"]
    trained = run(folder, "fit", "own.yaml", "--output", "runs")
    assert "the tracker `broken` failed and is left out from now on: OSError: no network." in " ".join(trained.stderr.split())
    made = folder / "runs" / "own" / "1"
    split = (made / "split.csv").read_text().splitlines()[1:]
    assert sum(line.endswith("test") for line in split) == 40
    lines = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines]
    assert rates[1] == pytest.approx(rates[0] / 2)
    assert all("validation_youden" in line for line in lines)
    assert (made / "diary.txt").read_text().splitlines() == [f"after epoch {epoch}" for epoch in range(1, 7)]
    steps = [line.split(",")[:2] for line in (made / "steps.csv").read_text().splitlines()]
    assert steps == [["epoch", "step"], *([str(epoch), str(step)] for epoch in range(1, 7) for step in (4, 8))]
    shown = run(folder, "evaluate", str(made)).stdout
    assert "Errors by z" in shown
    assert "Of the rows with an answer." in shown
    result = json.loads((made / "metrics.json").read_text())["test"]["y"]
    assert list(result["scores"])[-1] == "youden"
    assert {"value", "low", "high"} <= set(result["scores"]["youden"])
    assert result["analyses"]["errors_by_z"]["head"] == ["z", "Rows", "Share of errors"]
    assert [line[:2] for line in result["analyses"]["errors_by_z"]["rows"]] == [["a", 20], ["b", 20]]
    assert "Errors by z" in (made / "report.html").read_text()
    accuracy = result["scores"]["accuracy"]["value"]
    assert float(run(folder, "count-errors", str(made), first=True).stdout) == pytest.approx(accuracy)
    assert "Youden&#39;s J" in (made / "report.html").read_text()
    run(folder, "explain", str(made))
    run(folder, "export", str(made), "--format", "folder")
    (signature,) = made.rglob("signature.json")
    assert json.loads(signature.read_text())["format"] == "folder"


def test_the_page_on_extending_names_files_that_exist():
    named = re.findall(r"`((?:mmtrain|tests|docs|benchmarks)/[\w/.]+)`", DOCS.read_text(encoding="utf-8"))
    assert len(named) > 20
    assert [name for name in named if not (PACKAGE.parent / name).exists()] == []
