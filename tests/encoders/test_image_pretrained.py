"""`architecture: pretrained` of an image: trained on cached features, saved and used with the whole network."""

import os
import shutil

import numpy as np
import pytest
from checkpoints import resnet_arrays, tiny_resnet, write_safetensors
from tiny import lines, paint, ready, two_blobs, write_experiment

from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config import load
from mmtrain.errors import ConfigError, RunError
from mmtrain.training.listeners.events import EpochEnded
from mmtrain.training.signals import Interrupted

TREE = """
name: frozen
data: {cache: {folder: cache}}
columns:
  scan: {role: image, size: [12, 12], missing: mask}
  x: {role: numeric}
  y: {role: target, task: binary}
branches:
  scan: {columns: [scan], architecture: pretrained, model: tiny_resnet, units: [4], dropout: 0.2}
  x: {columns: [x], units: [4]}
split: {validation: 0.3, test: 0.2}
training: {epochs: 3, batch_size: 8, deterministic: true, learning_rate: 0.05}
evaluation: {baselines: [majority]}
"""


def written(folder, tree=TREE, change=("", "")):
    """Forty images of which one is missing, a model, and an experiment on them."""
    random = np.random.default_rng(0)
    for row in range(40):
        paint(folder / f"{row}.png", random.integers(0, 256, (12, 12, 3)).astype(np.uint8))
    two_blobs(folder, 40, scan=lambda row: "" if row == 7 else f"{row}.png")
    tiny_resnet(folder)
    return write_experiment(folder / "experiment.yaml", tree.replace(*change))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run, the notices of its training, and its folder."""
    folder, notices = tmp_path_factory.mktemp("frozen"), []
    result = fit(written(folder), output=folder / "runs", listeners=Listeners(say=notices.append))
    return result.run, notices, folder


def entries(folder):
    return sorted(path.name for path in (folder / "cache").iterdir() if (path / "codes.npy").is_file())


def test_images_are_read_once_and_later_runs_find_their_features(trained):
    _run, notices, folder = trained
    assert [notice.split(" in ")[0] for notice in notices if "has read" in notice] == ["scan: tiny_resnet has read 39 images"]
    assert len(entries(folder)) == 1
    again = []
    fit(folder / "experiment.yaml", output=folder / "more", listeners=Listeners(say=again.append), overrides=["training.epochs=1"])
    assert not [notice for notice in again if "has read" in notice]
    assert len(entries(folder)) == 1


def test_checkpoints_have_the_weights_behind_the_encoder_only_and_the_model_has_all(trained):
    run, _, _ = trained
    with np.load(run / "checkpoints" / "best" / "weights.npz") as weights:
        assert {shape for shape in (weights[name].shape for name in weights.files) if len(shape) == 4} == set()
    encoder = run.read("network.json").branches[0].encoder
    assert (encoder.model, encoder.frozen, len(encoder.sha256)) == ("tiny_resnet", True, 64)
    assert encoder.parameters == sum(values.size for name, values in folded(resnet_arrays()))


def folded(arrays):
    """Kernels, and a bias for each."""
    for name, values in arrays.items():
        if values.ndim == 4:
            yield name, values
            yield name, values[:, 0, 0, 0]


def test_predictions_of_the_whole_network_are_those_of_the_cached_features(trained, monkeypatch):
    """The saved model reads pixels; the same rows by the network of the training, on features, with the best weights."""
    from mmtrain.data import encode
    from mmtrain.model import model_file
    from mmtrain.pipeline.build import EncodedTable, assemble_training
    from mmtrain.training import checkpoints

    run, _, folder = trained
    made = ready(folder / "experiment.yaml")
    fitted = encode.of_run(run, made.experiment.columns)
    rows = np.arange(40)
    _, predictor = model_file.of_run(run, made.experiment.branches, fitted)
    whole = model_file.predict(predictor, made.arrays, rows)["y"]
    _, data, _ = assemble_training(EncodedTable(made.experiment, made.data, made.partition, fitted, made.arrays), lambda _: None)
    assert data.models.network.inputs[0].shape == (None, 1, 6)
    checkpoints.load(run / "checkpoints", "best", data.models.trained)
    cached = model_file.predict(data.models.predictor, data.arrays, rows)["y"]
    assert np.abs(whole - cached).max() < 1e-5
    assert len(np.unique(cached)) > 30


@pytest.mark.slow  # an evaluation; that of a run with texts is tested by default
def test_the_run_is_evaluated_and_its_encoder_is_in_the_model_card(trained, monkeypatch):
    """Also with a baseline, which is a child run: all of them find the features of the training."""
    from mmtrain.training.encoder_features import frozen_features

    run, _, _ = trained
    monkeypatch.setattr(frozen_features, "_compile", lambda _: pytest.fail("an encoder was asked to read"))
    results = evaluate(str(run.folder), EvaluateOptions(overrides=("evaluation.baselines=[single_branch]",))).targets["y"]
    assert [one.label for one in results.baselines] == ["majority", "scan alone", "x alone"]
    assert "behind the pretrained tiny_resnet (frozen, " in (run / "model_card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("", 1),
        pytest.param("columns.scan.size=[12, 10]", 2, marks=pytest.mark.slow),
        pytest.param("branches.scan.views=2", 2, marks=pytest.mark.slow),
        ("weights", 2),
    ],
)
def test_other_weights_or_pixels_have_other_features(tmp_path, change, count):
    from mmtrain.training.encoder_features.frozen_features import with_features

    path = written(tmp_path)
    changed = [change] if "=" in change else []
    changed += ["columns.scan.augment={flip: both}"] if "views" in change else []
    for overrides in ([], changed):
        made = ready(path, overrides)
        with_features(made.arrays, made.experiment.branches, made.experiment.columns, made.data.stores, made.experiment.data.cache)
        if change == "weights":
            write_safetensors(tmp_path / "tiny_resnet" / "model.safetensors", resnet_arrays(seed=1))
            os.utime(tmp_path / "tiny_resnet" / "model.safetensors", ns=(1, 1))
    assert len(entries(tmp_path)) == count


def test_a_file_that_no_row_can_have_is_not_read_again_without_a_store(tmp_path):
    """With no room on the disk, images are decoded whenever they are taken."""
    path = written(tmp_path, TREE.replace("folder: cache", "folder: cache, disk: 0"))
    (tmp_path / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    made = ready(path)
    from mmtrain.training.encoder_features.frozen_features import with_features

    arrays = with_features(made.arrays, made.experiment.branches, made.experiment.columns, made.data.stores, made.experiment.data.cache)
    features = arrays.inputs["scan"].take(np.array([4, 5, 6]))
    assert features[0].any() and not features[1].any() and features[2].any()


AUGMENTED = "missing: mask, augment: {flip: both, brightness: 0.3, color: 0.2}"
VIEWS = TREE.replace("missing: mask", AUGMENTED).replace("units: [4], d", "views: 2, d")


def test_views_are_changed_images_next_to_the_image_itself(tmp_path):
    from mmtrain.training.encoder_features.frozen_features import with_features

    made, plain = (ready(written(tmp_path, tree)) for tree in (VIEWS, TREE))
    arrays, alone = (
        with_features(one.arrays, one.experiment.branches, one.experiment.columns, one.data.stores, one.experiment.data.cache)
        for one in (made, plain)
    )
    rows = np.array([3, 7, 0])
    features, itself = arrays.inputs["scan"].take(rows), alone.inputs["scan"].take(rows)
    assert (features.shape, itself.shape) == ((3, 3, 6), (3, 1, 6))
    assert np.array_equal(features[:, :1], itself)
    assert not np.array_equal(features[0, 0], features[0, 1]) and not np.array_equal(features[0, 1], features[0, 2])
    assert not features[1].any()  # the row without an image
    assert np.array_equal(arrays.inputs["scan"].present(rows)[:, 0], [1, 0, 1])


@pytest.mark.slow
def test_a_training_takes_one_view_of_every_row(tmp_path):
    assert fit(written(tmp_path, VIEWS), output=tmp_path / "runs", overrides=["training.epochs=1"]).run.state == "finished"


STAGES = (
    "[{epochs: 1, unfreeze: [branches.scan.head, branches.x, fusion, targets]}, "
    "{epochs: 1, learning_rate: {branches.scan.backbone: 0.001}}]"
)


@pytest.mark.slow  # tests/training/test_stages.py has the stages, tests/encoders the blocks
@pytest.mark.parametrize(("tune", "changed"), [("last_blocks, blocks: 1", 3), ("all", 6)])
def test_the_last_blocks_of_an_encoder_are_tuned_in_a_later_stage(tmp_path, tune, changed):
    """A tiny ResNet has a stem of one convolution, a block of two and one of three; each has a kernel and a bias."""
    from mmtrain.encoders import load_encoder
    from mmtrain.pipeline.build import EncodedTable, assemble_training
    from mmtrain.training import checkpoints

    tree = TREE.replace("units: [4], d", f"tune: {tune}, d").replace("epochs: 3", f"stages: {STAGES}")
    run = fit(written(tmp_path, tree), output=tmp_path / "runs").run
    made = ready(tmp_path / "experiment.yaml")
    table = EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays)
    models = assemble_training(table, lambda _: None)[1].models
    assert models.network.inputs[0].shape == (None, 12, 12, 3)
    checkpoints.load(run / "checkpoints", "last", models.stored)
    before = load_encoder(str(tmp_path / "tiny_resnet"), made.fitted.columns["scan"].spec).network
    after = models.network.get_layer("branch_scan").get_layer("encoder")
    differing = [not np.array_equal(one, other) for one, other in zip(before.get_weights(), after.get_weights(), strict=True)]
    assert sum(differing) == 2 * changed and all(differing[-2 * changed :])


def test_a_step_draws_one_view_of_every_row():
    from mmtrain.training.augmentation.augmenter import choose_view

    views = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    drawn = np.asarray(choose_view(views, np.array([0.99999997, 0.4], np.float32)))
    assert drawn.tolist() == [[[4, 5]] * 3, [[8, 9]] * 3]


@pytest.mark.slow  # other branches are in tests/training/test_resume.py
def test_a_training_continues_bit_equal_and_refuses_other_weights(trained, tmp_path):
    run, _, folder = trained

    def stop(event):
        if isinstance(event, EpochEnded) and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        fit(folder / "experiment.yaml", output=tmp_path, listeners=Listeners(watch=stop))
    stopped = next((tmp_path / "frozen").glob("1"))
    weights = folder / "tiny_resnet" / "model.safetensors"
    before = weights.read_bytes()
    write_safetensors(weights, resnet_arrays(seed=1))
    said, known = [], entries(folder)
    try:
        with pytest.raises(RunError) as error:
            resume(str(stopped), listeners=Listeners(say=said.append))
    finally:
        weights.write_bytes(before)
    assert entries(folder) == known and not any("has read" in text for text in said)
    what = "the weights of tiny_resnet, which branch scan begins with, have changed since the training began."
    assert str(error.value) == f"{stopped}: {what} Put the former file back, or train again."
    resume(str(stopped))
    for name in ("last/weights.npz", "best/weights.npz"):
        with np.load(run / "checkpoints" / name) as one, np.load(stopped / "checkpoints" / name) as other:
            assert all(np.array_equal(one[key], other[key]) for key in one.files)
    assert [line["train_loss"] for line in lines(run / "metrics.jsonl")] == [
        line["train_loss"] for line in lines(stopped / "metrics.jsonl")
    ]
    shutil.rmtree(tmp_path / "frozen")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("model: tiny_resnet", "model: tiny_resnet_2"),
            "branches.scan.model: model tiny_resnet_2: its weights are not there: ",
        ),
        (
            ("missing: mask", "missing: mask, augment: {flip: both}"),
            "columns.scan.augment: a frozen encoder reads every image once, so that its random changes have no effect. "
            "Set `views: 4` in branches.scan to have four versions of each, or remove it.",
        ),
        (
            ("units: [4], d", "views: 2, d"),
            "branches.scan.views: views are random changes by `augment` of the column 'scan', which changes nothing.",
        ),
    ],
)
def test_mistakes_are_found_before_the_training(tmp_path, change, problem):
    from mmtrain.pipeline.checks.validate import load_checked

    with pytest.raises(ConfigError) as error:
        load_checked(written(tmp_path, change=change), ())
    assert problem in str(error.value)


def test_the_path_of_a_model_is_relative_to_the_experiment_file(tmp_path):
    experiment = load(written(tmp_path))
    assert experiment.branches["scan"].model == str(tmp_path / "tiny_resnet")
    assert experiment.branches["scan"].architecture == "image_pretrained"
