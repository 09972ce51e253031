"""Comparison of the model with its baselines, as tables and in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mmtrain.artifacts.results import BaselineResult, TargetResult
from mmtrain.metrics.score import Score, higher_is_better
from mmtrain.reports.blocks import Block, Cell, Folded, Paragraph, Table, Tone, number
from mmtrain.reports.report_data import ReportData, TargetResultView
from mmtrain.reports.wording import direction, format_score, in_sentence, limits, main_score_of, rows_called, title, verdict

Shown = Literal["better", "worse", "not shown to differ", "–"]
TONES: Mapping[Shown, Tone] = {"better": "good", "worse": "bad", "not shown to differ": "", "–": "quiet"}
TABULAR = {
    "gradient_boosting": "gradient boosting on the columns of the table",
    "linear": "a linear model",
    "tabicl": "TabICL on the columns of the table",
}
VERDICTS: Mapping[Shown, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "not shown to differ": "is not shown to be better than",
    "–": "is not shown to be better than",
}


def compared_baselines(difference: Score | None) -> Shown:
    """Draw the conclusion from the interval of a difference, of a model minus its baseline or of a run minus the first one."""
    # Without a bootstrap, nothing can be concluded.
    if difference is None or difference.interval is None:
        return "–"
    low, high = difference.interval
    # A difference of -0.3 to -0.1 in an error is an improvement of 0.1 to 0.3.
    worst, best = (low, high) if higher_is_better(difference.name) else (-high, -low)
    return "better" if worst > 0 else "worse" if best < 0 else "not shown to differ"


def verdicts(contents: ReportData, view: TargetResultView) -> tuple[Paragraph, ...]:
    """Return the conclusions on one target and one part."""
    return verdict(contents, view), *sentences(view.result, main_score_of(contents, view))


def sentences(result: TargetResult, main: str) -> tuple[Paragraph, ...]:
    """Compare fusion with its best single input, and the model with those of scikit-learn, by the score `main`."""
    # Only baselines with the score: a baseline of another task may lack it.
    baselines = [one for one in result.baselines if main in one.differences and one.differences[main].value is not None]
    singles = [one for one in baselines if one.kind == "single_branch"]
    paragraphs = []
    if singles:
        # The strictest comparison: the best single input, not the average one.
        best = sorted(singles, key=lambda one: one.scores[main].value or 0.0, reverse=higher_is_better(main))[0]
        paragraphs.append(_sentence("Fusion", f"{best.label}, its best single input", result, best, main))
    paragraphs += [_sentence("The model", TABULAR[one.kind], result, one, main) for one in baselines if one.kind in TABULAR]
    return tuple(paragraphs)


def _sentence(subject: str, other: str, result: TargetResult, baseline: BaselineResult, main: str) -> Paragraph:
    difference = baseline.differences[main]
    outcome = compared_baselines(difference)
    mine, theirs = (_value(one.scores[main]) for one in (result, baseline))
    facts = f"{in_sentence(main)} {mine} against {theirs}, difference {_difference(difference)}"
    return Paragraph(f"{subject} {VERDICTS[outcome]} {other}: {facts}.", tone="good" if outcome == "better" else "bad")


def _difference(difference: Score | None) -> str:
    """`0.010 (−0.020 to 0.040)`."""
    if difference is None or difference.value is None:
        return "–"
    return f"{_value(difference)} ({limits(difference.name, difference) or 'no interval'})"


def lines(result: TargetResult, main: str) -> list[tuple[str, str, str, Shown]]:
    """Return for each baseline its label, its score `main`, the difference of the model, and the conclusion."""
    differences = [one.differences.get(main) for one in result.baselines]
    return [
        (one.label, _value(one.scores[main]), _difference(difference), compared_baselines(difference))
        for one, difference in zip(result.baselines, differences, strict=True)
    ]


def blocks(view: TargetResultView, main: str) -> tuple[Block, ...]:
    """Return the tables of the configured baselines, and notes on those that could not be computed."""
    notes = tuple(Paragraph(note, tone="quiet") for note in view.result.baseline_notes)
    # The dummy baseline alone is in the table of scores already.
    if len(view.result.baselines) == 1:
        return notes
    return (main_table(view, main), Folded("All scores of the baselines", (all_table(view),)), *notes)


def main_table(view: TargetResultView, main: str) -> Table:
    """Tabulate the main score of each baseline, with the difference of the model."""
    rows = [
        (Cell(name), number(value), number(difference), Cell(outcome, tone=TONES[outcome]))
        for name, value, difference, outcome in lines(view.result, main)
    ]
    model = (Cell("the model"), number(_value(view.scores[main])), number(""), Cell(""))
    caption = f"{view.key}: the model and its baselines on the {rows_called(view)}"
    paired = "Intervals are those of the differences: model and baseline are scored on the same bootstrap draws."
    names = "; ".join(one.name for one in view.result.baselines if one.name != one.label)
    head = ("Predictor", title(main), "Model minus baseline", "Model is")
    return Table(
        caption,
        head,
        (model, *rows),
        f"{title(main)}: {direction(main)} is better. {paired} {names[:1].upper()}{names[1:]}.",
        csv=view.csv("scores"),
    )


def all_table(view: TargetResultView) -> Table:
    """Tabulate every score of all rows together."""
    # Scores of single labels have a table of their own.
    names = [name for name in view.scores if "[" not in name]
    columns = [view.scores, *(one.scores for one in view.result.baselines)]
    rows = tuple((Cell(title(name)), *(number(_value(scores[name])) for scores in columns), Cell(direction(name))) for name in names)
    head = ("Score", "Model", *(one.label for one in view.result.baselines), "Better when")
    return Table(f"Scores of {view.key} and its baselines", head, rows, csv=view.csv("scores"))


def _value(score: Score) -> str:
    return "undefined" if score.value is None else format_score(score.name, score.value)
