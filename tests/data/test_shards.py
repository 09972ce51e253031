"""Image stores that several processes build: threads stand for them, as each holds locks of its own."""

import fcntl
import json
import os
import threading
import time
from errno import ENOLCK

import filelock
import numpy as np
import PIL.Image
import pytest

from mmtrain.commands.installation.cache import clear, list_entries
from mmtrain.config.experiment import Cache
from mmtrain.data.cache import SHARDS_KEPT, remove_unfinished
from mmtrain.data.images import decode, shards
from mmtrain.data.images.build_store import decode_to_store
from mmtrain.data.images.image_file import ImageFile
from mmtrain.image_decoding import Layout

LAYOUT = Layout((2, 2), 1)
IMAGES = 40


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Images in five shards; the tenth cannot be read."""
    monkeypatch.setattr(shards, "SHARD_IMAGES", 8)
    (tmp_path / "scans").mkdir()
    for number in range(IMAGES):
        PIL.Image.new("L", (2, 2), 5 * number + 1).save(tmp_path / "scans" / f"{number:02}.bmp")
    (tmp_path / "scans" / "10.bmp").write_bytes(b"BM nothing")
    paths = sorted((tmp_path / "scans").iterdir())
    return [ImageFile(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded, as often as they are."""
    names = []
    read = decode.read
    monkeypatch.setattr(decode, "read", lambda source, *args, **kwargs: (names.append(source), read(source, *args, **kwargs))[1])
    return names


def build(files, cache, **options):
    return decode_to_store(files, LAYOUT, cache=Cache(folder=cache, verify=options.pop("verify", "stat")), **options)


def test_a_store_is_built_and_mended_where_there_are_no_locks(files, decoded, tmp_path, monkeypatch):
    def refuse(descriptor, **_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    build(files, tmp_path / "cache")
    name, whole = content(tmp_path / "cache")
    assert len(decoded) == IMAGES
    # A process that was killed while it published the store has taken the array, and left the folder.
    left = shards.ShardedBuild.of(tmp_path / "other", name, files, LAYOUT).folder / shards.SHARDS
    left.mkdir(parents=True)
    (left / "000000.lock").touch()
    build(files, tmp_path / "other")
    assert content(tmp_path / "other") == (name, whole)


def content(cache):
    """Name and bytes of every file of the only entry of a cache."""
    (folder,) = cache.iterdir()
    return folder.name, {path.name: path.read_bytes() for path in folder.iterdir()}


class Killed(BaseException):
    """What ends a build in its middle."""


def stop_at(count):
    def progress(done, total, size):
        if done >= count:
            raise Killed

    return progress


@pytest.mark.parametrize("verify", ["stat", "content"])
def test_builders_at_the_same_time_share_the_shards_of_one_store(files, decoded, tmp_path, monkeypatch, verify):
    barrier, stores = threading.Barrier(3), []

    def work():
        barrier.wait()
        stores.append(build(files, tmp_path / "several", verify=verify))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == IMAGES
    monkeypatch.setattr(shards, "SHARD_IMAGES", IMAGES)
    alone = build(files, tmp_path / "alone", verify=verify)
    assert content(tmp_path / "several") == content(tmp_path / "alone")
    for store in stores:
        assert store.unreadable == alone.unreadable
        assert (store.digest, store.contents) == (alone.digest, alone.contents)
        np.testing.assert_array_equal(store.pixels.gather(np.arange(IMAGES)), alone.pixels.gather(np.arange(IMAGES)))
    assert list(alone.unreadable) == [10]


def test_shards_of_a_killed_build_are_kept_and_its_own_is_decoded_again(files, decoded, tmp_path):
    with pytest.raises(Killed):
        build(files, tmp_path / "cache", progress=stop_at(20))
    (left,) = (tmp_path / "cache").iterdir()
    assert sorted(path.name for path in (left / "shards").glob("*.json")) == ["000000.json", "000001.json"]
    # Something that a build leaves which is killed while it writes, in the place of an image that cannot be read in the end.
    with (left / "pixels.npy").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\xff" * 4)
    (tmp_path / "scans" / "39.bmp").write_bytes(b"BM")
    status = (tmp_path / "scans" / "39.bmp").stat()
    os.utime(tmp_path / "scans" / "39.bmp", ns=(files[39].changed, files[39].changed))
    decoded.clear()
    told = []
    store = build(files, tmp_path / "cache", progress=lambda *counts: told.append(counts))
    assert [path.name for path in decoded] == [f"{number:02}.bmp" for number in range(16, IMAGES)]
    assert (told[0], told[-1]) == ((8, IMAGES, 32), (IMAGES, IMAGES, 160))
    assert status.st_size == 2
    assert list(store.unreadable) == [10, 39]
    levels = store.pixels.gather(np.arange(IMAGES))[:, 0, 0, 0].tolist()
    assert levels == [0 if number in (10, 39) else 5 * number + 1 for number in range(IMAGES)]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_files_that_have_changed_since_a_killed_build_are_decoded_again(files, decoded, tmp_path):
    with pytest.raises(Killed):
        build(files, tmp_path / "cache", progress=stop_at(20), verify="content")
    later = [files[0]._replace(changed=files[0].changed + 1), *files[1:]]
    decoded.clear()
    build(later, tmp_path / "cache", verify="content")
    assert len(decoded) == IMAGES


def test_a_builder_waits_for_the_shard_of_another_process(files, decoded, tmp_path):
    with pytest.raises(Killed):
        build(files, tmp_path / "cache", progress=stop_at(12))
    (left,) = (tmp_path / "cache").iterdir()
    decoded.clear()
    with (left / "shards" / "000002.lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert [one.state for one in list_entries(tmp_path / "cache")] == ["being built"]
        assert clear(tmp_path / "cache").removed == ()
        thread = threading.Thread(target=build, args=(files, tmp_path / "cache"))
        thread.start()
        until = time.monotonic() + 10
        while len(decoded) < 24 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(2 * shards.POLL_SECONDS)
        assert thread.is_alive()
        assert len(decoded) == 24
    thread.join(10)
    assert len(decoded) == 32
    assert [one.state for one in list_entries(tmp_path / "cache")] == ["complete"]


def test_a_build_whose_publisher_was_killed_begins_anew(files, tmp_path):
    with pytest.raises(Killed):
        build(files, tmp_path / "cache", progress=stop_at(20))
    (left,) = (tmp_path / "cache").iterdir()
    (left / "pixels.npy").unlink()
    store = build(files, tmp_path / "cache")
    assert list(store.unreadable) == [10]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_shards_that_nobody_goes_on_with_are_removed(files, tmp_path):
    cache = tmp_path / "cache"
    with pytest.raises(Killed):
        build(files, cache, progress=stop_at(20))
    (left,) = cache.iterdir()

    def age(seconds):
        for path in (*left.iterdir(), left):
            os.utime(path, (time.time() - seconds,) * 2)

    age(3600)
    remove_unfinished(cache)
    assert left.is_dir()
    age(SHARDS_KEPT + 1)
    remove_unfinished(cache)
    assert not left.exists()


def test_clear_removes_shards_and_keeps_what_is_not_ours(files, tmp_path):
    cache = tmp_path / "cache"
    with pytest.raises(Killed):
        build(files, cache, progress=stop_at(20))
    (left,) = cache.iterdir()
    (left / "shards" / "thesis.doc").write_text("mine")
    for path in (*left.iterdir(), left):
        os.utime(path, (0, 0))
    assert [one.folder for one in clear(cache).failed] == [left]
    assert [path.name for path in (left / "shards").iterdir()] == ["thesis.doc"]


def test_a_record_that_is_damaged_does_not_count(files, decoded, tmp_path):
    with pytest.raises(Killed):
        build(files, tmp_path / "cache", progress=stop_at(20))
    (left,) = (tmp_path / "cache").iterdir()
    (left / "shards" / "000001.json").write_text(json.dumps({"unreadable": 3}))
    decoded.clear()
    build(files, tmp_path / "cache")
    assert len(decoded) == 32
