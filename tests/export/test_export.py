"""Exports: what each format takes and gives, that it predicts as `predict` does, and what is refused."""

import base64
import csv
import json
import re
import runpy
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from medical_files import nifti
from tiny import paint, ready, two_blobs, write_experiment, write_table

import mmtrain
from mmtrain import config
from mmtrain.artifacts.atomic_files import file_hash
from mmtrain.artifacts.export_results import ExportSource, ScoreChange, Signature
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.runs import create
from mmtrain.branches import architectures
from mmtrain.cli.app import run as run_command
from mmtrain.commands.deployment.export import CALIBRATION_ROWS, ExportOptions, export, record
from mmtrain.commands.fit import fit
from mmtrain.data import encode
from mmtrain.errors import ConfigError, RunError
from mmtrain.export import check, contract, export_formats
from mmtrain.export.base import ExportableModel, check_options, plain_names
from mmtrain.export.output_scaling import without_units
from mmtrain.export.subprocess_runner import run_with_npz
from mmtrain.fusions import fusions
from mmtrain.pipeline.build import assemble_network
from mmtrain.specs import kinds

ROWS = 60
SCRATCH = {name for name, entry in architectures.items() if entry.pretrained is None}
"""Architectures that begin without pretrained weights."""
CLINIC = """
name: clinic
data: {missing_values: [NA]}
columns:
  scan: {role: image, size: [8, 8], channels: 1, missing: mask, suffix: .png, augment: {flip: both, rotate: 40, brightness: 0.5}}
  file: {role: numeric, column: number}
  Größe (mm): {role: numeric, missing: mask}
  city: {role: categorical, encode: one_hot}
  note: {role: text, ngrams: 1}
  healthy: {role: target, task: binary}
  weight: {role: target, task: regression}
branches:
  scan: {columns: [scan], filters: [4]}
  rest: {columns: [file, Größe (mm), city, note], units: [8], linear: 0}
fusion: {units: [8], dropout: 0.5}
split: {method: random, validation: 0.3, test: 0.2, seed: 3}
training: {epochs: 6, batch_size: 8, learning_rate: 0.02}
"""


def clinic_table(folder):
    """Row i has the number i; odd rows are healthy, bright and in Rome, and speak of red red things."""
    rows = []
    for row in range(ROWS):
        odd = row % 2
        paint(folder / f"{row}.png", np.arange(64, dtype=np.uint8).reshape(8, 8) + 180 * odd)
        size = "" if row % 9 == 4 else row % 5
        cells = {"scan": f"{row}.png" if row % 7 else "", "number": row, "Größe (mm)": size, "city": ("Oslo", "Rome")[odd]}
        rows.append(cells | {"note": ("blue thing", "red red thing")[odd], "healthy": ("no", "yes")[odd], "weight": 50 + row})
    return write_table(folder / "table.csv", rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clinic")
    clinic_table(folder)
    return fit(write_experiment(folder / "clinic.yaml", CLINIC), output=folder / "runs").run


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """An export as (format, quantize), written when first asked for."""
    known = {}

    def written(name, quantize=""):
        if (name, quantize) not in known:
            folder = tmp_path_factory.mktemp("exports") / name
            known[name, quantize] = export(str(run.folder), ExportOptions(name, quantize, folder=folder))
        return known[name, quantize]

    return written


def part(run, name):
    with (run / "split.csv").open(encoding="utf-8") as file:
        return [int(line["row"]) for line in csv.DictReader(file) if line["part"] == name]


# What an export predicts


FAST = [pytest.param(name, marks=pytest.mark.slow) if name in ("keras", "saved_model", "hub") else name for name in export_formats]
"""Without those that start TensorFlow anew and trace every decoder of images."""


@pytest.mark.parametrize("name", FAST)
def test_export_predicts_as_predict_does(name, run, exported):
    signature = exported(name).signature.to_json()
    figures = signature["check"]
    decoding = export_formats[name].inputs == "raw"  # images, which may be off by a level
    assert figures["largest_difference"] <= figures["tolerance"] == (1e-3 if decoding else 1e-5)
    assert (figures["part"], figures["rows"], figures["scores"]) == ("validation", len(part(run, "validation")), [])
    assert figures["rows"] == 18


@pytest.mark.parametrize("name", ["onnx", "litert"])
@pytest.mark.slow
def test_export_answers_alike_in_every_call_and_for_any_number_of_rows(name, run, exported):
    """The run was trained with augmentation and dropout; neither is in an export."""
    folder = exported(name).folder
    with np.load(folder / "example.npz") as arrays:
        one = dict(arrays)
    many = {key: np.repeat(values, 300, axis=0) for key, values in one.items()}
    chosen = export_formats[name]
    first, second, batch = (chosen.run(folder / chosen.file, given, []) for given in (one, one, many))
    assert set(first) == {"healthy", "weight"}
    for key, values in first.items():
        assert np.array_equal(values, second[key])
        assert values.shape == (1, 1)
        assert batch[key].shape == (300, 1)
        np.testing.assert_allclose(batch[key], np.repeat(values, 300, axis=0), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saved_model", "keras"])
def test_export_of_raw_rows_answers_alike_in_every_call(name, exported):
    folder, chosen = exported(name).folder, export_formats[name]
    given = json.loads((folder / "example.json").read_text(encoding="utf-8"))["inputs"]
    inputs = {key: np.array([_bytes(value) for value in values], dtype=object) for key, values in given.items()}
    first, second = (chosen.run(folder / chosen.file, inputs, []) for _ in range(2))
    assert len(first) == len(exported(name).signature.to_json()["outputs"])
    assert all(np.array_equal(first[key], second[key]) for key in first)


def _bytes(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_example_gives_the_answers_that_the_signature_tells(name, exported):
    done = exported(name)
    with np.load(done.folder / "example.npz") as arrays:
        found = export_formats[name].run(done.folder / export_formats[name].file, dict(arrays), [])
    for entry in done.signature.to_json()["outputs"]:
        np.testing.assert_allclose(found[entry["name"]][0], entry["example"], rtol=1e-5)


# What lies in an export


@pytest.mark.slow
def test_saved_model_tells_decisions_probabilities_and_status(exported):
    signature = exported("saved_model").signature.to_json()
    assert [(entry["name"], entry["dtype"], entry["shape"], entry["labels"]) for entry in signature["outputs"]] == [
        ("healthy_prediction", "string", ["rows"], []),
        ("healthy_probabilities", "float32", ["rows", 2], ["no", "yes"]),
        ("weight_prediction", "float32", ["rows"], []),
        ("status", "string", ["rows"], []),
    ]
    assert signature["outputs"][0]["example"] in ("no", "yes")
    assert signature["outputs"][3]["example"] == "ok"
    assert signature["status"][:2] == ["ok", "no image"]
    assert [(entry["name"], entry["dtype"], entry["shape"]) for entry in signature["inputs"]] == [
        ("scan", "string", ["rows"]),
        ("column_file", "float64", ["rows"]),
        ("Gr_e_mm", "float64", ["rows"]),
        ("city", "string", ["rows"]),
        ("note", "string", ["rows"]),
    ]


ENCODED_FILES = {
    *("signature.json", "CONTRACT.md", "run.py", "example.npz", "columns.json"),
    *("encode.py", "encoding", "characters.json", "image_decoding"),
}
RAW_FILES = {"model", "signature.json", "CONTRACT.md", "run.py", "example.json"}


def test_saved_model_without_images_tells_decisions_probabilities_and_status(tmp_path, monkeypatch):
    """Its program runs in this process, and it has no decoder of images to trace."""

    def serve(path, inputs, code):
        import tensorflow as tf

        kinds = {entry["name"]: entry["dtype"] for entry in json.loads((path.parent / "signature.json").read_text())["inputs"]}
        given = {name: tf.constant(values.ravel().tolist(), dtype=kinds[name]) for name, values in inputs.items()}
        found = tf.saved_model.load(str(path)).signatures["serving_default"](**given)
        return {name: values.numpy().astype(str if values.dtype == tf.string else None) for name, values in found.items()}

    monkeypatch.setitem(export_formats._entries, "saved_model", replace(export_formats["saved_model"], run=serve))
    two_blobs(tmp_path, 20, city=lambda row: f"c{row % 2}", price=lambda row: row)
    columns = "x: {role: numeric}, city: {role: categorical}, y: {role: target, task: binary}, price: {role: target, task: regression}"
    tree = f"{{columns: {{{columns}}}, training: {{epochs: 1, optimizer: sgd}}}}"
    run = fit(write_experiment(tmp_path / "served.yaml", tree), output=tmp_path / "runs").run
    done = export(str(run.folder), ExportOptions("saved_model", folder=tmp_path / "out"))
    assert {path.name for path in done.folder.iterdir()} == RAW_FILES
    assert [(entry["name"], entry["dtype"], entry["shape"], entry["labels"]) for entry in done.signature.to_json()["outputs"]] == [
        ("y_prediction", "string", ["rows"], []),
        ("y_probabilities", "float32", ["rows", 2], ["high", "low"]),
        ("price_prediction", "float32", ["rows"], []),
        ("status", "string", ["rows"], []),
    ]
    assert done.signature.to_json()["outputs"][0]["example"] in ("high", "low")
    assert done.signature.to_json()["outputs"][3]["example"] == "ok"
    assert [(entry["name"], entry["dtype"], entry["shape"]) for entry in done.signature.to_json()["inputs"]] == [
        ("x", "float64", ["rows"]),
        ("city", "string", ["rows"]),
    ]
    assert done.signature.to_json()["check"]["largest_difference"] <= done.signature.to_json()["check"]["tolerance"]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        pytest.param("saved_model", RAW_FILES, marks=pytest.mark.slow),
        pytest.param("keras", {"model.keras", "signature.json", "CONTRACT.md", "run.py", "example.json"}, marks=pytest.mark.slow),
        ("onnx", {"model.onnx", *ENCODED_FILES}),
        ("litert", {"model.tflite", *ENCODED_FILES}),
    ],
)
def test_export_holds_its_model_its_contract_and_what_runs_it(name, files, run, exported):
    done = exported(name)
    assert {path.name for path in done.folder.iterdir()} == files
    assert {path.name for path in done.folder.parent.iterdir()} == {name}  # no temporary folder is left beside it
    assert json.loads((done.folder / "signature.json").read_text()) == done.signature.to_json()
    assert done.signature.to_json()["run"] == {"name": "clinic/1", "model_sha256": file_hash(run / "model.keras")}
    entry = next(entry for entry in run.read_json("run.json")["exports"] if entry["folder"] == str(done.folder))
    assert entry == {
        "folder": str(done.folder),
        **{key: done.signature.to_json()[key] for key in ("format", "quantize", "written", "bytes", "check")},
    }


def test_signature_tells_inputs_with_plain_names_and_how_they_come_about(exported):
    assert exported("onnx").signature.suffixes == {"scan": ".png"}
    inputs = {entry["name"]: entry for entry in exported("onnx").signature.to_json()["inputs"]}
    assert list(inputs) == [
        "scan",
        "scan_present",
        "column_file",
        "file_present",
        "Gr_e_mm",
        "Gr_e_mm_present",
        "city",
        "city_present",
        "note",
        "note_present",
    ]
    assert inputs["scan"]["example"] == {"first": [127] * 8, "all_others": 127}
    assert inputs["Gr_e_mm_present"] == {
        "name": "Gr_e_mm_present",
        "tensor": "Größe (mm)_present",
        "column": "Größe (mm)",
        "dtype": "float32",
        "shape": ["rows", 1],
        "meaning": "1 if the row has a value of 'Größe (mm)', else 0.",
        "computed": "1 if there is a number, else 0.",
        "cell": None,
        "example": [1.0],
    }
    assert inputs["city"] == {
        "name": "city",
        "tensor": "city",
        "column": "city",
        "dtype": "int32",
        "shape": ["rows", 1],
        "meaning": "One of several names; blanks at its ends do not count.",
        "computed": "0 if missing, 1 if unseen in training, else 2 + the position in `categories` of columns.json, from 0.",
        "cell": "Oslo",
        "example": [2],
    }
    assert inputs["note"]["shape"] == ["rows", 3]
    assert (inputs["note"]["cell"], inputs["note"]["example"]) == ("thing blue", [4, 3, 0])


def test_signature_tells_outputs_with_labels_in_order(exported):
    healthy, weight = exported("litert").signature.to_json()["outputs"]
    assert healthy | {"example": 0} == {
        "name": "healthy",
        "target": "healthy",
        "task": "binary",
        "dtype": "float32",
        "shape": ["rows", 1],
        "meaning": "The probability of 'yes'.",
        "labels": ["no", "yes"],
        "threshold": 0.5,
        "example": 0,
    }
    assert (weight["meaning"], weight["labels"]) == ("The number, in the unit of the table.", [])
    assert 50 < weight["example"][0] < 110


def test_contract_is_the_signature_for_people(exported):
    text = (exported("onnx").folder / "CONTRACT.md").read_text(encoding="utf-8")
    assert text.startswith("# clinic/1 as onnx\n\nTakes encoded inputs, any number of rows at once.")
    assert (
        "- `city` int32 (rows, 1). One of several names; blanks at its ends do not count.\n"
        "  0 if missing, 1 if unseen in training, else 2 + the position in `categories` of columns.json, from 0.\n"
        '  Example for the cell "Oslo": `[2]`\n'
    ) in text
    assert '- `healthy` float32 (rows, 1). The probability of \'yes\'. Labels in order: ["no", "yes"]. Predicted from 0.5 on.\n' in text
    assert (
        "  8 x 8 pixels (grey by ITU-R BT.601), 0 dark to 255 bright: turned upright by EXIF, transparent pixels laid on the background "
        "[255, 255, 255], and stretched to this size, bilinear with antialias (`Image.Resampling.BILINEAR` of Pillow). "
        "A JPEG that is at least 2, 4 or 8 times as large, both ways, is decoded at 1/2, 1/4 or 1/8 first (`Image.draft`). "
        "All 0 without an image.\n"
    ) in text
    assert "A cell of the table is missing if it is empty, only blanks, or 'NA'. All others are taken literally.\n" in text
    assert "\nNames of images of 'scan' are completed by `.png` unless they end with it.\n" in text
    assert "on 18 validation rows" in text


# Quantization


@pytest.mark.parametrize(
    ("name", "quantize", "tolerance"),
    [
        pytest.param("onnx", "float16", 0.01, marks=pytest.mark.slow),
        pytest.param("litert", "int8", None, marks=pytest.mark.slow),
        pytest.param("onnx", "int8", None, marks=pytest.mark.slow),
        pytest.param("litert", "float16", 0.01, marks=pytest.mark.slow),
    ],
)
def test_quantization_tells_its_size_and_what_it_costs(name, quantize, tolerance, exported):
    signature = exported(name, quantize).signature.to_json()
    assert signature["check"]["tolerance"] == tolerance
    assert [(score["target"], score["score"]) for score in signature["check"]["scores"]] == [("healthy", "auc"), ("weight", "rmse")]
    assert signature["check"]["scores"][0]["before"] > 0.9
    assert 0 < signature["check"]["largest_difference"] < 0.1
    assert signature["bytes"] != signature["float32_bytes"] > 0


def test_no_export_of_several_at_once_is_forgotten(tmp_path):
    """Each thread opens the run by itself, as a process would."""
    folder = create("clinic", tmp_path).folder
    told = {"format": "onnx", "quantize": "", "takes": "encoded", "file": "model.onnx", "usage": "", "bytes": 1, "written": ""}
    source = ExportSource(name="clinic/1", model_sha256="0")
    signature = Signature(**told, run=source, versions={}, missing=[], headers={}, inputs=[], outputs=[])
    together = threading.Barrier(8)

    def note(number):
        together.wait()
        for _ in range(5):
            record(Run(folder), folder / str(number), signature)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Run(folder).read_json("run.json")["exports"]) == 40


def test_int8_is_calibrated_with_training_rows_only(run, tmp_path, monkeypatch):
    """The conversion ends there: another test waits for the rest of it."""
    seen = []

    class SeenError(Exception):
        pass

    def write(exportable, path, quantize):
        seen.extend(exportable.calibration)
        raise SeenError

    monkeypatch.setitem(export_formats._entries, "onnx", replace(export_formats["onnx"], file="model.tflite", write=write, name="litert"))
    with pytest.raises(SeenError):
        export(str(run.folder), ExportOptions("onnx", "int8", folder=tmp_path / "out", force=True))
    fitted = encode.read_fitted(run.read_json("columns.json")).columns["file"]
    numbers = [round(float(row["file"][0, 0]) * fitted.scale + fitted.center) for row in seen]
    assert numbers == part(run, "train")
    assert 0 < len(numbers) <= CALIBRATION_ROWS


# The check


def backwards(exportable, path, quantize):
    """Writes another network than the one it was given: what is healthy is not."""
    head = exportable.predictor.get_layer("target_healthy")
    head.set_weights([-weight for weight in head.get_weights()])
    return WRITE(exportable, path, quantize)


WRITE = export_formats["onnx"].write


def copied(converted):
    """Writes the files of an export once more, in no time."""
    facts = converted.signature.to_json()

    def write(exportable, path, quantize):
        shutil.copy(converted.folder / path.name, path)
        return {name: facts[name] for name in ("opset", "bytes", "float32_bytes")}

    return write


@pytest.mark.slow
def test_export_that_predicts_otherwise_is_removed(run, exported, tmp_path, monkeypatch):
    onnx = export_formats["onnx"]

    def wrong(path, inputs, code):
        found = onnx.run(path, inputs, code)
        return found | {"healthy": 1 - found["healthy"]}

    monkeypatch.setitem(export_formats._entries, "onnx", replace(onnx, write=copied(exported("onnx")), run=wrong))
    with pytest.raises(RunError) as caught:
        export(str(run.folder), ExportOptions("onnx", folder=tmp_path / "out"))
    start, _, end = str(caught.value).partition("by up to ")
    assert start == "--format onnx: the predictions of the export differ from those of `predict` on validation rows "
    assert end.partition(";")[2] == " at most 1e-05 is allowed. It was removed. Choose another format or quantization."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_quantization_that_costs_too_much_is_removed_unless_forced(run, tmp_path, monkeypatch):
    monkeypatch.setitem(export_formats._entries, "onnx", replace(export_formats["onnx"], write=backwards, tolerances={"float16": None}))
    with pytest.raises(RunError) as caught:
        export(str(run.folder), ExportOptions("onnx", "float16", folder=tmp_path / "out"))
    problem = caught.value.problems[0]
    assert problem.where == "--quantize float16"
    before, after = re.fullmatch(r"on validation rows the auc of healthy changes from (\S+) to (\S+)\.", problem.what).groups()
    assert float(before) > 0.9
    assert float(after) == pytest.approx(1 - float(before))
    assert problem.fix == "A drop of 0.01 is allowed (1% of an error). Keep the export with --force, or choose another."
    assert list(tmp_path.iterdir()) == []
    done = export(str(run.folder), ExportOptions("onnx", "float16", folder=tmp_path / "out", force=True))
    assert done.signature.check.scores[0].after < 0.5


@pytest.mark.parametrize(
    ("score", "before", "after", "too_much"),
    [
        ("auc", 0.9, 0.891, False),
        ("auc", 0.9, 0.889, True),
        ("auc", 0.9, 0.95, False),
        ("rmse", 200.0, 201.9, False),
        ("rmse", 200.0, 202.1, True),
        ("rmse", 200.0, 100.0, False),
    ],
)
def test_fall_of_a_score_is_allowed_up_to_a_hundredth(score, before, after, too_much):
    assert ScoreChange(target="y", score=score, before=before, after=after).too_much is too_much


@pytest.mark.parametrize(
    ("probability", "number", "largest"),
    [
        (0.5, 100.0, 0.0),
        (0.25, 100.0, 0.25),
        (0.5, 110.0, 0.1),  # of 100, which is larger than the deviation of 10
        (np.nan, 100.0, np.inf),
    ],
)
def test_difference_is_in_probabilities_and_in_deviations(run, probability, number, largest):
    fitted = encode.read_fitted(run.read_json("columns.json"))
    weight = fitted.targets["weight"].model_copy(update={"scale": 10.0})
    fitted = fitted.model_copy(update={"targets": fitted.targets | {"weight": weight}})
    expected = {"healthy": np.array([[0.5]]), "weight": np.array([[100.0]])}
    found = {"healthy": np.array([[probability]]), "weight": np.array([[number]])}
    assert check.largest_difference(fitted, expected, found) == pytest.approx(largest)


@pytest.mark.parametrize("name", list(export_formats))
def test_program_without_its_arguments_says_how_it_is_called(name, monkeypatch, tensorflow):
    monkeypatch.setattr(sys, "argv", ["run.py"])
    with pytest.raises(SystemExit, match=r"`python run\.py .*(INPUTS\.npz|inputs\.json)"):
        runpy.run_path(str(export_formats[name].runner), run_name="__main__")


def test_program_that_fails_is_told_with_its_last_words(exported, tmp_path):
    shutil.copytree(exported("onnx").folder, tmp_path / "broken")
    (tmp_path / "broken" / "run.py").write_text("raise SystemExit('the model is damaged')")
    with pytest.raises(RunError) as caught:
        run_with_npz(tmp_path / "broken" / "model.onnx", {}, [])
    assert str(caught.value) == "--format onnx: the export was written, but does not run: the model is damaged Choose another format."


# Refusals


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ("keras", "int8", None),
            "--quantize: the format keras cannot be quantized to int8. Formats that can be quantized are onnx and litert.",
        ),
        (
            ("onnx", "", "raw"),
            "--inputs: the format onnx takes encoded inputs only. "
            "Leave --inputs out, and encode the columns as CONTRACT.md next to the export says: ONNX cannot split texts as training did.",
        ),
        (
            ("litert", "", "raw"),
            "--inputs: the format litert takes encoded inputs only. "
            "Leave --inputs out, and encode the columns as CONTRACT.md next to the export says: "
            "LiteRT cannot look up words and categories.",
        ),
        (("keras", "", "encoded"), "--inputs: the format keras takes raw inputs only. For encoded inputs use onnx or litert."),
    ],
)
def test_options_that_a_format_does_not_have_are_refused(options, text):
    name, quantize, inputs = options
    with pytest.raises(ConfigError) as caught:
        check_options(export_formats[name], quantize, inputs)
    assert str(caught.value) == text


def test_missing_package_is_told_with_the_command_that_brings_it():
    chosen = replace(export_formats["onnx"], packages=("onnx", "no_such_package"))
    with pytest.raises(ConfigError) as caught:
        check_options(chosen, "", None)
    text = "--format onnx: this format needs no_such_package, which is not installed. Run `pip install 'mmtrain[onnx]'`."
    assert str(caught.value) == text


def test_export_is_never_written_over_something(run, tmp_path):
    with pytest.raises(ConfigError) as caught:
        export(str(run.folder), ExportOptions("onnx", folder=tmp_path))
    assert str(caught.value) == f"{tmp_path}: there is something here already. Remove it, or give another folder with -o."


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["age", "age_present"], ["age", "age_present"]),
        (["file", "allow_pickle", "1st", "größe", "***"], ["column_file", "column_allow_pickle", "column_1st", "gr_e", "unnamed"]),
        (["a b", "a-b", "a_b"], ["a_b", "a_b_2", "a_b_3"]),
        (["a_b", "a b", "a_b_2"], ["a_b", "a_b_2", "a_b_2_2"]),
        (["class", "None", "lambda", "none", "yield"], ["column_class", "column_None", "column_lambda", "none", "column_yield"]),
        (["class", "column_class"], ["column_class", "column_class_2"]),
        (["Age", "age", "AGE"], ["Age", "age_2", "AGE_3"]),
        (["self", "inputs", "training", "args"], ["column_self", "inputs", "training", "args"]),
        (["年", "部位", " ", "_"], ["unnamed", "unnamed_2", "unnamed_3", "unnamed_4"]),
        (["o'clock", 'pH<7.3 & "x"', "AST/ALT", "tab\tx"], ["o_clock", "pH_7_3_x", "AST_ALT", "tab_x"]),
    ],
)
def test_plain_names_are_identifiers_none_twice(keys, names):
    assert list(plain_names(keys).items()) == list(zip(keys, names, strict=True))


ODD = (
    "class",
    "def",
    "123",
    "Age",
    "age",
    "a b",
    "a_b",
    "self",
    "file",
    "inputs",
    "training",
    "None",
    "部位",
    "o'clock",
    'a "q"',
    "x" * 300,
)
"""Headers that are no names of Python, or that formats and their runtimes have plans of their own for."""


@pytest.fixture(scope="module")
def odd_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    rows = [
        {header: row % 2 + place / 10 for place, header in enumerate(ODD)}
        | {"AST/ALT": "arm" if row % 2 else "leg", "lambda": "ab" if row % 3 else "", "yield": "yes" if row % 2 else "no"}
        for row in range(30)
    ]
    write_table(folder / "table.csv", rows)
    columns = {header: {"role": "numeric"} for header in ODD} | {"AST_ALT": {"role": "categorical", "column": "AST/ALT"}}
    columns |= {"lambda": {"role": "text"}, "yield": {"role": "target", "task": "binary"}}
    tree = {"columns": columns, "training": {"epochs": 1, "batch_size": 8}}
    return fit(write_experiment(folder / "odd.yaml", tree), output=folder / "runs").run


@pytest.mark.slow
@pytest.mark.parametrize("name", list(export_formats))
def test_columns_of_any_header_are_exported_and_the_contract_names_the_mapping(name, odd_run, tmp_path):
    done = export(str(odd_run.folder), ExportOptions(name, folder=tmp_path / name))
    headers = done.signature.headers
    assert list(headers) == [*ODD, "AST/ALT", "lambda"]
    assert headers["class"] == (["column_class"] if export_formats[name].inputs == "raw" else ["column_class", "class_present"])
    assert headers["AST/ALT"][0] == "AST_ALT"
    assert '  From the column "AST/ALT" of the table.\n' in (done.folder / "CONTRACT.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), [("saved_model", "model"), ("keras", "model.keras")])
def test_program_of_an_export_takes_a_table_with_its_own_headers(name, model, odd_run, tmp_path):
    done = export(str(odd_run.folder), ExportOptions(name, folder=tmp_path / name))
    table = odd_run.folder.parents[2] / "table.csv"
    command = [sys.executable, str(done.folder / "run.py"), str(done.folder / model), str(table)]
    outputs = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["outputs"]
    expected = mmtrain.load(odd_run.folder).predict(pd.read_csv(table, dtype=str), proba=True)["probability_yes"]
    found = {"saved_model": "probabilities", "keras": "column_yield"}[name]
    assert np.allclose(np.array(outputs[found])[:, -1], expected, atol=1e-5)


def test_program_of_an_export_reads_a_table_by_the_headers_of_the_signature(tmp_path):
    from mmtrain.export.runners.saved_model import read_table

    table = tmp_path / "rows.csv"
    long = f"data:image/png;base64,{'QUFB' * 50_000}"
    table.write_text(f'class,note,pic\n1.5, a b ,1.png\nNA,NA,\n2,c, 1\n3,d,"{long}"\n', encoding="utf-8")
    (tmp_path / "1.png").write_bytes(b"bytes")
    inputs = [
        {"name": "column_class", "dtype": "float64", "cell": "1"},
        {"name": "note", "dtype": "string", "cell": "a"},
        {"name": "pic", "column": "photo", "dtype": "string", "cell": None},
    ]
    headers = {"class": ["column_class"], "note": ["note"], "pic": ["pic"]}
    signature = {"missing": ["NA"], "headers": headers, "suffixes": {"photo": ".png"}, "inputs": inputs}
    found = read_table(signature, table, tmp_path)
    assert found["column_class"][0] == 1.5
    assert np.isnan(found["column_class"][1])
    assert found["note"] == [" a b ", "", "c", "d"]
    assert found["pic"] == [{"b64": "Ynl0ZXM="}, {"b64": ""}, {"b64": "Ynl0ZXM="}, {"b64": "QUFB" * 50_000}]
    table.write_text("note,pic\na,\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"rows\.csv: there is no column 'class'\."):
        read_table(signature, table, tmp_path)


# Every branch and fusion


EVERYTHING = """
columns:
  scan: {role: image, size: [8, 8], channels: 1}
  deep: {role: image, size: [6, 6], channels: 1, bits: 16, column: scan}
  number: {role: numeric, normalize: minmax, embed: piecewise_linear}
  size: {role: numeric, missing: mask, column: "Größe (mm)"}
  binned: &binned {role: numeric, embed: piecewise_linear, column: number}
  binned_2: *binned
  binned_3: *binned
  ranked: {role: numeric, embed: quantile, column: number}
  waves: &waves {role: numeric, embed: periodic, column: number}
  waves_2: *waves
  sized: &sized {role: numeric, missing: mask, column: "Größe (mm)", embed: piecewise_linear}
  sized_2: *sized
  place: &place {role: categorical, column: city, missing: mask}
  place_2: *place
  place_3: *place
  place_4: *place
  city: {role: categorical, encode: one_hot}
  town: {role: categorical, column: city, missing: mask}
  note: {role: text}
  again: &again {role: text, column: note}
  again_2: *again
  words: &words {role: text, vectorize: tokens, column: note}
  words_2: *words
  words_3: *words
  scan_2: &scan_2 {role: image, size: [8, 8], channels: 1, column: scan}
  scan_3: *scan_2
  views: {role: images, size: [6, 6], channels: 1, most: 2}
  volume: {role: volume, size: [4, 6, 6], missing: mask}
  pulse: {role: sequence, most: 4}
  pulse_2: &pulse_2 {role: sequence, most: 4, column: pulse}
  pulse_3: *pulse_2
  healthy: {role: target, task: multiclass}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [4, 8], pooling: both, dropout: 0.1}
  deep: {columns: [deep], architecture: cnn, filters: [4], pooling: max, normalization: none, activation: gelu}
  rest: {columns: [number, size, city, town, note], architecture: mlp, units: [8, 4], activation: silu, dropout: 0.1, linear: 2}
  blocks: {columns: [binned, ranked], architecture: resnet, width: 6, normalization: batch}
  crossed: {columns: [waves, sized, place], architecture: dcn, units: [4], rank: 2}
  robust: {columns: [waves_2, place_2], architecture: realmlp, units: [6]}
  attending: {columns: [binned_2, sized_2, place_3], architecture: ft_transformer, width: 8, heads: 2}
  members: {columns: [binned_3, place_4, again_2], architecture: tabm, members: 3, units: [6]}
  residual: {columns: [scan_2], architecture: resnet, filters: [4, 6]}
  patches: {columns: [scan_3], architecture: vit, patch: 4, width: 8, blocks: 1, heads: 2}
  windows: {columns: [words_2], architecture: cnn, width: 4, windows: [2], filters: 4}
  reading: {columns: [words_3], architecture: transformer, width: 8, blocks: 1, heads: 2}
  bag: {columns: [again], architecture: linear, units: 4}
  words: {columns: [words], architecture: embedding_average, width: 4, units: [4], activation: selu}
  views: {columns: [views], architecture: cnn, filters: [4]}
  volume: {columns: [volume], architecture: cnn3d, filters: [4]}
  steps: {columns: [pulse], architecture: tcn, width: 4, blocks: 2}
  states: {columns: [pulse_2], architecture: gru, units: 3}
  beats: {columns: [pulse_3], architecture: transformer, width: 8, blocks: 1, heads: 2}
fusion: {units: [8], activation: elu, dropout: 0.1}
"""
FUSED = ("scan", "rest", "attending", "members", "reading")
"""Branches whose features a fusion treats differently: of images, of absent columns, with tokens, of members."""


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A table for `EVERYTHING`, with holes where they are allowed."""
    folder = tmp_path_factory.mktemp("everything")
    rows = []
    for row in range(40):
        paint(folder / f"{row}.png", row)
        note = " ".join(f"w{number}" for number in range(row % 6) for _ in range(number))
        (folder / f"{row}.nii").write_bytes(nifti(np.full((6, 6, 4), row, np.int16)))
        cells = {"scan": f"{row}.png", "number": row, "Größe (mm)": row % 5 or "", "city": ("Oslo", "Rome", "")[row % 3]}
        cells |= {"views": f"{row}.png; {row // 2}.png", "volume": f"{row}.nii" if row % 4 else "", "pulse": str([row] * (row % 6))}
        rows.append(cells | {"note": note, "healthy": "abc"[row % 3]})
    write_table(folder / "table.csv", rows)
    return write_experiment(folder / "everything.yaml", EVERYTHING)


def test_every_architecture_is_in_the_sweep(everything):
    experiment = config.load(everything)
    # Recurrent networks of words have a test of their own here, pieces of words one in tests/pipeline/test_pretrained_text.py.
    assert {branch.architecture for branch in experiment.branches.values()} == SCRATCH - {"text_gru"}
    read = {column for branch in experiment.branches.values() for column in branch.columns}
    assert {experiment.columns[column].kind for column in read} == set(kinds) - {"pieces"}


def assert_converts(name, found, folder):
    """A network with fresh weights, converted and run by the program of the format, gives what it gives in Keras."""
    from mmtrain.model import model_file
    from mmtrain.model.network_inputs import by_column

    predictor = assemble_network(found.experiment, found.fitted).predictor
    labels = contract.labels("encoded", found.fitted)
    exportable = ExportableModel(
        folder, None, found.fitted, by_column(predictor, found.fitted), dict(zip(labels, labels, strict=True)), {"healthy": "healthy"}
    )
    export_formats[name].write(exportable, folder / export_formats[name].file, "")
    check.give_runner(export_formats[name], folder)
    rows = np.arange(len(found.arrays))
    expected = model_file.predict(predictor, found.arrays, rows)
    given = export_formats[name].run(folder / export_formats[name].file, found.arrays.columns(rows), [])
    assert expected["healthy"].std(axis=0).min() > 1e-4  # rows differ, so that an export that mixes them up would be seen
    assert check.largest_difference(found.fitted, expected, given) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_every_branch_converts(name, everything, tmp_path):
    assert_converts(name, ready(everything, ["fusion.method=attention"]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("method", list(fusions))
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_every_fusion_converts(name, method, everything, tmp_path):
    """On one branch of each form of features: to convert all branches with every fusion takes a quarter of an hour."""
    tree = yaml.safe_load(everything.read_text(encoding="utf-8"))
    tree["branches"] = {key: tree["branches"][key] for key in FUSED}
    used = {column for branch in tree["branches"].values() for column in branch["columns"]}
    tree["columns"] = {key: column for key, column in tree["columns"].items() if key in used or key == "healthy"}
    few = write_experiment(everything.parent / "few.yaml", tree)
    assert_converts(name, ready(few, [f"fusion.method={method}"]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_a_recurrent_network_converts_word_by_word_and_keeps_its_loop(name, tmp_path):
    import keras

    from mmtrain.model import model_file

    write_table(
        tmp_path / "table.csv", [{"note": " ".join(f"w{row % 7 + word}" for word in range(row % 5)), "y": row % 3} for row in range(40)]
    )
    tree = """
    columns: {note: {role: text, vectorize: tokens, max_length: 4, missing: mask}, y: {role: target, task: multiclass}}
    branches: {note: {columns: [note], architecture: gru, width: 3, units: 4}}
    """
    found = ready(write_experiment(tmp_path / "a.yaml", tree))
    predictor = assemble_network(found.experiment, found.fitted).predictor
    labels = contract.labels("encoded", found.fitted)
    exportable = ExportableModel(tmp_path, None, found.fitted, predictor, dict(zip(labels, labels, strict=True)), {"y": "y"})
    export_formats[name].write(exportable, tmp_path / export_formats[name].file, "")
    check.give_runner(export_formats[name], tmp_path)
    rows = np.arange(len(found.arrays))
    expected = model_file.predict(predictor, found.arrays, rows)
    given = export_formats[name].run(tmp_path / export_formats[name].file, found.arrays.columns(rows), [])
    assert check.largest_difference(found.fitted, expected, given) <= 1e-5
    layers = [layer for layer in predictor._flatten_layers() if isinstance(layer, keras.layers.GRU)]
    assert [(layer.unroll, layer.use_cudnn) for layer in layers] == [(False, "auto")] * len(layers)


def large_numbers(folder):
    """A network whose answers float16 cannot hold, fresh; what it is to be exported with, and encoded rows."""
    write_table(folder / "table.csv", [{"x": row % 7, "y": 1e5 * (row % 5) + 1e6} for row in range(40)])
    found = ready(write_experiment(folder / "large.yaml", "{columns: {x: {role: numeric}, y: {role: target, task: regression}}}"))
    predictor = assemble_network(found.experiment, found.fitted).predictor
    labels = contract.labels("encoded", found.fitted)
    return ExportableModel(folder, None, found.fitted, predictor, dict(zip(labels, labels, strict=True)), {"y": "price"}), found.arrays


def test_unit_of_a_number_is_kept_apart_from_what_is_quantized(tmp_path):
    material, arrays = large_numbers(tmp_path)
    half, units = without_units(material)
    target = material.fitted.targets["y"]
    assert units == {"price": (target.scale, target.center)}
    inputs = arrays.take(np.arange(40))
    standardised, answers = (made.predictor(inputs)["y"].numpy() for made in (half, material))
    assert np.abs(standardised).max() < 100
    np.testing.assert_allclose(standardised * target.scale + target.center, answers, rtol=1e-6)


def test_units_of_a_group_are_those_of_its_mean(tmp_path):
    """Members have learned different scales, count differently, and one does not count at all."""
    import keras

    from mmtrain.export.group_network import GroupNetwork
    from mmtrain.layers.numbers.prediction_scales import Affine

    def member(factor, scale, offset):
        given = keras.Input((1,), name="x")
        return keras.Model({"x": given}, {"y": Affine(scale=scale, offset=offset)(keras.layers.Rescaling(factor)(given)), "z": given})

    members = [member(2.0, 3e5, 1e6), member(-1.0, 1e5, 2e6), member(5.0, 7e5, 0.0)]
    labels, places = [{"x": "x"}] * 3, {"y": [[]] * 3, "z": [[]] * 3}
    group = GroupNetwork(members, labels, places, {"y": 1, "z": 1}, {"y": (0.25, 0.75, 0.0), "z": (0.2, 0.3, 0.5)})
    exportable = ExportableModel(None, None, None, group, {"x": "x"}, {"y": "price", "z": "same"})
    half, units = without_units(exportable)
    assert units == {"price": (0.25 * 3e5 + 0.75 * 1e5, 0.25 * 1e6 + 0.75 * 2e6)}
    given = {"x": np.array([[-1.0], [0.5], [2.0]], np.float32)}
    standardised, whole = half.predictor(given), group(given)
    assert np.abs(standardised["y"].numpy()).max() < 10
    scale, offset = units["price"]
    np.testing.assert_allclose(standardised["y"].numpy() * scale + offset, whole["y"].numpy(), rtol=1e-6)
    np.testing.assert_allclose(standardised["z"].numpy(), whole["z"].numpy(), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_large_numbers_are_exported_in_float16(name, tmp_path):
    material, arrays = large_numbers(tmp_path)
    chosen = export_formats[name]
    chosen.write(material, tmp_path / chosen.file, "float16")
    check.give_runner(chosen, tmp_path)
    inputs = arrays.take(np.arange(40))
    found = {"y": chosen.run(tmp_path / chosen.file, inputs, [])["price"]}
    assert check.largest_difference(material.fitted, {"y": material.predictor(inputs)["y"].numpy()}, found) < 1e-3


@pytest.mark.slow
def test_layer_that_a_format_lacks_is_told_in_words(run, tmp_path, monkeypatch, capfd):
    import keras
    import tensorflow as tf

    def write(exportable, path, quantize):
        inputs = {
            tensor.name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in exportable.predictor.inputs
        }
        answers = exportable.predictor(inputs)
        answers["healthy"] = keras.layers.Lambda(lambda given: tf.cast(tf.strings.length(tf.strings.as_string(given)), tf.float32))(
            answers["healthy"]
        )
        return WRITE(replace(exportable, predictor=keras.Model(inputs, answers)), path, quantize)

    monkeypatch.setitem(export_formats._entries, "onnx", replace(export_formats["onnx"], write=write))
    with pytest.raises(RunError) as caught:
        export(str(run.folder), ExportOptions("onnx", folder=tmp_path / "out"))
    problem = caught.value.problems[0]
    assert problem.where == "--format onnx"
    assert problem.what == "the network cannot be converted: No Op registered for StringLength with domain_version of 18"
    assert problem.fix == "Layers of your own may use operations that this format lacks; a keras export takes every layer."
    assert list(tmp_path.iterdir()) == []


RUNNER = """
import json, os, sys
print(json.dumps({"outputs": {"arguments": sys.argv[2:], "path": os.environ["PYTHONPATH"].split(os.pathsep)}}))
"""


def test_runner_is_given_the_files_with_layers_of_ones_own_and_finds_what_the_user_imports(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.py").write_text(RUNNER)
    found = export_formats["keras"].run(tmp_path / "model.keras", {}, [Path("mine.py")])
    assert {name: values.tolist() for name, values in found.items()} == {
        "arguments": ["--code", str(tmp_path / "mine.py")],
        "path": [str(Path(mmtrain.__file__).parents[1]), "/theirs"],
    }


def test_runner_of_an_export_that_needs_tensorflow_alone_is_not_told_where_mmtrain_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    (tmp_path / "run.py").write_text(RUNNER)
    found = export_formats["saved_model"].run(tmp_path / "saved_model", {}, [])
    assert found["path"].tolist() == ["/theirs"]


OWN_LAYER = """
import keras
from mmtrain.branches import Features, branch

@keras.saving.register_keras_serializable(package="export_test")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return x * 2

@branch("vector")
def doubled_of_the_export_test(inputs):
    return Features(keras.layers.Dense(2)(Doubled()(inputs["x"].tensor)))
"""


@pytest.mark.slow
def test_network_with_layers_of_ones_own_is_exported_as_keras(tmp_path):
    two_blobs(tmp_path)
    (tmp_path / "mine.py").write_text(OWN_LAYER)
    tree = "{columns: {x: {role: numeric}, y: {role: target, task: binary}}, training: {epochs: 1}}"
    experiment = write_experiment(tmp_path / "own.yaml", tree)
    chosen = ["--set", "branches.b={columns: [x], architecture: doubled_of_the_export_test}"]
    code = ["--code", str(tmp_path / "mine.py")]
    try:
        assert run_command(["fit", str(experiment), *chosen, "--output", str(tmp_path), *code]) == 0
        assert run_command(["export", str(tmp_path / "own" / "1"), "--format", "keras", *code]) == 0
    finally:
        architectures.remove("doubled_of_the_export_test")
    signature = json.loads((tmp_path / "own/1/exports/keras/signature.json").read_text(encoding="utf-8"))
    assert signature["usage"] == "python run.py model.keras --code mine.py < example.json > outputs.json"


# Mixed precision


@pytest.mark.slow
def test_network_of_mixed_precision_is_exported_in_float32(run, tmp_path, tensorflow):
    folder = run.folder.parents[2]
    mixed = fit(folder / "clinic.yaml", overrides=["training.precision=bfloat16", "name=mixed"], output=tmp_path).run
    for name in ("onnx", "litert", "keras"):
        figures = export(str(mixed.folder), ExportOptions(name)).signature.check
        assert figures.tolerance == 0.01
        assert figures.largest_difference <= 0.01


# The command


@pytest.mark.slow
def test_command_prints_the_folder_and_notes_what_was_checked(run, exported, capfd, monkeypatch):
    monkeypatch.setitem(export_formats._entries, "onnx", replace(export_formats["onnx"], write=copied(exported("onnx"))))
    monkeypatch.setenv("COLUMNS", "200")
    assert run_command(["export", str(run.folder), "--format", "onnx"]) == 0
    said = capfd.readouterr()
    assert said.out == f"{run / 'exports' / 'onnx'}\n"
    assert "Checked on 18 validation rows: largest difference" in said.err
    assert run.read_json("run.json")["exports"][-1]["folder"] == "exports/onnx"
    assert run_command(["export", str(run.folder), "--format", "onnx", "--json"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["problems"][0]["what"] == "there is something here already."
