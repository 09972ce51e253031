"""`mmtrain distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmtrain.cli.options import All, AllowCallbacks, Code, Images, Json, Output, Quiet, Run, Set, Table, import_allowed


def command(
    run: Run = None,
    *,
    name: Annotated[
        str, typer.Option("--name", "-o", help="Name of the student. Left out: the teacher's with `-distilled`.", show_default=False)
    ] = "",
    overrides: Set = None,
    weight: Annotated[float, typer.Option("--weight", help="Part of the teacher in the loss; the rest is that of the answers.")] = 0.7,
    temperature: Annotated[float, typer.Option("--temperature", help="Divisor of logits: softer probabilities of classes.")] = 2.0,
    soft: Annotated[
        Literal["out_of_fold", "mean"] | None,
        typer.Option(
            "--soft",
            help="Predictions of training rows: of trainings that have not seen the row, or of all. Left out: the first, with folds.",
            show_default=False,
        ),
    ] = None,
    output: Output = Path("runs"),
    table: Table = None,
    images: Images = None,
    code: Code = None,
    allow_callbacks: AllowCallbacks = False,
    every: All = False,  # noqa: ARG001
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train one network on the predictions of a run, or of a group of trainings; the student is a run as from `fit`.

    Example: `mmtrain distill runs/NAME/1 --set branches.scan.width=16`, then `mmtrain evaluate`: it compares the student with its teacher
    on the same rows. An interrupted student is resumed by `mmtrain fit --resume`.
    """
    import_allowed(code, any_callbacks=allow_callbacks)
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.cli.views.training_result import print_kept_files, show_result
    from mmtrain.commands.distill import DistillOptions, distill
    from mmtrain.commands.fitting.training_listeners import Listeners
    from mmtrain.pipeline.prepare import Moved
    from mmtrain.training.signals import Interrupted

    options = DistillOptions(name, tuple(overrides or ()), weight, temperature, soft)
    with progress_display(quiet=quiet or as_json) as shown:
        listeners = Listeners(shown.event, shown.plan, shown.images, shown.say)
        try:
            done = distill(run, options, output=output, listeners=listeners, moved=Moved(table, images))
        except Interrupted as stopped:
            shown.close()
            # Before there is a run, nothing is kept.
            if shown.run is None:
                raise
            print_kept_files(shown.run, stopped)
            raise typer.Exit(stopped.exit_code) from None
    show_result(done, as_json=as_json, quiet=quiet)
