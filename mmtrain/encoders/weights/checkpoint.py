"""The weights of one network, in one file or in shards, and the reader of each format.

>>> list(CONTAINERS)
['.safetensors', '.pth', '.pt', '.bin', '.h5']
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from mmtrain.encoders.weights.files import Array, KerasFile, SafetensorsFile, WeightFile
from mmtrain.encoders.weights.torch_file import TorchFile
from mmtrain.errors import Problem, RunError

CONTAINERS: Mapping[str, type[WeightFile]] = {
    ".safetensors": SafetensorsFile,
    ".pth": TorchFile,
    ".pt": TorchFile,
    ".bin": TorchFile,
    ".h5": KerasFile,
}
"""Readers by the end of a file's name."""


class Checkpoint:
    """The weights of one network, in one file or in shards, and the `config.json` next to them."""

    def __init__(self, place: Path, files: tuple[Path, ...], config: Mapping[str, Any]) -> None:
        """Open the `files` of weights at `place`, a file or a folder. Raises RunError for a damaged file or a name in two of them."""
        self.place = place
        self.config = config
        self._file_of: dict[str, WeightFile] = {}
        self.paths = files
        for path in files:
            weights = CONTAINERS[path.suffix](path)
            if twice := sorted(self._file_of.keys() & weights.shapes):
                raise RunError(Problem(str(path), f"the weight `{twice[0]}` is also in another file of the folder.", "Keep one of them."))
            self._file_of |= dict.fromkeys(weights.shapes, weights)
        self.shapes = {name: file.shapes[name] for name, file in self._file_of.items()}
        """Shape of every array by its name."""

    def read(self, name: str) -> Array:
        """Return one array as float32."""
        return self._file_of[name].read(name)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the files' bytes: of several, of their digests in order."""
        digests = []
        for path in self.paths:
            with path.open("rb") as file:
                digests.append(file_digest(file, "sha256").hexdigest())
        return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()
