"""The parts of a split in `inspect-data` and `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mmtrain.cli.views.console import clip, format_value, plain_table
from mmtrain.errors import counted

if TYPE_CHECKING:
    from mmtrain.artifacts.inspection_results import PartSummary

LONGEST = 16
"""Maximum number of characters of a class that are shown."""


def show_splits(console: Console, parts: Sequence[PartSummary]) -> None:
    """Print a table of the parts, and a line about groups."""
    console.print(_table(parts, console.width))
    if parts[0].groups is not None:
        console.print("No group is in more than one part.")


def _table(parts: Sequence[PartSummary], width: int) -> Table:
    """Return a table with a row per part; if the columns of its classes do not fit the width, with the number of its classes."""
    grouped = parts[0].groups is not None
    names = [clip(name, LONGEST) for name in parts[0].classes]
    medians = [f"median {clip(key, LONGEST)}" for key in parts[0].medians]
    fits = 38 + sum(max(6, len(name)) + 2 for name in [*names, *medians]) <= width
    table = plain_table("part", "rows", "share", *(["groups"] if grouped else []), *(names if fits else ["answers", "rarest"]), *medians)
    for part in parts:
        groups = [f"{part.groups:,}"] if part.groups is not None else []
        times = part.classes.values()
        few = [f"{sum(1 for rows in times if rows)} of {len(names)}", counted(min(times, default=0), "row")]
        answers = [f"{rows:,}" for rows in times] if fits else few
        middle = ["–" if value is None else format_value(value) for value in part.medians.values()]
        table.add_row(part.part, f"{part.rows:,}", f"{part.share:.1%}", *groups, *answers, *middle)
    return table
