"""Reading a store that is larger than memory: what counts as memory, and that every row still has its own image."""

import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from mmtrain.columns import Image
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.arrays import Arrays
from mmtrain.data.cache import MappedFile
from mmtrain.data.encoded_column import EncodedColumn
from mmtrain.data.images.prefetch import ReadAhead, StoredImages, contiguous_runs, read_ahead
from mmtrain.data.images.store import ImageStore, open_store
from mmtrain.errors import RunError
from mmtrain.system import memory


@pytest.fixture
def stored(tmp_path):
    """A file of five images (40, 50, 2) uint16, each of one level: 0, 1000, ... 4000; its path and its pixels."""
    pixels = np.broadcast_to((np.arange(5, dtype=np.uint16) * 1000)[:, None, None, None], (5, 40, 50, 2))
    np.save(tmp_path / "pixels.npy", pixels)
    return tmp_path / "pixels.npy", np.load(tmp_path / "pixels.npy", mmap_mode="r")


def test_images_are_read_as_they_stand_in_the_store_expected_or_not(stored):
    path, pixels = stored
    store = ImageStore(StoredImages(pixels, ahead=ReadAhead(path, pixels)), np.array([4, -1, 0, 2, 2, 1, 3]))
    rows = np.array([6, 1, 0, 4, 3])
    store.expect(np.array([6, 0, 1]))
    for _ in range(2):
        taken = store.take(rows)
        assert (taken == ImageStore(StoredImages(pixels), store.index).take(rows)).all()
        assert taken[:, 0, 0, 0].tolist() == [3000, 0, 4000, 2000, 2000]
    assert store.select(np.arange(7) == 5).take(np.array([0]))[0, 39, 49, 1] == 1000


def test_store_that_fits_is_left_to_the_kernel(stored):
    path, pixels = stored
    assert read_ahead(path, pixels) is None
    store = ImageStore(StoredImages(pixels), np.arange(5))
    store.expect(np.array([0, 4]))
    assert store.take(np.array([4]))[0, 0, 0, 0] == 4000


def test_store_cut_short_while_it_is_used_is_refused(stored):
    path, pixels = stored
    ahead = ReadAhead(path, pixels)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(RunError) as caught:
        ahead.take(np.array([4]), np.empty((1, 40, 50, 2), dtype=np.uint16))
    assert str(caught.value) == (
        f"{path}: the image store has become shorter while it was used. Start again, and leave the cache alone while a run uses it."
    )


def test_opened_store_knows_whether_it_fits(tmp_path, monkeypatch):
    PIL.Image.new("L", (2, 2), 70).save(tmp_path / "1.bmp")
    cells, column = pd.Series(["1.bmp"], dtype="str"), Image(column="scan", size=(2, 2), channels=1)
    monkeypatch.setattr("mmtrain.data.images.prefetch.PREFETCH_MEMORY_SHARE", 0.0)
    small, _ = open_store(cells, column.image_cells, ImageFolder(tmp_path), cache=Cache(folder=tmp_path / "cache"))
    monkeypatch.undo()
    large, _ = open_store(cells, column.image_cells, ImageFolder(tmp_path), cache=Cache(folder=tmp_path / "cache"))
    assert (type(small.pixels.ahead), large.pixels.ahead) == (ReadAhead, None)
    assert small.take(np.array([0])).tolist() == large.take(np.array([0])).tolist() == [[[[70], [70]], [[70], [70]]]]


@pytest.mark.parametrize(
    ("numbers", "expected"), [([], []), ([3], [(3, 3)]), ([0, 1, 2, 5, 7, 8], [(0, 2), (5, 5), (7, 8)])], ids=["none", "one", "several"]
)
def test_consecutive_images_are_asked_for_together(numbers, expected):
    assert list(contiguous_runs(np.array(numbers, dtype=np.int64))) == expected


FREE = 2_048_000


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, FREE),
        ({"proc/self/cgroup": "0::/a/b\n", **{f"sys/fs/cgroup/a/{name}": text for name, text in (
            ("memory.max", "900\n"), ("memory.current", "700\n"), ("memory.stat", "anon 200\nfile 500\n"))}}, 700),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "700\n"}, FREE),
        ({"proc/self/cgroup": "5:cpu:/x\n4:memory:/host/name\n", **{f"sys/fs/cgroup/memory/{name}": text for name, text in (
            ("memory.limit_in_bytes", "900\n"), ("memory.usage_in_bytes", "950\n"), ("memory.stat", "total_cache 150\n"))}}, 100),
    ],
    ids=["a machine", "a group's parent, version 2", "a group without a limit", "a container, version 1"],
)  # fmt: skip
def test_available_memory_is_the_least_that_anyone_allows(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory.available_memory(tmp_path) == expected


# Files that are cut short


def test_store_that_is_cut_short_is_told_and_does_not_end_the_process(tmp_path):
    """A page behind the end of the file would: SIGBUS."""
    path = tmp_path / "pixels.npy"
    np.save(path, np.ones((64, 32, 32, 3), np.uint8))
    store = ImageStore(StoredImages(np.asarray(np.load(path, mmap_mode="r")), MappedFile(path)), np.arange(64))
    assert store.take(np.array([63])).sum() == 32 * 32 * 3
    os.truncate(path, 4096)
    with pytest.raises(RunError) as caught:
        store.take(np.array([63]))
    assert str(caught.value) == (
        f"{path}: the file has become shorter while it was used. Start again, and leave the cache alone while a run uses it."
    )


def test_store_whose_file_is_removed_is_read_on(tmp_path):
    path = tmp_path / "pixels.npy"
    np.save(path, np.ones((4, 2, 2, 3), np.uint8))
    store = ImageStore(StoredImages(np.asarray(np.load(path, mmap_mode="r")), MappedFile(path)), np.arange(4))
    path.unlink()
    path.write_bytes(b"another")
    assert store.take(np.array([3])).sum() == 12


@pytest.mark.parametrize("column", ["scan", "x"])
def test_batches_look_after_every_file_they_are_taken_from(tmp_path, column):
    path = tmp_path / "codes.npy"
    np.save(path, np.ones((4, 1, 1, 1), np.uint8))
    file = MappedFile(path)
    store = ImageStore(StoredImages(np.zeros((4, 1, 1, 1), np.uint8), file if column == "scan" else None), np.arange(4))
    files = (file,) if column == "x" else ()
    inputs = {"scan": store, "x": EncodedColumn(np.zeros((4, 1), np.float32), np.ones((4, 1), np.float32), files=files)}
    present = dict.fromkeys(inputs, np.ones((4, 1), np.float32))
    arrays = Arrays(inputs, present, {}, {})
    assert set(arrays.take(np.array([0]))) == {"scan", "scan_present", "x", "x_present"}
    os.truncate(path, 1)
    with pytest.raises(RunError, match="has become shorter"):
        arrays.of([column]).take(np.array([0]))
