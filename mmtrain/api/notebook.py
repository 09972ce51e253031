"""Results that print well: as text in a terminal, in a notebook as self-contained HTML that follows the theme of the page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from mmtrain.artifacts.run_folder import Run
    from mmtrain.reports.blocks import Block, Section

MOST_ROWS = 60
"""Rows of a table that are shown; the object has them all."""
PAGE_HEIGHT = 640

# Text, rules and fills follow the surroundings by `currentColor`; the two colours of the figures have enough contrast on white and on
# black. A notebook says "dark" in its own ways, so `prefers-color-scheme` alone would be wrong as often as right.
STYLE = """
.mmtrain { --ink: currentColor; --quiet: currentColor; --rule: rgba(127,127,127,.35); --well: rgba(127,127,127,.12);
  --first: #3b8fd6; --second: #d9722e; color: inherit; font-size: 13px; line-height: 1.45; }
.mmtrain h4 { font-size: 14px; margin: 0 0 .4em; overflow-wrap: anywhere; }
.mmtrain p { margin: .2em 0; }
.mmtrain .table { overflow-x: auto; }
.mmtrain table { border-collapse: collapse; margin: .5em 0; color: inherit; }
.mmtrain .table th, .mmtrain .table td { border: 0; border-bottom: 1px solid var(--rule); padding: .2em .8em .2em 0; text-align: left;
  background: none; color: inherit; }
.mmtrain .table .number { text-align: right; font-variant-numeric: tabular-nums; }
.mmtrain .figures { display: flex; flex-wrap: wrap; gap: 1em; }
.mmtrain figure { margin: .5em 0; flex: 1 1 320px; max-width: 760px; min-width: 0; }
.mmtrain figure:has(img) { flex-basis: 480px; }
.mmtrain figure > div { overflow-x: auto; }
.mmtrain img { max-width: 100%; height: auto; }
.mmtrain figcaption { opacity: .8; }
"""


@dataclass(frozen=True)
class Figure:
    """A figure with its caption; `markup` is SVG or an image element made by us."""

    title: str
    markup: str
    alt: str
    caption: str = ""
    file: str = ""
    """In the run folder; empty for a figure without a file."""


def card(title: str, lines: Iterable[str], tables: Mapping[str, pd.DataFrame], figures: Iterable[Figure]) -> str:
    """A title, sentences, tables and figures."""
    parts = [f"<h4>{escape(title)}</h4>", *(f"<p>{escape(line)}</p>" for line in lines)]
    # Empty tables would be headings over nothing.
    parts += [as_html(table, caption) for caption, table in tables.items() if len(table)]
    drawn = "".join(map(_figure, figures))
    parts += [f'<div class="figures">{drawn}</div>'] if drawn else []
    return f'<style>{STYLE}{_figure_rules()}</style><div class="mmtrain">{"".join(parts)}</div>'


@cache
def _figure_rules() -> str:
    """Return the style rules of the report for figures, applied to those in a card."""
    from mmtrain.reports.report import HERE

    rules = (HERE / "report.css").read_text(encoding="utf-8").splitlines()
    # Only the rules of figures: the others would change the page of the notebook.
    return "".join(f".mmtrain {rule}\n" for rule in rules if rule.startswith(("figure svg", ".diagram")))


def _figure(figure: Figure) -> str:
    caption = f" {escape(figure.caption)}" if figure.caption else ""
    words = f"<figcaption><b>{escape(figure.title)}</b>{caption}</figcaption>"
    return f'<figure><div role="img" aria-label="{escape(figure.alt)}">{figure.markup}</div>{words}</figure>'


def as_html(table: pd.DataFrame, caption: str) -> str:
    """The first rows of a table; numbers with as many digits as a report gives them."""
    number = [pd.api.types.is_numeric_dtype(table.dtypes.iloc[place]) for place in range(table.shape[1])]

    def row(cells: Iterable[str], tag: str) -> str:
        marks = zip(cells, number, strict=True)
        return "<tr>" + "".join(f"<{tag}{' class=number' if right else ''}>{escape(cell)}</{tag}>" for cell, right in marks) + "</tr>"

    body = "".join(row(map(_cell, cells), "td") for cells in table.head(MOST_ROWS).itertuples(index=False))
    # The rest is in the object; a page of a million rows would freeze the browser.
    more = f"<p>{len(table) - MOST_ROWS:,} more rows are not shown.</p>" if len(table) > MOST_ROWS else ""
    head = row(map(str, table.columns), "th")
    return f'<div class="table"><table aria-label="{escape(caption)}"><thead>{head}</thead><tbody>{body}</tbody></table></div>{more}'


def as_text(table: pd.DataFrame, most: int) -> str:
    """The first rows of a table for a terminal, without an index."""
    texts = pd.DataFrame({name: [_cell(value) for value in column] for name, column in table.head(most).items()})
    more = f"\n... {len(table) - most:,} more rows" if len(table) > most else ""
    return texts.to_string(index=False) + more


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 (NaN)
        return ""
    if isinstance(value, float):
        from mmtrain.reports.wording import decimals, significant

        # Three decimals, unless they would be all zeros or hide the size.
        return decimals(value) if not value or 0.0005 <= abs(value) < 999.9995 else significant(value)
    return str(value)


def embedded_page(page: str) -> str:
    """A whole HTML page in a frame of its own, so that its styles and those of the notebook stay apart."""
    return (
        # In a sandbox: a report runs no scripts, but its links may open.
        f'<iframe srcdoc="{escape(page)}" sandbox="allow-popups" title="mmtrain report" loading="lazy" '
        f'style="width: 100%; height: {PAGE_HEIGHT}px; border: 1px solid rgba(127,127,127,.35)"></iframe>'
    )


def image(path: Path, title: str) -> Figure:
    """A PNG file as a figure."""
    data = b64encode(path.read_bytes()).decode("ascii")
    return Figure(title, f'<img alt="{escape(title)}" style="background: white" src="data:image/png;base64,{data}">', title)


def figures_of(sections: Iterable[Section]) -> tuple[Figure, ...]:
    """The plots of a report that are drawn on its page."""
    return tuple(figure for section in sections for figure in _figures(section))


def _figures(section: Section) -> Iterator[Figure]:
    yield from (figure for block in section.blocks for figure in _of_block(block))
    for inner in section.sections:
        yield from _figures(inner)


def _of_block(block: Block) -> Iterator[Figure]:
    from mmtrain.reports.blocks import Folded, Plots

    if isinstance(block, Plots):
        for plot in block.plots:
            if plot.markup is not None:
                yield Figure(plot.title, plot.markup, plot.alt, plot.caption, plot.file)
    elif isinstance(block, Folded):
        for inner in block.blocks:
            yield from _of_block(inner)


SHOWN_ROWS = 20
"""Maximum number of rows of a table that `repr` shows."""


class Result(ABC):
    """Base of results that print as a title, sentences and tables, in a notebook also figures."""

    @abstractmethod
    def _title(self) -> str: ...

    def _lines(self) -> Iterable[str]:
        return ()

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {}

    def _figures(self) -> Iterable[Figure]:
        return ()

    def __repr__(self) -> str:
        tables = [as_text(table, SHOWN_ROWS) for table in self._tables().values() if len(table)]
        return "\n".join([f"<{self._title()}>", *self._lines(), *tables])

    def _repr_html_(self) -> str:
        return card(self._title(), self._lines(), self._tables(), self._figures())


class Report(PathLike[str]):
    """A page in a file; its path in a terminal, the page itself in a notebook."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<report {self.path}>"

    def __str__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        return embedded_page(self.path.read_text(encoding="utf-8"))


class Figures(Result):
    """The figures of a run's report; their files by name in `paths`."""

    def __init__(self, run: Run, figures: tuple[Figure, ...]) -> None:
        self._run, self._drawn = run, figures
        self.paths = {figure.title: run / figure.file for figure in figures if figure.file.endswith(".png")}

    def _title(self) -> str:
        return f"mmtrain figures of {self._run}"

    def _figures(self) -> Iterable[Figure]:
        return self._drawn

    def __repr__(self) -> str:
        return "\n".join([f"<{self._title()}>", *(f"{title}: {path}" for title, path in self.paths.items())])
