"""The trainings of a group (folds, seeds) as one predictor: the mean of what its members predict, weighted by ensemble.json if it is there.

Every member encodes a row by the columns that were fitted on its own training rows. A table is read and its images are decoded once
for all of them; members with equal fitted columns, as those of several seeds, share the encoded rows as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.artifacts import runs
from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import CellWarning
from mmtrain.data import encode
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.images.store import Say
from mmtrain.data.prediction_chunks import Chunk, RawChunk, Source
from mmtrain.evaluation.baselines import BaselinePredictions
from mmtrain.evaluation.member_decisions import align
from mmtrain.pipeline.prediction.predictor import PredictedChunk, Predictor, Ready
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.pipeline.restore import ENSEMBLE_WEIGHTS, restore_group, restore_training, with_cached_features
from mmtrain.targets import FittedTarget


def load(run: str | Path | None = None, *, output: str | Path = "runs") -> Predictor:
    """Open a run or a group to predict with it: a folder, a name (its latest run under `output`), or None (the latest run of all).

    Raises:
        UsageError: there is no such run.
        RunError: the run is damaged, or has no model.

    """
    loaded = open_predictor(runs.find(None if run is None else str(run), Path(output), group=True))
    loaded.start()
    return loaded


def open_predictor(run: Run) -> Predictor:
    """Open a run, or a group of trainings as one predictor. Raises RunError as `load` does."""
    return Ensemble(run) if run.is_group else Predictor(run)


class Ensemble(Predictor):
    """A group with the models of all members in memory. Its drift is measured against the training rows of the first member."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.experiment, labels, self.decisions = restore_group(run)
        members, self.weights = counting_members(run)
        self.members = [Predictor(member) for member in members]
        first = self.members[0]
        self.fitted = first.fitted.model_copy(update={"targets": labels.targets})
        self.statistics = first.statistics

    @cached_property
    def _ready(self) -> Ready:
        for member in self.members:
            member.start()
        return self.members[0]._ready

    def chunk_predictor(self, source: Source) -> Callable[[RawChunk], PredictedChunk]:
        """Return the function that decodes cells once, encodes them for each member, and averages the predictions."""
        makers = [member.chunk_maker(source) for member in self.members]
        firsts = first_alike(self.members)

        def predict_chunk(cells: RawChunk) -> PredictedChunk:
            chunks: dict[int, Chunk] = {}
            predictions = []
            for number, (member, first) in enumerate(zip(self.members, firsts, strict=True)):
                if first == number:
                    chunks[number] = makers[number](cells, chunks.get(0))
                predictions.append(member.predict_encoded(chunks[first]))
            chunk = replace(chunks[0], remarks=merge_remarks([one.remarks for one in chunks.values()]))
            return PredictedChunk(chunk, self.mean(predictions))

        return predict_chunk

    def mean(self, predictions: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """Return the weighted mean of predictions of the members, in their order, with the classes of the group."""
        labels = self.fitted.targets
        aligned = [for_labels(labels, member.fitted.targets, one) for member, one in zip(self.members, predictions, strict=True)]
        return mean_predictions(labels, aligned, self.weights)


def first_alike(members: Sequence[Predictor]) -> list[int]:
    """Return for each member the number of the first one whose columns have learned the same, so that both encode rows alike."""
    learned = [member.fitted.columns for member in members]
    return [learned.index(columns) for columns in learned]


def open_members(run: Run) -> list[Run]:
    """Return the trainings of a group in their order, checked. Raises RunError for one that is missing or damaged."""
    return [runs.open_run(run / member.name) for member in run.read("run.json").members or ()]


def member_weights(run: Run) -> dict[str, list[float]] | None:
    """Return the weights of the trainings of a group by target, in their order; None for the plain mean."""
    return run.read(ENSEMBLE_WEIGHTS).member_weights() if (run / ENSEMBLE_WEIGHTS).is_file() else None


def counting_members(run: Run) -> tuple[list[Run], dict[str, list[float]] | None]:
    """Return the trainings that count in a prediction of the group, and their weights by target.

    The first training always comes along: it has all columns, by which a table is read.
    """
    members, weights = open_members(run), member_weights(run)
    if weights is None:
        return members, None
    counting = [number for number in range(len(members)) if not number or any(each[number] for each in weights.values())]
    return [members[number] for number in counting], {key: [each[number] for number in counting] for key, each in weights.items()}


def predict_rows(
    run: Run,
    labels: encode.Fitted,
    data: LoadedData,
    rows: Array,
    say: Say,
    *,
    own_table: bool,
    seconds: list[float] | None = None,
) -> tuple[dict[str, Array], list[BaselinePredictions]]:
    """Predict `rows` of a table with every member of a group; return the mean, per target, and the predictions of each member.

    One model is in memory at a time. `own_table` is that of `with_cached_features`. A single training is its only member. The time
    of the networks for 1,000 rows is added to the last of `seconds`.
    """
    from mmtrain.model import model_file

    previous: tuple[encode.Fitted, Arrays] | None = None
    members = []
    for member in open_members(run) if run.is_group else [run]:
        experiment, fitted, _ = restore_training(member)
        if previous is None or previous[0].columns != fitted.columns:
            previous = fitted, encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache, say=say)
        whole = model_file.of_run(member, experiment.branches, fitted)[1]
        predictor, inputs = with_cached_features(member, whole, experiment, fitted, (data, previous[1]), say, own_table=own_table)
        predicted = for_labels(labels.targets, fitted.targets, model_file.predict(predictor, inputs, rows))
        if seconds is not None:
            seconds[-1] += model_file.seconds_of(predictor, inputs, rows)
        targets = {key: target.with_decision_of(fitted.targets[key]) for key, target in labels.targets.items()}
        members.append(BaselinePredictions("member", f"{member.name} alone", f"the training {member.name} alone", targets, predicted))
    return mean_predictions(labels.targets, [one.predictions for one in members], member_weights(run)), members


def end_to_end(run: Run, labels: encode.Fitted) -> Any:
    """Return one model of a group, from raw cells to the mean of its members' predictions."""
    from mmtrain.layers.end_to_end import EndToEnd, MeanOfMembers, MemberEncoders
    from mmtrain.model import model_file

    encoders, predictors, targets = [], [], []
    members, weights = counting_members(run)
    for member in members:
        experiment, fitted, _ = restore_training(member)
        whole, predictor = model_file.of_run(member, experiment.branches, fitted)
        encoders.append(whole.preprocessing)
        predictors.append(predictor)
        targets.append(fitted.targets)
    places = class_places(labels.targets, targets)
    widths = {key: target.units for key, target in labels.targets.items()}
    mean = MeanOfMembers(predictors, places, widths, weights=weights, mixtures=mixtures(labels.targets))
    return EndToEnd(MemberEncoders(encoders), mean, name="group")


def mixtures(labels: Mapping[str, FittedTarget]) -> dict[str, str]:
    """Return the `mixture` of the targets that have one, by key."""
    return {key: target.mixture for key, target in labels.items() if target.mixture is not None}


def class_places(labels: Mapping[str, FittedTarget], members: Sequence[Mapping[str, FittedTarget]]) -> dict[str, list[list[Any]]]:
    """Return by target, for every member the place of each of its classes among those of the group; empty where columns are the same.

    Of a target without classes, whose columns depend on training rows, it is the matrix of `FittedTarget.member_matrix`.
    """
    places: dict[str, list[list[Any]]] = {}
    for key, target in labels.items():
        if target.columns and target.units > 1:
            places[key] = [[target.columns.index(name) for name in one[key].columns] for one in members]
        else:
            matrices = [target.member_matrix(one[key]) for one in members]
            places[key] = [[] if matrix is None else matrix.tolist() for matrix in matrices]
    return places


def mean_predictions(
    labels: Mapping[str, FittedTarget], members: Sequence[Mapping[str, Array]], weights: Mapping[str, Sequence[float]] | None = None
) -> dict[str, Array]:
    """Return the mean of the members' predictions per target, (rows, ...) float32; row i is row i of every member.

    Probabilities are averaged as such, numbers in the unit of the table, standard deviations and dispersions as those of a mixture.
    Summed in float64, so that the order of the members does not show in float32. `weights` are those of the members by target,
    together 1.
    """
    means = {}
    for key, target in labels.items():
        shares = [1 / len(members)] * len(members) if weights is None else weights[key]
        # No product with a weight of 0: a training that does not count may predict infinities.
        counting = [(share, one[key]) for share, one in zip(shares, members, strict=True) if share]
        if len(counting) == 1:
            means[key] = np.asarray(counting[0][1], np.float32)
            continue
        moments = [(share, target.to_moments(values).astype(np.float64)) for share, values in counting]
        if weights is None:
            mean = np.mean([values for _, values in moments], axis=0)
        else:
            mean = np.sum([share * values for share, values in moments], axis=0)
        means[key] = np.asarray(target.from_moments(mean), np.float32)
    return means


def for_labels(
    labels: Mapping[str, FittedTarget], member: Mapping[str, FittedTarget], predictions: Mapping[str, Array]
) -> dict[str, Array]:
    """Return a member's predictions, (rows, classes), with a column for every class or label of the group.

    A class that no training row of the member has gets a probability of 0 from it.
    """
    return {key: align(labels[key], member[key], prediction) for key, prediction in predictions.items()}


def merge_remarks(remarks: Sequence[Sequence[tuple[str, CellWarning]]]) -> list[tuple[str, CellWarning]]:
    """Return the remarks that any member makes on cells, each once, in the order of the first member that makes them."""
    merged: dict[tuple[str, str, str], list[Array]] = {}
    for header, one in (pair for member in remarks for pair in member):
        merged.setdefault((header, one.what, one.fix), []).append(one.rows)
    return [(header, CellWarning(np.unique(np.concatenate(rows)), what, fix)) for (header, what, fix), rows in merged.items()]
