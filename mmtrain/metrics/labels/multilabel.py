"""Scores of a target with several labels, any number of which may be true in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.errors import listed
from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import (
    Counts,
    RowCounts,
    Scorer,
    Values,
    by_row,
    cached_if_small,
    column_totals,
    mean_of_defined,
    totals,
    unit_counts,
    weighted_mean,
)
from mmtrain.metrics.labels.auc import Ranking
from mmtrain.metrics.labels.classification import f1, log_losses
from mmtrain.metrics.score import EACH_LABEL, METRICS, MULTILABEL, Score, value_or_reason, without_rows


def multilabel_scores(truth: ArrayLike, probabilities: ArrayLike, *, labels: Sequence[str], threshold: float = 0.5) -> tuple[Score, ...]:
    """Compute the scores of all labels together, then auc, pr_auc and f1 of each label; `truth` and `probabilities` are (n, labels).

    A macro score is the unweighted mean over the labels whose own score is defined; its `note` names the others. Subset accuracy is
    the share of rows with every label right, Hamming loss the share of wrong cells; log loss is a mean over cells. A label is
    predicted at `threshold` or above, compared in the precision of `probabilities`.

    A truth of -1 is unknown: the cell is left out of every score, and subset accuracy covers the rows whose labels are all known.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    values = multilabel_scorer(truth, probabilities, labels=labels, threshold=threshold)(unit_counts(len(np.asarray(truth))))
    if not np.size(truth):
        return without_rows(tuple(values))
    point = {name: float(value[0]) for name, value in values.items()}
    reasons, notes = {}, {}
    for base in EACH_LABEL:
        title = METRICS[base].title
        without = [label for label in labels if np.isnan(point[f"{base}[{label}]"])]
        reasons[f"macro_{base}"] = f"Macro {title} needs a label that has {title}; in this part none of the {len(labels)} labels has it."
        notes[f"macro_{base}"] = _without_note(without, title, of=len(labels))
    reasons["subset_accuracy"] = "Subset accuracy needs rows whose labels are all known; this part has none."
    for label, column in zip(labels, np.asarray(truth).T, strict=True):
        only = "only rows with it" if (column == 1).any() else "only rows without it" if (column == 0).any() else "none where it is known"
        reasons[f"auc[{label}]"] = f"AUC needs rows with and without '{label}'; this part has {only}."
        reasons[f"pr_auc[{label}]"] = f"PR-AUC needs rows with '{label}'; this part has none."
        reasons[f"f1[{label}]"] = f"F1 needs rows with '{label}', true or predicted; this part has none."
    return tuple(value_or_reason(name, value, reasons.get(name, ""), note=notes.get(name, "")) for name, value in point.items())


def multilabel_scorer(truth: ArrayLike, probabilities: ArrayLike, *, labels: Sequence[str], threshold: float = 0.5) -> Scorer:
    """Return a function from draws of these rows to their scores. Raises as `multilabel_scores` does."""
    codes = input_checks.codes(truth, count=2, what="truth", ndim=2, least=-1)
    received = input_checks.probabilities(probabilities, shape=(codes.shape[0], len(labels)))
    input_checks.same_shape(codes, shape=received.shape, what="truth values")
    if not codes.size:
        names = (*MULTILABEL, *(f"{base}[{label}]" for label in labels for base in EACH_LABEL))
        return lambda counts: {name: np.full(len(counts), np.nan) for name in names}
    known, has_label, called = codes >= 0, codes == 1, received >= float(threshold)
    wrong = (called != has_label) & known
    positive = received.astype(np.float64)  # 1 - p would lose small probabilities in float32
    # (rows,) sum over the known cells of a row; unknown ones cost nothing.
    losses = np.where(known, log_losses(np.where(has_label, positive, 1 - positive)), 0).sum(axis=1)
    whole = np.asarray(known.all(axis=1))
    # Whole rows count for subset accuracy, known cells for the others.
    of_rows = (whole, whole & ~wrong.any(axis=1), known.sum(axis=1), wrong.sum(axis=1), losses)
    called = called & known  # unknown cells are neither true nor false positives
    ranked = cached_if_small(lambda column: KnownRanking(codes[:, column], positive[:, column]), columns=len(labels), rows=len(codes))

    def scores(counts: Counts) -> dict[str, Values]:
        rows, exact, cells, wrong_cells, log_loss = totals(counts, *of_rows)
        row_counts = by_row(counts)
        areas = [ranked(column).areas(row_counts) for column in range(len(labels))]
        # (draws, labels) each
        hits, true, predicted = (column_totals(counts, columns) for columns in (has_label & called, has_label, called))
        each = {
            "auc": np.stack([auc for auc, _ in areas], axis=1),
            "pr_auc": np.stack([pr_auc for _, pr_auc in areas], axis=1),
            "f1": f1(hits, true, predicted),
        }
        return {
            **{f"macro_{base}": mean_of_defined(each[base]) for base in EACH_LABEL},
            "subset_accuracy": weighted_mean(exact, rows),
            "hamming_loss": weighted_mean(wrong_cells, cells),
            "log_loss": weighted_mean(log_loss, cells),
            **{f"{base}[{label}]": each[base][:, column] for column, label in enumerate(labels) for base in EACH_LABEL},
        }

    return scores


class KnownRanking:
    """Ranking of the rows whose label is known."""

    def __init__(self, truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
        known = np.flatnonzero(truth >= 0)
        # None where every row is known, which saves a copy of the counts for every chunk of draws.
        self._known = known if len(known) < len(truth) else None
        self._ranking = Ranking(truth[known], probabilities[known]) if len(known) else None

    def areas(self, counts: RowCounts) -> tuple[Values, Values]:
        """Compute AUC and PR-AUC of each draw, NaN if the label of no row is known; `counts` is (n, draws)."""
        if self._ranking is None:
            undefined = np.full(counts.shape[1], np.nan)
            return undefined, undefined
        return self._ranking.areas(counts if self._known is None else counts[self._known])


def _without_note(without: Sequence[str], title: str, *, of: int) -> str:
    """Name the labels that a mean over labels leaves out."""
    words = f"has no {title} in this part and is left out" if len(without) == 1 else f"have no {title} in this part and are left out"
    return f"{len(without)} of {of} labels {words}: {listed(without)}." if without else ""
