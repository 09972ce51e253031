"""The numbers of a report as CSV."""

import numpy as np

from mmtrain.artifacts.analysis_results import Calibration, Reliability, ReliabilityBin
from mmtrain.artifacts.results import BaselineResult, TargetResult
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.scoring import confusion_fields
from mmtrain.metrics.score import Score
from mmtrain.reports import csv_tables
from mmtrain.reports.report_data import EvaluatedSplit
from mmtrain.targets.labels.multiclass import FittedMulticlass


def test_numbers_have_intervals_and_every_baseline():
    scores = {"auc": Score("auc", 0.75, low=0.5, high=0.875), "f1": Score("f1", None, "no row, no score")}
    less = {"auc": Score("auc", 0.25, low=-0.25, high=0.5), "f1": Score("f1", None, "no score")}
    baselines = [
        BaselineResult(kind="majority", label=name, name=name, scores=scores, differences=differences)
        for name, differences in (("a", less), ("b,c", {}))
    ]
    result = TargetResult(task="binary", rows=9, unknown_answers=0, scores=scores, baselines=baselines)
    part = EvaluatedSplit("test", "t.csv", {"ill": result}, None, {})
    assert csv_tables.scores(part).to_csv(index=False).splitlines() == [
        "target,predictor,score,value,low,high,difference,difference_low,difference_high,rows,note",
        *("ill,model,auc,0.75,0.5,0.875,,,,9,", 'ill,model,f1,,,,,,,9,"no row, no score"'),
        *("ill,a,auc,0.75,0.5,0.875,0.25,-0.25,0.5,9,", 'ill,a,f1,,,,,,,9,"no row, no score"'),
        *('ill,"b,c",auc,0.75,0.5,0.875,,,,9,', 'ill,"b,c",f1,,,,,,,9,"no row, no score"'),
    ]


def test_numbers_of_classes_are_those_of_the_table():
    result = TargetResult.model_construct(classes=["a", "b", "c"], confusion=[[3, 1, 0], [1, 1, 0], [0, 0, 0]])
    part = EvaluatedSplit("test", "t.csv", {"kind": result, "price": TargetResult.model_construct()}, None, {})
    assert csv_tables.classes(part).to_csv(index=False).splitlines() == [
        "target,class,rows,predicted,recall,precision,f1",
        "kind,a,4,4,0.75,0.75,0.75",
        "kind,b,2,2,0.5,0.5,0.5",
        "kind,c,0,0,,,",
    ]


def test_numbers_of_calibration_have_a_line_per_bin():
    one = ReliabilityBin(rows=8, said=0.25, share=0.5, low=0.25, high=0.75)
    brier, ece = Score("brier", 0.1), Score("ece", 0.25)
    before = Reliability(brier=brier, ece=ece, bins=[one, one.model_copy(update={"rows": 9})])
    after = Reliability(brier=brier, ece=ece, bins=[one.model_copy(update={"said": 0.5})])
    found = Calibration(method="isotonic", bins=15, binning="equal mass", of="yes", notes=[], before=before, after=after)
    table = csv_tables.analyses({"ill": TargetResult.model_construct(calibration=found)})["calibration"]
    assert table.to_csv(index=False).splitlines() == [
        "target,probabilities,rows,said,share,low,high",
        "ill,network,8,0.25,0.5,0.25,0.75",
        "ill,network,9,0.25,0.5,0.25,0.75",
        "ill,calibrated,8,0.5,0.5,0.25,0.75",
    ]


def test_confusion_of_many_classes_has_the_pairs_that_occur():
    """metrics.json has no dense matrix for them, which would grow with the square of the classes."""
    classes = tuple(f"k{number}" for number in range(101))
    target = FittedMulticlass(column="kind", loss_weight=1, classes=classes, counts=(1,) * 101, weights=(1,) * 101, label_smoothing=0)
    truth, predicted = np.array([0] * 6 + [7] * 2), np.array([0] * 5 + [100] + [3] * 2)
    fields = confusion_fields(EvalSet(target, truth, np.eye(101)[predicted], None))
    result = TargetResult.model_construct(**fields)
    matrix = np.zeros((101, 101), dtype=np.int64)
    matrix[0, 0], matrix[0, 100], matrix[7, 3] = 5, 1, 2

    assert result.confusion_pairs == [[0, 0, 5], [0, 100, 1], [7, 3, 2]]
    assert "confusion" not in fields
    assert np.array_equal(result.confusion_matrix(), matrix)
    part = EvaluatedSplit("test", "t.csv", {"kind": result}, None, {})
    assert csv_tables.confusion(part).to_csv(index=False).splitlines() == [
        *("target,true,predicted,rows", "kind,k0,k0,5", "kind,k0,k100,1", "kind,k7,k3,2")
    ]
