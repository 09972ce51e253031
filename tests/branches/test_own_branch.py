"""A branch in a file of a user's own, with parameter groups and tokens, from its schema to its export."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import lines, paint, ready, write_experiment, write_table

from mmtrain import config
from mmtrain.branches import architectures
from mmtrain.cli.app import run as run_command
from mmtrain.config import json_schema
from mmtrain.errors import UsageError
from mmtrain.system.user_code import import_code

OWN = '''
"""Patches of an image as tokens, numbers that look at their presence themselves, and one that does not."""

from typing import Annotated

from pydantic import Field

from mmtrain.branches import Features, branch


@branch("image", most_columns=1, groups=("backbone", "head"))
def patches_of_a_test(inputs, *, width: Annotated[int, Field(ge=1)] = 4):
    """Patches of two by two pixels."""
    import keras

    from mmtrain.layers.network import Brightness01

    (image,) = inputs.values()
    convolution, dense = keras.layers.Conv2D(width, 2, strides=2), keras.layers.Dense(width)
    maps = convolution(Brightness01(levels=image.spec.levels)(image.tensor))
    tokens = keras.layers.Reshape((-1, width))(maps)
    return Features(dense(keras.layers.GlobalAveragePooling2D()(maps)), tokens, {"backbone": [convolution], "head": [dense]})


@branch("vector")
def gated_of_a_test(inputs):
    """Each number times its presence, next to the presence."""
    import keras

    shown = [one for one in inputs.values() if one.present is not None]
    numbers = [one.tensor if one.present is None else keras.layers.Multiply()([one.tensor, one.present]) for one in inputs.values()]
    return Features(keras.layers.Dense(3)(keras.layers.Concatenate()([*numbers, *(one.present for one in shown)])))


@branch("vector")
def careless_of_a_test(inputs):
    """Does not look at presence."""
    import keras

    return Features(keras.layers.Dense(3)(keras.layers.Concatenate()([one.tensor for one in inputs.values()])))


@branch("vector")
def broken_of_a_test(inputs):
    """Gives a layer a width that is none."""
    import keras

    return Features(keras.layers.Dense("three")(keras.layers.Concatenate()([one.masked() for one in inputs.values()])))


def concatenated(inputs):
    import keras

    return keras.layers.Concatenate()([one.masked().tensor for one in inputs.values()])


@branch("vector")
def deep_of_a_test(inputs):
    """Returns an axis too many."""
    import keras

    return Features(keras.layers.Reshape((1, -1))(concatenated(inputs)))


@branch("vector")
def constant_of_a_test(inputs):
    """Returns an array."""
    import numpy as np

    concatenated(inputs)
    return Features(np.zeros((1, 3)))


@branch("vector")
def loose_of_a_test(inputs):
    """Returns what another input becomes."""
    import keras

    concatenated(inputs)
    return Features(keras.layers.Dense(3)(keras.Input((4,))))


@branch("vector")
def ending_of_a_test(inputs):
    """Ends the program, without an error."""
    raise SystemExit(0)
'''
NAMES = tuple(f"{name}_of_a_test" for name in ("patches", "gated", "careless", "broken", "deep", "constant", "loose", "ending"))
TREE = """
name: own
columns:
  scan: {role: image, size: [4, 4], channels: 1, missing: mask}
  age: {role: numeric, missing: mask}
  dose: {role: numeric}
  y: {role: target, task: binary}
branches:
  scan: {columns: [scan], architecture: patches_of_a_test, width: 3}
  numbers: {columns: [age, dose], architecture: gated_of_a_test}
fusion: {method: attention, width: 4, heads: 2, units: [4]}
split: {method: random, validation: 0.25, test: 0.25}
training:
  batch_size: 16
  deterministic: true
  stages: [{epochs: 1, unfreeze: [scan.head, fusion, targets]}, {epochs: 2, learning_rate: {scan.backbone: 1.0e-4}}]
evaluation: {draws: 100, baselines: [majority]}
"""


@pytest.fixture
def folder(tmp_path):
    """A table and an experiment with these branches, registered for the time of a test."""
    rows = []
    for row in range(60):
        paint(tmp_path / f"{row}.png", np.random.default_rng(row).integers(1, 256, (4, 4)).astype(np.uint8))
        rows.append(
            {"scan": "" if row % 7 == 1 else f"{row}.png", "age": "" if row % 5 == 1 else row % 9, "dose": row % 4, "y": "ny"[row % 2]}
        )
    write_table(tmp_path / "table.csv", rows)
    write_experiment(tmp_path / "own.yaml", TREE)
    (tmp_path / "own_branches.py").write_text(OWN, encoding="utf-8")
    import_code([tmp_path / "own_branches.py"])
    yield tmp_path
    for name in NAMES:
        architectures.remove(name)
    for module in [name for name in sys.modules if name.endswith("own_branches")]:
        del sys.modules[module]


def test_schema_and_file_know_the_options_and_groups_of_ones_own_branch(folder):
    assert json_schema()["$defs"]["PatchesOfATestBranch"]["properties"]["width"]["default"] == 4
    experiment = config.load(folder / "own.yaml")
    assert experiment.branches["scan"].groups == ("backbone", "head")
    assert experiment.branches["scan"].width == 3


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.slow
def test_halves_of_a_network_with_tokens_say_what_the_whole_says(folder):
    from mmtrain.model.branch_features import SplitPredictor
    from mmtrain.model.model_file import compile_predictor
    from mmtrain.pipeline.build import assemble_network

    found = ready(folder / "own.yaml")
    models, rows = assemble_network(found.experiment, found.fitted), np.arange(20)
    assert list(models.groups) == [
        "branches.scan",
        "branches.scan.backbone",
        "branches.scan.head",
        "branches.numbers",
        "fusion",
        "targets.y",
    ]
    halves = SplitPredictor(models.predictor, found.experiment.branches, found.experiment.columns, found.fitted)
    features = halves.features(found.arrays, rows)
    assert {key: tokens.shape for key, tokens in features.tokens.items()} == {"scan": (20, 4, 3)}
    batch = found.arrays.take(rows)
    assert np.allclose(halves.predictions(features)["y"], compile_predictor(models.predictor)(batch)["y"], atol=1e-6)
    scans = found.arrays.of(["scan"]).take(rows[::-1])
    mixed = features.replace_branch("scan", *halves.of_branch("scan", found.arrays, {"scan": rows[::-1]}))
    for swapped in (mixed, features.take_branch("scan", rows[::-1])):
        assert np.allclose(halves.predictions(swapped)["y"], compile_predictor(models.predictor)(batch | scans)["y"], atol=1e-6)
    absent = batch | {"scan_present": np.zeros((20, 1), np.float32)}
    assert np.allclose(halves.predictions(features.without("scan"))["y"], compile_predictor(models.predictor)(absent)["y"], atol=1e-6)


@pytest.mark.usefixtures("tensorflow")
def test_the_branch_of_the_page_on_extending_is_built(folder):
    from mmtrain.pipeline.build import assemble_network

    page = Path(__file__).parents[2] / "docs" / "extending.md"
    code = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    (folder / "page_own_branches.py").write_text(code, encoding="utf-8")
    import_code([folder / "page_own_branches.py"])
    try:
        found = ready(folder / "own.yaml", ["branches.numbers.architecture=residual"])
        assert "branches.numbers.head" in assemble_network(found.experiment, found.fitted).groups
    finally:
        architectures.remove("residual")


@pytest.mark.usefixtures("tensorflow")
def test_tokens_that_the_fusion_does_not_read_are_not_computed(folder):
    from mmtrain.pipeline.build import assemble_network

    found = ready(folder / "own.yaml", ["fusion={method: concatenate}"])
    branch = assemble_network(found.experiment, found.fitted).network.get_layer("branch_scan")
    assert [type(layer).__name__ for layer in branch.layers].count("Reshape") == 0


@pytest.mark.usefixtures("tensorflow")
def test_a_branch_that_does_not_read_presence_is_refused(folder):
    from mmtrain.pipeline.build import assemble_network

    found = ready(folder / "own.yaml", ["branches.numbers.architecture=careless_of_a_test"])
    with pytest.raises(UsageError) as caught:
        assemble_network(found.experiment, found.fitted)
    assert str(caught.value) == (
        "architecture careless_of_a_test: it does not read the presence of age, so it would read values that are not there. "
        "Start from `inputs[column].masked()`, or read `inputs[column].present` yourself."
    )


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("gated_of_a_test", ""),
        ("careless_of_a_test", "architecture careless_of_a_test: it does not read the presence of age"),
        ("broken_of_a_test", "own_branches.py:48: the network could not be built: ValueError: "),
        ("deep_of_a_test", "architecture deep_of_a_test: its vector has the shape (None, 1, 3). Return a vector, (batch, width), that "),
        ("constant_of_a_test", "its vector is of the type ndarray, not a tensor of Keras."),
        ("loose_of_a_test", "architecture loose_of_a_test: its vector does not follow from its inputs: "),
        ("ending_of_a_test", "own_branches.py:86: the network could not be built: SystemExit: 0."),
    ],
)
def test_check_builds_ones_own_branches(folder, architecture, message):
    from mmtrain.commands.check import check

    overrides = [f"branches.numbers.architecture={architecture}"]
    if not message:
        assert check(folder / "own.yaml", overrides=overrides).rows == 60
        return
    with pytest.raises(UsageError) as caught:
        check(folder / "own.yaml", overrides=overrides)
    assert message in str(caught.value)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_ones_own_branch_is_checked_trained_scored_explained_and_exported(folder, capsys):
    code = ["--code", str(folder / "own_branches.py")]
    assert run_command(["check", str(folder / "own.yaml"), *code]) == 0
    assert run_command(["fit", str(folder / "own.yaml"), "--output", str(folder / "runs"), *code]) == 0
    run = folder / "runs" / "own" / "1"
    assert [line["epoch"] for line in lines(run / "metrics.jsonl")] == [1, 2, 3]
    assert run_command(["evaluate", str(run), *code]) == 0
    assert "y" in json.loads((run / "metrics.json").read_text())["test"]
    assert run_command(["explain", str(run), *code]) == 0
    for name in ("saved_model", "onnx", "keras"):
        assert run_command(["export", str(run), "--format", name, *code]) == 0, capsys.readouterr().err
