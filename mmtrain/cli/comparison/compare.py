"""`mmtrain compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.evaluate import Part
from mmtrain.cli.options import Code, Json, Output, Quiet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mmtrain.artifacts.command_results import ComparedTarget, Comparison, PairedDifference

BY_ROWS, DETECTABLE = "by rows", "detectable"
"""Headings of the intervals of the paired bootstrap, and of the smallest detectable differences."""


def command(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two or more runs: folders or names (their latest runs); the others are compared with the first. "
            "Left out: the two latest runs of different experiments."
        ),
    ] = None,
    part: Annotated[
        str,
        typer.Option("--part", metavar="PART", help="test, validation, train, or the name under which the runs scored another table."),
    ] = "test",
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare runs on rows that each has scored with `mmtrain evaluate`: the differences of their scores and of their experiments.

    Every bootstrap draw takes the same rows for all runs, so an interval is that of the paired difference. Nothing is scored
    again, so this does not count as an evaluation of the test part. Cross-validated runs are compared by their out-of-fold
    predictions, paired by row and fold.

    Example: `mmtrain compare clinic/1 clinic/2`
    """
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.comparison.compare import compare
    from mmtrain.system.user_code import import_code

    import_code(code)
    # Another word for the same rows.
    done = compare(run or (), part=Part.calibration if part == Part.conformal else part, output=output)
    if as_json:
        print_json(done.to_json())
        return
    console = out()
    headings = {heading for key, target in done.targets.items() for heading in _show_target(console, done, key, target)}
    _show_settings(console, done)
    for remark in done.remarks:
        note(remark)
    if DETECTABLE in headings:
        note("Detectable: the smallest true difference that a comparison of this precision shows in 80 % of cases.", quiet=quiet)
    if done.part == "out-of-fold":
        return
    looks = ", ".join(f"{one.name} {one.test_looks}" for one in done.runs)
    note(f"Evaluations of the test part so far: {looks}. This comparison does not count as one.", quiet=quiet)


def _show_target(console: Console, done: Comparison, key: str, target: ComparedTarget) -> set[str]:
    """Print the scores of each run, then the differences of each from the first; return the headings that had room."""
    from mmtrain.cli.views.console import line, show_remarks
    from mmtrain.errors import counted

    line(console, f"\n{done.part}: {key}, {target.task}, {counted(target.rows, 'row')}")
    console.print(_scores(console, done, target))
    headings: set[str] = set()
    for run, against in zip(done.runs[1:], target.against_first, strict=True):
        line(console, f"\n{run.name} minus {done.runs[0].name}")
        table = _differences(console, against, target.interval.percent)
        console.print(table)
        headings |= {str(column.header) for column in table.columns}
        if BY_ROWS in headings:
            line(console, "by rows: a paired bootstrap of the out-of-fold rows, for these trained models alone")
        if against.delong:
            line(console, f"AUC: p = {_p(against.delong.p)} (DeLong)")
        show_remarks(console, against.differences.values())
    line(console, f"{target.interval.percent} interval: {f'{target.method}; ' if target.method else ''}{target.interval.text}")
    return headings


def _scores(console: Console, done: Comparison, target: ComparedTarget) -> Table:
    """Return the scores of each run with their intervals, or without them where several runs leave no room for these."""
    from mmtrain.cli.views.console import fits, format_cell, interval, number, plain_table

    for with_intervals in (True, False):
        table = plain_table("score", *(run.name for run in done.runs))
        for name in target.scores[0]:
            row = [scores[name] for scores in target.scores]
            shown = [f" ({interval(score.interval)})" if with_intervals and score.interval else "" for score in row]
            table.add_row(format_cell(name), *(f"{number(score.value)}{text}" for score, text in zip(row, shown, strict=True)))
        if fits(console, table):
            break
    return table


def _differences(console: Console, against: PairedDifference, percent: str) -> Table:
    from mmtrain.cli.views.console import fitting_table, interval, number
    from mmtrain.reports.target_results.baselines import compared_baselines

    tests = ["p", BY_ROWS] if against.of_rows else []
    rows = []
    for name, score in against.differences.items():
        of_rows = against.of_rows.get(name)
        p = [_p(against.p[name]) if name in against.p else "", interval(of_rows.interval if of_rows else None)] if tests else []
        smallest = number(against.detectable[name]) if name in against.detectable else ""
        rows.append((name, number(score.value), interval(score.interval), *p, smallest, compared_baselines(score)))
    headers = ("score", "difference", f"{percent} interval", *tests, DETECTABLE, "run is")
    return fitting_table(console, headers, rows, less=(BY_ROWS, DETECTABLE))


def _p(value: float) -> str:
    # A p-value of 0.000 would claim too much.
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def _show_settings(console: Console, done: Comparison) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.config.load import format_setting

    if not done.settings:
        line(console, "\nThe experiments are the same.")
        return
    line(console, "\nDifferences of the experiments:")
    for key, values in done.settings.items():
        line(console, f"{key}: {' -> '.join(map(format_setting, values))}")
