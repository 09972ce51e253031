"""Base class of all results: what evaluation returns, a run stores, reading validates, and reports and `--json` show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer

Count = Annotated[int, Field(ge=0, lt=10**15)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class ResultModel(BaseModel):
    """A frozen result: values of exactly the declared types, finite numbers, unknown keys ignored.

    In JSON, an optional field without content (None, or an empty text, list or map) is left out; a required field is always there, and
    null where it has no value. `to_json` gives the values of the document.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=(), defer_build=True)

    @model_serializer(mode="wrap")
    def _leave_out_empty(self, serialize: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            name: value
            for name, value in serialize(self).items()
            # Computed fields are not declared, and stay.
            if name not in fields or fields[name].is_required() or not (value is None or value in ("", [], {}))
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as the JSON document of this result has them."""
        return self.model_dump(mode="json")


class FullResult(ResultModel):
    """A result whose JSON has every field, empty ones too."""

    @model_serializer(mode="wrap")
    def _leave_out_empty(self, serialize: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return serialize(self)


def both_or_neither(low: float | None, high: float | None) -> None:
    """Raise ValueError for an interval with one end."""
    if (low is None) != (high is None):
        raise ValueError("an interval has two ends")


def plain_values(value: Any) -> Any:
    """Return a value of a JSON document with every result in it as plain values."""
    if isinstance(value, ResultModel):
        return value.to_json()
    if isinstance(value, dict):
        return {key: plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value
