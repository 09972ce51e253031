"""metrics.json and worst_predictions_<part>.json: scores of each target on the rows of a part, and the rows with the highest loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from mmtrain.artifacts.analysis_results import (
    AnalysisTable,
    Calibration,
    DecisionResult,
    MissingPatterns,
    PermutationImportance,
    RowSubset,
    Subgroups,
    ThresholdResult,
)
from mmtrain.artifacts.conformal_results import PredictionIntervals, PredictionIntervalsPerNumber, PredictionSets
from mmtrain.metrics.score import Scores
from mmtrain.result_model import Count, ResultModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEW_UNITS = 20
"""Number of rows or groups below which intervals covered the truth in fewer than 94 of 100 simulations (tests/evaluation)."""


class BootstrapInfo(ResultModel):
    """Bootstrap by which the confidence intervals of a part were computed."""

    confidence: float
    draws: Count
    unit: Literal["row", "group"]
    """Unit that is drawn with replacement."""
    units: Count
    """Number of rows or groups to draw from."""
    column: str
    """Header of the column that names the groups; empty where rows are drawn."""
    method: str

    @property
    def percent(self) -> str:
        """`95 %`."""
        return f"{100 * self.confidence:g} %"

    @property
    def units_text(self) -> str:
        """`60 groups (patient)`, `400 rows`."""
        return f"{self.units:,} {self.unit}{'' if self.units == 1 else 's'}{f' ({self.column})' if self.column else ''}"

    @property
    def text(self) -> str:
        """`1,000 draws of 60 groups (patient)`."""
        return f"{self.draws:,} draws of {self.units_text}{'; with so few, intervals are rough' if self.units < FEW_UNITS else ''}"


class BaselineResult(ResultModel):
    """Scores of a baseline on the same rows."""

    kind: str
    """`majority`, `single_branch`, `gradient_boosting`, `linear`, `tabicl`, `member` for one training of a group, or `teacher`."""
    label: str
    """Heading of a table column: `scan alone`."""
    name: str
    """Description for a sentence."""
    scores: Scores
    differences: Scores
    """Model minus baseline in every score; empty without a bootstrap."""


class TargetResult(ResultModel):
    """Scores and analyses of one target on one part."""

    task: str
    rows: Count
    """Number of scored rows."""
    unknown_answers: Count
    """Rows without a score: their answer is missing, or no training row has it."""
    unknown_labels: dict[str, Count] = Field(default_factory=dict)
    """Multi-label targets: labels that are unknown in some of the `rows`, each with the number of rows that its scores leave out."""
    scores: Annotated[Scores, Field(min_length=1)]
    interval: BootstrapInfo | None = None
    """The bootstrap of the intervals; none if no row has a known answer."""
    baselines: Annotated[list[BaselineResult], Field(min_length=1)]
    """The first one looks at no column."""
    baseline_notes: list[str] = Field(default_factory=list)
    """Reasons for baselines that are left out, in sentences."""
    classes: list[str] = Field(default_factory=list)
    """The classes, in the order of the confusion matrix."""
    confusion: list[list[Count]] = Field(default_factory=list)
    """The confusion matrix: rows of each true class (first index) that were predicted as each class (second index)."""
    confusion_pairs: list[Annotated[list[Count], Field(min_length=3, max_length=3)]] | None = None
    """More than 100 classes, in place of the matrix: positions of the true and of the predicted class, and the number of rows."""
    calibration: Calibration | None = None
    operating_point: ThresholdResult | None = None
    decision: DecisionResult | None = None
    conformal: Annotated[PredictionSets | PredictionIntervals | PredictionIntervalsPerNumber, Field(discriminator="kind")] | None = None
    contributions: PermutationImportance | None = None
    missing_patterns: MissingPatterns | None = None
    subgroups: list[Subgroups] = Field(default_factory=list)
    analyses: dict[str, AnalysisTable] = Field(default_factory=dict)
    """By name, those that a file given with `--code` has registered."""

    def confusion_matrix(self) -> NDArray[np.int64]:
        """Return the confusion matrix, (classes, classes); (0, 0) without classes."""
        import numpy as np

        if self.confusion_pairs is None:
            return np.array(self.confusion or np.empty((0, 0)), dtype=np.int64)
        matrix = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        true, predicted, rows = np.array(self.confusion_pairs, dtype=np.int64).reshape(-1, 3).T
        matrix[true, predicted] = rows
        return matrix

    @model_validator(mode="after")
    def _complete(self) -> TargetResult:
        """Check that baselines and subsets of rows have the same scores as all rows, since reports put them side by side."""
        names = {name for name in self.scores if "[" not in name}
        if any(not one.scores.keys() >= self.scores.keys() for one in self.baselines):
            raise ValueError("a baseline has the scores of the model")
        classes = len(self.classes)
        if self.confusion_pairs is None and {classes} != {len(self.confusion), *map(len, self.confusion)}:
            raise ValueError("a confusion matrix has a row and a column for each class")
        if any(max(true, predicted) >= classes for true, predicted, _ in self.confusion_pairs or ()):
            raise ValueError("a confusion matrix has a row and a column for each class")
        if self.operating_point is not None and not names >= {"sensitivity", "specificity"}:
            raise ValueError("a threshold needs a target with sensitivity and specificity")
        analyses = [one for one in (self.contributions, self.missing_patterns, *self.subgroups) if one is not None]
        if not names >= {one.main for one in analyses}:
            raise ValueError("the main score is one of the scores")
        if any(not subset.scores.keys() >= names for subset in self._subsets()):
            raise ValueError("some of the rows have the scores of all rows")
        return self

    def _subsets(self) -> Iterator[RowSubset]:
        if self.missing_patterns is not None:
            yield from self.missing_patterns.patterns
            yield from self.missing_patterns.masked
        for column in self.subgroups:
            yield from column.subgroups


class AnswerProbabilities(ResultModel):
    """Probabilities that the model gave to two classes."""

    truth: float
    """Of the true class."""
    prediction: float
    """Of the predicted class."""


class WorstPrediction(ResultModel):
    """One of the rows with the highest loss."""

    row: Count
    """Position in the table's file, from 0."""
    id: str
    cells: dict[str, str]
    """By column; long cells are cut."""
    images: dict[str, str]
    """By column, small JPEG images as base64."""
    truth: str | float
    prediction: str | float
    loss: float
    probability: AnswerProbabilities | None = None
    """Of a target with classes."""


PartResults = dict[str, TargetResult]
"""By target."""
