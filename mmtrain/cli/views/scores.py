"""The scores of one target, beside their baselines, as `evaluate` and `predict` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mmtrain.evaluation.scoring import TargetScores


def show_scores(console: Console, what: str, result: TargetScores) -> None:
    """A heading, a table and what is to be said of single scores; `what` was scored, `test of clinic/3` for instance."""
    from mmtrain.cli.views.analyses import show_analyses
    from mmtrain.cli.views.console import line, show_remarks
    from mmtrain.errors import counted
    from mmtrain.reports.decisions import sentences
    from mmtrain.reports.wording import unknown_labels

    unknown = f", {result.unknown:,} more left out, whose answer is missing or unknown to training" if result.unknown else ""
    line(console, f"\n{what}: {result.target}, {result.task}, {counted(result.rows, 'row')}{unknown}")
    if result.unknown_labels:
        line(console, f"not known, and left out: {unknown_labels(result.unknown_labels)}")
    console.print(_table(result))
    if result.drawing:
        line(console, f"{result.drawing.percent} interval: {result.drawing.words}")
    line(console, f"baseline: {result.baselines[0].name}")
    show_remarks(console, result.scores)
    for sentence in sentences(result.analyses):
        line(console, sentence)
    show_analyses(console, result.analyses)


def _table(result: TargetScores) -> object:
    from mmtrain.cli.views.console import format_cell, interval, number, plain_table
    from mmtrain.metrics.score import higher_is_better

    intervals = [f"{result.drawing.percent} interval"] if result.drawing else []
    table = plain_table("score", "model", *intervals, "baseline", "better is")
    for mine, theirs in zip(result.scores, result.baselines[0].scores, strict=True):
        limits = [interval(mine.interval)] if result.drawing else []
        better = "higher" if higher_is_better(mine.name) else "lower"
        table.add_row(format_cell(mine.name), number(mine.value), *limits, number(theirs.value), better)
    return table


def show_baselines(console: Console, result: TargetScores, main: str) -> None:
    """The other baselines, where there are any, by the score `main`: a table, and what it shows in words."""
    from mmtrain.cli.views.console import format_cell, line, plain_table
    from mmtrain.reports.baselines import lines, sentences

    plain = result.plain()
    if len(result.baselines) > 1:
        table = plain_table(f"{main} of", "", "model minus baseline", "model is")
        for row in lines(plain, main):
            table.add_row(*map(format_cell, row))
        console.print()
        console.print(table)
    for sentence in sentences(plain, main):
        line(console, sentence.text)
    for note in result.baseline_notes:
        line(console, note)
