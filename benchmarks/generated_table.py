"""A table of two numbers, two categories, a text and a binary answer, made from a seed: what the benchmarks of rows work on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

COLUMNS: dict[str, dict[str, Any]] = {
    "age": {"role": "numeric"},
    "dose": {"role": "numeric"},
    "site": {"role": "categorical"},
    "ward": {"role": "categorical"},
    "note": {"role": "text"},
    "ill": {"role": "target", "task": "binary"},
}
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
AT_ONCE = 100_000


def vocabulary(size: int) -> npt.NDArray[np.object_]:
    """`size` different made-up words of 3 to 10 letters."""
    random = np.random.default_rng(1)
    words: dict[str, None] = {}
    while len(words) < size:
        lengths = random.integers(3, 11, size)
        letters = LETTERS[random.integers(0, 26, (size, 10))]
        words |= dict.fromkeys("".join(row[:length]) for row, length in zip(letters, lengths, strict=True))
    return np.array(list(words)[:size], dtype=object)


def texts(rows: int, *, words: npt.NDArray[np.object_], length: int, random: np.random.Generator) -> list[str]:
    """Texts of `length` words with capitals and full stops; how often a word occurs falls with its rank, as in a language (Zipf 1949)."""
    ranks = np.minimum((len(words) ** random.random((rows, length))).astype(np.int64) - 1, len(words) - 1)
    return [" ".join(row).capitalize() + "." for row in words[ranks]]


def write_parts(folder: Path, rows: int, *, distinct: int = 10, length: int = 30) -> Path:
    """A folder of Parquet files of 100,000 rows each, partitioned by year; beyond `distinct` files they are the same ones again."""
    import os

    import pyarrow.parquet as pq

    random, words = np.random.default_rng(0), vocabulary(20_000)
    for part, start in enumerate(range(0, rows, AT_ONCE)):
        path = folder / f"year={2000 + part % 5}" / f"part-{part:04}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        if part < distinct:
            pq.write_table(_generated(min(AT_ONCE, rows - start), words, random, length=length, numbers=True), path)
        else:
            os.link(folder / f"year={2000 + part % distinct % 5}" / f"part-{part % distinct:04}.parquet", path)
    return folder


def _generated(count: int, words: npt.NDArray[np.object_], random: np.random.Generator, *, length: int, numbers: bool = False) -> Any:
    """The next rows, as an Arrow table; numbers as such, or as texts."""
    import pyarrow as pa

    ill = random.random(count) < 0.3
    age, dose = random.normal(50, 10, count) + 5 * ill, random.lognormal(0, 1, count)
    return pa.table(
        {
            "age": age.round(1) if numbers else np.char.mod("%.1f", age),
            "dose": dose.round(3) if numbers else np.char.mod("%.3f", dose),
            "site": words[random.integers(0, 10, count)].tolist(),
            "ward": words[random.integers(0, min(1000, len(words)), count)].tolist(),
            "note": texts(count, words=words, length=length, random=random),
            "ill": np.where(ill, "yes", "no"),
        }
    )


def write_table(path: Path, rows: int, *, size: int = 20_000, length: int = 30, patients: int = 0) -> Path:
    """A CSV of `rows` rows, with texts of `length` words out of `size`; each of one of so many `patients`, if there are any."""
    from pyarrow import csv

    random, words = np.random.default_rng(0), vocabulary(size)
    writer = None
    for start in range(0, rows, AT_ONCE):
        count = min(AT_ONCE, rows - start)
        table = _generated(count, words, random, length=length)
        if patients:
            table = table.append_column("patient", [np.char.mod("P%d", random.integers(0, patients, count))])
        writer = writer or csv.CSVWriter(str(path), table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return path


def write_experiment(folder: Path, **sections: dict[str, Any]) -> Path:
    """An experiment file on the table.csv beside it; `sections` replace or add to those of COLUMNS."""
    tree = {"name": "generated", "data": {"table": "table.csv"}, "columns": COLUMNS} | sections
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path
