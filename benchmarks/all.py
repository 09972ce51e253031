"""Every benchmark one after the other: results as JSON in a folder, and what machine they were measured on.

    make bench              (about an hour on two quiet cores)
    make bench QUICK=1      (a smoke run: every script, on little data)

Each script can also be started by itself; `--help` says what it measures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

SCRIPTS = (
    "start_up",
    "throughput",
    "image_store",
    "store_read",
    "augmentation",
    "text",
    "memory",
    "predict",
    "predict_pictures",
    "inspect_data",
    "inspect_pictures",
    "intervals",
)
HERE = Path(__file__).parent


def machine() -> dict[str, object]:
    """What the figures depend on."""
    from mmtrain.workflows.versions import versions

    processor = memory = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
        memory = Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]
    return {
        "processor": processor or platform.processor(),
        "cores": os.cpu_count(),
        "memory_GiB": round(int(memory) / 2**20, 1) if memory else None,
        "versions": versions(),
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"), help="Where the JSON files go.")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n", encoding="utf-8")
    failed = []
    for name in SCRIPTS:
        print(f"== {name}", flush=True)
        begun = time.perf_counter()
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(options.folder / f"{name}.json")]
        if subprocess.run([*command, *(["--quick"] if options.quick else [])], check=False).returncode:  # noqa: S603 (our own scripts)
            failed.append(name)
        print(f"== {name}: {time.perf_counter() - begun:.0f} s\n", flush=True)
    if failed:
        raise SystemExit(f"These ended with an error or below their target: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
