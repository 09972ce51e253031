"""What `inspect-data` shows of its findings: how many of each level, then each with its reason and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from mmtrain.cli.show import printable
from mmtrain.data.findings import Finding
from mmtrain.data.findings.finding import head, which

STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """All of them, the worst first."""
    console.print()
    if not findings:
        console.print("Nothing was found that would spoil a study.")
        return
    console.print(Text(head(findings), style="bold"))
    for finding in findings:
        line = Text(f"{finding.level}: ", style=STYLES[finding.level])
        line.append(f"{printable(finding.where)}: {printable(finding.what)}", style="not bold")
        line.append(f" {printable(finding.why)}", style="not bold dim")
        line.append(f" {printable(finding.fix)}", style="not bold green")
        if named := which(finding):
            line.append(f" {printable(named)}", style="not bold dim")
        console.print(line, soft_wrap=True)
