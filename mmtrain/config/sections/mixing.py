"""The section `training.mix`: training on mixtures of two rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mmtrain.registry import Section


class Mix(Section):
    """Rows that are trained on as mixtures of two, with the answers of both."""

    method: Literal["mixup", "cutmix"] = Field(
        description="mixup: weighted means of pixels and numbers (Zhang et al. 2018, arXiv:1710.09412); cutmix: rectangles of images and "
        "whole columns are exchanged (Yun et al. 2019, arXiv:1905.04899). Categories, texts, series and sets are exchanged by both."
    )
    alpha: float | None = Field(
        None,
        gt=0,
        le=10,
        description="Both parameters of the beta distribution of the share of a row; the larger, the more even the mixtures. Left out: 0.2 "
        "with mixup, 1 with cutmix.",
    )
    probability: float = Field(1.0, gt=0, le=1, description="Probability that a row is mixed.")

    @property
    def strength(self) -> float:
        """`alpha`, or its default for the method."""
        return self.alpha or (0.2 if self.method == "mixup" else 1.0)
