"""Files from strangers: nothing in a run folder is unpickled, executed, or able to fill the memory."""

import ast
import inspect
import io
import json
import os
import pickle
import zipfile
from types import NoneType
from typing import Literal, get_args, get_origin

import h5py
import keras
import numpy as np
import pytest
from rich.text import Text
from tiny import nodes, package_trees, start

import mmtrain.layers.encoding
import mmtrain.layers.network
import mmtrain.layers.stacks
from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.atomic_files import file_hash
from mmtrain.cli.views.console import out, show_problems
from mmtrain.data import encode
from mmtrain.errors import ConfigError, Problem, RunError
from mmtrain.model import model_file
from mmtrain.model.safe_loading import inspect_model
from mmtrain.training import checkpoints

CARE = "Do not use a file of unknown origin. Layers of your own are brought in with --code."
AGAIN = "Ask for the archive again."

# The source


def calls(tree):
    """Every call in a module: the last word of what is called, and its options about trust as they are written."""
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            options = [keyword for keyword in node.keywords if keyword.arg in ("allow_pickle", "safe_mode")]
            yield name, {keyword.arg: ast.unparse(keyword.value) for keyword in options}


def imports(tree):
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_source_unpickles_nothing_and_executes_no_text():
    looked_at = 0
    for path, tree in package_trees().items():
        # Its unpickler knows tensors, storages and OrderedDict alone: tests/encoders/test_weights.py.
        allowed = {"pickle"} if path == "encoders/weights/torch_file.py" else set()
        assert not {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"} & set(imports(tree)) - allowed, path
        for name, options in calls(tree):
            looked_at += 1
            assert name not in ("eval", "exec", "unsafe_load", "full_load", "read_pickle", "enable_unsafe_deserialization"), path
            assert options.get("allow_pickle", "False") == "False", path
            assert options.get("safe_mode", "True") == "True", path
    assert len(package_trees()) > 100
    assert looked_at > 2_000


def test_model_files_are_opened_in_one_place_and_code_is_imported_in_one():
    places = {"load_model": set(), "load_weights": set(), "exec_module": set()}
    for path, tree in package_trees().items():
        for name, _ in calls(tree):
            if name in places:
                places[name].add(path)
    assert places == {
        **{"load_model": {"model/model_file.py"}, "exec_module": {"system/user_code.py"}},
        # Arrays of an HDF5 file by their names, into a network that is built.
        "load_weights": {"encoders/keras_applications.py"},
    }


OURS = {name: layer for name, layer in keras.saving.get_custom_objects().items() if name.startswith("mmtrain>")}


def leaves(annotation):
    """The plain types that an annotation is made of; of a choice of words, none."""
    if get_origin(annotation) is Literal:
        return
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from leaves(argument)


CHECKED = {
    ("mmtrain>EncodeDate", "parts"): "names of numbers that are looked up",
    ("mmtrain>EncodeImages", "image"): "a layer, which is looked at by itself",
    ("mmtrain>EncodeNumbers", "transforms"): "numbers and lists of them by name, and a method that is looked up",
    ("mmtrain>EncodePieces", "tokenizer"): "a tokenizer, which pydantic validates: pieces that are looked up, and switches",
    ("mmtrain>MemberMean", "numbers"): "numbers and lists of them by name",
}
"""Words, maps of plain values and layers, and what checks them."""
COMPOSED = {"mmtrain>TableEncoder", "mmtrain>EndToEnd", "mmtrain>MemberEncoders", "mmtrain>MeanOfMembers"}
"""Models that hold other layers and the names of columns; each layer in them is looked at by itself."""


@pytest.mark.parametrize("name", sorted(OURS.keys() - COMPOSED))
def test_config_of_our_layers_holds_neither_paths_nor_code(name):
    """Numbers, choices of words, and lists of words that are looked up: nothing that could be opened or called."""
    made = OURS[name].__init__
    for parameter in inspect.signature(made, eval_str=True).parameters.values() if made.__module__.startswith("mmtrain.") else ():
        # A config is passed by name.
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY) or (name, parameter.name) in CHECKED:
            continue
        if parameter.name == "self":
            continue
        if parameter.annotation in (list[str], list[list[str]]):
            assert (name, parameter.name) in (("mmtrain>EncodeCategories", "categories"), ("mmtrain>EncodeText", "words"))
            continue
        assert set(leaves(parameter.annotation)) <= {int, float, bool, NoneType}, parameter


def test_settings_of_a_layer_are_not_in_its_config():
    """`settings` of their common base would be a map of any values."""
    config = keras.saving.serialize_keras_object(mmtrain.layers.stacks.SideBySide())
    config["config"]["settings"] = {"anything": "at all"}
    with pytest.raises((TypeError, ValueError), match="settings"):
        keras.saving.deserialize_keras_object(config)


def test_every_layer_of_ours_is_looked_at():
    assert len(OURS) >= 12


# Model files

LAYER = {"module": "keras.layers", "class_name": "Rescaling", "registered_name": None}


def network():
    """A network of a layer of ours, one of Keras, and operations without a layer."""
    raw = keras.Input((1,), dtype="float64", name="x")
    number = {"fill": [0], "center": [0], "scale": [1], "indicator": [True], "masked": [False]}
    encoded, _ = mmtrain.layers.encoding.EncodeNumbers(**number, name="encode")(raw)
    dense = keras.layers.Dense(3, kernel_regularizer="l2", name="dense")(encoded)
    return keras.Model(raw, dense[:, 0:2] + 1.0, name="whole")


def parts_of(model, folder):
    """The entries of a model's file, by name."""
    model.save(folder / "parts.keras")
    with zipfile.ZipFile(folder / "parts.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return parts_of(network(), tmp_path_factory.mktemp("plain"))


def written(folder, parts, method=zipfile.ZIP_STORED):
    """A model file of these entries."""
    with zipfile.ZipFile(folder / "model.keras", "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return folder / "model.keras"


def with_layer(parts, layer):
    """The entries with this as the first layer, as far as the file says."""
    tree = json.loads(parts["config.json"])
    tree["config"]["layers"].insert(0, {"name": "strange", "inbound_nodes": [], "config": {}, **layer})
    return parts | {"config.json": json.dumps(tree).encode()}


def refusal(path):
    with pytest.raises(RunError) as caught:
        model_file.load_end_to_end(path)
    return [f"{problem.what} {problem.fix}" for problem in caught.value.problems]


def test_model_of_known_layers_is_opened(plain, tmp_path):
    path = written(tmp_path, plain)
    inspect_model(path)
    model = keras.models.load_model(path)
    assert model(np.zeros((5, 1))).shape == (5, 2)


HOSTILE = {
    "a lambda": (
        {"module": "keras.layers", "class_name": "Lambda"},
        "it holds `keras.layers.Lambda`, which is refused: it holds Python code.",
    ),
    "a lambda under its inner name": (
        {"module": "keras.src.layers.core.lambda_layer", "class_name": "Lambda"},
        "it holds `keras.src.layers.core.lambda_layer.Lambda`, which is refused: it holds Python code.",
    ),
    "a lambda as older versions wrote it": ({"class_name": "Lambda"}, "it holds `Lambda`, which is refused: it holds Python code."),
    "a call of the system": ({"module": "os", "class_name": "system"}, "it names `os.system`, which is not known here."),
    "a builtin": ({"module": "builtins", "class_name": "eval"}, "it names `builtins.eval`, which is not known here."),
    "a process": ({"module": "subprocess", "class_name": "Popen"}, "it names `subprocess.Popen`, which is not known here."),
    "a function of the system": (
        {"module": "os", "class_name": "function", "config": "system"},
        "it names `os.function`, which is not known here.",
    ),
    "a download": (
        {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://localhost/x", "fname": "x"}},
        "it names `keras.utils.get_file`, which is not known here.",
    ),
    "a function of a module that is known": (
        {"module": "keras.src.ops.numpy", "class_name": "np"},
        "it names `keras.src.ops.numpy.np`, which is not known here.",
    ),
    "a module of Keras that is not imported yet": (
        {"module": "keras.src.applications.vgg16", "class_name": "VGG16"},
        "it names `keras.src.applications.vgg16.VGG16`, which is not known here.",
    ),
    "a package beside Keras": (
        {"module": "keras_hub", "class_name": "Anything"},
        "it names `keras_hub.Anything`, which is not known here.",
    ),
    "a layer that loads a file": (
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
        "it holds `keras.layers.TFSMLayer`, which is refused: it loads another file.",
    ),
    "a layer that unpickles": (
        {"module": "keras.layers", "class_name": "TorchModuleWrapper"},
        "it holds `keras.layers.TorchModuleWrapper`, which is refused: it unpickles.",
    ),
    "a layer that reads a vocabulary": (
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        "it holds `keras.layers.StringLookup`, which is refused: it can read any file.",
    ),
    "a name that nobody registered": (
        {"module": "theirs", "class_name": "Layer", "registered_name": "theirs>Layer"},
        "it names `theirs.Layer`, registered as `theirs>Layer`, which is not known here.",
    ),
    "a name of ours from elsewhere": (
        {"module": "os", "class_name": "Mask", "registered_name": "mmtrain>Mask"},
        "it names `os.Mask`, and `mmtrain>Mask` is not from there.",
    ),
    "a class that is none": (
        {"module": "keras.layers", "class_name": ["Dense"]},
        "it names `keras.layers.['Dense']`, which is not a class.",
    ),
    "a calculation of a constant": (
        {
            "module": "keras.src.ops.numpy",
            "class_name": "Tile",
            "config": {"repeats": [10**10]},
            "registered_name": "Tile",
            "inbound_nodes": [{"args": [[1.0]], "kwargs": {}}],
        },
        "it calculates `keras.src.ops.numpy.Tile` of nothing while it is opened.",
    ),
    "settings of a training": (
        {**LAYER, "config": {"scale": 1}, "compile_config": {"optimizer": "adam"}},
        "it brings settings of a training with `keras.layers.Rescaling`.",
    ),
    **{
        f"{name} in an option": (
            {**LAYER, "config": {"scale": {"class_name": name, "config": {"value": [1], "dtype": "U1000000000"}}}},
            f"it names `{name}`, which is not known here.",
        )
        for name in ("__lambda__", "__numpy__", "__tensor__", "__typespec__", "__bytes__")
    },
    "a function in an option": (
        {**LAYER, "config": {"scale": [{"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}]}},
        "it names `os.function`, registered as `system`, which is not known here.",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_model_that_calls_what_is_not_known_is_refused_before_keras_sees_it(case, plain, tmp_path):
    layer, what = HOSTILE[case]
    assert refusal(written(tmp_path, with_layer(plain, layer))) == [f"{what} {CARE}"]


def test_lambda_that_keras_itself_saved_is_refused_and_not_run(tmp_path):
    canary = tmp_path / "canary"
    raw = keras.Input((1,))
    model = keras.Model(raw, keras.layers.Lambda(lambda x, path=str(canary): (open(path, "w").close(), x)[1], output_shape=(1,))(raw))
    model(np.zeros((1, 1)))
    canary.unlink()  # so it sings
    path = written(tmp_path, parts_of(model, tmp_path))
    assert refusal(path) == [
        f"it holds `keras.layers.Lambda`, which is refused: it holds Python code. {CARE}",
        f"it names `__lambda__`, which is not known here. {CARE}",
    ]
    assert not canary.exists()


def test_all_strange_layers_are_told_at_once(plain, tmp_path):
    parts = with_layer(with_layer(plain, {"module": "b", "class_name": "B"}), {"module": "a", "class_name": "A"})
    assert refusal(written(tmp_path, parts)) == [
        f"it names `a.A`, which is not known here. {CARE}",
        f"it names `b.B`, which is not known here. {CARE}",
    ]


def test_layer_of_the_users_own_is_opened_once_it_is_registered(tmp_path):
    @keras.saving.register_keras_serializable(package="theirs")
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return x * 2

    raw = keras.Input((1,))
    path = written(tmp_path, parts_of(keras.Model(raw, Doubled()(raw)), tmp_path))
    inspect_model(path)
    del keras.saving.get_custom_objects()["theirs>Doubled"]
    assert refusal(path) == [f"it names `test_safety.Doubled`, registered as `theirs>Doubled`, which is not known here. {CARE}"]


def changed_config(parts, change):
    tree = json.loads(parts["config.json"])
    change(tree)
    return parts | {"config.json": json.dumps(tree).encode()}


def test_config_may_not_ask_for_more_weights_than_the_file_has(plain, tmp_path):
    def swell(tree):
        (dense,) = [layer for layer in tree["config"]["layers"] if layer["class_name"] == "Dense"]
        dense["config"]["units"] = 50_000_000_000

    (found,) = refusal(written(tmp_path, changed_config(plain, swell)))
    stored = len(plain["model.weights.h5"])
    assert found == f"config.json asks for 600 GB of weights, and model.weights.h5 has {stored / 1000:.0f} kB. {CARE}".replace(
        "600 GB", "600 GB"
    )


STRAY = {
    **LAYER,
    "class_name": "Dense",
    "config": {"name": "stray", "units": 1_000_000},
    "build_config": {"input_shape": [None, 1_000_000]},
    "name": "stray",
    "inbound_nodes": [],
}


WITHIN = {"module": "keras.initializers", "class_name": "Constant", "config": {"value": STRAY}, "registered_name": None}


@pytest.mark.parametrize("layer", [STRAY, {**LAYER, "class_name": "Dense", "config": {"units": 1, "kernel_initializer": WITHIN}}])
def test_config_may_not_ask_for_weights_beside_the_network_either(layer, plain, tmp_path):
    (found,) = refusal(written(tmp_path, with_layer(plain, layer)))
    assert found.startswith("config.json asks for 4.0 TB of weights, and model.weights.h5 has ")


def test_calls_that_are_no_list_are_refused(plain, tmp_path):
    (found,) = refusal(written(tmp_path, with_layer(plain, {**LAYER, "inbound_nodes": 5})))
    assert found == f"it calculates `keras.layers.Rescaling` of nothing while it is opened. {CARE}"


def test_network_of_wrapped_layers_is_opened(tmp_path):
    raw = keras.Input((6, 4))
    inspect_model(written(tmp_path, parts_of(keras.Model(raw, keras.layers.Bidirectional(keras.layers.LSTM(64))(raw)), tmp_path)))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'"Dense"', b"[" * 200_000, b'{"class_name": "Functional"}'])
def test_config_that_describes_no_network_is_refused(content, plain, tmp_path):
    (found,) = refusal(written(tmp_path, plain | {"config.json": content}))
    assert found.startswith("config.json does not describe a network: ")


def test_number_of_objects_is_limited(plain, tmp_path):
    many = changed_config(plain, lambda tree: tree.update(more=[LAYER | {"config": {}}] * 20_001))
    assert refusal(written(tmp_path, many)) == [f"it is made of more than 20,000 objects. {CARE}"]


# Its archive


def test_compressed_model_is_refused_whatever_it_unpacks_to(plain, tmp_path):
    swollen = written(tmp_path, plain | {"model.weights.h5": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    assert swollen.stat().st_size < 100_000
    assert refusal(swollen) == [f"the file unpacks from 49 kB to 50 MB. {AGAIN}"]
    harmless = written(tmp_path, plain, zipfile.ZIP_DEFLATED)
    assert refusal(harmless) == [
        f"it holds compressed files, which Keras never writes: metadata.json, config.json and model.weights.h5. {CARE}"
    ]


def test_model_that_says_it_holds_gigabytes_is_refused_from_its_directory(plain, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, content in plain.items():
            archive.writestr(name, content)
        archive.filelist[-1].file_size = 2_000_000_000
    (found,) = refusal(tmp_path / "model.keras")
    assert found == f"the file unpacks from {len(plain['model.weights.h5']) / 1000:.0f} kB to 2.0 GB. {AGAIN}"


def test_model_with_other_files_is_refused(plain, tmp_path):
    assert refusal(written(tmp_path, plain | {"../evil.py": b""})) == [f"the name is not a path below a folder. {AGAIN}"]
    assert refusal(written(tmp_path, plain | {"assets/words.txt": b""})) == [f"it holds 'assets/words.txt', which no model has. {CARE}"]
    without = {name: content for name, content in plain.items() if name != "config.json"}
    assert refusal(written(tmp_path, without)) == [f"there is no config.json in it, so it is not a model. {CARE}"]


def test_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"\x80\x04" + b"x" * 100)
    assert refusal(tmp_path / "model.keras") == [f"the file is not a zip archive, or it is damaged. {AGAIN}"]


# Its weights


def outside(file, folder):
    file["v"] = h5py.ExternalLink(str(folder / "other.h5"), "/secret")


def soft(file, folder):
    file["v"] = h5py.SoftLink("/somewhere")


def storage(file, folder):
    (folder / "secret").write_bytes(bytes(400))
    file.create_dataset("v", (100,), "f4", external=[(str(folder / "secret"), 0, 400)])


def virtual(file, folder):
    layout = h5py.VirtualLayout((100,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "secret", (100,))
    file.create_virtual_dataset("v", layout)


def compressed(file, folder):
    file.create_dataset("v", (10_000_000,), "f4", compression="gzip")


def unwritten(file, folder):
    file.create_dataset("v", (10**12,), "f4")


def words(file, folder):
    file["v"] = ["text"]


def of_a_type(file, folder):
    file["v"] = np.dtype("f4")


WEIGHTS = {
    outside: "model.weights.h5 holds `/v`, which is a link to somewhere else.",
    soft: "model.weights.h5 holds `/v`, which is a link to somewhere else.",
    storage: "model.weights.h5 holds `/v`, which takes its values from another file.",
    virtual: "model.weights.h5 holds `/v`, which takes its values from another file.",
    compressed: "model.weights.h5 holds `/v`, which is compressed or incomplete.",
    unwritten: "model.weights.h5 holds `/v`, which is compressed or incomplete.",
    words: "model.weights.h5 holds `/v`, which does not hold numbers.",
    of_a_type: "model.weights.h5 holds `/v`, which is not an array.",
}


def changed_weights(parts, change, folder):
    content = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(content, "a") as file:
        change(file, folder)
    return parts | {"model.weights.h5": content.getvalue()}


@pytest.mark.parametrize("change", WEIGHTS)
def test_weights_that_are_not_plain_numbers_in_the_file_are_refused(change, tmp_path):
    plain = parts_of(network(), tmp_path)
    assert refusal(written(tmp_path, changed_weights(plain, change, tmp_path))) == [f"{WEIGHTS[change]} {CARE}"]


def test_weights_that_say_they_hold_more_than_the_file_are_refused(tmp_path):
    """The numbers are changed where the file describes the array: its length, and its bytes."""
    parts = changed_weights(parts_of(network(), tmp_path), lambda file, _: file.create_dataset("v", data=np.ones(12_345, "f4")), tmp_path)
    content = parts["model.weights.h5"]
    for true, said in ((12_345, 10**10), (4 * 12_345, 4 * 10**10)):
        content = content.replace(true.to_bytes(8, "little"), said.to_bytes(8, "little"))
    (found,) = refusal(written(tmp_path, parts | {"model.weights.h5": content}))
    assert found.startswith("model.weights.h5 cannot be read as weights: ")
    assert "invalid dataset size" in found


def test_weights_that_hold_themselves_are_refused(tmp_path):
    def ring(file, folder):
        file["first"] = file["second"] = file["/"]

    plain = parts_of(network(), tmp_path)
    assert refusal(written(tmp_path, changed_weights(plain, ring, tmp_path))) == [
        f"model.weights.h5 holds `/{name}`, which is there under another name. {CARE}" for name in ("first", "second")
    ]


def test_weights_that_are_no_weights_are_refused(tmp_path):
    plain = parts_of(network(), tmp_path)
    (found,) = refusal(written(tmp_path, plain | {"model.weights.h5": b"no"}))
    assert found.startswith("model.weights.h5 cannot be read as weights: ")


# Checkpoints


class Canary:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def checkpoint(tmp_path):
    """A core with its optimizer, and their checkpoint `last`; a function that writes other arrays into it, with the right hashes."""
    core = network()
    optimizer = keras.optimizers.SGD()
    optimizer.build(core.trainable_variables)
    checkpoints.save(tmp_path, "last", core, optimizer, checkpoints.Position(epoch=1))

    def replace(content):
        (tmp_path / "last" / "weights.npz").write_bytes(content)
        known = json.loads((tmp_path / "last" / "position.json").read_text())
        known["sha256"]["weights.npz"] = file_hash(tmp_path / "last" / "weights.npz")
        (tmp_path / "last" / "position.json").write_text(json.dumps(known))
        with pytest.raises(RunError) as caught:
            checkpoints.load(tmp_path, "last", core)
        return str(caught.value)

    assert checkpoints.load(tmp_path, "last", core).epoch == 1
    return tmp_path / "last", replace


def npz(**entries):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entry in entries.items():
            archive.writestr(f"{name}.npy", entry)
    return content.getvalue()


def header(shape, descr="<f4"):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"shape": shape, "fortran_order": False, "descr": descr})
    return content.getvalue()


def test_checkpoint_is_not_unpickled(checkpoint, tmp_path):
    folder, replace = checkpoint
    array = io.BytesIO()
    np.save(array, np.array([Canary(tmp_path / "hacked")], dtype=object), allow_pickle=True)
    assert replace(npz(weights=array.getvalue())) == f"{folder}: the checkpoint is missing or damaged. Train again."
    assert (
        replace(npz(weights=pickle.dumps(Canary(tmp_path / "hacked")))) == f"{folder}: the checkpoint is missing or damaged. Train again."
    )
    assert not (tmp_path / "hacked").exists()


def test_checkpoint_is_compared_with_the_network_before_an_array_is_read(checkpoint):
    folder, replace = checkpoint
    assert replace(npz(weights=header((10**13,)))) == f"{folder}: the checkpoint belongs to another network. Train again."
    assert replace(npz(weights=header((1,), "<U1000000000"))) == f"{folder}: the checkpoint is missing or damaged. Train again."


def test_checkpoint_whose_position_is_none_is_damaged(checkpoint, tmp_path):
    folder, _ = checkpoint
    known = json.loads((folder / "position.json").read_text())
    for wrong in ({"epoch": -1}, {"stopping": {}}, {"learning_rate": {"cut": "x"}}, {"best_scores": 5}):
        (folder / "position.json").write_text(json.dumps(known | {"position": known["position"] | wrong}))
        assert checkpoints.newest(tmp_path) == (None, "checkpoints/last is damaged")


def test_checkpoint_whose_position_names_other_files_is_damaged(checkpoint, tmp_path):
    folder, _ = checkpoint
    known = json.loads((folder / "position.json").read_text())
    (folder / "position.json").write_text(json.dumps(known | {"sha256": {}}))
    with pytest.raises(RunError) as caught:
        checkpoints.load(tmp_path, "last", network())
    assert str(caught.value) == f"{folder}: the checkpoint is missing or damaged. Train again."


# The rest of a run folder


def test_experiment_may_neither_build_objects_nor_bring_code(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "data: {table: !!python/object/apply:os.mkdir [hacked]}\n"
        "columns: {x: {role: numeric}, y: {role: target, task: regression}}\n"
        "code: evil.py\n"
    )
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "config.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "config.yaml:1: data.table: expected a path; found a list.",
        "config.yaml:1: data.table: the tag `tag:yaml.org,2002:python/object/apply:os.mkdir` means nothing here. "
        "Remove it, or quote the value.",
        "config.yaml:3: code: unknown key. "
        "The keys here are name, data, columns, branches, fusion, split, training, evaluation, ensemble and tune.",
    ]


@pytest.mark.parametrize(
    "column",
    [
        {"role": "image", "height": 10**9, "width": 8, "channels": 1, "bits": 8},
        {"role": "image", "height": 8, "width": 8, "channels": 10**9, "bits": 8},
        {"role": "image", "height": 8, "width": 8, "channels": 1, "bits": 10**9},
        {"role": "text", "vectorize": "tokens", "words": [], "idf": [], "length": 10**9, "longest": 1, "masked": False, "missing": 0},
    ],
)
def test_columns_of_absurd_sizes_are_refused(column):
    with pytest.raises(RunError) as caught:
        encode.read_fitted({"columns": {"c": column}, "targets": {}})
    assert str(caught.value).startswith("columns.json: the file does not hold fitted columns: Input should be ")


def test_columns_may_not_name_a_category_twice():
    column = {"role": "categorical", "categories": ["a", "a"], "one_hot": False, "width": 0, "masked": False, "missing": 0}
    with pytest.raises(RunError) as caught:
        encode.read_fitted({"columns": {"c": column}, "targets": {}})
    assert "is listed twice" in str(caught.value)


def test_run_may_not_seal_files_outside_of_it(tmp_path):
    run = runs.create("clinic", tmp_path)
    (tmp_path / "secret").write_text("x")
    run.update(files={"../../secret": file_hash(tmp_path / "secret")})
    with pytest.raises(RunError) as caught:
        runs.open_run(run.folder)
    assert str(caught.value) == f"{run.folder}: ../../secret changed after the training. Restore the folder, or train again."


@pytest.mark.parametrize("name", ["../run.json", "/etc/passwd", "scores_x/../../../y.csv"])
def test_no_file_of_a_run_lies_outside_of_it(name, tmp_path):
    """A part is called what run.json says, and files are called after parts."""
    run = runs.create("clinic", tmp_path)
    for use in (run.__truediv__, run.read_json, lambda name: run.write_text(name, "")):
        with pytest.raises(RunError) as caught:
            use(name)
        assert str(caught.value) == f"{run.folder}: {name!r} is not a file of a run. Do not use a run of unknown origin."
    assert not (tmp_path / "y.csv").exists()


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/dev/zero"), os.mkfifo, lambda path: path.symlink_to("..")])
def test_run_with_links_or_special_files_is_refused_before_one_is_read(make, tmp_path):
    run = runs.create("clinic", tmp_path)
    (run.folder / "plots").mkdir()
    make(run.folder / "plots" / "x")
    with pytest.raises(RunError) as caught:
        runs.open_run(run.folder)
    what = "this is a link or a special file; a run holds files and folders only."
    assert str(caught.value) == f"{run.folder}/plots/x: {what} Replace it by the file it stands for, or remove it."


def test_nothing_is_imported_from_the_folder_that_mmtrain_is_started_in(tmp_path):
    (tmp_path / "yaml.py").write_text("open('canary', 'w')\n")
    process = start("schema", folder=tmp_path)
    process.communicate()
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["yaml.py"]


def test_json_without_end_is_damaged(tmp_path):
    run = runs.create("clinic", tmp_path)
    run.write_text("run.json", "[" * 200_000)
    with pytest.raises(RunError) as caught:
        runs.open_run(run.folder)
    assert str(caught.value) == f"{run.folder}/run.json: the file is damaged. Train again, or restore the folder."


def test_problem_does_not_steer_the_terminal(capsys):
    show_problems(RunError(Problem("a\x1b[2J", "one\ntwo\r\x9b3m", "\x07é")), as_json=False)
    assert capsys.readouterr().err == "The command failed: 1 problem.\na\\x1b[2J: one\ntwo\\r\\x9b3m \\x07é\n"


def test_cell_does_not_steer_the_terminal(capsys):
    out().print(Text("\x1b]0;title\x9c"))
    assert capsys.readouterr().out == "\\x1b]0;title\\x9c\n"


BEGUN = {"state": "running", "started": "2026-11-20T08:00:00+00:00"}
RESULT = {"task": "binary", "rows": 1, "unknown_answers": 0, "scores": {"auc": {"value": 1}}}
RESULT |= {"baselines": [{"kind": "majority", "label": "x", "name": "x", "scores": {}, "differences": {}}]}


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("run.json", [], "Input should be a valid dictionary or instance of RunFacts"),
        ("run.json", BEGUN | {"state": "new"}, "`state`: Input should be 'running', 'finished', 'failed' or 'interrupted'"),
        ("run.json", BEGUN | {"started": "2026-11-20"}, "`started`: a time needs its zone"),
        ("run.json", BEGUN | {"files": None}, "`files` has no value"),
        (
            "run.json",
            BEGUN | {"evaluations": [{"part": 5, "when": "", "table": ""}]},
            "`evaluations.0.part`: Input should be a valid string",
        ),
        ("data.json", {"table": "t.csv", "sha256": "0", "rows": 10**400}, "`rows`: Input should be less than 1000000000000000"),
        ("network.json", {"branches": []}, "`branches`: List should have at least 1 item after validation, not 0"),
        ("metrics.json", {"test": {"y": RESULT | {"rows": float("nan")}}}, "`test.y.rows`: Input should be a valid integer"),
        ("metrics.json", {"test": {"y": RESULT}}, "`test.y`: a baseline has the scores of the model"),
        ("metrics.json", {"test": {"y": RESULT | {"scores": {"x": {"value": 1}}}}}, "`test.y.scores.x.[key]`: There is no score 'x'."),
        ("worst_predictions_test.json", {"y": [5]}, "`y.0`: Input should be a valid dictionary or instance of WorstPrediction"),
    ],
)
def test_file_of_a_run_that_holds_other_values_is_damaged(name, values, what, tmp_path):
    run = runs.create("clinic", tmp_path)
    (run / name).write_text(json.dumps(values))
    with pytest.raises(RunError) as caught:
        run.read_json(name)
    assert str(caught.value).startswith(f"{run.folder}/{name}: the file is damaged: {what}")


@pytest.mark.parametrize("line", ["[]", '{"epoch": "1"}', '{"epoch": 1, "validation_auc": "x"}', '{"epoch": 1, "train_loss": NaN}'])
def test_line_of_metrics_that_is_none_is_damaged(line, tmp_path):
    run = runs.create("clinic", tmp_path)
    run.write_text("metrics.jsonl", f'{{"epoch": 1, "validation_auc": null}}\n{line}\n')
    with pytest.raises(RunError) as caught:
        run.read_lines("metrics.jsonl")
    assert str(caught.value).startswith(f"{run.folder}/metrics.jsonl:2: the file is damaged: ")
