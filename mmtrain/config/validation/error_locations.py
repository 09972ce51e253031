"""From pydantic's path of an error to the keys that the user wrote.

The path also names every choice of a tagged union, `columns.age.numeric.missing`, and every type of a union that was tried,
`class_weights.dict[str,float].malignant`. Following the annotations along the path distinguishes such names from keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from mmtrain.config.yaml_source import Location
from mmtrain.registry import OneOf


@dataclass(frozen=True)
class ErrorLocation:
    """A place in the file as the user knows it."""

    location: Location
    here: Any
    """The annotation of the value there; None if it is unknown."""
    section: type[BaseModel] | None
    """The section that the last key belongs to."""
    choice: str = ""
    """The choice that made this section, "role `numeric`"; empty for a section without."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """All sections that could have been chosen instead, by name."""
    example: Any = None
    """An example of a valid value, or None."""

    @property
    def model(self) -> type[BaseModel] | None:
        """The class of the section that belongs here, if one does."""
        return self.here if _is_model(self.here) else None

    def choices_with(self, key: str) -> list[str]:
        """Return the names of those choices whose section has this key."""
        return [f"`{name}`" for name, choice in self.choices.items() if _is_model(choice) and key in choice.model_fields]

    @property
    def tag(self) -> OneOf | None:
        """The key that chooses between several sections, if there are several."""
        return _tag(self.here)

    @property
    def description(self) -> str:
        """The purpose of the last key."""
        field = self.section.model_fields.get(str(self.location[-1])) if self.section is not None and self.location else None
        return (field.description or "") if field is not None else ""


def locate_error(path: Location, experiment: type[BaseModel]) -> ErrorLocation:
    """Return the place in the file to which a path of pydantic leads."""
    written: list[str | int] = []
    here: Any = experiment
    section: type[BaseModel] | None = None
    chosen, choice = "", ""
    others: Mapping[str, Any] = {}
    of_section: Mapping[str, Any] = {}
    example: Any = None
    for part in path:
        tag = _tag(here)
        # The name of a choice, `numeric`, stands in pydantic's path but not in the file.
        if tag is not None and part in (choices := tag.choices()):
            chosen, others, here = f"{tag.tag} `{part}`", choices, choices[str(part)]
        elif tag is None and _is_model(model := _arms(here)[0]) and len(_arms(here)) == 1:
            section, choice, of_section = model, chosen, others
            chosen, others = "", {}
            here, example = _field(model, str(part)), _example(model, str(part))
            written.append(part)
        # So does the type of a union that was tried, `dict[str,float]`.
        elif len(arms := _arms(here)) > 1:
            here = next((arm for arm in arms if _is_named(arm, str(part))), None)
        else:
            written.append(part)
            here, section = _inside(arms[0], part), None
            example = next(iter(example.values())) if isinstance(example, dict) else None
    return ErrorLocation(tuple(written), here, section, choice, of_section, example)


def _is_named(arm: Any, part: str) -> bool:
    """Return True if pydantic names this type of a union so: `dict[str,float]`, `Range`, `function-after[check(), Range]`."""
    if _is_model(arm):
        return part == arm.__name__ or part.endswith(f" {arm.__name__}]")
    return part.startswith(f"{getattr(get_origin(arm), '__name__', '?')}[")


def _is_model(here: Any) -> bool:
    return isinstance(here, type) and issubclass(here, BaseModel)


def _tag(here: Any) -> OneOf | None:
    if get_origin(here) in (Union, UnionType) and len(arms := _arms(here)) == 1:
        here = arms[0]  # `AnyLoss | None`
    return next((item for item in getattr(here, "__metadata__", ()) if isinstance(item, OneOf)), None)


def _field(model: type[BaseModel], key: str) -> Any:
    """Return the annotation of a field with its tag; pydantic stores the outermost metadata apart from the annotation."""
    field = model.model_fields.get(key)
    if field is None:
        return None
    tag = next((item for item in field.metadata if isinstance(item, OneOf)), None)
    return Annotated[field.annotation, tag] if tag is not None else field.annotation


def _example(model: type[BaseModel], key: str) -> Any:
    field = model.model_fields.get(key)
    return field.examples[0] if field is not None and field.examples else None


def _arms(here: Any) -> list[Any]:
    """Return the types of a union without None; for any other annotation the type itself."""
    plain = get_args(here)[0] if get_origin(here) is Annotated else here
    if get_origin(plain) not in (Union, UnionType):
        return [plain]
    return [arm for arm in get_args(plain) if arm is not NoneType] or [None]


def _inside(here: Any, part: str | int) -> Any:
    """Return the type of the values of a map or a list."""
    arguments = get_args(here)
    if isinstance(get_origin(here), type) and issubclass(get_origin(here), Mapping):
        return arguments[1]
    if isinstance(part, int) and arguments:
        return arguments[part] if part < len(arguments) and arguments[-1] is not Ellipsis else arguments[0]
    return None
