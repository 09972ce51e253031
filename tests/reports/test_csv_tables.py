"""The numbers of a report as CSV."""

import numpy as np

from mmtrain.evaluation.scoring import TargetScores
from mmtrain.reports import analysis_tables, csv_tables
from mmtrain.reports.report_data import EvaluatedSplit, confusion_of


def test_numbers_have_intervals_and_every_baseline():
    score = {"auc": {"value": 0.75, "low": 0.5, "high": 0.875}, "f1": {"value": None, "undefined": "no row, no score"}}
    less = {"auc": {"value": 0.25, "low": -0.25, "high": 0.5}, "f1": {"value": None}}
    beside = [{"name": "a", "scores": score, "differences": less}, {"name": "b,c", "scores": score}]
    part = EvaluatedSplit("test", "t.csv", {"ill": {"task": "binary", "rows": 9, "scores": score, "baselines": beside}}, None, {})
    assert csv_tables.scores(part).to_csv(index=False).splitlines() == [
        "target,predictor,score,value,low,high,difference,difference_low,difference_high,rows,note",
        *("ill,model,auc,0.75,0.5,0.875,,,,9,", 'ill,model,f1,,,,,,,9,"no row, no score"'),
        *("ill,a,auc,0.75,0.5,0.875,0.25,-0.25,0.5,9,", 'ill,a,f1,,,,,,,9,"no row, no score"'),
        *('ill,"b,c",auc,0.75,0.5,0.875,,,,9,', 'ill,"b,c",f1,,,,,,,9,"no row, no score"'),
    ]


def test_numbers_of_classes_are_those_of_the_table():
    result = {"classes": ["a", "b", "c"], "confusion": [[3, 1, 0], [1, 1, 0], [0, 0, 0]]}
    part = EvaluatedSplit("test", "t.csv", {"kind": result, "price": {}}, None, {})
    assert csv_tables.classes(part).to_csv(index=False).splitlines() == [
        "target,class,rows,predicted,recall,precision,f1",
        "kind,a,4,4,0.75,0.75,0.75",
        "kind,b,2,2,0.5,0.5,0.5",
        "kind,c,0,0,,,",
    ]


def test_numbers_of_calibration_have_a_line_per_bin():
    one = {"said": 0.25, "share": 0.5, "low": 0.25, "high": 0.75, "rows": 8}
    found = {"before": {"ece": 0.25, "bins": [one, one | {"rows": 9}]}, "after": {"ece": 0.1, "bins": [one | {"said": 0.5}]}}
    table = analysis_tables.tables({"ill": {"calibration": found}})["calibration"]
    assert table.to_csv(index=False).splitlines() == [
        "target,probabilities,said,share,low,high,rows",
        "ill,network,0.25,0.5,0.25,0.75,8",
        "ill,network,0.25,0.5,0.25,0.75,9",
        "ill,calibrated,0.5,0.5,0.25,0.75,8",
    ]


def test_confusion_of_many_classes_has_the_pairs_that_occur():
    """metrics.json has no matrix of them, which would grow with the square of the classes."""
    classes = tuple(f"k{number}" for number in range(101))
    matrix = np.zeros((101, 101), dtype=np.int64)
    matrix[0, 0], matrix[0, 100], matrix[7, 3] = 5, 1, 2
    scores = TargetScores("kind", "multiclass", 8, 0, (), (), classes=classes, confusion=tuple(map(tuple, matrix.tolist())))
    result = scores.plain()

    assert result["confusion_pairs"] == [[0, 0, 5], [0, 100, 1], [7, 3, 2]]
    assert "confusion" not in result
    assert np.array_equal(confusion_of(result), matrix)
    part = EvaluatedSplit("test", "t.csv", {"kind": result}, None, {})
    assert csv_tables.confusion(part).to_csv(index=False).splitlines() == [
        *("target,true,predicted,rows", "kind,k0,k0,5", "kind,k0,k100,1", "kind,k7,k3,2")
    ]
