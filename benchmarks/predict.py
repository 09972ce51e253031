"""How fast a run predicts a table from file to file, against its bare model and against decoding; and in how much memory.

    python benchmarks/predict.py [--quick] [--json FILE]      (about seven minutes on two cores)

Everything is generated from a seed: a table of eight numbers, two categories and a text of about twelve words, and JPEGs of
256x256. On the table two runs are trained, a small network (the default one) and a wide one, as what is done beside the network is
the same for both; on the pictures a small one. Counted is everything from opening the table to the finished file of predictions, with
probabilities and status, without the start of the process and of TensorFlow. The yardsticks: the bare model, which is the same
compiled predictor over encoded arrays that are in memory, in batches of the same size; and decoding the same files with nothing
done to them, as `image_store.py` does it. Rounds take all ways in turn; a ratio is the median of the rounds' ratios. `of_cpu` is
the same ratio in seconds of the processor, on which other programs of a busy machine have less influence. `both` is the time of
reading and of the model one after the other: what `predict` adds to it, or saves by doing both at once, is its own.

Of a table it is also told what a row costs, in microseconds of the processor: the network, what `predict` adds to it, and of that
reading the cells, encoding and checking them, and the rest (drift, decisions, status, the file). What is added does not depend on the
network, so from networks on that cost `network_for_0.9` a row `predict` reaches 0.9 of the bare model.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from image_store import decode_only, generated, yardstick
from peak_memory import PeakMemory

from mmtrain.data.pictures.files import ImageFile
from mmtrain.data.tables.formats import open_table
from mmtrain.data.tables.pieces import Source
from mmtrain.runs import find
from mmtrain.threads import cores, in_threads
from mmtrain.workflows.fit import fit
from mmtrain.workflows.loaded import Loaded
from mmtrain.workflows.predict import Wish, predict_source

WORDS = 20_000
TABLE = {
    "columns": {
        **{f"n{number}": {"role": "numeric"} for number in range(8)},
        "city": {"role": "categorical"},
        "ward": {"role": "categorical"},
        "note": {"role": "text"},
        "y": {"role": "target", "task": "binary"},
    },
    "training": {"epochs": 1, "batch_size": 256, "deterministic": True},
}
WIDE = TABLE | {
    "branches": {
        "rest": {"columns": [*(f"n{number}" for number in range(8)), "city", "ward"], "architecture": "mlp", "units": [512]},
        "note": {"columns": ["note"], "architecture": "mlp", "units": [512]},
    },
    "fusion": {"method": "concatenate", "units": [1024, 1024]},
}
PICTURES = {
    "columns": {"scan": {"role": "image", "size": [128, 128]}, "y": {"role": "target", "task": "binary"}},
    "branches": {"scan": {"columns": ["scan"], "architecture": "cnn", "filters": [8, 16]}},
    "training": {"epochs": 1, "deterministic": True},
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
                cells = [*numbers[row], f"city{names[row, 0]}", f"ward{names[row, 1]}", " ".join(f"word{word}" for word in words[row])]
                file.write(",".join([*cells, *([str(row % 2)] if answers else [])]) + "\n")


def trained(folder: Path, name: str, tree: dict[str, object]) -> Loaded:
    """A small run on `table.csv` in the folder."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "data": {"table": "table.csv"}, **tree}))
    loaded = Loaded(fit(path, output=folder / "runs").run)
    loaded.start()
    return loaded


Seconds = dict[str, list[tuple[float, float]]]
"""Of every way and round: by the clock, and of the processor."""


def rounds(ways: dict[str, Callable[[], object]], times: int) -> Seconds:
    """A first round warms up and is not counted."""
    seconds: Seconds = {way: [] for way in ways}
    for number in range(times + 1):
        for way, run in ways.items():
            begun, used = time.perf_counter(), time.process_time()
            run()
            if number:
                seconds[way].append((time.perf_counter() - begun, time.process_time() - used))
    seconds["both"] = [(a + c, b + d) for (a, b), (c, d) in zip(seconds["reading"], seconds["bare model"], strict=True)]
    return seconds


def summary(seconds: Seconds, rows: int, base: str) -> dict[str, dict[str, float]]:
    """Median rows a second and microseconds of the processor a row, and the share of the yardstick's speed."""
    name = f"of_{base.replace(' ', '_')}"
    return {
        way: {
            "rows_per_second": round(rows / statistics.median(clock for clock, _ in own)),
            "microseconds_of_cpu": round(statistics.median(used for _, used in own) / rows * 1e6, 2),
            name: round(statistics.median(a[0] / b[0] for a, b in zip(seconds[base], own, strict=True)), 3),
            f"{name}_of_cpu": round(statistics.median(a[1] / b[1] for a, b in zip(seconds[base], own, strict=True)), 3),
        }
        for way, own in seconds.items()
    }


def bare(loaded: Loaded, table: Path, images: Path) -> Callable[[], object]:
    """The compiled predictor over all pieces of a table, encoded beforehand."""
    ready = loaded._ready
    source = Source(open_table(table), images)
    pieces = list(map(ready.pieces.maker(source), ready.pieces.cells(source)))
    size = ready.rows_at_once
    batches = [
        {name: values[start : start + size] for name, values in piece.inputs.items()}
        for piece in pieces
        for start in range(0, len(piece), size)
    ]
    return lambda: [ready.predict(batch) for batch in batches]


def reading(loaded: Loaded, table: Path, images: Path) -> Callable[[], object]:
    """Reading, checking, decoding and encoding alone, with the threads that `predict` takes for it."""
    pieces = loaded._ready.pieces

    def read() -> int:
        source = Source(open_table(table), images)
        return sum(len(piece) for piece in in_threads(pieces.maker(source), pieces.cells(source), most=pieces.workers))

    return read


def cells(loaded: Loaded, table: Path, images: Path) -> Callable[[], object]:
    """Reading the cells alone, which nobody looks at."""
    return lambda: sum(1 for _ in loaded._ready.pieces.cells(Source(open_table(table), images)))


def whole(loaded: Loaded, table: Path, images: Path) -> Callable[[], object]:
    """From file to file."""
    return lambda: predict_source(loaded, Source(open_table(table), images), Wish(table.with_name("predictions.csv"), proba=True))


def of_tables(folder: Path, rows: int, times: int) -> dict[str, object]:
    """Of the small network and of the wide one."""
    write_rows(folder / "table.csv", 20_000, 0, answers=True)
    write_rows(folder / "new.csv", rows, 1, answers=False)
    new = folder / "new.csv"
    found: dict[str, object] = {}
    for name, tree in (("small", TABLE), ("wide", WIDE)):
        loaded = trained(folder, name, tree)
        makers = {"bare model": bare, "cells": cells, "reading": reading, "predict": whole}
        seconds = rounds({way: make(loaded, new, folder) for way, make in makers.items()}, times)
        found[name] = summary(seconds, rows, "bare model") | {"costs": costs(seconds, rows)}
    return found


def costs(seconds: Seconds, rows: int) -> dict[str, float]:
    """Of a row of a table, in microseconds of the processor; medians of the rounds' differences."""

    def between(way: str, *less: str) -> float:
        own = ([used for _, used in seconds[name]] for name in (way, *less))
        return statistics.median(first - sum(others) for first, *others in zip(*own, strict=True)) / rows * 1e6

    added = between("predict", "bare model")
    found = {
        "network": between("bare model"),
        "added": added,
        "cells": between("cells"),
        "encoding": between("reading", "cells"),
        "rest": between("predict", "reading", "bare model"),
        "network_for_0.9": 9 * added,
    }
    return {name: round(value, 2) for name, value in found.items()}


def printed(tables: dict[str, Any]) -> None:
    """A line for every network."""
    print(f"{'us of the processor a row':26}" + "".join(f"{name:>16}" for name in next(iter(tables.values()))["costs"]))
    for name, found in tables.items():
        print(f"{name:26}" + "".join(f"{value:16.2f}" for value in found["costs"].values()))
        clock, processor = (found["predict"][f"of_bare_model{of}"] for of in ("", "_of_cpu"))
        print(f"  predict: {clock:.2f} of the bare model by the clock, {processor:.2f} of the processor")


def of_memory(folder: Path, rows: int) -> dict[str, float]:
    """Of one prediction, after a first has warmed up, beside that of a table of a tenth of the rows."""
    found = {}
    memory = PeakMemory()
    loaded = Loaded(find("small", folder / "runs"))
    for count in (rows // 10, rows):
        write_rows(folder / "long.csv", count, 2, answers=False)
        whole(loaded, folder / "new.csv", folder)()
        before, begun = memory.now(), time.perf_counter()
        whole(loaded, folder / "long.csv", folder)()
        found[f"{count} rows"] = {
            "megabytes_before": round((memory.base + before) / 1e6, 1),
            "megabytes_more": round((memory.peak() - before) / 1e6, 1),
            "rows_per_second": round(count / (time.perf_counter() - begun), 1),
        }
    return found


def of_pictures(folder: Path, count: int, times: int) -> tuple[str, dict[str, object]]:
    files: list[ImageFile] = generated(folder, count)
    lines = [f"{Path(file.path).name},{number % 2}" for number, file in enumerate(files)]
    (folder / "table.csv").write_text("\n".join(["scan,y", *lines[:200], ""]))
    (folder / "new.csv").write_text("\n".join(["scan", *(line.split(",")[0] for line in lines), ""]))
    loaded = trained(folder, "pictures", PICTURES)
    name, decode = yardstick()
    new = folder / "new.csv"
    ways: dict[str, Callable[[], object]] = {
        "decode only": lambda: decode_only(files, decode),
        "bare model": bare(loaded, new, folder),
        "reading": reading(loaded, new, folder),
        "predict": whole(loaded, new, folder),
    }
    return name, summary(rounds(ways, times), count, "decode only")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="A tenth of the rows, two rounds.")
    parser.add_argument("--json", type=Path, help="Also write the results to this file.")
    chosen = parser.parse_args()
    scale, times = (10, 2) if chosen.quick else (1, 5)
    settings = {"rows": 200_000 // scale, "long_rows": 1_000_000 // scale, "pictures": 2000 // scale, "rounds": times, "cores": cores()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        os.environ["MMTRAIN_CACHE"] = str(folder / "cache")
        results: dict[str, Any] = {"table": of_tables(folder, settings["rows"], times)}
        results["memory"] = of_memory(folder, settings["long_rows"])
        decoder, results["pictures"] = of_pictures(folder / "pictures", settings["pictures"], times)
    settings |= {"decoder": decoder, "machine": platform.machine(), "python": platform.python_version()}
    document = {"name": "predict", "settings": settings, "results": results}
    print(json.dumps(document, indent=1))
    printed(results["table"])
    print(f"The aims: 0.9 of the bare model for tables, 0.6 of decoding for pictures. Load of the machine: {os.getloadavg()[0]:.1f}.")
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
