"""Several targets of which rows lack some answers (`missing: mask`): who learns from which rows, the loss, and what is told."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tiny import ready, write_experiment, write_table

from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.inspect_data import inspect_experiment
from mmtrain.config import load
from mmtrain.data.tables.read_table import read_tolerantly
from mmtrain.targets import BinaryTarget, MulticlassTarget, OrdinalTarget, VectorTarget
from mmtrain.targets.numbers.regression import FittedRegression
from mmtrain.training.linear_base import _fitted_rows

TREE = """
columns:
  x: {{role: numeric}}
  sick: {{role: target, task: binary, missing: {missing}, class_weights: balanced}}
  days: {{role: target, task: regression, missing: {missing}}}
  part: {{role: split}}
split: {{method: column}}
training: {{epochs: 2, batch_size: 8, learning_rate: 0.01, jit: 'off', steps_per_call: 2}}
evaluation: {{draws: 100, permutations: 0}}
"""


def table(folder):
    """Of 80 rows, every fourth lacks `sick`, every fifth `days`, and every twentieth both; validation rows have other numbers."""
    parts = ["train"] * 5 + ["validation", "test", "train"]
    rows = [
        {
            "x": row % 7 - 3,
            "sick": ("NA" if row % 8 == 0 else "") if row % 4 == 0 else ("yes" if row % 7 > 4 else "no"),
            "days": "" if row % 5 == 0 else 10 * (row % 7) + (1000 if row % 8 in (5, 6) else 0),
            "part": parts[row % 8],
        }
        for row in range(80)
    ]
    write_table(folder / "table.csv", rows)
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("missing_answers")
    table(folder)
    write_experiment(folder / "a.yaml", TREE.format(missing="mask"))
    return folder


def test_rows_without_any_answer_are_left_out_and_told(place):
    encoded = ready(place / "a.yaml")
    gone = [(one.row, one.reason) for one in encoded.data.table.dropped]
    assert gone == [(row, "sick and days: no target has an answer.") for row in (0, 20, 40, 60)]
    assert len(encoded.data.table) == 76


def test_each_target_learns_from_the_training_rows_that_have_its_answer(place):
    encoded = ready(place / "a.yaml")
    # In the file: rows of the training part that stay, and have the answer.
    kept = [row for row in range(80) if row % 20 and row % 8 not in (5, 6)]
    sick = ["yes" if row % 7 > 4 else "no" for row in kept if row % 4]
    days = np.array([10.0 * (row % 7) for row in kept if row % 5])
    target, number = encoded.fitted.targets["sick"], encoded.fitted.targets["days"]
    assert target.class_counts == {"no": sick.count("no"), "yes": sick.count("yes")}
    assert (number.center, number.scale, number.maximum) == (pytest.approx(days.mean()), pytest.approx(days.std()), 60)
    assert target.answered_share == pytest.approx(len(sick) / len(kept))
    assert number.answered_share == pytest.approx(len(days) / len(kept))


def test_rows_without_an_answer_have_weight_0_for_that_target_alone(place):
    encoded = ready(place / "a.yaml")
    rows = encoded.data.table.rows
    assert ((encoded.arrays.weights["sick"] == 0) == (rows % 4 == 0)).all()
    assert ((encoded.arrays.weights["days"] == 0) == (rows % 5 == 0)).all()


def test_the_loss_is_the_mean_over_answers_and_has_a_gradient_next_to_gaps():
    target = FittedRegression(column="y", loss_weight=1, center=1, scale=2, minimum=0, maximum=9, error="squared", answered_share=0.5)
    truth, weight = tf.constant([3.0, np.nan, 5.0, np.nan], tf.float64), tf.constant([1.0, 0.0, 1.0, 0.0])
    raw = tf.Variable([[0.0], [7.0], [0.0], [-7.0]])
    with tf.GradientTape() as tape:
        loss = target.loss(truth, raw, weight)
    # Standardized answers are 1 and 2.
    assert float(loss) == pytest.approx((1 + 4) / 2)
    assert tape.gradient(loss, raw).numpy().tolist() == [[-1.0], [0.0], [-2.0], [0.0]]


def test_a_missing_number_of_several_is_no_answer():
    """Filled with a number before the loss, it would be learned as one."""
    cells = {"a": pd.Series(["10", "14"], dtype="str"), "b": pd.Series(["1", "5"], dtype="str")}
    target = VectorTarget(column="y", columns=("a", "b"), missing="mask").fit(cells, "none")
    raw = tf.Variable([[0.0, 3.0]])
    with tf.GradientTape() as tape:
        loss = target.minimized(tf.constant([[14.0, np.nan]], tf.float64), raw)
    assert loss.numpy().tolist() == pytest.approx([0.5])  # (1 - 0) ** 2 of the first number, over both
    assert tape.gradient(loss, raw).numpy().tolist() == [[-1.0, 0.0]]


@pytest.mark.parametrize("task", [BinaryTarget, MulticlassTarget, OrdinalTarget])
def test_every_task_with_classes_keeps_its_sampling(task):
    cells = {"y": pd.Series(["1", "2", "1"], dtype="str")}
    assert task(column="y", sample="balanced").fit(cells, "none").is_sampled


def test_the_linear_base_uses_every_row_with_an_answer(place):
    encoded = ready(place / "a.yaml")

    class Base:
        width = 1

    class Data:
        partition, arrays, fitted, training = encoded.partition, encoded.arrays, encoded.fitted, encoded.experiment.training

    assert len(_fitted_rows(Data, Base)) == len(encoded.partition.train)


def test_a_target_that_refuses_missing_answers_is_asked_for_every_row(tmp_path):
    table(tmp_path)
    tree = TREE.format(missing="mask").replace("task: regression, missing: mask", "task: regression")
    experiment = load(write_experiment(tmp_path / "a.yaml", tree))
    reading = read_tolerantly(experiment.data.table, experiment.columns)
    assert len(reading.table) == 80
    assert [str(problem.where) for problem in reading.problems] == ["table.csv:2: days"]


@pytest.mark.slow
def test_a_training_scores_each_target_on_its_rows(place):
    run = fit(place / "a.yaml", output=place / "runs").run
    lines = run.read_lines("metrics.jsonl")
    assert all(np.isfinite(line.values[name]) for line in lines for name in ("train_loss", "validation_sick_loss", "validation_days_loss"))
    results = evaluate(str(run.folder), EvaluateOptions(), output=place / "runs").targets
    kept = [row for row in range(6, 80, 8) if row % 20]
    assert (results["sick"].rows, results["sick"].unknown_answers) == (sum(row % 4 > 0 for row in kept), sum(row % 4 == 0 for row in kept))
    assert (results["days"].rows, results["days"].unknown_answers) == (sum(row % 5 > 0 for row in kept), sum(row % 5 == 0 for row in kept))
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "no answer" in report
    assert "not scored for days: the answer is missing" in report
    assert "no target has an answer" in report


def test_a_plan_says_what_mask_would_do_to_an_answer(place):
    reading = inspect_experiment(place / "a.yaml").missing
    assert {plan.header: plan.effects["mask"] for plan in reading} == {
        "sick": "20 rows count for other targets alone",
        "days": "16 rows count for other targets alone",
    }


def test_row_without_one_of_two_headers_counts_only_where_each_is_an_answer():
    from mmtrain.audit.quality.missing_value_policies import _counts_for_the_others
    from mmtrain.targets import CountTarget, RankingTarget, SurvivalTarget, VectorTarget

    assert _counts_for_the_others(VectorTarget(column="y", columns=("a", "b")))
    others = CountTarget(column="a", exposure="b"), RankingTarget(column="a", group="b"), SurvivalTarget(column="y", time="a", event="b")
    assert not any(map(_counts_for_the_others, others))


@pytest.mark.parametrize(
    ("target", "effect"),
    [
        (
            {"task": "survival", "time": "days", "event": "sick"},
            {"sick": "20 rows leave, 60 are left", "days": "16 rows leave, 64 are left"},
        ),
        ({"task": "vector", "columns": ["x", "days"]}, {"days": "16 rows do without this number"}),
    ],
)
def test_a_plan_of_one_target_says_what_its_missing_answers_cost(tmp_path, target, effect):
    table(tmp_path)
    columns = {"part": {"role": "numeric"}} if target["task"] == "vector" else {"x": {"role": "numeric"}}
    columns["y"] = {"role": "target", "missing": "mask", **target}
    plans = inspect_experiment(write_experiment(tmp_path / "a.yaml", {"columns": columns})).missing
    assert {plan.header: plan.effects["mask"] for plan in plans} == effect
    assert {plan.header: plan.effects["drop"] for plan in plans} == effect
