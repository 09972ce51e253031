"""The network in brief, as network.json has it: inputs, width and weights of each part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmtrain.branches import Branch
from mmtrain.data.encode import Fitted
from mmtrain.encoders import Encoder
from mmtrain.fusions import FusionSection
from mmtrain.model.models import Models, names_of_layers


def model_summary(models: Models, branches: Mapping[str, Branch], fusion: FusionSection, fitted: Fitted) -> dict[str, Any]:
    """Summarize the `branches` with their `inputs`, the `fusion` and the `targets`; each gives a vector of `width` numbers.

    `auxiliary_heads`, after training with auxiliary losses only, are not part of the network: parameters of the heads of each branch.
    """
    names = names_of_layers(branches, fitted)
    parameters = models.parameters()

    def part(name: str) -> dict[str, int]:
        # The last axis is the width with and without members.
        return {"width": int(_vector(models.network.get_layer(name)).shape[-1]), "parameters": parameters.get(name, 0)}

    return {
        "branches": [
            {
                "name": key,
                "architecture": branch.architecture,
                "inputs": _inputs(branch, models, fitted),
                **part(names.branches[key]),
                **_encoder(branch, fitted),
            }
            for key, branch in branches.items()
        ],
        "fusion": {"method": fusion.method, **part(names.fusion)},
        "targets": [{"name": key, "task": target.task, **part(names.heads[key])} for key, target in fitted.targets.items()],
        **({"auxiliary_heads": models.auxiliary_parameters(names)} if models.branches else {}),
    }


def _encoder(branch: Branch, fitted: Fitted) -> dict[str, Any]:
    """Return the pretrained encoder of a branch as network.json has it; nothing where there is none."""
    pretrained, column = branch.pretrained(), branch.columns[0]
    if pretrained is None:
        return {}
    encoder = pretrained.load_frozen(fitted.columns[column].spec, owner=column)
    return {"encoder": _encoder_record(encoder, frozen=pretrained.frozen)}


def _encoder_record(encoder: Encoder, *, frozen: bool) -> dict[str, Any]:
    facts = {"model": encoder.name, "sha256": encoder.fingerprint, "design": encoder.design, "frozen": frozen}
    return {**facts, "parameters": int(encoder.network.count_params())}


def _vector(layer: Any) -> Any:
    """Return the output vector of a part of the network; a branch may give tokens after it."""
    return layer.output[0] if isinstance(layer.output, list) else layer.output


def _inputs(branch: Branch, models: Models, fitted: Fitted) -> list[dict[str, Any]]:
    """Return the columns of a branch, with the encoder of a column that has one of its own."""
    entries = []
    for key in branch.columns:
        spec = fitted.columns[key].spec
        entry: dict[str, Any] = {"name": key, "kind": spec.kind, "shape": list(spec.shape)}
        if key in models.encoders and branch.pretrained() is None:
            entry["encoder"] = _encoder_record(models.encoders[key].encoder, frozen=True)
        entries.append(entry)
    return entries
