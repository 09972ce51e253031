"""Scores of a group of trainings: estimates with intervals, spread, and a column for each training."""

from __future__ import annotations

from mmtrain.artifacts.group_results import CrossValidation, MemberScores
from mmtrain.cli.views.console import err, interval, line, number, plain_table
from mmtrain.errors import counted
from mmtrain.metrics.score import Interval

SUMMARY_WIDTH, COLUMN_WIDTH = 62, 8
"""Letters of the summary of a score, and of the column of a training; where the terminal is narrower, trainings have no columns."""


def show_members(scores: CrossValidation) -> None:
    """Print the scores of every target, without those of single labels."""
    console, whole = err(), bool(scores.predictions)
    few = SUMMARY_WIDTH + COLUMN_WIDTH * len(scores.members) <= console.width
    names = [member.name.partition("/")[2] for member in scores.members] if few else []
    for key, by_name in scores.targets.items():
        line(console, f"{key}: {_heading(scores)}")
        percent = f"{100 * scores.confidence:g} % interval"
        summary = ["estimate", percent, "deviation", "all rows"] if whole else ["mean", "deviation"]
        table = plain_table("score", *summary, *names)
        for name, score in by_name.items():
            if "[" not in name:
                table.add_row(name, *_summary(score, whole=whole), *map(number, score.values if few else ()))
        console.print(table)
        for method in dict.fromkeys(score.method for score in by_name.values() if score.method):
            line(console, f"{percent}: {method}")
    if not few:
        line(console, f"The scores of each of the {len(scores.members)} trainings are in cross_validation.json.")


def _heading(scores: CrossValidation) -> str:
    """Return `5 folds, each with 3 seeds; 400 rows are scored out of fold`."""
    if scores.folds == 1:
        return f"mean and standard deviation over {scores.trainings}; {counted(scores.rows, 'validation row')}"
    return f"{scores.trainings}; {scores.rows:,} rows are scored out of fold"


def _summary(score: MemberScores, *, whole: bool) -> list[str]:
    if not whole:
        return [number(score.mean), number(score.deviation)]
    limits = None if score.low is None or score.high is None else Interval(score.low, score.high)
    return [number(score.estimate), interval(limits), number(score.deviation), number(score.out_of_fold)]
