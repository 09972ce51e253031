"""The models of a training, which share their layers, and the names of these layers.

- `network`: encoded inputs `{input, input_present}`, see `mmtrain.input_layout`, to the raw value of every target;
- `trained`, whose weights are optimized: the network, with auxiliary losses also the heads of single branches;
- `predictor`: the same inputs to predictions (probabilities; numbers in their unit);
- `end_to_end`, which is saved: raw strings, numbers and the bytes of image files through the preprocessing and the predictor, one
  input per column, called as the column.

Where frozen encoders alone read a column, the first three take their features, which are cached, in place of the column
(`Models.encoders`), and so hold no weights of them. An encoder that some stages of the training tune is in all of them (`Models.tuned`);
`Models.on_features` gives those for a stage in which it is frozen. The saved model always has the whole network, without adapters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from keras import ops

from mmtrain.data.cell_encoder import unique_layer_names
from mmtrain.data.encode import Fitted
from mmtrain.encoders.tuning import merge_adapters
from mmtrain.input_layout import InputLayout
from mmtrain.layers.network import TargetUncertainty
from mmtrain.model.branch_model import LinearModel
from mmtrain.model.encoder_inputs import (
    EncoderInput,
    StoredWeights,
    with_branches,
)


@dataclass(frozen=True)
class Models:
    """The models, and what training has to know of their layers."""

    network: Any
    trained: Any
    """`network`; with auxiliary losses a model of the same inputs to the raw values of `network`, {branch: {target: raw value}} and
    {branch: presence, (batch, 1)}."""
    predictor: Any
    end_to_end: Any
    activations: dict[str, Any]
    """The layer from raw value to prediction, per target."""
    groups: dict[str, list[Any]]
    """Layers by parameter group: `branches.scan`, the groups inside it as `branches.scan.head`, `fusion`, `targets.diagnosis`."""
    members: int = 0
    """Members of an ensemble inside the network; 0 for none. The raw values of `network` are then (batch, members, units)."""
    means: Mapping[str, Any] = field(default_factory=dict)
    """The layer from the raw values of all members to that of their mean prediction, per target; empty without an ensemble."""
    branches: tuple[str, ...] = ()
    """Branches with heads of their own, in the order of the experiment; none without auxiliary losses."""
    auxiliary: float = 0.0
    """Weight of the mean of the losses of those heads."""
    balance: Literal["none", "ogm", "ogm_ge"] = "none"
    balance_strength: float = 0.0
    """Modulation of the gradients of branches, see `fusions.base`."""
    encoders: Mapping[str, EncoderInput] = field(default_factory=dict)
    """The encoders whose features the inputs hold, by column; the features are of `EncoderInput.spec`."""
    tuned: Mapping[str, EncoderInput] = field(default_factory=dict)
    """The encoders that a stage may tune, by column; features can take the place of the columns in the other stages."""
    stored: StoredWeights = field(default_factory=lambda: StoredWeights(()))
    """The weights of `trained` that checkpoints hold."""
    depths: Mapping[int, int] = field(default_factory=dict)
    """Blocks between a tuned weight of an encoder and the output of the encoder, by its `id`."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about the branches, printed before the training."""
    uncertainty: TargetUncertainty | None = None
    """The layer of `trained` with the learned weights of targets; None where they are fixed."""
    base: LinearModel | None = None
    """The linear model whose errors the network learns, still to be fitted; None without one."""

    def with_encoders(self, model: Any) -> Any:
        """Return a model like `model`, one of these inputs, that takes the columns themselves and has the encoders in its branches."""
        if not self.encoders:
            return model
        inputs = {one.tensor.name: one.tensor for one in self.encoders.values()}
        return with_branches(model, inputs, {branch.name: branch for one in self.encoders.values() for branch in one.whole})

    def on_features(self, columns: Collection[str]) -> Models:
        """Return the models whose inputs are the features of the encoders of these columns, which are among `tuned`.

        `predictor` and `end_to_end` stay as they are.
        """
        if not columns:
            return self
        taken = {key: self.tuned[key] for key in columns}
        inputs = {one.features.name: one.features for one in taken.values()}
        behind = {branch.name: branch for one in taken.values() for branch in one.behind}
        network = with_branches(self.network, inputs, behind)
        trained = network if self.trained is self.network else with_branches(self.trained, inputs, behind)
        return replace(self, network=network, trained=trained, encoders={**self.encoders, **taken})

    def merge_adapters(self) -> None:
        """Add the adapters of all encoders to their kernels, in place; checkpoints cannot be loaded into these models afterwards."""
        merge_adapters(self.end_to_end.predictor)

    def mean_raw(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return raw values, (batch, units) per target, from the outputs of `network`."""
        return {key: self.means[key](values) if key in self.means else values for key, values in raw.items()}

    def parameters(self) -> dict[str, int]:
        """Return the number of trainable parameters of every branch, the fusion and every head, by the name of its layer."""
        layers = [layer for layer in self.network.layers if layer.weights]
        return {layer.name: _trainable(layer) for layer in layers}

    def auxiliary_parameters(self, names: NetworkLayerNames) -> dict[str, int]:
        """Return the number of trainable parameters of the heads of each branch alone; they are part of `trained` only."""
        heads = {branch: names.branch_heads[branch].values() for branch in self.branches}
        return {branch: sum(_trainable(self.trained.get_layer(layer)) for layer in layers) for branch, layers in heads.items()}


def _trainable(layer: Any) -> int:
    return sum(int(ops.size(weight)) for weight in layer.trainable_weights)


@dataclass(frozen=True)
class NetworkLayerNames:
    """Names of the layers between the encoded inputs and the predictions, by branch or target; no input has one of them."""

    branches: dict[str, str]
    present: dict[str, str]
    fusion: str
    heads: dict[str, str]
    branch_heads: dict[str, dict[str, str]]
    """By branch and target; only networks trained with auxiliary losses have these."""
    answers: dict[str, dict[str, str]]
    """By branch and target: the layer that puts the branch in the place of the fusion, in a network that answers with it."""
    means: dict[str, str]
    """Only networks with an ensemble of members have these."""
    activations: dict[str, str]
    uncertainty: str
    """Only networks that learn the weights of targets have this."""


def names_of_layers(branches: Collection[str], fitted: Fitted) -> NetworkLayerNames:
    """Derive layer names from the names of columns, branches and targets, so that layers can be looked up in a reloaded model."""
    layout = InputLayout({key: column.spec for key, column in fitted.columns.items()})
    inputs = {*layout.inputs, *fitted.columns}
    pairs = {(branch, target): f"{branch}\n{target}" for branch in branches for target in fitted.targets}

    def by_branch(prefix: str) -> dict[str, dict[str, str]]:
        names = unique_layer_names(pairs.values(), prefix, inputs)
        return {branch: {target: names[pairs[branch, target]] for target in fitted.targets} for branch in branches}

    return NetworkLayerNames(
        branches=unique_layer_names(branches, "branch_", inputs),
        present=unique_layer_names(branches, "present_", inputs),
        fusion=unique_layer_names(["fusion"], "", inputs)["fusion"],
        heads=unique_layer_names(fitted.targets, "target_", inputs),
        branch_heads=by_branch("single_"),
        answers=by_branch("answer_"),
        means=unique_layer_names(fitted.targets, "mean_", inputs),
        activations=unique_layer_names(fitted.targets, "prediction_", inputs),
        uncertainty=unique_layer_names(["target_uncertainty"], "", inputs)["target_uncertainty"],
    )
