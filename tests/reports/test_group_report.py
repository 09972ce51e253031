"""The page and the model card of a group of trainings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny_groups import BINARY, NUMBER, SECTION, answers, group, guesses, scored

from mmtrain.artifacts.group_results import EnsembleWeights, TargetWeights
from mmtrain.artifacts.run_folder import Run
from mmtrain.cli.views.cross_validation import show_members
from mmtrain.columns import Group
from mmtrain.columns.numeric import Numeric
from mmtrain.config.sections.training import EarlyStopping, Training
from mmtrain.data.encode import Fitted
from mmtrain.evaluation.out_of_fold import Combined, score_members
from mmtrain.reports import report
from mmtrain.reports.next_steps import group_next_steps
from mmtrain.reports.pages import group_report
from mmtrain.reports.report_data import read_group
from mmtrain.reports.target_results.group_scores import TrainingFacts
from mmtrain.reports.target_results.score_tiles import group_tiles
from mmtrain.reports.wording import between, direction, format_score

STARTED = "2026-11-30T10:00:00+00:00"


COLUMNS = {"age": Numeric(column="age")}


def written(folder, target, members, result):
    """Write the report of a group; return its page and its card."""
    run = Run(folder / "group" / "1")
    run.folder.mkdir(parents=True)
    run.write_json("run.json", {"format": 1, "name": "group", "state": "finished", "started": STARTED})
    split = {"method": "stratified", "description": "The rows were dealt to 4 folds"}
    run.write_json("data.json", {"table": "t.csv", "sha256": "a", "rows": 125, "used": 120, "dropped": [], "split": split})
    run.write_text("config.yaml", "name: group\n")
    data = read_group(run, COLUMNS, None, Fitted(columns={}, targets={"y": target}))
    report.write_group(run, group_report.read(data, result, Combined(members, {"y": target}), SECTION))
    return (run / "report.html").read_text(), (run / "model_card.md").read_text(), sorted(path.name for path in (run / "plots").glob("*"))


def contents(members, result, target=BINARY):
    """The contents of the report without a folder."""
    data = group_report.ReportData(None, COLUMNS, None, Fitted(columns={}, targets={"y": target}), None, Facts(), None, {}, (), (), "")
    return group_report.read(data, result, Combined(members, {"y": target}), SECTION)


class Facts:
    table, used, rows, dropped = "t.csv", 120, 120, ()


def test_the_report_of_a_group_has_verdict_folds_and_curves(tmp_path):
    members = group(BINARY, guesses(BINARY, 1.0))
    result = scored(members)
    page, card, plots = written(tmp_path, BINARY, members, result)
    auc = result.targets["y"]["auc"]
    verdict = f"AUC of y: {auc.estimate:.3f} (95 % interval {auc.low:.3f} to {auc.high:.3f}; higher is better)."
    assert verdict in page and verdict in card
    for text in ("Nadeau and Bengio 2003", "fold 3", "Confusion matrix of y", "The rows were dealt to 4 folds."):
        assert text in page
    assert plots == [
        f"{name}.png"
        for name in (
            "confusion_out_of_fold",
            "folds",
            "precision_recall_out_of_fold",
            "probabilities_out_of_fold",
            "reliability_out_of_fold",
            "roc_out_of_fold",
            "thresholds_out_of_fold",
        )
    ]


def test_the_report_of_seeds_has_no_interval(tmp_path):
    members = group(NUMBER, np.concatenate([guesses(NUMBER, 1.0, seed=seed) for seed in (0, 1)]), folds=1)
    result = score_members(members, Combined(members, {"y": NUMBER}), "validation_loss", folds=False, repeats=1)
    page, _, plots = written(tmp_path, NUMBER, members, result)
    assert "95 % interval" not in page
    assert "standard deviation over seeds" in page
    assert plots == ["folds.png"]


def test_one_seed_next_to_branches_alone_is_one_training(tmp_path):
    """With `single_branches` and one seed, a group has one training of all branches."""
    members = group(NUMBER, guesses(NUMBER, 1.0), folds=1)
    result = score_members(members, Combined(members, {"y": NUMBER}), "validation_loss", folds=False, repeats=1)
    page, card, _ = written(tmp_path, NUMBER, members, result)
    assert "It was trained once; the scores are those of 120 rows of the part validation." in page
    assert "It was trained once: 1 seed." in card
    assert "different seeds" not in page + card and "over seeds says" not in page + card


def test_the_page_begins_with_the_result_then_limits_and_suggestions(tmp_path):
    members = group(BINARY, guesses(BINARY, 1.0))
    page, _, _ = written(tmp_path, BINARY, members, scored(members))
    headings = [line.partition(">")[2].partition("<")[0] for line in page.splitlines() if line.startswith("<h2")]
    assert headings[:4] == ["Summary", "Limits", "What to do next", "Scores"]
    assert page.index('<div class="tile good">') < page.index("AUC of y: ")


def test_the_tile_of_folds_has_estimate_interval_and_baseline():
    members = group(BINARY, guesses(BINARY, 1.0))
    result = scored(members)
    auc = result.targets["y"]["auc"]
    (tile,) = group_tiles(contents(members, result)).tiles
    assert (tile.title, tile.value, tile.tone) == ("AUC of y on 120 out-of-fold rows, 4 folds", f"{auc.estimate:.3f}", "good")
    assert tile.interval == f"95 % interval {auc.low:.3f} to {auc.high:.3f}"
    assert tile.comparison == "Baseline (majority): 0.500. The model beats the baseline."
    assert (tile.ruler.low, tile.ruler.high, tile.ruler.baseline.at) == (auc.low, auc.high, 0.5)
    guessed = group(BINARY, np.random.default_rng(0).random((1, 120, 1)).astype(np.float32))
    (tile,) = group_tiles(contents(guessed, scored(guessed))).tiles
    assert tile.tone == "bad" and tile.comparison.endswith(" The model is not shown to beat the baseline.")


def test_the_tile_of_seeds_has_their_spread_and_the_baseline_of_the_same_rows():
    members = group(NUMBER, np.concatenate([guesses(NUMBER, 1.0, seed=seed) for seed in (0, 1)]), folds=1)
    result = score_members(members, Combined(members, {"y": NUMBER}), "validation_loss", folds=False, repeats=1)
    facts = contents(members, result, NUMBER)
    (tile,) = group_tiles(facts).tiles
    rmse = result.targets["y"]["rmse"]
    # The baseline predicts 0, the mean of the training rows.
    baseline = float(np.sqrt(np.mean(np.square(answers(NUMBER, 120)))))
    assert facts.baseline_score("y").value == np.float64(baseline)
    assert (tile.value, tile.interval) == (
        format_score("rmse", rmse.mean),
        f"standard deviation over seeds {format_score('rmse', rmse.deviation)}",
    )
    assert (tile.tone, tile.comparison) == ("", f"Baseline (mean): {format_score('rmse', baseline)}.")


def test_suggestions_name_epochs_rows_and_what_the_group_is_good_for():
    members = group(BINARY, guesses(BINARY, 1.0))
    facts = contents(members, scored(members))
    training = Training.model_construct(epochs=7, early_stopping=EarlyStopping.model_construct(monitor="validation_auc"))
    last = TrainingFacts(best_is_last=3, test_rows=40)
    longer = replace(facts, data=replace(facts.data, training=training, run=Run(Path("runs/group/1"))), facts=last)
    ((points,),) = (section.blocks for section in group_next_steps(longer))
    assert points.texts[0].startswith("In 3 of 4 trainings the last of 7 epochs is the best one, so validation_auc was still improving")
    assert "about four times as many rows, 480 in place of 120." in points.texts[1]
    assert points.texts[2].endswith("on 40 test rows that none of them has seen: mmtrain evaluate group/1")
    assert [text.rpartition(": ")[2] for text in points.texts[3:]] == ["mmtrain predict group/1 TABLE", "mmtrain distill group/1"]


def test_a_threshold_is_suggested_where_out_of_fold_rows_of_one_class_are_missed():
    members = group(BINARY, guesses(BINARY, 1.0) / 2)  # no probability above the threshold
    facts = contents(members, scored(members))
    facts = replace(facts, data=replace(facts.data, run=Run(Path("runs/group/1"))))
    ((points,),) = (section.blocks for section in group_next_steps(facts))
    assert [text.partition(" of the rows of ")[0] for text in points.texts if "At the threshold" in text] == [
        "At the threshold 0.5 only 0.000"
    ]


def test_a_model_that_guesses_is_not_shown_to_beat_the_baseline():
    members = group(BINARY, guesses(BINARY, 1.0))
    random = np.random.default_rng(0).random((1, 120, 1)).astype(np.float32)
    guessed = group(BINARY, random)
    good, bad = (group_report.verdicts(contents(each, scored(each)))[0] for each in (members, guessed))
    assert good.tone == "good" and " The interval excludes the baseline (majority: class shares " in good.after
    assert bad.tone == "bad" and " The model is not shown to beat the baseline " in bad.after


def test_a_number_is_said_to_be_better_when_it_is_lower():
    members = group(NUMBER, guesses(NUMBER, 0.1))
    verdict = group_report.verdicts(contents(members, scored(members), NUMBER))[0]
    assert verdict.tone == "good" and verdict.strong.endswith("lower is better).")


def test_an_error_above_that_of_the_baseline_is_not_called_better():
    members = group(NUMBER, guesses(NUMBER, 4.0))
    verdict = group_report.verdicts(contents(members, scored(members), NUMBER))[0]
    assert verdict.tone == "bad" and " The model is not shown to beat the baseline (" in verdict.after


def test_an_undefined_score_and_seeds_are_verdicts_without_an_interval():
    members = group(BINARY, guesses(BINARY, 1.0))
    result = scored(members)
    nothing = result.targets["y"]["auc"].model_copy(update={"estimate": None, "mean": None, "low": None, "high": None})
    undefined = result.model_copy(update={"targets": {"y": {**result.targets["y"], "auc": nothing}}})
    verdict = group_report.verdicts(contents(members, undefined))[0]
    assert (verdict.text, verdict.tone) == ("The AUC of y is undefined in every training.", "bad")
    seeds = group(NUMBER, np.concatenate([guesses(NUMBER, 1.0, seed=seed) for seed in (0, 1)]), folds=1)
    result = score_members(seeds, Combined(seeds, {"y": NUMBER}), "validation_loss", folds=False, repeats=1)
    rmse = result.targets["y"][result.main["y"]]
    (verdict,) = group_report.verdicts(contents(seeds, result, NUMBER))
    mean, deviation = (format_score("rmse", value) for value in (rmse.mean, rmse.deviation))
    assert verdict.strong.endswith(f": {mean} (lower is better, standard deviation over seeds {deviation}).")


def test_the_table_of_scores_has_the_estimate_the_folds_and_all_rows():
    members = group(BINARY, guesses(BINARY, 1.0))
    result = scored(members)
    table = group_report.scores_table(contents(members, result), "y")
    assert table.head == ("Score", "Estimate", "95 % interval", "Mean of folds", "Deviation", "All rows", "Better when")
    for line, (name, score) in zip(table.rows, result.targets["y"].items(), strict=True):
        numbers = [score.estimate, score.mean, score.deviation, score.out_of_fold]
        assert [line[place].text for place in (1, 3, 4, 5)] == [format_score(name, value) for value in numbers], name
        assert line[2].text == between(name, group_report.Line.of(score))
        assert line[6].text == direction(name)
    assert "AUC" in table.rows[list(result.targets["y"]).index("auc")][0].text


def test_rows_outside_of_the_folds_and_the_column_of_groups_are_named():
    members = group(BINARY, guesses(BINARY, 1.0))
    facts = contents(members, scored(members))
    assert group_report._rows(facts).endswith("each of 120 rows was scored by trainings that have not seen it.")
    fewer = replace(facts, result=facts.result.model_copy(update={"rows": 119}))
    assert group_report._rows(fewer).endswith("each of 119 rows was scored by trainings that have not seen it. 1 row is in no fold.")
    grouped = replace(facts, data=replace(facts.data, columns={**COLUMNS, "who": Group(column="patient")}))
    (limits,) = group_report.limits(grouped).blocks
    assert not any(text.startswith(("No column groups", "There are only")) for text in limits.texts)


def test_the_spread_over_seeds_is_that_within_folds():
    members = group(NUMBER, np.concatenate([guesses(NUMBER, 1.0, seed=seed) for seed in range(3)]))
    result = scored(members)
    values = np.array(result.targets["y"]["rmse"].values).reshape(4, 3)
    deviation = np.sqrt(values.var(axis=1, ddof=1).mean())
    assert list(group_report.spreads(contents(members, result, NUMBER), "y")) == [
        f"With another seed, the root mean squared error of a fold has a standard deviation of {deviation:.3f}."
    ]


def test_repeats_say_how_much_the_division_matters():
    members = group(NUMBER, np.concatenate([guesses(NUMBER, 1.0, seed=seed) for seed in range(2)]), repeats=2)
    text = list(group_report.spreads(contents(members, scored(members, 2), NUMBER), "y"))
    assert len(text) == 1 and text[0].startswith("With another division into folds, their mean has a standard deviation of ")


def test_the_table_of_trainings_has_the_main_score_first():
    members = group(BINARY, guesses(BINARY, 1.0))
    result = scored(members)
    table = group_report.members_table(contents(members, result), "y")
    assert table.head[:4] == ("Training", "Training rows", "Scored rows", "AUC")
    assert [cell.text for cell in table.rows[2]][:4] == ["fold 2", "80", "30", f"{result.targets['y']['auc'].values[2]:.3f}"]


def test_limits_name_few_folds_and_missing_groups():
    members = group(BINARY, guesses(BINARY, 1.0), folds=3)
    points = group_report.limits(contents(members, scored(members))).blocks[0].texts
    assert points[1] == "There are only 3 folds, so it is hardly known how much trainings on other rows would differ."
    assert points[2].startswith("No column groups the rows.")


def test_limits_say_that_weights_were_compared_on_the_scored_rows():
    members = group(BINARY, guesses(BINARY, 1.0))
    for method, expected in (("greedy", True), ("mean", False)):
        chosen = TargetWeights(method=method, reason="Chosen.", weights={"all": 1.0}, members=[0.25] * 4, rows=120)
        weights = EnsembleWeights(part="out of fold", targets={"y": chosen})
        weighted = replace(contents(members, scored(members)), weights=weights)
        points = group_report.limits(weighted).blocks[0].texts
        assert any(point.startswith("Weights took the place of the plain mean") for point in points) == expected


def test_the_terminal_shows_estimates_with_intervals_and_the_method(capsys):
    result = scored(group(BINARY, guesses(BINARY, 1.0)))
    show_members(result)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "y: 4 folds; 120 rows are scored out of fold"
    assert lines[1].split()[:6] == ["score", "estimate", "95", "%", "interval", "deviation"]
    assert "95 % interval: corrected resampled t (Nadeau and Bengio 2003), with the variance of folds and of a bootstrap of" in " ".join(
        lines
    )
