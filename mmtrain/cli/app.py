"""The commands, and the exit codes of the errors they raise.

A user's mistake is shown as problems and an exit code, never as a traceback; a bug of mmtrain always shows its traceback.
Exit codes: 0 done, 1 a run failed, 2 usage or config, 3 data, 130 Ctrl-C, 143 SIGTERM.
Typer ends a command whose reader has closed the pipe (`mmtrain schema | head`) with 1 and without a message.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from inspect import getdoc

import typer

from mmtrain.cli import cache, check, compare, evaluate, explain, export, fit, init, inspect_data, pack, predict, report, schema
from mmtrain.cli.options import Command, Group
from mmtrain.errors import MmtrainError, RunError
from mmtrain.system.paths import homeless_cache, is_homeless, refused_by_system
from mmtrain.training.signals import Interrupted, at_once

app = typer.Typer(
    name="mmtrain",
    cls=Group,
    help="Train one Keras model on a table of images, numbers, categories and text.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "fit": fit.command,
    "evaluate": evaluate.command,
    "compare": compare.command,
    "predict": predict.command,
    "explain": explain.command,
    "export": export.command,
    "report": report.command,
    "inspect-data": inspect_data.command,
    "check": check.command,
    "init": init.command,
    "pack": pack.pack_command,
    "unpack": pack.unpack_command,
    "schema": schema.command,
}


CACHING = frozenset({"fit", "evaluate", "explain", "export", "inspect-data", "check", "cache"})
"""Commands that may keep decoded images and encoded columns."""
CUTTING = frozenset({"fit", "evaluate", "predict", "inspect-data", "check"})
"""Commands with `--all`, which may find a problem in every row."""
HOMELESS = "this user has no home folder, so decoded images are cached in {folder}. Set MMTRAIN_CACHE to a permanent folder."


def _help(command: Callable[..., None]) -> str:
    """Return the docstring of a command with a line per paragraph: Typer keeps the line breaks of all but the first."""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in (getdoc(command) or "").split("\n\n"))


for _name, _command in COMMANDS.items():
    app.command(_name, cls=Command, help=_help(_command))(_command)
app.add_typer(cache.app, name="cache")


@app.callback(invoke_without_command=True)
def version(show: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True)) -> None:
    """Train one Keras model on a table of images, numbers, categories and text."""
    if show:
        from importlib.metadata import version as installed

        typer.echo(installed("mmtrain"))
        raise typer.Exit


def _write_any_character() -> None:
    """Escape characters that the encoding of an output lacks, undecodable bytes of a file name for example, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        # A notebook or a test may have replaced the stream, and a user may have chosen another handler.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run a command line and return the exit code."""
    _write_any_character()
    try:
        # Only where something may be kept: other commands need no cache.
        if is_homeless() and not CACHING.isdisjoint(arguments[:1]):
            typer.echo(f"note: {HOMELESS.format(folder=homeless_cache())}", err=True)
        with at_once():
            app(arguments)
    except SystemExit as exit_request:
        code = exit_request.code
        # `exit("text")` has a text as its code, which counts as 1.
        return code if isinstance(code, int) else int(code is not None)
    except MmtrainError as error:
        from mmtrain.cli.views.console import show_problems

        # Commands with --all show 20 problems without it; all others show every one.
        show_problems(error, as_json="--json" in arguments, every=CUTTING.isdisjoint(arguments[:1]) or "--all" in arguments)
        return error.exit_code
    except OSError as error:  # no space left or no permission is a user's problem; any other is a bug, whose traceback is needed
        problem = refused_by_system(error)
        if problem is None:
            raise
        from mmtrain.cli.views.console import show_problems

        show_problems(RunError(problem), as_json="--json" in arguments)
        return RunError.exit_code
    except Interrupted as stopped:
        typer.echo(f"{stopped} No partial result is kept; run the command again.", err=True)
        return stopped.exit_code
    return 0
