"""The predictor cut in two before its fusion: columns to the features of every branch, and these to predictions.

What a branch makes of a row does not depend on the other branches. So whoever asks what the network would predict if some inputs
were others, or absent, computes the branches once, mixes their features, and runs the small half behind the fusion alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Arrays, Fitted
from mmtrain.model.assemble import masked_columns, names_of_layers
from mmtrain.model.memory_errors import prediction_oom_errors
from mmtrain.model.model_file import joined, rows_at_once

ROWS = 8192
"""Rows that go through the half behind the fusion at once."""


@dataclass(frozen=True, eq=False)
class BranchFeatures:
    """What the branches made of some rows: per branch (rows, width), and whether it is present, (rows, 1)."""

    values: Mapping[str, Array]
    present: Mapping[str, Array]

    def taken(self, branch: str, rows: Array) -> BranchFeatures:
        """The same rows, one branch of which saw other rows instead: row i of it now is row `rows[i]`."""
        return self.replaced(branch, self.values[branch][rows], self.present[branch][rows])

    def replaced(self, branch: str, values: Array, present: Array) -> BranchFeatures:
        """The same rows with other features of one branch."""
        return replace(self, values={**self.values, branch: values}, present={**self.present, branch: present})

    def without(self, branch: str) -> BranchFeatures:
        """The same rows, none of which has this branch."""
        return self.replaced(branch, self.values[branch], np.zeros_like(self.present[branch]))


class SplitPredictor:
    """Both halves of a predictor, each compiled once."""

    def __init__(self, predictor: Any, experiment: Experiment, fitted: Fitted) -> None:
        names = names_of_layers(experiment, fitted)
        self._columns = {key: branch.columns for key, branch in experiment.branches.items()}
        layers = {key: predictor.get_layer(names.branches[key]) for key in self._columns}
        self._branches = {key: _called(layer) for key, layer in layers.items()}
        # A network of an older run takes no presence.
        self._masked = {
            key: masked_columns(experiment, key)[: len(layer.inputs) - len(self._columns[key])] for key, layer in layers.items()
        }
        fusion = predictor.get_layer(names.fusion)
        heads = {key: (predictor.get_layer(names.heads[key]), predictor.get_layer(names.activations[key])) for key in names.heads}
        self._rows_at_once = rows_at_once(predictor)

        def predicted(features: Any, present: Any) -> Any:
            vector = fusion([features, present], training=False)
            return {key: activation(head(vector)) for key, (head, activation) in heads.items()}

        features = {key: _any_rows(predictor.get_layer(name).outputs[0]) for key, name in names.branches.items()}
        present = {key: tf.TensorSpec((None, 1), tf.float32) for key in features}
        self._predicted = tf.function(predicted, input_signature=[features, present], autograph=False)

    def features(self, arrays: Arrays, rows: Array) -> BranchFeatures:
        """Of every branch, for these rows."""
        found = {branch: self.of_branch(branch, arrays, dict.fromkeys(columns, rows)) for branch, columns in self._columns.items()}
        return BranchFeatures({key: values for key, (values, _) in found.items()}, {key: present for key, (_, present) in found.items()})

    def of_branch(self, branch: str, arrays: Arrays, rows: Mapping[str, Array]) -> tuple[Array, Array]:
        """Features and presence of one branch; `rows` says for each of its columns which row it is taken from."""
        columns = self._columns[branch]
        present = np.maximum.reduce([arrays.present[column][rows[column]] for column in columns])
        batches = _gathered(arrays, {column: rows[column] for column in columns}, self._masked[branch], self._rows_at_once)
        call = self._branches[branch]
        return np.concatenate([call(batch) for batch in batches]), present

    def predictions(self, features: BranchFeatures) -> dict[str, Array]:
        """Per target, from features and presence of every branch."""
        count = len(next(iter(features.present.values())))
        return joined(self._batch(features, slice(start, start + ROWS)) for start in range(0, count, ROWS))

    def _batch(self, features: BranchFeatures, rows: slice) -> dict[str, Array]:
        values = {key: tf.constant(found[rows]) for key, found in features.values.items()}
        present = {key: tf.constant(found[rows]) for key, found in features.present.items()}
        with prediction_oom_errors(len(next(iter(present.values())))):
            return {key: found.numpy() for key, found in self._predicted(values, present).items()}


def _called(branch: Any) -> Callable[[list[Array]], Array]:
    """A branch as a compiled function of its encoded columns."""
    signature = [[_any_rows(tensor) for tensor in branch.inputs]]
    function = tf.function(lambda inputs: branch(inputs, training=False), input_signature=signature, autograph=False)
    compiled = function.get_concrete_function()  # at once: TensorFlow takes the first calls of five branches for one traced anew

    def features(inputs: list[Array]) -> Array:
        with prediction_oom_errors(len(inputs[0])):
            found: Array = compiled([tf.constant(values) for values in inputs]).numpy()
        return found

    return features


def _any_rows(tensor: Any) -> Any:
    """What a compiled function takes in the place of a Keras tensor."""
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)


def _gathered(arrays: Arrays, rows: Mapping[str, Array], masked: Sequence[str], size: int) -> Iterator[list[Array]]:
    """Encoded columns in batches, each by its own row index, then presence; images are never in memory all at once."""
    count = len(next(iter(rows.values())))
    for start in range(0, count, size):
        at = {column: own[start : start + size] for column, own in rows.items()}
        yield [arrays.column(column, own) for column, own in at.items()] + [arrays.present[column][at[column]] for column in masked]
