"""One functional Keras model from an experiment: columns -> branches -> fusion -> targets.

Three models share their layers:

- `core`, which is trained: encoded inputs `{column, column_present}` to the raw value of every target;
- `predictor`: the same inputs to predictions (probabilities; numbers in their unit);
- `whole`, which is saved: raw strings, numbers and the bytes of image files through the preprocessing and the predictor, one
  input per column, called as the column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from mmtrain.branches import Branch
from mmtrain.config import Experiment
from mmtrain.data.encode import Fitted, encoder, unique_layer_names
from mmtrain.layers.network import MaskedColumn
from mmtrain.specs import TensorSpec, layer_names


@dataclass(frozen=True)
class Network:
    """The three models of one network."""

    core: Any
    predictor: Any
    whole: Any
    activations: dict[str, Any]
    """The layer from raw value to prediction, per target."""

    def parameters(self) -> dict[str, int]:
        """Trainable parameters of each part: every branch, the fusion, every head."""
        return {layer.name: sum(int(ops.size(weight)) for weight in layer.trainable_weights) for layer in self.core.layers if layer.weights}


@dataclass(frozen=True)
class NetworkLayerNames:
    """What the layers between the encoded inputs and the predictions are called, by branch or target; none is called like an input."""

    branches: dict[str, str]
    present: dict[str, str]
    fusion: str
    heads: dict[str, str]
    activations: dict[str, str]


def names_of_layers(experiment: Experiment, fitted: Fitted) -> NetworkLayerNames:
    """They follow from the names of columns, branches and targets, so that the layers of a saved model are found again."""
    inputs = [name for key in fitted.columns for name in (key, f"{key}_present")]
    return NetworkLayerNames(
        branches=unique_layer_names(experiment.branches, "branch_", inputs),
        present=unique_layer_names(experiment.branches, "present_", inputs),
        fusion=unique_layer_names(["fusion"], "", inputs)["fusion"],
        heads=unique_layer_names(fitted.targets, "target_", inputs),
        activations=unique_layer_names(fitted.targets, "prediction_", inputs),
    )


def assemble(experiment: Experiment, fitted: Fitted) -> Network:
    """Build the network with fresh weights; they follow from the random seed that is set."""
    specs = {key: column.spec for key, column in fitted.columns.items()}
    names = names_of_layers(experiment, fitted)
    inputs = core_inputs(specs)
    features, present = _branches(experiment, specs, inputs, names)
    vector = _fusion(experiment, features, present, name=names.fusion)
    raw = {key: fitted.targets[key].head(vector, name) for key, name in names.heads.items()}
    core = keras.Model(inputs, raw, name="core")
    activations = {key: target.activation(names.activations[key]) for key, target in fitted.targets.items()}
    predictions = {key: activations[key](raw[key]) for key in raw}
    predictor = keras.Model(inputs, predictions, name=unique_layer_names(["predictor"], "", inputs)["predictor"])
    preprocessing = encoder(fitted.columns)
    raw_inputs = {tensor.name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in preprocessing.inputs}
    whole = keras.Model(raw_inputs, predictor(preprocessing(raw_inputs)), name=layer_names([experiment.name])[experiment.name])
    return Network(core, predictor, whole, activations)


def core_inputs(specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    """`{column, column_present}` as Keras inputs."""
    inputs: dict[str, Any] = {}
    for key, spec in specs.items():
        inputs[key] = keras.Input(spec.shape, dtype=spec.dtype, name=key)
        inputs[f"{key}_present"] = keras.Input((1,), dtype="float32", name=f"{key}_present")
    return inputs


def masked_columns(experiment: Experiment, branch: str) -> tuple[str, ...]:
    """The columns with `missing: mask` of a branch that reads several columns; it takes their presence as further inputs, in this order.

    A branch of one column needs none: where the column is absent, the branch is, and the fusion goes without it.
    """
    columns = experiment.branches[branch].columns
    return tuple(column for column in columns if len(columns) > 1 and experiment.columns[column].masks_missing)


def _branches(
    experiment: Experiment, specs: Mapping[str, TensorSpec], inputs: Mapping[str, Any], names: NetworkLayerNames
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The feature vector (batch, width) of every branch, and whether it is present (batch, 1): when any of its columns is."""
    features: dict[str, Any] = {}
    present: dict[str, Any] = {}
    for key, branch in experiment.branches.items():
        model = _branch(branch, specs, masked_columns(experiment, key), name=names.branches[key])
        shown = {column: inputs[f"{column}_present"] for column in branch.columns}
        features[key] = model([inputs[column] for column in branch.columns] + [shown[column] for column in masked_columns(experiment, key)])
        present[key] = shown[branch.columns[0]] if len(shown) == 1 else keras.layers.Maximum(name=names.present[key])(list(shown.values()))
    return features, present


def _branch(branch: Branch, specs: Mapping[str, TensorSpec], masked: Sequence[str], *, name: str) -> Any:
    """One branch as a model of its encoded columns and of the presence of those that are masked."""
    own = {column: keras.Input(specs[column].shape, dtype=specs[column].dtype) for column in branch.columns}
    shown = {column: keras.Input((1,), dtype="float32") for column in masked}
    read, described = dict(own), {column: specs[column] for column in branch.columns}
    for column, present in shown.items():
        read[column] = MaskedColumn(kind=specs[column].kind)(own[column], present)
        described[column] = replace(specs[column], shape=tuple(read[column].shape[1:]))
    vector = branch.build(list(read.values()), list(described.values()))
    return keras.Model([*own.values(), *shown.values()], vector, name=name)


def _fusion(experiment: Experiment, features: Mapping[str, Any], present: Mapping[str, Any], *, name: str) -> Any:
    """One vector (batch, width). Its inputs have Keras's own names, which no branch can be called like."""
    own = {key: keras.Input(feature.shape[1:], dtype=feature.dtype) for key, feature in features.items()}
    shown = {key: keras.Input((1,), dtype="float32") for key in features}
    vector = experiment.fusion.build(own, shown)
    return keras.Model([own, shown], vector, name=name)([dict(features), dict(present)])
