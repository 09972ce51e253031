"""Options that several commands share, and the parsing of command lines.

Help shows flags without a type, and an error about an unknown word suggests the known word that was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

from mmtrain.errors import did_you_mean
from mmtrain.synonyms import names_of

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY.SUB=VALUE", help="Override a value of the file; may be given several times.")
]
Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder that holds the runs.")]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="FOLDER", help="The folder that image cells are relative to.", show_default=False)
]
Table = Annotated[
    Path | None,
    typer.Option("--table", metavar="FILE", help="Where the table of the training is now, if it has moved.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
All = Annotated[bool, typer.Option("--all", help="Show every problem; by default the first 20.")]
"""Read by `app.run`, which prints the problems."""
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only.")]
Code = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        metavar="FILE",
        help="A Python file with your own columns, branches, losses, callbacks and so on, imported first; may be given several times.",
    ),
]
AllowCallbacks = Annotated[
    bool,
    typer.Option(
        "--allow-callbacks",
        help="Let `training.callbacks` import any installed module, not only callbacks of Keras and of --code files. For files you trust.",
    ),
]
Run = Annotated[
    str | None, typer.Argument(help="A run folder, or a name (its latest run). Left out: the latest run of all.", show_default=False)
]


def import_allowed(code: list[Path] | None, *, any_callbacks: bool = False) -> None:
    """Import the files of --code; with --allow-callbacks, let the experiment import any module."""
    from mmtrain.system.user_code import allow_callbacks, import_code

    import_code(code)
    if any_callbacks:
        allow_callbacks()


COMMANDS: dict[str, Callable[..., None]] = {}
"""Functions of the commands by name, those of mmtrain first."""
CommandFunction = TypeVar("CommandFunction", bound=Callable[..., None])


def command(function: CommandFunction) -> CommandFunction:
    """Register a Typer function as a command of its name, with `-` for `_`. Raises ValueError when the name is taken."""
    name = function.__name__.replace("_", "-")
    if name in COMMANDS and COMMANDS[name].__qualname__ != function.__qualname__:
        raise ValueError(f"The command name {name!r} is already taken by {COMMANDS[name].__module__}. Give the function another name.")
    COMMANDS[name] = function
    return function


def help_of(function: Callable[..., None]) -> str:
    """Return the docstring of a command with a line per paragraph: Typer keeps the line breaks of all but the first."""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in (getdoc(function) or "").split("\n\n"))


UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""Click's UsageError, which newer versions of Typer bundle under another module."""
CHOICE = re.compile(r"'(.*)' is not one of (.*)\.$")


RANGE = "N"
"""Placeholder for a number in a range; Typer's, `<int range>`, leaves the help of an option too few letters a line in 80 columns."""


class _Options:
    """Show short placeholders in the help, flags without any, and brackets in sentences."""

    help: str | None

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if param.metavar is None and param.param_type_name == "option":
                # Typer shows `<bool>` for a flag.
                is_ranged = (getattr(param, "min", None), getattr(param, "max", None)) != (None, None)
                param.metavar = "" if getattr(param, "is_bool_flag", False) else RANGE if is_ranged else None
        return params

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; Rich would take `[tune]` for a style and leave it out."""
        described = self.help
        self.help = re.sub(r"\[(?=[a-z])", r"\\[", described or "")
        try:
            super().format_help(ctx, formatter)  # type: ignore[misc]
        finally:
            self.help = described


class Command(_Options, TyperCommand):
    """A command whose errors name the choices of a refused value without pydantic's prefix, and suggest the nearest one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            # Click lists the choices; the nearest one is named in addition.
            if refused := CHOICE.match(error.message):
                hint = did_you_mean(refused[1], re.findall(r"'([^']*)'", refused[2]))
                error.message = f"{error.message} {hint}".rstrip()
            raise
        except UsageError as error:
            option = str(getattr(error, "option_name", ""))
            # Commands with --set: a setting of the training is usually meant.
            if option and any("--set" in param.opts for param in self.params) and (key := _training_key(option)):
                error.message, error.possibilities = f"No such option: {option}. Write `--set training.{key}=VALUE`.", None
            raise


def _training_key(option: str) -> str:
    """Return the key of the section `training` that an option means, `epochs` for `--epochs`; empty for any other option."""
    from mmtrain.config import Experiment

    known = Experiment.model_fields["training"].annotation.model_fields  # type: ignore[union-attr]
    word = option.lstrip("-").replace("-", "_")
    return next((name for name in (word, *names_of(word)) if name in known), "")


class Group(_Options, TyperGroup):
    """A group whose errors suggest the command that was meant, `fit` for `train`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names."""
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            hint = did_you_mean(args[0], self.commands)
            if "--code" in args and not hint:
                hint = f"If a file of yours adds it, give the file first: `mmtrain --code FILE {args[0]}`."
            if hint:
                error.message = f"No such command '{args[0]}'. {hint}"
            raise

    def add_registered(self) -> None:
        """Add the commands that files of `--code` have registered since the group was built."""
        for name, function in COMMANDS.items():
            if name not in self.commands:
                info = CommandInfo(name, cls=Command, callback=function, help=help_of(function))
                built = get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=self.rich_markup_mode)
                self.add_command(built, name)
