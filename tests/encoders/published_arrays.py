"""Arrays that follow from their names, and an image, for networks that are small or that nobody has weights of."""

import zlib

import numpy as np


def array_of(name, shape):
    """Values of about the size that trained weights have; variances are positive."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.normal(0, 1, shape)
    if name.endswith("running_var"):
        return (0.5 + values**2).astype(np.float32)
    fan_in = np.prod(shape[1:]) if len(shape) > 1 else 16
    return ((1.0 if len(shape) == 1 and "weight" in name else 0.0) + values / np.sqrt(fan_in)).astype(np.float32)


def image_of(size):
    """One image, (1, size, size, 3) uint8."""
    return np.random.default_rng(size).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
