"""Several images per row: reading lists, sets in the store, members through a shared network, and everything behind a training."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from tiny import paint, write_experiment, write_table

from mmtrain.columns import Image, Images
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.decode_cells import decode_cells
from mmtrain.data.images.locate import ImageFinder
from mmtrain.data.images.store import open_store
from mmtrain.errors import DataError
from mmtrain.specs import ImageSpec, SetSpec

LEVELS = {"a.png": 10, "b.png": 20, "c.png": 30, "black.png": 0}


@pytest.fixture
def images(tmp_path):
    for name, level in LEVELS.items():
        paint(tmp_path / name, level)
    (tmp_path / "broken.png").write_bytes(b"no image")
    return tmp_path


def cells(*values):
    return pd.Series(list(values), dtype="str")


def opened(folder, rows, **options):
    column = Images(column="x", size=(4, 4), channels=1, **options)
    return open_store(rows, column.image_cells, ImageFolder(folder), cache=Cache(folder=folder / "cache"))


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("a.png; b.png", ["a.png", "b.png"]),
        ('["a.png", null, "b.png"]', ["a.png", "b.png"]),
        ("['a.png','b.png']", ["a.png", "b.png"]),
        ("a.png;", ["a.png"]),
        (' ["a.png"]', ["a.png"]),
        ("data:image/png;base64,AAAA", ["data:image/png;base64,AAAA"]),
        (None, []),
    ],
)
def test_a_cell_lists_names(cell, names):
    assert Images(column="x").image_cells.names(cells(cell)) == [names]


def test_several_columns_are_joined_row_by_row():
    column = Images(columns=("front", "left"), separator="|")
    assert column.reads() == ("front", "left")
    table = pd.DataFrame({"front": ["a.png", None], "left": ["b.png|c.png", "d.png"]}, dtype="str")
    assert column.image_cells.names(table) == [["a.png", "b.png", "c.png"], ["d.png"]]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"columns": ("a", "a")}, "names a header twice"),
        ({"columns": ("a", "b"), "most": 1}, "Set `most: 2`."),
        ({"encoder": {"model": "m"}}, "encoder"),
        ({"pool": "median"}, "pool"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, what):
    with pytest.raises(ValidationError, match=what):
        Images(**options)


def test_rows_with_more_images_than_are_used_are_told():
    (doubt,) = Images(column="x", most=2).doubts(cells("a.png", "a.png;b.png;c.png", "a.png;b.png;c.png;d.png"))
    assert doubt.rows.tolist() == [1, 2]
    assert doubt.what == "the row lists 3 images, the largest 4; 2 of each are used, evenly spaced by their paths."
    assert doubt.fix == "Set `most: 4` to use all."


def test_sets_hold_their_files_once_sorted_and_zeros_behind_them(images):
    rows = cells("c.png; a.png", "a.png;c.png;a.png", None, "black.png")
    store, unreadable = opened(images, rows, most=3)
    sets = store.take(np.array([1, 0, 2, 3]))
    assert (sets.shape, sets.dtype) == ((4, 3, 4, 4, 1), np.uint8)
    assert sets[:, :, 1, 1, 0].tolist() == [[10, 30, 0], [10, 30, 0], [0, 0, 0], [0, 0, 0]]
    assert sets[:, :, 0, 0, 0].tolist() == [[10, 30, 0], [10, 30, 0], [0, 0, 0], [1, 0, 0]]  # a black image is there
    assert store.present(np.arange(4)).tolist() == [[1], [1], [0], [1]]
    assert [(bad.row, bad.what, bad.others) for bad in unreadable] == [(2, "the cell is empty.", False)]
    assert len(store.pixels) == 3  # a.png is decoded once for both rows


def test_a_store_and_a_prediction_read_the_same_sets(images):
    rows = cells("c.png;none.png;b.png", "broken.png", "black.png;a.png;b.png;c.png", None)
    column = Images(column="x", size=(4, 4), channels=1, most=2, missing="mask")
    store, unreadable = open_store(rows, column.image_cells, ImageFolder(images), cache=Cache(folder=images / "cache"))
    decoded = decode_cells(rows, column.image_cells, ImageFinder(ImageFolder(images)), policy="mask")
    assert np.array_equal(store.take(np.arange(4)), decoded.pixels)
    assert np.array_equal(store.present(np.arange(4)), decoded.present)
    assert decoded.pixels[:, :, 1, 1, 0].tolist() == [[20, 30], [0, 0], [10, 30], [0, 0]]  # of four, the first and the last
    assert [(bad.row, bad.others) for bad in unreadable] == [(0, True), (1, False), (3, False)]
    assert [(remark.rows.tolist(), remark.what, remark.fix) for remark in decoded.remarks] == [
        ([0], "masked, the file none.png does not exist", ""),
        ([1], "masked, broken.png: the file is not an image", ""),
        ([3], "masked, the cell is empty", ""),
    ]


def test_no_rows_have_no_sets(images):
    store, unreadable = opened(images, cells(), most=2)
    decoded = decode_cells(cells(), Images(column="x", size=(4, 4), most=2).image_cells, ImageFinder(ImageFolder(images)), policy="error")
    assert (store.index.shape, unreadable, decoded.pixels.shape) == ((0, 2), [], (0, 2, 4, 4, 3))


def test_a_member_may_be_a_folder_where_an_image_may(tmp_path):
    pytest.importorskip("pydicom")
    from medical_files import axial, ct

    for number in range(3):
        (tmp_path / "series").mkdir(exist_ok=True)
        (tmp_path / "series" / f"{number}.dcm").write_bytes(ct(np.full((4, 4), 100 * number), **axial(number)))
    store, unreadable = opened(tmp_path, cells("series"), slice=1, window=(0, 255))
    assert (store.take(np.array([0]))[0, :2, 0, 0, 0].tolist(), unreadable) == ([100, 0], [])


@pytest.mark.parametrize(("policy", "bad"), [("error", 1), ("mask", 1), ("mask", 2)])
def test_a_file_that_is_unreadable_counts_once_whatever_slices_it_has(tmp_path, policy, bad):
    """With three slices a row, one scan in three was answered with the warning that most images cannot be read."""
    pytest.importorskip("pydicom")
    from medical_files import axial, ct

    from mmtrain.config import load
    from mmtrain.config.yaml_source import Origin
    from mmtrain.pipeline.checks.validate import validate_experiment

    names = [f"scan{number}" for number in range(3)]
    for number, name in enumerate(names):
        (tmp_path / name).mkdir()
        for place in range(3 if number >= bad else 0):
            (tmp_path / name / f"{place}.dcm").write_bytes(ct(np.full((4, 4), 100 * place), **axial(place)))
    write_table(tmp_path / "table.csv", [{"scan": names[row % 3], "y": "ab"[row // 3 % 2]} for row in range(24)])
    column = {"role": "images", "slices": 3, "size": [4, 4], "channels": 1, "missing": policy}
    path = write_experiment(tmp_path / "e.yaml", {"columns": {"scan": column, "y": {"role": "target", "task": "binary"}}})
    said = []
    tried = validate_experiment(load(path), Origin(path), say=said.append)
    counts = tried.image_counts["scan"]
    assert (counts.unreadable, [one.what for one in counts.bad[:1]]) == (8 * bad, ["scan0: the path is a folder without DICOM files."])
    assert len({one.where for one in counts.bad}) == len(counts.bad)
    assert [line[:48] for line in said if line.startswith("warning")] == (
        ["warning: table.csv:2: scan: scan0: the path is a"] if bad > 1 else []
    )
    if policy == "error":
        assert tried.problems[-1].what == "3 more cells have no image that can be read."


@pytest.mark.usefixtures("tensorflow")
def test_an_export_is_checked_on_the_files_that_training_could_decode(images):
    from mmtrain.export.check import _source_lists

    column = Images(column="x", size=(4, 4), channels=1, most=2, missing="mask")
    (sources,) = _source_lists(column.image_cells, ImageFinder(ImageFolder(images)), cells("a.png;b.png;broken.png"))
    assert [path.name for path in sources] == ["a.png", "b.png"]


def test_training_rows_of_several_columns_are_fitted_name_by_name():
    column = Images(columns=("front", "left"), size=(3, 4))
    assert column.fit([pd.DataFrame({"front": ["a.png", None], "left": ["b.png;c.jpg", None]}, dtype="str")]).takes == "files"
    assert column.fit([pd.DataFrame({"front": ["a.png", None], "left": ["b.png;c.dcm", None]}, dtype="str")]).takes == "pixels"


def test_the_spec_has_the_members_in_front():
    spec = Images(size=(3, 4), most=5, pool="max").fit([]).spec
    assert spec == SetSpec(ImageSpec(3, 4, 3), 5, "max")
    assert (spec.shape, spec.dtype, spec.member) == ((5, 3, 4, 3), "uint8", ImageSpec(3, 4, 3))
    assert Image().fit([]).spec.member == Image().fit([]).spec


def test_a_request_gives_the_same_set_in_any_order():
    from mmtrain.data.images.decode_cells import join_images
    from mmtrain.image_decoding.data_uri import to_data_uri
    from mmtrain.serving.rows import RowReader

    column = Images(columns=("front", "back"), size=(2, 2), channels=1, most=2, missing="mask")
    dark, bright = (to_data_uri(np.full((2, 2), level, np.uint8)) for level in (30, 200))
    reader = RowReader({"x": column})
    rows = [{"front": dark, "back": bright}, {"front": [bright, dark], "back": None}, {"front": None, "back": "no image"}]
    prepared = [reader.prepare(row).images["x"] for row in rows]
    decoded = join_images(prepared, column.image_cells, policy="mask")
    assert np.array_equal(decoded.pixels[0], decoded.pixels[1])
    assert sorted(decoded.pixels[0, :, 0, 0, 0].tolist()) == [30, 200]
    assert decoded.present.tolist() == [[1], [1], [0]]
    assert [remark.rows.tolist() for remark in decoded.remarks] == [[2]]


def test_of_many_images_with_names_a_request_takes_those_that_predict_takes(tmp_path):
    import base64

    from mmtrain.data.images.decode_cells import decode_cells, join_images
    from mmtrain.serving.rows import RowReader

    column = Images(column="x", size=(2, 2), channels=1, most=3)
    for number in range(7):
        paint(tmp_path / f"{number}.png", 10 + 30 * number, (2, 2))
    images = [
        {"name": f"{number}.png", "data": base64.b64encode((tmp_path / f"{number}.png").read_bytes()).decode()}
        for number in (4, 0, 6, 1, 5, 3, 2)
    ]
    reader = RowReader({"x": column})
    expected = decode_cells(
        cells(";".join(f"{number}.png" for number in range(7))), column.image_cells, ImageFinder(ImageFolder(tmp_path)), policy="error"
    )
    found = join_images([reader.prepare({"x": images}).images["x"]], column.image_cells, policy="error")
    assert found.pixels[0, :, 0, 0, 0].tolist() == expected.pixels[0, :, 0, 0, 0].tolist() == [10, 100, 190]
    # One without a name: all are ordered by their content, as those in the cells of a table are.
    unnamed = [{"data": image["data"]} for image in images]
    alike = [
        join_images([reader.prepare({"x": one}).images["x"]], column.image_cells, policy="error").pixels for one in (unnamed, unnamed[::-1])
    ]
    assert np.array_equal(*alike)
    odd = reader.prepare({"x": [{"name": "a.png"}, {"name": 3, "data": images[0]["data"]}]}).images["x"]
    assert [type(one).__name__ for one in odd] == ["ndarray", "Refusal"]


def test_a_request_may_send_a_list_says_the_schema(monkeypatch):
    from types import SimpleNamespace as Stub

    from mmtrain.serving.http import description
    from mmtrain.serving.http.openapi import row_schema

    columns = {"x": Images(column="x"), "y": Image(column="y")}
    fitted, experiment = Stub(columns={}, targets={}), Stub(columns=columns, only=lambda _: None)
    model = Stub(predictor=Stub(loaded=Stub(fitted=fitted, statistics=fitted), experiment=experiment))
    monkeypatch.setattr(description, "describe", lambda model, _: {"columns": description._columns(model)})
    properties = row_schema(model)["properties"]
    assert [properties[header]["type"] for header in ("x", "y")] == [
        ["string", "object", "array", "null"],
        ["string", "object", "null"],
    ]


def test_a_frame_whose_images_are_named_by_several_columns_needs_their_folder():
    from types import SimpleNamespace as Stub

    from mmtrain.pipeline.prediction.predictor import Predictor

    model = Stub(experiment=Stub(inputs={"x": Images(columns=("front", "back"))}))
    held = "data:image/png;base64,AAAA"
    assert Predictor._holds_images(model, pd.DataFrame({"front": [held], "back": [None]}, dtype=object))
    assert not Predictor._holds_images(model, pd.DataFrame({"front": [held], "back": ["b.png"]}))
    assert not Predictor._holds_images(model, pd.DataFrame({"patient": [1]}))  # a second table has the paths


def test_a_frame_may_hold_lists_of_images(images):
    from mmtrain.data.tables.file_formats.frame_table import FrameTable

    bright, file = np.full((4, 4), 200, np.uint8), (images / "b.png").read_bytes()
    frame = pd.DataFrame({"x": [[bright, None, "a.png"], [file, bright], "c.png", None, (file, file)]})
    table = FrameTable(frame, ())
    assert table.refusal("x") == ""
    (piece,) = table.pieces(["x"], size=10)
    decoded = decode_cells(
        piece["x"], Images(column="x", size=(4, 4), channels=1, most=2).image_cells, ImageFinder(ImageFolder(images)), policy="mask"
    )
    assert [sorted(row) for row in decoded.pixels[:, :, 1, 1, 0].tolist()] == [[10, 200], [20, 200], [0, 30], [0, 0], [0, 20]]
    assert "objects of type list" in FrameTable(pd.DataFrame({"x": [[bright, 3.5]]}), ()).refusal("x")


def test_the_depth_of_each_image_of_a_row_is_looked_up(images):
    from mmtrain.data.drift import _images

    found = _images(ImageFinder(ImageFolder(images)), Images(column="x").image_cells, cells("a.png; b.png", None, "c.png;none.png"))
    assert [path.name for path in found] == ["a.png", "b.png", "c.png"]


def test_an_image_in_rows_of_two_parts_is_a_leak(images):
    from mmtrain.audit.images.image_column import image_column, locate_column

    rows = cells("a.png;b.png", "c.png", "b.png")
    column = Images(column="x", size=(4, 4), channels=1)
    store, unreadable = open_store(rows, column.image_cells, ImageFolder(images), cache=Cache(folder=images / "cache"))
    used = image_column("x", rows, np.array([4, 5, 6]), column, store, unreadable)
    located = locate_column(used, ImageFolder(images))
    # Each image is a cell of its row: the file b.png is found in rows 4 and 6.
    assert used.numbers.tolist() == [4, 4, 5, 6]
    (shared,) = (number for number, file in enumerate(located.located.files) if file.path.endswith("b.png"))
    assert located.rows_of(np.array([shared])).tolist() == [4, 6]


def as_sets(*rows, most=3):
    """Sets of images of 2 by 1 pixels with one level each."""
    sets = np.zeros((len(rows), most, 2, 1, 1), dtype=np.uint8)
    for row, levels in enumerate(rows):
        for place, level in enumerate(levels):
            sets[row, place] = level
    return sets


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("pool", "expected"), [("mean", [[15.0], [0.0], [7.0]]), ("max", [[20.0], [0.0], [7.0]])])
def test_only_members_reach_the_network_and_absent_places_no_pool(pool, expected):
    from mmtrain.layers.sets import FlattenMembers, PoolMembers, SpreadMembers

    members, shown = FlattenMembers()(as_sets([10, 20], [], [7]))
    assert members.numpy()[:, 0, 0, 0].tolist() == [10, 20, 7]
    assert shown.numpy().tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    vectors = members.numpy().reshape(3, 2)[:, :1].astype(np.float32)
    assert PoolMembers(pool=pool)(SpreadMembers()(vectors, shown), shown).numpy().tolist() == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.usefixtures("tensorflow")
def test_members_are_found_by_operations_that_onnx_and_litert_have(dtype):
    """ONNX has no maximum of uint16, LiteRT none of either; tests/export/test_export.py converts a whole network."""
    import tensorflow as tf

    from mmtrain.layers.sets import FlattenMembers

    layer = FlattenMembers()
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((None, 3, 2, 1, 1), dtype)).graph
    assert [one.inputs[0].dtype for one in graph.get_operations() if one.type in ("Max", "Any")] == [tf.bool]
    assert layer(as_sets([10], [], [7, 8]).astype(dtype))[1].numpy().tolist() == [[1, 0, 0], [0, 0, 0], [1, 1, 0]]


@pytest.mark.usefixtures("tensorflow")
def test_a_batch_without_members_gives_one_that_no_row_has():
    from mmtrain.layers.sets import FlattenMembers, PoolMembers, SpreadMembers

    members, shown = FlattenMembers()(as_sets([], []))
    pooled = PoolMembers(pool="max")(SpreadMembers()(np.full((1, 2), np.nan, np.float32) * 0 + 5, shown), shown)
    assert (members.shape[0], pooled.numpy().tolist()) == (1, [[0, 0], [0, 0]])


@pytest.mark.usefixtures("tensorflow")
def test_attention_weights_are_those_of_the_paper():
    from mmtrain.layers.sets import AttentionPool

    tokens = np.array([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]], [[0.0] * 2] * 3], np.float32)
    shown = np.array([[1, 1, 0], [0, 0, 0]], np.float32)
    pool = AttentionPool(units=2)
    pool.build((2, 3, 2), (2, 3))
    pool.projection.assign([[0.5, 0.0], [0.0, 0.25]])
    pool.score.assign([[1.0], [2.0]])
    scores = np.array([np.tanh(0.5), 2 * np.tanh(0.5)])  # w tanh(V h) of both members
    weights = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(pool.weights_of(tokens, shown).numpy(), [[*weights, 0], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(pool(tokens, shown).numpy(), [[weights[0], 2 * weights[1]], [0, 0]], rtol=1e-6)


@pytest.mark.usefixtures("tensorflow")
def test_each_image_of_a_set_is_augmented_by_itself_and_absent_places_stay_empty():
    from mmtrain.columns.pixels.image_augment import Augment
    from mmtrain.training.augmentation.augment import uniforms_for
    from mmtrain.training.augmentation.augmenter import augment_cells

    how = Augment(brightness=0.5)
    uniforms = np.full((6, uniforms_for(how)), 0.5, np.float32)
    uniforms[:, 6] = [0.5, 1.0, 0.0, 0.0, 1.0, 0.5]  # brightness of each place: unchanged, brighter, darker
    changed = augment_cells(as_sets([100, 100, 100], [100]), np.ones((2, 1), np.float32), uniforms, how, ImageSpec(2, 1, 1))
    assert changed.numpy()[..., 1, 0, 0].tolist() == [[100, 228, 0], [0, 0, 0]]
    assert changed.numpy()[0, 2, 0, 0, 0] == 1  # darkened to black, and still there
    assert changed.numpy()[1, 1:].any() == 0


def views(folder, rows=60):
    """A table and its views: a patient is `high` where one of its views is bright; some patients have none."""
    random = np.random.default_rng(0)
    table, members = [], []
    for row in range(rows):
        high, count = row % 2, row % 4 if row > 8 else 2
        bright = random.integers(max(count, 1))
        for number in range(count):
            name = f"images/{row}_{number}.png"
            level = 220 if high and number == bright else int(random.integers(20, 90))
            paint(folder / name, random.integers(0, 20, (8, 8)).astype(np.uint8) + np.uint8(level))
            members.append({"patient": f"p{row}", "path": name})
        table.append({"patient": f"p{row}", "x": row % 7, "y": ("low", "high")[high]})
    write_table(folder / "table.csv", table)
    write_table(folder / "views.csv", [members[place] for place in random.permutation(len(members))])
    return folder


TREE = """
data: {tables: {views: {table: views.csv, key: patient}}}
columns:
  patient: {role: id}
  views: {role: images, column: views.path, size: [8, 8], channels: 1, pool: attention, missing: mask, most: 3}
  x: {role: numeric}
  y: {role: target, task: binary, positive: high}
branches:
  views: {columns: [views], architecture: cnn, filters: [4]}
  table: {columns: [x], architecture: mlp, units: [4]}
training: {epochs: 2, batch_size: 16}
"""


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ("role: images, columns: [front, left], column: back", "front and left are"),
        ("role: text, columns: [front, left], column: back", "front and left are"),
        ("role: sequence, columns: [front], column: back", "front is"),
    ],
)
def test_a_header_that_is_not_read_is_refused(tmp_path, column, read):
    from mmtrain.config import load
    from mmtrain.errors import ConfigError

    path = write_experiment(tmp_path / "e.yaml", f"columns: {{x: {{{column}}}, y: {{role: target, task: binary}}}}")
    with pytest.raises(ConfigError) as error:
        load(path)
    assert f"columns.x.column: `column` has no effect here: {read} read. Leave it out." in str(error.value)


def test_a_column_without_an_image_in_half_of_its_cells_is_told_where_it_is_masked(images):
    from mmtrain.pipeline.checks.validate import load_checked

    rows = [{"views": "a.png, b.png" if row % 2 else "c.png", "x": row, "y": "ab"[row % 3 % 2]} for row in range(40)]
    write_table(images / "table.csv", rows)
    text = """
columns: {views: {role: images, size: [4, 4], missing: mask}, x: {role: numeric}, y: {role: target, task: binary, positive: a}}
"""
    told = []
    load_checked(write_experiment(images / "e.yaml", text), [], say=told.append)
    assert told == [
        "warning: table.csv:3: views: the cell lists 2 images: a.png and b.png. 20 images of 40 filled cells cannot be read: "
        "`missing: mask` goes on without them. Set `role: images`, with the `separator` of the cell, to read several per row, or give each "
        "a column of its own."
    ]
    told.clear()
    load_checked(images / "e.yaml", ["columns.views.separator=','"], say=told.append)
    assert told == []


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_images_of_a_second_table_from_fit_to_export(tmp_path):
    from mmtrain.commands.deployment.export import ExportOptions, export
    from mmtrain.commands.evaluate import EvaluateOptions, evaluate
    from mmtrain.commands.explain import ExplainOptions, explain
    from mmtrain.commands.fit import fit
    from mmtrain.commands.predict import PredictOptions, predict

    views(tmp_path)
    run = fit(write_experiment(tmp_path / "e.yaml", TREE), output=tmp_path / "runs").run
    assert list(json.loads((run.folder / "data.json").read_text(encoding="utf-8"))["tables"]) == ["views"]
    evaluate(str(run.folder), EvaluateOptions("validation"))
    explained = explain(str(run.folder), ExplainOptions(rows=("p3", "p9")))
    attributed = pd.read_csv(explained.folder / "explanations.csv")
    names = attributed[(attributed["column"] == "views")].iloc[:, 4].tolist()
    assert names[0].startswith("image 1 (attention 0.")
    for name in ("saved_model", "onnx"):
        export(str(run.folder), ExportOptions(name))  # compares its predictions with those of the model
    predict(str(run.folder), tmp_path / "table.csv", PredictOptions(tmp_path / "a.csv", proba=True))
    lines = (tmp_path / "views.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "views.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n", encoding="utf-8")
    predict(str(run.folder), tmp_path / "table.csv", PredictOptions(tmp_path / "b.csv", proba=True))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()  # the order of images changes no bit
    with pytest.raises(DataError, match="rows no longer have the members that they had"):
        evaluate(str(run.folder), EvaluateOptions("validation"))
