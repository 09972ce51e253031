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


def mean_explanation(
    each: Mapping[str, RowExplanation], weights: Sequence[float], selector: OutputSelector, prediction: str
) -> RowExplanation:
    """Return the mean of the explanations of one row, by the name of the training; the outputs are those of `selector`.

    The explained output is the mean of the raw outputs: of logits, not the logit of the mean probability. `weights` are relative.
    """
    explanations = list(each.values())
    # The one with most columns: a training of a single branch has its own alone.
    first = max(explanations, key=lambda one: len(one.columns))
    shares = np.array(weights) / sum(weights)
    by_column = [{column.column: column for column in one.columns} for one in explanations]
    return replace(
        first,
        prediction=prediction,
        selector=replace(selector, words=f"mean {selector.words}") if len(each) > 1 else selector,
        attributions=MeanAttributions(
            tuple(one.attributions for one in explanations if isinstance(one.attributions, Attributions)), tuple(shares.tolist())
        ),
        columns=tuple(_mean_column([one.get(column.column) for one in by_column], shares) for column in first.columns),
        cams=_mean_maps([one.cams for one in explanations], shares),
        trainings={name: {column.column: column.attribution for column in one.columns} for name, one in each.items()},
    )


def _mean_column(each: Sequence[ColumnAttribution | None], shares: Array) -> ColumnAttribution:
    """Return the mean attribution of one column; a training for which it is missing, or that does not read it, attributes 0 to it."""
    values = [0.0 if one is None else one.attribution for one in each]
    deviation = float(np.std(values, ddof=1)) if len(each) > 1 else None
    # A text may have words that one vocabulary knows and another does not.
    known = [(one, float(share)) for one, share in zip(each, shares, strict=True) if one is not None and not one.missing]
    if not known:
        return replace(next(one for one in each if one is not None), deviation=deviation)
    pixels = [share * one.pixels for one, share in known if one.pixels is not None]
    return replace(
        known[0][0],
        elements=_mean_elements([(one.elements, share) for one, share in known]),
        reading=_mean_elements([(one.reading, share) for one, share in known]),
        unread=min(one.unread for one, _ in known),
        pixels=np.sum(pixels, axis=0) if pixels else None,
        deviation=deviation,
    )


def _mean_maps(each: Sequence[Mapping[str, Array]], shares: Array) -> dict[str, Array]:
    """Return the mean map of every image, over the trainings that have one."""
    maps = {}
    for key in dict.fromkeys(key for one in each for key in one):
        known = [(one[key], share) for one, share in zip(each, shares, strict=True) if key in one]
        maps[key] = np.average([values for values, _ in known], axis=0, weights=[share for _, share in known])
    return maps


def _mean_elements(each: Sequence[tuple[Sequence[ElementAttribution], float]]) -> tuple[ElementAttribution, ...]:
    """Return the mean of every element, in the order of the training with most of them; those that it lacks come last."""
    totals: dict[tuple[str, int], float] = {}
    for elements, share in sorted(each, key=lambda one: -len(one[0])):
        times: Counter[str] = Counter()
        for element in elements:
            # The second `the` of a text is another element than the first one.
            times[element.name] += 1
            place = element.name, times[element.name]
            totals[place] = totals.get(place, 0.0) + share * element.attribution
    return tuple(ElementAttribution(name, total) for (name, _), total in totals.items())
