"""What a person waits for: `--help`, `check`, and the first step of a training, in fresh processes.

    python benchmarks/start_up.py [--quick] [--json FILE]        (about two minutes)

The first step is timed from the start of the process to the end of the first epoch of a table of 200 rows; the import of TensorFlow
alone stands beside it, as most of the rest is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

EXPERIMENT = """\
data: {table: table.csv}
columns:
  age: {role: numeric}
  site: {role: categorical}
  ill: {role: target, task: binary}
training: {epochs: 1}
"""
MISTAKES = EXPERIMENT.replace("numeric", "numbers").replace("training:", "trianing:")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="One round.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    mmtrain = [sys.executable, "-m", "mmtrain"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        random = np.random.default_rng(0)
        cells = {"age": random.integers(20, 90, 200), "site": random.choice(["n", "s"], 200), "ill": random.choice(["no", "yes"], 200)}
        pd.DataFrame(cells).to_csv(folder / "table.csv", index=False)
        (folder / "good.yaml").write_text(EXPERIMENT, encoding="utf-8")
        (folder / "bad.yaml").write_text(MISTAKES, encoding="utf-8")
        ways = {
            "mmtrain --help": ([*mmtrain, "--help"], 0),
            "mmtrain check, a file with mistakes": ([*mmtrain, "check", "bad.yaml"], 2),
            "mmtrain check, a file without": ([*mmtrain, "check", "good.yaml"], 0),
            "import tensorflow": ([sys.executable, "-c", "import tensorflow"], 0),
            "mmtrain fit, to the end of a first epoch": ([*mmtrain, "fit", "good.yaml", "--quiet"], 0),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(1 if options.quick else 7):
            for name, (command, code) in ways.items():
                begun = time.perf_counter()
                done = subprocess.run(  # noqa: S603 (our own commands)
                    command, cwd=folder, capture_output=True, check=False, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
                )
                seconds[name].append(time.perf_counter() - begun)
                if done.returncode != code:
                    raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr.decode()}")
    results = {
        name: {"median": round(median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}
        for name, values in seconds.items()
    }
    for name, found in results.items():
        print(f"{name:45} {found['median']:6.2f} s  ({found['least']:.2f} to {found['most']:.2f})")
    if options.json:
        document = {"name": "start_up", "settings": {"rounds": len(seconds["mmtrain --help"])}, "results": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
