"""Classes of the JSON files of a run folder, and the check of what is read.

A run may come from a stranger and hold anything, so every JSON file is validated when it is read. Files that are not listed in `SHAPES`
have models of their own, by which they are read: columns.json, statistics.json, decisions.json, manifest.json.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mmtrain.artifacts.group_results import CrossValidation, EnsembleWeights
from mmtrain.artifacts.results import PartResults, WorstPrediction
from mmtrain.artifacts.run_schema.network_facts import Network
from mmtrain.artifacts.run_schema.progress_records import Checkpoint, EpochLine
from mmtrain.artifacts.run_schema.run_facts import Data, RunFacts

LINE = "metrics.jsonl"
SHAPES: dict[str, Any] = {
    "run.json": RunFacts,
    "data.json": Data,
    "network.json": Network,
    LINE: EpochLine,
    "position.json": Checkpoint,
    "cross_validation.json": CrossValidation,
    "ensemble.json": EnsembleWeights,
    "metrics.json": dict[str, PartResults],
    "worst_predictions_": dict[str, list[WorstPrediction]],
}
"""Classes by the beginning of the file's name; of metrics.jsonl that of one line."""


def parse(name: str, values: Any) -> Any:
    """Return the `values` of the file called `name` as an object of its class; as they are where the file has none.

    Raises ValueError with the problem as a sentence.
    """
    shape = next((start for start in SHAPES if name.startswith(start)), None)
    if shape is None:
        return values
    try:
        return _adapter(shape).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = f"the file is damaged: {f'`{place}`: ' if place else ''}{first['msg'].removeprefix('Value error, ')}."
        raise ValueError(what) from None


@cache
def _adapter(shape: str) -> TypeAdapter[Any]:
    """Build the validator of a class when it is first needed."""
    return TypeAdapter(SHAPES[shape])
