"""Scores of a group of trainings: mean, spread, and a column for each training."""

from __future__ import annotations

from mmtrain.artifacts.group_results import CrossValidation, MemberScores
from mmtrain.cli.views.console import err, line, number, plain_table
from mmtrain.errors import counted

MOST_COLUMNS = 10
"""Maximum number of trainings with a column of their own."""


def show_members(scores: CrossValidation) -> None:
    """Print the scores of every target, without those of single labels."""
    console, whole = err(), bool(scores.predictions)
    few = len(scores.members) <= MOST_COLUMNS
    names = [member.name.partition("/")[2] for member in scores.members] if few else []
    for key, by_name in scores.targets.items():
        line(console, f"{key}: {_heading(scores)}")
        table = plain_table("score", "mean", "deviation", *(["all rows"] if whole else []), *names)
        for name, score in by_name.items():
            if "[" not in name:
                table.add_row(name, *_summary(score, whole=whole), *map(number, score.values if few else ()))
        console.print(table)
    if not few:
        line(console, f"The scores of each of the {len(scores.members)} trainings are in cross_validation.json.")


def _heading(scores: CrossValidation) -> str:
    """Return `mean and standard deviation over 5 folds, each with 3 seeds; 400 rows are scored out of fold`."""
    if scores.folds == 1:
        return f"mean and standard deviation over {counted(scores.seeds, 'seed')}; {counted(scores.rows, 'validation row')}"
    repeats = f", dealt {scores.repeats} times" if scores.repeats > 1 else ""
    seeds = f", each with {scores.seeds} seeds" if scores.seeds > 1 else ""
    return f"mean and standard deviation over {scores.folds} folds{repeats}{seeds}; {scores.rows:,} rows are scored out of fold"


def _summary(score: MemberScores, *, whole: bool) -> list[str]:
    interval = "" if score.low is None else f" [{number(score.low)}, {number(score.high)}]"
    return [f"{number(score.mean)}{interval}", number(score.deviation), *([number(score.out_of_fold)] if whole else [])]
