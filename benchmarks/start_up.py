"""What a person waits for: `--help`, `check`, and the first step of a training, in fresh processes.

    python benchmarks/start_up.py [--quick] [--json FILE]        (about two minutes)

The first step is timed from the start of the process to the end of the first epoch of a table of 200 rows; the import of TensorFlow
alone stands beside it, as most of the rest is its own. All take turns, and a first round, which finds nothing in memory or in the
cache, is not counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from script import keep, parser
from turns import in_turn, typical

EXPERIMENT = """\
data: {table: table.csv}
columns:
  age: {role: numeric}
  site: {role: categorical}
  ill: {role: target, task: binary}
training: {epochs: 1}
"""
MISTAKES = EXPERIMENT.replace("numeric", "numbers").replace("training:", "trianing:")


def write_files(folder: Path) -> None:
    """A table, an experiment on it, and one with mistakes."""
    random = np.random.default_rng(0)
    cells = {"age": random.integers(20, 90, 200), "site": random.choice(["n", "s"], 200), "ill": random.choice(["no", "yes"], 200)}
    pd.DataFrame(cells).to_csv(folder / "table.csv", index=False)
    (folder / "good.yaml").write_text(EXPERIMENT, encoding="utf-8")
    (folder / "bad.yaml").write_text(MISTAKES, encoding="utf-8")


def ran(folder: Path, *arguments: str, code: int = 0) -> None:
    """Run Python in the folder; it has to end with this exit code."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MMTRAIN_CACHE": str(folder / "cache")}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, env=environment)  # noqa: S603 (our own commands)
    if done.returncode != code:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")


def main() -> None:
    options = parser(__doc__, quick="One round.").parse_args()
    rounds = 1 if options.quick else 7
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_files(folder)
        mmtrain = partial(ran, folder, "-m", "mmtrain")
        ways: dict[str, Callable[[], None]] = {
            "mmtrain --help": partial(mmtrain, "--help"),
            "mmtrain check, a file with mistakes": partial(mmtrain, "check", "bad.yaml", code=2),
            "mmtrain check, a file without": partial(mmtrain, "check", "good.yaml"),
            "import tensorflow": partial(ran, folder, "-c", "import tensorflow"),
            "mmtrain fit, to the end of a first epoch": partial(mmtrain, "fit", "good.yaml", "--quiet"),
        }
        times = in_turn(ways, rounds)
    results = {}
    for way, taken in times.items():
        (clock, processor), seconds = typical(times, way), [time.clock for time in taken]
        found = {"median": clock, "least": min(seconds), "most": max(seconds), "processor": processor}
        results[way] = {name: round(value, 3) for name, value in found.items()}
        print(f"{way:45} {clock:6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f}; of the processor {processor:.2f})")
    keep(options, {"rounds": rounds}, results)


if __name__ == "__main__":
    main()
