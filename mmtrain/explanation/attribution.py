"""Attributions of one row by column, word and image region, from which tables and figures are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmtrain.artifacts.command_results import ExplainedRow
from mmtrain.columns import FittedColumn
from mmtrain.data.arrays import Array
from mmtrain.data.encode import Fitted
from mmtrain.errors import counted
from mmtrain.explanation.selection import Method, OutputSelector
from mmtrain.targets import FittedTarget

if TYPE_CHECKING:
    from mmtrain.explanation.gradients import Attributions, MeanAttributions

NO_LABEL = "no label"
LONGEST = 40
"""Maximum number of characters of a cell that are shown."""
ALL = "all"
"""Name of the only element of a column without parts."""


@dataclass(frozen=True)
class RowInputs:
    """One row: its cells by column as in the table, empty if missing, and its encoded values by column, `(1, ...)` each."""

    texts: Mapping[str, str]
    encoded: Mapping[str, Array]
    empty: frozenset[str] = frozenset()
    """Columns whose cell is empty."""

    @classmethod
    def of(cls, cells: Mapping[str, str | None], encoded: Mapping[str, Array]) -> RowInputs:
        """Make it from cells that are None if missing."""
        texts = {key: cell or "" for key, cell in cells.items()}
        return cls(texts, encoded, frozenset(key for key, cell in cells.items() if cell is None))

    def missing(self, fitted: Fitted) -> set[str]:
        """Return the columns without content: an empty cell, an absent image, or a text without words."""
        missing = set(self.empty)
        for key, column in fitted.columns.items():
            # An entry may be present and still empty: a text of signs only, a category "missing".
            if column.says_nothing(self.encoded[key]) or not self.encoded[f"{key}_present"][0, 0]:
                missing.add(key)
        return missing


@dataclass(frozen=True)
class ElementAttribution:
    """Attribution of a part of a cell: a word, a region of an image, or all of it."""

    name: str
    attribution: float


@dataclass(frozen=True)
class ColumnAttribution:
    """Attribution of one input column: the sum of its elements."""

    column: str
    to: Literal["cells", "words", "regions", "members"]
    """Kind of its elements."""
    cell: str
    missing: bool
    elements: tuple[ElementAttribution, ...]
    reading: tuple[ElementAttribution, ...] = ()
    """Words of a text in reading order with their attributions; only those that the network reads."""
    unread: int = 0
    """Words at the end of a text that the network does not read."""
    pixels: Array | None = field(default=None, compare=False)
    """Attribution of each pixel, (height, width)."""
    deviation: float | None = None
    """Standard deviation over the trainings of a group; None for one training."""

    @property
    def attribution(self) -> float:
        """Attribution of the whole column."""
        return sum(element.attribution for element in self.elements)

    @property
    def label(self) -> str:
        """The column and its cell, short enough for a figure."""
        if self.missing:
            return f"{self.column}: missing"
        if self.to == "regions":
            return self.column
        if self.to == "members":
            return f"{self.column}: {counted(len(self.elements), 'image')}"
        if self.to == "words":
            words = len(self.reading) + self.unread
            return f"{self.column}: {words} {'word' if words == 1 else 'words'}"
        return f"{self.column}: {shorten(self.cell)}"


@dataclass(frozen=True)
class SelectedRow:
    """A row that is explained, and the reason."""

    row: int
    """Position in the file, 0 for the first row under the header."""
    id: str
    part: str
    why: str


@dataclass(frozen=True)
class RowExplanation:
    """Explanation of one row."""

    selected: SelectedRow
    truth: str
    """Empty if unknown."""
    prediction: str
    selector: OutputSelector
    attributions: Attributions | MeanAttributions
    columns: tuple[ColumnAttribution, ...]
    images: Mapping[str, Array] = field(default_factory=dict, compare=False)
    """Pixels of each image of the row, (height, width, channels), 0..1."""
    volumes: frozenset[str] = frozenset()
    """Columns whose image is the middle slice of a volume."""
    cams: Mapping[str, Array] = field(default_factory=dict, compare=False)
    """Grad-CAM of each image, if its branch has maps, (height, width) in their size."""
    method: Method = "both"
    """Heat maps of its figure."""
    trainings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """For the mean of several trainings of a group: the attribution of each column by every one of them."""

    @property
    def missing(self) -> list[str]:
        """Inputs that are missing in the row."""
        return [column.column for column in self.columns if column.missing]

    def strongest(self, most: int) -> list[ColumnAttribution]:
        """Return the columns with the largest absolute attribution."""
        return sorted(self.columns, key=lambda column: -abs(column.attribution))[:most]

    def result(self, image: Path) -> ExplainedRow:
        """Return the row as `--json` shows it, with its figure at `image`."""
        attributions = self.attributions
        return ExplainedRow(
            row=self.selected.row,
            id=self.selected.id,
            part=self.selected.part,
            why=self.selected.why,
            truth=self.truth,
            prediction=self.prediction,
            probability=self.selector.probability,
            explained=self.selector.words,
            output=attributions.output,
            baseline_output=attributions.baseline_output,
            difference=attributions.difference,
            sum_of_attributions=attributions.total,
            gap_percent=attributions.gap,
            steps=attributions.steps,
            missing=self.missing,
            attributions={column.column: column.attribution for column in self.columns},
            trainings=list(self.trainings),
            deviations={column.column: column.deviation for column in self.columns if column.deviation is not None},
            image=image,
        )


def shorten(text: str, most: int = LONGEST) -> str:
    """Cut a text to one line of at most `most` printable characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def describe(target: FittedTarget, answer: Any) -> str:
    """Write an answer from `FittedTarget.decode_truth` or `predict_label`; empty if unknown. A row without labels has `NO_LABEL`."""
    if isinstance(answer, str):
        return NO_LABEL if target.has_labels and not answer else answer
    # NaN is the only value that differs from itself.
    return "" if answer != answer else f"{float(answer):.6g}"  # noqa: PLR0124 (NaN)


def attribute_columns(
    attributions: Attributions, fitted: Fitted, inputs: RowInputs, attention: Mapping[str, Array] = MappingProxyType({})
) -> tuple[ColumnAttribution, ...]:
    """Return the attribution of every input column, in the order of the experiment.

    `attention` has the weights of the images of columns that pool several by attention.
    """
    missing = inputs.missing(fitted)
    of_columns = []
    for key, column in fitted.columns.items():
        # A column has several hooks if several branches read it.
        values = [values[hook.places[key]] for hook, values in attributions.by_hook.items() if key in hook.places]
        one = _attribute(key, column, values, inputs, missing=key in missing)
        of_columns.append(one if one.missing or key not in attention else _with_attention(one, attention[key]))
    return tuple(of_columns)


def _with_attention(column: ColumnAttribution, weights: Array) -> ColumnAttribution:
    """Return the column with the weight of each image in its name; images come first among the places."""
    elements = zip(column.elements, weights.tolist(), strict=False)
    named = tuple(replace(element, name=f"{element.name} (attention {weight:.2f})") for element, weight in elements)
    return replace(column, elements=named)


def _attribute(key: str, column: FittedColumn, values: Sequence[Array], inputs: RowInputs, *, missing: bool) -> ColumnAttribution:
    to, cell = column.attributed_to, inputs.texts[key]
    if missing:
        return ColumnAttribution(key, to, cell, missing, (ElementAttribution("missing", 0.0),))
    # A text has one position axis and an image two; anything behind them (channels, embedding units) is summed.
    places = _sum_over_axes(values, column.spec.shape[: column.attributed_axes])
    parts = None if places is None or to == "cells" else column.attribute(cell, places, inputs.encoded[key])
    if parts is None:
        name = cell if column.named_cell else ALL
        return ColumnAttribution(key, to, cell, missing, (ElementAttribution(name, float(sum(one.sum() for one in values))),))
    elements, reading = (tuple(ElementAttribution(*one) for one in several) for several in (parts.elements, parts.reading))
    pixels = _shown(places) if to == "regions" else _pixels_of_members(values, inputs.encoded[key][0]) if to == "members" else None
    return ColumnAttribution(key, to, cell, missing, elements, reading, parts.unread, pixels)


def _shown(places: Array | None) -> Array | None:
    """Return the attributions of pixels (height, width); of a volume, those of the middle slice."""
    return places if places is None or places.ndim == 2 else places[len(places) // 2]


def _pixels_of_members(values: Sequence[Array], entry: Array) -> Array:
    """Return the attribution of each pixel of the images (most, height, width, channels) that are there, side by side."""
    by_pixel = np.sum([one.sum(axis=-1) for one in values], axis=0)
    return np.concatenate([pixels for pixels, image in zip(by_pixel, entry, strict=True) if image.any()], axis=1)


def _sum_over_axes(values: Sequence[Array], shape: tuple[int, ...]) -> Array | None:
    """Sum over all axes behind those of `shape`; None if the activations of a hook do not have these axes."""
    if any(one.shape[: len(shape)] != shape for one in values):
        return None
    # Attributions of several branches that read a column add up.
    total: Array = np.sum([one.sum(axis=tuple(range(len(shape), one.ndim))) for one in values], axis=0)
    return total
