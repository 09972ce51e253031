"""The search space: settings of an experiment by their dotted keys, each checked by the rules of the experiment before any trial.

A trial's experiment is the file's tree with the trial's values in it, validated like a file. Values that only one architecture or method
knows are left out of trials with another one, and so are options of the file that another choice does not have.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmtrain.columns import images_among
from mmtrain.config import Experiment
from mmtrain.config.defaults import fill_defaults
from mmtrain.config.in_memory import InMemory
from mmtrain.config.load import validate_tree
from mmtrain.config.sections.training import UNTRIED
from mmtrain.config.sections.tune import Range, Space
from mmtrain.config.yaml_source import Origin, Source, read
from mmtrain.errors import ConfigError, Problem, did_you_mean, listed
from mmtrain.pipeline.search.experiment_tree import choice_at, drop_options_of_others, is_option, put, sections_of, value_at

SEARCHED = ("branches", "columns", "fusion", "training")
"""Sections of the file that a search may vary."""
FIXED: Mapping[str, str] = {
    "training.minutes": "trials have the epochs of the experiment; `tune.minutes` is the budget of a search.",
    "training.seed": "another seed changes a score at random, so the search would choose the luckiest one.",
    "training.callbacks": "trials have no callbacks.",
    "training.trackers": "trials have no trackers.",
    "training.tensorboard": "trials write no logs of TensorBoard.",
    "training.early_stopping.monitor": "trials with another monitored score cannot be compared.",
    "training.early_stopping.direction": "it follows from the monitored score.",
}
FIXED_OF_COLUMNS = ("role", "column", "missing", "task", "positive")
"""Options of a column that decide which rows or labels there are."""
LOSS_SETTINGS = ("class_weights", "loss", "loss_weight", "transform")
"""Settings that change the unit of the loss."""


@dataclass(frozen=True)
class Setting:
    """One setting of the space: a range of numbers, or choices."""

    key: str
    """Its dotted key, as in `--set`."""
    choices: tuple[Any, ...] = ()
    """Plain values; empty for a range."""
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """The keys from the top of the file down."""
        return tuple(self.key.split("."))

    @property
    def chooses_section(self) -> bool:
        """True if the options around it depend on it."""
        return bool(sections_of(self.path))

    def extremes(self) -> tuple[tuple[str, Any], ...]:
        """Return the values whose validity implies that of all others, with their names for messages."""
        if self.choices:
            return tuple((f"choice {number}", choice) for number, choice in enumerate(self.choices, start=1))
        return ("low", self.number(self.low)), ("high", self.number(self.high))

    def number(self, value: float) -> float | int:
        """Return a number of the range as the file would have it, with four digits.

        >>> Setting("training.learning_rate", low=1e-4, high=1e-2).number(0.00123456)
        0.001235
        >>> Setting("fusion.dropout", low=0, high=0.5).number(0.00123456)
        0.0012
        >>> Setting("training.batch_size", low=8, high=64, whole=True).number(17.0)
        17
        """
        if self.whole or (float(value).is_integer() and abs(value) < 1e9):
            return round(value)
        # Digits of the value where any factor is as likely, of the range where any sum is.
        digits = 3 - math.floor(math.log10(abs(value) if self.log else self.high - self.low))
        return min(self.high, max(self.low, round(value, digits)))


@dataclass(frozen=True)
class SearchSpace:
    """The tree of an experiment file, every default filled in, and the settings that trials change in it."""

    tree: dict[str, Any]
    path: Path
    """The file's path; it gives the experiment its name."""
    settings: tuple[Setting, ...]
    experiment: Experiment
    """The experiment of the file's own values."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The file's own value of every setting whose range or choices include it."""
    row_choices: Mapping[str, Any] = field(default_factory=dict)
    """The file's value, by dotted key, of settings that `frozen` replaced by the outcome of a trial on rows, not on the device alone."""

    def trial_experiment(self, values: Mapping[str, Any]) -> Experiment:
        """Return the experiment with these values by key. Raises ConfigError if they exclude each other."""
        tree = self._changed_tree(values)
        experiment, located = validate_tree(fill_defaults(tree, self.path))
        if located or experiment is None:
            raise ConfigError(Source(self.path.name, tree).problems(located))
        return experiment

    def applies(self, setting: Setting, values: Mapping[str, Any]) -> bool:
        """Return True if the setting is an option of the sections that `values` have chosen so far."""
        return is_option(self._changed_tree(values), setting.path)

    def frozen(self, decided: Experiment) -> SearchSpace:
        """Return the space with the decisions of the trial on the device in place of `auto`, except for settings that are varied."""
        keys = {setting.key for setting in self.settings}
        tree = copy.deepcopy(self.tree)
        row_choices = {}
        if self.experiment.training.learning_rate == "auto" and "training.learning_rate" not in keys:
            row_choices["training.learning_rate"] = "auto"
        if self.experiment.fusion.trial and "fusion.method" not in keys:
            row_choices["fusion"] = copy.deepcopy(self.tree["fusion"])
        for name in UNTRIED:
            if f"training.{name}" not in keys:
                put(tree, ("training", name), _as_text(getattr(decided.training, name)))
        for name, branch in decided.branches.items():
            before, after = self.experiment.branches[name].pretrained(), branch.pretrained()
            if before is not None and after is not None and before.tune == "auto" and f"branches.{name}.tune" not in keys:
                put(tree, ("branches", name, "tune"), after.tune)
        # The fusion that a trial chose, without the list of those to be tried.
        if "fusion" in row_choices:
            tree["fusion"] = _as_text(decided.fusion.model_dump(mode="json"))
        elif isinstance(tree.get("fusion"), dict):
            tree["fusion"].pop("trial", None)
        experiment, _ = validate_tree(fill_defaults(tree, self.path))
        return replace(self, tree=tree, experiment=experiment or self.experiment, row_choices=row_choices)

    def reopened(self) -> SearchSpace:
        """Return the space with `row_choices` as the file has them, for other rows to decide on; the same space without any."""
        tree = copy.deepcopy(self.tree)
        for key, value in self.row_choices.items():
            put(tree, tuple(key.split(".")), copy.deepcopy(value))
        space = replace(self, tree=tree, row_choices={})
        return replace(space, experiment=space.trial_experiment({})) if self.row_choices else space

    def _changed_tree(self, values: Mapping[str, Any]) -> dict[str, Any]:
        tree = copy.deepcopy(self.tree)
        for key, value in values.items():
            put(tree, tuple(key.split(".")), _as_text(value))
        drop_options_of_others(tree, values)
        return tree


def load_space(origin: Origin, space: Space, experiment: Experiment) -> SearchSpace:
    """Return the checked space of an experiment.

    Args:
        origin: The file of the experiment, with overrides.
        space: The settings, from the file's section `tune` or proposed for its columns.
        experiment: The experiment of the file, which is valid.

    Raises:
        ConfigError: keys that do not exist, and values that the experiment would refuse, with the line of each.

    """
    path = origin.path if isinstance(origin.path, Path) else origin.path.path
    written = read(origin.path, origin.overrides).tree
    tree = fill_defaults(written, path)
    if value_at(written, ("training", "stages")) is None and isinstance(tree["training"], dict):
        # Stages that tune encoders follow from the epochs, which trials may vary.
        tree["training"].pop("stages", None)
    settings = tuple(_setting(_full_key(tree, key), values) for key, values in space.items())
    unchecked = SearchSpace(tree, path, settings, experiment)
    checked, problems = [], []
    for key, setting in zip(space, settings, strict=True):
        place = origin.place("tune", "space", key)
        setting_problems = [Problem(place, what, fix) for what, fix in dict.fromkeys(_problems(unchecked, setting))]
        problems += setting_problems
        checked.append(setting if setting_problems else _as_whole_numbers(unchecked, setting))
    problems += _loss_problems(experiment, origin, settings)
    if problems:
        raise ConfigError(problems)
    return replace(unchecked, settings=tuple(checked), values=_file_values(experiment, checked))


def _full_key(tree: dict[str, Any], key: str) -> str:
    """Return `fusion.method` for `fusion`, whose choices may be names of methods as in the file."""
    path = tuple(key.split("."))
    choice = choice_at(path)
    chooses = choice is not None and choice.tag not in FIXED_OF_COLUMNS and isinstance(value_at(tree, path), dict)
    return f"{key}.{choice.tag}" if choice is not None and chooses else key


def _setting(key: str, values: Range | tuple[Any, ...]) -> Setting:
    if isinstance(values, Range):
        return Setting(key, low=values.low, high=values.high, log=values.scale == "log")
    return Setting(key, choices=values)


def _as_text(value: Any) -> Any:
    """Return a plain value as the tree of a file has it."""
    return InMemory({"value": value}, Path()).source().tree["value"]


def _problems(space: SearchSpace, setting: Setting) -> Iterator[tuple[str, str]]:
    """Yield the problems of a setting, each with a fix."""
    refusal = _refusal(space.experiment, setting)
    if refusal:
        yield refusal
        return
    around = next((one for one in _choices_around(space, setting) if space.applies(setting, one)), {})
    for name, value in setting.extremes():
        _, located = validate_tree(fill_defaults(space._changed_tree({**around, setting.key: value}), space.path))
        for location, what, fix in located:
            inside = tuple(map(str, location))[: len(setting.path)] == setting.path
            at = "" if inside else f"{'.'.join(map(str, location))}: "
            # An unknown key is one mistake, whatever its values.
            yield (what if what.startswith("unknown key") else f"{name}: {at}{what}"), fix


def _choices_around(space: SearchSpace, setting: Setting) -> Iterator[dict[str, Any]]:
    """Yield the choices of architectures and methods in the space under which the setting may be an option, the file's own first."""
    yield {}
    for other in space.settings:
        if other.chooses_section and other is not setting and setting.path[: len(other.path) - 1] == other.path[:-1]:
            yield from ({other.key: choice} for choice in other.choices)


def _refusal(experiment: Experiment, setting: Setting) -> tuple[str, str] | None:
    """Return the reason why a search cannot vary a setting, with a fix; None if it can."""
    section, *keys = setting.path
    tree = experiment.model_dump(mode="json")
    known = list(tree)
    if section not in SEARCHED:
        hint = did_you_mean(section, SEARCHED) if section not in known else ""
        return f"a search varies the sections {listed(SEARCHED)}, not `{section}`.", hint or "Leave it out."
    for key, why in FIXED.items():
        if setting.key == key or setting.key.startswith(f"{key}."):
            return f"a search cannot vary it: {why}", "Leave it out."
    if section in ("branches", "columns") and (len(keys) < 2 or keys[0] not in tree[section]):
        noun = {"branches": "branch", "columns": "column"}[section]
        if keys and keys[0] in tree[section]:
            return f"this is a whole {noun}.", f"Name one of its options, `{setting.key}.OPTION`."
        names = listed(list(tree[section]))
        return f"there is no {noun} {'.'.join(keys[:1])!r}.", did_you_mean(keys[0] if keys else "", tree[section]) or f"There are {names}."
    if section == "columns":
        return _column_refusal(experiment, keys[0], keys[1])
    return None


def _column_refusal(experiment: Experiment, key: str, option: str) -> tuple[str, str] | None:
    if option in FIXED_OF_COLUMNS:
        return f"`{option}` decides which rows and labels there are, which all trials share.", "Leave it out."
    if key in images_among(experiment.columns) and option != "augment":
        return "images are decoded once for all trials.", f"Only options of `columns.{key}.augment` can be varied."
    return None


def _loss_problems(experiment: Experiment, origin: Origin, settings: Collection[Setting]) -> list[Problem]:
    """Refuse to compare losses of different units."""
    score = search_score(experiment)
    changing = [setting.key for setting in settings if any(part in LOSS_SETTINGS for part in setting.path)]
    if not score.endswith("loss") or score.endswith("log_loss") or not changing:
        return []
    what = f"{score} is optimized, and {listed(changing)} changes its unit, so that trials cannot be compared."
    return [Problem(origin.place("tune", "score"), what, "Set `tune.score` to another score of validation rows.")]


def search_score(experiment: Experiment) -> str:
    """Return the name of the score that a search optimizes."""
    given = experiment.tune.score if experiment.tune is not None else None
    monitor = experiment.training.early_stopping.monitor
    return given or (monitor if monitor.startswith("validation_") else "validation_loss")


def _as_whole_numbers(space: SearchSpace, setting: Setting) -> Setting:
    """Return the setting with whole numbers only, if its ends are whole and the experiment takes no others."""
    if setting.choices or not (setting.low.is_integer() and setting.high.is_integer()):
        return setting
    around = next((one for one in _choices_around(space, setting) if space.applies(setting, one)), {})
    _, located = validate_tree(fill_defaults(space._changed_tree({**around, setting.key: setting.low + 0.5}), space.path))
    return replace(setting, whole=bool(located))


def _file_values(experiment: Experiment, settings: Collection[Setting]) -> dict[str, Any]:
    tree = experiment.model_dump(mode="json")
    values = {setting.key: value_at(tree, setting.path) for setting in settings}
    return {setting.key: values[setting.key] for setting in settings if _includes(setting, values[setting.key])}


def _includes(setting: Setting, value: Any) -> bool:
    if setting.choices:
        return value in setting.choices
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and setting.low <= value <= setting.high
