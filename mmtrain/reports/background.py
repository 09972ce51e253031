"""What stands behind the result: what the columns learned, the experiment, versions and hashes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mmtrain.columns import InputColumn, Numeric
from mmtrain.errors import counted, listed
from mmtrain.reports.blocks import Cell, Code, Folded, Section, Table
from mmtrain.reports.report_data import ReportData
from mmtrain.reports.wording import count, plain


def columns(contents: ReportData) -> Section:
    """What training rows taught each column, in brief."""
    declared = contents.experiment.inputs
    lines = []
    for key, fitted in contents.fitted.columns.items():
        describe, values = LEARNED.get(fitted.role), fitted.model_dump()
        learned = in_brief(values) if describe is None else describe(values, declared[key])
        lines.append((Cell(key), Cell(fitted.role), Cell(learned)))
    note = "Learned from the training rows alone; the whole is in columns.json."
    return Section("What the columns learned", (Table("Columns", ("Column", "Role", "Learned"), tuple(lines), note),))


def _numeric(values: Mapping[str, Any], declared: InputColumn) -> str:
    words = [f"from {plain(values['minimum'])} to {plain(values['maximum'])}"]
    if isinstance(declared, Numeric) and declared.normalize == "standard":
        words.append(f"mean {plain(values['center'])}, standard deviation {plain(values['scale'])}")
    if not values["masked"]:
        words.append(f"median {plain(values['fill'])}" + (" instead of a missing number" if values["missing"] else ""))
    return "; ".join([*words, _missing(values["missing"])])


def _categorical(values: Mapping[str, Any], _: InputColumn) -> str:
    names = values["categories"]
    word = "category" if len(names) == 1 else "categories"
    return "; ".join([f"{count(len(names))} {word}{': ' if names else ''}{listed(names)}", _missing(values["missing"])])


def _text(values: Mapping[str, Any], _: InputColumn) -> str:
    kept = f"{counted(values['length'], 'word')} kept of each text, the longest has {count(values['longest'])}"
    return "; ".join([f"a vocabulary of {counted(len(values['words']), 'word')}", kept, _missing(values["missing"])])


def _image(values: Mapping[str, Any], _: InputColumn) -> str:
    size = f"{values['height']} × {values['width']} pixels"
    return f"nothing; images of {size}, {counted(values['channels'], 'channel')}, {values['bits']} bits"


def _missing(rows: int) -> str:
    return f"missing in {counted(rows, 'training row')}" if rows else "never missing"


def in_brief(values: Mapping[str, Any]) -> str:
    """For a role this page does not know: short values as they are, long ones counted."""
    words = []
    for name, value in values.items():
        long = isinstance(value, list | tuple | dict)
        short = plain(value) if isinstance(value, float) else str(value)
        words += [] if name == "role" else [f"{name}: {counted(len(value), 'value') if long else short}"]
    return "; ".join(words) or "nothing"


LEARNED: Mapping[str, Callable[[Mapping[str, Any], InputColumn], str]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "text": _text,
    "image": _image,
}


def experiment(contents: ReportData) -> Section:
    """The resolved experiment file, which repeats the run."""
    return Section("Experiment", (Folded("config.yaml, with every default written out", (Code(contents.config),)),))


def provenance(contents: ReportData) -> Section:
    """Versions, seed and hashes."""
    facts = contents.facts
    lines = [(Cell(name), Cell(str(version))) for name, version in facts.get("versions", {}).items()]
    lines.append((Cell("seed"), Cell(f"{facts.get('seed', '–')}{', deterministic' if facts.get('deterministic') else ''}")))
    hashes = {contents.data["table"]: contents.data["sha256"], **facts.get("files", {})}
    return Section(
        "Versions and hashes",
        (
            Table("Versions", ("What", "Version"), tuple(lines)),
            Table("SHA-256", ("File", "Hash"), tuple((Cell(name), Cell(value)) for name, value in hashes.items())),
        ),
    )
