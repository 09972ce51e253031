"""Balance of classes and labels, and classes that some part does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.column_values import TableValues
from mmtrain.audit.finding import Finding, first_rows
from mmtrain.audit.label_index import LabelIndex
from mmtrain.audit.pairs import distinct_pairs
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata
from mmtrain.columns.split_words import PARTS
from mmtrain.errors import counted, listed
from mmtrain.text.label_lists import recognise
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNBALANCED = 0.1
"""Ratio of the rarest to the most frequent class, or share of rows with a label, below which accuracy says little."""
FEW_TO_SCORE = 10
"""Rows (or groups) of a class in a scored part, below which the 95 % interval of its accuracy reaches 0.3 to either side."""


def class_balance(table: TableValues, metadata: RowMetadata) -> list[Finding]:  # noqa: ARG001
    """Return the findings on the classes or labels of all targets."""
    findings: list[Finding] = []
    for labels in metadata.targets:
        findings += _label_balance(labels) if labels.several else _class_balance(labels)
        findings += _rare(labels, metadata)
        findings += [] if labels.several else _several_in_one(labels)
    return findings


def _several_in_one(labels: LabelIndex) -> list[Finding]:
    """Find classes that look like lists of labels."""
    lists = recognise(dict(zip(labels.names, labels.times.tolist(), strict=True)))
    if lists is None or not lists.sure:
        return []
    classes = f"{lists.labels:,} labels make {len(labels.names):,} classes"
    what = f"{quote_value(lists.example)} looks like several labels{lists.between}: {classes}."
    why = "Each combination is learned as if it had nothing in common with the others, from its own rows alone."
    # The first of several such classes: one example is enough to find the separator.
    rows = labels.holders(labels.names.index(lists.example))
    fix = f"{lists.fix} if a row can have several of them."
    return [Finding("warning", "label_lists", labels.header, what, why, fix, first_rows(rows), count=len(rows))]


def _class_balance(labels: LabelIndex) -> list[Finding]:
    times = labels.times
    # A single class is a finding of its own, `constant`.
    if len(times) < 2 or times.min() >= UNBALANCED * times.max():
        return []
    rare, often = int(times.argmin()), int(times.argmax())
    what = f"{_met(labels, rare)} is {times[often] / times[rare]:.0f} times rarer than {_met(labels, often)}."
    always = quote_value(labels.names[often])
    why = f"A model that always predicts {always} is right in {times[often] / times.sum():.0%} of the rows, so accuracy says little."
    fix = "Look at balanced accuracy, macro F1 or PR-AUC; try `decision: {prior: balanced}`."
    return [Finding("note", "class_imbalance", labels.header, what, why, fix)]


def _label_balance(labels: LabelIndex) -> list[Finding]:
    """Check each label as a binary target: rows that have it against rows that do not."""
    # Columns of labels may have empty cells of their own; labels in one cell are known together.
    rows = np.array(labels.rows or [int(labels.known.sum())] * len(labels.names))
    fewer = np.minimum(labels.times, rows - labels.times)
    findings = [_same_for_all(labels, label) for label in np.flatnonzero((fewer == 0) & (rows > 0)).tolist()]
    rare = [label for label in np.argsort(fewer, kind="stable").tolist() if 0 < fewer[label] < UNBALANCED * rows[label]]
    if not rare:
        return findings
    many = f"{len(rare):,} of the {counted(len(fewer), 'label')} {'occurs' if len(rare) == 1 else 'occur'}"
    named = listed([_met(labels, label) for label in rare], most=3)
    what = f"{many} in less than {UNBALANCED:.0%} of the rows, or in more than {1 - UNBALANCED:.0%}: {named}."
    always = f"A constant answer for {quote_value(labels.names[rare[0]])} is right in {1 - fewer[rare[0]] / rows[rare[0]]:.0%} of the rows"
    why = f"{always}, so accuracy says little."
    fix = "Look at macro PR-AUC and at the scores of each label; try `class_weights: balanced`."
    return [*findings, Finding("note", "class_imbalance", labels.header, what, why, fix)]


def _same_for_all(labels: LabelIndex, label: int) -> Finding:
    what = f"{'every' if labels.times[label] else 'no'} row has the label {quote_value(labels.names[label])}."
    return Finding(
        "warning", "constant", labels.header, what, "Nothing can be learned about it, and it has no score.", "Leave the label out."
    )


def _met(labels: LabelIndex, label: int) -> str:
    return f"{quote_value(labels.names[label])} ({counted(int(labels.times[label]), 'row')})"


def _rare(labels: LabelIndex, metadata: RowMetadata) -> list[Finding]:
    """Find classes that some part does not have, or that are too rare there to be scored."""
    if metadata.parts is None:
        return []
    counts = np.zeros((len(PARTS), len(labels.names)), dtype=np.int64)  # units of each class in each part
    for part in range(len(PARTS)):
        inside = metadata.parts[labels.row] == part
        # Groups, not rows: fifty scans of one patient are one observation of a class.
        pairs = distinct_pairs(labels.label[inside], metadata.units[labels.row[inside]])
        counts[part] = np.bincount(pairs[0], minlength=len(labels.names))
    noun = "row" if metadata.groups is None else "group"
    unlearned = np.flatnonzero((counts[TRAIN] == 0) & (counts.sum(axis=0) > 0))
    findings = [_unlearned(labels, unlearned, metadata.parts)] if len(unlearned) else []
    # A part without any answer is not scored on this target at all.
    parts = [part for part in (VALIDATION, TEST) if counts[part].any()]
    for part in parts:
        # Classes that training lacks as well are reported once, above, and not again for each part.
        absent = np.flatnonzero((counts[part] == 0) & (counts[TRAIN] > 0))
        if len(absent):
            findings.append(_unscored(labels, PARTS[part], absent, f"{len(parts) + 1} {noun}s", metadata=metadata))
    # Parts without any are reported above.
    scarce = (counts > 0) & (counts < FEW_TO_SCORE) & (counts[TRAIN] > 0)
    few = [
        f"{PARTS[part]} {counts[part, code]} of {quote_value(labels.names[code])}"
        for part in parts
        for code in np.flatnonzero(scarce[part])
    ]
    return [*findings, _hardly_scored(labels, few, noun)] if few else findings


def _unlearned(labels: LabelIndex, codes: NDArray[np.int64], parts: NDArray[np.int8]) -> Finding:
    rows = np.unique(labels.row[np.isin(labels.label, codes) & (parts[labels.row] >= 0)])
    what = f"training has no row of {_named(labels, codes)}."
    why = "What is not seen in training is never predicted; its rows can only be wrong."
    if labels.several:
        why = "What is not seen in training is never predicted, and scores leave it out."
    fix = f"Mark some of its rows train, merge it with another {labels.noun}, or leave its rows out."
    return Finding("error", "rare_class", labels.header, what, why, fix, first_rows(rows), count=len(rows))


def _unscored(labels: LabelIndex, part: str, codes: NDArray[np.int64], least: str, *, metadata: RowMetadata) -> Finding:
    what = f"{part} has no row of {_named(labels, codes)}."
    why = f"Scores on {part} say nothing about it. A {labels.noun} needs at least {least}, one for each part."
    way = "Set another `split.seed`" if labels.several else "Use `split: {method: stratified}`"
    # The remedy for the way of the split: later lines override the earlier ones.
    way = "Move the cuts with `split.validation` and `split.test`" if metadata.by_time else way
    way = f"Mark some of its rows {part}" if metadata.given else way
    return Finding("warning", "rare_class", labels.header, what, why, f"{way}, or merge it with another {labels.noun}.")


def _hardly_scored(labels: LabelIndex, few: list[str], noun: str) -> Finding:
    what = f"a {labels.noun} has fewer than {FEW_TO_SCORE} {noun}s to be scored on: {listed(few, most=5)}."
    why = f"One answer more or less moves the score of such a {labels.noun} by a tenth or more."
    merged = f"{labels.noun}{'s' if labels.several else 'es'}"
    fix = f"Read its scores with their intervals; larger parts, or merged {merged}, would make them more certain."
    return Finding("note", "rare_class", labels.header, what, why, fix)


def _named(labels: LabelIndex, codes: NDArray[np.int64]) -> str:
    return listed([quote_value(labels.names[code]) for code in codes], most=5)
