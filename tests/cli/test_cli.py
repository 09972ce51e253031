"""The command line as a person meets it: exit codes, what goes where, and mistakes told without a traceback."""

import json
import os
import re
import signal
import sys
import threading

import keras
import numpy as np
import pytest
from tiny import lines, paint, ready, start, two_blobs, write_experiment, write_table

from mmtrain.artifacts.run_folder import FORMAT
from mmtrain.branches import architectures
from mmtrain.cli.app import run
from mmtrain.cli.views import console
from mmtrain.commands.fit import fit
from mmtrain.errors import UsageError, listed
from mmtrain.pipeline.build import assemble_network
from mmtrain.system.user_code import import_code
from mmtrain.training import checkpoints, device

pytestmark = pytest.mark.usefixtures("models_opened_once")

CONFIG = """\
columns:
  who: {role: id}
  scan: {role: image, size: [8, 8], channels: 1}
  x: {role: numeric}
  y: {role: target, task: binary}
training: {epochs: 1, optimizer: sgd}
"""


class Said:
    """What a command line gave: the exit code, standard output and standard error."""

    def __init__(self, code, captured):
        self.code, self.out, self.err = code, captured.out, captured.err

    @property
    def problems(self):
        """The lines after the heading, which says how many there are."""
        found = self.err.splitlines()
        heading = next(
            place for place, line in enumerate(found) if line.startswith(("The command", "The experiment", "The data", "The run"))
        )
        shown = found[heading + 1 :]
        assert found[heading].endswith(f": {len(shown)} problem{'s' if len(shown) > 1 else ''}.")
        return shown


@pytest.fixture
def mmtrain(capsys, monkeypatch, tmp_path):
    """A command line in an empty folder; `mmtrain("fit", "a.yaml")`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def called(*arguments):
        capsys.readouterr()
        code = run(list(map(str, arguments)))
        return Said(code, capsys.readouterr())

    return called


def cells():
    return [{"who": f"r{row}", "scan": f"{row}.png", "x": row, "y": ("low", "high")[row % 2]} for row in range(12)]


def sound(folder):
    """An experiment that can be trained."""
    for row in range(12):
        paint(folder / f"{row}.png", row * 20)
    write_table(folder / "table.csv", cells())
    (folder / "a.yaml").write_text("data: {table: table.csv}\n" + CONFIG)


# Mistakes


def config(old, new):
    def change(folder):
        text = (folder / "a.yaml").read_text()
        assert old in text
        (folder / "a.yaml").write_text(text.replace(old, new))

    return change


def cell(row, name, value):
    def change(folder):
        rows = cells()
        rows[row][name] = value
        write_table(folder / "table.csv", rows)

    return change


def every(name, value):
    def change(folder):
        write_table(folder / "table.csv", [{**row, name: value(place)} for place, row in enumerate(cells())])

    return change


def image(content):
    def change(folder):
        path = folder / "3.png"
        path.write_bytes(content(path.read_bytes()))

    return change


def both(*changes):
    def change(folder):
        for one in changes:
            one(folder)

    return change


MISTAKES = {
    "no such file": (
        2,
        lambda folder: (folder / "a.yaml").unlink(),
        ["a.yaml: the file does not exist. Give the path of an experiment file; `mmtrain init TABLE` writes one."],
    ),
    "empty file": (
        2,
        lambda folder: (folder / "a.yaml").write_text(""),
        ["a.yaml: the file is empty. `mmtrain init TABLE` writes one to begin with."],
    ),
    "misspelt key": (2, config("epochs", "epoch"), ["a.yaml:7: training.epoch: unknown key. Did you mean 'epochs'?"]),
    "misspelt role": (
        2,
        config("numeric", "numerical"),
        ["a.yaml:5: columns.x.role: there is no role 'numerical'. Did you mean 'numeric'?"],
    ),
    "wrong value": (2, config("epochs: 1", "epochs: none"), ["a.yaml:7: training.epochs: expected a whole number; found 'none'."]),
    "two mistakes": (
        2,
        both(config("numeric", "numerical"), config("epochs: 1", "epochs: -1")),
        [
            "a.yaml:5: columns.x.role: there is no role 'numerical'. Did you mean 'numeric'?",
            "a.yaml:7: training.epochs: -1 is out of range. It has to be 1 or more.",
        ],
    ),
    "no target": (
        2,
        config("  y: {role: target, task: binary}\n", ""),
        ["a.yaml:2: columns: no column has the role `target`. Say what is to be predicted: `diagnosis: {{role: target, task: binary}}`."],
    ),
    "unknown monitor": (
        2,
        config("epochs: 1", "early_stopping: {monitor: validation_acc}"),
        ["a.yaml:7: training.early_stopping.monitor: there is no score 'validation_acc' for these targets. Did you mean 'validation_auc'?"],
    ),
    "weights of an unknown class": (
        2,
        config("epochs: 1", "class_weights: {hihg: 2}"),
        ["a.yaml:7: training.class_weights.hihg: the table has no class 'hihg'. Did you mean 'high'?"],
    ),
    "weights of 0 alone": (
        2,
        config("epochs: 1", "class_weights: {high: 0, low: 0}"),
        ["a.yaml:7: training.class_weights: every class of 'y' has the weight 0. Give one class at least a weight above 0."],
    ),
    "prior of an unknown class": (
        2,
        config("task: binary}", "task: binary, decision: {prior: {hihg: 2, low: 1}}}"),
        ["a.yaml:6: columns.y.decision.prior.hihg: the table has no class 'hihg'. Did you mean 'high'?"],
    ),
    "prior without a class": (
        2,
        config("task: binary}", "task: binary, decision: {prior: {low: 1}}}"),
        ["a.yaml:6: columns.y.decision.prior: the prior has no share for 'high'. Give every class a share; they are divided by their sum."],
    ),
    "no table": (
        3,
        lambda folder: (folder / "table.csv").unlink(),
        ["{folder}/table.csv: the table does not exist. Set `data.table` to its path."],
    ),
    "no header": (
        3,
        config("  x: {role: numeric}", "  xx: {role: numeric}"),
        ["a.yaml:5: columns.xx: table.csv has no column 'xx'. Did you mean 'x'?"],
    ),
    "word in a number": (
        3,
        cell(4, "x", "four"),
        [
            "table.csv:6: x: 'four' is not a number. Write a number, or list 'four' under `data.missing_values` "
            "if it stands for a missing value."
        ],
    ),
    "infinite number": (3, cell(4, "x", "-inf"), ["table.csv:6: x: '-inf' is infinite. Write a finite number, or leave the cell empty."]),
    "id twice": (
        3,
        cell(4, "who", "r3"),
        [
            "table.csv:6: who: the id 'r3' occurs more than once. Give every row an id of its own, or use the "
            "role `group` if rows belong together."
        ],
    ),
    "empty answer": (3, cell(4, "y", ""), ["table.csv:6: y: the cell is empty. Fill it in, or set `missing: drop` to leave the row out."]),
    "one class": (
        3,
        every("y", lambda row: "low"),
        ["table.csv:2: y: every row has the class 'low'. A target needs at least two classes."],
    ),
    "three classes": (
        3,
        cell(4, "y", "medium"),
        ["table.csv:6: y: `task: binary` has two classes, the column has 3: high, low and medium. Set `task: multiclass`."],
    ),
    "rare class": (
        3,
        every("y", lambda row: "low" if row else "high"),
        [
            "split: class 'high' has 1 row, fewer than the 3 parts. Merge it with another class, leave those "
            "rows out, or use `split: {{method: random}}`."
        ],
    ),
    "empty part": (
        3,
        lambda folder: write_table(folder / "table.csv", cells()[:2]),
        ["split: the table has 2 rows, fewer than the 3 parts. Add rows, or set `test: 0`."],
    ),
    "one row": (
        3,
        lambda folder: write_table(folder / "table.csv", cells()[:1]),
        [
            "table.csv: the table has one row; at least 2 are needed. Write a line below the headers for every row.",
            "table.csv:2: y: every row has the class 'low'. A target needs at least two classes.",
        ],
    ),
    "missing image": (
        3,
        lambda folder: (folder / "3.png").unlink(),
        [
            "table.csv:5: scan: the file 3.png does not exist. Paths are relative to the images folder {folder}."
            " Or leave out rows without a readable file: `columns.scan.missing: drop`."
        ],
    ),
    "truncated image": (
        3,
        image(lambda content: content[:60]),
        [
            "table.csv:5: scan: 3.png: the PNG file is cut short. Copy or download it again, whole."
            " Or leave out rows without a readable file: `columns.scan.missing: drop`."
        ],
    ),
    "no image": (
        3,
        image(lambda content: b"not an image"),
        [
            "table.csv:5: scan: 3.png: the file is not an image. Use an image file: JPEG, PNG, BMP, GIF or WEBP."
            " Or leave out rows without a readable file: `columns.scan.missing: drop`."
        ],
    ),
    "empty image": (
        3,
        image(lambda content: b""),
        [
            "table.csv:5: scan: 3.png: the file is empty. Replace it with a whole image file."
            " Or leave out rows without a readable file: `columns.scan.missing: drop`."
        ],
    ),
    "image outside": (
        3,
        cell(4, "scan", "../4.png"),
        ["table.csv:6: scan: the path ../4.png leaves the images folder {folder}. Move the file there, or set `data.allow_outside: true`."],
    ),
    "absolute image": (
        3,
        cell(4, "scan", "/4.png"),
        [
            "table.csv:6: scan: the path /4.png is absolute. Write it relative to the images folder {folder}, or "
            "set `data.allow_outside: true`."
        ],
    ),
    "no images folder": (
        3,
        config("table: table.csv", "table: table.csv, images: scans"),
        ["{folder}/scans: the images folder does not exist. Set `data.images` to the folder that image cells are relative to."],
    ),
    "header, cell, image, class weight and split": (
        3,
        both(
            config("epochs: 1", "class_weights: {low: 2, hihg: 2}"),
            config("  x: {role: numeric}", "  x: {role: numeric}\n  xx: {role: numeric, column: z}"),
            lambda folder: (folder / "3.png").unlink(),
            lambda folder: write_table(
                folder / "table.csv",
                [{**row, "x": row["x"] if place != 4 else "four", "y": "high" if place else "low"} for place, row in enumerate(cells())],
            ),
        ),
        [
            "a.yaml:6: columns.xx.column: table.csv has no column 'z'. It has who, scan, x and y.",
            "table.csv:6: x: 'four' is not a number. Write a number, or list 'four' under `data.missing_values` "
            "if it stands for a missing value.",
            "table.csv:5: scan: the file 3.png does not exist. Paths are relative to the images folder {folder}."
            " Or leave out rows without a readable file: `columns.scan.missing: drop`.",
            "a.yaml:8: training.class_weights.hihg: the table has no class 'hihg'. Did you mean 'high'?",
            "split: class 'low' has 1 row, fewer than the 3 parts. Merge it with another class, leave those "
            "rows out, or use `split: {{method: random}}`.",
        ],
    ),
    "one class in training": (
        3,
        both(
            every("part", lambda row: "train" if row % 2 else ("validation", "test")[row % 4 == 0]),
            config("training:", "  part: {role: split}\nsplit: {method: column}\ntraining:"),
        ),
        [
            "table.csv: y: in the training part, every row has the class 'high'. A target needs at least two classes. "
            "Divide the rows in another way: set another `split.seed` or `split.method`, or mark other rows train."
        ],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_told_and_leaves_nothing(mmtrain, tmp_path, mistake):
    code, change, problems = MISTAKES[mistake]
    sound(tmp_path)
    change(tmp_path)
    said = mmtrain("fit", "a.yaml")
    assert said.problems == [problem.format(folder=tmp_path) for problem in problems]
    assert (said.code, said.out) == (code, "")
    assert "Traceback" not in said.err
    assert not (tmp_path / "runs").exists()
    assert mmtrain("check", "a.yaml").problems == said.problems


def test_there_are_mistakes_of_every_sort():
    assert len(MISTAKES) == 32
    assert {code for code, _, _ in MISTAKES.values()} == {2, 3}


@pytest.mark.parametrize("command", ["fit", "check"])
def test_mistakes_are_one_json_document(mmtrain, tmp_path, command):
    sound(tmp_path)
    MISTAKES["two mistakes"][1](tmp_path)
    said = mmtrain(command, "a.yaml", "--json")
    assert (said.code, said.err) == (2, "")
    assert json.loads(said.out) == {
        "error": {
            "exit_code": 2,
            "problems": [
                {"where": "a.yaml:5: columns.x.role", "what": "there is no role 'numerical'.", "fix": "Did you mean 'numeric'?"},
                {"where": "a.yaml:7: training.epochs", "what": "-1 is out of range.", "fix": "It has to be 1 or more."},
            ],
        }
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["fitt"], "No such command 'fitt'"),
        (["check"], "Missing argument"),
        (["fit", "a.yaml", "--epochs", "3"], "No such option"),
        (["evaluate", "--part", "tests"], "Invalid value for '--part': 'tests' is not one of"),
        (
            ["explain", "--part", "test", "--data", "t.csv"],
            "mmtrain explain: --part and --data cannot be given together: another table has",
        ),
        (["check", "a.yaml", "--code", "nowhere.py"], "--code: nowhere.py does not exist. Give the path of a file ending in .py."),
        (["check", "a.yaml", "--set", "training"], "--set training: an override is written key.sub=value."),
    ],
)
def test_wrong_usage_is_exit_code_two(mmtrain, tmp_path, arguments, text):
    sound(tmp_path)
    said = mmtrain(*arguments)
    assert said.code == 2
    assert text in said.err
    assert (said.out, "Traceback" in said.err) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "mmtrain fit: expected either an experiment file or, with --resume, a run to resume. For example: mmtrain fit config.yaml"),
        (
            ["a.yaml", "--resume", "a"],
            "mmtrain fit: expected either an experiment file or, with --resume, a run to resume. For example: mmtrain fit config.yaml",
        ),
        (
            ["--resume", "a", "--set", "training.epochs=9"],
            "mmtrain fit: --set cannot be given with --resume: a resumed run keeps its settings. "
            "To change the experiment, train again: mmtrain fit RUN/config.yaml --set ...",
        ),
    ],
)
def test_fit_takes_an_experiment_or_a_run_to_go_on_with(mmtrain, tmp_path, arguments, problem):
    sound(tmp_path)
    said = mmtrain("fit", *arguments)
    assert (said.code, said.out, said.problems) == (2, "", [problem])


def test_a_bug_shows_its_traceback(tmp_path):
    sound(tmp_path)
    (tmp_path / "bug.py").write_text("from mmtrain.commands import check\n\ncheck.check = lambda *_, **__: 1 / 0\n")
    process = start("check", "a.yaml", "--code", "bug.py", folder=tmp_path)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("Traceback (most recent call last):")
    assert err.splitlines()[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interruption_outside_a_training_says_what_is_kept(mmtrain, tmp_path, name, code):
    sound(tmp_path)
    (tmp_path / "stop.py").write_text(f"import os, signal\nos.kill(os.getpid(), signal.{name})\n")
    said = mmtrain("check", "a.yaml", "--code", "stop.py")
    assert (said.code, said.out) == (code, "")
    assert said.err == f"Interrupted by {name}. No partial result is kept; run the command again.\n"


def test_code_file_registers_what_the_experiment_names(mmtrain, tmp_path):
    sound(tmp_path)
    config("training:", "branches: {b: {columns: [x], architecture: mine_of_the_cli_test}, s: {columns: [scan]}}\ntraining:")(tmp_path)
    known = f"It is one of {listed(list(architectures), 'or', most=len(list(architectures)))}. One of your own comes with --code FILE."
    assert mmtrain("check", "a.yaml").problems == [
        f"a.yaml:7: branches.b.architecture: there is no architecture 'mine_of_the_cli_test'. {known}"
    ]
    (tmp_path / "other.py").write_text("")
    (tmp_path / "mine.py").write_text(
        "from mmtrain.branches import Features, branch\n"
        "@branch('vector')\n"
        "def mine_of_the_cli_test(inputs, *, units: int = 1):\n"
        "    return Features(inputs['x'].tensor)\n"
    )
    try:
        said = mmtrain("check", "a.yaml", "--code", "mine.py", "--code", "other.py")
        assert said.code == 0, said.problems
    finally:
        architectures.remove("mine_of_the_cli_test")


OWN_BRANCH = """
from mmtrain.branches import branch
@branch('vector')
def mine_of_the_cli_test(inputs, *, units: int = 1):
    return inputs
"""


def test_two_code_files_cannot_register_one_name(tmp_path):
    first, second = tmp_path / "a" / "twice.py", tmp_path / "b" / "twice.py"
    for file in (first, second):
        file.parent.mkdir()
        file.write_text(OWN_BRANCH)
    try:
        import_code([first])
        import_code([first])  # the same definition once more
        with pytest.raises(UsageError, match="is already taken by") as caught:
            import_code([second])
    finally:
        architectures.remove("mine_of_the_cli_test")
    assert str(caught.value).startswith(f"{second}:3: the file could not be imported: ")
    assert (
        "The architecture name 'mine_of_the_cli_test' is already taken by mmtrain_user_code.twice.mine_of_the_cli_test. "
        "Register mmtrain_user_code.twice_2.mine_of_the_cli_test under another name."
    ) in str(caught.value)
    assert "mmtrain_user_code.twice_2" not in sys.modules


def test_paragraphs_of_a_help_are_as_wide_as_the_terminal(mmtrain, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    told = [line.strip() for line in mmtrain("pack", "--help").out.splitlines()]
    assert "and the row numbers of each part. It never holds the table, its images, or" in told


def test_check_counts_in_thousands(mmtrain, tmp_path):
    two_blobs(tmp_path, 1200)
    write_experiment(tmp_path / "a.yaml", "columns: {x: {role: numeric}, y: {role: target, task: binary}}")
    said = mmtrain("check", "a.yaml", "--set", "training.epochs=2")
    assert said.out == "a.yaml: no problems. 1,200 rows: train 840, validation 180, test 180.\n"
    assert said.err.splitlines()[-1] == "Train it: mmtrain fit a.yaml --set training.epochs=2"


def test_check_says_that_there_is_nothing_to_mend(mmtrain, tmp_path):
    sound(tmp_path)
    said = mmtrain("check", "a.yaml", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert said.out == "a.yaml: no problems. 12 rows: train 8, validation 2, test 2.\n"
    said = mmtrain("check", "a.yaml", "--json")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == {"ok": True, "rows": 12, "dropped": 0, "parts": {"train": 8, "validation": 2, "test": 2}}
    assert not (tmp_path / "runs").exists()


def test_colours_are_left_out_when_asked(mmtrain, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31m" in mmtrain("check", "nowhere.yaml").err
    monkeypatch.setenv("NO_COLOR", "1")
    plain = mmtrain("check", "nowhere.yaml").err
    assert "nowhere.yaml" in plain
    assert not re.search(r"\x1b\[[0-9;]*3\dm", plain)


def test_schema_is_one_json_document(mmtrain):
    said = mmtrain("schema")
    assert (said.code, said.err) == (0, "")
    assert "columns" in json.loads(said.out)["properties"]


def test_reader_that_stops_early_gets_no_traceback(tmp_path):
    process = start("schema", folder=tmp_path)
    process.stdout.close()  # before anything is written: a pipe could hold the whole schema
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=100), err) == (1, "")


# Fit and evaluate

MARKED = """
name: marked
columns:
  x: {role: numeric}
  "kind [of blob]": {role: target, task: multilabel}
training: {epochs: 30, batch_size: 16, learning_rate: 0.01, optimizer: sgd, early_stopping: {monitor: "validation_auc[red]"}}
"""
"""Brackets are markup to the terminal library, and must not be lost."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with two labels, and its experiment."""
    folder = tmp_path_factory.mktemp("cli")
    rows = [
        {"x": (row % 2) * 2 - 1 + row % 7 / 10, "kind [of blob]": ("red", "red;blue")[row % 4 > 1] if row % 2 else ""} for row in range(60)
    ]
    write_table(folder / "table.csv", rows)
    write_experiment(folder / "marked.yaml", MARKED)
    return folder


@pytest.fixture
def there(mmtrain, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return mmtrain


def test_fit_prints_the_run_folder_and_everything_else_beside_it(there):
    said = there("fit", "marked.yaml", "--set", "training.epochs=2")
    assert (said.code, said.out) == (0, "runs/marked/1\n")
    found = said.err.splitlines()
    assert found[0] == "Data checked; starting TensorFlow."
    assert found[1] == "60 rows; run folder runs/marked/1"
    assert [re.split(r"\s+", line)[:3] for line in found[2:6]] == [
        ["part", "rows", "share"],
        ["train", "42", "70.0%"],
        ["validation", "9", "15.0%"],
        ["test", "9", "15.0%"],
    ]
    assert re.fullmatch(r"[\d,]+ parameters: table 128, fusion 4,160, target_kind_of_blob 130", found[6])
    epoch = r"train_loss \d\.\d{3}  validation_loss \d\.\d{3}  validation_auc\[red\] \d\.\d{3}  best \d  \d+\.\d s  [\d,]+ rows/s"
    assert [bool(re.fullmatch(rf"epoch {number}/2  {epoch}", line)) for number, line in enumerate(found[7:9], start=1)] == [True, True]
    assert re.fullmatch(r"Best epoch [12] of 2\.  train_loss .* validation_auc\[red\] \d\.\d{3}", found[9])
    assert found[10:] == ["Report: runs/marked/1/report.html", "Score it on the test part: mmtrain evaluate runs/marked/1"]


def test_fit_without_test_rows_names_another_table(there):
    said = there("fit", "marked.yaml", "--set", "training.epochs=1", "--set", "split.test=0")
    last = r"It has no test part; score it on another table: mmtrain evaluate runs/marked/\d+ --data TABLE"
    assert re.fullmatch(last, said.err.splitlines()[-1])


def test_fit_gives_json(there, folder):
    said = there("fit", "marked.yaml", "--json", "--set", "training.epochs=1", "--output", "elsewhere")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert (found["run"], found["report"]) == ("elsewhere/marked/1", "elsewhere/marked/1/report.html")
    assert (folder / found["report"]).is_file()
    assert (found["epochs"], found["best_epoch"]) == (1, 1)
    assert found["scores"] == {
        name: value for name, value in lines(folder / found["run"] / "metrics.jsonl")[0].items() if name not in ("epoch", "learning_rate")
    }


@pytest.fixture(scope="module")
def finished(folder):
    """A whole run."""
    return fit(folder / "marked.yaml", output=folder / "finished").run.folder


def test_evaluate_prints_scores_beside_the_baseline(there, finished):
    said = there("evaluate", finished, "--output", "finished")
    assert said.code == 0
    shown = {line.split("  ")[0]: line.split() for line in said.out.splitlines() if line}
    assert f"test of marked/{finished.name}: kind [of blob], multilabel, 9 rows" in said.out.splitlines()
    assert shown["auc[red]"] == ["auc[red]", "1.000", "–", "0.500", "higher"]
    assert shown["hamming_loss"][-1] == "lower"
    assert "baseline: share of each label in the training rows" in said.out.splitlines()
    assert said.err.splitlines()[-2:] == [f"Predictions: {finished}/predictions_test.csv", f"Report:      {finished}/report.html"]
    headline = "AUC [red] of kind [of blob] on 9 rows of test: 1.000; the baseline (label shares) has 0.500. "
    headline += "The model is better; the uncertainty of the difference is unknown."  # of draws of 9 rows some have no red one
    assert said.out.splitlines()[-1] == headline
    again = there("evaluate", "marked", "--output", "finished", "--quiet")
    assert again.out == said.out
    warning = "The test part of this run has now been scored twice; choices made after looking make its scores too good."
    assert again.err == f"{warning}\n"
    document = json.loads(there("evaluate", "marked", "--output", "finished", "--json").out)
    assert (document["test_looks"], document["remarks"]) == (3, [warning.replace("twice", "3 times")])


def test_evaluate_scores_another_table_without_taking_it_for_a_part(there, folder, finished):
    write_table(
        folder / "test.csv", [{"x": 1.2, "kind [of blob]": "red"}, {"x": -1.1, "kind [of blob]": ""}, {"x": 0.9, "kind [of blob]": "red"}]
    )
    said = there("evaluate", finished, "--data", "test.csv", "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert (found["part"], found["run"]) == ("test_table", str(finished))
    assert found["targets"]["kind [of blob]"]["rows"] == 3
    assert found["predictions"] == f"{finished}/predictions_test_table.csv"
    looks = json.loads((finished / "run.json").read_text())["evaluations"]
    assert (looks[-1]["part"], looks[-1]["table"]) == ("test_table", "test.csv")


def test_evaluate_tells_what_it_cannot_score(there, folder, finished):
    (folder / "finished" / "marked" / "7").mkdir()
    (folder / "finished" / "marked" / "7" / "run.json").write_text(
        json.dumps({"format": FORMAT, "state": "failed", "started": "2026-01-01T00:00:00+00:00"})
    )
    table = (folder / "table.csv").read_text()
    cases = [
        (["evaluate", "markd"], 2, "markd: there is no such run. Did you mean 'marked'?"),
        (
            ["evaluate", "marked/7"],
            1,
            f"{folder}/finished/marked/7: the run has no trained model; its state is 'failed'. Train again with `mmtrain fit`.",
        ),
        (["evaluate", finished, "--data", "nowhere.csv"], 3, "nowhere.csv: the table does not exist. Set `--data` to its path."),
    ]
    for arguments, code, problem in cases:
        said = there(*arguments, "--output", "finished")
        assert (said.code, said.out, said.problems) == (code, "", [problem])
    (folder / "table.csv").write_text(table + "1,red\n")
    said = there("evaluate", finished)
    (folder / "table.csv").write_text(table)
    assert (said.code, said.out) == (3, "")
    assert said.problems == [
        f"{folder}/table.csv: the table has changed since the training, so its rows are no longer those of the split. "
        f"Restore the table, or score the new one as a whole with `mmtrain evaluate {finished} --data {folder}/table.csv`."
    ]
    (finished / "model.keras").rename(finished / "model")
    said = there("evaluate", finished, "--json")
    (finished / "model").rename(finished / "model.keras")
    assert (said.code, said.err) == (1, "")
    assert json.loads(said.out)["error"]["problems"][0]["what"] == "model.keras changed after the training."


@pytest.mark.slow  # a process of its own
def test_quiet_training_says_nothing_on_standard_error(tmp_path):
    """TensorFlow has something to say of a transposed mask, for one, once in a process."""
    two_blobs(tmp_path, z=lambda row: "" if row % 5 == 0 else row)
    tree = """
    columns: {x: {role: numeric}, z: {role: numeric, missing: mask}, y: {role: target, task: binary}}
    branches: {x: {columns: [x]}, z: {columns: [z]}}
    fusion: attention
    training: {epochs: 1}
    """
    write_experiment(tmp_path / "masked.yaml", tree)
    process = start("fit", "masked.yaml", "--quiet", folder=tmp_path)
    assert process.communicate(timeout=100) == ("runs/masked/1\n", "")


# Interruption


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """The folder of an experiment that does not end by itself; without a trial, which a training of many steps begins with."""
    folder = tmp_path_factory.mktemp("interrupted")
    two_blobs(folder)
    tree = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\n"
    tree += "training: {epochs: 100000, optimizer: sgd, jit: 'off', steps_per_call: 1}"
    write_experiment(folder / "endless.yaml", tree)
    return folder


def interrupted_process(folder, *_):
    """SIGINT to a process of its own after its second epoch: its exit code, and what it said."""
    process = start("fit", "endless.yaml", "--output", "SIGINT", folder=folder)
    said = [process.stderr.readline()]
    while not said[-1].startswith("epoch 2/"):
        said.append(process.stderr.readline())
        assert said[-1], said
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=100)
    return process.returncode, out, "".join(said) + rest


def interrupted_command(folder, capsys, monkeypatch):
    """SIGTERM to this process while it trains, after the second epoch."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    metrics, over = folder / "SIGTERM" / "endless" / "1" / "metrics.jsonl", threading.Event()

    def terminate():
        while not over.wait(0.01):
            if metrics.exists() and metrics.read_text().count("\n") >= 2:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    other = threading.Thread(target=terminate)
    other.start()
    code = run(["fit", "endless.yaml", "--output", "SIGTERM"])
    over.set()
    other.join()
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("interrupt", "name", "code"),
    [pytest.param(interrupted_process, "SIGINT", 130, marks=pytest.mark.slow), (interrupted_command, "SIGTERM", 143)],
)
def test_interrupted_training_keeps_what_it_has(endless, capsys, monkeypatch, interrupt, name, code):
    returned, out, said = interrupt(endless, capsys, monkeypatch)
    assert (returned, out) == (code, "")
    assert "Traceback" not in said
    folder = endless / name / "endless" / "1"
    shown = folder.relative_to(folder.parents[2])
    assert said.splitlines()[-2:] == [
        f"Interrupted by {name}. The best weights so far are kept in {shown}.",
        f"Resume it: mmtrain fit --resume {shown}",
    ]
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["state"], facts["error"]) == ("interrupted", f"Interrupted by {name}.")
    epochs = len(lines(folder / "metrics.jsonl"))
    assert 2 <= epochs < 100_000
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best", "last", "previous"]
    found = ready(folder / "config.yaml")
    device.prepare(0, deterministic=False)
    core = assemble_network(found.experiment, found.fitted).network
    position = checkpoints.load(folder / "checkpoints", "last", core)
    assert position.epoch == epochs
    assert 0 <= position.step <= 2
    checkpoints.load(folder / "checkpoints", "best", core)
    raw = found.data.table.cells("x").astype(float).to_numpy()[:, None]
    saved = keras.models.load_model(folder / "model.keras")({"x": raw})["y"].numpy()
    best = keras.activations.sigmoid(core({key: values for key, values in found.arrays.take(np.arange(60)).items()})["y"]).numpy()
    np.testing.assert_allclose(saved, best, rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "undefined"),
        (0.0, "0.000"),
        (0.5, "0.500"),
        (0.0001234, "0.000123"),
        (-3e-9, "−3.00e-09"),
        (-0.25, "−0.250"),
        (12345.6, "12,346"),
    ],
)
def test_a_small_number_keeps_its_significant_digits(value, shown):
    assert console.number(value) == shown


def test_schema_takes_json_like_other_commands(mmtrain):
    assert mmtrain("schema", "--json").out == mmtrain("schema").out
