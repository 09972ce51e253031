"""Registries of what an experiment file can name, and the options of each entry.

A registered function is its own schema: the options of `architecture: cnn` *are* the keyword-only parameters of the
function registered as "cnn", with their types, ranges and defaults. Nothing is declared twice. A registered class
(a column role, a target task) is a pydantic model already and is used as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, create_model, model_validator
from pydantic_core import core_schema

Entry = TypeVar("Entry")


class Section(BaseModel):
    """A part of the experiment file: frozen, unknown keys refused, numbers finite, defaults checked like given values.

    A known key without a value (`patience:`, `patience: null`) is a key that was left out.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        ser_json_inf_nan="strings",
        protected_namespaces=(),
        defer_build=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        # An unknown key stays, so that it is refused by its name.
        return {key: value for key, value in values.items() if value is not None or key not in cls.model_fields}


Base = TypeVar("Base", bound=Section)


class Registry(Generic[Entry]):
    """Entries of one sort by name, in order of registration.

    `version` grows with every registration; caches built from the names compare it.

    >>> shapes = Registry("shape")
    >>> shapes.add("square", 4)
    4
    >>> "square" in shapes, shapes["square"], list(shapes)
    (True, 4, ['square'])
    """

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.version = 0
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> Entry:
        """Register `entry`. Raises ValueError when the name is taken by another definition."""
        known = self._entries.get(name)
        # The same function imported again is not a conflict.
        if known is not None and _origin(known) != _origin(entry):
            raise ValueError(
                f"The {self.noun} name {name!r} is already taken by {_origin(known)}. Register {_origin(entry)} under another name."
            )
        self._entries[name] = entry
        self.version += 1
        return entry

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Return names and entries, in order of registration."""
        return iter(self._entries.items())

    def remove(self, name: str) -> None:
        """Remove a name; for tests that register something for their own duration."""
        del self._entries[name]
        self.version += 1


def _origin(entry: object) -> str:
    # A file of --code may be imported twice in one process: what it registers is the same as long as its function has the same name.
    fields = () if hasattr(entry, "__qualname__") else getattr(entry, "__dict__", {}).values()
    target = next((value for value in fields if hasattr(value, "__qualname__")), entry)
    return f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', target)}"


def option_fields(function: Callable[..., object]) -> dict[str, Any]:
    """Return the keyword-only parameters of `function` as pydantic fields: {name: (type, default)}.

    Raises TypeError for an option without a type or without a default: every option is optional in the file.
    """
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        # Positional parameters are given by the network, not by the file.
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.annotation is parameter.empty or parameter.default is parameter.empty:
            raise TypeError(f"Option {name!r} of {function.__module__}.{function.__qualname__} needs a type and a default.")
        fields[name] = (parameter.annotation, parameter.default)
    return fields


def section_for(name: str, function: Callable[..., object], base: type[Base]) -> type[Base]:
    """Return a section like `base` that also has the options of `function`.

    Raises TypeError for an option whose name `base` has already: the function would never receive it.
    """
    options = option_fields(function)
    taken = [option for option in options if option in base.model_fields]
    if taken:
        raise TypeError(
            f"Option {taken[0]!r} of {function.__module__}.{function.__qualname__} needs another name; every {base.__name__} has it."
        )
    title = name.title().replace("_", "")
    model: type[Base] = create_model(f"{title}{base.__name__}", __base__=base, __doc__=inspect.getdoc(function), **options)
    return model


def options_of(section: Section, base: type[Section]) -> dict[str, Any]:
    """Return the options of the function of `section`, without the fields that every such section has."""
    return {name: getattr(section, name) for name in type(section).model_fields if name not in base.model_fields}


class OneOf:
    """A pydantic annotation of a tagged union: the key `tag` of a map selects one of `choices()` for the rest of it.

    Used as `Annotated[Column, OneOf("role", choices)]`. `choices` is called when the schema is built, after users'
    registrations were imported; it may return further `OneOf` annotated types.
    """

    def __init__(self, tag: str, choices: Callable[[], Mapping[str, Any]]) -> None:
        self.tag = tag
        self.choices = choices

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return a tagged union over the choices registered by now."""
        return core_schema.tagged_union_schema(
            choices={name: handler.generate_schema(choice) for name, choice in self.choices().items()},
            discriminator=self.tag,
        )
