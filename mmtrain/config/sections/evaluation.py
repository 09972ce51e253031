"""The section `evaluation`: intervals, baselines, analyses, and the postprocessing fitted on validation rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from mmtrain.registry import Section

NamedBaseline = Literal["majority", "single_branch", "gradient_boosting", "linear"]
"""Baselines that need no file."""
BaselineKind = Literal[NamedBaseline, "tabicl"]


class PretrainedBaseline(Section):
    """A pretrained network for tables, which reads training rows as its context: tabicl (Qu et al. 2025, arXiv:2502.05564)."""

    name: Literal["tabicl"] = Field(description="The package of the network.", examples=["tabicl"])
    weights: str = Field(
        min_length=1,
        description="Path of a checkpoint of the package.",
        examples=["tabicl-classifier.ckpt"],
    )


def ascending(edges: tuple[float, ...]) -> tuple[float, ...]:
    """Return the edges of ranges unchanged. Raises ValueError unless each is above the one before it."""
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
"""Settings that are used at the end of the training, on validation rows, and cannot be changed later."""


class Cost(Section):
    """Costs of wrong decisions; only their ratio matters."""

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
    """Subgroups of rows by the values of a header or, with `edges`, by ranges of its numbers."""

    header: str
    edges: tuple[float, ...] = ()


class Evaluation(Section):
    """Scores, baselines and analyses of `evaluate`, and postprocessing, which is fitted on validation rows."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of every interval.")
    draws: PositiveInt = Field(1000, ge=100, description="Bootstrap resamples of the rows, or of groups of rows, for the intervals.")
    baselines: tuple[NamedBaseline | PretrainedBaseline, ...] = Field(
        ("majority",),
        description="Models to compare with. majority: predicts the class shares of the training rows, a dummy classifier; single_branch: "
        "each branch trained alone, with the epochs and the patience that the model was allowed; gradient_boosting: scikit-learn's, on the "
        "columns other than images and texts; linear: scikit-learn's logistic or ridge regression on the columns other than images; "
        "`{name: tabicl, weights: FILE}`: a pretrained network for tables, on the columns other than images and texts.",
    )
    permutations: NonNegativeInt = Field(
        5, description="Permutation importance: how often each branch and each column is shuffled among the scored rows; 0: not at all."
    )
    subgroups: tuple[Subgroup, ...] = Field(
        (),
        description="Columns of the table, with a role or without, whose values divide the rows into subgroups that are scored; a column "
        "of numbers with the edges of its ranges. A range includes its lower edge, the last one both.",
        examples=[["sex", {"age": [0, 40, 65, 120]}]],
    )
    calibration: Literal["none", "temperature", "isotonic"] = Field(
        "none",
        description="Calibration of probabilities to the proportions that come true. temperature: Guo and others 2017, "
        "arXiv:1706.04599; isotonic: Zadrozny and Elkan 2002.",
    )
    threshold: Threshold | None = Field(
        None, description="Probability from which a binary target predicts the positive class. Left out: 0.5.", examples=[{"aim": "youden"}]
    )
    conformal: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="Proportion of new rows whose answer lies in the predicted set or interval, 0.9 for instance (split conformal, "
        "Vovk and others 2005). Half of the validation rows, in whole groups, are held out for it and used for nothing else.",
        examples=[0.9],
    )
    seed: NonNegativeInt = Field(0, description="Random seed of bootstrap, permutations and calibration rows.")

    @property
    def decides(self) -> bool:
        """True if anything is fitted on validation rows after the training."""
        return self.calibration != "none" or self.threshold is not None or self.conformal is not None

    @property
    def of_baselines(self) -> Evaluation:
        """The section for a baseline: only the threshold is fitted, since scores such as F1 depend on it."""
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
    """Return the smallest number n of rows or groups for which a conformal bound exists: (n + 1) * coverage <= n."""
    # The epsilon keeps the rounding error of 1 - coverage from raising n: 0.9 / (1 - 0.9) is 9.000000000000002.
    return ceil(coverage / (1 - coverage) - 1e-9)
