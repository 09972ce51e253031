"""Presets of `mmtrain fit`: settings for a quick, a good or the best result, in the places where the experiment file gives none.

    quick   one training with the branches, the fusion and the training that `init` writes for such columns and so many rows
    good    the same; images begin with a pretrained encoder whose weights are at hand, and 5 folds are trained
    best    the same with outer test rows; a search over a small space comes first, and its best experiment is trained on the folds

What the file or an override says is never changed. Settings that were chosen for each other are set together or not at all: a rate for
Adam, for example, is not given to another optimizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmtrain import config
from mmtrain.columns import images_among
from mmtrain.config import Experiment
from mmtrain.config.in_memory import InMemory
from mmtrain.config.load import REPEATS
from mmtrain.config.yaml_source import NotInFile, Source, read
from mmtrain.data.tables.read_table import read_tolerantly
from mmtrain.errors import DataError
from mmtrain.pipeline.encoder_speed import MOST_MINUTES, encoder_at_hand
from mmtrain.pipeline.recipes import ENCODED_IMAGES, recipe_for
from mmtrain.pipeline.search.experiment_tree import put, value_at

Preset = Literal["quick", "good", "best"]
FOLDS = 5
"""Folds of the presets good and best; five are the custom, and each training has four fifths of the rows."""
TEST_SHARE = 0.15
"""Outer test rows of the preset best: its search has seen the rows of all folds."""
TRIALS = 20
"""Trials of the preset best; on the clinic data, 20 took three times as long as the training of five folds."""
SEARCH_SHARE = 0.4
"""Share of `training.minutes` that the search of the preset best has."""
ADAPTED = ("optimizer", "momentum", "learning_rate", "schedule", "weight_decay", "batch_size", "stages")
"""Settings of a training that a recipe chooses for each other."""


@dataclass(frozen=True)
class PresetSetting:
    """A setting that the file leaves open, and the reason for its value."""

    path: tuple[str, ...]
    value: Any
    why: str


@dataclass(frozen=True)
class WithPreset:
    """An experiment with the settings of a preset; see `NotInFile`."""

    original: Path | NotInFile
    preset: Preset
    settings: tuple[PresetSetting, ...]

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.original if isinstance(self.original, Path) else self.original.path

    def source(self) -> Source:
        """Return the tree of the file with the settings; a mistake in one of them has the place of what is around it."""
        source = read(self.original)
        for setting in self.settings:
            put(source.tree, setting.path, InMemory({"value": setting.value}, Path()).source().tree["value"])
        return source

    @property
    def header(self) -> str:
        """The comments at the top of the resolved file."""
        if not self.settings:
            return f"{REPEATS}# `--preset {self.preset}` has set nothing: the experiment file gives all of its settings.\n"
        lines = [f"#   {'.'.join(one.path)}: {_shown(one.value)}  ({one.why})\n" for one in self.settings]
        return f"{REPEATS}# Set by `--preset {self.preset}`, where the experiment file says nothing:\n{''.join(lines)}"


def with_preset(path: Path | NotInFile, preset: Preset, overrides: Iterable[str] = ()) -> WithPreset:
    """Return the experiment at `path` with the settings of a preset that neither the file nor an override gives.

    Raises ConfigError for mistakes of the file.
    """
    experiment, tree = config.load(path, overrides), read(path, overrides).tree
    rows = _rows(experiment)
    settings = [*_recipe(tree, experiment, rows)]
    if preset != "quick":
        settings = [*_encoders(tree, experiment, rows), *settings, *_folds(tree, experiment)]
    if preset == "best":
        settings += _search(tree, experiment)
    return WithPreset(path, preset, tuple(settings))


def _rows(experiment: Experiment) -> int:
    """Return the number of rows of the table; 1 for a table with mistakes, which are reported later with all others."""
    data = experiment.data
    with suppress(DataError):
        table = read_tolerantly(data.table, experiment.targets, missing_values=data.missing_values, table_format=data.format).table
        return 1 if table is None else max(1, len(table))
    return 1


def _recipe(tree: Mapping[str, Any], experiment: Experiment, rows: int) -> Iterator[PresetSetting]:
    """Yield the network and the training that `init` would write for the columns."""
    recipe = recipe_for((column.role for column in experiment.inputs.values()), rows)
    why = f"as `init` chooses it for these columns and {rows:,} rows"
    if tree.get("branches") is None and tree.get("fusion") is None:
        yield from (PresetSetting((key,), recipe[key], why) for key in ("branches", "fusion") if key in recipe)
    given = tree.get("training") if isinstance(tree.get("training"), dict) else {}
    own = {key for key, value in (given or {}).items() if value is not None}
    for key, value in recipe["training"].items():
        others = ADAPTED if key in ADAPTED else ("epochs", "stages") if key == "epochs" else (key,)
        if own.isdisjoint(others):
            yield PresetSetting(("training", key), value, why)


def _encoders(tree: Mapping[str, Any], experiment: Experiment, rows: int) -> Iterator[PresetSetting]:
    """Yield branches with a pretrained encoder for images, if one is at hand that reads all of them in minutes."""
    images = images_among(experiment.columns)
    free = [key for key in images if not set(value_at(tree, ("columns", key)) or ()) - {"role", "column", "missing", "suffix"}]
    if tree.get("branches") is not None or not free:
        return
    encoder = encoder_at_hand("images")
    if encoder is None or rows * len(free) / encoder[1].per_second / 60 > MOST_MINUTES["images"]:
        return
    why = f"{encoder[0]} is at hand"
    for key in free:
        yield from (PresetSetting(("columns", key, name), value, why) for name, value in ENCODED_IMAGES.items())
    branches = {
        key: {"columns": list(branch.columns), **({"architecture": "pretrained", "model": encoder[0]} if branch.columns[0] in free else {})}
        for key, branch in experiment.branches.items()
    }
    yield PresetSetting(("branches",), branches, why)


def _folds(tree: Mapping[str, Any], experiment: Experiment) -> Iterator[PresetSetting]:
    """Yield folds for a split that has them and does not take its parts from the table."""
    if "folds" in type(experiment.split).model_fields and experiment.split.method != "column" and _open(tree, "split", "folds"):
        yield PresetSetting(("split", "folds"), FOLDS, "each row is scored by a training that has not seen it")


def _search(tree: Mapping[str, Any], experiment: Experiment) -> Iterator[PresetSetting]:
    """Yield outer test rows, and the limits of the search."""
    if "test" in type(experiment.split).model_fields and experiment.split.method != "column" and _open(tree, "split", "test"):
        yield PresetSetting(("split", "test"), TEST_SHARE, "neither the search nor a fold sees these rows")
    if _open(tree, "tune", "trials"):
        yield PresetSetting(("tune", "trials"), TRIALS, "at most, before the folds are trained")
    minutes = experiment.training.minutes
    if minutes is not None and _open(tree, "tune", "minutes"):
        yield PresetSetting(("tune", "minutes"), round(SEARCH_SHARE * minutes, 3), f"{SEARCH_SHARE:.0%} of `training.minutes`")


def _open(tree: Mapping[str, Any], *path: str) -> bool:
    return value_at(tree, path) is None


def _shown(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
