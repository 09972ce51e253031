"""Scores of rows by missing pattern, and of all rows without a branch."""

import numpy as np
import pytest

from mmtrain.artifacts.analysis_results import AblatedBranch
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.analyses.missing_inputs import can_be_absent, score_ablated_branches, score_missing_patterns
from mmtrain.evaluation.evaluation_set import MultiTargetEvalSet
from mmtrain.reports.target_results.input_importance import pattern_name, practice
from mmtrain.targets.labels.binary import FittedBinary

ILL = FittedBinary(column="ill", loss_weight=1, classes=("no", "yes"), counts=(10, 10), weights=(1, 1), threshold=0.5)
SECTION = Evaluation(draws=100)


def answered(truth, prediction):
    truths = MultiTargetEvalSet({"y": ILL}, {"y": np.array(truth, dtype=np.int32)}, {"y": "accuracy"}, None)
    return truths.eval_set("y", np.array(prediction, dtype=np.float32)[:, None])


def flags(*rows):
    return {key: np.array([key in row for row in rows]) for key in ("scan", "note", "age")}


def test_rows_are_scored_by_what_is_missing_in_them_the_most_frequent_first():
    rows = answered([1, 1, 0, 0, 1, 0], [0.9, 0.1, 0.2, 0.1, 0.8, 0.9])
    found = score_missing_patterns(rows, flags([], ["scan"], ["scan"], ["scan", "note"], [], ["scan"]), SECTION)
    plain = [one.to_json() for one in found]
    assert [(one["missing"], one["rows"], one["scores"]["accuracy"]["value"]) for one in plain] == [
        (["scan"], 3, pytest.approx(1 / 3)),
        ([], 2, 1.0),
        (["scan", "note"], 1, 1.0),
    ]
    assert plain[1]["scores"]["auc"] == {"value": None, "undefined": "AUC needs both classes; this part has only 'yes'."}
    assert "low" not in plain[1]["scores"]["accuracy"]  # two rows that are right do not make it certain


def test_nothing_is_said_where_nothing_is_missing():
    assert score_missing_patterns(answered([0, 1], [0.5, 0.5]), flags([], []), SECTION) == []


def test_rows_of_rare_patterns_are_one_pattern():
    columns = [f"c{number}" for number in range(12)]
    missing = {column: np.arange(14) == place for place, column in enumerate(columns)}  # a row each, and two rows without a hole
    found = score_missing_patterns(answered([0, 1] * 7, [0.5] * 14), missing, SECTION)
    assert [(one.missing, one.rows) for one in found][::10] == [([], 2), (None, 3)]
    assert len(found) == 11


def test_a_masked_branch_is_compared_with_the_same_rows_as_they_are():
    truth = [0, 1] * 20
    before, after = answered(truth, [0.1, 0.9] * 20), answered(truth, [0.1, 0.9] * 10 + [0.9, 0.1] * 10)
    (found,) = score_ablated_branches(before.resample(SECTION), {"scan": after}, {"scan": 7}, SECTION)
    plain = found.to_json()
    assert (plain["branch"], plain["training_rows_without"], plain["rows"]) == ("scan", 7, 40)
    assert plain["scores"]["accuracy"]["value"] == 0.5
    loss = plain["losses"]["accuracy"]
    assert loss["value"] == 0.5
    assert 0.25 < loss["low"] < 0.5 < loss["high"] < 0.75
    assert plain["losses"]["log_loss"]["value"] > 0  # worse is above 0


@pytest.mark.parametrize(
    ("branches", "masks", "absent"),
    [
        ({"scan": ["scan"], "table": ["age", "sex"]}, {"scan"}, ("scan",)),
        ({"scan": ["scan"], "table": ["age", "sex"]}, {"age"}, ()),
        ({"scan": ["scan"], "table": ["age", "sex"]}, {"age", "sex"}, ("table",)),
        ({"scan": ["scan"]}, {"scan"}, ()),
    ],
)
def test_a_branch_can_be_absent_where_all_its_columns_are_masked_and_it_is_not_the_only_one(branches, masks, absent):
    assert can_be_absent(branches, {column: column in masks for columns in branches.values() for column in columns}) == absent


def test_patterns_and_practice_in_words():
    assert [pattern_name(missing) for missing in ([], ["age"], ["age", "note"], None)] == [
        "nothing",
        "age",
        "age and note",
        "other combinations",
    ]
    assert [practice(AblatedBranch.model_construct(training_rows_without=rows)) for rows in (0, 1, 1200)] == [
        "never missing, so the network did not learn to do without it",
        "missing in 1 row",
        "missing in 1,200 rows",
    ]
