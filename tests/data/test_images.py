"""Image stores: decoded once, used again only for the very same files, and every row keeps its own image."""

import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from mmtrain.columns import Id, Image, ImageCells, InputColumn, Numeric, images_among
from mmtrain.config.byte_size import format_bytes
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.shards import written_meanwhile
from mmtrain.data.images.store import Unreadable, attach, open_store
from mmtrain.data.tables.read_table import read
from mmtrain.data.tables.table import Dropped
from mmtrain.errors import DataError, RunError
from mmtrain.image_decoding import Layout
from mmtrain.system.paths import cache_folder

TINY = {"size": (2, 2), "channels": 1}


def paint(path, level, size=(2, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("L", size, level).save(path)


@pytest.fixture
def scans(tmp_path):
    """Images 1.bmp, 2.bmp, 3.bmp of brightness 10, 20, 30."""
    for number in (1, 2, 3):
        paint(tmp_path / "scans" / f"{number}.bmp", number * 10)
    return tmp_path / "scans"


def opened(scans, cells, **options):
    """The store of a column `scan` with these cells, and what is wrong with them."""
    column = Image(column="scan", **TINY, **{key: value for key, value in options.items() if key in Image.model_fields})
    cache = Cache(folder=scans.parent / "cache", **{key: value for key, value in options.items() if key in Cache.model_fields})
    folder = ImageFolder(scans, options.pop("allow_outside", False))
    others = {key: value for key, value in options.items() if key not in Image.model_fields | Cache.model_fields}
    return open_store(pd.Series(cells, dtype="str"), column.image_cells, folder, cache=cache, **others)


def levels(store, rows=None):
    """Brightness of each row's image."""
    images = store.take(np.arange(len(store.index)) if rows is None else np.array(rows))
    assert all((image == image[0, 0, 0]).all() for image in images)
    return images[:, 0, 0, 0].tolist()


def stores_in(folder):
    return sorted(path.name for path in (folder.parent / "cache").iterdir())


def test_rows_have_their_own_images_in_any_order(scans):
    store, unreadable = opened(scans, ["3.bmp", "1.bmp", "3.bmp", "2.bmp", " 1.bmp "])
    assert unreadable == []
    assert levels(store) == [30, 10, 30, 20, 10]
    assert levels(store, [3, 3, 0]) == [20, 20, 30]
    assert store.pixels.shape == (3, 2, 2, 1)
    assert (store.pixels.dtype, store.index.dtype) == (np.uint8, np.int64)
    assert type(store.pixels.pixels) is np.ndarray
    assert not store.pixels.pixels.flags.writeable


def test_two_spellings_of_a_path_are_one_image(scans):
    store, _ = opened(scans, ["1.bmp", "./1.bmp", "../scans/1.bmp"])
    assert levels(store) == [10, 10, 10]
    assert len(store.pixels) == 1


def test_deep_images_are_kept_in_sixteen_bits(scans):
    PIL.Image.fromarray(np.full((2, 2), 40_000, dtype=np.uint16)).save(scans / "deep.png")
    store, unreadable = opened(scans, ["deep.png"], bits=16)
    assert (levels(store), store.pixels.dtype, unreadable) == ([40_000], np.uint16, [])


def test_row_without_a_image_is_zeros_and_not_present(scans):
    store, unreadable = opened(scans, ["2.bmp", None, "9.bmp", "1.bmp"])
    assert store.index.tolist() == [1, -1, -1, 0]
    assert levels(store) == [20, 0, 0, 10]
    assert store.present(np.array([3, 2, 1, 0])).tolist() == [[1.0], [0.0], [0.0], [1.0]]
    assert store.present(np.array([0])).dtype == np.float32
    assert [bad.row for bad in unreadable] == [1, 2]


def test_take_fills_the_array_it_is_given(scans):
    store, _ = opened(scans, ["3.bmp", None, "1.bmp"])
    out = np.full((2, 2, 2, 1), 99, dtype=np.uint8)
    assert store.take(np.array([1, 2]), out) is out
    assert out[:, 0, 0, 0].tolist() == [0, 10]


def test_column_without_any_image_gives_zeros(scans):
    store, unreadable = opened(scans, [None, "9.bmp"])
    assert (levels(store), store.pixels.shape, len(unreadable)) == ([0, 0], (0, 2, 2, 1), 2)
    again, _ = opened(scans, [None, "9.bmp"])
    assert levels(again) == [0, 0]


def test_any_role_whose_cells_name_images_has_a_store(scans):
    class Scan(InputColumn):
        """Not derived from `Image`: its cells are numbers of files."""

        role: str = "scan"

        @property
        def image_cells(self):
            return ImageCells(Layout((2, 2), 1), ".bmp")

        @property
        def kind(self):
            return "image"

        def fit(self, cells): ...

    (scans.parent / "t.csv").write_text("scan,age\n2,3\n3,4\n")
    columns = {"scan": Scan(column="scan")}
    table = read(scans.parent / "t.csv", columns)
    assert list(images_among({"age": Numeric(column="age"), **columns})) == ["scan"]
    attached = attach(table, columns, ImageFolder(scans), cache=Cache(folder=scans.parent / "cache"))
    assert (attached.problems, levels(attached.stores["scan"])) == ((), [20, 30])


def test_select_follows_the_rows_of_the_table(scans):
    store, _ = opened(scans, ["1.bmp", "2.bmp", "3.bmp"])
    assert levels(store.select(np.array([True, False, True]))) == [10, 30]


FOLDER = "Paths are relative to the images folder {scans}."
EMPTY = "Fill it in, set `missing: mask` to leave the image out of that row, or set `missing: drop` to leave the row out."


@pytest.mark.parametrize(
    ("cell", "what", "fix"),
    [
        (None, "the cell is empty.", EMPTY),
        ("nothing.bmp", "the file nothing.bmp does not exist.", FOLDER),
        ("1.BMP", "the file 1.BMP does not exist.", "Did you mean '1.bmp'?"),
        ("sub/Left_Eye.png", "the file sub/Left_Eye.png does not exist.", "Did you mean 'left_eye.png'?"),
        ("nowhere/1.bmp", "the file nowhere/1.bmp does not exist.", FOLDER),
        ("1.bmp/x", "the file 1.bmp/x does not exist.", FOLDER),
        ("scans/1.bmp", "the file scans/1.bmp does not exist.", FOLDER + " Leave out 'scans/'."),
        ("sub\\left_eye.png", "the file sub\\left_eye.png does not exist.", "Write it with forward slashes: sub/left_eye.png."),
        ("a\0b", "the file a\0b does not exist.", FOLDER),
        ("x" * 300, f"the file {'x' * 300} cannot be opened: file name too long.", "Check its name and permissions."),
        ("sub", "the path sub is a folder.", "Write the path of one image file."),
        (".", "the path . is a folder.", "Write the path of one image file."),
        ("sub/..", "the path sub/.. is a folder.", "Write the path of one image file."),
        ("pipe", "the path pipe is not a regular file.", "Write the path of one image file."),
        ("sub/empty.png", "sub/empty.png: the file is empty.", "Replace it with a whole image file."),
        ("cut.png", "cut.png: the PNG file is cut short.", "Copy or download it again, whole."),
    ],
)
def test_cell_without_a_image_says_why(scans, cell, what, fix):
    paint(scans / "sub" / "left_eye.png", 40)
    (scans / "sub" / "empty.png").touch()
    (scans / "cut.png").write_bytes((scans / "sub" / "left_eye.png").read_bytes()[:60])
    os.mkfifo(scans / "pipe")
    store, unreadable = opened(scans, ["1.bmp", cell])
    assert unreadable == [Unreadable(1, what, fix.format(scans=scans))]
    assert levels(store) == [10, 0]


ALLOW = "or set `data.allow_outside: true`."


@pytest.mark.parametrize(
    ("cell", "what", "fix"),
    [
        ("../other.bmp", "the path ../other.bmp leaves the images folder {scans}.", f"Move the file there, {ALLOW}"),
        ("../nothing.bmp", "the path ../nothing.bmp leaves the images folder {scans}.", f"Move the file there, {ALLOW}"),
        ("..", "the path .. leaves the images folder {scans}.", f"Move the file there, {ALLOW}"),
        ("link.bmp", "the path link.bmp leaves the images folder {scans}.", f"Move the file there, {ALLOW}"),
        ("folder/other.bmp", "the path folder/other.bmp leaves the images folder {scans}.", f"Move the file there, {ALLOW}"),
        ("../scans2/1.bmp", "the path ../scans2/1.bmp leaves the images folder {scans}.", f"Move the file there, {ALLOW}"),
        ("{scans}/1.bmp", "the path {scans}/1.bmp is absolute.", "Write it relative to the images folder {scans}, " + ALLOW),
    ],
)
def test_cell_that_leaves_the_folder_is_refused(scans, cell, what, fix):
    paint(scans.parent / "other.bmp", 50)
    paint(scans.parent / "scans2" / "1.bmp", 60)
    (scans / "link.bmp").symlink_to(scans.parent / "other.bmp")
    (scans / "folder").symlink_to(scans.parent)
    _, unreadable = opened(scans, [cell.format(scans=scans)])
    assert unreadable == [Unreadable(0, what.format(scans=scans), fix.format(scans=scans), outside=True)]


def test_cell_may_leave_the_folder_where_that_is_allowed(scans):
    paint(scans.parent / "other.bmp", 50)
    (scans / "link.bmp").symlink_to(scans.parent / "other.bmp")
    store, unreadable = opened(scans, ["../other.bmp", "link.bmp", f"{scans}/1.bmp"], allow_outside=True)
    assert (levels(store), len(store.pixels), unreadable) == ([50, 50, 10], 2, [])


def test_links_inside_the_folder_are_followed(scans):
    (scans / "link.bmp").symlink_to("1.bmp")
    (scans.parent / "also").symlink_to(scans)
    store, unreadable = opened(scans.parent / "also", ["link.bmp", "2.bmp"])
    assert (levels(store), unreadable) == ([10, 20], [])


@pytest.mark.parametrize(("name", "what"), [("nothing", "does not exist"), ("file", "is a file, not a folder")])
def test_images_folder_that_is_none_is_refused(tmp_path, name, what):
    (tmp_path / "file").touch()
    with pytest.raises(DataError) as caught:
        opened(tmp_path / name, ["1.bmp"])
    assert (
        str(caught.value)
        == f"{tmp_path}/{name}: the images folder {what}. Set `data.images` to the folder that image cells are relative to."
    )


def repaint(path, level, *, touch):
    """Another image of the same size in bytes; with the same time of change unless `touch`."""
    before = path.stat()
    paint(path, level)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + touch))


def test_store_of_the_same_files_is_used_again_without_decoding(scans):
    opened(scans, ["1.bmp", "2.bmp"])
    calls = []
    repaint(scans / "1.bmp", 99, touch=0)
    store, _ = opened(scans, ["2.bmp", "1.bmp", "1.bmp"], progress=lambda *told: calls.append(told))
    assert levels(store) == [20, 10, 10]
    assert calls == []
    assert len(stores_in(scans)) == 1


def test_changed_file_is_decoded_again(scans):
    opened(scans, ["1.bmp", "2.bmp"])
    repaint(scans / "1.bmp", 99, touch=1)
    store, _ = opened(scans, ["1.bmp", "2.bmp"])
    assert levels(store) == [99, 20]
    assert len(stores_in(scans)) == 2


@pytest.mark.parametrize(
    ("option", "value"), [("size", (3, 3)), ("channels", 3), ("bits", 16), ("resize", "pad"), ("background", (0, 0, 0)), ("max_pixels", 9)]
)
def test_every_option_of_the_pixels_gives_a_store_of_its_own(scans, option, value):
    cells = pd.Series(["1.bmp"], dtype="str")
    for options in (TINY, TINY | {option: value}):
        open_store(cells, Image(column="scan", **options).image_cells, ImageFolder(scans), cache=Cache(folder=scans.parent / "cache"))
    assert len(stores_in(scans)) == 2


def test_options_that_do_not_touch_the_pixels_share_a_store(scans):
    opened(scans, ["1.bmp"], missing="mask", augment={"rotate": 10})
    opened(scans, ["1.bmp"])
    assert len(stores_in(scans)) == 1


def test_same_names_sizes_and_times_in_another_folder_are_other_images(scans):
    paint(scans.parent / "others" / "1.bmp", 77)
    time_of_change = (scans / "1.bmp").stat().st_mtime_ns
    os.utime(scans.parent / "others" / "1.bmp", ns=(time_of_change, time_of_change))
    stores = [opened(scans.parent / folder, ["1.bmp"])[0] for folder in ("scans", "others")]
    assert [levels(store) for store in stores] == [[10], [77]]


def test_store_that_is_used_again_reports_the_same_files(scans):
    (scans / "bad.png").write_bytes(b"no image")
    fix = "Use an image file: JPEG, PNG, BMP, GIF or WEBP."
    expected = [
        Unreadable(0, "bad.png: the file is not an image.", fix),
        Unreadable(2, "./bad.png: the file is not an image.", fix),
    ]
    for _ in range(2):
        store, unreadable = opened(scans, ["bad.png", "1.bmp", "./bad.png"])
        assert (levels(store), unreadable) == ([0, 10, 0], expected)
    assert len(stores_in(scans)) == 1


def test_progress_counts_images_and_the_bytes_of_their_pixels(scans):
    paint_many(scans, 40)
    calls = []
    opened(scans, [f"many/{number}.bmp" for number in [*range(40), 0]], progress=lambda *told: calls.append(told))
    assert calls == [(16, 40, 64), (32, 40, 128), (40, 40, 160)]


def paint_many(scans, count):
    """Images many/0.bmp, many/1.bmp and so on, of brightness 0, 1, ... 250, 0, ..."""
    for number in range(count):
        paint(scans / "many" / f"{number}.bmp", number % 251)


def test_more_images_than_are_decoded_at_once_keep_their_places(scans):
    paint_many(scans, 600)
    store, unreadable = opened(scans, [f"many/{number}.bmp" for number in range(600)])
    assert (levels(store), unreadable) == ([number % 251 for number in range(600)], [])


class Killed(BaseException):
    """What ends a build in its middle."""


def test_build_that_is_broken_off_leaves_nothing(scans):
    def stop(done, total, size):
        raise Killed

    with pytest.raises(Killed):
        opened(scans, ["1.bmp", "2.bmp"], progress=stop)
    assert stores_in(scans) == []
    assert levels(opened(scans, ["1.bmp", "2.bmp"])[0]) == [10, 20]


@pytest.mark.parametrize(
    ("age", "locked", "stays"),
    [(3600, False, False), (3600, True, True), (0, False, True)],
    ids=["killed", "another process builds", "just begun"],
)
def test_what_a_killed_build_left_does_not_count_and_goes_with_the_next_build(scans, age, locked, stays):
    opened(scans, ["1.bmp"])
    (name,) = stores_in(scans)
    leftover = scans.parent / "cache" / f"{name}.tmp-1-0123abcd"
    (scans.parent / "cache" / name).rename(leftover)
    (leftover / "unreadable.json").write_text(json.dumps({"0": ["Wrong.", ""]}))
    for path in (*leftover.iterdir(), leftover):
        os.utime(path, (time.time() - age, time.time() - age))
    with (leftover / "pixels.npy").open("rb") as file:
        if locked:
            fcntl.flock(file, fcntl.LOCK_EX)
        rebuilt, unreadable = opened(scans, ["1.bmp"])
    assert (levels(rebuilt), unreadable) == ([10], [])
    assert stores_in(scans) == ([name, leftover.name] if stays else [name])


@pytest.mark.parametrize("damaged", ["pixels.npy", "unreadable.json"])
def test_damaged_store_is_built_again(scans, damaged):
    opened(scans, ["1.bmp", "2.bmp"])
    (name,) = stores_in(scans)
    file = scans.parent / "cache" / name / damaged
    file.write_bytes(file.read_bytes()[:-1])
    assert levels(opened(scans, ["1.bmp", "2.bmp"])[0]) == [10, 20]
    assert stores_in(scans) == [name]


def test_builds_at_the_same_time_agree_on_one_store(scans):
    barrier, found = threading.Barrier(4), []

    def build():
        barrier.wait()
        found.append(levels(opened(scans, ["1.bmp", "2.bmp", "3.bmp"])[0]))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[10, 20, 30]] * 4
    assert len(stores_in(scans)) == 1


def test_cache_that_cannot_be_written_is_refused(scans):
    (scans.parent / "cache").write_text("a file")
    with pytest.raises(RunError) as caught:
        opened(scans, ["1.bmp"])
    assert str(caught.value) == (
        f"{scans.parent}/cache: the image store cannot be written: file exists. "
        "Set `data.cache.folder` or MMTRAIN_CACHE to a folder that can be written."
    )


BUILD = """
import sys
from pathlib import Path
import pandas as pd
from mmtrain.columns import Image
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.store import open_store

scans = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
open_store(
    pd.Series([f"many/{number}.bmp" for number in range(400)], dtype="str"),
    Image(column="scan", size=(2, 2), channels=1).image_cells,
    ImageFolder(scans),
    cache=Cache(folder=scans.parent / "cache"),
    progress=lambda done, total, size: (print(done, flush=True), sys.stdin.readline()) if len(sys.argv) > 2 else None,
)
print("built", flush=True)
"""


def builder(scans, *options):
    """A process that stands ready to build a store of many/0.bmp to many/399.bmp."""
    command = [sys.executable, "-c", BUILD, str(scans), *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_that_build_the_same_store_both_finish(scans):
    paint_many(scans, 400)
    with builder(scans) as first, builder(scans) as second:
        for process in (first, second):
            assert process.stdout.readline() == "ready\n"
        for process in (first, second):
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60)[0] for process in (first, second)] == ["built\n", "built\n"]
    assert len(stores_in(scans)) == 1
    assert [first.returncode, second.returncode] == [0, 0]
    store, _ = opened(scans, [f"many/{number}.bmp" for number in range(400)], progress=lambda *_: pytest.fail("decoded again"))
    assert levels(store) == [number % 251 for number in range(400)]


@pytest.mark.slow
def test_build_killed_in_its_middle_leaves_nothing_that_counts_as_whole(scans):
    paint_many(scans, 400)
    with builder(scans, "slowly") as process:
        process.stdin.write("\n" * 10)
        process.stdin.flush()
        assert [process.stdout.readline() for _ in range(3)] == ["ready\n", "16\n", "32\n"]
        process.kill()
    (left,) = stores_in(scans)
    assert ".shards-" in left
    assert not list((scans.parent / "cache" / left / "shards").glob("*.json"))
    store, unreadable = opened(scans, [f"many/{number}.bmp" for number in range(400)])
    assert (levels(store), unreadable) == ([number % 251 for number in range(400)], [])
    assert store.notice == ""


# Contents instead of times


def test_contents_are_verified_where_that_is_asked_for(scans):
    cells = ["2.bmp", "1.bmp", "3.bmp"]
    calls = []
    assert levels(opened(scans, cells, verify="content")[0]) == [20, 10, 30]
    repaint(scans / "1.bmp", 10, touch=1)
    store, _ = opened(scans, cells, verify="content", progress=lambda *told: calls.append(told))
    assert (levels(store), calls, len(stores_in(scans))) == ([20, 10, 30], [], 1)  # another time, the same bytes
    repaint(scans / "1.bmp", 99, touch=0)
    assert levels(opened(scans, cells, verify="content")[0]) == [20, 99, 30]
    assert levels(opened(scans, cells)[0]) == [20, 99, 30]
    repaint(scans / "1.bmp", 10, touch=0)
    store, _ = opened(scans, cells, verify="content", progress=lambda *told: calls.append(told))
    assert (levels(store), calls, len(stores_in(scans))) == ([20, 10, 30], [], 3)  # the first store fits again


def test_contents_of_files_that_are_no_images_are_verified_too(scans):
    (scans / "bad.png").write_bytes(b"no image")
    for _ in range(2):
        store, unreadable = opened(scans, ["1.bmp", "bad.png"], verify="content")
        assert (levels(store), [bad.what for bad in unreadable]) == ([10, 0], ["bad.png: the file is not an image."])
    assert len(stores_in(scans)) == 1
    paint(scans / "bad.png", 7)
    (scans / "bad.png").write_bytes((scans / "bad.png").read_bytes())
    assert levels(opened(scans, ["1.bmp", "bad.png"], verify="content")[0]) == [10, 7]


# Without a store


def colourful(path, side):
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(side).integers(0, 256, (side, side + 3, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path, quality=90)


@pytest.mark.parametrize("memory", [0, 3 * 5 * 7 * 3, 10**9], ids=["nothing is kept", "three images are kept", "all are kept"])
def test_images_in_flight_are_those_of_a_store_to_the_bit(scans, memory):
    for number in range(10):
        colourful(scans / "many" / f"{number}.jpg", 10 + number)
    (scans / "many" / "bad.jpg").write_bytes((scans / "many" / "1.jpg").read_bytes()[:200])
    cells = pd.Series([f"many/{number}.jpg" for number in [*range(10), 3]] + ["many/bad.jpg", None], dtype="str")
    column = Image(column="scan", size=(5, 7))
    stored, bad = open_store(cells, column.image_cells, ImageFolder(scans), cache=Cache(folder=scans.parent / "cache"))
    flying, bad_too = open_store(
        cells, column.image_cells, ImageFolder(scans), cache=Cache(folder=scans.parent / "none", disk=0, memory=memory)
    )
    rows = np.array([12, 0, 3, 10, 3, 11, 9, 5])
    assert stored.take(rows).any()
    for _ in range(2):
        assert (flying.take(rows) == stored.take(rows)).all()
    out = np.full((8, 5, 7, 3), 99, dtype=np.uint8)
    assert flying.take(rows, out) is out
    assert (out == stored.take(rows)).all()
    assert (flying.present(rows) == stored.present(rows)).all()
    mask = np.arange(13) % 2 == 1
    assert (flying.select(mask).take(np.arange(6)) == stored.select(mask).take(np.arange(6))).all()
    assert (bad, flying.pixels.shape, flying.pixels.dtype) == (bad_too, stored.pixels.shape, stored.pixels.dtype)
    assert flying.pixels.memory == min(memory, 11 * 5 * 7 * 3)
    assert list((scans.parent / "none").iterdir()) == []


ADVICE = (
    "To have a store, raise `data.cache.disk`, set `data.cache.folder` to another disk, choose a smaller `size`, "
    "or remove old stores with `mmtrain cache clear`."
)


SLOWER = "Every batch is decoded anew, which is slower"


@pytest.mark.parametrize(
    ("options", "instead"),
    [
        ({"disk": 11, "memory": 0}, f"{SLOWER}."),
        ({"disk": 11, "memory": 9}, f"{SLOWER}; 2 of 3 stay in memory."),
        ({"disk": 11, "memory": 12}, "All images are kept in memory, until this run ends."),
        ({"disk": 12}, ""),
    ],
)
def test_store_over_the_budget_is_not_built_and_that_is_said(scans, options, instead):
    store, unreadable = opened(scans, ["3.bmp", "1.bmp", "2.bmp"], **options)
    assert (levels(store), unreadable) == ([30, 10, 20], [])
    said = f"no image store: it needs 12 bytes, and `data.cache.disk` allows 11 bytes. {instead} {ADVICE}"
    assert store.notice == (said if instead else "")
    assert len(stores_in(scans)) == (0 if instead else 1)


def test_budget_counts_the_stores_that_are_there(scans):
    opened(scans, ["1.bmp"])
    taken = sum(file.stat().st_blocks * 512 for file in (scans.parent / "cache" / stores_in(scans)[0]).iterdir())
    assert opened(scans, ["1.bmp"], disk=0)[0].notice == ""  # a store that is there is used
    found = f"`data.cache.disk` allows {format_bytes(taken + 3)}, of which other stores take {format_bytes(taken)}"
    assert opened(scans, ["2.bmp"], disk=taken + 3)[0].notice.startswith(f"no image store: it needs 4 bytes, and {found}. ")
    assert opened(scans, ["2.bmp"], disk=taken + 4)[0].notice == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a file system without any room")
@pytest.mark.slow
def test_store_that_does_not_fit_the_disk_is_not_built(scans):
    column = Image(column="scan", size=(4096, 4096))
    cells = pd.Series(["1.bmp", "2.bmp", "3.bmp"], dtype="str")
    store, _ = open_store(cells, column.image_cells, ImageFolder(scans), cache=Cache(folder=Path("/proc"), memory=0))
    assert store.notice == (
        "no image store: it needs 151 MB, and /proc has 0 bytes free, of which 1.0 GB stays free. "
        f"Every batch is decoded anew, which is slower. {ADVICE}"
    )
    assert (store.take(np.array([1])) == 20).all()


def test_disk_that_cannot_write_while_images_are_decoded_is_an_error():
    reading, writing = os.pipe()  # which no disk writes
    with pytest.raises(OSError, match="Invalid argument"), written_meanwhile(writing):
        time.sleep(0.2)
    os.close(reading)
    os.close(writing)


def test_disk_that_runs_full_in_the_middle_of_a_build_is_no_end(scans):
    """The largest file that this process may write stands for the disk."""
    paint_many(scans, 400)
    cells = [f"many/{number}.bmp" for number in range(400)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        store, unreadable = opened(scans, cells, memory=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.notice == (
        f"no image store: it needs 2 kB, and the disk of {scans.parent}/cache was full before it was written. "
        f"Every batch is decoded anew, which is slower. {ADVICE}"
    )
    assert (levels(store), unreadable, stores_in(scans)) == ([number % 251 for number in range(400)], [], [])


def test_image_that_changes_while_it_is_decoded_in_flight_is_refused(scans):
    store, _ = opened(scans, ["1.bmp", "2.bmp", "3.bmp"], disk=0, memory=0)
    repaint(scans / "1.bmp", 99, touch=1)
    (scans / "2.bmp").unlink()
    fix = "Leave the images alone while they are used, or let them be put into a store; then start again."
    for row, what in (
        (0, "the image has changed since it was checked."),
        (1, f"the image can no longer be read: [Errno 2] No such file or directory: '{scans}/2.bmp'"),
    ):
        with pytest.raises(RunError) as caught:
            store.take(np.array([2, row]))
        assert str(caught.value) == f"{scans / f'{row + 1}.bmp'}: {what} {fix}"
    assert levels(store, [2]) == [30]


def test_attach_says_which_columns_have_no_store_and_divides_the_memory(scans):
    columns = {"scan": scan(), "second": scan("left"), "third": Image(column="top", size=(1, 1), channels=1)}
    said = []
    cache = Cache(folder=scans.parent / "cache", disk=0, memory=9)
    (scans.parent / "t.csv").write_text("scan,left,top\n1.bmp,3.bmp,1.bmp\n2.bmp,2.bmp,1.bmp\n")
    table = read(scans.parent / "t.csv", columns)
    stores = attach(table, columns, ImageFolder(scans), cache=cache, say=said.append).stores
    assert [text.partition(", and")[0] for text in said] == [
        "scan: no image store: it needs 8 bytes",
        "left: no image store: it needs 8 bytes",
        "top: no image store: it needs 1 byte",
    ]
    assert [stores[key].pixels.memory for key in columns] == [8, 0, 1]
    assert levels(stores["second"]) == [30, 20]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MMTRAIN_CACHE": "/fast/cache", "XDG_CACHE_HOME": "/xdg"}, "/fast/cache"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/mmtrain"),
        ({"MMTRAIN_CACHE": "", "XDG_CACHE_HOME": ""}, "/people/anna/.cache/mmtrain"),
        ({}, "/people/anna/.cache/mmtrain"),
    ],
)
def test_cache_folder_is_the_users(monkeypatch, variables, expected):
    for name in ("MMTRAIN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables | {"HOME": "/people/anna"}).items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def attached(scans, content, columns, **options):
    (scans.parent / "t.csv").write_text(content)
    table = read(scans.parent / "t.csv", columns)
    folder = ImageFolder(scans, options.pop("allow_outside", False))
    found = attach(table, columns, folder, cache=Cache(folder=scans.parent / "cache"), **options)
    if found.problems:
        raise DataError(found.problems)
    return found.table, found.stores


def scan(header="scan", **options):
    return Image(column=header, **TINY, **options)


def test_attach_gives_a_store_for_every_image_column(scans):
    columns = {"scan": scan(), "second": Image(column="left", size=(4, 4), channels=3), "age": Numeric(column="age")}
    table, stores = attached(scans, "age,left,scan\n1,1.bmp,3.bmp\n2,2.bmp,2.bmp\n", columns)
    assert list(stores) == ["scan", "second"]
    assert (levels(stores["scan"]), levels(stores["second"])) == ([30, 20], [10, 20])
    assert stores["second"].pixels.shape == (2, 4, 4, 3)
    assert (len(table), table.dropped) == (2, ())


def test_attach_refuses_bad_images_of_all_columns_at_once(scans):
    (scans / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        attached(scans, "left,scan\n1.bmp,bad.png\n4.bmp,\n../5.bmp,1.bmp\n", {"scan": scan(), "left": scan("left")})
    assert str(caught.value).splitlines() == [
        "t.csv:2: scan: bad.png: the file is not an image. Use an image file: JPEG, PNG, BMP, GIF or WEBP.",
        f"t.csv:3: scan: the cell is empty. {EMPTY}",
        f"t.csv:3: left: the file 4.bmp does not exist. Paths are relative to the images folder {scans}.",
        f"t.csv:4: left: the path ../5.bmp leaves the images folder {scans}. Move the file there, {ALLOW}",
    ]


@pytest.mark.parametrize(
    ("bad", "last"),
    [
        (5, f"t.csv:6: scan: the cell is empty. {EMPTY}"),
        (6, "t.csv: scan: 1 more cell has no image that can be read."),
        (50, "t.csv: scan: 45 more cells have no image that can be read."),
    ],
)
def test_attach_counts_bad_images_past_the_fifth(scans, bad, last):
    with pytest.raises(DataError) as caught:
        attached(scans, "scan,a\n" + ",x\n" * bad + "1.bmp,x\n", {"scan": scan()})
    problems = [str(problem) for problem in caught.value.problems]
    assert (len(problems), problems[-1]) == (min(bad, 6), last)


def test_a_wrong_folder_or_column_is_asked_about_and_leaves_no_store(scans):
    with pytest.raises(DataError) as caught:
        attached(scans, "scan,a\n" + "nothing.bmp,x\n" * 8, {"scan": scan()})
    assert [str(problem) for problem in caught.value.problems][-1] == (
        "t.csv: scan: 3 more cells have no image that can be read. "
        "Not one cell has: is `data.images` the right folder, and this the column of the images?"
    )
    assert not (scans.parent / "cache").exists()


def test_attach_drops_rows_from_the_table_and_from_every_store(scans):
    columns = {
        "name": Id(column="name"),
        "scan": scan(missing="drop"),
        "left": scan("left", missing="drop"),
        "top": scan("top", missing="mask"),
    }
    content = "name,scan,left,top\np0,1.bmp,1.bmp,\np1,,2.bmp,1.bmp\np2,2.bmp,9.png,1.bmp\np3,,,1.bmp\np4,3.bmp,1.bmp,2.bmp\n"
    table, stores = attached(scans, content, columns)
    assert table.ids() == ["p0", "p4"]
    assert table.dropped == (
        Dropped(1, "p1", "scan: the cell is empty."),
        Dropped(2, "p2", "left: the file 9.png does not exist."),
        Dropped(3, "p3", "scan: the cell is empty."),
    )
    assert {key: levels(store) for key, store in stores.items()} == {"scan": [10, 30], "left": [10, 10], "top": [0, 20]}
    assert stores["top"].present(np.array([0, 1])).tolist() == [[0.0], [1.0]]


def test_attach_names_the_line_also_after_rows_were_dropped(scans):
    columns = {"age": Numeric(column="age", missing="drop"), "scan": scan()}
    with pytest.raises(DataError) as caught:
        attached(scans, "age,scan\n,1.bmp\n2,\n", columns)
    assert str(caught.value) == f"t.csv:3: scan: the cell is empty. {EMPTY}"


@pytest.mark.parametrize("policy", ["error", "drop", "mask"])
def test_attach_refuses_paths_outside_the_folder_under_every_policy(scans, policy):
    with pytest.raises(DataError) as caught:
        attached(scans, "scan\n1.bmp\n../2.bmp\n", {"scan": scan(missing=policy)})
    assert str(caught.value) == f"t.csv:3: scan: the path ../2.bmp leaves the images folder {scans}. Move the file there, {ALLOW}"
    paint(scans.parent / "2.bmp", 80)
    _, stores = attached(scans, "scan\n1.bmp\n../2.bmp\n", {"scan": scan(missing=policy)}, allow_outside=True)
    assert levels(stores["scan"]) == [10, 80]


def test_attach_refuses_a_table_without_rows(scans):
    with pytest.raises(DataError) as caught:
        attached(scans, "scan\n8.png\n9.png\n", {"scan": scan(missing="drop")})
    assert str(caught.value) == (
        "t.csv: no row is left of 2. The first that was left out: scan: the file 8.png does not exist. "
        "Fill in what is missing, or choose another policy than `missing: drop`."
    )


def test_a_format_without_its_packages_stops_whatever_the_policy(monkeypatch):
    import sys

    from mmtrain.data.images.decode import decode_all
    from mmtrain.data.images.image_file import ImageFile

    monkeypatch.setitem(sys.modules, "pydicom", None)
    scan = b"\0" * 128 + b"DICM" + b"\0" * 200
    with pytest.raises(RunError) as refused:
        decode_all([ImageFile("data:1", len(scan), 0, scan)], Layout((2, 2), 1), lambda *_: None)
    assert "pip install 'mmtrain[medical]'" in str(refused.value)
