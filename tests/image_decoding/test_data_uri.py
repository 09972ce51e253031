"""Images that cells hold themselves: data URIs, bytes, arrays and images of Pillow give the pixels that their files give."""

import io

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from mmtrain.columns import Image
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.decode_cells import decode_cells
from mmtrain.data.images.locate import ImageFinder
from mmtrain.data.images.store import open_store
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.image_decoding.data_uri import from_data_uri, is_data_uri, to_data_uri, without_content

COLOURS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
COLUMN = Image(column="scan", size=(9, 7))


def file_bytes(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned():
    """A JPEG that EXIF turns by a quarter."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return file_bytes(PIL.Image.fromarray(COLOURS), "JPEG", exif=exif)


def pixels(cells, folder, column=COLUMN, **cache):
    """What the store and a prediction make of these cells of a DataFrame; both are the same."""
    frame = FrameTable(pd.DataFrame({"scan": pd.Series(cells, dtype=object)}))
    assert frame.refusal("scan") == ""
    texts = pd.concat([chunk["scan"] for chunk in frame.pieces(["scan"], size=2)], ignore_index=True)
    images = ImageFolder(folder)
    store, unreadable = open_store(texts, column.image_cells, images, cache=Cache(folder=folder / "cache", **cache))
    predicted, present, remarks, _ = decode_cells(texts, column.image_cells, ImageFinder(images), policy=column.missing)
    taken = store.take(np.arange(len(cells)))
    np.testing.assert_array_equal(taken, predicted)
    assert (len(unreadable), len(remarks), present.tolist()) == (0, 0, [[1.0]] * len(cells))
    return taken


@pytest.mark.parametrize("cache", [{}, {"disk": 0, "memory": 0}, {"verify": "content"}])
def test_a_cell_may_be_a_path_bytes_an_array_an_image_or_a_data_uri(tmp_path, cache):
    image = PIL.Image.fromarray(COLOURS)
    image.save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    cells = ["a.png", content, bytearray(content), COLOURS, image, to_data_uri(content)]
    np.testing.assert_array_equal(pixels(cells, tmp_path, **cache), np.stack([COLOURS] * len(cells)))


def test_an_image_of_pillow_is_turned_as_its_file_is(tmp_path):
    (tmp_path / "a.jpg").write_bytes(turned())
    as_file, as_bytes, as_image = pixels(["a.jpg", turned(), PIL.Image.open(io.BytesIO(turned()))], tmp_path)
    np.testing.assert_array_equal(as_file, as_bytes)
    np.testing.assert_array_equal(as_file, as_image)


def test_sixteen_bits_and_single_channels_are_kept(tmp_path):
    deep = np.arange(63, dtype=np.uint16).reshape(9, 7) * 1000
    column = Image(column="scan", size=(9, 7), channels=1, bits=16)
    np.testing.assert_array_equal(pixels([deep, (deep // 257).astype(np.uint8)[..., None]], tmp_path, column)[0, ..., 0], deep)


def test_what_is_not_an_image_is_refused_with_its_type():
    cells = pd.Series([np.zeros((4, 4, 3)), b"abc", "a.png"], dtype=object)
    assert FrameTable(pd.DataFrame({"scan": cells})).refusal("scan") == (
        "the column holds objects of type bytes and ndarray (float64, shape (4, 4, 3))."
    )


@pytest.mark.parametrize(("text", "is_one"), [("data:image/png;base64,AAAA", True), ("data:,AAAA", False), ("data/a.png", False)])
def test_data_uris_are_told_from_paths(text, is_one):
    assert is_data_uri(text) is is_one


def test_a_data_uri_gives_back_its_bytes():
    content = file_bytes(PIL.Image.fromarray(COLOURS), "WEBP")
    assert to_data_uri(content).startswith("data:image/webp;base64,")
    assert from_data_uri(to_data_uri(content)) == content
    assert from_data_uri("data:image/png;base64,AA\n AA") == b"\0\0\0"


def test_of_images_in_a_text_their_type_is_shown_alone():
    held = to_data_uri(b"\0" * 128 + b"DICM" + b"name" * 9)
    assert without_content(held) == "data:application/dicom;base64,…"
    assert without_content(f'["{held}", "a.png"]') == '["data:application/dicom;base64,…", "a.png"]'
    assert without_content("data: a.png") == "data: a.png"


def test_no_message_of_a_store_has_the_content_of_a_cell(tmp_path):
    from mmtrain.columns import Images
    from mmtrain.data.images.header_profile import profile_images

    held, folder = to_data_uri(b"\x89PNG\r\n\x1a\n" + b"Plantedname" * 9), ImageFolder(tmp_path)
    for column, cell in ((Image(column="x"), held), (Images(column="x"), f'["{held}"]')):
        _, (bad,) = open_store(pd.Series([cell], dtype="str"), column.image_cells, folder, cache=Cache(folder=tmp_path / "cache"))
        assert bad.what.startswith("the image: the PNG file is")
    assert profile_images([held], folder).bad[0][0] == "data:image/png;base64,…"
