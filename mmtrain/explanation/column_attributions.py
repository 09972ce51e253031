"""From attributions at taps to what each column, word and region of an image adds to the output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mmtrain.columns import FittedColumn
from mmtrain.columns.text import FIRST_ID, FittedText
from mmtrain.data.encode import Array, Fitted
from mmtrain.explanation.attribution import ColumnAttribution, ElementAttribution, RowInputs
from mmtrain.explanation.integrated_gradients import Attributions
from mmtrain.layers.words import distinct_words

ALL = "all"
"""The element of a column that has no parts."""
DOWN, ACROSS = ("top", "", "bottom"), ("left", "", "right")
UNSEEN_WORD = FIRST_ID - 1


def attribute_columns(found: Attributions, fitted: Fitted, cells: RowInputs) -> tuple[ColumnAttribution, ...]:
    """A share for every input column, in the order of the experiment."""
    missing = cells.missing(fitted)
    return tuple(_share(key, column, _of_column(found, key), cells, missing=key in missing) for key, column in fitted.columns.items())


def _of_column(found: Attributions, key: str) -> list[Array]:
    """The attributions at every tap of a column; it has several where several branches read it."""
    return [values for tap, values in found.attributions.items() if tap.column == key]


def _share(key: str, column: FittedColumn, values: Sequence[Array], cells: RowInputs, *, missing: bool) -> ColumnAttribution:
    kind, cell = column.spec.kind, cells.texts[key]
    if missing:
        return ColumnAttribution(key, kind, cell, missing, (ElementAttribution("missing", 0.0),))
    parts = _by_axes(values, column.spec.shape[:2])
    if parts is not None and isinstance(column, FittedText):
        return _text(key, column, parts, cells)
    if parts is not None and kind == "image":
        return ColumnAttribution(key, kind, cell, missing, regions(parts), pixels=parts)
    name = cell if kind in ("vector", "index") else ALL
    return ColumnAttribution(key, kind, cell, missing, (ElementAttribution(name, float(sum(one.sum() for one in values))),))


def _by_axes(values: Sequence[Array], shape: tuple[int, ...]) -> Array | None:
    """The sum over all axes behind those of `shape`; None where a tap has not these axes."""
    if any(one.shape[: len(shape)] != shape for one in values):
        return None
    together: Array = np.sum([one.sum(axis=tuple(range(len(shape), one.ndim))) for one in values], axis=0)
    return together


def regions(pixels: Array) -> tuple[ElementAttribution, ...]:
    """The sums of an image (height, width) in three by three regions; of a smaller one than that, of all of it."""
    if min(pixels.shape) < 3:
        return (ElementAttribution(ALL, float(pixels.sum())),)
    found = []
    for down, band in zip(DOWN, np.array_split(pixels, 3, axis=0), strict=True):
        for across, field in zip(ACROSS, np.array_split(band, 3, axis=1), strict=True):
            found.append(ElementAttribution(f"{down} {across}".strip() or "centre", float(field.sum())))
    return tuple(found)


def _text(key: str, column: FittedText, places: Array, cells: RowInputs) -> ColumnAttribution:
    """`places` (length,) are what the places of the encoded text add."""
    spoken = words_of(cells.texts[key], signs=column.signs)
    read = spoken[: column.length]
    if column.spec.kind == "tokens":
        reading = tuple(ElementAttribution(word, float(value)) for word, value in zip(read, places, strict=False))
        rest = float(places[len(read) :].sum())  # of a branch that looks at padding
        elements = (*reading, ElementAttribution("(padding)", rest)) if rest else reading
    else:
        reading = _of_bag(read, column, places, cells.encoded[key][0])
        of_word = dict.fromkeys(read, 0.0)
        for element in reading:
            of_word[element.name] += element.attribution
        elements = tuple(ElementAttribution(word, value) for word, value in of_word.items())
    return ColumnAttribution(key, column.spec.kind, cells.texts[key], False, elements, reading, len(spoken) - len(read))


def _of_bag(read: Sequence[str], column: FittedText, places: Array, ids: Array) -> tuple[ElementAttribution, ...]:
    """What each word adds: an equal part of what its id adds. Words that training did not know share one id."""
    known = {word: number for number, word in enumerate(column.words, start=FIRST_ID)}
    of_id = np.bincount(ids, weights=places, minlength=column.spec.size) / np.maximum(np.bincount(ids, minlength=column.spec.size), 1)
    return tuple(ElementAttribution(word, float(of_id[known.get(word, UNSEEN_WORD)])) for word in read)


def words_of(text: str, *, signs: bool = True) -> list[str]:
    """The words of a text in reading order, as the network's own preprocessing finds them."""
    words, places = distinct_words(tf.constant([text]), signs=signs)
    return [word.decode("utf-8") for word in words.numpy()[places.flat_values.numpy()]]
