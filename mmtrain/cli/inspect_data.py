"""`mmtrain inspect-data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmtrain.cli.options import Code, Json, Quiet, Set, read_first


def command(
    source: Annotated[Path, typer.Argument(metavar="CONFIG|TABLE", help="An experiment file, or a CSV, TSV or Parquet file.")],
    overrides: Set = None,
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what is in a table, column by column, and what is wrong with it; with an experiment file, role by role."""
    from mmtrain.errors import Problem, UsageError

    if source.suffix.lower() in (".yaml", ".yml"):
        read_first(source, overrides, code)
        _experiment(source, overrides or [], as_json=as_json, quiet=quiet)
    elif overrides or code:
        option = "--set" if overrides else "--code"
        raise UsageError(Problem(option, f"{source} is a table.", "The option goes with an experiment file, which ends in .yaml."))
    else:
        _table(source, as_json=as_json, quiet=quiet)


def _experiment(path: Path, overrides: list[str], *, as_json: bool, quiet: bool) -> None:
    from mmtrain.cli.inspect_view import show_inspection
    from mmtrain.cli.live import display
    from mmtrain.cli.show import print_json
    from mmtrain.workflows.inspect import inspect_experiment, plain

    with display(quiet=quiet or as_json) as shown:
        inspection = inspect_experiment(path, overrides=overrides, progress=shown.pictures)
    if as_json:
        print_json(plain(inspection))
    else:
        show_inspection(inspection)


def _table(path: Path, *, as_json: bool, quiet: bool) -> None:
    from mmtrain.cli.show import print_json
    from mmtrain.cli.survey_view import show_survey
    from mmtrain.workflows.inspect import inspect_table, plain

    survey = inspect_table(path)
    if as_json:
        print_json(plain(survey))
    else:
        show_survey(survey, quiet=quiet)
