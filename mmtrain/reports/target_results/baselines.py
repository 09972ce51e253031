"""The model next to its baselines: a table, and a verdict on fusion in words."""

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
VERDICTS: Mapping[Shown, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "not shown to differ": "is not shown to be better than",
    "–": "is not shown to be better than",
}


def compared_baselines(difference: Score | None) -> Shown:
    """Say what the interval of a difference shows of its first part: of the model less its baseline, of a run less the first one."""
    if difference is None or difference.interval is None:
        return "–"
    low, high = difference.interval
    worst, best = (low, high) if higher_is_better(difference.name) else (-high, -low)
    return "better" if worst > 0 else "worse" if best < 0 else "not shown to differ"


def verdicts(contents: ReportData, judged: TargetResultView) -> tuple[Paragraph, ...]:
    """Return the conclusions on one target and one part."""
    return verdict(contents, judged), *sentences(judged.result, main_score_of(contents, judged))


def sentences(result: TargetResult, main: str) -> tuple[Paragraph, ...]:
    """Compare fusion with its best single input, and the model with gradient boosting, by the score `main`."""
    baselines = [one for one in result.baselines if main in one.differences and one.differences[main].value is not None]
    singles = [one for one in baselines if one.kind == "single_branch"]
    found = []
    if singles:
        best = sorted(singles, key=lambda one: one.scores[main].value or 0.0, reverse=higher_is_better(main))[0]
        found.append(_sentence("Fusion", f"{best.label}, its best single input", result, best, main))
    found += [
        _sentence("The model", "gradient boosting on the columns of the table", result, one, main)
        for one in baselines
        if one.kind == "gradient_boosting"
    ]
    return tuple(found)


def _sentence(who: str, whom: str, result: TargetResult, baseline: BaselineResult, main: str) -> Paragraph:
    difference = baseline.differences[main]
    outcome = compared_baselines(difference)
    mine, theirs = (_told(one.scores[main]) for one in (result, baseline))
    facts = f"{in_sentence(main)} {mine} against {theirs}, difference {_difference(difference)}"
    return Paragraph(f"{who} {VERDICTS[outcome]} {whom}: {facts}.", tone="good" if outcome == "better" else "bad")


def _difference(difference: Score | None) -> str:
    """`0.010 (−0.020 to 0.040)`."""
    if difference is None or difference.value is None:
        return "–"
    return f"{_told(difference)} ({limits(difference.name, difference) or 'no interval'})"


def lines(result: TargetResult, main: str) -> list[tuple[str, str, str, Shown]]:
    """Return for each baseline its label, its score `main`, the difference of the model, and the conclusion."""
    differences = [one.differences.get(main) for one in result.baselines]
    return [
        (one.label, _told(one.scores[main]), _difference(difference), compared_baselines(difference))
        for one, difference in zip(result.baselines, differences, strict=True)
    ]


def blocks(judged: TargetResultView, main: str) -> tuple[Block, ...]:
    """Return the tables of the configured baselines, and notes on those that are missing."""
    notes = tuple(Paragraph(note, tone="quiet") for note in judged.result.baseline_notes)
    if len(judged.result.baselines) == 1:
        return notes
    return (main_table(judged, main), Folded("All scores of the baselines", (all_table(judged),)), *notes)


def main_table(judged: TargetResultView, main: str) -> Table:
    """The main score of each, and its difference to the model's."""
    rows = [
        (Cell(name), number(value), number(difference), Cell(outcome, tone=TONES[outcome]))
        for name, value, difference, outcome in lines(judged.result, main)
    ]
    model = (Cell("the model"), number(_told(judged.scores[main])), number(""), Cell(""))
    caption = f"{judged.key}: the model and its baselines on the {rows_called(judged)}"
    paired = "The interval is of the difference itself: both are scored on the same drawn rows."
    names = "; ".join(one.name for one in judged.result.baselines if one.name != one.label)
    head = ("", title(main), "Model minus baseline", "Model is")
    return Table(
        caption, head, (model, *rows), f"Better when {direction(main)}. {paired} {names[:1].upper()}{names[1:]}.", csv=judged.csv("scores")
    )


def all_table(judged: TargetResultView) -> Table:
    """Every score of all rows together."""
    names = [name for name in judged.scores if "[" not in name]
    columns = [judged.scores, *(one.scores for one in judged.result.baselines)]
    rows = tuple((Cell(title(name)), *(number(_told(scores[name])) for scores in columns), Cell(direction(name))) for name in names)
    head = ("Score", "Model", *(one.label for one in judged.result.baselines), "Better when")
    return Table(f"Scores of {judged.key} and its baselines", head, rows, csv=judged.csv("scores"))


def _told(score: Score) -> str:
    return "undefined" if score.value is None else format_score(score.name, score.value)
