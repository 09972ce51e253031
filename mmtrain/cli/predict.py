"""`mmtrain predict`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import All, Code, Images, Json, Output, Quiet

if TYPE_CHECKING:
    from mmtrain.commands.predict import PredictionResult


TABLE = (
    "CSV, TSV, Parquet, Excel or JSON Lines, with or without answers; an image, or a folder of images, for a run with one column of "
    "images; or - for CSV or JSON Lines from standard input."
)
PROBA = (
    "Also write the probability of every class or label, `probability_<class>`, and, with `evaluation.calibration`, "
    "the calibrated one, `calibrated_<class>`."
)


SPREADSHEET = (
    "Put an apostrophe before ids and classes of the CSV that a spreadsheet would run as a formula: "
    "those that begin with =, +, - or @, except numbers."
)


class OnError(StrEnum):
    """The treatment of a row that cannot be predicted."""

    status = "status"
    skip = "skip"
    fail = "fail"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, or a name (its latest run).")],
    table: Annotated[Path, typer.Argument(help=TABLE)],
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--predictions",
            metavar="FILE",
            help="A .csv or .parquet file to write. Left out: CSV to standard output.",
            show_default=False,
        ),
    ] = None,
    proba: Annotated[bool, typer.Option("--proba", help=PROBA)] = False,
    on_error: Annotated[
        OnError,
        typer.Option(
            "--on-error",
            help="For rows that cannot be predicted: status writes the reason, skip leaves them out, fail stops and writes nothing.",
        ),
    ] = OnError.status,
    spreadsheet: Annotated[bool, typer.Option("--spreadsheet", help=SPREADSHEET)] = False,
    images: Images = None,
    output: Output = Path("runs"),
    code: Code = None,
    every: All = False,  # noqa: ARG001
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict every row of a table, in its order, and report how the rows differ from those of training.

    With `evaluation.conformal`, every row also has a `prediction_set`, the classes joined by ` | `, or the interval from
    `prediction_low` to `prediction_high`.

    Example: `mmtrain predict clinic new_patients.csv -o answers.csv`
    """
    import sys

    from mmtrain.cli.views.console import note
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.commands.predict import PredictOptions, predict
    from mmtrain.system.user_code import import_code

    # Before the model is loaded.
    if as_json and to is None:
        _refuse_two_results()
    import_code(code)
    options = PredictOptions(sys.stdout.buffer if to is None else to, proba, on_error.value, images, spreadsheet)
    with progress_display(quiet=quiet or as_json) as shown:
        done = predict(run, table, options, output=output, say=shown.say)
    # The predictions come before the notes, even if both streams end in one file.
    sys.stdout.flush()
    for drift in done.drifts:
        note(f"note: {drift}", quiet=quiet)
    if as_json:
        _print(done, table, to)
        return
    _show_scores(done, table, on_standard_output=to is not None)
    note(_counts(done, skipped=on_error is OnError.skip), quiet=quiet)
    if done.formulas:
        note(_formulas(done.formulas, changed=spreadsheet), quiet=quiet)
    note("" if to is None else f"Predictions: {to}", quiet=quiet or to is None, whole=True)


def _refuse_two_results() -> None:
    from mmtrain.errors import ConfigError, Problem

    what = "the predictions and the JSON document cannot both go to standard output."
    raise ConfigError(Problem("mmtrain predict", what, "Name a file for the predictions with -o."))


def _counts(done: PredictionResult, *, skipped: bool) -> str:
    rows = f"{done.rows:,} {'row' if done.rows == 1 else 'rows'}"
    remarked = f", {done.remarked:,} of them with a remark in their status" if done.remarked else ""
    why = "and were left out" if skipped else "and say why in their status"
    refused = f"; {done.refused:,} could not be predicted {why}" if done.refused else ""
    return f"{rows}: {done.rows - done.refused:,} predicted{remarked}{refused}."


def _formulas(cells: int, *, changed: bool) -> str:
    what = f"{cells:,} {'cell begins' if cells == 1 else 'cells begin'} like a formula"
    if changed:
        return f"note: {what}; an apostrophe was put before each, which is not part of the id or the class."
    return f"note: {what}. Before the CSV is opened in a spreadsheet, write it with --spreadsheet."


def _show_scores(done: PredictionResult, table: Path, *, on_standard_output: bool) -> None:
    from mmtrain.cli.views.console import err, out
    from mmtrain.cli.views.scores import show_scores

    # Predictions on standard output would have the scores in their midst.
    console = out() if on_standard_output else err()
    for key, result in done.results.items():
        name = "standard input" if table == Path("-") else table.name
        show_scores(console, f"{name} by {done.run}", key, result)


def _print(done: PredictionResult, table: Path, to: Path | None) -> None:
    from dataclasses import asdict

    from mmtrain.cli.views.console import print_json

    print_json(
        {
            "run": str(done.run.folder),
            "table": str(table),
            "predictions": str(to),
            "rows": done.rows,
            "predicted": done.rows - done.refused,
            "remarked": done.remarked,
            "refused": done.refused,
            "formulas": done.formulas,
            "drift": [asdict(drift) for drift in done.drifts],
            "targets": {key: result.to_json() for key, result in done.results.items()},
        }
    )
