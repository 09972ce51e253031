"""Limits of the result: reasons to trust the scores less, and analyses that were not done."""

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
"""Below this one row more or less changes the recall of a class by over 3 points."""
MANY_LEFT_OUT = 0.02
"""Share of the table from which rows that were left out are mentioned."""
STATES = {
    "running": "The training has not ended, or was killed: the weights may still improve.",
    "interrupted": "The training was interrupted: the weights are those of the best epoch so far.",
    "failed": "The training failed: the weights are those of the best epoch before the failure.",
}


def section(contents: ReportData) -> Section:
    """List the limits, one point each."""
    return Section("Limits", (Points((*_of_training(contents), *_of_accesses(contents), *_of_scores(contents), *_of_rows(contents))),))


def test_accesses(contents: ReportData) -> str:
    """Say how often the test part was scored, and the consequence."""
    times = contents.looks
    if not contents.sizes["test"]:
        return "There is no test part, so no score estimates the performance on new rows."
    if not times:
        return f"The test part has not been scored yet. To score it: {shell_command('evaluate', contents.run)}"
    if times == 1:
        return "The test part has been scored once."
    return f"The test part has been scored {often(times)}. Every choice made after seeing its scores makes them more optimistic."


def _of_accesses(contents: ReportData) -> Iterator[str]:
    # One access is as it should be; the summary has it.
    if contents.looks != 1:
        yield test_accesses(contents)


def _of_training(contents: ReportData) -> Iterator[str]:
    if contents.facts.state in STATES:
        yield STATES[contents.facts.state]
    # Equal weights shift nothing.
    weighted = [key for key, target in contents.fitted.targets.items() if len(set(target.class_weights.values())) > 1]
    if weighted:
        yield (
            f"The loss of {listed(weighted)} has class weights, which shift the network's probabilities: they are not frequencies of rows."
        )
    for key, target in contents.fitted.targets.items():
        if target.balance and key not in weighted:
            balance = f"{target.balance.capitalize()} shifts the network's probabilities of {key}"
            yield f"{balance}: they are those of equally frequent classes, not frequencies of rows."


def _of_scores(contents: ReportData) -> Iterator[str]:
    # Only the part in the summary: told for each part, the same limits would hide the others.
    for part in contents.parts[:1]:
        yield from _of_few_rows(contents, part)
        views = contents.views(part)
        if not any(score.interval for one in views for score in one.scores.values()):
            yield "The scores have no intervals: it is unknown how much they depend on the choice of these rows."
        if not any(one.result.subgroups for one in views):
            yield (
                "Subgroups were not examined: the model may do worse for some people, places or devices than for others. "
                "The option evaluation.subgroups names columns to examine."
            )


def _of_few_rows(contents: ReportData, part: EvaluatedSplit) -> Iterator[str]:
    for view in contents.views(part):
        rows, unknown = view.result.rows, view.result.unknown_answers
        if rows < FEW_ROWS:
            yield f"The scores of {view.key} are based on only {counted(rows, 'row')}; other rows could give quite different ones."
        # The sum of a row of the matrix: the rows of the true class.
        counts = view.result.confusion_matrix().sum(axis=1).tolist()
        few = [f"{name} ({count})" for name, count in zip(view.result.classes, counts, strict=True) if count < FEW_OF_CLASS]
        if few:
            yield f"Some classes of {view.key} have few rows in {part.title}: {listed(few)}."
        if unknown:
            verb = "is" if unknown == 1 else "are"
            of = f" for {view.key}" if contents.several else ""
            yield f"{counted(unknown, 'row')} of {part.title} {verb} not scored{of}: the answer is missing or not in the training rows."
        if view.result.unknown_labels:
            which = unknown_labels(view.result.unknown_labels)
            yield f"Some labels of {part.title} are unknown: {which}; the scores cover the others."


def _of_rows(contents: ReportData) -> Iterator[str]:
    dropped, total = len(contents.data.dropped), contents.data.rows
    if dropped > MANY_LEFT_OUT * total:
        share = f"{counted(dropped, 'row')} ({percent(dropped / total)} of the table)"
        yield f"{share} were left out, so the scores do not apply to rows like them."
    if column_of_role(contents.columns, Group) is None:
        yield (
            "No column groups the rows. If several rows belong together, such as those of one patient, they may be in different parts, "
            "and the scores are too optimistic for new ones. A column with the role group keeps them in one part."
        )
    # Not where another table was scored as well.
    if all(part.label in contents.sizes for part in contents.parts):
        yield f"All rows are from {contents.data.table}: rows from another place, device or year may be harder."
