"""`mmtrain cache list` and `mmtrain cache clear`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Command, Group, Json, Quiet

if TYPE_CHECKING:
    from mmtrain.artifacts.command_results import CacheEntry

app = typer.Typer(
    cls=Group,
    help="List or remove caches that runs share: image stores (decoded images) and encoded columns of large tables.",
    no_args_is_help=True,
)
Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="Left out: $MMTRAIN_CACHE, or the user's cache folder.", show_default=False)
]


SHORTEST_SOURCE = 12
"""Fewest characters of a source, however narrow the terminal is."""


@app.command("list", cls=Command)
def show(folder: Folder = None, as_json: Json = False) -> None:
    """List image stores and encoded columns with their contents, size and last use.

    Example: `mmtrain cache list`
    """
    from mmtrain.cli.views.console import out, print_json
    from mmtrain.commands.installation.cache import list_entries
    from mmtrain.config.byte_size import format_bytes
    from mmtrain.system.paths import cache_folder

    place = folder or cache_folder()
    entries = list_entries(place)
    total = sum(one.size for one in entries)
    if as_json:
        print_json({"folder": str(place), "entries": [one.to_json() for one in entries], "size": total})
        return
    if entries:
        out().print(_table(entries))
    out().print(f"{place}: {_entries(len(entries))}, {format_bytes(total)}.", soft_wrap=True, markup=False)


@app.command("clear", cls=Command)
def clear(
    folder: Folder = None,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="Remove only entries last used longer ago.", show_default=False)
    ] = 0.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove image stores, encoded columns and remains of killed builds, and nothing else; later runs make them again.

    Example: `mmtrain cache clear`
    """
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.commands.installation.cache import clear as cleared
    from mmtrain.config.byte_size import format_bytes
    from mmtrain.errors import Problem, RunError
    from mmtrain.system.paths import cache_folder

    place = folder or cache_folder()
    done = cleared(place, older_than=older_than)
    freed = sum(one.size for one in done.removed)
    # Raised at the end: what could be removed is gone, and the problem names the rest.
    if done.failed:
        fix = "Check the permissions of the folder, and look for other files in it."
        raise RunError([Problem(str(one.folder), "the entry could not be removed.", fix) for one in done.failed])
    if as_json:
        print_json({"folder": str(place), "removed": [one.to_json() for one in done.removed], "size": freed, "kept": done.remaining})
        return
    out().print(f"{place}: {_entries(len(done.removed))} removed, {format_bytes(freed)} freed.", soft_wrap=True, markup=False)
    if done.remaining:
        note(f"{_entries(done.remaining)} kept.", quiet=quiet)


def _entries(number: int) -> str:
    from mmtrain.errors import counted

    return counted(number, "entry", "entries")


def _table(entries: list[CacheEntry]) -> object:
    """Return a table with a row per entry; an incomplete entry shows its state instead of its layout.

    Where the terminal is too narrow for a source, its beginning is cut off.
    """
    import time

    from rich.markup import escape

    from mmtrain.cli.views.console import out, plain_table
    from mmtrain.config.byte_size import format_bytes

    headers = ("kind", "layout", "items", "size", "last used", "source")
    rows = []
    for one in entries:
        # A clock may be set back.
        days = max(0.0, time.time() - one.used) / (24 * 60 * 60)
        used = "today" if days < 1 else f"{days:.0f} day{'s' if round(days) > 1 else ''} ago"
        layout = one.layout if one.state == "complete" else one.state
        rows.append((one.kind, layout, f"{one.items:,}", format_bytes(one.size), used, one.source))
    table = plain_table(*headers)
    table.columns[-1].justify = "left"
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    room = max(out().width - sum(widths[:-1]) - 2 * (len(headers) - 1), SHORTEST_SOURCE)
    for *first, source in rows:
        table.add_row(*map(escape, first), escape(source if len(source) <= room else f"…{source[1 - room :]}"))
    return table
