"""Images a second in a training step: rows of 1 to 8 images (`role: images`) against rows of one image (`role: image`).

    python benchmarks/image_sets.py [SIDE] [CALLS]

Both read 72 images a batch from memory, gather them as batches are gathered, and train the same `cnn`. The ratio should be at least 0.9.
"""

import sys
from functools import partial
from typing import Any

import numpy as np
from turns import in_turn, speed, typical

ROWS, MOST = 16, 8


def main(side: int = 64, calls: int = 30) -> None:
    """Print the speeds, medians of `calls` rounds, and the median ratio of a round; processor time is changed less by other programs."""
    from mmtrain.layers.start import start_tensorflow

    start_tensorflow()
    import keras
    import tensorflow as tf

    from mmtrain.branches import Input, architectures
    from mmtrain.data.images.prefetch import StoredImages
    from mmtrain.data.images.store import ImageStore
    from mmtrain.specs import ImageSpec, SetSpec

    pixels = np.random.default_rng(0).integers(0, 256, (1000, side, side, 3)).astype(np.uint8)
    counts = np.arange(ROWS) % MOST + 1
    images = int(counts.sum())
    index = np.full((ROWS, MOST), -1, dtype=np.int64)
    for row, count in enumerate(counts):
        index[row, :count] = np.sort(np.random.default_rng(row).choice(1000, count, replace=False))
    one = ImageSpec(side, side, 3)
    stores = {
        "single": (one, ImageStore(StoredImages(pixels), np.arange(1000)[:images])),
        "sets": (SetSpec(one, MOST, "attention"), ImageStore(StoredImages(pixels), index)),
    }
    steps = {}
    for name, (spec, store) in stores.items():
        keras.utils.set_random_seed(0)
        tensor = keras.Input(spec.shape, dtype=spec.dtype)
        section = architectures["cnn"].section(columns=("x",), architecture="cnn")
        model = keras.Model(tensor, keras.layers.Dense(1)(section.build({"x": Input(tensor, None, spec)}).vector))
        steps[name] = (store, _step(tf, model), np.arange(len(store.index)))
    times = in_turn({name: partial(_call, tf, *one) for name, one in steps.items()}, calls, calls=2)
    speeds = {name: images / typical(times, name).clock for name in steps}
    ratio = speed(times, "sets", than="single")
    print(
        f"{side} pixels: single {speeds['single']:.0f} images/s, sets {speeds['sets']:.0f}; ratio {ratio.clock:.2f}, of processor time "
        f"{ratio.processor:.2f}"
    )


def _call(tf: Any, store: Any, step: Any, rows: Any) -> None:
    step(tf.constant(store.take(rows))).numpy()


def _step(tf: Any, model: Any) -> Any:
    import keras

    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.build(model.trainable_variables)

    def step(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(batch, training=True)))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return tf.function(step, autograph=False, reduce_retracing=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
