"""Analyses of `evaluate` beyond the scores, in short tables; the report has more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mmtrain.artifacts.analysis_results import AnalysisTable, MissingPatterns, PermutationImportance, RowSubset, Subgroups
    from mmtrain.artifacts.results import TargetResult

MOST_INPUTS = 10


def show_analyses(console: Console, result: TargetResult) -> None:
    """Show contributions, missing inputs, subgroups and registered analyses."""
    if result.contributions is not None:
        _contributions(console, result.contributions)
    if result.missing_patterns is not None:
        _missing(console, result.missing_patterns)
    if result.subgroups:
        _subgroups(console, result.subgroups)
    for name, table in result.analyses.items():
        _registered(console, name, table)


def _contributions(console: Console, importance: PermutationImportance) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.errors import counted
    from mmtrain.reports.target_results.input_importance import contribution_sentence, input_label, percent_of, ranked, shortened_sentence
    from mmtrain.reports.wording import between, format_score

    main, inputs = importance.main, ranked(importance)
    if not inputs:
        line(console, contribution_sentence(importance))
        return
    head = ("input", f"{main} worse by", f"{percent_of(importance.confidence)} interval")
    losses = [(input_label(one), one.losses[main]) for one in inputs[:MOST_INPUTS]]
    _table(console, head, [(name, format_score(main, loss.value), between(main, loss)) for name, loss in losses])
    more = f"; {len(inputs) - MOST_INPUTS} more in the report" if len(inputs) > MOST_INPUTS else ""
    line(console, f"when the input is shuffled among {counted(importance.rows, 'row')}, mean of {importance.permutations}{more}")
    if shortened := shortened_sentence(importance):
        line(console, shortened)


def _missing(console: Console, patterns: MissingPatterns) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.reports.target_results.input_importance import pattern_name, percent_of, practice

    main = patterns.main
    lines = [_line(f"missing: {pattern_name(one.missing)}", main, one) for one in patterns.patterns]
    lines += [_line(f"all without {one.branch}", main, one) for one in patterns.masked]
    _table(console, ("inputs", main, "rows", f"{percent_of(patterns.confidence)} interval"), lines)
    for one in patterns.masked:
        line(console, f"{one.branch} in training: {practice(one)}")


def _subgroups(console: Console, columns: Sequence[Subgroups]) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.reports.target_results.input_importance import percent_of
    from mmtrain.reports.target_results.subgroups import name_of, sentence

    for division in columns:
        main = division.main
        head = (division.column, main, "rows", f"{percent_of(division.confidence)} interval")
        _table(console, head, [_line(name_of(one), main, one) for one in division.subgroups])
    line(console, " ".join(filter(None, sentence(columns))))


def _registered(console: Console, name: str, table: AnalysisTable) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.reports.wording import cell_text

    console.print()
    line(console, table.caption or name)
    _table(console, tuple(table.head), [tuple(map(cell_text, row)) for row in table.rows])
    if table.note:
        line(console, table.note)


def _line(name: str, main: str, subset: RowSubset) -> tuple[str, str, str, str]:
    """Return name, main score, number of rows and interval of a subset of rows."""
    from mmtrain.reports.wording import between, count, format_score

    score = subset.scores[main]
    value = "undefined" if score.value is None else format_score(main, score.value)
    return name, value, count(subset.rows), between(main, score)


def _table(console: Console, head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> None:
    from mmtrain.cli.views.console import format_cell, plain_table

    table = plain_table(*head)
    for texts in lines:
        table.add_row(*map(format_cell, texts))
    console.print()
    console.print(table)
