"""Histograms and thumbnails for the page of `inspect-data`."""

import base64
import io

import numpy as np
from PIL import Image

from mmtrain.artifacts.inspection_figures import ClassThumbnails, ColumnHistogram
from mmtrain.audit.leakage.duplicate_rows import _leaked
from mmtrain.audit.row_metadata import TEST, TRAIN, RowMetadata
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.pipeline.table_figures import BINS, class_thumbnails, column_histograms
from mmtrain.reports.pages.inspection import Inspected, inspection_page


def histograms(folder, *, by_class=True):
    lines = ["age,site,ill"] + [f"{row},{'ab'[row % 3 > 0]},{'yes' if row >= 30 else 'no'}" for row in range(40)] + [",c,"]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return column_histograms(open_table(folder / "t.csv", ()), ["age"], ["site"], "ill", by_class=by_class)


def test_cells_are_counted_by_class_and_bin_or_value(tmp_path):
    age, site = histograms(tmp_path)
    assert (age.header, age.classes) == ("age", ("no", "yes"))
    assert (len(age.edges), sum(age.counts[0]), sum(age.counts[1])) == (BINS + 1, 30, 10)
    assert age.counts[1][:14] == (0,) * 14  # nobody below 30 is ill
    assert (site.values, site.counts) == (("b", "a", "c"), ((20, 10, 0), (6, 4, 0)))


def test_without_classes_all_rows_are_one(tmp_path):
    age, site = histograms(tmp_path, by_class=False)
    assert (age.classes, sum(age.counts[0])) == (("all rows",), 40)
    assert site.counts == ((26, 14, 1),)


def test_images_of_each_class_are_spread_over_its_rows():
    class Store:
        index = np.arange(10)

        def present(self, rows):
            return (rows != 0)[:, None].astype(np.float32)  # the first row has no image

        def display_image(self, row):
            return np.full((8, 8, 1), 20 * row, dtype=np.uint8)

    (shown,) = class_thumbnails("scan", Store(), None)
    assert (shown.column, shown.name) == ("scan", "all rows")
    brightness = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))).mean() for one in shown.images]
    assert np.allclose(brightness, [20, 60, 120, 180], atol=4)


def test_the_page_draws_columns_with_their_numbers():
    one = ColumnHistogram(header="a<b>", values=("x", "y"), classes=("no", "yes"), counts=((1, 2), (3, 4)))
    image = ClassThumbnails(column="scan", name="no", images=("YWJj",))
    text = inspection_page(Inspected("t.csv", 10, (), (), histograms=(one,), thumbnails=(image,)))
    assert 'aria-label="Histogram of a&lt;b&gt; for the rows of no and yes."' in text
    assert "Rows of a&lt;b&gt;" in text
    assert 'alt="scan of a row of no" src="data:image/jpeg;base64,YWJj"' in text


def test_a_single_copied_row_is_no_error():
    parts = np.array([TRAIN] * 40 + [TEST] * 20, dtype=np.int8)
    for copies, level in ((1, "warning"), (2, "error")):
        sets = np.array([(one, row) for one in range(copies) for row in (one, 40 + one)], dtype=np.int64)
        assert _leaked(sets, RowMetadata(60, parts)) == (level, copies)
