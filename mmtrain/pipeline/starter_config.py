"""The text of a first experiment file: the guesses of a table profile, with the reason for each as a comment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from mmtrain.artifacts.inspection_results import ProfiledColumn, TableProfile
from mmtrain.columns.base import Purpose, role_class
from mmtrain.columns.split_words import PARTS, split_words

SCHEMA = "mmtrain.schema.json"
"""The file next to an experiment file by which editors complete and check its keys."""

COMMENT_COLUMN = 70
"""Maximum width to which entries are padded, so that their comments are aligned."""

LARGE_TABLE_ROWS = 2_000
"""Rows from which a table of numbers and categories is trained by TabM. On adult (48,842 rows) the AUC was .930, of the mlp .927, on
california (20,640 rows) R2 .840 and .826; on diabetes (442 rows, four splits) .43 and .45."""

ROWS_OF_TRAINING = 800_000
"""Rows of all epochs together from which a large table has fewer epochs: 16 of adult take about 75 CPU s."""

IMAGES_OF_TRAINING = 180_000
"""Images of all epochs together, between `EPOCHS_OF_IMAGES`: about 2 CPU ms each at 64 x 64 pixels."""
EPOCHS_OF_IMAGES = (15, 40)
"""Fewest and most epochs with images."""

AUGMENT = "{flip: horizontal, rotate: 10, shift: 0.1, zoom: 0.2, brightness: 0.1, contrast: 0.2, color: 0.2}"
"""Changes of training images. EVIDENCE"""

RARE_CLASS = 0.4
"""A class with less than this fraction of an even share is rare: with two classes, less than 20 % of the rows."""

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
        *_entries((_column(names[column.header], column), column.guess.reason) for column in survey.columns),
        *_branches(survey),
        "split:",
        *_entries(_split(survey)),
        "training:",
        *_entries(_training(survey)),
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
    relative = Path(os.path.relpath(path.resolve(), folder)).as_posix()
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


def _column(key: str, column: ProfiledColumn) -> str:
    """`age: {role: numeric}`, behind a # when it is not used."""
    guess = column.guess
    header = {"column": column.header} if key != column.header else {}
    options = {**header, "role": guess.role, **guess.options}
    if not guess.role:
        return f"# {quoted(column.header)}"
    augment = f", augment: {AUGMENT}" if guess.content == "images" else ""
    entry = f"{quoted(key)}: {_map(options)[:-1]}{augment}}}"
    return entry if guess.used else f"# {entry}"


def _map(options: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_value(value)}" for name, value in options.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
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
    ]


def _inputs(survey: TableProfile) -> list[str]:
    """Return the content of every input column that is used: `images`, `texts`, `numbers` or `names`."""
    return [role_class(column.guess.role).content for column in survey.used if column.guess.purpose == "input"]


def _is_large_table(survey: TableProfile) -> bool:
    """Return whether there are numbers and categories alone, in enough rows for an ensemble and its encodings of numbers."""
    return survey.rows >= LARGE_TABLE_ROWS and set(_inputs(survey)) <= {"numbers", "names"}


def _branches(survey: TableProfile) -> list[str]:
    if _is_large_table(survey):
        return ["branches: tabm  # all inputs in one branch: an ensemble of networks that share their weights"]
    default = "left out: one branch per image, one per text, one for all the rest, then concatenated."
    contents = _inputs(survey)
    if not {"images", "texts"} & set(contents):
        return [f"# branches and fusion are {default}"]
    if "images" in contents and len(contents) > 1:
        fusion = "fusion: {units: [], auxiliary: 1.0}  # no layers after it; each branch also learns to predict alone"
    else:
        fusion = "fusion: {units: []}  # no layers after it"
    return [f"# branches are {default}", fusion]


def _schedule(survey: TableProfile) -> list[tuple[str, str]]:
    """Entries from the epochs to the learning rate, which grows with the square root of the batch size."""
    falling = ("schedule: cosine", "falls to 0 at the last epoch")
    if "images" in _inputs(survey):
        fewest, most = EPOCHS_OF_IMAGES
        return [
            (f"epochs: {min(most, max(fewest, IMAGES_OF_TRAINING // survey.rows))}", ""),
            ("batch_size: 32", ""),
            ("learning_rate: 0.003", ""),
            ("schedule: {method: cosine, warmup_epochs: 1}", "rises for an epoch, and falls to 0 at the last one"),
        ]
    if not _is_large_table(survey):
        return [("epochs: 30", ""), ("batch_size: 32", "")]
    # The power of two below a hundredth of the rows, from 32 to 256.
    size = min(256, max(32, 2 ** ((survey.rows // 100).bit_length() - 1)))
    return [
        (f"epochs: {min(30, max(5, ROWS_OF_TRAINING // survey.rows))}", ""),
        (f"batch_size: {size}", ""),
        (f"learning_rate: {0.001 * (size / 32) ** 0.5:.2g}", ""),
        falling,
    ]


def _training(survey: TableProfile) -> list[tuple[str, str]]:
    entries = _schedule(survey)
    total = sum(survey.classes.values())
    if survey.classes and min(survey.classes.values()) < RARE_CLASS * total / len(survey.classes):
        rarest = min(survey.classes, key=lambda name: survey.classes[name])
        share = survey.classes[rarest] / total
        percent = f"{share:.0%}" if share >= 0.01 else "less than 1%"
        balance = "to predict every class as well as the others, add `decision: {prior: balanced}` to the target"
        entries.append(("class_weights: none", f"the rarest class, {rarest!r}, has {percent} of the rows; {balance}"))
    # A schedule with a known end is trained to it.
    patience = "" if _is_large_table(survey) or "images" in _inputs(survey) else ", patience: 5"
    return [*entries, (f"early_stopping: {{monitor: validation_loss{patience}}}", "")]
