"""The threshold of a binary target: an exact sweep on validation rows."""

import numpy as np
import pytest

from mmtrain.config.sections.evaluation import Cost, Threshold
from mmtrain.evaluation.postprocessing.decision_threshold import choose_threshold

CLASSES = ("well", "sick")
TRUTH = np.array([0, 0, 1, 0, 1, 0, 1, 1])
CHANCE = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 0.9], dtype=np.float32)


def chosen(aim, truth=TRUTH, chance=CHANCE, cost=None):
    return choose_threshold(Threshold(aim=aim, cost=cost), np.asarray(truth), np.asarray(chance, dtype=np.float32), CLASSES)


@pytest.mark.parametrize(
    ("aim", "threshold", "sensitivity", "specificity"),
    [
        ("f1", 0.15, 1.0, 0.5),  # F1 0.8; at 0.7 it is 0.667
        ("youden", 0.35, 0.75, 0.75),  # 0.15 and 0.7 are as good, and farther from 0.5
        ("sensitivity>=0.95", 0.15, 1.0, 0.5),
        ("sensitivity>=0.75", 0.35, 0.75, 0.75),
        ("sensitivity >= .5", 0.7, 0.5, 1.0),
        ("specificity>=0.9", 0.7, 0.5, 1.0),
        ("specificity>=0.75", 0.35, 0.75, 0.75),
    ],
)
def test_threshold_is_the_best_for_its_aim(aim, threshold, sensitivity, specificity):
    found = chosen(aim)
    assert found.threshold == pytest.approx(threshold)
    assert (found.sensitivity, found.specificity, found.rows, found.positives) == (sensitivity, specificity, 8, 4)
    assert found.note == ""


@pytest.mark.parametrize(("costs", "threshold"), [((1, 5), 0.15), ((5, 1), 0.7), ((1, 1), 0.35)])
def test_threshold_follows_the_proportion_of_the_costs(costs, threshold):
    for unit in (1, 10):
        cost = Cost(false_positive=costs[0] * unit, false_negative=costs[1] * unit)
        assert chosen("cost", cost=cost).threshold == pytest.approx(threshold)


@pytest.mark.parametrize("aim", ["f1", "youden", "sensitivity>=0.8", "specificity>=0.8"])
def test_no_threshold_anywhere_is_better(aim):
    """Compare with a search over every probability and every midpoint."""
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, 60)
    chance = np.round(np.clip(truth * 0.2 + generator.random(60) * 0.8, 0, 1), 2).astype(np.float32)

    def gain(threshold):
        called = chance >= threshold
        hits, alarms = (called & (truth == 1)).sum(), (called & (truth == 0)).sum()
        sensitivity, specificity = hits / (truth == 1).sum(), 1 - alarms / (truth == 0).sum()
        shares = {"sensitivity": (sensitivity, specificity), "specificity": (specificity, sensitivity)}
        if aim == "f1":
            return 2 * hits / (hits + alarms + (truth == 1).sum())
        if aim == "youden":
            return sensitivity + specificity
        wanted, other = shares[aim.partition(">")[0]]
        return other if wanted >= 0.8 else -1

    assert gain(chosen(aim, truth, chance).threshold) == max(gain(threshold) for threshold in np.linspace(0.001, 0.999, 999))


def test_threshold_lies_midway_and_decides_as_the_sweep_counted_even_between_neighbours():
    one = np.float32(0.3)
    other = np.nextafter(one, np.float32(1), dtype=np.float32)
    found = chosen("youden", [0, 1], [one, other])
    assert (found.sensitivity, found.specificity) == (1.0, 1.0)
    assert (np.array([one, other]) >= found.threshold).tolist() == [False, True]
    assert found.threshold == float(np.float32(found.threshold))


def test_aim_that_cannot_be_reached_is_told_and_come_near_to():
    found = chosen("sensitivity>=0.9", [0, 1, 1, 0], [0.5, 0.0, 0.6, 0.7])
    assert found.note == "No threshold reaches a sensitivity of 0.9 on the validation rows; the nearest, 0.500, was chosen."
    assert (found.sensitivity, found.specificity, found.threshold) == (0.5, 0.5, pytest.approx(0.55))


def test_aim_that_calls_every_row_the_same_is_told():
    found = chosen("sensitivity>=1", [1, 0, 0, 0], [0.1, 0.2, 0.3, 0.4])
    assert (found.sensitivity, found.specificity, found.threshold) == (1.0, 0.0, pytest.approx(0.05))
    assert found.note == "The best threshold on the validation rows for this aim (sensitivity>=1) calls every row positive."
    found = chosen("specificity>=1", [0, 1, 0], [0.9, 0.2, 0.3])
    assert found.note == "The best threshold on the validation rows for this aim (specificity>=1) calls every row negative."
    assert found.precision is None


@pytest.mark.parametrize(
    ("truth", "note"),
    [
        ([1, 1], "The validation part has only rows of 'sick', so no threshold can be chosen; 0.5 stays."),
        ([0, 0], "The validation part has only rows of 'well', so no threshold can be chosen; 0.5 stays."),
        ([], "The validation part has no rows, so no threshold can be chosen; 0.5 stays."),
    ],
)
def test_threshold_stays_where_validation_has_one_class(truth, note):
    found = chosen("youden", truth, [0.4, 0.6][: len(truth)])
    assert (found.threshold, found.sensitivity, found.specificity, found.f1, found.note) == (0.5, None, None, None, note)
