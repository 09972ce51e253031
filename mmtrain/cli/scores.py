"""The scores of one target, beside their baselines, as `evaluate` and `predict` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mmtrain.evaluation.scoring import TargetScores


def show_scores(console: Console, what: str, result: TargetScores) -> None:
    """A heading, a table and what is to be said of single scores; `what` was scored, `test of clinic/3` for instance."""
    from rich.markup import escape

    from mmtrain.cli.analyses import show_analyses
    from mmtrain.reports.decisions import sentences

    unknown = f", {result.unknown} more left out, whose answer is missing or unknown to training" if result.unknown else ""
    console.print(f"\n{escape(what)}: {escape(result.target)}, {result.task}, {result.rows} rows{unknown}", highlight=False)
    console.print(_table(result))
    if result.drawing:
        console.print(f"{result.drawing.percent} interval: {result.drawing.words}", soft_wrap=True, markup=False)
    console.print(f"baseline: {result.baselines[0].name}", soft_wrap=True, markup=False)
    for score in result.scores:
        if score.undefined or score.note:
            console.print(f"{score.name}: {score.undefined or score.note}", soft_wrap=True, markup=False)
    for sentence in sentences(result.analyses):
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
    show_analyses(console, result.analyses)


def _table(result: TargetScores) -> object:
    from rich.markup import escape

    from mmtrain.cli.show import interval, number, plain_table
    from mmtrain.named_score import higher_is_better

    intervals = [f"{result.drawing.percent} interval"] if result.drawing else []
    table = plain_table("score", "model", *intervals, "baseline", "better is")
    for mine, theirs in zip(result.scores, result.baselines[0].scores, strict=True):
        limits = [interval(mine.interval)] if result.drawing else []
        better = "higher" if higher_is_better(mine.name) else "lower"
        table.add_row(escape(mine.name), number(mine.value), *limits, number(theirs.value), better)
    return table


def show_baselines(console: Console, result: TargetScores, main: str) -> None:
    """The other baselines, where there are any, by the score `main`: a table, and what it shows in words."""
    from rich.markup import escape

    from mmtrain.cli.show import plain_table
    from mmtrain.reports.baselines import lines, sentences

    plain = result.plain()
    if len(result.baselines) > 1:
        table = plain_table(f"{main} of", "", "model minus baseline", "model is")
        for row in lines(plain, main):
            table.add_row(*map(escape, row))
        console.print()
        console.print(table)
    for sentence in sentences(plain, main):
        console.print(sentence.text, soft_wrap=True, markup=False)
    for note in result.baseline_notes:
        console.print(note, soft_wrap=True, markup=False)
