"""`mmtrain runs` and `mmtrain leaderboard`, on run folders with the files that they read: no model, no TensorFlow."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.artifacts.results import BaselineResult, TargetResult
from mmtrain.artifacts.runs import create
from mmtrain.cli.app import run as run_command
from mmtrain.commands.comparison.leaderboard import leaderboard, leaderboard_table
from mmtrain.commands.comparison.list_runs import list_runs, validation_scores
from mmtrain.errors import UsageError
from mmtrain.metrics.score import Score

EXPERIMENT = "{columns: {x: {role: numeric}, y: {role: target, task: binary}}, training: {early_stopping: {monitor: validation_auc}}}"


def scores(auc, low=None, high=None):
    return {one.name: one for one in (Score("auc", auc, low=low, high=high), Score("log_loss", 1 - (auc or 0)))}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A function that makes a run: its name, its AUC on the test part, and what differs."""
    monkeypatch.chdir(tmp_path)
    two_blobs(tmp_path, 20)
    clock = iter(range(10, 60))

    def made(name="clinic", auc=None, *, overrides=(), test=(16, 17, 18, 19), value=0.75, sha256="a" * 64, state="finished"):
        run = create(name, Path("runs"))
        experiment = config.load(write_experiment(tmp_path / f"{name}.yaml", EXPERIMENT), overrides)
        run.write_text("config.yaml", config.to_yaml(experiment, run.folder))
        rows = "".join(f"{row},,0,{'test' if row in test else 'validation' if row < 3 else 'train'}\n" for row in range(20))
        run.write_text("split.csv", f"row,id,fold,part\n{rows}")
        run.write_json("data.json", {"table": "table.csv", "sha256": sha256, "rows": 20, "used": 20, "dropped": []})
        sized = {"width": 4, "parameters": 100}
        branch = {"name": "table", "architecture": "mlp", "inputs": [{"name": "x", "kind": "vector", "shape": [1]}], **sized}
        network = {
            "branches": [branch],
            "fusion": {"method": "concatenate", **sized},
            "targets": [{"name": "y", "task": "binary", **sized}],
        }
        run.write_json("network.json", network)
        for epoch in (1, 2):
            run.append_line("metrics.jsonl", {"epoch": epoch, "learning_rate": 0.1, "validation_auc": value if epoch == 1 else 0.1})
        moment = next(clock)
        facts = {"started": f"2026-11-30T10:{moment}:00.000+00:00", "ended": f"2026-11-30T10:{moment}:30.000+00:00"}
        run.seal("split.csv")
        run.update(state=state, epochs=2, best_epoch=1, seconds={"training": 90.0}, **facts)
        if auc is not None:
            baseline = BaselineResult(kind="majority", label="", name="", scores=scores(0.5), differences={})
            result = TargetResult(task="binary", rows=4, unknown_answers=0, scores=scores(auc, auc - 0.1, auc + 0.1), baselines=[baseline])
            run.write_json("metrics.json", {"test": {"y": result}})
            run.update(evaluations=[{"part": "test", "when": f"2026-11-30T10:{moment}:45.000+00:00", "rows": 4, "table": "table.csv"}])
        return run

    return made


def test_runs_are_listed_the_latest_first_with_what_they_reached(make):
    make(auc=0.8)
    make("other", value=None, state="interrupted")
    first, second = list_runs().runs
    assert first.problem == second.problem == ""
    assert (first.name, first.state, first.value, first.scored) == ("other/1", "interrupted", None, {})
    assert (second.name, second.kind, second.minutes, second.parameters, second.epochs) == ("clinic/1", "training", 1.5, 300, 2)
    assert (second.monitor, second.value, second.scored["test"].name, second.scored["test"].value) == ("validation_auc", 0.75, "auc", 0.8)
    assert [one.name for one in list_runs("clinic").runs] == ["clinic/1"]


def test_a_run_that_cannot_be_read_is_listed_as_damaged(make):
    run = make()
    (run / "run.json").write_text("{")
    (entry,) = list_runs().runs
    assert (entry.state, entry.problem) == ("damaged", "the file is damaged.")


def test_a_name_that_does_not_exist_is_reported(make):
    make()
    with pytest.raises(UsageError, match=r"clinc: there are no runs of this name under runs\. Did you mean 'clinic'\?"):
        list_runs("clinc")


def test_a_folder_without_runs_is_reported(tmp_path):
    with pytest.raises(UsageError, match=r"the folder holds no runs\."):
        list_runs(output=tmp_path)


def test_the_leaderboard_ranks_runs_on_the_same_rows_by_their_scores(make):
    make(auc=0.7, overrides=["training.learning_rate=0.5"])
    make("better", auc=0.9)
    make("worst", auc=0.6, overrides=["training.epochs=3"])
    make("rows", auc=0.99, test=(15, 16, 17, 18))
    make("table", auc=0.99, sha256="b" * 64)
    make("unscored")
    board = leaderboard("clinic", part="test")
    assert [(one.name, one.score.value, one.differences) for one in board.runs] == [
        ("better/1", 0.9, {}),
        ("clinic/1", 0.7, {"training.learning_rate": 0.5}),
        ("worst/1", 0.6, {"training.epochs": 3}),
    ]
    assert [one.name for one in board.unscored] == ["unscored/1"]
    assert (board.others, board.rows, board.target, board.score, board.higher_is_better) == (2, 4, "y", "auc", True)


def test_a_run_with_an_undefined_score_comes_last_and_of_equal_runs_the_latest_first(make):
    for name, auc in (("one", 0.7), ("undefined", 0.9), ("two", 0.7), ("low", 0.1)):
        run = make(name, auc=auc)
        if name == "undefined":
            document = run.read_json("metrics.json")
            document["test"]["y"]["scores"]["auc"] = {"value": None, "undefined": "One class."}
            run.write_json("metrics.json", document)
    assert [one.name for one in leaderboard("low", part="test").runs] == ["two/1", "one/1", "low/1", "undefined/1"]
    # Of an error, the lowest is the best.
    board = leaderboard("low", part="test", score="log_loss")
    assert ([one.name for one in board.runs], board.higher_is_better) == (["undefined/1", "two/1", "one/1", "low/1"], False)


def declare_target(run, key):
    """Put one more target into the experiment of a run."""
    tree = yaml.safe_load((run / "config.yaml").read_text())
    tree["columns"][key] = tree["columns"]["y"]
    (run / "config.yaml").write_text(yaml.safe_dump(tree))


def test_the_validation_score_is_that_of_the_target_and_score_that_runs_are_ranked_by(make):
    """And not the monitored one, which is that of another target or another score."""
    run = make(auc=0.7)
    of_target = run.read_json("metrics.json")["test"]["y"]
    run.write_json("metrics.json", {"test": {"y": of_target, "late": of_target}})
    declare_target(run, "late")
    (run / "metrics.jsonl").unlink()
    recorded = {"validation_auc": 0.75, "validation_y_auc": 0.71, "validation_late_auc": 0.62}
    run.append_line("metrics.jsonl", {"epoch": 1, "learning_rate": 0.1, **recorded})
    assert [leaderboard(part="test", target=key).runs[0].validation for key in (None, "y", "late")] == [0.71, 0.71, 0.62]
    (entry,) = leaderboard(part="test", target="late", score="log_loss").runs
    assert (entry.monitor, entry.value, entry.validation) == ("validation_auc", 0.75, None)
    table = leaderboard_table(leaderboard(part="test", target="late"))
    assert table.loc[0, "validation_auc"] == 0.62


def test_validation_rows_rank_and_test_scores_stand_next_to_them(make, capsys, monkeypatch):
    """Also where the test score of another run is higher, and for a run that nobody evaluated: no look at test rows is needed to choose."""
    monkeypatch.setenv("COLUMNS", "200")
    make("lucky", auc=0.95, value=0.6)
    make("good", auc=0.7, value=0.9)
    make("unscored", value=0.8)
    make("other_test_rows", auc=0.99, value=0.5, test=(15, 16, 17, 18))
    make("running", value=0.99, state="running")
    board = leaderboard()
    assert (board.part, board.rows, board.score, [one.name for one in board.unscored], board.others) == ("validation", 3, "auc", [], 0)
    assert [(one.name, one.score.value, one.test and one.test.value) for one in board.runs] == [
        ("good/1", 0.9, 0.7),
        ("unscored/1", 0.8, None),
        ("lucky/1", 0.6, 0.95),
        ("other_test_rows/1", 0.5, None),
    ]
    assert leaderboard_table(board)["test_auc"].dropna().tolist() == [0.7, 0.95]
    assert run_command(["leaderboard", "--html", "board.html"]) == 0
    shown = capsys.readouterr()
    assert "y on the 3 rows of validation, by auc (higher is better)" in shown.out
    assert [word for word in ("interval", "test", "0.600 to 0.800") if word not in shown.out] == []
    commands = [f"mmtrain evaluate {name}/1 --part validation" for name in ("good", "unscored")]
    assert f"{' and '.join(commands)}, then mmtrain compare good/1 unscored/1 --part validation" in shown.err
    assert "The best of many runs looks better than it is, as does every run on the rows that chose its epoch." in shown.err
    assert "0.950 (0.850 to 1.050)" in Path("board.html").read_text()


def test_validation_scores_have_intervals_once_all_runs_were_scored(make):
    """Scores of calibrated probabilities and of others are not in one list."""
    for name, value in (("one", 0.8), ("two", 0.7)):
        run = make(name, auc=value + 0.01, value=value)
        run.write_json("metrics.json", {"validation": run.read_json("metrics.json")["test"]})
        if name == "one":
            run.update(evaluations=[{**run.read_json("run.json")["evaluations"][0], "part": "validation"}])
    assert [(one.score.value, one.score.interval) for one in leaderboard().runs] == [(0.8, None), (0.7, None)]
    run.update(evaluations=[{**run.read_json("run.json")["evaluations"][0], "part": "validation"}])
    assert [(one.score.value, one.score.low) for one in leaderboard().runs] == [(0.81, pytest.approx(0.71)), (0.71, pytest.approx(0.61))]
    assert leaderboard().rows == 4


def test_the_recorded_scores_of_several_targets_are_told_apart(make):
    run = make()
    declare_target(run, "y_b")
    (run / "metrics.jsonl").unlink()
    recorded = {"validation_loss": 0.5, "validation_y_loss": 0.2, "validation_y_auc": 0.7, "validation_y_b_auc": 0.6}
    run.append_line("metrics.jsonl", {"epoch": 1, "learning_rate": 0.1, **recorded})
    found = {key: {name: score.value for name, score in scores.items()} for key, scores in validation_scores(run).items()}
    assert found == {"y": {"auc": 0.7}, "y_b": {"auc": 0.6}}


def as_group(run, auc):
    """Make a cross-validated group of a run: two folds of its rows."""
    rows = "".join(f"{row},,{fold},{'test' if row % 2 == fold else 'train'}\n" for fold in (0, 1) for row in range(20))
    run.write_text("split.csv", f"row,id,fold,part\n{rows}")
    run.seal("split.csv")
    members = [{"name": f"folds/{fold}", "fold": fold} for fold in (0, 1)]
    scores = {"auc": {"values": [auc, auc], "mean": auc, "estimate": auc, "low": auc - 0.05, "high": auc + 0.05}}
    document = {"folds": 2, "members": members, "rows": 20, "main": {"y": "auc"}, "targets": {"y": scores}}
    run.write_json("cross_validation.json", document)
    run.update(members=members)
    return run


def test_groups_are_ranked_by_their_cross_validated_scores(make):
    make(auc=0.99)
    as_group(make("weak", overrides=["training.epochs=3"]), 0.7)
    strong = as_group(make("strong"), 0.8)
    for fold in (0, 1):  # the weights of a group are those of its trainings
        (strong / f"folds/{fold}").mkdir(parents=True)
        shutil.copy(strong / "network.json", strong / f"folds/{fold}/network.json")
    first = list_runs().runs[0]
    assert (first.name, first.kind, list(first.scored), first.parameters) == ("strong/1", "group", ["folds"], 600)
    board = leaderboard("weak")
    assert [(one.name, one.score.value, one.score.low, one.differences) for one in board.runs] == [
        ("strong/1", 0.8, 0.75, {}),
        ("weak/1", 0.7, pytest.approx(0.65), {"training.epochs": 3}),
    ]
    assert (board.part, board.rows, board.unscored, board.others) == ("folds", 20, [], 1)


def test_folds_are_ranked_where_the_latest_run_has_them(make):
    make("alone")
    as_group(make("weak"), 0.7)
    as_group(make("strong"), 0.8)
    board = leaderboard()
    assert (board.part, [one.name for one in board.runs]) == ("folds", ["strong/1", "weak/1"])


def test_groups_are_also_ranked_by_outer_test_rows(make):
    """With each other and with a single training: `evaluate` scores the same rows of all of them."""
    make(auc=0.7)
    group = as_group(make("folded", auc=0.9), 0.8)
    text = (group / "split.csv").read_text()
    outer = {f"{row},,{fold},{use}" for row in (16, 17, 18, 19) for fold in (0, 1) for use in ("train", "test")}
    kept = [line for line in text.splitlines() if line not in outer]
    group.write_text("split.csv", "\n".join([*kept, *(f"{row},,,test" for row in (16, 17, 18, 19))]) + "\n")
    group.seal("split.csv")
    assert {part: score.value for part, score in list_runs("folded").runs[0].scored.items()} == {"folds": 0.8, "test": 0.9}
    for board in (leaderboard(part="test"), leaderboard("folded", part="test")):
        assert (board.part, [one.name for one in board.runs]) == ("test", ["folded/1", "clinic/1"])
    assert leaderboard("folded").part == leaderboard().part == "folds"


def test_the_command_that_scores_folds_trains_them(make):
    """`evaluate` has no part `folds`."""
    group = as_group(make("folded"), 0.8)
    (group / "cross_validation.json").unlink()
    with pytest.raises(UsageError, match=r"no run has scores called 'folds'\. Score one: mmtrain fit --resume .*folded/1$"):
        leaderboard("folded")


def test_seeds_alone_are_ranked_by_their_mean_on_validation_rows(make):
    make("alone", value=0.8)
    run = make("seeded", auc=0.9)
    members = [{"name": f"seeds/{seed}", "fold": 0, "seed": seed} for seed in (0, 1)]
    of_seeds = {"auc": {"values": [0.7, 0.8], "mean": 0.75, "estimate": None}}
    run.write_json("cross_validation.json", {"folds": 1, "members": members, "rows": 3, "main": {"y": "auc"}, "targets": {"y": of_seeds}})
    run.update(members=members)
    board = leaderboard("seeded")
    assert (board.part, board.rows) == ("validation", 3)
    assert [(one.name, one.score.value) for one in board.runs] == [("alone/1", 0.8), ("seeded/1", 0.75)]


@pytest.mark.parametrize("name", ["split.csv", "data.json"])
def test_a_run_that_lost_a_file_is_left_out(make, name):
    make("whole", auc=0.7)
    (make("broken", auc=0.9) / name).unlink()
    for board in (leaderboard("whole"), leaderboard()):
        assert ([one.name for one in board.runs], board.others) == (["whole/1"], 0)


def test_a_run_of_another_folder_keeps_its_own_score(make, tmp_path):
    """Also where a run of the folder has the same name and number."""
    make(auc=0.9).folder.parent.rename(tmp_path / "elsewhere")
    make(auc=0.7)
    board = leaderboard(str(tmp_path / "elsewhere" / "1"), part="test")
    assert [one.score.value for one in board.runs] == [0.9, 0.7]


def test_another_score_may_be_better_when_it_is_lower(make):
    make(auc=0.7)
    make(auc=0.9)
    board = leaderboard(part="test", score="log_loss")
    assert [(one.name, round(one.score.value, 3)) for one in board.runs] == [("clinic/2", 0.1), ("clinic/1", 0.3)]
    assert not board.higher_is_better


def test_scores_from_before_a_resumed_training_do_not_count(make):
    make(auc=0.7)
    make(auc=0.9).update(resumed=["2026-11-30T12:00:00.000+00:00"])
    assert [one.test for one in leaderboard().runs if one.name == "clinic/2"] == [None]
    board = leaderboard(part="test")
    assert ([one.name for one in board.runs], [one.name for one in board.unscored]) == (["clinic/1"], ["clinic/2"])


def test_a_run_without_test_rows_is_scored_on_another_table(make):
    make("all_rows", test=())
    with pytest.raises(UsageError) as error:
        leaderboard("all_rows", part="test")
    assert str(error.value).endswith("runs/all_rows/1 --data TABLE")


def test_without_a_score_the_command_that_scores_is_named(make):
    make()
    with pytest.raises(UsageError) as caught:
        leaderboard(part="test")
    assert str(caught.value) == "runs: no run has scores called 'test'. Score one: mmtrain evaluate runs/clinic/1 --part test"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "acu"}, r"--score: y has no score 'acu'\. Did you mean 'auc'\?"),
        ({"target": "z"}, r"--target: clinic/1 has no target 'z'\. The targets are y\."),
        ({"part": "tset"}, r"runs: no run has scores called 'tset'\. Did you mean 'test'\?"),
    ],
)
def test_an_unknown_score_or_target_is_reported(make, options, message):
    make(auc=0.7)
    with pytest.raises(UsageError, match=message):
        leaderboard(**{"part": "test", **options})


def test_the_command_writes_json_csv_and_a_page(make, capsys):
    make(auc=0.7, overrides=["training.learning_rate=0.5"])
    make(auc=0.9)
    assert run_command(["leaderboard", "--part", "test", "--json", "--csv", "board.csv", "--html", "board.html"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["score"]["value"] for one in document["runs"]] == [0.9, 0.7]
    with Path("board.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["auc"], row["low"], row["training.learning_rate"]) for row in rows] == [
        ("clinic/2", "0.9", "0.8", ""),
        ("clinic/1", "0.7", "0.6", "0.5"),
    ]
    page = Path("board.html").read_text()
    assert all(text in page for text in ("Leaderboard: y", "0.900 (0.800 to 1.000)", "training.learning_rate"))
    assert "AUC of clinic/2, the best of 2 runs" in page and "clinic/1: 0.700." in page
    assert "To see whether two differ: mmtrain compare clinic/2 clinic/1" in page


def test_the_terminal_shows_both_lists(make, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    make(auc=0.7)
    make("worse", auc=0.6)
    make("unscored")
    assert run_command(["runs"]) == 0
    listed = capsys.readouterr().out
    assert "unscored/1" in listed
    assert "test auc 0.700" in listed
    assert run_command(["leaderboard", "--part", "test"]) == 0
    shown = capsys.readouterr()
    assert "y on the 4 rows of test, by auc (higher is better)" in shown.out
    assert "0.600 to 0.800" in shown.out
    assert "The test score of a run that was chosen by it is too good" in shown.err
    assert "Not scored: unscored/1. mmtrain evaluate runs/unscored/1 --part test" in shown.err
    assert "whether two differ: mmtrain compare clinic/1 worse/1" in shown.err


def test_runs_that_are_not_ranked_are_counted_with_the_command_for_them(make, capsys):
    make("rows", test=(15, 16, 17, 18))
    make(auc=0.7)
    assert run_command(["leaderboard", "--part", "test"]) == 0
    assert "1 other run with other rows or targets. To rank such runs, name one: mmtrain leaderboard RUN" in capsys.readouterr().err


def test_a_group_has_no_validation_score_of_its_own(make, capsys):
    as_group(make("folded", value=None), 0.8)
    assert run_command(["leaderboard", "folded"]) == 0
    assert "undefined" not in capsys.readouterr().out
