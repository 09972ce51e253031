"""`mmtrain list`: every name that an experiment file can use, with its options; the reference in the documentation shows the same.

All of it is read from the JSON Schema of the experiment file and from the registry of metrics, so a name from a file of `--code` is
listed like one of mmtrain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mmtrain.artifacts.command_results import ListedName, ListedOption
from mmtrain.config import json_schema
from mmtrain.errors import Problem, UsageError, did_you_mean, listed
from mmtrain.metrics.on_request.declared import ON_REQUEST
from mmtrain.metrics.registered_metrics import registered_metrics
from mmtrain.metrics.score import METRICS, Metric
from mmtrain.targets import tasks

KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "columns": (("Experiment", "columns"), "role"),
    "branches": (("Experiment", "branches"), "architecture"),
    "fusions": (("Experiment", "fusion"), "method"),
    "targets": (("Experiment", "columns"), "task"),
    "losses": (("BinaryTarget", "loss"), "method"),
    "splits": (("Experiment", "split"), "method"),
    "optimizers": (("Training", "optimizer"), "method"),
    "schedules": (("Training", "schedule"), "method"),
    "trackers": (("Training", "trackers"), "name"),
}
"""Kinds of names: the key of the experiment file that takes one, and the tag that chooses it."""
METRIC_KIND = "metrics"
SECTIONS = "sections"
ALL_KINDS = (*KINDS, METRIC_KIND, SECTIONS)


def names_of_kind(kind: str) -> list[ListedName]:
    """Return the names of a kind, one of `ALL_KINDS`, in the order of their registration.

    >>> [one.name for one in names_of_kind("schedules")]
    ['constant', 'cosine', 'exponential', 'plateau']
    """
    if kind == METRIC_KIND:
        return list(_metrics())
    schema = json_schema()
    if kind == SECTIONS:
        return list(_sections(schema))
    (section, key), tag = KINDS[kind]
    found: dict[str, list[dict[str, Any]]] = {}
    for name, described in _choices(_property(schema, section, key), schema, tag):
        found.setdefault(name, []).append(described)
    names = [_listed(name, _merged(sections, tag), leave_out={tag, "role"}) for name, sections in found.items()]
    return [one.model_copy(update={"purpose": f"{one.purpose} {_uses(one.name)}"}) for one in names] if kind == "targets" else names


def _uses(task: str) -> str:
    """Say which parts of the section `evaluation`, and which baselines, a task has."""
    traits = tasks[task]
    kinds = {
        "sets": "conformal sets",
        "intervals": "conformal intervals",
        "intervals_per_number": "conformal intervals of each number",
        "none": "",
    }
    having = [
        *(["a decision threshold"] if traits.thresholdable else []),
        *(["calibration"] if traits.calibratable else []),
        *([kinds[traits.conformal]] if traits.conformal != "none" else []),
    ]
    lacking = [
        name for name, has in (("calibration", traits.calibratable), ("conformal prediction", traits.conformal != "none")) if not has
    ]
    return " ".join(
        part
        for part in (
            f"`evaluation` has {listed(having, most=len(having))} for it." if having else "",
            f"`evaluation` has no {listed(lacking, 'or')} for it." if lacking else "",
        )
        if part
    )


def find_name(kind: str, name: str) -> ListedName:
    """Return one name of a kind. Raises UsageError for an unknown kind or name."""
    names = {one.name: one for one in checked_names(kind)}
    if name not in names:
        hint = did_you_mean(name, list(names)) or f"There are {listed(list(names))}."
        raise UsageError(Problem(name, f"this is none of the {kind}.", hint))
    return names[name]


def checked_names(kind: str) -> list[ListedName]:
    """Return the names of a kind. Raises UsageError for an unknown kind."""
    if kind not in ALL_KINDS:
        raise UsageError(Problem(kind, "this is not a kind of names.", did_you_mean(kind, ALL_KINDS) or f"Use {listed(ALL_KINDS, 'or')}."))
    return names_of_kind(kind)


def _merged(sections: list[dict[str, Any]], tag: str) -> dict[str, Any]:
    """Return the section of a name; where another tag chooses among several, the keys that they share and the values of that tag."""
    first, *others = sections
    if not others:
        return first
    shared = {key: value for key, value in first["properties"].items() if all(key in one["properties"] for one in others)}
    inner = next(key for key, value in shared.items() if "const" in value and key != tag and value != others[0]["properties"][key])
    values = [str(one["properties"][inner]["const"]) for one in sections]
    shared[inner] = {"enum": values, "description": "Further options depend on it."}
    purpose = f"One of several kinds, by its `{inner}`: {', '.join(values)}."
    return {"properties": shared, "required": first.get("required", ()), "description": purpose}


def _property(schema: dict[str, Any], section: str, key: str) -> dict[str, Any]:
    properties = (schema if section == "Experiment" else schema["$defs"][section])["properties"]
    return dict(properties[key])


def _choices(described: dict[str, Any], schema: dict[str, Any], tag: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the sections that a key may hold, with the value of their tag."""
    section = _resolved(described, schema)
    chosen = section.get("properties", {}).get(tag, {})
    name = chosen.get("const", next(iter(chosen.get("enum", ())), None))
    if name is not None:
        yield str(name), section
    inner = [section[key] for key in ("items", "additionalProperties") if isinstance(section.get(key), dict)]
    for one in (*section.get("anyOf", ()), *(inner if name is None else ())):
        yield from _choices(one, schema, tag)


def _resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = described.get("$ref")
    return dict(schema["$defs"][str(reference).rpartition("/")[2]]) if reference else described


def _listed(name: str, section: dict[str, Any], leave_out: set[str]) -> ListedName:
    required = set(section.get("required", ()))
    options = [
        ListedOption(
            name=key,
            values=accepted_values(described),
            default="required" if key in required else format_default(described.get("default")),
            description=_text(described.get("description", "")),
        )
        for key, described in section.get("properties", {}).items()
        if key not in leave_out
    ]
    return ListedName(name=name, purpose=_text(section.get("description", "")), options=options)


def _sections(schema: dict[str, Any]) -> Iterator[ListedName]:
    """Yield the sections of the file that no tag chooses, the whole file first."""
    yield _listed("experiment", schema, leave_out=set())
    tags = {tag for _, tag in KINDS.values()}
    for title, section in schema["$defs"].items():
        properties = section.get("properties", {})
        if not any("const" in properties.get(tag, {}) or "enum" in properties.get(tag, {}) for tag in tags):
            yield _listed(title, section, leave_out=set())


def _metrics() -> Iterator[ListedName]:
    users = {entry.metric.name: sorted(entry.tasks) for _, entry in registered_metrics.items()}
    for metric in METRICS.values():
        of_tasks = users.get(metric.name) or sorted(
            name for name, target in tasks.items() if metric in (*target.metrics, *target.label_metrics)
        )
        entry = ON_REQUEST.get(metric.name)
        on_request = f"{', '.join(entry.modules)} with `extra_metrics: [{entry.usage}]`" if entry else ""
        owners = " and ".join(part for part in (", ".join(of_tasks), on_request) if part)
        if owners:
            title = metric.title.replace("{level}", "LEVEL")
            yield ListedName(name=metric.name, purpose=f"{title}; {_direction(metric)}. For {owners}.", options=[])


def _direction(metric: Metric) -> str:
    return "higher is better" if metric.higher_is_better else "lower is better"


def accepted_values(described: dict[str, Any]) -> str:
    """Return the accepted values of a key in words, from its JSON Schema.

    >>> accepted_values({"type": "integer", "minimum": 1, "maximum": 64})
    'integer, 1 to 64'
    >>> accepted_values({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "auto"}, {"type": "null"}]})
    'number, more than 0; or auto'
    >>> accepted_values({"type": "array", "items": {"enum": ["majority", "linear"]}})
    'list of: majority, linear'
    """
    for key, in_words in _FORMS.items():
        if key in described:
            return in_words(described[key])
    kind = described.get("type")
    if kind in ("array", "object"):
        return _list_of(described) if kind == "array" else _map_of(described)
    # A text may be written without quotes, so that the schema also lets numbers and booleans pass.
    words = "text" if isinstance(kind, list) else {"boolean": "true, false", "string": "text", None: "any value"}.get(kind, str(kind))
    return words + _range(described)


def _any_of(choices: list[dict[str, Any]]) -> str:
    sections = [str(one["$ref"]).rpartition("/")[2] for one in choices if "$ref" in one]
    others = [accepted_values(one) for one in choices if "$ref" not in one and one.get("type") != "null"]
    # A choice by name stands next to the sections that describe each name.
    listed = [] if sections and others else [f"section {' or '.join(sections)}"] if sections else []
    return "; or ".join(dict.fromkeys([*others, *listed]))


def _list_of(described: dict[str, Any]) -> str:
    if "prefixItems" in described:
        return f"[{', '.join(accepted_values(one) for one in described['prefixItems'])}]"
    return f"list of: {accepted_values(described.get('items', {}))}"


def _map_of(described: dict[str, Any]) -> str:
    values = described.get("additionalProperties")
    return f"map to {accepted_values(values)}" if isinstance(values, dict) and values else "map"


def _range(described: dict[str, Any]) -> str:
    low, high = described.get("minimum"), described.get("maximum")
    above, below = described.get("exclusiveMinimum"), described.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    limits = [
        f"more than {above}" if above is not None else f"{low} or more" if low is not None else "",
        f"less than {below}" if below is not None else f"at most {high}" if high is not None else "",
    ]
    words = " and ".join(limit for limit in limits if limit)
    return f", {words}" if words else ""


def format_default(value: Any) -> str:
    """Return a default as the experiment file has it; empty for a key that is left out."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(format_default(item) or str(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {format_default(item)}' for key, item in value.items() if item is not None)}}}"
    return str(value)


_FORMS: dict[str, Callable[[Any], str]] = {
    "$ref": lambda reference: f"section {str(reference).rpartition('/')[2]}",
    "const": str,
    "enum": lambda values: ", ".join(str(value) for value in values),
    "anyOf": _any_of,
}
"""Keys of a JSON Schema that decide by themselves which values it accepts, and these values in words."""


def _text(description: str) -> str:
    return " ".join(description.partition(">>>")[0].split())
