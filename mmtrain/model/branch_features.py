"""The predictor cut in two before its fusion: columns to the features of every branch, and these to predictions.

The features of a branch do not depend on the other branches. An analysis of other or absent inputs therefore computes the branches
once, mixes their features, and runs only the small half behind the fusion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.branches import Branch
from mmtrain.columns import Column
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.input_layout import InputLayout, presence_of
from mmtrain.model.branch_model import BranchInputs
from mmtrain.model.memory_errors import prediction_oom_errors
from mmtrain.model.model_file import concatenate_predictions, rows_at_once
from mmtrain.model.models import NetworkLayerNames, names_of_layers
from mmtrain.specs import TensorSpec

FUSION_ROWS = 8192
"""Rows that go through the half behind the fusion at once."""


@dataclass(frozen=True, eq=False)
class BranchFeatures:
    """Features of some rows: per branch the vectors (rows, width), and the presence (rows, 1)."""

    values: Mapping[str, Array]
    present: Mapping[str, Array]
    tokens: Mapping[str, Array] = field(default_factory=dict)
    """(rows, length, width) of those branches whose tokens the fusion reads."""

    def take_branch(self, branch: str, rows: Array) -> BranchFeatures:
        """Return the same rows with one branch taken from other rows: row i of it is now row `rows[i]`."""
        tokens = self.tokens[branch][rows] if branch in self.tokens else None
        return self.replace_branch(branch, self.values[branch][rows], self.present[branch][rows], tokens)

    def replace_branch(self, branch: str, values: Array, present: Array, tokens: Array | None = None) -> BranchFeatures:
        """Return the same rows with other features of one branch; its tokens stay where None are given."""
        more = {} if tokens is None else {branch: tokens}
        changed = {"values": {**self.values, branch: values}, "present": {**self.present, branch: present}}
        return replace(self, **changed, tokens={**self.tokens, **more})

    def without(self, branch: str) -> BranchFeatures:
        """Return the same rows with this branch absent in all of them."""
        # The values may stay: every fusion ignores them where the presence is 0.
        return self.replace_branch(branch, self.values[branch], np.zeros_like(self.present[branch]))


class SplitPredictor:
    """Both halves of a predictor, each compiled once."""

    def __init__(
        self,
        predictor: Any,
        branches: Mapping[str, Branch],
        columns: Mapping[str, Column],
        fitted: Fitted,
        specs: Mapping[str, TensorSpec] | None = None,
    ) -> None:
        """Take a predictor and the parts of its experiment; `specs` are those of its inputs by column, if not those of `fitted`."""
        names = names_of_layers(branches, fitted)
        self._columns = {key: branch.columns for key, branch in branches.items()}
        specs = specs or {key: column.spec for key, column in fitted.columns.items()}
        self._inputs = {key: BranchInputs.of(branch, columns, specs) for key, branch in branches.items()}
        layers = {key: predictor.get_layer(names.branches[key]) for key in self._columns}
        self._branches = {key: _compile_branch(layer) for key, layer in layers.items()}
        fusion = predictor.get_layer(names.fusion)
        heads = {key: (predictor.get_layer(names.heads[key]), predictor.get_layer(names.activations[key])) for key in names.heads}
        means = {layer.name: layer for layer in predictor.layers if layer.name in names.means.values()}
        chosen = _chosen_branches(predictor, names)
        self._rows_at_once = rows_at_once(predictor)

        def mean(key: str, values: Any) -> Any:
            # (batch, members, units); next to a branch with members, one without gives (batch, units) already.
            return means[names.means[key]](values) if len(values.shape) > 2 and names.means[key] in means else values

        def predict(*features: Any) -> Any:
            vector = fusion(list(features), training=False)
            raw = {key: mean(key, head(vector)) for key, (head, _) in heads.items()}
            for key, (branch, head, answer) in chosen.items():
                shown = features[1][branch]
                # Where the branch is absent from a row, the fused raw value answers.
                raw[key] = answer(mean(key, head([features[0][branch], shown])), raw[key], shown)
            return {key: activation(raw[key]) for key, (_, activation) in heads.items()}

        vectors = {key: _any_rows(layer.outputs[0]) for key, layer in layers.items()}
        present = {key: tf.TensorSpec((None, 1), tf.float32) for key in layers}
        tokens = {key: _any_rows(layer.outputs[1]) for key, layer in layers.items() if len(layer.outputs) > 1}
        # Two or three arguments: an empty `tokens` would be a structure of its own, and `_batch` leaves it out as well.
        signature = [vectors, present, *([tokens] if tokens else [])]
        self._predict = tf.function(predict, input_signature=signature, autograph=False)

    def features(self, arrays: Arrays, rows: Array) -> BranchFeatures:
        """Return the features of these rows, of every branch."""
        outputs = {branch: self.of_branch(branch, arrays, dict.fromkeys(columns, rows)) for branch, columns in self._columns.items()}
        return BranchFeatures(
            {key: values for key, (values, _, _) in outputs.items()},
            {key: present for key, (_, present, _) in outputs.items()},
            {key: tokens for key, (_, _, tokens) in outputs.items() if tokens is not None},
        )

    def of_branch(self, branch: str, arrays: Arrays, rows: Mapping[str, Array]) -> tuple[Array, Array, Array | None]:
        """Return vectors, presence and tokens of one branch; `rows` are those that each of its columns is taken from.

        Columns with the same array of rows are gathered together.
        """
        columns = {column: rows[column] for column in self._columns[branch]}
        subject = arrays.ordered(columns)
        batches = _gathered(subject, columns, self._inputs[branch], self._rows_at_once)
        # Transposed: from (presence, vectors[, tokens]) per batch to one sequence of batches for each.
        present, *outputs = zip(*((shown, *self._branches[branch](batch)) for batch, shown in batches), strict=True)
        vectors, *tokens = map(np.concatenate, outputs)
        return vectors, np.concatenate(present), tokens[0] if tokens else None

    def predictions(self, features: BranchFeatures) -> dict[str, Array]:
        """Return the predictions per target, from the features of every branch."""
        count = len(next(iter(features.present.values())))
        return concatenate_predictions(self._batch(features, slice(start, start + FUSION_ROWS)) for start in range(0, count, FUSION_ROWS))

    def _batch(self, features: BranchFeatures, rows: slice) -> dict[str, Array]:
        nonempty = [part for part in (features.values, features.present, features.tokens) if part]
        batch = [{key: tf.constant(values[rows]) for key, values in part.items()} for part in nonempty]
        with prediction_oom_errors(len(next(iter(batch[0].values())))):
            return {key: values.numpy() for key, values in self._predict(*batch).items()}


def _chosen_branches(predictor: Any, names: NetworkLayerNames) -> dict[str, tuple[str, Any, Any]]:
    """Return the targets that a branch answers alone: the branch, its head, and the layer that puts it in the place of the fusion."""
    layers = {layer.name: layer for layer in predictor.layers}
    return {
        key: (branch, layers[names.branch_heads[branch][key]], layers[name])
        for branch, answers in names.answers.items()
        for key, name in answers.items()
        if name in layers
    }


def _compile_branch(branch: Any) -> Callable[[list[Array]], list[Array]]:
    """Return a branch as a compiled function of its encoded columns: its vectors and, if the fusion reads them, its tokens."""
    signature = [[_any_rows(tensor) for tensor in branch.inputs]]
    function = tf.function(lambda inputs: branch(inputs, training=False), input_signature=signature, autograph=False)
    compiled = function.get_concrete_function()  # traced eagerly: from the fifth branch on, TensorFlow would warn about retracing

    def features(inputs: list[Array]) -> list[Array]:
        with prediction_oom_errors(len(inputs[0])):
            return [output.numpy() for output in tf.nest.flatten(compiled([tf.constant(values) for values in inputs]))]

    return features


def _any_rows(tensor: Any) -> Any:
    """Return the signature of a Keras tensor for any number of rows."""
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)


def _gathered(arrays: Arrays, rows: Mapping[str, Array], inputs: BranchInputs, size: int) -> Iterator[tuple[list[Array], Array]]:
    """Yield the inputs of a branch in batches, and the presence of the branch, (batch, 1); images are never in memory all at once.

    Every column is taken from its own `rows`: all of them from the rows that most of them have, then those that differ once more.
    """
    usual = _most_frequent(rows.values())
    # By identity: callers pass the same array for every column they leave alone, and comparing would read all rows.
    differing = {column: index for column, index in rows.items() if index is not usual}
    for start in range(0, len(usual), size):
        batch = arrays.take(usual[start : start + size])
        for column, index in differing.items():
            _replace(batch, arrays, column, index[start : start + size])
        shown = {name: batch[presence_of(name)] for name in inputs.layout.names}
        masks = [_of_columns(inputs.layout, shown[name], masked) for name, masked in inputs.presence.items()]
        # (batch, 1): the branch is present where any of its columns is.
        present = np.maximum.reduce([values.max(axis=1, keepdims=True) for values in shown.values()])
        yield [batch[name] for name in inputs.layout.names] + masks, present


def _most_frequent(rows: Iterable[Array]) -> Array:
    """Return the array that most columns have, by identity."""
    arrays = list(rows)
    counts = Counter(map(id, arrays))
    return max(arrays, key=lambda index: counts[id(index)])


def _replace(batch: dict[str, Array], arrays: Arrays, column: str, rows: Array) -> None:
    """Take the values and the presence of one column from other rows, in place."""
    stack, values, present = arrays.layout.stack_of.get(column), arrays.column(column, rows), arrays.present[column][rows]
    if stack is None:
        batch[column], batch[presence_of(column)] = values, present
        return
    position = stack.positions[column]
    # In place: `take` has gathered a copy, the table keeps its values.
    batch[stack.name][:, stack.places[column]] = values
    batch[presence_of(stack.name)][:, position : position + 1] = present


def _of_columns(layout: InputLayout, present: Array, columns: Sequence[str]) -> Array:
    """Return the presence of some columns of an input."""
    stack = layout.stack_of.get(columns[0])
    return present if stack is None else present[:, [stack.positions[column] for column in columns]]
