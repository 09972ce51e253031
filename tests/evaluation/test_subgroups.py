"""Subgroups: their rows, scores and gaps, and every mistake in their configuration."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tiny import two_blobs, write_experiment, write_table

from mmtrain import config
from mmtrain.artifacts.analysis_results import Gap, Subgroup, Subgroups
from mmtrain.artifacts.results import TargetResult
from mmtrain.cli.app import run as command
from mmtrain.cli.views.analyses import show_analyses
from mmtrain.commands.check import check
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.config.sections.evaluation import Evaluation, SubgroupSpec
from mmtrain.errors import ConfigError, DataError, UsageError
from mmtrain.evaluation.analyses.subgroups import assign_subgroups, score_subgroups, suggest_edges
from mmtrain.evaluation.evaluation_set import MultiTargetEvalSet
from mmtrain.metrics.score import Score
from mmtrain.reports.target_results.subgroups import sentence
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.numbers.regression import FittedRegression

pytestmark = pytest.mark.usefixtures("models_opened_once")

ILL = FittedBinary(column="ill", loss_weight=1, classes=("no", "yes"), counts=(10, 10), weights=(1, 1), threshold=0.5)
PRICE = FittedRegression(column="price", loss_weight=1, error="squared", center=0, scale=1, minimum=-9, maximum=9)
SECTION = Evaluation(draws=100)


def cells(*values):
    return pd.Series(list(values), dtype="str")


def test_names_of_subgroups_steer_no_terminal():
    subgroup = Subgroup(name="two\nlines\x1b[2J", rows=20, scores={"auc": Score("auc", 0.5)})
    division = Subgroups(column="a\tb", main="auc", confidence=0.95, subgroups=[subgroup], gap=None)
    console = Console(width=100, file=io.StringIO())
    show_analyses(console, TargetResult.model_construct(subgroups=[division]))
    assert [row.split("  ")[0].strip() for row in console.file.getvalue().splitlines()[1:3]] == ["a\\tb", "two\\nlines\\x1b[2J"]


@pytest.mark.parametrize(
    ("values", "edges", "names", "codes"),
    [
        (["m", "f", None, "m"], (), ("f", "m", None), [1, 0, 2, 1]),
        (["10", "9", "b", "a"], (), ("9", "10", "a", "b"), [1, 0, 3, 2]),
        (["missing", None], (), ("missing", None), [0, 1]),
        (["0", "39.9", "40", "65"], (0, 40, 65), ("0 to under 40", "40 to 65"), [0, 0, 1, 1]),
        (
            ["-1", "3", "66", "old", None],
            (0, 40, 65),
            ("below 0", "0 to under 40", "40 to 65", "above 65", "not a number", None),
            [0, 1, 3, 4, 5],
        ),
        (["50", "50"], (0, 40, 65), ("0 to under 40", "40 to 65"), [1, 1]),
        (["0.5", "0.75"], (0.5, 0.75, 1), ("0.5 to under 0.75", "0.75 to 1"), [0, 1]),
    ],
)
def test_rows_are_divided_by_value_or_by_range(values, edges, names, codes):
    found = assign_subgroups(SubgroupSpec("column", edges), cells(*values))
    assert (found.header, found.names, found.codes.tolist()) == ("column", names, codes)


def scores(target, main, truth, prediction, names, codes, groups=None):
    dtype = np.float32 if target is PRICE else np.int32
    groups = None if groups is None else np.asarray(groups)
    truths = MultiTargetEvalSet({"y": target}, {"y": np.asarray(truth, dtype=dtype)}, {"y": main}, groups)
    answered = truths.eval_set("y", np.asarray(prediction, dtype=np.float32)[:, None])
    of = assign_subgroups(SubgroupSpec("sex"), cells(*[names[code] for code in codes]))
    return score_subgroups(answered, of.only(truths.known_rows("y")), main, SECTION).to_json()


def test_every_subgroup_has_its_rows_its_scores_and_reasons():
    truth, prediction = [0, 1, 0, 1, 1, 1, -1], [0.1, 0.9, 0.9, 0.1, 0.9, 0.9, 0.5]
    found = scores(ILL, "accuracy", truth, prediction, ["f", "m"], [0, 0, 0, 0, 1, 1, 1])
    assert [(one["name"], one["rows"], one["scores"]["accuracy"]["value"]) for one in found["subgroups"]] == [("f", 4, 0.5), ("m", 2, 1.0)]
    assert found["subgroups"][1]["scores"]["auc"] == {"value": None, "undefined": "AUC needs both classes; this part has only 'yes'."}
    assert found["gap"] is None  # of four rows and two


def test_the_gap_is_between_the_best_and_the_worst_with_the_interval_of_their_difference():
    truth = [0, 1] * 30
    prediction = [0.1, 0.9] * 10 + [0.1, 0.9] * 8 + [0.9, 0.1] * 2 + [0.1, 0.9] * 5 + [0.9, 0.1] * 5
    found = scores(ILL, "accuracy", truth, prediction, ["a", "b", "c"], [0] * 20 + [1] * 20 + [2] * 20)
    gap = found["gap"]
    assert (gap["best"], gap["worst"], gap["value"], gap["compared"]) == ("a", "c", 0.5, 3)
    assert 0.2 < gap["low"] < 0.5 < gap["high"] < 0.8
    assert "low" not in found["subgroups"][0]["scores"]["accuracy"]  # all right on every draw: that is not certain
    assert sentence([Subgroups.model_validate(found)]) == (
        "",
        f"The largest gap in accuracy between subgroups: 1.000 for sex a (20 rows) against 0.500 for sex c (20 rows), "
        f"0.500 ({gap['low']:.3f} to {gap['high']:.3f}) apart.",
        "It is the largest among 3 subgroups that could be compared; the more are compared, the larger the gap that random variation "
        "alone produces.",
    )


def test_the_best_has_the_lowest_error_where_lower_is_better():
    truth = list(range(40))
    prediction = [value + 1 for value in truth[:20]] + [value + 4 - value % 2 for value in truth[20:]]
    gap = scores(PRICE, "mae", truth, prediction, ["near", "far"], [0] * 20 + [1] * 20)["gap"]
    assert (gap["best"], gap["worst"], gap["value"]) == ("near", "far", pytest.approx(2.5))
    assert 2 < gap["low"] < 2.5 < gap["high"] < 3


def test_groups_are_counted_and_drawn_together():
    found = scores(ILL, "accuracy", [0, 1] * 8, [0.1, 0.9] * 8, ["f", "m"], [0] * 8 + [1] * 8, groups=[7, 7, 8, 8] * 2 + [9] * 8)
    assert [(one["name"], one["rows"], one["groups"]) for one in found["subgroups"]] == [("f", 8, 2), ("m", 8, 1)]


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        (
            [{"value": 0.2, "low": -0.1, "high": 0.5}],
            "There is no clear gap in AUC between subgroups; the largest observed one: 0.700 for c0 f (20 rows) against 0.500 for c0 m "
            "(20 rows), 0.200 (−0.100 to 0.500) apart.||",
        ),
        (
            [{"value": 0.0003, "low": 0.0001, "high": 0.0004}],
            "There is no clear gap in AUC between subgroups; the largest observed one: 0.700 for c0 f (20 rows) against 0.500 for c0 m "
            "(20 rows), 0.000 (0.000 to 0.000) apart.||",
        ),
        (
            [{"value": 0.2, "low": -0.1, "high": 0.5}, {"value": 0.1, "low": 0.05, "high": 0.15}],
            "|The largest clear gap in AUC between subgroups: 0.700 for c1 f (20 rows) against 0.500 for c1 m (20 rows), "
            "0.100 (0.050 to 0.150) apart.|It is the largest among 4 subgroups that could be compared; the more are compared, the "
            "larger the gap that random variation alone produces.",
        ),
    ],
)
def test_a_gap_that_may_be_none_is_not_told_as_one(gaps, words):
    both = [Subgroup(name=name, rows=20, scores={"auc": Score("auc", value)}) for name, value in (("f", 0.7), ("m", 0.5))]
    found = [
        Subgroups(column=f"c{place}", main="auc", confidence=0.95, subgroups=both, gap=Gap(best="f", worst="m", compared=2, **gap))
        for place, gap in enumerate(gaps)
    ]
    assert "|".join(sentence(found)) == words


def test_subgroups_that_cannot_be_compared_are_said_to_be_so():
    assert sentence([Subgroups(column="sex", main="auc", confidence=0.95, subgroups=[], gap=None)]) == (
        "No two subgroups of one column have ten rows each and a score with an interval, so none are compared.",
        "",
        "",
    )


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        (range(19, 90), [0, 20, 40, 60, 80, 100]),
        (np.arange(21) / 100, [0, 0.05, 0.1, 0.15, 0.2]),
        ([-7, 900], [-500, 0, 500, 1000]),
    ],
)
def test_suggested_edges_are_round_and_hold_every_value(values, edges):
    assert suggest_edges(np.array(values, dtype=float)) == edges


TREE = """
columns:
  id: {role: id}
  x: {role: numeric, missing: drop}
  y: {role: target, task: binary}
split: {method: random, validation: 0.2, test: 0.5}
training: {epochs: 1, optimizer: sgd}
evaluation: {subgroups: [sex, {age: [0, 40, 60]}], draws: 100}
"""


def table(folder, rows=60, **columns):
    """Two blobs whose ninth row has no number, so that it leaves the table; sex, age and site have no role."""
    path = two_blobs(
        folder,
        rows,
        id=lambda row: f"r{row}",
        sex=lambda row: "fm"[row % 3 == 0] if row % 10 else "",
        age=lambda row: row,
        site=lambda row: f"site {row % 2}",
        **columns,
    )
    with path.open() as file:
        kept = list(csv.DictReader(file))
    kept[8]["x"] = ""
    return write_table(path, kept)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subgroups")
    table(folder)
    return fit(write_experiment(folder / "a.yaml", TREE), output=folder / "runs").run


@pytest.fixture(scope="module")
def asked(run):
    """The run, evaluated with a further column and other edges."""
    done = evaluate(str(run.folder), EvaluateOptions(subgroups=("site", "age=0,30,60")))
    return done, run.read_json("metrics.json")["test"]["y"]["subgroups"]


def test_scores_are_those_of_the_rows_of_each_value_whatever_left_the_table(run, asked):
    tested = pd.read_csv(run / "predictions_test.csv", dtype=str)
    source = pd.read_csv(run.folder.parents[2] / "table.csv", dtype=str).iloc[tested["row"].astype(int)].reset_index(drop=True)
    assert (source["id"] == tested["id"]).all()
    right = tested["truth"] == tested["prediction"]
    by_column = {one["column"]: one["subgroups"] for one in asked[1]}
    assert list(by_column) == ["sex", "site", "age"]  # those of the experiment first; the range asked for replaces its own
    for column, name, mine in [
        ("sex", "f", source["sex"] == "f"),
        ("sex", "m", source["sex"] == "m"),
        ("sex", None, source["sex"].isna()),
        ("age", "0 to under 30", source["age"].astype(int) < 30),
        ("age", "30 to 60", source["age"].astype(int) >= 30),
        ("site", "site 1", source["site"] == "site 1"),
    ]:
        (found,) = [one for one in by_column[column] if one["name"] == name]
        assert found["rows"] == int(mine.sum()) > 0
        assert found["scores"]["accuracy"]["value"] == pytest.approx(right[mine].mean())


def test_subgroups_are_kept_as_csv_and_shown_in_the_report(run, asked):
    lines = pd.read_csv(run / "subgroups_test.csv", dtype=str, keep_default_na=False)
    assert list(lines.columns) == ["target", "column", "subgroup", "rows", "score", "value", "low", "high", "undefined"]
    assert lines.drop_duplicates(["column", "subgroup"])[["column", "subgroup"]].to_numpy().tolist() == [
        ["sex", "f"],
        ["sex", "m"],
        ["sex", ""],
        ["site", "site 0"],
        ["site", "site 1"],
        ["age", "0 to under 30"],
        ["age", "30 to 60"],
    ]
    report = asked[0].report.read_text()
    assert f"y by site on the {len(pd.read_csv(run / 'predictions_test.csv'))} test rows" in report
    assert "subgroups_test.csv" in report


def test_of_another_table_the_columns_it_lacks_are_remarked(run, tmp_path, capsys):
    newer = write_table(tmp_path / "newer.csv", [{"id": row, "x": row % 2, "y": ("low", "high")[row % 2], "age": 50} for row in range(12)])
    assert command(["evaluate", str(run.folder), "--data", str(newer), "--subgroup", "x", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["remarks"] == ["There are no scores by sex: newer.csv has no column 'sex'."]
    subgroups = found["targets"]["y"]["subgroups"]
    assert [(one["column"], [(of["name"], of["rows"]) for of in one["subgroups"]]) for one in subgroups] == [
        ("age", [("0 to under 40", 0), ("40 to 60", 12)]),
        ("x", [("0", 6), ("1", 6)]),
    ]
    assert (run / "subgroups_newer.csv").is_file()


def test_rows_without_a_known_answer_are_in_no_subgroup(run, tmp_path):
    answers = ("other", "high", "low", "other", "low", "high")
    rows = [{"id": row, "x": 1, "y": answer, "sex": "f", "age": 50} for row, answer in enumerate(answers)]
    result = evaluate(str(run.folder), EvaluateOptions(table=write_table(tmp_path / "strange.csv", rows))).targets["y"]
    assert (result.rows, result.unknown_answers) == (4, 2)
    assert [(part.name, part.rows) for part in result.subgroups[0].subgroups] == [("f", 4)]


def test_every_mistake_in_what_is_asked_for_is_told_before_anything_is_scored(run):
    looks = len(run.read_json("run.json").get("evaluations", []))
    with pytest.raises(UsageError) as caught:
        evaluate(str(run.folder), EvaluateOptions(subgroups=("sx", "age=0,ten", "age=5", "age=5,1", "sex=0,1", "id", "age")))
    assert str(caught.value).splitlines() == [
        "--subgroup sx: table.csv has no column 'sx'. Did you mean 'sex'?",
        "--subgroup age=0,ten: '0,ten' is not a list of numbers. Write the edges like `--subgroup age=0,40,65`.",
        "--subgroup age=5: ranges need at least two edges. Write the edges like `--subgroup age=0,40,65`.",
        "--subgroup age=5,1: edges have to ascend, each above the one before it. Write the edges like `--subgroup age=0,40,65`.",
        "--subgroup sex=0,1: no cell of the column 'sex' is a number. Leave the edges out, so that each value is a subgroup.",
        "--subgroup id: the column 'id' has 60 different values; subgroups need at most 20. Name a column with at most 20 values.",
        "--subgroup age: the column 'age' has 60 different values; subgroups need at most 20. "
        "Give the edges of ranges, for instance `--subgroup age=0,20,40,60`.",
    ]
    assert len(run.read_json("run.json").get("evaluations", [])) == looks


def test_check_and_fit_tell_of_columns_that_do_not_divide_the_table_with_all_other_mistakes(tmp_path):
    table(tmp_path)
    wrong = TREE.replace("[sex, {age: [0, 40, 60]}]", "[sx, age, {site: [0, 1]}]").replace("x: {role", "xx: {role")
    path = write_experiment(tmp_path / "a.yaml", wrong)
    for workflow in (check, fit):
        with pytest.raises(DataError) as caught:
            workflow(path)
        lines = [line.partition(": ")[2] for line in str(caught.value).splitlines()]
        assert lines == [
            "columns.xx: table.csv has no column 'xx'. Did you mean 'x'?",
            "evaluation.subgroups, entry 1: table.csv has no column 'sx'. Did you mean 'sex'?",
            "evaluation.subgroups, entry 2: the column 'age' has 60 different values; subgroups need at most 20. "
            "Give the edges of ranges, for instance `{age: [0, 20, 40, 60]}`.",
            "evaluation.subgroups, entry 3: no cell of the column 'site' is a number. "
            "Leave the edges out, so that each value is a subgroup.",
        ]


@pytest.mark.parametrize(
    ("written", "report"),
    [
        ("sex", ": expected a list; found 'sex'. Write `subgroups: [sex]`."),
        ("[{age: [0]}]", ", entry 1, age: expected at least 2 entries; found 1."),
        ("[{age: [0, x]}]", ", entry 1, age, entry 2: expected a number; found 'x'."),
        ("[{age: [40, 40]}]", ", entry 1, age: edges have to ascend, each above the one before it."),
        (
            "[{age: [0, 1], size: [0, 1]}]",
            ", entry 1: one column with its edges is expected here. Write an entry for every column: `- age: [0, 40, 65]`.",
        ),
        ("[[sex]]", ", entry 1: expected a text or a map of keys and values; found a list."),
        ("[sex, {sex: [0, 1]}]", ": the column 'sex' is named 2 times. Name it once."),
    ],
)
def test_mistakes_in_the_file(tmp_path, written, report):
    path = tmp_path / "a.yaml"
    head = "data: {table: t.csv}\ncolumns: {x: {role: numeric}, y: {role: target, task: binary}}\n"
    path.write_text(f"{head}evaluation: {{subgroups: {written}}}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert str(caught.value) == f"a.yaml:3: evaluation.subgroups{report}"


def test_subgroups_are_written_out_and_read_again(tmp_path):
    path = tmp_path / "a.yaml"
    head = "data: {table: t.csv}\ncolumns: {x: {role: numeric}, y: {role: target, task: binary}}\n"
    path.write_text(head + "evaluation: {subgroups: [sex, {age: [0, 40.5]}]}\n")
    first = config.load(path)
    path.write_text(config.to_yaml(first, tmp_path))
    assert config.load(path).evaluation.divisions == first.evaluation.divisions == (SubgroupSpec("sex"), SubgroupSpec("age", (0, 40.5)))
