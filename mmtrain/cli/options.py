"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY.SUB=VALUE", help="Override a value of the file; may be given several times.")
]
Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder that holds the runs.")]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="FOLDER", help="The folder that image cells are relative to.", show_default=False)
]
Table = Annotated[
    Path | None,
    typer.Option("--table", metavar="FILE", help="Where the table of the training is now, if it has moved.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
All = Annotated[bool, typer.Option("--all", help="Show every problem, however many there are.")]
"""Read by `app.run`, which shows them."""
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only.")]
Code = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        metavar="FILE",
        help="A Python file with your own columns, branches, fusions or callbacks, imported first; may be given several times.",
    ),
]
AllowCallbacks = Annotated[
    bool,
    typer.Option(
        "--allow-callbacks",
        help="Let `training.callbacks` import any installed module, not only callbacks of Keras and of --code files. For files you trust.",
    ),
]
Run = Annotated[
    str | None, typer.Argument(help="A run folder, or a name (its latest run). Left out: the latest run of all.", show_default=False)
]


def import_allowed(code: list[Path] | None, *, any_callbacks: bool = False) -> None:
    """Import the files of --code; with --allow-callbacks, let the experiment import any module."""
    from mmtrain.system.user_code import allow_callbacks, import_code

    import_code(code)
    if any_callbacks:
        allow_callbacks()
