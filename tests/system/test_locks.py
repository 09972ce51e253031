"""Locks between processes, as every system has them; those of Windows on a file of their own."""

import os
import stat
from errno import EBADF, ENOLCK

import filelock
import pytest

from mmtrain.system import locks
from mmtrain.system.locks import LocksUnsupportedError, acquire, is_held, locked, write_locked


@pytest.fixture(params=[False, True], ids=["on the file", "on a separate file"])
def separate(request, monkeypatch, tmp_path):
    monkeypatch.setattr(locks, "ON_SEPARATE_FILES", request.param)
    monkeypatch.setattr(locks.tempfile, "tempdir", str(tmp_path))
    return request.param


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_lock_is_had_once_until_it_is_closed(separate, tmp_path, is_folder):
    path = tmp_path / "locked"
    with pytest.raises(FileNotFoundError):
        acquire(path)
    assert not path.exists()
    path.mkdir() if is_folder else path.touch()
    first = acquire(path)
    with pytest.raises(BlockingIOError), locked(path, wait=False):
        pass
    os.close(first)
    with locked(path, wait=False), pytest.raises(BlockingIOError):
        acquire(path, wait=False)
    os.close(acquire(path, wait=False))


def test_the_text_of_a_locked_file_is_replaced_and_read(separate, tmp_path):
    path = tmp_path / ".lock"
    path.write_text("a process of a long name", encoding="utf-8")
    descriptor = acquire(path)
    write_locked(path, descriptor, "process 3")
    assert path.read_text(encoding="utf-8") == "process 3"
    os.close(descriptor)


def test_without_locks_a_file_is_used_all_the_same(separate, tmp_path, monkeypatch):
    def refuse(descriptor, **_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    (tmp_path / "file").touch()
    with locked(tmp_path / "file"):
        pass
    with pytest.raises(LocksUnsupportedError):
        acquire(tmp_path / "file")


def test_where_folders_cannot_be_locked_a_file_inside_is(tmp_path, monkeypatch):
    """As over NFS, which is not at hand."""
    lock_descriptor = filelock.lock_descriptor

    def refuse_folders(descriptor, **options):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(EBADF, os.strerror(EBADF))
        return lock_descriptor(descriptor, **options)

    monkeypatch.setattr(filelock, "lock_descriptor", refuse_folders)
    with locked(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path, wait=False):
        pass
    with locked(tmp_path, wait=False):
        pass


def test_a_lock_is_held_while_another_descriptor_has_it(tmp_path, monkeypatch):
    path = tmp_path / "file"
    assert not is_held(path)  # there is no such file
    path.touch()
    with locked(path):
        assert is_held(path)
    assert not is_held(path)

    def refuse(descriptor, **_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    assert not is_held(path)


def test_a_file_that_only_others_may_write_can_be_locked(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    opened = os.open

    def read_only(path, flags, *mode):
        if flags & os.O_RDWR:
            raise PermissionError
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    with locked(tmp_path / "file"):
        pass
