"""`mmtrain tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmtrain.cli.options import All, AllowCallbacks, Code, Json, Output, Quiet, Set, import_allowed

if TYPE_CHECKING:
    from mmtrain.artifacts.run_folder import Run
    from mmtrain.artifacts.search_results import SearchResult

MOST_SHOWN = 5
"""Trials in the terminal, the best first."""


def command(
    config: Annotated[Path | None, typer.Argument(help="The experiment file.", show_default=False)] = None,
    *,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="Maximum number of trials.", show_default=False)] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.05, help="Maximum duration of the search.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=64, help="Processes that train at the same time.", show_default=False)
    ] = None,
    nested: Annotated[
        bool, typer.Option("--nested", help="Repeat the search in outer folds, and score what it finds on rows that it has not seen.")
    ] = False,
    overrides: Set = None,
    output: Output = Path("runs"),
    resume_run: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Resume a search, continue it with more trials, or take part in one that runs.",
            show_default=False,
        ),
    ] = None,
    code: Code = None,
    allow_callbacks: AllowCallbacks = False,
    every: All = False,  # noqa: ARG001
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search better settings for an experiment: trials with other values, compared on validation rows.

    Example: `mmtrain tune config.yaml --minutes 30`, then `mmtrain fit runs/NAME/1/best.yaml`. The section `tune` of the file names the
    settings, `tune: {trials: 40, space: {training.learning_rate: {low: 1.0e-4, high: 1.0e-2, scale: log}, branches.table.units:
    [[64], [128, 64]]}}`; without it, a few that suit the columns are varied. The first trial has the file's own values. The search never
    sees the test part. It needs Optuna: `pip install 'mmtrain[tune]'`.
    """
    _one_of(config, resume_run, overrides)
    import_allowed(code, any_callbacks=allow_callbacks)
    from mmtrain.cli.views.training_progress import progress_display
    from mmtrain.commands.tune import Limits, resume, tune
    from mmtrain.pipeline.search.run_search import SearchListeners
    from mmtrain.training.listeners.events import EpochBegan, Event
    from mmtrain.training.signals import Interrupted

    begun: list[Run] = []

    def began(run: Run, keys: tuple[str, ...]) -> None:
        begun.append(run)
        shown.say(f"Search in {run.folder}: {', '.join(keys)}.")

    def watch(number: int, event: Event) -> None:
        if isinstance(event, EpochBegan):
            shown.status(f"trial {number}, epoch {event.epoch}")

    with progress_display(quiet=quiet or as_json) as shown:
        listeners = SearchListeners(lambda one: shown.say(one.line()), began, shown.images, shown.say, watch)
        limits, files = Limits(trials, minutes, workers, nested or None), tuple(path.absolute() for path in code or ())
        try:
            if config is not None:
                done = tune(config, overrides=overrides or (), output=output, limits=limits, code=files, listeners=listeners)
            else:
                done = resume(resume_run, output=output, limits=limits, code=files, listeners=listeners)
        except Interrupted as stopped:
            shown.close()
            if not begun:
                raise
            _print_kept(begun[0], stopped)
            raise typer.Exit(stopped.exit_code) from None
    _show(done, as_json=as_json, quiet=quiet)


def _one_of(config: Path | None, resume_run: str | None, overrides: list[str] | None) -> None:
    """Raise UsageError unless an experiment file or a search to resume is given; a resumed search takes limits only."""
    from mmtrain.errors import Problem, UsageError

    if (config is None) == (resume_run is None):
        what = "expected either an experiment file or, with --resume, a search to resume."
        raise UsageError(Problem("mmtrain tune", what, "For example: mmtrain tune config.yaml"))
    if resume_run is not None and overrides:
        what = "--set cannot be given with --resume: a resumed search keeps its experiment and its space."
        raise UsageError(Problem("mmtrain tune", what, "Give --trials, --minutes or --workers."))


def _print_kept(run: Run, stopped: BaseException) -> None:
    from mmtrain.cli.views.console import note
    from mmtrain.errors import shell_command

    note(f"{stopped} The trials that have ended are kept in {run.folder}.")
    note(f"Resume it: {shell_command('tune', '--resume', run.folder)}")


def _show(done: SearchResult, *, as_json: bool, quiet: bool) -> None:
    from mmtrain.cli.views.console import note, number, out, print_json
    from mmtrain.config.load import format_setting
    from mmtrain.errors import counted, shell_command
    from mmtrain.reports.pages.search_page import count_outcomes, describe_correction

    if as_json:
        print_json(done.to_json())
        return
    note(f"{counted(len(done.trials), 'trial')} in {done.seconds / 60:.1f} minutes: {count_outcomes(done.trials)}.", quiet=quiet)
    file_score = "" if done.own_score is None else f"; the file's own values {number(done.own_score)}"
    note(f"Best: trial {done.best.trial}, {done.score} {number(done.best.score)}{file_score}.", quiet=quiet)
    for key, one in done.changes.items():
        note(f"  {key}: {format_setting(one.before)} -> {format_setting(one.after)}", quiet=quiet)
    if done.importance:
        shares = ", ".join(f"{key} {share:.2f}" for key, share in list(done.importance.items())[:MOST_SHOWN])
        note(f"Importance: {shares}", quiet=quiet)
    for sentence in describe_correction(done):
        note(sentence, quiet=quiet)
    if done.nested is not None:
        note(f"Outer folds: {done.nested.report}", quiet=quiet, whole=True)
    # The file alone on standard output, so that a script can read it; all else is a note.
    out().print(str(done.experiment), soft_wrap=True, markup=False)
    note(f"Report: {done.report}", quiet=quiet, whole=True)
    note(f"Train it: {shell_command('fit', done.experiment)}", quiet=quiet)
