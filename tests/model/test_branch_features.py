"""The predictor cut before its fusion: both halves together say what the whole says, also of rows that are mixed."""

import numpy as np
import pytest
from tiny import paint, ready, write_experiment, write_table

FUSIONS = ["concatenate", pytest.param("attention", marks=pytest.mark.slow)]  # tests/model/test_members.py cuts it, too
TREE = """
columns:
  image: {role: image, size: [8, 8], channels: 1, missing: mask}
  age: {role: numeric}
  sex: {role: categorical}
  note: {role: text, vectorize: tfidf, missing: mask}
  sick: {role: target, task: binary}
  price: {role: target, task: regression}
branches:
  image: {columns: [image], architecture: cnn, filters: [4]}
  table: {columns: [age, sex], architecture: mlp, units: [4]}
  note: {columns: [note], architecture: mlp, units: [4]}
"""
ROWS = np.array([3, 1, 17, 8, 5])
OTHERS = np.array([8, 3, 1, 5, 17])


@pytest.fixture(scope="module", params=FUSIONS)
def network(request, tmp_path_factory, tensorflow):
    from mmtrain.model.branch_features import SplitPredictor
    from mmtrain.pipeline.build import assemble_network

    folder = tmp_path_factory.mktemp(request.param)
    rows = []
    for row in range(20):
        paint(folder / f"{row}.png", 10 * row)
        cells = {
            "image": "" if row % 4 == 1 else f"{row}.png",
            "age": row,
            "sex": "fm"[row % 2],
            "note": "" if row % 5 == 3 else f"w{row % 3}",
        }
        rows.append({**cells, "sick": "yn"[row % 3 == 0], "price": row * 2})
    write_table(folder / "table.csv", rows)
    prepared = ready(write_experiment(folder / "a.yaml", TREE), [f"fusion.method={request.param}"])
    predictor = assemble_network(prepared.experiment, prepared.fitted).predictor
    return prepared, predictor, SplitPredictor(predictor, prepared.experiment.branches, prepared.experiment.columns, prepared.fitted)


def whole(network, **rows):
    """What the predictor says where each column is taken from the rows given for it, by default from `ROWS`."""
    from mmtrain.model.model_file import compile_predictor

    prepared, predictor, _ = network
    batch = {}
    for key in prepared.arrays.inputs:
        batch |= {name: values for name, values in prepared.arrays.take(rows.get(key, ROWS)).items() if name in (key, f"{key}_present")}
    return compile_predictor(predictor)(batch)


def test_both_halves_say_what_the_whole_says(network):
    prepared, _, halves = network
    found = halves.predictions(halves.features(prepared.arrays, ROWS))
    for key, values in whole(network).items():
        assert np.allclose(found[key], values, atol=1e-5), key


def test_a_branch_that_saw_other_rows_is_mixed_in_without_computing_it_anew(network):
    prepared, _, halves = network
    features = halves.features(prepared.arrays, ROWS)
    places = np.array([3, 0, 1, 4, 2])  # of OTHERS in ROWS
    found = halves.predictions(features.take_branch("image", places))
    assert np.allclose(found["price"], whole(network, image=OTHERS)["price"], atol=1e-5)
    assert not np.allclose(found["price"], whole(network)["price"], atol=1e-5)


def test_one_column_of_a_branch_may_come_from_other_rows(network):
    prepared, _, halves = network
    features = halves.features(prepared.arrays, ROWS)
    mixed = features.replace_branch("table", *halves.of_branch("table", prepared.arrays, {"age": OTHERS, "sex": ROWS}))
    assert np.allclose(halves.predictions(mixed)["price"], whole(network, age=OTHERS)["price"], atol=1e-5)


def test_a_branch_that_is_left_out_is_one_that_no_row_has(network):
    prepared, _, halves = network
    found = halves.predictions(halves.features(prepared.arrays, ROWS).without("image"))
    absent = np.array([1, 5, 9, 13, 17])  # rows without an image
    assert np.allclose(found["sick"], whole(network, image=absent)["sick"], atol=1e-5)


def test_branches_are_compiled_without_a_warning_however_many_there_are(network, caplog):
    from mmtrain.model.branch_features import SplitPredictor

    prepared, predictor, _ = network
    for _ in range(2):  # six branches
        SplitPredictor(predictor, prepared.experiment.branches, prepared.experiment.columns, prepared.fitted).features(
            prepared.arrays, ROWS
        )
    assert caplog.records == []
