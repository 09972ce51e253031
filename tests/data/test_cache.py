"""`mmtrain cache`, the sizes of `data.cache`, and what is shown while images are decoded."""

import fcntl
import io
import json
import os
import time
from errno import ENOLCK

import filelock
import numpy as np
import PIL.Image
import pytest
from rich.console import Console
from terminal import Terminal

from mmtrain.cli.app import run
from mmtrain.cli.views.training_progress import Display
from mmtrain.columns import Image
from mmtrain.commands.installation.cache import clear, list_entries
from mmtrain.config import load, to_yaml
from mmtrain.config.byte_size import format_bytes, parse_bytes
from mmtrain.config.experiment import Cache
from mmtrain.data.cache import COLUMNS, entries
from mmtrain.data.encoded_column import ArrayLayout, Provenance, encoded_column
from mmtrain.data.images.build_store import decode_to_store
from mmtrain.data.images.image_file import ImageFile
from mmtrain.errors import ConfigError

DAY = 24 * 60 * 60


def store(cache, *, age=0.0, side=4, **options):
    """A store of one image, last used `age` days ago; its folder."""
    cache.mkdir(exist_ok=True)
    path = cache.parent / "scans" / f"{side}.png"
    path.parent.mkdir(exist_ok=True)
    PIL.Image.new("L", (side, side), side).save(path)
    status = path.stat()
    before = set(cache.iterdir())
    layout = Image(column="scan", size=(side, 2 * side), **options).image_cells.layout
    decode_to_store([ImageFile(str(path), status.st_size, status.st_mtime_ns)], layout, cache=Cache(folder=cache))
    (folder,) = set(cache.iterdir()) - before
    aged(folder, age)
    return folder


def aged(folder, days):
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - days * DAY,) * 2)


def leftover(cache, *, age):
    """What a build leaves that was killed `age` days ago."""
    folder = cache / f"{'a' * 64}.tmp-12-0123abcd"
    folder.mkdir(parents=True)
    (folder / "pixels.npy").write_bytes(bytes(5000))
    aged(folder, age)
    return folder


def column(cache, *, age=0.0):
    """The encoded column of a large table, last used `age` days ago; its folder."""
    rows = 2_000_000
    pieces = [(np.zeros((rows, 2), dtype=np.int32), np.ones((rows, 1), dtype=np.float32))]
    encoded_column(
        ArrayLayout(rows, (2,), "int32"),
        lambda: Provenance({"table": "ab12"}, cache.parent / "patients.csv", "note"),
        lambda: (piece for piece in pieces),
        Cache(folder=cache),
    )
    (folder,) = [entry.path for entry in entries(cache) if entry.kind is COLUMNS]
    aged(folder, age)
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


# What is there


def test_stores_are_listed_the_last_used_first(cache):
    old = store(cache, age=40, side=3, channels=1, bits=16, resize="pad")
    new = store(cache, age=2, side=5)
    left = leftover(cache, age=7)
    found = list_entries(cache)
    assert [(one.folder, one.state, one.layout, one.items, one.source) for one in found] == [
        (new, "complete", "5 x 10 x 3, stretch", 1, str(cache.parent / "scans")),
        (left, "unfinished", "", 0, ""),
        (old, "complete", "3 x 6 x 1, pad, 16 bits", 1, str(cache.parent / "scans")),
    ]
    assert [round((time.time() - one.used) / DAY) for one in found] == [2, 7, 40]
    assert [one.size for one in found] == [sum(path.stat().st_blocks * 512 for path in one.folder.iterdir()) for one in found]
    assert found[1].size >= 4096


@pytest.mark.parametrize(("file", "content"), [("pixels.npy", b"no array"), ("manifest.txt", b"something else"), ("manifest.txt", None)])
def test_damaged_store_is_told_from_a_whole_one(cache, file, content):
    path = store(cache) / file
    path.unlink() if content is None else path.write_bytes(content)
    assert [one.state for one in list_entries(cache)] == ["damaged"]


def test_store_in_use_is_new_again(cache):
    folder = store(cache, age=40)
    status = (cache.parent / "scans" / "4.png").stat()
    file = ImageFile(str(cache.parent / "scans" / "4.png"), status.st_size, status.st_mtime_ns)
    os.utime(folder, (0, 0))
    decode_to_store([file], Image(column="scan", size=(4, 8)).image_cells.layout, cache=Cache(folder=cache))
    (found,) = list_entries(cache)
    assert time.time() - found.used < 60


def test_cache_that_is_not_there_is_empty(cache):
    assert list_entries(cache) == []
    assert clear(cache).removed == ()


def test_encoded_columns_are_listed_and_cleared_with_image_stores(cache):
    images, texts = store(cache, age=3), column(cache, age=20)
    found = list_entries(cache)
    assert [(one.folder, one.kind, one.state, one.layout, one.items, one.source) for one in found] == [
        (images, "image store", "complete", "4 x 8 x 3, stretch", 1, str(cache.parent / "scans")),
        (texts, "encoded column", "complete", "note, 2 int32", 2_000_000, str(cache.parent / "patients.csv")),
    ]
    assert found[1].size >= 24_000_000
    assert [one.folder for one in clear(cache, older_than=10).removed] == [texts]
    assert list(cache.iterdir()) == [images]


# Removing


def test_clear_removes_stores_and_leftovers_and_nothing_else(cache):
    ours = {store(cache, side=3), store(cache, side=5), leftover(cache, age=1)}
    outside = store(cache.parent / "elsewhere")
    (cache / "notes.txt").write_text("mine")
    (cache / "folder").mkdir()
    (cache / ("b" * 64)).mkdir()
    (cache / ("b" * 64) / "thesis.doc").write_text("mine")
    (cache / ("c" * 64)).symlink_to(outside)
    mine = {"notes.txt", "folder", "b" * 64, "c" * 64}
    done = clear(cache)
    assert {one.folder for one in done.removed} == ours
    assert (done.failed, done.remaining) == ((), 0)
    assert {path.name for path in cache.iterdir()} == mine
    assert (cache / ("b" * 64) / "thesis.doc").read_text() == "mine"
    assert len(list(outside.iterdir())) == 3


def test_clear_keeps_a_file_that_lies_in_a_leftover(cache):
    folder = leftover(cache, age=1)
    (folder / "thesis.doc").write_text("mine")
    aged(folder, 1)
    done = clear(cache)
    assert [one.folder for one in done.failed] == [folder]
    assert [path.name for path in folder.iterdir()] == ["thesis.doc"]


def test_clear_removes_what_was_last_used_before(cache):
    old, middle, new = store(cache, age=40, side=3), store(cache, age=20, side=5), store(cache, age=1, side=7)
    done = clear(cache, older_than=30)
    assert ([one.folder for one in done.removed], done.remaining) == ([old], 2)
    done = clear(cache, older_than=1.5)
    assert ([one.folder for one in done.removed], done.remaining) == ([middle], 1)
    assert [path.name for path in cache.iterdir()] == [new.name]


def test_clear_leaves_a_store_that_is_being_built(cache):
    folder = leftover(cache, age=2)
    with (folder / "pixels.npy").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert [one.state for one in list_entries(cache)] == ["being built"]
        assert (clear(cache).removed, clear(cache).remaining) == ((), 1)
    assert [one.folder for one in clear(cache).removed] == [folder]


def test_without_locks_what_a_killed_build_left_is_removed_after_a_day(cache, monkeypatch):
    """Until then it may be the work of a process that writes."""

    def refuse(descriptor, **_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    folder = leftover(cache, age=0.5)
    assert [one.state for one in list_entries(cache)] == ["being built"]
    aged(folder, 1.5)
    assert [one.folder for one in clear(cache).removed] == [folder]


def test_images_stay_readable_when_their_store_is_removed(cache):
    (cache.parent / "scans").mkdir()
    path = cache.parent / "scans" / "1.png"
    PIL.Image.new("L", (2, 2), 50).save(path)
    file = ImageFile(str(path), path.stat().st_size, path.stat().st_mtime_ns)
    used = decode_to_store([file], Image(column="scan", size=(2, 2)).image_cells.layout, cache=Cache(folder=cache))
    assert len(clear(cache).removed) == 1
    assert used.pixels.gather(np.array([0])).tolist() == [[[[50] * 3] * 2] * 2]


# The command line


def test_cache_list_shows_a_line_per_store_and_the_total(cache, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    store(cache, age=3)
    leftover(cache, age=1)
    assert run(["cache", "list", "--folder", str(cache)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    size = sum(one.size for one in list_entries(cache))
    assert lines[0] == ["kind", "layout", "items", "size", "last", "used", "source"]
    assert lines[1][:5] == ["image", "store", "unfinished", "0", "8"]
    assert lines[2][:8] == ["image", "store", "4", "x", "8", "x", "3,", "stretch"]
    assert lines[2][-4:] == ["3", "days", "ago", str(cache.parent / "scans")]
    assert " ".join(lines[3]) == f"{cache}: 2 entries, {format_bytes(size)}."


def test_cache_list_keeps_a_line_per_store_in_a_narrow_terminal(cache, capsys, monkeypatch):
    """A long source is cut at its beginning, as its end tells stores apart."""
    monkeypatch.setenv("COLUMNS", "80")
    store(cache)
    assert run(["cache", "list", "--folder", str(cache)]) == 0
    lines = capsys.readouterr().out.splitlines()
    source = str(cache.parent / "scans")
    assert len(lines) == 3 and len(lines[1].rstrip()) <= 80
    assert lines[1].split("today")[1].strip().lstrip("…") in source and lines[1].rstrip().endswith("scans")


def test_cache_list_in_json(cache, capsys):
    folder = store(cache, age=3)
    (found,) = list_entries(cache)
    assert run(["cache", "list", "--json", "--folder", str(cache)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(cache),
        "entries": [
            {
                "folder": str(folder),
                "kind": "image store",
                "state": "complete",
                "layout": "4 x 8 x 3, stretch",
                "items": 1,
                "source": str(cache.parent / "scans"),
                "size": found.size,
                "used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.used)),
            }
        ],
        "size": found.size,
    }


def test_cache_clear_says_what_it_did(cache, capsys):
    store(cache, age=40, side=3)
    store(cache, side=5)
    (_, old) = list_entries(cache)
    assert run(["cache", "clear", "--older-than", "30", "--folder", str(cache)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{cache}: 1 entry removed, {format_bytes(old.size)} freed.\n"
    assert shown.err == "1 entry kept.\n"
    assert run(["cache", "clear", "--json", "--folder", str(cache)]) == 0
    cleared = json.loads(capsys.readouterr().out)
    assert (len(cleared["removed"]), cleared["kept"]) == (1, 0)
    assert list(cache.iterdir()) == []


def test_cache_clear_reports_what_it_could_not_remove(cache, capsys):
    folder = leftover(cache, age=1)
    (folder / "thesis.doc").write_text("mine")
    aged(folder, 1)
    assert run(["cache", "clear", "--folder", str(cache)]) == 1
    assert capsys.readouterr().err == (
        f"The command failed: 1 problem.\n{folder}: the entry could not be removed. "
        "Check the permissions of the folder, and look for other files in it.\n"
    )


def test_cache_of_the_user_is_the_default(cache, capsys, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(cache))
    store(cache)
    assert run(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith(f"{cache}: 1 entry removed, ")


# Sizes


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("0", 0),
        ("12345", 12345),
        (500, 500),
        ("500 MB", 500_000_000),
        ("20GB", 20_000_000_000),
        ("1.5 tb", 1_500_000_000_000),
        ("2 KiB", 2048),
        (" 1 GiB ", 2**30),
        ("7 B", 7),
        ("3 kB", 3000),
    ],
)
def test_size_is_read_with_and_without_a_unit(written, size):
    assert parse_bytes(written) == size


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1500, "2 kB"),
        (43_210_000, "43 MB"),
        (999_400_000, "999 MB"),
        (999_960_000, "1.0 GB"),
        (1_260_000_000, "1.3 GB"),
        (99_960_000_000, "100 GB"),
        (2e14, "200 TB"),
    ],
)
def test_size_is_shown_in_few_digits(size, words):
    assert format_bytes(size) == words


EXPERIMENT = """
data: {table: t.csv, cache: {%s}}
columns: {scan: {role: image}, answer: {role: target, task: binary}}
"""


def test_cache_section_has_defaults(tmp_path):
    (tmp_path / "a.yaml").write_text(EXPERIMENT % "")
    cache = load(tmp_path / "a.yaml").data.cache
    assert (cache.folder, cache.verify, cache.disk, cache.memory) == (None, "stat", None, 1_000_000_000)


def test_sizes_in_the_file_are_kept_in_bytes(tmp_path):
    (tmp_path / "a.yaml").write_text(EXPERIMENT % "verify: content, disk: 20 GB, memory: 500 MB")
    experiment = load(tmp_path / "a.yaml")
    cache = experiment.data.cache
    assert (cache.verify, cache.disk, cache.memory) == ("content", 20 * 10**9, 500 * 10**6)
    (tmp_path / "b.yaml").write_text(to_yaml(experiment, tmp_path))
    assert load(tmp_path / "b.yaml").data.cache == cache


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("disk: lots", "data.cache.disk: expected a size; found 'lots'. Write `20 GB`, `500 MB` or a number of bytes."),
        ("disk: 20 G B", "data.cache.disk: expected a size; found '20 G B'. Write `20 GB`, `500 MB` or a number of bytes."),
        ("memory: -1", "data.cache.memory: expected a size; found '-1'. Write `20 GB`, `500 MB` or a number of bytes."),
        ("verify: hash", "data.cache.verify: expected stat or content; found 'hash'."),
    ],
)
def test_size_that_is_none_is_refused(tmp_path, section, problem):
    (tmp_path / "a.yaml").write_text(EXPERIMENT % section)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert str(caught.value) == f"a.yaml:2: {problem}"


# While images are decoded


def shown(told, file, *, terminal):
    display = Display(Console(force_terminal=terminal, color_system=None, width=100, file=file), quiet=False)
    for images in told:
        display.images(*images)
        time.sleep(0.25)


def test_decoding_shows_images_megabytes_pace_and_what_is_left(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal(100)
    shown([(16, 4000, 16_000_000), (1016, 4000, 1_016_000_000), (4000, 4000, 4_000_000_000)], terminal.file, terminal=True)
    terminal.close()
    # A frame may be drawn twice, when it comes and when the next takes its place.
    first, second, last = [line.split() for line in dict.fromkeys(line.rstrip("━╸╺ ") for line in terminal.seen)]
    assert " ".join(first) == "decoding images: 16 of 4,000 16 MB"
    assert " ".join(second[:7]) == "decoding images: 1,016 of 4,000 1,016 MB"
    assert 1000 < float(second[7].removesuffix("/s").replace(",", "")) <= 4000
    assert (second[9:], second[8] in ("0", "1", "2", "3")) == (["s", "left"], True)
    assert " ".join(last[:7]) == "decoding images: 4,000 of 4,000 4,000 MB"
    assert (last[7][-2:], len(last)) == ("/s", 8)
    assert [line.split() for line in terminal.screen if line] == [last]  # the bar is gone


def test_decoding_is_one_line_where_there_is_no_terminal():
    file = io.StringIO()
    shown([(16, 40, 16_000_000), (40, 40, 40_000_000)], file, terminal=False)
    assert file.getvalue().startswith("decoding images: 40 of 40  40 MB  ")
    assert file.getvalue().count("\n") == 1
