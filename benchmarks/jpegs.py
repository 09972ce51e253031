"""Generated JPEGs of 256x256, quality 90, 4:2:0, from a seed, and the yardstick of decoding them.

The yardstick is simplejpeg, a thin layer over libjpeg-turbo, in as many threads as there are cores. It is no dependency of mmtrain
and can be lent from elsewhere: `pip install --target DIR --no-deps simplejpeg`, then `PYTHONPATH=DIR python benchmarks/image_store.py`.
Without it, Pillow decodes at full size, and the output says so.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mmtrain.data.images.image_file import ImageFile
from mmtrain.system.threads import cores

SIDE, PIECE = 256, 16


def generated(folder: Path, count: int) -> list[ImageFile]:
    """JPEGs called 000000.jpg and so on: soft shapes with some noise, about 25 kB each."""
    random = np.random.default_rng(0)
    files = []
    for number in range(count):
        shapes = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        noisy = np.asarray(shapes, dtype=np.float32) + random.normal(0, 8, (SIDE, SIDE, 3)).astype(np.float32)
        path = folder / f"{number:06}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        status = path.stat()
        files.append(ImageFile(str(path), status.st_size, status.st_mtime_ns))
    return files


def yardstick() -> tuple[str, Callable[[bytes], object]]:
    """What decodes one JPEG, and its name."""
    try:
        import simplejpeg
    except ImportError:
        return "Pillow, full size (simplejpeg is not installed)", lambda data: Image.open(BytesIO(data)).load()
    return f"libjpeg-turbo by simplejpeg {simplejpeg.__version__}", simplejpeg.decode_jpeg


def decode_only(files: list[ImageFile], decode: Callable[[bytes], object]) -> None:
    """Read and decode every file with all cores."""

    def piece(start: int) -> None:
        for file in files[start : start + PIECE]:
            decode(Path(file.path).read_bytes())

    with ThreadPoolExecutor(cores()) as threads:
        list(threads.map(piece, range(0, len(files), PIECE)))
