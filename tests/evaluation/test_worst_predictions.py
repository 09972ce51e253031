"""Rows with the highest loss, and their description in the run folder."""

import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image
from tiny import paint, write_experiment, write_table

from mmtrain import config
from mmtrain.evaluation.analyses import worst_predictions
from mmtrain.evaluation.evaluation_set import MultiTargetEvalSet
from mmtrain.pipeline.prepare import read_data
from mmtrain.result_model import plain_values
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

ILL = FittedBinary(column="ill", loss_weight=1.0, classes=("no", "yes"), counts=(6, 2), weights=(0.7, 2.0))
KIND = FittedMulticlass(
    column="kind", loss_weight=1.0, classes=("a", "b", "c"), counts=(1, 1, 1), weights=(1.0, 9.0, 1.0), label_smoothing=0.3
)
TAGS = FittedMultilabel(
    column="tags", loss_weight=1.0, labels=("a", "b"), one_column_each=False, separator=";", rows=4, counts=(2, 2), weights=(1.0, 1.0)
)
PRICE = FittedRegression(column="price", loss_weight=1.0, center=10.0, scale=4.0, minimum=2.0, maximum=18.0, error="huber")


@pytest.mark.parametrize(
    ("target", "truth", "prediction", "losses"),
    [
        (ILL, [1, 0, -1], [[0.5], [0.75], [0.9]], [np.log(2), np.log(4), np.nan]),
        (ILL, [1, 0], [[0.0], [0.0]], [87.336544, 0.0]),  # a probability of 0 counts as the smallest float32
        (KIND, [1, 2, -1], [[0.2, 0.5, 0.3], [0.25, 0.5, 0.25], [1, 0, 0]], [np.log(2), np.log(4), np.nan]),
        (TAGS, [[1, 0], [0, 0]], [[0.5, 0.5], [0.75, 0.5]], [np.log(2), (np.log(4) + np.log(2)) / 2]),
        (PRICE, [3.0, 9.0, np.nan], [[5.0], [8.5], [1.0]], [2.0, 0.5, np.nan]),
    ],
    ids=["binary", "certain", "multiclass", "multilabel", "regression"],
)
def test_row_losses_are_plain_ones(target, truth, prediction, losses):
    """Neither class weights nor label smoothing nor the Huber loss: plain losses, as a person would rank mistakes."""
    found = target.row_losses(np.asarray(truth), np.asarray(prediction, dtype=np.float32))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, losses, rtol=1e-6, atol=1e-9)


def test_highest_losses_come_first_and_rows_without_an_answer_never():
    truth = np.array([1, 1, -1, 0, 1])
    prediction = np.array([[0.9], [0.1], [0.01], [0.4], [0.1]], dtype=np.float32)
    assert worst_predictions.highest_loss_rows(ILL, truth, prediction).tolist() == [1, 4, 3, 0]  # of equal ones the first comes first
    assert worst_predictions.highest_loss_rows(ILL, truth[2:3], prediction[2:3]).tolist() == []


def test_highest_losses_are_twelve_at_most():
    found = worst_predictions.highest_loss_rows(PRICE, np.zeros(1000), np.arange(1000, dtype=np.float32)[:, None])
    assert found.tolist() == list(range(999, 987, -1))


@pytest.mark.parametrize(
    ("target", "truth", "prediction", "expected"),
    [
        (ILL, [1], [[0.25]], {"truth": "yes", "prediction": "no", "probability": {"truth": 0.25, "prediction": 0.75}}),
        (KIND, [2], [[0.25, 0.5, 0.25]], {"truth": "c", "prediction": "b", "probability": {"truth": 0.25, "prediction": 0.5}}),
        (TAGS, [[1, 0]], [[0.75, 0.75]], {"truth": "a", "prediction": "a;b"}),
        (PRICE, [3.0], [[5.0]], {"truth": 3.0, "prediction": 5.0}),
    ],
    ids=["binary", "multiclass", "multilabel", "regression"],
)
def test_an_answer_is_told_in_the_words_of_the_table(target, truth, prediction, expected):
    (row,) = worst_predictions.describe_answers(target, np.asarray(truth), np.asarray(prediction, dtype=np.float32))
    assert row.pop("loss") > 0
    assert plain_values(row) == expected


@pytest.fixture
def clinic(tmp_path):
    """Six rows, the fourth without an image, the last with a note of 1,000 letters."""
    for row in range(6):
        paint(tmp_path / f"{row}.png", np.full((200, 100), 40 * row, dtype=np.uint8))
    notes = ["<script>alert(1)</script>", "", "c", "d", "e", "f" * 1000]
    write_table(
        tmp_path / "table.csv",
        [
            {"who": f"p{row}", "scan": "" if row == 3 else f"{row}.png", "age": 10 * row, "note": note, "ill": "ny"[row % 2]}
            for row, note in enumerate(notes)
        ],
    )
    path = write_experiment(
        tmp_path / "clinic.yaml",
        """
        columns:
          who: {role: id}
          scan: {role: image, size: [128, 64], channels: 1, missing: mask}
          years: {role: numeric, column: age}
          note: {role: text, missing: mask}
          ill: {role: target, task: binary}
        """,
    )
    experiment = config.load(path)
    return experiment, read_data(experiment, experiment.data.table, experiment.data.images_folder)


def test_cells_and_images_are_those_of_the_rows_in_their_order(clinic):
    experiment, data = clinic
    found = worst_predictions.inputs_of(experiment.inputs, data.table, data.stores, np.array([5, 0, 3, 0]))
    assert [(row["row"], row["id"], row["cells"]["scan"], row["cells"]["years"]) for row in found] == [
        (5, "p5", "5.png", "50"),
        (0, "p0", "0.png", "0"),
        (3, "p3", "", "30"),
        (0, "p0", "0.png", "0"),
    ]
    assert [list(row["images"]) for row in found] == [["scan"], ["scan"], [], ["scan"]]
    with Image.open(io.BytesIO(b64decode(found[0]["images"]["scan"]))) as image:
        assert (image.format, image.size) == ("JPEG", (48, 96))
        assert abs(int(np.asarray(image)[50, 20]) - 200) <= 2


def test_cells_are_clipped_and_empty_where_there_is_nothing(clinic):
    experiment, data = clinic
    found = worst_predictions.inputs_of(experiment.inputs, data.table, data.stores, np.array([0, 1, 5]))
    assert [row["cells"]["note"] for row in found] == ["<script>alert(1)</script>", "", "f" * 299 + "…"]


def test_a_target_without_a_known_answer_has_no_rows(clinic):
    experiment, data = clinic

    def found(*truth):
        truths = MultiTargetEvalSet({"ill": ILL}, {"ill": np.array(truth)}, {"ill": "auc"}, None)
        predictions = {"ill": np.array([[0.5], [0.5]], dtype=np.float32)}
        return worst_predictions.worst_predictions(experiment.inputs, data.table, data.stores, np.array([2, 4]), truths, predictions)

    assert found(-1, -1) == {}
    assert [(row.row, row.truth) for row in found(-1, 1)["ill"]] == [(4, "yes")]
