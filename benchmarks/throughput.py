"""How fast mmtrain trains, against other ways to train the same network on the same rows.

    python benchmarks/throughput.py [--quick] [--json FILE]        (about ten minutes on two cores)

| way | what it is |
|---|---|
| ceiling | the same network in a bare compiled loop over float and byte tensors that lie in memory, batched before the clock starts |
| tf.data | a hand-written pipeline that reads, decodes and resizes every image anew in every epoch, with the same compiled step |
| flow_from_dataframe | Keras's generator zipped with the table, as in tutorials, in Keras `fit` |
| keras fit | Keras `fit` on arrays in memory |

mmtrain trains as `mmtrain fit` does, with its own loop and run folder; its figure is rows per second of the steps of an epoch, as
it prints them. After each of its epochs every other way trains one, so that what else the machine does hits all. The first epoch,
in which everything is compiled, is left out but for the comparison of first epochs, where mmtrain's also has to build its store.
Images are those of `jpegs.py`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml
from jpegs import generated
from script import keep, parser

from mmtrain.artifacts import runs
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import assemble_training, encode_table
from mmtrain.pipeline.checks.validate import load_checked
from mmtrain.training.listeners.events import EpochEnded, Event

if TYPE_CHECKING:
    from mmtrain.training.training_data import TrainingData

BATCH = 32


@dataclass(frozen=True)
class Case:
    """One network on one table."""

    name: str
    rows: int
    epochs: int
    side: int = 0
    """Of the images in the network, in pixels; 0 for a table without images."""
    filters: tuple[int, ...] = (16, 32, 64)
    rivals: tuple[str, ...] = ("ceiling", "keras fit")
    settings: dict[str, Any] = field(default_factory=dict)
    decided_for: int = 0
    """Epochs that the trial on the device is told of; 0 for no trial."""


LIGHT = ("ceiling", "tf.data", "flow_from_dataframe", "keras fit")
CASES = [
    Case("cnn 64x64", 1440, 11, 64, rivals=("ceiling", "tf.data", "keras fit"), decided_for=1000),
    Case("cnn 128x128", 640, 9, 128, rivals=("ceiling", "tf.data", "keras fit"), decided_for=1000),
    Case("cnn 224x224", 320, 7, 224, rivals=("ceiling", "tf.data", "keras fit"), decided_for=1000),
    Case("one small convolution 64x64", 1440, 9, 64, (4,), LIGHT, decided_for=1000),
    Case("first epoch 64x64", 4000, 1, 64, rivals=("tf.data",)),
    Case("first epoch 128x128", 2000, 1, 128, rivals=("tf.data",)),
    Case("first epoch 224x224", 1000, 1, 224, rivals=("tf.data",)),
    Case("table only", 60_000, 7, decided_for=1000),
    *[
        Case(f"cnn {side}x{side}, precision auto", rows, 5, side, rivals=("ceiling",), settings={"precision": "auto"}, decided_for=1000)
        for side, rows in [(64, 1440), (128, 640), (224, 320)]
    ],
]


def write_data(folder: Path, rows: int, *, images: bool) -> None:
    """A table of two numbers and a category, and images."""
    random = np.random.default_rng(0)
    table = {
        "age": random.integers(20, 90, rows),
        "size": random.normal(10, 3, rows).round(3),
        "site": random.choice(["north", "south", "east"], rows),
        "ill": random.choice(["no", "yes"], rows),
    }
    if images:
        table["scan"] = np.array([Path(file.path).name for file in generated(folder, rows)])
    pd.DataFrame(table).to_csv(folder / "table.csv", index=False)


def experiment_file(folder: Path, case: Case) -> Path:
    columns: dict[str, Any] = {
        "age": {"role": "numeric"},
        "size": {"role": "numeric"},
        "site": {"role": "categorical"},
        "ill": {"role": "target", "task": "binary"},
    }
    branches: dict[str, Any] = {"table": {"columns": ["age", "size", "site"], "architecture": "mlp", "units": [32]}}
    if case.side:
        columns["scan"] = {"role": "image", "size": [case.side, case.side]}
        branches["scan"] = {"columns": ["scan"], "architecture": "cnn", "filters": list(case.filters)}
        if len(case.filters) == 1:
            branches["scan"]["normalization"] = "none"
    training = {"epochs": case.epochs, "batch_size": BATCH, **case.settings}
    tree = {
        "data": {"table": "table.csv", "cache": {"folder": "cache"}},
        "columns": columns,
        "branches": branches,
        "split": {"method": "random", "validation": 0.02, "test": 0.0},
        "training": training,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


Step = Callable[[Any, Any], Any]
"""Of a batch and its answers, to the loss."""


class Rivals:
    """Other ways to train, each with a network of its own; a way is a function that trains one epoch and returns its seconds."""

    def __init__(self, folder: Path, experiment: Experiment, data: TrainingData) -> None:
        """Use the rows of `data`; the network is that of the experiment, in float32."""
        from mmtrain.training.device import prepare

        prepare(0, deterministic=False)
        rows = data.partition.train
        self.folder, self.experiment, self.fitted, self.rows = folder, experiment, data.fitted, len(rows)
        self.inputs, self.truth = data.arrays.take(rows), data.arrays.targets["ill"][rows]
        self.small = {name: values for name, values in self.inputs.items() if name != "scan"}
        self.answers = {"ill": self.truth.astype(np.float32)[:, None]}
        self.side = self.inputs["scan"].shape[1] if "scan" in self.inputs else 0
        self.names = pd.read_csv(folder / "table.csv")["scan"].to_numpy()[rows] if self.side else np.array([])

    def named(self, name: str) -> Callable[[], float]:
        """The way called `name`."""
        makers = {"ceiling": self.ceiling, "tf.data": self.tf_data, "keras fit": self.keras_fit, "flow_from_dataframe": self.flow}
        return makers[name]()

    def network(self) -> Any:
        """Fresh weights, the same network."""
        from mmtrain.pipeline.build import assemble_network

        return assemble_network(self.experiment, self.fitted).network

    def bare_step(self) -> Step:
        """One compiled step of Adam; the loss."""
        import keras
        import tensorflow as tf

        core, optimizer, target = self.network(), keras.optimizers.Adam(0.001), self.fitted.targets["ill"]
        optimizer.build(core.trainable_variables)

        def step(batch: Any, answers: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(target.row_loss(answers, core(batch, training=True)["ill"]))
            optimizer.apply(tape.gradient(loss, core.trainable_variables), core.trainable_variables)
            return loss

        compiled: Step = tf.function(step, reduce_retracing=True)
        return compiled

    def ceiling(self) -> Callable[[], float]:
        """A bare loop over batches that lie in memory."""
        import tensorflow as tf

        pieces = [slice(first, first + BATCH) for first in range(0, self.rows, BATCH)]
        inputs = [{name: tf.constant(values[piece]) for name, values in self.inputs.items()} for piece in pieces]
        return _stepping(self.bare_step(), list(zip(inputs, [tf.constant(self.truth[piece]) for piece in pieces], strict=True)))

    def tf_data(self) -> Callable[[], float]:
        """A bare loop over images that are read and decoded anew."""
        import tensorflow as tf

        def decoded(path: Any, others: Any, answer: Any) -> Any:
            image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
            image = tf.image.resize(image, (self.side, self.side), antialias=True)
            return {**others, "scan": tf.cast(tf.round(image), tf.uint8)}, answer

        paths = [str(self.folder / name) for name in self.names]
        data = tf.data.Dataset.from_tensor_slices((paths, self.small, self.truth)).shuffle(self.rows, seed=0)
        return _stepping(self.bare_step(), data.map(decoded, num_parallel_calls=os.cpu_count()).batch(BATCH).prefetch(2))

    def compiled(self) -> Any:
        """A network ready for Keras `fit`."""
        import keras

        core = self.network()
        core.compile(optimizer=keras.optimizers.Adam(0.001), loss={"ill": keras.losses.BinaryCrossentropy(from_logits=True)})
        return core

    def keras_fit(self) -> Callable[[], float]:
        """Keras `fit` on arrays."""
        core = self.compiled()
        return _timed(lambda: core.fit(self.inputs, self.answers, batch_size=BATCH, epochs=1, verbose=0))

    def flow(self) -> Callable[[], float]:
        """Keras `fit` on `flow_from_dataframe`, each batch of images put together with the rows of the table it is of."""
        from keras.src.legacy.preprocessing.image import ImageDataGenerator

        core = self.compiled()
        frame = pd.DataFrame({"scan": self.names, "row": np.arange(self.rows)})
        size = (self.side, self.side)
        flow = ImageDataGenerator().flow_from_dataframe(
            frame, str(self.folder), x_col="scan", y_col="row", target_size=size, class_mode="raw", batch_size=BATCH, seed=0
        )

        def zipped() -> Iterator[Any]:
            while True:
                images, at = next(flow)
                batch = {name: values[at] for name, values in self.small.items()}
                yield {**batch, "scan": images.astype(np.uint8)}, {"ill": self.answers["ill"][at]}

        return _timed(lambda: core.fit(zipped(), steps_per_epoch=len(flow), epochs=1, shuffle=False, verbose=0))


def _timed(epoch: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        begun = time.perf_counter()
        epoch()
        return time.perf_counter() - begun

    return timed


def _stepping(step: Step, batches: Iterable[Any]) -> Callable[[], float]:
    def epoch() -> None:
        for batch, answers in batches:
            loss = step(batch, answers)
        loss.numpy()  # waits for the last step

    return _timed(epoch)


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """Rows per second of every way, medians over the epochs after the first, and their ratios."""
    write_data(folder, case.rows, images=bool(case.side))
    path = experiment_file(folder, case)
    begun = time.perf_counter()
    experiment, data, split = load_checked(path, [])
    partition = split.holdout
    store_seconds = time.perf_counter() - begun
    start_tensorflow()
    from mmtrain.training import loop

    fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
    asked = experiment.decided(epochs=case.decided_for) if case.decided_for else experiment.untried()
    decided, tried, tuning = assemble_training(encode_table(asked, data, partition, fitted, print), print)
    rivals = Rivals(folder, experiment.untried(), tried)
    others = {name: rivals.named(name) for name in case.rivals}
    _, training_data, _ = assemble_training(encode_table(decided.decided(epochs=case.epochs), data, partition, fitted, print), print)
    seconds: dict[str, list[float]] = {name: [] for name in ("mmtrain", *others)}

    def after(event: Event) -> None:
        if isinstance(event, EpochEnded):
            seconds["mmtrain"].append(len(partition.train) / event.rows_per_second)
            for name, epoch in others.items():
                seconds[name].append(epoch())

    loop.train(training_data, runs.create("throughput", folder / "runs"), after)
    later = {name: values[1:] or values for name, values in seconds.items()}
    speed = {name: len(partition.train) / median(values) for name, values in later.items()}
    ratios = {name: median(theirs / ours for ours, theirs in zip(later["mmtrain"], later[name], strict=True)) for name in others}
    training = decided.training
    return {
        "settings": {name: getattr(training, name) for name in ("precision", "jit", "steps_per_call")},
        "reasons": tuning.reasons,
        "rows_per_second": {name: round(value, 1) for name, value in speed.items()},
        "mmtrain_times_as_fast_as": {name: round(value, 3) for name, value in ratios.items()},
        "first_epoch_seconds": {
            "mmtrain, with its store": round(store_seconds + seconds["mmtrain"][0], 2),
            **{name: round(values[0], 2) for name, values in seconds.items() if name != "mmtrain"},
        },
        "seconds": {name: [round(value, 4) for value in values] for name, values in seconds.items()},
    }


def main() -> None:
    asked = parser(__doc__, quick="A few rows and epochs, to see that it runs.")
    asked.add_argument("--only", default="", help="Only cases whose name contains this.")
    options = asked.parse_args()
    results = {}
    for case in CASES:
        if options.only not in case.name:
            continue
        with tempfile.TemporaryDirectory(prefix="throughput_") as folder:
            found = measure(replace(case, rows=96, epochs=2, decided_for=0) if options.quick else case, Path(folder))
        results[case.name] = found
        told = "  ".join(f"{name} {value:,.0f}" for name, value in found["rows_per_second"].items())
        print(f"{case.name}: rows/s  {told}")
        print("   mmtrain is " + ", ".join(f"{value:.2f} times {name}" for name, value in found["mmtrain_times_as_fast_as"].items()))
        print(f"   first epoch, seconds: {found['first_epoch_seconds']}", flush=True)
    keep(options, {"batch_size": BATCH, "rows": {case.name: case.rows for case in CASES}}, results)


if __name__ == "__main__":
    main()
