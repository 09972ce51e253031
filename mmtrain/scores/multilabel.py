"""Scores of a target with several labels, any number of which may be true in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.errors import listed
from mmtrain.named_score import EACH_LABEL, OF_TASK, Score, value_or_reason, without_rows
from mmtrain.scores import checks, ranking
from mmtrain.scores.classification import f1, log_losses
from mmtrain.scores.drawn import Counts, Values, mean_of_defined, once, share, totals

NAMES = OF_TASK["multilabel"]
TITLES = {"auc": "AUC", "pr_auc": "PR-AUC", "f1": "F1"}


def multilabel_scores(truth: ArrayLike, probabilities: ArrayLike, *, labels: Sequence[str], threshold: float = 0.5) -> tuple[Score, ...]:
    """`truth` and `probabilities` are (n, labels). First the scores of all labels together, then auc, pr_auc and f1 of each label in turn.

    A macro score is the unweighted mean over the labels whose own score is defined; its `note` names the others. Subset accuracy is
    the share of rows with every label right, Hamming loss the share of wrong cells; log loss is a mean over cells. A label is
    predicted at `threshold` or above, compared in the precision of `probabilities`.

    A truth of -1 is not known: the cell counts nowhere, and subset accuracy is of the rows whose labels are all known.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    values = multilabel_values(truth, probabilities, once(len(np.asarray(truth))), labels=labels, threshold=threshold)
    if not np.size(truth):
        return without_rows(tuple(values))
    point = {name: float(found[0]) for name, found in values.items()}
    reasons, notes = {}, {}
    for base, title in TITLES.items():
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


def multilabel_values(
    truth: ArrayLike, probabilities: ArrayLike, counts: Counts, *, labels: Sequence[str], threshold: float = 0.5
) -> dict[str, Values]:
    """The scores of each draw, (draws,), NaN where they are undefined; `counts` is (draws, n). Raises as `multilabel_scores` does."""
    codes = checks.codes(truth, count=2, what="truth", ndim=2, least=-1)
    received = checks.probabilities(probabilities, shape=(codes.shape[0], len(labels)))
    checks.same_shape(codes, shape=received.shape, what="truth values")
    if not codes.size:
        return {name: np.full(len(counts), np.nan) for name in (*NAMES, *(f"{base}[{label}]" for label in labels for base in EACH_LABEL))}
    known, called = codes >= 0, received >= float(threshold)
    wrong = (called != codes) & known
    chances = received.astype(np.float64)  # before `1 - chances`, which would lose small probabilities in float32
    losses = np.where(known, log_losses(np.where(codes == 1, chances, 1 - chances)), 0).sum(axis=1)
    each = [_label_values(codes[:, i], chances[:, i], called[:, i], counts) for i in range(len(labels))]
    whole = np.asarray(known.all(axis=1))
    rows, exact, cells, wrong_cells, log_loss = totals(
        counts, whole, whole & ~wrong.any(axis=1), known.sum(axis=1), wrong.sum(axis=1), losses
    )
    return {
        **{f"macro_{base}": mean_of_defined(np.stack([values[base] for values in each], axis=1)) for base in EACH_LABEL},
        "subset_accuracy": share(exact, rows),
        "hamming_loss": share(wrong_cells, cells),
        "log_loss": share(log_loss, cells),
        **{f"{base}[{label}]": values[base] for label, values in zip(labels, each, strict=True) for base in EACH_LABEL},
    }


def _label_values(truth: NDArray[np.int64], chances: NDArray[np.float64], called: NDArray[np.bool_], counts: Counts) -> dict[str, Values]:
    """AUC, PR-AUC and F1 of one label, of the rows where it is known; the arrays are (n,)."""
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        return {base: np.full(len(counts), np.nan) for base in EACH_LABEL}
    if len(known) < len(truth):
        truth, chances, called, counts = truth[known], chances[known], called[known], counts[:, known]
    thresholds = ranking.threshold_counts(truth, chances, counts)
    return {
        "auc": ranking.area_under_roc(*thresholds),
        "pr_auc": ranking.average_precision(*thresholds),
        "f1": f1(*totals(counts, truth * called, truth, called)),
    }


def _without_note(without: Sequence[str], title: str, *, of: int) -> str:
    """Which labels a mean over labels leaves out."""
    words = f"has no {title} in this part and is left out" if len(without) == 1 else f"have no {title} in this part and are left out"
    return f"{len(without)} of {of} labels {words}: {listed(without)}." if without else ""
