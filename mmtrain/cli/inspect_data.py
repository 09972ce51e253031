"""`mmtrain inspect-data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Code, Json, Quiet, Set, import_allowed

if TYPE_CHECKING:
    from mmtrain.artifacts.inspection_results import InspectedTable, Inspection


def command(
    source: Annotated[
        Path, typer.Argument(metavar="CONFIG|TABLE", help="An experiment file, or a CSV, TSV, Parquet, Excel or JSON Lines file.")
    ],
    overrides: Set = None,
    code: Code = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page to read in a browser.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 if there are errors, or problems that `fit` would refuse.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Show every finding and problem; by default the worst three of each kind, and 20 problems.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the contents and problems of a table, column by column; with an experiment file, role by role.

    Example: `mmtrain inspect-data clinic.yaml --html page.html`
    """
    from mmtrain.errors import Problem, UsageError
    from mmtrain.system.paths import output_fault

    inspection: Inspection | InspectedTable
    # Before the work: a page that cannot be written would waste minutes.
    if html is not None and (fault := output_fault(html)):
        raise UsageError(fault.problem(html, "the page"))
    import_allowed(code)
    if source.suffix.lower() in (".yaml", ".yml"):
        inspection = _experiment(source, overrides or [], as_json=as_json, quiet=quiet, every=every, figures=html is not None)
    elif overrides:
        raise UsageError(Problem("--set", f"{source} is a table.", "The option goes with an experiment file, which ends in .yaml."))
    else:
        inspection = _table(source, as_json=as_json, quiet=quiet, every=every, figures=html is not None)
    if html is not None:
        _write(inspection, html, quiet=quiet, every=every)
    # At the end, so that the findings are shown in any case.
    if strict and inspection.spoiled:
        raise typer.Exit(3)


def _write(inspection: Inspection | InspectedTable, path: Path, *, quiet: bool, every: bool) -> None:
    from mmtrain.cli.views.console import note
    from mmtrain.commands.inspect_data import write_page

    write_page(inspection, path, every=every)
    note(f"Page: {path}", quiet=quiet, whole=True)


def _experiment(path: Path, overrides: list[str], *, as_json: bool, quiet: bool, every: bool, figures: bool) -> Inspection:
    from mmtrain.cli.views.console import print_json
    from mmtrain.cli.views.inspection import show_inspection
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.commands.inspect_data import inspect_experiment

    with progress_display(quiet=quiet or as_json) as shown:
        inspection = inspect_experiment(path, overrides=overrides, progress=shown.images, checking=shown.checked, figures=figures)
    if as_json:
        print_json(inspection.to_json())
    else:
        show_inspection(inspection, every=every)
    return inspection


def _table(path: Path, *, as_json: bool, quiet: bool, every: bool, figures: bool) -> InspectedTable:
    from mmtrain.cli.views.console import print_json
    from mmtrain.cli.views.table_profile import show_table_profile
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.commands.inspect_data import inspect_table

    with progress_display(quiet=quiet or as_json) as shown:
        inspected = inspect_table(path, checking=shown.checked, figures=figures)
    if as_json:
        print_json(inspected.to_json())
    else:
        show_table_profile(inspected, quiet=quiet, every=every)
    return inspected
