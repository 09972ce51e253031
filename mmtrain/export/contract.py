"""Inputs and outputs of an export, for programs (`signature.json`) and for people (`CONTRACT.md`), with an example row.

The example is made up from the vocabulary of the columns; no row of the table leaves with an export.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.artifacts.export_results import ExportCheck, ExportInput, ExportOutput, ScoreChange, Signature
from mmtrain.columns import FittedColumn
from mmtrain.columns.pixels.pixel_input import RAW_PIXELS
from mmtrain.data.cell_encoder import encoder
from mmtrain.data.encode import Fitted
from mmtrain.errors import listed
from mmtrain.export.base import Array, Inputs
from mmtrain.input_layout import InputLayout
from mmtrain.specs import PixelSpec, SetSpec
from mmtrain.targets import FittedTarget

ENCODING = "python encode.py TABLE.csv inputs.npz [IMAGES]"
EXAMPLE_VALUES = 8
"""Maximum number of values of an example that are written out."""


@dataclass(frozen=True)
class Tensor:
    """One input: its name in the export (`name`) and in model.keras (`tensor`), and how it is computed."""

    name: str
    tensor: str
    column: str
    dtype: str
    shape: tuple[int, ...]
    """Without the axis of rows."""
    meaning: str
    computed: str
    cell: str | Mapping[str, str] | None
    """The cell of the example, of several headers by header; None for presence and for an image."""
    example: Array
    """(1, *shape)."""

    def described(self) -> ExportInput:
        """Return the input as the signature describes it."""
        return ExportInput(**vars(self) | {"shape": ["rows", *self.shape], "example": short_name(self.example)})


def tensors(kind: Inputs, fitted: Fitted, names: Mapping[str, str]) -> list[Tensor]:
    """Return the inputs in the order of `names`, the names in the export by Keras input."""
    example = example_row(kind, fitted)
    owners = {label: key for key in fitted.columns for label in _labels(kind, key, fitted)}
    described = []
    for label, name in names.items():
        key = owners[label]
        recipe = fitted.columns[key].recipe()
        presence = label != key
        meaning = f"1 if the row has a value of {key!r}, else 0." if presence else recipe.meaning
        computed = recipe.present if presence else recipe.encoded if kind == "encoded" else _as_it_is(fitted, key)
        values = example[label]
        dtype = "string" if values.dtype == object else values.dtype.name
        # A raw input of one value per row is (rows,), which programs expect.
        shape = () if kind == "raw" and values.shape == (1, 1) else values.shape[1:]
        described.append(Tensor(name, label, key, dtype, shape, meaning, computed, None if presence else recipe.cell, values))
    return described


def headers(reads: Mapping[str, Sequence[str]], inputs: Sequence[Tensor]) -> dict[str, list[str]]:
    """Return the inputs computed from the cells of each header; `reads` are the headers of each column."""
    by_header: dict[str, list[str]] = {}
    for one in inputs:
        for header in reads[one.column]:
            by_header.setdefault(header, []).append(one.name)
    return by_header


def labels(kind: Inputs, fitted: Fitted) -> list[str]:
    """Return the Keras inputs of the whole model (`raw`), or of the network after the preprocessing (`encoded`)."""
    return [label for key in fitted.columns for label in _labels(kind, key, fitted)]


def _labels(kind: Inputs, key: str, fitted: Fitted) -> tuple[str, ...]:
    return tuple(fitted.columns[key].raw_inputs(key)) if kind == "raw" else (key, f"{key}_present")


def _as_it_is(fitted: Fitted, key: str) -> str:
    if isinstance(fitted.columns[key].spec, SetSpec) and not fitted.columns[key].decodes_images:
        return f"Images sorted by the paths of their files, and NaN behind the last one. {RAW_PIXELS}"
    if isinstance(fitted.columns[key].spec, SetSpec):
        return "The bytes of JPEG, PNG, BMP, GIF or WebP files, sorted by their paths; empty texts behind the last one."
    if fitted.columns[key].decodes_images:
        return "The bytes of a JPEG, PNG, BMP, GIF or WebP file; none if missing."
    if isinstance(fitted.columns[key].spec, PixelSpec):
        return RAW_PIXELS
    if raw := fitted.columns[key].recipe().raw:
        return raw
    text = fitted.columns[key].raw_inputs(key)[key].dtype == "string"
    return f"The cell as it is; {'an empty text' if text else 'NaN'} if missing."


def example_row(kind: Inputs, fitted: Fitted) -> dict[str, Array]:
    """Return a made-up row by Keras input: the cells of `recipe`, and a grey image."""
    raw = {key: _raw(column) for key, column in fitted.columns.items()}
    if kind == "raw":
        return raw
    images = {key: column.spec for key, column in fitted.columns.items() if isinstance(column.spec, PixelSpec | SetSpec)}
    others = {key: column for key, column in fitted.columns.items() if key not in images}
    row = {}
    if others:
        encoded = encoder(others)({label: _tensor(raw[key]) for key in others for label in others[key].raw_inputs(key)})
        layout = InputLayout({key: column.spec for key, column in others.items()})
        row = {label: tensor.numpy() for label, tensor in layout.split(encoded).items()}
    for key, spec in images.items():
        row[key] = np.full((1, *spec.shape), spec.member.levels // 2, dtype=spec.dtype)
        if isinstance(spec, SetSpec):
            row[key][:, 1:] = 0  # a single image
        row[f"{key}_present"] = np.ones((1, 1), dtype=np.float32)
    return row


def _raw(column: FittedColumn) -> Array:
    """Return the raw example cell of a column, (1, 1); for a column of several headers (1, headers)."""
    if isinstance(column.spec, PixelSpec | SetSpec) and not column.decodes_images:
        grey = np.full((1, *column.spec.shape), 0.5, np.float32)
        if isinstance(column.spec, SetSpec):
            grey[:, 1:] = np.nan  # a single image
        return grey
    cell = _grey() if column.decodes_images else column.recipe().cell
    cells: Any = pd.DataFrame([cell], dtype="str") if isinstance(cell, Mapping) else pd.Series([cell])
    return column.raw(cells)


def _grey() -> bytes:
    """Return a grey PNG of 8 x 8 pixels."""
    import PIL.Image

    file = BytesIO()
    PIL.Image.new("L", (8, 8), 127).save(file, "PNG")
    return file.getvalue()


def _tensor(values: Array) -> Any:
    import tensorflow as tf

    return tf.constant(values)


def output(key: str, name: str, target: FittedTarget) -> ExportOutput:
    """Return one output, its labels in the order of codes."""
    return ExportOutput(
        name=name,
        target=key,
        task=target.task,
        dtype="float32",
        shape=["rows", target.units],
        meaning=target.meaning.format(last=target.columns[-1] if target.columns else ""),
        labels=list(target.columns or target.number_columns),
        threshold=target.decision_threshold,
        factors=_factors(target),
        example=None,
    )


def _factors(target: FittedTarget) -> list[float] | None:
    """The decision factors of more than two classes; of two, the threshold says it."""
    factors = target.decision_factors
    return None if factors is None or target.thresholdable else [float(factor) for factor in factors]


def short_name(values: Array) -> Any:
    """Shorten the values of one row to `EXAMPLE_VALUES`, and the value of all others or their number."""
    if values.dtype == object:
        value = values.reshape(-1)[0]
        return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
    if values.size <= EXAMPLE_VALUES:
        return values[0].tolist()
    flat = values.reshape(-1)
    rest = np.unique(flat[EXAMPLE_VALUES:])
    others = {"all_others": rest[0].item()} if len(rest) == 1 else {"and_others": int(flat.size - EXAMPLE_VALUES)}
    return {"first": flat[:EXAMPLE_VALUES].tolist(), **others}


def markdown(signature: Signature, check: ExportCheck, *, encodes: bool = False, unknown: Sequence[str] = ()) -> str:
    """Return the text of CONTRACT.md; `encodes` where encode.py is next to it, `unknown` are the columns for which it is not."""
    lines = [f"# {signature.run.name} as {f'{signature.format} {signature.quantize}'.strip()}", ""]
    lines += [f"Takes {signature.takes} inputs, any number of rows at once. `run.py` shows how:", ""]
    lines += [f"    {signature.usage}", ""]
    if encodes:
        lines += ["`encode.py` makes the inputs of a table, with numpy and Pillow alone:", "", f"    {ENCODING}", ""]
    if unknown:
        lines += [f"There is no `encode.py`: mmtrain alone makes the inputs of {listed([f'`{key}`' for key in unknown])}.", ""]
    lines += ["## Inputs", ""]
    lines += [missing_cells(signature.missing), ""]
    lines += [f"Names of images of {key!r} are completed by `{end}` unless they end with it.\n" for key, end in signature.suffixes.items()]
    headers_of = {name: header for header, names in signature.headers.items() for name in names}
    for one in signature.inputs:
        header, presence = headers_of[one.name], one.tensor != one.column
        cell = f" for the cell {_json(one.cell)}" if one.cell is not None else ""
        lines += [f"- `{one.name}` {_typed(one)}. {one.meaning}", f"  {one.computed}"]
        lines += [f"  From the column {_json(header)} of the table."] if header != one.name and not presence else []
        lines += [f"  Example{cell}: `{_json(one.example)}`"]
    lines += ["", "## Outputs", ""]
    for out in signature.outputs:
        labels = f" Labels in order: {_json(out.labels)}." if out.labels else ""
        counts = "" if out.threshold is None else f" Predicted from {out.threshold} on."
        counts += (
            "" if out.factors is None else f" Predicted is the class with the largest product of probability and {_json(out.factors)}."
        )
        alone = f" In rows that have it, the branch {out.branch} answers alone: see `fusion_guard` in run.json." if out.branch else ""
        lines += [f"- `{out.name}` {_typed(out)}. {out.meaning}{labels}{counts}{alone}", f"  For the example: `{_json(out.example)}`"]
    limit = "no limit; its scores decide" if check.tolerance is None else f"at most {check.tolerance:g}"
    lines += ["", "## Check", "", f"Against `mmtrain evaluate` on {check.rows} validation rows, in a separate process:"]
    lines += [f"largest difference {check.largest_difference:.2g} ({limit})."]
    lines += [_changed(score) for score in check.scores]
    return "\n".join(lines) + "\n"


def missing_cells(words: Sequence[str]) -> str:
    """Return a sentence on the cells that count as missing; `words` are the experiment's `data.missing_values`."""
    other = f", or {listed([repr(word) for word in words], 'or', most=len(words))}" if words else ""
    return f"A cell of the table is missing if it is empty, only blanks{other}. All others are taken literally."


def _typed(one: ExportInput | ExportOutput) -> str:
    return f"{one.dtype} ({', '.join(map(str, one.shape))})"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _changed(score: ScoreChange) -> str:
    return f"{score.target}: {score.score} {score.before:.4g} before quantization, {score.after:.4g} after."
