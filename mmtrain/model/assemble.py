"""Assemble the functional Keras model of an experiment: columns -> branches -> fusion -> targets. `models` describes the results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

import keras
from keras import ops

from mmtrain.branches import Branch, encoder_columns
from mmtrain.columns import Column, inputs_among
from mmtrain.data.cell_encoder import encoder, unique_layer_names
from mmtrain.data.encode import Fitted
from mmtrain.encoders.tuning import depths
from mmtrain.fusions import FusionSection
from mmtrain.input_layout import InputLayout
from mmtrain.layers.end_to_end import EndToEnd
from mmtrain.layers.network import TargetUncertainty
from mmtrain.layers.stacks import AnyPresent
from mmtrain.model.branch_model import BranchMaker, BranchModel, LinearModel
from mmtrain.model.encoder_inputs import (
    Components,
    EncoderInput,
    StoredWeights,
)
from mmtrain.model.ensemble import Base, Ensemble
from mmtrain.model.models import Models, NetworkLayerNames, names_of_layers
from mmtrain.model.network_inputs import branch_inputs, columns_behind, network_inputs, presence
from mmtrain.model.vector_check import check_vector
from mmtrain.specs import TensorSpec, feature_spec, layer_names


def assemble(
    branches: Mapping[str, Branch],
    columns: Mapping[str, Column],
    fusion: FusionSection,
    fitted: Fitted,
    *,
    name: str,
    components: Mapping[str, Components] | None = None,
    balance_targets: bool = False,
) -> Models:
    """Build the models with fresh weights, which follow from Keras's random seed.

    Args:
        branches: Section `branches` of the experiment.
        columns: Section `columns`; says which inputs are masked where they are missing, and which are read by an encoder.
        fusion: Section `fusion`.
        fitted: Columns and targets as fitted on training rows.
        name: Name of the end-to-end model.
        components: Principal components by column with an `encoder`, fitted on training rows; None leaves them at zero.
        balance_targets: Learn the weights of several targets in the loss.

    Raises UsageError when an architecture of the user's own does not keep the contract of a branch.
    """
    names = names_of_layers(branches, fitted)
    specs = {key: column.spec for key, column in fitted.columns.items()}
    make = BranchMaker(branches, inputs_among(columns), specs, components or {}, reads_tokens=fusion.reads_tokens)
    whole = {key: make.branch(key, layer) for key, layer in names.branches.items()}
    parts, encoders, tuned = _behind_encoders(branches, columns, specs, whole)
    layout = InputLayout({key: encoders[key].spec if key in encoders else spec for key, spec in specs.items()})
    has_linear = len(parts) == 1 and not fusion.units and all(target.raw_adds_up for target in fitted.targets.values())
    linear = {key: target.raw_units for key, target in fitted.targets.items()} if has_linear else {}
    parts = {key: part.with_linear_base(sum(linear.values())) if linear else part for key, part in parts.items()}
    base = next(iter(parts.values())).base
    inputs = network_inputs(layout)
    features, present, tokens = _features(parts, layout, inputs, names)
    ensemble = Ensemble.of({key: part.members for key, part in parts.items()})
    vector = _fusion(fusion, features, present, tokens, ensemble, name=names.fusion)
    raw = _raw_values(vector, ensemble, fitted, names, linear if base is not None else {})
    network = keras.Model(inputs, raw, name="network")
    # With one branch, as in its unimodal baseline, the head of the branch would be that of the target once more.
    single = _branch_heads(features, present, ensemble, fitted, names) if fusion.auxiliary and len(parts) > 1 else {}
    uncertainty = TargetUncertainty(targets=len(raw), name=names.uncertainty) if balance_targets and len(raw) > 1 else None
    trained = _trained(inputs, raw, single, present, uncertainty) if single or uncertainty else network
    loaded = [part.encoder for part in parts.values() if part.encoder is not None]
    if loaded:
        _begin_at_zero(trained, [*names.heads.values(), *(layer for branch in single for layer in names.branch_heads[branch].values())])
    predictor, activations, means = _predictor(inputs, raw, ensemble, fitted, names)
    models = Models(
        network,
        trained,
        predictor,
        None,
        activations,
        _parameter_groups(parts, trained, names, single),
        members=ensemble.members,
        means=means,
        branches=tuple(single),
        auxiliary=fusion.auxiliary,
        balance=fusion.balance,
        balance_strength=fusion.balance_strength,
        encoders=encoders,
        tuned=tuned,
        stored=StoredWeights.of(trained, loaded),
        depths={key: depth for one in loaded for key, depth in depths(one.blocks).items()},
        uncertainty=uncertainty,
        notes=tuple(note for part in parts.values() for note in part.notes),
        base=base and _of_network(base, inputs, branch_inputs(next(iter(parts.values())), layout, inputs), network, names),
    )
    return replace(models, end_to_end=EndToEnd(encoder(fitted.columns), models.with_encoders(predictor), name=layer_names([name])[name]))


def _raw_values(vector: Any, ensemble: Ensemble, fitted: Fitted, names: NetworkLayerNames, linear: Mapping[str, int]) -> dict[str, Any]:
    """Return the raw values of every target; `linear` has the number of those that a linear model adds to each, if there is one."""
    # The last values of the vector are the raw values of the linear model, target by target.
    places = zip(linear, accumulate(linear.values(), initial=0), strict=False)
    bases = {key: Base(first, sum(linear.values())) for key, first in places}
    return {key: ensemble.head(fitted.targets[key], vector, layer, bases.get(key)) for key, layer in names.heads.items()}


def _trained(
    inputs: Mapping[str, Any],
    raw: Mapping[str, Any],
    single: Mapping[str, Mapping[str, Any]],
    present: Mapping[str, Any],
    uncertainty: TargetUncertainty | None,
) -> Any:
    """Return the network with what the training alone needs: the heads of single branches, and the learned weights of targets."""
    # Behind one of the raw values, which pass through, so that it is a layer of the trained network and of no other.
    outputs = {key: uncertainty(values) if uncertainty and key == next(iter(raw)) else values for key, values in raw.items()}
    return keras.Model(inputs, [outputs, single, present] if single else outputs, name="trained")


def _predictor(
    inputs: Mapping[str, Any], raw: Mapping[str, Any], ensemble: Ensemble, fitted: Fitted, names: NetworkLayerNames
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return the model to predictions, with the layers that it adds: from raw values to predictions, and to the members' mean."""
    activations = {key: target.activation(names.activations[key]) for key, target in fitted.targets.items()}
    # Predictions of members are averaged, not their logits; `means` gives the raw value of that average, (batch,
    # units), so that calibration and exports meet the same shape with and without members.
    means = {key: ensemble.mean(activations[key], names.means[key]) for key in raw if ensemble.members}
    predictions = {key: activations[key](means[key](raw[key]) if key in means else raw[key]) for key in raw}
    return keras.Model(inputs, predictions, name=unique_layer_names(["predictor"], "", inputs)["predictor"]), activations, means


def _of_network(base: LinearModel, inputs: Mapping[str, Any], given: Any, network: Any, names: NetworkLayerNames) -> LinearModel:
    """Return the linear model of a branch as one of the network: its inputs are those of the network, `given` to the branch."""
    heads = tuple(network.get_layer(layer).get_layer("head") for layer in names.heads.values())
    return replace(base, inputs=keras.Model(inputs, base.inputs(given)), heads=heads)


def _begin_at_zero(network: Any, heads: Iterable[str]) -> None:
    """Set the weights of heads to 0 where a head is a single dense layer.

    The vectors of encoders often have more numbers than there are training rows. Random weights in the directions that no row points to
    are never unlearned: on 1,200 photos, the validation loss with three seeds was .67 to .72 with them, .56 to .57 without.
    """
    for name in heads:
        dense = [layer for layer in network.get_layer(name)._flatten_layers() if isinstance(layer, keras.layers.Dense)]
        if len(dense) == 1:
            dense[0].kernel.assign(ops.zeros_like(dense[0].kernel))


def _parameter_groups(
    parts: Mapping[str, BranchModel], trained: Any, names: NetworkLayerNames, single: Collection[str]
) -> dict[str, list[Any]]:
    """Return the layers of each branch, of its groups, of the fusion and of each target, which stages freeze and give rates to."""
    groups: dict[str, list[Any]] = {}
    for key, part in parts.items():
        groups[f"branches.{key}"] = [part.model]
        groups |= {f"branches.{key}.{group}": list(layers) for group, layers in part.groups.items()}
    groups["fusion"] = [trained.get_layer(names.fusion)]
    for key, layer in names.heads.items():
        # The heads of single branches learn with their target: a stage that freezes the target freezes them too.
        groups[f"targets.{key}"] = [trained.get_layer(layer), *(trained.get_layer(names.branch_heads[branch][key]) for branch in single)]
    return groups


def _behind_encoders(
    branches: Mapping[str, Branch], columns: Mapping[str, Column], specs: Mapping[str, TensorSpec], whole: Mapping[str, BranchModel]
) -> tuple[dict[str, BranchModel], dict[str, EncoderInput], dict[str, EncoderInput]]:
    """Return the branches of the network, and the encoders by the column that they alone read: the frozen ones, and the tuned ones.

    `whole` are the branches from the columns themselves. Those behind frozen encoders read their features.
    """
    pretrained = encoder_columns(branches, columns)
    # An encoder that is tuned is new each time that it is loaded: the one in the branch counts.
    of_branches = {branches[key].columns[0]: part.encoder for key, part in whole.items() if part.encoder is not None}
    loaded = {column: of_branches.get(column) or one.load(specs[column], owner=column) for column, one in pretrained.items()}
    features = {column: feature_spec(specs[column], one.width, pretrained[column].views) for column, one in loaded.items()}
    behind = {key: part.on_features(features) for key, part in whole.items()}
    inputs = {}
    for column, one in loaded.items():
        tensor, vectors = (network_inputs(InputLayout({column: spec}))[column] for spec in (specs[column], features[column]))
        readers = [key for key, branch in branches.items() if column in branch.columns]
        models = [whole[key].model for key in readers], [behind[key].model for key in readers]
        inputs[column] = EncoderInput(one, features[column], tensor, vectors, *models)
    frozen = {column: one for column, one in inputs.items() if pretrained[column].frozen}
    tuned = {column: one for column, one in inputs.items() if column not in frozen}
    parts = {key: whole[key] if tuned.keys() & set(branches[key].columns) else part for key, part in behind.items()}
    return parts, frozen, tuned


def _features(
    parts: Mapping[str, BranchModel], layout: InputLayout, inputs: Mapping[str, Any], names: NetworkLayerNames
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the vector (batch, width) of every branch, its presence (batch, 1), and the tokens of those that give some.

    A branch is present when any of its columns is.
    """
    features: dict[str, Any] = {}
    present: dict[str, Any] = {}
    tokens: dict[str, Any] = {}
    for key, part in parts.items():
        of_branch, columns = part.inputs.layout, columns_behind(part.inputs.layout)
        shown = [presence(layout, inputs, columns[name]) for name in of_branch.names]
        # (batch, columns) to (batch, 1): a stack is present when any of its columns is.
        shown = [one if one.shape[1] == 1 else AnyPresent()(one) for one in shown]
        output = part.model(branch_inputs(part, layout, inputs))
        if isinstance(output, list):
            features[key], tokens[key] = output
        else:
            features[key] = output
        # Presence is 0 or 1, so the maximum means "any".
        present[key] = shown[0] if len(shown) == 1 else keras.layers.Maximum(name=names.present[key])(shown)
    return features, present, tokens


def _branch_heads(
    features: Mapping[str, Any], present: Mapping[str, Any], ensemble: Ensemble, fitted: Fitted, names: NetworkLayerNames
) -> dict[str, dict[str, Any]]:
    """Return the raw values that each branch gives alone, {branch: {target: raw value}}."""
    return {
        branch: {
            key: ensemble.branch_head(branch, target, vector, present[branch], names.branch_heads[branch][key])
            for key, target in fitted.targets.items()
        }
        for branch, vector in features.items()
    }


def _fusion(
    fusion: FusionSection,
    features: Mapping[str, Any],
    present: Mapping[str, Any],
    tokens: Mapping[str, Any],
    ensemble: Ensemble,
    *,
    name: str,
) -> Any:
    """Return one vector, (batch, width) or with members (batch, members, width).

    The inputs of the model have Keras's own names, so that a branch can have any name.
    """
    given = [dict(features), dict(present), *([dict(tokens)] if tokens else [])]
    # Keras.Input adds the batch axis itself.
    inputs = [{key: keras.Input(tensor.shape[1:], dtype=tensor.dtype) for key, tensor in part.items()} for part in given]
    folded = [ensemble.fold(inputs[0]), *map(ensemble.fold_shared, inputs[1:])]
    vector = fusion.build(*folded)
    check_vector(f"fusion {fusion.method}", vector, inputs)
    return keras.Model(inputs, ensemble.unfold(vector), name=name)(given)
