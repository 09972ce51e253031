"""What rows look like, learned from training rows only, and in which words a change is told."""

import json

import numpy as np
import pandas as pd
import pytest
from tiny import paint, ready, write_experiment, write_table

from mmtrain.columns.categorical import FittedCategorical
from mmtrain.columns.profile import Range
from mmtrain.columns.summaries import CodeStatistics, ImageStatistics, Statistics
from mmtrain.columns.summaries.base import Moments, SeenRows, exceeds
from mmtrain.columns.summaries.numbers import NumericAccumulator
from mmtrain.columns.summaries.quantile_sketch import QuantileSketch
from mmtrain.data.drift import Drift, DriftMonitor, learn_statistics
from mmtrain.data.prediction_chunks import Chunk


def numbers(values):
    tally = NumericAccumulator()
    tally.add(SeenRows(raw=np.asarray(values, dtype=np.float64)[:, None]))
    return tally.statistics()


def images(brightness, *, deep=0, headers=0, rows=100):
    return ImageStatistics(rows=rows, missing=0, brightness=brightness, deviation=0.1, headers=headers, deep=deep)


def words(unseen, *, once=0, rows=1000, missing=0, kind="categorical"):
    return CodeStatistics(kind=kind, rows=rows, missing=missing, unseen=unseen, once=once)


AGES = numbers(np.arange(20, 80))
CASES = [
    (AGES, AGES, []),
    (AGES, numbers([20.0]), []),
    (AGES, numbers([79.0, 79.0, 79.0]), []),
    (AGES, numbers(np.arange(40, 100)), ["age: the mean is 69.5, in training 49.5: 1.2 standard deviations away."]),
    (
        AGES,
        numbers(np.arange(20, 80) * 365.25),
        ["age: the numbers look like another unit: they are about 365.25 times those of training (median 1.808e+04, in training 49.5)."],
    ),
    (
        AGES,
        numbers(np.arange(20, 80) / 2.54),
        ["age: the numbers look like another unit: they are about those of training divided by 2.54 (median 19.49, in training 49.5)."],
    ),
    (AGES, numbers(np.arange(30, 40) * 10), ["age: the mean is 345, in training 49.5: 17.1 standard deviations away."]),
    (AGES, numbers(np.arange(30, 40) * 1e15), ["age: the mean is 3.45e+16, in training 49.5: more than 1,000 standard deviations away."]),
    (numbers([98.6] * 1000), numbers([98.6] * 77), []),
    (AGES, numbers([np.nan] * 30 + [50.0] * 30), ["age: 50% of the rows have no usable value, in training 0%."]),
    (words(0, once=20), words(150), ["age: 15% of the categories are unknown to training; 2% were to be expected."]),
    (words(0, once=120), words(150), []),
    (words(10, kind="text"), words(400, kind="text"), ["age: 40% of the words are unknown to training; 1% were to be expected."]),
    (words(0), words(1, rows=2), []),
    (words(0, missing=0), words(0, missing=500), ["age: 33% of the rows have no usable value, in training 0%."]),
    (images(0.4), images(0.42), []),
    (
        images(0.4),
        images(0.7),
        ["age: the mean brightness is 0.70, in training 0.40 (0 black, 1 white): 3.0 standard deviations away."],
    ),
    (images(0.4, deep=50, headers=50), images(0.4, headers=20), ["age: 0% of the images have 16 bits, in training 100%."]),
]


@pytest.mark.parametrize(("before", "now", "told"), CASES)
def test_a_change_is_told_when_it_is_neither_small_nor_chance(before, now, told):
    assert [str(Drift("age", kind, text)) for kind, text in before.drift(now).items()] == told


@pytest.mark.parametrize(
    ("outside", "rows", "told"),
    [
        (1, 100, []),
        (1, 1, ["age: 100% of the numbers lie outside those of training, 20 to 79."]),
        (1, 5, []),
        (20, 100, ["age: 20% of the numbers lie outside those of training, 20 to 79."]),
    ],
)
def test_numbers_beyond_those_of_training_are_told(outside, rows, told):
    assert [str(Drift("age", kind, text)) for kind, text in AGES.range_drift(outside, rows).items()] == told


@pytest.mark.parametrize(
    ("count", "rows", "usual", "more"), [(0, 0, 0.0, False), (10, 100, 0.0, False), (12, 100, 0.0, True), (60, 1000, 0.0, False)]
)
def test_a_share_exceeds_what_is_usual_by_five_hundredths_and_three_errors(count, rows, usual, more):
    assert exceeds(count, rows, usual) is more


def watched(categories, cells):
    """The drifts of a categorical column."""
    fitted = FittedCategorical(categories=categories, one_hot=False, width=0, masked=False, missing=0)
    watch = DriftMonitor({"sex": fitted}, {"sex": "Sex"}, Statistics(columns={"sex": words(0)}))
    codes = np.array([[categories.index(cell) + 2 if cell in categories else 1] for cell in cells], dtype=np.int32)
    watch.add(Chunk(0, {"Sex": pd.Series(cells, dtype="str")}, {"sex": codes, "sex_present": np.ones((len(cells), 1))}))
    return [str(drift) for drift in watch.drifts()]


@pytest.mark.parametrize(
    ("categories", "cells", "told"),
    [
        (("f", "m"), ["0", "1"] * 50, ["Sex: most cells are numbers, where training saw words: 'f' and 'm'."]),
        (("0", "1"), ["f", "m"] * 50, ["Sex: most cells are words, where training saw numbers: '0' and '1'."]),
        (("f", "m"), ["x", "m"] * 50, ["Sex: 50% of the categories are unknown to training; 0% were to be expected."]),
        (("f", "m"), ["f", "m"] * 50, []),
    ],
)
def test_numbers_where_training_saw_words_are_told_as_such(categories, cells, told):
    assert watched(categories, cells) == told


def test_drift_of_a_header_that_two_columns_read_is_one():
    fitted = FittedCategorical(categories=("f", "m"), one_hot=False, width=0, masked=False, missing=0)
    names = ("sex", "again")
    watch = DriftMonitor(dict.fromkeys(names, fitted), dict.fromkeys(names, "Sex"), Statistics(columns=dict.fromkeys(names, words(0))))
    inputs = {"": np.ones((100, 1), np.int32), "_present": np.ones((100, 1))}
    cells = pd.Series(["x"] * 100, dtype="str")
    watch.add(Chunk(0, {"Sex": cells}, {f"{name}{end}": values for name in names for end, values in inputs.items()}))
    assert [drift.column for drift in watch.drifts()] == ["Sex"]


def test_statistics_are_those_of_training_rows_only(tmp_path, tensorflow):
    levels = [10, 20, 30, 40, 250, 250]
    for row, level in enumerate(levels):
        paint(tmp_path / f"{row}.png", np.full((16, 16), level * 257, dtype=np.uint16) if row < 2 else level, (16, 16))
    rows = [
        {"age": age, "city": city, "note": note, "scan": f"{row}.png", "y": row % 2, "part": part}
        for row, (age, city, note, part) in enumerate(
            [
                (1, "ulm", "old old new", "train"),
                (2, "ulm", "old", "train"),
                (4, "bonn", "", "train"),
                ("", "", "old rare", "train"),
                (1000, "rom", "unknown", "validation"),
                (2000, "rom", "unknown", "test"),
            ]
        )
    ]
    write_table(tmp_path / "table.csv", rows)
    experiment = write_experiment(
        tmp_path / "e.yaml",
        """
        columns:
          age: {role: numeric}
          city: {role: categorical}
          note: {role: text, max_tokens: 2}
          scan: {role: image, size: [16, 16], channels: 1, bits: 16}
          y: {role: target, task: binary}
          part: {role: split}
        split: {method: column}
        """,
    )
    found = ready(experiment)
    learned = learn_statistics(
        found.experiment.columns, found.fitted, found.data.table, found.arrays, found.partition.train, found.experiment.data.images_folder
    ).columns
    age = learned["age"]
    assert (age.rows, age.missing, age.minimum, age.maximum, age.quartiles) == (3, 1, 1, 4, (1.5, 2, 3))
    assert (age.mean, age.deviation) == pytest.approx((7 / 3, np.std([1, 2, 4])))
    assert learned["city"] == CodeStatistics(kind="categorical", rows=3, missing=1, unseen=0, once=1)
    assert learned["note"] == CodeStatistics(kind="text", rows=6, missing=1, unseen=1, once=1)
    scan = learned["scan"]
    assert (scan.rows, scan.missing, scan.headers, scan.deep) == (4, 0, 4, 2)
    assert scan.brightness == pytest.approx(25 / 255)
    written = Statistics(columns=learned).model_dump_json()
    assert Statistics.model_validate(json.loads(written)).columns == learned


def test_every_training_row_is_counted_though_only_some_images_are_looked_at(tmp_path, tensorflow):
    paint(tmp_path / "a.png", 51)
    write_table(tmp_path / "table.csv", [{"scan": "" if row % 75 == 0 else "a.png", "y": row % 2} for row in range(1500)])
    experiment = write_experiment(
        tmp_path / "e.yaml",
        """
        columns:
          scan: {role: image, size: [8, 8], missing: mask}
          y: {role: target, task: binary}
        """,
    )
    found = ready(experiment)
    scan = learn_statistics(
        found.experiment.columns, found.fitted, found.data.table, found.arrays, np.arange(1500), found.experiment.data.images_folder
    ).columns["scan"]
    assert (scan.rows, scan.missing, scan.brightness) == (1480, 20, pytest.approx(0.2))


def test_moments_of_pieces_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(1e6, 1, 1000)
    moments = Moments()
    for piece in np.split(values, [1, 7, 500]):
        moments.add(piece)
    assert moments.count == 1000
    assert moments.mean == pytest.approx(values.mean(), rel=1e-12)
    assert moments.deviation == pytest.approx(values.std(), rel=1e-9)


def test_quantiles_of_many_numbers_are_taken_of_some_by_chance():
    spread = QuantileSketch(1000)
    for piece in np.split(np.random.default_rng(0).permutation(100_000), 50):
        spread.add(piece)
    assert spread.range().minimum == 0
    assert spread.range().maximum == 99_999
    assert spread.quantiles((0.25, 0.5, 0.75)) == pytest.approx((25_000, 50_000, 75_000), abs=6000)
    assert QuantileSketch(10).quantiles((0.5,)) is None


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1001])
def test_the_middle_of_numbers_is_the_quantile_of_numpy(count):
    numbers = np.random.default_rng(count).normal(size=count).round(2)
    sketch = QuantileSketch(2000)
    assert sketch.range() is None
    for part in np.array_split(numbers, 3):
        sketch.add(part)
    assert sketch.range() == Range(minimum=numbers.min(), median=np.quantile(numbers, 0.5), maximum=numbers.max())
