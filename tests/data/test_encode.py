"""From cells to arrays: learned from training rows alone, encoded under one row index, by the layers that the saved model keeps."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import paint, ready, write_experiment, write_table

from mmtrain import config
from mmtrain.columns import roles
from mmtrain.columns.categorical import FittedCategorical
from mmtrain.data import cell_encoder, encode, encoded_column
from mmtrain.data.cache import COLUMNS, entries
from mmtrain.data.tables.read_table import read
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import DataError, RunError
from mmtrain.input_layout import InputLayout
from mmtrain.pipeline.checks.columns_of_parts import check_parts
from mmtrain.pipeline.prepare import read_data, split_rows
from mmtrain.targets import tasks

pytestmark = pytest.mark.usefixtures("tensorflow")

PARTS = ["train"] * 5 + ["validation", "test", "test"]
TABLE = {
    "größe (cm)": ["150", "160", None, "170", "160", "155", None, "1e9"],
    "dose": ["1", None, "3", "1", "3", None, "2", "2"],
    "blood group": ["B", "A", "B", None, "0", "AB", None, "A"],
    "note": ["a b", "B, a!", None, "c", "b", "zebra b", "…", "c c c c"],
    "scan": ["0.png", "1.png", None, "3.png", "0.png", "1.png", None, "3.png"],
    "grade": ["x", "y", "x", "x", "z", "y", "new", "x"],
    "price": ["1", "2", "3", "4", "5", "6", "7", "8"],
    "tags": ["p;q", "q", None, "q", "q", "r", "p", None],
    "ill": ["yes", "no", "no", "no", "no", "yes", "no", "yes"],
    "importance": ["1", "2", "0", "0.5", "1", "1", "3", "1"],
    "part": PARTS,
}
TREE = {
    "name": "all",
    "columns": {
        "größe (cm)": {"role": "numeric"},
        "dose": {"role": "numeric", "missing": "mask", "normalize": "minmax"},
        "blood group": {"role": "categorical"},
        "note": {"role": "text", "ngrams": 1, "max_length": 3},
        "story": {"role": "text", "column": "note", "vectorize": "tokens", "missing": "mask"},
        "scan": {"role": "image", "size": [1, 2], "channels": 1, "missing": "mask"},
        "grade": {"role": "target", "task": "multiclass", "class_weights": {"y": 3}},
        "price": {"role": "target", "task": "regression"},
        "tags": {"role": "target", "task": "multilabel"},
        "ill": {"role": "target", "task": "binary", "class_weights": "balanced"},
        "importance": {"role": "weight"},
        "part": {"role": "split"},
    },
    "split": {"method": "column"},
    "training": {"early_stopping": {"monitor": "validation_loss"}},
}
INPUTS = ["größe (cm)", "dose", "blood group", "note", "story", "scan"]
TARGETS = ["grade", "price", "tags", "ill"]
ELSEWHERE = {
    "images": "columns/test_image_sets.py",
    "volume": "columns/test_scans.py",
    "audio": "columns/test_audio.py",
    "embedding": "columns/test_embeddings.py",
    "sequence": "columns/test_sequences.py",
    "date": "columns/test_dates.py",
    "gaussian": "targets/test_gaussian.py",
    "count": "targets/test_new_tasks.py",
    "ordinal": "targets/test_new_tasks.py",
    "quantiles": "targets/test_new_tasks.py",
    "ranking": "targets/test_ranking.py",
    "survival": "targets/test_survival.py",
    "vector": "targets/test_vector.py",
}
"""Roles and tasks that are not in the table, and their own tests; all see garbage in tests/pipeline/test_promises.py."""


def rows_of(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def experiment_in(folder, table=TABLE, tree=TREE):
    for number in (0, 1, 3):
        paint(folder / f"{number}.png", number * 10 + 5)
    write_table(folder / "table.csv", rows_of(table))
    return write_experiment(folder / "all.yaml", json.loads(json.dumps(tree)))


@pytest.fixture(scope="module")
def everything(tmp_path_factory, tensorflow):
    """A table with every role and every task, encoded."""
    return ready(experiment_in(tmp_path_factory.mktemp("all")))


def test_every_role_that_feeds_the_network_and_every_task_is_in_the_table_or_has_tests_of_its_own(everything):
    columns = everything.experiment.columns
    assert {column.role for column in columns.values()} == set(roles) - {"group", "id", "time"} - set(ELSEWHERE)
    assert {target.task for target in everything.experiment.targets.values()} == set(tasks) - set(ELSEWHERE)
    assert set(ELSEWHERE) <= {*roles, *tasks}
    for name, place in ELSEWHERE.items():
        entry = roles[name] if name in roles else tasks[name]
        text = (Path(__file__).parents[1] / place).read_text(encoding="utf-8")
        assert entry.__name__ in text or f'"{name}"' in text
    assert (list(everything.fitted.columns), list(everything.fitted.targets)) == (INPUTS, TARGETS)


def test_columns_are_encoded_to_these_values(everything):
    present = everything.arrays.present
    inputs = {key: source.codes for key, source in everything.arrays.inputs.items() if key != "scan"}
    # Training rows: 150, 160, 170, 160; median and mean 160, deviation sqrt(50)
    heights = np.float32((np.array([150, 160, 160, 170, 160, 155, 160, 1e9]) - 160) / np.sqrt(50.0))
    assert np.array_equal(inputs["größe (cm)"], np.stack([heights, np.float32([0, 0, 1, 0, 0, 0, 1, 0])], axis=1))
    assert inputs["dose"].ravel().tolist() == [0, 0, 1, 0, 1, 0, 0.5, 0.5]
    assert present["dose"].ravel().tolist() == [1, 0, 1, 1, 1, 0, 1, 1]
    assert inputs["blood group"].ravel().tolist() == [4, 3, 4, 0, 2, 1, 0, 3]  # 0 2, A 3, B 4
    # b in three texts 3, a in two 4, c in one 5
    assert inputs["note"].tolist() == [[4, 3, 0], [4, 3, 0], [1, 0, 0], [5, 0, 0], [3, 0, 0], [3, 2, 0], [1, 0, 0], [5, 5, 5]]
    assert inputs["story"].tolist() == [[4, 3], [3, 4], [1, 0], [5, 0], [3, 0], [2, 3], [1, 0], [5, 5]]
    assert present["story"].ravel().tolist() == [1, 1, 0, 1, 1, 1, 0, 1]
    assert present["scan"].ravel().tolist() == [1, 1, 0, 1, 1, 1, 0, 1]
    for always in ("größe (cm)", "blood group", "note"):
        assert present[always].tolist() == [[1]] * 8
    assert {name: array.dtype.name for name, array in inputs.items()} == {
        "größe (cm)": "float32",
        "dose": "float32",
        "blood group": "int32",
        "note": "int32",
        "story": "int32",
    }
    assert {array.dtype.name for array in present.values()} == {"float32"}


WEIGHTS = [1, 2, 0, 0.5, 1, 1, 3, 1]


def test_truths_and_weights_are_these_values(everything):
    targets, weights = everything.arrays.targets, everything.arrays.weights
    assert targets["grade"].tolist() == [0, 1, 0, 0, 2, 1, -1, 0]
    assert targets["price"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert targets["tags"].tolist() == [[1, 1], [0, 1], [0, 0], [0, 1], [0, 1], [0, 0], [1, 0], [0, 0]]
    assert targets["ill"].tolist() == [1, 0, 0, 0, 0, 1, 0, 1]
    # The class weight times the `weight` column over its mean in training rows; an unknown class weighs nothing.
    mean = everything.fitted.weight_mean
    assert mean == np.mean([WEIGHTS[row] for row in everything.partition.train])
    assert mean != 1
    assert weights["grade"].tolist() == np.float32(np.array([1, 6, 0, 0.5, 1, 3, 0, 1]) / mean).tolist()
    assert weights["price"].tolist() == weights["tags"].tolist() == np.float32(np.array(WEIGHTS) / mean).tolist()
    ill = np.array([2.5, 2 * 0.625, 0, 0.5 * 0.625, 0.625, 2.5, 3 * 0.625, 2.5])
    np.testing.assert_array_max_ulp(weights["ill"], np.float32(ill / mean), 1)
    assert {array.dtype.name for array in weights.values()} == {"float32"}


def test_batch_takes_one_index_through_all_inputs(everything):
    arrays = everything.arrays
    rows = np.array([7, 2, 2, 0])
    batch = arrays.take(rows)
    assert len(arrays) == 8
    by_column = arrays.columns(rows)
    assert sorted(by_column) == sorted([*INPUTS, *(f"{key}_present" for key in INPUTS)])
    for key in INPUTS:
        assert np.array_equal(by_column[f"{key}_present"], arrays.present[key][rows])
        if key != "scan":
            assert np.array_equal(by_column[key], arrays.inputs[key].codes[rows])
    names = ["numbers", "blood group", "note", "story", "scan"]  # both numbers are one input, in the order of their names
    assert sorted(batch) == sorted([*names, *(f"{name}_present" for name in names)])
    assert np.array_equal(batch["numbers"], np.concatenate([by_column["dose"], by_column["größe (cm)"]], axis=1))
    assert batch["numbers_present"].tolist() == [[1, 1], [1, 1], [1, 1], [1, 1]]
    assert batch["scan"].reshape(4, 2).tolist() == [[35, 35], [0, 0], [0, 0], [5, 5]]


GARBAGE = {
    "größe (cm)": "999999",
    "dose": "-5e20",
    "blood group": "garbage",
    "note": "garbage words that are many more than before",
    "scan": "3.png",
    "grade": "garbage",
    "price": "-1e9",
    "tags": "garbage;p",
    "ill": "yes",
    "importance": "77",
}


def test_nothing_is_learned_from_other_than_training_rows(everything, tmp_path):
    spoiled = {
        key: values if key == "part" else [value if part == "train" else GARBAGE[key] for value, part in zip(values, PARTS, strict=True)]
        for key, values in TABLE.items()
    }
    other = ready(experiment_in(tmp_path, spoiled))
    assert other.fitted.model_dump_json() == everything.fitted.model_dump_json()
    leaky = encode.fit(other.experiment.columns, other.data.table, np.arange(8), other.experiment.training.class_weights)
    noticed = [key for key in INPUTS if leaky.columns[key] != everything.fitted.columns[key]]
    noticed += [key for key in TARGETS if leaky.targets[key] != everything.fitted.targets[key]]
    assert noticed == [key for key in [*INPUTS, *TARGETS] if key != "scan"]  # nothing is learned from images
    assert len(noticed) == 9


def test_rows_encoded_in_pieces_are_those_encoded_at_once(everything, monkeypatch):
    monkeypatch.setattr(encode, "ENCODE_CHUNK_ROWS", 3)
    again = encode.encode(
        everything.experiment.columns,
        everything.fitted,
        everything.data.table,
        everything.data.stores,
        cache=everything.experiment.data.cache,
    )
    compared = 0
    for key in INPUTS:
        if key != "scan":
            assert np.array_equal(again.inputs[key].codes, everything.arrays.inputs[key].codes)
        assert np.array_equal(again.present[key], everything.arrays.present[key])
        compared += 1
    assert compared == 6


def cached_columns(folder):
    return [entry.path for entry in entries(folder) if entry.kind is COLUMNS]


def test_texts_are_read_once_to_learn_them_and_once_to_encode_them(tmp_path, monkeypatch):
    texts = {f"t{number}": {"role": "text", "ngrams": 1, "column": f"t{number % 10}"} for number in range(11)}
    table = {f"t{number}": [f"w{number} v{row}" for row in range(8)] for number in range(10)} | {"price": TABLE["price"], "part": PARTS}
    target = {"price": {"role": "target", "task": "regression"}, "part": {"role": "split"}}
    tree = {"columns": texts | target, "split": {"method": "column"}}
    write_table(tmp_path / "table.csv", rows_of(table))
    path = write_experiment(tmp_path / "texts.yaml", tree)
    passes = []
    pieces = TableFile.pieces

    def noted(file, headers, *, size):
        passes.append(list(headers))
        return pieces(file, headers, size=size)

    experiment = config.load(path)
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
    train = split_rows(experiment, data.table).holdout.train
    monkeypatch.setattr(TableFile, "pieces", noted)
    fitted = encode.fit(experiment.columns, data.table, train, experiment.training.class_weights)
    learned = passes.copy()
    arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache)
    assert learned == passes[len(learned) :] == [[f"t{number}" for number in range(8)], ["t8", "t9", "t0"]]
    assert list(fitted.columns) == list(arrays.inputs) == list(texts)
    for number in range(11):
        assert fitted.columns[f"t{number}"].words == (f"w{number % 10}", *(f"v{row}" for row in range(5)))
        assert arrays.inputs[f"t{number}"].codes.tolist() == [[4 + row, 3] for row in range(5)] + [[3, 2]] * 3


def is_mapped(array):
    """Whether an array is a view into a file."""
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def test_large_columns_are_taken_from_the_cache_by_the_next_command(everything, tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_column, "MIN_DISK_BYTES", 1)
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path))
    material = everything.experiment.columns, everything.fitted, everything.data.table, everything.data.stores
    first = encode.encode(*material, cache=everything.experiment.data.cache)
    assert len(cached_columns(tmp_path)) == 4  # all inputs but the image; the two numbers are one
    for key in INPUTS:
        assert np.array_equal(first.present[key], everything.arrays.present[key])
        if key != "scan":
            assert is_mapped(first.inputs[key].codes)
            assert np.array_equal(first.inputs[key].codes, everything.arrays.inputs[key].codes)
    for entry in cached_columns(tmp_path):  # a change in the files shows in the arrays: they were not encoded again
        path = entry / COLUMNS.second
        path.write_bytes(path.read_bytes()[:-1] + b"\x40")
    again = encode.encode(*material, cache=everything.experiment.data.cache)
    # The last value of the numbers' presence is that of the height, as they stand in the order of their names.
    assert [again.present[key][-1, 0] for key in INPUTS] == [4, 1, 4, 4, 4, 1]
    mask = np.arange(8) != 2
    encode.encode(
        *material[:2],
        everything.data.table.keep(mask, {2: "gone"}),
        {"scan": everything.data.stores["scan"].select(mask)},
        cache=everything.experiment.data.cache,
    )
    assert len(cached_columns(tmp_path)) == 8  # other rows


class OwnCategory(FittedCategorical):
    """A role of a user's, whose code may change from one command to the next."""


def test_columns_of_a_users_own_role_are_not_kept(everything, tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_column, "MIN_DISK_BYTES", 1)
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path))
    known = everything.fitted.columns["blood group"]
    columns = {"blood group": OwnCategory.model_validate(known.model_dump())}
    arrays = encode.encode(
        everything.experiment.columns,
        everything.fitted.model_copy(update={"columns": columns}),
        everything.data.table,
        {},
        cache=everything.experiment.data.cache,
    )
    assert np.array_equal(arrays.inputs["blood group"].codes, everything.arrays.inputs["blood group"].codes)
    assert cached_columns(tmp_path) == []


def test_column_without_room_in_the_cache_is_told_of(everything, tmp_path, monkeypatch):
    monkeypatch.setattr(encoded_column, "MIN_DISK_BYTES", 128)  # 8 rows: note has 3 ids and a presence of 4 bytes each
    cache = everything.experiment.data.cache.model_copy(update={"folder": tmp_path, "disk": 100})
    told = []
    arrays = encode.encode(
        everything.experiment.columns,
        everything.fitted,
        everything.data.table,
        everything.data.stores,
        cache=cache,
        say=told.append,
    )
    assert np.array_equal(arrays.inputs["note"].codes, everything.arrays.inputs["note"].codes)
    assert told == [
        "dose and 1 more: their encoded cells take 160 bytes and are not kept in the cache: `data.cache.disk` allows 100 bytes. They stay "
        "in memory, until this run ends. To keep them, raise `data.cache.disk`, set `data.cache.folder` to another disk, or remove what is "
        "old with `mmtrain cache clear`.",
        "note: its encoded cells take 128 bytes and are not kept in the cache: `data.cache.disk` allows 100 bytes. They stay in memory, "
        "until this run ends. To keep them, raise `data.cache.disk`, set `data.cache.folder` to another disk, or remove what is old with "
        "`mmtrain cache clear`.",
    ]


def test_columns_json_gives_back_what_was_fitted(everything):
    values = json.loads(everything.fitted.model_dump_json(indent=1))
    assert encode.read_fitted(values) == everything.fitted
    assert list(encode.read_fitted(values).columns) == INPUTS


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"columns": {}}, "Field required"),
        ({"columns": {"a": {"role": "sound"}}, "targets": {}}, "Input tag 'sound' found using 'role'"),
        ([], "Input should be a valid dictionary or instance of Fitted"),
    ],
)
def test_columns_json_of_another_content_is_refused(values, what):
    with pytest.raises(RunError) as caught:
        encode.read_fitted(values)
    assert str(caught.value).startswith(f"columns.json: the file does not hold fitted columns: {what}")
    assert str(caught.value).endswith(". Train again, or restore the folder.")


def raw_of(everything, rows=None):
    """What the saved model is given, by input name."""
    table, raw = everything.data.table, {}
    rows = np.arange(len(table)) if rows is None else rows
    for key, column in everything.fitted.columns.items():
        if key == "scan":
            folder, names = everything.experiment.data.images_folder.path, table.cells(key, rows).fillna("")
            raw[key] = np.array([[(folder / name).read_bytes() if name else b""] for name in names], dtype=object)
        else:
            raw[key] = np.concatenate([column.raw(piece) for piece in table.pieces(everything.experiment.columns[key].column, rows)])
    return raw


def as_tensors(raw):
    import tensorflow as tf

    return {key: tf.constant(values) for key, values in raw.items()}


@pytest.mark.parametrize("left_out", ["scan", pytest.param("", marks=pytest.mark.slow)], ids=["without images", "all"])
def test_saved_encoder_gives_what_was_trained_on_to_the_bit(everything, tmp_path, left_out):
    """Decoders of images take two seconds to trace, twice."""
    import keras

    model = cell_encoder.encoder({key: column for key, column in everything.fitted.columns.items() if key != left_out})
    model.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras", safe_mode=True)
    raw = {key: values for key, values in as_tensors(raw_of(everything)).items() if key != left_out}
    encoded = {key: values for key, values in everything.arrays.take(np.arange(8)).items() if key.removesuffix("_present") != left_out}
    for found in (model(raw), loaded(raw)):
        assert sorted(found) == sorted(encoded)
        for name, values in found.items():
            assert values.dtype.name == encoded[name].dtype.name
            assert np.array_equal(values, encoded[name]), name
    assert len(encoded) == (8 if left_out else 10)


@pytest.mark.slow
def test_saved_encoder_answers_to_anything(everything, tmp_path):
    import keras

    model = cell_encoder.encoder(everything.fitted.columns)
    model.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras", safe_mode=True)
    raw = as_tensors(
        {
            "größe (cm)": np.array([[np.nan], [np.inf], [1e300], [-0.0]]),
            "dose": np.array([[np.nan], [-np.inf], [-1e300], [5e-324]]),
            "blood group": np.array([[""], ["\x00"], [b"\xff\xfe"], ["x" * 10_000]], dtype=object),
            "note": np.array([[""], ["\x00"], [b"\xff\xfe a"], ["a " * 10_000]], dtype=object),
            "story": np.array([["'"], ["\n\t"], [b"a\xffb"], ["a" * 10_000]], dtype=object),
            "scan": np.array([[""], ["\x00"], [b"\xff\xd8\xff"], ["GIF89a" * 10_000]], dtype=object),
        }
    )
    found, again = model(raw), loaded(raw)
    assert all(np.isfinite(values).all() for values in found.values())
    found, again = everything.arrays.layout.split(found), everything.arrays.layout.split(again)
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert found["größe (cm)"][:, 1].numpy().tolist() == [1, 1, 1, 0]
    assert found["dose_present"].numpy().ravel().tolist() == [0, 0, 0, 1]
    assert found["blood group"].numpy().ravel().tolist() == [0, 1, 1, 1]
    # Bytes that are not UTF-8 become the replacement character, a symbol, which is a word that training did not know.
    assert found["note"].numpy().tolist() == [[1, 0, 0], [1, 0, 0], [4, 2, 2], [4, 4, 4]]
    assert found["story"].numpy().tolist() == [[2, 0], [1, 0], [4, 2], [2, 0]]
    assert found["story_present"].numpy().ravel().tolist() == [1, 0, 1, 1]
    assert found["scan"].numpy().reshape(4, 2).tolist() == [[0, 0]] * 4
    assert found["scan_present"].numpy().ravel().tolist() == [0, 0, 0, 0]


WAY = "Divide the rows in another way: set another `split.seed` or `split.method`, or mark other rows train."


@pytest.mark.parametrize(
    ("target", "answers", "message"),
    [
        (
            {"task": "binary", "positive": "b"},
            ["a", "a", "b", "b"],
            "table.csv: y: in the training part, every row has the class 'a'. A target needs at least two classes. " + WAY,
        ),
        (
            {"task": "multiclass"},
            ["a", "a", "b", "c"],
            "table.csv: y: in the training part, every row has the class 'a'. A target needs at least two classes. " + WAY,
        ),
        (
            {"task": "multilabel"},
            [None, None, "a", "b"],
            "table.csv: y: in the training part, no row has a label. Fill in the answers. " + WAY,
        ),
        (
            {"task": "regression"},
            ["1", "1.0", "2", "3"],
            "table.csv: y: in the training part, every row has the same number. A target needs at least two different values. " + WAY,
        ),
    ],
)
def test_training_rows_with_nothing_to_tell_apart_are_refused(tmp_path, target, answers, message):
    table = {"x": ["1", "2", "3", "4"], "y": answers, "part": ["train", "train", "validation", "test"]}
    columns = {"x": {"role": "numeric"}, "y": {"role": "target", **target}, "part": {"role": "split"}}
    write_table(tmp_path / "table.csv", rows_of(table))
    experiment = config.load(write_experiment(tmp_path / "e.yaml", {"columns": columns, "split": {"method": "column"}}))
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
    with pytest.raises(DataError) as caught:
        check_parts(experiment, data.table, split_rows(experiment, data.table).holdout)
    assert str(caught.value) == message
    assert encode.fit(experiment.columns, data.table, np.arange(4), experiment.training.class_weights).targets["y"].columns == {
        "regression": ()
    }.get(target["task"], tuple(sorted({answer for answer in answers if answer})))


@pytest.mark.parametrize(
    ("groups", "monitor", "part"),
    [
        ("aabbcc", "validation_loss", ""),
        ("abccdd", "validation_loss", "training"),
        ("aabcdd", "validation_loss", "validation"),
        ("aabcdd", "validation_ndcg", ""),
    ],
)
def test_parts_without_a_pair_to_rank_are_refused_where_their_loss_counts(tmp_path, groups, monitor, part):
    parts = ["train", "train", "validation", "validation", "test", "test"]
    table = {"x": [*"123456"], "y": [*"010101"], "q": [*groups], "part": parts}
    columns = {"x": {"role": "numeric"}, "y": {"role": "target", "task": "ranking", "group": "q"}, "q": {"role": "group"}}
    write_table(tmp_path / "table.csv", rows_of(table))
    tree = {"columns": columns | {"part": {"role": "split"}}, "split": {"method": "column"}}
    experiment = config.load(write_experiment(tmp_path / "e.yaml", tree | {"training": {"early_stopping": {"monitor": monitor}}}))
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
    with pytest.raises(DataError, match=f"y and q: in the {part} part, no two rows") if part else nullcontext():
        check_parts(experiment, data.table, split_rows(experiment, data.table).holdout)


@pytest.mark.parametrize(
    ("part", "monitor", "message"),
    [
        ("train", "validation_accuracy", "training"),
        ("validation", "validation_loss", "validation"),
        ("validation", "validation_accuracy", ""),
    ],
)
def test_parts_whose_rows_all_weigh_nothing_are_refused_where_the_weights_count(tmp_path, part, monitor, message):
    parts = ["train", "train", "validation", "test"]
    table = {"x": ["1", "2", "3", "4"], "y": ["a", "b", "a", "b"], "w": ["0" if one == part else "1" for one in parts], "part": parts}
    columns = {"x": {"role": "numeric"}, "y": {"role": "target", "task": "multiclass"}, "w": {"role": "weight"}, "part": {"role": "split"}}
    write_table(tmp_path / "table.csv", rows_of(table))
    tree = {"columns": columns, "split": {"method": "column"}, "training": {"early_stopping": {"monitor": monitor}}}
    experiment = config.load(write_experiment(tmp_path / "e.yaml", tree))
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
    with pytest.raises(DataError) if message else nullcontext() as caught:
        check_parts(experiment, data.table, split_rows(experiment, data.table).holdout)
    if message:
        assert str(caught.value) == (
            f"table.csv: w: in the {message} part, no row has a weight above 0. "
            f"Give the rows that are to count a weight, or remove the role. {WAY.replace('train.', f'{part}.')}"
        )


def test_table_without_answers_is_encoded_without_truths(everything, tmp_path):
    cells = {key: values for key, values in TABLE.items() if key not in (*TARGETS, "importance", "part")}
    write_table(tmp_path / "new.csv", rows_of(cells))
    columns = {key: everything.experiment.columns[key] for key in INPUTS}
    arrays = encode.encode(
        everything.experiment.columns,
        everything.fitted,
        read(tmp_path / "new.csv", columns),
        everything.data.stores,
        cache=everything.experiment.data.cache,
    )
    assert (arrays.targets, arrays.weights) == ({}, {})
    assert np.array_equal(arrays.inputs["note"].codes, everything.arrays.inputs["note"].codes)


@pytest.mark.parametrize(
    ("keys", "prefix", "taken", "names"),
    [
        (["a", "größe (cm)"], "encode_", ["a"], ["encode_a", "encode_gr_e_cm"]),
        (["a b", "a-b", "a/b"], "", [], ["a_b", "a-b", "a_b_2"]),
        (["age", "sex"], "target_", ["age", "target_age"], ["own_target_age", "own_target_sex"]),
        (["fusion"], "", ["fusion", "own_fusion"], ["own_own_fusion"]),
    ],
)
def test_free_names_are_those_of_no_input(keys, prefix, taken, names):
    assert list(cell_encoder.unique_layer_names(keys, prefix, taken).values()) == names


def test_columns_called_like_parts_of_the_encoder_are_encoded():
    import pandas as pd

    from mmtrain.columns import Categorical

    fitted = Categorical().fit([pd.Series(["a"], dtype="str")])
    keys = ["encoder", "encode_encoder", "input_layer", "a b", "a_b", " a", "a.", "_"]
    encoder = cell_encoder.encoder(dict.fromkeys(keys, fitted))
    found = encoder(as_tensors({key: np.array([["a"], ["b"]], dtype=object) for key in keys}))
    assert encoder.name not in keys
    found = InputLayout(dict.fromkeys(keys, fitted.spec)).split(found)
    assert {key: found[key].numpy().ravel().tolist() for key in keys} == {key: [2, 1] for key in keys}


@pytest.mark.parametrize(
    ("categories", "cells", "spelled"),
    [
        (("1.0", "2.0"), ["1", "2", "3"], ["1.0", "2.0", "3"]),
        (("001", "1002"), ["1", "1002"], ["001", "1002"]),
        (("1", "1.0"), ["1", "1.00"], ["1", "1.00"]),
        (("False", "True"), ["true", "false"], ["True", "False"]),
        (("no", "yes"), ["true", "1"], ["true", "1"]),
    ],
    ids=["whole numbers", "zeros in front", "two of one value", "truth values", "words"],
)
def test_number_of_a_typed_table_is_the_category_that_training_wrote_otherwise(categories, cells, spelled):
    fitted = FittedCategorical(categories=categories, one_hot=False, width=0, masked=False, missing=0)
    assert fitted.spelled(pd.Series([*cells, None], dtype="str")).fillna("").tolist() == [*spelled, ""]
