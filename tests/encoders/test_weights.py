"""Readers of weight files: every type, views of storages, and files that are damaged or hold anything else."""

import json
import pickle
import zipfile

import numpy as np
import pytest
from checkpoints import NAMED, write_legacy_torch, write_safetensors, write_torch

from mmtrain.encoders.loading import SUFFIXES
from mmtrain.encoders.weights import CONTAINERS, Checkpoint
from mmtrain.encoders.weights.files import SafetensorsFile
from mmtrain.encoders.weights.torch_file import TorchFile
from mmtrain.errors import RunError

ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.array([1.5, -2.0], np.float16),
    "count": np.array(7),
    "brain": (np.array([1.0, -3.5, 1e30], np.float32).view(np.uint32) >> 16).astype(np.uint16),
}
EXPECTED = {"a.weight": [[0, 1, 2], [3, 4, 5]], "half": [1.5, -2.0], "count": 7, "brain": [1.0, -3.5, 1e30]}


def refusal(open_file):
    with pytest.raises(RunError) as error:
        open_file()
    return str(error.value)


@pytest.mark.parametrize(
    ("write", "open_file", "name"),
    [
        (write_safetensors, SafetensorsFile, "w.safetensors"),
        (write_torch, TorchFile, "w.pth"),
        (write_legacy_torch, TorchFile, "w.pth"),
        (lambda path, arrays: write_torch(path, arrays, wrapped="state_dict", extra={"epoch": 3}), TorchFile, "w.pth"),
    ],
)
def test_every_format_gives_the_arrays_as_float32(tmp_path, write, open_file, name):
    file = open_file(write(tmp_path / name, ARRAYS))
    assert file.shapes == {"a.weight": (2, 3), "half": (2,), "count": (), "brain": (3,)}
    for key, values in EXPECTED.items():
        assert file.read(key).dtype == np.float32
        assert np.allclose(file.read(key), values, rtol=0.01)


def test_a_tensor_may_be_a_transposed_view(tmp_path):
    file = TorchFile(write_torch(tmp_path / "w.pth", {"a": ARRAYS["a.weight"]}, transposed=("a",)))
    assert np.array_equal(file.read("a"), ARRAYS["a.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_offsets": [0, 999]}, "`a.weight` lies outside the file, or has another size than its shape"),
        ({"data_offsets": [-8, 16]}, "a shape or an offset is not a whole number from 0 on"),
        ({"shape": [2, 2]}, "`a.weight` lies outside the file, or has another size than its shape"),
        ({"dtype": "F4"}, "`a.weight` is of the type 'F4', which is not read"),
    ],
)
def test_a_safetensors_table_that_lies_is_refused(tmp_path, change, message):
    path = write_safetensors(tmp_path / "w.safetensors", ARRAYS, lambda header: {**header, "a.weight": {**header["a.weight"], **change}})
    assert refusal(lambda: SafetensorsFile(path)) == (
        f"{path}: the file is damaged, or does not hold weights: {message}. Fetch it again, or give another file."
    )


@pytest.mark.parametrize("length", [0, 5, 8, 200])
def test_a_cut_safetensors_file_is_refused(tmp_path, length):
    path = write_safetensors(tmp_path / "w.safetensors", ARRAYS)
    path.write_bytes(path.read_bytes()[:length])
    assert "the file is damaged, or does not hold weights" in refusal(lambda: SafetensorsFile(path))


def test_a_pickle_that_names_a_function_is_refused_before_it_is_called(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch " + str(tmp_path / "touched").encode() + b"'\ntR.")
    assert "it holds `os.system`, which is not a tensor; such an object could run any code" in refusal(lambda: TorchFile(path))
    path.write_bytes(pickle.dumps(json.JSONDecoder))
    assert "it holds `json.decoder.JSONDecoder`, which is not a tensor" in refusal(lambda: TorchFile(path))
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("place", [6, 8], ids=["encrypted", "compressed otherwise"])
def test_an_archive_that_cannot_be_opened_is_refused(tmp_path, place):
    path = write_torch(tmp_path / "w.pth", ARRAYS)
    content = bytearray(path.read_bytes())
    # Flags and compression of the first entry, here and in the directory at the end, where they are two bytes later.
    for header in (0, content.index(b"PK\x01\x02") + 2):
        content[header + place] = 1 if place == 6 else 8
    path.write_bytes(content)
    assert "the file is damaged, or does not hold weights" in refusal(lambda: TorchFile(path))


def test_other_objects_next_to_the_weights_are_refused(tmp_path):
    path = write_torch(tmp_path / "w.pth", ARRAYS, wrapped="model", extra={"arguments": NAMED("argparse", "Namespace")})
    assert "it holds `argparse.Namespace`" in refusal(lambda: TorchFile(path))


def test_a_tensor_outside_its_storage_is_refused(tmp_path):
    path = write_torch(tmp_path / "w.pth", {"a": ARRAYS["a.weight"]}, offset=1)
    assert "a tensor lies outside its storage" in refusal(lambda: TorchFile(path))


def test_a_cut_stream_is_refused(tmp_path):
    path = write_legacy_torch(tmp_path / "w.pth", ARRAYS)
    path.write_bytes(path.read_bytes()[:-1])
    assert "it ends before its last number" in refusal(lambda: TorchFile(path))


def test_a_file_without_tensors_is_refused(tmp_path):
    path = write_torch(tmp_path / "w.pth", {}, extra={"a": 1})
    assert "it holds no tensors by name" in refusal(lambda: TorchFile(path))


def test_tensors_without_names_are_refused(tmp_path):
    path = write_torch(tmp_path / "w.pth", {7: ARRAYS["a.weight"]})
    assert "its tensors have no names" in refusal(lambda: TorchFile(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"X\x07\0\0\0storage", b"X\x07\0\0\0strange", "it refers to something other than a storage"),
        (b"X\x01\0\0\x003", b"X\x01\0\0\x009", "storage 9 belongs to no tensor"),
    ],
)
def test_a_stream_that_names_another_storage_is_refused(tmp_path, old, new, message):
    path = write_legacy_torch(tmp_path / "w.pth", ARRAYS)
    before, _, after = path.read_bytes().rpartition(old)  # the last one is in the list of storages
    path.write_bytes(before + new + after)
    assert message in refusal(lambda: TorchFile(path))


def test_shards_are_one_checkpoint_with_a_fingerprint_of_all(tmp_path):
    one = write_safetensors(tmp_path / "model-00001-of-00002.safetensors", {"a": ARRAYS["a.weight"]})
    two = write_safetensors(tmp_path / "model-00002-of-00002.safetensors", {"b": ARRAYS["half"]})
    checkpoint = Checkpoint(tmp_path, (one, two), {})
    assert checkpoint.shapes == {"a": (2, 3), "b": (2,)}
    before = checkpoint.fingerprint
    write_safetensors(two, {"b": ARRAYS["half"] + 1})
    assert Checkpoint(tmp_path, (one, two), {}).fingerprint != before
    assert "the weight `a` is also in another file of the folder" in refusal(lambda: Checkpoint(tmp_path, (one, one), {}))


def test_every_known_suffix_has_a_reader():
    assert tuple(CONTAINERS) == SUFFIXES
