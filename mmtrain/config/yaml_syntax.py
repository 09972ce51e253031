"""Text to YAML nodes, and plain values to their types; for text that is not YAML, the line and the likely cause in plain words."""

from __future__ import annotations

import re
import sys
from typing import Any

import yaml

from mmtrain.errors import ConfigError, Problem

NESTED = Problem("", "lists and maps are nested too deeply, or an alias refers to itself.", "Fifty levels are allowed; a file needs five.")

ESCAPE = re.compile(r"\\U([0-9A-Fa-f]{8})")

CAUSES = (
    (
        "found undefined alias",
        "a value that begins with `*` is the alias of an anchor, and there is no such anchor.",
        "Quote it if it is text.",
    ),
    ("found duplicate anchor", "two anchors (`&`) have the same name.", "Rename one of them."),
    ("expected a single document", "a second document begins here.", "Remove the line `---`; a file holds one experiment."),
    ("unknown escape character", "a backslash in double quotes begins an escape.", "Use single quotes, or write the backslash twice."),
    ("could not find expected ':'", "this line is neither a key with a value nor part of a list.", "Write `key: value`."),
    ("mapping values are not allowed", "there is a colon too many, or the line is indented too far.", "Quote a value that holds a colon."),
    ("that cannot start any token", "a value cannot begin with this character.", "Quote the value."),
    (
        "expected <block end>",
        "the line is not in line with those above it.",
        "Indent keys of the same section alike, and quote values as a whole.",
    ),
)
"""Part of PyYAML's message, the cause in plain words, and the fix."""


BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+\Z")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")


class Quoted(str):
    """A text that was written in quotes, or as a block."""


def compose(text: str, file: str) -> yaml.Node | None:
    """Return the root node; None for a text without any value. Raises ConfigError with the line of a syntax error."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line, what, fix = _explained(text, error)
        raise ConfigError(Problem(f"{file}:{line}", what, fix)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character U+{int(error.character):04X} does not belong in a text file."
        raise ConfigError(Problem(f"{file}:{line}", what, "Remove it.")) from None
    except (ValueError, OverflowError):  # raised by chr, to which PyYAML passes any number
        line = next((text.count("\n", 0, match.start()) + 1 for match in ESCAPE.finditer(text) if int(match[1], 16) > sys.maxunicode), 1)
        what = "a backslash escape stands for a character that does not exist."
        raise ConfigError(Problem(f"{file}:{line}", what, "Characters end at \\U0010FFFF.")) from None
    except RecursionError:
        raise ConfigError(Problem(file, NESTED.what, NESTED.fix)) from None


def check_colon(key: yaml.Node, file: str) -> None:
    """Raise ConfigError for `age {role: numeric}`, which YAML reads as the key `age {role`; `dose [mg]` is a legitimate header."""
    if isinstance(key, yaml.ScalarNode) and key.style is None and key.value.count("{") != key.value.count("}"):
        word = key.value.partition("{")[0].strip()
        raise ConfigError(Problem(f"{file}:{key.start_mark.line + 1}", "a colon is missing before the bracket.", f"Write `{word}: {{`."))


def _explained(text: str, error: yaml.MarkedYAMLError) -> tuple[int, str, str]:
    """Return the line, the cause and the fix of a syntax error."""
    problem, during = str(error.problem), str(error.context)
    # The place where the error was noticed, or else where its context began.
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 1
    opened = error.context_mark.line + 1 if error.context_mark is not None else line
    if "'\\t'" in problem:
        return line, *_tab(text.splitlines()[line - 1])
    if "quoted scalar" in during and "end of stream" in problem:
        return opened, "a quote is opened and never closed.", "Close it, or remove it."
    if "flow sequence" in during or "flow mapping" in during:
        bracket, closing = ("[", "]") if "sequence" in during else ("{", "}")
        return opened, f"the bracket `{bracket}` is opened and not closed properly.", f"Check the commas and the closing `{closing}`."
    if "found ']'" in problem or "found '}'" in problem:
        return line, "a bracket is closed that was not opened.", "Remove it, or open it."
    for sign, what, fix in CAUSES:
        if sign in problem or sign in during:
            return line, what, fix
    return line, f"this is not YAML: {problem}.", "Check the indentation, and that each key has a colon and a blank after it."


def _tab(line: str) -> tuple[str, str]:
    # Only a tab before the first character is indentation.
    indented = "\t" in line[: len(line) - len(line.lstrip())]
    return "the line is indented with a tab." if indented else "there is a tab between two words.", "Use spaces instead."


def typed_value(value: Any) -> Any:
    """Return a value of the tree with the type that YAML gives it: numbers and booleans of the core schema (YAML 1.2.2, 10.3.2).

    Infinities, and numbers in other bases than ten, stay text.
    """
    if isinstance(value, dict):
        return {key: typed_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed_value(item) for item in value]
    if isinstance(value, Quoted):
        return str(value)
    if not isinstance(value, str):
        return value
    if INTEGER.match(value):
        return int(value)
    return float(value) if NUMBER.match(value) else BOOLEANS.get(value, value)
