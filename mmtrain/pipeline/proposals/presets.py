"""Presets of `mmtrain fit`: settings for a quick, a good or the best result, in the places where the experiment file gives none.

    quick   one training with the branches, the fusion and the training that `init` writes for such columns and so many rows
    good    the same; images and texts are read by pretrained encoders whose weights are at hand, and 5 folds are trained
    best    the same with outer test rows; a search over a small space comes first, and its best experiment is trained on the folds

What the file or an override says is never changed. Settings that were chosen for each other are set together or not at all: a rate for
Adam, for example, is not given to another optimizer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

from mmtrain import config
from mmtrain.branches import Branch
from mmtrain.config import Experiment
from mmtrain.config.in_memory import InMemory
from mmtrain.config.load import REPEATS
from mmtrain.config.yaml_source import NotInFile, Source, read
from mmtrain.data.tables.read_table import ReadOptions, read_tolerantly
from mmtrain.errors import DataError
from mmtrain.pipeline.proposals.encoder_speed import MOST_MINUTES, encoder_at_hand
from mmtrain.pipeline.proposals.recipes import ENCODED_IMAGES, recipe_for
from mmtrain.pipeline.search.experiment_tree import put, value_at

Preset = Literal["quick", "good", "best"]
PLAIN_OPTIONS = {"role", "column", "missing", "suffix"}
"""Options of a column of images or texts that leave open how it is read."""
FOLDS = 5
"""Folds of the presets good and best; five are the custom, and each training has four fifths of the rows."""
TEST_SHARE = 0.15
"""Outer test rows of the preset best: its search has seen the rows of all folds."""
TRIALS = 20
"""Trials of the preset best; on the clinic data, 20 took three times as long as the training of five folds."""
FOLDS_OF_TRIALS, ROWS_OF_FOLDS = 3, 2_000
"""Folds of each trial of the preset best, and the rows up to which it has them: with more, the validation rows compare trials as well.
On 400 scans (benchmarks/LOG.md), the best of 20 trials by 80 validation rows was far worse on test rows than the file."""
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
    encoders = _encoders(tree, experiment, rows) if preset != "quick" else []
    # The branches of the encoders are all of them.
    further = [one.value["role"] for one in encoders if one.path[0] == "columns" and isinstance(one.value, dict)]
    recipe = _recipe(tree, experiment, rows, further)
    settings = [*encoders, *(one for one in recipe if not encoders or one.path != ("branches",))]
    if preset != "quick":
        settings += _folds(tree, experiment)
    if preset == "best":
        settings += _search(tree, experiment, rows)
    return WithPreset(path, preset, tuple(settings))


def _rows(experiment: Experiment) -> int:
    """Return the number of rows of the table; 1 for a table with mistakes, which are reported later with all others."""
    data = experiment.data
    with suppress(DataError):
        options = ReadOptions(missing_values=data.missing_values, table_format=data.format, tables=data.tables)
        table = read_tolerantly(data.table, experiment.targets, **options).table
        return 1 if table is None else max(1, len(table))
    return 1


def _recipe(tree: Mapping[str, Any], experiment: Experiment, rows: int, further: Iterable[str] = ()) -> Iterator[PresetSetting]:
    """Yield the network and the training that `init` would write for the columns, and `further` ones of these roles."""
    recipe = recipe_for((*(column.role for column in experiment.inputs.values()), *further), rows)
    why = f"as `init` chooses it for these columns and {rows:,} rows"
    if tree.get("branches") is None and tree.get("fusion") is None:
        yield from (PresetSetting((key,), recipe[key], why) for key in ("branches", "fusion") if key in recipe)
    given = tree.get("training") if isinstance(tree.get("training"), dict) else {}
    written = {key for key, value in (given or {}).items() if value is not None}
    for key, value in recipe["training"].items():
        others = ADAPTED if key in ADAPTED else ("epochs", "stages") if key == "epochs" else (key,)
        if written.isdisjoint(others):
            yield PresetSetting(("training", key), value, why)


def _encoders(tree: Mapping[str, Any], experiment: Experiment, rows: int) -> list[PresetSetting]:
    """Return branches with pretrained encoders for images and texts, where one is at hand that reads all of them in minutes.

    As `init` writes it, images are read by the encoder alone, and texts by their words and, in a second column, by the encoder.
    """
    if tree.get("branches") is not None:
        return []
    images, texts = _encoder(tree, experiment, rows, "images"), _encoder(tree, experiment, rows, "texts")
    further = ["text"] * len(texts.columns)
    table = recipe_for((*(column.role for column in experiment.inputs.values()), *further), rows).get("branches")
    branches: dict[str, dict[str, Any]] = {
        key: {"columns": list(branch.columns)} | ({"architecture": table} if table and not _has_own_branch(experiment, branch) else {})
        for key, branch in experiment.branches.items()
    }
    settings: list[PresetSetting] = []
    models: list[str] = []
    for key in images.columns:
        settings += [PresetSetting(("columns", key, name), value, images.why) for name, value in ENCODED_IMAGES.items()]
        branches[key] = {"columns": [key], "architecture": "pretrained", "model": images.model}
        models.append(images.why)
    for key in texts.columns:
        meaning = _unused(f"{key}_meaning", {*experiment.columns, *branches})
        column = {"column": experiment.columns[key].column, "role": "text"}
        settings.append(PresetSetting(("columns", meaning), column, f"the same texts, for {texts.model}"))
        branches[meaning] = {"columns": [meaning], "architecture": "pretrained", "model": texts.model}
        models.append(texts.why)
    return [*settings, PresetSetting(("branches",), branches, "; ".join(dict.fromkeys(models)))] if models else []


def _has_own_branch(experiment: Experiment, branch: Branch) -> bool:
    return experiment.inputs[branch.columns[0]].own_branch


@dataclass(frozen=True)
class _Encoder:
    """An encoder, and the columns of a content that it may read: those of which the file says no more than the role."""

    model: str = ""
    columns: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        return f"{self.model} is at hand"


def _encoder(tree: Mapping[str, Any], experiment: Experiment, rows: int, content: Literal["images", "texts"]) -> _Encoder:
    free = tuple(
        key
        for key, column in experiment.inputs.items()
        # Volumes and recordings are images that no encoder reads.
        if column.content == content
        and "encoder" in type(column).model_fields
        and not set(value_at(tree, ("columns", key)) or ()) - PLAIN_OPTIONS
    )
    encoder = encoder_at_hand(content) if free else None
    if encoder is None or rows * len(free) / encoder[1].per_second / 60 > MOST_MINUTES[content]:
        return _Encoder()
    return _Encoder(encoder[0], free)


def _unused(name: str, taken: Collection[str]) -> str:
    tries = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(one for one in tries if one not in taken)


def _folds(tree: Mapping[str, Any], experiment: Experiment) -> Iterator[PresetSetting]:
    """Yield folds for a split that has them and does not take its parts from the table."""
    if "folds" in type(experiment.split).model_fields and experiment.split.method != "column" and _open(tree, "split", "folds"):
        yield PresetSetting(("split", "folds"), FOLDS, "each row is scored by a training that has not seen it")


def _search(tree: Mapping[str, Any], experiment: Experiment, rows: int) -> Iterator[PresetSetting]:
    """Yield outer test rows, and the limits of the search."""
    if "test" in type(experiment.split).model_fields and experiment.split.method != "column" and _open(tree, "split", "test"):
        yield PresetSetting(("split", "test"), TEST_SHARE, "neither the search nor a fold sees these rows")
    if _open(tree, "tune", "trials"):
        yield PresetSetting(("tune", "trials"), TRIALS, "at most, before the folds are trained")
    if rows <= ROWS_OF_FOLDS and experiment.split.method != "time" and _open(tree, "tune", "folds"):
        yield PresetSetting(("tune", "folds"), FOLDS_OF_TRIALS, f"few of the {rows:,} rows are validation rows, which compare trials alone")
    minutes = experiment.training.minutes
    if minutes is not None and _open(tree, "tune", "minutes"):
        yield PresetSetting(("tune", "minutes"), float(f"{SEARCH_SHARE * minutes:.3g}"), f"{SEARCH_SHARE:.0%} of `training.minutes`")


def _open(tree: Mapping[str, Any], *path: str) -> bool:
    return value_at(tree, path) is None


def _shown(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
