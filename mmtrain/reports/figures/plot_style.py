"""Style of all plots, and their output: PNG files in the run folder, and SVG inside the report.

A figure has the colours of a light page. For the report they become CSS variables, texts stay text in the font of the page, and
everything that could load something or clash with another plot is removed. A PNG, on white, contains the hash of its SVG, and is drawn
again only if it differs.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
from mmtrain.artifacts.run_folder import Run
from mmtrain.reports.blocks import Plot

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
"""Names of the colours in report.css, which has others for a dark page."""
STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
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
"""Resolution of the PNG files, and of parts that are drawn as pixels inside an SVG."""
DRAWING = "Drawing"
"""Key of the hash in a PNG."""
ROOM = 2_500_000
"""Maximum number of bytes of SVG in one report; further plots are only named."""


@contextmanager
def style() -> Iterator[None]:
    """Set the style inside the block, in which figures are drawn and saved; the matplotlibrc of the user has no effect there."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # below, it reports on its font cache
    try:
        # Only a report needs matplotlib, which takes long to import.
        import matplotlib.style

        with warnings.catch_warnings(), matplotlib.style.context(["default", STYLE], after_reset=True):
            # Characters that the font lacks are empty boxes in the PNG; the SVG in the report uses the fonts of the reader.
            warnings.filterwarnings("ignore", message="Glyph ")
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            yield
    finally:
        logger.setLevel(level)


class FigureWriter:
    """Writer of the plots of one report; `plots/` of the run gets a PNG of each."""

    def __init__(self, run: Run, *, room: int = ROOM) -> None:
        self._run = run
        self._room = room
        self._stems: set[str] = set()

    def add(self, figure: Figure, name: str, *, title: str, alt: str, caption: str = "") -> Plot:
        """Save a figure as `plots/<name>.png` and return its plot; characters that some file systems refuse are replaced."""
        stem = self._stem(name)
        markup = as_markup(figure, salt=stem)
        path = self._run / "plots" / f"{stem}.png"
        drawing = hashlib.sha256(markup.encode()).hexdigest()
        # An unchanged drawing keeps its file: comparing hashes is faster than rendering.
        if drawing_of(path) != drawing:
            figure.set_layout_engine("none")  # keeps the layout of the SVG; computing it again would take a third of the time
            with disk_errors(path):
                path.parent.mkdir(exist_ok=True)
                with atomic_write(path) as temporary:
                    save(figure, temporary, {DRAWING: drawing})
        # First come, first served: a later, smaller plot may still fit.
        size = len(markup.encode())
        fits = size <= self._room
        self._room -= size if fits else 0
        return Plot(f"plots/{stem}.png", title, alt, caption, markup if fits else None)

    def _stem(self, name: str) -> str:
        plain = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("_.") or "plot"
        # Different names may become the same file name, also where the file system ignores case.
        stem, number = plain, 1
        while stem.casefold() in self._stems:
            number += 1
            stem = f"{plain}_{number}"
        self._stems.add(stem.casefold())
        return stem


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches; without pyplot, which would keep it in memory and look for a display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI)


def save(figure: Figure, path: Path, words: Mapping[str, str] | None = None) -> None:
    """Write a PNG on white, with `words` as its metadata.

    `Figure.savefig` would draw every artist twice, the first time for the layout, which drawing computes anyway.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DPI)  # the SVG was drawn with 72
    figure.patch.set_facecolor("white")
    fast = {"compress_level": 1}  # a tenth larger than at 6, and a sixth faster, drawing included
    FigureCanvasAgg(figure).print_png(path, metadata=words, pil_kwargs=fast)  # type: ignore[no-untyped-call]


def drawing_of(path: Path) -> str:
    """Read the hash of the SVG from a PNG of the run; empty if there is no such PNG."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            return str(image.info.get(DRAWING, ""))
    except (OSError, SyntaxError, ValueError):
        return ""


def as_markup(figure: Figure, *, salt: str) -> str:
    """Return the `<svg>` element for the report; equal figures with equal `salt` give equal text."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # Ids in the SVG are hashed: a fixed salt makes equal figures equal text.
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    text = buffer.getvalue()
    # From the element on: a declaration of XML has no place inside HTML.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"\n\s*", "\n", text)
    return re.sub(r"<[^<>]+>", _tag, text).strip()


def _tag(match: re.Match[str]) -> str:
    """Clean one tag; a text cannot look like one, because matplotlib escapes `<`."""
    tag = match.group()
    if tag.startswith("<svg"):
        box = re.search(r'viewBox="[^"]*"', tag)
        # Sized by the page; hidden from screen readers, which read the alternative text.
        return f'<svg {box.group() if box else ""} aria-hidden="true" focusable="false">'
    if tag.startswith("<g "):
        tag = re.sub(r' id="[^"]*"', "", tag)  # figure_1, axes_1, ... would occur many times in the page
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    return re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda colour: VARIABLES.get(colour.group(), colour.group()), tag)
