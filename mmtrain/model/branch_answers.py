"""Predictions of single branches by their own heads, and a predictor that answers with one of them in place of the fused prediction.

Heads of single branches exist after a training with auxiliary losses. Where the chosen branch is absent from a row, the fused prediction
answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.layers.end_to_end import EndToEnd
from mmtrain.layers.fusion import PresentOr
from mmtrain.model import model_file
from mmtrain.model.models import Models, names_of_layers


class BranchAnswers:
    """The predictions of every target, fused and by each branch, as tensors of one graph."""

    def __init__(self, models: Models, fitted: Fitted) -> None:
        """`models` have heads of single branches."""
        self.models = models
        self._names = names_of_layers(models.branches, fitted)
        _, single, present = models.trained.output
        # Of the network itself: layers that only a training needs are in no prediction.
        fused = models.mean_raw(models.network.output)
        self._fused = {key: models.activations[key](values) for key, values in fused.items()}
        self._single = {
            branch: {key: self._answer(branch, key, fused[key], values, present[branch]) for key, values in of_targets.items()}
            for branch, of_targets in single.items()
        }

    def _answer(self, branch: str, key: str, fused: Any, single: Any, present: Any) -> Any:
        # A branch without members next to one with them gives (batch, units) already.
        # In float32, as every prediction is, also when the network computes in float16 or bfloat16.
        mean = self.models.means[key](single) if len(single.shape) > 2 else single
        return self.models.activations[key](PresentOr(name=self._names.answers[branch][key], dtype="float32")(mean, fused, present))

    def predict(self, arrays: Arrays, rows: Array) -> tuple[dict[str, Array], dict[str, dict[str, Array]]]:
        """Return the fused predictions of `rows` per target, and {branch: {target: predictions}}, in one pass over the rows."""
        # `model_file.predict` wants one flat dict of outputs; a fused prediction has an empty name of a branch.
        places = {f"{branch}\n{key}": (branch, key) for branch, of_targets in self._single.items() for key in of_targets}
        outputs = {name: self._single[branch][key] for name, (branch, key) in places.items()}
        fused = {f"\n{key}": values for key, values in self._fused.items()}
        outcome = model_file.predict(keras.Model(self.models.network.input, {**fused, **outputs}, name="candidates"), arrays, rows)
        by_branch: dict[str, dict[str, Array]] = {branch: {} for branch in self._single}
        for name, (branch, key) in places.items():
            by_branch[branch][key] = outcome[name]
        return {key: outcome[f"\n{key}"] for key in self._fused}, by_branch

    def choose(self, branches: Mapping[str, str]) -> Models:
        """Return the models whose prediction of a target is that of the branch named for it; of other targets the fused one."""
        predictions = {key: self._single[branches[key]][key] if branches.get(key) else fused for key, fused in self._fused.items()}
        # Shares every layer with the network: nothing is copied or built anew.
        predictor = keras.Model(self.models.network.input, predictions, name=self.models.predictor.name)
        before = self.models.end_to_end
        whole = self.models.with_encoders(predictor)
        return replace(self.models, predictor=predictor, end_to_end=EndToEnd(before.preprocessing, whole, name=before.name))
