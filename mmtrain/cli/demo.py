"""`mmtrain demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmtrain.cli import evaluate, fit
from mmtrain.cli.options import Quiet, Set


def command(
    folder: Annotated[Path, typer.Argument(help="The folder for the sample data, their experiment file and the runs.")] = Path(
        "mmtrain-demo"
    ),
    *,
    overrides: Set = None,
    quiet: Quiet = False,
) -> None:
    """Train and score a model on sample data that come with mmtrain: scans and demographics of 150 patients, in half a minute.

    Example: `mmtrain demo my-first-model`
    """
    from mmtrain.cli.views.console import note
    from mmtrain.commands.demo import EXPERIMENT, TABLE, write_demo
    from mmtrain.errors import shell_command

    file = write_demo(folder)
    note(f"The sample data are in {folder}: {TABLE} is the table, {EXPERIMENT} gives the role of each column.", quiet=quiet)
    runs = folder / "runs"
    fit.command(file, overrides=overrides, output=runs, quiet=quiet)
    evaluate.command("clinic", output=runs, quiet=quiet)
    again, own = shell_command("fit", file, "--output", runs), shell_command("init", "your_table.csv")
    note(f"Change {EXPERIMENT} and train again: {again}", quiet=quiet)
    note(f"Other commands find these runs with `--output {runs}`.", quiet=quiet)
    note(f"Begin with a table of your own: {own}", quiet=quiet)
