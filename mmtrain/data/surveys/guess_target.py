"""Which column is the answer, and which task that makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmtrain.data.surveys.guess import Guess, name_words, plain, shown
from mmtrain.data.surveys.profile import Profile
from mmtrain.errors import listed
from mmtrain.targets.yes_no import positive_of as said_positive

NAMES = ("target", "label", "labels", "class", "diagnosis", "outcome", "category", "y", "response", "answer", "result")
"""Names of answers, the likeliest first."""
FEW_CLASSES = 20


def choose(profiles: Mapping[str, Profile], guesses: Mapping[str, Guess]) -> tuple[str, str] | None:
    """The header of the likeliest answer and why, or None when no column can be one."""
    able = [
        header for header in profiles if guesses[header].role in ("categorical", "numeric", "text") and task(profiles[header]) is not None
    ]
    for name in NAMES:
        for header in able:
            if "".join(name_words(header)) == name:
                return header, f"the name says {name}"
    for name in NAMES:
        for header in able:
            if name in name_words(header):
                return header, f"the name says {name}"
    used = [header for header in able if guesses[header].used]
    few = [header for header in used if 2 <= profiles[header].distinct <= FEW_CLASSES]
    if few:
        return few[-1], f"the last column with at most {FEW_CLASSES} different values"
    numeric = [header for header in used if guesses[header].role == "numeric"]
    return (numeric[-1], "the last column of numbers") if numeric else None


def task(profile: Profile) -> Guess | None:
    """The role `target` with its task, or None for a column that cannot be an answer."""
    if profile.distinct < 2:
        return None
    options = {"missing": "drop"} if profile.missing else {}
    drops = f"; {profile.missing:,} rows without it are left out" if profile.missing else ""
    labels = {separator: count for separator, count in profile.labels.items() if count <= 1000 and count <= profile.distinct * 2}
    if labels and profile.distinct > 2:
        separator, count = next(iter(labels.items()))
        return Guess("target", f"{count} labels between '{separator}'", {"task": "multilabel", "separator": separator})
    if profile.distinct == 2:
        return _binary(profile, options, drops)
    if profile.number_cells == profile.filled and profile.numbers is not None and (not profile.whole or profile.distinct > FEW_CLASSES):
        what = f"numbers from {plain(profile.numbers.minimum)} to {plain(profile.numbers.maximum)}"
        return Guess("target", f"{what}{drops}", {"task": "regression", **options})
    if profile.counted and profile.distinct * 2 <= profile.filled and profile.distinct <= 1000 and profile.dates < profile.filled:
        return Guess("target", f"{profile.distinct} classes{drops}", {"task": "multiclass", **options})
    return None


def _binary(profile: Profile, options: dict[str, str], drops: str) -> Guess:
    positive, why = positive_of(profile)
    names = listed([shown(value) for value, _ in profile.frequent[:2]])
    what: dict[str, Any] = {"task": "binary", "positive": positive, **options}
    return Guess("target", f"two classes, {names}; positive: {why}{drops}", what)


def positive_of(profile: Profile) -> tuple[str, str]:
    """Which of two classes is the positive one, and why."""
    if said := said_positive((profile.frequent[0][0], profile.frequent[1][0])):
        return said
    (first, most), (last, fewest) = sorted(profile.frequent[:2])
    if most == fewest:
        return last, "the last by name"
    return (first if most < fewest else last), "the rarer one"
