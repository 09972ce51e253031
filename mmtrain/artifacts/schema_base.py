"""What parts of files are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mmtrain.metrics.score import higher_is_better


class Model(BaseModel):
    """A part of a file: values of the very type, finite numbers; what it does not know is not looked at.

    What may be left out may not be null instead.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False, protected_namespaces=(), defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _left_out_is_not_null(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for name, field in cls.model_fields.items():
                if name in values and values[name] is None and not field.is_required():
                    raise ValueError(f"`{name}` has no value")
        return values


def _with_zone(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time needs its zone")
    return text


def _known_score(name: str) -> str:
    higher_is_better(name)
    return name


Count = Annotated[int, Field(ge=0, lt=10**15)]
Proportion = Annotated[float, Field(ge=0, le=1)]
Time = Annotated[str, AfterValidator(_with_zone)]
ScoreName = Annotated[str, AfterValidator(_known_score)]


class HasInterval(Model):
    """What may have an interval, from `low` to `high`."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _two_ends(self) -> HasInterval:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends")
        return self


class Value(HasInterval):
    """A difference."""

    value: float


class Score(HasInterval):
    """A score; `undefined` says why it has no value."""

    value: float | None
    undefined: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _explained(self) -> Score:
        if self.value is None and not self.undefined:
            raise ValueError("a score without a value needs a reason")
        return self


Scores = dict[ScoreName, Score]
