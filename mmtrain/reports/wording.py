"""Numbers, times and comparisons in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol

from mmtrain.errors import counted, listed
from mmtrain.evaluation.scoring import main_score
from mmtrain.metrics.score import LEVEL, Score, higher_is_better, metric_of, signed_difference
from mmtrain.reports.blocks import Paragraph
from mmtrain.reports.report_data import ReportData, TargetResultView

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
"""English names; those of strftime depend on the locale of the machine."""
CAVEATS = {
    "train": "The model was trained on these rows, so the scores say nothing about new ones.",
    "calibration": "The conformal bound was fitted on these rows, so the coverage on them says nothing about new ones.",
    "validation": "The best epoch was chosen on these rows, so the scores are slightly too optimistic for new ones.",
}
"""Cautions about scores on rows that the training has used, by part."""
NOT_COMPARABLE = "So the model cannot be compared with the baseline."
Outcome = Literal["better", "worse", "same", "open", "undefined"]


def title(score: str) -> str:
    """Return the title of a score: `AUC [beach]` for `auc[beach]`."""
    base, bracket, rest = score.partition("[")
    # Scores of one label keep the label in brackets.
    known = metric_of(base).title.replace("{level}", base.partition(LEVEL)[2])
    return f"{known} [{rest}" if bracket else known


def format_score(score: str, value: float) -> str:
    """Format the value of a score with three digits."""
    # Units of the target may be of any size, shares are between 0 and 1.
    return significant(value) if metric_of(score).in_target_unit else decimals(value)


class HasInterval(Protocol):
    """A score, or another number, with or without an interval."""

    @property
    def value(self) -> float | None: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102


def limits(score: str, estimate: HasInterval) -> str:
    """Format an interval, `0.812 to 0.874`; empty if there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{format_score(score, estimate.low)} to {format_score(score, estimate.high)}"


def format_interval(score: str, estimate: HasInterval) -> str:
    """Format a value with its interval, if it has one: `0.694 (0.551 to 0.851)`."""
    if estimate.value is None:
        return "undefined"
    interval = limits(score, estimate)
    return f"{format_score(score, estimate.value)} ({interval})" if interval else format_score(score, estimate.value)


def between(score: str, estimate: HasInterval) -> str:
    """Format an interval, `0.551 to 0.851`; a dash if there is none."""
    return limits(score, estimate) or "–"


def decimals(value: float) -> str:
    """Format a number with three decimals."""
    return signed_difference(f"{value:,.3f}")


def score_text(value: float | None) -> str:
    """Format a score with three decimals, below 0.0005 or from 1000 on with significant digits; None is `undefined`."""
    if value is None:
        return "undefined"
    return decimals(value) if not value or 0.0005 <= abs(value) < 999.9995 else significant(value)


def significant(value: float) -> str:
    """Format a number with three significant digits and all digits before the point: `0.0123`, `1.23`, `12,346`."""
    if value == 0:
        return "0"
    size = int(f"{value:.2e}".partition("e")[2])  # of the rounded value: 9.999 is 10.0
    if not -5 < size < 15:
        return signed_difference(f"{value:.2e}")
    return signed_difference(f"{value:,.{max(0, 2 - size)}f}")


def plain(value: float) -> str:
    """Format a number like `significant`, but whole numbers without decimals."""
    return count(int(value)) if float(value).is_integer() and abs(value) < 1e15 else significant(value)


def count(value: int) -> str:
    """Format a whole number: `12,345`."""
    return signed_difference(f"{value:,}")


def percent(share: float) -> str:
    """Format a proportion, 0 to 1, as a percentage."""
    return f"{100 * share:.1f} %"


def cell_text(value: str | float | None) -> str:
    """Format a value of a table: a text as it is, a dash for None, a number like `plain`, a truth value as yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return "–" if value is None else plain(value) if isinstance(value, float) else value


def often(times: int) -> str:
    """Format a number of times: `once`, `twice`, `5 times`."""
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def moment(text: str) -> str:
    """Format a time of run.json: `22 November 2026, 13:52 UTC`; any other text stays."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}, {when:%H:%M} UTC"


def outcome(score: str, model: Score, baseline: Score, difference: Score | None = None) -> Outcome:
    """Compare the model with the baseline; scores that are equal in three digits are the same.

    If the interval of `difference`, model minus baseline, contains 0, it is open which one is better.
    """
    mine, theirs = model.value, baseline.value
    if mine is None or theirs is None:
        return "undefined"
    # As shown, not as computed: a reader cannot see a difference in the fourth digit.
    if format_score(score, mine) == format_score(score, theirs):
        return "same"
    # Shown as open even if the value is better: the interval decides.
    if difference is not None and difference.interval is not None and difference.interval.low <= 0 <= difference.interval.high:
        return "open"
    return "better" if (mine > theirs) == higher_is_better(score) else "worse"


def direction(score: str) -> str:
    """Return the better direction, `higher` or `lower`."""
    return "higher" if higher_is_better(score) else "lower"


def main_score_of(contents: ReportData, view: TargetResultView) -> str:
    """Return the score by which a target is summarized."""
    return main_score(contents.training.early_stopping.monitor, view.target, view.scores, view.prefix)


def verdict(contents: ReportData, view: TargetResultView) -> Paragraph:
    """Compare the main score of one target on one part with that of the baseline, in a sentence."""
    name = main_score_of(contents, view)
    mine, theirs, difference = view.scores[name], view.baseline.scores[name], view.difference(name)
    facts = f"On the {rows_called(view)}, the {in_sentence(name)} of {view.key} is"
    if mine.value is None:
        return Paragraph(f"{facts} undefined: {mine.undefined}", NOT_COMPARABLE, tone="bad")
    interval = f"{view.interval.percent} interval {limits(name, mine)}; " if view.interval and mine.interval else ""
    facts += f" {format_score(name, mine.value)} ({interval}{direction(name)} is better)"
    if theirs.value is None:
        return Paragraph(f"{facts}. For the baseline it is undefined: {theirs.undefined}", NOT_COMPARABLE, tone="bad")
    facts += f"; the baseline ({view.baseline.name}) has {format_score(name, theirs.value)}."
    conclusion = outcome(name, mine, theirs, difference)
    if conclusion == "open" and difference is not None:
        interval = format_interval(name, difference)
        return Paragraph(facts, f"The model is not shown to beat the baseline: the difference is {interval}.", tone="bad")
    if conclusion != "better":
        return Paragraph(facts, "The model does not beat the baseline.", tone="bad")
    if difference is not None and difference.interval is None:
        return Paragraph(facts, "The model is better than the baseline; the uncertainty of the difference is unknown.", _but_worse(view))
    # Good as a whole, but not without what is worse.
    return Paragraph(facts, "The model beats the baseline.", _but_worse(view), "good")


def _but_worse(view: TargetResultView) -> str:
    """Name the scores in which the model is worse than the baseline, if there are any."""
    worse = [
        in_sentence(name)
        for name, score in view.scores.items()
        if "[" not in name and outcome(name, score, view.baseline.scores[name], view.difference(name)) == "worse"
    ]
    return f"It is worse than the baseline in {listed(worse)}." if worse else ""


def in_sentence(score: str) -> str:
    """Write the title of a score for the middle of a sentence: `log loss`, but `AUC` and `Brier score`."""
    words = title(score)
    # Names and abbreviations keep their capital: the second letter of `AUC` is one too.
    is_name = words.startswith(("Brier", "Hamming")) or not words[1:2].islower()
    return words if is_name else words[0].lower() + words[1:]


def unknown_labels(rows: Mapping[str, int]) -> str:
    """List the numbers of unknown rows per label, the largest first: `'fever' in 12 rows and 'rash' in 1 row`."""
    ranked = sorted(rows.items(), key=lambda item: -item[1])
    return listed([f"'{label}' in {counted(times, 'row')}" for label, times in ranked])


def rows_called(view: TargetResultView) -> str:
    """Describe the scored rows: `57 test rows with a known answer`, `400 test rows in 60 groups (patient)`."""
    rows, unknown, drawing = view.result.rows, view.result.unknown_answers, view.interval
    called = view.part.called if rows != 1 else view.part.called.replace("rows", "row", 1)
    groups = f" in {drawing.units_text}" if drawing and drawing.unit == "group" else ""
    return f"{count(rows)} {called}{' with a known answer' if unknown else ''}{groups}"
