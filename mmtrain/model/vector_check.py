"""The check of the vector that a branch or a fusion returns, which may be a user's own."""

from __future__ import annotations

from typing import Any

import keras

from mmtrain.errors import Problem, UsageError


def check_vector(where: str, vector: Any, inputs: Any, *, members: int = 0) -> None:
    """Raise UsageError, with the place `where`, for anything but a tensor of Keras that has one vector per row and follows from `inputs`.

    With another number of axes, a loss would compare each row with the answers of all rows, without an error.
    """
    what = ""
    if not isinstance(vector, keras.KerasTensor):
        what = f"its vector is of the type {type(vector).__name__}, not a tensor of Keras."
    elif len(vector.shape) != (3 if members else 2):
        what = f"its vector has the shape {tuple(vector.shape)}."
    else:
        try:
            keras.Model(inputs, vector)
        except ValueError as error:
            what = f"its vector does not follow from its inputs: {str(error).rstrip('.')}."
    if what:
        shape = "(batch, members, width)" if members else "(batch, width)"
        raise UsageError(Problem(where, what, f"Return a vector, {shape}, that layers make of the inputs."))
