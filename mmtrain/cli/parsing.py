"""How the command line is read: help without types of flags, and what was meant by a word that is not known."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from mmtrain.errors import did_you_mean
from mmtrain.synonyms import names_of

UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""Of Click, under whatever name Typer brings it along."""
CHOICE = re.compile(r"'(.*)' is not one of (.*)\.$")


class _Options:
    """Shows options that take no value without a type; Typer shows `<bool>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_bool_flag", False) and param.metavar is None:
                param.metavar = ""
        return params


class Command(_Options, TyperCommand):
    """Says of a refused choice what the choices are, without the words that pydantic puts before it, and which was meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words behind the command's name."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            if refused := CHOICE.match(error.message):
                hint = did_you_mean(refused[1], re.findall(r"'([^']*)'", refused[2]))
                error.message = f"{error.message} {hint}".rstrip()
            raise
        except UsageError as error:
            option = str(getattr(error, "option_name", ""))
            if option and any("--set" in param.opts for param in self.params) and (key := _training_key(option)):
                error.message, error.possibilities = f"No such option: {option}. Write `--set training.{key}=VALUE`.", None
            raise


def _training_key(option: str) -> str:
    """The key of the section `training` that an option is usually called after; empty for another option, which may be misspelt."""
    from mmtrain.config import Experiment

    known = Experiment.model_fields["training"].annotation.model_fields  # type: ignore[union-attr]
    word = option.lstrip("-").replace("-", "_")
    return next((name for name in (word, *names_of(word)) if name in known), "")


class Group(_Options, TyperGroup):
    """Says which command was meant, also by a word that other programs have for it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first word names."""
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            if hint := did_you_mean(args[0], self.commands):
                error.message = f"No such command '{args[0]}'. {hint}"
            raise
