"""Contributions, missing inputs, subgroups and calibration as tables, a line per score or per bin of probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

Line = dict[str, Any]


def tables(results: Mapping[str, Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """By what the name of its file begins with; without a row where nothing of the sort was looked at.

    `results` are those of one part, as metrics.json has them by target.
    """
    return {
        name: pd.DataFrame(
            [{"target": key, **line} for key, result in results.items() if name in result for line in lines_of(result[name])]
        )
        for name, lines_of in LINES.items()
    }


def _contributions(found: Mapping[str, Any]) -> Iterator[Line]:
    for one in found["inputs"]:
        column = "" if one["whole_branch"] else one["name"]
        for name, loss in one["losses"].items():
            yield {"branch": one["branch"], "column": column, "rows": found["rows"], "score": name, **_loss(loss)}


def _missing_patterns(found: Mapping[str, Any]) -> Iterator[Line]:
    for pattern in found["patterns"]:
        missing = "other" if pattern["missing"] is None else " + ".join(pattern["missing"]) or "nothing"
        yield from ({"missing": missing, "left_out": "", **line, **_loss({})} for line in _scores(pattern))
    for masked in found["masked"]:
        for line in _scores(masked):
            yield {"missing": "", "left_out": masked["branch"], **line, **_loss(masked["losses"].get(line["score"], {}))}


def _subgroups(found: list[Mapping[str, Any]]) -> Iterator[Line]:
    for division in found:
        for one in division["subgroups"]:
            yield from ({"column": division["column"], "subgroup": one["name"], **line} for line in _scores(one))


def _calibration(found: Mapping[str, Any]) -> Iterator[Line]:
    for when, probabilities in (("before", "network"), ("after", "calibrated")):
        for one in found.get(when, {}).get("bins", ()):
            yield {"probabilities": probabilities, **one}


def _scores(found: Mapping[str, Any]) -> Iterator[Line]:
    units = {"rows": found["rows"], **({"groups": found["groups"]} if "groups" in found else {})}
    for name, score in found["scores"].items():
        limits = {limit: score.get(limit) for limit in ("low", "high")}
        yield {**units, "score": name, "value": score["value"], **limits, "undefined": score.get("undefined", "")}


def _loss(loss: Mapping[str, Any]) -> Line:
    return {"loss": loss.get("value"), "loss_low": loss.get("low"), "loss_high": loss.get("high")}


LINES: Mapping[str, Callable[[Any], Iterator[Line]]] = {
    "contributions": _contributions,
    "missing_patterns": _missing_patterns,
    "subgroups": _subgroups,
    "calibration": _calibration,
}
"""By the key of metrics.json."""
