"""The section `evaluation`: what is found out about a trained model besides its scores, and what is fitted on validation rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from mmtrain.registry import Section

BaselineKind = Literal["majority", "single_branch", "gradient_boosting"]


def ascending(edges: tuple[float, ...]) -> tuple[float, ...]:
    """The edges of ranges. Raises ValueError unless each is above the one before it."""
    if any(upper <= lower for lower, upper in pairwise(edges)):
        raise ValueError("edges have to ascend, each above the one before it.")
    return edges


def _of_one_column(ranges: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    if len(ranges) != 1:
        raise ValueError("one column with its edges is expected here. Write an entry for every column: `- age: [0, 40, 65]`.")
    return ranges


Edges = Annotated[tuple[float, ...], Field(min_length=2), AfterValidator(ascending)]
Subgroup = Annotated[str, Field(min_length=1)] | Annotated[dict[str, Edges], AfterValidator(_of_one_column)]
AIM = r"^(f1|youden|cost|(sensitivity|specificity) ?>= ?(0?\.[0-9]+|0|1|1\.0))$"


FITTED_SETTINGS = ("calibration", "threshold", "conformal")
"""What is fitted on validation rows once the training has ended."""


class Cost(Section):
    """What a wrong decision costs; only the proportion of the two matters."""

    false_positive: float = Field(1.0, gt=0, description="A negative row that is called positive.")
    false_negative: float = Field(1.0, gt=0, description="A positive row that is called negative.")


class Threshold(Section):
    """The probability from which a row is called positive, chosen on validation rows for an aim."""

    aim: Annotated[str, Field(pattern=AIM)] = Field(
        description="f1: the highest F1; youden: the highest sensitivity plus specificity (Youden 1950); `sensitivity>=0.95` or "
        "`specificity>=0.9`: the best of the other among thresholds that reach it; cost: the lowest cost of wrong decisions.",
        examples=["youden", "sensitivity>=0.95"],
    )
    cost: Cost | None = Field(None, description="For `aim: cost`.", examples=[{"false_negative": 5}])

    @model_validator(mode="after")
    def _cost_goes_with_its_aim(self) -> Threshold:
        if (self.aim == "cost") != (self.cost is not None):
            raise ValueError("`aim: cost` and `cost` belong together. Write `{aim: cost, cost: {false_positive: 1, false_negative: 5}}`.")
        return self


@dataclass(frozen=True)
class SubgroupSpec:
    """A header of the table whose values divide the rows; with `edges`, ranges of its numbers do."""

    header: str
    edges: tuple[float, ...] = ()


class Evaluation(Section):
    """What `evaluate` finds out. Everything that is fitted here is fitted on validation rows."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of every interval.")
    draws: PositiveInt = Field(1000, ge=100, description="Bootstrap resamples of the rows, or of groups of rows, for the intervals.")
    baselines: tuple[BaselineKind, ...] = Field(
        ("majority",),
        description="Models to compare with. majority: predicts the class shares of the training rows, a dummy classifier; single_branch: "
        "each branch trained alone, with the epochs and the patience that the model was allowed; gradient_boosting: scikit-learn's, on the "
        "columns other than images and texts.",
    )
    permutations: NonNegativeInt = Field(
        5, description="How often each branch and each column is shuffled among the scored rows to see what it contributes; 0: not at all."
    )
    subgroups: tuple[Subgroup, ...] = Field(
        (),
        description="Columns of the table, with a role or without, whose values divide the rows for scores of their own; a column of "
        "numbers with the edges of its ranges, the lower edge included, of the last range both.",
        examples=[["sex", {"age": [0, 40, 65, 120]}]],
    )
    calibration: Literal["none", "temperature", "isotonic"] = Field(
        "none",
        description="How probabilities are brought in line with the shares that come true. temperature: Guo and others 2017, "
        "arXiv:1706.04599; isotonic: Zadrozny and Elkan 2002.",
    )
    threshold: Threshold | None = Field(
        None, description="From which probability binary targets say yes. Left out: 0.5.", examples=[{"aim": "youden"}]
    )
    conformal: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="The share of new rows whose answer shall lie in the predicted set or interval, 0.9 for instance (split conformal, "
        "Vovk and others 2005). Half of the validation rows, whole groups of them, are kept for it and serve nothing else.",
        examples=[0.9],
    )
    seed: NonNegativeInt = Field(0, description="Of everything that is drawn here.")

    @property
    def decides(self) -> bool:
        """Whether anything is fitted on validation rows after the training."""
        return self.calibration != "none" or self.threshold is not None or self.conformal is not None

    @property
    def of_baselines(self) -> Evaluation:
        """The section for a baseline: only the threshold is fitted, since some scores depend on it."""
        return self.model_copy(update={"calibration": "none", "conformal": None})

    @field_validator("subgroups")
    @classmethod
    def _columns_once(cls, subgroups: tuple[Subgroup, ...]) -> tuple[Subgroup, ...]:
        headers = [_division(subgroup).header for subgroup in subgroups]
        for header in dict.fromkeys(headers):
            if headers.count(header) > 1:
                raise ValueError(f"the column {header!r} is named {headers.count(header)} times. Name it once.")
        return subgroups

    @property
    def divisions(self) -> tuple[SubgroupSpec, ...]:
        """`subgroups`, each as one type."""
        return tuple(_division(subgroup) for subgroup in self.subgroups)


def _division(subgroup: Subgroup) -> SubgroupSpec:
    return SubgroupSpec(subgroup) if isinstance(subgroup, str) else SubgroupSpec(*next(iter(subgroup.items())))


def fewest_units(coverage: float) -> int:
    """Rows, or groups, without which no bound can promise the coverage: n with (n + 1) * coverage <= n."""
    return ceil(coverage / (1 - coverage) - 1e-9)
