"""`import mmtrain`: dictionaries and DataFrames in, objects that say what was found out."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import paint, write_experiment

import mmtrain
from mmtrain.api import cross_validation
from mmtrain.api.cross_validated_run import CrossValidatedRun
from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import ConfigError, DataError, UsageError
from mmtrain.image_decoding.data_uri import from_data_uri, to_data_uri

pytestmark = pytest.mark.usefixtures("models_opened_once")

ROWS = 60
TREE = {
    "columns": {
        "x": {"role": "numeric"},
        "city": {"role": "categorical"},
        "y": {"role": "target", "task": "binary", "positive": "high"},
    },
    "training": {"epochs": np.int64(2), "deterministic": True},
    "evaluation": {"draws": 100},
}


def table(rows=ROWS):
    """Rows under an index of texts; what a row holds follows from its number."""
    return pd.DataFrame(
        {
            "x": [(row % 2) * 2 - 1 + (row % 7) / 10 for row in range(rows)],
            "city": [f"c{row % 3}" for row in range(rows)],
            "y": [("low", "high")[row % 2] for row in range(rows)],
        },
        index=[f"p{row}" for row in range(rows)],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tensorflow):
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def run(folder):
    """A run on a DataFrame, evaluated on its test split."""
    run = mmtrain.fit(TREE, table(), output=folder / "runs", progress=False)
    run.evaluate(progress=False)
    return run


def test_dir_shows_the_api_and_nothing_else():
    shown = [name for name in dir(mmtrain) if not name.startswith("__")]
    assert sorted(shown) == sorted(mmtrain.__all__) == NAMES
    assert all(getattr(mmtrain, name).__doc__ for name in shown)


NAMES = [
    "Classifier", "ConfigError", "DataError", "MmtrainError", "Regressor", "RunError", "check", "compare", "cross_validate",
    "distill", "evaluate", "explain", "export", "fit", "init", "inspect_data", "load", "predict", "resume", "tune",
]  # fmt: skip


@pytest.mark.parametrize(
    ("split", "arguments", "settings"),
    [
        ({}, {}, ["split.folds=5"]),
        ({"folds": 3}, {}, []),
        ({"folds": 3}, {"folds": 4, "repeats": 2, "seeds": 2}, ["split.folds=4", "split.repeats=2", "training.seeds=2"]),
        ({"method": "time", "folds": None}, {}, ["split.folds=5"]),
    ],
)
def test_cross_validation_is_a_fit_with_folds(split, arguments, settings, monkeypatch):
    given = []

    def fit(experiment, table, *, overrides, **_):
        given.append((experiment, table, list(overrides)))
        return CrossValidatedRun(Run(Path("runs/x/1")))

    monkeypatch.setattr(cross_validation, "fit", fit)
    mmtrain.cross_validate({**TREE, "split": split}, "t.csv", overrides=iter(["training.epochs=3"]), progress=False, **arguments)
    assert given == [({**TREE, "split": split}, "t.csv", ["training.epochs=3", *settings])]


def test_a_split_column_of_parts_is_not_cross_validated(tmp_path, monkeypatch):
    monkeypatch.setattr(cross_validation, "fit", pytest.fail)
    columns = {**TREE["columns"], "part": {"role": "split"}}
    parts = table().assign(part=[("train", "validation", "test", "train")[row % 4] for row in range(ROWS)])
    with pytest.raises(mmtrain.ConfigError, match="the column of the split names parts, not folds"):
        mmtrain.cross_validate({**TREE, "columns": columns, "split": {"method": "column"}}, parts, output=tmp_path, progress=False)


def test_a_package_of_the_same_name_does_not_replace_a_function():
    import mmtrain.export.check

    assert mmtrain.export.__module__ == "mmtrain.api.commands"
    assert sys.modules["mmtrain.export"].export_formats


def test_importing_mmtrain_imports_nothing_heavy():
    program = "import sys, mmtrain; dir(mmtrain); print({'pandas', 'numpy', 'pydantic', 'rich', 'tensorflow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "set()\n"


def test_a_run_on_a_frame_has_its_table_next_to_the_runs(run, folder):
    assert run.folder == folder / "runs" / "experiment" / "1"
    assert run.state == "finished"
    assert run.experiment.data.table.parent == folder / "runs" / "tables"
    assert f"table: ../../tables/{run.experiment.data.table.name}" in (run.folder / "config.yaml").read_text()


def test_scores_history_and_report(run):
    assert run.history["epoch"].tolist() == [1, 2]
    scores = run.scores
    assert scores.columns.tolist() == ["split", "target", "score", "value", "low", "high", "baseline"]
    assert scores["split"].unique().tolist() == ["test", "validation", "train"]
    assert scores["target"].unique().tolist() == ["y"]
    auc = scores[(scores["split"] == "test") & (scores["score"] == "auc")].iloc[0]
    assert auc["value"] == 1.0
    assert auc["baseline"] == 0.5
    known = scores[(scores["split"] == "validation") & (scores["score"] == "loss")]["value"].tolist()
    assert known == [run.history["validation_loss"].min()]
    assert str(run.report) == str(run.folder / "report.html")
    assert Path(run.report).read_text()[:15].lower() == "<!doctype html>"


def test_predictions_have_the_index_of_the_frame(run):
    found = run.predictions
    assert found.columns.tolist() == ["row", "id", "truth", "prediction", "probability_low", "probability_high"]
    assert len(found) == 9
    assert found["truth"].tolist() == table().loc[found.index, "y"].tolist()
    assert found["probability_high"].dtype == np.float64
    assert run.predictions_of("test").equals(found)
    with pytest.raises(UsageError) as refused:
        run.predictions_of("tset")
    assert str(refused.value) == f"{run.folder}: the run has no predictions called 'tset'. Did you mean 'test'?"


@pytest.mark.parametrize(("split", "use"), [("test", "test"), ("calibration", "calibration"), ("conformal", "calibration")])
def test_splits_are_called_as_on_the_command_line(split, use):
    from mmtrain.api.commands import _use

    assert _use(split) == use


def test_frames_are_predicted_in_their_order_under_their_index(run):
    frame = table().iloc[::-1]
    found = mmtrain.predict(run, frame, proba=True)
    assert found.index.tolist() == frame.index.tolist()
    assert found["prediction"].tolist() == frame["y"].tolist()
    again = run.predictions
    np.testing.assert_allclose(found.loc[again.index, "probability_high"], again["probability_high"], rtol=1e-6)


def test_files_are_predicted_as_the_command_does(run, tmp_path):
    table().to_csv(tmp_path / "new.csv", index=False)
    found = mmtrain.predict(run.folder, tmp_path / "new.csv", proba=True)
    expected = run.predict(table(), proba=True).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)
    assert found.attrs == {"drift": []}


def test_another_frame_is_scored_whole(run, folder):
    done = mmtrain.evaluate(run.folder, table=table().tail(20), subgroups=["city"], progress=False)
    assert done.predictions.index.tolist() == table().index[-20:].tolist()
    assert set(done.scores["split"]) == {done.split}
    assert done.test_evaluations == 0
    assert done.contributions.columns.tolist() == ["target", "input", "score", "worse_by", "low", "high"]
    assert set(done.contributions["input"]) == {"x (in table)", "city (in table)"}
    shown = done._repr_html_()
    assert f" on 20 rows of {done.split}: " in shown and 'aria-label="Contributions"' in shown
    assert (folder / "runs" / "tables" / f"{done.split}.parquet").is_file()


def test_rows_of_a_run_on_a_frame_are_explained(run):
    done = run.explain(["7", 8], progress=False)
    assert done.rows["id"].tolist() == ["7", "8"]
    assert set(done.attributions["column"]) == {"x", "city"}
    assert len(done.images) == 2
    assert all(path.is_file() for path in done.images)
    # A notebook shows points of probability, not logits.
    assert re.search(r"<td>probability of high \d\.\d{3}: ", done._repr_html_())


@pytest.mark.slow
def test_a_run_on_a_frame_is_exported(run):
    done = run.export("keras", progress=False)
    assert done.folder == run.folder / "exports" / "keras"
    assert done.signature.check.rows == 9


def test_objects_are_legible_in_a_terminal(run):
    lines = repr(run).splitlines()
    assert lines[0] == f"<mmtrain run {run.folder}>"
    assert lines[1].startswith("finished, started ")
    assert lines[2].split() == ["split", "target", "score", "value", "low", "high", "baseline"]
    assert lines[3].split()[:4] == ["test", "y", "auc", "1.000"]
    assert repr(run.report) == f"<report {run.folder / 'report.html'}>"


@pytest.mark.slow
def test_a_run_of_another_process_is_opened(run, folder):
    program = """
import sys, mmtrain, pandas
run = mmtrain.load("experiment", output=sys.argv[1])
rows = run.evaluate("validation", progress=False).predictions
print(rows.index[0], run.predict(pandas.DataFrame({"x": [1.0], "city": ["c1"]}))["prediction"][0])
"""
    done = subprocess.run([sys.executable, "-c", program, folder / "runs"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [run.predictions_of("validation").index[0], "high"]


def test_mistakes_of_a_dictionary_are_the_errors_of_the_house(tmp_path):
    with pytest.raises(ConfigError) as refused:
        mmtrain.fit(TREE | {"training": {"epoch": 2}}, table(), output=tmp_path, progress=False)
    assert str(refused.value) == "experiment: training.epoch: unknown key. Did you mean 'epochs'?"
    with pytest.raises(ConfigError) as refused:
        mmtrain.fit(["a"], table(), output=tmp_path)
    fix = "Give the path of an experiment file, or a dictionary of the same shape."
    assert str(refused.value) == f"experiment: an experiment is expected; found a list. {fix}"
    with pytest.raises(ConfigError) as refused:
        mmtrain.fit(TREE, table(), overrides="training.epochs=3", output=tmp_path)
    fix = "Write `overrides=['training.epochs=3']`."
    assert str(refused.value) == f"overrides: a list of overrides is expected; found a text. {fix}"


def test_mistakes_of_a_frame_are_told_by_row(tmp_path):
    wrong = table().astype({"x": object})
    wrong.iloc[3, 0] = "n.a."
    with pytest.raises(DataError) as refused:
        mmtrain.fit(TREE, wrong, output=tmp_path, progress=False)
    fix = "Write a number, or list 'n.a.' under `data.missing_values` if it stands for a missing value."
    assert str(refused.value) == f"the DataFrame: row 3: x: 'n.a.' is not a number. {fix}"
    with pytest.raises(DataError) as refused:
        mmtrain.fit(TREE, table().rename(columns={"x": "xx"}), output=tmp_path, progress=False)
    assert str(refused.value) == "experiment: columns.x: the DataFrame has no column 'x'. Did you mean 'xx'?"


@pytest.mark.parametrize("call", [lambda run: run.evaluate("tset"), lambda run: run.explain(split="tset")])
def test_a_split_that_does_not_exist_is_refused(call, run):
    with pytest.raises(UsageError) as refused:
        call(run)
    assert str(refused.value) == "split: expected train, validation, test or calibration; found 'tset'. Did you mean 'test'?"


def test_tables_and_overrides_replace_those_of_a_file(tmp_path):
    from mmtrain.api.inputs import as_table, experiment_argument
    from mmtrain.config import load

    file = write_experiment(tmp_path / "e.yaml", {**TREE, "training": {"epochs": 2}})
    (tmp_path / "other.csv").touch()
    other = as_table(tmp_path / "other.csv", tmp_path)
    wanted = experiment_argument(str(file), {"training.epochs": 7, "split": {"seed": 3}}).on(other, None)
    experiment = load(wanted.source, wanted.overrides)
    assert (experiment.data.table, experiment.training.epochs, experiment.split.seed) == (tmp_path / "other.csv", 7, 3)


@pytest.mark.parametrize(
    ("data", "images", "expected"),
    [
        ({}, None, "."),
        ({"table": "sub/table.csv"}, None, "sub"),
        ({"images": "scans"}, None, "scans"),
        ({"images": "scans"}, "given", "given"),
    ],
)
def test_images_of_a_frame_lie_where_the_experiment_says(data, images, expected, tmp_path, monkeypatch):
    from mmtrain.api.inputs import as_table, experiment_argument
    from mmtrain.config import load

    monkeypatch.chdir(tmp_path)
    tree = {"data": data, "columns": {"scan": {"role": "image", "size": [8, 8]}, "y": {"role": "target", "task": "binary"}}}
    wanted = experiment_argument(tree, ()).on(as_table(pd.DataFrame({"scan": ["a.png"], "y": [1]}), "runs"), images)
    found = load(wanted.source, wanted.overrides).data
    assert found.images_folder.path == (tmp_path / expected).resolve()
    assert found.table.parent == tmp_path / "runs" / "tables"


def test_check_describes_the_splits_and_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = mmtrain.check(TREE, table(), progress=False)
    assert (done.rows, done.dropped) == (60, 0)
    assert done.splits.to_dict("list") == {
        "split": ["train", "validation", "test"],
        "rows": [42, 9, 9],
        "share": [0.7, 0.15, 0.15],
        "high": [21, 4, 5],
        "low": [21, 5, 4],
    }
    assert repr(done).splitlines()[0] == "<mmtrain check: 60 rows, 0 dropped>"
    with pytest.raises(DataError) as refused:
        mmtrain.check(TREE, table().assign(x="n.a."), progress=False)
    assert str(refused.value).startswith("the DataFrame: row 0: x: 'n.a.' is not a number. 59 more such cells")
    assert not list(tmp_path.iterdir())


def test_data_are_inspected_with_and_without_an_experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = mmtrain.inspect_data(table(), progress=False)
    assert found.columns["column"].tolist() == ["x", "city", "y"]
    assert found.columns["distinct"].tolist() == [14, 3, 2]
    assert found.findings.columns.tolist() == ["level", "kind", "where", "what", "why", "fix", "rows"]
    assert found._repr_html_().startswith("<iframe srcdoc=")
    for row in range(3):
        paint(tmp_path / f"{row}.png", 90 * row)
    images = pd.DataFrame({"scan": [f"{row % 3}.png" for row in range(12)], "y": list("ab") * 6})
    assert mmtrain.inspect_data(images, progress=False).columns["role"].tolist() == ["image", "target"]
    for path in tmp_path.glob("*.png"):
        path.unlink()
    assert not list(tmp_path.iterdir())
    found = mmtrain.inspect_data(TREE, table().assign(x="n.a."), html="page.html", progress=False)
    assert found.spoiled
    assert found.problems[0].where == "DataFrame.parquet: row 0: x"
    assert found.columns["role"].tolist() == ["numeric", "categorical", "target"]
    assert (tmp_path / "page.html").is_file()


def test_a_first_experiment_is_guessed_and_can_be_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun = mmtrain.init(table())
    assert begun.target == "y"
    assert begun.columns.iloc[0].tolist()[:3] == ["x", "numeric", True]
    assert list(begun.experiment) == ["data", "columns", "branches", "fusion", "split", "training"]
    assert mmtrain.check(begun.experiment, progress=False).rows == 60
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    written = mmtrain.init(table(), "y", file="mine.yaml")
    assert written.file == tmp_path / "mine.yaml"
    assert mmtrain.check("mine.yaml", progress=False).rows == 60


@pytest.mark.slow
def test_runs_are_compared(run, folder):
    other = mmtrain.fit(run.experiment, overrides={"training.learning_rate": 0.01, "name": "other"}, output=folder / "runs", progress=False)
    other.evaluate(progress=False)
    found = mmtrain.compare([run, other])
    assert found.scores["run"].unique().tolist() == ["experiment/1", "other/1"]
    assert found.differences.columns.tolist() == ["run", "target", "score", "value", "low", "high", "p_value"]
    assert found.settings.to_numpy().tolist() == [["name", "experiment", "other"], ["training.learning_rate", "0.001", "0.01"]]


@pytest.mark.slow
def test_an_interrupted_run_on_a_frame_is_resumed_to_the_same_end(run, tmp_path, monkeypatch):
    from mmtrain.cli.views.training_progress import Display
    from mmtrain.training.listeners.events import EpochBegan
    from mmtrain.training.signals import Interrupted

    def interrupt(_, event):
        if event == EpochBegan(2):
            raise Interrupted(2)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        patch.setattr(Display, "event", interrupt)
        mmtrain.fit(TREE, table(), output=tmp_path, progress=False)
    hint = f"continue with mmtrain.resume({str(tmp_path / 'experiment' / '1')!r})"
    assert str(stopped.value) == f"Interrupted by SIGINT. The best and the last weights are kept; {hint}"
    opened = mmtrain.resume(output=tmp_path, progress=False)
    assert opened.state == "finished"
    scores = [name for name in run.history if name.startswith(("train_", "validation_"))]
    pd.testing.assert_frame_equal(opened.history[scores], run.history[scores])


def test_images_of_another_frame_lie_where_those_of_the_training_do(run):
    from mmtrain.api.commands import _images
    from mmtrain.api.inputs import TableArgument
    from mmtrain.artifacts.run_folder import Run

    frame = TableArgument(Path("stored.parquet"), frame=True)
    assert _images(Run(run.folder), frame, None) == run.experiment.data.images_folder.path == Path.cwd()
    assert _images(Run(run.folder), frame, "scans") == Path.cwd() / "scans"
    assert _images(Run(run.folder), TableArgument(Path("table.csv")), None) is None


@pytest.mark.slow
def test_images_in_the_cells_of_a_frame_are_trained_on_and_predicted(folder, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(folder / "cache"))
    frame = table(40)
    scans = [np.full((8, 8), 40 + row, dtype=np.uint8) for row in range(40)]
    tree = TREE | {"columns": {"scan": {"role": "image", "size": [8, 8], "channels": 1}, "y": TREE["columns"]["y"]}}
    run = mmtrain.fit(tree, frame.assign(scan=pd.Series(scans, frame.index)), output=folder / "images", progress=False)
    run.evaluate(progress=False)
    assert "base64,iV" not in (run.folder / "worst_predictions_test.json").read_text()
    of_arrays = run.predict(frame.assign(scan=pd.Series(scans, frame.index)), proba=True)
    of_bytes = run.predict(frame.assign(scan=pd.Series([from_data_uri(to_data_uri(scan)) for scan in scans], frame.index)), proba=True)
    pd.testing.assert_frame_equal(of_arrays, of_bytes)
    assert of_arrays["probability_high"].nunique() > 1
