"""Console output: results to standard output, everything else to standard error. Rich honours `NO_COLOR`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mmtrain.errors import ConfigError, DataError, MmtrainError, Problem, RunError, UsageError, counted
from mmtrain.metrics.score import Interval, Score, signed_difference
from mmtrain.text.printable import json_text, printable

HEADINGS: tuple[tuple[type[MmtrainError], str], ...] = (
    (UsageError, "The command cannot be carried out"),
    (ConfigError, "The experiment cannot be used as it is"),
    (DataError, "The data cannot be used as they are"),
    (RunError, "The command failed"),
)
"""Headings by class of error; the first class that fits counts."""

NOTEBOOK = "JPY_PARENT_PID"
"""Environment variable that Jupyter sets for its kernels."""
LONGEST = 24
"""Maximum number of characters of a table's cell that are shown."""

NO_BREAK = "\ue000"
"""Placeholder of a blank at which no line is broken: a private-use character, which no text contains."""

TO_COPY = re.compile(r"`[^`\n]+`|\bmmtrain [a-z][a-z-]*(?: (?!mmtrain )\S+)*")
"""Code in backticks, and a command up to the next one or the end of its line: in our sentences a command comes last."""
LONGEST_SENTENCE = 2000
"""Maximum number of characters of a sentence about a cell that are shown."""

UNLIMITED = 10_000
"""Width of a console at which no table is broken."""
SCREENFUL = 20
"""Number of problems that are shown before the others are counted."""


class _Plain(Console):
    """A console that escapes control characters: a cell of a stranger's table could otherwise steer the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def out() -> Console:
    """Return the console of results, standard output."""
    return _Plain(highlight=False)


def err() -> Console:
    """Return the console of everything else, standard error.

    In a notebook's `!mmtrain ...` it prints plain lines, since the pseudo-terminal there cannot redraw lines.
    """
    return _Plain(stderr=True, highlight=False, force_terminal=False if NOTEBOOK in os.environ else None)


def notebook_console(*, live: bool) -> Console:
    """Return the console for code in a notebook: a redrawn widget, or plain lines.

    Plain lines go to standard output, as notebooks show standard error as a failure.
    """
    return _Plain(highlight=False, force_jupyter=live, force_terminal=None if live else False)


def show_problems(error: MmtrainError, *, as_json: bool, every: bool = True) -> None:
    """Show the number of problems, then each with its place, its cause and its fix: a screenful, or `every` one."""
    if as_json:
        problems = [{"where": problem.where, "what": problem.what, "fix": problem.fix} for problem in error.problems]
        print_json({"error": {"exit_code": error.exit_code, "problems": problems}})
        return
    console = err()
    heading = next(heading for kind, heading in HEADINGS if isinstance(error, kind))
    line(console, Text.assemble((heading, "bold red"), f": {counted(len(error.problems), 'problem')}."))
    list_problems(console, error.problems, every=every)


def list_problems(console: Console, problems: Sequence[Problem], *, every: bool) -> None:
    """Print a line per problem: place, cause, fix; of more than a screenful the first ones and the number of the others."""
    shown = len(problems) if every or len(problems) <= SCREENFUL else SCREENFUL
    for problem in problems[:shown]:
        text = Text(f"{unbroken(_sentence(problem.where))}: " if problem.where else "", style="bold")
        text.append(_sentence(problem.what), style="not bold")
        text.append(f" {_sentence(problem.fix)}" if problem.fix else "", style="not bold green")
        line(console, text)
    if more := len(problems) - shown:
        line(console, f"and {counted(more, 'more problem')}; `--all` shows every one, `--json` too.")


def _sentence(text: str) -> str:
    """Return a sentence, of a very long one its beginning and its end: it may quote a whole document."""
    end = LONGEST_SENTENCE // 4
    return printable(text if len(text) <= LONGEST_SENTENCE else f"{text[: LONGEST_SENTENCE - end]} ... {text[-end:]}")


def clip(text: str, most: int = LONGEST) -> str:
    """Return the beginning of a text, on one line."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def format_cell(text: str) -> str:
    """Return a cell of a table in one line, without markup."""
    return escape(printable(text).replace("\t", "\\t").replace("\n", "\\n"))


def line(console: Console, text: str | Text, *, style: str = "", whole: bool = False) -> None:
    """Print a sentence without markup: broken between words on a terminal, one line elsewhere, so that other programs can read it.

    Text that users copy stays in one piece, however wide: commands and keys in backticks, and a `whole` line, such as a path.
    """
    shown = text if isinstance(text, Text) else Text(printable(text), style=style)
    if console.is_terminal and not whole:
        shown = wrapped(console, shown)
    shown.plain = shown.plain.replace(NO_BREAK, " ")
    console.print(shown, soft_wrap=True, highlight=False)


def wrapped(console: Console, text: Text) -> Text:
    """Break a text at blanks into lines of the console's width; the continuation of an indented line is indented as well."""
    return Text("\n").join(_wrapped_line(one, console.width) for one in text.split("\n", allow_blank=True))


def _wrapped_line(text: Text, width: int) -> Text:
    indent = len(text.plain) - len(text.plain.lstrip(" "))
    lines = text.divide(_breaks(TO_COPY.sub(lambda match: match[0].replace(" ", NO_BREAK), text.plain), width, indent))
    for number, one in enumerate(lines):
        one.rstrip()
        if number:
            one.pad_left(indent)
    return Text("\n").join(lines)


def _breaks(text: str, width: int, indent: int) -> list[int]:
    """Return the positions of line breaks; Rich itself would break words that are wider than a line, or break no line."""
    starts, used = [], 0
    for word in re.finditer(r" *[^ ]+", text):
        bare = word[0].lstrip(" ")
        if used > indent and used + cell_len(word[0]) > width:
            starts.append(word.end() - len(bare))
            used = indent + cell_len(bare)
        else:
            used += cell_len(word[0])
    return starts


def unbroken(text: str) -> str:
    """Return a text that `wrapped` does not break, such as the path of a problem."""
    return printable(text).replace(" ", NO_BREAK)


def show_remarks(console: Console, scores: Iterable[Score]) -> None:
    """Show the remarks on single scores; a remark that several share is shown once."""
    remarks = {score.name: score.undefined or score.note for score in scores}
    for remark in dict.fromkeys(filter(None, remarks.values())):
        line(console, f"{', '.join(name for name, text in remarks.items() if text == remark)}: {remark}")


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json_text(value, sys.stdout.encoding or "utf-8", indent=1))  # noqa: T201


def note(text: str, *, quiet: bool = False, whole: bool = False) -> None:
    """Print a line on standard error; `whole` as for `line`."""
    if not quiet:
        line(err(), text, whole=whole)


def number(value: float | None) -> str:
    """Format a score, as `score_text` in `mmtrain.reports.wording`."""
    from mmtrain.reports.wording import score_text

    return score_text(value)


def format_value(value: float) -> str:
    """Format a number of the table."""
    from mmtrain.text.printable import format_number  # pandas, which a table has brought

    return signed_difference(format_number(value))


def interval(limits: Interval | None) -> str:
    """`0.812 to 0.874`."""
    return "–" if limits is None else f"{number(limits.low)} to {number(limits.high)}"


def fitting_table(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]], less: Sequence[str]) -> Table:
    """Return a table of these texts without the columns of `less`, the first ones first, that do not fit into the console's width."""
    for left_out in range(len(less) + 1):
        places = [place for place, header in enumerate(headers) if header not in less[:left_out]]
        table = plain_table(*(headers[place] for place in places))
        for row in rows:
            table.add_row(*(format_cell(row[place]) for place in places))
        if fits(console, table):
            break
    return table


def fits(console: Console, table: Table) -> bool:
    """Return whether a table fits into the console's width without broken cells."""
    return Measurement.get(console, console.options.update(max_width=UNLIMITED), table).maximum <= console.width


def plain_table(*headers: str) -> Table:
    """Return a table without borders; all columns but the first are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for position, header in enumerate(headers):
        table.add_column(format_cell(header), justify="left" if position == 0 else "right", overflow="fold")
    return table
