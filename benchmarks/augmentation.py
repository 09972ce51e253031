"""What all augmentations together add to the training step of a small CNN.

    python benchmarks/augmentation.py [--quick] [--steps 40] [--rounds 7] [--json FILE]      (about a minute on two cores)

The step is mmtrain's own, compiled, in float32: images of 64x64x3 from a seed, a CNN of 16, 32 and 64 filters, two classes.
`all` is flip, rotation, shift, zoom, brightness and contrast. Every round takes both ways in turn; a share is
(with - without) / with, the median over the rounds; also of processor time, which other programs on the machine change less.
Then augmentation alone, as mmtrain does it on a CPU against TensorFlow's own resampling, for other sizes and numbers of channels.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from script import keep, parser
from turns import Times, in_turn, speed, typical

from mmtrain.layers.start import start_tensorflow

SIDE, IMAGES, TARGET = 64, 64, 0.15
SHAPES = ((32, 64, 3), (32, 64, 1), (32, 64, 4), (32, 128, 3), (16, 224, 3))
"""Images in a batch, side, channels."""
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
    from mmtrain.pipeline.build import assemble_network
    from mmtrain.pipeline.prepare import read_data
    from mmtrain.training.step import TrainStep

    path = folder / "experiment.yaml"
    path.write_text(EXPERIMENT.replace("AUGMENT", augment))
    experiment = config.load(path)
    data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
    rows = np.arange(IMAGES)
    fitted = encode.fit(experiment.columns, data.table, rows, experiment.training.class_weights)
    arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache)
    experiment = experiment.untried()
    steps = TrainStep(experiment.training, experiment.columns, fitted, assemble_network(experiment, fitted))
    return steps, next(iter(Batches(arrays, rows, batch, 7, steps.uniform_columns).epoch(1))).tree()


def table(folder: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    pd.DataFrame({"scan": [f"{number}.png" for number in range(IMAGES)], "y": ["a", "b"] * (IMAGES // 2)}).to_csv(
        folder / "table.csv", index=False
    )


def told(times: Times) -> dict[str, Any]:
    """Milliseconds of both ways, by the clock and of the processor, beside those of every round."""
    found: dict[str, Any] = {"seconds": times}
    for way in times:
        for kind, seconds in typical(times, way)._asdict().items():
            found[f"{way}_{kind}_ms"] = round(1000 * seconds, 3)
    return found


def step(folder: Path, batch: int, count: int, rounds: int) -> dict[str, Any]:
    """A training step without augmentation and with all of it."""
    rate = np.array([0.001], dtype=np.float32)

    def way(augment: str) -> Callable[[], Any]:
        steps, tree = prepared(folder, augment, batch)
        return lambda: float(steps.train_one(tree, rate)["loss"][0])

    times = in_turn({"without": way("{}"), "all": way(ALL)}, rounds, calls=count)
    left = speed(times, "all", than="without")
    return told(times) | {"clock_share": round(1 - left.clock, 3), "processor_share": round(1 - left.processor, 3)}


def alone(batch: int, side: int, channels: int, count: int, rounds: int) -> dict[str, Any]:
    """All six changes without a step, by TensorFlow's kernels and in the loop that XLA makes."""
    import tensorflow as tf

    from mmtrain.columns.pixels.image_augment import Augment
    from mmtrain.training.augmentation.augment import augment_images, uniforms_for

    random, how = np.random.default_rng(0), Augment.model_validate(yaml.safe_load(ALL))
    pixels = tf.constant(random.integers(0, 256, (batch, side, side, channels), dtype=np.uint8))
    uniforms = tf.constant(random.random((batch, uniforms_for(how)), dtype=np.float32))

    def way(compiled: bool) -> Callable[[], Any]:
        change = tf.function(lambda: augment_images(pixels, uniforms, how, 255, compiled=compiled), autograph=False)
        return lambda: change().numpy()

    times = in_turn({"kernels": way(False), "compiled": way(True)}, rounds, calls=count)
    faster = speed(times, "compiled", than="kernels")
    return told(times) | {"clock_times": round(faster.clock, 3), "processor_times": round(faster.processor, 3)}


def main() -> None:
    asked = parser(__doc__, quick="Two rounds of five steps.")
    asked.add_argument("--steps", type=int, default=40)
    asked.add_argument("--rounds", type=int, default=7)
    options = asked.parse_args()
    steps, rounds = (5, 2) if options.quick else (options.steps, options.rounds)
    results = {}
    start_tensorflow()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["MMTRAIN_CACHE"] = temporary + "/cache"
        folder = Path(temporary)
        table(folder)
        for batch in (32, 64):
            found = results[f"batch {batch}"] = step(folder, batch, steps, rounds)
            print(
                f"batch {batch}: without {found['without_clock_ms']:.2f} ms  all {found['all_clock_ms']:.2f} ms"
                f"  {found['clock_share']:.1%} of the step  ({found['processor_share']:.1%} of its processor time)"
            )
    for batch, side, channels in SHAPES:
        shape = f"{batch}x{side}x{side}x{channels}"
        found = results[f"alone {shape}"] = alone(batch, side, channels, max(2, steps // 4), rounds)
        print(
            f"alone, {shape}: kernels {found['kernels_clock_ms']:.2f} ms  compiled {found['compiled_clock_ms']:.2f} ms"
            f"  {found['clock_times']:.1f} times as fast  ({found['processor_times']:.1f} times less processor time)"
        )
    print(f"The aim is at most {TARGET:.0%}; load of the machine: {os.getloadavg()[0]:.1f}.")
    keep(options, {"side": SIDE, "steps": steps, "rounds": rounds, "augment": ALL}, results)


if __name__ == "__main__":
    main()
