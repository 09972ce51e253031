"""How fast texts are learned from and encoded, and what TF-IDF costs in training, by the size of the vocabulary.

    python benchmarks/text.py [--quick] [--json FILE]        (about four minutes on two cores)

First a table of 1 million rows of two numbers, two categories, a text of 30 words and an answer: the seconds in which all columns
are learned from the training rows (vocabularies are counted), and in which all rows are encoded, into the cache; both read the texts
from the CSV. Then, for vocabularies of 1, 20 and 200 thousand words, texts alone, and a training step on a batch of them, with
Adam, by two ways that compute the same: `bag` is mmtrain's idf-weighted sum of the rows of the words that occur, on ids; `dense` is a
dense layer on the TF-IDF vectors, which lie in memory before the clock starts. Both ways take turns; a ratio is the median of
the rounds' ratios. Memory is what one row of input takes, and the peak of anonymous memory while the way was first made and run.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from generated_table import COLUMNS, write_experiment, write_table
from peak_memory import PeakMemory
from script import keep, parser
from turns import in_turn, speed, typical

from mmtrain import config
from mmtrain.data import encode
from mmtrain.data.arrays import Arrays
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.prepare import read_data, split_rows

TARGET = 60.0
"""Seconds for the large table, learning and encoding together."""
UNITS, BATCH, BATCHES = 64, 64, 4

Array = np.ndarray[Any, Any]


def encoded(rows: int, size: int, columns: list[str]) -> tuple[dict[str, float], encode.Fitted, Arrays]:
    """Seconds of learning from a generated table and of encoding it, and what came of it."""
    with tempfile.TemporaryDirectory(prefix="text_") as name:
        folder = Path(name)
        write_table(folder / "table.csv", rows, size=size)
        os.environ["MMTRAIN_CACHE"] = str(folder / "cache")
        wanted = {key: COLUMNS[key] | ({"max_tokens": size} if key == "note" else {}) for key in [*columns, "ill"]}
        experiment = config.load(write_experiment(folder, columns=wanted))
        data = read_data(experiment, experiment.data.table, experiment.data.images_folder)
        partition = split_rows(experiment, data.table).holdout
        begun = time.perf_counter()
        fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
        learned = time.perf_counter()
        arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache)
        ended = time.perf_counter()
        encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache)
        seconds = {"learn": learned - begun, "encode": ended - learned, "encode again": time.perf_counter() - ended}
    return {way: round(value, 3) for way, value in seconds.items()}, fitted, arrays


def told(rows: int, seconds: dict[str, float]) -> dict[str, Any]:
    """Seconds and rows per second; learning sees the training rows only."""
    return {"rows": rows, "seconds": seconds, "encoded_rows_per_second": round(rows / seconds["encode"])}


def tf_idf(ids: Array, idf: Array) -> Array:
    """Bags (rows, length) as TF-IDF vectors (rows, words) of length 1."""
    vectors = np.zeros((len(ids), len(idf)), dtype=np.float32)
    np.add.at(vectors, (np.arange(len(ids))[:, None], ids), idf[ids])
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, norms, out=vectors, where=norms > 0)
    return vectors


def step_on(layer: Any, shape: tuple[int, ...], dtype: str) -> Callable[[Array, Array], float]:
    """A compiled step of Adam on `layer` and one logit."""
    import keras
    import tensorflow as tf

    inputs = keras.Input(shape, dtype=dtype)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Activation("relu")(layer(inputs))))
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)

    def step(batch: Any, answers: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = tf.reshape(model(batch, training=True), (-1,))
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=answers, logits=logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    compiled = tf.function(step, reduce_retracing=True)
    return lambda batch, answers: float(compiled(tf.constant(batch), tf.constant(answers)))


def every(step: Callable[[Array, Array], float], batches: list[Array], answers: list[Array]) -> list[float]:
    """The losses of the step on one batch after the other."""
    return list(map(step, batches, answers))


def steps(fitted: encode.Fitted, arrays: Arrays, rounds: int) -> dict[str, Any]:
    """Milliseconds of a step by both ways, their ratio, and their memory."""
    import keras

    from mmtrain.layers.text_tokens import BagProjection

    spec: Any = fitted.columns["note"].spec
    idf = np.array(spec.idf, dtype=np.float32)
    rows = np.arange(BATCHES * BATCH).reshape(BATCHES, BATCH)
    batches = [arrays.column("note", some) for some in rows]
    answers = [arrays.targets["ill"][some].astype(np.float32) for some in rows]
    inputs = {"bag": batches, "dense": [tf_idf(batch, idf) for batch in batches]}
    memory, peaks = PeakMemory(), {}
    ways: dict[str, Callable[[], object]] = {}
    for way, values in inputs.items():
        before = memory.now()
        layer = BagProjection(idf=idf.tolist(), units=UNITS, use_bias=True) if way == "bag" else keras.layers.Dense(UNITS)
        step = step_on(layer, values[0].shape[1:], values[0].dtype.name)
        for _ in range(2):
            step(values[0], answers[0])
        ways[way] = partial(every, step, values, answers)
        peaks[way] = round((memory.peak() - before) / 1e6, 1)
    times = in_turn(ways, rounds)
    return {
        "milliseconds_per_step": {way: round(typical(times, way).clock / BATCHES * 1e3, 3) for way in ways},
        "bag_times_as_fast_as_dense": round(speed(times, "bag", than="dense").clock, 2),
        "input_bytes_per_row": {way: values[0].nbytes // BATCH for way, values in inputs.items()},
        "peak_MB": peaks,
    }


def main() -> None:
    options = parser(__doc__, quick="Few rows, small vocabularies and few rounds, to see that it runs, in any time.").parse_args()
    rows, fewer, rounds = (5000, 1000, 2) if options.quick else (1_000_000, 100_000, 15)
    start_tensorflow()
    seconds = encoded(rows, 20_000, [key for key in COLUMNS if key != "ill"])[0]
    results: dict[str, Any] = {"table": told(rows, seconds), "vocabularies": {}}
    print(
        f"{rows:,} rows of five columns: learned in {seconds['learn']:.1f} s, encoded in {seconds['encode']:.1f} s "
        f"({rows / seconds['encode']:,.0f} rows/s), found again in {seconds['encode again']:.2f} s",
        flush=True,
    )
    heads = ("words", "encoded rows/s", "bag ms", "dense ms", "ratio", "bag MB", "dense MB", "bag bytes/row", "dense bytes/row")
    print("  ".join(f"{head:>7}" for head in heads))
    for size in (500, 1000) if options.quick else (1000, 20_000, 200_000):
        texts, fitted, arrays = encoded(fewer, size, ["note"])
        found = steps(fitted, arrays, rounds)
        results["vocabularies"][str(size)] = told(fewer, texts) | found
        step, peak, row = found["milliseconds_per_step"], found["peak_MB"], found["input_bytes_per_row"]
        cells = (
            f"{size:,}",
            f"{fewer / texts['encode']:,.0f}",
            f"{step['bag']:.2f}",
            f"{step['dense']:.2f}",
            f"{found['bag_times_as_fast_as_dense']:.1f}",
            *(f"{number:,.0f}" for number in (peak["bag"], peak["dense"], row["bag"], row["dense"])),
        )
        print("  ".join(f"{cell:>{max(7, len(head))}}" for head, cell in zip(heads, cells, strict=True)), flush=True)
    keep(options, {"rows": rows, "words_per_text": 30, "units": UNITS, "batch_size": BATCH, "rounds": rounds}, results)
    if not options.quick and seconds["learn"] + seconds["encode"] > TARGET:
        raise SystemExit(f"Learning and encoding together may take {TARGET:.0f} s.")


if __name__ == "__main__":
    main()
