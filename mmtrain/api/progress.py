"""Progress of functions called from Python: the display of the command line, in the form that a notebook or a terminal can show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mmtrain.cli.views.training_progress import Display
    from mmtrain.commands.fitting.training_listeners import Listeners


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel."""
    # Looked up, not imported: without IPython nobody runs in a kernel.
    shell = sys.modules.get("IPython")
    active = shell.get_ipython() if shell is not None else None
    return active is not None and hasattr(active, "kernel")


def console() -> Console:
    """Return the console: in a notebook a view that is redrawn or, without ipywidgets, plain lines; elsewhere standard error."""
    from importlib.util import find_spec

    from mmtrain.cli.views import console

    if not in_notebook():
        return console.err()
    # Without ipywidgets a notebook cannot redraw a line.
    live = find_spec("ipywidgets") is not None
    return console.notebook_console(live=live)


@contextmanager
def watching(progress: bool) -> Iterator[Display]:
    """A display, silent unless `progress` is True.

    Raises KeyboardInterrupt if SIGINT stopped a training, once its checkpoint and its best model are written.
    """
    from signal import SIGINT

    from mmtrain.cli.views.training_progress import Display
    from mmtrain.training.signals import Interrupted

    shown = Display(console(), quiet=not progress)
    try:
        yield shown
    except Interrupted as stopped:
        shown.close()
        if stopped.exit_code != 128 + SIGINT:  # SIGTERM, which is not a KeyboardInterrupt: nobody pressed Ctrl-C
            raise
        resume = "" if shown.run is None else f"mmtrain.resume({str(shown.run.folder)!r})"
        hint = resume and f" The best and the last weights are kept; continue with {resume}"
        raise KeyboardInterrupt(f"{stopped}{hint}") from None
    finally:
        shown.close()


def listeners_of(shown: Display) -> Listeners:
    """Return the functions of a display that a training calls."""
    from mmtrain.commands.fitting.training_listeners import Listeners

    return Listeners(shown.event, shown.plan, shown.images, shown.say)
