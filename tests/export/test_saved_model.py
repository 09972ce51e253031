"""A SavedModel export: from raw values to answers, in a process that knows TensorFlow alone."""

import ast
import base64
import csv
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import paint, ready, write_experiment, write_table

from mmtrain.errors import RunError

ROWS = 24
TREE = {
    "name": "served",
    "columns": {
        "größe (cm)": {"role": "numeric"},
        "blood group": {"role": "categorical"},
        "note": {"role": "text", "max_length": 4},
        "scan": {
            "role": "image",
            "size": [6, 4],
            "channels": 1,
            "missing": "mask",
            "augment": {"flip": "both", "rotate": 90, "brightness": 0.5},
        },
        "ill": {"role": "target", "task": "binary"},
        "ward": {"role": "target", "task": "multiclass"},
        "signs": {"role": "target", "task": "multilabel", "separator": " / "},
        "days left": {"role": "target", "task": "regression"},
    },
    "fusion": {"units": [6]},
    "split": {"method": "random", "validation": 0.25, "test": 0.25},
}


def rows():
    return [
        {
            "größe (cm)": None if row % 6 == 0 else 150 + row,
            "blood group": None if row % 4 == 0 else "ABC"[row % 3],
            "note": None if row % 5 == 0 else f"word{row % 3} and word{row % 4}",
            "scan": None if row % 3 == 0 else f"{row % 4}.png",
            "ill": ("no", "yes")[row % 2],
            "ward": "abc"[row % 3],
            "signs": " / ".join(name for number, name in enumerate(("cough", "fever")) if row >> number & 1),
            "days left": row * 1000,
        }
        for row in range(ROWS)
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory, tensorflow):
    """What a run has before its export: the encoded table and the whole model; and the export's folder."""
    import keras

    from mmtrain.export import saved_model
    from mmtrain.pipeline.build import assemble_network

    folder = tmp_path_factory.mktemp("served")
    for number in range(4):
        paint(folder / f"{number}.png", np.arange(99, dtype=np.uint8).reshape(9, 11) * (number + 1))
    write_table(folder / "table.csv", rows())
    material = ready(write_experiment(folder / "served.yaml", TREE))
    keras.utils.set_random_seed(4)
    models = assemble_network(material.experiment, material.fitted)
    models.network.set_weights([weight * 3 for weight in models.network.get_weights()])  # so that answers differ from row to row
    saved_model.write(models.end_to_end, material.fitted, folder / "saved_model")
    return material, models, folder


def raw_of(material, folder):
    """Values by the names of the signature."""
    from mmtrain.export.saved_model import input_names

    table, columns = material.data.table, material.fitted.columns
    raw = {key: np.concatenate([columns[key].raw(piece) for piece in table.pieces(key)]) for key in columns if key != "scan"}
    raw["scan"] = np.array([(folder / name).read_bytes() if name else b"" for name in table.cells("scan").fillna("")], dtype=object)
    return {input_names(material.fitted)[key]: values.reshape(-1) for key, values in raw.items()}


@pytest.mark.slow
def test_saved_model_answers_as_evaluate_does(served):
    from mmtrain.export import export_formats
    from mmtrain.export.check import give_runner
    from mmtrain.model import model_file

    material, models, folder = served
    raw = raw_of(material, folder)
    assert sorted(raw) == ["blood_group", "gr_e_cm", "note", "scan"]
    twice = {name: np.concatenate([values, values]) for name, values in raw.items()}
    twice["scan"][ROWS + 1] = b"no image"
    give_runner(export_formats["saved_model"], folder)
    found = export_formats["saved_model"].run(folder / "saved_model", twice, ())
    expected = model_file.predict(models.predictor, material.arrays, np.arange(ROWS))
    for key, name in {"ill": "ill", "ward": "ward", "signs": "signs", "days left": "days_left"}.items():
        target = material.fitted.targets[key]
        answers = found.pop(f"{name}_prediction")
        if target.task == "regression":
            assert np.allclose(answers[:ROWS], expected[key][:, 0], rtol=1e-5)
        else:
            assert answers[:ROWS].tolist() == target.predict_label(expected[key]).tolist()
            probabilities = found.pop(f"{name}_probabilities")
            assert np.abs(probabilities[:ROWS] - target.probabilities(expected[key])).max() < 1e-5
            # Nothing is left to chance: the same rows again.
            assert np.array_equal(np.delete(probabilities[:ROWS], 1, axis=0), np.delete(probabilities[ROWS:], 1, axis=0))
        assert len(set(answers[:ROWS].tolist())) > 1
    status = ["scan: no image" if row % 3 == 0 else "ok" for row in range(ROWS)]
    assert found.pop("status").tolist() == [*status, *status[:1], "scan: unreadable", *status[2:]]
    assert found == {}


def test_program_that_runs_an_export_needs_tensorflow_alone():
    from mmtrain.export.runners import saved_model as program

    tree = ast.parse(Path(program.__file__).read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names == {"tensorflow"}


def test_images_of_a_row_are_sorted_each_once_whatever_headers_name_them(tmp_path):
    from mmtrain.export.runners.saved_model import read_table

    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_text(name)
    cells = [["c.png; a.png", " ['a.png', 'b.png']"], ["", '["b.png", null]']]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["front", "back"], *cells])
    one = {"name": "x", "column": "x", "dtype": "string", "shape": ["rows", 4], "cell": None}
    signature = {"inputs": [one], "headers": {"front": ["x"], "back": ["x"]}, "separators": {"x": ";"}, "missing": []}
    found = read_table(signature, tmp_path / "t.csv", tmp_path)["x"]
    assert [[base64.b64decode(file["b64"]).decode() for file in row] for row in found] == [
        ["a.png", "b.png", "c.png", ""],
        ["b.png", "", "", ""],
    ]
    pixels = one | {"dtype": "float32", "shape": ["rows", 4, 8, 8, 1]}
    with pytest.raises(SystemExit, match=r"x: the model takes pixels of files that TensorFlow cannot decode\. Use `mmtrain predict`"):
        read_table(signature | {"inputs": [pixels]}, tmp_path / "t.csv", tmp_path)


def test_the_contract_of_a_set_of_pixels_says_so():
    from mmtrain.columns import Images
    from mmtrain.export.contract import _as_it_is, _raw

    column = Images(columns=("a", "b"), size=(2, 2), channels=1, slice="middle", most=2).fit([])
    assert _as_it_is(SimpleNamespace(columns={"x": column}), "x").startswith("Images sorted by the paths of their files, and NaN behind")
    assert np.isnan(_raw(column)[0, :, 0, 0, 0]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["age", "Age", "größe (cm)", "a b", "a_b"], ["age", "Age_2", "gr_e_cm", "a_b", "a_b_2"]),
        (["self", "1st", "年"], ["column_self", "column_1st", "unnamed"]),
    ],
)
def test_inputs_have_plain_names(keys, names):
    from mmtrain.data.encode import Fitted
    from mmtrain.export.saved_model import input_names

    Fitted.model_rebuild(force=True)
    assert list(input_names(Fitted.model_construct(columns=dict.fromkeys(keys), targets={})).values()) == names


@pytest.mark.slow
def test_images_that_the_graph_cannot_decode_are_refused(served):
    from mmtrain.export.check import check_images

    material, _, folder = served
    good, bad = (folder / "0.png").read_bytes(), b"BM" + bytes(60)
    files = np.array([[good], [bad], [b""]], dtype=object)
    check_images(material.fitted, {"scan": files}, {"scan": np.array([[1.0], [0.0], [0.0]])})
    with pytest.raises(RunError) as caught:
        check_images(material.fitted, {"scan": files}, {"scan": np.array([[1.0], [1.0], [0.0]])})
    assert str(caught.value) == (
        "scan: 1 of 2 images cannot be decoded by TensorFlow (unreadable). "
        "Convert them to JPEG or PNG and train again, or export to ONNX, which takes decoded images."
    )
