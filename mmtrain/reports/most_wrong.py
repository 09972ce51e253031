"""The rows that the model was most wrong about, each a card with its pictures and cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmtrain.columns import Id
from mmtrain.reports.blocks import Card, Cards, Cell, Thumbnail, Tone
from mmtrain.reports.contents import Contents, Judged
from mmtrain.reports.words import counted, decimals, plain, rows_called

NOTE = "Worth a look: is the answer in the table right, does the picture show what it should, what do these rows have in common?"


def cards(contents: Contents, judged: Judged) -> tuple[Cards, ...]:
    """The worst first; nothing where the run keeps no such rows."""
    rows = judged.most_wrong
    if not rows:
        return ()
    named = contents.experiment.only(Id) is not None
    which = f"The {counted(len(rows), 'row')} with the highest loss" if len(rows) > 1 else "The row with the highest loss"
    made = tuple(_card(row, named=named) for row in rows)
    return (Cards(f"Most wrong for {judged.key}: {which[0].lower()}{which[1:]} of the {rows_called(judged)}", made, NOTE),)


def _card(row: Mapping[str, Any], *, named: bool) -> Card:
    name = f"{row['id']} (row {row['row']:,})" if named else f"row {row['row']:,}"
    cells = tuple((key, Cell(text) if text else Cell("missing", tone="quiet")) for key, text in row["cells"].items())
    pictures = tuple(Thumbnail(f"{key} of {name}", jpeg) for key, jpeg in row["pictures"].items())
    return Card(name, f"{_answer(row['truth'])} was predicted as", _predicted(row), _tone(row), pictures, cells)


def _tone(row: Mapping[str, Any]) -> Tone:
    """A number is never quite right, so of numbers nothing is said."""
    if isinstance(row["truth"], float):
        return ""
    return "good" if row["truth"] == row["prediction"] else "bad"


def _answer(answer: str | float) -> str:
    return plain(answer) if isinstance(answer, float) else answer or "no label"


def _predicted(row: Mapping[str, Any]) -> str:
    said, given = _answer(row["prediction"]), row.get("probability")
    if given is None:
        return said
    if row["truth"] == row["prediction"]:
        return f"{said}, with probability {decimals(given['truth'])}"
    return f"{said}; probability of {_answer(row['truth'])}: {decimals(given['truth'])}, of {said}: {decimals(given['prediction'])}"
