"""Weak scaling of one training over processes: twice the workers, twice the rows, the same time an epoch if nothing is lost.

    python benchmarks/workers.py [--quick] [--json FILE] [--most 2]        (about four minutes on two quiet cores)

Every worker has one thread and the same number of rows in each batch, of a table that a small and a wide network are trained on. The
sum of gradients takes the same few milliseconds for both, so that the small one shows what a step costs at least. The time of an
epoch is the median without the first, which compiles.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import yaml
from script import keep, parser

ROWS_OF_A_WORKER = 128
"""Rows of each batch that one worker has."""
NETWORKS = {"small": [16], "wide": [2048, 2048]}


def write_files(folder: Path, workers: int, steps: int, units: list[int], epochs: int) -> str:
    """A table with so many steps an epoch, and an experiment on it; its path."""
    name = f"{units[0]}-{workers}"
    random, rows = np.random.default_rng(0), ROWS_OF_A_WORKER * workers * steps
    numbers = random.normal(size=(rows, 8))
    table = pd.DataFrame(numbers, columns=[f"x{place}" for place in range(8)]).assign(y=numbers.sum(axis=1) > 0)
    table.to_csv(folder / f"{name}.csv", index=False)
    columns = {f"x{place}": {"role": "numeric"} for place in range(8)}
    experiment = {
        "name": f"scaling-{name}",
        "data": {"table": f"{name}.csv"},
        "columns": {**columns, "y": {"role": "target", "task": "binary"}},
        "branches": {"table": {"columns": list(columns), "architecture": "mlp", "units": units}},
        "split": {"validation": 0.05, "test": 0.05},
        "training": {"epochs": epochs, "batch_size": ROWS_OF_A_WORKER * workers, "jit": "off", "steps_per_call": 1},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(experiment), encoding="utf-8")
    return f"{name}.yaml"


def seconds_per_epoch(folder: Path, path: str, workers: int) -> float:
    """Train, and return the median time of an epoch after the first."""
    one_thread = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
    environment = {**os.environ, **one_thread, "MMTRAIN_CACHE": str(folder / "cache"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "mmtrain", "fit", path, "--workers", str(workers)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 (our own)
    if done.returncode:
        raise SystemExit(done.stderr)
    epochs = [float(found) for found in re.findall(r"^epoch .* ([\d.]+) s$", done.stderr, flags=re.MULTILINE)]
    return median(epochs[1:])


def main() -> None:
    arguments = parser(__doc__, quick="Ten steps an epoch, of one network.")
    arguments.add_argument("--most", type=int, default=2, help="Workers at most; they double from 1 on.")
    options = arguments.parse_args()
    steps, epochs = (10, 3) if options.quick else (100, 6)
    counts = [2**power for power in range(options.most.bit_length()) if 2**power <= options.most]
    results = []
    for network, units in list(NETWORKS.items())[: 1 if options.quick else None]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            alone = 0.0
            for workers in counts:
                seconds = seconds_per_epoch(folder, write_files(folder, workers, steps, units, epochs), workers)
                alone = alone or seconds
                rows = ROWS_OF_A_WORKER * workers * steps
                results.append({"network": network, "workers": workers, "epoch": seconds, "efficiency": alone / seconds})
                print(
                    f"{network:6} {workers} workers  {seconds:6.2f} s an epoch of {rows:,} rows  efficiency {alone / seconds:.2f}",
                    flush=True,
                )
    keep(options, {"rows_of_a_worker": ROWS_OF_A_WORKER, "steps": steps, "epochs": epochs}, results)


if __name__ == "__main__":
    main()
