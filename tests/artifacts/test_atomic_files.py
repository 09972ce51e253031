"""Folders that are written whole, and what killed processes have left of them."""

import fcntl
import os

import pytest

from mmtrain.artifacts.atomic_files import replacing_folder


@pytest.mark.parametrize(
    ("left", "others", "goes"),
    [
        (".onnx.0123abcd.tmp", False, True),
        (".onnx-int8.0123abcd.tmp", False, False),
        (".onnx-int8.0123abcd.tmp", True, True),
        (".keras.0123abcd.tmp", True, True),
        (".onnx.0123abc.tmp", True, False),
        (".onnx.tmp", True, False),
        ("onnx.0123abcd.tmp", True, False),
    ],
)
def test_folder_that_a_killed_process_has_left_is_removed_by_the_next(tmp_path, left, others, goes):
    (tmp_path / left).mkdir()
    (tmp_path / left / "model.onnx").write_text("half")
    with replacing_folder(tmp_path / "onnx", others=others) as temporary:
        (temporary / "model.onnx").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["onnx", *([] if goes else [left])])
    assert (tmp_path / "onnx" / "model.onnx").read_text() == "whole"


def test_folder_that_another_process_is_writing_is_left_alone(tmp_path):
    other = tmp_path / ".onnx.0123abcd.tmp"
    other.mkdir()
    lock = os.open(other, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with replacing_folder(tmp_path / "onnx"), replacing_folder(tmp_path / "keras", others=True):
        assert len(list(tmp_path.iterdir())) == 3
    assert other.is_dir()
    os.close(lock)
    with replacing_folder(tmp_path / "litert", others=True):
        assert not other.exists()


def test_file_and_link_of_such_a_name_are_none_of_ours(tmp_path):
    (tmp_path / ".onnx.0123abcd.tmp").write_text("mine")
    (tmp_path / "kept").mkdir()
    (tmp_path / ".onnx.0123abce.tmp").symlink_to(tmp_path / "kept")
    with replacing_folder(tmp_path / "onnx", others=True):
        pass
    assert len(list(tmp_path.iterdir())) == 4


def test_folder_whose_writing_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="half"), replacing_folder(tmp_path / "onnx"):
        raise ValueError("half")
    assert list(tmp_path.iterdir()) == []
