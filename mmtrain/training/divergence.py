"""A loss that is no number any more, and what in the data could be the cause."""

from __future__ import annotations

import numpy as np

from mmtrain.data.encode import Array, Arrays
from mmtrain.errors import Problem, RunError, listed
from mmtrain.training.training_data import TrainingData


def divergence_error(material: TrainingData, where: str, what: str, which: str, rows: Array) -> RunError:
    """The end of the training in `where`: `what` happened, on `which` rows.

    Of training rows all are looked at: what upsets the weights in one step shows in the loss of the next.
    """
    suspects = [f"{name} {value:g} ({material.place(row)})" for name, value, row in suspicious(material.arrays, rows)]
    seen = f"Out of the ordinary in {which}: {listed(suspects, most=5)}." if suspects else f"No number in {which} is out of the ordinary."
    rate = material.experiment.training.learning_rate
    fix = f"Lower training.learning_rate (now {rate:g}); normalize numbers; look for outliers."
    return RunError(Problem(where, f"{what} {seen}", fix))


def suspicious(arrays: Arrays, rows: Array) -> list[tuple[str, float, int]]:
    """Inputs and weights of `rows` that are not finite or are larger than 1000, as (name, size, row); the two largest of each."""
    found = []
    weights = {f"weight of {key}": values[rows] for key, values in arrays.weights.items()}
    inputs = {key: source.take(rows) for key, source in arrays.inputs.items() if np.issubdtype(source.take(rows[:1]).dtype, np.floating)}
    for name, values in [*inputs.items(), *weights.items()]:
        largest = np.abs(values.reshape(len(rows), -1).astype(np.float64)).max(axis=1)
        largest[np.isnan(largest)] = np.inf
        for place in np.argsort(-largest, kind="stable")[:2]:
            if largest[place] > 1e3:
                found.append((name, float(largest[place]), int(rows[place])))
    return found
