"""`mmtrain explain`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.evaluate import Part, chosen_part
from mmtrain.cli.options import Code, Images, Json, Output, Quiet, Run, Table

if TYPE_CHECKING:
    from mmtrain.artifacts.command_results import ExplainedRow, Explanation


class Method(StrEnum):
    """Methods of heat maps on images."""

    both = "both"
    grad_cam = "grad_cam"
    integrated_gradients = "integrated_gradients"


def names_of_rows(given: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of all `--rows`, each of which may list several.

    >>> names_of_rows(["S1, S2", "S7"])
    ('S1', 'S2', 'S7')
    """
    return tuple(name.strip() for listed in given for name in listed.split(",") if name.strip())


def command(
    run: Run = None,
    *,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--rows",
            metavar="ID,ID",
            help=(
                "Rows by their id, or by position where the table has no ids; may be given several times. Left out: "
                "those with the highest loss, the most uncertain, typical and the most confident ones of the part."
            ),
            show_default=False,
        ),
    ] = None,
    part: Annotated[
        Part | None,
        typer.Option(
            "--part",
            metavar="PART",
            help="The part of the split to choose rows from: test, validation, train, calibration or conformal. Left out: test.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="TABLE", help="Explain rows of another table instead.", show_default=False)
    ] = None,
    table: Table = None,
    images: Images = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="KEY", help="The target to explain. Left out: the first one.", show_default=False)
    ] = None,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="The class or label to explain, or of several numbers the column, such as quantile_0.9. Left out: the positive class; of "
            "several classes, the one predicted for each row.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            metavar="METHOD",
            help="Heat maps on images: grad_cam, integrated_gradients or both; columns and words always have integrated gradients.",
        ),
    ] = Method.both,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, max=100_000, help="Steps of integrated gradients. Left out: as many as are needed.", show_default=False
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("-o", metavar="FOLDER", help="Folder to make. Left out: explanations/<part> in the run.", show_default=False),
    ] = None,
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also print logits, and how exactly the attributions add up.")] = False,
    quiet: Quiet = False,
) -> None:
    """Explain the predictions of single rows: attributions by column, word and region of the image.

    Example: `mmtrain explain clinic --rows S0157,S0093`
    """
    from mmtrain.cli.views.console import print_json
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.commands.explain import ExplainOptions, explain
    from mmtrain.system.user_code import import_code

    import_code(code)
    names = names_of_rows(rows or ())
    chosen = chosen_part("explain", part, data, table).value
    options = ExplainOptions(names, chosen, data, images, target, class_name, method.value, steps, folder, table)
    with progress_display(quiet=quiet or as_json) as shown:
        done = explain(run, options, output=output, progress=shown.images, say=shown.say)
    if as_json:
        print_json(done.to_json())
        return
    _show(done, quiet=quiet, verbose=verbose)


def _show(done: Explanation, *, quiet: bool, verbose: bool) -> None:
    from mmtrain.cli.views.console import line, note, out
    from mmtrain.errors import listed

    console = out()
    for row in done.rows:
        head, *rest = _lines(row, verbose=verbose)
        line(console, head, style="bold")
        for text in rest:
            line(console, f"    {text}")
    if any(row.points for row in done.rows):
        note("Points: how much lower the probability would be without what this column adds, all others as they are.", quiet=quiet)
    if verbose or not all(row.points for row in done.rows):
        note(
            "The attributions of all inputs add up to output minus baseline, apart from the gap; the three largest are shown.", quiet=quiet
        )
    if spread := [row for row in done.rows if row.deviations]:
        count = listed(sorted({str(len(row.trainings)) for row in spread}), "or")
        note(f"Attributions are means of {count} trainings, with the standard deviation over them.", quiet=quiet)
    note(f"Baseline: {'; '.join(f'{key}: {description}' for key, description in done.baseline.items())}.", quiet=quiet)
    # The gap shows whether the number of steps was enough.
    if incomplete := [row.id for row in done.rows if not row.complete]:
        note(f"The gap of {listed(incomplete)} is more than 1 %; more --steps may close it.")
    # Looking at test rows is a way of using them.
    if any(row.part == "test" for row in done.rows):
        note("Some of these are test rows. If you change the model after looking at them, its test scores will be too good.")
    note(f"{len(done.rows)} {'row' if len(done.rows) == 1 else 'rows'} in {done.seconds:.1f} s: {done.folder}", quiet=quiet, whole=True)


def points_line(row: ExplainedRow, most: int) -> str:
    """Return the columns that change the probability most, in points: `probability of malignant 0.908: scan +61 points, age +13`."""
    from mmtrain.reports.wording import decimals

    points = row.points
    if not points or row.probability is None:
        return ""
    shown = [f"{column} {signed_points(points[column])}" for column in row.strongest(most)]
    return (
        f"probability of {row.explained.partition('logit of ')[2]} {decimals(row.probability)}: {', '.join(shown) or 'no input adds to it'}"
    )


def signed_points(change: float) -> str:
    """Write a change of a probability in points: `+61 points`."""
    from mmtrain.metrics.score import signed_difference

    size = f"{100 * change:+.0f}" if abs(change) >= 0.1 else f"{100 * change:+.1f}"
    return f"{signed_difference(size)} points"


def _lines(row: ExplainedRow, *, verbose: bool) -> list[str]:
    """Return the lines about a row: its prediction and the change of the probability by column.

    The attributions follow where the output is not a probability, or with `verbose`.
    """
    from mmtrain.cli.views.console import number
    from mmtrain.metrics.score import signed_difference

    known = f"true {row.truth}, " if row.truth else ""
    head = f"{row.id} ({', '.join(filter(None, (row.part, row.why)))}): {known}predicted {row.prediction}"
    total = signed_difference(f"{row.sum_of_attributions:+.3f}")
    sums = f"{row.explained} {number(row.output)}, baseline {number(row.baseline_output)}, attributions {total}"
    gap = f"gap {row.gap_percent:.2g} %, {row.steps:,} {'step' if row.steps == 1 else 'steps'}"
    spread = {column: f" (± {value:.3f})" for column, value in row.deviations.items()}
    most = ", ".join(f"{column} {signed_difference(f'{value:+.3f}')}{spread.get(column, '')}" for column, value in row.strongest(3).items())
    missing = f"; missing: {', '.join(row.missing)}" if row.missing else ""
    points = points_line(row, 3)
    if points and not verbose and not row.deviations:
        return [head, f"{points}{missing}"]
    return list(filter(None, (head, points, f"{sums} ({gap}): {most}{missing}")))
