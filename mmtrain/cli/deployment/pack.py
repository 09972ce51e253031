"""`mmtrain pack` and `mmtrain unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmtrain.cli.options import Code, Json, Output, Quiet


def pack_command(
    run: Annotated[str, typer.Argument(help="A run folder, or a name (its latest run).", show_default=False)],
    archive: Annotated[Path, typer.Argument(metavar="ZIP", help="The archive to write; it must not exist yet.", show_default=False)],
    with_rows: Annotated[
        bool, typer.Option("--with-rows", help="Also pack predictions, report and plots, and the ids of rows, which show single rows.")
    ] = False,
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack a run into one file that `mmtrain unpack` opens on another machine, for evaluate, predict and export.

    The archive holds the experiment, the model, its fitted columns, the scores, and the row numbers of each part. It never
    holds the table, its images, or paths of this machine. Predictions, report, plots, ids and reasons for dropped rows are
    left out unless --with-rows is given; the manifest in the archive lists the omissions.

    The archive does hold facts that the model learned from training rows: categories, words of texts, smallest and largest
    numbers. If those are secret, so is the archive. Its checksums reveal damage, but not who made it.

    Example: `mmtrain pack clinic clinic.zip`
    """
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.deployment.pack import pack
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
    # Only the name: the archive is usually opened on another machine.
    note(f"{len(done.manifest.files)} files, {size}. Open it: {shell_command('unpack', done.archive.name)}", quiet=quiet)
    out().print(str(done.archive), soft_wrap=True, markup=False)


def unpack_command(
    archive: Annotated[Path, typer.Argument(metavar="ZIP", help="An archive written by `mmtrain pack`.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Argument(help="The folder to create. Left out: named like the archive, here.", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Unpack a packed run into a run folder.

    The archive may come from a stranger: file names that lead out of the folder, links, files that do not belong to a run,
    wrong checksums, and archives that unpack to far more than their size are refused, and then nothing is left behind. No
    existing file is overwritten. Neither unpacking nor using the run executes code that came with it.

    Example: `mmtrain unpack clinic.zip`
    """
    from mmtrain.artifacts.manifest import MANIFEST
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.deployment.unpack import unpack
    from mmtrain.errors import counted, shell_command

    done = unpack(archive, folder)
    if as_json:
        left_out = done.manifest.left_out
        print_json({"folder": str(done.folder), "run": done.manifest.run, "table": str(done.table), "left_out": left_out})
        return
    if number := len(done.manifest.left_out):
        note(f"Left out when it was packed: {counted(number, 'item')}, listed with reasons in {done.folder / MANIFEST}.", quiet=quiet)
    note(
        f"To score its parts, put the table at {done.table}. Put its images next to it, or give their folder with --images.",
        quiet=quiet,
    )
    note(f"To score another table: {shell_command('evaluate', done.folder, '--data', 'TABLE')}", quiet=quiet)
    out().print(str(done.folder), soft_wrap=True, markup=False)
