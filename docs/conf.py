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
html_theme_options = {"navigation_with_keys": True}
suppress_warnings = ["myst.xref_ambiguous"]


def setup(app: Any) -> None:
    """Make the reference before the pages are read."""
    from reference_pages import write_pages

    app.connect("builder-inited", lambda _: write_pages(HERE))
