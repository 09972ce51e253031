"""Speed and memory of pretrained encoders on this machine, and those that `mmtrain init` proposes for images and texts.

An encoder is measured on a few random inputs, which take as long as any others; TensorFlow is started for it. The result is kept next to
the cache, so that a model is measured once as long as its file and the number of cores stay.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmtrain.artifacts.atomic_files import atomic_write
from mmtrain.artifacts.inspection_results import EncoderProposal, ProfiledColumn, TableProfile
from mmtrain.columns import role_class
from mmtrain.columns.vectorizers.text_pieces import MOST_PIECES, declared_pieces
from mmtrain.encoders import Recognized, models_at_hand, recognize
from mmtrain.errors import RunError
from mmtrain.layers.start import start_tensorflow
from mmtrain.specs import ImageSpec, Kind, TensorSpec
from mmtrain.system.memory import anonymous_memory
from mmtrain.system.paths import cache_folder
from mmtrain.system.threads import cores

IMAGE_SIDE, PIECES = 224, 64
"""Side of the images in pixels, and pieces of the texts, that encoders are measured on."""
BATCH_ROWS, LEAST_SECONDS = 16, 1.0
"""Number of inputs of a batch, and the minimum time over which a speed is measured."""
MOST_MINUTES = {"images": 15, "texts": 5}
"""Maximum time of reading all inputs of an encoder that `init` proposes."""
KINDS: dict[str, Kind] = {"images": "image", "texts": "pieces"}
"""Kind of the encoded inputs by content."""
PIECES_PER_WORD = 1.3
"""Pieces of a word: 1.25 in English reviews with the vocabulary of BERT, more in other languages."""
SPEEDS_FILE = "encoder_speeds.json"
"""Name of the file with the measurements in the cache folder."""


@dataclass(frozen=True)
class EncoderSpeed:
    """Speed and memory of an encoder on this machine."""

    per_second: float
    """Number of images of 224 x 224 pixels, or of texts of 64 pieces, per second."""
    memory: int
    """Bytes of the weights and of a batch of 16 in memory."""


def known_speed(name: str, path: Path, kind: Kind) -> EncoderSpeed | None:
    """Return the speed that was measured before with inputs of this kind; None without a measurement of this file."""
    known = _read_speeds().get(_key(name, path, kind), {})
    with suppress(TypeError, KeyError, ValueError):
        return EncoderSpeed(float(known["per_second"]), int(known["memory"]))
    return None


def measured_speed(name: str, path: Path, kind: Kind) -> EncoderSpeed | None:
    """Return the speed of a model, measured now unless it was before; None for one that cannot be used. Starts TensorFlow."""
    if speed := known_speed(name, path, kind):
        return speed
    try:
        spec = ImageSpec(IMAGE_SIDE, IMAGE_SIDE, 3) if kind == KINDS["images"] else declared_pieces(str(path), PIECES)
        speed = _measure(str(path), spec)
    except RunError:
        return None
    _save_speed(_key(name, path, kind), speed)
    return speed


def propose_encoders(profile: TableProfile) -> tuple[EncoderProposal, ...]:
    """Return the encoders for a table with images or texts: for each the smallest one at hand, and the time that it takes."""
    proposals = [_propose(profile, "images")] if profile.images is not None else []
    return tuple(one for one in (*proposals, _propose(profile, "texts")) if one is not None)


def _propose(profile: TableProfile, content: Literal["images", "texts"]) -> EncoderProposal | None:
    columns = [
        column
        for column in profile.used
        # Volumes are images that no encoder reads.
        if column.guess.purpose == "input" and column.guess.content == content and "encoder" in role_class(column.guess.role).model_fields
    ]
    inputs = profile.rows * len(columns) if content == "images" else sum(map(_distinct_texts, columns))
    known = encoder_at_hand(content) if inputs else None
    if known is None:
        return None
    name, speed = known
    # In inputs as long as the measured ones: the time of a transformer grows with the pieces of its texts.
    work = inputs if content == "images" else sum(_distinct_texts(column) * _length(column) for column in columns)
    minutes = work / speed.per_second / 60
    return EncoderProposal(
        content=content,
        columns=tuple(column.header for column in columns),
        model=name,
        inputs=inputs,
        per_second=inputs / (60 * minutes),
        minutes=minutes,
        used=minutes <= MOST_MINUTES[content],
    )


def encoder_at_hand(content: Literal["images", "texts"]) -> tuple[str, EncoderSpeed] | None:
    """Return the smallest encoder of images or texts at hand that can be used, and its speed; None without any."""
    speeds = ((known.name, measured_speed(known.name, known.checkpoint.place, KINDS[content])) for known in _encoders(content))
    return next(((name, speed) for name, speed in speeds if speed is not None), None)


def _distinct_texts(column: ProfiledColumn) -> int:
    return 0 if column.profile is None else column.profile.distinct


def _length(column: ProfiledColumn) -> float:
    """Return the pieces of a typical text of a column, in multiples of those that encoders are measured on."""
    words = column.profile.words if column.profile is not None else None
    pieces = MOST_PIECES if words is None else min(float(MOST_PIECES), 2 + PIECES_PER_WORD * words.median)
    return pieces / PIECES


def _encoders(content: Literal["images", "texts"]) -> list[Recognized]:
    """Return the encoders at hand that read squares of `IMAGE_SIDE`, or texts of `MOST_PIECES`, the smallest first."""
    encoders = []
    for name, path in models_at_hand().items():
        with suppress(RunError):
            known = recognize(name, KINDS[content])
            known.check(ImageSpec(IMAGE_SIDE, IMAGE_SIDE, 3) if content == "images" else declared_pieces(str(path), MOST_PIECES))
            encoders.append(known)
    return sorted(encoders, key=lambda known: sum(path.stat().st_size for path in known.checkpoint.paths))


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


def _key(name: str, path: Path, kind: Kind) -> str:
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.is_file())
    return json.dumps([name, kind, cores(), [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files]])


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
