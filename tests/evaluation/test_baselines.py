"""Baselines of the model: each branch trained alone, gradient boosting, and the paired differences."""

import html
import json
import os
import platform
import shutil
import sys
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from tiny import lines, paint, ready, two_blobs, write_experiment, write_table

from mmtrain import config
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.manifest import REQUIRED_FILES
from mmtrain.artifacts.results import BaselineResult, TargetResult
from mmtrain.artifacts.run_folder import Run, begin
from mmtrain.cli.views.console import out
from mmtrain.cli.views.scores import show_baselines
from mmtrain.columns.vectorizers.fitted_text import FIRST_ID
from mmtrain.commands.check import check
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.deployment.unpack import unpack
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.config.sections.training import EarlyStopping
from mmtrain.errors import ConfigError, UsageError
from mmtrain.evaluation.baselines import BaselinePredictions, dummy_baseline
from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.evaluation.reference_models import gradient_boosting, linear_model, tabular_baseline
from mmtrain.evaluation.reference_models.gradient_boosting import GradientBoosting
from mmtrain.evaluation.reference_models.linear_model import LinearModel
from mmtrain.evaluation.reference_models.tabular_baseline import FeatureMatrix
from mmtrain.metrics.score import Score
from mmtrain.model import model_file
from mmtrain.pipeline.baselines import branch_plan, child_names, epoch_limit
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.child_run import finished_child, train_child
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.target_results.baselines import sentences
from mmtrain.targets.labels.binary import FittedBinary

pytestmark = pytest.mark.usefixtures("models_opened_once")

COLUMNS = """
  x: {role: numeric}
  city: {role: categorical}
  scan: {role: image, size: [8, 8], channels: 1, augment: {flip: both}}
  patient: {role: group}
  worth: {role: weight}
  y: {role: target, task: binary, class_weights: balanced}
"""
TRAINING = "training: {epochs: 2, batch_size: 16, deterministic: true, seed: 3, early_stopping: {monitor: validation_auc}}"
BRANCHES = """
branches:
  scan: {columns: [scan], architecture: cnn, filters: [2], normalization: none, dropout: 0.5}
  the table: {columns: [x, city], architecture: mlp, units: [2]}
"""
EVERY = "evaluation: {baselines: [single_branch, gradient_boosting], draws: 100, permutations: 1, threshold: {aim: youden}}"


def write_rows(folder, rows=60):
    for row in range(rows):
        paint(folder / f"{row}.png", row * 37 % 256)
    cells = {"scan": lambda row: f"{row}.png", "city": lambda row: f"c{row % 3}"}
    return two_blobs(folder, rows, **cells, patient=lambda row: row // 2, worth=lambda row: 1 + row % 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baselines")
    write_rows(folder)
    return fit(write_experiment(folder / "a.yaml", f"columns:{COLUMNS}{BRANCHES}{TRAINING}\n{EVERY}"), output=folder / "runs").run


@pytest.fixture(scope="module")
def first(run):
    """The first evaluation, its terminal output, and its report."""
    messages = []
    done = evaluate(str(run.folder), say=messages.append)
    return done, messages, html.unescape(done.report.read_text())


def weights(path):
    """Return the weights of a saved model without the states of its random generators, which the file does not have."""
    return [variable.numpy() for variable in model_file.load_end_to_end(path).variables if "float" in variable.dtype]


def always_reported(messages):
    """Leave out the later epochs, which are reported only where they take a while."""
    return [line for line in messages if not line.endswith("epoch 2 of 2")]


def run_facts(folder):
    return json.loads((folder / "run.json").read_text())


# Branches alone


@pytest.mark.slow
def test_a_branch_alone_is_what_training_without_the_other_branches_gives(run, first, tmp_path):
    """Bit-equal: the same rows, order, augmentation, dropout, initial weights and best epoch."""
    write_rows(tmp_path)
    columns = "".join(line for line in COLUMNS.splitlines(keepends=True) if "x:" not in line and "city:" not in line)
    branches = BRANCHES[: BRANCHES.index("  the table")]
    only = fit(write_experiment(tmp_path / "a.yaml", f"columns:{columns}{branches}{TRAINING}"), output=tmp_path / "runs").run
    assert (only / "split.csv").read_text() == (run / "split.csv").read_text()
    alone = run / "baselines" / "scan"
    assert lines(alone / "metrics.jsonl") == lines(only / "metrics.jsonl")
    mine, theirs = weights(alone / "model.keras"), weights(only / "model.keras")
    assert len(mine) == len(theirs) == 6  # two of the convolution, the fusion and the head each
    assert all(np.array_equal(*pair) for pair in zip(mine, theirs, strict=True))


@pytest.mark.slow
def test_branches_are_trained_the_first_time_and_kept(run, first):
    best = {name: run_facts(run / "baselines" / name)["best_epoch"] for name in ("scan", "the_table")}
    assert always_reported(first[1]) == [
        "Data checked; starting TensorFlow.",
        "Training the baseline scan alone: epoch 1 of 2",
        f"Trained the baseline scan alone: best epoch {best['scan']} of 2",
        "Training the baseline the table alone: epoch 1 of 2",
        f"Trained the baseline the table alone: best epoch {best['the_table']} of 2",
        "Fitting the baseline gradient boosting.",
    ]
    files = [".lock", "columns.json", "decisions.json", "metrics.jsonl", "model.keras", "run.json"]
    for name in ("scan", "the_table"):
        assert sorted(path.name for path in (run / "baselines" / name).iterdir()) == files
    plans = {name: {"branch": name.replace("_", " "), "last_epoch": None} for name in ("scan", "the_table")}
    assert {name: run_facts(run / "baselines" / name)["plan"] for name in plans} == plans
    children = {f"baselines/{name}": {"state": "finished", "plan": plan} for name, plan in plans.items()}
    assert run.read_json("run.json")["children"] == children
    assert keras.config.dtype_policy().name == "float32"


def test_branches_that_differ_in_case_alone_have_folders_that_do_not():
    assert child_names(["Scan", "scan", "das Röntgenbild"]) == {"Scan": "Scan", "scan": "scan_2", "das Röntgenbild": "das_R_ntgenbild"}


def killed(alone):
    alone.update(state="running")


def damaged(alone):
    (alone / "model.keras").write_bytes(b"nothing")


def half_removed(alone):
    (alone / "run.json").unlink()


@pytest.mark.parametrize("harm", [killed, damaged, half_removed])
@pytest.mark.slow
def test_a_branch_whose_training_did_not_end_or_that_changed_does_not_count(run, first, harm, tmp_path):
    experiment = config.load(run / "config.yaml")
    plan, copy = branch_plan(experiment, "scan", None), Run(tmp_path)
    alone = copy.child("baselines/scan")
    shutil.copytree(run / "baselines" / "scan", alone.folder)
    assert finished_child(copy, plan).folder == alone.folder
    assert finished_child(copy, replace(plan, differences={"branch": "Scan"})) is None  # the same folder on some file systems
    assert finished_child(copy, branch_plan(experiment, "scan", 1)) is None
    harm(alone)
    assert finished_child(copy, plan) is None


@pytest.mark.slow
def test_only_what_does_not_count_is_trained_anew(run, first):
    alone = Run(run / "baselines" / "scan")
    before = run_facts(alone.folder)["started"]
    killed(alone)
    messages = []
    assert evaluate(str(run.folder), say=messages.append).targets == first[0].targets
    # Its checkpoints are gone since it was finished, so it goes on from the beginning.
    assert [line for line in always_reported(messages) if "Training" in line] == ["Training the baseline scan alone: epoch 1 of 2"]
    assert run_facts(alone.folder)["started"] == before
    assert len(run_facts(alone.folder)["resumed"]) == 1


@pytest.mark.parametrize(
    ("state", "stopped", "most"),
    [
        ("finished", "", None),
        ("finished", "validation_auc has not improved for 3 epochs", None),
        ("finished", "the callback keras.callbacks.TerminateOnNaN stopped it", 2),
        ("interrupted", "", 2),
    ],
)
def test_a_branch_alone_waits_as_long_as_the_model_but_has_none_of_its_callbacks(tmp_path, state, stopped, most):
    """Patience that ran out is the rule itself; every other early end belongs to the model alone."""
    stopped_run = Run(tmp_path)
    stopped_run.update(started="2026-01-01T00:00:00+00:00", state=state, stopped=stopped)
    for line in ({"epoch": 1}, {"epoch": 2, "step": 1}, {"epoch": 2}):
        stopped_run.append_line("metrics.jsonl", line)
    assert epoch_limit(stopped_run, EarlyStopping(monitor="validation_auc", direction="maximize", patience=3)) == most


@pytest.mark.slow
def test_branches_of_a_training_that_was_cut_off_get_no_more_epochs_than_it_had(tmp_path):
    """At the rates of all epochs, which are 2: the first epoch of a schedule is not its last. While they are trained, others do without."""
    two_blobs(tmp_path, 40, z=lambda row: row % 3)
    tree = "columns: {x: {role: numeric}, z: {role: numeric}, y: {role: target, task: binary}}\n"
    tree += "branches: {x: {columns: [x], architecture: linear, units: 2}, z: {columns: [z], architecture: linear, units: 2}}\n"
    tree += "fusion: {units: []}\nevaluation: {baselines: [single_branch], draws: 100, permutations: 0}\n"
    tree += "training: {epochs: 2, optimizer: sgd, schedule: {method: cosine}}"
    run = fit(write_experiment(tmp_path / "a.yaml", tree), output=tmp_path / "runs").run
    whole = lines(run / "metrics.jsonl")
    run.write_text("metrics.jsonl", json.dumps(whole[0]) + "\n")
    run.update(state="interrupted")
    children = [run.child(f"baselines/{name}") for name in "xz"]
    for child in children:
        child.folder.mkdir(parents=True)
    with run_lock(children[0]), run_lock(children[1]):
        _, *busy = evaluate(str(run.folder)).targets["y"].baseline_notes
    who = f"process {os.getpid()} on {platform.node()}"
    assert busy == [f"{name} alone has no scores: the run is being trained by {who}." for name in "xz"]
    messages = []
    result = evaluate(str(run.folder), say=messages.append).targets["y"]
    assert [line for line in messages if line.startswith("Training")] == [
        f"Training the baseline {name} alone: epoch 1 of 1" for name in "xz"
    ]
    assert result.baseline_notes == ["The training of this run ended after 1 of 2 epochs, so no branch was trained alone for more."]
    for name in "xz":
        alone = lines(run / "baselines" / name / "metrics.jsonl")
        assert [line["learning_rate"] for line in alone] == [whole[0]["learning_rate"]]
        assert run_facts(run / "baselines" / name)["stopped"] == "limited to 1 epoch"
    experiment = config.load(run / "config.yaml")
    assert finished_child(run, branch_plan(experiment, "x", 1)) is not None
    assert finished_child(run, branch_plan(experiment, "x", None)) is None  # once the run has ended


def test_metrics_have_every_baseline_the_one_that_looks_at_no_column_first(run, first):
    found = run.read_json("metrics.json")["test"]["y"]
    assert [(one["kind"], one["label"], one["name"]) for one in found["baselines"]] == [
        ("majority", "majority", "majority: class shares of the training rows"),
        ("single_branch", "scan alone", "scan alone"),
        ("single_branch", "the table alone", "the table alone"),
        ("gradient_boosting", "gradient boosting", "gradient boosting on x and city"),
    ]
    for one in found["baselines"]:
        assert one["differences"]["auc"]["value"] == pytest.approx(found["scores"]["auc"]["value"] - one["scores"]["auc"]["value"])
    assert "baseline_notes" not in found


@pytest.mark.slow
def test_every_baseline_has_a_threshold_of_its_own(run, first):
    """It is chosen on validation rows, so that its sensitivity there is the one it was chosen for."""
    scored = evaluate(str(run.folder), EvaluateOptions(part="validation")).targets["y"]
    sensitivity = {one.label: one.scores["sensitivity"].value for one in scored.baselines}
    for name in ("scan", "the_table"):
        point = json.loads((run / "baselines" / name / "decisions.json").read_text())["targets"]["y"]["operating_point"]
        assert sensitivity[f"{name.replace('_', ' ')} alone"] == pytest.approx(point["sensitivity"])
    shares = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(3, 1), weights=(1, 1), threshold=0.1)
    assert dummy_baseline("y", shares, 2).scored("y", np.array([0, 1])).scores["sensitivity"].value == 0


@pytest.mark.slow
def test_another_table_is_scored_by_the_kept_branches(run, first, tmp_path):
    home = run.folder.parents[2]
    pd.read_csv(home / "table.csv").head(12).to_csv(tmp_path / "newer.csv", index=False)
    for row in range(12):
        shutil.copy(home / f"{row}.png", tmp_path)
    messages = []
    done = evaluate(str(run.folder), EvaluateOptions(table=tmp_path / "newer.csv"), say=messages.append)
    assert [one.label for one in done.targets["y"].baselines] == ["majority", "scan alone", "the table alone", "gradient boosting"]
    assert [line for line in messages if "baseline" in line] == ["Fitting the baseline gradient boosting."]


@pytest.mark.slow
def test_a_packed_run_scores_another_table_beside_its_branches(run, first, tmp_path):
    packed = pack(str(run.folder), tmp_path / "run.zip").archive
    there = unpack(packed, tmp_path / "there").folder
    home = run.folder.parents[2]
    shutil.copy(home / "table.csv", tmp_path / "newer.csv")
    for row in range(60):
        shutil.copy(home / f"{row}.png", tmp_path)
    result = evaluate(str(there), EvaluateOptions(table=tmp_path / "newer.csv")).targets["y"]
    assert [one.label for one in result.baselines] == ["majority", "scan alone", "the table alone"]
    assert result.baseline_notes == [
        "gradient boosting has no scores, because it is fitted again each time: the table is not here: a packed run comes without it.",
    ]


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("baselines/scan/model.keras", True),
        ("baselines/the_table/run.json", True),
        ("baselines/scan/metrics.jsonl", True),
        ("baselines/scan/decisions.json", True),
        ("baselines/scan/columns.json", True),
        ("baselines/scan/checkpoints/last/weights.npz", True),
        ("folds/0/seeds/3/model.keras", True),
        ("folds/0/config.yaml", True),
        ("trials/0/config.yaml", False),
        ("pictures/0/model.keras", False),
        ("baselines/../model.keras", False),
        ("baselines/scan/sub/model.keras", False),
        ("baselines/scan/yaml.py", False),
    ],
)
def test_what_of_a_branch_alone_is_packed(name, packed):
    assert bool(REQUIRED_FILES.fullmatch(name)) == packed


# What is not there


@pytest.mark.slow
def test_a_single_branch_is_the_model_and_an_empty_column_is_not_boosted(tmp_path):
    """Its only numbers are in validation rows."""
    part = {row: "validation" if row < 6 else "test" if row < 12 else "train" for row in range(40)}
    two_blobs(tmp_path, 40, part=part.get, gap=lambda row: row if row < 6 else "")
    tree = "columns: {gap: {role: numeric}, y: {role: target, task: binary}, part: {role: split}}\nsplit: {method: column}\n"
    tree += "training: {epochs: 1}\n"
    asked = "evaluation: {baselines: [single_branch, gradient_boosting]}"
    run = fit(write_experiment(tmp_path / "a.yaml", f"{tree}{asked}"), output=tmp_path / "runs").run
    result = evaluate(str(run.folder)).targets["y"]
    assert [one.label for one in result.baselines] == ["majority"]
    assert result.baseline_notes == [
        "The model has one branch only, table: alone it is the model itself.",
        "gradient boosting has no scores: it reads numbers and categories, and training rows have none.",
    ]
    assert run.read_json("metrics.json")["test"]["y"]["baseline_notes"] == result.baseline_notes


@pytest.mark.slow
def test_how_to_ask_for_branches_alone_is_told(run, first):
    result = evaluate(str(run.folder), EvaluateOptions(overrides=("evaluation.baselines=[gradient_boosting]",))).targets["y"]
    assert [one.label for one in result.baselines] == ["majority", "gradient boosting"]
    assert result.baseline_notes == [
        "To see what each branch achieves alone: mmtrain evaluate a/1 --set 'evaluation.baselines=[gradient_boosting, single_branch]'",
    ]


@pytest.mark.slow  # gradient boosting is
def test_linear_model_is_compared_like_the_others(run, first):
    result = evaluate(str(run.folder), EvaluateOptions(overrides=("evaluation.baselines=[linear]",))).targets["y"]
    (found,) = [one for one in result.baselines if one.kind == "linear"]
    assert (found.label, found.name) == ("linear model", "linear model on x and city")
    assert found.differences["auc"].value == result.scores["auc"].value - found.scores["auc"].value
    assert sentences(result, "auc")[0].text.startswith("The model is not shown to be better than a linear model: AUC ")


def test_only_the_evaluation_of_a_trained_run_can_be_set(run):
    with pytest.raises(UsageError) as caught:
        evaluate(
            str(run.folder),
            EvaluateOptions(overrides=("training.epochs=5", "evaluation.draws=200", "evaluation={}", "evaluation. threshold .aim=f1")),
        )
    assert str(caught.value).splitlines() == [
        "--set training.epochs=5: the run is trained already. "
        "Only keys that begin with `evaluation.`, and `columns.TARGET.extra_metrics`, can be set here; for any other one train again.",
        "--set evaluation={}: the section also has settings that were used at the end of the training. "
        "Set its keys one by one: `--set evaluation.draws=500`.",
        "--set evaluation. threshold .aim=f1: this was fitted on validation rows at the end of the training. "
        "Set it in the experiment file, and train again.",
    ]


def test_scikit_learn_that_is_not_installed_is_told_before_anything_else(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    messages = []
    with pytest.raises(ConfigError) as caught:
        evaluate(str(run.folder), say=messages.append)
    message = "gradient_boosting needs scikit-learn, which is not installed. Run `pip install 'mmtrain[baselines]'`, or leave it out."
    line = next(number for number, text in enumerate((run / "config.yaml").read_text().splitlines(), 1) if text.startswith("  baselines:"))
    assert str(caught.value) == f"config.yaml:{line}: evaluation.baselines: {message}"
    assert messages == []
    for command in (check, fit):  # before a training, with all other mistakes
        with pytest.raises(ConfigError) as caught:
            command(run.folder.parents[2] / "a.yaml", overrides=["columns.y.class_weights={maybe: 2}"])
        assert str(caught.value).splitlines() == [
            f"a.yaml:46: evaluation.baselines: {message}",
            "--set columns.y.class_weights.maybe: the table has no class 'maybe'. Its classes are high and low.",
        ]


def test_package_of_a_baseline_that_evaluate_alone_asks_for(run, monkeypatch):
    monkeypatch.setattr("mmtrain.pipeline.checks.requirements.find_spec", lambda name: None)
    weights = run.folder / "none.ckpt"
    with pytest.raises(ConfigError) as caught:
        evaluate(str(run.folder), EvaluateOptions(overrides=(f"evaluation.baselines=[majority, {{name: tabicl, weights: {weights}}}]",)))
    assert str(caught.value).splitlines() == [
        "--set evaluation.baselines, entry 2: tabicl needs the package tabicl, which is not installed. "
        "Run `pip install 'mmtrain[tabicl]'`, or leave it out.",
        f"--set evaluation.baselines, entry 2, weights: the file {weights} does not exist. "
        "Give the path of a checkpoint, from the folder of the experiment file; nothing is downloaded.",
    ]


# What they learn from


def otherwise(ground, rows):
    """The same, but these rows have the other answer, and the inputs of the first row."""
    arrays = ground.arrays
    answers, inputs = arrays.targets["y"].copy(), {key: replace(source, codes=source.codes.copy()) for key, source in arrays.inputs.items()}
    answers[rows] = 1 - answers[rows]
    for source in inputs.values():
        source.codes[rows] = source.codes[0]
    return replace(ground, arrays=replace(arrays, inputs=inputs, targets={"y": answers}))


@pytest.fixture
def ground(tmp_path):
    two_blobs(tmp_path, 80, city=lambda row: f"c{row % 3}")
    tree = "columns: {x: {role: numeric}, city: {role: categorical}, y: {role: target, task: binary}}\n"
    tree += "training: {epochs: 1, deterministic: true, optimizer: sgd}\nfusion: {units: []}\n"
    tree += "branches: {x: {columns: [x], architecture: linear, units: 2}, city: {columns: [city], architecture: linear, units: 2}}"
    made = ready(write_experiment(tmp_path / "a.yaml", tree))
    return EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays)


def test_a_branch_alone_learns_from_training_rows_only(ground, tmp_path):
    """One epoch, so that validation rows have nothing to choose."""
    unseen = np.concatenate([ground.partition.validation, ground.partition.test])
    learned = []
    for name, given in (("a", ground), ("b", otherwise(ground, unseen)), ("c", otherwise(ground, ground.partition.train[:5]))):
        (tmp_path / name).mkdir()
        parent = begin(tmp_path / name, name)
        learned.append(weights(train_child(parent, branch_plan(given.experiment, "x", None), given) / "model.keras"))
    same = [all(np.array_equal(*pair) for pair in zip(learned[0], other, strict=True)) for other in learned[1:]]
    assert same == [True, False]


def predicted(kind, ground, rows):
    features = FeatureMatrix(ground.fitted, ground.arrays, ground.partition.train)
    return kind(ground.fitted, ground.arrays, ground.partition, features, seed=0).predict(ground.arrays, rows)["y"].tolist()


def boosted(ground, rows):
    return predicted(GradientBoosting, ground, rows)


def test_gradient_boosting_learns_from_training_rows_only(ground, monkeypatch):
    """In fewer rounds than its patience, so that validation rows have nothing to stop."""
    monkeypatch.setattr(gradient_boosting, "MOST_ROUNDS", 5)
    train = ground.partition.train
    unseen = np.concatenate([ground.partition.validation, ground.partition.test])
    expected = boosted(ground, train)
    changed = otherwise(ground, unseen)
    assert boosted(changed, train) == expected
    assert boosted(otherwise(ground, train[:20]), train) != expected


def test_linear_model_learns_from_training_rows_only(ground, monkeypatch):
    """With one penalty, so that validation rows have nothing to choose."""
    monkeypatch.setattr(linear_model, "PENALTIES", (1.0,))
    train = ground.partition.train
    unseen = np.concatenate([ground.partition.validation, ground.partition.test])
    expected = predicted(LinearModel, ground, train)
    assert predicted(LinearModel, otherwise(ground, unseen), train) == expected
    assert predicted(LinearModel, otherwise(ground, train[:20]), train) != expected


# Gradient boosting and the linear model


def test_linear_model_reads_numbers_categories_and_texts(tmp_path):
    """Standardized, one-hot and TF-IDF; what is missing is the mean with an indicator, all zeros, or a text without words."""
    cells = [("1", "a", "red red"), ("", "b", "blue car"), ("3", "a", ""), ("5", "", "green"), ("3", "c", "red")]
    table = [{"x": x, "city": city, "note": note, "tag": note, "y": row % 2} for row, (x, city, note) in enumerate(cells)]
    write_table(tmp_path / "table.csv", table)
    columns = "x: {role: numeric, normalize: none}, city: {role: categorical}, note: {role: text, missing: mask}"
    columns += ", tag: {role: text, vectorize: tokens, missing: mask}"
    made = ready(write_experiment(tmp_path / "a.yaml", f"columns: {{{columns}, y: {{role: target, task: binary}}}}\nsplit: {{test: 0}}"))
    train, every = np.arange(4), np.arange(5)
    partition = replace(made.partition, train=train, validation=np.arange(0))
    features = FeatureMatrix(made.fitted, made.arrays, train)
    model = LinearModel(made.fitted, made.arrays, partition, features, seed=0)
    found = model.cells(made.arrays, every).toarray()
    np.testing.assert_allclose(found[:, 0], (np.array([1, 3, 3, 5, 3]) - 3) / np.std([1, 3, 5]))
    assert found[:, 1].tolist() == [0, 1, 0, 0, 0]
    assert found[:, 2:4].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0]], "a and b; c is of no training row"
    texts = found[:, 4:]
    words = made.fitted.columns["note"].words
    assert "red" in words
    tfidf = TfidfVectorizer(sublinear_tf=True, vocabulary=words).fit([note for _, _, note in cells[:4]])
    expected = tfidf.transform([note for _, _, note in cells]).toarray()
    for half in np.split(texts, 2, axis=1):
        assert not half[:, :FIRST_ID].any()
        np.testing.assert_allclose(half[:, FIRST_ID:], expected, atol=1e-6)


def test_features_are_numbers_with_nan_for_missing_and_one_for_all_rare_categories(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular_baseline, "MOST_CATEGORIES", 2)
    cells = [("1", "a"), ("", "a"), ("3", "b"), ("5", ""), ("5", "b"), ("5", "a"), ("5", "c"), ("5", "d")]
    table = [{"x": x, "m": x, "gap": "", "note": "a word", "city": city, "y": row % 2} for row, (x, city) in enumerate(cells)]
    table[0]["gap"] = "1"
    write_table(tmp_path / "table.csv", table)
    columns = "x: {role: numeric, normalize: none}, m: {role: numeric, normalize: none, missing: mask}, city: {role: categorical}"
    columns += ", gap: {role: numeric}, note: {role: text}"
    made = ready(write_experiment(tmp_path / "a.yaml", f"columns: {{{columns}, y: {{role: target, task: binary}}}}\nsplit: {{test: 0}}"))
    every = np.arange(8)
    read = FeatureMatrix(made.fitted, made.arrays, every[1:])
    assert list(read.columns) == ["x", "m", "city"]
    assert read.categorical == [False, False, True]
    nan = np.nan
    expected = [[1, 1, 0], [nan, nan, 0], [3, 3, 1], [5, 5, nan], [5, 5, 1], [5, 5, 0], [5, 5, 2], [5, 5, 2]]
    np.testing.assert_array_equal(read.read(made.arrays, every), expected)


TARGETS = {
    "binary": "{role: target, task: binary, column: y}",
    "multiclass": "{role: target, task: multiclass, column: three}",
    "multilabel": "{role: target, task: multilabel, column: labels}",
    "regression": "{role: target, task: regression, column: number}",
}


def kind_predictions(kind, made, features):
    return kind(made.fitted, made.arrays, made.partition, features, seed=0).predict(made.arrays, made.partition.test)


@pytest.fixture(scope="module")
def every_task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    low = {"three": lambda row: "abc"[row % 3], "labels": lambda row: ("p", "p;q")[row % 2], "number": lambda row: row % 4}
    two_blobs(folder, 240, kind=lambda row: f"k{row % 12}", **low)
    columns = ", ".join(f"{key}: {target}" for key, target in TARGETS.items())
    made = ready(write_experiment(folder / "a.yaml", f"columns: {{x: {{role: numeric}}, kind: {{role: categorical}}, {columns}}}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_boosting, "MOST_ROUNDS", 60)
        features = FeatureMatrix(made.fitted, made.arrays, made.partition.train)
        twice = {kind: [kind_predictions(kind, made, features) for _ in range(2)] for kind in (GradientBoosting, LinearModel)}
    return made, twice


@pytest.mark.parametrize(
    ("task", "width", "score"),
    [("binary", 1, "auc"), ("multiclass", 3, "accuracy"), ("multilabel", 2, "macro_f1"), ("regression", 1, "r2")],
)
@pytest.mark.parametrize("kind", [GradientBoosting, LinearModel])
def test_baselines_of_scikit_learn_answer_every_task_as_the_network_does(every_task, kind, task, width, score):
    made, twice = every_task
    found, again = twice[kind]
    rows = made.partition.test
    assert found[task].shape == (len(rows), width)
    assert np.array_equal(found[task], again[task])
    scores = {one.name: one.value for one in made.fitted.targets[task].scores(made.arrays.targets[task][rows], found[task])}
    assert scores[score] > 0.95


def test_a_label_that_every_row_has_is_certain(every_task):
    made, twice = every_task
    assert made.fitted.targets["multilabel"].labels == ("p", "q")
    for found, _ in twice.values():
        assert found["multilabel"][:, 0].tolist() == [1.0] * len(made.partition.test)


def test_gradient_boosting_weighs_rows_as_the_training_does(ground):
    """With all weight on one class, hardly anything is called the other."""
    arrays = ground.arrays
    heavy = np.where(arrays.targets["y"] == 1, 1000, 1).astype(np.float32)
    changed = replace(ground, arrays=replace(arrays, weights={"y": heavy}, inputs=blank(arrays)))
    assert np.allclose(boosted(ground_without_inputs(ground), ground.partition.test), 0.5, atol=0.05)
    assert min(boosted(changed, ground.partition.test)) > [0.9]


def test_gradient_boosting_learns_classes_as_often_as_epochs_draw_them(ground):
    rare = (np.arange(len(ground.arrays.targets["y"])) % 5 == 0).astype(np.int32)
    plain = ground_without_inputs(replace(ground, arrays=replace(ground.arrays, targets={"y": rare})))
    drawn = ground.fitted.model_copy(update={"targets": {"y": ground.fitted.targets["y"].model_copy(update={"sample": "balanced"})}})
    assert max(boosted(plain, ground.partition.test)) < [0.4]
    assert np.allclose(boosted(replace(plain, fitted=drawn), ground.partition.test), 0.5, atol=0.05)


def blank(arrays):
    return {key: replace(source, codes=source.codes * 0) for key, source in arrays.inputs.items()}


def ground_without_inputs(ground):
    return replace(ground, arrays=replace(ground.arrays, inputs=blank(ground.arrays)))


# Differences


def test_differences_are_paired():
    """Rows that are hard for both cancel out: the interval of the difference is much narrower than those of the two scores."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 400)
    signal = truth + generator.normal(0, 1, 400)
    mine, theirs = (1 / (1 + np.exp(-(signal + generator.normal(0, noise, 400))))[:, None] for noise in (0.1, 0.3))
    target = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
    bootstrap = Bootstrap(400, groups=None, draws=500, confidence=0.95, seed=0)
    model = BootstrapScores(EvalSet.of(target, truth, mine, None), bootstrap)
    found = BaselinePredictions("single_branch", "scan alone", "scan alone", {"y": target}, {"y": theirs}).against("y", model)
    assert (found.kind, found.label) == ("single_branch", "scan alone")
    scores, difference = found.scores, found.differences["auc"]
    own = {score.name: score.value for score in target.scores(truth, mine)}
    assert difference.value == own["auc"] - scores["auc"].value
    assert difference.interval.low <= difference.value <= difference.interval.high
    assert difference.interval.high - difference.interval.low < 0.5 * (scores["auc"].interval.high - scores["auc"].interval.low)


def result(score, model, *baselines):
    """Make a result; baselines are (kind, label, value, difference, low, high), the last ones optional."""
    made = []
    for kind, label, value, *difference in baselines:
        apart = {score: Score(score, **dict(zip(("value", "low", "high"), difference, strict=False)))} if difference else {}
        made.append(BaselineResult(kind=kind, label=label, name=label, scores=scores(score, value), differences=apart))
    return TargetResult(task="", rows=9, unknown_answers=0, scores=scores(score, model), baselines=made)


def scores(name, value):
    return {name: Score(name, value, "" if value is not None else "No rows.")}


MAJORITY = ("majority", "majority", 0.5, 0.37, 0.3, 0.4)
SINGLE, BOOSTING = "single_branch", ("gradient_boosting", "gradient boosting")


@pytest.mark.parametrize(
    ("result", "score", "expected"),
    [
        (
            result("auc", 0.87, MAJORITY, (SINGLE, "note alone", 0.8, 0.07, 0.03, 0.11), (SINGLE, "scan alone", 0.86, 0.01, -0.02, 0.04)),
            "auc",
            [
                "bad: Fusion is not shown to be better than scan alone, its best single input: "
                "AUC 0.870 against 0.860, difference 0.010 (−0.020 to 0.040)."
            ],
        ),
        (
            result("auc", 0.87, MAJORITY, (SINGLE, "scan alone", 0.8, 0.07, 0.03, 0.11)),
            "auc",
            ["good: Fusion is better than scan alone, its best single input: AUC 0.870 against 0.800, difference 0.070 (0.030 to 0.110)."],
        ),
        (
            result("rmse", 4.1, (SINGLE, "a alone", 4.5, -0.4, -0.9, -0.1), (SINGLE, "b alone", 4.7, -0.6, -0.9, 0.1)),
            "rmse",
            [
                "good: Fusion is better than a alone, its best single input: "
                "root mean squared error 4.10 against 4.50, difference −0.400 (−0.900 to −0.100)."
            ],
        ),
        (
            result("rmse", 4.6, (SINGLE, "a alone", 4.5, 0.1, 0.05, 0.2), (*BOOSTING, 4.6, 0.0)),
            "rmse",
            [
                "bad: Fusion is worse than a alone, its best single input: "
                "root mean squared error 4.60 against 4.50, difference 0.100 (0.0500 to 0.200).",
                "bad: The model is not shown to be better than gradient boosting on the columns of the table: "
                "root mean squared error 4.60 against 4.60, difference 0 (no interval).",
            ],
        ),
        (result("auc", 0.87, MAJORITY), "auc", []),
        (result("auc", None, (SINGLE, "a alone", None)), "auc", []),
    ],
)
def test_it_is_said_whether_fusion_is_worth_it(result, score, expected):
    assert [f"{words.tone}: {words.text}" for words in sentences(result, score)] == expected


def test_the_first_baseline_is_the_one_that_looks_at_no_column():
    judged = TargetResultView("ill", None, None, result("auc", 0.87, MAJORITY, (SINGLE, "scan alone", 0.8, 0.07, 0.03, 0.11)), "")
    assert (judged.baseline.label, judged.difference("auc").value, judged.difference("f1")) == ("majority", 0.37, None)


def test_a_result_without_a_baseline_is_damaged():
    with pytest.raises(ValueError, match="at least 1 item"):
        result("auc", 0.87)


def test_report_and_terminal_hold_the_model_against_every_baseline(first, capsys):
    done, _, report = first
    show_baselines(out(), done.targets["y"], done.main["y"])
    shown = capsys.readouterr().out
    for part in ("auc of", "model minus baseline", "scan alone", "the table alone", "gradient boosting"):
        assert part in shown
    assert "y: the model and its baselines on the " in report
    assert "Scores of y and its baselines" in report
    messages = sentences(done.targets["y"], "auc")
    assert len(messages) == 2
    for words in messages:
        assert words.text in shown
        assert words.text in report
