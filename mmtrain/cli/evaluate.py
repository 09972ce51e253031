"""`mmtrain evaluate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import All, Code, Images, Json, Output, Quiet, Run, Set, Table

if TYPE_CHECKING:
    from mmtrain.artifacts.command_results import EvaluationResult


class Part(StrEnum):
    """A part of the split."""

    test = "test"
    validation = "validation"
    train = "train"
    calibration = "calibration"
    conformal = "conformal"
    """Another word for `calibration`: its rows are for the conformal bound."""


def chosen_part(command: str, part: Part | None, data: Path | None, moved: Path | None = None) -> Part:
    """Return the part to score, by default the test part. Raises UsageError for a part of another table, and for two tables."""
    from mmtrain.errors import Problem, UsageError

    if moved is not None and data is not None:
        what = "--table and --data cannot be given together: the first is the new place of the training's table, the second another table."
        raise UsageError(Problem(f"mmtrain {command}", what, "Leave out one of them."))

    if part is not None and data is not None:
        what = "--part and --data cannot be given together: another table has no parts, and all its rows are used."
        raise UsageError(Problem(f"mmtrain {command}", what, "Leave out one of them."))
    return Part.calibration if part is Part.conformal else part or Part.test


def command(
    run: Run = None,
    *,
    part: Annotated[
        Part | None,
        typer.Option(
            "--part",
            metavar="PART",
            help="The part of the split to score: test, validation, train, calibration or conformal. Left out: test.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="TABLE", help="Score all rows of another table instead.", show_default=False)
    ] = None,
    table: Table = None,
    images: Images = None,
    subgroup: Annotated[
        list[str] | None,
        typer.Option(
            "--subgroup",
            metavar="COLUMN",
            help="Also score the rows of each value of this column, or, as COLUMN=0,40,65, of each range; may be given several times.",
        ),
    ] = None,
    overrides: Set = None,
    output: Output = Path("runs"),
    code: Code = None,
    every: All = False,  # noqa: ARG001
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a run and its baselines, with the weights of its best epoch.

    Example: `mmtrain evaluate clinic --subgroup sex`
    """
    from mmtrain.cli.views.console import print_json
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.commands.evaluate import EvaluateOptions, evaluate
    from mmtrain.system.user_code import import_code

    # Before the run is opened: its experiment may name what the file registers.
    import_code(code)
    scored = chosen_part("evaluate", part, data, table).value
    options = EvaluateOptions(scored, data, images, tuple(subgroup or ()), tuple(overrides or ()), table)
    with progress_display(quiet=quiet or as_json) as shown:
        done = evaluate(run, options, output=output, progress=shown.images, say=shown.say)
    if as_json:
        print_json(done.to_json())
        return
    _show(done, quiet=quiet)


def _show(done: EvaluationResult, *, quiet: bool) -> None:
    from mmtrain.cli.views.console import line, note, out
    from mmtrain.cli.views.scores import headline, show_baselines, show_scores

    console = out()
    for key, result in done.targets.items():
        show_scores(console, f"{done.part} of {done.run}", key, result)
        show_baselines(console, result, done.main[key])
    for remark in done.remarks:
        note(remark)
    note(f"Predictions: {done.predictions}", quiet=quiet, whole=True)
    if done.report is not None:
        note(f"Report:      {done.report}", quiet=quiet, whole=True)
    for key, result in done.targets.items():
        line(console, headline(key, done.part, result, done.main[key]), style="bold")
