"""Explanation of rows, one after the other, by a network with hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.branches import Branch
from mmtrain.columns.summaries import Statistics
from mmtrain.data.arrays import Array
from mmtrain.data.cell_encoder import cell_encoder
from mmtrain.data.encode import Fitted
from mmtrain.errors import Problem, UsageError
from mmtrain.explanation.attribution import RowExplanation, RowInputs, SelectedRow, attribute_columns, describe
from mmtrain.explanation.gradients import Attributions, attention, grad_cam, integrated_gradients
from mmtrain.explanation.hooks import hook_model
from mmtrain.explanation.selection import ExplainedOutputs, OutputSelector, output_selector
from mmtrain.export.freeze import as_float32
from mmtrain.image_decoding.resize import side_by_side
from mmtrain.input_layout import InputLayout
from mmtrain.specs import PixelSpec, SetSpec


class Explainer:
    """Explains rows of any table; `predictor` is the network with its output activations."""

    def __init__(
        self, predictor: Any, branches: Mapping[str, Branch], fitted: Fitted, statistics: Statistics, outputs: ExplainedOutputs
    ) -> None:
        self._fitted = fitted
        self._outputs = outputs
        self._network = hook_model(as_float32(predictor), branches, fitted)  # float16 gradients would miss completeness
        self._baseline = encoded_baseline(fitted, statistics)
        self._layout = InputLayout({key: column.spec for key, column in fitted.columns.items()})
        if outputs.method == "grad_cam" and not self._network.maps:
            what = "Grad-CAM needs a branch that pools maps over a whole image, and this run has none."
            raise UsageError(Problem("--method grad_cam", what, "Use --method integrated_gradients."))

    def explain(
        self, selected: SelectedRow, inputs: RowInputs, truth: str, prediction: Array, class_name: str | None = None
    ) -> RowExplanation:
        """Explain a row, given its inputs, its true answer in words (empty if unknown), and its prediction (1, units).

        `class_name` takes the place of the class of the options for this row.
        """
        target, method = self._fitted.targets[self._outputs.target], self._outputs.method
        outputs = self._outputs if class_name is None else replace(self._outputs, class_name=class_name)
        selector = output_selector(outputs, target, prediction)
        row, attributions = self._integrate(inputs, selector)
        columns = attribute_columns(attributions, self._fitted, inputs, attention(self._network, row))
        # A missing image is all zeros: there is nothing to draw a heat map on.
        specs = {column.column: self._fitted.columns[column.column].spec for column in columns if not column.missing}
        drawn = {key: spec for key, spec in specs.items() if isinstance(spec, PixelSpec | SetSpec)}
        images = {key: image_inputs(_pixels(inputs.encoded[key][0], spec), spec.member) for key, spec in drawn.items()}
        cams: Mapping[str, Array] = {}
        if method != "integrated_gradients" and images:
            cams = {key: cam for key, cam in grad_cam(self._network, row, selector).items() if key in images}
        label = describe(target, target.predict_label(prediction)[0])
        volumes = frozenset(key for key in images if len(specs[key].shape) == 4)
        return RowExplanation(selected, truth, label, selector, attributions, columns, images, volumes, cams, method)

    def _integrate(self, inputs: RowInputs, selector: OutputSelector) -> tuple[dict[str, Array], Attributions]:
        """Return the inputs of the network for a row, and its integrated gradients."""
        # Columns without a baseline value keep the row's; their path starts at the zero vector behind the embedding.
        of_row = {key: column.baseline_entry(inputs.encoded[key]) for key, column in self._fitted.columns.items()}
        starts = {**self._baseline, **{key: entry for key, entry in of_row.items() if entry is not None}}
        row, baseline = (self._layout.join(encoded) for encoded in (inputs.encoded, {**inputs.encoded, **starts}))
        # Without a value there is nothing to attribute: a missing input stays missing along the whole path.
        missing, steps = inputs.missing(self._fitted), self._outputs.steps
        return row, integrated_gradients(self._network, row, baseline, selector, from_baseline=starts, fixed=missing, steps=steps)


def _pixels(entry: Array, spec: PixelSpec | SetSpec) -> Array:
    """Return what is drawn of an encoded entry: of a set, its images side by side."""
    return side_by_side(entry) if isinstance(spec, SetSpec) else entry


def image_inputs(pixels: Array, spec: PixelSpec) -> Array:
    """Convert an encoded image (height, width, channels), or the middle slice of a volume, to (height, width, 1 or 3), 0..1.

    Transparent pixels are white.
    """
    bright = (pixels if pixels.ndim == 3 else pixels[len(pixels) // 2]).astype(np.float32) / spec.levels
    # Laid on white, as viewers show them: colour * opacity + 1 - opacity.
    return bright if bright.shape[-1] < 4 else bright[..., :3] * bright[..., 3:] + 1 - bright[..., 3:]


def encoded_baseline(fitted: Fitted, statistics: Statistics) -> dict[str, Array]:
    """Return the encoded baseline values, (1, ...); columns without one start from the zero vector.

    They are as uninformative as an input of the column can be (`FittedColumn.baseline`).
    """
    entries: dict[str, Array] = {}
    cells: dict[str, str] = {}
    for key, column in fitted.columns.items():
        start = column.baseline(statistics.columns.get(key))
        if isinstance(start, str):
            cells[key] = start
        elif start is not None:
            entries[key] = np.asarray(start)
    return entries | _encode(fitted, cells)


def baseline_words(fitted: Fitted, statistics: Statistics) -> dict[str, str]:
    """Describe the baseline of every column in words."""
    return {key: column.baseline_words(statistics.columns.get(key)) for key, column in fitted.columns.items()}


def _encode(fitted: Fitted, cells: dict[str, str]) -> dict[str, Array]:
    """Encode cells with the preprocessing of their columns."""
    if not cells:
        return {}
    columns = {key: fitted.columns[key] for key in cells}
    encoded = cell_encoder(columns, compiled=False)({key: pd.Series([cell], dtype="str") for key, cell in cells.items()})
    by_column = InputLayout({key: column.spec for key, column in columns.items()}).split(encoded.inputs)
    return {key: by_column[key] for key in cells}
