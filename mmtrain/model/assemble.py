"""One functional Keras model: columns -> branches -> fusion -> targets.

Models share their layers:

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

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Literal

import keras
from keras import ops

from mmtrain.branches import Branch, Pretrained, encoder_columns
from mmtrain.columns import Column
from mmtrain.data.cell_encoder import encoder, unique_layer_names
from mmtrain.data.encode import Fitted
from mmtrain.encoders.tuning import depths, merge_adapters
from mmtrain.fusions import FusionSection
from mmtrain.input_layout import InputLayout, presence_of
from mmtrain.layers.end_to_end import EndToEnd
from mmtrain.layers.stacks import AnyPresent, SideBySide, TakePlaces
from mmtrain.model.branch_model import BranchMaker, BranchModel, LinearModel
from mmtrain.model.encoder_inputs import (
    Components,
    EncoderInput,
    StoredWeights,
    with_branches,
)
from mmtrain.model.ensemble import Base, Ensemble
from mmtrain.specs import FeatureSpec, TensorSpec, layer_names


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
    )


def assemble(
    branches: Mapping[str, Branch],
    columns: Mapping[str, Column],
    fusion: FusionSection,
    fitted: Fitted,
    *,
    name: str,
    components: Mapping[str, Components] | None = None,
) -> Models:
    """Build the models with fresh weights, which follow from Keras's random seed.

    Args:
        branches: Section `branches` of the experiment.
        columns: Section `columns`; says which inputs are masked where they are missing, and which are read by an encoder.
        fusion: Section `fusion`.
        fitted: Columns and targets as fitted on training rows.
        name: Name of the end-to-end model.
        components: Principal components by column with an `encoder`, fitted on training rows; None leaves them at zero.

    Raises UsageError when an architecture of the user's own does not keep the contract of a branch.
    """
    specs = {key: column.spec for key, column in fitted.columns.items()}
    names = names_of_layers(branches, fitted)
    make = BranchMaker(branches, columns, specs, components or {}, reads_tokens=fusion.reads_tokens)
    whole = {key: make.branch(key, layer) for key, layer in names.branches.items()}
    pretrained = encoder_columns(branches, columns)
    alone, behind = _encoder_inputs(branches, pretrained, specs, whole)
    encoders = {column: one for column, one in alone.items() if pretrained[column].frozen}
    tuned = {column: one for column, one in alone.items() if column not in encoders}
    parts = {key: whole[key] if tuned.keys() & set(branches[key].columns) else part for key, part in behind.items()}
    layout = InputLayout({key: encoders[key].spec if key in encoders else spec for key, spec in specs.items()})
    bases = {key: target.units for key, target in fitted.targets.items()} if len(parts) == 1 and not fusion.units else {}
    parts = {key: part.with_linear_base(sum(bases.values())) if bases else part for key, part in parts.items()}
    base = next(iter(parts.values())).base
    inputs = network_inputs(layout)
    features, present, tokens = _features(parts, layout, inputs, names)
    ensemble = Ensemble.of({key: part.members for key, part in parts.items()})
    vector = _fusion(fusion, features, present, tokens, ensemble, name=names.fusion)
    # The last values of the vector are the raw values of the linear model, target by target.
    places = dict(zip(bases, accumulate(bases.values(), initial=0), strict=False)) if base is not None else {}
    raw = {
        key: ensemble.head(fitted.targets[key], vector, layer, Base(places[key], sum(bases.values())) if places else None)
        for key, layer in names.heads.items()
    }
    network = keras.Model(inputs, raw, name="network")
    # With one branch, as in its unimodal baseline, the head of the branch would be that of the target once more.
    single = _branch_heads(features, present, ensemble, fitted, names) if fusion.auxiliary and len(parts) > 1 else {}
    trained = keras.Model(inputs, [raw, single, present], name="trained") if single else network
    if any(part.encoder is not None for part in parts.values()):
        _begin_at_zero(trained, [*names.heads.values(), *(layer for branch in single for layer in names.branch_heads[branch].values())])
    activations = {key: target.activation(names.activations[key]) for key, target in fitted.targets.items()}
    # Predictions of members are averaged, not their logits; `means` gives the raw value of that average, (batch,
    # units), so that calibration and exports meet the same shape with and without members.
    means = {key: ensemble.mean(activations[key], names.means[key]) for key in raw if ensemble.members}
    predictions = {key: activations[key](means[key](raw[key]) if key in means else raw[key]) for key in raw}
    predictor = keras.Model(inputs, predictions, name=unique_layer_names(["predictor"], "", inputs)["predictor"])
    loaded = [part.encoder for part in parts.values() if part.encoder is not None]
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
        notes=tuple(note for part in parts.values() for note in part.notes),
        base=base
        and replace(
            base,
            inputs=keras.Model(inputs, base.inputs(_given(next(iter(parts.values())), layout, inputs))),
            heads=tuple(network.get_layer(names.heads[key]).get_layer("head") for key in raw),
        ),
    )
    return replace(models, end_to_end=EndToEnd(encoder(fitted.columns), models.with_encoders(predictor), name=layer_names([name])[name]))


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


def network_inputs(layout: InputLayout) -> dict[str, Any]:
    """Return the inputs of a layout as Keras inputs, by name."""
    return {name: keras.Input(one.shape, dtype=one.dtype, name=name) for name, one in layout.inputs.items()}


def by_column(predictor: Any, fitted: Fitted) -> Any:
    """Return a network with the layers of `predictor` and the inputs `{column, column_present}`, as exports take them."""
    specs = {key: column.spec for key, column in fitted.columns.items()}
    layout = InputLayout(specs)
    inputs = network_inputs(InputLayout({}))
    for key, spec in specs.items():
        inputs |= network_inputs(InputLayout({key: spec}))
    together = {}
    stacks = {stack.name: stack.columns for stack in layout.stacks}
    for name in layout.names:
        # Both tensors of an input: its values, then its presence.
        for of in (str, presence_of):
            tensors = [inputs[of(column)] for column in stacks.get(name, (name,))]
            together[of(name)] = tensors[0] if len(tensors) == 1 else SideBySide()(tensors)
    if not stacks:
        return predictor
    # The layers by themselves, and not the predictor as one layer: units are taken off behind its last layers.
    ordered = [together[tensor.name] for tensor in predictor.inputs]
    outputs = predictor._run_through_graph(keras.tree.pack_sequence_as(predictor._inputs_struct, ordered), operation_fn=lambda layer: layer)
    return keras.Model(inputs, outputs, name=predictor.name)


def _encoder_inputs(
    branches: Mapping[str, Branch], pretrained: Mapping[str, Pretrained], specs: Mapping[str, TensorSpec], whole: Mapping[str, BranchModel]
) -> tuple[dict[str, EncoderInput], dict[str, BranchModel]]:
    """Return the encoders by the column that they alone read, and all branches behind them.

    `pretrained` are those of `encoder_columns`, `whole` the branches from the columns themselves.
    """
    # An encoder that is tuned is new each time that it is loaded: the one in the branch counts.
    of_branches = {branches[key].columns[0]: part.encoder for key, part in whole.items() if part.encoder is not None}
    encoders = {column: of_branches.get(column) or one.load(specs[column], owner=column) for column, one in pretrained.items()}
    features = {column: FeatureSpec(one.width, 1 + pretrained[column].views) for column, one in encoders.items()}
    behind = {key: part.on_features(features) for key, part in whole.items()}
    encoder_inputs = {}
    for column, loaded in encoders.items():
        tensor, vectors = (network_inputs(InputLayout({column: one}))[column] for one in (specs[column], features[column]))
        readers = [key for key, branch in branches.items() if column in branch.columns]
        models = [whole[key].model for key in readers], [behind[key].model for key in readers]
        encoder_inputs[column] = EncoderInput(loaded, features[column], tensor, vectors, *models)
    return encoder_inputs, behind


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
        of_branch, columns = part.inputs.layout, _columns_behind(part.inputs.layout)
        shown = [_presence(layout, inputs, columns[name]) for name in of_branch.names]
        # (batch, columns) to (batch, 1): a stack is present when any of its columns is.
        shown = [one if one.shape[1] == 1 else AnyPresent()(one) for one in shown]
        output = part.model(_given(part, layout, inputs))
        if isinstance(output, list):
            features[key], tokens[key] = output
        else:
            features[key] = output
        # Presence is 0 or 1, so the maximum means "any".
        present[key] = shown[0] if len(shown) == 1 else keras.layers.Maximum(name=names.present[key])(shown)
    return features, present, tokens


def _given(part: BranchModel, layout: InputLayout, inputs: Mapping[str, Any]) -> list[Any]:
    """Return the inputs of a branch model in its order: values first, then the presence of masked columns."""
    columns = _columns_behind(part.inputs.layout)
    masks = [_presence(layout, inputs, masked) for masked in part.inputs.presence.values()]
    return [_values(layout, inputs, columns[name]) for name in part.inputs.layout.names] + masks


def _columns_behind(layout: InputLayout) -> dict[str, tuple[str, ...]]:
    """Return the columns behind each input of a branch: the input itself, or all columns of a stack."""
    return {name: (name,) for name in layout.names} | {stack.name: stack.columns for stack in layout.stacks}


def _values(layout: InputLayout, inputs: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return the encoded values of columns of one kind, side by side."""
    stack = layout.stack_of.get(columns[0])
    return inputs[columns[0]] if stack is None else _taken(inputs[stack.name], stack.values(columns))


def _presence(layout: InputLayout, inputs: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return the presence of columns of one kind, (batch, columns)."""
    stack = layout.stack_of.get(columns[0])
    if stack is None:
        return inputs[presence_of(columns[0])]
    return _taken(inputs[presence_of(stack.name)], [stack.positions[column] for column in columns])


def _taken(tensor: Any, places: Sequence[int]) -> Any:
    # Most branches read a whole stack in its order; a gather would then only copy it.
    return tensor if list(places) == list(range(tensor.shape[1])) else TakePlaces(places=places)(tensor)


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
    return keras.Model(inputs, ensemble.unfold(fusion.build(*folded)), name=name)(given)
