"""What the page of a search says about its best score, and what to do with it."""

from pathlib import Path

import pytest

from mmtrain.artifacts.search_results import CorrectedChoice, NestedFold, NestedScore, SearchResult, TrialResult
from mmtrain.reports.pages.search_page import SettingRange, _limits, _next_steps, describe_correction, headline


def described(corrected, *, own=False):
    best = TrialResult(trial=1, outcome="complete", score=0.9, best_epoch=2, epochs=2, seconds=1.0, settings={}, own=own)
    return describe_correction(SearchResult.model_construct(best=best, corrected=corrected))


@pytest.mark.parametrize(
    ("score", "value", "verdict"), [("auc", 0.85, "Train it"), ("auc", 0.75, "So the"), ("log_loss", 0.75, "Train it")]
)
def test_a_score_is_told_with_its_correction_and_what_it_means(score, value, verdict):
    first, second = described(CorrectedChoice(score=score, value=value, own=0.8, better=0.625, draws=200))
    assert first == (
        "The best of many scores of the same validation rows is too optimistic. Corrected for that, chosen and scored on different "
        f"validation rows (bootstrap), it is {score} {value:.3f}, the file's own values 0.800; the choice is better in 62% of the draws."
    )
    assert second.startswith(verdict)


def test_without_a_correction_the_test_part_has_the_last_word():
    assert described(None) == [
        "The best of many scores of the same validation rows is too optimistic.",
        "Train it with `mmtrain fit`, and score it on the test part with `mmtrain evaluate`.",
    ]


def test_a_search_that_found_nothing_says_so():
    assert described(None, own=True) == ["No trial is better than the experiment file."]


RANGES = {"training.learning_rate": SettingRange(1e-4, 1e-2, log=True), "fusion.dropout": SettingRange(0.0, 0.5, log=False)}


def search(corrected=None, *, own=False, nested=None, settings=None, trials=4, number=3):
    """A search whose trial `number` is the best."""
    best = TrialResult(trial=number, outcome="complete", score=0.9, best_epoch=2, epochs=2, seconds=1.0, settings=settings or {}, own=own)
    return SearchResult.model_construct(
        best=best,
        corrected=corrected,
        nested=nested,
        trials=[best.model_copy(update={"trial": place}) for place in range(trials)],
        importance={},
        score="validation_auc",
        own_score=0.9 if own else 0.8,
        experiment=Path("runs/x/1/best.yaml"),
    )


def corrected_auc(value):
    return CorrectedChoice(score="auc", value=value, own=0.8, better=0.625, draws=200, low=value - 0.1, high=value + 0.1, rows=80)


@pytest.mark.parametrize(("value", "tone"), [(0.85, "good"), (0.75, "bad")])
def test_the_headline_is_the_corrected_score_next_to_the_file(value, tone):
    tile = headline(search(corrected_auc(value)))
    assert tile.title == "AUC of the best trial on 80 validation rows, corrected for its choice"
    assert (tile.value, tile.interval, tile.tone) == (f"{value:.3f}", f"95 % interval {value - 0.1:.3f} to {value + 0.1:.3f}", tone)
    assert tile.comparison == "Experiment file: 0.800. The choice is better in 62% of the draws."
    assert tile.ruler.baseline.at == pytest.approx(0.8)
    assert tile.ruler.alt.startswith(f"AUC {value:.3f}, interval {value - 0.1:.3f} to {value + 0.1:.3f}, experiment file 0.800")


def test_the_headline_of_nested_folds_is_their_score_on_unseen_rows():
    folds = [NestedFold(fold=fold, trials=4, best=0.9, score=0.8, settings={}) for fold in (0, 1)]
    nested = NestedScore(
        target="y", score="auc", value=0.8, low=0.7, high=0.9, rows=400, best=0.9, optimism=0.1, folds=folds, report=Path("r")
    )
    tile = headline(search(corrected_auc(0.85), nested=nested))
    assert tile.title == "AUC of the search on 400 rows that it has not seen, 2 outer folds"
    assert (tile.value, tile.interval) == ("0.800", "95 % interval 0.700 to 0.900")
    assert tile.comparison == "Best trials on their own validation rows: 0.900."


def test_the_headline_without_a_correction_says_that_it_is_too_optimistic():
    tile = headline(search())
    assert (tile.title, tile.value, tile.interval) == ("AUC of the best trial on validation rows", "0.900", "too optimistic")
    assert tile.comparison == "Experiment file: 0.800."
    tile = headline(search(own=True))
    assert (tile.title, tile.comparison) == ("AUC of the experiment file on validation rows", "The best of 4 trials.")
    loss = search().model_copy(update={"score": "validation_ill_loss"})  # no metric has this name
    assert (headline(loss).title, headline(loss).ruler) == ("validation_ill_loss of the best trial on validation rows", None)


def steps(result):
    return _next_steps("runs/x/1", result, RANGES).blocks[0].texts


def test_suggestions_follow_from_what_was_gained_and_where_the_best_values_are():
    points = steps(search(corrected_auc(0.85), settings={"training.learning_rate": 0.0095, "fusion.dropout": 0.0}))
    assert points[0] == "Train the best experiment: mmtrain fit runs/x/1/best.yaml. Then score it with `mmtrain evaluate`."
    assert points[1] == "The best training.learning_rate, 0.0095, is at the end of its range, 0.0001 to 0.01: widen the range."
    assert points[2].startswith(
        "Trial 3 of 4 is the best, so more of them may find a better one: mmtrain tune --resume runs/x/1 --trials 8"
    )
    assert points[3].startswith("`mmtrain tune CONFIG --nested`") and len(points) == 4
    assert steps(search(corrected_auc(0.75)))[0].startswith("So the validation rows do not show that anything is gained")
    assert steps(search(own=True))[0] == "Keep the experiment file: no trial is better."


def test_limits_name_the_choice_and_the_noise():
    points = _limits(search()).blocks[0].texts
    assert points[0] == "A trial is trained once, with one seed, so small differences between trials are noise."
    assert points[1].startswith("The best of many scores")
    assert points[2] == "Only 4 trials of 4 ended with a score: too few to tell which settings matter."
    few = "Trials are compared on only 80 validation rows: with `tune.folds: 3`, all rows that learn or validate score them."
    assert _limits(search(corrected_auc(0.85))).blocks[0].texts[1] == few
    enough = corrected_auc(0.85).model_copy(update={"rows": 300})
    assert few not in _limits(search(enough)).blocks[0].texts


def test_a_trial_that_was_best_before_it_had_learned_is_called_luck():
    result = search(corrected_auc(0.85))
    lucky = result.model_copy(update={"best": result.best.model_copy(update={"best_epoch": 1})})
    sentence = "Trial 3 was best after its first epoch, when it had hardly learned: its score may be luck of its first weights"
    assert describe_correction(lucky)[1].startswith(sentence) and _limits(lucky).blocks[0].texts[3].startswith(sentence)
    assert not any(text.startswith("Trial 3 was best") for text in (*describe_correction(result), *_limits(result).blocks[0].texts))
    # Two folds of one epoch each have no later one.
    folds = lucky.best.model_copy(update={"fold_scores": [0.9, 0.9]})
    assert len(describe_correction(lucky.model_copy(update={"best": folds}))) == 2
