"""Guess of the target column and its task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmtrain.columns.base import Guess
from mmtrain.columns.profile import Profile, name_words
from mmtrain.errors import counted, listed
from mmtrain.targets.labels.yes_no import positive_of as positive_by_meaning
from mmtrain.text.label_lists import LIST, LabelLists
from mmtrain.text.printable import format_number, quote_value

NAMES = ("target", "label", "labels", "class", "diagnosis", "outcome", "category", "y", "response", "answer", "result")
"""Words of headers of targets, the likeliest first."""
LIST_NAMES = {"tags", "tag", "genres", "genre", "topics", "keywords", "categories", "classes", "findings", "attributes"}
"""Words of headers of targets with several labels in a cell."""
FEW_CLASSES = 20
"""Different values up to which the last column may be classes."""
NEARLY_ALL_NUMBERS = 0.9
SCALES = (
    frozenset({"none", "minimal", "mild", "moderate", "severe", "very severe", "critical"}),
    frozenset({"very low", "low", "medium", "middle", "high", "very high"}),
    frozenset({"very bad", "bad", "poor", "fair", "good", "very good", "excellent"}),
    frozenset({"never", "rarely", "sometimes", "often", "always"}),
    frozenset({"i", "ii", "iii", "iv", "v"}),
    frozenset({"strongly disagree", "disagree", "neutral", "agree", "strongly agree"}),
)
"""Words of ordered levels. `init` names the task `ordinal` for them, and never chooses it, as it needs the order."""
CLASSES_TOO = {"none", "unknown", "missing", "-"}
"""Words for a missing value that may also be the name of a class."""


def choose_target(profiles: Mapping[str, Profile], guesses: Mapping[str, Guess]) -> tuple[str, str] | None:
    """Return the header of the likeliest target and the reason, or None when no column can be one."""
    lists = [header for header, profile in profiles.items() if profile.labels is not None]
    able = [
        header
        for header in profiles
        if (guesses[header].content in ("names", "numbers", "texts") or header in lists) and infer_task(profiles[header]) is not None
    ]
    # A name that is exactly one of these comes before one that contains it: `class` before `class_size`.
    for name in NAMES:
        for header in able:
            if "".join(name_words(header)) == name:
                return header, f"the name says {name}"
    # In the order of the names, not of the columns: `target` is a surer sign than `y`.
    for name in NAMES:
        for header in able:
            if name in name_words(header):
                return header, f"the name says {name}"
    # From the end: targets are usually the last column.
    for header in reversed(able):
        if header in lists and LIST_NAMES & set(name_words(header)):
            return header, "the name says that a row can have several"
    used = [header for header in able if guesses[header].used]
    few = [header for header in used if 2 <= profiles[header].distinct <= FEW_CLASSES]
    if few:
        return few[-1], f"the last column with at most {FEW_CLASSES} different values"
    numeric = [header for header in used or able if guesses[header].content == "numbers"]
    return (numeric[-1], "the last column of numbers") if numeric else None


def infer_task(profile: Profile) -> Guess | None:
    """Return the guess of the role `target` with its task, or None for a column that cannot be an answer."""
    missing_words = profile.missing_words
    profile, options, drops = _answers(profile)
    if profile.distinct < 2:
        return None
    # Before classes are counted: each combination of labels would be a class.
    if profile.labels is not None:
        # An empty cell of labels means none of them; a word for a missing answer does not.
        return _multilabel(profile.labels, _dropping(profile) if missing_words else {})
    if profile.distinct == 2:
        return _binary(profile, options, drops)
    if is_number(profile) and profile.numbers is not None:
        what = f"numbers from {format_number(profile.numbers.minimum)} to {format_number(profile.numbers.maximum)}"
        counts = "; for counts, set task: count" if profile.whole and profile.numbers.minimum == 0 else ""
        return Guess(role="target", reason=f"{what}{counts}{drops}", options={"task": "regression", **options})
    # Classes repeat: twice on average, and at most 1,000 of them.
    if profile.counted and profile.distinct * 2 <= profile.filled and profile.distinct <= 1000 and profile.dates < profile.filled:
        hint = _other_tasks(profile)
        return Guess(role="target", reason=f"{profile.distinct} classes{hint}{drops}", options={"task": "multiclass", **options})
    return None


def _other_tasks(profile: Profile) -> str:
    """Return a phrase on the tasks of few classes that are numbers, or of which two are words of one scale; else nothing."""
    words = {value.lower() for value in profile.values}
    if profile.distinct > FEW_CLASSES or not (profile.all_numbers or any(len(words & scale) > 1 for scale in SCALES)):
        return ""
    from_zero = profile.all_numbers and profile.whole and profile.numbers is not None and profile.numbers.minimum == 0
    return f"; {'for counts, set task: count, ' if from_zero else ''}for ordered levels{'' if from_zero else ', set'} task: ordinal"


def is_number(profile: Profile) -> bool:
    """Return True for a number to be predicted; up to a tenth of the cells may be other words: mistakes, not classes."""
    return profile.number_cells >= NEARLY_ALL_NUMBERS * profile.filled and (not profile.whole or profile.distinct > FEW_CLASSES)


def _multilabel(lists: LabelLists, options: dict[str, Any]) -> Guess:
    where = f" in lists such as {quote_value(lists.example)}" if lists.separator == LIST else lists.between
    what = f"{lists.labels} labels{where}, in {counted(lists.combinations, 'combination')} of several"
    return Guess(role="target", reason=what, options={"task": "multilabel", "separator": lists.separator, **options})


def _answers(profile: Profile) -> tuple[Profile, dict[str, Any], str]:
    """Return the column without words for a missing answer, the options for that, and a phrase on the rows.

    Where a single class would be left, a word that may be a class, `none` next to `tumor`, counts as one.
    """
    words = dict(profile.missing_words)
    if profile.distinct - len(words) < 2:
        classes = {word: rows for word, rows in words.items() if word.lower() in CLASSES_TOO}
        left = profile.without({word: rows for word, rows in words.items() if word not in classes})
        if classes and left.distinct >= 2:
            options = {**_dropping(left), "missing_words": sorted({word.lower() for word in words if word not in classes})}
            return left, options, f"; {listed([quote_value(word) for word in classes])} counts as a class{_left_out(left)}"
    left = profile.without(words)
    return left, _dropping(left), _left_out(left, words)


def _dropping(profile: Profile) -> dict[str, Any]:
    return {"missing": "drop"} if profile.missing else {}


def _left_out(profile: Profile, words: Iterable[str] = ()) -> str:
    """Return a phrase on rows without an answer, some of which have one of the `words`, and the remedy if a word is a class after all."""
    if not profile.missing:
        return ""
    quoted, classes = [quote_value(word) for word in words], [quote_value(word) for word in words if word.lower() in CLASSES_TOO]
    without = f"without it ({listed(quoted)} or empty)" if quoted else "without it"
    otherwise = f"; if {listed(classes, 'or')} is a class, add missing_words: []" if classes else ""
    return f"; {counted(profile.missing, 'row')} {without} {'is' if profile.missing == 1 else 'are'} left out{otherwise}"


def _binary(profile: Profile, options: dict[str, Any], drops: str) -> Guess:
    positive, why = positive_of(profile)
    names = listed([quote_value(value) for value, _ in profile.frequent[:2]])
    what = f"two classes, {names}; positive: {why}{drops}"
    return Guess(role="target", reason=what, options={"task": "binary", "positive": positive, **options})


def positive_of(profile: Profile) -> tuple[str, str]:
    """Return the positive one of two classes, and why."""
    if reading := positive_by_meaning((profile.frequent[0][0], profile.frequent[1][0])):
        return reading
    (first, most), (last, fewest) = sorted(profile.frequent[:2])
    if most == fewest:
        return last, "the last by name"
    return (first if most < fewest else last), "the rarer one"
