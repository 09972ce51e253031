"""A model as its clients see it: columns to send, with what training knows of them, and columns of the answer."""

from __future__ import annotations

from typing import Any

from mmtrain.columns import Id, images_among, inputs_among
from mmtrain.serving.served_model import Limits, ServedModel
from mmtrain.serving.served_rows import undefined_columns

CONFORMAL = {"sets": "set", "intervals": "interval", "intervals_per_number": "interval_per_number"}
"""Words of clients for the kinds of conformal prediction."""
MAX_CATEGORIES = 500
"""Categories of a column that are listed."""


def describe(model: ServedModel, limits: Limits) -> dict[str, Any]:
    """Return columns, targets and limits of a model, plain JSON."""
    return {
        "name": model.name,
        "run": model.version,
        "columns": _columns(model),
        "targets": _targets(model),
        "limits": {"bytes": limits.max_bytes, "rows": limits.max_rows, "seconds": limits.seconds},
    }


def _columns(model: ServedModel) -> list[dict[str, Any]]:
    predictor = model.predictor
    fitted, statistics = predictor.loaded.fitted.columns, predictor.loaded.statistics.columns
    inputs = inputs_among(predictor.experiment.columns)
    images = images_among(inputs)
    columns: list[dict[str, Any]] = []
    for key, column in inputs.items():
        required = column.policy in ("error", "drop", "")
        for header in column.reads():
            known = {"name": header, "required": required}
            if key in images:
                columns.append({**known, "type": "image", "several": column.lists})
            elif categories := getattr(fitted[key], "categories", ()):
                columns.append({**known, "type": "category", "categories": list(categories[:MAX_CATEGORIES]), "of": len(categories)})
            elif column.holds_numbers:
                median = getattr(statistics.get(key), "quartiles", (None, None))[1]
                bounds = {name: getattr(fitted[key], name, None) for name in ("minimum", "maximum")}
                columns.append({**known, "type": "number", **bounds, "median": median})
            else:
                columns.append({**known, "type": "text"})
    identity = predictor.experiment.only(Id)
    columns += [] if identity is None else [{"name": identity.column, "type": "id", "required": False}]
    for target in predictor.loaded.fitted.targets.values():
        named = {column["name"] for column in columns}
        kind = "group" if target.is_ranked else "exposure"
        columns += [{"name": header, "type": kind, "required": False} for header in target.row_headers if header not in named]
    return columns


def _targets(model: ServedModel) -> list[dict[str, Any]]:
    loaded = model.predictor.loaded
    targets = loaded.fitted.targets
    described = []
    for key, target in targets.items():
        prefix = f"{key}_" if len(targets) > 1 else ""
        fitted = loaded.decisions.of(key)
        conformal = None if fitted.conformal is None else CONFORMAL[fitted.conformal.kind]
        coverage = None if fitted.conformal is None else fitted.conformal.coverage
        described.append(
            {
                "name": key,
                "task": target.task,
                "labels": list(target.columns),
                "numbers": [*target.number_columns, *(name.removeprefix(prefix) for name in undefined_columns(key, targets))],
                "prefix": prefix,
                "calibrated": fitted.calibration is not None,
                "conformal": conformal,
                "coverage": coverage,
                "threshold": target.decision_threshold,
            }
        )
    return described
