"""What trackers get before a training: functions that look at the network as it is now."""

import numpy as np
from tiny import paint, ready, two_blobs, write_experiment

EXPERIMENT = """
data: {images: scans}
columns:
  x: {role: numeric}
  scan: {role: image, size: [8, 8], channels: 1, missing: mask}
  y: {role: target, task: binary}
branches: {scan: {columns: [scan], architecture: cnn, filters: [4]}, x: {columns: [x]}}
training: {epochs: 1, batch_size: 8}
"""


def test_images_of_validation_rows_are_those_that_the_network_reads(tensorflow, tmp_path):
    from mmtrain.pipeline.build import EncodedTable, assemble_training
    from mmtrain.training.listeners.assembled import assembled

    two_blobs(tmp_path, rows=60, scan=lambda row: f"{row}.png" if row % 3 else "")
    for row in range(60):
        paint(tmp_path / "scans" / f"{row}.png", 4 * row, size=(16, 16))
    made = ready(write_experiment(tmp_path / "seen.yaml", EXPERIMENT))
    _, data, _ = assemble_training(EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays), lambda _: None)
    event = assembled(data)
    with_image = [row for row in made.partition.validation if row % 3]
    images = event.validation_images(64)
    assert list(images) == ["scan"]
    assert [(image.pixels.shape, image.pixels.max()) for image in images["scan"]] == [((8, 8, 1), 4 * row) for row in with_image]
    # The network may be changed in between: its bias decides what it predicts.
    (head,) = (weight for weight in data.models.network.trainable_weights if weight.path.endswith("bias") and weight.shape == (1,))
    # `high` is the first class by name and so the negative one.
    for bias, predicted in ((-50.0, "high"), (50.0, "low")):
        head.assign(np.full(1, bias, np.float32))
        captions = [image.caption for image in event.validation_images(64)["scan"]]
        assert captions == [f"{('low', 'high')[row % 2]}, predicted {predicted}" for row in with_image]
    two = event.validation_images(2)["scan"]
    assert len(two) == 2
    assert [image.pixels.max() for image in two] == [image.pixels.max() for image in event.validation_images(2)["scan"]]
