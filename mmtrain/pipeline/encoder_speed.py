"""Speed and memory of pretrained encoders on this machine, and the encoder that `mmtrain init` proposes for images.

An encoder is measured on a few random inputs, which take as long as any others; TensorFlow is started for it. The result is kept next to
the cache, so that a model is measured once as long as its file and the number of cores stay.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.artifacts.atomic_files import atomic_write
from mmtrain.artifacts.inspection_results import EncoderProposal, TableProfile
from mmtrain.columns.vectorizers.text_pieces import declared_pieces
from mmtrain.encoders import Recognized, models_at_hand, recognize
from mmtrain.errors import RunError
from mmtrain.layers.start import start_tensorflow
from mmtrain.specs import ImageSpec, TensorSpec
from mmtrain.system.memory import anonymous_memory
from mmtrain.system.paths import cache_folder
from mmtrain.system.threads import cores

IMAGE_SIDE, PIECES = 224, 64
"""Side of the images in pixels, and pieces of the texts, that encoders are measured on."""
BATCH_ROWS, LEAST_SECONDS = 16, 1.0
"""Number of inputs of a batch, and the minimum time over which a speed is measured."""
MOST_MINUTES = 15
"""Maximum time of reading all images for an encoder that `init` proposes."""
SPEEDS_FILE = "encoder_speeds.json"
"""Name of the file with the measurements in the cache folder."""


@dataclass(frozen=True)
class EncoderSpeed:
    """Speed and memory of an encoder on this machine."""

    per_second: float
    """Number of images of 224 x 224 pixels, or of texts of 64 pieces, per second."""
    memory: int
    """Bytes of the weights and of a batch of 16 in memory."""


def known_speed(name: str, path: Path) -> EncoderSpeed | None:
    """Return the speed that was measured before; None without a measurement of this file."""
    known = _read_speeds().get(_key(name, path), {})
    with suppress(TypeError, KeyError, ValueError):
        return EncoderSpeed(float(known["per_second"]), int(known["memory"]))
    return None


def measured_speed(name: str, path: Path) -> EncoderSpeed | None:
    """Return the speed of a model, measured now unless it was before; None for one that cannot be used. Starts TensorFlow."""
    if speed := known_speed(name, path):
        return speed
    try:
        spec = _spec(path)
        speed = _measure(str(path), spec)
    except RunError:
        return None
    _save_speed(_key(name, path), speed)
    return speed


def propose_encoder(profile: TableProfile) -> EncoderProposal | None:
    """Return the image encoder for a table with images: the smallest one at hand, and the time that it takes; None without any."""
    columns = [column.header for column in profile.used if column.guess.purpose == "input" and column.guess.content == "images"]
    if not columns or profile.images is None:
        return None
    for known in _image_encoders():
        name, path = known.name, known.checkpoint.place
        if speed := measured_speed(name, path):
            images = profile.rows * len(columns)
            minutes = images / speed.per_second / 60
            used = minutes <= MOST_MINUTES
            return EncoderProposal(
                columns=tuple(columns), model=name, images=images, per_second=speed.per_second, minutes=minutes, used=used
            )
    return None


def _image_encoders() -> list[Recognized]:
    """Return the image encoders at hand that read squares of `IMAGE_SIDE`, the smallest first."""
    encoders = []
    for name in models_at_hand():
        with suppress(RunError):
            known = recognize(name, "image")
            known.check(ImageSpec(IMAGE_SIDE, IMAGE_SIDE, 3))
            encoders.append(known)
    return sorted(encoders, key=lambda known: sum(path.stat().st_size for path in known.checkpoint.paths))


def _spec(path: Path) -> TensorSpec:
    """Return the spec of the inputs that a model is measured on. Raises RunError for a model of no known family."""
    with suppress(RunError):
        recognize(str(path), "image")
        return ImageSpec(IMAGE_SIDE, IMAGE_SIDE, 3)
    recognize(str(path), "pieces")
    return declared_pieces(str(path), PIECES)


def _measure(reference: str, spec: TensorSpec) -> EncoderSpeed:
    start_tensorflow()
    import tensorflow as tf

    from mmtrain.encoders import load_encoder

    before = anonymous_memory()
    network = load_encoder(reference, spec, owner="speed", shared=False).network
    signature = [tf.TensorSpec((None, *spec.shape), spec.dtype)]
    call = tf.function(lambda inputs: network(inputs, training=False), input_signature=signature, autograph=False)
    highest = 255 if isinstance(spec, ImageSpec) else int(getattr(spec, "size", 2)) - 1
    batch = tf.constant(np.random.default_rng(0).integers(1, highest, (BATCH_ROWS, *spec.shape)).astype(spec.dtype))
    call(batch).numpy()  # traces and warms up
    begun, count = time.perf_counter(), 0
    while not count or time.perf_counter() - begun < LEAST_SECONDS:
        call(batch).numpy()
        count += BATCH_ROWS
    return EncoderSpeed(count / (time.perf_counter() - begun), max(0, anonymous_memory() - before))


def _key(name: str, path: Path) -> str:
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.is_file())
    return json.dumps([name, cores(), [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files]])


def _read_speeds() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        values = json.loads((cache_folder() / SPEEDS_FILE).read_text(encoding="utf-8"))
        return values if isinstance(values, dict) else {}
    return {}


def _save_speed(key: str, speed: EncoderSpeed) -> None:
    """Keep a measurement; where the folder cannot be written, it is made again."""
    with suppress(OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        with atomic_write(cache_folder() / SPEEDS_FILE) as temporary:
            temporary.write_text(json.dumps({**_read_speeds(), key: asdict(speed)}, indent=1) + "\n", encoding="utf-8")
