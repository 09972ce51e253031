"""What has to hold between sections. Each rule takes the sound parts of the tree and says what is wrong where.

A rule stays silent about a part that is broken: validation has reported it already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmtrain.branches import Branch, architectures
from mmtrain.columns import Column, Group, Id, InputColumn, Split, Weight
from mmtrain.config.source import Location
from mmtrain.config.tolerant import as_branches, as_columns
from mmtrain.errors import did_you_mean, listed
from mmtrain.named_score import HIGHER_IS_BETTER, higher_is_better
from mmtrain.targets import BinaryTarget, ClassTarget, MulticlassTarget, MultilabelTarget, RegressionTarget, Target

Finding = tuple[Location, str, str]
"""Where, what was found, what would be right."""


@dataclass(frozen=True)
class Sound:
    """The tree with its defaults, and those of its columns and branches that are sound; None stands for a broken one."""

    tree: dict[str, Any]
    columns: dict[str, Column | None]
    branches: dict[str, Branch | None]

    @property
    def inputs(self) -> dict[str, InputColumn]:
        """Sound input columns."""
        return {key: column for key, column in self.columns.items() if isinstance(column, InputColumn)}

    @property
    def targets(self) -> dict[str, Target]:
        """Sound targets."""
        return {key: column for key, column in self.columns.items() if isinstance(column, Target)}

    @property
    def whole(self) -> bool:
        """Whether every column is sound, so that something absent is really absent."""
        return bool(self.columns) and None not in self.columns.values()


def findings(tree: dict[str, Any]) -> list[Finding]:
    """Everything the rules find."""
    sound = Sound(tree, as_columns(tree.get("columns")), as_branches(tree.get("branches")))
    return [finding for rule in (_roles, _headers, _branch_columns, _kinds, _unused_inputs, _split, _stopping) for finding in rule(sound)]


def _roles(sound: Sound) -> Iterator[Finding]:
    """At least one target and one input; at most one group, id, split and weight."""
    if sound.whole and not sound.targets:
        yield ("columns",), "no column has the role `target`.", "Say what is to be predicted: `diagnosis: {role: target, task: binary}`."
    if sound.whole and not sound.inputs:
        yield ("columns",), "no column feeds the network.", "Give at least one column the role image, numeric, categorical or text."
    for role in (Group, Id, Split, Weight):
        keys = [key for key, column in sound.columns.items() if isinstance(column, role)]
        for key in keys[1:]:
            name = role.__name__.lower()
            yield ("columns", key), f"a second column with the role `{name}`, after {keys[0]!r}.", f"Only one column can be the {name}."


def _headers(sound: Sound) -> Iterator[Finding]:
    """No answer among the inputs, no name that collides with the presence input of another column."""
    answers = {header: key for key, target in sound.targets.items() for header in target.reads()}
    for key, column in sound.inputs.items():
        for header in column.reads():
            if header in answers:
                what = f"{header!r} is the target {answers[header]!r} and an input as well."
                yield ("columns", key), what, "Remove one of the two; a network that reads its answer learns nothing."
    for key in sound.columns:
        if key.endswith("_present") and key.removesuffix("_present") in sound.columns:
            what = f"the name is taken by the presence of {key.removesuffix('_present')!r}."
            yield ("columns", key), what, f"Choose another key and name the header: `other_name: {{column: {key}, ...}}`."
        if "/" in key or not key.strip():
            yield (
                ("columns", key),
                "a key cannot be empty or hold a slash.",
                f"Choose another key and name the header: `other_name: {{column: {key!r}, ...}}`.",
            )


def _branch_columns(sound: Sound) -> Iterator[Finding]:
    """Branches read input columns, each column in one branch only."""
    owner: dict[str, str] = {}
    for name, branch in sound.branches.items():
        for number, key in enumerate(branch.columns if branch is not None else ()):
            where: Location = ("branches", name, "columns", number)
            if key not in sound.columns:
                known = list(sound.inputs)
                yield where, f"there is no column {key!r}.", did_you_mean(key, known) or f"The input columns are {listed(known)}."
            elif key in owner:
                yield (
                    where,
                    f"the column {key!r} is read by the branch {owner[key]!r} already.",
                    f"Leave it in one branch, or declare it twice: `{key}_2: {{column: {key}, ...}}`.",
                )
            elif sound.columns[key] is not None and key not in sound.inputs:
                role = getattr(sound.columns[key], "role", "")
                yield (
                    where,
                    f"the column {key!r} has the role `{role}`, which feeds no branch.",
                    "A branch reads image, numeric, categorical and text columns.",
                )
            owner.setdefault(key, name)


def _kinds(sound: Sound) -> Iterator[Finding]:
    """An architecture gets only kinds that it takes, and not more columns."""
    for name, branch in sound.branches.items():
        if branch is None:
            continue
        entry = architectures[branch.architecture]
        named = [key for key in branch.columns if key in sound.inputs]
        for key in named:
            kind = sound.inputs[key].kind
            if kind not in entry.kinds:
                able = [other for other in architectures if kind in architectures[other].kinds]
                role = sound.inputs[key].role
                yield (
                    ("branches", name, "architecture"),
                    f"`{branch.architecture}` cannot read {key!r}, which has the role `{role}` and becomes a tensor of kind `{kind}`.",
                    f"Use {listed(able, 'or')} for it, or put it into a branch of its own.",
                )
        if entry.most_columns is not None and len(named) > entry.most_columns:
            what = f"`{branch.architecture}` reads {entry.most_columns} column, not {len(named)}."
            yield ("branches", name, "columns"), what, "Give every column a branch of its own."


def _unused_inputs(sound: Sound) -> Iterator[Finding]:
    """Every input column is in a branch."""
    if not sound.branches or None in sound.branches.values():
        return
    read = {key for branch in sound.branches.values() if branch is not None for key in branch.columns}
    for key in sound.inputs:
        if key not in read:
            yield ("columns", key), "no branch reads this column.", "Add it to a branch, or remove it."


def _split(sound: Sound) -> Iterator[Finding]:
    """Fractions leave something to train on; the method has what it needs."""
    split = sound.tree.get("split")
    if not isinstance(split, dict):
        return
    shares = {key: _number(split.get(key, 0.15)) for key in ("validation", "test")}
    method = split.get("method")
    total = sum(share for share in shares.values() if share is not None)
    if method != "column" and all(share is not None and share < 1 for share in shares.values()) and total >= 1:
        yield (
            ("split",),
            f"validation {shares['validation']:g} and test {shares['test']:g} leave nothing to train on.",
            "Together they have to stay below 1.",
        )
    columns = [key for key, column in sound.columns.items() if isinstance(column, Split)]
    if method == "column" and sound.whole and not columns:
        yield ("split", "method"), "`column` needs a column with the role `split`.", "Declare it: `part: {role: split}`."
    if method in ("random", "stratified") and columns:
        yield (
            ("columns", columns[0]),
            f"the role `split` is not used by `split: {{method: {method}}}`.",
            "Set `split: {method: column}`, or remove the column.",
        )
    if (
        method == "stratified"
        and sound.whole
        and sound.targets
        and not any(isinstance(target, ClassTarget) for target in sound.targets.values())
    ):
        yield ("split", "method"), "`stratified` needs a binary or multiclass target.", "Use `random`."


def _stopping(sound: Sound) -> Iterator[Finding]:
    """The monitored score exists for these targets, and its direction is the right one."""
    training = sound.tree.get("training")
    stopping = training.get("early_stopping") if isinstance(training, dict) else None
    if not isinstance(stopping, dict) or not sound.whole or not sound.targets:
        return
    monitor = stopping.get("monitor") or "validation_loss"
    where: Location = ("training", "early_stopping", "monitor")
    known = monitored(sound.targets)
    base = str(monitor).partition("[")[0]
    if base not in known:
        shown = [name for name in known if name.startswith("validation_")]
        yield (
            where,
            f"there is no score {monitor!r} for these targets.",
            did_you_mean(base, known) or f"There are {listed(shown, most=30)}.",
        )
        return
    better = "maximize" if higher_is_better(known[base]) else "minimize"
    if stopping.get("direction") in ("minimize", "maximize") and stopping["direction"] != better:
        yield (
            ("training", "early_stopping", "direction"),
            f"a better `{monitor}` is one to {better}.",
            f"Set `direction: {better}`, or leave it out.",
        )


SCORES: dict[type[Target], tuple[str, ...]] = {
    BinaryTarget: ("auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "log_loss", "brier"),
    MulticlassTarget: ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "log_loss"),
    MultilabelTarget: ("macro_auc", "macro_pr_auc", "macro_f1", "subset_accuracy", "hamming_loss", "log_loss", "auc", "pr_auc", "f1"),
    RegressionTarget: ("mae", "rmse", "r2", "median_absolute_error"),
}


def monitored(targets: dict[str, Target]) -> dict[str, str]:
    """Every score that is computed after an epoch, {name: base score}: `validation_auc`, with several targets `validation_diagnosis_auc`."""
    names = {f"{part}_loss": "loss" for part in ("validation", "train")}
    for key, target in targets.items():
        infix = f"{key}_" if len(targets) > 1 else ""
        if infix:
            names |= {f"{part}_{infix}loss": "loss" for part in ("validation", "train")}
        for score in SCORES.get(type(target), tuple(HIGHER_IS_BETTER)):
            names[f"validation_{infix}{score}"] = score
    return names


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
