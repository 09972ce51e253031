"""Columns that an encoder makes numbers of: read by a branch of tables with other columns, from the experiment to an export."""

import numpy as np
import pandas as pd
import pytest
from checkpoints import tiny_resnet
from tiny import paint, ready, two_blobs, write_experiment
from tiny_encoders import write_model

import mmtrain
from mmtrain import config
from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.deployment.unpack import unpack
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.explain import ExplainOptions, explain
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.dry_run import dry_run
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.encoders import loading
from mmtrain.errors import ConfigError

pytestmark = pytest.mark.usefixtures("models_opened_once")
TEXTS = ("The dress fit, a dress!", "good", "bad dresses", "A good fit, the bad", "", "good fit")
TREE = """
name: numbers
data: {cache: {folder: cache}}
columns:
  back: {role: image, size: [12, 12], missing: mask, encoder: {model: tiny_resnet, components: 3}}
  front: {role: image, size: [12, 12], encoder: {model: tiny_resnet, components: 3}}
  note: {role: text, max_length: 8, missing: mask, encoder: {model: words, components: 2, reduce: learned}}
  x: {role: numeric, missing: mask}
  y: {role: target, task: binary}
branches: tabm
split: {validation: 0.3, test: 0.2}
training: {epochs: 2, batch_size: 8, deterministic: true, learning_rate: 0.01}
evaluation: {baselines: [majority], permutations: 2, draws: 100}
"""


def written(folder, tree=TREE, change=("", "")):
    """Forty images in front, twenty of them at the back again and five others, two encoders, and an experiment."""
    random = np.random.default_rng(0)
    for row in range(45):
        paint(folder / f"{row}.png", random.integers(0, 256, (12, 12, 3)).astype(np.uint8))

    def back(row):
        return "" if row == 7 else f"{40 + row // 4 if row < 20 else row - 20}.png"

    two_blobs(folder, 40, front="{}.png".format, back=back, note=lambda row: TEXTS[row % 6])
    tiny_resnet(folder)
    write_model(folder / "words", modules=["Transformer", "Pooling"], pooling={"pooling_mode_mean_tokens": True})
    return write_experiment(folder / "experiment.yaml", tree.replace(*change))


@pytest.fixture(scope="module")
def trained(tensorflow, tmp_path_factory):
    """A finished run, the notices of its training, and its folder, in which the encoders are gone afterwards."""
    folder, notices = tmp_path_factory.mktemp("numbers"), []
    # A linear branch: what the encoders give is the same, and its network takes half of the time of `tabm`.
    path = written(folder, change=("branches: tabm", "branches: linear"))
    run = fit(path, output=folder / "runs", listeners=Listeners(say=notices.append)).run
    for name in ("tiny_resnet", "words"):
        (folder / name).rename(folder / f"{name}.away")
    loading._load_encoder.cache_clear()
    return run, notices, folder


@pytest.mark.slow
def test_all_columns_are_numbers_of_one_branch(trained):
    run, _, _ = trained
    experiment = config.load(run / "config.yaml")
    assert {key: branch.columns for key, branch in experiment.branches.items()} == {"table": ("back", "front", "note", "x")}
    (branch,) = run.read("network.json").branches
    assert [(one.name, one.kind, one.encoder and one.encoder.model) for one in branch.inputs] == [
        ("back", "image", "tiny_resnet"),
        ("front", "image", "tiny_resnet"),
        ("note", "pieces", "words"),
        ("x", "vector", None),
    ]
    with np.load(run / "checkpoints" / "best" / "weights.npz") as weights:
        shapes = sorted(weights[name].shape for name in weights.files)
    assert not [shape for shape in shapes if len(shape) == 4]  # no kernels of an encoder
    assert shapes.count((6, 3)) == 2  # principal components


@pytest.mark.slow
def test_images_of_several_columns_are_read_once(trained):
    _, notices, _ = trained
    read = [notice for notice in notices if "has read" in notice]
    assert [notice.split(" in ")[0] for notice in read] == [
        "back: tiny_resnet has read 25 images",
        "front: tiny_resnet has read 40 images",
        "note: words has read 6 distinct texts",
    ]


@pytest.mark.slow
def test_known_images_do_not_go_through_the_encoder_again(trained, monkeypatch):
    from mmtrain.training.encoder_features import frozen_features
    from mmtrain.training.encoder_features.feature_cache import FeatureCache
    from mmtrain.training.encoder_features.frozen_features import AugmentedViews, _Read, image_features

    _, _, folder = trained
    made = ready(folder / "experiment.yaml", [f"columns.{key}.encoder.model={folder / name}.away" for key, name in MODELS.items()])
    calls = []
    compile_ = frozen_features._compile

    def compiled(network):
        call = compile_(network)
        return lambda pixels: calls.append(len(pixels)) or call(pixels)

    monkeypatch.setattr(frozen_features, "_compile", compiled)
    encoder = loading.load_encoder(f"{folder}/tiny_resnet.away", made.fitted.columns["front"].spec)
    cache = FeatureCache("front", made.experiment.data.cache.model_copy(update={"disk": 0}), lambda _: None)
    back, front, plain = made.data.stores["back"], made.data.stores["front"], AugmentedViews(0, made.experiment.columns["front"])
    alone = image_features(encoder, front, plain, cache)
    known = _Read(encoder, made.fitted.columns["back"].spec, back, image_features(encoder, back, plain, cache))
    both = image_features(encoder, front, plain, cache, [known])
    assert calls == [40, 25, 20]
    np.testing.assert_allclose(both.codes, alone.codes, rtol=0, atol=1e-5)


MODELS = {"back": "tiny_resnet", "front": "tiny_resnet", "note": "words"}


def test_a_packed_run_names_the_encoders_without_their_folders(trained, tmp_path):
    run, _, folder = trained
    pack(str(run.folder), tmp_path / "run.zip")
    unpack(tmp_path / "run.zip", tmp_path / "there")
    assert str(folder) not in (tmp_path / "there" / "config.yaml").read_text(encoding="utf-8")
    columns = config.load(tmp_path / "there" / "config.yaml").columns
    assert [columns[key].encoder.model for key in MODELS] == ["tiny_resnet", "tiny_resnet", "words"]


@pytest.fixture
def never_read(monkeypatch):
    """No encoder reads an image or a text for features."""
    from mmtrain.training.encoder_features import frozen_features

    monkeypatch.setattr(frozen_features, "_compile", lambda _: pytest.fail("an encoder was asked to read"))


@pytest.mark.slow  # tests/encoders/test_image_pretrained.py evaluates such a run
def test_evaluate_reads_the_cache_and_needs_no_files_of_encoders(trained, never_read):
    run, _, folder = trained
    notices = []
    result = evaluate(str(run.folder), say=notices.append)
    assert not [notice for notice in notices if "has read" in notice]
    assert result.targets["y"].contributions is not None
    scored = pd.read_csv(run / "predictions_test.csv")
    frame = pd.read_csv(folder / "table.csv", dtype=str, keep_default_na=False)
    predicted = mmtrain.load(run.folder).predict(frame, proba=True, images=folder)
    name = next(name for name in scored.columns if name.startswith("probability"))
    np.testing.assert_allclose(predicted.loc[scored["row"], name], scored[name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_explain_chooses_its_rows_by_cached_features(trained, never_read):
    run, _, _ = trained
    assert explain(str(run.folder), ExplainOptions(method="attribution")).rows


@pytest.mark.slow
def test_another_table_is_read_by_the_encoders_of_the_saved_model(trained, tmp_path):
    run, _, folder = trained
    frame = pd.read_csv(folder / "table.csv", dtype=str, keep_default_na=False)
    frame = frame.head(30)
    frame.loc[::-1].to_csv(folder / "later.csv", index=False)
    notices = []
    evaluate(str(run.folder), EvaluateOptions(table=folder / "later.csv", images=folder), say=notices.append)
    assert [notice.split(" has read ")[0] for notice in notices if "has read" in notice] == ["back: tiny_resnet", "front: tiny_resnet"]
    scored = pd.read_csv(next(iter(run.folder.glob("predictions_later*.csv"))))
    predicted = mmtrain.load(run.folder).predict(frame, proba=True, images=folder)
    name = next(name for name in scored.columns if name.startswith("probability"))
    np.testing.assert_allclose(predicted[name].to_numpy()[::-1], scored[name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_exports_hold_the_encoders(trained):
    run, _, _ = trained
    assert export(str(run.folder), ExportOptions("saved_model")).signature.check.largest_difference <= 1e-3
    assert export(str(run.folder), ExportOptions("onnx")).signature.check.largest_difference <= 1e-4


class Rows:
    """Features of rows, as a row source gives them."""

    def __init__(self, values):
        self.values = values

    def take(self, rows):
        return self.values[rows][:, None]


def components_of(values, train, present=None, components=3):
    from mmtrain.columns.pixels.image import Image
    from mmtrain.data.arrays import Arrays
    from mmtrain.specs import FeatureSpec
    from mmtrain.training.encoder_features.frozen_features import fit_components

    columns = {"scan": Image(column="scan", encoder={"model": "any", "components": components})}
    present = np.ones((len(values), 1), np.float32) if present is None else present
    arrays = Arrays({"scan": Rows(values)}, {"scan": present}, {}, {}, {"scan": FeatureSpec(values.shape[1])})
    return fit_components(arrays, columns, np.asarray(train, dtype=np.int64))["scan"]


def test_components_are_those_of_training_rows_only(tensorflow):
    random = np.random.default_rng(0)
    values = (random.normal(size=(60, 8)) @ random.normal(size=(8, 8)) + 5).astype(np.float32)
    train, present = np.arange(0, 60, 2), np.ones((60, 1), np.float32)
    present[10] = 0
    made = components_of(values, train, present)
    changed = values.copy()
    changed[1::2] = 1e6  # validation and test rows
    changed[10] = -1e6  # a training row without an image
    again = components_of(changed, train, present)
    assert np.array_equal(made.matrix, again.matrix) and np.array_equal(made.mean, again.mean)
    used = values[np.setdiff1d(train, [10])]
    numbers = (used - made.mean) @ made.matrix
    np.testing.assert_allclose(numbers.std(axis=0), 1, rtol=1e-3)
    left = np.linalg.svd(used - used.mean(axis=0), full_matrices=False)[0][:, :3] * np.sqrt(len(used))
    np.testing.assert_allclose(np.abs(numbers), np.abs(left), rtol=0, atol=1e-3)


def test_components_beyond_the_directions_of_few_rows_are_zero(tensorflow):
    values = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    made = components_of(values, [0, 1, 2], components=6)
    numbers = (values - made.mean) @ made.matrix
    assert numbers[:, :2].std(axis=0) == pytest.approx(1, abs=1e-3) and not made.matrix[:, 2:].any()
    assert not components_of(values, []).matrix.any()


@pytest.mark.slow
def test_a_dry_run_estimates_the_encoders_from_a_few_rows(tmp_path, monkeypatch):
    from mmtrain.training.encoder_features import frozen_features

    monkeypatch.setattr(frozen_features, "MOST_AT_ONCE", 4)
    notices = []
    result = dry_run(written(tmp_path, change=("branches: tabm", "branches: linear")), listeners=Listeners(say=notices.append))
    front = next(notice for notice in notices if notice.startswith("front: tiny_resnet would read 40 images in about "))
    assert front.endswith("; 12 of them were read.") and result.seconds_of_features > 0
    assert result.disk["features of front"] == 40 * 6 * 4 + 40 * 4
    assert not [path for path in (tmp_path / "cache").iterdir() if (path / "codes.npy").is_file()]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("model: tiny_resnet, c", "model: tiny_resnet_2, c"),
            "columns.back.encoder.model: model tiny_resnet_2: its weights are not there",
        ),
        (
            ("[12, 12], missing: mask", "[12, 12], missing: mask, augment: {flip: both}"),
            "columns.back.augment: the encoder of the column reads every image once, so that its random changes have no effect. Remove it.",
        ),
        (("max_length: 8", "max_length: 10"), "columns.note.encoder.model: "),
    ],
)
def test_mistakes_are_found_before_the_training(tmp_path, change, problem):
    from mmtrain.pipeline.checks.validate import load_checked

    with pytest.raises(ConfigError) as error:
        load_checked(written(tmp_path, change=change), ())
    assert problem in str(error.value)


def test_a_name_is_short_for_an_encoder_and_an_image_branch_cannot_read_its_numbers(tmp_path):
    path = written(tmp_path, change=("{model: tiny_resnet, components: 3}", "tiny_resnet"))
    assert config.load(path).columns["back"].encoder.components == 30
    with pytest.raises(ConfigError, match="cannot read 'back'"):
        config.load(written(tmp_path, change=("branches: tabm", "branches: {a: {columns: [back], architecture: image_resnet}}")))
