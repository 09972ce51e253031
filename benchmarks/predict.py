"""How fast a run predicts a table from file to file, against its bare model; and in how much memory.

    python benchmarks/predict.py [--quick] [--json FILE]      (about five minutes on two cores)

Everything is generated from a seed: a table of eight numbers, two categories and a text of about twelve words. Two runs are trained,
a small network (the default one) and a wide one, as what is done beside the network is the same for both. Counted is everything from
opening the table to the finished file of predictions, with probabilities and status, without the start of the process and of
TensorFlow. The yardstick is the bare model: the same compiled predictor over encoded arrays that are in memory, in batches of the same
size. A ratio is the median of the rounds' ratios; `of_cpu` is the same ratio in seconds of the processor, on which other programs of a
busy machine have less influence. By the clock `predict` may come nearer to the bare model than of the processor: it has several
pieces under way, and the bare model leaves cores idle.

It is also told what a row costs, in microseconds of the processor: the network, what `predict` adds to it, and of that reading the
cells, encoding and checking them, and the rest (drift, decisions, status, the file).
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from peak_memory import PeakMemory
from script import keep, parser
from turns import Times, in_turn
from ways_to_predict import bare, cells, reading, summary, trained, whole

from mmtrain.artifacts.runs import find
from mmtrain.pipeline.prediction.predictor import Predictor

WORDS = 20_000
SMALL: dict[str, object] = {
    "columns": {
        **{f"n{number}": {"role": "numeric"} for number in range(8)},
        "city": {"role": "categorical"},
        "ward": {"role": "categorical"},
        "note": {"role": "text"},
        "y": {"role": "target", "task": "binary"},
    },
    "training": {"epochs": 1, "batch_size": 256, "deterministic": True},
}
WIDE = SMALL | {
    "branches": {
        "rest": {"columns": [*(f"n{number}" for number in range(8)), "city", "ward"], "architecture": "mlp", "units": [512]},
        "note": {"columns": ["note"], "architecture": "mlp", "units": [512]},
    },
    "fusion": {"method": "concatenate", "units": [1024, 1024]},
}


def write_rows(path: Path, rows: int, seed: int, *, answers: bool) -> None:
    """Numbers with some holes, categories and texts; the words are as unevenly frequent as in a language."""
    random = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*(f"n{number}" for number in range(8)), "city", "ward", "note", *(["y"] if answers else [])]) + "\n")
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            numbers = random.normal(size=(count, 8)).round(4).astype(str)
            numbers[random.random((count, 8)) < 0.02] = ""
            names = random.integers(0, 50, (count, 2))
            words = random.zipf(1.3, (count, 12)) % WORDS
            for row in range(count):
                own = [*numbers[row], f"city{names[row, 0]}", f"ward{names[row, 1]}", " ".join(f"word{word}" for word in words[row])]
                file.write(",".join([*own, *([str(row % 2)] if answers else [])]) + "\n")


def of_tables(folder: Path, rows: int, times: int) -> dict[str, Any]:
    """Of the small network and of the wide one."""
    new = folder / "new.csv"
    write_rows(folder / "table.csv", 20_000, 0, answers=True)
    write_rows(new, rows, 1, answers=False)
    found: dict[str, Any] = {}
    for name, tree in (("small", SMALL), ("wide", WIDE)):
        loaded = trained(folder, name, tree)
        makers = {"bare model": bare, "cells": cells, "reading": reading, "predict": whole}
        taken = in_turn({way: make(loaded, new) for way, make in makers.items()}, times)
        found[name] = summary(taken, rows, "bare model") | {"costs": costs(taken, rows)}
    return found


def costs(times: Times, rows: int) -> dict[str, float]:
    """Of a row, in microseconds of the processor; medians of the rounds' differences."""

    def between(way: str, *less: str) -> float:
        own = ([taken.processor for taken in times[name]] for name in (way, *less))
        median: float = statistics.median(first - sum(others) for first, *others in zip(*own, strict=True))
        return round(median / rows * 1e6, 2)

    return {
        "network": between("bare model"),
        "added": between("predict", "bare model"),
        "cells": between("cells"),
        "encoding": between("reading", "cells"),
        "rest": between("predict", "reading", "bare model"),
    }


def printed(tables: dict[str, Any]) -> None:
    """A line for every network."""
    print(f"{'us of the processor a row':26}" + "".join(f"{name:>12}" for name in next(iter(tables.values()))["costs"]))
    for name, found in tables.items():
        print(f"{name:26}" + "".join(f"{value:12.2f}" for value in found["costs"].values()))
        clock, processor = (found["predict"][f"of_bare_model{of}"] for of in ("", "_of_cpu"))
        print(f"  predict: {clock:.2f} of the bare model by the clock, {processor:.2f} of the processor")


def of_memory(folder: Path, rows: int) -> dict[str, dict[str, float]]:
    """Of one prediction, after a first has warmed up, beside that of a table of a tenth of the rows."""
    found = {}
    memory = PeakMemory()
    loaded = Predictor(find("small", folder / "runs"))
    for count in (rows // 10, rows):
        write_rows(folder / "long.csv", count, 2, answers=False)
        whole(loaded, folder / "new.csv")()
        before, begun = memory.now(), time.perf_counter()
        whole(loaded, folder / "long.csv")()
        found[f"{count} rows"] = {
            "megabytes_before": round((memory.base + before) / 1e6, 1),
            "megabytes_more": round((memory.peak() - before) / 1e6, 1),
            "rows_per_second": round(count / (time.perf_counter() - begun), 1),
        }
    return found


def main() -> None:
    options = parser(__doc__, quick="A tenth of the rows, two rounds.").parse_args()
    scale, times = (10, 2) if options.quick else (1, 5)
    rows, long_rows = 200_000 // scale, 1_000_000 // scale
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MMTRAIN_CACHE"] = str(folder / "cache")
        tables = of_tables(folder, rows, times)
        results = {"table": tables, "memory": of_memory(folder, long_rows)}
    print(json.dumps(results, indent=1))
    printed(tables)
    print(f"The aim: 0.9 of the bare model. Load of the machine: {os.getloadavg()[0]:.1f}.")
    keep(options, {"rows": rows, "long_rows": long_rows, "rounds": times}, results)


if __name__ == "__main__":
    main()
