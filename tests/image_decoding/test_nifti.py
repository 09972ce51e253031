"""NIfTI: orientation, spacing, windows, slices and sizes of volumes."""

import gzip
import itertools
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from medical_files import nifti
from PIL import Image

from mmtrain.image_decoding import Layout, UnreadableImage, inspect, read
from mmtrain.image_decoding.decoded_image import MissingReader
from mmtrain.image_decoding.formats.volumes import resample

nibabel = pytest.importorskip("nibabel")

VOLUME = np.random.default_rng(1).integers(0, 255, (3, 4, 5)).astype(np.uint8)
"""In our axes: towards the head, the back, the left."""
SAME = Layout((4, 5), 1, depth=3)


def stored(order, flips):
    """The volume as a file whose axes are in another order and direction, with the affine that says so."""
    # NIfTI's coordinates run to the right, the front and the head.
    world = VOLUME[:, ::-1, ::-1].transpose(2, 1, 0)
    voxels = np.flip(world.transpose(order), flips)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, target in enumerate(order):
        affine[target, axis] = -1 if axis in flips else 1
    return nifti(np.ascontiguousarray(voxels), affine)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_a_volume_comes_in_one_orientation_however_it_is_stored(order):
    for flips in [(), (0,), (1, 2), (0, 1, 2)]:
        data = stored(order, flips)
        assert np.array_equal(read(data, SAME)[..., 0], VOLUME)
        assert (inspect(data).height, inspect(data).width) == (4, 5)


def test_a_slice_is_an_image():
    data = gzip.compress(stored((0, 1, 2), ()))
    for number, chosen in ((None, 1), (0, 0), (2, 2)):
        assert np.array_equal(read(data, Layout((4, 5), 1, slice=number))[..., 0], VOLUME[chosen])


def test_the_window_is_the_headers_or_percentiles():
    values = np.linspace(-1000, 1000, 60).reshape(5, 4, 3).astype(np.float32)
    assert np.ptp(read(nifti(values), SAME)) == 255
    shown = read(nifti(values, cal_min=0, cal_max=100), SAME)
    assert set(np.unique(shown[..., 0][::-1])) >= {0, 255}
    assert np.array_equal(shown, read(nifti(values), Layout((4, 5), 1, depth=3, window=(0.0, 100.0))))
    # scl_slope and scl_inter
    whole = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    assert np.array_equal(
        read(nifti(whole, scl_slope=2, scl_inter=-10), Layout((4, 5), 1, depth=3, bits=16, window=(-10.0, 65525.0))),
        2 * read(nifti(whole), Layout((4, 5), 1, depth=3, bits=16, window=(0.0, 65535.0))),
    )


def of_size(values, steps, **options):
    return resample(values[..., None].astype(np.float32), lambda plane: plane, steps, Layout(channels=1, **options))[..., 0]


def test_a_volume_is_stretched_padded_or_cut():
    ones = np.ones((4, 8, 8))
    assert np.allclose(of_size(ones, (1, 1, 1), size=(4, 4), depth=4), 1)
    # 8 mm high and wide, 4 mm deep: of a cube of four voxels it fills half.
    padded = of_size(ones, (1, 1, 1), size=(4, 4), depth=4, resize="pad")
    assert padded[:, 0, 0].tolist() == [0, 1, 1, 0]
    # A cube of 4 mm is covered: the middle of each slice.
    assert np.allclose(of_size(ones, (1, 1, 1), size=(4, 4), depth=4, resize="crop"), 1)
    # Slices of 2 mm: 8 mm in every direction, so that padding changes nothing.
    assert np.allclose(of_size(ones, (2, 1, 1), size=(4, 4), depth=4, resize="pad"), 1)


def test_spacing_keeps_millimetres():
    ramp = np.arange(8.0)[:, None, None] * np.ones((8, 2, 2))
    at_two = of_size(ramp, (1, 1, 1), size=(1, 1), depth=6, spacing=(2.0, 2.0, 2.0))
    # 8 mm are four voxels of 2 mm in the middle of six; each is about the mean of its millimetres.
    assert at_two[:, 0, 0].tolist() == [0, pytest.approx(0.6, abs=0.2), 2.5, 4.5, pytest.approx(6.4, abs=0.2), 0]


def test_distances_may_be_in_micrometres_or_metres():
    voxels = np.random.default_rng(0).integers(0, 255, (8, 8, 8)).astype(np.uint8)
    layout = Layout((4, 4), 1, depth=4, spacing=(2.0, 2.0, 2.0), window=(0.0, 255.0))
    pixels = [
        read(nifti(voxels, np.diag([step, step, step, 1.0]), xyzt_units=unit), layout) for step, unit in ((1, 2), (1000, 3), (0.001, 1))
    ]
    assert np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[0], pixels[2])
    with pytest.raises(UnreadableImage, match="does not say how far apart its voxels are"):  # a metre
        read(nifti(voxels, np.diag([1000, 1000, 1000, 1.0]), xyzt_units=2), layout)


def test_series_and_headers_alone_are_refused():
    with pytest.raises(UnreadableImage, match="has 2 volumes"):
        read(nifti(np.zeros((3, 3, 3, 2), np.uint8)), SAME)
    with pytest.raises(UnreadableImage, match="cut short"):
        read(gzip.compress(stored((0, 1, 2), ()))[:-30], SAME)
    with pytest.raises(UnreadableImage, match="has 3 slices; `slice: 3`"):
        read(stored((0, 1, 2), ()), Layout((4, 5), 1, slice=3))


def test_an_image_is_no_volume():
    buffer = BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    with pytest.raises(UnreadableImage, match="PNG image, not a volume"):
        read(buffer.getvalue(), SAME)


def test_a_real_scan_comes_upright():
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    if not (folder / "anatomical.nii").exists():
        pytest.skip("nibabel without its test files")
    # Stored towards the left, the front and the head, in big endian: see nibabel.aff2axcodes.
    volume = read(folder / "anatomical.nii", Layout((41, 33), 1, bits=16, depth=25, window=(-1000.0, 64535.0)))[..., 0].astype(int) - 1000
    assert volume[12, 20, 10:14].tolist() == [10872, 11713, 11120, 7018]
    to_the_right_front_and_head = np.asarray(nibabel.as_closest_canonical(nibabel.load(folder / "anatomical.nii")).dataobj)
    assert np.array_equal(volume, to_the_right_front_and_head.transpose(2, 1, 0)[:, ::-1, ::-1])
    with pytest.raises(UnreadableImage, match="has 2 volumes"):
        read(folder / "example4d.nii.gz", SAME)


def test_complex_numbers_are_refused():
    with pytest.raises(UnreadableImage, match="complex numbers"):
        read(nibabel.Nifti1Image(np.ones((3, 4, 5), np.complex64), np.eye(4)).to_bytes(), SAME)


@pytest.mark.parametrize("step", [np.nan, np.inf, 1e30])
def test_a_spacing_that_cannot_be_true_is_refused_where_it_decides(step):
    data = nifti(np.ones((3, 4, 5), np.uint8), pixdim=[1, 1, 1, step, 1, 1, 1, 1])
    assert read(data, SAME).shape == (3, 4, 5, 1)
    for options in ({"spacing": (1.0, 1.0, 1.0)}, {"resize": "pad"}):
        with pytest.raises(UnreadableImage, match="how far apart its voxels are"):
            read(data, Layout((4, 5), 1, depth=3, **options))


def test_complex_voxels_are_refused():
    data = nibabel.Nifti1Image(np.ones((2, 2, 2), np.complex64), np.eye(4)).to_bytes()
    with pytest.raises(UnreadableImage, match=r"The voxels of the NIfTI file are complex numbers\.") as refused:
        read(data, Layout((2, 2), 1, depth=2))
    assert refused.value.fix == "Save their magnitude, or what matters of them."


def test_the_extra_is_named(monkeypatch):
    data = stored((0, 1, 2), ())
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingReader, match=r"The file is a NIfTI volume, and the packages that read it are not installed\.") as refused:
        read(data, SAME)
    assert refused.value.fix == "Run `pip install 'mmtrain[medical]'`."
