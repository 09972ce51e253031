"""One functional Keras model: columns -> branches -> fusion -> targets.

Three models share their layers:

- `network`, which is trained: encoded inputs `{column, column_present}` to the raw value of every target;
- `predictor`: the same inputs to predictions (probabilities; numbers in their unit);
- `end_to_end`, which is saved: raw strings, numbers and the bytes of image files through the preprocessing and the predictor, one
  input per column, called as the column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from mmtrain.branches import Branch, Features, Input
from mmtrain.columns import Column
from mmtrain.data.encode import Fitted, encoder, unique_layer_names
from mmtrain.errors import Problem, UsageError, listed
from mmtrain.fusions import FusionSection
from mmtrain.specs import TensorSpec, layer_names


@dataclass(frozen=True)
class Models:
    """The three models, and what training has to know of their layers."""

    network: Any
    predictor: Any
    end_to_end: Any
    activations: dict[str, Any]
    """The layer from raw value to prediction, per target."""
    groups: dict[str, list[Any]]
    """Layers by parameter group: `branches.scan`, the groups inside it as `branches.scan.head`, `fusion`, `targets.diagnosis`."""

    def parameters(self) -> dict[str, int]:
        """Return the number of trainable parameters of every branch, the fusion and every head, by the name of its layer."""
        layers = [layer for layer in self.network.layers if layer.weights]
        return {layer.name: sum(int(ops.size(weight)) for weight in layer.trainable_weights) for layer in layers}


@dataclass(frozen=True)
class NetworkLayerNames:
    """Names of the layers between the encoded inputs and the predictions, by branch or target; no input has one of them."""

    branches: dict[str, str]
    present: dict[str, str]
    fusion: str
    heads: dict[str, str]
    activations: dict[str, str]


def names_of_layers(branches: Collection[str], fitted: Fitted) -> NetworkLayerNames:
    """Derive layer names from the names of columns, branches and targets, so that layers can be looked up in a reloaded model."""
    inputs = [name for key in fitted.columns for name in (key, f"{key}_present")]
    return NetworkLayerNames(
        branches=unique_layer_names(branches, "branch_", inputs),
        present=unique_layer_names(branches, "present_", inputs),
        fusion=unique_layer_names(["fusion"], "", inputs)["fusion"],
        heads=unique_layer_names(fitted.targets, "target_", inputs),
        activations=unique_layer_names(fitted.targets, "prediction_", inputs),
    )


def assemble(branches: Mapping[str, Branch], columns: Mapping[str, Column], fusion: FusionSection, fitted: Fitted, *, name: str) -> Models:
    """Build the models with fresh weights, which follow from Keras's random seed.

    Args:
        branches: Section `branches` of the experiment.
        columns: Section `columns`; says which inputs are masked where they are missing.
        fusion: Section `fusion`.
        fitted: Columns and targets as fitted on training rows.
        name: Name of the end-to-end model.

    Raises UsageError when an architecture of the user's own does not keep the contract of a branch.
    """
    specs = {key: column.spec for key, column in fitted.columns.items()}
    names = names_of_layers(branches, fitted)
    inputs = network_inputs(specs)
    parts = {key: _branch(branches[key], columns, specs, layer, reads_tokens=fusion.reads_tokens) for key, layer in names.branches.items()}
    features, present, tokens = _features(parts, inputs, names)
    vector = _fusion(fusion, features, present, tokens, name=names.fusion)
    raw = {key: fitted.targets[key].head(vector, layer) for key, layer in names.heads.items()}
    network = keras.Model(inputs, raw, name="network")
    activations = {key: target.activation(names.activations[key]) for key, target in fitted.targets.items()}
    predictions = {key: activations[key](raw[key]) for key in raw}
    predictor = keras.Model(inputs, predictions, name=unique_layer_names(["predictor"], "", inputs)["predictor"])
    preprocessing = encoder(fitted.columns)
    raw_inputs = {tensor.name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in preprocessing.inputs}
    end_to_end = keras.Model(raw_inputs, predictor(preprocessing(raw_inputs)), name=layer_names([name])[name])
    groups: dict[str, list[Any]] = {}
    for key, part in parts.items():
        groups[f"branches.{key}"] = [part.model]
        groups |= {f"branches.{key}.{group}": list(layers) for group, layers in part.groups.items()}
    groups |= {"fusion": [network.get_layer(names.fusion)]}
    groups |= {f"targets.{key}": [network.get_layer(layer)] for key, layer in names.heads.items()}
    return Models(network, predictor, end_to_end, activations, groups)


def network_inputs(specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    """Return `{column, column_present}` as Keras inputs."""
    inputs: dict[str, Any] = {}
    for key, spec in specs.items():
        inputs[key] = keras.Input(spec.shape, dtype=spec.dtype, name=key)
        inputs[f"{key}_present"] = keras.Input((1,), dtype="float32", name=f"{key}_present")
    return inputs


def masked_columns(branch: Branch, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the columns with `missing: mask` of a branch of several columns, whose presence it receives, in this order.

    A branch of one column receives none: where the column is absent, the branch is, and the fusion goes without it.
    """
    return tuple(key for key in branch.columns if len(branch.columns) > 1 and columns[key].masks_missing)


@dataclass(frozen=True)
class _BranchModel:
    """A branch as a Keras model of its encoded columns and of the presence of those that are masked.

    It gives a vector, or a vector and tokens if the fusion reads them.
    """

    columns: tuple[str, ...]
    masked: tuple[str, ...]
    model: Any
    groups: Mapping[str, Sequence[Any]]


def _branch(
    branch: Branch, columns: Mapping[str, Column], specs: Mapping[str, TensorSpec], layer: str, *, reads_tokens: bool
) -> _BranchModel:
    masked = masked_columns(branch, columns)
    tensors = {column: keras.Input(specs[column].shape, dtype=specs[column].dtype) for column in branch.columns}
    present = {column: keras.Input((1,), dtype="float32") for column in masked}
    features = branch.build({column: Input(tensor, present.get(column), specs[column]) for column, tensor in tensors.items()})
    _check_masks(branch, present)
    outputs = features.vector if features.tokens is None or not reads_tokens else [features.vector, features.tokens]
    model = keras.Model([*tensors.values(), *present.values()], outputs, name=layer)
    _check_groups(branch, model, features)
    return _BranchModel(branch.columns, masked, model, features.groups)


def _check_masks(branch: Branch, present: Mapping[str, Any]) -> None:
    """Raise UsageError for a column whose presence no layer of the branch reads: values under the mask would reach the output."""
    unread = [column for column, tensor in present.items() if not tensor._keras_history.operation._outbound_nodes]
    if unread:
        what = f"it does not read the presence of {listed(unread)}, so it would read values that are not there."
        fix = "Start from `inputs[column].masked()`, or read `inputs[column].present` yourself."
        raise UsageError(Problem(f"architecture {branch.architecture}", what, fix))


def _check_groups(branch: Branch, model: Any, features: Features) -> None:
    """Raise UsageError for a parameter group with a layer that is not in the branch."""
    inside = {id(layer) for layer in model._flatten_layers()}
    foreign = [name for name, layers in features.groups.items() for layer in layers if id(layer) not in inside]
    if foreign:
        what = f"its parameter group {foreign[0]!r} has a layer that does not lead to the features."
        raise UsageError(Problem(f"architecture {branch.architecture}", what, "Put only layers into a group that the vector is made by."))


def _features(
    parts: Mapping[str, _BranchModel], inputs: Mapping[str, Any], names: NetworkLayerNames
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the vector (batch, width) of every branch, its presence (batch, 1), and the tokens of those that give some.

    A branch is present when any of its columns is.
    """
    features: dict[str, Any] = {}
    present: dict[str, Any] = {}
    tokens: dict[str, Any] = {}
    for key, part in parts.items():
        shown = [inputs[f"{column}_present"] for column in part.columns]
        masks = [inputs[f"{column}_present"] for column in part.masked]
        output = part.model([inputs[column] for column in part.columns] + masks)
        if isinstance(output, list):
            features[key], tokens[key] = output
        else:
            features[key] = output
        present[key] = shown[0] if len(shown) == 1 else keras.layers.Maximum(name=names.present[key])(shown)
    return features, present, tokens


def _fusion(fusion: FusionSection, features: Mapping[str, Any], present: Mapping[str, Any], tokens: Mapping[str, Any], *, name: str) -> Any:
    """Return one vector (batch, width). The inputs of the model have Keras's own names, so that a branch can have any name."""
    given = [dict(features), dict(present), *([dict(tokens)] if tokens else [])]
    inputs = [{key: keras.Input(tensor.shape[1:], dtype=tensor.dtype) for key, tensor in part.items()} for part in given]
    return keras.Model(inputs, fusion.build(*inputs), name=name)(given)


def model_summary(models: Models, branches: Mapping[str, Branch], fusion: FusionSection, fitted: Fitted) -> dict[str, Any]:
    """Summarize the `branches` with their `inputs`, the `fusion` and the `targets`; each gives a vector of `width` numbers."""
    names = names_of_layers(branches, fitted)
    parameters = models.parameters()

    def part(name: str) -> dict[str, int]:
        return {"width": int(_vector(models.network.get_layer(name)).shape[-1]), "parameters": parameters.get(name, 0)}

    return {
        "branches": [
            {"name": key, "architecture": branch.architecture, "inputs": _inputs(branch.columns, fitted), **part(names.branches[key])}
            for key, branch in branches.items()
        ],
        "fusion": {"method": fusion.method, **part(names.fusion)},
        "targets": [{"name": key, "task": target.task, **part(names.heads[key])} for key, target in fitted.targets.items()],
    }


def _vector(layer: Any) -> Any:
    """Return the output vector of a part of the network; a branch may give tokens after it."""
    return layer.output[0] if isinstance(layer.output, list) else layer.output


def _inputs(columns: Iterable[str], fitted: Fitted) -> list[Mapping[str, Any]]:
    specs = [(key, fitted.columns[key].spec) for key in columns]
    return [{"name": key, "kind": spec.kind, "shape": list(spec.shape)} for key, spec in specs]
