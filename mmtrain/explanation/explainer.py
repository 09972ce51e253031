"""One row after the other, explained by a network that was opened for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtrain.branches import Branch
from mmtrain.columns.summaries import Statistics
from mmtrain.data.encode import Array, Fitted
from mmtrain.errors import Problem, UsageError
from mmtrain.explanation.attribution import RowExplanation, RowInputs, SelectedRow, describe
from mmtrain.explanation.baseline import baseline
from mmtrain.explanation.column_attributions import attribute_columns
from mmtrain.explanation.explained_output import ExplainedOutputs, output_selector
from mmtrain.explanation.grad_cam import grad_cam
from mmtrain.explanation.hooks import hook_model
from mmtrain.explanation.integrated_gradients import integrated_gradients
from mmtrain.export.frozen import as_float32
from mmtrain.specs import ImageSpec


class Explainer:
    """Explains rows of any table by one network, whose answers are `predictor`'s."""

    def __init__(
        self, predictor: Any, branches: Mapping[str, Branch], fitted: Fitted, statistics: Statistics, asked: ExplainedOutputs
    ) -> None:
        self._fitted = fitted
        self._asked = asked
        self._network = hook_model(as_float32(predictor), branches, fitted)
        self._baseline = baseline(fitted, statistics)
        if asked.method == "grad_cam" and not self._network.maps:
            what = "no branch of this run pools maps over a whole image, which is what Grad-CAM looks at."
            raise UsageError(Problem("--method grad_cam", what, "Use --method integrated_gradients."))

    def explain(self, chosen: SelectedRow, cells: RowInputs, truth: str, prediction: Array) -> RowExplanation:
        """Explain the row with these cells, true answer in words (empty if not known), and prediction (1, units)."""
        target = self._fitted.targets[self._asked.target]
        unit = output_selector(self._asked, target, prediction)
        held = cells.missing(self._fitted)
        found = integrated_gradients(self._network, cells.encoded, self._baseline, unit, held=held, steps=self._asked.steps)
        of_row = attribute_columns(found, self._fitted, cells)
        shown = [(share.column, self._fitted.columns[share.column].spec) for share in of_row if not share.missing]
        images = {key: image_inputs(cells.encoded[key][0], spec) for key, spec in shown if isinstance(spec, ImageSpec)}
        cams: Mapping[str, Array] = {}
        if self._asked.method != "integrated_gradients" and images:
            cams = {key: cam for key, cam in grad_cam(self._network, cells.encoded, unit).items() if key in images}
        decision = describe(target, target.predict_label(prediction)[0])
        return RowExplanation(chosen, truth, decision, unit, found, of_row, images, cams, self._asked.method)


def image_inputs(pixels: Array, spec: ImageSpec) -> Array:
    """(height, width, channels) as encoded to (height, width, 1 or 3), 0..1; transparent places are white."""
    bright = pixels.astype(np.float32) / spec.levels
    return bright if bright.shape[-1] < 4 else bright[..., :3] * bright[..., 3:] + 1 - bright[..., 3:]
