"""Frozen encoders of several images per row: each file is read once, its features are cached, and rows pool them."""

import numpy as np
import pytest
from checkpoints import tiny_resnet
from tiny import lines, paint, ready, two_blobs, write_experiment

from mmtrain.specs import ImageSpec, SetSpec
from mmtrain.specs.vectors import SetFeatureSpec, feature_spec

FILES, ROWS = 12, 40
TREE = """
name: sets
data: {cache: {folder: cache}}
columns:
  photos: {role: images, size: [12, 12], most: 3, pool: attention, missing: mask}
  x: {role: numeric}
  y: {role: target, task: binary}
branches:
  photos: {columns: [photos], architecture: pretrained, model: tiny_resnet, units: [4], dropout: 0.2}
  x: {columns: [x], units: [4]}
split: {validation: 0.3, test: 0.2}
training: {epochs: 3, batch_size: 8, deterministic: true, learning_rate: 0.05}
evaluation: {baselines: [majority]}
"""


def names_of(row):
    """No image in row 7; others have one to three, which several rows share."""
    return "" if row == 7 else ";".join(f"{(row * 5 + number * 7) % FILES}.png" for number in range(row % 3 + 1))


def written(folder, tree=TREE):
    random = np.random.default_rng(0)
    for number in range(FILES):
        paint(folder / f"{number}.png", random.integers(0, 256, (12, 12, 3)).astype(np.uint8))
    two_blobs(folder, ROWS, photos=names_of)
    tiny_resnet(folder)
    return write_experiment(folder / "experiment.yaml", tree)


def entries(folder):
    return sorted(path.name for path in (folder / "cache").iterdir() if (path / "codes.npy").is_file())


def featured(made, **options):
    from mmtrain.training.encoder_features.frozen_features import with_features

    return with_features(
        made.arrays, made.experiment.branches, made.experiment.columns, made.data.stores, made.experiment.data.cache, **options
    )


def test_features_of_a_set_are_a_kind_of_their_own_that_is_not_averaged_over_rows():
    spec = feature_spec(SetSpec(ImageSpec(8, 8, 3), most=5), 16, views=2)
    assert (spec, spec.shape, spec.kind) == (SetFeatureSpec(16, 3, most=5), (5, 3, 16), "set_features")


@pytest.mark.usefixtures("tensorflow")
def test_places_without_features_are_no_members():
    from mmtrain.layers.sets import FlattenMembers

    features = np.full((2, 3, 1, 2), np.nan, np.float32)
    features[0, 0], features[0, 1] = 0, -1  # features that are all 0, or below it, are there
    members, shown = FlattenMembers()(features)
    assert (members.numpy().tolist(), shown.numpy().tolist()) == ([[[0, 0]], [[-1, -1]]], [[1, 1, 0], [0, 0, 0]])
    members, shown = FlattenMembers()(features[1:])
    assert (members.numpy().tolist(), shown.numpy().tolist()) == ([[[0, 0]]], [[0, 0, 0]])


@pytest.mark.usefixtures("tensorflow")
def test_each_file_is_read_once_and_found_again(tmp_path):
    sentences = []
    made = ready(written(tmp_path))
    arrays = featured(made, say=sentences.append)
    assert [one.split(" in ")[0] for one in sentences] == [f"photos: tiny_resnet has read {FILES} images"]
    features = arrays.inputs["photos"].take(np.arange(ROWS))
    shown = ~np.isnan(features).any(axis=(2, 3))
    assert (features.shape, shown.sum(axis=1).tolist()) == ((ROWS, 3, 1, 6), [0 if row == 7 else row % 3 + 1 for row in range(ROWS)])
    assert np.array_equal(arrays.inputs["photos"].present(np.arange(ROWS)), made.arrays.present["photos"])
    sentences.clear()
    featured(ready(tmp_path / "experiment.yaml"), say=sentences.append)
    assert (sentences, len(entries(tmp_path))) == ([], 1)


@pytest.mark.usefixtures("tensorflow")
def test_one_view_of_each_member_is_drawn():
    from types import SimpleNamespace as Stub

    from mmtrain.columns import Images
    from mmtrain.training.augmentation.augmenter import Augmenter

    column = Images(column="photos", size=(12, 12), most=2, augment={"flip": "both"})
    augmenter = Augmenter({"photos": column}, Stub(columns={"photos": column.fit([])}), {"photos": 3})
    features = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    uniforms = np.zeros((1, augmenter.uniforms), np.float32)
    uniforms[0, 0], uniforms[0, augmenter.uniforms // 2] = 0.99, 0.4
    drawn = augmenter.inputs({"inputs": {"photos": features, "photos_present": np.ones((1, 1))}, "uniforms": uniforms})["photos"].numpy()
    assert drawn.tolist() == [[[[4, 5]] * 3, [[8, 9]] * 3]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tensorflow):
    """A finished run, the sentences of its training, and its folder."""
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.training_listeners import Listeners

    folder, sentences = tmp_path_factory.mktemp("sets"), []
    result = fit(written(folder), output=folder / "runs", listeners=Listeners(say=sentences.append))
    return result.run, sentences, folder


@pytest.mark.slow  # a training; the parts are tested above by default
def test_predictions_of_the_whole_network_are_those_of_the_cached_features(trained):
    """The saved model reads pixels; the same rows by the predictor behind the encoder, on features."""
    from mmtrain.data import encode
    from mmtrain.model import model_file

    run, sentences, folder = trained
    assert sum("has read" in one for one in sentences) == 1
    made = ready(folder / "experiment.yaml")
    fitted = encode.of_run(run, made.experiment.columns)
    _, predictor = model_file.of_run(run, made.experiment.branches, fitted)
    whole = model_file.predict(predictor, made.arrays, np.arange(ROWS))["y"]
    behind, encoders = model_file.on_features(
        predictor, made.experiment.branches, made.experiment.columns, fitted, run.read("network.json"), views=True
    )
    assert [tuple(tensor.shape) for tensor in behind.inputs if tensor.name == "photos"] == [(None, 3, 1, 6)]
    cached = model_file.predict(behind, featured(made, encoders=encoders), np.arange(ROWS))["y"]
    assert np.abs(whole - cached).max() < 1e-5 and len(np.unique(cached)) > 30
    assert np.isfinite([line["train_loss"] for line in lines(run / "metrics.jsonl")]).all()


@pytest.mark.slow
def test_views_and_tuning_of_a_set_are_trained(tmp_path, tensorflow):
    from mmtrain.commands.fit import fit

    views = TREE.replace("most: 3", "most: 3, augment: {flip: both, brightness: 0.3}").replace("units: [4], d", "views: 2, d")
    assert fit(written(tmp_path, views), output=tmp_path / "runs", overrides=["training.epochs=1"]).run.state == "finished"
    tuned = TREE.replace("units: [4], d", "tune: last_blocks, blocks: 1, d").replace("name: sets", "name: tuned")
    assert fit(write_experiment(tmp_path / "tuned.yaml", tuned), output=tmp_path / "runs").run.state == "finished"


@pytest.mark.slow
def test_evaluate_asks_no_encoder_again(trained, monkeypatch):
    from mmtrain.commands.evaluate import EvaluateOptions, evaluate
    from mmtrain.training.encoder_features import frozen_features

    run, _, _ = trained
    monkeypatch.setattr(frozen_features, "_compile", lambda _: pytest.fail("an encoder was asked to read"))
    assert evaluate(str(run.folder), EvaluateOptions()).targets["y"]


def store_of(index):
    """A store of a black image and an unreadable one."""
    from types import SimpleNamespace as Stub

    from mmtrain.data.images.prefetch import StoredImages

    return Stub(pixels=StoredImages(np.zeros((2, 4, 4, 3), np.uint8)), unreadable=(1,), index=np.array(index))


@pytest.mark.usefixtures("tensorflow")
def test_a_black_image_has_not_the_features_of_an_unreadable_one():
    """Both have pixels of 0, but the features of an unreadable image are zeros that no encoder gave."""
    from mmtrain.training.encoder_features.frozen_features import _known_images, _Read

    assert [place for _, place in _known_images([_Read(None, None, store_of([0, 1]), None)], size=8).values()] == [0]


@pytest.mark.parametrize(("index", "brightest"), [([0, 1], 0), ([[0, 1]], 1)], ids=["images", "sets"])
@pytest.mark.usefixtures("tensorflow")
def test_an_encoder_reads_a_black_member_as_the_network_does(index, brightest):
    """A place of zeros in a set has no image, so that a black member has a value of 1 in the arrays that the saved model reads."""
    from mmtrain.training.encoder_features.frozen_features import _pixel_batches

    ((_, _, pixels),) = _pixel_batches(store_of(index), size=8)
    assert pixels.max(axis=(1, 2, 3)).tolist() == [brightest, 0]
