"""Order leakage: ids, groups and rows whose order is associated with the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmtrain.audit.column_values import TableValues
from mmtrain.audit.finding import Finding
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, conservative_rank_sum, holm, normal_tail
from mmtrain.audit.leakage.predictive_power import sample_rows
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView
from mmtrain.metrics.labels.auc import mid_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDERED = 0.15
"""Smallest distance of the AUC of an order from 0.5, and half of that of a rank correlation from 0."""
LEAST_ROWS = 10
"""Rows, or groups, of a class and of the others, or in all."""
MOST_UNNUMBERED = 0.05
"""Share of ids without a number, as of a pilot study, above which the numbers do not order the rows."""
MOST_NAMED = 3
"""Labels that one finding names."""


class RowOrder(NamedTuple):
    """An order of the rows: by id, by group or as in the table."""

    header: str
    noun: str
    """`id`, `group` or `row`."""
    names_rows: bool
    places: NDArray[np.float64]


def order_leakage(table: TableValues, metadata: RowMetadata, targets: Sequence[TargetView]) -> list[Finding]:
    """Return a finding for each target, on the first order that predicts it: ids, groups, rows. A group counts once in a class."""
    scored = []
    for target in targets:
        # Two sorts of a million rows take seconds; a sample orders as well.
        sampled = sample_rows(np.arange(len(target.rows)))
        for order in _orders(table):
            scored += [(target, order, _order_findings(order.places, answer.at(sampled), metadata.units)) for answer in target.answers]
    corrected = holm([p_value for *_, (_, p_value, _) in scored])
    effects: dict[str, tuple[RowOrder, TargetView, list[tuple[float, str]]]] = {}
    for (target, order, (size, _, sentence)), p_value in zip(scored, corrected, strict=True):
        if p_value < FAMILY_WISE_ERROR_RATE and size >= ORDERED:
            first, _, places = effects.setdefault(target.header, (order, target, []))
            places += [(size, sentence)] if first.header == order.header else []
    return [_finding(*one) for one in effects.values()]


def _orders(table: TableValues) -> list[RowOrder]:
    # Columns come first, in their order: an order of the rows that an id explains is reported by the id.
    orders = [RowOrder(table.name, "row", False, np.arange(table.rows, dtype=np.float64))]
    for cells in reversed(table.of_purpose("naming", "grouping")):
        if cells.numbers is not None and np.isnan(cells.numbers).mean() <= MOST_UNNUMBERED:
            orders.insert(0, RowOrder(cells.header, cells.use.role, cells.use.purpose == "naming", cells.numbers))
    return orders


def _finding(order: RowOrder, target: TargetView, places: Sequence[tuple[float, str]]) -> Finding:
    sentences = "; ".join(sentences for _, sentences in sorted(places, key=lambda place: -place[0])[:MOST_NAMED])
    what = f"the order of the {order.noun}s is associated with {target.named(len(places))}: {sentences}."
    why = "They were numbered when the answer was known, or it changed during collection, and so may have a camera or an operator."
    fix = "Find out what else changed with the order; never use an id or a position as an input."
    return Finding("warning" if order.names_rows else "note", "order_tells_label", order.header, what, why, fix)


def _order_findings(order: NDArray[np.float64], answer: BinaryTargetView, units: NDArray[np.int64]) -> tuple[float, float, str]:
    """Return the distance of the order from a random one, its p-value, and a sentence."""
    answer = answer.at(np.flatnonzero(~np.isnan(order[answer.rows])))
    order, units = order[answer.rows], units[answer.rows]
    if answer.labels is None:
        # One row of each unit, its first.
        _, first = np.unique(units, return_index=True)
        if answer.numbers is None or len(first) < LEAST_ROWS:
            return 0.0, 1.0, ""
        if np.ptp(order[first]) == 0 or np.ptp(answer.numbers[first]) == 0:
            return 0.0, 1.0, ""  # equal numbers have no order
        correlation = float(np.corrcoef(mid_ranks(order[first]), mid_ranks(answer.numbers[first]))[0, 1])
        p_value = normal_tail(correlation * np.sqrt(len(first) - 1))  # Spearman 1904; the normal limit of Hotelling and Pabst 1936
        return abs(correlation) / 2, p_value, f"their rank correlation is {correlation:.2f}"
    areas = []
    for label in range(len(answer.classes)):
        inside, outside = (_places(order[mask], units[mask]) for mask in (answer.labels == label, answer.labels != label))
        if min(len(inside), len(outside)) >= LEAST_ROWS:
            areas.append((*conservative_rank_sum(inside, outside), answer.called(label)))
    if not areas:
        return 0.0, 1.0, ""
    p_values = holm([p_value for _, p_value, _ in areas])
    area, p_value, name = max(
        ((area, p_value, name) for (area, _, name), p_value in zip(areas, p_values, strict=True)), key=lambda one: abs(one[0] - 0.5)
    )
    return (
        abs(area - 0.5),
        p_value,
        f"those of {name} come {'later' if area > 0.5 else 'earlier'}, with an AUC of {max(area, 1 - area):.2f}",
    )


def _places(order: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean place of each unit; that of a unit with many rows is nearer to the middle, hence the conservative test."""
    known, codes = np.unique(units, return_inverse=True)
    return np.bincount(codes, order, minlength=len(known)) / np.maximum(np.bincount(codes, minlength=len(known)), 1)
