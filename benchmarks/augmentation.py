"""What all augmentations together add to the training step of a small CNN.

    python benchmarks/augmentation.py [--quick] [--steps 40] [--rounds 7] [--json FILE]      (about a minute on two cores)

The step is mmtrain's own, compiled, in float32: pictures of 64x64x3 from a seed, a CNN of 16, 32 and 64 filters, two classes.
`all` is flip, rotation, shift, zoom, brightness and contrast. Every round takes both ways in turn; a share is
(with - without) / with, the median over the rounds; also of processor time, which other programs on the machine change less.
Then augmentation alone, as mmtrain does it on a CPU against TensorFlow's own resampling, for other sizes and numbers of channels.
"""

from __future__ import annotations

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
import pandas as pd
import yaml
from PIL import Image

SIDE, PICTURES, TARGET = 64, 64, 0.15
SHAPES = ((32, 64, 3), (32, 64, 1), (32, 64, 4), (32, 128, 3), (16, 224, 3))
"""Pictures in a batch, side, channels."""
ALL = "{flip: both, rotate: 15, shift: 0.1, zoom: 0.1, brightness: 0.2, contrast: 0.2}"
EXPERIMENT = """
data: {table: table.csv, images: .}
columns: {scan: {role: image, size: [64, 64], augment: AUGMENT}, y: {role: target, task: binary}}
branches: {scan: {columns: [scan], architecture: cnn, filters: [16, 32, 64]}}
"""


def prepared(folder: Path, augment: str, batch: int) -> tuple[Any, dict[str, Any]]:
    """The compiled functions of a training, and one batch for them."""
    from mmtrain import config
    from mmtrain.batches import Batches
    from mmtrain.data import encode
    from mmtrain.layers.start import start_tensorflow
    from mmtrain.model.assemble import assemble
    from mmtrain.training.step import Steps
    from mmtrain.workflows.prepare import read_data

    path = folder / "experiment.yaml"
    path.write_text(EXPERIMENT.replace("AUGMENT", augment))
    experiment = config.load(path)
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
    start_tensorflow()
    rows = np.arange(PICTURES)
    fitted = encode.fit(experiment, data.table, rows)
    arrays = encode.encode(experiment, fitted, data.table, data.stores)
    experiment = experiment.untried()
    steps = Steps(experiment, fitted, assemble(experiment, fitted))
    return steps, next(iter(Batches(arrays, rows, batch, 7, steps.chance_columns).epoch(1))).tree()


def table(folder: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(PICTURES):
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    pd.DataFrame({"scan": [f"{number}.png" for number in range(PICTURES)], "y": ["a", "b"] * (PICTURES // 2)}).to_csv(
        folder / "table.csv", index=False
    )


Times = dict[str, list[tuple[float, float]]]
"""Milliseconds of each way in each round: elapsed, and of processor time in all threads."""


def in_turn(ways: dict[str, Callable[[], Any]], count: int, rounds: int) -> Times:
    """Of one call, the mean of `count`; the ways take turns in every round."""
    times: Times = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first compiles and warms up
        for name, call in ways.items():
            begun, used = time.perf_counter(), time.process_time()
            for _ in range(count if number else 3):
                call()
            if number:
                times[name].append((1000 * (time.perf_counter() - begun) / count, 1000 * (time.process_time() - used) / count))
    return times


def medians(times: Times, compare: Callable[[float, float], float], named: str) -> dict[str, Any]:
    """Of every way and of `compare(first way, second way)` over the rounds; of elapsed time, and of processor time as `processor_...`."""
    found: dict[str, Any] = {"rounds": times}
    for place, prefix in enumerate(("", "processor_")):
        own = {name: [taken[place] for taken in taking] for name, taking in times.items()}
        found |= {f"{name}_{prefix}ms": round(statistics.median(values), 3) for name, values in own.items()}
        found[prefix + named] = round(statistics.median(map(compare, *own.values())), 3)
    return found


def step(folder: Path, batch: int, count: int, rounds: int) -> dict[str, Any]:
    """A training step without augmentation and with all of it."""
    rate = np.array([0.001], dtype=np.float32)

    def way(augment: str) -> Callable[[], Any]:
        steps, tree = prepared(folder, augment, batch)
        return lambda: float(steps.train_one(tree, rate)["loss"][0])

    times = in_turn({"without": way("{}"), "all": way(ALL)}, count, rounds)
    return medians(times, lambda without, with_all: (with_all - without) / with_all, "share")


def alone(batch: int, side: int, channels: int, count: int, rounds: int) -> dict[str, Any]:
    """All six changes without a step, by TensorFlow's kernels and in the loop that XLA makes."""
    import tensorflow as tf

    from mmtrain.columns.image import Augment
    from mmtrain.training.augment import CHANCES, augmented

    random, how = np.random.default_rng(0), Augment.model_validate(yaml.safe_load(ALL))
    pixels = tf.constant(random.integers(0, 256, (batch, side, side, channels), dtype=np.uint8))
    chances = tf.constant(random.random((batch, CHANCES), dtype=np.float32))

    def way(compiled: bool) -> Callable[[], Any]:
        change = tf.function(lambda: augmented(pixels, chances, how, 255, compiled=compiled), autograph=False)
        return lambda: change().numpy()

    return medians(in_turn({"kernels": way(False), "compiled": way(True)}, count, rounds), lambda one, other: one / other, "times")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="A smoke run of seconds.")
    parser.add_argument("--json", type=Path, help="Also write the results to this file.")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.steps, chosen.rounds = 5, 2
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["MMTRAIN_CACHE"] = temporary + "/cache"
        folder = Path(temporary)
        table(folder)
        for batch in (32, 64):
            found = results[f"batch {batch}"] = step(folder, batch, chosen.steps, chosen.rounds)
            print(
                f"batch {batch}: without {found['without_ms']:.2f} ms  all {found['all_ms']:.2f} ms  {found['share']:.1%} of the step"
                f"  ({found['processor_share']:.1%} of its processor time)"
            )
    for batch, side, channels in SHAPES:
        shape = f"{batch}x{side}x{side}x{channels}"
        found = results[f"alone {shape}"] = alone(batch, side, channels, max(2, chosen.steps // 4), chosen.rounds)
        print(
            f"alone, {shape}: kernels {found['kernels_ms']:.2f} ms  compiled {found['compiled_ms']:.2f} ms"
            f"  {found['times']:.1f} times as fast  ({found['processor_times']:.1f} times less processor time)"
        )
    print(f"The aim is at most {TARGET:.0%}; load of the machine: {os.getloadavg()[0]:.1f}.")
    if chosen.json:
        settings = {"side": SIDE, "steps": chosen.steps, "rounds": chosen.rounds, "augment": ALL, "machine": platform.machine()}
        chosen.json.write_text(json.dumps({"name": "augmentation", "settings": settings, "results": results}, indent=1))


if __name__ == "__main__":
    main()
