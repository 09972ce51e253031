"""Options of `augment` beyond those in test_training: shear, shifts of channels, fill modes, and policies, by known pixels."""

import numpy as np
import pytest
import tensorflow as tf

from mmtrain.columns.pixels.audio_augment import AudioAugment
from mmtrain.columns.pixels.image_augment import Augment
from mmtrain.training.augmentation.augment import augment_images, uniforms_for
from mmtrain.training.augmentation.augment_policy import OPERATIONS

pytestmark = pytest.mark.usefixtures("tensorflow")
RAMP = np.array([[10, 20, 30, 40]], np.uint8)[..., None]


def changed(pixels, numbers=(), levels=255, compiled=False, **how):
    """One image after augmentation; every uniform number is 0.5, no change, but those given by their place."""
    options = Augment(**how)
    uniforms = np.full((1, uniforms_for(options)), 0.5, np.float32)
    for place, number in dict(numbers).items():
        uniforms[0, place] = number
    return augment_images(tf.constant(pixels[None]), tf.constant(uniforms), options, levels, compiled=compiled).numpy()[0]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("fill", "right", "left"),
    [
        ("nearest", [10, 10, 10, 20], [30, 40, 40, 40]),
        ("reflect", [20, 10, 10, 20], [30, 40, 40, 30]),
        ("wrap", [30, 40, 10, 20], [30, 40, 10, 20]),
        ("constant", [255, 255, 10, 20], [30, 40, 255, 255]),
    ],
)
def test_fill_says_what_moves_in(fill, right, left, compiled):
    """A shift of half the width either way, at the ends of its range."""
    how = {"shift": 0.5, "fill": fill, "fill_value": 1.0, "compiled": compiled}
    assert changed(RAMP, {3: 1.0}, **how)[0, :, 0].tolist() == right
    assert changed(RAMP, {3: 0.0}, **how)[0, :, 0].tolist() == left


def test_shear_slants_rows_about_the_middle():
    pixels = np.zeros((3, 5, 1), np.uint8)
    pixels[:, 2] = 200
    assert changed(pixels, {8: 1.0}, shear=45)[..., 0].tolist() == [[0, 0, 0, 200, 0], [0, 0, 200, 0, 0], [0, 200, 0, 0, 0]]
    assert changed(pixels, {8: 0.5}, shear=45).tolist() == pixels.tolist()


def test_each_channel_shifts_by_itself_and_opacity_stays():
    pixels = np.full((1, 1, 4), 100, np.uint8)
    assert changed(pixels, {9: 1.0, 10: 0.5, 11: 0.0}, channel_shift=0.2)[0, 0].tolist() == [151, 100, 49, 100]
    assert uniforms_for(Augment(channel_shift=0.2, erase=0.1)) == 20  # behind those of color and erase


def of_policy(pixels, name, amount=1.0, direction=1.0, **how):
    """One image after one operation of TrivialAugment."""
    which = (OPERATIONS.index(name) + 0.5) / len(OPERATIONS)
    return changed(pixels, {8: which, 9: amount, 10: direction}, policy="trivial_augment", **how)


GREYS = np.array([[0, 64], [128, 255]], np.uint8)[..., None]
COLOURS = np.array([[[200, 100, 0]]], np.uint8)


@pytest.mark.parametrize(
    ("name", "options", "pixels", "expected"),
    [
        ("identity", {}, GREYS, [0, 64, 128, 255]),
        ("brightness", {"amount": 0.5}, GREYS, [0, 96, 191, 255]),  # times 1 + 0.99 / 2
        ("brightness", {"direction": 0.0}, GREYS, [0, 1, 1, 3]),
        ("contrast", {"direction": 0.0}, GREYS, [111, 111, 112, 113]),  # nearly the mean, 111.75
        ("color", {"direction": 0.0}, COLOURS, [119, 118, 117]),  # nearly grey, 118.5
        ("solarize", {"amount": 0.5}, GREYS, [0, 64, 127, 0]),
        ("posterize", {}, GREYS, [0, 64, 128, 192]),  # two bits are left
        ("autocontrast", {}, GREYS[:1], [0, 255]),
    ],
)
def test_operations_of_colour_have_known_pixels(name, options, pixels, expected):
    assert of_policy(pixels, name, **options).ravel().tolist() == expected


def test_sharpness_moves_away_from_the_smoothed_image():
    pixels = np.zeros((3, 3, 1), np.uint8)
    pixels[1, 1] = 130
    smoothed = of_policy(pixels, "sharpness", amount=1.0, direction=0.0)
    assert smoothed[..., 0].tolist() == [[0, 0, 0], [0, 51, 0], [0, 0, 0]]  # nearly 5 / 13 of 130; edges stay


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("translate_x", [[0, 9, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ("translate_y", [[0, 0, 0, 0], [9, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
    ],
)
def test_operations_that_move_have_known_pixels(name, expected, monkeypatch):
    from mmtrain.training.augmentation import augment_policy

    monkeypatch.setitem(augment_policy.RANGES, "trivial_augment", augment_policy.RANGES["trivial_augment"]._replace(translate=0.25))
    pixels = np.zeros((4, 4, 1), np.uint8)
    pixels[0, 0] = 9
    assert of_policy(pixels, name, fill="constant", compiled=False)[..., 0].tolist() == expected


def test_rotation_of_a_policy_is_about_the_centre():
    pixels = np.zeros((3, 3, 1), np.uint8)
    pixels[0, 1] = 90
    turned = of_policy(pixels, "rotate", amount=90 / 135, direction=1.0)[..., 0]
    assert turned.tolist() in ([[0, 0, 0], [90, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 90], [0, 0, 0]])


def test_rand_augment_applies_its_operations_one_after_the_other():
    how = {"policy": "rand_augment", "operations": 2, "magnitude": 30}
    solarize, posterize = ((OPERATIONS.index(name) + 0.5) / len(OPERATIONS) for name in ("solarize", "posterize"))
    assert uniforms_for(Augment(**how)) == 8 + 6
    # Strength 30: everything is inverted, then four bits are left.
    assert changed(GREYS, {8: solarize, 11: posterize}, **how).ravel().tolist() == [240, 176, 112, 0]


def test_rows_do_not_depend_on_their_batch_and_both_ways_of_computing_agree():
    random = np.random.default_rng(0)
    how = Augment(policy="rand_augment", shear=20, channel_shift=0.1, fill="reflect", rotate=20)
    pixels = random.integers(0, 256, (26, 8, 9, 3)).astype(np.uint8)
    uniforms = random.random((26, uniforms_for(how)), dtype=np.float32)
    together = augment_images(tf.constant(pixels), tf.constant(uniforms), how, 255, compiled=True).numpy()
    # Of as many rows: XLA compiles every number of them anew.
    others = np.where(np.arange(26) == 7, 7, 25 - np.arange(26))
    elsewhere = augment_images(tf.constant(pixels[others]), tf.constant(uniforms[others]), how, 255, compiled=True).numpy()
    kernels = augment_images(tf.constant(pixels), tf.constant(uniforms), how, 255, compiled=False).numpy()
    assert np.array_equal(elsewhere, together[others])
    assert np.mean(np.abs(together.astype(int) - kernels.astype(int)) > 2) < 0.01  # float32 there


def changed_sounds(pixels, uniforms, levels=255, **how):
    options = AudioAugment(**how)
    numbers = tf.constant(np.asarray(uniforms, np.float32).reshape(len(pixels), uniforms_for(options)))
    return augment_images(tf.constant(pixels), numbers, options, levels).numpy()


SOUND = np.arange(40, dtype=np.uint8).reshape(1, 4, 10, 1)


def test_a_recording_is_moved_in_time_and_silence_moves_in():
    later, earlier = (changed_sounds(SOUND, [uniform], shift=0.4)[0, 0, :, 0].tolist() for uniform in (0.75, 0.25))
    assert later == [0, 0, *range(8)]
    assert earlier == [*range(2, 10), 0, 0]


def test_masks_of_a_recording_are_stripes_of_its_mean():
    """Widths of 0.5 x 0.8 and 0.5 x 0.5 of ten frames and four bands, that of time from 0.5 x 0.6 on, that of frequency at the top."""
    found = changed_sounds(SOUND, [0.5, 0.5, 0.5, 0.0], time_mask=0.8, frequency_mask=0.5)[0, :, :, 0]
    masked = np.zeros((4, 10), bool)
    masked[:, 3:7] = masked[0] = True
    assert (found[masked] == 20).all() and (found[~masked] == SOUND[0, :, :, 0][~masked]).all()
    assert uniforms_for(AudioAugment(time_mask=0.1, time_masks=3)) == 6


def test_noise_of_a_recording_is_normal_and_its_own():
    pixels = np.full((3, 64, 200, 1), 30_000, np.uint16)
    found = changed_sounds(pixels, [[0.5, 0.1], [0.5, 0.2], [0.5, 0.1]], levels=65535, noise=0.1).astype(np.float64) - 30_000
    assert np.std(found) == pytest.approx(0.05 * 65535, rel=0.01) and abs(np.mean(found)) < 80
    assert np.mean(np.abs(found[0]) < 0.05 * 65535) == pytest.approx(0.6827, abs=0.01)
    assert (found[0] == found[2]).all() and abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.03
    for first, second in ((found[0, :, :-1], found[0, :, 1:]), (found[0, :-1], found[0, 1:])):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03
