"""Columns whose subgroups are scored: those of the experiment, and those named on the command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from mmtrain.config.experiment import Data
from mmtrain.config.sections.evaluation import SubgroupSpec, ascending
from mmtrain.config.yaml_source import Origin
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import DataError, Problem, UsageError
from mmtrain.evaluation.analyses.subgroups import edge_name, subgroup_problem

OPTION = "--subgroup"


def check_subgroups(divisions: Sequence[SubgroupSpec], data: Data, origin: Origin) -> None:
    """Raise DataError for each column of `evaluation.subgroups` that the table lacks or that does not divide its rows."""
    file = open_table(data.table, data.missing_values, data.format, tables=data.tables)
    places = [origin.place("evaluation", "subgroups", number) for number in range(len(divisions))]
    checks = [subgroup_problem(file, one, place, _in_file) for one, place in zip(divisions, places, strict=True)]
    problems = [problem for problem in checks if problem is not None]
    if problems:
        raise DataError(problems)


@dataclass(frozen=True)
class SubgroupPlan:
    """The columns whose subgroups are scored in a table; `remarks` name those that are left out."""

    divisions: tuple[SubgroupSpec, ...]
    remarks: tuple[str, ...] = ()


def resolve_subgroups(divisions: Iterable[SubgroupSpec], file: TableFile, options: Iterable[str]) -> SubgroupPlan:
    """Return the `divisions` of the experiment that this table has, then those of the `options`, `sex` or `age=0,40,65`.

    An option replaces the experiment's ranges of its column. Raises UsageError with every mistake in the options.
    """
    wanted = _parsed(file, options)
    remarks = []
    from_experiment = []
    for division in divisions:
        if division.header in {other.header for other in wanted}:
            continue
        problem = subgroup_problem(file, division, "evaluation.subgroups", _in_file)
        from_experiment += [division] if problem is None else []
        remarks += [f"There are no scores by {division.header}: {problem.what}"] if problem is not None else []
    return SubgroupPlan((*from_experiment, *wanted), tuple(remarks))


def _in_file(division: SubgroupSpec) -> str:
    edges = [int(edge) if edge.is_integer() else edge for edge in division.edges]
    return yaml.safe_dump({division.header: edges}, default_flow_style=True, allow_unicode=True, width=1000).strip()


def _as_option(division: SubgroupSpec) -> str:
    """Return the subgroup as an option of the command line."""
    edges = ",".join(edge_name(edge) for edge in division.edges)
    return f"{OPTION} {shlex.quote(f'{division.header}={edges}')}"


def _parsed(file: TableFile, texts: Iterable[str]) -> tuple[SubgroupSpec, ...]:
    """Return the subgroups of options, the last one of a column. Raises UsageError with every mistake."""
    by_header: dict[str, SubgroupSpec] = {}
    problems: list[Problem] = []
    for text in texts:
        place = f"{OPTION} {text}"
        try:
            division = _division(text, file.headers)
        except ValueError as error:
            problems.append(Problem(place, str(error), f"Write the edges like `{OPTION} age=0,40,65`."))
            continue
        problem = subgroup_problem(file, division, place, _as_option)
        if problem is None:
            by_header[division.header] = division
        else:
            problems.append(problem)
    if problems:
        raise UsageError(problems)
    return tuple(by_header.values())


def _division(text: str, headers: Sequence[str]) -> SubgroupSpec:
    """Parse `age=0,40,65`. Raises ValueError for edges that are not numbers."""
    header, equals, edges = text.rpartition("=")  # the last one: a header may contain `=` itself
    if text in headers or not equals:
        return SubgroupSpec(text)
    try:
        numbers = tuple(float(edge) for edge in edges.split(","))
    except ValueError:
        raise ValueError(f"{edges!r} is not a list of numbers.") from None
    if len(numbers) < 2:
        raise ValueError("ranges need at least two edges.")
    return SubgroupSpec(header, ascending(numbers))
