"""A Keras callback in the file: its options are the parameters of a class that is imported much later, so nobody knows their types yet."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from mmtrain.config.yaml_source import Quoted
from mmtrain.registry import Section

WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
WHOLE = re.compile(r"[-+]?[0-9]+\Z")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
PLACE = (
    "Where its class lies, as `keras.callbacks.CSVLogger`; `my_callbacks.Mine` of a file given with `--code my_callbacks.py`. "
    "Other installed modules are imported with `--allow-callbacks` only."
)


def plain(value: Any) -> Any:
    """A value of the tree as YAML means it: numbers and booleans by the rules of its core schema (YAML 1.2.2, 10.3.2).

    Infinities and numbers to other bases than ten stay text.
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Quoted):
        return str(value)
    if not isinstance(value, str):
        return value
    if WHOLE.match(value):
        return int(value)
    return float(value) if NUMBER.match(value) else WORDS.get(value, value)


class Callback(Section):
    """A Keras callback, yours or one of Keras' own. All keys but `name` are parameters of its constructor."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$", description=PLACE)]

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, values: Any) -> Any:
        return {key: value if key == "name" else plain(value) for key, value in values.items()} if isinstance(values, dict) else values

    @property
    def options(self) -> dict[str, Any]:
        """What the constructor is given."""
        return dict(self.model_extra or {})
