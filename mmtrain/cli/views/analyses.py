"""What `evaluate` found out besides the scores, in short tables; the report has more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

MOST_INPUTS = 10


def show_analyses(console: Console, analyses: Mapping[str, Any]) -> None:
    """Contributions, missing inputs and subgroups, as metrics.json has them."""
    if "contributions" in analyses:
        _contributions(console, analyses["contributions"])
    if "missing_patterns" in analyses:
        _missing(console, analyses["missing_patterns"])
    if "subgroups" in analyses:
        _subgroups(console, analyses["subgroups"])


def _contributions(console: Console, found: Mapping[str, Any]) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.errors import counted
    from mmtrain.reports.input_importance import contribution_sentence, input_label, percent_of, ranked, shortened_sentence
    from mmtrain.reports.wording import between, format_score

    main, inputs = found["main"], ranked(found)
    if not inputs:
        line(console, contribution_sentence(found))
        return
    head = ("input", f"{main} worse by", f"{percent_of(found)} interval")
    losses = [(input_label(one), one["losses"][main]) for one in inputs[:MOST_INPUTS]]
    _table(console, head, [(name, format_score(main, loss["value"]), between(main, loss)) for name, loss in losses])
    more = f"; {len(inputs) - MOST_INPUTS} more in the report" if len(inputs) > MOST_INPUTS else ""
    line(console, f"when the input is shuffled among {counted(found['rows'], 'row')}, mean of {found['permutations']}{more}")
    if shortened := shortened_sentence(found):
        line(console, shortened)


def _missing(console: Console, found: Mapping[str, Any]) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.reports.input_importance import pattern_name, percent_of, practice
    from mmtrain.reports.wording import between, count

    main = found["main"]
    head = (main, "rows", f"{percent_of(found)} interval")
    named = [(f"missing: {pattern_name(one['missing'])}", one) for one in found["patterns"]]
    named += [(f"all without {one['branch']}", one) for one in found["masked"]]
    lines = [(name, _value(main, one), count(one["rows"]), between(main, one["scores"][main])) for name, one in named]
    _table(console, ("inputs", head[0], *head[1:]), lines)
    for one in found["masked"]:
        line(console, f"{one['branch']} in training: {practice(one)}")


def _subgroups(console: Console, found: Iterable[Mapping[str, Any]]) -> None:
    from mmtrain.cli.views.console import line
    from mmtrain.reports.input_importance import percent_of
    from mmtrain.reports.subgroups import name_of, sentence
    from mmtrain.reports.wording import between, count

    divisions = list(found)
    for division in divisions:
        main = division["main"]
        lines = [(name_of(one), _value(main, one), count(one["rows"]), between(main, one["scores"][main])) for one in division["subgroups"]]
        _table(console, (division["column"], main, "rows", f"{percent_of(division)} interval"), lines)
    line(console, " ".join(filter(None, sentence(divisions))))


def _value(main: str, found: Mapping[str, Any]) -> str:
    from mmtrain.reports.wording import format_score

    value = found["scores"][main]["value"]
    return "undefined" if value is None else format_score(main, value)


def _table(console: Console, head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> None:
    from mmtrain.cli.views.console import format_cell, plain_table

    table = plain_table(*head)
    for texts in lines:
        table.add_row(*map(format_cell, texts))
    console.print()
    console.print(table)
