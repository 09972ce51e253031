"""The model beside its baselines: a table, and in words whether fusion is worth its effort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeGuard

from mmtrain.metrics.score import higher_is_better
from mmtrain.reports.blocks import Block, Cell, Folded, Paragraph, Table, Tone, number
from mmtrain.reports.report_data import ReportData, TargetResultView
from mmtrain.reports.wording import direction, format_score, in_sentence, main_score_of, rows_called, title, verdict

Shown = Literal["better", "worse", "not shown to differ", "–"]
TONES: Mapping[Shown, Tone] = {"better": "good", "worse": "bad", "not shown to differ": "", "–": "quiet"}
VERDICTS: Mapping[Shown, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "not shown to differ": "is not shown to be better than",
    "–": "is not shown to be better than",
}


def compared_baselines(score: str, difference: Mapping[str, Any] | None) -> Shown:
    """What the interval of a difference shows: model minus baseline of the model, a run less the first of the run."""
    if not _has(difference) or "low" not in difference:
        return "–"
    low, high = difference["low"], difference["high"]
    worst, best = (low, high) if higher_is_better(score) else (-high, -low)
    return "better" if worst > 0 else "worse" if best < 0 else "not shown to differ"


def verdicts(contents: ReportData, judged: TargetResultView) -> tuple[Paragraph, ...]:
    """What a reader should take home of one target on one part."""
    return verdict(contents, judged), *sentences(judged.result, main_score_of(contents, judged))


def sentences(result: Mapping[str, Any], main: str) -> tuple[Paragraph, ...]:
    """Whether fusion is better than its best single input, and the model better than gradient boosting, by the score `main`."""
    baselines = [one for one in result.get("baselines", ()) if _has(one["differences"].get(main))]
    singles = [one for one in baselines if one["kind"] == "single_branch"]
    found = []
    if singles:
        best = sorted(singles, key=lambda one: one["scores"][main]["value"], reverse=higher_is_better(main))[0]
        found.append(_sentence("Fusion", f"{best['label']}, its best single input", result, best, main))
    found += [
        _sentence("The model", "gradient boosting on the columns of the table", result, one, main)
        for one in baselines
        if one["kind"] == "gradient_boosting"
    ]
    return tuple(found)


def _sentence(who: str, whom: str, result: Mapping[str, Any], baseline: Mapping[str, Any], main: str) -> Paragraph:
    difference = baseline["differences"][main]
    outcome = compared_baselines(main, difference)
    mine, theirs = (format_score(main, one["scores"][main]["value"]) for one in (result, baseline))
    facts = f"{in_sentence(main)} {mine} against {theirs}, difference {_difference(main, difference)}"
    return Paragraph(f"{who} {VERDICTS[outcome]} {whom}: {facts}.", tone="good" if outcome == "better" else "bad")


def _difference(score: str, difference: Mapping[str, Any]) -> str:
    """`0.010 (−0.020 to 0.040)`."""
    value = format_score(score, difference["value"])
    if "low" not in difference:
        return f"{value} (no interval)"
    return f"{value} ({format_score(score, difference['low'])} to {format_score(score, difference['high'])})"


def lines(result: Mapping[str, Any], main: str) -> list[tuple[str, str, str, Shown]]:
    """Of each baseline: its label, its score `main`, the model's difference to it, and what that shows."""
    found = []
    for one in result["baselines"]:
        difference = one["differences"].get(main)
        told = _difference(main, difference) if _has(difference) else "–"
        found.append((one["label"], _told(main, one["scores"][main]), told, compared_baselines(main, difference)))
    return found


def blocks(judged: TargetResultView, main: str) -> tuple[Block, ...]:
    """What was asked for besides the baseline that looks at no column, and what was not."""
    notes = tuple(Paragraph(note, tone="quiet") for note in judged.result.get("baseline_notes", ()))
    if len(judged.baselines) == 1:
        return notes
    return (main_table(judged, main), Folded("All scores of the baselines", (all_table(judged),)), *notes)


def main_table(judged: TargetResultView, main: str) -> Table:
    """The main score of each, and its difference to the model's."""
    rows = [
        (Cell(name), number(value), number(difference), Cell(outcome, tone=TONES[outcome]))
        for name, value, difference, outcome in lines(judged.result, main)
    ]
    model = (Cell("the model"), number(_told(main, judged.scores[main])), number(""), Cell(""))
    caption = f"{judged.key}: the model and its baselines on the {rows_called(judged)}"
    paired = "The interval is of the difference itself: both are scored on the same drawn rows."
    names = "; ".join(one["name"] for one in judged.baselines if one["name"] != one["label"])
    head = ("", title(main), "Model minus baseline", "Model is")
    return Table(
        caption, head, (model, *rows), f"Better when {direction(main)}. {paired} {names[:1].upper()}{names[1:]}.", csv=judged.csv("scores")
    )


def all_table(judged: TargetResultView) -> Table:
    """Every score of all rows together."""
    names = [name for name in judged.scores if "[" not in name]
    columns: Sequence[Mapping[str, Any]] = [judged.scores, *(one["scores"] for one in judged.baselines)]
    rows = tuple((Cell(title(name)), *(number(_told(name, scores[name])) for scores in columns), Cell(direction(name))) for name in names)
    head = ("Score", "Model", *(one["label"] for one in judged.baselines), "Better when")
    return Table(f"Scores of {judged.key} and its baselines", head, rows, csv=judged.csv("scores"))


def _has(score: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    return score is not None and score["value"] is not None


def _told(name: str, score: Mapping[str, Any]) -> str:
    return "undefined" if score["value"] is None else format_score(name, score["value"])
