"""TabICL as a baseline: its file, its context of training rows, and its answers. The package is an extra, its weights are made here."""

import importlib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import ready, two_blobs, write_experiment

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.check import check
from mmtrain.commands.deployment.pack import _config
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.errors import ConfigError
from mmtrain.evaluation.reference_models import tabicl
from mmtrain.evaluation.reference_models.tabicl import TabICL, Weights, class_factors, draw_context, is_uneven
from mmtrain.evaluation.reference_models.tabular_baseline import Examples, FeatureMatrix
from mmtrain.pipeline.build import EncodedTable
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.numbers.regression import FittedRegression

TREE = "columns: {x: {role: numeric}, city: {role: categorical}, y: {role: target, task: binary}}\ntraining: {epochs: 1}\n"


def problems_of(folder, baselines):
    two_blobs(folder, 40, city=lambda row: f"c{row % 3}")
    path = write_experiment(folder / "a.yaml", f"{TREE}evaluation: {{baselines: {baselines}}}")
    with pytest.raises(ConfigError) as caught:
        check(path)
    return [line.partition(": ")[2] for line in str(caught.value).splitlines()]


def test_name_of_the_package_alone_lacks_the_weights(tmp_path):
    assert problems_of(tmp_path, "[majority, tabicl]") == [
        "evaluation.baselines, entry 2, weights: this key is missing. Add it: path of a checkpoint of the package."
    ]


def test_package_and_file_that_are_missing_are_reported_by_check(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr("mmtrain.pipeline.checks.requirements.find_spec", lambda name: None if name == "tabicl" else real(name))
    assert problems_of(tmp_path, "[{name: tabicl, weights: none.ckpt}]") == [
        "evaluation.baselines, entry 1: tabicl needs the package tabicl, which is not installed. "
        "Run `pip install 'mmtrain[tabicl]'`, or leave it out.",
        "evaluation.baselines, entry 1, weights: the file none.ckpt does not exist. "
        "Give the path of a checkpoint, from the folder of the experiment file; nothing is downloaded.",
    ]


def test_packed_run_names_the_weights_without_their_folder(tmp_path):
    (tmp_path / "some.ckpt").touch()
    two_blobs(tmp_path, 40)
    tree = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\nevaluation: {baselines: [{name: tabicl, weights: some.ckpt}]}"
    experiment = config.load(write_experiment(tmp_path / "a.yaml", tree))
    assert experiment.evaluation.baselines[0].weights == str(tmp_path.resolve() / "some.ckpt")
    run = Run(tmp_path / "runs" / "a" / "1")
    packed = _config(run, run, experiment)
    assert "baselines:\n  - {name: tabicl, weights: some.ckpt}\n" in packed
    assert str(tmp_path) not in packed


def test_context_is_bounded_and_has_a_row_of_every_class(monkeypatch):
    monkeypatch.setattr(tabicl, "MOST_CELLS", 60)
    truth = np.zeros(500, dtype=np.int64)
    truth[123] = 1
    rows = Examples(np.zeros((500, 3)), truth, np.where(np.arange(500) < 50, 0.0, 1.0))
    contexts = [draw_context(rows, seed, every_class=True) for seed in (1, 1, 2)]
    assert [len(one) for one in contexts] == [20, 20, 20]
    assert (contexts[0] == contexts[1]).all() and (contexts[0] != contexts[2]).any()
    assert all(123 in one and (np.diff(one) > 0).all() and one.min() >= 50 for one in contexts)
    assert len(draw_context(Examples(rows.cells[:9], truth[:9], np.zeros(9)), 0, every_class=True)) == 9


def test_factors_give_the_frequencies_of_the_context_the_weights_of_all_rows(monkeypatch):
    """A class half of whose rows have no weight is not corrected twice, and one that was drawn for its only row not at all too often."""
    monkeypatch.setattr(tabicl, "MOST_CELLS", 200)
    truth = np.repeat([0, 1, 2], [600, 399, 1])
    weights = np.where(truth == 1, 3.0, 1.0)
    weights[:300] = 0
    rows = Examples(np.zeros((1000, 1)), truth, weights)
    context = draw_context(rows, 0, every_class=True)
    shares = np.bincount(truth[context]) * class_factors(rows, context)
    assert len(context) == 200
    np.testing.assert_allclose(shares / shares.sum(), np.array([300, 3 * 399, 1]) / 1498)
    assert class_factors(Examples(rows.cells, truth, np.zeros(1000)), context).tolist() == [1, 1, 1]


def test_weights_are_uneven_beyond_rounding_and_apart_from_rows_without_one():
    assert [is_uneven(np.array(one)) for one in ([0.5, 2.0], [0.0, 2.0, 2.0], [0.1 + 0.2, 0.3], [])] == [True, False, False, False]


def of_file(name, classes):
    return type("Made", (TabICL,), {"weights": Weights(Path(name), classes)})


def test_checkpoint_of_the_other_kind_is_an_obstacle():
    binary = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(3, 1), weights=(1, 1), threshold=0.1)
    number = FittedRegression.model_construct()
    assert of_file("c.ckpt", 10).obstacle(binary, 9) == of_file("r.ckpt", 0).obstacle(number, 9) == ""
    assert of_file("r.ckpt", 0).obstacle(binary, 9) == "The checkpoint r.ckpt is a regressor, which does not predict classes."
    assert of_file("c.ckpt", 10).obstacle(number, 9) == "The checkpoint c.ckpt is a classifier, which does not predict numbers."
    assert of_file("c.ckpt", 1).obstacle(binary, 9) == "The checkpoint c.ckpt predicts up to 1 classes, and there are 2."


# With the package


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Random networks of the package, in the format of its published files: a classifier and a regressor."""
    torch = pytest.importorskip("torch")
    network = pytest.importorskip("tabicl._model.tabicl").TabICL
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, classes in (("classifier", 4), ("regressor", 0)):
        torch.manual_seed(1)
        size = {"embed_dim": 8, "col_num_blocks": 1, "col_nhead": 2, "col_num_inds": 4, "row_num_blocks": 1, "row_nhead": 2}
        config = {**size, "max_classes": classes, "num_quantiles": 9, "row_num_cls": 2, "icl_num_blocks": 1, "icl_nhead": 2}
        made = network(**config)
        with torch.no_grad():  # the package begins with weights of 0, whose answers are the same for all rows
            for parameter in made.parameters():
                parameter.add_(torch.randn_like(parameter))
        torch.save({"config": config, "state_dict": made.state_dict()}, folder / f"{name}.ckpt")
    return folder


@pytest.fixture
def table(tmp_path):
    two_blobs(tmp_path, 80, x=lambda row: "" if row % 9 == 0 else row * 37 % 80, city=lambda row: f"c{row % 3}")
    made = ready(write_experiment(tmp_path / "a.yaml", TREE))
    return EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays)


def answers(table, checkpoint, rows):
    features = FeatureMatrix(table.fitted, table.arrays, table.partition.train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch and scikit-learn below the package
        model = TabICL.of(str(checkpoint))(table.fitted, table.arrays, table.partition, features, seed=0)
        return model, model.predict(table.arrays, rows)["y"]


@pytest.mark.slow
def test_answers_are_those_of_the_package_in_chunks_of_any_size(table, checkpoints, monkeypatch):
    from tabicl import TabICLClassifier

    rows = np.arange(80)
    model, whole = answers(table, checkpoints / "classifier.ckpt", rows)
    assert whole.shape == (80, 1) and np.ptp(whole) > 0.01 and model.remark == ""
    monkeypatch.setattr(tabicl, "CHUNK_CELLS", 2)  # a row at a time
    np.testing.assert_allclose(answers(table, checkpoints / "classifier.ckpt", rows)[1], whole, atol=1e-4)
    cells, train = model.cells(table.arrays, rows), table.partition.train
    cells[np.isnan(cells[:, 0]), 0] = np.nanmean(cells[train, 0])
    theirs = TabICLClassifier(model_path=checkpoints / "classifier.ckpt", allow_auto_download=False, random_state=0, device="cpu")
    theirs.fit(cells[train], table.arrays.targets["y"][train])
    np.testing.assert_allclose(theirs.predict_proba(cells)[:, 1:], whole, atol=1e-4)


@pytest.mark.slow
def test_context_is_training_rows_only(table, checkpoints, monkeypatch):
    rows, (_, before) = table.partition.test, answers(table, checkpoints / "classifier.ckpt", table.partition.test)
    for part, same in (("validation", True), ("test", True), ("train", False)):
        truth = table.arrays.targets["y"].copy()
        truth[table.partition[part][:10]] = 1 - truth[table.partition[part][:10]]
        changed = replace(table, arrays=replace(table.arrays, targets={"y": truth}))
        assert np.array_equal(answers(changed, checkpoints / "classifier.ckpt", rows)[1], before) == same, part
    weighted = replace(table, arrays=replace(table.arrays, weights={"y": 1.0 + np.arange(80) % 3}))
    assert answers(weighted, checkpoints / "classifier.ckpt", rows)[0].remark == tabicl.UNWEIGHTED
    monkeypatch.setattr(tabicl, "MOST_ROWS", 30)
    remark = answers(table, checkpoints / "classifier.ckpt", rows)[0].remark
    assert remark == f"its context is 30 of {len(table.partition.train)} training rows, drawn at random to bound its memory."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "file", "column"),
    [
        ("{role: target, task: regression, column: x}", "regressor.ckpt", "mae"),
        ("{role: target, task: quantiles, column: x}", "regressor.ckpt", "pinball_loss"),
        ("{role: target, task: binary}", "classifier.ckpt", "auc"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_evaluation_compares_with_it(tmp_path, checkpoints, target, file, column):
    two_blobs(tmp_path, 60, z=lambda row: row * 37 % 80)
    entries = ", ".join(f"{{name: tabicl, weights: {checkpoints / name}.ckpt}}" for name in ("classifier", "regressor"))
    tree = f"columns: {{z: {{role: numeric}}, y: {target}}}\ntraining: {{epochs: 1}}\nevaluation: {{draws: 100, baselines: [{entries}]}}"
    run = fit(write_experiment(tmp_path / "a.yaml", tree), output=tmp_path / "runs").run
    result = evaluate(str(run.folder), EvaluateOptions()).targets["y"]
    assert [one.name for one in result.baselines[1:]] == [f"TabICL ({file}) on z"]
    assert column in result.baselines[1].differences
    other, what = ("classifier", "numbers") if file.startswith("reg") else ("regressor", "classes")
    assert result.baseline_notes == [f"TabICL has no scores of y: the checkpoint {other}.ckpt is a {other}, which does not predict {what}."]
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes((checkpoints / file).read_bytes()[:1000])
    overrides = (f"evaluation.baselines=[{{name: tabicl, weights: {damaged}}}]",)
    result = evaluate(str(run.folder), EvaluateOptions(overrides=overrides)).targets["y"]
    assert result.baseline_notes == ["TabICL has no scores: damaged.ckpt is not a checkpoint of TabICL: RuntimeError."]
