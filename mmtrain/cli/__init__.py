"""The command line: one file per command. Only this floor prints and exits.

A file of your own may add a command, a function of Typer, and is then given first: `mmtrain --code own.py count-rows TABLE`.

    @command
    def count_rows(table: Annotated[Path, typer.Argument(help="A table.")]) -> None:
        print(len(pd.read_csv(table)))
"""

from __future__ import annotations

import os
import sys

from mmtrain.cli.options import command as command
from mmtrain.system.imports import without_gc


def main() -> None:
    """Entry point of `mmtrain`."""
    # To find plugins, pydantic reads the entry points of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with without_gc():
        from mmtrain.cli.app import run

    sys.exit(run(sys.argv[1:]))
