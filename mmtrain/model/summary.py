"""The network in brief, as network.json keeps it: what each part takes and gives, and how many parameters it learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmtrain.config import Experiment
from mmtrain.data.encode import Fitted
from mmtrain.model.assemble import Models, names_of_layers


def model_summary(models: Models, experiment: Experiment, fitted: Fitted) -> dict[str, Any]:
    """`branches` with their `inputs`, the `fusion`, and the `targets`; each gives a vector of `width` numbers."""
    names = names_of_layers(experiment, fitted)
    learned = models.parameters()

    def part(name: str) -> dict[str, int]:
        return {"width": int(_vector(models.network.get_layer(name)).shape[-1]), "parameters": learned.get(name, 0)}

    return {
        "branches": [
            {"name": key, "architecture": branch.architecture, "inputs": _inputs(branch.columns, fitted), **part(names.branches[key])}
            for key, branch in experiment.branches.items()
        ],
        "fusion": {"method": experiment.fusion.method, **part(names.fusion)},
        "targets": [{"name": key, "task": target.task, **part(names.heads[key])} for key, target in fitted.targets.items()],
    }


def _vector(layer: Any) -> Any:
    """The vector that a part of the network gives; a branch may give tokens after it."""
    return layer.output[0] if isinstance(layer.output, list) else layer.output


def _inputs(columns: Iterable[str], fitted: Fitted) -> list[Mapping[str, Any]]:
    specs = [(key, fitted.columns[key].spec) for key in columns]
    return [{"name": key, "kind": spec.kind, "shape": list(spec.shape)} for key, spec in specs]
