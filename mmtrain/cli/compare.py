"""`mmtrain compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmtrain.cli.evaluate import Part
from mmtrain.cli.options import Code, Json, Output, Quiet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mmtrain.commands.compare import Comparison
    from mmtrain.evaluation.comparison import ComparedTarget, PairedDifference


def command(
    run: Annotated[
        list[str], typer.Argument(help="Two runs or more, each a folder or a name (its latest run); the first is what others are held to.")
    ],
    part: Annotated[
        str,
        typer.Option("--part", metavar="PART", help="test, validation, train, or the name under which the runs scored another table."),
    ] = "test",
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare runs on rows that each has scored with `mmtrain evaluate`: the differences of their scores, and what differs between them.

    Every draw of the bootstrap has the same rows for all runs, so an interval is that of the difference. Nothing is scored
    anew: this is no further look at the test part.
    """
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.compare import compare
    from mmtrain.system.user_code import import_code

    import_code(code)
    done = compare(run, part=Part.calibration if part == Part.conformal else part, output=output)
    if as_json:
        print_json(_plain(done))
        return
    console = out()
    for target in done.targets:
        _show_target(console, done, target)
    _show_settings(console, done)
    for remark in done.remarks:
        note(remark)
    looks = ", ".join(f"{one} {times}" for one, times in zip(done.runs, done.looks, strict=True))
    note(f"Times that the test part was scored: {looks}. This comparison is no further one.", quiet=quiet)


def _plain(done: Comparison) -> dict[str, Any]:
    return {
        "part": done.part,
        "runs": [{"run": str(run.folder), "name": str(run), "test_looks": looks} for run, looks in zip(done.runs, done.looks, strict=True)],
        "targets": {target.target: target.plain() for target in done.targets},
        "settings": {key: list(values) for key, values in done.settings.items()},
        "remarks": list(done.remarks),
    }


def _show_target(console: Console, done: Comparison, target: ComparedTarget) -> None:
    """The scores of each run, then how far each is from the first."""
    from mmtrain.cli.views.console import line, show_remarks
    from mmtrain.errors import counted

    line(console, f"\n{done.part}: {target.target}, {target.task}, {counted(target.rows, 'row')}")
    console.print(_scores(done, target))
    for run, against in zip(done.runs[1:], target.against, strict=True):
        line(console, f"\n{run} less {done.runs[0]}")
        console.print(_differences(against, target.drawing.percent))
        if against.delong:
            line(console, f"AUC: p = {_p(against.delong.p)} (DeLong)")
        show_remarks(console, against.differences)
    line(console, f"{target.drawing.percent} interval: {target.drawing.words}")


def _scores(done: Comparison, target: ComparedTarget) -> Table:
    from mmtrain.cli.views.console import format_cell, interval, number, plain_table

    table = plain_table("score", *map(str, done.runs))
    for row in zip(*target.scores, strict=True):
        cells = [f"{number(score.value)} ({interval(score.interval)})" if score.interval else number(score.value) for score in row]
        table.add_row(format_cell(row[0].name), *cells)
    return table


def _differences(against: PairedDifference, percent: str) -> Table:
    from mmtrain.cli.views.console import format_cell, interval, number, plain_table
    from mmtrain.reports.baselines import compared_baselines

    table = plain_table("score", "difference", f"{percent} interval", "so it is")
    for score in against.differences:
        table.add_row(format_cell(score.name), number(score.value), interval(score.interval), compared_baselines(score.name, score.plain()))
    return table


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def _show_settings(console: Console, done: Comparison) -> None:
    from mmtrain.cli.views.console import line

    if not done.settings:
        line(console, "\nThe experiments are the same.")
        return
    line(console, "\nWhat differs in the experiments:")
    for key, values in done.settings.items():
        line(console, f"{key}: {' -> '.join(map(_format_setting, values))}")


def _format_setting(value: Any) -> str:
    """A setting as the experiment file has it; a text as it is."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
