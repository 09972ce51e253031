"""Messages for the errors that pydantic finds in a tree: the value that was found, and the values that would be valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mmtrain.config.validation.error_locations import ErrorLocation, locate_error
from mmtrain.config.yaml_source import LocatedProblem, Location
from mmtrain.errors import did_you_mean, listed

MAP = "a map of keys and values"
EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of reasonable size",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "yes or no",
    "bool_type": "yes or no",
    "string_type": "a text",
    "path_type": "a path",
    "dict_type": MAP,
    "model_type": MAP,
    "model_attributes_type": MAP,
    "dict_attributes_type": MAP,
    "tuple_type": "a list",
    "list_type": "a list",
}
RANGES = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "{min_length} or more characters long",
    "string_too_long": "{max_length} or fewer characters long",
}
FOLLOWS = {
    **dict.fromkeys(("loss", "loss_function", "criterion"), "The loss follows from the `task` of each target, or from its `loss`."),
    "metrics": "The scores follow from the `task` of each target.",
    **dict.fromkeys(("workers", "num_workers", "device", "gpus", "gpu"), "Leave it out: threads and devices are chosen here."),
}
"""Settings of other libraries that mmtrain does not have, with the reason."""
MOST_SHOWN = 60


@dataclass(frozen=True)
class ConfigMistake:
    """One error and where the user made it."""

    spot: ErrorLocation
    error: ErrorDetails

    @property
    def kind(self) -> str:
        """Pydantic's type of the error."""
        return self.error["type"]

    @property
    def context(self) -> dict[str, Any]:
        """Pydantic's details of the error."""
        return self.error.get("ctx") or {}

    @property
    def last(self) -> str:
        """The last key."""
        return str(self.spot.location[-1]) if self.spot.location else ""


def located_problems(errors: Iterable[ErrorDetails], experiment: type[BaseModel]) -> list[LocatedProblem]:
    """Return one problem per place: pydantic reports a value that fits none of several types once per type."""
    by_place: dict[Location, list[ConfigMistake]] = {}
    for error in errors:
        path = error["loc"]
        if error["type"] == "missing" and isinstance(path[-1], int):  # a list that is too short, reported at the index after its end
            path = path[:-1]
        mistake = ConfigMistake(locate_error(path, experiment), error)
        by_place.setdefault(mistake.spot.location, []).append(mistake)
    # A key that exists nowhere is often the misspelling of one that is missing.
    unknown = [place for place, mistakes in by_place.items() if mistakes[0].kind == "extra_forbidden"]
    return [
        _located(mistakes)
        for place, mistakes in by_place.items()
        if not _explained_below(place, mistakes, by_place) and not _misspelt(place, mistakes, unknown)
    ]


def _explained_below(place: Location, mistakes: list[ConfigMistake], places: Iterable[Location]) -> bool:
    """Return True if a mistake inside the value explains these: they are of the other types of a union, or of a value left out."""
    explained = all(mistake.kind in EXPECTED or mistake.kind in ("literal_error", "too_short") for mistake in mistakes)
    return explained and any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _misspelt(place: Location, mistakes: list[ConfigMistake], unknown: list[Location]) -> bool:
    """Return True if a key is missing because it is misspelt, which is reported already."""
    return mistakes[0].kind == "missing" and any(other[:-1] == place[:-1] and _means(str(other[-1]), mistakes[0].last) for other in unknown)


def _means(key: str, name: str) -> bool:
    """Return True if `key` is `name` misspelt, or includes its value as in `{role:numeric}`."""
    return key != name and (key.partition(":")[0] == name or bool(did_you_mean(key, [name])))


def _located(mistakes: list[ConfigMistake]) -> LocatedProblem:
    # Of a value that fits none of several types, a check of a section (`value_error`) says most.
    first = next((mistake for mistake in mistakes if mistake.kind == "value_error"), mistakes[0])
    described = DESCRIBED.get(first.kind)
    return described(first) if described is not None else _wrong_value(mistakes)


def _unknown_key(mistake: ConfigMistake) -> LocatedProblem:
    known = list(mistake.spot.section.model_fields) if mistake.spot.section is not None else []
    what = f"unknown key for the {mistake.spot.choice}." if mistake.spot.choice else "unknown key."
    elsewhere = mistake.spot.choices_with(mistake.last)
    others = f" It is a key of {listed(elsewhere)}." if elsewhere else ""
    return mistake.spot.location, what, _right_key(mistake.last, known) or f"The keys here are {listed(known, most=30)}.{others}"


def _right_key(key: str, known: list[str]) -> str:
    word, colon, value = key.partition(":")
    if colon and word in known:
        return f"Put a blank after the colon: `{word}: {value}`."
    if key in FOLLOWS:
        return FOLLOWS[key]
    if key.isdecimal():
        return "If it is the end of the number before it, write the decimal point as a dot."
    return did_you_mean(key, known)


def _missing(mistake: ConfigMistake) -> LocatedProblem:
    # Pydantic reports a short tuple as a missing item.
    if isinstance(mistake.error["loc"][-1], int):
        return _wrong_length(mistake)
    purpose = mistake.spot.description
    start = purpose[:2] if purpose[:2].isupper() else purpose[:2].lower()
    return mistake.spot.location, "this key is missing.", f"Add it: {start}{purpose[2:]}" if purpose else "Add it."


def _wrong_length(mistake: ConfigMistake) -> LocatedProblem:
    """Describe a list or a map with too few or too many entries."""
    context, received = mistake.context, len(mistake.error["input"])
    wanted = (
        f"{len(get_args(mistake.spot.here))}"
        if _fixed(mistake.spot.here)
        else f"at least {context['min_length']}"
        if "min_length" in context
        else f"at most {context['max_length']}"
    )
    noun = "entry" if wanted.rsplit(maxsplit=1)[-1] == "1" else "entries"
    return mistake.spot.location, f"expected {wanted} {noun}; found {received or 'none'}.", mistake.spot.description


def _fixed(annotation: Any) -> bool:
    """Return True for a list with a fixed number of entries."""
    return get_origin(annotation) is tuple and Ellipsis not in get_args(annotation)


def _unknown_choice(mistake: ConfigMistake) -> LocatedProblem:
    tag = mistake.spot.tag
    if tag is None:
        return _other(mistake)
    received, known = mistake.error["input"].get(tag.tag), list(tag.choices())
    if received is None:
        return _missing_choice(mistake)
    what = f"there is no {tag.tag} {_quote(received)}." if isinstance(received, str) else f"expected a text; found {_quote(received)}."
    hint = " One of your own comes with --code FILE." if mistake.spot.location[0] in ("branches", "fusion") else ""
    return (*mistake.spot.location, tag.tag), what, _nearest(received, known) or f"It is one of {listed(known, 'or', most=30)}.{hint}"


def _missing_choice(mistake: ConfigMistake) -> LocatedProblem:
    """Describe a tag, `role` for example, that is missing or misspelt."""
    tag = mistake.spot.tag
    if tag is None:
        return _other(mistake)
    misspelt = next((key for key in mistake.error["input"] if _means(key, tag.tag)), None)
    if misspelt is not None:
        return (*mistake.spot.location, misspelt), "unknown key.", _right_key(misspelt, [tag.tag])
    known = list(tag.choices())
    return (*mistake.spot.location, tag.tag), "this key is missing.", f"Add it: it is one of {listed(known, 'or', most=30)}."


def _own_words(mistake: ConfigMistake) -> LocatedProblem:
    """Describe a failed check of a section: its text is the message."""
    return mistake.spot.location, str(mistake.context.get("error", mistake.error["msg"])), ""


def _wrong_form(mistake: ConfigMistake) -> LocatedProblem:
    return mistake.spot.location, f"{_quote(mistake.error['input'])} does not have the right form.", mistake.spot.description


def _other(mistake: ConfigMistake) -> LocatedProblem:
    return mistake.spot.location, f"{_quote(mistake.error['input'])} is not accepted: {mistake.error['msg']}.", mistake.spot.description


DESCRIBED: Mapping[str, Callable[[ConfigMistake], LocatedProblem]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "too_short": _wrong_length,
    "too_long": _wrong_length,
    "union_tag_invalid": _unknown_choice,
    "union_tag_not_found": _missing_choice,
    "value_error": _own_words,
    "string_pattern_mismatch": _wrong_form,
}


def _wrong_value(mistakes: list[ConfigMistake]) -> LocatedProblem:
    """Describe a value of the wrong type, outside its range, or not among the choices."""
    location, received = mistakes[0].spot.location, mistakes[0].error["input"]
    expected: list[str] = []
    choices: list[str] = []
    for mistake in mistakes:
        if mistake.kind == "literal_error":
            # Pydantic lists choices as `'a', 'b' or 'c'`.
            choices += [word.strip("'") for word in re.split(r", | or ", mistake.context["expected"])]
        elif mistake.kind in EXPECTED:
            expected.append(EXPECTED[mistake.kind])
        elif mistake.kind in RANGES:
            wrong = "has the wrong length" if mistake.kind.startswith("string") else "is out of range"
            return location, f"{_quote(received, quoted=False)} {wrong}.", f"It has to be {_range(mistake)}."
        else:
            return _other(mistake)
    what = f"expected {listed([*choices, *dict.fromkeys(expected)], 'or', most=30)}; found {_quote(received)}."
    return location, what, _nearest(received, choices) or _rewritten(mistakes[0], expected)


def _rewritten(mistake: ConfigMistake, expected: list[str]) -> str:
    """Return the user's value in the right form, if that can be guessed; else the valid keys or an example."""
    key, received, tag = mistake.last, mistake.error["input"], mistake.spot.tag
    if "a list" in expected and isinstance(received, str):
        count = len(get_args(mistake.spot.here)) if _fixed(mistake.spot.here) else 1
        # A single number for a tuple of a fixed length means that number in every place.
        return f"Write `{key}: [{', '.join([received] * count)}]`." if count == 1 or received.isdecimal() else mistake.spot.description
    if "a number" in expected and isinstance(received, str) and re.fullmatch(r"[-+]?\d+,\d+", received):
        return f"Write the decimal point as a dot: `{received.replace(',', '.')}`."
    if MAP not in expected:
        return ""
    if tag is not None and isinstance(received, str) and received in tag.choices():
        return f"Write `{key}: {{{tag.tag}: {received}}}`."
    if mistake.spot.model is not None:
        return f"Its keys are {listed(list(mistake.spot.model.model_fields), most=30)}."
    example = mistake.spot.example
    return (
        f"For example `{key}: {yaml.safe_dump(example, default_flow_style=True, sort_keys=False, width=1000).strip()}`." if example else ""
    )


def _nearest(received: Any, known: list[str]) -> str:
    return did_you_mean(received, known) if isinstance(received, str) else ""


def _quote(value: Any, *, quoted: bool = True) -> str:
    """Return a value as the user wrote it, or the sort of a longer one."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    text = text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
    return repr(text) if quoted or not text else text


def _range(mistake: ConfigMistake) -> str:
    """Return a range in words: `1 or more`; a whole number above 0 is 1 or more."""
    if mistake.kind == "greater_than" and mistake.spot.here is int:
        return f"{mistake.context['gt'] + 1} or more"
    numbers = {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in mistake.context.items()}
    return RANGES[mistake.kind].format(**numbers)
