"""Explanations: they add up, find planted signals, and name missing inputs."""

import csv
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from medical_files import nifti
from tiny import paint, ready, write_experiment, write_table

from mmtrain import config
from mmtrain.artifacts.command_results import ExplainedRow, probability_change
from mmtrain.branches import architectures
from mmtrain.cli.app import run as command_line
from mmtrain.cli.explain import _lines
from mmtrain.commands.explain import ExplainOptions, explain
from mmtrain.commands.fit import fit
from mmtrain.errors import UsageError
from mmtrain.explanation.attribution import ColumnAttribution, ElementAttribution, RowExplanation, RowInputs, SelectedRow, describe, shorten
from mmtrain.explanation.heatmaps import block_sums, image_tiles
from mmtrain.explanation.selection import ExplainedOutputs, OutputSelector, output_selector, select_rows, selector_error
from mmtrain.fusions import fusions
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.quantiles import FittedQuantiles
from mmtrain.targets.numbers.regression import FittedRegression

pytestmark = pytest.mark.usefixtures("models_opened_once")

BINARY = FittedBinary(column="y", loss_weight=1, classes=("low", "high"), counts=(3, 3), weights=(1, 1))
SEVERAL = FittedMulticlass(column="y", loss_weight=1, classes=("a", "b", "c"), counts=(1, 1, 1), weights=(1, 1, 1), label_smoothing=0)
LABELS = FittedMultilabel(
    column="y", loss_weight=1, labels=("a", "b"), one_column_each=False, separator=";", rows=4, counts=(2, 2), weights=(1, 1)
)
NUMBER = FittedRegression(column="y", loss_weight=1, center=0, scale=1, minimum=0, maximum=9, error="squared")
QUANTILES = FittedQuantiles(column="y", loss_weight=1, levels=(0.1, 0.5, 0.9), center=0, scale=1, quantiles=(1, 2, 3))

# ---------------------------------------------------------------- every network adds up

COLUMNS = {
    "size": {"role": "numeric", "embed": "piecewise_linear"},
    "dose": {"role": "numeric", "missing": "mask"},
    "group": {"role": "categorical"},
    "ward": {"role": "categorical", "encode": "one_hot"},
    "note": {"role": "text", "max_length": 5},
    "pulse": {"role": "sequence"},
    "story": {"role": "text", "vectorize": "tokens", "max_length": 5},
    "scan": {"role": "image", "size": [7, 6], "channels": 1, "missing": "mask"},
    "ct": {"role": "volume", "size": [3, 7, 6], "missing": "mask"},
    "photos": {"role": "images", "size": [7, 6], "channels": 1, "most": 2, "missing": "mask"},
}
OF_KIND = {
    "vector": ["size", "dose"],
    "index": ["group", "ward"],
    "bag": ["note"],
    "tokens": ["story"],
    "image": ["scan"],
    "volume": ["ct"],
    "sequence": ["pulse"],
    "set": ["photos"],
}
OWN = {"scan": "cnn", "size": "linear"}
SPLIT = {"method": "random", "validation": 0.25, "test": 0.25}
ROWS = 24
ROW = 10
"""Its cells are none of the medians."""
WORDS = ("one", "two", "three", "four", "five", "six")


def rows():
    """Row 0 has nothing at all, all others have everything."""
    return [
        {
            "size": 150 + row % 7 + row / 100 if row else "",
            "dose": row % 5 + row / 50 if row else "",
            "group": "ABC"[row % 3] if row else "",
            "ward": "XY"[row % 2] if row else "",
            "pulse": f"[{row % 7}, null, {row % 5 + 0.5}]" if row else "",
            "note": f"{WORDS[row % 6]} {WORDS[row % 5]} {WORDS[row % 6]}" if row else "",
            "story": f"{WORDS[row % 4]} and {WORDS[row % 3]}" if row else "",
            "scan": f"{row % 3}.png" if row else "",
            "ct": f"{row % 3}.nii" if row else "",
            "photos": f"{row % 3}.png;{(row + 1) % 3}.png" if row else "",
            "y": ("low", "high")[row % 2],
            "price": row * 1000,
        }
        for row in range(ROWS)
    ]


ANSWERS = {"y": {"role": "target", "task": "binary", "positive": "high"}, "price": {"role": "target", "task": "regression"}}


@pytest.fixture(scope="module")
def material(tmp_path_factory, tensorflow):
    """The table with all columns, encoded; the networks of these tests read some of them."""
    folder = tmp_path_factory.mktemp("sums")
    for number in range(3):
        random = np.random.default_rng(number)
        paint(folder / f"{number}.png", random.integers(0, 256, (7, 6)).astype(np.uint8))
        # Of even brightness: between noise and a plain volume a network that has learned nothing hardly differs, but has many kinks.
        voxels = random.integers(0, 20, (6, 7, 3)) + 100 * ((number + 1) % 3)
        (folder / f"{number}.nii").write_bytes(nifti(voxels.astype(np.uint8)))
    write_table(folder / "table.csv", rows())
    return ready(write_experiment(folder / "experiment.yaml", {"columns": COLUMNS | ANSWERS, "split": SPLIT}))


@dataclass
class Opened:
    """A network with fresh weights and its explainer."""

    explainer: Any
    models: Any
    material: Any
    target: str
    arrays: Any

    def encoded(self, row):
        """The inputs of the network."""
        return self.arrays.take(np.array([row]))

    def raw(self, inputs):
        return float(self.models.mean_raw(self.models.network(inputs))[self.target][0, 0])

    def explained(self, row):
        """One row of the table."""
        cells = RowInputs.of({key: str(cell) or None for key, cell in rows()[row].items()}, self.arrays.columns(np.array([row])))
        prediction = self.models.predictor(self.encoded(row))[self.target].numpy()
        return self.explainer.explain(SelectedRow(row, str(row), "test", ""), cells, "", prediction)


GRADIENTS = ExplainedOutputs("y", method="integrated_gradients")


def opened(material, columns, branches, fusion, asked=ExplainedOutputs("y")):  # noqa: B008
    import keras

    from mmtrain.data.drift import learn_statistics
    from mmtrain.explanation.explainer import Explainer
    from mmtrain.pipeline.build import assemble_network

    tree = {"columns": {key: COLUMNS[key] for key in columns} | ANSWERS, "branches": branches, "fusion": fusion, "split": SPLIT}
    experiment = config.load(write_experiment(material.data.table.path.parent / "some.yaml", tree))
    fitted = material.fitted.model_copy(update={"columns": {key: material.fitted.columns[key] for key in columns}})
    keras.utils.set_random_seed(1)
    models = assemble_network(experiment, fitted)
    found = learn_statistics(
        experiment.columns, fitted, material.data.table, material.arrays, material.partition.train, experiment.data.images_folder
    )
    explainer = Explainer(models.predictor, experiment.branches, fitted, found, asked)
    return Opened(explainer, models, material, asked.target, material.arrays.of(columns))


def check_adds_up(found, expected):
    """Check that output and baseline are those of the network, and that elements add up to their difference."""
    attributed = found.attributions
    assert attributed.output == pytest.approx(expected, abs=1e-5)
    assert attributed.gap <= 1
    assert abs(attributed.difference) > 1e-5
    elements = sum(element.attribution for share in found.columns for element in share.elements)
    assert elements == pytest.approx(attributed.total, abs=1e-6)


QUICK = ("cnn", "embedding_average")
"""Architectures that are explained every time; the others have the same hooks."""


def some(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(names)]


@pytest.mark.parametrize("name", some(name for name, entry in architectures.items() if entry.pretrained is None))
def test_attributions_of_every_architecture_add_up(material, name):
    architecture = architectures[name]
    columns = [key for kind in architecture.kinds for key in OF_KIND[kind]][: architecture.most_columns]
    subject = opened(material, columns, {"only": {"columns": columns, "architecture": name}}, {"method": "concatenate"})
    check_adds_up(subject.explained(ROW), subject.raw(subject.encoded(ROW)))


@pytest.mark.slow  # hooks are on the inputs of the network, whatever its fusion
@pytest.mark.parametrize("method", sorted(fusions))
def test_attributions_of_every_fusion_add_up(material, method):
    columns = ["scan", "size", "note"]
    branches = {key: {"columns": [key], "architecture": OWN.get(key, "mlp")} for key in columns}
    subject = opened(material, columns, branches, {"method": method})
    found = subject.explained(ROW)
    check_adds_up(found, subject.raw(subject.encoded(ROW)))
    assert [share.column for share in found.columns] == columns
    assert all(share.attribution for share in found.columns)


def test_a_volume_is_shown_by_its_middle_slice(material):
    found = opened(material, ["ct"], {"only": {"columns": ["ct"], "architecture": "cnn3d"}}, {"method": "concatenate"}).explained(ROW)
    (column,) = found.columns
    assert [element.name for element in column.elements] == ["lower slices", "middle slices", "upper slices"]
    assert (column.pixels.shape, found.images["ct"].shape, found.cams["ct"].ndim, found.volumes) == ((7, 6), (7, 6, 1), 2, {"ct"})
    assert column.pixels.sum() == pytest.approx(column.elements[1].attribution, abs=1e-6)
    assert image_tiles(found, column)[0].name == "Middle slice as the network reads it"


def test_every_kind_of_tensor_is_in_these_tests():
    kinds = {kind for name in architectures for kind in architectures[name].kinds}
    assert kinds == {*OF_KIND, "pieces"}  # those of a pretrained text: tests/pipeline/test_pretrained_text.py
    assert sum(map(len, OF_KIND.values())) == len(COLUMNS)


@pytest.fixture(scope="module")
def linear(material):
    """A network without any kink, explained with a single step."""
    columns = ["size", "dose", "group", "note"]
    branches = {"all": {"columns": columns, "architecture": "linear", "units": 3}}
    return opened(material, columns, branches, {"method": "concatenate", "units": []}, ExplainedOutputs("y", steps=1))


def test_one_step_is_exact_on_a_linear_network(linear):
    found = linear.explained(5)
    assert found.attributions.steps == 1
    assert found.attributions.gap < 1e-3


def test_a_number_adds_what_changes_when_it_becomes_the_median(linear):
    found = linear.explained(5)
    encoded, size = linear.arrays.columns(np.array([5])), linear.material.fitted.columns["size"]
    median = np.median([float(rows()[row]["size"]) for row in linear.material.partition.train if row])
    usual = {**encoded, "size": np.array([[(median - size.center) / size.scale, 0.0]], dtype=np.float32)[:, : encoded["size"].shape[1]]}
    by_column = {share.column: share.attribution for share in found.columns}
    raw, usual_raw = (linear.raw(linear.arrays.layout.join(one)) for one in (encoded, usual))
    assert by_column["size"] == pytest.approx(raw - usual_raw, abs=1e-5)
    assert abs(by_column["size"]) > 1e-3


def test_a_word_adds_what_its_weight_in_the_tfidf_vector_adds(linear):
    from mmtrain.layers.text_tokens import BagProjection

    found = linear.explained(5)
    note = next(share for share in found.columns if share.column == "note")
    assert rows()[5]["note"] == "six one six"
    assert [element.name for element in note.elements] == ["six", "one"]
    assert [element.name for element in note.reading] == ["six", "one", "six"]
    models, material = linear.models, linear.material
    branch = models.predictor.get_layer("branch_all")
    bag = next(layer for layer in branch.layers if isinstance(layer, BagProjection))
    head = models.network.get_layer("target_y").kernel.numpy()[:, 0]
    words = material.fitted.columns["note"].words
    idf = {word: bag.settings["idf"][3 + words.index(word)] for word in ("six", "one")}
    vector = {"six": 2 * idf["six"], "one": idf["one"]}
    norm = np.sqrt(sum(value**2 for value in vector.values()))
    for element in note.elements:
        row = bag.kernel.numpy()[3 + words.index(element.name)]
        assert element.attribution == pytest.approx(float(vector[element.name] / norm * (row @ head)), abs=1e-5)


def test_what_is_missing_adds_nothing_and_is_said_to_be_missing(linear):
    found = linear.explained(0)
    assert found.missing == ["size", "dose", "group", "note"]
    assert [share.elements for share in found.columns] == [(ElementAttribution("missing", 0.0),)] * 4
    assert [share.label for share in found.columns] == ["size: missing", "dose: missing", "group: missing", "note: missing"]
    assert found.attributions.output == found.attributions.baseline_output
    assert (found.attributions.total, found.attributions.gap) == (0.0, 0.0)


def test_a_number_that_is_predicted_is_explained_in_its_own_unit(material):
    branches = {"all": {"columns": ["size"], "architecture": "linear"}}
    subject = opened(material, ["size"], branches, {"method": "concatenate", "units": []}, ExplainedOutputs("price", steps=1))
    found = subject.explained(5)
    assert found.selector == OutputSelector("price", words="price")
    assert found.attributions.output == pytest.approx(float(subject.models.predictor(subject.encoded(5))["price"][0, 0]), rel=1e-5)
    assert found.prediction == describe(NUMBER, found.attributions.output)


def test_the_negative_class_has_the_opposite_explanation(material):
    branches = {"all": {"columns": ["size"], "architecture": "mlp"}}
    asked = [ExplainedOutputs("y", steps=8), ExplainedOutputs("y", "low", steps=8)]
    high, low = (opened(material, ["size"], branches, {"method": "concatenate"}, one).explained(5) for one in asked)
    assert (high.selector.words, low.selector.words) == ("logit of high", "logit of low")
    assert low.attributions.output == -high.attributions.output
    assert low.columns[0].attribution == -high.columns[0].attribution
    assert low.selector.probability == pytest.approx(1 - high.selector.probability)


def test_grad_cam_of_one_map_is_as_bright_as_the_image(material):
    """One convolution of one pixel: the map is the image, weighted by its gradient."""
    branch = {"columns": ["scan"], "architecture": "cnn", "filters": [1], "kernel": 1, "normalization": "none"}
    subject = opened(material, ["scan"], {"scan": branch}, {"method": "concatenate", "units": []})
    models = subject.models
    convolution = models.predictor.get_layer("branch_scan").layers[2]
    convolution.set_weights([np.full((1, 1, 1, 1), 0.5), np.zeros(1)])
    models.network.get_layer("target_y").set_weights([np.full((1, 1), 2.0), np.zeros(1)])
    found = subject.explained(1)
    brightness = subject.encoded(1)["scan"][0, :, :, 0] / 255
    assert np.allclose(found.cams["scan"], 0.5 * brightness * 2 / brightness.size, atol=1e-7)
    assert np.allclose(found.images["scan"][:, :, 0], brightness)
    models.network.get_layer("target_y").set_weights([np.full((1, 1), -2.0), np.zeros(1)])
    assert not subject.explained(1).cams["scan"].any()  # what speaks against the answer is left out
    without = opened(material, ["scan"], {"scan": branch}, {"method": "concatenate", "units": []}, GRADIENTS)
    assert not without.explained(1).cams


# ---------------------------------------------------------------- a whole run

PLANTED = """
columns:
  scan: {role: image, size: [12, 12], channels: 1, missing: mask}
  x: {role: numeric}
  noise: {role: numeric}
  note: {role: text, vectorize: tokens}
  y: {role: target, task: binary, positive: ill}
  row: {role: id}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [4, 4], normalization: none}
  numbers: {columns: [x, noise], architecture: mlp, units: [8]}
  note: {columns: [note], architecture: embedding_average, width: 4}
fusion: {method: concatenate, units: [8]}
split: {method: random, validation: 0.2, test: 0.2}
training: {epochs: 20, batch_size: 12, learning_rate: 0.02}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Ill is who has a bright corner (rows 1, 5, ...), a word (2, 6, ...) or a high number (3, 7, ...). Row 8 has no scan and no note."""
    folder = tmp_path_factory.mktemp("planted")
    random = np.random.default_rng(4)
    cells = []
    for row in range(80):
        sign = ("", "corner", "word", "number")[row % 4]
        pixels = random.integers(60, 100, (12, 12)).astype(np.uint8)
        pixels[:4, :4] += 150 * (sign == "corner")
        paint(folder / "scans" / f"{row}.png", pixels)
        note = f"the patient {'coughs' if sign == 'word' else 'sleeps'} on day {row % 5}"
        cells.append(
            {
                "row": f"r{row}",
                "scan": "" if row == 8 else f"scans/{row}.png",
                "x": 50 + 10 * (sign == "number") + random.normal(),
                "noise": random.normal(),
                "note": "" if row == 8 else note,
                "y": "ill" if sign else "well",
            }
        )
    write_table(folder / "table.csv", cells)
    return fit(write_experiment(folder / "planted.yaml", PLANTED), output=folder / "runs").run


@pytest.fixture(scope="module")
def planted(run):
    return explain(str(run.folder), ExplainOptions(rows=("r7", "r5", "r6", "r8"), folder=run.folder.parent / "planted"))


def table(path):
    """The lines of a CSV by their headers."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def elements(done, name, column):
    """Return the elements of a column with their attributions, the smallest first."""
    lines = [line for line in table(done.folder / "explanations.csv") if (line["id"], line["column"]) == (name, column)]
    return sorted(((line["element"], float(line["attribution"])) for line in lines), key=lambda element: element[1])


def test_what_was_planted_gets_the_attribution(planted):
    number, corner, word, none = planted.rows
    assert [row.prediction for row in (number, corner, word, none)] == ["ill", "ill", "ill", "well"]
    assert [list(row.strongest(1)) for row in (number, corner, word)] == [["x"], ["scan"], ["note"]]
    regions = elements(planted, "r5", "scan")
    assert (len(regions), regions[-1][0]) == (9, "top left")
    assert regions[-1][1] > 2 * regions[-2][1]
    assert elements(planted, "r6", "note")[-1][0] == "coughs"


def test_rows_come_in_the_order_they_were_asked_for(planted, run):
    assert [(row.id, row.row, row.why) for row in planted.rows][:2] == [("r7", 7, ""), ("r5", 5, "")]
    parts = {line["id"]: line["part"] for line in table(run / "split.csv")}
    assert [row.part for row in planted.rows] == [parts[name] for name in ("r7", "r5", "r6", "r8")]
    assert [row.image.name for row in planted.rows] == ["01_r7.png", "02_r5.png", "03_r6.png", "04_r8.png"]
    for row in planted.rows:
        assert row.image.parent == planted.folder
        assert row.image.read_bytes().startswith(b"\x89PNG")


def test_tables_say_the_same_as_the_rows(planted):
    lines, facts = table(planted.folder / "explanations.csv"), table(planted.folder / "completeness.csv")
    assert [line["id"] for line in facts] == ["r7", "r5", "r6", "r8"]
    for line in facts:
        total = sum(float(one["attribution"]) for one in lines if one["id"] == line["id"])
        assert total == pytest.approx(float(line["sum_of_attributions"]), abs=1e-4)
        assert float(line["difference"]) == pytest.approx(float(line["output"]) - float(line["baseline_output"]), abs=1e-4)
        assert float(line["gap_percent"]) <= 1
    absent = [(line["id"], line["column"], line["attribution"]) for line in lines if line["element"] == "missing"]
    assert absent == [("r8", "scan", "0"), ("r8", "note", "0")]
    assert [line["missing"] for line in facts] == ["", "", "", "scan note"]
    words = [line["element"] for line in lines if line["id"] == "r6" and line["column"] == "note"]
    assert words == ["the", "patient", "coughs", "on", "day", "1"]


@pytest.mark.slow
def test_rows_are_chosen_where_none_are_named(run):
    stale = run / "explanations" / "validation" / "stale.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    done = explain(str(run.folder), ExplainOptions(method="integrated_gradients", part="validation"))
    assert [row.part for row in done.rows] == ["validation"] * 6
    assert [row.why for row in done.rows[3:]] == ["most confident"] * 3
    assert done.folder == stale.parent
    assert not stale.exists()
    facts = run.read_json("run.json")
    assert facts["explanations"][-1]["rows"] == {"validation": 6}
    assert "evaluations" not in facts


def test_another_table_needs_no_answers_and_no_ids(run, tmp_path):
    newer = write_table(tmp_path / "new.csv", [{"scan": "", "x": 61, "noise": 0, "note": "the stranger coughs"}])
    run.update(explanations=[{"part": "new", "sha256": "of another new.csv", "rows": {"new.csv": 1}}])
    done = explain(str(run.folder), ExplainOptions(table=newer))
    assert done.folder == run / "explanations" / "new_2"
    [found] = done.rows
    assert (found.id, found.part, found.why, found.truth) == ("0", "new.csv", "least confident", "")
    words = [line["element"] for line in table(done.folder / "explanations.csv") if line["column"] == "note"]
    assert words == ["the", "stranger", "coughs"]
    assert sorted(path.name for path in done.folder.iterdir()) == ["01_0.png", "completeness.csv", "explanations.csv"]


def test_mistakes_of_a_wish_are_told_at_once(run, tmp_path):
    with pytest.raises(UsageError) as caught:
        explain(str(run.folder), ExplainOptions(target="z", folder=tmp_path))
    assert str(caught.value).splitlines() == [
        "--target: this run predicts no 'z'. It predicts y.",
        f"{tmp_path}: there is something here already. Remove it, or give another folder with -o.",
    ]


def test_rows_that_there_are_not_are_told_all_at_once(run):
    with pytest.raises(UsageError) as caught:
        explain(str(run.folder), ExplainOptions(rows=("r3", "r333", "nobody")))
    assert str(caught.value).splitlines() == [
        "--rows r333: table.csv has no such row. Did you mean 'r33'?",
        "--rows nobody: table.csv has no such row. The first rows are r0, r1 and r2.",
    ]


def test_rows_without_ids_are_numbered(run):
    path = run.folder.parents[2] / "unnamed.csv"
    write_table(path, [{key: cell for key, cell in row.items() if key != "row"} for row in table(path.with_name("table.csv"))])
    with pytest.raises(UsageError) as caught:
        explain(str(run.folder), ExplainOptions(rows=("3", "333"), table=path))
    assert str(caught.value) == "--rows 333: unnamed.csv has no such row. Its rows are numbered from 0 to 79."


def test_command_prints_rows_and_what_they_are_made_of(run, capsys):
    words = ["explain", str(run.folder), "--rows", "r6, r8", "--steps", "1", "--class", "well"]
    assert command_line([*words, "--verbose"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("r6 (")
    assert lines[0].endswith("): true ill, predicted ill")
    assert re.fullmatch(r"    probability of well 0\.\d{3}: \w+ [+−]?\d+(\.\d)? points.*", lines[1])
    assert lines[2].startswith("    logit of well −")
    assert "1 step)" in lines[2]
    assert lines[5].endswith("; missing: scan, note")
    assert "Points: how much lower the probability would be" in captured.err
    assert "noise: the training median" in captured.err
    assert "more --steps may close it." in captured.err
    assert (run / "explanations" / "rows" / "02_r8.png").is_file()


@pytest.mark.parametrize(("verbose", "deviations"), [(False, {}), (True, {}), (False, {"scan": 0.1})])
def test_points_of_probability_stand_for_logits(verbose, deviations):
    row = ExplainedRow(
        row=0, id="r1", part="test", why="", truth="ill", prediction="ill", probability=0.75, explained="logit of ill", output=1.1,
        baseline_output=0.1, difference=1.0, sum_of_attributions=1.0, gap_percent=0.1, steps=32, missing=["note"],
        attributions={"scan": 1.0, "note": 0.0}, deviations=deviations, image=Path("1.png"),
    )  # fmt: skip
    head, points, *logits = _lines(row, verbose=verbose)
    assert head == "r1 (test): true ill, predicted ill"
    assert points.startswith("probability of ill 0.750: scan +23 points")
    assert points.endswith("; missing: note") == (not logits)
    assert len(logits) == int(verbose or bool(deviations))


def test_command_prints_one_json_document(run, capsys):
    assert command_line(["explain", str(run.folder), "--rows", "r8", "--json"]) == 0
    captured = json.loads(capsys.readouterr().out)
    assert list(captured) == ["run", "target", "baseline", "rows", "folder"]
    [row] = captured["rows"]
    assert (row["id"], row["missing"], row["attributions"]["scan"], row["attributions"]["note"]) == ("r8", ["scan", "note"], 0, 0)
    assert sum(row["attributions"].values()) == pytest.approx(row["sum_of_attributions"])


def test_grad_cam_is_refused_where_no_branch_has_maps(material):
    branches = {"all": {"columns": ["size"], "architecture": "mlp"}}
    with pytest.raises(UsageError) as caught:
        opened(material, ["size"], branches, {"method": "add"}, ExplainedOutputs("y", method="grad_cam"))
    assert str(caught.value) == (
        "--method grad_cam: Grad-CAM needs a branch that pools maps over a whole image, and this run has none. "
        "Use --method integrated_gradients."
    )


# ---------------------------------------------------------------- what is chosen, asked and shown


def test_uncertain_and_typical_rows_are_chosen_where_there_are_enough():
    probability = np.linspace(0.02, 0.98, 25)
    truth = np.ones(25, dtype=np.int32)
    assert select_rows(BINARY, truth, probability[:, None]) == [
        *((0, "highest loss"), (1, "highest loss"), (2, "highest loss")),
        *((12, "most uncertain"), (11, "most uncertain"), (13, "typical"), (14, "typical")),
        *((24, "most confident"), (23, "most confident"), (22, "most confident")),
    ]
    chosen = select_rows(NUMBER, np.zeros(25), np.arange(25.0)[:, None])
    assert [why for _, why in chosen] == [*["largest error"] * 3, *["typical"] * 2, *["smallest error"] * 3]


@pytest.mark.parametrize(("logits", "explained"), [((1.5,), 0), ((2.0, 0.5, -1.0), 1)])
def test_points_are_the_change_of_the_probability_without_an_attribution(logits, explained):
    """Of a sigmoid, and of a softmax whose other outputs stay as they are."""

    def probability(values):
        odds = np.exp(values)
        return odds[0] / (1 + odds[0]) if len(values) == 1 else odds[explained] / odds.sum()

    without = [value - 0.7 * (unit == explained or len(logits) == 1) for unit, value in enumerate(logits)]
    expected = probability(logits) - probability(without)
    assert probability_change(probability(logits), 0.7) == pytest.approx(expected)
    assert probability_change(1.0, 1000.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("target", "truth", "prediction", "chosen"),
    [
        (
            BINARY,
            np.array([0, 1, 1, 0, -1, 1, 0, 1], dtype=np.int32),
            np.array([0.9, 0.8, 0.1, 0.2, 0.5, 0.75, 0.3, 0.99]),
            [
                *((0, "highest loss"), (2, "highest loss"), (6, "least confident")),
                *((7, "most confident"), (3, "most confident"), (1, "most confident")),
            ],
        ),
        (BINARY, np.array([0, 1], dtype=np.int32), np.array([0.9, 0.2]), [(0, "highest loss"), (1, "lowest loss")]),
        (SEVERAL, np.array([2], dtype=np.int32), np.array([[0.2, 0.5, 0.3]]), [(0, "highest loss")]),
        (SEVERAL, None, np.array([[0.9, 0.1, 0], [0.4, 0.3, 0.3]]), [(1, "least confident"), (0, "most confident")]),
        (BINARY, np.array([-1, -1], dtype=np.int32), np.array([0.9, 0.6]), [(1, "least confident"), (0, "most confident")]),
        (
            LABELS,
            np.array([[1, 0], [0, 0]], dtype=np.int8),
            np.array([[0.9, 0.1], [0.9, 0.8]]),
            [(1, "highest loss"), (0, "most confident")],
        ),
        (LABELS, None, np.array([[0.9, 0.1], [0.6, 0.5]]), [(1, "least confident"), (0, "most confident")]),
        (NUMBER, np.array([5.0, np.nan, 2.0]), np.array([7.0, 0.0, 2.5]), [(0, "largest error"), (2, "smallest error")]),
        (NUMBER, None, np.array([7.0, 1.0]), [(0, "largest prediction"), (1, "smallest prediction")]),
    ],
)
def test_the_rows_with_the_highest_loss_and_the_most_confident_are_chosen(target, truth, prediction, chosen):
    prediction = prediction.reshape(len(prediction), -1)
    assert select_rows(target, truth, prediction) == chosen


@pytest.mark.parametrize(
    ("target", "class_name", "prediction", "asked"),
    [
        (BINARY, None, [0.25], OutputSelector("y", 0, 1.0, "logit of high", 0.25)),
        (BINARY, "high", [0.25], OutputSelector("y", 0, 1.0, "logit of high", 0.25)),
        (BINARY, "low", [0.25], OutputSelector("y", 0, -1.0, "logit of low", 0.75)),
        (SEVERAL, None, [0.25, 0.5, 0.25], OutputSelector("y", 1, 1.0, "logit of b", 0.5)),
        (SEVERAL, "c", [0.25, 0.5, 0.25], OutputSelector("y", 2, 1.0, "logit of c", 0.25)),
        (LABELS, None, [0.25, 0.5], OutputSelector("y", 1, 1.0, "logit of b", 0.5)),
        (NUMBER, None, [3.0], OutputSelector("y", 0, 1.0, "y", None)),
        (QUANTILES, None, [1.0, 2.0, 3.0], OutputSelector("y", 1, 1.0, "y: quantile_0.5", None)),
        (QUANTILES, "quantile_0.9", [1.0, 2.0, 3.0], OutputSelector("y", 2, 1.0, "y: quantile_0.9", None)),
    ],
)
def test_what_is_asked_follows_from_the_target_and_the_class(target, class_name, prediction, asked):
    assert output_selector(ExplainedOutputs("y", class_name), target, np.array([prediction])) == asked


@pytest.mark.parametrize(
    ("target", "class_name", "problems"),
    [
        ("y", None, []),
        ("y", "b", []),
        ("Y", None, ["--target: this run predicts no 'Y'. Did you mean 'y'?"]),
        ("cost", "b", ["--target: this run predicts no 'cost'. It predicts y, price and range."]),
        ("y", "zebra", ["--class: y has no class 'zebra'. Its classes are a, b and c."]),
        ("price", "a", ["--class: price is a number and has no classes. Leave --class out."]),
        ("range", "quantile_0.9", []),
        ("range", "a", ["--class: range has no column 'a'. It has quantile_0.1, quantile_0.5 and quantile_0.9."]),
    ],
)
def test_a_target_or_a_class_that_there_is_not_is_told(target, class_name, problems):
    assert [str(problem) for problem in selector_error({"y": SEVERAL, "price": NUMBER, "range": QUANTILES}, target, class_name)] == problems


def fake(shares, chosen=None):
    """Return an explained row with these columns; hooks are keys only, so anything can stand for them."""
    from mmtrain.explanation.gradients import Attributions

    values = {share.column: np.array([share.attribution]) for share in shares}
    chosen = chosen or SelectedRow(4, "S 1/2", "test", "most confident")
    found = Attributions(values, output=1.5, baseline_output=0.25, steps=32)
    return RowExplanation(chosen, "ill", "well", OutputSelector("y", words="logit of ill", probability=0.75), found, shares)


AGE = ColumnAttribution("age", "cells", "63", False, (ElementAttribution("63", 0.5),))
SITE = ColumnAttribution("site", "cells", "", True, (ElementAttribution("missing", 0.0),))
NOTE = ColumnAttribution(
    "note",
    "words",
    "bad bad day",
    False,
    (ElementAttribution("bad", 0.8), ElementAttribution("day", -0.05)),
    (ElementAttribution("bad", 0.4),) * 2,
    unread=1,
)


@pytest.mark.usefixtures("tensorflow")
def test_tables_are_literal(tmp_path):
    from mmtrain.explanation.files import ExplanationFiles

    with ExplanationFiles(tmp_path) as files:
        row = files.add(fake((AGE, SITE, NOTE)))
    assert row.image == tmp_path / "01_S_1_2.png"
    assert (tmp_path / "explanations.csv").read_text() == (
        "row,id,explained,column,element,attribution\n"
        "4,S 1/2,logit of ill,age,63,0.5\n"
        "4,S 1/2,logit of ill,site,missing,0\n"
        "4,S 1/2,logit of ill,note,bad,0.8\n"
        "4,S 1/2,logit of ill,note,day,-0.05\n"
    )
    assert (tmp_path / "completeness.csv").read_text() == (
        "row,id,part,why,truth,prediction,probability,explained,output,baseline_output,difference,"
        "sum_of_attributions,gap_percent,steps,missing\n"
        "4,S 1/2,test,most confident,ill,well,0.75,logit of ill,1.5,0.25,1.25,1.25,0,32,site\n"
    )


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("parts", "difference", "gap"),
    [((1.0, 1.0), 2.0, 0.0), ((1.0, 0.9), 2.0, 5.0), ((5.0, -4.9), 0.2, 50.0), ((50.0, -50.0), 0.01, 1.0), ((0.0,), 0.0, 0.0)],
)
def test_the_gap_is_measured_by_the_difference_unless_columns_cancel(parts, difference, gap):
    from mmtrain.explanation.gradients import Attributions

    found = Attributions({number: np.array([part]) for number, part in enumerate(parts)}, difference, 0.0, 32)
    assert found.gap == pytest.approx(gap)


@pytest.mark.usefixtures("tensorflow")
def test_a_figure_has_points_of_probability_and_the_sum_of_logits():
    from mmtrain.explanation import figure
    from mmtrain.reports.figures.plot_style import style

    with style():
        drawn = figure.draw(fake((AGE, SITE, NOTE)))
    texts = {text.get_text() for text in drawn.findobj(lambda artist: hasattr(artist, "get_text"))}
    assert {"Contribution of each input, in points of probability", "orange increases the probability of ill,"} <= texts
    # 0.75 minus the logistic function of its logit minus 0.75, and minus 0.5.
    assert {"+16.4", "+10.5", "0"} <= texts
    assert any(text.startswith("In logits: sum 1.25") for text in texts)
    assert any(text.startswith("probability 0.750   logit of ill: 1.5") for text in texts)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_a_figure_bears_any_text_and_many_columns(tmp_path):
    from mmtrain.explanation import figure
    from mmtrain.reports.figures.plot_style import style

    odd = ColumnAttribution("$a$ <script>", "cells", "x^{2 \\frac\n" * 30, False, (ElementAttribution("x", -0.1),))
    long = ColumnAttribution(
        "note",
        "words",
        "",
        False,
        (ElementAttribution("w", 0.1),),
        (ElementAttribution("donaudampfschiff" * 9, 0.1), ElementAttribution("$b", -0.2)) * 200,
    )
    many = tuple(
        ColumnAttribution(f"column {number}", "cells", "1", False, (ElementAttribution("1", number / 10),)) for number in range(30)
    )
    with style():
        drawn = figure.draw(fake((odd, long, *many), SelectedRow(0, "語<b>$" * 30, "test", "")))
        drawn.savefig(tmp_path / "odd.png", dpi=40)
    texts = [text.get_text() for text in drawn.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert "17 other columns" in texts
    assert "column 29: 1" in texts
    assert "150 further words are not shown." in texts
    assert max(map(len, texts)) <= 160


def test_squares_of_pixels_keep_their_sum():
    pixels = np.arange(65 * 70, dtype=np.float64).reshape(65, 70)
    found, edge = block_sums(pixels)
    assert (found.shape, edge) == ((22, 24), 3)
    assert found.sum() == pixels.sum()
    assert found[0, 0] == pixels[:3, :3].sum()


@pytest.mark.parametrize(
    ("target", "answer", "words"),
    [
        (BINARY, "ill", "ill"),
        (BINARY, "", ""),
        (LABELS, "a;b", "a;b"),
        (LABELS, "", "no label"),
        (NUMBER, np.float32(3.5), "3.5"),
        (NUMBER, 1234567.0, "1.23457e+06"),
        (NUMBER, np.nan, ""),
        (NUMBER, 7, "7"),
    ],
)
def test_answers_are_written_in_words(target, answer, words):
    assert describe(target, answer) == words


@pytest.mark.parametrize(
    ("text", "line"), [("plain", "plain"), ("two\nlines\t", "two lines"), ("a" * 50, "a" * 39 + "…"), ("\x1b[31mred", "[31mred")]
)
def test_a_cell_is_shortened_to_one_line(text, line):
    assert shorten(text) == line


@dataclass(frozen=True)
class Place:
    """Stands for a hook on all values of a column."""

    column: str

    @property
    def places(self):
        return {self.column: ...}


@pytest.mark.usefixtures("tensorflow")
def test_words_that_training_did_not_know_share_what_their_id_adds():
    from mmtrain.columns.vectorizers.fitted_text import FittedText
    from mmtrain.explanation.attribution import attribute_columns

    column = FittedText(vectorize="tfidf", words=("day", "bad"), idf=(0, 1, 3, 1, 2), length=4, longest=4, masked=False, missing=0)
    cells = RowInputs({"note": "Bad zebra, odd zebra! day"}, {"note": np.array([[4, 2, 2, 2]]), "note_present": np.ones((1, 1))})
    found = SimpleNamespace(by_hook={Place("note"): np.array([0.5, 0.1, 0.2, 0.3])})
    [share] = attribute_columns(found, SimpleNamespace(columns={"note": column}), cells)
    assert [(element.name, round(element.attribution, 6)) for element in share.elements] == [("bad", 0.5), ("zebra", 0.4), ("odd", 0.2)]
    assert (share.unread, share.label) == (1, "note: 5 words")


@pytest.mark.slow
def test_bins_much_narrower_than_the_line_do_not_break_the_sum(material):
    """As those of a capital gain: without a hook behind the bins, hardly one of 1,024 points on the line would be in one of them."""
    learned = material.fitted.columns["size"]
    row, middle = 6, (learned.fill + 156.06) / 2  # between the baseline and the row
    narrow = [middle + number / 10_000 for number in range(6)]
    changes = {"embed": "piecewise_linear", "edges": (0.0, *narrow, 1000.0), "ranks": tuple(np.linspace(0.1, 0.9, 8).tolist())}
    columns = {**material.fitted.columns, "size": learned.model_copy(update=changes)}
    changed = replace(material, fitted=material.fitted.model_copy(update={"columns": columns}))
    branches = {"table": {"columns": ["size", "dose", "group"], "architecture": "mlp"}}
    subject = opened(changed, ["size", "dose", "group"], branches, {"method": "concatenate"}, GRADIENTS)
    found = subject.explained(row)
    check_adds_up(found, subject.raw(subject.encoded(row)))
    assert {share.column for share in found.columns if share.attribution} == {"size", "dose", "group"}
