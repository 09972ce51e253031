"""Permutation importance: shuffled inputs, drops in the scores, and the results in the run folder."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tiny import two_blobs, write_experiment

from mmtrain.artifacts.analysis_results import InputImportance, PermutationImportance
from mmtrain.artifacts.results import TargetResult
from mmtrain.cli.views.analyses import show_analyses
from mmtrain.commands.evaluate import evaluate
from mmtrain.commands.fit import fit
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.analyses.permutation_importance import (
    Budget,
    PermutedInput,
    donor_rows,
    permutation_importance,
    permuted_inputs,
    sample_rows,
)
from mmtrain.evaluation.evaluation_set import MultiTargetEvalSet
from mmtrain.metrics.score import Estimate
from mmtrain.reports.target_results.input_importance import contribution_sentence, shortened_sentence
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.numbers.regression import FittedRegression

pytestmark = pytest.mark.usefixtures("models_opened_once")

ILL = FittedBinary(column="ill", loss_weight=1, classes=("no", "yes"), counts=(10, 10), weights=(1, 1), threshold=0.5)
PRICE = FittedRegression(column="price", loss_weight=1, error="squared", center=0, scale=1, minimum=-9, maximum=9)
SIGNAL, NOISE = PermutedInput("table", ("signal",), whole=False), PermutedInput("table", ("noise",), whole=False)


def found(target, truth, cells, **options):
    """Return the drops for a target that is predicted as the column `signal`, whatever the column `noise` has."""
    result = contributions_to(target, truth, cells, **options)
    return {one.name: one.losses for one in result["y"].inputs} if result else {}


def contributions_to(target, truth, cells, *, groups=None, budget=None, **section):
    """Return the whole result for the same model."""
    truth = np.asarray(truth, dtype=np.float32 if target is PRICE else np.int32)
    cells = {key: np.asarray(values, dtype=np.float32) for key, values in cells.items()}

    def predicted(signal):
        return {"y": signal[:, None]}

    def shuffled(one, rows):
        return predicted(cells["signal"][rows] if one is SIGNAL else cells["signal"])

    truths = MultiTargetEvalSet(
        {"y": target}, {"y": truth}, {"y": "auc" if target is ILL else "rmse"}, None if groups is None else np.asarray(groups)
    )
    asked = Evaluation(draws=200, **section)
    before = {"y": truths.eval_set("y", predicted(cells["signal"])["y"]).resample(asked)}
    return permutation_importance(truths, before, shuffled, (SIGNAL, NOISE), asked, budget=budget)


def test_a_column_that_tells_all_contributes_all_and_one_that_is_not_looked_at_nothing():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 400)
    losses = found(ILL, truth, {"signal": (truth + generator.random(400)) / 2, "noise": generator.random(400)})
    auc = losses["signal"]["auc"]
    assert 0.45 < auc.value < 0.55  # from 1 to guessing
    assert 0.35 < auc.interval.low < auc.value < auc.interval.high < 0.65
    assert {(name, loss.value, loss.interval) for name, loss in losses["noise"].items()} == {(name, 0.0, None) for name in losses["signal"]}


def test_a_loss_is_above_0_where_the_score_becomes_worse_also_where_lower_is_better():
    losses = found(PRICE, [0, 1] * 4, {"signal": [0, 1] * 4, "noise": [0] * 8}, permutations=40)
    assert 0.5 < losses["signal"]["rmse"].value < 0.85  # 0.72 where four of seven donors have the other number
    assert losses["signal"]["r2"].value > 0.5


def clock_of(*seconds):
    """Return a clock that advances by these seconds from one call to the next, and by the last of them from then on."""
    now, steps = [0.0], list(seconds)

    def look():
        now[0] += steps.pop(0) if len(steps) > 1 else steps[0]
        return now[0]

    return look


ALTERNATING = ([0, 1] * 10, {"signal": [0, 1] * 10, "noise": [0] * 20})


def test_results_do_not_depend_on_a_budget_that_suffices():
    whole = contributions_to(ILL, *ALTERNATING)["y"]
    again = contributions_to(ILL, *ALTERNATING, budget=Budget(100, clock=clock_of(1)))["y"]
    assert again.to_json() == whole.to_json()
    assert (whole.permutations, whole.permutations_asked, whole.left_out) == (5, None, [])
    assert not {"permutations_asked", "left_out"} & whole.to_json().keys()


def test_inputs_are_shuffled_less_often_where_the_time_does_not_suffice():
    """Every call of the clock takes a second, and so does a shuffle: ten shuffles of two inputs do not fit into six."""
    short = contributions_to(ILL, *ALTERNATING, budget=Budget(6, clock=clock_of(1)))["y"]
    assert (short.permutations, short.permutations_asked, [one.name for one in short.inputs]) == (3, 5, ["signal", "noise"])
    same = contributions_to(ILL, *ALTERNATING, permutations=3)["y"]
    assert [one.losses["auc"].value for one in short.inputs] == [one.losses["auc"].value for one in same.inputs]
    assert shortened_sentence(short) == (
        "Each input was shuffled 3 times instead of 5, because the time limit does not suffice for all inputs."
    )
    assert shortened_sentence(same) == ""


def test_inputs_that_the_time_does_not_reach_are_named_and_progress_is_told():
    messages = []
    short = contributions_to(ILL, *ALTERNATING, budget=Budget(1, say=messages.append, clock=clock_of(1, 1, 1, 1, 1, 20)))["y"]
    assert (short.permutations, short.left_out, [one.name for one in short.inputs]) == (1, ["noise"], ["signal"])
    assert messages == ["Contributions: 1 of 2 inputs have been shuffled."]
    assert shortened_sentence(short) == (
        "Each input was shuffled 1 time instead of 5 and noise was left out, because the time limit does not suffice for all inputs."
    )


def test_with_two_groups_every_row_takes_the_value_of_the_other_group():
    truth, groups = [0, 0, 0, 0, 1, 1, 1, 1], [5, 5, 5, 5, 2, 2, 2, 2]
    losses = found(ILL, truth, {"signal": truth, "noise": truth}, groups=groups)
    assert (losses["signal"]["auc"].value, losses["signal"]["accuracy"].value) == (1.0, 1.0)  # all right before, all wrong after


def test_rows_without_a_known_answer_give_values_but_are_not_scored():
    truth = [0, 0, 1, 1, -1, -1]
    losses = found(ILL, truth, {"signal": [0.1, 0.2, 0.8, 0.9, 0.5, 0.5], "noise": [0] * 6}, permutations=3)
    assert 0 < losses["signal"]["auc"].value <= 1


@pytest.mark.parametrize(
    ("truth", "section"), [([1], {}), ([1, 0, 1], {"permutations": 0}), ([-1, -1, 0], {})], ids=["a row", "no shuffle", "an answer"]
)
def test_nothing_is_said_without_two_rows_or_without_a_shuffle(truth, section):
    assert found(ILL, truth, {"signal": [0.5] * len(truth), "noise": [0] * len(truth)}, **section) == {}


@pytest.mark.parametrize("groups", [range(9), [0, 0, 0, 1, 1, 2, 3, 3, 3], [0, 1, 0, 1, 0, 1, 0, 1]])
def test_donors_are_a_permutation_in_which_no_row_keeps_a_value_of_its_group(groups):
    codes = np.asarray(groups)
    generator = np.random.default_rng(4)
    for _ in range(50):
        rows = donor_rows(codes, generator)
        assert sorted(rows) == list(range(len(codes)))
        assert (codes[rows] != codes).all()


def test_donors_of_a_seed_are_pinned():
    assert donor_rows(np.arange(6), np.random.default_rng(0)).tolist() == [4, 0, 5, 2, 3, 1]
    assert donor_rows(np.array([0, 0, 1, 1, 2, 2]), np.random.default_rng(0)).tolist() == [5, 4, 0, 1, 3, 2]


def test_of_a_group_with_most_of_the_rows_half_take_values_of_their_own_group():
    codes = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    rows = donor_rows(codes, np.random.default_rng(1))
    assert sorted(rows) == list(range(8))
    assert (rows != np.arange(8)).all()
    assert int((codes[rows] != codes).sum()) == 4


@pytest.mark.parametrize(
    ("branches", "names"),
    [
        ({"all": ["age"]}, []),
        ({"all": ["age", "sex"]}, ["age", "sex"]),
        ({"scan": ["image"], "note": ["text"]}, ["scan", "note"]),
        ({"scan": ["image"], "table": ["age", "sex"]}, ["scan", "table", "age", "sex"]),
    ],
)
def test_branches_are_shuffled_and_the_columns_of_those_that_have_several(branches, names):
    assert [one.name for one in permuted_inputs(branches)] == names


def test_of_many_rows_a_sample_is_shuffled():
    assert sample_rows(3, 0).tolist() == [0, 1, 2]
    rows = sample_rows(6000, 0)
    assert (len(set(rows.tolist())), rows.tolist() == sorted(rows.tolist()), rows.max() < 6000) == (5000, True, True)


TREE = """
columns:
  x: {role: numeric}
  noise: {role: numeric}
  colour: {role: categorical, missing: mask}
  y: {role: target, task: binary}
branches:
  numbers: {columns: [x, noise], architecture: mlp, units: [8]}
  colour: {columns: [colour], architecture: mlp, units: [2]}
split: {method: random, validation: 0.2, test: 0.5}
training: {epochs: 20, batch_size: 8, learning_rate: 0.03, early_stopping: {monitor: validation_auc}}
evaluation: {permutations: 3, draws: 200}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contribution")
    two_blobs(folder, 80, noise=lambda row: row * 37 % 11, colour=lambda row: ("red", "blue", "", "green")[row // 2 % 4])
    return fit(write_experiment(folder / "a.yaml", TREE), output=folder / "runs").run


@pytest.fixture(scope="module")
def scored(run):
    return evaluate(str(run.folder)), run.read_json("metrics.json")["test"]["y"]


@pytest.mark.slow
def test_a_run_keeps_what_its_branches_and_columns_contribute(run, scored):
    kept = scored[1]["contributions"]
    assert (kept["main"], kept["rows"], kept["permutations"], kept["draws"]) == ("auc", 40, 3, 200)
    assert [(one["name"], one["branch"], one["whole_branch"]) for one in kept["inputs"]] == [
        ("numbers", "numbers", True),
        ("x", "numbers", False),
        ("noise", "numbers", False),
        ("colour", "colour", True),
    ]
    losses = {one["name"]: one["losses"]["auc"] for one in kept["inputs"]}
    assert losses["x"]["value"] > 0.3
    assert losses["x"]["low"] > 0.2
    assert abs(losses["noise"]["value"]) < 0.1
    assert abs(losses["colour"]["value"]) < 0.1
    lines = pd.read_csv(run / "contributions_test.csv", keep_default_na=False)
    assert lines.query("score == 'auc'")[["target", "branch", "column"]].to_numpy().tolist() == [
        ["y", "numbers", ""],
        ["y", "numbers", "x"],
        ["y", "numbers", "noise"],
        ["y", "colour", ""],
    ]
    assert lines["loss"].tolist() == pytest.approx([loss["value"] for one in kept["inputs"] for loss in one["losses"].values()])


def test_a_run_keeps_how_rows_fare_without_some_inputs(run, scored):
    kept = scored[1]["missing_patterns"]
    table = pd.read_csv(run.folder.parents[2] / "table.csv", keep_default_na=False)
    empty = int((table["colour"][pd.read_csv(run / "predictions_test.csv")["row"]] == "").sum())
    assert [(one["missing"], one["rows"]) for one in kept["patterns"]] == [([], 40 - empty), (["colour"], empty)]
    (masked,) = kept["masked"]  # the numbers can never be absent
    training = run.read_json("statistics.json")["columns"]["colour"]["missing"]
    assert (masked["branch"], masked["rows"], masked["training_rows_without"]) == ("colour", 40, training)
    before, after = (found["scores"]["auc"]["value"] for found in (scored[1], masked))
    assert masked["losses"]["auc"]["value"] == pytest.approx(before - after)


def test_contributions_are_in_the_report(run, scored):
    report = scored[0].report.read_text()
    assert "Contributions to y on the 40 test rows" in report
    assert "AUC of y on the 40 test rows without one branch" in report
    assert (run / "plots" / "contributions_test.png").is_file()


def test_contributions_are_shown_in_the_terminal(scored):
    console = Console(width=100, file=io.StringIO(), highlight=False)
    found = PermutationImportance.model_validate(scored[1]["contributions"])
    show_analyses(console, TargetResult.model_construct(contributions=found))
    shown = console.file.getvalue()
    assert [line.split("  ")[0] for line in shown.splitlines()[1:3]] == ["input", "numbers"]
    assert shown.endswith("when the input is shuffled among 40 rows, mean of 3\n")


def test_contributions_to_an_undefined_score_are_a_sentence():
    console = Console(width=100, file=io.StringIO())
    one = InputImportance(name="x", branch="table", columns=["x"], whole_branch=False, losses={})
    found = PermutationImportance(main="auc", rows=9, permutations=3, confidence=0.95, draws=200, inputs=[one])
    show_analyses(console, TargetResult.model_construct(contributions=found))
    assert console.file.getvalue() == "The contribution of the inputs to the AUC is undefined.\n"


@pytest.mark.parametrize(("low", "claim"), [(-0.1, "clear has the largest contribution that is shown"), (0.1, "vague contributes most")])
def test_an_input_with_a_larger_but_unclear_drop_is_not_called_smaller(low, claim):
    drops = {"vague": Estimate(value=0.2, low=low, high=0.4), "clear": Estimate(value=0.1, low=0.05, high=0.15)}
    inputs = [InputImportance(name=name, branch=name, columns=[name], whole_branch=True, losses={"auc": drops[name]}) for name in drops]
    importance = PermutationImportance(main="auc", rows=9, permutations=3, confidence=0.95, draws=200, inputs=inputs)
    assert contribution_sentence(importance).startswith(f"{claim}: with its values shuffled among the rows, the AUC is worse by ")


def test_draws_of_the_model_are_scored_once(run, scored, monkeypatch):
    """With a baseline, shuffled inputs and an ablated branch."""
    predictions = []
    plain = FittedBinary.scorer

    def noted(target, truth, prediction):
        predictions.append(prediction.tobytes())
        return plain(target, truth, prediction)

    monkeypatch.setattr(FittedBinary, "scorer", noted)
    evaluate(str(run.folder))
    model = predictions[0]  # the rows as they are come first
    assert predictions.count(model) == 1
    assert len(predictions) == 1 + 1 + 4 * 3 + 1 + 2  # two patterns


def test_predictions_and_scores_are_those_of_an_evaluation_that_shuffles_nothing(run, scored):
    rows, scores = (run / "predictions_test.csv").read_bytes(), scored[1]["scores"]
    text = (run / "config.yaml").read_text()
    assert text.count("permutations: 3") == 1
    (run / "config.yaml").write_text(text.replace("permutations: 3", "permutations: 0"))
    run.seal("config.yaml")
    evaluate(str(run.folder))
    again = run.read_json("metrics.json")["test"]["y"]
    assert ((run / "predictions_test.csv").read_bytes(), again["scores"]) == (rows, scores)
    assert "contributions" not in again
    assert not (run / "contributions_test.csv").exists()
    (run / "config.yaml").write_text(text)
    run.seal("config.yaml")
