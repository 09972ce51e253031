"""Rules of branches and the fusion with the columns that they read; `cross_checks` applies them with all others."""

from __future__ import annotations

from collections.abc import Iterator

from mmtrain.branches import Branch, architectures
from mmtrain.columns import InputColumn
from mmtrain.columns.base import input_roles
from mmtrain.config.validation.partial_validation import ValidParts, as_number
from mmtrain.config.yaml_source import LocatedProblem, Location
from mmtrain.config.yaml_syntax import typed_value
from mmtrain.errors import did_you_mean, listed
from mmtrain.fusions import fusions


def _branch_columns(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that branches read input columns, and each column is in one branch only."""
    owner: dict[str, str] = {}
    for name, number, key in _columns_of_branches(sound):
        where: Location = ("branches", name, "columns", number)
        column = sound.columns.get(key)
        if key not in sound.columns:
            yield where, f"there is no column {key!r}.", _columns_to_read(sound, key)
        elif key in owner:
            twice = "this branch" if owner[key] == name else f"the branch {owner[key]!r}"
            fix = f"Name it once, or declare it twice: `{key}_2: {{column: {key}, ...}}`."
            yield where, f"the column {key!r} is read by {twice} already.", fix
        elif column is not None and not column.part_of_model:
            what = f"the column {key!r} has the role `{column.role}`, which feeds no branch."
            yield where, what, f"A branch reads {listed(input_roles())} columns."
        owner.setdefault(key, name)


def _columns_of_branches(sound: ValidParts) -> Iterator[tuple[str, int, str]]:
    """Yield branch, position and key of every column that a valid branch reads, if there are columns at all."""
    for name, branch in sound.branches.items() if sound.columns else ():
        for number, key in enumerate(branch.columns if branch is not None else ()):
            yield name, number, key


def _columns_to_read(sound: ValidParts, key: str) -> str:
    input_keys = [name for name, column in sound.columns.items() if column is None or column.part_of_model]
    fallback = f"The input columns are {listed(input_keys)}." if input_keys else f"Declare it under `columns`: `{key}: {{role: ...}}`."
    return did_you_mean(key, input_keys) or fallback


def _column_kinds(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that an architecture can read the kind and the number of its columns."""
    for name, branch in sound.branches.items():
        if branch is None:
            continue
        most = architectures[branch.architecture].most_columns
        refused = [(number, key) for number, key in enumerate(branch.columns) if _kind_mismatch(sound, branch, key)]
        for number, key in refused:
            what = f"`{branch.architecture}` cannot read {key!r}, {sound.inputs[key].description}."
            yield ("branches", name, "columns", number), what, _alternatives(sound.inputs[key], branch)
        refused_keys = {key for _, key in refused}
        fitting = [key for key in dict.fromkeys(branch.columns) if key in sound.inputs and key not in refused_keys]
        if most is not None and len(fitting) > most:
            what = f"`{branch.architecture}` reads {most} column; found {len(fitting)}."
            yield ("branches", name, "columns"), what, "Give every column a branch of its own."


def _pretrained_pieces(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that a pretrained branch reads the pieces of its own tokenizer."""
    for name, branch in sound.branches.items():
        pretrained = branch.pretrained() if branch is not None else None
        if branch is None or pretrained is None:
            continue
        for key in branch.columns:
            model = dict(sound.inputs[key]).get("model") if key in sound.inputs and key not in sound.flawed else None
            if model and model != pretrained.reference and not _kind_mismatch(sound, branch, key):
                what = f"the branch reads pieces by {pretrained.reference}, and the column {key!r} gives those of {model}."
                yield ("branches", name, "model"), what, "Leave `model` out of the column."


def _kind_mismatch(sound: ValidParts, branch: Branch, key: str) -> bool:
    """Return True if the branch cannot read the column; a column with a mistake may become another kind when it is corrected."""
    return key in sound.inputs and key not in sound.flawed and sound.inputs[key].kind not in architectures[branch.architecture].kinds


def _alternatives(column: InputColumn, branch: Branch) -> str:
    able = [other for other in architectures if column.kind in architectures[other].kinds]
    fix = f"Put it into a branch with the architecture {listed(able, 'or')}" if able else "Take it out of the branch"
    if option := column.option_for(architectures[branch.architecture].kinds):
        fix += f", or set `{option}`"
    return f"{fix}."


def _unused_inputs(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that every input column is in a branch; silent while a branch is broken or names a column that does not exist."""
    read = {key for _, _, key in _columns_of_branches(sound)}
    if not sound.branches or None in sound.branches.values() or not read <= set(sound.columns):
        return
    for key in sound.inputs:
        if key not in read:
            yield ("columns", key), "no branch reads this column.", "Add it to the `columns` of a branch, or remove it."


def _fusion_of_one(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that options for several branches have several branches."""
    section = sound.tree.get("fusion")
    if not isinstance(section, dict) or len(sound.branches) != 1:
        return
    for option in ("auxiliary", "modality_dropout", "trial"):
        if as_number(section.get(option)) or (option == "trial" and section.get(option)):
            what = f"`{option}` has no effect with a single branch."
            yield ("fusion", option), what, "Leave it out, or give columns branches of their own."


def _fusion_balance(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that gradients are balanced by heads of single branches."""
    section = sound.tree.get("fusion")
    if isinstance(section, dict) and section.get("balance") in ("ogm", "ogm_ge") and not as_number(section.get("auxiliary")):
        yield (
            ("fusion", "balance"),
            "`balance` compares the branches by heads of their own.",
            "Set `auxiliary` as well, to 0.3 for example.",
        )


def _fusion_trial(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that the methods of a trial exist."""
    section = sound.tree.get("fusion")
    tried = section.get("trial") if isinstance(section, dict) else None
    for number, name in enumerate(tried if isinstance(tried, list) else ()):
        if isinstance(name, str) and name not in fusions:
            fix = did_you_mean(name, fusions) or f"It is one of {listed(list(fusions), 'or', most=30)}."
            yield ("fusion", "trial", number), f"there is no method {name!r}.", fix


def _single_branches(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that branches trained alone are other networks than the whole one."""
    section = sound.tree.get("ensemble")
    if isinstance(section, dict) and len(sound.branches) == 1 and typed_value(section.get("single_branches")) is True:
        what = "`single_branches` has no effect with a single branch: alone it is the network itself."
        yield ("ensemble", "single_branches"), what, "Leave it out, or give columns branches of their own."


NETWORK_RULES = (
    _branch_columns,
    _column_kinds,
    _pretrained_pieces,
    _unused_inputs,
    _fusion_of_one,
    _fusion_balance,
    _fusion_trial,
    _single_branches,
)
