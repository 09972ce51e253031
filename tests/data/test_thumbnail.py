"""Small images of stored pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from mmtrain.image_decoding.resize import thumbnail


def opened(jpeg):
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize(
    ("shape", "size", "mode"),
    [
        ((200, 100, 3), (48, 96), "RGB"),  # size is (width, height)
        ((8, 8, 1), (8, 8), "L"),
        ((4, 2000, 3), (96, 1), "RGB"),
        ((96, 96, 4), (96, 96), "RGB"),
    ],
)
def test_thumbnail_keeps_its_proportions_and_is_never_larger(shape, size, mode):
    image = opened(thumbnail(np.full(shape, 100, dtype=np.uint8), 96))
    assert (image.size, image.mode) == (size, mode)


def test_thumbnail_of_sixteen_bits_goes_from_black_to_white():
    pixels = np.full((64, 64, 1), 30_000, dtype=np.uint16)
    pixels[:, 32:] = 30_500
    shown = np.asarray(opened(thumbnail(pixels, 96)))
    assert (shown[32, 8], shown[32, 56]) == (0, 255)
    assert np.asarray(opened(thumbnail(np.full((8, 8, 1), 7, dtype=np.uint16), 96))).max() == 0


def test_thumbnail_shows_white_where_a_image_is_transparent():
    pixels = np.zeros((16, 16, 4), dtype=np.uint8)
    assert np.asarray(opened(thumbnail(pixels, 96))).min() == 255


def test_thumbnail_of_a_volume_is_its_middle_slice():
    volume = np.zeros((5, 16, 16, 1), dtype=np.uint8)
    volume[2] = 200
    assert np.asarray(opened(thumbnail(volume, 96))).min() >= 198


def test_thumbnail_of_noise_takes_few_bytes():
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3)).astype(np.uint8)
    assert len(thumbnail(noise, 96)) < 8_000
