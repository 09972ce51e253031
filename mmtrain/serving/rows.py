"""Rows of requests: dictionaries from JSON, forms or CSV, checked cell by cell, with their images decoded.

Nothing is refused here but a row that lacks a column; a cell that cannot be used is remarked upon in its own row, as `predict` does it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from mmtrain.columns import Column, Id, column_of_role, images_among, inputs_among
from mmtrain.data.arrays import Array
from mmtrain.data.images.image_file import HELD, Refusal, held_image, not_decoded
from mmtrain.errors import DataError, Problem, did_you_mean, listed
from mmtrain.image_decoding import Layout, UnreadableImage, read
from mmtrain.image_decoding.data_uri import holds_pixels, is_data_uri, to_data_uri
from mmtrain.image_decoding.decoded_image import MissingReader
from mmtrain.text.printable import quote_value

MAX_SHOWN_NAMES = 8
SHORTEST_BASE64 = 40
"""Characters of base64 below which a text is a name: the smallest GIF has 26 bytes. Names of files have a dot, which base64 has not."""
NO_IMAGE = "Send the bytes of an image file: in base64, as a data URI, or as a file of a form."


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """One row of a request, ready to be put into a batch."""

    cells: Mapping[str, object]
    """By header: text, number, truth value or None; of the columns other than images."""
    images: Mapping[str, Array | Refusal | list[Array | Refusal] | None]
    """By column: decoded pixels, why there are none, or None for an empty cell; of several images per row a list of the first two."""
    faults: tuple[tuple[str, str], ...] = ()
    """Header and description of cells that are of no type that a table has; in `cells` they are None."""


class RowReader:
    """Prepares rows for the columns of one run. Has no state, so that threads may share it.

    Args:
        columns: Section `columns` of the experiment.
        max_pixels: Most pixels of an image, where the column allows more.
        further: Headers of columns that a row may have, such as its exposure.
    """

    def __init__(self, columns: Mapping[str, Column], *, max_pixels: int | None = None, further: Iterable[str] = ()) -> None:
        inputs = inputs_among(columns)
        self._cells = images_among(inputs)
        layouts = {key: cells.layout for key, cells in self._cells.items()}
        self.layouts: dict[str, Layout] = {
            key: layout if max_pixels is None else replace(layout, max_pixels=min(max_pixels, layout.max_pixels))
            for key, layout in layouts.items()
        }
        self.image_headers = {key: inputs[key].reads() for key in layouts}
        others = [header for key, column in inputs.items() if key not in layouts for header in column.reads()]
        self.headers = tuple(dict.fromkeys(others))
        """Headers of all columns other than images."""
        identity = column_of_role(columns, Id)
        self.id_header = "" if identity is None else identity.column
        self.optional = tuple(dict.fromkeys(header for header in (self.id_header, *further) if header and header not in self.headers))
        """Headers of columns that are read where a row has them."""
        self.required = tuple(dict.fromkeys(header for column in inputs.values() for header in column.reads()))

    def check(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Raise DataError for the first row that lacks a column. Columns that the run does not read are ignored."""
        for number, row in enumerate(rows):
            missing = [header for header in self.required if header not in row]
            if missing:
                raise DataError(self._missing(number, missing, row))

    def _missing(self, number: int, missing: Sequence[str], row: Mapping[str, object]) -> Problem:
        names = listed([quote_value(header) for header in missing], most=MAX_SHOWN_NAMES)
        others = [name for name in row if name not in (*self.required, *self.optional)]
        hint = next((f" {hint}" for hint in (_meant(header, others) for header in missing) if hint), "")
        if others and not hint:
            hint = f" It has {listed([quote_value(name) for name in others], most=MAX_SHOWN_NAMES)}, which the model does not read."
        what = f"the row has no {names}.{hint}"
        return Problem(f"row {number}", what, "Send null for a missing value; in a form or in CSV, an empty one.")

    def prepare(self, row: Mapping[str, Any]) -> PreparedRow:
        """Check the cells of a row that has all columns, and decode its images; may take long for large ones."""
        faults = []
        cells: dict[str, object] = {}
        for header in (*self.headers, *(header for header in self.optional if header in row)):
            value = row[header]
            if value is None or isinstance(value, str | int | float) or _is_plain_list(value):
                cells[header] = value
            else:
                cells[header] = None
                faults.append((header, f"{_kind(value)} is not a cell"))
        images = {key: self._images(key, [row[header] for header in headers]) for key, headers in self.image_headers.items()}
        return PreparedRow(cells, images, tuple(faults))

    def _images(self, key: str, cells: Sequence[object]) -> Array | Refusal | list[Array | Refusal] | None:
        if not self._cells[key].most:
            return self._image(key, _image_bytes(cells[0]))
        members = [one for cell in cells for one in (cell if isinstance(cell, list | tuple) else [cell])]
        images = [(_image_name(one), content) for one in members if (content := _image_bytes(one)) is not None]
        # By name, as files are ordered, if all have one; else by digest, as images in the cells of a table are: their order means nothing.
        named = all(name for name, _ in images)
        distinct = {name if named else sha256(content).hexdigest(): content for name, content in images if isinstance(content, bytes)}
        decoded = [
            image
            for place in sorted(distinct)
            for number, among in self._cells[key].slices or ((None, 0),)
            if (image := self._image(key, distinct[place], slice=number, slices=among)) is not None
        ]
        return [*decoded, *(content for _, content in images if isinstance(content, Refusal))]

    def _image(self, key: str, content: bytes | Refusal | None, **slices: Any) -> Array | Refusal | None:
        if not isinstance(content, bytes):
            return content
        layout = replace(self.layouts[key], **slices) if slices.get("slice") is not None else self.layouts[key]
        try:
            return read(content, layout, writable=False)
        except UnreadableImage as error:
            refusal = not_decoded(HELD, (str(error), error.fix))
            # The image is there: as in training, no policy for missing images applies.
            return replace(refusal, outside=True) if refusal and isinstance(error, MissingReader) else refusal


def _image_bytes(cell: object) -> bytes | Refusal | None:
    """Return the bytes of the image file that a cell holds; None for an empty cell."""
    if cell is None or isinstance(cell, bytes):
        return cell or None
    if isinstance(cell, str):
        return _image_of_text(cell.strip())
    if isinstance(cell, dict) and isinstance(cell.get("data"), str):
        return _image_of_text(cell["data"].strip())
    if holds_pixels(cell):
        return _image_of_text(to_data_uri(cell))
    return Refusal(f"{_kind(cell)} is not an image.", NO_IMAGE, outside=True)


def _image_name(cell: object) -> str:
    """Return the name of an image that is sent as `{"name": ..., "data": ...}`; empty for any other."""
    name = cell.get("name") if isinstance(cell, dict) else None
    return name if isinstance(name, str) else ""


def _image_of_text(text: str) -> bytes | Refusal | None:
    if not text:
        return None
    if is_data_uri(text):
        image = held_image(text)
        return image if isinstance(image, Refusal) else image.content
    # A path of the server is refused under every policy for missing images.
    return decode_base64(text) or Refusal(f"{quote_value(text)} is not an image in base64, and paths are not read.", NO_IMAGE, outside=True)


def decode_base64(text: str) -> bytes | None:
    """Return the bytes that a text holds in base64; None for a text that is not base64, or shorter than any image."""
    if len(text) < SHORTEST_BASE64:
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:  # also of a text with letters beyond ASCII
        return None


def _is_plain_list(value: object) -> bool:
    """Return whether a value is a list of labels, or of numbers and nulls as vectors and series have them."""
    if not isinstance(value, list):
        return False
    numbers = all(item is None or (isinstance(item, int | float) and not isinstance(item, bool)) for item in value)
    return numbers or all(isinstance(item, str) for item in value)


def _kind(value: object) -> str:
    """Name the type of a value of JSON, with an article."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, bytes):
        return "a file"
    return "a list" if isinstance(value, list) else f"a value of type {type(value).__name__}"


def _meant(header: str, names: Sequence[str]) -> str:
    """Return a question if a name of the row is probably `header`, misspelt."""
    close = did_you_mean(header, names)
    return f"It has {close.removeprefix('Did you mean ').removesuffix('?')}: did you mean {quote_value(header)}?" if close else ""
