"""The commands, and the exit codes of the errors they raise.

A user's mistake is shown as problems and an exit code, never as a traceback; a bug of mmtrain always shows its traceback.
Exit codes: 0 done, 1 a run failed, 2 usage or config, 3 data, 75 another process of the training was lost, 130 Ctrl-C, 143 SIGTERM.
Typer ends a command whose reader has closed the pipe (`mmtrain schema | head`) with 1 and without a message.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mmtrain.cli import check, demo, distill, evaluate, explain, fit, init, inspect_data, predict, report, tune
from mmtrain.cli.comparison import compare, list_runs
from mmtrain.cli.deployment import export, pack, serve
from mmtrain.cli.installation import cache, models, reference, schema
from mmtrain.cli.options import COMMANDS, Command, Group, help_of, import_allowed
from mmtrain.errors import MmtrainError, RunError
from mmtrain.system.paths import homeless_cache, is_homeless, refused_by_system
from mmtrain.training.signals import Interrupted, at_once

WELCOME = """Train one Keras model on a table of images, numbers, categories and text.

Begin with `mmtrain demo`, which trains on sample data, or with your own table: `mmtrain init patients.csv --target diagnosis`."""
app = typer.Typer(
    name="mmtrain",
    cls=Group,
    help=WELCOME,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Begin": {"demo": demo.command, "init": init.command, "inspect-data": inspect_data.command, "check": check.command},
    "Train": {"fit": fit.command, "tune": tune.command, "distill": distill.command},
    "Score and compare": {
        "evaluate": evaluate.command,
        "report": report.command,
        "explain": explain.command,
        "runs": list_runs.runs_command,
        "leaderboard": list_runs.leaderboard_command,
        "compare": compare.command,
    },
    "Use a run": {
        "predict": predict.command,
        "serve": serve.command,
        "export": export.command,
        "pack": pack.pack_command,
        "unpack": pack.unpack_command,
    },
    "Look up": {"list": reference.command, "schema": schema.command},
}
"""The commands under the headings of the help, in the order in which a project needs them."""
COMMANDS |= {name: command for panel in PANELS.values() for name, command in panel.items()}


CACHING = frozenset({"demo", "fit", "tune", "distill", "evaluate", "explain", "export", "inspect-data", "check", "cache"})
"""Commands that may keep decoded images and encoded columns."""
CUTTING = frozenset({"demo", "fit", "tune", "distill", "evaluate", "predict", "inspect-data", "check"})
"""Commands with `--all`, which may find a problem in every row."""
HOMELESS = "this user has no home folder, so decoded images are cached in {folder}. Set MMTRAIN_CACHE to a permanent folder."


for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, cls=Command, help=help_of(_command), rich_help_panel=_panel)(_command)
app.add_typer(models.app, name="models", rich_help_panel="Look up")
app.add_typer(cache.app, name="cache", rich_help_panel="Look up")


def _import_first(context: typer.Context, code: list[Path] | None) -> None:
    """Import the files of `--code` before the command is looked up, which may be one of theirs."""
    if code:
        import_allowed(code)
        group: Any = context.command  # our `Group`, which Typer has under the name of its base class
        group.add_registered()


FirstCode = typer.Option("--code", metavar="FILE", help="A Python file with commands of your own.", is_eager=True, callback=_import_first)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
    code: Annotated[list[Path] | None, FirstCode] = None,  # noqa: ARG001
) -> None:
    """Print the version or the help, where no command follows."""
    if show:
        from importlib.metadata import version as installed

        typer.echo(installed("mmtrain"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def command_of(arguments: list[str]) -> str:
    """Return the name of the command, which may stand behind `--code FILE`; empty where there is none.

    >>> command_of(["--code", "own.py", "fit", "a.yaml"])
    'fit'
    """
    words = iter(arguments)
    for word in words:
        if word == "--code":
            next(words, None)
        elif not word.startswith("--code="):
            return word
    return ""


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
        if is_homeless() and not CACHING.isdisjoint([command_of(arguments)]):
            typer.echo(f"note: {HOMELESS.format(folder=homeless_cache())}", err=True)
        with at_once():
            app(arguments)
    except SystemExit as exit_request:
        code = exit_request.code
        # `exit("text")` has a text as its code, which counts as 1.
        return code if isinstance(code, int) else int(code is not None)
    except MmtrainError as error:
        from mmtrain.cli.views.console import show_problems

        show_problems(error, as_json="--json" in arguments, every=CUTTING.isdisjoint([command_of(arguments)]) or "--all" in arguments)
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
