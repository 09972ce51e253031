"""Findings of `inspect-data`: the number per level, then a line per kind with its reason and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from mmtrain.audit import Finding
from mmtrain.audit.finding import Kind, by_kind, sample_rows
from mmtrain.cli.views.console import line
from mmtrain.text.printable import printable

STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}


def show_findings(console: Console, findings: Sequence[Finding], *, every: bool = False) -> None:
    """One line for each kind with its worst findings, or one for each finding; the worst level first."""
    console.print()
    if not findings:
        console.print("Nothing was found that would spoil a study.")
        return
    line(console, sample_rows(findings), style="bold")
    for kind in [Kind((finding,)) for finding in findings] if every else by_kind(findings):
        what, why, fix, rows = (printable(part) for part in kind.line("Each by itself: --all."))
        # In brackets: a column may be called `note`.
        text = Text(f"[{kind.level}] ", style=STYLES[kind.level])
        text.append(what, style="not bold")
        for part, style in ((why, "dim"), (fix, "green"), (rows, "dim")):
            text.append(f" {part}" if part else "", style=f"not bold {style}")
        line(console, text)
