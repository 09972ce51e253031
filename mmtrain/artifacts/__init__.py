"""What the JSON files of a run hold, as far as they are read again: a run may come from a stranger, and hold anything.

Values stay as they were written; they are only looked at. Files that are not here have models of their own, by which they are read:
columns.json, statistics.json, decisions.json, manifest.json. What an older mmtrain did not write may be missing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mmtrain.artifacts.results import TargetResult, WorstRow
from mmtrain.artifacts.run_schema import Checkpoint, Data, EpochLine, Network, RunFacts

LINE = "metrics.jsonl"
SHAPES: dict[str, Any] = {
    "run.json": RunFacts,
    "data.json": Data,
    "network.json": Network,
    LINE: EpochLine,
    "position.json": Checkpoint,
    "metrics.json": dict[str, dict[str, TargetResult]],
    "most_wrong_": dict[str, list[WorstRow]],
}
"""By how the name of the file begins; of metrics.jsonl one line."""


def schema_error(name: str, values: Any) -> str:
    """What is not as it should be in the file called `name`, as a sentence; empty when nothing is."""
    shape = next((start for start in SHAPES if name.startswith(start)), None)
    if shape is None:
        return ""
    try:
        _adapter(shape).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"the file is damaged: {f'`{place}`: ' if place else ''}{first['msg'].removeprefix('Value error, ')}."
    return ""


@cache
def _adapter(shape: str) -> TypeAdapter[Any]:
    """Built when first needed."""
    return TypeAdapter(SHAPES[shape])
