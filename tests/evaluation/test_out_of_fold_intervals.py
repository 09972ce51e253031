"""Intervals of groups of trainings, and comparisons of two groups: out-of-fold predictions without a training."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tiny_groups import BINARY, NUMBER, answers, group, guesses, scored

from mmtrain.artifacts.command_results import ComparedRun, Comparison
from mmtrain.artifacts.group_results import CrossValidation
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.runs import create
from mmtrain.cli.app import run as command_line
from mmtrain.commands.comparison.compare_groups import CrossValidatedRun, compare_groups
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.errors import UsageError
from mmtrain.evaluation.cross_validation import NADEAU_BENGIO
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.member_decisions import decision_scores, with_decision
from mmtrain.evaluation.out_of_fold import Combined, MemberPredictions, cross_validated, score_members, with_intervals
from mmtrain.evaluation.out_of_fold_result import out_of_fold_result
from mmtrain.targets.labels.multiclass import FittedMulticlass

SECTION = Evaluation(draws=100)


def test_the_ratio_is_that_of_scored_to_other_rows():
    members = group(BINARY, guesses(BINARY, 1.0))
    result = scored(members)
    assert cross_validated("y", result, members, {"y": BINARY}).ratio == pytest.approx(1 / 3)


def test_folds_that_learn_from_few_rows_have_a_larger_ratio():
    members = group(BINARY, guesses(BINARY, 1.0))
    early = [MemberPredictions(one.member.model_copy(update={"train_rows": 20}), one.rows, one.targets) for one in members]
    assert cross_validated("y", scored(early), early, {"y": BINARY}).ratio == pytest.approx(30 / 30)


def test_scores_get_an_interval_around_their_estimate():
    result = scored(group(BINARY, guesses(BINARY, 1.0)))
    auc, f1 = result.targets["y"]["auc"], result.targets["y"]["f1"]
    assert auc.estimate == pytest.approx(auc.mean)
    assert f1.estimate == pytest.approx(f1.out_of_fold) != f1.mean
    assert auc.low < auc.estimate < auc.high
    assert auc.method == "corrected resampled t (Nadeau and Bengio 2003), with the variance of folds and of a bootstrap of rows"
    assert CrossValidation.model_validate(result.to_json()) == result


def test_the_interval_is_wider_than_the_naive_one():
    auc = scored(group(BINARY, guesses(BINARY, 1.0))).targets["y"]["auc"]
    assert (auc.high - auc.low) / 2 > 1.96 * np.std(auc.values, ddof=1) / 2


def test_groups_of_rows_are_drawn_together():
    groups = np.arange(120) // 4 % 30
    same = np.repeat(guesses(NUMBER, 1.0, rows=120)[:, ::4], 4, axis=1)
    alone, together = (scored(group(NUMBER, same, groups=one)).targets["y"]["mae"] for one in (None, groups))
    assert together.method.endswith("groups") and alone.method.endswith("rows")


def test_repeats_and_seeds_share_the_draws():
    sets = np.concatenate([guesses(NUMBER, 1.0, seed=seed) for seed in range(4)])
    result = scored(group(NUMBER, sets, repeats=2), repeats=2)
    one = result.targets["y"]["mae"]
    assert (result.repeats, result.seeds, len(one.values)) == (2, 2, 16)
    assert one.estimate == pytest.approx(np.mean(one.values))
    r2 = result.targets["y"]["r2"]
    each = [{score.name: score.value for score in NUMBER.all_scores(answers(NUMBER, 120), values)}["r2"] for values in sets]
    assert r2.estimate == pytest.approx(np.mean(each), rel=1e-5)
    assert r2.estimate < r2.out_of_fold  # that of the mean of the four predictions


def test_decisions_follow_the_threshold_of_each_fold():
    predictions = guesses(BINARY, 1.0)
    fold = np.arange(120) % 4
    shifted = np.clip(predictions * np.array([1.0, 0.5, 1.0, 0.5])[fold][np.newaxis, :, np.newaxis], 0, 1).astype(np.float32)
    plain = scored(group(BINARY, predictions)).targets["y"]
    moved = scored(group(BINARY, shifted, thresholds=[0.5, 0.25, 0.5, 0.25])).targets["y"]
    for name in ("accuracy", "f1"):
        assert moved[name].estimate == pytest.approx(plain[name].estimate)
        assert moved[name].standard_error == pytest.approx(plain[name].standard_error)


def test_threshold_of_a_prior_decides_once():
    predictions, target = guesses(BINARY, 0.5), BINARY.with_threshold(0.3)
    members = group(BINARY, predictions, thresholds=[0.3] * 4)
    combined = Combined(members, {"y": target})
    result = with_intervals(score_members(members, combined, "validation_loss", folds=True, repeats=1), members, combined, SECTION)
    called = predictions[0, :, 0] >= np.float32(0.3)
    truth = answers(BINARY, len(called))
    np.testing.assert_array_equal(combined.frame()["prediction"] == "yes", called)
    matrix = [[int(((truth == true) & (called == told)).sum()) for told in (False, True)] for true in (0, 1)]
    assert out_of_fold_result("y", result, combined, SECTION).confusion == matrix
    f1 = result.targets["y"]["f1"]
    assert f1.estimate == f1.out_of_fold


GRADES = FittedMulticlass(column="y", loss_weight=1, classes=("a", "b", "c"), counts=(40, 40, 40), weights=(1, 1, 1), prior=(1 / 3,) * 3)
FOLD_COUNTS = [(50, 20, 20), (20, 50, 20), (20, 20, 50), (30, 30, 30)]


def graded(noise=1.0, rows=120):
    """Probabilities of three classes, (1, rows, 3)."""
    logits = np.eye(3)[answers(GRADES, rows)] + noise * np.random.default_rng(2).normal(size=(rows, 3))
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)[np.newaxis]


def test_a_prior_is_corrected_by_the_training_rows_of_each_fold():
    """Not by those of all rows, which the scored ones are among."""
    predictions = graded()
    own = [GRADES.model_copy(update={"counts": counts}) for counts in FOLD_COUNTS]
    members = group(GRADES, predictions, targets=own)
    combined = Combined(members, {"y": GRADES})
    fold, truth = np.arange(120) % 4, answers(GRADES, 120)
    decided = np.array([own[fold[row]].predict_label(predictions[0, row : row + 1])[0] for row in range(120)])
    assert (decided != GRADES.predict_label(predictions[0])).sum() > 10
    np.testing.assert_array_equal(combined.frame()["prediction"], decided)
    result = with_intervals(score_members(members, combined, "validation_loss", folds=True, repeats=1), members, combined, SECTION)
    right = decided == GRADES.decode_truth(truth)
    scores = result.targets["y"]
    assert scores["accuracy"].out_of_fold == pytest.approx(right.mean())
    assert scores["accuracy"].values == pytest.approx([right[fold == one].mean() for one in range(4)])
    assert scores["macro_f1"].estimate == scores["macro_f1"].out_of_fold
    ranking = {score.name: score.value for score in GRADES.all_scores(truth, predictions[0])}
    assert scores["macro_auc"].out_of_fold == pytest.approx(ranking["macro_auc"])
    shown = out_of_fold_result("y", result, combined, SECTION)
    assert shown.scores["accuracy"].value == pytest.approx(right.mean())
    plain = (predictions[0].argmax(axis=1) == truth).mean()
    assert shown.decision.differences["accuracy"].value == pytest.approx(right.mean() - plain)


def test_a_fold_never_decides_on_a_class_that_it_has_not_learned():
    own = GRADES.model_copy(update={"classes": ("a", "c"), "counts": (10, 20), "weights": (1, 1), "prior": (0.5, 0.5)})
    aligned = GRADES.with_decision_of(own)
    assert aligned.decision_factors.tolist() == [1, 0, 0.5]
    rows = np.array([[0.2, 0.5, 0.3], [0.1, 0.0, 0.9], [0.0, 1.0, 0.0]], np.float32)
    np.testing.assert_allclose(
        with_decision(aligned, rows), [[0.2 / 0.35, 0, 0.15 / 0.35], [0.1 / 0.55, 0, 0.45 / 0.55], [0, 1, 0]], rtol=1e-6
    )


def test_decision_scores_are_those_that_follow_the_predicted_class():
    rows = EvalSet.of(GRADES.without_decision(), answers(GRADES, 120), graded()[0], None)
    assert decision_scores(rows) == {"accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"}


def test_the_baseline_of_a_fold_has_the_classes_of_its_training_rows():
    own = [BINARY.model_copy(update={"counts": counts}) for counts in ((30, 60), (60, 30), (45, 45), (50, 40))]
    predictions = guesses(BINARY, 1.0)
    members = group(BINARY, predictions, targets=own)
    combined = Combined(members, {"y": BINARY.model_copy(update={"counts": (60, 60)})})
    result = score_members(members, combined, "validation_loss", folds=True, repeats=1)
    [baseline] = out_of_fold_result("y", result, combined, SECTION).baselines
    truth, fold = answers(BINARY, 120), np.arange(120) % 4
    share = np.array([2 / 3, 1 / 3, 1 / 2, 4 / 9])[fold]
    losses = -np.log(np.where(truth == 1, share, 1 - share))
    assert baseline.scores["log_loss"].value == pytest.approx(losses.mean(), rel=1e-6)
    assert baseline.scores["auc"].value == 0.5  # of all rows together, it would be that of the shares


def test_bound_of_folds_counts_groups():
    members = group(BINARY, guesses(BINARY, 1.0), groups=np.arange(120) // 4)
    combined = Combined(members, {"y": BINARY})
    bound = combined.postprocessing(Evaluation(conformal=0.9), combined).of("y").conformal
    assert (bound.rows, bound.groups) == (120, 30)


def test_seeds_alone_have_no_interval():
    members = group(BINARY, guesses(BINARY, 1.0), folds=1)
    combined = Combined(members, {"y": BINARY})
    result = score_members(members, combined, "validation_loss", folds=False, repeats=1)
    assert with_intervals(result, members, combined, SECTION) is result


# Comparisons


class Experiment:
    evaluation = SECTION

    def only(self, role):
        return None


def cross_validation(folder, members, repeats=1, sha256="a"):
    folder.mkdir()
    run = Run(folder)
    run.write_json("data.json", {"table": "t.csv", "sha256": sha256, "rows": 120, "used": 120, "dropped": []})
    return CrossValidatedRun(run, Experiment(), scored(members, repeats), members, {"y": members[0].targets["y"].without_decision()})


def test_two_groups_are_compared_by_row_and_fold(tmp_path):
    worse, better = (cross_validation(tmp_path / name, group(NUMBER, guesses(NUMBER, noise))) for name, noise in (("a", 1.0), ("b", 0.7)))
    targets, remarks = compare_groups([worse, better])
    compared, against = targets["y"], targets["y"].against_first[0]
    values = [np.array(one.result.targets["y"]["mae"].values) for one in (worse, better)]

    assert remarks == []
    assert (compared.rows, compared.interval.text) == (120, "100 draws of 120 rows")
    assert compared.method == "corrected resampled t (Nadeau and Bengio 2003), with the variance of folds and of a bootstrap of rows"
    mae = against.differences["mae"]
    assert mae.value == pytest.approx((values[1] - values[0]).mean())
    assert mae.high < 0 and against.p["mae"] < 0.05
    # Only the noise differs in size, so the pairs are exact.
    assert against.of_rows["mae"].value == pytest.approx(mae.value)
    assert mae.high - mae.low < compared.scores[0]["mae"].high - compared.scores[0]["mae"].low
    assert against.detectable["mae"] > (mae.high - mae.low) / 2


def test_p_is_below_5_percent_where_the_interval_excludes_0(tmp_path):
    runs = [cross_validation(tmp_path / name, group(NUMBER, guesses(NUMBER, noise, seed=1))) for name, noise in (("a", 1.0), ("b", 0.9))]
    against = compare_groups(runs)[0]["y"].against_first[0]
    for name, score in against.differences.items():
        assert (against.p[name] < 0.05) == (not score.low <= 0 <= score.high)


def test_other_folds_are_refused(tmp_path):
    runs = [cross_validation(tmp_path / str(order), group(BINARY, guesses(BINARY, 1.0), order=order)) for order in (0, 1)]
    with pytest.raises(UsageError) as caught:
        compare_groups(runs)
    problem = caught.value.problems[0]
    assert problem.what == f"its folds have other rows than those of {runs[0].run}, so their scores cannot be paired."
    assert problem.fix == "Train both with the same `split`, its seed included."


def test_another_table_is_refused(tmp_path):
    runs = [cross_validation(tmp_path / sha256, group(BINARY, guesses(BINARY, 1.0)), sha256=sha256) for sha256 in ("a", "b")]
    with pytest.raises(UsageError) as caught:
        compare_groups(runs)
    assert caught.value.problems[0].what == f"it was trained on another table than {runs[0].run}, so its folds have other rows."
    assert caught.value.problems[0].fix == "Train both on one table with the same `split`."


def test_runs_without_a_common_target_are_refused(tmp_path):
    runs = [cross_validation(tmp_path / target.task, group(target, guesses(target, 1.0))) for target in (BINARY, NUMBER)]
    with pytest.raises(UsageError) as caught:
        compare_groups(runs)
    assert str(caught.value) == "mmtrain compare: the runs have no target in common. Compare runs that predict the same targets."


def test_the_test_without_a_bootstrap_is_the_corrected_one():
    """The same differences by SciPy's t distribution: mean / (s sqrt(1/4 + 1/3))."""
    from mmtrain.evaluation.cross_validation import Estimate, nadeau_bengio

    differences = np.array([[0.02, 0.05, 0.01, 0.03]])
    variance = nadeau_bengio(differences, 1 / 3)
    one = Estimate("auc", 0.0275, variance.value**0.5, variance.degrees, NADEAU_BENGIO)
    t = 0.0275 / (differences.std(ddof=1) * np.sqrt(1 / 4 + 1 / 3))
    assert one.p == pytest.approx(2 * stats.t.sf(t, 3))
    assert pd.isna(one.p) is False


def test_compare_of_groups_prints_the_test_and_the_bootstrap_of_rows(tmp_path, monkeypatch, capsys):
    runs = [cross_validation(tmp_path / name, group(NUMBER, guesses(NUMBER, noise))) for name, noise in (("a", 1.0), ("b", 0.7))]
    targets, remarks = compare_groups(runs)
    compared = [ComparedRun(run=one.run, name=one.run.folder.name, test_looks=0) for one in runs]
    done = Comparison(part="out-of-fold", runs=compared, targets=targets, settings={}, remarks=remarks)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("mmtrain.commands.comparison.compare.compare", lambda *_, **__: done)
    assert command_line(["compare", "a", "b"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[1] == "out-of-fold: y, regression, 120 rows"
    assert lines[9].split() == ["score", "difference", "95", "%", "interval", "p", "by", "rows", "detectable", "run", "is"]
    assert "by rows: a paired bootstrap of the out-of-fold rows, for these trained models alone" in lines
    assert "Evaluations of the test part" not in captured.err


def test_groups_without_out_of_fold_predictions_are_not_compared(tmp_path, monkeypatch):
    run = create("folds", tmp_path)
    with pytest.raises(UsageError, match="its trainings are not all finished, so it has no out-of-fold predictions") as refused:
        CrossValidatedRun.read(run)
    assert refused.value.problems[0].fix.startswith("Finish them: mmtrain fit --resume ")
    (run / "cross_validation.json").touch()
    monkeypatch.setattr(Run, "read", lambda *_: SimpleNamespace(predictions={}))
    with pytest.raises(UsageError, match="it has seeds but no folds, so it has no out-of-fold predictions") as refused:
        CrossValidatedRun.read(run)
    assert refused.value.problems[0].fix == "Compare runs with `split.folds`, or single trainings of this one."
