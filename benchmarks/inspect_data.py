"""How long `inspect-data` takes on a large table without images, and how much memory.

    python benchmarks/inspect_data.py [--quick] [--json FILE]        (a minute and a half on two cores)

A table of 1 million rows of two numbers, two categories, a text of 30 words, an answer and a group of about three rows; the command
is run as a person runs it, in a process of its own, with an experiment file and on the bare table. Seconds are of the clock, from
the start of Python to its end; `processor` is what it had of all cores together, which a busy machine does not stretch. Memory is
the largest resident size of the process, which holds pandas and Arrow, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from generated_table import COLUMNS, write_experiment, write_table
from script import keep, parser

TARGET = 30.0
"""Seconds for the experiment on the large table."""


def inspected(source: Path) -> dict[str, Any]:
    """Seconds and memory of one run of the command, and how much it found."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "mmtrain", "inspect-data", str(source), "--json"]
    with tempfile.TemporaryFile("w+") as document:
        process = subprocess.Popen(command, stdout=document)  # noqa: S603 (our own command)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"inspect-data ended with {process.returncode}.")
        document.seek(0)
        findings = json.load(document)["findings"]
    seconds = time.perf_counter() - begun
    return {
        "seconds": round(seconds, 1),
        "processor": round(used.ru_utime + used.ru_stime, 1),
        "memory_MB": round(used.ru_maxrss / 1000),
        "findings": [f"{finding['level']} {finding['kind']} {finding['where']}" for finding in findings],
    }


def main() -> None:
    options = parser(__doc__, quick="20,000 rows, in any time.").parse_args()
    rows = 20_000 if options.quick else 1_000_000
    with tempfile.TemporaryDirectory(prefix="inspect_data_") as name:
        folder = Path(name)
        table = write_table(folder / "table.csv", rows, patients=rows // 3)
        experiment = write_experiment(folder, columns=COLUMNS | {"patient": {"role": "group"}})
        results = {"experiment": inspected(experiment), "bare table": inspected(table)}
    print(json.dumps(results, indent=1))
    keep(options, {"rows": rows}, results)
    seconds = results["experiment"]["seconds"]
    if not options.quick and seconds > TARGET:
        raise SystemExit(f"{rows:,} rows took {seconds} s, more than {TARGET:.0f} s.")


if __name__ == "__main__":
    main()
