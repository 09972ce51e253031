"""Checks of the cells and classes of a table against the experiment, once its rows are divided into parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mmtrain.artifacts.inspection_results import ImageCounts
from mmtrain.columns import Column
from mmtrain.columns.base import Purpose
from mmtrain.columns.cells import CellError
from mmtrain.config import Experiment
from mmtrain.config.monitors import is_weighted_loss, label_of
from mmtrain.config.yaml_source import Origin
from mmtrain.data.images.store import Attached
from mmtrain.data.tables.table import Table, headers_of
from mmtrain.errors import ConfigError, DataError, Problem, did_you_mean, listed
from mmtrain.splits.plan import Partition
from mmtrain.targets import Target


def check_parts(experiment: Experiment, table: Table, partition: Partition, fold: int | None = None) -> None:
    """Raise DataError if the training rows, those of a `fold` if there are several, have a single class, no pair to rank, or no weight.

    Validation rows need a weight and a pair as well if their loss is monitored: without one it would be 0 in every epoch. Scores ignore
    weights. Only the first problem of each column is reported, as the others follow from it.
    """
    columns = experiment.columns
    problems = part_problems(columns, table, "train", partition.train, ("answer", "weighting"), fold)
    problems = problems or _target_problems(experiment.targets, table, "train", partition.train, fold)
    if is_weighted_loss(experiment.training.early_stopping.monitor, experiment.targets):
        problems += part_problems(columns, table, "validation", partition.validation, ("weighting",), fold)
        problems = problems or _target_problems(experiment.targets, table, "validation", partition.validation, fold)
    if problems:
        raise DataError(problems)


def doubts(columns: Mapping[str, Column], table: Table) -> list[Problem]:
    """Return warnings about cells that can be used but probably mean something else."""
    return [
        table.problem(header, fault)
        for key, column in columns.items()
        if not column.streamed
        for header in headers_of(key, column)
        if table.has(header) and len(table)
        for fault in column.doubts(table.cells(header))
    ]


def mostly_masked(counts: ImageCounts, column: Column) -> Problem | None:
    """Return the warning that a column of `missing: mask` has no image in half of its filled cells: a setting is wrong, not the files."""
    filled = counts.rows - counts.empty
    if column.policy != "mask" or not counts.bad or counts.unreadable * 2 < filled:
        return None
    example = counts.bad[0]
    what = f"{example.what} {counts.unreadable:,} images of {filled:,} filled cells cannot be read: `missing: mask` goes on without them."
    return Problem(example.where, what, example.fix)


def offer_dropping(attached: Attached, images: Mapping[str, Column], rows: int) -> tuple[Problem, ...]:
    """Return the problems of images; the last one also says how to train without the rows of a few broken images."""
    refused = {key: bad for key, bad in attached.unreadable.items() if bad and images[key].policy == "error"}
    # Where most images are missing, the folder is wrong; one outside of it is refused under every policy.
    if not refused or any(2 * len(bad) >= rows or any(one.outside for one in bad) for bad in refused.values()):
        return attached.problems
    *others, last = attached.problems
    settings = listed([f"`columns.{key}.missing: drop`" for key in refused])
    return (*others, replace(last, fix=f"{last.fix} Or leave out rows without a readable file: {settings}.".strip()))


def part_problems(
    columns: Mapping[str, Column],
    table: Table,
    part: str,
    rows: np.ndarray[Any, Any],
    purposes: tuple[Purpose, ...],
    fold: int | None = None,
) -> list[Problem]:
    """Return the problems of columns with these purposes in the `rows` of one part, at most one per header."""
    return [
        _problem_of_part(table, header, fault, part, fold)
        for column in columns.values()
        if column.purpose in purposes
        for header in column.reads()
        for fault in column.header_faults(header, table.cells(header, rows))[:1]
    ]


def _target_problems(targets: Mapping[str, Target], table: Table, part: str, rows: np.ndarray[Any, Any], fold: int | None) -> list[Problem]:
    """Return the problems of answers in the `rows` of one part that consist of several columns."""
    return [
        _problem_of_part(table, listed(target.reads()), fault, part, fold)
        for target in targets.values()
        for fault in target.part_faults({header: table.cells(header, rows) for header in target.reads()})
    ]


def _problem_of_part(table: Table, where: str, fault: CellError, part: str, fold: int | None) -> Problem:
    name = f"{'training' if part == 'train' else part} part{'' if fold is None else f' of fold {fold}'}"
    remedy = f"Divide the rows in another way: set another `split.seed` or `split.method`, or mark other rows {part}."
    return Problem(f"{table.path.name}: {where}", f"in the {name}, {fault.what}", f"{fault.fix} {remedy}")


def check_class_weights(experiment: Experiment, table: Table, origin: Origin) -> None:
    """Raise ConfigError, with the line of the file, for class weights and shares of classes that the table does not have."""
    problems = []
    classes: list[str] = []
    for key, target in experiment.targets.items():
        names = target.answers({header: table.cells(header) for header in target.reads()})
        classes += names
        problems += _unknown_classes(target.own_class_weights, names, ("columns", key, "class_weights"), origin)
        problems += _weightless(target, names, experiment.training.class_weights, key, origin)
        problems += _prior_problems(target, names, ("columns", key, "decision", "prior"), origin)
    problems += _unknown_classes(experiment.training.class_weights, classes, ("training", "class_weights"), origin)
    if problems:
        raise ConfigError(problems)


def _prior_problems(target: Target, names: list[str], location: tuple[str, ...], origin: Origin) -> list[Problem]:
    decision = dict(target).get("decision")
    if decision is None or not decision.named_classes:
        return []
    unknown = _unknown_classes(decision.prior, names, location, origin)
    left_out = [name for name in names if name not in decision.named_classes]
    if unknown or not left_out:
        return unknown
    what = f"the prior has no share for {listed([repr(name) for name in left_out])}."
    return [Problem(origin.place(*location), what, "Give every class a share; they are divided by their sum.")]


def _weightless(target: Target, names: list[str], common: Any, key: str, origin: Origin) -> list[Problem]:
    """Return the problem of weights that are 0 for every class or label: no row would teach the target anything."""
    weights = common if target.own_class_weights is None else target.own_class_weights
    if not isinstance(weights, dict) or not names or any(weights.get(name, 1) for name in names):
        return []
    location = ("training", "class_weights") if target.own_class_weights is None else ("columns", key, "class_weights")
    return [Problem(origin.place(*location), f"every class of {key!r} has the weight 0.", "Give one class at least a weight above 0.")]


def _unknown_classes(weights: Any, names: list[str], location: tuple[str, ...], origin: Origin) -> list[Problem]:
    known = set(names)
    unknown = [name for name in weights if name not in known] if isinstance(weights, dict) else []
    return [
        Problem(
            origin.place(*location, name),
            f"the table has no class {name!r}.",
            did_you_mean(name, names) or f"Its classes are {listed(names)}.",
        )
        for name in unknown
    ]


def check_monitor(monitor: str, targets: dict[str, Target], table: Table, partition: Partition, origin: Origin) -> None:
    """Raise ConfigError, with the line of the file, if no training row has the label whose score is monitored."""
    monitored = label_of(monitor, targets)
    if monitored is None:
        return
    names = monitored.target.answers({header: table.cells(header, partition.train) for header in monitored.target.reads()})
    if monitored.label not in names:
        where = origin.place("training", "early_stopping", "monitor")
        hint = did_you_mean(monitored.label, names) or f"Their labels are {listed(names)}."
        raise ConfigError(Problem(where, f"no training row has the label {monitored.label!r}.", hint))
