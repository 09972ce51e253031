"""What `predict.py` and `predict_pictures.py` share: the ways that are timed, the rounds that time them, and the table of results."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from mmtrain.data.tables.formats import open_table
from mmtrain.data.tables.pieces import Source
from mmtrain.threads import in_threads
from mmtrain.workflows.fit import fit
from mmtrain.workflows.loaded import Loaded
from mmtrain.workflows.predict import PredictOptions, predict_source

Way = Callable[[], object]
Seconds = dict[str, list[tuple[float, float]]]
"""Of every way and round: by the clock, and of the processor."""
Summary = dict[str, dict[str, float]]
"""Of every way."""


def trained(folder: Path, name: str, tree: Mapping[str, object]) -> Loaded:
    """A small run on `table.csv` in the folder."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "data": {"table": "table.csv"}, **tree}))
    loaded = Loaded(fit(path, output=folder / "runs").run)
    loaded.start()
    return loaded


def bare(loaded: Loaded, table: Path) -> Way:
    """The compiled predictor over all pieces of a table, encoded beforehand."""
    ready = loaded._ready
    source = Source(open_table(table), table.parent)
    pieces = list(map(ready.pieces.maker(source), ready.pieces.cells(source)))
    size = ready.rows_at_once
    batches = [
        {name: values[start : start + size] for name, values in piece.inputs.items()}
        for piece in pieces
        for start in range(0, len(piece), size)
    ]
    return lambda: [ready.predict(batch) for batch in batches]


def reading(loaded: Loaded, table: Path) -> Way:
    """Reading, checking, decoding and encoding alone, in the threads of `predict`."""
    pieces = loaded._ready.pieces

    def read() -> int:
        source = Source(open_table(table), table.parent)
        return sum(len(piece) for piece in in_threads(pieces.maker(source), pieces.cells(source), most=pieces.workers))

    return read


def cells(loaded: Loaded, table: Path) -> Way:
    """Reading the cells alone, which nobody looks at."""
    return lambda: sum(1 for _ in loaded._ready.pieces.cells(Source(open_table(table), table.parent)))


def whole(loaded: Loaded, table: Path) -> Way:
    """From file to file."""
    return lambda: predict_source(
        loaded, Source(open_table(table), table.parent), PredictOptions(table.with_name("predictions.csv"), proba=True)
    )


def rounds(ways: Mapping[str, Way], times: int) -> Seconds:
    """All ways in turn, `times` times; a first round warms up and is not counted."""
    seconds: Seconds = {way: [] for way in ways}
    for number in range(times + 1):
        for way, run in ways.items():
            begun, used = time.perf_counter(), time.process_time()
            run()
            if number:
                seconds[way].append((time.perf_counter() - begun, time.process_time() - used))
    return seconds


def summary(seconds: Seconds, rows: int, base: str) -> Summary:
    """Of every way: median rows a second, microseconds of the processor a row, and the share of the speed of the way `base`."""
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
