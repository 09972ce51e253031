"""Comparison of runs: DeLong's test, paired differences, comparable runs, and the messages for others."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import norm
from tiny import two_blobs, write_experiment, write_table

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.atomic_files import file_hash
from mmtrain.artifacts.command_results import PairedDifference
from mmtrain.artifacts.run_folder import FORMAT, Run
from mmtrain.cli.app import run as command_line
from mmtrain.cli.comparison import compare as compare_view
from mmtrain.columns.vectorizers.fitted_number import FittedNumeric
from mmtrain.commands.comparison.compare import compare, differing_settings
from mmtrain.commands.evaluate import evaluate
from mmtrain.commands.fit import fit
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.data import encode
from mmtrain.errors import RunError, UsageError
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.comparison import compare_target, delong
from mmtrain.evaluation.prediction_table import parse_predictions, prediction_frame, to_csv
from mmtrain.metrics.labels.auc import placements
from mmtrain.metrics.score import Score
from mmtrain.reports.target_results import baselines
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

# The test of DeLong


def wins(truth, score):
    """Compare every positive row (down) with every negative one (across): 1 if it scores higher, a half for a tie."""
    difference = score[truth == 1][:, np.newaxis] - score[truth == 0]
    return (difference > 0) + (difference == 0) / 2


def two_scores(seed, rows=60, decimals=1):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, rows)
    first = truth + generator.normal(size=rows)
    return truth, np.round(first, decimals), np.round(first + generator.normal(size=rows) * 0.7, decimals)


@pytest.mark.parametrize("seed", range(4))
def test_delong_is_the_formula_of_1988(seed):
    """Variance of the difference: that of the mean win of each positive row, over their number, plus the same of negative rows."""
    truth, first, second = two_scores(seed)
    difference = wins(truth, second) - wins(truth, first)
    variance = sum(difference.mean(axis=axis).var(ddof=1) / difference.shape[1 - axis] for axis in (0, 1))

    found = delong(truth, first, second)
    assert found.difference == pytest.approx(difference.mean())
    assert found.standard_error == pytest.approx(np.sqrt(variance))
    assert found.to_json() == {"difference": found.difference, "standard_error": found.standard_error, "p": found.p}


def test_delong_p_is_that_of_a_normal_deviate():
    truth, first, second = two_scores(0)
    found = delong(truth, first, second)
    assert found.p == pytest.approx(2 * norm.sf(abs(found.difference) / found.standard_error))


def test_placements_are_shares_of_wins():
    truth, score = np.array([1, 0, 1, 0, 0]), np.array([0.9, 0.4, 0.4, 0.1, 0.95])
    beats, beaten = placements(truth == 1, score)
    assert beats.tolist() == pytest.approx([2 / 3, 1.5 / 3])
    assert beaten.tolist() == pytest.approx([1.5 / 2, 2 / 2, 0 / 2])


def test_groups_of_one_row_change_nothing():
    truth, first, second = two_scores(1)
    assert delong(truth, first, second, np.arange(60)[::-1]).standard_error == pytest.approx(delong(truth, first, second).standard_error)


def test_delong_of_rows_that_are_all_there_four_times_knows_that_they_are():
    truth, first, second = two_scores(2, rows=100)
    fourfold = [np.repeat(values, 4) for values in (truth, first, second)]
    alone = delong(truth, first, second).standard_error
    assert delong(*fourfold, np.repeat(np.arange(100), 4)).standard_error == pytest.approx(alone, rel=1e-9)
    assert delong(*fourfold).standard_error == pytest.approx(alone / 2, rel=0.02)


def test_delong_of_groups_agrees_with_a_bootstrap_of_groups():
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(150), 4)
    truth = (generator.random(150) < 0.5).astype(int)[groups]
    first = truth + generator.normal(size=150)[groups] + generator.normal(size=600)
    second = truth + generator.normal(size=150)[groups] + generator.normal(size=600)
    asked = Resampling(Evaluation(draws=2000), groups, "patient").bootstrap(np.ones(600, dtype=bool))
    drawn = [asked.scores(BINARY, truth, 1 / (1 + np.exp(-score))[:, np.newaxis])["auc"] for score in (first, second)]
    assert delong(truth, first, second, groups).standard_error == pytest.approx((drawn[1] - drawn[0]).std(), rel=0.1)


@pytest.mark.parametrize(
    ("truth", "first", "second", "groups"),
    [
        pytest.param([0, 0, 0, 1], [1, 2, 3, 4], [4, 2, 3, 1], None, id="one positive row"),
        pytest.param([0, 0, 0, 0], [1, 2, 3, 4], [4, 2, 3, 1], None, id="one class"),
        pytest.param([0, 0, 1, 1], [1, 4, 3, 2], [2, 8, 6, 4], None, id="the same order"),
        pytest.param([0, 0, 1, 1], [1, 2, 3, 4], [4, 2, 3, 1], [0, 1, 2, 2], id="one group with positive rows"),
    ],
)
def test_delong_is_silent_where_nothing_can_be_told(truth, first, second, groups):
    assert delong(*map(np.array, (truth, first, second)), None if groups is None else np.array(groups)) is None


# Paired differences

BINARY = FittedBinary(column="y", loss_weight=1, classes=("low", "high"), counts=(1, 1), weights=(1, 1))


def compared(truth, *probabilities, groups=None):
    predictions = [np.asarray(one, dtype=np.float32).reshape(-1, 1) for one in probabilities]
    resampling = Resampling(Evaluation(draws=500), groups)
    return compare_target([BINARY] * len(predictions), np.asarray(truth), predictions, resampling)


def test_differences_are_the_other_less_the_first_and_drawn_in_pairs():
    truth, first, second = two_scores(5, rows=300, decimals=3)
    probabilities = [1 / (1 + np.exp(0.5 - score)) for score in (first, second)]
    found = compared(truth, *probabilities)
    auc = {name: scores["auc"] for name, scores in zip("ab", found.scores, strict=True)}
    difference = found.against_first[0].differences["auc"]

    assert (found.rows, found.interval.text) == (300, "500 draws of 300 rows")
    assert difference.value == pytest.approx(auc["b"].value - auc["a"].value)
    assert difference.value < difference.interval.high < 0  # the second score is the first with noise
    apart = sum((score.interval.high - score.interval.low) ** 2 for score in auc.values()) ** 0.5
    assert difference.interval.high - difference.interval.low < 0.9 * apart
    assert found.against_first[0].delong.difference == pytest.approx(difference.value, abs=1e-6)


def test_rows_without_a_known_answer_are_left_out():
    found = compared([0, 1, -1, 0, 1], [0.1, 0.9, 0.5, 0.2, 0.7], [0.3, 0.2, 0.5, 0.2, 0.7])
    assert found.rows == 4


def test_the_same_predictions_do_not_differ():
    truth, first, _ = two_scores(6)
    found = compared(truth, np.clip(first / 5, 0, 1), np.clip(first / 5, 0, 1)).against_first[0]
    assert {score.value for score in found.differences.values()} == {0.0}
    assert {score.note for score in found.differences.values()} == {"No interval: every draw has the same value."}
    assert found.delong is None


def test_a_difference_of_an_undefined_score_is_undefined():
    found = compared([0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.2, 0.4]).against_first[0].differences["auc"]
    assert (found.value, found.undefined) == (None, "AUC needs both classes; this part has only 'low'.")


# Predictions read back

TARGETS = {
    "binary": (BINARY, np.array([0, 1, -1]), np.array([[0.1], [0.7], [1 / 3]])),
    "multiclass": (
        FittedMulticlass(column="y", loss_weight=1, classes=("a", "b", "NA"), counts=(1, 1, 1), weights=(1, 1, 1), label_smoothing=0),
        np.array([2, 0, -1]),
        np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]),
    ),
    "multilabel": (
        FittedMultilabel(
            column="y", loss_weight=1, labels=("a", "b"), one_column_each=True, separator=";", rows=1, counts=(1, 1), weights=(1, 1)
        ),
        np.array([[1, 1], [0, 0], [0, 1]]),
        np.array([[0.1, 0.2], [0.9, 1 / 3], [0.5, 0.5]]),
    ),
    "regression": (
        FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=0, maximum=1, error="squared"),
        np.array([1.5, np.nan, 1 / 3]),
        np.array([[2.5], [-1e-9], [1 / 3]]),
    ),
}


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("task", TARGETS)
def test_predictions_are_read_back_as_they_were(task, several, tmp_path):
    target, truth, prediction = TARGETS[task]
    prediction = prediction.astype(np.float32)
    targets = {"y": target} | ({"other": TARGETS["regression"][0]} if several else {})
    truths = {"y": truth} | ({"other": np.zeros(3)} if several else {})
    rows = prediction_frame(np.arange(3), list("xyz"), targets, truths, {"y": prediction, "other": np.zeros((3, 1))})
    (tmp_path / "p.csv").write_text(to_csv(rows))
    read = pd.read_csv(tmp_path / "p.csv", dtype=str, keep_default_na=False)
    np.testing.assert_array_equal(parse_predictions(read, "y", targets)[0], truth)
    np.testing.assert_array_equal(parse_predictions(read, "y", targets)[1].astype(np.float32), prediction)


# Runs

X = FittedNumeric(fill=0, center=0, scale=1, indicator=False, masked=False, minimum=0, maximum=1, missing=0)
TREE = """
columns:
  x: {role: numeric}
  y: {role: target, task: binary}
split: {method: random, validation: 0.2, test: 0.4}
evaluation: {draws: 200}
"""
GROUPED = TREE.replace("  y:", "  who: {role: id}\n  patient: {role: group}\n  y:")


def two_columns(folder, **columns):
    return two_blobs(folder, 60, who=lambda row: f"r{row}", patient=lambda row: f"p{row // 4}", **columns)


def make_run(folder, name, rows=range(20), tree=TREE, overrides=(), target=BINARY, key="y", table="table.csv", part="test", **look):
    """Write the files of a run that was scored on these `rows` of the table; its predictions follow from its name."""
    run = Run(folder / "runs" / name / "1")
    if not (folder / table).exists():
        two_columns(folder)
    tree = f"name: {name}\ndata: {{table: {table}}}\n{tree}".replace("  y:", f"  {key}:")
    experiment = config.load(write_experiment(folder / f"{name}.yaml", tree), overrides)
    run.write_text("config.yaml", config.to_yaml(experiment, run.folder))
    run.write_text("columns.json", encode.Fitted(columns={"x": X}, targets={key: target}).model_dump_json())
    (run / "model.keras").touch()  # that there is one is all that is asked
    looked = {"part": part, "when": "2026-01-02T00:00:00.000+00:00", "rows": len(rows), "table": table, "path": str(folder / table)}
    looked |= {"sha256": file_hash(folder / table)} | look
    run.write_json(
        "run.json",
        {
            "format": FORMAT,
            "state": "finished",
            "started": "2025-12-31T00:00:00.000+00:00",
            "ended": "2026-01-01T00:00:00.000+00:00",
            "evaluations": [looked],
        },
    )
    write_predictions(run, rows, target=target, key=key, part=part)
    return run


def write_predictions(run, rows, target=BINARY, key="y", part="test", truth=lambda row: row % 2):
    positions = np.array(rows)
    truths = np.array([truth(row) for row in rows])
    noise = np.random.default_rng(len(run.folder.parent.name)).normal(size=1000)[positions]
    predictions = 1 / (1 + np.exp(-(truths - 0.5 + noise)))
    table = prediction_frame(
        positions, [f"r{row}" for row in rows], {key: target}, {key: truths}, {key: predictions.astype("float32")[:, np.newaxis]}
    )
    run.write_text(f"predictions_{part}.csv", to_csv(table))


def called(folder, *which, **options):
    return compare(which, output=folder / "runs", **options)


def refused(folder, *which, **options):
    with pytest.raises(UsageError) as caught:
        called(folder, *which, **options)
    return str(caught.value)


def test_runs_are_compared_on_the_rows_of_a_part(tmp_path):
    make_run(tmp_path, "one")
    make_run(tmp_path, "second", overrides=["branches.table={columns: [x], architecture: mlp, units: [3]}", "training.epochs=5"])
    done = called(tmp_path, "one", "second")
    assert [run.name for run in done.runs] == ["one/1", "second/1"]
    assert (done.part, [run.test_looks for run in done.runs], done.remarks) == ("test", [1, 1], [])
    assert [(key, target.rows, target.interval.text) for key, target in done.targets.items()] == [("y", 20, "200 draws of 20 rows")]
    assert done.settings == {"name": ["one", "second"], "branches.table.units": [[64], [3]], "training.epochs": [30, 5]}


def test_every_run_is_held_to_the_first(tmp_path):
    for name in ("one", "second", "third_one"):
        make_run(tmp_path, name)
    done = called(tmp_path, "second", "third_one", "one").targets["y"]
    assert len(done.against_first) == 2
    for against, scores in zip(done.against_first, done.scores[1:], strict=True):
        assert against.differences["auc"].value == pytest.approx(scores["auc"].value - done.scores[0]["auc"].value)
    assert done.against_first[0].differences["auc"].value != done.against_first[1].differences["auc"].value


def test_comparing_changes_nothing_in_the_runs(tmp_path):
    for name in ("one", "second"):
        make_run(tmp_path, name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    called(tmp_path, "one", "second")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_runs_without_predictions_are_told_how_to_make_them(tmp_path):
    one, other = make_run(tmp_path, "one"), make_run(tmp_path, "second", part="validation")
    assert refused(tmp_path, "one", "second") == (
        f"second/1: the run has no predictions called 'test'. Score it: mmtrain evaluate {other.folder} --part test"
    )
    assert refused(tmp_path, "one", "second", part="calibration").splitlines() == [
        f"{run}: the run has no predictions called 'calibration'. Score it: mmtrain evaluate {run.folder} --part calibration"
        for run in (one, other)
    ]
    assert refused(tmp_path, "one", "second", part="newer").splitlines() == [
        f"{run}: the run has no predictions called 'newer'. Score it: mmtrain evaluate {run.folder} --data TABLE" for run in (one, other)
    ]


def test_predictions_of_weights_that_are_gone_are_not_compared(tmp_path):
    make_run(tmp_path, "one")
    run = make_run(tmp_path, "second")
    run.update(resumed=["2026-01-03T00:00:00.000+00:00"])
    assert refused(tmp_path, "one", "second") == (
        f"second/1: its training went on after its predictions called 'test' were made. Score it: mmtrain evaluate {run.folder} --part test"
    )


def test_runs_on_other_rows_are_refused(tmp_path):
    make_run(tmp_path, "one")
    make_run(tmp_path, "second", rows=range(5, 25))
    make_run(tmp_path, "third_one", rows=range(25))
    make_run(tmp_path, "fourth", rows=range(5))
    way = (
        "Train both with the same `split`, or score both on one table with `mmtrain evaluate RUN --data TABLE` and compare them with "
        "--part and its name."
    )
    assert refused(tmp_path, "one", "second") == f"second/1: only 15 of its 20 test rows are among the 20 of one/1. {way}"
    assert refused(tmp_path, "one", "third_one") == f"third_one/1: only 20 of its 25 test rows are among the 20 of one/1. {way}"
    assert refused(tmp_path, "one", "fourth") == f"fourth/1: it has only 5 of the 20 test rows of one/1. {way}"


def test_runs_on_other_answers_are_refused(tmp_path):
    make_run(tmp_path, "one")
    write_predictions(make_run(tmp_path, "second"), range(20), truth=lambda row: int(row > 4))
    assert refused(tmp_path, "one", "second") == (
        "second/1: 9 of 20 answers to y differ from those of one/1: 'low' instead of 'high' for r1, 'low' instead of 'high' for r3 and "
        "'high' instead of 'low' for r6. Score both on the same table: mmtrain evaluate RUN --data TABLE"
    )


@pytest.mark.parametrize(
    ("other", "remark"),
    [
        ({"key": "z"}, ["y is not compared: second/1 does not predict it.", "z is not compared: one/1 does not predict it."]),
        (
            {"target": BINARY.model_copy(update={"classes": ("high", "low")})},
            ["y is not compared: its task or its classes in second/1 differ from those in one/1."],
        ),
    ],
)
def test_runs_that_predict_something_else_are_refused(tmp_path, other, remark):
    make_run(tmp_path, "one")
    make_run(tmp_path, "second", **other)
    expected = [f"mmtrain compare: {sentence} Compare runs that predict the same targets." for sentence in remark]
    assert refused(tmp_path, "one", "second").splitlines() == expected


@pytest.mark.parametrize("which", [["one"], ["one", "one/1"], ["one", "second", "one"]])
def test_a_comparison_needs_different_runs(tmp_path, which):
    for name in ("one", "second"):
        make_run(tmp_path, name)
    assert refused(tmp_path, *which) == "mmtrain compare: a comparison needs two or more different runs. Name each of them once."


@pytest.mark.parametrize("change", [("truth", "wahr"), (",0.", ",nought "), ("probability_high", "p")])
def test_damaged_predictions_are_told(tmp_path, change):
    make_run(tmp_path, "one")
    path = make_run(tmp_path, "second") / "predictions_test.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(RunError) as caught:
        called(tmp_path, "one", "second")
    assert str(caught.value) == f"{path}: the file is damaged. Score the run again: mmtrain evaluate {path.parent}"


# Groups, ids and other tables


def test_groups_are_drawn_where_the_table_still_says_which(tmp_path):
    for name in ("one", "second"):
        make_run(tmp_path, name, tree=GROUPED)
    done = called(tmp_path, "one", "second")
    assert (done.targets["y"].interval.text, done.remarks) == ("200 draws of 5 groups (patient); with so few, intervals are rough", [])


def test_rows_are_drawn_where_the_table_is_no_longer_there(tmp_path):
    for name in ("one", "second"):
        make_run(tmp_path, name, tree=GROUPED)
    (tmp_path / "table.csv").write_text("patient\n1\n")
    done = called(tmp_path, "one", "second")
    assert done.targets["y"].interval.unit == "row"
    assert done.remarks == [
        "table.csv is gone or has changed since it was scored, so the intervals treat all rows as independent; where rows have the "
        "same patient, they are too narrow.",
    ]


def test_rows_of_another_table_have_its_groups_or_none(tmp_path):
    write_table(tmp_path / "newer.csv", [{"x": 1, "y": "low"}] * 20)
    for name in ("one", "second"):
        make_run(tmp_path, name, tree=GROUPED, part="newer")  # with the groups of the table that was scored
    assert called(tmp_path, "one", "second", part="newer").targets["y"].interval.unit == "group"
    for name in ("one", "second"):
        facts = {"table": "newer.csv", "path": str(tmp_path / "newer.csv"), "sha256": file_hash(tmp_path / "newer.csv")}
        make_run(tmp_path, name, tree=GROUPED, part="newer", **facts)
    done = called(tmp_path, "one", "second", part="newer")
    assert (done.targets["y"].interval.unit, len(done.remarks)) == ("row", 1)
    assert done.remarks[0].startswith("newer.csv has no column patient, so the intervals treat all rows as independent; ")


def test_rows_of_different_tables_are_recognised_by_their_ids(tmp_path):
    make_run(tmp_path, "one", tree=GROUPED)
    two_columns(tmp_path / "with_more", more=lambda row: row)
    run = make_run(tmp_path, "second", tree=GROUPED, table="with_more/table.csv")
    write_predictions(run, list(reversed(range(20))))
    path = run / "predictions_test.csv"
    rows = pd.read_csv(path)
    rows.assign(row=rows["row"] + 7).to_csv(path, index=False)
    done = called(tmp_path, "one", "second").targets["y"]
    assert (done.rows, done.interval.units) == (20, 5)
    straight = make_run(tmp_path, "fourth")
    write_predictions(straight, range(20))
    assert done.scores[1] == called(tmp_path, "one", "fourth").targets["y"].scores[1]


def test_rows_of_different_tables_without_ids_are_refused(tmp_path):
    make_run(tmp_path, "one")
    two_columns(tmp_path / "with_more", more=lambda row: row)
    make_run(tmp_path, "second", table="with_more/table.csv")
    assert refused(tmp_path, "one", "second") == (
        "second/1: it was scored on another table than one/1, and without a column of the role `id` its rows cannot be recognised. "
        "Score both on one table with `mmtrain evaluate RUN --data TABLE`, and compare them with --part and its name."
    )


# The command line


@pytest.fixture
def mmtrain(tmp_path, capsys, monkeypatch):
    """Run a command line next to the runs `one` and `second`."""
    make_run(tmp_path, "one")
    make_run(tmp_path, "second", overrides=["training.epochs=5", "training.optimizer=sgd"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def called(*arguments):
        capsys.readouterr()
        code = command_line(list(arguments))
        return code, capsys.readouterr()

    return called


def test_the_detectable_difference_is_2_8_standard_errors_of_the_bootstrap():
    truth, first, second = two_scores(5, rows=300, decimals=3)
    probabilities = [1 / (1 + np.exp(0.5 - score)) for score in (first, second)]
    against = compared(truth, *probabilities).against_first[0]
    low, high = against.differences["auc"].interval
    assert against.detectable["auc"] == pytest.approx((high - low) / 2 * (norm.ppf(0.975) + norm.ppf(0.8)) / norm.ppf(0.975))
    assert against.detectable.keys() <= against.differences.keys()


def test_compare_without_names_takes_the_two_latest_of_different_experiments(tmp_path):
    for name, number, minute, settings in (("a", 1, 1, "x: 1"), ("b", 1, 3, "x: 2"), ("a", 2, 2, "x: 2"), ("c", 1, 0, "x: 3")):
        run = Run(tmp_path / name / str(number))
        run.folder.mkdir(parents=True)
        started = f"2026-01-01T00:0{minute}:00+00:00"
        run.write_json("run.json", {"format": FORMAT, "name": name, "state": "finished", "started": started})
        run.write_text("config.yaml", f"name: {name}\n{settings}\n")
    # The latest is b/1, and a/2 differs from it in its name only.
    assert [str(run) for run in runs.two_latest(tmp_path)] == ["a/1", "b/1"]


def test_compare_without_names_needs_two_experiments(tmp_path):
    with pytest.raises(UsageError, match="the folder does not hold two runs of different experiments to compare"):
        compare([], output=tmp_path)


def test_no_cell_is_broken_at_80_columns():
    """Cross-validated runs have two more columns; the least important ones go where there is no room."""
    console = Console(width=80)
    one = {name: Score(name, 0.1234, low=-0.0512, high=0.2342) for name in ("auc", "median_absolute_error")}
    known = dict.fromkeys(one, 0.0001)
    against = PairedDifference(differences=one, detectable=known, p=known, of_rows=one)
    table = compare_view._differences(console, against, "95 %")
    assert [column.header for column in table.columns] == ["score", "difference", "95 % interval", "p", "run is"]
    wide = compare_view._differences(Console(width=120), against, "95 %")
    assert [column.header for column in wide.columns][4:] == ["by rows", "detectable", "run is"]
    for count, shown in ((2, "0.123 (−0.051 to 0.234)"), (3, "0.123")):
        done = SimpleNamespace(runs=[SimpleNamespace(name=f"clinic/{number}") for number in range(count)])
        cells = compare_view._scores(console, done, SimpleNamespace(scores=[one] * count)).columns[1]._cells
        assert cells == [shown, shown]


def test_compare_prints_scores_differences_and_settings(mmtrain):
    code, captured = mmtrain("compare", "one", "second")
    lines = captured.out.splitlines()
    assert code == 0
    assert lines[1] == "test: y, binary, 20 rows"
    assert lines[2].split() == ["score", "one/1", "second/1"]
    assert lines[13] == "second/1 minus one/1"
    assert lines[14].split() == ["score", "difference", "95", "%", "interval", "detectable", "run", "is"]
    assert "95 % interval: 200 draws of 20 rows" in lines
    assert lines[-9:-4] == [
        "Differences of the experiments:",
        "name: one -> second",
        "training.epochs: 30 -> 5",
        "training.optimizer.method: adam -> sgd",
        "training.optimizer.beta_1: 0.9 -> not set",
    ]
    assert captured.err == (
        "Detectable: the smallest true difference that a comparison of this precision shows in 80 % of cases.\n"
        "Evaluations of the test part so far: one/1 1, second/1 1. This comparison does not count as one.\n"
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "word"),
    [
        ("auc", 0.1, 0.2, "better"),
        ("auc", -0.2, -0.1, "worse"),
        ("log_loss", 0.1, 0.2, "worse"),
        ("brier", -0.2, -0.1, "better"),
        ("auc", -0.1, 0.1, "not shown to differ"),
        ("auc", 0.0, 0.1, "not shown to differ"),
    ],
)
def test_a_difference_is_better_or_worse_only_when_its_interval_is_on_one_side(name, low, high, word):
    assert baselines.compared_baselines(Score(name, (low + high) / 2, low=low, high=high)) == word
    assert baselines.compared_baselines(Score(name, 0.3)) == "–"


def test_a_column_or_a_branch_that_only_some_have_is_one_difference(tmp_path):
    target = "y: {role: target, task: binary}"
    files = {
        "few": f"columns: {{x: {{role: numeric}}, {target}}}",
        "more": f"columns: {{x: {{role: numeric}}, note: {{role: text}}, {target}}}\nevaluation: {{conformal: 0.9}}",
    }
    few, more = [config.load(write_experiment(tmp_path / f"{name}.yaml", text)) for name, text in files.items()]
    assert list(differing_settings([few, more]).items()) == [
        ("name", ["few", "more"]),
        ("columns.note", [None, "text"]),
        ("branches.note", [None, "mlp"]),
        ("evaluation.conformal", [None, 0.9]),
    ]


def test_compare_says_once_what_is_so_of_all_scores(mmtrain, tmp_path):
    make_run(tmp_path, "two")  # its predictions are those of "one"
    lines = mmtrain("compare", "one", "two")[1].out.splitlines()
    scores = "auc, pr_auc, accuracy, balanced_accuracy, f1, sensitivity, specificity, log_loss, brier"
    assert [line for line in lines if "No interval" in line] == [f"{scores}: No interval: every draw has the same value."]


def test_compare_as_json_is_one_document(mmtrain):
    code, captured = mmtrain("compare", "one", "second", "--json")
    found = json.loads(captured.out)
    assert (code, captured.err) == (0, "")
    assert sorted(found) == ["part", "remarks", "runs", "settings", "targets"]
    assert [(run["name"], run["test_looks"]) for run in found["runs"]] == [("one/1", 1), ("second/1", 1)]
    assert sorted(found["targets"]["y"]) == ["against_first", "interval", "rows", "scores", "task"]
    assert sorted(found["targets"]["y"]["against_first"][0]["differences"]["brier"]) == ["high", "low", "value"]
    assert found["settings"]["training.epochs"] == [30, 5]


@pytest.mark.slow
def test_runs_that_were_trained_and_evaluated_are_compared_with_the_scores_they_have(tmp_path):
    two_blobs(tmp_path, 50)
    path = write_experiment(tmp_path / "a.yaml", f"name: one\n{TREE}training: {{epochs: 1}}\n")
    for name in ("one", "two"):
        run = fit(path, overrides=[f"name={name}"], output=tmp_path / "runs").run
        evaluate(str(run.folder))
    done = called(tmp_path, "one", "two")
    for run, scores in zip(done.runs, done.targets["y"].scores, strict=True):
        assert {name: score.to_json() for name, score in scores.items()} == run.run.read_json("metrics.json")["test"]["y"]["scores"]
    assert sorted(done.settings) == ["name"]
