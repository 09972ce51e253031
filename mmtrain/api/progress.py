"""Progress of functions called from Python: the display of the command line, in the form that a notebook or a terminal can show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mmtrain.cli.views.training_progress import Display


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    active = shell.get_ipython() if shell is not None else None
    return active is not None and hasattr(active, "kernel")


def console() -> Console:
    """Return the console: in a notebook a view that is redrawn or, without ipywidgets, plain lines; elsewhere standard error."""
    from importlib.util import find_spec

    from mmtrain.cli.views import console

    if not in_notebook():
        return console.err()
    live = find_spec("ipywidgets") is not None
    return console.notebook_console(live=live)


@contextmanager
def watching(progress: bool) -> Iterator[Display]:
    """A display that is silent unless `progress` is asked for.

    Raises KeyboardInterrupt where a training was stopped by one, once what is to be kept is written.
    """
    from signal import SIGINT

    from mmtrain.cli.views.training_progress import Display
    from mmtrain.training.signals import Interrupted

    shown = Display(console(), quiet=not progress)
    try:
        yield shown
    except Interrupted as stopped:
        shown.close()
        if stopped.exit_code != 128 + SIGINT:
            raise
        kept = "" if shown.run is None else f" What was learned is kept; go on with it: mmtrain.resume({str(shown.run.folder)!r})"
        raise KeyboardInterrupt(f"{stopped}{kept}") from None
    finally:
        shown.close()
