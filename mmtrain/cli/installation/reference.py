"""`mmtrain list`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Code, Json, import_allowed

if TYPE_CHECKING:
    from mmtrain.artifacts.command_results import ListedName


def command(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="columns, branches, fusions, targets, losses, splits, optimizers, schedules, trackers, metrics or sections. "
            "Left out: the names of all.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str | None, typer.Argument(help="One of them, to see its options.", show_default=False)] = None,
    code: Code = None,
    as_json: Json = False,
) -> None:
    """List the names that an experiment file can use, with their options, defaults and ranges.

    Example: `mmtrain list branches mlp`
    """
    import_allowed(code)
    from mmtrain.cli.views.console import line, out, print_json
    from mmtrain.commands.installation.reference import ALL_KINDS, checked_names, find_name, names_of_kind

    kinds = ALL_KINDS if kind is None else (kind,)
    if name is not None and kind is not None:
        chosen = find_name(kind, name)
        if as_json:
            print_json(chosen.to_json())
        else:
            _show(chosen)
        return
    listed = {one: names_of_kind(one) if kind is None else checked_names(one) for one in kinds}
    if as_json:
        print_json({one: [entry.to_json() for entry in entries] for one, entries in listed.items()})
        return
    if kind is None:
        for one, entries in listed.items():
            line(out(), f"{one}: {' '.join(entry.name for entry in entries)}")
        return
    _print_table([(entry.name, _first_sentence(entry.purpose)) for entry in listed[kind]])


def _show(entry: ListedName) -> None:
    from rich.text import Text

    from mmtrain.cli.views.console import line, out

    line(out(), f"{entry.name}: {entry.purpose}")
    if entry.options:
        for option in entry.options:
            # A table would leave the meaning a few letters a line in 80 columns.
            values = "; ".join(filter(None, (option.values, option.default and f"default: {option.default}")))
            line(out(), Text.assemble((option.name, "bold"), f"  {values}"))
            line(out(), f"    {option.description}")


def _print_table(rows: Sequence[tuple[str, str]]) -> None:
    from mmtrain.cli.views.console import format_cell, out, plain_table

    table = plain_table("name", "purpose")
    for column in table.columns:
        column.justify = "left"
    for row in rows:
        table.add_row(*map(format_cell, row))
    out().print(table)


def _first_sentence(purpose: str) -> str:
    # Neither "et al." nor "1, 2, 4, ..." ends a sentence.
    return re.split(r"(?<!et al)(?<!\.)\. ", purpose)[0].rstrip(".") + "."
