# /// script
# requires-python = ">=3.11"
# dependencies = ["tensorflow>=2.21,<2.22"]
# ///
"""Run a SavedModel export: `python run.py FOLDER < inputs.json > outputs.json`. Needs TensorFlow, nothing else.

Both are in the JSON of TensorFlow Serving: `{"inputs": {name: [value, ...]}}` with a value per row, the bytes of an image
file as `{"b64": "..."}`, NaN for a missing number; and `{"outputs": {name: [value, ...]}}`.

`python run.py FOLDER TABLE.csv [IMAGES] > outputs.json` reads the rows of a table instead: a column per header in signature.json.
Image cells are relative to the folder IMAGES; left out, to the folder of the table.
"""

import ast
import base64
import csv
import json
import sys
from pathlib import Path
from typing import Any

BATCH_ROWS = 64
"""Rows at once, which bounds the memory of decoded images."""
MOST_CELL_CHARACTERS = 2**31 - 1
"""Maximum length of a cell: one with an image in base64 is longer than Python's default of 131,072."""


def predict(folder: str, inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the outputs of all rows, in their order."""
    import tensorflow as tf

    model = tf.saved_model.load(folder)  # a name of its own: the signature fails once the model is garbage-collected
    signature = model.signatures["serving_default"]
    kinds = {name: tensor.dtype for name, tensor in signature.structured_input_signature[1].items()}
    values = {name: [_value(value) for value in inputs[name]] for name in kinds}
    outputs: dict[str, list[Any]] = {name: [] for name in signature.structured_outputs}
    for start in range(0, max(map(len, values.values())), BATCH_ROWS):
        predictions = signature(**{name: tf.constant(values[name][start : start + BATCH_ROWS], kind) for name, kind in kinds.items()})
        for name, tensor in predictions.items():
            rows = tensor.numpy().tolist()
            outputs[name] += [row.decode() for row in rows] if tensor.dtype == tf.string else rows
    return outputs


def _value(value: object) -> object:
    if isinstance(value, list):
        return [_value(one) for one in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def read_table(signature: dict[str, Any], table: Path, images: Path) -> dict[str, list[Any]]:
    """Return the rows of a CSV file as inputs of the export that `signature`, its signature.json, describes."""
    csv.field_size_limit(MOST_CELL_CHARACTERS)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    described = {one["name"]: one for one in signature["inputs"]}
    suffixes = {one["name"]: signature.get("suffixes", {}).get(one.get("column"), "") for one in signature["inputs"]}
    separators = {one["name"]: signature.get("separators", {}).get(one.get("column")) for one in signature["inputs"]}
    if pixels := [name for name, one in described.items() if one["dtype"] == "float32" and len(one["shape"]) > 3]:
        sys.exit(f"{table}: {', '.join(pixels)}: the model takes pixels of files that TensorFlow cannot decode. Use `mmtrain predict`.")
    cells_of: dict[str, list[list[Any]]] = {}
    for header, names in signature["headers"].items():
        if rows and header not in rows[0]:
            sys.exit(f"{table}: there is no column {header!r}.")
        cells = [row[header] or "" for row in rows]
        cells = ["" if not cell.strip() or cell.strip() in signature["missing"] else cell for cell in cells]
        for name in names:
            one, suffix, separator = described[name], suffixes[name], separators[name]
            if separator is None:
                values = [_input(one, cell, images, suffix) for cell in cells]
            else:
                values = [_parts(cell, separator) for cell in cells]
            cells_of.setdefault(name, []).append(values)
    for name in [name for name, separator in separators.items() if separator is not None]:
        # Under one header or several: each file once, sorted.
        names = [sorted({part for parts in row for part in parts}) for row in zip(*cells_of[name], strict=True)]
        files = [[_input(described[name], part, images, suffixes[name]) for part in row] for row in names]
        cells_of[name] = [[_filled(row, described[name]["shape"][1]) for row in files]]
    # An input of several headers has a list of values for each row of the table.
    return {
        name: several[0] if len(several) == 1 else [list(row) for row in zip(*several, strict=True)] for name, several in cells_of.items()
    }


def _parts(cell: str, separator: str) -> list[str]:
    """Return the images that a cell lists, in JSON, in Python or between separators."""
    cell = cell.strip()
    parts = [cell] if cell.startswith("data:") else cell.split(separator)
    if cell.startswith("["):
        try:
            parts = json.loads(cell)
        except ValueError:
            parts = ast.literal_eval(cell)
    return [part.strip() for part in parts if part and part.strip()]


def _filled(values: list[Any], length: int) -> list[Any]:
    """Return as many values as the input takes, files without content behind the last one."""
    if len(values) > length:
        sys.exit(f"a row has {len(values)} images, and {length} are the most.")
    return values + [{"b64": ""}] * (length - len(values))


def _input(one: dict[str, Any], cell: str, images: Path, suffix: str) -> Any:
    """Return a cell as a number, NaN if missing; as a text; or as the bytes of an image file, empty if missing.

    File names are completed by `suffix` unless they end with it.
    """
    if one["dtype"] != "string":
        return float(cell or "nan")
    if one["cell"] is not None:
        return cell
    if cell.startswith("data:"):  # the cell holds the image itself
        return {"b64": cell.partition(",")[2]}
    name = cell.strip()
    return {"b64": base64.b64encode((images / f"{name.removesuffix(suffix)}{suffix}").read_bytes() if name else b"").decode()}


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__.strip())
    folder, *given = sys.argv[1:]
    if given:
        contract = json.loads((Path(__file__).parent / "signature.json").read_text(encoding="utf-8"))
        inputs = read_table(contract, Path(given[0]), Path(given[1]) if given[1:] else Path(given[0]).parent)
    else:
        inputs = json.load(sys.stdin)["inputs"]
    json.dump({"outputs": predict(folder, inputs)}, sys.stdout)
