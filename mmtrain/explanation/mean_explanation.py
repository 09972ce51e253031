"""Explanation of a row by several trainings: the mean of what each attributes to a column, a word or a pixel, and its spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmtrain.data.arrays import Array
from mmtrain.explanation.attribution import ColumnAttribution, ElementAttribution, RowExplanation
from mmtrain.explanation.gradients import Attributions, MeanAttributions
from mmtrain.explanation.selection import OutputSelector


def mean_explanation(each: Mapping[str, RowExplanation], selector: OutputSelector, prediction: str) -> RowExplanation:
    """Return the mean of the explanations of one row, by the name of the training; the outputs are those of `selector`.

    The explained output is the mean of the raw outputs: of logits, not the logit of the mean probability.
    """
    explanations = list(each.values())
    first = explanations[0]
    columns = tuple(_mean_column(several) for several in zip(*(one.columns for one in explanations), strict=True))
    cams = [one.cams for one in explanations]
    return replace(
        first,
        prediction=prediction,
        selector=replace(selector, words=f"mean {selector.words}") if len(each) > 1 else selector,
        attributions=MeanAttributions(tuple(one.attributions for one in explanations if isinstance(one.attributions, Attributions))),
        columns=columns,
        cams={key: np.mean([one[key] for one in cams], axis=0) for key in first.cams if all(key in one for one in cams)},
        trainings={name: {column.column: column.attribution for column in one.columns} for name, one in each.items()},
    )


def _mean_column(each: Sequence[ColumnAttribution]) -> ColumnAttribution:
    """Return the mean attribution of one column; where it is missing for some trainings, they attribute 0 to it."""
    # A text may have words that one vocabulary knows and another does not.
    known = [one for one in each if not one.missing]
    deviation = float(np.std([one.attribution for one in each], ddof=1)) if len(each) > 1 else None
    if not known:
        return replace(each[0], deviation=deviation)
    pixels = [one.pixels for one in known if one.pixels is not None]
    return replace(
        known[0],
        elements=_mean_elements([one.elements for one in known], len(each)),
        reading=_mean_elements([one.reading for one in known], len(each)),
        unread=min(one.unread for one in known),
        pixels=_sum(pixels) / len(each) if pixels else None,
        deviation=deviation,
    )


def _sum(arrays: Sequence[Array]) -> Array:
    total: Array = np.sum(arrays, axis=0)
    return total


def _mean_elements(each: Sequence[Sequence[ElementAttribution]], trainings: int) -> tuple[ElementAttribution, ...]:
    """Return the mean of every element, in the order of the training with most of them; those that it lacks come last."""
    totals: dict[tuple[str, int], float] = {}
    for elements in sorted(each, key=len, reverse=True):
        times: Counter[str] = Counter()
        for element in elements:
            # The second `the` of a text is another element than the first one.
            times[element.name] += 1
            place = element.name, times[element.name]
            totals[place] = totals.get(place, 0.0) + element.attribution
    return tuple(ElementAttribution(name, total / trainings) for (name, _), total in totals.items())
