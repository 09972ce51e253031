"""Numbers, times and comparisons in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from mmtrain.columns.bookkeeping import PARTS
from mmtrain.named_score import higher_is_better
from mmtrain.reports.blocks import Tone
from mmtrain.reports.contents import Contents, Judged

TITLES = {
    "accuracy": "Accuracy",
    "auc": "AUC",
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score",
    "f1": "F1",
    "hamming_loss": "Hamming loss",
    "log_loss": "Log loss",
    "loss": "Loss",
    "macro_auc": "Macro AUC",
    "macro_f1": "Macro F1",
    "macro_pr_auc": "Macro PR-AUC",
    "mae": "Mean absolute error",
    "median_absolute_error": "Median absolute error",
    "pr_auc": "PR-AUC",
    "r2": "R²",
    "rmse": "Root mean squared error",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "subset_accuracy": "Subset accuracy",
    "weighted_f1": "Weighted F1",
}
MAIN = {"binary": "auc", "multiclass": "balanced_accuracy", "multilabel": "macro_auc", "regression": "rmse"}
"""The score of the summary, unless the best epoch was chosen by another one."""
IN_UNITS = {"mae", "rmse", "median_absolute_error"}
"""Scores in the target's own unit; all others are shown with three decimals."""
Outcome = Literal["better", "worse", "same", "undefined"]


def title(score: str) -> str:
    """What a reader calls a score; `auc[beach]` gives `AUC [beach]`."""
    base, bracket, rest = score.partition("[")
    known = TITLES.get(base, base.replace("_", " ").capitalize())
    return f"{known} [{rest}" if bracket else known


def shown(score: str, value: float) -> str:
    """The value of a score, rounded to three digits."""
    return significant(value) if score.partition("[")[0] in IN_UNITS else decimals(value)


def decimals(value: float) -> str:
    """Three decimals."""
    return _signed(f"{value:,.3f}")


def significant(value: float) -> str:
    """Three digits that count, and every digit before the point: `0.0123`, `1.23`, `12,346`."""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -5 < size < 15:
        return _signed(f"{value:.2e}")
    return _signed(f"{value:,.{max(0, 2 - size)}f}")


def plain(value: float) -> str:
    """Like `significant`, but whole numbers have no decimals."""
    return count(int(value)) if float(value).is_integer() and abs(value) < 1e15 else significant(value)


def _signed(text: str) -> str:
    """With a real minus sign, and none on a zero."""
    if not text.startswith("-"):
        return text
    return f"−{text[1:]}" if any(digit in text for digit in "123456789") else text[1:]


def count(value: int) -> str:
    """`12,345`."""
    return _signed(f"{value:,}")


def counted(value: int, word: str) -> str:
    """`1 row`, `12,345 rows`."""
    return f"{count(value)} {word}{'' if value == 1 else 's'}"


def percent(share: float) -> str:
    """Of a share, 0 to 1."""
    return f"{100 * share:.1f} %"


def often(times: int) -> str:
    """`once`, `twice`, `5 times`."""
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def duration(seconds: float) -> str:
    """`3.6 s`, `4 min 12 s`, `2 h 5 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(text: str) -> str:
    """`22 November 2026, 13:52 UTC` of a time as run.json has it; a text that is no time stays."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    months = "January February March April May June July August September October November December".split()
    return f"{when.day} {months[when.month - 1]} {when.year}, {when:%H:%M} UTC"


def outcome(score: str, model: Mapping[str, Any], baseline: Mapping[str, Any]) -> Outcome:
    """Of the model against the baseline. A difference that three digits do not show is none."""
    mine, theirs = model["value"], baseline.get("value")
    if mine is None or theirs is None:
        return "undefined"
    if shown(score, mine) == shown(score, theirs):
        return "same"
    return "better" if (mine > theirs) == _higher(score) else "worse"


def direction(score: str) -> str:
    """`higher` or `lower`, whichever is better."""
    return "higher" if _higher(score) else "lower"


def _higher(score: str) -> bool:
    return higher_is_better(score)


@dataclass(frozen=True)
class Verdict:
    """One score of a target on a part, against its baseline."""

    facts: str
    judgement: str
    tone: Tone


def verdict(contents: Contents, judged: Judged) -> Verdict:
    """The sentence a reader should take home."""
    name = main_score(contents, judged)
    mine, theirs = judged.scores[name], judged.baseline[name]
    where = f"On the {rows_called(judged)}, the {in_sentence(name)} of {judged.key}"
    if mine["value"] is None:
        return Verdict(f"{where} is undefined: {mine['undefined']}", "So the model cannot be compared with the baseline.", "bad")
    found = f"{where} is {shown(name, mine['value'])} ({direction(name)} is better)"
    if theirs["value"] is None:
        return Verdict(
            f"{found}. For the baseline it is undefined: {theirs['undefined']}", "So the model cannot be compared with the baseline.", "bad"
        )
    facts = f"{found}; the baseline ({judged.result['baseline']['name']}) has {shown(name, theirs['value'])}."
    won = outcome(name, mine, theirs) == "better"
    words = "The model beats the baseline." if won else "The model does not beat the baseline."
    return Verdict(facts, words, "good" if won else "bad")


def main_score(contents: Contents, judged: Judged) -> str:
    """The score that chose the best epoch, where it is one of this target; else the usual one of its task."""
    monitor = contents.experiment.training.early_stopping.monitor
    for part in PARTS:
        monitor = monitor.removeprefix(f"{part}_")
    monitor = monitor.removeprefix(judged.prefix)
    if monitor in judged.scores:
        return monitor
    usual = MAIN.get(judged.result["task"], "")
    return usual if usual in judged.scores else next(iter(judged.scores))


def in_sentence(score: str) -> str:
    """The title of a score in the middle of a sentence: `log loss`, but `AUC`."""
    known = title(score)
    return known if known[1:2].isupper() or known[1:2].isdigit() or known[1:2] == "²" else known[0].lower() + known[1:]


def rows_called(judged: Judged) -> str:
    """`57 test rows with a known answer`."""
    rows, unknown = judged.result["rows"], judged.result["unknown_answers"]
    called = judged.part.called if rows != 1 else judged.part.called.replace("rows", "row", 1)
    return f"{count(rows)} {called}{' with a known answer' if unknown else ''}"
