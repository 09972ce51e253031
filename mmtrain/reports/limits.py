"""Limits of the result: how far the scores can be trusted, and what was not examined."""

from __future__ import annotations

from collections.abc import Iterator

from mmtrain.columns import Group, column_of_role
from mmtrain.errors import counted, listed, shell_command
from mmtrain.reports.blocks import Points, Section
from mmtrain.reports.report_data import EvaluatedSplit, ReportData
from mmtrain.reports.wording import often, percent, unknown_labels

FEW_ROWS = 100
"""Below this the 95 % interval of an accuracy of 0.8 is wider than 0.16 (normal approximation)."""
FEW_OF_CLASS = 30
"""Below this one row more or less moves the recall of a class by over 3 points."""
MANY_LEFT_OUT = 0.02
STATES = {
    "running": "The training has not ended, or was killed: the weights may still become better.",
    "interrupted": "The training was interrupted: the weights are those of the best epoch so far.",
    "failed": "The training failed: the weights are those of the best epoch before.",
}


def section(contents: ReportData) -> Section:
    """One point for each."""
    return Section("Limits", (Points((*_of_training(contents), test_accesses(contents), *_of_scores(contents), *_of_rows(contents))),))


def test_accesses(contents: ReportData) -> str:
    """Say how often the test part was scored, and what follows from it."""
    times = contents.looks
    if not contents.sizes["test"]:
        return "There is no test part, so nothing here speaks of new rows."
    if not times:
        return f"The test part has not been scored yet. To score it: {shell_command('evaluate', contents.run)}"
    if times == 1:
        return "The test part has been scored once."
    return f"The test part has been scored {often(times)}. Every choice made after such a look makes its scores less true for new rows."


def _of_training(contents: ReportData) -> Iterator[str]:
    if contents.facts.state in STATES:
        yield STATES[contents.facts.state]
    weighted = [key for key, target in contents.fitted.targets.items() if len(set(target.class_weights.values())) > 1]
    if weighted:
        what = "probabilities were" if len(weighted) == 1 else "probabilities of each were"
        yield f"Class weights shaped the loss of {listed(weighted)}: the network's {what} shifted by them and are no shares of rows."


def _of_scores(contents: ReportData) -> Iterator[str]:
    for part in contents.parts[:1]:
        yield from _of_few_rows(contents, part)
        judged = contents.judged(part)
        if not any(score.interval for one in judged for score in one.scores.values()):
            yield "The scores stand without intervals: how much they depend on the choice of these rows is not known."
        if not any(one.result.subgroups for one in judged):
            yield (
                "Subgroups were not looked at: the model may do worse for some people, places or devices than for others. "
                "The option evaluation.subgroups names columns to look at."
            )


def _of_few_rows(contents: ReportData, part: EvaluatedSplit) -> Iterator[str]:
    for judged in contents.judged(part):
        rows, unknown = judged.result.rows, judged.result.unknown_answers
        if rows < FEW_ROWS:
            yield f"The scores of {judged.key} rest on {counted(rows, 'row')} only; other rows could well give others."
        counts = judged.result.confusion_matrix().sum(axis=1).tolist()
        few = [f"{name} ({own})" for name, own in zip(judged.result.classes, counts, strict=True) if own < FEW_OF_CLASS]
        if few:
            yield f"Of some classes of {judged.key}, {part.title} has few rows: {listed(few)}."
        if unknown:
            yield f"{counted(unknown, 'row')} of {part.title} with an answer that is missing, or unknown to training, are in no score."
        if judged.result.unknown_labels:
            which = unknown_labels(judged.result.unknown_labels)
            yield f"Some labels of {part.title} are not known: {which}; the scores are of the others."


def _of_rows(contents: ReportData) -> Iterator[str]:
    dropped, total = len(contents.data.dropped), contents.data.rows
    if dropped > MANY_LEFT_OUT * total:
        share = f"{counted(dropped, 'row')} ({percent(dropped / total)} of the table)"
        yield f"{share} were left out, so the scores do not speak of rows like them."
    if column_of_role(contents.columns, Group) is None:
        yield (
            "No column groups the rows. If several rows belong together, those of one patient for instance, they may be on both sides of "
            "the split, and the scores are too good for new ones. A column of the role group keeps them in one part."
        )
    if all(part.label in contents.sizes for part in contents.parts):
        yield f"All rows are from {contents.data.table}: rows of another place, device or year may be harder."
