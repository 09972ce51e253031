"""Page of `mmtrain leaderboard --html`."""

from __future__ import annotations

from mmtrain.artifacts.run_lists import Leaderboard, LeaderboardEntry
from mmtrain.config.load import format_setting
from mmtrain.errors import counted
from mmtrain.reports.blocks import Cell, Paragraph, Section, Table, number
from mmtrain.reports.report import WRITTEN_BY, page
from mmtrain.reports.wording import count, format_interval, significant, title

OPTIMISM = "The best of many runs looks better than it is."
"""Selection bias of a leaderboard: the score of its first run is too high."""


def leaderboard_page(board: Leaderboard) -> str:
    """Return the HTML text."""
    keys = list(dict.fromkeys(key for one in board.runs for key in one.differences))
    head = ("Place", "Run", title(board.score), "Validation", "Minutes", "Weights", "Evaluations of the test part", *keys)
    table = Table("Runs, the best first", head, tuple(_row(board, place, one, keys) for place, one in enumerate(board.runs, start=1)))
    better = "Higher" if board.higher_is_better else "Lower"
    sections = [Section("Runs", (Paragraph(f"{better} is better. {OPTIMISM} `mmtrain compare` says whether two runs differ."), table))]
    if board.unscored:
        names = ", ".join(one.name for one in board.unscored)
        sections.append(Section("Not scored", (Paragraph(f"These runs have the same rows and have not been scored on them: {names}."),)))
    facts = (counted(len(board.runs), "run"), f"{counted(board.rows, 'row')} of {board.part}", title(board.score))
    return page(title=f"Leaderboard: {board.target}", facts=facts, sections=sections, footer=WRITTEN_BY)


def _row(board: Leaderboard, place: int, one: LeaderboardEntry, keys: list[str]) -> tuple[Cell, ...]:
    return (
        number(str(place)),
        Cell(one.name),
        number(format_interval(board.score, one.score), tone="good" if place == 1 else ""),
        number("–" if one.value is None else significant(one.value)),
        number("–" if one.minutes is None else significant(one.minutes)),
        number(count(one.parameters)),
        number(str(one.test_looks)),
        *(Cell(format_setting(one.differences[key]) if key in one.differences else "") for key in keys),
    )
