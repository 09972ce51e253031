"""How much memory `mmtrain fit` takes: for tables of 10 thousand to 1 million rows, and for images beyond the memory budget.

    python benchmarks/memory.py [--quick] [--json FILE]        (about four minutes on two cores)

Every figure is the peak of anonymous memory (RssAnon: what the process holds beyond mapped files) in megabytes above what it was
when TensorFlow had been imported, sampled every 5 ms, in a process of its own. The table has two numbers, two categories, a text
of 30 words read as TF-IDF and a binary answer; one epoch in batches of 4096. The images have no room on the disk and take four
times the memory that `data.cache.memory` allows; what counts is whether later epochs take more than the second one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from generated_table import COLUMNS, write_experiment, write_parts, write_table
from peak_memory import PeakMemory
from PIL import Image
from script import keep, parser

if TYPE_CHECKING:
    from mmtrain.pipeline.prepare import LoadedData
    from mmtrain.training.training_data import TrainingData

ROWS, QUICK_ROWS = (10_000, 100_000, 1_000_000), (1_000, 4_000)
ALLOWED = 1500
"""Megabytes at the most rows."""
GROWTH = 16
"""Megabytes by which the last epoch over images may stand above the second: noise of the allocator."""
SIDE, IMAGE = 64, 64 * 64 * 3
STAGES = ("read", "split", "fit columns", "encode", "train")


def held(data: LoadedData, training_data: TrainingData) -> dict[str, float]:
    """Bytes per row of everything that a training holds for every row. What is mapped lies in a file: no anonymous memory."""
    arrays, partition = training_data.arrays, training_data.partition
    found: dict[str, int] = {}

    def add(name: str, array: np.ndarray[Any, Any]) -> None:
        name += ", mapped" if isinstance(array.base, np.memmap) else ""
        found[name] = found.get(name, 0) + array.nbytes

    found["cells as text"] = sum(data.table.cells(header).memory_usage(index=False) for header in COLUMNS if data.table.has(header))
    add("row index", data.table.rows)
    for _, positions in partition.items():
        add("parts", positions)
    for inputs in arrays.inputs.values():
        if hasattr(inputs, "codes"):
            add("codes", inputs.codes)
    for present in arrays.present.values():
        add("presence", present)
    for key in arrays.targets:
        add("answers", arrays.targets[key])
        add("weights", arrays.weights[key])
    found["order of an epoch"] = partition.train.nbytes
    return {name: round(size / len(data.table), 1) for name, size in found.items()}


def table_stages(rows: int, *, parts: bool = False, words: int = 30) -> dict[str, Any]:
    """Peak and seconds of every stage of a fit on `rows` rows, and what is held; with `parts` of a folder of Parquet files."""
    from mmtrain import config
    from mmtrain.artifacts import runs
    from mmtrain.config.yaml_source import Origin
    from mmtrain.data import encode
    from mmtrain.layers.start import start_tensorflow
    from mmtrain.pipeline.build import assemble_training, encode_table
    from mmtrain.pipeline.checks.columns_of_parts import check_class_weights, check_parts
    from mmtrain.pipeline.prepare import read_data, split_rows
    from mmtrain.pipeline.run_record import record_inputs
    from mmtrain.pipeline.train_run import train

    with tempfile.TemporaryDirectory(prefix="memory_") as name:
        folder = Path(name)
        table_path = write_parts(folder / "table", rows, length=words) if parts else write_table(folder / "table.csv", rows)
        os.environ["MMTRAIN_CACHE"] = str(folder / "cache")
        training = {"epochs": 1, "batch_size": 4096, "steps_per_call": 1, "jit": "off"}
        path = write_experiment(folder, data={"table": table_path.name}, training=training)
        start_tensorflow()
        memory, begun, used = PeakMemory(), time.perf_counter(), time.process_time()
        found: dict[str, Any] = {}

        def stage(of: str) -> None:
            nonlocal begun, used
            found[of] = {
                "peak_MB": round(memory.peak() / 1e6, 1),
                "held_MB": round(memory.now() / 1e6, 1),
                "seconds": round(time.perf_counter() - begun, 2),
                "processor_seconds": round(time.process_time() - used, 2),
            }
            begun, used = time.perf_counter(), time.process_time()

        experiment = config.load(path)
        data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
        stage("read")
        check_class_weights(experiment, data.table, Origin(path, ()))
        split = split_rows(experiment, data.table)
        partition = split.holdout
        check_parts(experiment, data.table, partition)
        stage("split")
        fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
        stage("fit columns")
        table = encode_table(experiment, data, partition, fitted, print)
        experiment, training_data, tuning = assemble_training(table, print)
        stage("encode")
        run = runs.create(experiment.name, folder / "runs")
        record_inputs(run, experiment, table, split, training_data, tuning)
        train(run, training_data, experiment.evaluation, lambda _: None)
        stage("train")
        return found | {"bytes_held_per_row": held(data, training_data)}


def image_epochs(images: int, epochs: int) -> dict[str, Any]:
    """Peaks of the epochs of a fit on images of which a quarter may stay in memory."""
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.training_listeners import Listeners
    from mmtrain.layers.start import start_tensorflow
    from mmtrain.training.listeners.events import EpochEnded, Event

    with tempfile.TemporaryDirectory(prefix="memory_") as name:
        folder, random = Path(name), np.random.default_rng(0)
        lines = ["scan,ill"]
        for number in range(images):
            level = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(level).resize((SIDE, SIDE)).save(folder / f"{number}.jpg", quality=90)
            lines.append(f"{number}.jpg,{'yes' if level.mean() > 128 else 'no'}")
        (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        columns = {"scan": {"role": "image", "size": [SIDE, SIDE]}, "ill": COLUMNS["ill"]}
        cache = {"folder": str(folder / "cache"), "disk": 0, "memory": images * IMAGE // 4}
        path = write_experiment(
            folder,
            data={"table": "table.csv", "cache": cache},
            columns=columns,
            branches={"scan": {"columns": ["scan"], "architecture": "cnn", "filters": [8]}},
            training={"epochs": epochs, "batch_size": 64, "steps_per_call": 1, "jit": "off"},
        )
        start_tensorflow()
        memory, peaks = PeakMemory(), []

        def watch(event: Event) -> None:
            if isinstance(event, EpochEnded):
                peaks.append(round(memory.peak() / 1e6, 1))

        fit(path, output=folder / "runs", listeners=Listeners(watch=watch))
    return {"images_MB": images * IMAGE / 1e6, "allowed_MB": images * IMAGE / 4e6, "epoch_peaks_MB": peaks}


def in_fresh_process(*arguments: str) -> Any:
    """What this script says when it is started with these arguments."""
    command = [sys.executable, __file__, *arguments]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603 (this script)
    return json.loads(said.splitlines()[-1])


def growth(tables: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Bytes per row by which the peak of each stage grows between the two largest tables."""
    (fewer, small), (more, large) = [(int(rows), found) for rows, found in tables.items()][-2:]
    return {stage: round((large[stage]["peak_MB"] - small[stage]["peak_MB"]) * 1e6 / (more - fewer), 1) for stage in STAGES}


def main() -> None:
    asked = parser(__doc__, quick="Small tables and few images, to see that it runs, in any memory.")
    asked.add_argument("--table", type=int, help=argparse.SUPPRESS)
    asked.add_argument("--parquet", type=int, nargs="+", metavar="ROWS", help="Only tables of these sizes, as folders of Parquet files.")
    asked.add_argument("--words", type=int, default=30, help="Words of a text of these; more cost time alone, since texts are streamed.")
    asked.add_argument("--parts", type=int, help=argparse.SUPPRESS)
    asked.add_argument("--images", type=int, nargs=2, help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.table or options.parts or options.images:
        rows, parts = options.table or options.parts, bool(options.parts)
        found = image_epochs(*options.images) if options.images else table_stages(rows, parts=parts, words=options.words)
        print(json.dumps(found))
        return
    print(f"peak anonymous memory above TensorFlow's import, MB\n{'rows':>10} " + " ".join(f"{stage:>12}" for stage in STAGES), flush=True)
    tables = {}
    for rows in options.parquet or (QUICK_ROWS if options.quick else ROWS):
        found = tables[str(rows)] = in_fresh_process("--parts" if options.parquet else "--table", str(rows), "--words", str(options.words))
        print(f"{rows:>10,} " + " ".join(f"{found[stage]['peak_MB']:>12,.0f}" for stage in STAGES), flush=True)
        for name, key in (("held", "held_MB"), ("s", "seconds"), ("CPU s", "processor_seconds")):
            print(f"{name:>10} " + " ".join(f"{found[stage][key]:>12,.0f}" for stage in STAGES), flush=True)
    if options.parquet and len(tables) < 2:
        return
    per_row = growth(tables)
    print(f"{'bytes/row':>10} " + " ".join(f"{per_row[stage]:>12,.0f}" for stage in STAGES))
    lines = list(tables.values())[-1]["bytes_held_per_row"]
    print("of these held to the end, bytes/row: " + ", ".join(f"{name} {size:g}" for name, size in lines.items()), flush=True)
    if options.parquet:
        keep(options, {"rows": options.parquet}, {"tables": tables, "bytes_per_row": per_row})
        return
    images = in_fresh_process("--images", *(("256", "3") if options.quick else ("8000", "6")))
    peaks = images["epoch_peaks_MB"]
    print(f"images of {images['images_MB']:.0f} MB, of which {images['allowed_MB']:.0f} MB may stay: epochs {peaks}")
    settings = {"rows": list(map(int, tables)), "allowed_MB": ALLOWED}
    keep(options, settings, {"tables": tables, "bytes_per_row": per_row, "images": images})
    most = max(list(tables.values())[-1][stage]["peak_MB"] for stage in STAGES)
    if not options.quick and (most > ALLOWED or peaks[-1] - peaks[1] > GROWTH):
        raise SystemExit(f"Above what is allowed: {most:.0f} of {ALLOWED} MB, or growth from {peaks[1]} to {peaks[-1]} MB.")


if __name__ == "__main__":
    main()
