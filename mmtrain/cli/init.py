"""`mmtrain init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Code, Json, Quiet, import_allowed

if TYPE_CHECKING:
    from mmtrain.artifacts.inspection_results import StarterResult

File = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="The file to write. Left out: <table>.yaml, here.", show_default=False),
]


def command(
    table: Annotated[
        Path, typer.Argument(help="A CSV, TSV, Parquet, Excel or JSON Lines file, or a folder with a folder of images per class.")
    ],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="COLUMN", help="A column to be predicted; for several, several times; left out: guessed."),
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", metavar="FOLDER", help="The images folder; left out: searched for.")] = None,
    table_format: Annotated[
        str | None, typer.Option("--format", metavar="MAP", help="Format of the table, as in `data.format`; left out: detected.")
    ] = None,
    file: File = None,
    *,
    code: Code = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a first experiment file for a table: a guessed role for each column, with the reason.

    Example: `mmtrain init patients.csv --target diagnosis`
    """
    from mmtrain.commands.init import init

    import_allowed(code)
    done = init(table, target=target or None, images=images, table_format=table_format, file=file, force=force)
    _show(done, code or [], as_json=as_json, quiet=quiet)


def _show(done: StarterResult, code: list[Path], *, as_json: bool, quiet: bool) -> None:
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.errors import shell_command

    if as_json:
        print_json(done.to_json())
        return
    for one in done.columns:
        note(f"{one.header or '(no header)'}: {one.role if one.used else 'not used'}, {one.reason}", quiet=quiet)
    out().print(str(done.file), soft_wrap=True, markup=False)
    note("" if done.table is None else f"Table of the images: {done.table}", quiet=quiet or done.table is None)
    note(done.survey.notice, quiet=quiet or not done.survey.notice)
    # The suggested commands have to import the same files.
    options = [word for path in code for word in ("--code", path)]
    check, fit = (shell_command(command, done.file, *options) for command in ("check", "fit"))
    note("Confirm the roles in it, then:", quiet=quiet)
    for command_line in (check, fit):
        note(f"    {command_line}", quiet=quiet)
