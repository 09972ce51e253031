"""The scores of one target next to its baselines, as `evaluate` and `predict` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mmtrain.artifacts.results import TargetResult


def show_scores(console: Console, what: str, target: str, result: TargetResult) -> None:
    """Show a heading, a table and remarks on single scores; `what` was scored, `test of clinic/3` for instance."""
    from mmtrain.cli.views.analyses import show_analyses
    from mmtrain.cli.views.console import line, show_remarks
    from mmtrain.errors import counted
    from mmtrain.reports.target_results.postprocessing import sentences
    from mmtrain.reports.wording import unknown_labels

    left_out = f", {result.unknown_answers:,} more left out, whose answer is missing or unknown to training"
    unknown = left_out if result.unknown_answers else ""
    line(console, f"\n{what}: {target}, {result.task}, {counted(result.rows, 'row')}{unknown}")
    if result.unknown_labels:
        line(console, f"not known, and left out: {unknown_labels(result.unknown_labels)}")
    console.print(_table(result))
    if result.interval:
        line(console, f"{result.interval.percent} interval: {result.interval.text}")
    line(console, f"baseline: {result.baselines[0].name}")
    show_remarks(console, result.scores.values())
    for sentence in sentences(result):
        line(console, sentence)
    show_analyses(console, result)


def headline(target: str, part: str, result: TargetResult, main: str) -> str:
    """Return the main score of a target with its interval, its baseline and the conclusion, in a sentence: the end of `evaluate`."""
    from mmtrain.errors import counted
    from mmtrain.reports.wording import format_interval, in_sentence, outcome

    score, baseline = result.scores[main], result.baselines[0]
    difference = baseline.differences.get(main)
    # As the report says it: one group or draws without a value leave a difference without an interval.
    sure = difference is None or difference.interval is not None
    conclusion = {
        "better": "The model beats the baseline." if sure else "The model is better; the uncertainty of the difference is unknown.",
        "worse": "The model does not beat the baseline.",
        "same": "The model does not beat the baseline.",
        "open": "The model is not shown to beat the baseline.",
        "undefined": "So the model cannot be compared with the baseline.",
    }[outcome(main, score, baseline.scores[main], difference)]
    rows = counted(result.rows, "row")
    compared = f"the baseline ({baseline.label}) has {format_interval(main, baseline.scores[main])}"
    name = in_sentence(main)
    return f"{name[:1].upper()}{name[1:]} of {target} on {rows} of {part}: {format_interval(main, score)}; {compared}. {conclusion}"


def _table(result: TargetResult) -> object:
    from mmtrain.cli.views.console import format_cell, interval, number, plain_table
    from mmtrain.metrics.score import higher_is_better

    intervals = [f"{result.interval.percent} interval"] if result.interval else []
    table = plain_table("score", "model", *intervals, "baseline", "better is")
    for name, mine in result.scores.items():
        limits = [interval(mine.interval)] if result.interval else []
        better = "higher" if higher_is_better(name) else "lower"
        table.add_row(format_cell(name), number(mine.value), *limits, number(result.baselines[0].scores[name].value), better)
    return table


def show_baselines(console: Console, result: TargetResult, main: str) -> None:
    """Show the other baselines by the score `main`: a table, sentences on it, and reasons for those that are left out."""
    from mmtrain.cli.views.console import format_cell, line, plain_table
    from mmtrain.reports.target_results.baselines import lines, sentences

    if len(result.baselines) > 1:
        table = plain_table(f"{main} of", "", "model minus baseline", "model is")
        for row in lines(result, main):
            table.add_row(*map(format_cell, row))
        console.print()
        console.print(table)
    for sentence in sentences(result, main):
        line(console, sentence.text)
    for note in result.baseline_notes:
        line(console, note)
