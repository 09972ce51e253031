"""Page of `mmtrain leaderboard --html`."""

from __future__ import annotations

from mmtrain.artifacts.run_lists import Leaderboard, LeaderboardEntry
from mmtrain.config.load import format_setting
from mmtrain.errors import counted, shell_command
from mmtrain.reports.blocks import Block, Cell, Paragraph, Points, Section, Table, Tile, Tiles, number
from mmtrain.reports.report import WRITTEN_BY, page
from mmtrain.reports.target_results.score_tiles import ruler
from mmtrain.reports.wording import count, format_interval, format_score, limits, significant, title


def optimism(board: Leaderboard) -> str:
    """Return the sentence about the selection bias of a leaderboard: the score of its first run is too good."""
    if board.part == "test":
        return "The test score of a run that was chosen by it is too good: choose by validation rows or folds, the default."
    if board.part == "validation":
        return "The best of many runs looks better than it is, as does every run on the rows that chose its epoch."
    return "The best of many runs looks better than it is."


def how_to_compare(board: Leaderboard) -> str:
    """Return the sentence with the commands that compare the first two runs; validation rows have to be scored by `evaluate` first."""
    pair = [board.runs[0].name, board.runs[1].name]
    options = [] if board.part in ("folds", "test") else ["--part", board.part]
    unscored = [shell_command("evaluate", name, *options) for name in pair] if not all(one.score.interval for one in board.runs[:2]) else []
    first = f"{' and '.join(unscored)}, then " if unscored and board.part == "validation" else ""
    return f"To see whether two differ: {first}{shell_command('compare', *pair, *options)}"


def leaderboard_page(board: Leaderboard) -> str:
    """Return the HTML text."""
    keys = list(dict.fromkeys(key for one in board.runs for key in one.differences))
    # Test scores are next to those of validation rows or folds, and those next to the scores of other rows.
    second = [name for name, shown in (("Validation", board.part != "validation"), ("Test", board.part != "test")) if shown]
    head = ("Place", "Run", title(board.score), *second, "Minutes", "Weights", "Evaluations of the test part", *keys)
    table = Table("Runs, the best first", head, tuple(_row(board, place, one, keys) for place, one in enumerate(board.runs, start=1)))
    better = "Higher" if board.higher_is_better else "Lower"
    sections = [Section("Runs", (*_best(board), Paragraph(f"{better} is better."), table)), _next_steps(board)]
    if board.unscored:
        names = ", ".join(one.name for one in board.unscored)
        sections.append(Section("Not scored", (Paragraph(f"These runs have the same rows and have not been scored on them: {names}."),)))
    facts = (counted(len(board.runs), "run"), f"{counted(board.rows, 'row')} of {board.part}", title(board.score))
    return page(title=f"Leaderboard: {board.target}", facts=facts, sections=sections, footer=WRITTEN_BY)


def _best(board: Leaderboard) -> tuple[Block, ...]:
    """Return the score of the best run, next to that of the second one."""
    best, *others = board.runs
    if best.score.value is None:
        return ()
    interval = f"interval {limits(board.score, best.score)}" if best.score.interval else "without an interval"
    second = next((one for one in others if one.score.value is not None), None)
    compared = "" if second is None or second.score.value is None else f"{second.name}: {format_score(board.score, second.score.value)}."
    line = None if second is None else ruler(board.score, best.score, second.score, second.name)
    heading = f"{title(board.score)} of {best.name}, the best of {counted(len(board.runs), 'run')}"
    return (Tiles((Tile(heading, format_score(board.score, best.score.value), interval, compared, "", line),)),)


def _next_steps(board: Leaderboard) -> Section:
    points = [f"{optimism(board)} Score the one that you keep on rows that no run was chosen by."] if len(board.runs) > 1 else []
    if len(board.runs) > 1:
        points.append(how_to_compare(board))
    else:
        points.append("There is nothing to compare this run with: train another experiment on the same rows.")
    return Section("What to do next", (Points(tuple(points)),))


def _row(board: Leaderboard, place: int, one: LeaderboardEntry, keys: list[str]) -> tuple[Cell, ...]:
    return (
        number(str(place)),
        Cell(one.name),
        number(format_interval(board.score, one.score), tone="good" if place == 1 else ""),
        *([number("–" if one.validation is None else significant(one.validation))] if board.part != "validation" else []),
        *([number("–" if one.test is None else format_interval(board.score, one.test))] if board.part != "test" else []),
        number("–" if one.minutes is None else significant(one.minutes)),
        number(count(one.parameters) if one.parameters else "–"),
        number(str(one.test_looks)),
        *(Cell(format_setting(one.differences[key]) if key in one.differences else "") for key in keys),
    )
