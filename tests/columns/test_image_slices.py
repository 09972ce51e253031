"""Several slices of a scan as the images of a row."""

import gzip

import numpy as np
import pandas as pd
import pytest
from medical_files import axial, ct, nifti
from pydantic import ValidationError

from mmtrain.columns import Images
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.decode_cells import decode_cells
from mmtrain.data.images.locate import ImageFinder
from mmtrain.data.images.store import open_store

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

OPTIONS = {"column": "x", "size": (4, 4), "channels": 1, "window": (0, 255), "most": 4, "missing": "mask"}
CELLS = pd.Series(["head.nii.gz", "series", "head.nii.gz; film.dcm", None], dtype="str")


@pytest.fixture
def scans(tmp_path):
    """A NIfTI volume of six slices, a series of five in other names, and a file of two frames; each slice has one level."""
    levels = np.arange(6, dtype=np.uint8) * 10 + 10
    (tmp_path / "head.nii.gz").write_bytes(gzip.compress(nifti(np.broadcast_to(levels, (4, 4, 6)).copy())))
    (tmp_path / "series").mkdir()
    for number in range(5):
        (tmp_path / "series" / f"{9 - number}.dcm").write_bytes(ct(np.full((4, 4), 100 + 10 * number), **axial(number)))
    (tmp_path / "film.dcm").write_bytes(ct(np.stack([np.full((4, 4), level) for level in (200, 210)])))
    return tmp_path


def levels_of(pixels):
    return [[int(image[1, 1, 0]) for image in row if image.any()] for row in pixels]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"slice": [0, 4]}, [[10, 50], [100, 140], [10, 50, 200], []]),
        ({"slices": 3}, [[20, 40, 60], [100, 120, 140], [200, 210, 20, 60], []]),  # of six images, four evenly spaced ones
        ({"slice": "middle"}, [[40], [120], [40, 210], []]),
    ],
)
def test_slices_of_a_file_are_images_of_its_row(scans, options, expected):
    """Those in the middle of as many equal parts, or the ones that are listed; the second frame of a film of two is not its fifth."""
    column = Images(**OPTIONS, **options)
    store, unreadable = open_store(CELLS, column.image_cells, ImageFolder(scans), cache=Cache(folder=scans / "cache"))
    decoded = decode_cells(CELLS, column.image_cells, ImageFinder(ImageFolder(scans), folders=True), policy="mask")
    assert np.array_equal(store.take(np.arange(4)), decoded.pixels)
    assert [sorted(row) for row in levels_of(decoded.pixels)] == [sorted(row) for row in expected]
    missing = [(bad.row, bad.what) for bad in unreadable if not bad.what.startswith("the cell is empty")]
    listed = [(2, "film.dcm [slice 4]: the file has 2 frames; `slice: 4` counts from 0.")]
    assert missing == (listed if options == {"slice": [0, 4]} else [])


@pytest.mark.usefixtures("tensorflow")
def test_saved_models_and_requests_take_the_slices_of_files(scans):
    from mmtrain.data.images.decode_cells import join_images
    from mmtrain.image_decoding.data_uri import to_data_uri
    from mmtrain.serving.rows import RowReader

    column = Images(**OPTIONS, slices=2)
    fitted = column.fit([CELLS])
    assert type(fitted).model_validate_json(fitted.model_dump_json()) == fitted
    assert not fitted.decodes_images
    decoded = decode_cells(CELLS, column.image_cells, ImageFinder(ImageFolder(scans), folders=True), policy="mask")
    raw = fitted.raw(pd.Series([[str(scans / "head.nii.gz")], [(scans / "series", (0, 2)), (scans / "series", (1, 2))], [], []]))
    encoded, _present = fitted.preprocessing()(raw)
    assert np.array_equal(encoded.numpy()[:2], decoded.pixels[:2])
    reader = RowReader({"x": column})
    prepared = reader.prepare({"x": to_data_uri((scans / "head.nii.gz").read_bytes())}).images["x"]
    assert np.array_equal(join_images([prepared], column.image_cells, policy="mask").pixels, decoded.pixels[:1])


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"slice": [1, 1]}, "`slice` lists each slice once, as [10, 20, 30]."),
        ({"slice": []}, "`slice` lists each slice once, as [10, 20, 30]."),
        ({"slice": [1, 2], "slices": 3}, "`slice` and `slices` both say which slices are read. Leave one of them out."),
        ({"slices": 9}, "a file gives 9 slices, and 8 images are used. Set `most: 9`."),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, what):
    with pytest.raises(ValidationError) as error:
        Images(column="x", **options)
    assert error.value.errors()[0]["msg"] == f"Value error, {what}"
