"""How the cost of a command grows with rows, columns, classes and labels: processor time and memory at two sizes, and the exponent.

    python benchmarks/growth.py [--quick] [--json FILE]        (about eight minutes on two cores)

Each command runs as a person runs it, in a process of its own, on a table made from a seed. `CPU s` is what it had of all cores
together, `peak MB` the most anonymous memory (RssAnon: beyond mapped files), sampled every 20 ms. What a command costs whatever its
table, as TensorFlow's import, is measured at a size of next to nothing and taken off both; the exponent is then
log(t2 / t1) / log(n2 / n1): 1 where twice as much takes twice as long, 2 where it takes four times as long.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from generated_table import COLUMNS, write_experiment, write_table
from script import keep, parser

ALLOWED = 1.2
"""The exponent of what grows in a straight line, with some room for the noise of a busy machine."""
ONE_EPOCH = {"epochs": 1, "batch_size": 4096, "steps_per_call": 1, "jit": "off"}
ROWS_SCORED = 3000


class Cost(NamedTuple):
    """Cost of one command."""

    cpu: float
    peak_MB: float  # noqa: N815 (as the table of results calls it)


@dataclass(frozen=True)
class Growth:
    """A dimension that grows. `prepare` writes the input of one size into a folder and gives the command, once what it needs has run."""

    name: str
    sizes: tuple[int, int, int]
    """Next to nothing, and the two that are compared."""
    quick: tuple[int, int, int]
    prepare: Callable[[Path, int], list[str]]
    target: float | None = None
    """CPU seconds for the larger size, where there is one."""
    most_times: float | None = None
    """How many times the CPU seconds of the first size, whole processes, the larger size may take."""


def rows(folder: Path, size: int) -> list[str]:
    """`fit` on that many rows of two numbers, two categories and an answer."""
    write_table(folder / "table.csv", size, length=1)
    columns = {key: column for key, column in COLUMNS.items() if key != "note"}
    return ["fit", str(write_experiment(folder, columns=columns, training=ONE_EPOCH)), "--output", str(folder / "runs")]


PARAMETERS = 128_000
"""Weights of the network of `columns`, for any number of them."""


def columns(folder: Path, size: int) -> list[str]:
    """`fit` for three epochs on 5,000 rows of that many numbers, by networks with the same number of weights."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(5000, size))
    table: dict[str, list[str]] = {f"n{number}": np.char.mod("%.4f", column).tolist() for number, column in enumerate(numbers.T)}
    _write(folder / "table.csv", {**table, "y": np.where(numbers[:, 0] + random.normal(size=5000) > 0, "yes", "no").tolist()})
    declared = {key: {"role": "numeric", "embed": "none"} for key in table} | {"y": {"role": "target", "task": "binary"}}
    tree: dict[str, dict[str, Any]] = {
        "branches": {"numbers": {"columns": list(table), "architecture": "linear", "units": PARAMETERS // (size + 2)}},
        "fusion": {"method": "concatenate", "units": []},
        "training": {"epochs": 3, "batch_size": 256, "steps_per_call": 1, "jit": "off"},
    }
    return ["fit", str(write_experiment(folder, columns=declared, **tree)), "--output", str(folder / "runs")]


def columns_inspected(folder: Path, size: int) -> list[str]:
    """`inspect-data` on a table of 5,000 rows with that many columns."""
    return ["inspect-data", str(_wide(folder, size, rows=5000).parent / "table.csv")]


def columns_checked(folder: Path, size: int) -> list[str]:
    """`check` on 200 rows with that many columns."""
    return ["check", str(_wide(folder, size, rows=200))]


def classes(folder: Path, size: int) -> list[str]:
    """`evaluate` of that many classes."""
    random, count = np.random.default_rng(0), ROWS_SCORED + max(8000, 8 * size)
    answer = np.append(np.repeat(np.arange(size), 3), random.integers(0, size, count - 3 * size))
    part = np.array(["train"] * (count - ROWS_SCORED - 1000) + ["validation"] * 1000 + ["test"] * ROWS_SCORED)
    answers = {"y": [f"class {code:04d}" for code in answer]}
    return _scored(folder, _numbers(random, answer), part, answers, {"role": "target", "task": "multiclass"})


def labels(folder: Path, size: int) -> list[str]:
    """`evaluate` of that many labels."""
    random, count = np.random.default_rng(0), ROWS_SCORED + 8000
    numbers = random.normal(size=(count, 4))
    has = random.random((count, size)) < 1 / (1 + np.exp(2 - numbers @ random.normal(size=(4, size))))
    has[:2] = [[True], [False]]
    part = np.array(["train"] * (count - ROWS_SCORED - 1000) + ["validation"] * 1000 + ["test"] * ROWS_SCORED)
    answers = {f"label {number}": np.where(column, "1", "0").tolist() for number, column in enumerate(has.T)}
    return _scored(folder, numbers, part, answers, {"role": "target", "task": "multilabel", "labels": list(answers)})


def _numbers(random: np.random.Generator, answer: np.ndarray) -> np.ndarray:
    """(rows, 4) that say something of the answer."""
    return np.cos(1.1 * np.outer(answer, np.arange(1, 5))) + random.normal(0, 0.3, (len(answer), 4))


def _scored(folder: Path, numbers: np.ndarray, part: np.ndarray, answers: dict[str, list[str]], target: dict[str, object]) -> list[str]:
    """A run that is trained for one epoch on these, and the command that evaluates it."""
    inputs = {f"n{number}": [f"{value:.3f}" for value in column] for number, column in enumerate(numbers.T)}
    _write(folder / "table.csv", {**inputs, "part": part.tolist(), **answers})
    columns = {key: {"role": "numeric"} for key in inputs} | {"part": {"role": "split"}, "y": target}
    path = write_experiment(folder, columns=columns, split={"method": "column"}, training={**ONE_EPOCH, "batch_size": 1024})
    run = ["--output", str(folder / "runs")]
    subprocess.run([sys.executable, "-m", "mmtrain", "fit", str(path), *run], check=True, capture_output=True)  # noqa: S603
    return ["evaluate", *run]


def _wide(folder: Path, size: int, rows: int) -> Path:
    """A table of numbers, whole numbers and categories and an answer, and its experiment file."""
    random = np.random.default_rng(0)
    kinds = (
        lambda: np.char.mod("%.3f", random.normal(size=rows)),
        lambda: np.char.mod("%d", random.integers(0, 100, rows)),
        lambda: np.char.mod("c%d", random.integers(0, 8, rows)),
        lambda: np.char.mod("%.3f", random.lognormal(size=rows)),
    )
    table = {f"column_{number}": kinds[number % 4]().tolist() for number in range(size)}
    _write(folder / "table.csv", {**table, "y": np.where(random.random(rows) < 0.3, "yes", "no").tolist()})
    roles = {key: {"role": "categorical" if number % 4 == 2 else "numeric"} for number, key in enumerate(table)}
    tree = {"name": "wide", "data": {"table": "table.csv"}, "columns": {**roles, "y": {"role": "target", "task": "binary"}}}
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def _write(path: Path, table: dict[str, list[str]]) -> None:
    """Cells that need no quotes."""
    lines = (",".join(row) for row in zip(*table.values(), strict=True))
    path.write_text("\n".join((",".join(table), *lines)) + "\n", encoding="utf-8")


GROWTHS = (
    Growth("fit, rows", (1_000, 1_000_000, 5_000_000), (1_000, 20_000, 60_000), rows),
    Growth("fit, columns", (20, 1000, 2000), (20, 50, 150), columns, most_times=3),
    Growth("evaluate, classes", (3, 250, 1000), (3, 20, 60), classes, 30),
    Growth("evaluate, labels", (2, 50, 200), (2, 10, 30), labels),
    Growth("inspect-data, columns", (4, 250, 1000), (4, 20, 60), columns_inspected, 10),
    Growth("check, columns", (4, 1250, 5000), (4, 50, 150), columns_checked),
)


def measured(growth: Growth, size: int) -> Cost:
    """One run of the command."""
    with tempfile.TemporaryDirectory(prefix="growth_") as name:
        folder = Path(name)
        os.environ["MMTRAIN_CACHE"] = str(folder / "cache")
        command = [sys.executable, "-m", "mmtrain", *growth.prepare(folder, size)]
        said = (folder / "said.txt").open("w")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)  # noqa: S603 (our own command)
        peak = 0
        while True:
            peak = max(peak, _anonymous(process.pid))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):  # 1: inspect-data has found something
            raise SystemExit(f"{' '.join(command[2:4])} ended with {process.returncode}: {(folder / 'said.txt').read_text()}")
        return Cost(used.ru_utime + used.ru_stime, peak / 1e6)


def _anonymous(pid: int) -> int:
    """Bytes of RssAnon now; 0 of a process that ends."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def exponent(sizes: Sequence[int], costs: Sequence[Cost]) -> float:
    """Return the exponent of the processor time beyond that of the first size."""
    fixed, small, large = (cost.cpu for cost in costs)
    return log(max(large - fixed, 0.01) / max(small - fixed, 0.01)) / log(sizes[2] / sizes[1])


def main() -> None:
    asked = parser(__doc__, quick="Small sizes, to see that it runs, with any exponent.")
    asked.add_argument("--only", metavar="WORD", default="", help="Only what has this word in its name.")
    options = asked.parse_args()
    print(f"{'':22} {'size':>10} {'CPU s':>8} {'peak MB':>8}   exponent")
    results, missed = {}, []
    for growth in GROWTHS:
        if options.only not in growth.name:
            continue
        sizes = growth.quick if options.quick else growth.sizes
        costs = []
        for size in sizes:
            costs.append(measured(growth, size))
            last = f"{exponent(sizes, costs):10.2f}" if len(costs) == len(sizes) else ""
            print(f"{growth.name:22} {size:>10,} {costs[-1].cpu:>8.1f} {costs[-1].peak_MB:>8.0f} {last}", flush=True)
        power, grown = exponent(sizes, costs), (costs[2].peak_MB - costs[1].peak_MB) * 1e6 / (sizes[2] - sizes[1])
        print(f"{'':22} {grown:,.0f} bytes of memory for one more", flush=True)
        results[growth.name] = {
            "sizes": sizes,
            "cpu": [round(cost.cpu, 1) for cost in costs],
            "peak_MB": [round(cost.peak_MB) for cost in costs],
            "exponent": round(power, 2),
            "bytes_for_one_more": round(grown),
        }
        late = growth.target is not None and costs[2].cpu > growth.target
        late = late or (growth.most_times is not None and costs[2].cpu > growth.most_times * costs[0].cpu)
        missed += [growth.name] if power > ALLOWED or late else []
    keep(options, {"allowed": ALLOWED}, results)
    if missed and not options.quick:
        raise SystemExit(f"Above the exponent {ALLOWED}, the target in seconds or the multiple of the first size: {', '.join(missed)}.")


if __name__ == "__main__":
    main()
