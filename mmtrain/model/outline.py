"""The network in brief, as network.json keeps it: what each part takes and gives, and how many parameters it learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmtrain.config import Experiment
from mmtrain.data.encode import Fitted, free_names
from mmtrain.model.assemble import Network


def outline(network: Network, experiment: Experiment, fitted: Fitted) -> dict[str, Any]:
    """`branches` with their `inputs`, the `fusion`, and the `targets`; each gives a vector of `width` numbers."""
    taken = [tensor.name for tensor in network.core.inputs]
    learned = network.parameters()

    def part(name: str) -> dict[str, int]:
        return {"width": int(network.core.get_layer(name).output.shape[-1]), "parameters": learned.get(name, 0)}

    branches = free_names(experiment.branches, "branch_", taken)
    targets = free_names(fitted.targets, "target_", taken)
    return {
        "branches": [
            {"name": key, "architecture": branch.architecture, "inputs": _inputs(branch.columns, fitted), **part(branches[key])}
            for key, branch in experiment.branches.items()
        ],
        "fusion": {"method": experiment.fusion.method, **part(free_names(["fusion"], "", taken)["fusion"])},
        "targets": [{"name": key, "task": target.task, **part(targets[key])} for key, target in fitted.targets.items()],
    }


def _inputs(columns: Iterable[str], fitted: Fitted) -> list[Mapping[str, Any]]:
    specs = [(key, fitted.columns[key].spec) for key in columns]
    return [{"name": key, "kind": spec.kind, "shape": list(spec.shape)} for key, spec in specs]
