"""Rules between sections. Each takes the valid parts of the tree and yields located problems.

A rule ignores an invalid part and everything that depends on it, since validation has reported it already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mmtrain.columns import role_class, roles
from mmtrain.columns.base import Purpose, input_roles
from mmtrain.config.experiment import Experiment
from mmtrain.config.monitors import stopping_rule
from mmtrain.config.sections.training import group_names, groups_below
from mmtrain.config.sections.tune import search_score
from mmtrain.config.validation.network_checks import NETWORK_RULES
from mmtrain.config.validation.partial_validation import ValidParts, as_number, has_only, valid_parts
from mmtrain.config.validation.target_checks import TARGET_RULES
from mmtrain.config.yaml_source import LocatedProblem, Location
from mmtrain.errors import did_you_mean, listed
from mmtrain.splits import SplitMethod, split_methods
from mmtrain.targets import TaskTraits, tasks


def located_problems(tree: dict[str, Any]) -> list[LocatedProblem]:
    """Return the problems of all rules."""
    sound = valid_parts(tree)
    return [problem for rule in RULES for problem in rule(sound)]


def _needed_roles(sound: ValidParts) -> Iterator[LocatedProblem]:
    """At least one target and one input."""
    if sound.whole and not sound.targets:
        yield ("columns",), "no column has the role `target`.", "Say what is to be predicted: `diagnosis: {role: target, task: binary}`."
    if sound.whole and not sound.inputs:
        yield ("columns",), "no column feeds the network.", f"Give at least one column the role {listed(input_roles(), 'or')}."


def _single_roles(sound: ValidParts) -> Iterator[LocatedProblem]:
    """At most one group, id, split, time and weight."""
    for purpose in SINGLE:
        keys = _keys_for(sound, purpose)
        for key in keys[1:]:
            name = _role_for(purpose)
            what = f"a second column with the role `{name}`, after {keys[0]!r}."
            yield ("columns", key), what, f"Only one column can have it; remove one of the two, or its role `{name}`."


def _keys_for(sound: ValidParts, purpose: Purpose) -> list[str]:
    return [key for key, column in sound.columns.items() if column is not None and column.purpose == purpose]


def _role_for(purpose: Purpose) -> str:
    """Return the first role that was registered for the purpose."""
    return next(name for name in roles if role_class(name).purpose == purpose)


def _answers_as_inputs(sound: ValidParts) -> Iterator[LocatedProblem]:
    """No answer among the inputs."""
    answers = {header: key for key, target in sound.targets.items() for header in target.reads()}
    for key, column in sound.inputs.items():
        for header in column.reads():
            if header in answers:
                what = f"the header {header!r} is read by the target {answers[header]!r} and by this input."
                yield ("columns", key), what, "Remove one of the two; a network that reads its answer learns nothing."


def _keys(sound: ValidParts) -> Iterator[LocatedProblem]:
    """No key that collides with the presence input of another column, or that cannot name a tensor."""
    for key in sound.columns:
        remedy = f"Choose another key and name the header: `other_name: {{column: {key or 'header'}, ...}}`."
        base = key.removesuffix("_present")
        if base != key and base in sound.inputs:
            yield ("columns", key), f"the name is taken: it says for each row whether {base!r} is present.", remedy
        if "/" in key or not key.strip():
            yield ("columns", key), "a key cannot be empty or hold a slash.", remedy


def _split_method(sound: ValidParts) -> tuple[dict[str, Any], SplitMethod] | None:
    """Return the split section with its method, or None if it names no known method."""
    split = sound.tree.get("split")
    if not isinstance(split, dict) or not isinstance(split.get("method"), str) or split["method"] not in split_methods:
        return None
    return split, split_methods[split["method"]]


def _fractions(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Some rows are left to train on."""
    chosen = _split_method(sound)
    # With folds, validation is a share of other rows than test.
    if chosen is None or not chosen[1].shares_all_rows or chosen[0].get("folds") is not None:
        return
    split, fields = chosen[0], chosen[1].section.model_fields
    given = {key: fields[key].default if split.get(key) is None else split[key] for key in ("validation", "test")}
    shares = {key: as_number(value) for key, value in given.items()}
    known = [share for share in shares.values() if share is not None and 0 <= share < 1]
    # Options with a mistake of their own are reported by their section.
    if len(known) == len(shares) and sum(known) >= 1:
        what = f"validation {given['validation']} and test {given['test']} leave nothing to train on."
        yield ("split",), what, "Together they have to stay below 1."


def _repeats(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that repeats have folds."""
    chosen = _split_method(sound)
    if chosen is None or "repeats" not in chosen[1].section.model_fields or chosen[0].get("folds") is not None:
        return
    repeats = as_number(chosen[0].get("repeats"))
    if repeats is not None and repeats > 1:
        what = "without folds, a repeat would be the same training again."
        yield ("split", "repeats"), what, "Set `folds` as well, or `training.seeds` for trainings with other seeds."


def _split_columns(sound: ValidParts) -> Iterator[LocatedProblem]:
    """The columns that the split method needs exist, and no column is for another method."""
    chosen = _split_method(sound)
    # A misspelt option may be the one that is missed here.
    if chosen is None or not has_only(chosen[0], chosen[1].section) or not has_only(sound.tree, Experiment):
        return
    method, needs = chosen[0]["method"], chosen[1].needs
    for need, (purpose, example) in DIVIDING.items():
        columns = _keys_for(sound, purpose)
        name = _role_for(purpose)
        if needs == need and sound.whole and not columns:
            fix = f"Declare it under `columns`: `{example}: {{role: {name}}}`."
            yield ("split", "method"), f"`{method}` needs a column with the role `{name}`.", fix
        if needs != need and columns:
            able = [f"`split: {{method: {other}}}`" for other, entry in split_methods.items() if entry.needs == need]
            what = f"the role `{name}` is not used by the split method `{method}`."
            yield ("columns", columns[0]), what, f"Set {listed(able, 'or')}, or remove the column."
    if needs == "labels" and sound.whole and sound.targets and not any(target.stratifies for target in sound.targets.values()):
        able = sorted(name for name, task in tasks.items() if task.stratifies)
        yield ("split", "method"), f"`{method}` needs a {listed(able, 'or')} target.", "Set `method: random`."


def _decisions(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Calibration, threshold and conformal bound need a target that they apply to."""
    section = sound.tree.get("evaluation")
    if not isinstance(section, dict) or not sound.whole or not sound.targets:
        return
    for key, fits in DECIDED:
        if section.get(key) not in (None, "none") and not any(fits(type(target)) for target in sound.targets.values()):
            able = sorted(name for name, task in tasks.items() if fits(task))
            yield ("evaluation", key), f"`{key}` needs a target with the task {listed(able, 'or')}.", "Leave it out, or add such a target."


def _options_of_others(sound: ValidParts) -> Iterator[LocatedProblem]:
    """No option that has no effect with the other options of its column."""
    for key, column in sound.inputs.items():
        if key in sound.flawed:
            continue
        for option, (what, fix) in column.options_without_effect().items():
            yield ("columns", key, option), what, fix


def _unread_headers(sound: ValidParts) -> Iterator[LocatedProblem]:
    """No column names a header under `column` while other options, such as `columns`, say what it reads."""
    for key, column in {**sound.inputs, **sound.targets}.items():
        if key not in sound.flawed and column.column != key and column.column not in column.reads():
            what = f"`column` has no effect here: {listed(column.reads())} {'is' if len(column.reads()) == 1 else 'are'} read."
            yield ("columns", key, "column"), what, "Leave it out."


def _stage_groups(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Stages name parameter groups that the network has."""
    training = sound.tree.get("training")
    stages = training.get("stages") if isinstance(training, dict) else None
    if not isinstance(stages, list) or not sound.whole or not sound.branches:
        return
    groups = group_names({key: branch.groups if branch else () for key, branch in sound.branches.items()}, sound.targets)
    names = (*groups, "branches", "targets")
    for number, stage in enumerate(stages):
        for key in ("unfreeze", "learning_rate"):
            named = stage.get(key) if isinstance(stage, dict) else None
            for place, name in enumerate(named) if isinstance(named, list | dict) else ():
                if isinstance(name, str) and not groups_below([name], groups):
                    where: Location = ("training", "stages", number, key, place if isinstance(named, list) else name)
                    yield where, f"there is no parameter group {name!r}.", did_you_mean(name, names) or f"The groups are {listed(names)}."


DECIDED: tuple[tuple[str, Callable[[type[TaskTraits]], bool]], ...] = (
    ("calibration", lambda task: task.calibratable),
    ("threshold", lambda task: task.thresholdable),
    ("conformal", lambda task: task.conformal != "none"),
)
"""Options of `evaluation`, and the tasks that they apply to; targets of other tasks ignore them."""
SINGLE: tuple[Purpose, ...] = ("grouping", "naming", "assigning", "ordering", "weighting")
"""Purposes that one column of an experiment can have."""
DIVIDING: dict[str, tuple[Purpose, str]] = {"given": ("assigning", "part"), "times": ("ordering", "date")}
"""Needs of split methods: the purpose of the column that meets it, and an example header."""
RULES = (
    _needed_roles,
    _single_roles,
    _answers_as_inputs,
    _keys,
    *NETWORK_RULES,
    _fractions,
    _repeats,
    _split_columns,
    _decisions,
    *TARGET_RULES,
    _options_of_others,
    _unread_headers,
    _stage_groups,
    stopping_rule,
    search_score,
)
