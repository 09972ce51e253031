"""The contract of an export format, and the checks of its options that need no heavy import."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmtrain.data.encode import Fitted
from mmtrain.errors import Problem, UsageError, did_you_mean, listed
from mmtrain.registry import Registry

Array = np.ndarray[Any, Any]
Inputs = Literal["raw", "encoded"]
EXACT = 1e-5
"""Tolerated difference of predictions of a float32 export from `predict`: sums are taken in another order."""
HALF = 1e-2
"""Tolerated difference if the export or the training computes in 16 bits."""


RESERVED = ("file", "allow_pickle", "self")
"""Names that inputs cannot have: parameters of `numpy.savez` and of methods that take inputs by name."""


@dataclass(frozen=True)
class ExportableModel:
    """The model to be exported. `predictor` computes in float32, also if the training was in mixed precision."""

    source: Path | None
    """model.keras of the run; None for a group of trainings, whose model is in no file."""
    whole: Any
    """The model in that file, or that of the group."""
    fitted: Fitted
    predictor: Any
    """The network after the preprocessing; for a group that is exported with its preprocessing None."""
    inputs: Mapping[str, str]
    """Names in the export by Keras input, see `plain_names`."""
    outputs: Mapping[str, str]
    """Names of the outputs by target."""
    mixed: bool = False
    """True if the trained network computes in 16 bits."""
    calibration: list[dict[str, Array]] = field(default_factory=list)
    """Encoded training rows, a batch of one row each, by Keras input; only for int8."""


@dataclass(frozen=True)
class Format:
    """An export format: its inputs, its tolerance, and the function that writes it."""

    name: str
    inputs: Inputs
    file: str
    """File or folder of the model in the export's folder, written by `write`."""
    tolerances: Mapping[str, float | None]
    """Tolerated difference from `predict` by quantization, `""` being none; None if the scores alone decide."""
    write: Callable[[ExportableModel, Path, str], dict[str, Any]]
    """`write(exportable, path, quantize)` makes the file and returns facts for the signature. Raises RunError."""
    run: Callable[[Path, Mapping[str, Array], Sequence[Path]], dict[str, Array]]
    """`run(path, inputs, code)` returns the outputs of that file, by the program next to it in a fresh process. Raises RunError."""
    usage: str
    """Command that runs that program on the example; `{code}` stands for the options of files with the user's layers."""
    served: bool = False
    """True if the outputs are decisions and probabilities (see `serving`) instead of the network's predictions."""
    packages: tuple[str, ...] = ()
    """Modules that must be importable; they come with the extra of the format's name."""
    versions: tuple[str, ...] = ()
    """Distributions whose versions the signature records."""
    why_encoded: str = ""
    runner: Path = Path()
    """The program that runs an export; left out: the file of this name in `runners/`."""

    def __post_init__(self) -> None:
        if self.runner == Path():
            object.__setattr__(self, "runner", Path(__file__).parent / "runners" / f"{self.name}.py")

    def label(self, quantize: str) -> str:
        """`onnx` or `onnx-float16`."""
        return f"{self.name}-{quantize}" if quantize else self.name


export_formats: Registry[Format] = Registry("export format")


def export_format(entry: Format) -> Format:
    """Register a format under its name. Raises ValueError when the name is taken."""
    return export_formats.add(entry.name, entry)


def find_format(name: str, others: Sequence[str] = ()) -> Format:
    """Return the registered format of this name. Raises UsageError, with the nearest name or one of `others`, when there is none."""
    if name not in export_formats:
        known = [*export_formats, *others]
        raise UsageError(Problem("--format", f"expected {listed(known, 'or')}; found {name!r}.", did_you_mean(name, known)))
    return export_formats[name]


def check_options(chosen: Format, quantize: str, inputs: Inputs | None) -> None:
    """Raise UsageError, with every problem, for options that the format or this installation does not support."""
    problems = []
    known = [name for name in chosen.tolerances if name]
    if quantize not in chosen.tolerances:
        able = [name for name, entry in export_formats.items() if len(entry.tolerances) > 1]
        fix = f"It can be quantized to {listed(known, 'or')}." if known else f"Formats that can be quantized are {listed(able)}."
        problems.append(Problem("--quantize", f"the format {chosen.name} cannot be quantized to {quantize}.", fix))
    if inputs is not None and inputs != chosen.inputs:
        others = [name for name, entry in export_formats.items() if entry.inputs == inputs]
        fix = (
            f"Leave --inputs out, {chosen.why_encoded}" if chosen.inputs == "encoded" else f"For encoded inputs use {listed(others, 'or')}."
        )
        problems.append(Problem("--inputs", f"the format {chosen.name} takes {chosen.inputs} inputs only.", fix))
    missing = [name for name in chosen.packages if find_spec(name) is None]
    if missing:
        needs = f"this format needs {listed(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed."
        problems.append(Problem(f"--format {chosen.name}", needs, f"Run `pip install 'mmtrain[{chosen.name}]'`."))
    if problems:
        raise UsageError(problems)


def plain_names(keys: Iterable[str]) -> dict[str, str]:
    """Return a name for every key that is valid in every format: letters, digits and `_`, not a keyword of Python, each once.

    Names that differ by case only are numbered as well: in a signature of TensorFlow, `Age` and `age` are the same.

    >>> plain_names(["Age", "age (years)", "AGE", "class"])
    {'Age': 'Age', 'age (years)': 'age_years', 'AGE': 'AGE_2', 'class': 'column_class'}
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    for key in keys:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_") or "unnamed"
        plain = plain if plain[0].isalpha() and not iskeyword(plain) and plain not in RESERVED else f"column_{plain}"
        name = plain
        # Numbered until free, as `age_2` may be the name of another column.
        while name.casefold() in taken:
            numbers[plain] = numbers.get(plain, 1) + 1
            name = f"{plain}_{numbers[plain]}"
        taken.add(name.casefold())
        names[key] = name
    return names
