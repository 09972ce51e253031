"""What a person waits for: `--help`, `check`, and the first step of a training, in fresh processes.

    python benchmarks/start_up.py [--quick] [--json FILE]        (about two minutes)

The first step is timed from the start of the process to the end of the first epoch of a table of 200 rows; the import of TensorFlow
alone stands beside it, as most of the rest is its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from script import keep, parser

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
    options = parser(__doc__, quick="One round.").parse_args()
    rounds = 1 if options.quick else 7
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
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MMTRAIN_CACHE": str(folder / "cache")}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (command, code) in ways.items():
                begun = time.perf_counter()
                done = subprocess.run(command, cwd=folder, capture_output=True, check=False, env=environment)  # noqa: S603 (our own commands)
                seconds[name].append(time.perf_counter() - begun)
                if done.returncode != code:
                    raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr.decode()}")
    results = {
        name: {"median": round(median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}
        for name, values in seconds.items()
    }
    for name, found in results.items():
        print(f"{name:45} {found['median']:6.2f} s  ({found['least']:.2f} to {found['most']:.2f})")
    keep(options, {"rounds": rounds}, results)


if __name__ == "__main__":
    main()
