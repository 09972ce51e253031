"""What `predict.py` and `predict_images.py` share: the ways that are timed, and the table of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from turns import Times, speed, typical

from mmtrain.commands.fit import fit
from mmtrain.commands.predict import PredictOptions, predict_source
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.prediction_chunks import Source
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.pipeline.prediction.predictor import Predictor
from mmtrain.system.threads import in_threads

Way = Callable[[], object]
Summary = dict[str, dict[str, float]]
"""Of every way."""


def trained(folder: Path, name: str, tree: Mapping[str, object]) -> Predictor:
    """A small run on `table.csv` in the folder."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "data": {"table": "table.csv"}, **tree}))
    loaded = Predictor(fit(path, output=folder / "runs").run)
    loaded.start()
    return loaded


def bare(loaded: Predictor, table: Path) -> Way:
    """The compiled predictor over all pieces of a table, encoded beforehand."""
    ready = loaded._ready
    source = Source(open_table(table), ImageFolder(table.parent))
    pieces = list(map(ready.pieces.maker(source), ready.pieces.cells(source)))
    size = ready.rows_at_once
    batches = [
        {name: values[start : start + size] for name, values in piece.inputs.items()}
        for piece in pieces
        for start in range(0, len(piece), size)
    ]
    return lambda: [ready.predict(batch) for batch in batches]


def reading(loaded: Predictor, table: Path) -> Way:
    """Reading, checking, decoding and encoding alone, in the threads of `predict`."""
    pieces = loaded._ready.pieces

    def read() -> int:
        source = Source(open_table(table), ImageFolder(table.parent))
        return sum(len(piece) for piece in in_threads(pieces.maker(source), pieces.cells(source), most=pieces.workers))

    return read


def cells(loaded: Predictor, table: Path) -> Way:
    """Reading the cells alone, which nobody looks at."""
    return lambda: sum(1 for _ in loaded._ready.pieces.cells(Source(open_table(table), ImageFolder(table.parent))))


def whole(loaded: Predictor, table: Path) -> Way:
    """From file to file."""
    return lambda: predict_source(
        loaded, Source(open_table(table), ImageFolder(table.parent)), PredictOptions(table.with_name("predictions.csv"), proba=True)
    )


def summary(times: Times, rows: int, base: str) -> Summary:
    """Of every way: median rows a second, microseconds of the processor a row, and the share of the speed of the way `base`."""
    name, found = f"of_{base.replace(' ', '_')}", {}
    for way in times:
        own, share = typical(times, way), speed(times, way, than=base)
        found[way] = {
            "rows_per_second": round(rows / own.clock),
            "microseconds_of_cpu": round(own.processor / rows * 1e6, 2),
            name: round(share.clock, 3),
            f"{name}_of_cpu": round(share.processor, 3),
        }
    return found
