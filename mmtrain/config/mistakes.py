"""What pydantic found wrong with a tree, in the user's words: where, what was found, what would be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mmtrain.config.source import Location, Source
from mmtrain.errors import Problem, did_you_mean, listed
from mmtrain.registry import OneOf

EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "yes or no",
    "bool_type": "yes or no",
    "string_type": "a text",
    "path_type": "a path",
    "dict_type": "a map of keys and values",
    "model_type": "a map of keys and values",
    "model_attributes_type": "a map of keys and values",
    "dict_attributes_type": "a map of keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
}


@dataclass(frozen=True)
class Mistake:
    """One error, with the location as the user wrote it and the section it is in."""

    location: Location
    error: ErrorDetails
    section: type[BaseModel] | None


def problems(errors: list[ErrorDetails], experiment: type[BaseModel], source: Source) -> list[Problem]:
    """One problem per place; a value that fits none of several types is one problem, not one per type."""
    by_place: dict[Location, list[Mistake]] = {}
    for error in errors:
        location, section = _as_written(error["loc"], experiment)
        by_place.setdefault(location, []).append(Mistake(location, error, section))
    deepest = [
        found
        for location, found in by_place.items()
        if not any(len(other) > len(location) and other[: len(location)] == location and _is_union(found) for other in by_place)
    ]
    return [_problem(found, source) for found in deepest]


def _is_union(found: list[Mistake]) -> bool:
    return all(mistake.error["type"] in EXPECTED or mistake.error["type"] == "literal_error" for mistake in found)


def _as_written(location: tuple[str | int, ...], experiment: type[BaseModel]) -> tuple[Location, type[BaseModel] | None]:
    """Pydantic's location without the names of the choices it went through, and the section the last key belongs to."""
    written: list[str | int] = []
    here: Any = experiment
    section: type[BaseModel] | None = experiment
    for part in location:
        choices = _choices(here)
        if choices is not None and part in choices:
            here = choices[part]
            continue
        if isinstance(here, type) and issubclass(here, BaseModel):
            section = here
            written.append(part)
            field = here.model_fields.get(str(part))
            here = None if field is None else _annotated(field.annotation, field.metadata)
            continue
        here = _inside(here, part)
        if here is not _SAME:
            written.append(part)
            section = None
        else:
            here = None
    return tuple(written), here if isinstance(here, type) and issubclass(here, BaseModel) else section


_SAME = object()


def _annotated(annotation: Any, metadata: list[Any]) -> Any:
    tags = [item for item in metadata if isinstance(item, OneOf)]
    return Annotated[annotation, tags[0]] if tags else annotation


def _choices(here: Any) -> Mapping[str, Any] | None:
    tags = [item for item in getattr(here, "__metadata__", ()) if isinstance(item, OneOf)]
    return tags[0].choices() if tags else None


def _inside(here: Any, part: str | int) -> Any:
    """The type below a map or list; _SAME when `part` is pydantic's own name for one arm of a union."""
    if isinstance(part, str) and re.fullmatch(
        r"(int|float|str|bool|constrained-\w+|literal\[.*\]|dict\[.*\]|tuple\[.*\]|function-.*|\w+Path)", part
    ):
        return _SAME
    arguments = get_args(here)
    if get_origin(here) is dict:
        return arguments[1]
    return arguments[0] if arguments else None


def _problem(found: list[Mistake], source: Source) -> Problem:
    first = found[0]
    place = source.place(first.location)
    kind, error = first.error["type"], first.error
    context: dict[str, Any] = error.get("ctx") or {}
    if kind == "extra_forbidden":
        known = _keys(first.section)
        return Problem(place, "unknown key.", did_you_mean(str(first.location[-1]), known) or _allowed(known))
    if kind == "missing" and isinstance(first.location[-1], int):
        return Problem(source.place(first.location[:-1]), f"the list has only {first.location[-1]} entries.", "Give it one more.")
    if kind == "missing":
        return Problem(place, "this key is missing.", _purpose(first))
    if kind == "union_tag_invalid":
        known = [word.strip(" '") for word in context["expected_tags"].split(",")]
        tag, what = context["discriminator"].strip("'"), str(context["tag"])
        return Problem(
            source.place((*first.location, tag)),
            f"there is no {tag} {what!r}.",
            did_you_mean(what, known) or f"It is one of {listed(known, 'or', most=20)}.",
        )
    if kind == "union_tag_not_found":
        tag = context["discriminator"].strip("'")
        return Problem(place, f"the key `{tag}` is missing.", _tag_help(tag))
    if kind == "value_error":
        return Problem(place, str(context.get("error", error["msg"])))
    if kind == "string_pattern_mismatch":
        return Problem(
            place, f"{error['input']!r} cannot name a folder.", "Use letters, digits, `.`, `_` and `-`, beginning with a letter or digit."
        )
    if kind in ("too_short", "too_long"):
        return Problem(place, f"the list has {context['actual_length']} entries.", _length(kind, context))
    return _wrong_value(found, place)


def _wrong_value(found: list[Mistake], place: str) -> Problem:
    """A value of the wrong type, outside its range, or not among the choices."""
    received = found[0].error["input"]
    expected: list[str] = []
    choices: list[str] = []
    for mistake in found:
        kind, context = mistake.error["type"], mistake.error.get("ctx") or {}
        if kind == "literal_error":
            choices += re.split(r", | or ", context["expected"].replace("'", ""))
        elif kind in EXPECTED:
            expected.append(EXPECTED[kind])
        else:
            return Problem(place, f"{received} is out of range.", f"It has to be {_range(kind, context, mistake.error['msg'])}.")
    hint = did_you_mean(str(received), choices) if isinstance(received, str) else ""
    return Problem(place, f"expected {listed([*choices, *dict.fromkeys(expected)], 'or', most=20)}; found {_shown(received)}.", hint)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return repr(value)


def _range(kind: str, context: Mapping[str, Any], message: str) -> str:
    words = {
        "greater_than": "more than {gt}",
        "greater_than_equal": "{ge} or more",
        "less_than": "less than {lt}",
        "less_than_equal": "{le} or less",
    }
    return words[kind].format(**{key: f"{value:g}" for key, value in context.items()}) if kind in words else message


def _length(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "too_short":
        return f"It needs at least {context['min_length']}."
    return f"It takes at most {context['max_length']}."


def _keys(section: type[BaseModel] | None) -> list[str]:
    return list(section.model_fields) if section is not None else []


def _allowed(known: list[str]) -> str:
    return f"Keys here: {listed(known, most=20)}." if known else "Remove it."


def _purpose(mistake: Mistake) -> str:
    field = mistake.section.model_fields.get(str(mistake.location[-1])) if mistake.section is not None else None
    return f"{field.description}" if field is not None and field.description else "Add it."


def _tag_help(tag: str) -> str:
    from mmtrain.columns import roles
    from mmtrain.targets import tasks

    names = {"role": list(roles), "task": list(tasks)}.get(tag, [])
    return f"It is one of {listed(names, 'or', most=20)}." if names else "Add it."
