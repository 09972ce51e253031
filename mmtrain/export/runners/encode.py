# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2", "pillow>=13"]
# ///
"""Encode rows for this export: `python encode.py TABLE.csv INPUTS.npz [IMAGES]`, then `python run.py INPUTS.npz OUTPUTS.npz`.

Needs numpy, and Pillow for images; nothing else. It reads columns.json, characters.json and signature.json next to it, and makes the same
arrays from the same cells as the training; the folder `encoding` has a module for each role of the columns. Image cells are relative to the
folder IMAGES; left out, to the folder of the table.

In a program of your own: `Encoder(folder).encode(rows)` takes dictionaries with a text, a number or None for every header, and the path or
the bytes of an image file for an image, or a list of them.
"""

import csv
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

MOST_CELL_CHARACTERS = 2**31 - 1
"""Maximum length of a cell: one with an image in base64 is longer than Python's default of 131,072."""

Row = dict[str, Any]


class Encoder:
    """Encodes rows by what is in the folder of an export."""

    def __init__(self, folder: Path) -> None:
        signature, columns, characters = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in ("signature.json", "columns.json", "characters.json")
        )
        self.signature = signature
        self._headers = {key: column.get("headers") or headers_of(signature, key) for key, column in columns["columns"].items()}
        self._missing = {"", *signature["missing"]}
        self._blanks = characters["blanks"]
        self._columns = {}
        for key, column in columns["columns"].items():
            context = {
                "characters": characters,
                "suffix": signature.get("suffixes", {}).get(key, ""),
                "separator": signature.get("separators", {}).get(key, ";"),
                "typed": self._headers[key][0] in columns["typed"],
            }
            self._columns[key] = import_module(f"encoding.{column['role']}").encoder(column, context)

    def encode(self, rows: Sequence[Row], images: Path = Path()) -> dict[str, Any]:
        """Return an array for every input, (rows, ...); row i of each is row i of `rows`.

        Raises ValueError for an image that is absent or damaged, with the row; an empty cell is a missing one.
        """
        arrays = {}
        for key in self._columns:
            cells = ([self._cell(row[header]) for header in self._headers[key]] for row in rows)
            values, present = zip(*(self._encoded(key, place, cell, images) for place, cell in enumerate(cells)), strict=True)
            arrays[key] = np.stack(values)
            arrays[f"{key}_present"] = np.array(present, np.float32)[:, None]
        return {one["name"]: arrays[one["tensor"]].astype(one["dtype"]) for one in self.signature["inputs"]}

    def _encoded(self, key: str, place: int, cells: list[Any], images: Path) -> Any:
        try:
            return self._columns[key](cells, images)
        except Exception as error:  # of `image_decoding`, for a file that is absent or damaged
            names = ", ".join(str(cell)[:80] for cell in cells)
            raise ValueError(f"row {place}, counted from 0: {', '.join(self._headers[key])}: {names}: {error}") from error

    def _cell(self, cell: Any) -> Any:
        """Return a cell as a text without blanks at its ends, None for missing; bytes and lists as they are."""
        if cell is None or isinstance(cell, bytes | list | tuple):
            return cell or None
        if cell != cell:  # noqa: PLR0124 (not a number)
            return None
        if isinstance(cell, bool):
            cell = "true" if cell else "false"
        if isinstance(cell, float):
            cell = int(cell) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
        text = str(cell).strip(self._blanks)
        return None if text in self._missing else text


def headers_of(signature: dict[str, Any], column: str) -> list[str]:
    """Return the headers that a column is read from."""
    inputs = {one["name"] for one in signature["inputs"] if one["column"] == column}
    return [header for header, names in signature["headers"].items() if inputs & set(names)]


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit(__doc__.strip())
    table, arrays, *folder = map(Path, sys.argv[1:])
    encoder = Encoder(Path(__file__).parent)
    csv.field_size_limit(MOST_CELL_CHARACTERS)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        sys.exit(f"{table}: the table has no rows.")
    if lacking := [header for header in encoder.signature["headers"] if header not in rows[0]]:
        sys.exit(f"{table}: there is no column {lacking[0]!r}.")
    try:
        np.savez(arrays, **encoder.encode(rows, folder[0] if folder else table.parent))
    except ValueError as error:
        sys.exit(f"{table}: {error}")
