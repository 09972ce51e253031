"""The page of the reference on every JSON file and `--json` document, from their classes."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mmtrain.artifacts import command_results, export_results, inspection_results, run_lists, search_results
from mmtrain.artifacts.group_results import CrossValidation, EnsembleWeights
from mmtrain.artifacts.results import TargetResult, WorstPrediction
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema import network_facts, progress_records, run_facts
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.result_model import FullResult, ResultModel

INTRODUCTION = """# JSON files and documents

Every table lists the fields of one JSON object. A field with a question mark is left out if it has no content; a field that may
be null is always present. Lists and maps of objects name the table that describes them. Numbers are finite. Times are in UTC.
"""
DOCUMENTS: Mapping[str, tuple[str, type]] = {
    "metrics.json": ("By part, then by target:", TargetResult),
    "worst_predictions_<part>.json": ("By target, a list, the highest loss first, of:", WorstPrediction),
    "cross_validation.json": ("A group of trainings:", CrossValidation),
    "ensemble.json": ("A group of trainings with `ensemble: {weights: greedy}`:", EnsembleWeights),
    "run.json": ("", run_facts.RunFacts),
    "data.json": ("", run_facts.Data),
    "network.json": ("", network_facts.Network),
    "metrics.jsonl": ("One line per epoch. Losses, scores and the learning rate are further fields of it:", progress_records.EpochLine),
    "decisions.json": ("Postprocessing fitted on validation and calibration rows:", Postprocessing),
    "signature.json": ("An export, with the check that it has passed:", export_results.Signature),
    "tune --json": ("", search_results.SearchResult),
    "evaluate --json": ("", command_results.EvaluationResult),
    "compare --json": ("", command_results.Comparison),
    "leaderboard --json": ("", run_lists.Leaderboard),
    "runs --json": ("", run_lists.RunList),
    "explain --json": ("", command_results.Explanation),
    "export --json": ("", export_results.ExportResult),
    "check --json": ("", inspection_results.CheckResult),
    "init --json": ("", inspection_results.StarterResult),
    "inspect-data --json": ("With an experiment file:", inspection_results.Inspection),
    "inspect-data TABLE --json": ("Without an experiment file:", inspection_results.InspectedTable),
    "fit --dry-run --json": ("", command_results.DryRun),
    "cache list --json": ("A list `entries` of the following, and the `folder` and `size` of the cache:", command_results.CacheEntry),
    "models list --json": ("A list `models` of the following, and the `folders` that were looked through:", command_results.ModelAtHand),
}
COMMON: Mapping[str, str] = {
    "aim": "What the threshold was chosen for.",
    "architecture": "Architecture of the branch.",
    "at": "Probabilities of the network, the points of the curve.",
    "baseline_output": "The explained output at the baseline.",
    "best_epoch": "The epoch whose weights were kept.",
    "branch": "Key of the branch.",
    "calibration_notes": "Remarks on the calibration, in sentences.",
    "chosen": "The one set in the experiment.",
    "column": "Key of the column.",
    "combinations": "Different combinations of labels.",
    "columns": "Keys of the columns.",
    "confidence": "Confidence level of the intervals, 0.95 for instance.",
    "coverage": "The coverage set in the experiment.",
    "dates": "Cells that are dates.",
    "deterministic": "True if the training is reproducible bit by bit.",
    "draws": "Number of draws of the bootstrap.",
    "dtype": "Type of the values.",
    "ended": "When the training ended.",
    "epoch": "Number of the epoch, from 1.",
    "exclusive": "True if a row has one class; false for labels.",
    "exports": "Exports of the run, each with its folder and its check.",
    "f1": "F1 score.",
    "fix": "The fix, in a sentence.",
    "folder": "The folder.",
    "formats": "Files by format.",
    "header": "Header of the column in the table.",
    "headers": "Headers of the table.",
    "high": "Upper limit of the confidence interval.",
    "id": "Id of the row: its cell in the id column, or its position.",
    "key": "Key of the column in the experiment.",
    "kind": "The kind.",
    "labels": "Number of labels.",
    "largest": "Height and width of the largest image.",
    "level": "The severity, or the probability from which a class belongs to the set.",
    "loss": "Loss of the row.",
    "low": "Lower limit of the confidence interval.",
    "maximum": "The largest value.",
    "meaning": "The meaning, in a sentence.",
    "median": "The median.",
    "method": "Name of the method.",
    "minimum": "The smallest value.",
    "missing": "Empty cells.",
    "most_epochs": "Epochs of the run that the branch was trained for.",
    "name": "Its name.",
    "note": "A remark in a sentence; may be empty.",
    "notes": "Remarks, in sentences.",
    "number_cells": "Cells that are numbers.",
    "options": "Options of the role.",
    "output": "The explained output of the row.",
    "part": "The part of the split.",
    "path": "The path.",
    "positives": "Number of rows of the positive class.",
    "precision": "Precision.",
    "prediction": "The prediction.",
    "reason": "The reason, in a sentence.",
    "remarks": "Remarks, in sentences.",
    "role": "Role of the column.",
    "rows": "Number of rows.",
    "run": "Folder of the run.",
    "score": "Name of the score.",
    "seed": "Seed of the training.",
    "sensitivity": "Sensitivity (recall of the positive class).",
    "separator": "The separator of labels.",
    "sha256": "SHA-256 of the table's file.",
    "smallest": "Height and width of the smallest image.",
    "specificity": "Specificity (recall of the negative class).",
    "standard_error": "Standard error of the difference.",
    "started": "When the training began.",
    "state": "State of the run; `finished` once the report is written.",
    "sum_of_attributions": "The sum of the attributions of all columns.",
    "table": "File of the table.",
    "target": "Key of the target.",
    "task": "Task of the target.",
    "truth": "The true answer.",
    "used": "True if it is used.",
    "value": "The value.",
    "values": "The values at these points.",
    "what": "The finding, in a sentence.",
    "where": "The place: a line of a file, a column, an option.",
    "why": "The reason why it matters, in a sentence.",
    "when": "Time in UTC, ISO 8601.",
}
"""Meanings of fields without a docstring."""
PLAIN = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    type(None): "null",
    Path: "path",
    Run: "path",
    Any: "any value",
}


def page() -> str:
    """Return the page: the documents first, then every object that they hold, each once."""
    known: dict[str, type] = {}
    lines = [INTRODUCTION]
    for name, (note, kind) in DOCUMENTS.items():
        lines += [f"({kind.__name__.lower()})=\n", f"## `{name}`\n", f"{summary(kind)}{f' {note}' if note else ''}\n", *table(kind, known)]
    lines.append("# Objects\n")
    roots = {kind.__name__ for _, kind in DOCUMENTS.values()}
    done: set[str] = set()
    while missing := [name for name in known if name not in done | roots]:
        for name in missing:
            done.add(name)
            lines += [f"({name.lower()})=\n", f"## {name}\n", f"{summary(known[name])}\n", *table(known[name], known)]
    return "\n".join(lines).rstrip() + "\n"


def summary(kind: type) -> str:
    """Return the docstring of a class without its examples."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition(">>>")[0].split())


def table(kind: type, known: dict[str, type]) -> list[str]:
    """Return the fields of a class as lines of a Markdown table; classes that they refer to are added to `known`."""
    meanings, hints = docstrings(kind), get_type_hints(kind, vars(inspect.getmodule(kind)), include_extras=True)
    lines = ["| field | type | meaning |", "|---|---|---|"]
    for name, optional, described in fields_of(kind):
        told = type_name(hints[name], known).replace(" or null", "") if optional else type_name(hints[name], known)
        meaning = described or meanings.get(name, "") or meaning_of(hints[name]) or COMMON.get(name, "")
        lines.append(f"| `{name}`{'?' if optional else ''} | {told} | {' '.join(meaning.split()).replace('|', chr(92) + '|')} |")
    return [*lines, ""]


def meaning_of(kind: Any) -> str:
    """Return the first sentence on the objects that a field holds."""
    held: dict[str, type] = {}
    type_name(kind, held)
    return " ".join(summary(one).split(". ")[0].rstrip(".") + "." for one in list(held.values())[:1])


def fields_of(kind: type) -> list[tuple[str, bool, str]]:
    """Return names, whether they may be left out, and descriptions of the fields that JSON has."""
    if is_dataclass(kind):
        return [(field.name, False, "") for field in fields(kind)]
    return [(name, optional(kind, field), field.description or "") for name, field in kind.model_fields.items() if not field.exclude]


def optional(kind: type[BaseModel], field: FieldInfo) -> bool:
    """Return True if a field is left out when it has no content: unknown facts of a run, and empty parts of a result."""
    if issubclass(kind, run_facts.Model):
        return not field.is_required()
    if not issubclass(kind, ResultModel) or issubclass(kind, FullResult):
        return False
    return not field.is_required() and field.annotation not in (int, float, bool)


def docstrings(kind: type) -> dict[str, str]:
    """Return the texts below the fields of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not (is_dataclass(base) or issubclass(base, BaseModel)) or base is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = str(ast.literal_eval(text.value))
    return found


def type_name(kind: Any, known: dict[str, type]) -> str:
    """Return the type of a field in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_name(arguments[0], known)
    if origin in (Literal, Union, types.UnionType):
        return " or ".join(f"`{one}`" if origin is Literal else type_name(one, known) for one in arguments)
    if origin in (list, tuple, Sequence):
        named = dict.fromkeys(type_name(one, known) for one in arguments if one is not Ellipsis)
        return f"list of {', '.join(named)}"
    if origin in (dict, Mapping):
        return f"map to {type_name(arguments[1], known)}"
    if kind in PLAIN:
        return PLAIN[kind]
    known[kind.__name__] = kind
    return f"[{kind.__name__}](#{kind.__name__.lower()})"
