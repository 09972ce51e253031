"""Background of the result: what the columns learned, the experiment, versions and hashes."""

from __future__ import annotations

from mmtrain.columns import inputs_among
from mmtrain.reports.blocks import Cell, Code, Folded, Section, Table
from mmtrain.reports.report_data import ReportData
from mmtrain.reports.wording import plain


def columns(contents: ReportData) -> Section:
    """Summarize what each column learned from the training rows."""
    declared = inputs_among(contents.columns)
    lines = []
    for key, fitted in contents.fitted.columns.items():
        lines.append((Cell(key), Cell(fitted.role), Cell(fitted.learned_words(declared[key], plain))))
    note = "Learned from the training rows alone; the whole is in columns.json."
    return Section("What the columns learned", (Table("Columns", ("Column", "Role", "Learned"), tuple(lines), note),))


def experiment(contents: ReportData) -> Section:
    """The resolved experiment file, which repeats the run."""
    return Section("Experiment", (Folded("config.yaml, with every default written out", (Code(contents.config),)),))


def provenance(contents: ReportData) -> Section:
    """Versions, seed and hashes."""
    facts = contents.facts
    lines = [(Cell(name), Cell(str(version))) for name, version in (facts.versions or {}).items()]
    lines.append((Cell("seed"), Cell(f"{'–' if facts.seed is None else facts.seed}{', deterministic' if facts.deterministic else ''}")))
    hashes = {contents.data.table: contents.data.sha256, **(facts.files or {})}
    return Section(
        "Versions and hashes",
        (
            Table("Versions", ("What", "Version"), tuple(lines)),
            Table("SHA-256", ("File", "Hash"), tuple((Cell(name), Cell(value)) for name, value in hashes.items())),
        ),
    )
