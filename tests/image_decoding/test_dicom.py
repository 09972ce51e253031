"""DICOM: literal values, units, windows, frames, series, refusals; nothing that names a patient comes out."""

import logging
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from medical_files import NUMBER, PLANTED, axial, ct, dicom

from mmtrain.image_decoding import Layout, UnreadableImage, inspect, read
from mmtrain.image_decoding.decoded_image import MissingReader

pydicom = pytest.importorskip("pydicom")

from mmtrain.image_decoding.formats import dicom as reader  # noqa: E402

UNITS = np.array([[-1000, -160, 40], [140, 240, 1000]])
LIVER = (-160.0, 240.0)


def layout(height=2, width=3, channels=1, **options):
    return Layout((height, width), channels, **options)


def listed(pixels):
    return pixels[..., 0].tolist()


def test_a_ct_slice_has_hounsfield_units():
    assert reader.frame_samples(reader.dataset(ct(UNITS)), 0).values[0, ..., 0].tolist() == UNITS.tolist()
    assert listed(read(ct(UNITS), layout(window=LIVER))) == [[0, 0, 128], [191, 255, 255]]
    # 65,535 levels over the 65,535 units of an identity window: nothing is rounded.
    assert listed(read(ct(UNITS), layout(bits=16, window=(-1024.0, 64511.0)))) == (UNITS + 1024).tolist()


def test_the_window_of_the_file_is_the_standards():
    # PS3.3 C.11.2.1.2: center 40, width 400 is black up to -160.5 + 0.5 = -160 and white from 239 on.
    data = ct(UNITS)
    assert reader.frame_samples(reader.dataset(data), 0).window == (-160.0, 239.0)
    assert listed(read(data, layout())) == [[0, 0, 128], [192, 255, 255]]
    exact = ct(UNITS, VOILUTFunction="LINEAR_EXACT", WindowCenter=[40, 600], WindowWidth=[400, 2800])
    assert reader.frame_samples(reader.dataset(exact), 0).window == LIVER


def test_low_values_are_bright_in_monochrome1():
    data = ct(UNITS, PhotometricInterpretation="MONOCHROME1")
    assert listed(read(data, layout(window=LIVER))) == [[255, 255, 128], [64, 0, 0]]


def test_bytes_and_colours_keep_their_values():
    grey = np.array([[0, 7, 255], [1, 2, 3]], np.uint8)
    assert listed(read(dicom(grey), layout())) == grey.tolist()
    colour = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14
    assert read(dicom(colour), layout(channels=3)).tolist() == colour.tolist()
    assert listed(read(dicom(colour), layout()))[0] == [round(float(pixel @ [0.299, 0.587, 0.114])) for pixel in colour[0]]


def test_signed_samples_without_a_window_are_shown_by_percentiles():
    values = np.array([[-500, -250, 0], [250, 400, 500]], np.int16)
    assert listed(read(dicom(values), layout())) == [[0, 64, 128], [191, 230, 255]]


def test_the_header_says_size_and_depth():
    header = inspect(ct(UNITS, BitsStored=12, HighBit=11))
    assert (header.format, header.width, header.height, header.mode, header.bits, header.orientation) == ("DICOM", 3, 2, "I;16", 16, 1)


def test_frames_are_chosen():
    frames = np.stack([np.full((2, 4), 10 * number, np.uint8) for number in range(5)])
    assert [int(read(dicom(frames), layout(2, 4, slice=number))[0, 0, 0]) for number in (None, 0, 4)] == [20, 0, 40]
    assert read(dicom(frames), layout(2, 4, depth=5))[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    with pytest.raises(UnreadableImage, match="has 5 frames; `slice: 5` counts from 0"):
        read(dicom(frames), layout(slice=5))


@pytest.fixture
def series(tmp_path):
    """Four slices, brighter towards the head, in files whose names are in another order, next to files that are none."""
    folder = tmp_path / "patient"
    folder.mkdir()
    for number, name in enumerate(["d", "a", "c.dcm", "b"]):
        (folder / name).write_bytes(ct(np.full((2, 3), 100 * number), **axial(number)))
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden").write_text("no image")
    return folder


def test_a_series_is_ordered_by_position(series):
    volume = read(series, layout(depth=4, window=(0.0, 255.0)))
    assert volume.shape == (4, 2, 3, 1)
    assert volume[:, 0, 0, 0].tolist() == [0, 100, 200, 255]
    # Of a folder, an image is one slice.
    assert [int(read(series, layout(slice=number, window=(0.0, 255.0)))[0, 0, 0]) for number in (None, 0, 1)] == [200, 0, 100]
    assert inspect(series).format == "DICOM"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"SeriesInstanceUID": "9.9"}, "files of several series"),
        ({"ImagePositionPatient": [-10.0, -20.0, 7.0]}, "at the same position"),
        ({"ImagePositionPatient": [-10.0, -20.0, 30.0]}, "is missing: the distances"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "not parallel"),
        ({"ImageOrientationPatient": None}, "does not say where its slice is"),
    ],
)
def test_a_series_that_is_no_volume_is_refused(series, change, what):
    (series / "b").write_bytes(ct(np.zeros((2, 3)), **{**axial(3), **change}))
    with pytest.raises(UnreadableImage, match=what) as refused:
        read(series, layout(depth=4))
    assert refused.value.fix


def test_a_sagittal_series_is_turned_as_an_axial_one():
    from mmtrain.image_decoding.formats.dicom_series import in_order

    volume = np.random.default_rng(0).integers(0, 255, (3, 4, 5)).astype(np.float32)  # head, back, left
    # Columns of a sagittal slice run to the back, rows to the feet; slices are given from left to right.
    samples, places = [], []
    for x in reversed(range(5)):
        samples.append(reader.Samples(volume[::-1, :, x][None, ..., None], spacing=(9.0, 2.0, 3.0)))
        places.append(np.array([(4.0 * x, 0.0, 20.0), (0, 1, 0), (0, 0, -1)], float))
    turned = in_order(samples, places)
    assert np.array_equal(turned.values[..., 0], volume)
    assert turned.spacing == (2.0, 3.0, 4.0)


def test_a_file_without_an_image_is_refused():
    data = ct(UNITS)
    with pytest.raises(UnreadableImage, match="The DICOM file has no image"):
        read(data[: data.index(b"\x28\x00\x10\x00")], layout())
    with pytest.raises(UnreadableImage, match="cut short"):
        read(data[:-4], layout())


def test_too_many_pixels_are_refused():
    with pytest.raises(UnreadableImage, match="6 pixels, more than max_pixels 5"):
        read(ct(UNITS), layout(max_pixels=5))
    with pytest.raises(UnreadableImage, match="16 voxels, more than max_voxels 15"):
        read(dicom(np.zeros((2, 2, 4), np.uint8)), layout(2, 4, depth=2, max_pixels=15))


def test_the_extra_is_named(monkeypatch):
    data = ct(UNITS)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingReader, match="packages that read it are not installed") as refused:
        read(data, layout())
    assert refused.value.fix == "Run `pip install 'mmtrain[medical]'`."


def test_damaged_files_are_refused_without_a_word_of_their_tags(caplog, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = bytearray(ct(UNITS, PatientAge="no age", StudyDate="no date", PatientWeight=70))
    caplog.clear()
    chance = random.Random(5)
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        for _ in range(300):
            broken = bytearray(data)
            for _ in range(3):
                broken[chance.randrange(132, len(broken))] = chance.randrange(256)
            try:
                read(bytes(broken), layout())
            except UnreadableImage as refusal:
                assert PLANTED not in str(refusal)
    said = "".join([caplog.text, *capfd.readouterr()])
    assert not any(word in said for word in (PLANTED, NUMBER, "19700101", "no age"))


def test_bytes_of_a_file_are_an_image_in_a_cell():
    from mmtrain.columns.pixels.image import Image
    from mmtrain.image_decoding.data_uri import from_data_uri, holds_pixels, to_data_uri

    data = ct(UNITS)
    assert holds_pixels(data)
    assert not holds_pixels(b"bytes of a text, and not of an image")
    cell = to_data_uri(data)
    assert cell.startswith("data:application/dicom;base64,")
    assert from_data_uri(cell) == data
    assert Image().fit([pd.Series([cell], dtype="str")]).takes == "pixels"


def test_names_are_never_read():
    found = reader.dataset(ct(UNITS))
    assert not {"PatientName", "PatientID", "PatientBirthDate", "InstitutionName"} & {element.keyword for element in found}


def real_files():
    """The DICOM files of pydicom and pydicom-data, one of each name."""
    folders = [Path(pydicom.__file__).parent / "data" / "test_files"]
    try:
        import data_store

        folders.append(Path(data_store.__file__).parent / "data")
    except ImportError:
        pass
    return {path.name: path for folder in folders for path in sorted(folder.rglob("*.dcm"))}


def test_real_files_have_known_values():
    files = real_files()
    if "CT_small.dcm" not in files:
        pytest.skip("pydicom without its test files")
    sample = reader.frame_samples(reader.dataset(files["CT_small.dcm"].read_bytes()), 0)
    assert sample.values[0, :2, :4, 0].tolist() == [[-849.0, -844.0, -858.0, -881.0], [-838.0, -841.0, -867.0, -877.0]]
    assert listed(read(files["MR_small.dcm"], Layout((64, 64), 1, bits=16, window=(0.0, 65535.0))))[0][:4] == [905, 1019, 1227, 1259]


DAMAGED, NO_IMAGE = "damaged or of a kind that is not read", "has no image"
REFUSED = {
    "JPEG-lossy.dcm": DAMAGED,
    "JPEG2000-embedded-sequence-delimiter.dcm": DAMAGED,
    "MR_truncated.dcm": "is cut short",
    "badVR.dcm": DAMAGED,
    "emri_small_jpeg_2k_lossless_too_short.dcm": NO_IMAGE,
}
"""Images that are damaged by intent, or of a kind that none of the readers takes."""
WITHOUT_PIXELS = (
    *("DICOMDIR-empty", "ExplVR_BigEndNoMeta", "ExplVR_LitEndNoMeta", "UN_sequence", "empty_charset_LEI", "meta_missing_tsyntax"),
    *("nested_priv_SQ", "no_meta", "no_meta_group_length", "priv_SQ", "reportsi", "reportsi_with_empty_number_tags", "rtplan"),
    *("rtplan_truncated", "rtstruct", "test-SR", "waveform_ecg"),
)
"""Files of pydicom and pydicom-data that hold a plan, a report, a curve or nothing."""


@pytest.mark.slow
def test_every_real_file_is_read_as_pydicom_reads_it_or_refused():
    """147 files of pydicom 3 and pydicom-data 1: 130 have an image, of which 125 are decoded."""
    from pydicom.pixels import apply_modality_lut, pixel_array

    pytest.importorskip("data_store", reason="pydicom-data is not installed")
    refused = REFUSED | {f"{name}.dcm": NO_IMAGE for name in WITHOUT_PIXELS}
    decoded = 0
    files = real_files()
    for name, path in files.items():
        if name in refused:
            with pytest.raises(UnreadableImage, match=refused[name]):
                read(path, layout(16, 16))
            continue
        found = reader.dataset(path.read_bytes())
        assert read(path, layout(16, 16, channels=3)).shape == (16, 16, 3), name
        decoded += 1
        if (
            found.SamplesPerPixel == 1
            and found.PhotometricInterpretation != "PALETTE COLOR"
            and "SharedFunctionalGroupsSequence" not in found
        ):
            whole = pydicom.dcmread(path, force=True)
            whole.file_meta = found.file_meta
            expected = apply_modality_lut(pixel_array(whole, index=0), whole)
            assert np.array_equal(reader.frame_samples(found, 0).values[0, ..., 0], expected), name
    assert (len(files), decoded, len(refused)) == (147, 125, 22)


def test_pixels_without_an_extent_are_refused_where_a_spacing_decides():
    data = dicom(np.ones((3, 4, 5), np.uint16), PixelSpacing=[0, 0])
    assert read(data, Layout((4, 5), 1, depth=3)).shape == (3, 4, 5, 1)
    with pytest.raises(UnreadableImage, match="how far apart its voxels are"):
        read(data, Layout((4, 5), 1, depth=3, spacing=(1.0, 1.0, 1.0)))


@pytest.mark.parametrize("rest", [b"", b"\0\0\0\0", b"\1\0\0\0\xff\0\0\0"])
def test_bytes_that_begin_like_a_folder_and_are_none_are_refused(rest):
    from mmtrain.image_decoding.folder_content import MARK

    for look in (inspect, lambda data: read(data, Layout((4, 4), 1, depth=2))):
        with pytest.raises(UnreadableImage):
            look(MARK + rest)


def test_pixels_of_files_are_not_missing_where_pydicom_is(monkeypatch):
    from mmtrain.columns import Image

    fitted = Image(size=(2, 2), channels=1, slice="middle").fit([])
    scan = ct(np.zeros((2, 2)))
    assert fitted.raw(pd.Series([scan], dtype=object)).shape == (1, 2, 2, 1)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingReader):
        fitted.raw(pd.Series([scan], dtype=object))


def test_a_request_without_pydicom_is_refused_under_every_policy(monkeypatch):
    from mmtrain.columns import Image
    from mmtrain.data.images.decode_cells import join_images
    from mmtrain.image_decoding.data_uri import to_data_uri
    from mmtrain.serving.rows import RowReader

    column = Image(column="x", size=(2, 2), channels=1, missing="mask")
    scan = to_data_uri(ct(np.zeros((2, 2))))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    prepared = RowReader({"x": column}).prepare({"x": scan})
    (remark,) = join_images([prepared.images["x"]], column.image_cells, policy="mask").remarks
    assert remark.what.startswith("unreadable, the image: the file is a DICOM image")
    assert remark.fix == "Run `pip install 'mmtrain[medical]'`."
