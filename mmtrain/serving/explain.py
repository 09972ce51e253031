"""Explanations of single rows: attributions by integrated gradients, as `mmtrain explain` computes them.

They take a hundred times as long as a prediction, so they have a thread of their own, and few may wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.data.tables.table import cells_of, shown_cells
from mmtrain.explanation.attribution import ColumnAttribution, RowExplanation, RowInputs, SelectedRow, describe
from mmtrain.explanation.selection import ExplainedOutputs, output_selector
from mmtrain.pipeline.groups.ensemble import Ensemble
from mmtrain.serving.refused import Refused
from mmtrain.serving.row_predictor import RowPredictor
from mmtrain.serving.served_model import ServedModel
from mmtrain.serving.served_rows import ServedRows

MOST_WAITING = 8
"""Explanations that may wait."""
MAX_WORDS = 200
"""Words of a text that are listed."""


class Explanations:
    """Explains rows, one at a time; the hooked networks are kept until their model changes."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explain")
        self._waiting = 0
        self._explainers: dict[tuple[str, str], tuple[RowPredictor, list[Any]]] = {}

    async def of(self, model: ServedModel, row: Mapping[str, Any], target: str | None) -> dict[str, Any]:
        """Return the attributions of a row, plain JSON. Raises Refused, and DataError for a row that lacks a column."""
        targets = model.predictor.loaded.fitted.targets
        if target is not None and target not in targets:
            raise Refused(400, f"the model predicts no {target[:60]!r}.", f"It predicts {', '.join(targets)}.")
        if self._waiting >= MOST_WAITING:
            raise Refused(503, f"{MOST_WAITING} explanations are waiting.", "Try again later.", {"Retry-After": "2"})
        self._waiting += 1
        try:
            key = target or next(iter(targets))
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._explain, model.name, model.predictor, row, key)
        finally:
            self._waiting -= 1

    def _explain(self, name: str, predictor: RowPredictor, row: Mapping[str, Any], target: str) -> dict[str, Any]:
        (prepared,) = predictor.prepare([row])
        served = predictor.predict([prepared])
        if served.refused[0]:
            raise Refused(422, f"the row cannot be predicted: {served.status[0]}.", "Mend it.")
        result = self._explained(name, predictor, served, target)
        selector, headers = result.selector, {key: column.column for key, column in predictor.experiment.inputs.items()}
        return {
            "model": name,
            "run": predictor.run.folder.name,
            "target": target,
            "prediction": result.prediction,
            "explains": selector.words,
            "output": result.attributions.output,
            "baseline_output": result.attributions.baseline_output,
            "columns": [_described(one, headers[one.column]) for one in result.columns],
            "status": str(served.status[0]),
        }

    def _explained(self, name: str, predictor: RowPredictor, served: ServedRows, key: str) -> RowExplanation:
        """Explain a row for what is predicted; of a group, return the mean of its members."""
        from mmtrain.explanation.mean_explanation import mean_explanation

        loaded, cells = predictor.loaded, _cells(predictor, served)
        target, selected = loaded.fitted.targets[key], SelectedRow(0, str(served.ids[0]), "request", "")
        label = target.predict_label(served.predictions[key])[0]
        of_class = str(label) if target.columns and str(label) in target.columns else None
        outputs = ExplainedOutputs(key, of_class, "integrated_gradients")
        weights = (loaded.weights or {}).get(key) if isinstance(loaded, Ensemble) else None
        each, shares = {}, []
        for number, (member, explainer) in enumerate(zip(predictor.members, self._explainers_of(name, predictor, key), strict=True)):
            fitted_target = member.fitted.targets[key]
            share = 1.0 if weights is None else weights[number]
            # A class that a member has not learned has no output there.
            if share and (of_class is None or of_class in fitted_target.columns):
                inputs = RowInputs.of({column: cells[column] for column in member.fitted.columns}, served.inputs[number])
                prediction = served.predictions[key] if len(predictor.members) == 1 else np.zeros((1, fitted_target.units), np.float32)
                each[str(number)] = explainer.explain(selected, inputs, "", prediction, class_name=of_class)
                shares.append(share)
        if len(predictor.members) == 1:
            alone: RowExplanation = each["0"]
            return alone
        return mean_explanation(each, shares, output_selector(outputs, target, served.predictions[key]), describe(target, label))

    def _explainers_of(self, name: str, predictor: RowPredictor, target: str) -> list[Any]:
        """Return the explainer of every member, made when the first row of this run is explained."""
        from mmtrain.explanation.explainer import Explainer

        known = self._explainers.get((name, target))
        if known is None or known[0] is not predictor:
            outputs = ExplainedOutputs(target, method="integrated_gradients")
            made = [
                Explainer(network, member.experiment.branches, member.fitted, member.statistics, outputs)
                for network, member in zip(predictor.networks, predictor.members, strict=True)
            ]
            known = self._explainers[name, target] = predictor, made
        return known[1]

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _cells(predictor: RowPredictor, served: ServedRows) -> dict[str, str | None]:
    """Return the cell of each column as a text; that of an image is its name, None where there is none."""
    cells: dict[str, str | None] = {}
    for key, column in predictor.experiment.inputs.items():
        if key in served.chunk.decoded:
            cells[key] = "image" if served.chunk.decoded[key].present[0, 0] else None
        else:
            shown = shown_cells(column.reads(), cells_of(column.reads(), served.chunk.cells)).iloc[0]
            cells[key] = None if pd.isna(shown) else str(shown)
    return cells


def _described(column: ColumnAttribution, header: str) -> dict[str, Any]:
    from mmtrain.explanation.heatmaps import block_sums

    described: dict[str, Any] = {
        "column": header,
        "cell": "" if column.to == "regions" else column.cell,
        "missing": column.missing,
        "attribution": float(column.attribution),
    }
    if column.to == "words" and column.reading:
        described["words"] = [[word.name, float(word.attribution)] for word in column.reading[:MAX_WORDS]]
    if column.pixels is not None and not column.missing:
        described["heat"] = np.round(block_sums(np.asarray(column.pixels))[0].astype(np.float64), 6).tolist()
    return described
