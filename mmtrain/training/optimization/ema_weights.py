"""The moving average of the weights that an optimizer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class EmaWeights:
    """Context with the moving average in place of the trained weights, if the experiment keeps one."""

    def __init__(self, variables: Sequence[Any], optimizer: Any) -> None:
        self.variables = variables
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        self.optimizer = inner if inner.use_ema else None
        self.trained: list[Any] = []

    def __enter__(self) -> None:
        if self.optimizer is not None:
            # Copies on the host, as `finalize_variable_values` overwrites the variables.
            self.trained = [variable.numpy() for variable in self.variables]
            self.optimizer.finalize_variable_values(self.variables)
            for variable, value in zip(self.variables, self.trained, strict=True):
                if not variable.trainable:  # frozen in this stage: the average of equal values is off by rounding
                    variable.assign(value)

    def __exit__(self, *_: object) -> None:
        # Without an average `trained` is empty, and nothing is put back.
        for variable, value in zip(self.variables, self.trained, strict=bool(self.trained)):
            variable.assign(value)
