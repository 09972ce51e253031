"""Numbers, times and comparisons in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol

from mmtrain.errors import counted, listed
from mmtrain.evaluation.scoring import main_score
from mmtrain.metrics.score import Score, higher_is_better, metric_of, signed_difference
from mmtrain.reports.blocks import Paragraph
from mmtrain.reports.report_data import ReportData, TargetResultView

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
"""Not those of strftime, which speaks the language of the machine."""
CAVEATS = {
    "train": "The model was trained on these rows, so the scores say nothing about new ones.",
    "calibration": "The conformal bound was fitted on these rows, so the coverage on them says nothing about new ones.",
    "validation": "The best epoch was chosen on these rows, so the scores are a little too good for new ones.",
}
"""What is said of scores on rows that the training has used."""
NOT_COMPARABLE = "So the model cannot be compared with the baseline."
Outcome = Literal["better", "worse", "same", "open", "undefined"]


def title(score: str) -> str:
    """Return the title of a score; `auc[beach]` gives `AUC [beach]`."""
    base, bracket, rest = score.partition("[")
    known = metric_of(base).title
    return f"{known} [{rest}" if bracket else known


def format_score(score: str, value: float) -> str:
    """The value of a score, rounded to three digits."""
    return significant(value) if metric_of(score).in_target_unit else decimals(value)


class HasInterval(Protocol):
    """A score, or another number, with or without an interval."""

    @property
    def value(self) -> float | None: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102


def limits(score: str, found: HasInterval) -> str:
    """`0.812 to 0.874`; empty where there is no interval."""
    if found.low is None or found.high is None:
        return ""
    return f"{format_score(score, found.low)} to {format_score(score, found.high)}"


def format_interval(score: str, found: HasInterval) -> str:
    """`0.694 (0.551 to 0.851)`: a value with its interval, if it has one."""
    if found.value is None:
        return "undefined"
    interval = limits(score, found)
    return f"{format_score(score, found.value)} ({interval})" if interval else format_score(score, found.value)


def between(score: str, found: HasInterval) -> str:
    """`0.551 to 0.851`, or a dash where there is no interval."""
    return limits(score, found) or "–"


def decimals(value: float) -> str:
    """Three decimals."""
    return signed_difference(f"{value:,.3f}")


def significant(value: float) -> str:
    """Three digits that count, and every digit before the point: `0.0123`, `1.23`, `12,346`."""
    if value == 0:
        return "0"
    size = int(f"{value:.2e}".partition("e")[2])  # of the rounded value: 9.999 is 10.0
    if not -5 < size < 15:
        return signed_difference(f"{value:.2e}")
    return signed_difference(f"{value:,.{max(0, 2 - size)}f}")


def plain(value: float) -> str:
    """Like `significant`, but whole numbers have no decimals."""
    return count(int(value)) if float(value).is_integer() and abs(value) < 1e15 else significant(value)


def count(value: int) -> str:
    """`12,345`."""
    return signed_difference(f"{value:,}")


def percent(share: float) -> str:
    """Format a proportion, 0 to 1, as a percentage."""
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
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}, {when:%H:%M} UTC"


def outcome(score: str, model: Score, baseline: Score, difference: Score | None = None) -> Outcome:
    """Compare the model with the baseline; a difference that three digits do not show counts as none.

    `difference`, of the model minus the baseline, has an interval where rows were drawn; one that holds 0 leaves open who is better.
    """
    mine, theirs = model.value, baseline.value
    if mine is None or theirs is None:
        return "undefined"
    if format_score(score, mine) == format_score(score, theirs):
        return "same"
    if difference is not None and difference.interval is not None and difference.interval.low <= 0 <= difference.interval.high:
        return "open"
    return "better" if (mine > theirs) == higher_is_better(score) else "worse"


def direction(score: str) -> str:
    """`higher` or `lower`, whichever is better."""
    return "higher" if higher_is_better(score) else "lower"


def main_score_of(contents: ReportData, judged: TargetResultView) -> str:
    """The score that speaks for a target."""
    return main_score(contents.training.early_stopping.monitor, judged.target, judged.scores, judged.prefix)


def verdict(contents: ReportData, judged: TargetResultView) -> Paragraph:
    """Conclude one target on one part: its main score against that of the baseline."""
    name = main_score_of(contents, judged)
    mine, theirs, difference = judged.scores[name], judged.baseline.scores[name], judged.difference(name)
    facts = f"On the {rows_called(judged)}, the {in_sentence(name)} of {judged.key} is"
    if mine.value is None:
        return Paragraph(f"{facts} undefined: {mine.undefined}", NOT_COMPARABLE, tone="bad")
    sure = f"{judged.interval.percent} interval {limits(name, mine)}; " if judged.interval and mine.interval else ""
    facts += f" {format_score(name, mine.value)} ({sure}{direction(name)} is better)"
    if theirs.value is None:
        return Paragraph(f"{facts}. For the baseline it is undefined: {theirs.undefined}", NOT_COMPARABLE, tone="bad")
    facts += f"; the baseline ({judged.baseline.name}) has {format_score(name, theirs.value)}."
    found = outcome(name, mine, theirs, difference)
    if found == "open" and difference is not None:
        apart = format_interval(name, difference)
        return Paragraph(facts, f"It is not shown that the model beats the baseline: the difference is {apart}.", tone="bad")
    if found != "better":
        return Paragraph(facts, "The model does not beat the baseline.", tone="bad")
    if difference is not None and difference.interval is None:
        return Paragraph(facts, "On these rows the model is better than the baseline; how sure that is, is not known.", _but_worse(judged))
    return Paragraph(facts, "The model beats the baseline.", _but_worse(judged), "good")


def _but_worse(judged: TargetResultView) -> str:
    """The scores in which a model that beats the baseline in another one does not."""
    worse = [
        in_sentence(name)
        for name, score in judged.scores.items()
        if "[" not in name and outcome(name, score, judged.baseline.scores[name], judged.difference(name)) == "worse"
    ]
    return f"It is worse than the baseline in {listed(worse)}." if worse else ""


def in_sentence(score: str) -> str:
    """The title of a score in the middle of a sentence: `log loss`, but `AUC` and `Brier score`."""
    known = title(score)
    is_name = known.startswith(("Brier", "Hamming")) or not known[1:2].islower()
    return known if is_name else known[0].lower() + known[1:]


def unknown_labels(rows: Mapping[str, int]) -> str:
    """`'fever' of 12 rows and 'rash' of 1 row`, the least known first; `rows` are those whose answer is not known, per label."""
    ranked = sorted(rows.items(), key=lambda item: -item[1])
    return listed([f"'{label}' of {counted(times, 'row')}" for label, times in ranked])


def rows_called(judged: TargetResultView) -> str:
    """`57 test rows with a known answer`, `400 test rows in 60 groups (patient)`."""
    rows, unknown, drawing = judged.result.rows, judged.result.unknown_answers, judged.interval
    called = judged.part.called if rows != 1 else judged.part.called.replace("rows", "row", 1)
    groups = f" in {drawing.units_text}" if drawing and drawing.unit == "group" else ""
    return f"{count(rows)} {called}{' with a known answer' if unknown else ''}{groups}"
