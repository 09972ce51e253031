"""Guess the role of a column from its name and its cells. Every guess says why, for a person to confirm.

`RULES` are asked in order, and the first one that has an answer gives it. A guess that is not `used` names the role the
column could have if the user wants it after all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmtrain.audit.profiling.profile import Profile
from mmtrain.columns.base import MISSING_WORDS, Content, Purpose, role_class
from mmtrain.columns.split_words import MOST_FOLDS, PARTS, SplitWords, misread, split_words
from mmtrain.data.images.cell_kinds import holds_image, several
from mmtrain.errors import listed
from mmtrain.image_decoding.unsupported_formats import by_name

NEARLY_ALL = 0.95
IMAGE_WORDS = {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "thumbnail", "scan", "poster", "avatar"}
FEW_CODES = 10
"""Whole numbers of at most so many different values look like codes."""
FEW_NAMES = 100
"""Words of at most so many different values look like categories."""
FEW_GROUPS = 10
"""With fewer different values, a column names a kind of row rather than whom a row belongs to."""

SPLIT_WORDS = {"split", "splits", "partition", "subset", "cv"}
"""Words of headers; not `test`, `set` and `validation`, which mean other things as often."""
FLAG_WORDS = {"train", "istrain", "istest", "holdout"}
"""Words of headers over yes and no; `is_training` and `is_test` are two words."""

WITH_UNIT = re.compile(
    r"(?P<before>[$€£¥₹<>≤≥~≈]\s?)?[+-]?\d[\d.,'\s]*(?P<behind>[%‰°$€£¥₹]|\s[^\W\d]{1,8}|mm|cm|km|m|mg|kg|g|ml|l|ms|s|min|h|bpm|mmHg|yrs?|years?|px)?"
)
"""A number with a sign of money or comparison in front, or with a unit behind it: after a blank any, right behind it a usual one."""

ID_WORDS = {"id", "uuid", "guid", "identifier", "index", "key", "nr", "no"}
GROUP_WORDS = {
    *("patient", "subject", "person", "family", "household", "donor", "animal", "participant", "respondent", "student"),
    *("customer", "client", "user", "visitor", "member", "owner", "worker", "session"),
    *("author", "writer", "sender", "speaker", "reviewer"),
}


@dataclass(frozen=True)
class InferredRole:
    """A role with its options, and why; `reason` is one line. `role` is empty for a column that cannot be used at all."""

    role: str
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)
    used: bool = True
    missing_words: tuple[str, ...] = ()
    """Cells that have to be listed under `data.missing_values` for this role."""

    @property
    def purpose(self) -> Purpose:
        """As the role states it."""
        return role_class(self.role).purpose

    @property
    def content(self) -> Content:
        """As the role states it."""
        return role_class(self.role).content


def infer_role(profile: Profile) -> InferredRole:
    """The answer of the first rule that has one."""
    return next(found for rule in RULES if (found := rule(profile)) is not None)


def name_words(header: str) -> list[str]:
    """The words of a header in lower case: `patientID`, `patient_id` and `Patient ID` all give patient, id."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header).lower())


def quote_value(cell: str) -> str:
    """A cell in quotes, on one line, at most 40 characters of it."""
    return repr(cell if len(cell) <= 40 else f"{cell[:39]}…")


def _empty(profile: Profile) -> InferredRole | None:
    return InferredRole("categorical", "every cell is empty", used=False) if not profile.filled else None


def _constant(profile: Profile) -> InferredRole | None:
    if profile.distinct > 1:
        return None
    where = "every cell is" if not profile.missing else "every cell that is not empty is"
    return InferredRole("categorical", f"{where} {quote_value(profile.frequent[0][0])}", used=False)


def _addresses(profile: Profile) -> InferredRole | None:
    """Addresses of images; those of pages are names like any other."""
    example = quote_value(profile.frequent[0][0])
    if all(holds_image(value) for value, _ in profile.frequent):
        return InferredRole("image", f"cells hold images themselves, as {example}: save each as a file, and write its path", used=False)
    images = profile.images + profile.unread_images
    named = images * 2 >= profile.filled or IMAGE_WORDS & set(name_words(profile.header))
    if profile.addresses < NEARLY_ALL * profile.filled or not named:
        return None
    what = f"cells are addresses, as {example}; images are not fetched: download them, and write their paths"
    return InferredRole("image", what, used=False)


def _image_lists(profile: Profile) -> InferredRole | None:
    files = max(profile.images + profile.unread_images, profile.image_lists)
    if profile.image_lists * 10 < profile.filled or files < NEARLY_ALL * profile.filled:
        return None
    example = next((value for value, _ in profile.frequent if len(several(value)) > 1), profile.frequent[0][0])
    what = f"cells list several images, as {quote_value(example)}; one is read per cell: give each a column of its own"
    return InferredRole("image", what, used=False)


def _image(profile: Profile) -> InferredRole | None:
    if profile.images + profile.unread_images < NEARLY_ALL * profile.filled:
        return None
    other = next((one for value, _ in profile.frequent if (one := by_name(value))), None)
    example = next((value for value, _ in profile.frequent if by_name(value)), profile.frequent[0][0])
    if not profile.images:
        if other is None:
            return None
        fix = f"{other.fix[:1].lower()}{other.fix[1:].rstrip('.')}"
        return InferredRole(
            "image", f"cells end like names of files that are not read, as {quote_value(example)}, {other.noun}: {fix}", used=False
        )
    options = {"missing": "mask"} if profile.missing else {}
    empty = f", {profile.missing:,} are empty" if profile.missing else ""
    return InferredRole("image", f"cells end like names of image files, as {quote_value(profile.frequent[0][0])}{empty}", options)


def _split(profile: Profile) -> InferredRole | None:
    values = [value for value, _ in profile.frequent]
    words = split_words(values)
    if len(values) != profile.distinct:
        return None
    if len(words.parts) + len(words.doubts) < len(values) or "train" not in words.parts.values():
        return _unclear_split(profile, words)
    found = listed(sorted(values))
    if not words.doubts and not profile.missing:
        return InferredRole("split", f"the values are {found}{f': {meaning}' if (meaning := words.meaning()) else ''}")
    trouble = f"some of its {profile.rows:,} cells are empty"
    if words.doubts:
        word, doubt = next(iter(words.doubts.items()))
        trouble = f"{word!r} {doubt}".rstrip(".")
    return InferredRole("split", f"the parts of a split have to be called {listed(PARTS)} in every row; {trouble}", used=False)


def _unclear_split(profile: Profile, words: SplitWords) -> InferredRole | None:
    """A split that cannot be followed is no input for all that: which rows somebody kept for a test says nothing of a new row."""
    values = [value for value, _ in profile.frequent]
    header = name_words(profile.header)
    named = bool(SPLIT_WORDS.intersection(header))
    flag = profile.distinct == 2 and (bool(FLAG_WORDS.intersection(header)) or header in (["is", "training"], ["is", "test"]))
    if (named or flag) and (odd := misread(values, profile.header)):
        return InferredRole("split", odd[0].rstrip("."), used=False)
    parts = set(words.parts.values())
    if not ({"train", "test"} <= parts or {"train", "validation"} <= parts or (named and (parts or words.doubts))):
        return None
    other = next((value for value in values if value not in words.parts), "")
    trouble = f"{quote_value(other)} is not one of them" if other else "no row is called train"
    return InferredRole("split", f"the parts of a split have to be called {listed(PARTS)} in every row; {trouble}", used=False)


def _folds(profile: Profile) -> InferredRole | None:
    """Whole numbers under `fold`, or cells like `fold_3`."""
    named = any(word.rstrip("0123456789") in {"fold", "folds", "kfold"} for word in name_words(profile.header)) and profile.whole
    if profile.distinct > MOST_FOLDS or not (named or all(value.casefold().startswith("fold") for value, _ in profile.frequent)):
        return None
    return InferredRole("split", "looks like fold numbers, which are for cross-validation; mmtrain does not have that yet", used=False)


def _date(profile: Profile) -> InferredRole | None:
    if profile.dates < NEARLY_ALL * profile.filled:
        return None
    reason = f"dates such as {quote_value(profile.frequent[0][0])}; no input, but they order rows for `split: time`"
    return InferredRole("time", reason, used=False)


def _with_unit(profile: Profile) -> InferredRole | None:
    """`$5.20`, `5 %`, `5 mg`: each cell differs, but it is no id for that."""
    if profile.number_cells or _repeats(profile):
        return None
    matches = [WITH_UNIT.fullmatch(value) for value, _ in profile.frequent]
    units = {(match["before"] or match["behind"] or "").strip() if match else "" for match in matches}
    if len(units) > 1 or "" in units:
        return None
    unit = units.pop()
    what = (
        f"numbers with {quote_value(unit)}, as {quote_value(profile.frequent[0][0])}: write them without it, and the unit into the header"
    )
    return InferredRole("numeric", what, used=False)


def _id(profile: Profile) -> InferredRole | None:
    if profile.distinct < profile.rows or profile.rows < 3:
        return None
    if _is_named_id(profile.header):
        return InferredRole("id", "every cell is different and the name says id")
    span = profile.numbers.maximum - profile.numbers.minimum if profile.numbers else 0.0
    if _is_number(profile) and profile.whole and span == profile.rows - 1:
        return InferredRole("id", "a running number")
    if not profile.number_cells and not profile.spaced:
        return InferredRole("id", f"every cell is a different word, as {quote_value(profile.frequent[0][0])}")
    return None


def _group(profile: Profile) -> InferredRole | None:
    """`patient_id` with repeats, but not `patient_age`."""
    says_who = names_person(profile.header)
    if not (says_who or _is_named_id(profile.header)) or profile.distinct < FEW_GROUPS or profile.distinct >= profile.filled:
        return None
    if not profile.whole and profile.number_cells:
        return None
    why = "the name says whom a row belongs to" if says_who else "the name says id, and ids repeat"
    options = {"missing": "drop"} if profile.missing else {}
    return InferredRole("group", f"{why}: {profile.distinct:,} in {profile.filled:,} rows, never torn apart by the split", options)


def names_person(header: str) -> bool:
    """Return True for a header that names whom a row belongs to."""
    words = name_words(header)
    while words and (words[-1] in ID_WORDS or words[-1] in {"name", "code", "number"}):
        words = words[:-1]
    return bool(words) and words[-1] in GROUP_WORDS


def _codes(profile: Profile) -> InferredRole | None:
    """Few different whole numbers."""
    if not _is_number(profile) or not profile.whole or profile.distinct > FEW_CODES or profile.distinct * 5 > profile.filled:
        return None
    if profile.distinct == 2:
        return InferredRole("categorical", f"two values, {_named(profile)}")
    return InferredRole("categorical", f"only {profile.distinct} different whole numbers, like codes; numeric if their size says something")


def _number(profile: Profile) -> InferredRole | None:
    if not profile.number_cells or profile.numbers is None:
        return None
    low, high = format_number(profile.numbers.minimum), format_number(profile.numbers.maximum)
    if _is_number(profile):
        return InferredRole("numeric", f"numbers from {low} to {high}")
    if profile.number_cells < 0.5 * profile.filled:
        return None
    words = tuple(cell for cell in profile.not_numbers if cell.strip().casefold() in MISSING_WORDS)
    if len(words) == len(profile.not_numbers) < 5:
        listing = f"{listed([quote_value(word) for word in words])} {'means' if len(words) == 1 else 'mean'} missing"
        return InferredRole("numeric", f"numbers from {low} to {high}; {listing}", missing_words=words)
    odd = profile.filled - profile.number_cells
    what = f"numbers, but {odd:,} {'cell is' if odd == 1 else 'cells are'} not, as {quote_value(profile.not_numbers[0])}"
    nearly_all = profile.number_cells >= 0.9 * profile.filled
    mostly = profile.distinct * 2 > profile.filled and not _is_spaced(profile)  # neither categories nor texts
    return InferredRole("numeric", what, used=False) if nearly_all or mostly else None


def _category(profile: Profile) -> InferredRole | None:
    if not _repeats(profile):
        return None
    count = "two" if profile.distinct == 2 else f"{profile.distinct} different"
    return InferredRole("categorical", f"{count} values, {'' if profile.distinct <= 3 else 'such as '}{_named(profile)}")


def _text(profile: Profile) -> InferredRole | None:
    if not _is_spaced(profile) or profile.words is None:
        return None
    count = f"{profile.distinct:,} different texts" if profile.distinct < profile.filled else f"{profile.distinct:,} texts, all different,"
    return InferredRole("text", f"{count} of up to {profile.words.maximum:.0f} words")


def _repeats(profile: Profile) -> bool:
    """Return True where few values repeat often, as categories do."""
    return profile.distinct <= FEW_NAMES and profile.distinct * 2 <= profile.filled


def _is_spaced(profile: Profile) -> bool:
    """Return True where many cells are several words."""
    return profile.spaced * 4 >= profile.filled


def _unique(profile: Profile) -> InferredRole | None:
    if profile.distinct < 0.5 * profile.filled:
        return None
    what = f"{profile.distinct:,} different words in {profile.filled:,} rows, as {quote_value(profile.frequent[0][0])}"
    return InferredRole("categorical", f"{what}: nothing to learn from", used=False)


def _many_names(profile: Profile) -> InferredRole:
    return InferredRole("categorical", f"{profile.distinct:,} different values that repeat, such as {_named(profile)}")


RULES: tuple[Callable[[Profile], InferredRole | None], ...] = (
    _empty,
    _constant,
    _addresses,
    _image_lists,
    _image,
    _split,
    _folds,
    _date,
    _with_unit,
    _id,
    _group,
    _codes,
    _number,
    _category,
    _text,
    _unique,
    _many_names,
)


def _is_number(profile: Profile) -> bool:
    return 0 < profile.number_cells == profile.filled


def _is_named_id(header: str) -> bool:
    words = name_words(header)
    return bool(words) and (words[-1] in ID_WORDS or words[0] in {"id", "uuid", "guid"})


def _named(profile: Profile) -> str:
    return listed([quote_value(value) for value, _ in profile.frequent[:3]])


def format_number(number: float) -> str:
    """A number as people write it: `3`, `2.5`, `1e+20`."""
    return f"{number:.0f}" if number == int(number) and abs(number) < 1e15 else f"{number:.6g}"
