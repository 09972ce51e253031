"""`mmtrain predict`: predictions of every row of another table, of any size, with or without answers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from mmtrain.artifacts import runs
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import Group, Id
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.arrays import Array
from mmtrain.data.drift import Drift
from mmtrain.data.encode import Fitted, as_trained
from mmtrain.data.images.store import Say
from mmtrain.data.prediction_chunks import Source, check_source
from mmtrain.data.splits.split_file import read_split
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.table_file import TableFile, content_hash
from mmtrain.errors import Problem, UsageError, listed
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.prediction_file import CsvPredictions, PredictionFile, check_name, check_place, prediction_file
from mmtrain.evaluation.scoring import score_target
from mmtrain.pipeline.groups.ensemble import open_predictor
from mmtrain.pipeline.postprocess import with_postprocessing
from mmtrain.pipeline.prediction.predict_input import predict_input
from mmtrain.pipeline.prediction.predictor import OnError, PredictedChunk, Predictor
from mmtrain.pipeline.prediction.row_columns import RankedColumns
from mmtrain.pipeline.prepare import group_codes


@dataclass(frozen=True)
class PredictOptions:
    """The output of a prediction: its columns, and a file or a stream of CSV."""

    to: Path | IO[bytes]
    proba: bool = False
    on_error: OnError = "status"
    images: Path | None = None
    """Replaces the folder that image cells are relative to."""
    spreadsheet: bool = False
    """Put an apostrophe before cells of CSV that a spreadsheet would run as formulas."""


@dataclass
class PredictionResult:
    """Counts, drift and errors of a prediction."""

    run: Run
    rows: int = 0
    remarked: int = 0
    """Rows that were predicted with a remark in `status`."""
    refused: int = 0
    """Rows that could not be predicted; left out under `skip`."""
    formulas: int = 0
    """Cells of CSV that a spreadsheet would run as formulas, with or without an apostrophe before them."""
    drifts: list[Drift] = field(default_factory=list)
    results: dict[str, TargetResult] = field(default_factory=dict)
    """Scores of the targets whose answers the table has."""


def predict(
    which: str | None, table: Path, options: PredictOptions, *, output: Path = Path("runs"), say: Say = lambda _: None
) -> PredictionResult:
    """Predict every row of `table` with the run called `which` (see `runs.find`).

    `table` may also be an image, a folder of images, or `-` for standard input, see `predict_input`.

    Raises:
        RunError: the run is damaged or has no model, or the file cannot be written.
        UsageError: there is no such run, the output is neither `.csv` nor `.parquet`, or it is the table or that of the training, or
            a folder of images is given for images.
        DataError: columns are missing, the table is damaged or has no rows, or `on_error` is `fail` and a row cannot be predicted.

    """
    if isinstance(options.to, Path):
        check_name(options.to, spreadsheet=options.spreadsheet)
    run = runs.find(which, output, group=True)
    loaded = open_predictor(run)
    data = loaded.experiment.data
    if isinstance(options.to, Path):
        check_place(options.to, {"to be predicted": table, "of the training": data.table})
    with predict_input(table, loaded.experiment.columns) as given:
        if given.named_by and options.images is not None:
            fix = "Leave --images out, or give a table that names the images of that folder."
            raise UsageError(Problem(f"--images {options.images}", f"{table} holds the images itself.", fix))
        # Named images are relative to their own folder; the cells of a table to that of the experiment, where it names one.
        folder = given.folder if given.named_by or data.images is None else data.images
        otherwise = "Give the path of the table to predict."
        source = Source(
            open_table(given.path, data.missing_values, data.format, tables=data.tables, later=True, otherwise=otherwise),
            ImageFolder(options.images or folder, data.allow_outside, "--images"),
            given.named_by,
        )
        check_source(source, loaded.experiment.columns)
        if source.file.notice:
            say(source.file.notice)
        say("Table checked; starting TensorFlow.")
        loaded.start()
        return predict_source(loaded, source, options, say=say)


def predict_source(loaded: Predictor, source: Source, options: PredictOptions, *, say: Say = lambda _: None) -> PredictionResult:
    """Predict every row of a checked table with a started run. Raises as `predict` does."""
    done, watch, scoring = PredictionResult(loaded.run), loaded.watch(source), Scoring(loaded, source.file)
    ranked, waiting = RankedColumns(loaded, source.file), []
    with _opened(options) as file:
        for predicted in loaded.predicted_pieces(source, watch):
            frame = loaded.frame(predicted, source, proba=options.proba, on_error=options.on_error)
            if ranked:  # the rows of a group may come later
                ranked.add(predicted)
                waiting.append(frame)
            else:
                file.add(frame)
            refused = predicted.piece.refused()
            done.rows += len(predicted.piece)
            done.refused += int(refused.sum())
            # A row that is refused has a remark too, but counts once.
            done.remarked += int((predicted.piece.remarked() & ~refused).sum())
            scoring.add(predicted)
        if waiting:
            file.add(ranked.complete(pd.concat(waiting, ignore_index=True)))
        done.formulas = file.formulas
    done.drifts = watch.drifts()
    done.results = scoring.results(source.file.path, say)
    return done


@contextmanager
def _opened(options: PredictOptions) -> Iterator[PredictionFile]:
    """Open the file or the stream of the predictions."""
    if isinstance(options.to, Path):
        with prediction_file(options.to, spreadsheet=options.spreadsheet) as file:
            yield file
    elif options.on_error == "fail":  # a late row may fail, and bytes on a stream cannot be taken back
        with tempfile.TemporaryFile() as buffer:
            yield CsvPredictions(buffer, spreadsheet=options.spreadsheet)
            buffer.seek(0)
            shutil.copyfileobj(buffer, options.to)
    else:
        yield CsvPredictions(options.to, spreadsheet=options.spreadsheet)


class Scoring:
    """Keeps codes and predictions of the targets whose columns the table has, to score them at the end."""

    def __init__(self, loaded: Predictor, file: TableFile) -> None:
        self._run = loaded.run
        self._file = file
        self._fitted: Fitted = loaded.fitted
        self._decisions = loaded.decisions
        self._section = loaded.experiment.evaluation
        self._group = loaded.experiment.only(Group)
        self._groups: list[pd.Series[str]] = []
        self._id = loaded.experiment.only(Id)
        self._ids: list[pd.Series[str]] = []
        self._headers = {key: target.reads() for key, target in loaded.experiment.targets.items()}
        self._truths: dict[str, list[Array]] = {}
        self._predictions: dict[str, list[Array]] = {}
        self._answered: set[str] = set()

    def add(self, predicted: PredictedChunk) -> None:
        """Add one piece; refused rows are not scored."""
        usable = ~predicted.piece.refused()
        answered = False
        for key, target in self._fitted.targets.items():
            present = {header: predicted.piece.cells[header] for header in self._headers[key] if header in predicted.piece.cells}
            if len(present) == len(self._headers[key]):
                answered = True
                cells = {header: as_trained(self._fitted, target, self._file, header, column) for header, column in present.items()}
                self._truths.setdefault(key, []).append(target.truth(cells)[usable])
                self._predictions.setdefault(key, []).append(predicted.predictions[key][usable])
                # A column of answers may be there and empty.
                if any(column.notna().any() for column in cells.values()):
                    self._answered.add(key)
        if answered and self._group is not None and self._group.column in predicted.piece.cells:
            self._groups.append(predicted.piece.cells[self._group.column][usable])
        if answered and self._id is not None and self._id.column in predicted.piece.cells:
            self._ids.append(predicted.piece.cells[self._id.column][usable])

    def results(self, table: Path, say: Say) -> dict[str, TargetResult]:
        """Return scores as `evaluate --data` does; none for columns without an answer, and none for the table of the training."""
        truths = {key: np.concatenate(pieces) for key, pieces in self._truths.items() if key in self._answered}
        # A table whose classes are all new has no row to be scored.
        for key in [key for key, truth in truths.items() if not self._fitted.targets[key].known_rows(truth).any()]:
            rows = len(truths.pop(key))
            names = listed([repr(name) for name in self._fitted.targets[key].columns])
            what = f"no row has an answer that training knows{f'; it knows {names}' if names else ''}" if rows else "no row was predicted"
            say(f"No scores of {key}: {what}.")
        # By its hash, as the table of the training may be predicted under another name.
        if truths and content_hash(table) == self._run.read_json("data.json")["sha256"]:
            say("No scores: this is the table of the training. Score its test part with `mmtrain evaluate`.")
            return {}
        if truths and (known := self._learned_from()):
            say(f"{known:,} of the scored rows have the id of a training row. If they are those rows, the scores are too good.")
        drawn = self._resampling()
        scores = {
            key: score_target(key, self._fitted.targets[key], truth, np.concatenate(self._predictions[key]), drawn)
            for key, truth in truths.items()
        }
        return with_postprocessing(scores, self._decisions)

    def _learned_from(self) -> int:
        """Count the rows whose id a training row has."""
        if not self._ids:
            return 0
        split = read_split(self._run / "split.csv")
        # Rows without an id have an empty one, which would match all others.
        learned = set(split.ids[np.unique(np.concatenate([one.train for one in split.plan.partitions]))]) - {""}
        return int(pd.concat(self._ids).isin(learned).sum())

    def _resampling(self) -> Resampling:
        """Return the resampling of the rows: by group, if the table has the column of groups."""
        if self._group is None or not self._groups:
            return Resampling(self._section)
        return Resampling(self._section, group_codes(pd.concat(self._groups, ignore_index=True)), self._group.column)
