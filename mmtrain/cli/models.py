"""`mmtrain models list`."""

from __future__ import annotations

import typer

from mmtrain.cli.options import Command, Group, Json

app = typer.Typer(cls=Group, help="List pretrained encoders at hand, for `architecture: pretrained`.", no_args_is_help=True)


@app.callback()
def _several() -> None:
    """Keep `list` a command of its own: Typer would make the only one the whole program."""


@app.command("list", cls=Command)
def show(as_json: Json = False) -> None:
    """List models in $MMTRAIN_MODELS, in the user's folder of models and in Python packages. Nothing is downloaded."""
    from rich.markup import escape

    from mmtrain.cli.views.console import note, out, plain_table, print_json
    from mmtrain.commands.models import list_models
    from mmtrain.config.byte_size import format_bytes
    from mmtrain.encoders import model_folders
    from mmtrain.errors import counted

    models, folders = list_models(), [str(folder) for folder in model_folders()]
    if as_json:
        print_json({"folders": folders, "models": [one.to_json() for one in models]})
        return
    if models:
        table = plain_table("model", "kind", "family", "parameters", "size")
        for one in models:
            parameters = f"{one.parameters / 1e6:,.1f} M" if one.parameters else ""
            table.add_row(escape(one.name), one.kind, escape(one.family), parameters, format_bytes(one.size))
        out().print(table)
    for one in models:
        if one.problem:
            note(f"{one.path}: {one.problem}")
    out().print(f"{counted(len(models), 'model')} in {', '.join(folders)} and Python packages.", soft_wrap=True, markup=False)
