"""One class per result: nothing of it exists twice, and its JSON is documented."""

import ast
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from tiny import nodes, package_trees

import mmtrain
from mmtrain.artifacts.analysis_results import Gap, Subgroup
from mmtrain.artifacts.command_results import ExplainedRow
from mmtrain.artifacts.inspection_results import InspectedTable, Inspection
from mmtrain.artifacts.results import BaselineResult, TargetResult
from mmtrain.columns.base import Guess
from mmtrain.errors import Problem
from mmtrain.metrics.score import Score
from mmtrain.result_model import FullResult, plain_values
from mmtrain.text.label_lists import LabelLists

PACKAGE = Path(mmtrain.__file__).parent
UNTYPED = {"Mapping[str, Any]", "dict[str, Any]", "Mapping[str, object]", "dict[str, object]"}
SCORES = {"auc": {"value": 0.75, "low": 0.5, "high": 0.875}, "f1": {"value": None, "undefined": "No rows."}}
RESULT = {
    "task": "binary",
    "rows": 4,
    "unknown_answers": 1,
    "scores": SCORES,
    "baselines": [{"kind": "majority", "label": "majority", "name": "class shares", "scores": SCORES, "differences": {}}],
}


def functions(folder):
    """Every function of a folder with its file."""
    for module, tree in package_trees().items():
        for node in nodes(tree) if module.startswith(folder) else ():
            if isinstance(node, ast.FunctionDef):
                yield Path(module), node


def test_no_result_is_turned_into_a_map_by_hand():
    methods = [
        f"{path}: {node.name}"
        for path, node in functions("")
        if node.name == "plain" and node.args.args and node.args.args[0].arg == "self" and path.name != "numerals.py"
    ]
    assert methods == []


@pytest.mark.parametrize("room", ["reports", "cli"])
def test_results_are_taken_as_objects(room):
    taken = [
        f"{path}: {node.name}({argument.arg})"
        for path, node in functions(f"{room}/")
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.annotation is not None and any(untyped in ast.unparse(argument.annotation) for untyped in UNTYPED)
    ]
    assert taken == []


def test_a_result_read_from_its_json_is_the_same():
    result = TargetResult.model_validate(RESULT)
    assert result.to_json() == RESULT
    assert TargetResult.model_validate(json.loads(json.dumps(result.to_json()))) == result
    assert result.scores["auc"].name == "auc"
    assert isinstance(result.baselines[0], BaselineResult)


def test_fields_without_content_are_left_out_and_required_ones_are_null():
    subgroup = Subgroup(name=None, rows=0, scores={"auc": Score("auc", None, "No rows.")})
    assert subgroup.to_json() == {"name": None, "rows": 0, "scores": {"auc": {"value": None, "undefined": "No rows."}}}
    assert Gap(best=None, worst="a", value=0.0, compared=2).to_json() == {"best": None, "worst": "a", "value": 0.0, "compared": 2}


def test_results_are_frozen_and_strict():
    score = Score("auc", 0.5)
    with pytest.raises(ValueError, match="frozen"):
        score.value = 1.0
    with pytest.raises(ValueError, match="valid number"):
        TargetResult.model_validate(RESULT | {"scores": {"auc": {"value": "0.5"}}})
    with pytest.raises(ValueError, match="an interval has two ends"):
        Score("auc", 0.5, low=0.1)


def test_results_inside_of_plain_values_become_plain():
    assert plain_values({"a": [Score("auc", 0.5)], "b": (1, None)}) == {"a": [{"value": 0.5}], "b": [1, None]}


def test_strongest_columns_are_those_with_the_largest_attribution_and_a_value():
    row = ExplainedRow.model_construct(attributions={"a": 0.1, "b": -0.9, "c": 0.0}, missing=["c"])
    assert (row.strongest(1), row.strongest(3)) == ({"b": -0.9}, {"b": -0.9, "a": 0.1})


def field_types(kind, known):
    """Every type in the fields of a result class and of those that it holds."""
    for argument in get_args(kind):
        field_types(argument, known)
    if isinstance(kind, type) and not get_args(kind) and kind not in known:
        known.add(kind)
        for field in getattr(kind, "model_fields", {}).values():
            field_types(field.annotation, known)
    elif kind is Any:
        known.add(kind)
    return known


@pytest.mark.parametrize("document", [Inspection, InspectedTable])
def test_all_that_inspect_data_shows_are_frozen_result_classes(document):
    """Problems and label lists come from floors without pydantic."""
    types = field_types(document, set())
    assert Any not in types
    classes = {kind for kind in types if getattr(kind, "__module__", "").startswith("mmtrain")} - {Problem, LabelLists}
    assert len(classes) >= 7
    assert all(issubclass(kind, FullResult) and kind.model_config["frozen"] for kind in classes)


def test_a_full_result_has_its_empty_fields():
    assert Guess(role="id", reason="x", evidence=3).to_json() == {
        "role": "id",
        "reason": "x",
        "options": {},
        "used": True,
        "missing_words": [],
    }
