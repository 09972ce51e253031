"""The outcome of `fit` as printed: of a training, of a group of them, of one that was interrupted, and of a dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmtrain.artifacts.command_results import DryRun
    from mmtrain.artifacts.run_folder import Run
    from mmtrain.pipeline.groups.run_group import GroupResult
    from mmtrain.pipeline.train_run import TrainingResult
    from mmtrain.training.signals import Interrupted


def show_result(done: TrainingResult, *, as_json: bool, quiet: bool) -> None:
    """Print the outcome of a training."""
    from mmtrain.cli.views.console import NO_BREAK, note, number, out, print_json
    from mmtrain.data.splits.split_file import read_sizes
    from mmtrain.errors import shell_command
    from mmtrain.reports.target_results.postprocessing import (
        describe_base,
        describe_distillation,
        describe_guard,
        describe_postprocessing,
        describe_soup,
    )

    ended = done.ended
    if as_json:
        document = {"run": str(done.run.folder), "epochs": ended.epochs, "best_epoch": ended.best_epoch, "scores": ended.best_scores}
        guard = {"fusion_guard": {key: one.to_json() for key, one in done.guard.items()}} if done.guard else {}
        base = {"linear_base": done.base.to_json()} if done.base is not None else {}
        facts = {name: one.to_json() for name in ("soup", "distillation") if (one := getattr(done.run.read("run.json"), name)) is not None}
        print_json(document | base | guard | facts | {"report": str(done.run / "report.html")})
        return
    scores = "  ".join(
        f"{name}{NO_BREAK}{number(value)}"
        for name, value in ended.best_scores.items()
        if name in ("train_loss", "validation_loss", done.monitor)
    )
    reason = f"; {ended.reason}" if ended.reason else ""
    note(f"Best epoch {ended.best_epoch} of {ended.epochs}{reason}.  {scores}", quiet=quiet)
    facts = done.run.read("run.json")
    taught = (*describe_distillation(facts.distillation), *describe_soup(facts.soup))
    for sentence in (*taught, *describe_base(done.base), *describe_guard(done.guard), *describe_postprocessing(done.decisions)):
        note(sentence, quiet=quiet)
    # The folder alone on standard output, so that a script can read it; all else is a note.
    out().print(str(done.run.folder), soft_wrap=True, markup=False)
    note(f"Report: {done.run / 'report.html'}", quiet=quiet, whole=True)
    if read_sizes(done.run / "split.csv").get("test"):
        note(f"Score it on the test part: {shell_command('evaluate', done.run.folder)}", quiet=quiet)
    else:
        note(
            f"It has no test part; score it on another table: {shell_command('evaluate', done.run.folder, '--data', 'TABLE')}", quiet=quiet
        )


def show_group_result(done: GroupResult, *, as_json: bool, quiet: bool) -> None:
    """Print the outcome of a group of trainings."""
    from mmtrain.cli.views.console import note, out, print_json
    from mmtrain.cli.views.cross_validation import show_members
    from mmtrain.errors import shell_command

    if as_json:
        scores = {} if done.scores is None else {"cross_validation": done.scores.to_json()}
        print_json({"run": str(done.run.folder), "state": done.run.state, **scores})
        return
    if done.scores is None:
        note(f"The other folds are not trained. Train them: {shell_command('fit', '--resume', done.run.folder)}", quiet=quiet)
    elif not quiet:
        show_members(done.scores)
        for conclusion in done.conclusions:
            note(conclusion)
        for reason in done.weights:
            note(reason)
    out().print(str(done.run.folder), soft_wrap=True, markup=False)
    if done.scores is not None and done.scores.predictions:
        note(f"Out-of-fold predictions: {done.run / done.scores.predictions}", quiet=quiet, whole=True)
    if done.scores is not None:
        note(f"Report: {done.run / 'report.html'}", quiet=quiet, whole=True)
        note(f"All trainings as one predictor: {shell_command('predict', done.run.folder, 'TABLE')}", quiet=quiet)


def print_kept_files(run: Run, stopped: Interrupted) -> None:
    """Print the files that an interrupted run has kept, and the command that resumes it."""
    from mmtrain.cli.views.console import note
    from mmtrain.errors import shell_command

    if run.is_group:
        done = sum(child.state == "finished" for child in run.children().values())
        note(f"{stopped} {done} of {len(run.read('run.json').members)} trainings of {run.folder} are finished.")
        note(f"Resume the others: {shell_command('fit', '--resume', run.folder)}")
        return
    if run.is_trained:
        note(f"{stopped} The training had ended, and its model is kept in {run.folder}; the report is not written.")
        note(f"Write it: {shell_command('report', run.folder)}")
        note(f"Score it on the test part: {shell_command('evaluate', run.folder)}")
        return
    # After a third Ctrl-C the model may not be written, but its weights are.
    has_weights = (run / "model.keras").is_file() or (run / "checkpoints" / "best").is_dir()
    note(f"{stopped} {f'The best weights so far are kept in {run.folder}.' if has_weights else 'No epoch was finished.'}")
    note(f"Resume it: {shell_command('fit', '--resume', run.folder)}")


def dry_run_lines(result: DryRun) -> list[tuple[str, str]]:
    """Return the names and values of a dry run, as a person reads them."""
    from mmtrain.errors import duration

    whole = duration(result.seconds_per_epoch * result.epochs)
    free = "" if result.free_memory is None else f"; {_size(result.free_memory)} are free"
    encoders = [("encoders", f"{result.seconds_of_features:.0f} s once, before the first epoch")] if result.seconds_of_features else []
    return [
        ("settings", ", ".join(f"{name} {value}" for name, value in result.settings.items())),
        *encoders,
        ("one step", f"{result.seconds_per_step * 1000:.3g} ms; {result.steps:,} steps an epoch"),
        (
            "one epoch",
            f"{result.seconds_per_epoch:.3g} s with its validation; {result.epochs} epochs at most {whole}",
        ),
        ("memory", f"{_size(result.peak_memory)} at the peak{free}"),
        *[(f"disk, {name}", _size(size)) for name, size in result.disk.items()],
    ]


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
