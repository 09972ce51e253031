"""The experiment file as a tree of plain values that remembers the line of every key.

A plain scalar stays text until the field it is for says what it means, so that `positive: 010` is the class "010",
`epochs: 010` is ten, `learning_rate: 1e-3` is a number and `no` is a word or a false, whichever is asked for.
Only `null`, `~` and an empty value are read here, as "left out".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mmtrain.errors import ConfigError, Problem

Location = tuple[str | int, ...]
MOST_NODES = 100_000


@dataclass
class Source:
    """`tree` holds str, None, list and dict; `lines` says where each location was written."""

    file: str
    tree: dict[str, Any]
    lines: dict[Location, str] = field(default_factory=dict)

    def place(self, location: Location) -> str:
        """`clinic.yaml:12: columns.age`: the line of the location, or of the nearest thing around it."""
        dotted = ".".join(str(part) for part in location)
        for length in range(len(location), -1, -1):
            if location[:length] in self.lines:
                written = self.lines[location[:length]]
                return f"{written}: {dotted}" if dotted else written
        return f"{self.file}: {dotted}" if dotted else self.file

    def line(self, location: Location) -> int:
        """The line number of a location, for sorting; 0 when it comes from elsewhere."""
        for length in range(len(location), -1, -1):
            written = self.lines.get(location[:length], "")
            if written.startswith(f"{self.file}:"):
                return int(written.rsplit(":", 1)[1])
        return 0


def read(path: Path, overrides: Iterable[str] = ()) -> Source:
    """Read an experiment file, then put `key.sub=value` overrides into it.

    Raises ConfigError: no such file, not UTF-8, not YAML (with the line), duplicate keys, an override without `=`.
    """
    source = Source(path.name, {})
    reader = _Reader(source)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            Problem(str(path), "the file does not exist.", "Give the path of an experiment file; `mmtrain init TABLE` writes one.")
        ) from None
    except IsADirectoryError:
        raise ConfigError(Problem(str(path), "this is a folder.", "Give the path of an experiment file.")) from None
    except OSError as error:
        raise ConfigError(Problem(str(path), f"the file cannot be read: {error.strerror}.")) from None
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(str(path), f"byte {error.start} is not UTF-8 text.", "Save the file as UTF-8.")) from None
    tree = reader.parsed(text)
    if not isinstance(tree, dict):
        raise ConfigError(
            Problem(path.name, "an experiment file is a map of sections.", "It begins with keys like `data:` and `columns:`.")
        )
    source.tree = tree
    for override in overrides:
        reader.override(override)
    if reader.problems:
        raise ConfigError(reader.problems)
    return source


class _Reader:
    """Turns YAML nodes into plain values and notes lines and problems on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.nodes = 0

    def parsed(self, text: str) -> Any:
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise ConfigError(_syntax_problem(self.source.file, text, error)) from None
        except yaml.YAMLError as error:
            raise ConfigError(Problem(self.source.file, f"this is not YAML: {' '.join(str(error).split())}.")) from None
        return {} if node is None else self.value(node, (), self.source.file)

    def value(self, node: yaml.Node, location: Location, file: str) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES or len(location) > 50:
            raise ConfigError(
                Problem(file, "the file is too large or refers to itself.", "Write repeated parts out instead of using anchors.")
            )
        self.source.lines.setdefault(location, f"{file}:{node.start_mark.line + 1}" if file != "--set" else file)
        if isinstance(node, yaml.MappingNode):
            return self.map(node, location, file)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, number), file) for number, item in enumerate(node.value)]
        plain = node.style is None
        return None if plain and node.value in ("", "~", "null", "Null", "NULL") else str(node.value)

    def map(self, node: yaml.MappingNode, location: Location, file: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = f"{file}:{key_node.start_mark.line + 1}" if file != "--set" else file
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(line, "a key has to be a single word or text.", "Write `key: value`."))
                continue
            key = str(key_node.value)
            where = (*location, key)
            if key in found:
                first = self.source.lines[where].rsplit(":", 1)[-1]
                dotted = ".".join(str(part) for part in where)
                self.problems.append(
                    Problem(f"{line}: {dotted}", f"the key is here a second time, after line {first}.", "Remove one of the two.")
                )
                continue
            self.source.lines[where] = line
            found[key] = self.value(value_node, where, file)
        return found

    def override(self, text: str) -> None:
        key, equals, value = text.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            self.problems.append(Problem(f"--set {text}", "an override is written key.sub=value.", "For example: --set training.epochs=5"))
            return
        parent: Any = self.source.tree
        for part in path[:-1]:
            if not isinstance(parent.get(part), dict):
                parent[part] = {}
            parent = parent[part]
        location: Location = tuple(path)
        for known in [known for known in self.source.lines if known[: len(location)] == location]:
            del self.source.lines[known]
        reader = _Reader(self.source)
        try:
            node = yaml.compose(value, Loader=yaml.SafeLoader)
        except yaml.YAMLError:
            self.problems.append(Problem(f"--set {key}", f"{value!r} is not a YAML value.", "Quote it, or check its brackets."))
            return
        parent[path[-1]] = None if node is None else reader.value(node, location, "--set")
        self.source.lines[location] = "--set"
        self.problems += reader.problems


def _syntax_problem(file: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    """The line and the likely cause of what the YAML parser stumbled over."""
    mark = error.problem_mark or error.context_mark
    line = (mark.line if mark else 0) + 1
    lines = text.splitlines()
    written = lines[line - 1] if line <= len(lines) else ""
    indent = written[: len(written) - len(written.lstrip())]
    if "\t" in indent or "'\\t'" in str(error.problem):
        return Problem(f"{file}:{line}", "the line is indented with a tab.", "YAML wants spaces.")
    if "quoted scalar" in str(error.context) and error.context_mark is not None:
        return Problem(f"{file}:{error.context_mark.line + 1}", "a quote is opened and never closed.", "Close it, or remove it.")
    if "flow" in str(error.context) and error.context_mark is not None:
        return Problem(
            f"{file}:{error.context_mark.line + 1}",
            "a bracket is opened here and not closed properly.",
            "Check the commas and the closing `]` or `}`.",
        )
    return Problem(
        f"{file}:{line}",
        f"this is not YAML: {error.problem}.",
        "Check the indentation, and that each key has a colon and a blank after it.",
    )
