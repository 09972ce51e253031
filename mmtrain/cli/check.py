"""`mmtrain check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmtrain.cli.options import All, AllowCallbacks, Code, Json, Quiet, Set, import_allowed
from mmtrain.system.imports import without_gc


def command(
    config: Annotated[Path, typer.Argument(help="The experiment file.")],
    overrides: Set = None,
    code: Code = None,
    allow_callbacks: AllowCallbacks = False,
    every: All = False,  # noqa: ARG001
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find everything that `fit` would refuse, in the file, the table and the images, without training.

    Example: `mmtrain check clinic.yaml`
    """
    import_allowed(code, any_callbacks=allow_callbacks)
    with without_gc():
        from mmtrain.cli.views.console import line, note, out, print_json
        from mmtrain.cli.views.training_progress import progress_display
        from mmtrain.commands.check import check
        from mmtrain.errors import shell_command

    with progress_display(quiet=quiet or as_json) as shown:
        result = check(config, overrides=overrides or (), progress=shown.images, say=shown.say)
    if as_json:
        print_json(result.to_json())
        return
    dropped = f", {result.dropped:,} dropped" if result.dropped else ""
    parts = ", ".join(f"{part} {count:,}" for part, count in result.parts.items())
    line(out(), f"{config}: no problems. {result.rows:,} rows{dropped}: {parts}.")
    same = [word for option, values in (("--set", overrides), ("--code", code)) for value in values or () for word in (option, value)]
    note(f"Train it: {shell_command('fit', config, *same)}", quiet=quiet)
