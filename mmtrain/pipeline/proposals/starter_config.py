"""The text of a first experiment file: the guesses of a table profile, with the reason for each as a comment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from mmtrain.artifacts.inspection_results import EncoderProposal, ProfiledColumn, TableProfile
from mmtrain.columns.base import Purpose, role_class
from mmtrain.columns.pixels.image_augment import Augment
from mmtrain.columns.split_words import PARTS, split_words
from mmtrain.pipeline.proposals.recipes import ENCODED_IMAGES, recipe_for
from mmtrain.system.remote import address_of

SCHEMA = "mmtrain.schema.json"
"""The file next to an experiment file by which editors complete and check its keys."""

COMMENT_COLUMN = 70
"""Maximum width to which entries are padded, so that their comments are aligned."""

AUGMENT = {"flip": "horizontal", "rotate": 10, "shift": 0.1, "zoom": 0.2, "brightness": 0.1, "contrast": 0.2, "color": 0.2}
"""Changes of training images. On clothing, those of colour and a learning rate of .003 in place of .001 raised the accuracy of validation
rows from .514 to .567 in 14 epochs; all of it reached .796 on test rows in 39 epochs."""

RARE_CLASS = 0.4
"""A class with less than this fraction of an even share is rare: with two classes, less than 20 % of the rows."""

SUBGROUP_VALUES, SUBGROUP_COLUMNS = 8, 3
"""Most values of a column that is proposed for subgroups, and most such columns: more subgroups would have too few rows each."""

PLAIN = re.compile(r"[^\W\d]\w*(?:[ -]\w+)*")
PLAIN_PATH = re.compile(r"[\w./-]*[^\W\d][\w./-]*")
RESERVED = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def starter_text(survey: TableProfile, file: Path) -> str:
    """Return the text of the experiment file at `file`, whose paths are relative to its folder."""
    names = _keys(survey)
    lines = [
        f"# yaml-language-server: $schema={SCHEMA}",
        f"# Written by `mmtrain init`, for {_comment(survey.path.name)}. Every role is a guess, with its reason next to it: confirm.",
        "# A column is used when its line has no # in front. Then run `mmtrain check` and `mmtrain fit` on this file.",
        "data:",
        *_entries(_data(survey, file.resolve().parent)),
        "columns:",
        *_entries(_columns(survey, names)),
        *_branches(survey, names),
        "split:",
        *_entries(_split(survey)),
        "training:",
        *_entries(_training(survey)),
        *_evaluation(survey),
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return a text as YAML reads it back, in quotes if needed."""
    if PLAIN.fullmatch(text) and text.isprintable() and text.casefold() not in RESERVED and len(text) <= 100:
        return text
    escapes = {"\\": "\\\\", '"': '\\"'}
    return f'"{"".join(escapes.get(sign) or (sign if sign.isprintable() else _escaped(sign)) for sign in text)}"'


def _escaped(sign: str) -> str:
    return f"\\u{ord(sign):04X}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08X}"


def _comment(text: str) -> str:
    """Return a text without line breaks and control characters."""
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def _entries(entries: Iterable[tuple[str, str]]) -> list[str]:
    """Return lines of `entry  # comment` with aligned comments."""
    pairs = list(entries)
    # Entries longer than the limit push their own comment to the right, not all others.
    width = min(COMMENT_COLUMN, max((len(entry) for entry, comment in pairs if comment), default=0))
    return [f"  {entry:{width}}  # {_comment(comment)}" if comment else f"  {entry}" for entry, comment in pairs]


def _data(survey: TableProfile, folder: Path) -> list[tuple[str, str]]:
    entries = [(f"table: {_relative(survey.path, folder)}", f"{survey.rows:,} rows; relative to this file")]
    if survey.format:
        entries.append((f"format: {_map(survey.format)}", survey.notice.removeprefix(f"{survey.path.name}: ").removesuffix(".")))
    if survey.images is not None:
        entries.append((f"images: {_relative(survey.images, folder)}", "the folder that image cells start from"))
    if survey.missing_words:
        entries.append((f"missing_values: [{', '.join(map(quoted, survey.missing_words))}]", "texts that mean missing, in every column"))
    return entries


def _relative(path: Path, folder: Path) -> str:
    relative = address_of(path) or Path(os.path.relpath(path.resolve(), folder)).as_posix()
    plain = PLAIN_PATH.fullmatch(relative) and relative.isprintable() and not relative.startswith("-")
    return relative if plain else quoted(relative)


def _keys(survey: TableProfile) -> dict[str, str]:
    """Return a key for every header: the header itself, unless the experiment file does not allow it as a key."""
    keys: dict[str, str] = {}
    # `age_present` would collide with the presence of a column `age`.
    taken = {f"{column.header}_present" for column in survey.columns}
    for number, column in enumerate(survey.columns):
        header = column.header
        allowed = header.strip() and "/" not in header and len(header) <= 100 and header not in taken
        plain = header if allowed else re.sub(r"\W+", "_", header)[:100].strip("_") or f"column_{number}"
        others = {*taken, *keys.values(), *(other.header for other in survey.columns if other.header != header)}
        tries = (plain if again == 1 else f"{plain}_{again}" for again in count(1))
        keys[header] = plain if allowed else next(key for key in tries if key not in others)
    return keys


def _columns(survey: TableProfile, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the columns with the reasons for their roles; texts for a pretrained encoder are a column of their own."""
    encoded = _encoded(survey)
    meanings = _meaning_keys(survey, names)
    for column in survey.columns:
        yield _column(names[column.header], column, encoded=column.header in encoded), column.guess.reason
        if column.header in meanings:
            options = {"column": column.header, "role": column.guess.role, **column.guess.options}
            yield f"{quoted(meanings[column.header])}: {_map(options)}", "the same texts, for the pretrained network"


def _encoded(survey: TableProfile) -> dict[str, EncoderProposal]:
    """Return the encoder of every column that has one, by header."""
    return {header: encoder for encoder in survey.encoders if encoder.used for header in encoder.columns}


def _meaning_keys(survey: TableProfile, names: Mapping[str, str]) -> dict[str, str]:
    """Return a further key, by header, for every column of texts that an encoder reads next to their words."""
    keys: dict[str, str] = {}
    for header, encoder in _encoded(survey).items():
        if encoder.content == "texts":
            tries = (f"{names[header][:80]}_meaning{'' if again == 1 else f'_{again}'}" for again in count(1))
            keys[header] = next(key for key in tries if key not in {*names, *names.values(), *keys.values()})
    return keys


def _column(key: str, column: ProfiledColumn, *, encoded: bool) -> str:
    """`age: {role: numeric}`, behind a # when it is not used."""
    guess = column.guess
    header = {"column": column.header} if key != column.header else {}
    options: dict[str, Any] = {**header, "role": guess.role, **guess.options}
    if not guess.role:
        return f"# {quoted(column.header)}"
    if guess.content == "images" and encoded:
        options |= ENCODED_IMAGES
    elif guess.content == "images" and _changes_images(guess.role):
        grey = guess.options.get("channels") == 1
        options["augment"] = {name: value for name, value in AUGMENT.items() if name != "color" or not grey}
    entry = f"{quoted(key)}: {_map(options)}"
    return entry if guess.used else f"# {entry}"


def _changes_images(role: str) -> bool:
    """Return whether `augment` of a role has the options of images; recordings have others."""
    field = role_class(role).model_fields.get("augment")
    return field is not None and field.annotation is Augment


def _map(options: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_value(value)}" for name, value in options.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return _map(value)
    return quoted(value) if isinstance(value, str) else str(value)


def _column_for(survey: TableProfile, purpose: Purpose) -> ProfiledColumn | None:
    return next((column for column in survey.used if column.guess.purpose == purpose), None)


def _split(survey: TableProfile) -> list[tuple[str, str]]:
    given, group = _column_for(survey, "assigning"), _column_for(survey, "grouping")
    if given is not None and given.profile is not None:
        named = split_words(value for value, _ in given.profile.frequent).parts.values()
        entries = [("method: column", f"as the column {given.header!r} says")]
        if "validation" not in named:
            entries.append(("validation: 0.15", "share of the training rows, since no row is marked validation"))
        return entries + ([] if "test" in named else [("test: 0", f"no row is marked {PARTS[2]}")])
    together = f"; rows of one {group.header!r} stay together" if group is not None else ""
    if not survey.classes:
        method = ("method: random", f"at random{together}")
    elif survey.scarce:
        method = ("method: random", f"some classes are too rare to be in every part{together}")
    else:
        method = ("method: stratified", f"the same mix of classes in every part{together}")
    return [
        method,
        ("validation: 0.15", "share of the rows that choose the best epoch"),
        ("test: 0.15", "share of the rows kept for `evaluate`"),
        ("# folds: 5", "cross-validation: 5 trainings, each scored on the rows that it left out; then `test: 0` keeps no others"),
    ]


def _evaluation(survey: TableProfile) -> list[str]:
    """Return the section `evaluation` behind a #: each line answers a question that the defaults leave open, and costs time or rows."""
    lines = [("baselines: [majority, single_branch]", "is all together better than each branch alone? One training for each branch")]
    if survey.classes:
        lines.append(("calibration: temperature", "probabilities that come true as often as they say; fitted on validation rows"))
    if len(survey.classes) == 2:
        lines.append(
            ("threshold: {aim: youden}", 'left out: 0.5; or `"sensitivity>=0.9"`, or the cost of mistakes; chosen on validation rows')
        )
    if values := _few_values(survey):
        lines.append((f"subgroups: [{', '.join(map(quoted, values))}]", "scores of each value: does the model do worse for some rows?"))
    lines.append(("conformal: 0.9", "sets or ranges that hold the answer of 90 % of new rows; takes half of the validation rows"))
    head = "# evaluation:   # left out, as each costs time or validation rows; take away the # of this line and of those wanted"
    return [head, *(f"#{line}" for line in _entries(lines))]


def _few_values(survey: TableProfile) -> list[str]:
    """Return the headers of the first input columns with few values, which rows can be divided by."""
    named = [one for one in survey.used if one.guess.purpose == "input" and one.guess.content == "names" and one.profile is not None]
    return [one.header for one in named if one.profile is not None and 2 <= one.profile.distinct <= SUBGROUP_VALUES][:SUBGROUP_COLUMNS]


def _recipe(survey: TableProfile) -> dict[str, Any]:
    roles = [column.guess.role for column in survey.used if column.guess.purpose == "input"]
    further = sum(encoder.content == "texts" for encoder in _encoded(survey).values())  # a second branch each
    return recipe_for([*roles, *["text"] * further], survey.rows)


def _branches(survey: TableProfile, names: Mapping[str, str]) -> list[str]:
    recipe, guarded = _recipe(survey), "each branch also learns to predict alone, and answers for all if it is better on validation rows"
    several = "auxiliary" in recipe["fusion"]
    why = f"no layers after it; {guarded} beyond noise" if several else "no layers after it"
    lines = ["# branches are left out: one branch per image, one per text, one for all the rest, then concatenated."]
    if "branches" in recipe and several:
        lines = [f"branches: {recipe['branches']}  # one branch per text, one for all the rest: networks that share weights"]
    elif "branches" in recipe:
        lines = [f"branches: {recipe['branches']}  # all inputs in one branch: networks that share weights and a linear path"]
        why = "no layers behind the branch, so that the linear path stays linear"
    lines += _slow_encoders(survey)
    if _encoded(survey):
        lines = ["branches:", *_entries(_encoder_branches(survey, names)), *_slow_encoders(survey)]
    return [*lines, f"fusion: {_map(recipe['fusion'])}  # {why}"]


def _encoder_branches(survey: TableProfile, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the branches: images begin with the proposed encoder, texts have a second branch for it, the others are the default."""
    encoded, meanings = _encoded(survey), _meaning_keys(survey, names)
    inputs = [column for column in survey.used if column.guess.purpose == "input"]
    keys = {column.header: names[column.header] for column in inputs}
    rest = [keys[column.header] for column in inputs if column.guess.content not in ("images", "texts")]
    for header, key in keys.items():
        encoder = encoded.get(header)
        if key not in rest and (encoder is None or header in meanings):
            yield f"{quoted(key)}: {_map({'columns': [key]})}", "its words" if header in meanings else ""
        if encoder is not None:
            reader = meanings.get(header, key)
            options = {"columns": [reader], "architecture": "pretrained", "model": encoder.model}
            yield f"{quoted(reader)}: {_map(options)}", f"a pretrained network at hand, frozen: {_cost(encoder)}"
    if rest:
        name = next(name for name in ("table", "table_", "all_others") if name not in {*keys.values(), *meanings.values()})
        architecture = {"architecture": table} if (table := _recipe(survey).get("branches")) else {}
        yield f"{name}: {_map({'columns': rest, **architecture})}", ""


def _slow_encoders(survey: TableProfile) -> list[str]:
    return [
        f"# `architecture: pretrained, model: {_comment(encoder.model)}` for {encoder.content} would take a while: {_cost(encoder)}"
        for encoder in survey.encoders
        if not encoder.used
    ]


def _cost(encoder: EncoderProposal) -> str:
    minutes = f"{encoder.minutes:.1f} min" if encoder.minutes < 10 else f"{encoder.minutes:,.0f} min"
    pace = f"{encoder.per_second:,.0f} a second on this machine"
    what = f"{encoder.inputs:,} {'images' if encoder.content == 'images' else 'distinct texts'}"
    return f"it reads {what} once, in about {minutes} ({pace}), and epochs take seconds"


def _training(survey: TableProfile) -> list[tuple[str, str]]:
    recipe = _recipe(survey)["training"]
    why = {"schedule": "the learning rate falls to 0 at the last epoch"}
    entries = [(f"{name}: {_value(value)}", why.get(name, "")) for name, value in recipe.items() if name != "early_stopping"]
    total = sum(survey.classes.values())
    if survey.classes and min(survey.classes.values()) < RARE_CLASS * total / len(survey.classes):
        rarest = min(survey.classes, key=lambda name: survey.classes[name])
        share = survey.classes[rarest] / total
        percent = f"{share:.0%}" if share >= 0.01 else "less than 1%"
        balance = "to predict every class as well as the others, add `decision: {prior: balanced}` to the target"
        entries.append(("class_weights: none", f"the rarest class, {rarest!r}, has {percent} of the rows; {balance}"))
    return [*entries, (f"early_stopping: {_map(recipe['early_stopping'])}", "")]
