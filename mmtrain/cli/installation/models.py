"""`mmtrain models list` and `mmtrain models download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Command, Group, Json, Quiet

if TYPE_CHECKING:
    from mmtrain.artifacts.command_results import ModelAtHand

app = typer.Typer(cls=Group, help="List and fetch pretrained encoders, for `architecture: pretrained`.", no_args_is_help=True)


@app.command("list", cls=Command)
def show(
    measure: Annotated[bool, typer.Option("--measure", help="Measure the speed and the memory of each model on this machine.")] = False,
    as_json: Json = False,
) -> None:
    """List models in $MMTRAIN_MODELS, in the user's folder of models and in Python packages. Nothing is downloaded.

    Example: `mmtrain models list`
    """
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.installation.models import list_models
    from mmtrain.encoders import model_folders
    from mmtrain.errors import counted

    models, folders = list_models(measure=measure), [str(folder) for folder in model_folders()]
    if as_json:
        print_json({"folders": folders, "models": [one.to_json() for one in models]})
        return
    _table(models)
    for one in models:
        if one.problem:
            note(f"{one.path}: {one.problem}")
    out().print(
        f"{counted(len({one.path for one in models}), 'model')} in {', '.join(folders)} and Python packages.", soft_wrap=True, markup=False
    )
    if not models:
        note("To fetch one from a hub: mmtrain models download NAME --hub URL --sha256 HEX")
    if any(one.family and one.per_second is None for one in models):
        note("To measure speed and memory on this machine: mmtrain models list --measure")


@app.command("download", cls=Command)
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a model, such as all-minilm-l6-v2, or a repository of the hub, owner/model.")],
    sha256: Annotated[str, typer.Option("--sha256", metavar="HEX", help="SHA-256 of the file of weights, as the hub shows it.")],
    hub: Annotated[
        str | None, typer.Option("--hub", metavar="URL", help="Address of the hub; left out: $MMTRAIN_HUB.", show_default=False)
    ] = None,
    revision: Annotated[str, typer.Option("--revision", metavar="NAME", help="Branch, tag or commit of the repository.")] = "main",
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Folder of models; left out: that of the user.", show_default=False),
    ] = None,
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch a model from a hub. Its checksum is verified, and an interrupted download continues where it stopped.

    Example: `mmtrain models download all-minilm-l6-v2 --sha256 53aa5117...`
    """
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.installation.models import download

    shown = [0]

    def progress(done: int, total: int) -> None:
        if done * 10 >= total * (shown[0] + 1) and total:  # a line for every tenth
            shown[0] = done * 10 // total
            note(f"{name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB", quiet=quiet or as_json)

    done = download(name, sha256=sha256, hub=hub, revision=revision, folder=folder, progress=progress)
    if as_json:
        print_json(done[0].to_json())
        return
    _table(done)
    note(f"{done[0].path}: {done[0].problem}", quiet=not done[0].problem)
    out().print(str(done[0].path), soft_wrap=True, markup=False)


def _table(models: list[ModelAtHand]) -> None:
    from rich.markup import escape

    from mmtrain.cli.views.console import out, plain_table
    from mmtrain.config.byte_size import format_bytes
    from mmtrain.specs import kinds

    if not models:
        return
    measured = any(one.per_second is not None for one in models)
    table = plain_table("model", "kind", "family", "parameters", "size", *(("speed here", "memory") if measured else ()))
    for one in models:
        parameters = f"{one.parameters / 1e6:,.1f} M" if one.parameters else ""
        pace = "" if one.per_second is None else f"{one.per_second:,.0f} {kinds[one.kind].architecture_prefix}s/s"
        more = (pace, "" if one.memory is None else format_bytes(one.memory)) if measured else ()
        table.add_row(escape(one.name), one.kind, escape(one.family), parameters, format_bytes(one.size), *more)
    out().print(table)
