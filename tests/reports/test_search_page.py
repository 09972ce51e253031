"""What the page of a search says about its best score."""

import pytest

from mmtrain.artifacts.search_results import CorrectedChoice, SearchResult, TrialResult
from mmtrain.reports.pages.search_page import describe_correction


def described(corrected, *, own=False):
    best = TrialResult(trial=1, outcome="complete", score=0.9, best_epoch=1, epochs=2, seconds=1.0, settings={}, own=own)
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
