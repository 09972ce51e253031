"""The scores of one target, beside their baseline, as `evaluate` and `predict` show them."""

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
    console.print(f"baseline: {result.baseline_name}", soft_wrap=True, markup=False)
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
    baseline = {score.name: score.value for score in result.baseline}
    for score in result.scores:
        limits = [interval(score.interval)] if result.drawing else []
        better = "higher" if higher_is_better(score.name) else "lower"
        table.add_row(escape(score.name), number(score.value), *limits, number(baseline[score.name]), better)
    return table
