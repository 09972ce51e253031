"""Encoded columns on disk: written whole or not at all, found again, and given up for memory where they have no room."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from errno import ENOLCK
from pathlib import Path

import filelock
import numpy as np
import pytest
from tiny import two_blobs, write_experiment

from mmtrain.commands.evaluate import evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.config.experiment import Cache
from mmtrain.data import cache as caches
from mmtrain.data import encoded_column as rooms
from mmtrain.data.encoded_column import ArrayLayout, Provenance, encoded_column

ROWS = 10
LAYOUT = ArrayLayout(ROWS, (3,), "int32")
VALUES = {"table": "ab12", "rows": "cd34", "missing_values": ("?",), "column": "ef56", "tensorflow": "2.21.0"}
CODES = np.arange(ROWS * 3, dtype=np.int32).reshape(ROWS, 3)
PRESENT = (np.arange(ROWS, dtype=np.float32) % 2)[:, None]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def every_column_is_large(monkeypatch):
    monkeypatch.setattr(rooms, "MIN_DISK_BYTES", 1)


def provenance(header="note", **values):
    return lambda: Provenance(VALUES | values, Path("patients.csv"), header)


def pieces():
    for start in range(0, ROWS, 4):
        yield CODES[start : start + 4], PRESENT[start : start + 4]


def never():
    raise AssertionError("the column was encoded again")
    yield


def assert_right(column):
    assert (column.codes.tolist(), column.shown.tolist()) == (CODES.tolist(), PRESENT.tolist())
    assert (column.codes.dtype, column.shown.dtype) == (np.int32, np.float32)


def mapped(array):
    return isinstance(array.base, np.memmap)


# Kept and found


def test_large_column_is_encoded_once_and_mapped(folder):
    first = encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    again = encoded_column(LAYOUT, provenance(), never, Cache(folder=folder))
    for column in (first, again):
        assert_right(column)
        assert (mapped(column.codes), mapped(column.shown), column.codes.flags.writeable, column.notice) == (True, True, False, "")
    (entry,) = folder.iterdir()
    assert sorted(path.name for path in entry.iterdir()) == ["codes.npy", "manifest.txt", "present.npy"]


def test_of_several_builders_one_encodes_and_the_others_wait(folder):
    said, begun, may_end = [], threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert may_end.wait(10)
        yield from pieces()

    def say(text):
        said.append(text)
        may_end.set()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(encoded_column, LAYOUT, provenance(), slow, Cache(folder=folder))
        assert begun.wait(10)
        second = threads.submit(encoded_column, LAYOUT, provenance(), never, Cache(folder=folder), say=say)
        for column in (first, second):
            assert_right(column.result())
    assert said == ["Another process computes note: waiting for it."]
    assert len(list(folder.iterdir())) == 1


def test_small_column_stays_in_memory(folder, monkeypatch):
    monkeypatch.setattr(rooms, "MIN_DISK_BYTES", LAYOUT.size + 1)
    column = encoded_column(LAYOUT, never, pieces, Cache(folder=folder))  # its table is not hashed either
    assert_right(column)
    assert (mapped(column.codes), column.notice, folder.exists()) == (False, "", False)


def test_size_of_a_column_counts_codes_and_presence():
    assert ArrayLayout(1_000_000, (30,), "int32").size == 124_000_000
    assert ArrayLayout(1_000_000, (1,), "float32").size == 8_000_000


@pytest.mark.parametrize(
    ("layout", "other"),
    [
        (LAYOUT, provenance(table="ff")),
        (LAYOUT, provenance(rows="ff")),
        (LAYOUT, provenance(missing_values=("?", "-"))),
        (LAYOUT, provenance(column="ff")),
        (LAYOUT, provenance(tensorflow="2.22.0")),
        (LAYOUT, provenance("story")),
        (ArrayLayout(ROWS, (3,), "float32"), provenance()),
    ],
)
def test_whatever_codes_depend_on_gives_another_entry(folder, layout, other):
    encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    encoded_column(layout, other, pieces, Cache(folder=folder))
    assert len(list(folder.iterdir())) == 2


def test_another_format_gives_another_entry(folder, monkeypatch):
    encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    monkeypatch.setattr(rooms, "VERSION", rooms.VERSION + 1)
    encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    assert len(list(folder.iterdir())) == 2


def test_table_that_was_moved_finds_its_columns(folder):
    encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    moved = encoded_column(LAYOUT, lambda: Provenance(VALUES, Path("elsewhere/new.csv"), "note"), never, Cache(folder=folder))
    assert_right(moved)


def test_column_in_use_is_new_again(folder):
    encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    (entry,) = folder.iterdir()
    for path in (*entry.iterdir(), entry):
        os.utime(path, (0, 0))
    encoded_column(LAYOUT, provenance(), never, Cache(folder=folder))
    assert time.time() - caches.entries(folder)[0].used < 60


# Whole or not at all


def test_encoding_that_fails_leaves_nothing(folder):
    def failing():
        yield CODES[:4], PRESENT[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoded_column(LAYOUT, provenance(), failing, Cache(folder=folder))
    assert list(folder.iterdir()) == []


def test_too_few_rows_are_a_bug_and_leave_nothing(folder):
    def short():
        yield CODES[:4], PRESENT[:4]

    with pytest.raises(RuntimeError, match=r"^4 rows were encoded, the table has 10\.$"):
        encoded_column(LAYOUT, provenance(), short, Cache(folder=folder))
    assert list(folder.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import test_encoded_column as here
from mmtrain.config.experiment import Cache
here.rooms.MIN_DISK_BYTES = 1
def pieces():
    yield here.CODES[:4], here.PRESENT[:4]
    os.kill(os.getpid(), signal.SIGKILL)
here.encoded_column(here.LAYOUT, here.provenance(), pieces, Cache(folder=Path(sys.argv[1])))
"""


@pytest.mark.slow  # of the images in tests/data/test_images.py
def test_killed_build_does_not_count_and_is_removed_by_the_next(folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])}
    assert subprocess.run([sys.executable, "-c", KILLED, str(folder)], env=environment, check=False).returncode == -signal.SIGKILL
    lock, left = sorted(folder.iterdir())
    assert lock.name == f".{left.name.partition('.tmp-')[0]}.lock"
    for path in (*left.iterdir(), left):
        os.utime(path, (time.time() - 3600,) * 2)
    assert [(entry.kind, entry.state) for entry in caches.entries(folder)] == [(caches.COLUMNS, "unfinished")]
    assert_right(encoded_column(LAYOUT, provenance(column="12ab"), pieces, Cache(folder=folder)))
    assert [entry.state for entry in caches.entries(folder)] == ["complete"]
    assert not lock.exists()


def test_two_builders_at_once_do_no_harm_where_the_file_system_has_no_locks(folder, monkeypatch):
    def refuse(descriptor, **_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    columns = []

    def overtaken():
        yield CODES[:4], PRESENT[:4]
        columns.append(encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder)))
        yield CODES[4:], PRESENT[4:]

    columns.append(encoded_column(LAYOUT, provenance(), overtaken, Cache(folder=folder)))
    assert len(columns) == 2
    for column in columns:
        assert_right(column)
    assert [entry.state for entry in caches.entries(folder)] == ["complete"]


@pytest.mark.parametrize("file", ["codes.npy", "present.npy"])
def test_damaged_column_is_encoded_again(folder, file):
    encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    (entry,) = folder.iterdir()
    os.truncate(entry / file, 130)
    assert_right(encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder)))
    assert_right(encoded_column(LAYOUT, provenance(), never, Cache(folder=folder)))


# No room

INSTEAD = (
    " They stay in memory, until this run ends. To keep them, raise `data.cache.disk`, set `data.cache.folder` to another disk, "
    "or remove what is old with `mmtrain cache clear`."
)


def test_column_above_the_budget_stays_in_memory(folder):
    column = encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder, disk=100))
    assert_right(column)
    assert column.notice == (
        "its encoded cells take 160 bytes and are not kept in the cache: `data.cache.disk` allows 100 bytes." + INSTEAD
    )
    assert (mapped(column.codes), list(folder.iterdir())) == (False, [])


def test_column_that_fills_the_disk_stays_in_memory(folder):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))  # the header of an array takes 128 bytes
    try:
        column = encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_right(column)
    assert column.notice == f"its encoded cells take 160 bytes and are not kept in the cache: the disk of {folder} is full." + INSTEAD
    assert list(folder.iterdir()) == []


def test_column_without_a_folder_stays_in_memory(folder):
    folder.write_text("a file")
    column = encoded_column(LAYOUT, provenance(), pieces, Cache(folder=folder))
    assert_right(column)
    assert column.notice == f"its encoded cells take 160 bytes and are not kept in the cache: {folder} cannot be written." + INSTEAD


# In the commands


def test_resume_and_evaluate_use_what_fit_has_encoded(tmp_path, folder, monkeypatch, tensorflow):
    monkeypatch.setenv("MMTRAIN_CACHE", str(folder))
    two_blobs(tmp_path)
    columns = {"x": {"role": "numeric"}, "y": {"role": "target", "task": "binary"}}
    training = {"epochs": 1, "steps_per_call": 1, "jit": "off", "optimizer": "sgd"}
    path = write_experiment(tmp_path / "e.yaml", {"columns": columns, "training": training})
    run = fit(path, output=tmp_path / "runs").run
    kept = {entry: (entry / "codes.npy").stat().st_ino for entry in folder.iterdir()}
    assert len(kept) == 1
    run.update(state="interrupted")
    resume(str(run.folder))
    assert evaluate(str(run.folder)).part == "test"
    assert {entry: (entry / "codes.npy").stat().st_ino for entry in folder.iterdir()} == kept
