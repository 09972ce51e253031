"""The networks of `keras.applications`, with weights from a file that Keras has written (`.weights.h5`, `.h5`).

Each family of them reads images in its own scaling; some scale inside the network. Files with the classifier are refused: Keras would
silently read the weights of another network.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mmtrain.encoders.base import Built, Family, family
from mmtrain.encoders.layer_builder import HALVES, IMAGENET, image_input
from mmtrain.errors import Problem, RunError
from mmtrain.specs import ImageSpec, TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Mean of blue, green and red of ImageNet, which VGG and the first ResNets subtract."""
Scale = Literal["caffe", "torch", "tf", "inside"]
SCALES: Mapping[str, Scale] = {
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19"), "caffe"),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "torch"),
    **dict.fromkeys(("MobileNet", "MobileNetV2", "InceptionV3", "InceptionResNetV2", "Xception", "NASNetMobile", "NASNetLarge"), "tf"),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), "tf"),
    **dict.fromkeys((f"EfficientNetB{number}" for number in range(8)), "inside"),
    **dict.fromkeys((f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")), "inside"),
    **dict.fromkeys((f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")), "inside"),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), "inside"),
}
"""The scaling of images that each network was trained on: of `inside`, the network takes brightness from 0 to 255."""


@dataclass(frozen=True)
class Architecture:
    """A network of Keras and the file of its weights."""

    name: str
    weights: str


@family("image")
class KerasApplications(Family):
    """Every network of `keras.applications`, by its name there."""

    def recognize(self, checkpoint: Checkpoint, name: str) -> Architecture | None:
        """Return the network of that name, whose weights are in a file of Keras."""
        path = checkpoint.paths[0]
        return Architecture(name, str(path)) if name in SCALES and path.suffix == ".h5" else None

    def build(self, architecture: Any, spec: TensorSpec) -> Built:
        """Return the network of an image to the mean of the last maps, with its weights. Raises RunError when they do not fit."""
        import keras

        image, values = _scale_input(spec, SCALES[architecture.name])
        make = getattr(keras.applications, architecture.name)
        options = {"include_top": False, "weights": None, "pooling": "avg", "input_shape": (*spec.shape[:2], 3)}
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")
        try:
            network = make(**options)
        finally:
            keras.config.set_dtype_policy(policy)
        _load(network, architecture)
        blocks = [[layer] for layer in network.layers if layer.weights]
        return Built(keras.Model(image, network(values), name="encoder"), (), blocks)


def _load(network: Any, architecture: Architecture) -> None:
    """Put the weights into the network. Keras leaves arrays that it does not find as they are, and those left over unread."""
    fix = "Give the weights without the classifier (`include_top=False`), or name the network that they are of."
    try:
        count = _count_arrays(architecture.weights)
    except (OSError, RuntimeError) as error:  # of HDF5, for a file that is cut off
        what = f"the file is damaged, or does not hold weights: {error}."
        raise RunError(Problem(architecture.weights, what, "Fetch it again, or give another file.")) from error
    if count != len(network.weights):
        what = f"the weights are not those of {architecture.name}: there are {count} arrays, and the network has {len(network.weights)}."
        raise RunError(Problem(architecture.weights, what, fix))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            network.load_weights(architecture.weights)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        what = f"the weights are not those of {architecture.name}: {str(error).strip().splitlines()[0].rstrip('.')}."
        raise RunError(Problem(architecture.weights, what, fix)) from error


def _count_arrays(path: str) -> int:
    """Return the number of arrays in a file, without those of an optimizer."""
    import h5py

    arrays: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, one: arrays.append(name) if isinstance(one, h5py.Dataset) else None)
    return sum(not name.startswith("optimizer") for name in arrays)


def _scale_input(spec: TensorSpec, scale: Scale) -> tuple[Any, Any]:
    """Return the input and the same in the scaling that a network was trained on."""
    if not isinstance(spec, ImageSpec):
        raise ValueError("they are not images")
    if scale == "caffe":
        # Blue comes first, and nothing is divided: (255 b - mean) is (b - mean / 255) / (1 / 255).
        image, values = image_input(spec, [mean / 255 for mean in reversed(CAFFE_MEAN)], [1 / 255] * 3)
        return image, values[..., ::-1]
    mean, deviation = {"torch": IMAGENET, "tf": HALVES, "inside": ((0.0,) * 3, (1 / 255,) * 3)}[scale]
    return image_input(spec, mean, deviation)
