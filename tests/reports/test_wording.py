"""Numbers, times and comparisons in words."""

import pytest

from mmtrain.errors import duration
from mmtrain.metrics.score import Score
from mmtrain.reports import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.01234, "0.0123"),
        (1.234, "1.23"),
        (-12.34, "−12.3"),
        (9.999, "10.0"),
        (0.9999, "1.00"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (1.5e-7, "1.50e-07"),
        (3e20, "3.00e+20"),
    ],
)
def test_numbers_keep_three_digits(value, text):
    assert wording.significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.76041, "0.760"), (-0.0001, "0.000"), (-1.5, "−1.500"), (1234.5, "1,234.500")])
def test_scores_have_three_decimals(value, text):
    assert wording.decimals(value) == text


@pytest.mark.parametrize(
    ("seconds", "text", "whole"),
    [
        (3.64, "3.6 s", "4 s"),
        (59.7, "59.7 s", "1 min 0 s"),
        (59.97, "1 min 0 s", "1 min 0 s"),
        (252, "4 min 12 s", "4 min 12 s"),
        (7500, "2 h 5 min", "2 h 5 min"),
    ],
)
def test_durations_are_read_easily(seconds, text, whole):
    assert (duration(seconds, 1), duration(seconds)) == (text, whole)


@pytest.mark.parametrize(
    ("score", "model", "baseline", "expected"),
    [
        ("auc", 0.7, 0.5, "better"),
        ("auc", 0.4, 0.5, "worse"),
        ("auc", 0.50001, 0.5, "same"),
        ("log_loss", 0.4, 0.5, "better"),
        ("rmse", 12_000, 11_000, "worse"),
        ("auc", None, 0.5, "undefined"),
        ("auc", 0.5, None, "undefined"),
    ],
)
def test_outcome_knows_directions_and_rounding(score, model, baseline, expected):
    mine, theirs = (Score(score, value, "" if value else "No rows.") for value in (model, baseline))
    assert wording.outcome(score, mine, theirs) == expected


@pytest.mark.parametrize(
    ("score", "difference", "expected"),
    [
        ("auc", {"value": 0.2, "low": 0.1, "high": 0.3}, "better"),
        ("auc", {"value": 0.2, "low": -0.1, "high": 0.5}, "open"),
        ("auc", {"value": 0.2, "low": 0.0, "high": 0.5}, "open"),
        ("log_loss", {"value": 0.2, "low": 0.1, "high": 0.3}, "worse"),
        ("log_loss", {"value": 0.2, "low": -0.1, "high": 0.3}, "open"),
        ("auc", {"value": 0.2}, "better"),  # of too few rows to draw from
        ("auc", {}, "better"),
    ],
)
def test_outcome_is_open_where_the_interval_of_the_difference_holds_zero(score, difference, expected):
    apart = Score(score, **difference) if difference else None
    assert wording.outcome(score, Score(score, 0.7), Score(score, 0.5), apart) == expected


@pytest.mark.parametrize(
    ("score", "text"), [("log_loss", "log loss"), ("auc", "AUC"), ("f1", "F1"), ("r2", "R²"), ("brier", "Brier score")]
)
def test_scores_have_names_in_sentences(score, text):
    assert wording.in_sentence(score) == text
