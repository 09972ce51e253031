"""JSON Schema of the experiment file, so that editors complete keys and underline mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from mmtrain.branches import architectures
from mmtrain.config.default_branches import short_name

DEFAULTED = {
    "Experiment": {"name", "branches", "fusion", "split", "training"},
    "Training": {"early_stopping", "optimizer", "schedule"},
    "EarlyStopping": {"direction"},
}
"""Keys that the file may leave out because `defaults` fills them in."""


class _Generator(GenerateJsonSchema):
    """Adds the forms that the file allows and the sections do not."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """Return the schema of a text, which may be written without quotes, `positive: 1`."""
        return super().str_schema(schema) | {"type": ["string", "number", "boolean"]}

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Return the schema of a choice, with its name as the only value of the tag; a method or a tracker may stand alone for its map."""
        tag = str(schema["discriminator"])
        choices: list[JsonSchemaValue] = []
        for name, choice in schema["choices"].items():
            choices.append(self.generate_inner(choice))
            for section in self._sections(choices[-1]):
                short = short_name(name) if tag == "architecture" else ""
                section["properties"][tag] = {**({"enum": [name, short]} if short else {"const": name}), "title": tag.title()}
                section["required"] = _required(section, tag)
        if tag in ("method", "name"):
            choices.append({"enum": list(schema["choices"])})
        return {"anyOf": choices}

    def _sections(self, choice: JsonSchemaValue) -> Iterator[JsonSchemaValue]:
        """Yield the section of a choice, or those of all its choices."""
        described = self.resolve_ref_schema(choice)
        if "anyOf" not in described:
            yield described
        for inner in described.get("anyOf", ()):
            yield from self._sections(inner)


def _required(section: JsonSchemaValue, tag: str) -> list[str]:
    """Return the required keys of a choice: an architecture and a method have defaults, other tags are required."""
    others = [key for key in section.get("required", []) if key != tag]
    return [tag, *others] if tag not in ("architecture", "method") else others


def schema_of(experiment: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema with every key of the file; keys with defaults are not required."""
    schema = experiment.model_json_schema(schema_generator=_Generator)
    for title, keys in DEFAULTED.items():
        part = schema if title == "Experiment" else schema["$defs"][title]
        part["required"] = [key for key in part.get("required", []) if key not in keys]
    _allow_an_architecture_alone(schema["properties"]["branches"])
    schema["$defs"]["Training"]["properties"]["momentum"] = {
        "type": "number",
        "title": "Momentum",
        "description": "Short for the option of the optimizer: `optimizer: {method: sgd, momentum: 0.9}`.",
    }
    _describe(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "mmtrain experiment"}


def _allow_an_architecture_alone(branches: JsonSchemaValue) -> None:
    """Allow `branches: tabm` next to a map of branches."""
    entries = {key: branches.pop(key) for key in ("type", "additionalProperties", "minProperties") if key in branches}
    branches["anyOf"] = [entries, {"enum": list(architectures)}]


def _describe(schema: JsonSchemaValue) -> None:
    """Describe every key without a description by its section, a tag with one value by the section it chooses."""
    sections = schema["$defs"]
    for section in (schema, *sections.values()):
        for key in section.get("properties", {}).values():
            of_tag = "const" in key or key.get("title") == "Architecture"
            described = sections.get(str(key.get("$ref", "")).rpartition("/")[2], section if of_tag else {})
            if "description" not in key and "description" in described:
                key["description"] = described["description"]
