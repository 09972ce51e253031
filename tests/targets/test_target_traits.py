"""What a task states about itself holds for every registered task, and nobody outside of the targets asks for its name."""

import ast
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from tiny import nodes, package_trees

from mmtrain.metrics import score
from mmtrain.metrics.score import METRICS, Metric
from mmtrain.reports.figures.plot_selection import PLOTS
from mmtrain.targets import (
    BinaryTarget,
    CountTarget,
    FittedTarget,
    GaussianTarget,
    MulticlassTarget,
    MultilabelTarget,
    OrdinalTarget,
    QuantileTarget,
    RankingTarget,
    RegressionTarget,
    SurvivalTarget,
    Target,
    TaskTraits,
    VectorTarget,
    tasks,
)
from mmtrain.targets.base import fitted_tasks, task

EXAMPLES = {
    "binary": (BinaryTarget(column="y"), ["no", "yes", "no", "yes"]),
    "multiclass": (MulticlassTarget(column="y"), ["a", "b", "c", "a"]),
    "multilabel": (MultilabelTarget(column="y"), ["a;b", "a", "none", "b"]),
    "regression": (RegressionTarget(column="y", error="absolute"), ["0.5", "2", "-1", "4"]),
    "ordinal": (OrdinalTarget(column="y"), ["2", "1", "3", "1"]),
    "count": (CountTarget(column="y", distribution="negative_binomial"), ["0", "2", "1", "4"]),
    "gaussian": (GaussianTarget(column="y"), ["0.5", "2", "-1", "4"]),
    "quantiles": (QuantileTarget(column="y"), ["0.5", "2", "-1", "4"]),
    "ranking": (RankingTarget(column="y", group="q"), {"y": ["0", "2", "1", "3"], "q": ["a", "a", "a", "b"]}),
    "survival": (SurvivalTarget(column="y", time="t", event="d", intervals=2), {"t": ["1", "2.5", "3", "4"], "d": ["1", "0", "1", "1"]}),
    "vector": (VectorTarget(column="y", columns=("a", "b")), {"a": ["1", "2", "4", "0"], "b": ["0.5", "-1", "1", "0"]}),
    # Options by which answers or predictions have another shape.
    "count with exposure": (CountTarget(column="y", exposure="t"), {"y": ["0", "2", "1", "4"], "t": ["0.5", "2", "1", "3"]}),
    "survival by cox": (
        SurvivalTarget(column="y", time="t", event="d", method="cox"),
        {"t": ["1", "2", "3", "4"], "d": ["1", "0", "1", "1"]},
    ),
}


def cells_of(name):
    """The example's cells by header."""
    words = EXAMPLES[name][1]
    return {header: pd.Series(column, dtype="str") for header, column in (words if isinstance(words, dict) else {"y": words}).items()}


TASKS = sorted(tasks)


@pytest.fixture(params=sorted(EXAMPLES))
def example(request):
    """A fitted target of each example, encoded answers, raw outputs of a network and what becomes of them."""
    cells = cells_of(request.param)
    fitted = EXAMPLES[request.param][0].fit(cells, "none")
    raw = np.linspace(-1, 1, 4 * fitted.raw_units, dtype=np.float32).reshape(4, -1)
    return fitted, fitted.truth(cells), raw


def prediction_of(fitted, raw):
    return np.asarray(fitted.activation("prediction")(raw))


def as_text(columns):
    return {name: pd.Series(values).astype(str).replace("", pd.NA).astype("str") for name, values in columns.items()}


def test_every_task_has_an_example():
    assert {name.partition(" ")[0] for name in EXAMPLES} == set(tasks) == set(fitted_tasks)


@pytest.mark.parametrize("name", TASKS)
def test_traits_are_consistent_and_equal_for_declared_and_fitted_target(name):
    stated, fitted = tasks[name], fitted_tasks[name]
    attributes = [attribute for attribute in TaskTraits.__annotations__ if not attribute.startswith("_")]
    assert len(attributes) == 19
    assert {trait: getattr(stated, trait) for trait in attributes} == {trait: getattr(fitted, trait) for trait in attributes}
    assert stated.title
    assert stated.meaning.format(last="x") != TaskTraits.meaning
    assert [stated.has_classes, stated.has_labels, stated.is_continuous].count(True) == 1
    assert stated.main_metric in {metric.name for metric in stated.metrics}
    assert all(METRICS[metric.name] == metric for metric in (*stated.metrics, *stated.label_metrics))
    assert set(stated.plots) <= set(PLOTS)
    assert not (stated.thresholdable or stated.calibratable) or stated.has_classes or stated.has_labels


def test_scores_are_the_metrics_that_the_task_states(example, tensorflow):
    fitted, truth, raw = example
    labels = [f"{metric.name}[{label}]" for label in fitted.columns for metric in fitted.label_metrics]
    found = [score.name for score in fitted.scores(truth, prediction_of(fitted, raw))]
    assert sorted(found) == sorted([*(metric.name for metric in fitted.metrics), *labels])
    assert found[0] == fitted.metrics[0].name


def test_truths_are_as_their_spec_says(example):
    fitted, truth, _ = example
    assert truth.shape == (4, *fitted.truth_spec.shape)
    assert truth.dtype == fitted.truth_spec.dtype


def test_head_makes_the_raw_output_in_one_named_layer(example, tensorflow):
    import keras

    fitted, _, _ = example
    features = keras.Input((3,))
    model = keras.Model(features, fitted.head(features, "target_y"))
    assert model.output.shape == (None, fitted.raw_units)
    assert model.get_layer("target_y").output is model.output


def test_loss_is_the_mean_of_weighted_row_losses(example, tensorflow):
    fitted, truth, raw = example
    weight = np.array([1, 0, 2, 0.5], dtype=np.float32)
    each = fitted.row_loss(truth, raw)
    assert each.shape == (4,)
    # Where rows are compared, each has its weight in the losses of the others as well.
    weighted = fitted.weighted_losses(truth, raw, weight) if fitted.compares_rows else each * weight
    assert float(fitted.loss(truth, raw, weight)) == float(tensorflow.reduce_mean(weighted))


def test_loss_has_a_gradient_where_all_raw_values_are_zero(example, tensorflow):
    # A linear model begins there; a softplus made of relu and abs has no gradient at 0.
    fitted, truth, raw = example
    zeros = tensorflow.Variable(np.zeros_like(raw))
    with tensorflow.GradientTape() as tape:
        loss = tensorflow.reduce_sum(fitted.row_loss(tensorflow.constant(truth), zeros))
    gradient = tape.gradient(loss, zeros).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient != 0).any(axis=0).all()


def test_columns_of_predictions_and_truths_are_read_again(example, tensorflow):
    fitted, truth, raw = example
    prediction = prediction_of(fitted, raw)
    outputs = fitted.outputs(prediction)
    further = [name for name in fitted.number_columns if name != "prediction"]
    assert list(outputs) == ["prediction", *(f"probability_{name}" for name in fitted.columns), *further]
    assert len(fitted.number_columns) in (0, fitted.units)
    assert list(fitted.outputs(prediction, probabilities=False)) == ["prediction", *further]
    np.testing.assert_array_equal(fitted.parse_outputs(as_text(outputs)).astype(np.float32), prediction)
    columns = as_text(fitted.truth_columns(truth))
    np.testing.assert_array_equal(fitted.parse_truth(columns), truth)
    if fitted.columns:
        counts = fitted.count_answers(columns["truth"].fillna(""))
        assert counts == dict(zip(fitted.columns, fitted.class_counts.values(), strict=True))


def test_missing_probability_is_refused(tensorflow):
    target, words = EXAMPLES["multiclass"]
    fitted = target.fit({"y": pd.Series(words, dtype="str")}, "none")
    columns = {f"probability_{name}": pd.Series(["0.5", None], dtype="str") for name in fitted.columns}
    with pytest.raises(ValueError, match=r"^A probability is missing\.$"):
        fitted.parse_outputs(columns)


@pytest.mark.parametrize("name", TASKS)
def test_task_stratifies_where_each_row_has_a_class(name):
    target = EXAMPLES[name][0]
    assert (target.strata(cells_of(name)) is not None) is target.stratifies


def test_threshold_is_that_of_thresholdable_targets_alone(example):
    fitted, _, _ = example
    changed = fitted.with_threshold(0.3)
    assert (changed.decision_threshold == 0.3) is fitted.thresholdable
    assert changed.with_threshold() == fitted


def test_task_makes_its_metrics_known():
    class Traits(TaskTraits):
        metrics = (Metric("deviance_of_this_test", higher_is_better=False),)

    class Fitted(Traits, FittedTarget):
        task: Literal["own"] = "own"

    class Own(Traits, Target):
        task: Literal["own"] = "own"

    try:
        task("own", Fitted)(Own)
        assert not METRICS["deviance_of_this_test"].higher_is_better
        assert METRICS["deviance_of_this_test"].title == "Deviance of this test"
    finally:
        tasks.remove("own")
        fitted_tasks.remove("own")
        score._METRICS.pop("deviance_of_this_test", None)


NAMING = {
    "synonyms.py": "lists usual words for every name of an experiment file, below everything that could state them",
    "audit/profiling/infer_target.py": "guesses which task to write into a new experiment file",
    "api/estimators.py": "chooses the task that scikit-learn's classifiers and regressors are",
    "config/experiment.py": "shows an example in the schema",
    "metrics/on_request/declared.py": "says which tasks each metric is for",
    "export/hub.py": "writes the tags of model hubs, which have such words, too",
    "evaluation/reference_models/tabicl.py": "`quantiles` is TabICL's word for an output of its regressor",
    "serving/http/openapi.py": "`format: binary` is OpenAPI's word for bytes",
}
"""Modules outside of the targets that may name a task, and why."""


ALSO_OTHER_WORDS = {"count", "vector"}
"""Tasks whose names are words for other things as well: a number of rows, a kind of tensor."""


def test_no_module_outside_of_the_targets_names_a_task():
    names = set(tasks) - ALSO_OTHER_WORDS
    outside = {place: tree for place, tree in package_trees().items() if not place.startswith("targets/")}
    named = {
        place for place, tree in outside.items() if any(isinstance(node, ast.Constant) and node.value in names for node in nodes(tree))
    }
    assert named == set(NAMING)
    compared = [
        place
        for place in NAMING
        for node in nodes(outside[place])
        if isinstance(node, ast.Compare) and any(isinstance(part, ast.Constant) and part.value in names for part in ast.walk(node))
    ]
    assert compared == []


def test_a_task_is_its_file_and_its_registration():
    """What a task of the package touches: its module, and the list of imports; nothing outside of the targets reads either."""
    places = {name: set() for name in tasks}
    for place, tree in package_trees().items():
        imported = {node.module for node in nodes(tree) if isinstance(node, ast.ImportFrom)}
        for name in tasks:
            if tasks[name].__module__ in imported:
                places[name].add(place)
    outside = {name: {place for place in found if not place.startswith("targets/")} for name, found in places.items()}
    assert {name: found for name, found in outside.items() if found} == {}
    assert all("targets/__init__.py" in found for found in places.values())
    # Those that another task is built on: a base class, or helpers of two kinds of labels.
    several = {name for name, found in places.items() if len(found) > 1}
    assert several <= {"binary", "multiclass", "multilabel", "regression"}, places


def test_no_module_outside_of_the_targets_knows_the_class_of_a_task():
    classes = {
        node.name
        for place, tree in package_trees().items()
        if place.startswith("targets/")
        for node in nodes(tree)
        if (isinstance(node, ast.ClassDef) and node.name.endswith(("Target", "Traits")))
        or (isinstance(node, ast.ClassDef) and node.name.startswith("Fitted"))
    } - {"Target", "FittedTarget", "AnyTarget", "AnyFittedTarget", "TaskTraits"}
    assert {"FittedBinary", "BinaryTarget", "ClassTarget", "FittedMultilabel", "RegressionTraits"} <= classes
    known = {
        (place, node.id if isinstance(node, ast.Name) else node.name)
        for place, tree in package_trees().items()
        if not place.startswith("targets/")
        for node in nodes(tree)
        if (isinstance(node, ast.Name) and node.id in classes) or (isinstance(node, ast.alias) and node.name in classes)
    }
    assert known == set()


@pytest.mark.parametrize(
    ("name", "truth", "known"),
    [
        ("binary", [0, -1, 1], [True, False, True]),
        ("multiclass", [2, 0, -1], [True, True, False]),
        ("multilabel", [[1, -1, 0], [-1, -1, -1], [0, 0, 0]], [True, False, True]),
        ("regression", [0.0, np.nan, -1.0], [True, False, True]),
        ("count", [0.0, np.nan, 3.0], [True, False, True]),
        ("ranking", [[1.0, 7.0], [np.nan, 7.0], [2.0, np.nan]], [True, False, False]),
        ("survival", [[1.0, 0.0], [np.nan, np.nan], [2.0, 1.0]], [True, False, True]),
        ("vector", [[1.0, np.nan], [np.nan, np.nan], [2.0, 1.0]], [True, False, True]),
    ],
)
def test_known_rows_have_an_answer_that_training_knows(name, truth, known):
    fitted = EXAMPLES[name][0].fit(cells_of(name), "none")
    assert fitted.known_rows(np.array(truth, dtype=fitted.truth_spec.dtype)).tolist() == known
