"""How fast a run predicts a table from file to file, against its bare model and against decoding; and in how much memory.

    python benchmarks/predict.py [--quick] [--json FILE]      (about five minutes on two cores)

Everything is generated from a seed: a table of eight numbers, two categories and a text of about twelve words, and JPEGs of
256x256. A small run is trained on each. Counted is everything from opening the table to the finished file of predictions, with
probabilities and status, without the start of the process and of TensorFlow. The yardsticks: the bare model, which is the same
compiled predictor over encoded arrays that are in memory, in batches of the same size; and decoding the same files with nothing
done to them, as `image_store.py` does it. Rounds take all ways in turn; a ratio is the median of the rounds' ratios. `of_cpu` is
the same ratio in seconds of the processor, on which other programs of a busy machine have less influence. `both` is the time of
reading and of the model one after the other: what `predict` adds to it, or saves by doing both at once, is its own.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from image_store import decode_only, generated, yardstick

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


class Memory:
    """The most anonymous memory of this process while the block runs, in bytes, asked for fifty times a second; and at its start."""

    def __enter__(self) -> "Memory":
        self.start = self.most = _anonymous()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, _anonymous())

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def _anonymous() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


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
    """Median rows a second, and the share of the yardstick's speed."""
    name = f"of_{base.replace(' ', '_')}"
    return {
        way: {
            "rows_per_second": round(rows / statistics.median(clock for clock, _ in own)),
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


def whole(loaded: Loaded, table: Path, images: Path) -> Callable[[], object]:
    """From file to file."""
    return lambda: predict_source(loaded, Source(open_table(table), images), Wish(table.with_name("predictions.csv"), proba=True))


def of_tables(folder: Path, rows: int, times: int) -> dict[str, object]:
    write_rows(folder / "table.csv", 20_000, 0, answers=True)
    write_rows(folder / "new.csv", rows, 1, answers=False)
    loaded = trained(folder, "rows", TABLE)
    new = folder / "new.csv"
    ways = {"bare model": bare(loaded, new, folder), "reading": reading(loaded, new, folder), "predict": whole(loaded, new, folder)}
    return summary(rounds(ways, times), rows, "bare model")


def of_memory(folder: Path, rows: int) -> dict[str, float]:
    """Of one prediction, after a first has warmed up, beside that of a table of a tenth of the rows."""
    found = {}
    loaded = Loaded(find("rows", folder / "runs"))
    for count in (rows // 10, rows):
        write_rows(folder / "long.csv", count, 2, answers=False)
        whole(loaded, folder / "new.csv", folder)()
        begun = time.perf_counter()
        with Memory() as memory:
            whole(loaded, folder / "long.csv", folder)()
        found[f"{count} rows"] = {
            "megabytes_before": round(memory.start / 1e6, 1),
            "megabytes_more": round((memory.most - memory.start) / 1e6, 1),
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
        results: dict[str, object] = {"table": of_tables(folder, settings["rows"], times)}
        results["memory"] = of_memory(folder, settings["long_rows"])
        decoder, results["pictures"] = of_pictures(folder / "pictures", settings["pictures"], times)
    settings |= {"decoder": decoder, "machine": platform.machine(), "python": platform.python_version()}
    document = {"name": "predict", "settings": settings, "results": results}
    print(json.dumps(document, indent=1))
    print(f"The aims: 0.9 of the bare model for tables, 0.6 of decoding for pictures. Load of the machine: {os.getloadavg()[0]:.1f}.")
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
