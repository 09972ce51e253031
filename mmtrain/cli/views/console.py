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
"""The first that fits."""

NOTEBOOK = "JPY_PARENT_PID"
"""What Jupyter sets in the environment of its kernels."""
LONGEST = 24
"""Characters of a cell of the table that are shown."""

NO_BREAK = "\ue000"
"""Stands for a blank at which no line is broken; of no script, so that no text has it."""

TO_COPY = re.compile(r"`[^`\n]+`|\bmmtrain [a-z][a-z-]*(?: (?!mmtrain )\S+)*")
"""Code in backticks, and a command up to the next one or the end of its line: in our sentences a command comes last."""
LONGEST_SENTENCE = 2000
"""Characters of a sentence about a cell that are shown."""

SCREENFUL = 20
"""Problems that are shown before the others are counted."""


class _Plain(Console):
    """A console that no cell or category of a stranger's table can steer by control characters."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def out() -> Console:
    """For results."""
    return _Plain(highlight=False)


def err() -> Console:
    """For everything else. Plain lines in a notebook's `!mmtrain ...`: its pseudo-terminal cannot redraw what it has shown."""
    return _Plain(stderr=True, highlight=False, force_terminal=False if NOTEBOOK in os.environ else None)


def notebook_console(*, live: bool) -> Console:
    """For code in a notebook: with a widget that is redrawn, or plain lines on standard output, as standard error is shown as a fault."""
    return _Plain(highlight=False, force_jupyter=live, force_terminal=None if live else False)


def show_problems(error: MmtrainError, *, as_json: bool, every: bool = True) -> None:
    """Show the number of problems, then each with its place, what was found and what would be right: a screenful, or `every` one."""
    if as_json:
        found = [{"where": problem.where, "what": problem.what, "fix": problem.fix} for problem in error.problems]
        print_json({"error": {"exit_code": error.exit_code, "problems": found}})
        return
    console = err()
    heading = next(heading for kind, heading in HEADINGS if isinstance(error, kind))
    line(console, Text.assemble((heading, "bold red"), f": {counted(len(error.problems), 'problem')}."))
    list_problems(console, error.problems, every=every)


def list_problems(console: Console, problems: Sequence[Problem], *, every: bool) -> None:
    """A line each: place, what was found, what would be right; of very many a screenful, and the number of the others."""
    shown = len(problems) if every or len(problems) <= SCREENFUL else SCREENFUL
    for problem in problems[:shown]:
        text = Text(f"{unbroken(_sentence(problem.where))}: " if problem.where else "", style="bold")
        text.append(_sentence(problem.what), style="not bold")
        text.append(f" {_sentence(problem.fix)}" if problem.fix else "", style="not bold green")
        line(console, text)
    if more := len(problems) - shown:
        line(console, f"and {counted(more, 'more problem')}; `--all` shows every one, `--json` too.")


def _sentence(text: str) -> str:
    """Its beginning and its end where it quotes a whole document."""
    end = LONGEST_SENTENCE // 4
    return printable(text if len(text) <= LONGEST_SENTENCE else f"{text[: LONGEST_SENTENCE - end]} ... {text[-end:]}")


def clip(text: str, most: int = LONGEST) -> str:
    """The beginning of a text, on one line."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def format_cell(text: str) -> str:
    """Return a cell of a table in one line, without markup."""
    return escape(printable(text).replace("\t", "\\t").replace("\n", "\\n"))


def line(console: Console, text: str | Text, *, style: str = "", whole: bool = False) -> None:
    """A sentence without markup: broken at the ends of words on a terminal, one line elsewhere, so that other programs can read it.

    What is to be copied stays in one piece, however wide: commands and keys in backticks, and all of a `whole` line, such as a path.
    """
    shown = text if isinstance(text, Text) else Text(printable(text), style=style)
    if console.is_terminal and not whole:
        shown = wrapped(console, shown)
    shown.plain = shown.plain.replace(NO_BREAK, " ")
    console.print(shown, soft_wrap=True, highlight=False)


def wrapped(console: Console, text: Text) -> Text:
    """The text in lines of the console's width, broken at blanks only; what begins with blanks goes on behind as many."""
    return Text("\n").join(_wrapped_line(one, console.width) for one in text.split("\n", allow_blank=True))


def _wrapped_line(text: Text, width: int) -> Text:
    indent = len(text.plain) - len(text.plain.lstrip(" "))
    lines = text.divide(_breaks(TO_COPY.sub(lambda found: found[0].replace(" ", NO_BREAK), text.plain), width, indent))
    for number, one in enumerate(lines):
        one.rstrip()
        if number:
            one.pad_left(indent)
    return Text("\n").join(lines)


def _breaks(text: str, width: int, indent: int) -> list[int]:
    """Return the positions of line breaks: Rich itself breaks words that are wider than a line, or no line at all."""
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
    """A text that `wrapped` does not break, such as the path of a problem."""
    return printable(text).replace(" ", NO_BREAK)


def show_remarks(console: Console, scores: Iterable[Score]) -> None:
    """Show the remarks on single scores; a remark that several share is shown once."""
    remarks = {score.name: score.undefined or score.note for score in scores}
    for remark in dict.fromkeys(filter(None, remarks.values())):
        line(console, f"{', '.join(name for name, said in remarks.items() if said == remark)}: {remark}")


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json_text(value, sys.stdout.encoding or "utf-8", indent=1))  # noqa: T201


def note(text: str, *, quiet: bool = False, whole: bool = False) -> None:
    """A line on standard error; `whole` as for `line`."""
    if not quiet:
        line(err(), text, whole=whole)


def number(value: float | None) -> str:
    """Three digits after the point; of what would be 0.000 or is 1000 and more, significant digits; an undefined score in words."""
    from mmtrain.reports.wording import decimals, significant

    if value is None:
        return "undefined"
    return decimals(value) if not value or 0.0005 <= abs(value) < 999.9995 else significant(value)


def format_value(value: float) -> str:
    """A number of the table."""
    from mmtrain.text.printable import format_number  # pandas, which a table has brought

    return signed_difference(format_number(value))


def interval(limits: Interval | None) -> str:
    """`0.812 to 0.874`."""
    return "–" if limits is None else f"{number(limits.low)} to {number(limits.high)}"


def plain_table(*headers: str) -> Table:
    """A table without lines around cells; all columns but the first right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for position, header in enumerate(headers):
        table.add_column(format_cell(header), justify="left" if position == 0 else "right", overflow="fold")
    return table
