"""The event `Assembled` of a training: functions by which trackers score its network, and see what it predicts of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from mmtrain.batches import sequential_batches
from mmtrain.data.arrays import Array
from mmtrain.model.model_file import compile_predictor, concatenate_predictions, rows_at_once
from mmtrain.specs import ImageSpec, SetSpec, VolumeSpec
from mmtrain.targets import FittedTarget
from mmtrain.training.listeners.events import Assembled, CaptionedImage
from mmtrain.training.training_data import TrainingData

Predict = Callable[[Array], dict[str, Array]]
"""Takes rows; returns the predictions of the present network by target."""


def assembled(data: TrainingData) -> Assembled:
    """Return the event; what it offers costs nothing until it is called."""

    @cache
    def predictor() -> Callable[..., dict[str, Array]]:
        return compile_predictor(data.models.predictor)

    def predict(rows: Array) -> dict[str, Array]:
        batches = sequential_batches(data.arrays, rows, rows_at_once(data.models.predictor))
        return concatenate_predictions(map(predictor(), batches))

    return Assembled(
        data.models.network,
        lambda most: _train_scores(data, predict, _drawn(data, data.partition.train, most)),
        lambda most: _validation_images(data, predict, most),
    )


def _drawn(data: TrainingData, rows: Array, most: int) -> Array:
    """Return at most so many of the rows, the same ones every time."""
    return np.sort(np.random.default_rng(data.training.seed).permutation(rows)[:most])


def _train_scores(data: TrainingData, predict: Predict, rows: Array) -> dict[str, float | None]:
    predictions = predict(rows)
    scores: dict[str, float | None] = {}
    for key, target in data.fitted.targets.items():
        infix = f"{key}_" if len(predictions) > 1 else ""
        truth = data.arrays.targets[key][rows]
        known = target.known_rows(truth)
        of_target = target.all_scores(truth[known], predictions[key][known])
        scores |= {f"train_{infix}{score.name}": score.value for score in of_target if score.name not in target.late_scores}
    return scores


def _validation_images(data: TrainingData, predict: Predict, most: int) -> dict[str, list[CaptionedImage]]:
    arrays, validation = data.arrays, data.partition.validation
    # A column of a frozen encoder is left out: the network reads features of its images.
    columns = [key for key in arrays.inputs if isinstance(arrays.specs.get(key), ImageSpec | SetSpec | VolumeSpec)]
    has_image = sum((arrays.present[key][validation, 0] > 0 for key in columns), np.zeros(len(validation), dtype=bool))
    rows = _drawn(data, validation[has_image], most)
    if not len(rows):
        return {}
    captions = _captions(data, predict(rows), rows)
    images = {}
    for key in columns:
        there = np.flatnonzero(arrays.present[key][rows, 0])
        pixels = arrays.inputs[key].take(rows[there])
        if isinstance(arrays.specs[key], SetSpec):
            pixels = pixels[:, 0]  # the first image of each row
        images[key] = [CaptionedImage(image, captions[place]) for image, place in zip(pixels, there, strict=True)]
    return images


def _captions(data: TrainingData, predictions: dict[str, Array], rows: Array) -> list[str]:
    """Return a line for each target: `cat, predicted dog`."""
    lines = []
    for key, target in data.fitted.targets.items():
        prefix = f"{key}: " if len(predictions) > 1 else ""
        truths = _truths(target, data.arrays.targets[key][rows])
        predicted = map(_in_words, target.predict_label(predictions[key]))
        lines.append([f"{prefix}{true}, predicted {label}" for true, label in zip(truths, predicted, strict=True)])
    return ["\n".join(of_row) for of_row in zip(*lines, strict=True)]


def _truths(target: FittedTarget, truth: Array) -> Iterator[str]:
    known = target.known_rows(truth)
    answers = map(_in_words, target.decode_truth(truth[known]))
    return (next(answers) if is_known else "unknown" for is_known in known)


def _in_words(answer: object) -> str:
    return answer if isinstance(answer, str) else f"{answer:.4g}"
