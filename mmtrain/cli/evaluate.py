"""`mmtrain evaluate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import Code, Json, Output, Quiet, Run

if TYPE_CHECKING:
    from mmtrain.evaluation.scoring import TargetScores
    from mmtrain.workflows.evaluate import Evaluated


class Part(StrEnum):
    """A part of the split."""

    test = "test"
    validation = "validation"
    train = "train"


def command(
    run: Run = None,
    part: Annotated[Part, typer.Option("--part", help="Which part of the split to score.")] = Part.test,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="TABLE", help="Score all rows of another table instead.", show_default=False)
    ] = None,
    output: Output = Path("runs"),
    code: Code = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a run beside its baseline, from the weights of its best epoch."""
    from mmtrain.cli.live import display
    from mmtrain.cli.show import print_json
    from mmtrain.workflows.code import import_code
    from mmtrain.workflows.evaluate import evaluate

    import_code(code)
    with display(quiet=quiet or as_json) as shown:
        done = evaluate(run, part=part.value, table=data, output=output, progress=shown.pictures, say=shown.say)
    if as_json:
        scores = {key: result.plain() for key, result in done.results.items()}
        print_json(
            {
                "run": str(done.run.folder),
                "part": done.part,
                "remarks": list(done.remarks),
                "targets": scores,
                "predictions": str(done.predictions),
                "report": str(done.report),
            }
        )
        return
    _show(done, quiet=quiet)


def _show(done: Evaluated, *, quiet: bool) -> None:
    from rich.markup import escape

    from mmtrain.cli.show import note, out

    console = out()
    for key, result in done.results.items():
        unknown = f", {result.unknown} more left out, whose answer is missing or unknown to training" if result.unknown else ""
        console.print(
            f"\n[bold]{escape(done.part)}[/] of {escape(str(done.run))}: {escape(key)}, {result.task}, {result.rows} rows{unknown}",
            highlight=False,
        )
        console.print(_table(result))
        console.print(f"baseline: {result.baseline_name}", soft_wrap=True, markup=False)
        for score in result.scores:
            if score.undefined or score.note:
                console.print(f"{score.name}: {score.undefined or score.note}", soft_wrap=True, markup=False)
    for remark in done.remarks:
        note(remark)
    if done.looks > 1:
        note(f"The test part of this run has now been scored {done.looks} times; choices made after looking make its scores too good.")
    note(f"Predictions: {done.predictions}", quiet=quiet)
    note(f"Report:      {done.report}", quiet=quiet)


def _table(result: TargetScores) -> object:
    from rich.markup import escape

    from mmtrain.cli.show import number, plain_table
    from mmtrain.named_score import higher_is_better

    table = plain_table("score", "model", "baseline", "better is")
    baseline = {score.name: score.value for score in result.baseline}
    for score in result.scores:
        table.add_row(
            escape(score.name), number(score.value), number(baseline[score.name]), "higher" if higher_is_better(score.name) else "lower"
        )
    return table
