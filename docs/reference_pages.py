"""The reference pages of the site, made from the package when the site is built: none of them is written by hand.

`conf.py` calls `write_pages`; `pages` returns the same pages.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import accuracy_page
import results_page
import typer

import mmtrain
from mmtrain.artifacts.command_results import ListedName, ListedOption
from mmtrain.cli.app import app
from mmtrain.commands.installation.reference import KINDS, METRIC_KIND, SECTIONS, names_of_kind

FOLDER = "reference"
TITLES = {
    "columns": ("Columns", "Every column of the table that the experiment uses has a `role` under `columns`."),
    "branches": ("Branches", "The `architecture` of a branch. `pretrained` stands for `image_pretrained` or `text_pretrained`."),
    "fusions": ("Fusions", "The `method` under `fusion` joins the features of all branches."),
    "targets": ("Targets", "The `task` of a column with the role `target`."),
    "losses": ("Losses", "The `loss` of a target, in place of that of its task."),
    "splits": ("Splits", "The `method` under `split` divides the rows. A column with the role `group` keeps its rows together in each."),
    "optimizers": ("Optimizers", "`training.optimizer`: a name, or a map with its options."),
    "schedules": ("Schedules", "`training.schedule`, the course of the learning rate: a name, or a map with its options."),
    "trackers": ("Trackers", "`training.trackers`, a list of names or of maps with options: what follows a training without changing it."),
    METRIC_KIND: ("Metrics", "Names of scores, in `evaluate` and as `monitor` of early stopping (`validation_auc`)."),
}
EXIT_CODES = """## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a run failed, or a run folder cannot be used |
| 2 | a mistake on the command line or in the experiment file |
| 3 | a mistake in the table, in a cell or in an image |
| 130 | stopped by Ctrl-C; what was kept is said |
| 143 | stopped by SIGTERM; what was kept is said |
"""
AUDIT = Path(mmtrain.__file__).parent / "audit"
CHECKED = {"leakage": "Leakage", "quality": "Quality of columns", "images": "Images"}
HELPERS = frozenset(
    {"checks", "comparable_images", "file_metadata", "image_column", "image_fingerprints", "vocabulary", "predictive_power"}
)
"""Modules of the audit that find nothing themselves."""


def write_pages(folder: Path) -> None:
    """Write the pages under `folder`, the source of the site; a page that has not changed keeps its time."""
    for name, text in pages().items():
        page = folder / name
        page.parent.mkdir(exist_ok=True)
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the text of every page by its path in the site."""
    made = {
        "experiment": _experiment_page(),
        **{kind: _kind_page(kind) for kind in (*KINDS, METRIC_KIND)},
        "commands": _commands_page(),
        "python": _python_page(),
        "findings": _findings_page(),
        "results": results_page.page(),
        "architecture": _architecture_page(),
        "accuracy": accuracy_page.page(),
    }
    contents = [*made]
    index = f"# Reference\n\nMade from the code and its docstrings.\n\n```{{toctree}}\n{chr(10).join(contents)}\n```\n"
    return {f"{FOLDER}/{name}.md": text for name, text in {"index": index, **made}.items()}


def _architecture_page() -> str:
    first, _, rest = inspect.cleandoc(mmtrain.__doc__ or "").partition("\n")
    return f"# Architecture\n\n{first}\n{re.sub('^# ', '## ', rest, flags=re.MULTILINE)}\n"


def _experiment_page() -> str:
    whole, *sections = names_of_kind(SECTIONS)
    lines = ["# The experiment file", "", whole.purpose, "", *_options_table(whole.options)]
    for section in sections:
        lines += [f"## {section.name}", "", section.purpose, "", *_options_table(section.options)]
    return _text(lines)


def _kind_page(kind: str) -> str:
    title, introduction = TITLES[kind]
    listed = names_of_kind(kind)
    lines = [f"# {title}", "", introduction, ""]
    if kind == METRIC_KIND:
        return _text([*lines, *_table(("metric", "meaning"), ((f"`{one.name}`", one.purpose) for one in listed))])
    shared = _shared_options(listed)
    if shared:
        lines += ["Options of each:", "", *_options_table(shared)]
    names = {option.name for option in shared}
    for one in listed:
        lines += [f"## {one.name}", "", one.purpose, "", *_options_table([option for option in one.options if option.name not in names])]
    return _text(lines)


def _shared_options(listed: Sequence[ListedName]) -> list[ListedOption]:
    """Return the options that all names have alike, in the order of the first."""
    first, *others = listed
    return [option for option in first.options if others and all(option in one.options for one in others)]


def _options_table(options: Sequence[ListedOption]) -> list[str]:
    if not options:
        return []
    rows = ((f"`{one.name}`", one.values, f"`{one.default}`" if one.default else "", one.description) for one in options)
    return _table(("option", "values", "default", "meaning"), rows)


def _commands_page() -> str:
    group: Any = typer.main.get_command(app)
    lines = ["# Commands", "", "`mmtrain COMMAND --help` prints the same.", "", EXIT_CODES]
    for name, command in _commands(group, "mmtrain"):
        context = typer.Context(command, info_name=name)
        lines += [f"## {name}", "", command.help or "", "", f"```\n{name} {' '.join(command.collect_usage_pieces(context))}\n```", ""]
        rows = [row for one in command.params if (row := _parameter(one, context))]
        lines += _table(("option", "meaning"), rows) if rows else []
    return _text(lines)


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _parameter(parameter: Any, context: typer.Context) -> tuple[str, str] | None:
    """Return an option as `mmtrain COMMAND --help` has it."""
    record = parameter.get_help_record(context)
    return (f"`{record[0]}`", record[1]) if record else None


def _python_page() -> str:
    lines = ["# Python", "", "`import mmtrain` offers these names.", ""]
    for name in mmtrain.__all__:
        thing = getattr(mmtrain, name)
        signature = "" if inspect.isclass(thing) and issubclass(thing, Exception) else _signature(thing)
        lines += [f"## mmtrain.{name}", "", *([f"```python\nmmtrain.{name}{signature}\n```", ""] if signature else []), *_docstring(thing)]
    return _text(lines)


def _signature(thing: Any) -> str:
    signature = inspect.signature(thing)
    parameters = [f"    {parameter}," for parameter in signature.parameters.values()]
    returned = "" if signature.return_annotation is signature.empty else f" -> {signature.return_annotation}"
    stars = [f"    {mark}," for mark in ("*",)] if any(one.kind is one.KEYWORD_ONLY for one in signature.parameters.values()) else []
    keyword = next((place for place, one in enumerate(signature.parameters.values()) if one.kind is one.KEYWORD_ONLY), len(parameters))
    return "(\n" + "\n".join([*parameters[:keyword], *stars, *parameters[keyword:]]) + f"\n){returned}" if parameters else f"(){returned}"


def _docstring(thing: Any) -> list[str]:
    """Return a docstring as Markdown: its lists of arguments and errors become code blocks of text."""
    body, _, example = inspect.cleandoc(thing.__doc__ or "").partition("\n>>>")
    lines = [*_sections(body), ""]
    return [*lines, f"```pycon\n>>>{example}\n```", ""] if example else lines


def _sections(body: str) -> Iterator[str]:
    for line in body.splitlines():
        indented = line.startswith("    ")
        stripped = line.strip()
        if indented and not line.startswith("     ") and ":" in stripped:
            name, _, meaning = stripped.partition(":")
            yield f"- `{name}`:{meaning}"
        elif indented:
            yield f"  {stripped}"
        elif stripped in ("Args:", "Returns:", "Raises:", "Arguments:", "Example:"):
            yield f"**{stripped.rstrip(':')}**\n"
        else:
            yield line


def _findings_page() -> str:
    lines = ["# Findings of inspect-data", "", "`error`, `warning` or `note`, each with its reason and its remedy.", ""]
    for folder, title in CHECKED.items():
        modules = [path for path in sorted((AUDIT / folder).glob("[a-z]*.py")) if path.stem not in HELPERS]
        rows = ((f"`{path.stem}`", _first_paragraph(path)) for path in modules)
        lines += [f"## {title}", "", *_table(("check", "what it finds"), rows)]
    return _text(lines)


def _first_paragraph(path: Path) -> str:
    return " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0].split())


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    lines += [f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return [*lines, ""]


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
