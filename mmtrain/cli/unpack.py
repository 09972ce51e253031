"""`mmtrain unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmtrain.cli.options import Json, Quiet


def command(
    archive: Annotated[Path, typer.Argument(metavar="ZIP", help="What `mmtrain pack` wrote.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Argument(help="The folder to be made. Left out: named like the archive, in this folder.", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a run folder of a packed run.

    The archive may come from a stranger: names that lead elsewhere, links, files that are no part of a run, wrong checksums
    and archives that unpack to far more than their size are refused, and nothing is left behind then. Nothing that exists is
    overwritten. Neither unpacking nor using the run executes code that came with it.
    """
    from mmtrain.artifacts.manifest import MANIFEST
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.unpack import unpack
    from mmtrain.errors import counted, shell_command

    done = unpack(archive, folder)
    if as_json:
        left_out = done.manifest.left_out
        print_json({"folder": str(done.folder), "run": done.manifest.run, "table": str(done.table), "left_out": left_out})
        return
    if number := len(done.manifest.left_out):
        note(f"Left out when it was packed: {counted(number, 'thing')}; {done.folder / MANIFEST} says what and why.", quiet=quiet)
    note(
        f"To score its parts, put the table at {done.table}, with its images beside it as its cells say, "
        "or name their folder with --images.",
        quiet=quiet,
    )
    note(f"To score another table: {shell_command('evaluate', done.folder, '--data', 'TABLE')}", quiet=quiet)
    out().print(str(done.folder), soft_wrap=True, markup=False)
