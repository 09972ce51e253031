"""Restore the experiment of a run, its fitted columns, and the table that it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain import config
from mmtrain.artifacts.manifest import MANIFEST
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.branches import encoder_columns
from mmtrain.config import Experiment
from mmtrain.config.sections.evaluation import FITTED_SETTINGS
from mmtrain.data import encode
from mmtrain.data.arrays import Arrays
from mmtrain.data.images.decode import Progress
from mmtrain.data.images.store import Say
from mmtrain.data.splits.split_file import read_split
from mmtrain.data.tables.table import headers_of
from mmtrain.data.tables.table_file import content_hash, table_exists
from mmtrain.errors import DataError, Problem, RunError, UsageError, counted, shell_command
from mmtrain.evaluation.postprocessing.fit_postprocessing import Postprocessing
from mmtrain.pipeline.postprocess import apply_postprocessing, read_postprocessing
from mmtrain.pipeline.prepare import LoadedData, read_data
from mmtrain.splits.plan import Partition, SplitPlan

ENSEMBLE_WEIGHTS = "ensemble.json"
"""File of a group with the weights of its trainings, where they are not all the same."""
TRAINED = "Only keys that begin with `evaluation.`, and `columns.TARGET.extra_metrics`, can be set here; for any other one train again."
MOVED = {
    "data.table": "Give its present place with `--table FILE`.",
    "data.images": "Give their present folder with `--images FOLDER`.",
}
"""Settings of a training that may change after it, and the options that change them."""


def search_without_model(run: Run) -> Problem:
    """Return the problem of a command that needs a model, for the run of a search."""
    fix = f"Train its best experiment: {shell_command('fit', run / 'best.yaml')}"
    return Problem(str(run.folder), "this is a search, whose trials keep no model.", fix)


def restore(run: Run, overrides: Iterable[str] = ()) -> tuple[Experiment, encode.Fitted, Postprocessing]:
    """Restore a training or a group, see `restore_training` and `restore_group`."""
    return (restore_group if run.is_group else restore_training)(run, overrides)


def restore_training(run: Run, overrides: Iterable[str] = ()) -> tuple[Experiment, encode.Fitted, Postprocessing]:
    """Return the experiment of a run, its fitted columns with the chosen thresholds, and everything that was fitted on validation rows.

    `overrides` change the section `evaluation`. Raises RunError without a model, UsageError for an override of another section,
    ConfigError for other mistakes.
    """
    settings = tuple(overrides)
    if (run / SEARCH_FILE).is_file():
        raise RunError(search_without_model(run))
    if not (run / "model.keras").is_file():
        raise RunError(
            Problem(str(run.folder), f"the run has no trained model; its state is '{run.state}'.", "Train again with `mmtrain fit`.")
        )
    check_overrides(settings)
    experiment = config.load(run / "config.yaml", settings)
    fitted = with_extra_metrics(experiment, encode.of_run(run, experiment.columns))
    decisions = read_postprocessing(run, experiment, fitted)
    return with_known_answers(experiment, fitted), apply_postprocessing(fitted, decisions), decisions


def restore_group(run: Run, overrides: Iterable[str] = ()) -> tuple[Experiment, encode.Fitted, Postprocessing]:
    """Return the experiment of a finished group, its targets with the chosen thresholds, and what was fitted on its predictions.

    Raises RunError for a group with trainings that have not ended, and otherwise as `restore_training` does.
    """
    if run.state != "finished":
        members = run.read("run.json").members or ()
        left = sum(not (run / f"{one.name}/model.keras").is_file() for one in members)
        what = f"{counted(left, 'training')} of this group of {len(members)} {'is' if left == 1 else 'are'} not finished."
        raise RunError(Problem(str(run.folder), what, f"Resume it: {shell_command('fit', '--resume', run.folder)}"))
    settings = tuple(overrides)
    check_overrides(settings)
    experiment = config.load(run / "config.yaml", settings)
    labels = with_extra_metrics(experiment, encode.of_group(run))
    decisions = read_postprocessing(run, experiment, labels)
    return with_known_answers(experiment, labels), apply_postprocessing(labels, decisions), decisions


def with_extra_metrics(experiment: Experiment, fitted: encode.Fitted) -> encode.Fitted:
    """Return the fitted targets with the metrics that the experiment asks for, which may be others than those of the training."""
    targets = {key: target.with_extra_metrics(experiment.targets[key].extra_metrics) for key, target in fitted.targets.items()}
    return fitted.model_copy(update={"targets": targets})


def with_known_answers(experiment: Experiment, fitted: encode.Fitted) -> Experiment:
    """Return the experiment with targets that know the classes of the training as answers.

    A run of an older mmtrain may have learned a class whose name is one of the words for a missing answer now.
    """
    answers = {key: target.with_answers(fitted.targets[key].columns) for key, target in experiment.targets.items()}
    return experiment.model_copy(update={"columns": {**experiment.columns, **answers}})


def check_overrides(overrides: Iterable[str]) -> None:
    """Raise UsageError for an override of the training, or of the postprocessing fitted at its end."""
    problems = []
    for text in overrides:
        section, *keys = (part.strip() for part in text.partition("=")[0].split("."))
        if section == "columns" and keys[-1:] == ["extra_metrics"]:
            continue
        if section != "evaluation":
            fix = MOVED.get(".".join([section, *keys]), TRAINED)
            problems.append(Problem(f"--set {text}", "the run is trained already.", fix))
        elif not keys:
            fix = "Set its keys one by one: `--set evaluation.draws=500`."
            problems.append(Problem(f"--set {text}", "the section also has settings that were used at the end of the training.", fix))
        elif keys[0] in FITTED_SETTINGS:
            what = "this was fitted on validation rows at the end of the training."
            problems.append(Problem(f"--set {text}", what, "Set it in the experiment file, and train again."))
    if problems:
        raise UsageError(problems)


def check_encoders_unchanged(run: Run, experiment: Experiment, fitted: encode.Fitted) -> None:
    """Raise RunError unless the weights of every encoder are those that the training began with: checkpoints do not hold them."""
    for branch in run.read("network.json").branches:
        for column, pretrained in experiment.branches[branch.name].encoders(experiment.columns).items():
            if column not in branch.encoders:
                continue
            encoder = pretrained.load_frozen(fitted.columns[column].spec, owner=column)
            if branch.encoders[column].sha256 != encoder.fingerprint:
                what = f"the weights of {encoder.name}, which branch {branch.name} begins with, have changed since the training began."
                raise RunError(Problem(str(run.folder), what, "Put the former file back, or train again."))


def with_cached_features(
    run: Run, predictor: Any, experiment: Experiment, fitted: encode.Fitted, scored: tuple[LoadedData, Arrays], say: Say, *, own_table: bool
) -> tuple[Any, Arrays]:
    """Return a predictor of `model_file.of_run` behind its frozen encoders, and the arrays that it reads.

    Features are those in the cache; what it lacks is read by the encoders in the saved model, whose files need not be there.

    Args:
        run: The run of the predictor.
        predictor: It reads the columns themselves.
        experiment: The experiment of the run.
        fitted: The fitted columns of the run.
        scored: A table, and its rows as they are encoded.
        say: Takes sentences about features that are computed now.
        own_table: True if the run was trained on this table: augmented views of its images are in the cache already.
    """
    if not encoder_columns(experiment.branches, experiment.columns) or not (run / "network.json").is_file():
        return predictor, scored[1]
    from mmtrain.model import model_file
    from mmtrain.training.encoder_features.frozen_features import with_features

    branches, columns, (data, arrays) = experiment.branches, experiment.columns, scored
    behind, encoders = model_file.on_features(predictor, branches, columns, fitted, run.read("network.json"), views=own_table)
    cache = experiment.data.cache
    return behind, with_features(arrays, branches, columns, data.stores, cache, say, encoders=encoders, views=own_table)


def restore_data(
    run: Run,
    experiment: Experiment,
    *,
    progress: Progress | None = None,
    say: Say = lambda _: None,
    exactly: bool = False,
) -> tuple[LoadedData, Partition]:
    """Return the table that a run was trained on, and the partition of its rows; arguments and errors are those of `restore_plan`."""
    data, plan = restore_plan(run, experiment, progress=progress, say=say, exactly=exactly)
    return data, plan.holdout


def restore_plan(
    run: Run,
    experiment: Experiment,
    *,
    progress: Progress | None = None,
    say: Say = lambda _: None,
    exactly: bool = False,
) -> tuple[LoadedData, SplitPlan]:
    """Return the table that a run, or a group of them, was trained on, and the plan of its rows.

    Images whose files have changed are only reported, since a copy has another modification time; with `exactly` they are refused.

    Raises DataError if the table has changed since the split, or if other rows can be used, because images are gone for example.
    """
    known = run.read_json("data.json")
    path = experiment.data.table
    # Only the content counts: a copy with another name or time is the same table.
    if table_exists(path) and content_hash(path) != known["sha256"]:
        fix = f"Restore the table, or score the new one as a whole with `{shell_command('evaluate', run.folder, '--data', path)}`."
        if exactly:
            fix = f"Restore the table, or train again on the changed one with `{shell_command('fit', run / 'config.yaml')}`."
        raise DataError(Problem(str(path), "the table has changed since the training, so its rows are no longer those of the split.", fix))
    if not table_exists(path):
        raise DataError(_missing_table(run, path))
    images = replace(experiment.data.images_folder, setting="--images")
    data = read_data(experiment, path, images, progress=progress, say=say)
    for name, digest in data.table.file.second_hashes.items():
        if known.get("tables", {}).get(name, digest) != digest:
            what = "the table has changed since the training, so rows no longer have the members that they had."
            raise DataError(Problem(str(experiment.data.tables[name].table), what, "Restore the table, or train again."))
    written = read_split(run / "split.csv")
    # The table's hash is unchanged, so a difference comes from rows that were dropped: a missing or a restored image.
    if not np.array_equal(written.rows, data.table.rows):
        what = "the rows that can be used are not those of the training; images may be missing."
        raise DataError(Problem(str(path), what, "Restore the images."))
    if changed := changed_images(data, experiment, known):
        if exactly:
            raise DataError(changed)
        for problem in changed:
            say(f"note: {problem.where}: {problem.what}")
    record = known["split"]
    plan = replace(
        written.plan, description=record.get("description", ""), notes=tuple(record.get("notes", ())), repeats=record.get("repeats", 1)
    )
    return data, plan


def _missing_table(run: Run, path: Path) -> Problem:
    """Return the problem of a table that is not at its place, after a move or in a packed run."""
    place = "give its place with `--table FILE`, and that of the images with `--images FOLDER` if they are not next to it"
    if (run / MANIFEST).is_file():
        other = shell_command("evaluate", run.folder, "--data", "TABLE")
        fix = f"Put it there, with its images next to it, {place}, or score another: {other}"
        return Problem(str(path), "the table is not here: a packed run comes without it.", fix)
    return Problem(str(path), "the table of the training is no longer here.", f"Put it back, or {place}.")


def changed_images(data: LoadedData, experiment: Experiment, known: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each image column whose files are no longer those recorded in data.json."""
    if experiment.data.cache.verify == "content":
        what = "the images are no longer those of the training: the bytes of a file have changed."
        fix = "Restore the images, or train again."
    else:
        what = "the images are no longer those of the training: a file has another size or another time of change."
        fix = "Restore the images with their times (`cp -p`, `rsync -t`), or train again; `data.cache.verify: content` ignores times."
    before = known.get("images", {})
    return [
        Problem(f"{data.table.path.name}: {headers_of(key, experiment.columns[key])[0]}", what, fix)
        for key, store in data.stores.items()
        if before.get(key, store.key) != store.key
    ]
