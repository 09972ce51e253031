"""The one style of all plots, and how a plot gets into the run: as a PNG file, and as SVG inside the report.

A figure is drawn once, in the colours of a light page on white. For the report its colours become CSS variables, its letters
stay text in the font of the page, and everything that could load something or clash with another plot is taken out.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain import runs
from mmtrain.reports.blocks import Picture
from mmtrain.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, QUIET, GRID, FIRST, SECOND = "#20262d", "#68727d", "#dfe3e8", "#1f6fb2", "#c2571a"
VARIABLES = {
    INK: "currentColor",
    QUIET: "var(--quiet)",
    GRID: "var(--rule)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
}
"""What the colours are called in report.css, which has others for a dark page."""
STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $a$
    "text.usetex": False,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}
DPI = 160
"""Of the PNG files, and of what is drawn as pixels inside an SVG."""
ROOM = 2_500_000
"""Bytes of SVG in one report; further plots are only named, so that there is room for the rest."""


@contextmanager
def style() -> Iterator[None]:
    """Figures are made and saved inside this block; whatever matplotlibrc the user has plays no part in it."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it would tell of its font cache
    try:
        import matplotlib.style

        with warnings.catch_warnings(), matplotlib.style.context(["default", STYLE], after_reset=True):
            # Letters the font lacks are empty boxes in the PNG; the report shows them in the reader's own fonts.
            warnings.filterwarnings("ignore", message="Glyph ")
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            yield
    finally:
        logger.setLevel(level)


class Gallery:
    """The plots of one report; `plots/` of the run gets a PNG of each."""

    def __init__(self, run: Run, *, room: int = ROOM) -> None:
        self._run = run
        self._room = room
        self._taken: set[str] = set()

    def add(self, figure: Figure, name: str, *, title: str, alt: str, caption: str = "") -> Picture:
        """Save a figure as `plots/<name>.png`; characters that not every file system bears are replaced."""
        stem = self._stem(name)
        path = self._run / "plots" / f"{stem}.png"
        path.parent.mkdir(exist_ok=True)
        with runs.replacing(path) as temporary:
            save(figure, temporary)
        figure.set_layout_engine("none")  # what the first drawing found stays; finding it again would cost a third of all the time
        markup: str | None = as_markup(figure, salt=stem)
        if markup is not None and len(markup.encode()) > self._room:
            markup = None
        self._room -= len(markup.encode()) if markup is not None else 0
        return Picture(f"plots/{stem}.png", title, alt, caption, markup)

    def _stem(self, name: str) -> str:
        plain = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("_.") or "plot"
        stem, number = plain, 1
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{plain}_{number}"
        self._taken.add(stem.casefold())
        return stem


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; without pyplot, which would keep it alive and look for a screen."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG. `Figure.savefig` would go through every artist twice, first of all for the layout, which is found while drawing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_png(path)  # type: ignore[no-untyped-call]


def as_markup(figure: Figure, *, salt: str) -> str:
    """The `<svg>` element for the report; equal figures with equal `salt` give equal text. The figure loses its background."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"\n\s*", "\n", text)
    return re.sub(r"<[^<>]+>", _tag, text).strip()


def _tag(found: re.Match[str]) -> str:
    """One tag; a name in a text can never look like one, because matplotlib escapes `<`."""
    tag = found.group()
    if tag.startswith("<svg"):
        box = re.search(r'viewBox="[^"]*"', tag)
        return f'<svg {box.group() if box else ""} aria-hidden="true" focusable="false">'
    if tag.startswith("<g "):
        tag = re.sub(r' id="[^"]*"', "", tag)  # figure_1, axes_1, ... would stand in the page many times
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    return re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda colour: VARIABLES.get(colour.group(), colour.group()), tag)
