"""What pydantic found wrong with a tree, in the user's words: what was found, what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mmtrain.config.source import Finding, Location
from mmtrain.config.written import Spot, spot
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
MOST_SHOWN = 60


@dataclass(frozen=True)
class Mistake:
    """One error and where the user made it."""

    spot: Spot
    error: ErrorDetails

    @property
    def kind(self) -> str:
        """Pydantic's name for it."""
        return self.error["type"]

    @property
    def context(self) -> dict[str, Any]:
        """Pydantic's details."""
        return self.error.get("ctx") or {}

    @property
    def last(self) -> str:
        """The last key."""
        return str(self.spot.location[-1]) if self.spot.location else ""


def findings(errors: Iterable[ErrorDetails], experiment: type[BaseModel]) -> list[Finding]:
    """One finding per place; a value that fits none of several types is one finding, not one per type."""
    by_place: dict[Location, list[Mistake]] = {}
    for error in errors:
        mistake = Mistake(spot(error["loc"], experiment), error)
        location = mistake.spot.location
        if mistake.kind == "missing" and location and isinstance(location[-1], int):  # a tuple that is too short
            location = location[:-1]
        by_place.setdefault(location, []).append(mistake)
    unknown = [place for place, found in by_place.items() if found[0].kind == "extra_forbidden"]
    return [
        _finding(found)
        for place, found in by_place.items()
        if not _tried_in_vain(place, found, by_place) and not _misspelt(place, found, unknown)
    ]


def _tried_in_vain(place: Location, found: list[Mistake], places: Iterable[Location]) -> bool:
    """Whether these are the other types of a union, while the value fits one of them but for something inside it."""
    types_only = all(mistake.kind in EXPECTED or mistake.kind == "literal_error" for mistake in found)
    return types_only and any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _misspelt(place: Location, found: list[Mistake], unknown: list[Location]) -> bool:
    """Whether a key is missing because it stands there misspelt, which is reported already."""
    return found[0].kind == "missing" and any(
        other[:-1] == place[:-1] and did_you_mean(str(other[-1]), [found[0].last]) for other in unknown
    )


def _finding(found: list[Mistake]) -> Finding:
    first = found[0]
    described = DESCRIBED.get(first.kind)
    return described(first) if described is not None else _wrong_value(found)


def _unknown_key(mistake: Mistake) -> Finding:
    known = list(mistake.spot.section.model_fields) if mistake.spot.section is not None else []
    what = f"unknown key for the {mistake.spot.choice}." if mistake.spot.choice else "unknown key."
    word, colon, value = mistake.last.partition(":")
    if colon and word in known:
        return mistake.spot.location, what, f"Put a blank after the colon: `{word}: {value}`."
    return mistake.spot.location, what, did_you_mean(mistake.last, known) or f"The keys here are {listed(known, most=30)}."


def _missing(mistake: Mistake) -> Finding:
    if mistake.last.isdecimal():
        wanted = len(mistake.error["input"])
        return _length(mistake, wanted)
    purpose = mistake.spot.description
    return mistake.spot.location, "this key is missing.", f"Add it: {purpose[:1].lower()}{purpose[1:]}" if purpose else "Add it."


def _wrong_length(mistake: Mistake) -> Finding:
    return _length(mistake, int(mistake.context.get("actual_length", 0)))


def _length(mistake: Mistake, received: int) -> Finding:
    """A list or a map with too few or too many entries."""
    least, most = mistake.context.get("min_length"), mistake.context.get("max_length")
    location = mistake.spot.location
    if mistake.kind == "missing":
        location = location[:-1]
        return location, f"the list has {_entries(received)}.", "It needs more."
    wanted = f"at least {_entries(least)}" if mistake.kind == "too_short" else f"at most {_entries(most)}"
    return location, f"expected {wanted}; found {received or 'none'}.", mistake.spot.description
