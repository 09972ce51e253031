"""What all scripts here have: the options `--quick` and `--json`, and the document that `--json` asks for."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mmtrain.pipeline.train_run import versions


def parser(doc: str | None, *, quick: str) -> argparse.ArgumentParser:
    """With the script's own docstring as its help, and what a quick run of it is."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--json", type=Path, metavar="FILE", help="Also write the results to this file.")
    return made


def keep(options: argparse.Namespace, settings: Mapping[str, object], results: object) -> None:
    """Write the results where `--json` says, if it does, with what they were measured on."""
    if options.json is None:
        return
    document = {
        "name": Path(sys.argv[0]).stem,
        "settings": {**settings, "quick": options.quick},
        "machine": machine(),
        "results": results,
    }
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, object]:
    """What the figures depend on; the load is that of the last minute."""
    processor = memory = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
        memory = Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]
    return {
        "processor": processor or platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "memory_GiB": round(int(memory) / 2**20, 1) if memory else None,
        "versions": versions(),
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
    }
