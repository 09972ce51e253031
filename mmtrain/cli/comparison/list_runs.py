"""`mmtrain runs` and `mmtrain leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Code, Json, Output, Quiet, import_allowed

if TYPE_CHECKING:
    from rich.table import Table

    from mmtrain.artifacts.run_lists import Leaderboard, RunList

Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Also write a CSV file.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page to read in a browser.")]
MOST_DIFFERENCES = 4
"""Settings that the terminal shows for a run; CSV, JSON and the page have all."""


def runs_command(
    name: Annotated[str | None, typer.Argument(help="Name of the runs. Left out: all.", show_default=False)] = None,
    output: Output = Path("runs"),
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """List runs, the latest first: state, duration, size, the score of the best epoch, and scores of `evaluate`.

    Example: `mmtrain runs clinic`
    """
    _check_files(csv)
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.comparison.list_runs import list_runs, runs_table
    from mmtrain.data.tables.csv_text import csv_text

    done = list_runs(name, output=output)
    if csv is not None:
        csv.write_text(csv_text(runs_table(done), spreadsheet=True), encoding="utf-8")
    if as_json:
        print_json(done.to_json())
        return
    out().print(_runs(done))
    for one in done.runs:
        if one.problem:
            note(f"{one.run.folder}: {one.problem}")


def _runs(done: RunList) -> Table:
    from mmtrain.cli.views.console import fitting_table, number, out
    from mmtrain.commands.comparison.list_runs import started_at
    from mmtrain.errors import duration

    rows = []
    for one in done.runs:
        length = "–" if one.minutes is None else duration(60 * one.minutes)
        best = "–" if one.value is None else f"{one.monitor.removeprefix('validation_')} {number(one.value)}"
        scored = ", ".join(f"{part} {score.name} {number(score.value)}" for part, score in one.scored.items())
        count = f"{one.epochs} trials" if one.kind == "search" else str(one.epochs or "–")
        weights = f"{one.parameters:,}" if one.parameters else "–"
        rows.append((one.name, one.state, started_at(one), length, weights, count, best, scored))
    headers = ("run", "state", "started", "time", "weights", "epochs", "validation", "evaluated")
    return fitting_table(out(), headers, rows, less=("weights", "epochs", "time", "started"))


def leaderboard_command(
    run: Annotated[
        str | None, typer.Argument(help="A run: a folder or a name. Left out: the latest one with scores.", show_default=False)
    ] = None,
    *,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="PART",
            help="validation, folds, test, train, or the name of another table. Left out: folds for a run with folds, else validation.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Key of the target. Left out: the first one.", show_default=False)] = None,
    score: Annotated[
        str | None, typer.Option("--score", help="Score to sort by. Left out: that which chose the best epoch.", show_default=False)
    ] = None,
    output: Output = Path("runs"),
    csv: Csv = None,
    html: Html = None,
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank the runs with scores on the same rows as a run: scores, duration, size, and what differs from the best.

    The validation rows, or the folds, decide; a test score stands next to theirs for information, unless `--part test` asks to rank by it.
    Nothing is scored again, so this does not count as an evaluation of the test part.

    Example: `mmtrain leaderboard --score log_loss`
    """
    _check_files(csv, html)
    import_allowed(code)
    from mmtrain.cli.views.console import line, note, out, print_json
    from mmtrain.commands.comparison.leaderboard import how_to_score, leaderboard, leaderboard_table, write_leaderboard_page
    from mmtrain.data.tables.csv_text import csv_text
    from mmtrain.errors import counted
    from mmtrain.reports.pages.leaderboard_page import how_to_compare, optimism

    done = leaderboard(run, part=part, target=target, score=score, output=output)
    if csv is not None:
        csv.write_text(csv_text(leaderboard_table(done), spreadsheet=True), encoding="utf-8")
    if html is not None:
        write_leaderboard_page(done, html)
        note(f"Page: {html}", quiet=quiet, whole=True)
    if as_json:
        print_json(done.to_json())
        return
    better = "higher" if done.higher_is_better else "lower"
    line(out(), f"{done.target} on the {counted(done.rows, 'row')} of {done.part}, by {done.score} ({better} is better)")
    out().print(_leaderboard(done))
    for one in done.unscored:
        note(f"Not scored: {one.name}. {how_to_score(one.run, done.part)}", quiet=quiet)
    if len(done.runs) > 1:
        note(f"{optimism(done)} {how_to_compare(done)}", quiet=quiet)
    if done.others:
        what = f"{counted(done.others, 'other run')} with other rows or targets."
        note(f"{what} To rank such runs, name one: mmtrain leaderboard RUN", quiet=quiet)


def _leaderboard(done: Leaderboard) -> Table:
    from mmtrain.cli.views.console import fitting_table, interval, number, out
    from mmtrain.commands.comparison.list_runs import VALIDATION
    from mmtrain.config.load import format_setting
    from mmtrain.errors import duration

    tests = [None if done.part == "test" else one.test for one in done.runs]
    columns = {
        "interval": [interval(one.score.interval) for one in done.runs],
        "validation": ["–" if done.part == VALIDATION or one.validation is None else number(one.validation) for one in done.runs],
        "test": ["–" if test is None else number(test.value) for test in tests],
        "test interval": ["" if test is None else interval(test.interval) for test in tests],
    }
    # Validation scores have an interval once `evaluate` has scored all runs, and not every run has every score.
    columns = {heading: cells for heading, cells in columns.items() if not {"", "–"}.issuperset(cells)}
    rows = []
    for place, one in enumerate(done.runs, start=1):
        settings = [f"{key} {format_setting(value)}" for key, value in list(one.differences.items())[:MOST_DIFFERENCES]]
        more = len(one.differences) - len(settings)
        length = "–" if one.minutes is None else duration(60 * one.minutes)
        differences = ", ".join([*settings, *([f"{more} more"] if more else [])])
        cells = (*(cells[place - 1] for cells in columns.values()), length, f"{one.parameters:,}" if one.parameters else "–")
        rows.append((str(place), one.name, number(one.score.value), *cells, str(one.test_looks), differences))
    headers = ("", "run", done.score, *columns, "time", "weights", "test looks", "differs from the best")
    table = fitting_table(out(), headers, rows, less=("test looks", "weights", "time", "test interval", "validation"))
    table.columns[-1].justify = "left"
    return table


def _check_files(*paths: Path | None) -> None:
    """Raise UsageError for a file that cannot be written."""
    from mmtrain.errors import UsageError
    from mmtrain.system.paths import output_fault

    for path in paths:
        if path is not None and (fault := output_fault(path)):
            raise UsageError(fault.problem(path, "the file"))
