"""What the rows of a table look like, column by column: learned from training rows, and again from rows that are predicted.

Both times by the same tallies, in one pass and in memory that does not grow with the rows; `drift` compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError

from mmtrain.artifacts.run_folder import RESTORE, Run
from mmtrain.columns import FittedColumn, Image
from mmtrain.columns.categorical import FIRST_CODE, FittedCategorical
from mmtrain.columns.numeric import FittedNumeric
from mmtrain.columns.quantile_sketch import QuantileSketch
from mmtrain.columns.text import FIRST_ID, FittedText
from mmtrain.config import Experiment
from mmtrain.data.encode import Array, Arrays, Fitted
from mmtrain.data.images.locate import ImageFile, ImageFinder
from mmtrain.data.tables.table import Table
from mmtrain.errors import Problem, RunError
from mmtrain.image_decoding import UnreadableImage, inspect
from mmtrain.registry import Section
from mmtrain.specs import ImageSpec

QUANTILES_OF = 100_000
"""Numbers that quartiles are taken of: they are then right to a third of a percent of the rows."""

IMAGES = 1000
"""Training images whose brightness is looked at; their mean is then right to a tenth of their standard deviation."""

HEADERS = 200
"""Files whose header is read for its depth."""

STRIDE = 8
"""Of each image every eighth row and column is looked at: one pixel in 64, which costs nothing beside decoding it."""

STATISTICS_CHUNK_ROWS = 65_536


class NumericStatistics(Section):
    """Numbers of a column; all zero where it has none."""

    kind: Literal["numeric"] = "numeric"
    rows: int
    missing: int
    mean: float
    deviation: float
    quartiles: tuple[float, float, float]
    minimum: float
    maximum: float


class CodeStatistics(Section):
    """Categories or words; `rows` counts them without the missing ones."""

    kind: Literal["categorical", "text"]
    rows: int
    missing: int = Field(description="Rows without a category or a text.")
    unseen: int = Field(description="Values that have no code of their own.")
    once: int = Field(description="Values that occur once: as many may be new among as many further rows (Good 1953).")


class ImageStatistics(Section):
    """Images; brightness is 0 for black and 1 for white, the mean of each image's pixels, and may be that of some images."""

    kind: Literal["image"] = "image"
    rows: int
    missing: int
    brightness: float
    deviation: float
    headers: int = Field(description="Files whose depth was looked at.")
    deep: int = Field(description="Those with 16 bits.")


AnyStatistics = Annotated[NumericStatistics | CodeStatistics | ImageStatistics, Field(discriminator="kind")]


class Statistics(Section):
    """What statistics.json holds; columns by key."""

    columns: dict[str, AnyStatistics]


class Moments:
    """Mean, standard deviation and range of numbers that come in pieces (Chan, Golub and LeVeque 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.minimum, self.maximum = math.inf, -math.inf
        self.mean = 0.0
        self._squares = 0.0

    def add(self, values: Array) -> None:
        """One piece, (n,)."""
        if not len(values):
            return
        mean, total = float(values.mean()), self.count + len(values)
        shift = mean - self.mean
        self._squares += float(np.square(values - mean).sum()) + shift * shift * self.count * len(values) / total
        self.mean += shift * len(values) / total
        self.count = total
        self.minimum, self.maximum = min(self.minimum, float(values.min())), max(self.maximum, float(values.max()))

    @property
    def deviation(self) -> float:
        """Of all numbers so far; 0 without any, and of equal ones, beside which rounding may set their mean."""
        return float(np.sqrt(self._squares / self.count)) if self.minimum < self.maximum else 0.0


class NumericAccumulator:
    """Adds up (rows, 1) float64, NaN for missing."""

    def __init__(self) -> None:
        self._rows = 0
        self._moments = Moments()
        self._spread = QuantileSketch(QUANTILES_OF)

    def add(self, raw: Array) -> None:
        """One piece."""
        values = raw[:, 0]
        known = values[~np.isnan(values)]
        self._rows += len(values)
        self._moments.add(known)
        self._spread.add(known)

    def statistics(self) -> NumericStatistics:
        """Of everything so far."""
        first, middle, third = self._spread.quantiles((0.25, 0.5, 0.75)) or (0.0, 0.0, 0.0)
        return NumericStatistics(
            rows=self._moments.count,
            missing=self._rows - self._moments.count,
            mean=self._moments.mean,
            deviation=self._moments.deviation,
            quartiles=(first, middle, third),
            minimum=self._moments.minimum if self._moments.count else 0.0,
            maximum=self._moments.maximum if self._moments.count else 0.0,
        )


class CodeAccumulator:
    """Adds up (rows, any) int32 codes. Below `first` are the special ones: unseen just below it, then missing, then padding."""

    def __init__(self, kind: Literal["categorical", "text"], size: int, first: int) -> None:
        self._kind = kind
        self._first = first
        self._counts = np.zeros(size, dtype=np.int64)

    def add(self, codes: Array) -> None:
        """One piece."""
        self._counts += np.bincount(codes.reshape(-1), minlength=len(self._counts))

    def statistics(self) -> CodeStatistics:
        """Of everything so far."""
        unseen, missing, own = int(self._counts[self._first - 1]), int(self._counts[self._first - 2]), self._counts[self._first :]
        return CodeStatistics(kind=self._kind, rows=unseen + int(own.sum()), missing=missing, unseen=unseen, once=int((own == 1).sum()))


class ImageAccumulator:
    """Adds up images; `levels` is the value of full brightness. Depth is looked up only where images may be `deep`."""

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._rows = self._missing = 0
        self._brightness = Moments()
        self._headers = self._deep = 0

    def count(self, present: Array) -> None:
        """Rows with and without an image, (rows, 1)."""
        seen = int((present > 0).sum())
        self._rows += seen
        self._missing += len(present) - seen

    def look(self, pixels: Array, present: Array, files: Iterable[ImageFile]) -> None:
        """One piece: (rows, height, width, channels), (rows, 1), and its files."""
        means = pixels[:, ::STRIDE, ::STRIDE].mean(axis=(1, 2, 3), dtype=np.float64)
        self._brightness.add(means[present[:, 0] > 0] / self._levels)
        if self._levels > 255:
            self._look_at(files)

    def _look_at(self, files: Iterable[ImageFile]) -> None:
        for file in files:
            if self._headers == HEADERS:
                return
            try:
                self._deep += inspect(Path(file.path)).bits == 16
                self._headers += 1
            except UnreadableImage:  # told where it is decoded
                continue

    def statistics(self) -> ImageStatistics:
        """Of everything so far."""
        brightness = self._brightness
        return ImageStatistics(
            rows=self._rows,
            missing=self._missing,
            brightness=brightness.mean,
            deviation=brightness.deviation,
            headers=self._headers,
            deep=self._deep,
        )


Accumulator = NumericAccumulator | CodeAccumulator | ImageAccumulator


def accumulators(fitted: Mapping[str, FittedColumn]) -> dict[str, Accumulator]:
    """An empty tally for every column that has one; columns of other people's roles have none."""
    found: dict[str, Accumulator] = {}
    for key, column in fitted.items():
        if isinstance(column, FittedNumeric):
            found[key] = NumericAccumulator()
        elif isinstance(column, FittedCategorical):
            found[key] = CodeAccumulator("categorical", column.spec.size, FIRST_CODE)
        elif isinstance(column, FittedText):
            found[key] = CodeAccumulator("text", column.spec.size, FIRST_ID)
        elif isinstance(column.spec, ImageSpec):
            found[key] = ImageAccumulator(column.spec.levels)
    return found


def of_run(run: Run, fitted: Fitted) -> Statistics:
    """What statistics.json holds of these columns. Raises RunError when it is missing, or is not what this version writes."""
    try:
        found = Statistics.model_validate(run.read_json("statistics.json"))
    except ValidationError as error:
        what = f"the file does not hold statistics: {error.errors()[0]['msg']}."
        raise RunError(Problem(str(run / "statistics.json"), what, RESTORE)) from None
    for key, tally in accumulators(fitted.columns).items():
        if key not in found.columns or found.columns[key].kind != tally.statistics().kind:
            what = f"the file does not hold the statistics of {key!r}."
            raise RunError(Problem(str(run / "statistics.json"), what, RESTORE))
    return found


def learn_statistics(experiment: Experiment, fitted: Fitted, table: Table, arrays: Arrays, rows: Array) -> Statistics:
    """The statistics of `rows`, which are the training rows."""
    found = accumulators(fitted.columns)
    for key, tally in found.items():
        header = experiment.columns[key].column
        source = arrays.inputs[key]
        if isinstance(tally, NumericAccumulator):
            for cells in table.pieces(header, rows):
                tally.add(fitted.columns[key].raw(cells))
        elif isinstance(tally, CodeAccumulator):
            for start in range(0, len(rows), STATISTICS_CHUNK_ROWS):
                tally.add(source.take(rows[start : start + STATISTICS_CHUNK_ROWS]))
        elif isinstance(tally, ImageAccumulator):
            present = source.present(rows)
            tally.count(present)
            some = np.random.default_rng(0).permutation(rows[present[:, 0] > 0])[:IMAGES]
            files = _files(experiment, key, table.cells(header, some))
            for start in range(0, len(some), 50):
                own = some[start : start + 50]
                tally.look(source.take(own), source.present(own), files[start : start + 50])
    return Statistics(columns={key: tally.statistics() for key, tally in found.items()})


def _files(experiment: Experiment, key: str, cells: pd.Series[str]) -> list[ImageFile]:
    """The files that these cells of an image column name."""
    column = experiment.columns[key]
    finder = ImageFinder(experiment.data.images_folder, column.suffix if isinstance(column, Image) else "")
    found = [finder.find(str(cell).strip()) for cell in cells.dropna()]
    return [file for file in found if isinstance(file, ImageFile)]
