"""Every benchmark one after the other: a JSON file of results for each, in one folder.

    make bench              (about an hour on two quiet cores)
    make bench QUICK=1      (a smoke run: every script, on little data, without regard to targets of time or memory)

Each script can also be started by itself; `--help` says what it measures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
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
    "predict_images",
    "agreement",
    "inspect_data",
    "inspect_images",
    "intervals",
    "single_inputs",
    "ensembles",
    "clinic_signal",
    "growth",
    "workers",
    "serve",
    "search",
)
APART = {
    "accuracy": "hours, on sets of packages; `make accuracy`",
    "pretrained_exports": "needs the files of pretrained models, which it takes the names of",
    "image_sets": "prints one ratio, and writes no JSON file",
}
"""Scripts that are started by themselves only, and why. The other modules here are what the scripts share."""
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Every script on little data.")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"), help="Where the JSON files go.")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in SCRIPTS:
        print(f"== {name}", flush=True)
        begun = time.perf_counter()
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(options.folder / f"{name}.json")]
        if subprocess.run([*command, *(["--quick"] if options.quick else [])], check=False).returncode:  # noqa: S603 (our own scripts)
            failed.append(name)
        print(f"== {name}: {time.perf_counter() - begun:.0f} s\n", flush=True)
    if failed:
        raise SystemExit(f"These ended with an error or missed their target: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
