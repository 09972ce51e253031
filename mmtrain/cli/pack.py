"""`mmtrain pack` and `mmtrain unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmtrain.cli.options import Code, Json, Output, Quiet


def pack_command(
    run: Annotated[str, typer.Argument(help="A run folder, or a name (its latest run).", show_default=False)],
    archive: Annotated[Path, typer.Argument(metavar="ZIP", help="The archive to be written; it must not exist yet.", show_default=False)],
    with_rows: Annotated[
        bool, typer.Option("--with-rows", help="Also pack predictions, report and plots, and the ids of rows, which show single rows.")
    ] = False,
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack a run into one file that `mmtrain unpack` opens elsewhere, for evaluate, predict and export.

    Packed are the experiment, the model, what it learned, the scores, and which row numbers belong to which part. Never
    packed are the table, its images, and paths of this machine. Predictions, report, plots, ids and the reasons why rows
    were dropped are left out unless --with-rows is given; the manifest in the archive lists what was left out.

    What training rows taught the model is in it: categories, words of texts, smallest and largest numbers. If those are
    secret, so is the archive. Its checksums reveal damage, but not who made it.
    """
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.pack import pack
    from mmtrain.config.byte_size import format_bytes
    from mmtrain.errors import shell_command
    from mmtrain.system.user_code import import_code

    import_code(code)
    done = pack(run, archive, with_rows=with_rows, output=output)
    if as_json:
        print_json({"run": str(done.run.folder), "archive": str(done.archive), **done.manifest.model_dump(mode="json", exclude={"run"})})
        return
    for name, reason in done.manifest.left_out.items():
        note(f"left out: {name} ({reason})", quiet=quiet)
    size = format_bytes(done.archive.stat().st_size)
    note(f"{len(done.manifest.files)} files, {size}. Open it: {shell_command('unpack', done.archive.name)}", quiet=quiet)
    out().print(str(done.archive), soft_wrap=True, markup=False)


def unpack_command(
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
    from mmtrain.commands.pack import unpack
    from mmtrain.errors import counted, shell_command

    done = unpack(archive, folder)
    if as_json:
        left_out = done.manifest.left_out
        print_json({"folder": str(done.folder), "run": done.manifest.run, "table": str(done.table), "left_out": left_out})
        return
    if number := len(done.manifest.left_out):
        note(f"Left out when it was packed: {counted(number, 'thing')}; {done.folder / MANIFEST} says what and why.", quiet=quiet)
    note(
        f"To score its parts, put the table at {done.table}, with its images next to it as its cells name them, "
        "or name their folder with --images.",
        quiet=quiet,
    )
    note(f"To score another table: {shell_command('evaluate', done.folder, '--data', 'TABLE')}", quiet=quiet)
    out().print(str(done.folder), soft_wrap=True, markup=False)
