"""The section `tune`: a search over settings of the experiment, each named by its dotted key as in `--set`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, PositiveInt, field_validator, model_validator

from mmtrain.config.monitors import monitored, nearest_monitor
from mmtrain.config.validation.partial_validation import ValidParts
from mmtrain.config.yaml_source import LocatedProblem
from mmtrain.config.yaml_syntax import typed_value
from mmtrain.registry import Section


class Range(Section):
    """Numbers from `low` to `high`, both included; whole numbers where the setting takes no others."""

    low: float = Field(description="The smallest value.")
    high: float = Field(description="The largest value.")
    scale: Literal["linear", "log"] = Field("linear", description="log: every factor is as likely as any other, for rates and sizes.")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"`low` is {self.low:g} and `high` is {self.high:g}. Give `low` the smaller number.")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"`scale: log` needs numbers above 0, and `low` is {self.low:g}. Set `scale: linear`, or a larger `low`.")
        return self


def _check_count(choices: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(choices) < 2:
        raise ValueError("a search needs two or more choices. Add one, or leave the key out.")
    return choices


Choices: TypeAlias = Annotated[tuple[Any, ...], AfterValidator(_check_count)]
Space: TypeAlias = dict[str, Range | Choices]


class Tune(Section):
    """A search by `mmtrain tune`: the settings to vary, the score to optimize, and how long."""

    trials: PositiveInt = Field(40, description="Maximum number of trials, each a training with other settings.")
    minutes: float | None = Field(
        None, gt=0, description="Maximum duration of the search; the trials of the last moments are cut off. Left out: all trials."
    )
    workers: PositiveInt = Field(1, le=64, description="Processes that train at the same time; they share the cores of the machine.")
    folds: int | None = Field(
        None,
        ge=2,
        le=20,
        description="Trainings of a trial, each scored on another part of the train and validation rows; their mean is the score of the "
        "trial, and a bad trial ends after a fold. Left out: one training, scored on the validation rows.",
        examples=[3],
    )
    nested: bool = Field(
        False,
        description="After the search, repeat it in outer folds, those of `split.folds` or 5, and score the best experiment of each on the "
        "rows of its fold, which its search has not seen: an honest score of what the search finds.",
    )
    score: str | None = Field(
        None,
        description="The score of validation rows that is optimized, `validation_auc` for instance, at the epoch that "
        "`training.early_stopping` keeps. Left out: that by which `early_stopping` chooses the epoch.",
    )
    pruner: Literal["median", "hyperband", "none"] = Field(
        "median",
        description="Rule that ends trials early. median: those whose best score so far is worse than the median of all trials until this "
        "epoch, after a third of the epochs; hyperband: successive halving at several rates (Li et al. 2018).",
    )
    space: Space | None = Field(
        None,
        min_length=1,
        description="The settings to vary, by their dotted keys: {low, high, scale} for a range, or a list of choices. Left out: learning "
        "rate, dropout, and widths and architectures that suit the columns.",
        examples=[{"training.learning_rate": {"low": 0.0001, "high": 0.01, "scale": "log"}, "branches.table.units": [[64], [128, 64]]}],
    )

    @field_validator("space", mode="before")
    @classmethod
    def _flatten_keys(cls, space: Any) -> Any:
        """Return the space by dotted keys; `--set tune.space.training.epochs=[5, 10]` gives nested maps."""
        return dict(_flatten(space)) if isinstance(space, Mapping) else space

    @field_validator("space")
    @classmethod
    def _type_choices(cls, space: Space | None) -> Space | None:
        # Texts of the file become numbers, so that the resolved file writes them without quotes.
        typed = {key: typed_value(list(values)) if isinstance(values, tuple) else values for key, values in (space or {}).items()}
        return {key: tuple(values) if isinstance(values, list) else values for key, values in typed.items()} or None


def _flatten(space: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in space.items():
        dotted = f"{above}{key}"
        # A range holds numbers; a map of maps and lists is a part of the dotted keys.
        if isinstance(value, Mapping) and value and all(isinstance(inner, Mapping | list) for inner in value.values()):
            yield from _flatten(value, f"{dotted}.")
        else:
            yield dotted, value


def search_score(sound: ValidParts) -> Iterator[LocatedProblem]:
    """Check that the score of a search exists for these targets and is one of validation rows."""
    section = sound.tree.get("tune")
    score = section.get("score") if isinstance(section, dict) else None
    if not isinstance(score, str) or not sound.whole or not sound.targets:
        return
    known = {name: score for name, score in monitored(sound.targets).items() if not name.startswith("train_")}
    if score.startswith("train_"):
        what = f"{score} is a score of training rows, which the largest network always wins."
        yield ("tune", "score"), what, "Choose one that begins with `validation_`."
    elif score not in known and "[" not in score:
        yield ("tune", "score"), f"there is no score {score!r} for these targets.", nearest_monitor(score, known)
