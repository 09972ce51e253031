"""The preprocessing of several columns as one Keras model, and as a function of cells.

The same layers encode the table and stand in front of the trained network in the saved model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmtrain.columns import FittedColumn
from mmtrain.data.arrays import Array
from mmtrain.input_layout import InputLayout
from mmtrain.specs import layer_names

if TYPE_CHECKING:
    import pandas as pd


def encoder(columns: Mapping[str, FittedColumn], layout: InputLayout | None = None) -> Any:
    """Return a Keras model over these columns: raw tensors to the inputs of a network with this `layout`, by default of these alone."""
    from mmtrain.layers.table_encoder import EncodedTogether, TableEncoder

    parts = []
    for keys in _parts(columns):
        together = [columns[key] for key in keys]
        layer = type(together[0]).preprocessing_together(together) if len(keys) > 1 else together[0].preprocessing()
        raw = {name: (one.shape, one.dtype) for key in keys for name, one in columns[key].raw_inputs(key).items()}
        widths = tuple(columns[key].spec.shape[0] for key in keys)
        parts.append(EncodedTogether(tuple(keys), raw, widths, layer))
    layout = layout or InputLayout({key: column.spec for key, column in columns.items()})
    taken = [label for part in parts for label in part.raw]
    stacks = {stack.name: stack.columns for stack in layout.stacks}
    return TableEncoder(parts, stacks, name=unique_layer_names(["encoder"], "", taken)["encoder"])


def _parts(columns: Mapping[str, FittedColumn]) -> list[list[str]]:
    """Return the columns that one layer encodes together; a class derived from one that can has to say so itself."""
    parts: list[list[str]] = []
    of_class: dict[type[FittedColumn], list[str]] = {}
    for key, column in columns.items():
        class_ = type(column)
        if "preprocessing_together" not in vars(class_):
            parts.append([key])
        elif class_ in of_class:
            of_class[class_].append(key)
        else:
            of_class[class_] = [key]
            parts.append(of_class[class_])
    return parts


def unique_layer_names(keys: Iterable[str], prefix: str, taken: Collection[str]) -> dict[str, str]:
    """`layer_names`, but none that an input has: a column may well be called `target_age`, `fusion` or `maximum`."""
    names = layer_names(keys, prefix)
    return names if set(names.values()).isdisjoint(taken) else unique_layer_names(names, f"own_{prefix}", taken)


class EncodedCells(NamedTuple):
    """Cells of some columns, encoded: raw arrays by column, and the inputs of the network by name."""

    raw: dict[str, Array]
    inputs: dict[str, Array]


def cell_encoder(
    columns: Mapping[str, FittedColumn], layout: InputLayout | None = None, *, compiled: bool
) -> Callable[[Mapping[str, pd.Series[str]]], EncodedCells]:
    """Return a function that encodes cells of these columns, any but images, all in one call, and may be called from several threads.

    A call has a cost of its own, as high as that of 8,192 numbers. `compiled` is worth its time where cells come in many pieces.
    `layout` is that of the network, which may have more columns.
    """
    import tensorflow as tf

    model = encoder(columns, layout)
    run = model.encode_parts
    if compiled:
        given = {key: column.raw_inputs(key)[key] for key, column in columns.items()}
        parts = [[given[key] for key in part.columns] for part in model.parts]
        signature = [[tf.TensorSpec((None, sum(one.shape[0] for one in part)), part[0].dtype)] for part in parts]
        # Traced eagerly: otherwise TensorFlow warns about retracing when a process opens several models.
        run = tf.function(model.encode_parts, autograph=False).get_concrete_function(signature)

    def encoded(cells: Mapping[str, pd.Series[str]]) -> EncodedCells:
        raw = {key: column.raw(cells[key]) for key, column in columns.items()}
        together = [np.concatenate([raw[key] for key in part.columns], axis=1) for part in model.parts]
        inputs, _ = run([[tf.constant(values)] for values in together])
        return EncodedCells(raw, {name: values.numpy() for name, values in inputs.items()})

    return encoded
