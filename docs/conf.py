"""Sphinx builds the site with this: `make docs`."""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "mmtrain"
copyright = "the authors of mmtrain"
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["*.py"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
html_theme = "furo"
html_title = "mmtrain"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
suppress_warnings = ["myst.xref_ambiguous"]


ACCESSIBLE = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    '<div class="highlight"><pre>': '<div class="highlight"><pre tabindex="0">',
    '<div class="table-wrapper ': '<div tabindex="0" role="group" aria-label="Table" class="table-wrapper ',
}
"""Markup of the theme, and the same for readers without a mouse: headings have a level, what scrolls can be reached by keyboard."""


def make_accessible(app: Any, error: Exception | None) -> None:
    """Mend the pages that were written."""
    for page in [] if error else Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for found, better in ACCESSIBLE.items():
            text = text.replace(found, better)
        page.write_text(text, encoding="utf-8")


def setup(app: Any) -> None:
    """Make the reference before the pages are read."""
    from reference_pages import write_pages

    app.connect("builder-inited", lambda _: write_pages(HERE))
    app.connect("build-finished", make_accessible)
