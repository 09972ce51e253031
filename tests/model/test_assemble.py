"""The three models of one network: the same answers from raw cells as from encoded ones, whatever the columns are called."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from tiny import paint, ready, write_experiment, write_table

from mmtrain.layers.text_tokens import BagProjection
from mmtrain.model import model_file

pytestmark = pytest.mark.usefixtures("tensorflow")

ROWS = 24
COLUMNS = {
    "größe (cm)": {"role": "numeric"},
    "dose": {"role": "numeric", "missing": "mask"},
    "blood group": {"role": "categorical", "encode": "one_hot", "missing": "mask"},
    "note": {"role": "text", "ngrams": 1, "max_length": 4, "missing": "mask"},
    "scan": {"role": "image", "size": [20, 16], "background": [10, 200, 30], "missing": "mask"},
    "importance": {"role": "weight"},
    "y": {"role": "target", "task": "binary", "class_weights": {"ill": 3}, "loss_weight": 2},
    "days left": {"role": "target", "task": "regression"},
}
INPUTS = ["größe (cm)", "dose", "blood group", "note", "scan"]
TREE = {
    "name": "clinic.1",
    "columns": COLUMNS,
    "branches": {
        "the scan": {"columns": ["scan"], "architecture": "cnn", "filters": [2, 3], "normalization": "none"},
        "table": {"columns": ["größe (cm)"], "architecture": "linear", "units": 2},
        "ward": {"columns": ["dose", "blood group"], "architecture": "mlp", "units": [5]},
        "note": {"columns": ["note"], "architecture": "mlp", "units": [3], "linear": 0},
    },
    "fusion": {"method": "gated", "width": 4, "units": [6]},
    "split": {"method": "random", "validation": 0.25, "test": 0.25},
}


def rows():
    """Every input is missing in some rows, and all that can be in row 0."""
    return [
        {
            "größe (cm)": None if row % 6 == 0 else 150 + row,
            "dose": None if row % 4 == 0 else row,
            "blood group": None if row % 3 == 0 else "ABC"[row % 3],
            "note": None if row % 5 == 0 else f"word{row % 3} and word{row % 4}",
            "scan": None if row % 2 == 0 else f"{row % 3}.png",
            "importance": row % 3 + 1,
            "y": ("well", "ill")[row % 2],
            "days left": row * 1000,
        }
        for row in range(ROWS)
    ]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory, tensorflow):
    """A table and its arrays, up to the network."""
    folder = tmp_path_factory.mktemp("clinic")
    for number in range(3):
        paint(folder / f"{number}.png", number * 100 + 20)
    write_table(folder / "table.csv", rows())
    return ready(write_experiment(folder / "clinic.yaml", TREE))


@pytest.fixture(scope="module")
def models(clinic):
    return fresh(clinic)


def fresh(material, seed=1):
    import keras

    from mmtrain.pipeline.build import assemble_network

    keras.utils.set_random_seed(seed)
    return assemble_network(material.experiment, material.fitted)


def raw_of(material):
    """What the saved model is given for every row of the table, by input name."""
    raw, folder = {}, material.experiment.data.images_folder.path
    for key, column in material.fitted.columns.items():
        if key in material.data.stores:
            names = material.data.table.cells(key).fillna("")
            raw[key] = np.array([[(folder / name).read_bytes() if name else b""] for name in names], dtype=object)
        else:
            raw[key] = np.concatenate([column.raw(piece) for piece in material.data.table.pieces(key)])
    return raw


def encoded_of(material):
    return material.arrays.take(np.arange(len(material.arrays)))


def answers(model, inputs):
    """The outputs of a model by name, as arrays."""
    import tensorflow as tf

    return {key: values.numpy() for key, values in model({key: tf.constant(values) for key, values in inputs.items()}).items()}


def same(one, other):
    assert sorted(one) == sorted(other)
    return all(np.array_equal(one[key], other[key]) for key in one)


def test_whole_gives_from_raw_cells_what_the_predictor_gives_from_encoded_ones(clinic, models):
    whole = answers(models.end_to_end, raw_of(clinic))
    assert same(whole, answers(models.predictor, encoded_of(clinic)))
    assert sorted(whole) == ["days left", "y"]
    for values in whole.values():
        assert values.shape == (ROWS, 1)
        assert np.isfinite(values).all()
        assert len(np.unique(values)) > ROWS / 3  # it does look at the rows


@pytest.mark.slow
def test_saved_whole_gives_the_same(clinic, models, tmp_path):
    import keras

    from mmtrain.model import model_file

    models.end_to_end.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    expected = answers(models.predictor, encoded_of(clinic))
    assert same(answers(loaded, raw_of(clinic)), expected)
    assert same(answers(model_file.parts(model_file.load_end_to_end(tmp_path / "model.keras"))[1], encoded_of(clinic)), expected)
    assert loaded.name == "clinic.1"
    assert sorted(loaded.input) == sorted(INPUTS)


def test_core_gives_raw_values_and_activations_make_them_predictions(clinic, models):
    raw, predictions = answers(models.network, encoded_of(clinic)), answers(models.predictor, encoded_of(clinic))
    assert np.allclose(predictions["y"], 1 / (1 + np.exp(-raw["y"])), rtol=0, atol=1e-6)
    target = clinic.fitted.targets["days left"]
    assert target.scale > 1000
    assert np.allclose(predictions["days left"], raw["days left"] * target.scale + target.center, rtol=1e-6)
    assert same({key: layer(raw[key]).numpy() for key, layer in models.activations.items()}, predictions)
    assert list(models.activations) == ["y", "days left"]


def test_parameters_are_counted_for_each_part(clinic, models):
    assert sorted(clinic.fitted.columns["note"].words) == ["and", "word0", "word1", "word2", "word3"]
    assert clinic.fitted.columns["blood group"].categories == ("B", "C")
    assert models.parameters() == {
        "branch_the_scan": (3 * 3 * 3 * 2 + 2) + (3 * 3 * 2 * 3 + 3),
        "branch_table": 2 * 2 + 2,  # a number and its indicator
        "branch_ward": (2 + 4) * 5 + 5,  # a number and whether it is absent, and one-hot codes: missing, unseen, B, C
        "branch_note": (3 + 5) * 3 + 3,  # ids: padding, missing, unseen, five words
        # gated: a value of each branch by itself, a gate of each by all of them; then a dense layer
        "fusion": sum((width + 1) * 4 for width in (3, 2, 5, 3)) + 4 * (13 + 1) * 4 + (4 + 1) * 6,
        "target_y": 6 + 1,
        "target_days_left": 6 + 1,
    }
    assert sum(models.parameters().values()) == models.network.count_params()


@pytest.mark.slow  # those of a run are in tests/pipeline/test_promises.py
def test_weights_follow_from_the_seed(clinic, models):
    weights = [fresh(clinic, seed).network.get_weights() for seed in (1, 2)]
    compared = [
        (np.array_equal(mine, again), np.array_equal(mine, other))
        for mine, again, other in zip(models.network.get_weights(), *weights, strict=True)
        if mine.any()  # biases begin with 0 under every seed
    ]
    assert compared == [(True, False)] * 16


@pytest.mark.parametrize(
    ("branch", "keys", "absent"),
    [
        ("the scan", ["scan"], ROWS / 2),
        ("note", ["note"], 5),
        ("ward", ["dose", "blood group"], 2),  # rows 0 and 12: a branch is present when any of its columns is
    ],
)
def test_absent_branch_never_changes_the_answer_of_its_row(clinic, models, branch, keys, absent):
    assert clinic.experiment.branches[branch].columns == tuple(keys)
    encoded, join = clinic.arrays.columns(np.arange(ROWS)), clinic.arrays.layout.join
    gone = np.all([encoded[f"{key}_present"].ravel() == 0 for key in keys], axis=0)
    assert gone.sum() == absent
    expected = answers(models.predictor, join(encoded))
    other = answers(models.predictor, join(encoded | {key: np.full_like(encoded[key], 1) for key in keys}))
    for name in expected:
        assert np.array_equal(expected[name][gone], other[name][gone])
        assert (expected[name][~gone] != other[name][~gone]).any()


@pytest.mark.slow
def test_a_file_that_is_no_image_is_a_missing_image(clinic, models):
    raw = raw_of(clinic)
    junk = np.where(raw["scan"] == b"", b"no image", raw["scan"])
    assert (junk != raw["scan"]).sum() == ROWS / 2
    assert same(answers(models.end_to_end, raw), answers(models.end_to_end, raw | {"scan": junk}))


def test_row_weights_reach_the_loss(tmp_path):
    from mmtrain.training.step import TrainStep

    write_table(tmp_path / "table.csv", rows())
    columns = {key: COLUMNS[key] for key in ("dose", "importance", "y", "days left")}
    material = ready(write_experiment(tmp_path / "e.yaml", {"columns": columns, "fusion": {"units": []}, "split": {"method": "random"}}))
    models, arrays = fresh(material), material.arrays
    importance = (np.arange(ROWS) % 3 + 1) / material.fitted.weight_mean
    weights = {"y": importance * np.where(np.arange(ROWS) % 2, 3, 1), "days left": importance}
    assert sorted(arrays.weights) == sorted(weights)
    for key, expected in weights.items():
        assert np.allclose(arrays.weights[key], expected, rtol=1e-6)
    raw = answers(models.network, encoded_of(material))
    plain = {key: target.row_loss(arrays.targets[key], raw[key]).numpy() for key, target in material.fitted.targets.items()}
    batch = {"inputs": encoded_of(material), "targets": arrays.targets, "weights": arrays.weights}
    steps = TrainStep(material.experiment.training, material.experiment.columns, material.fitted, models)
    judged, _ = steps.eval_step(batch)
    for key, losses in plain.items():
        assert np.allclose(judged[key], losses * weights[key], rtol=1e-5)
    found = steps.train_one(batch | {"uniforms": np.zeros((ROWS, 0), dtype=np.float32)}, np.array([0.001], dtype=np.float32))
    means = {key: np.mean(losses * weights[key]) for key, losses in plain.items()}
    total = 2 * means["y"] + means["days left"]  # `loss_weight: 2`
    assert {key: value.numpy().item() for key, value in found.items()} == pytest.approx({**means, "loss": total}, rel=1e-5)


ODD = [
    "fusion",
    "maximum",
    "target_age",
    "prediction_age",
    "branch_table",
    "present_table",
    "encode_fusion",
    "encoder",
    "dense",
    "age present",
    "a b",
    "a_b",
    "größe (cm)",
    "%",
]
"""Columns called like parts of the network, or like nothing TensorFlow would take for a name."""


@pytest.mark.slow
def test_columns_and_branches_may_be_called_anything(tmp_path):
    import keras

    from mmtrain.fusions import fusions

    table = [{**{key: row * number % 7 for number, key in enumerate(ODD, start=1)}, "age": "ab"[row % 2]} for row in range(12)]
    write_table(tmp_path / "table.csv", table)
    tree = {
        "columns": {**{key: {"role": "numeric"} for key in ODD}, "age": {"role": "target", "task": "binary"}},
        "branches": {
            name: {"columns": ODD[place::4], "architecture": "linear", "units": 2}
            for place, name in enumerate(["table", "x", "x present", "größe/dense"])
        },
    }
    material = ready(write_experiment(tmp_path / "odd.yaml", tree))
    keras.backend.clear_session()  # Keras's own names begin again without a number, as in a new process
    for method in ("concatenate", "add", "gated"):  # two of them name layers after branches
        section = fusions[method].section(method=method, units=())
        models = fresh(replace(material, experiment=material.experiment.model_copy(update={"fusion": section})))
        assert len(models.parameters()) == 4 + 1 + (method != "concatenate")
    models.end_to_end.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert same(answers(loaded, raw_of(material)), answers(models.predictor, encoded_of(material)))
    assert sorted(loaded.input) == sorted(ODD)


@pytest.mark.parametrize(
    ("shape", "dtype", "layer", "rows"),
    [
        ((256,), "int32", lambda: BagProjection(idf=[0.0, 1.0], units=512), 122),
        ((256,), "int32", lambda: keras.layers.Embedding(2, 512), 122),
        ((256,), "int32", lambda: BagProjection(idf=[0.0, 1.0], units=32), 1024),
        ((1000, 1000, 1), "uint8", keras.layers.GlobalMaxPooling2D, 8),
        ((64, 64, 3), "float32", lambda: keras.layers.Conv2D(16, 3, padding="same"), 122),
        ((64, 64, 3), "float32", lambda: keras.layers.Conv2D(2, 3, padding="same"), 162),
        ((3,), "float32", lambda: keras.layers.Dense(1), 1024),
    ],
)
def test_rows_of_a_batch_leave_room_for_images_their_maps_and_the_vectors_of_words(shape, dtype, layer, rows):
    """64 MB hold 122 texts of 256 words of 512 numbers of 4 bytes, 32 MB 122 maps of 64 x 64 x 16, and 8 MB 162 images of 4 bytes."""
    given = keras.Input(shape, dtype=dtype)
    branch = keras.Model(given, layer()(given))
    assert model_file.rows_at_once(keras.Model(given, branch(given))) == rows
