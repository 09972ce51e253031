"""Weights of the trainings of a group: greedy selection on rows that no training learned from, scored on rows that chose no weight."""

import numpy as np
import pytest
from tiny_groups import BINARY, NUMBER, answers, group, guesses

from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.ensemble_weights import choose_weights
from mmtrain.evaluation.out_of_fold import Combined, MemberPredictions, score_members
from mmtrain.evaluation.out_of_fold_result import out_of_fold_result

ROWS = 120


def members(target, noises, *, branches=(), rows=ROWS, **options):
    """A group with one seed per noise; `branches` name those of a branch alone."""
    predictions = np.concatenate([guesses(target, noise, rows=rows, seed=number) for number, noise in enumerate(noises)])
    made = group(target, predictions, **options)
    if not branches:
        return made
    changed = []
    for one in made:
        branch = branches[one.member.seed]
        changed.append(MemberPredictions(one.member.model_copy(update={"branch": branch, "seed": 0}), one.rows, one.targets))
    return changed


def weigh(every, target, folds=True):
    return choose_weights(every, {"y": target}, folds=folds, seed=0)


def test_a_configuration_of_noise_gets_no_weight_and_a_good_one_most():
    chosen = weigh(members(NUMBER, [0.2, 5.0, 0.9]), NUMBER).weights.targets["y"]
    assert chosen.method == "greedy" and chosen.greedy_loss < chosen.mean_loss
    assert chosen.weights["all branches, seed 1"] == 0 and chosen.weights["all branches, seed 0"] > 0.8
    assert sum(chosen.weights.values()) == pytest.approx(1) and sum(chosen.members) == pytest.approx(1)


def test_members_of_a_configuration_share_its_weight():
    every = members(NUMBER, [0.2, 0.6])
    chosen = weigh(every, NUMBER).weights.targets["y"]
    for one, weight in zip(every, chosen.members, strict=True):
        assert weight == pytest.approx(chosen.weights[f"all branches, seed {one.member.seed}"] / 4)


def test_equal_errors_keep_near_equal_weights_or_the_mean():
    chosen = weigh(members(NUMBER, [0.5, 0.5, 0.5]), NUMBER).weights.targets["y"]
    assert max(chosen.weights.values()) < 0.6


def test_folds_alone_keep_the_mean_and_say_why():
    chosen = weigh(members(BINARY, [0.3]), BINARY).weights.targets["y"]
    assert (chosen.method, chosen.weights, chosen.members) == ("mean", {"all branches": 1.0}, [0.25] * 4)
    assert chosen.reason == (
        "The mean stays: each row has one out-of-fold prediction, and weights of folds would say whose rows were easier. "
        "Set `training.seeds`, `split.repeats` or `ensemble.single_branches`."
    )


def test_few_rows_keep_the_mean():
    groups = np.arange(ROWS) // 10
    chosen = weigh(members(BINARY, [0.2, 3.0], groups=groups), BINARY).weights.targets["y"]
    assert chosen.method == "mean" and chosen.reason.startswith("The mean stays: 12 independent rows are too few")


def test_a_branch_alone_counts_only_where_it_helps():
    """The plain mean is that of the trainings with all branches, so a useless branch leaves it as it was."""
    noises, branches = [0.4, 6.0, 0.4], ("", "table", "scan")
    chosen = weigh(members(NUMBER, noises, branches=branches), NUMBER).weights.targets["y"]
    assert chosen.weights["table alone"] == 0 and chosen.weights["scan alone"] > 0.2
    useless = weigh(members(NUMBER, [0.1, 6.0, 6.0], branches=branches), NUMBER).weights.targets["y"]
    assert useless.weights == {"all branches": 1.0, "table alone": 0.0, "scan alone": 0.0}


def test_results_of_folds_with_branches_alone_are_compared_with_the_baseline_of_the_folds():
    every = members(BINARY, [0.4, 2.0], branches=("", "scan"))
    trained, labels = [one for one in every if not one.member.branch], {"y": BINARY}
    results = []
    for some in (every, trained):
        combined = Combined(some, labels, weigh(some, BINARY).of_rows)
        scores = score_members(trained, combined, "validation_loss", folds=True, repeats=1)
        results.append(out_of_fold_result("y", scores, combined, Evaluation(draws=100)))
    assert results[0].baselines == results[1].baselines


def test_weights_of_a_row_do_not_depend_on_its_answer():
    """The prediction of a row takes weights of the other folds: with its fold's answers turned over it stays the same."""
    every = members(NUMBER, [0.4, 0.5, 0.8])
    before = weigh(every, NUMBER)
    assert before.weights.targets["y"].method == "greedy"
    changed = []
    for one in every:
        rows = one.rows.assign(truth=(-50 * one.rows.truth.astype(float)).astype(str)) if one.member.fold == 2 else one.rows
        changed.append(MemberPredictions(one.member, rows, one.targets))
    after = weigh(changed, NUMBER)
    inside = np.arange(ROWS) % 4 == 2
    np.testing.assert_array_equal(before.of_rows["y"][:, inside], after.of_rows["y"][:, inside])
    assert not np.array_equal(before.of_rows["y"][:, ~inside], after.of_rows["y"][:, ~inside])


def test_out_of_fold_prediction_is_the_weighted_mean_of_its_row():
    every = members(NUMBER, [0.4, 0.5, 0.8])
    weighted = weigh(every, NUMBER)
    combined = Combined(every, {"y": NUMBER}, weighted.of_rows)
    row = 17
    own = {one.member.seed: float(one.rows.prediction[one.rows.row == str(row)].iloc[0]) for one in every if str(row) in set(one.rows.row)}
    weights = {one.member.seed: weighted.of_rows["y"][number, row] for number, one in enumerate(every) if str(row) in set(one.rows.row)}
    assert combined.parsed["y"][1][row, 0] == pytest.approx(sum(weights[seed] * own[seed] for seed in own), abs=1e-6)
    error = np.mean((combined.parsed["y"][1][:, 0] - answers(NUMBER, ROWS)) ** 2)
    assert error == pytest.approx(weighted.weights.targets["y"].greedy_loss, abs=1e-6)


def test_without_folds_validation_rows_are_divided_at_random_in_whole_groups():
    groups = np.arange(ROWS) // 3
    every = members(NUMBER, [0.2, 3.0, 3.0], folds=1, groups=groups)
    weighted = weigh(every, NUMBER, folds=False)
    assert weighted.weights.part == "validation" and weighted.weights.targets["y"].method == "greedy"
    of_rows = weighted.of_rows["y"]
    assert all(np.array_equal(of_rows[:, place], of_rows[:, place // 3 * 3]) for place in range(ROWS))
