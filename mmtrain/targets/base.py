"""The contract of a target: its options, the checks of its cells, and the registry of tasks.

`fit` returns a fitted target, see `fitted_target`, which encodes answers, decides and scores:

    >>> import numpy as np, pandas as pd
    >>> from mmtrain.targets.labels.binary import BinaryTarget
    >>> fitted = BinaryTarget(column="ill").fit({"ill": pd.Series(["no", "yes", "no"], dtype="str")}, "none")
    >>> fitted.classes, fitted.truth({"ill": pd.Series(["yes", None], dtype="str")}).tolist()
    (('no', 'yes'), [1, -1])
    >>> probability = np.array([[0.75], [0.25]], np.float32)  # (rows, 1), as the network predicts
    >>> fitted.predict_label(probability).tolist(), fitted.probabilities(probability).tolist()
    (['yes', 'no'], [[0.25, 0.75], [0.75, 0.25]])
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from mmtrain.columns.base import Column, Purpose, role
from mmtrain.columns.cells import MISSING_WORDS, CellError, is_word, missing_cell_error
from mmtrain.columns.numbers import parse_numbers
from mmtrain.errors import listed
from mmtrain.metrics.on_request.declared import parse
from mmtrain.metrics.score import add_metric
from mmtrain.optim import AnyLoss
from mmtrain.registry import OneOf, Registry
from mmtrain.targets.fitted_target import FittedTarget
from mmtrain.targets.traits import TaskTraits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import pandas as pd

ClassWeights = Literal["none", "balanced", "effective"] | dict[str, Annotated[float, Field(ge=0)]]
LabelSmoothing = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Share of the answer that is spread evenly over all classes, or over yes and no of each label, in the loss that is "
        "minimized; reported losses and scores are those of the answers themselves.",
    ),
]


class Target(TaskTraits, Column):
    """Options and checks of every target, whatever its task."""

    purpose: ClassVar[Purpose] = "answer"

    role: Literal["target"] = "target"
    task: str
    loss_weight: float = Field(1.0, gt=0, description="Weight of this target in the sum of losses.")
    loss: AnyLoss | None = Field(None, description="The loss, in place of that of the task.", examples=[{"method": "focal", "gamma": 2.0}])
    extra_metrics: tuple[str, ...] = Field(
        (),
        description="Metrics that are computed next to those of the task, in training, evaluation and reports; `mmtrain list metrics` has "
        "their names. One with a level has it behind an @.",
        examples=[["mcc", "sensitivity_at_specificity@0.95"]],
    )
    missing: Literal["error", "drop", "mask"] = Field(
        "error",
        description="error: refuse a row without an answer; drop: leave out the row or, if labels have columns of their own, the unknown "
        "labels of the row; mask: of several targets, let the row count for those that it has an answer of. Rows without any answer are "
        "left out.",
    )
    missing_words: tuple[str, ...] = Field(
        MISSING_WORDS,
        description="Words, in upper or lower case, that mean a missing answer, in addition to the empty cell and `data.missing_values`. "
        "Leave out a word that is an answer, such as a class called `none`; words named by other options of the target are answers.",
    )

    @field_validator("extra_metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        given = {metric.name for metric in (*cls.metrics, *cls.label_metrics)}
        for name in names:
            if name in given:
                raise ValueError(f"`{name}` is a score of every target with this task. Leave it out.")
        return tuple(dict.fromkeys(parse(name, str(cls.model_fields["task"].default)).name for name in names))

    @classmethod
    def ranks(cls, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the answers as numbers; class names that are numbers count as such."""
        return parse_numbers(cells)

    @property
    def named_answers(self) -> tuple[str, ...]:
        """Labels that the options name."""
        return ()

    @property
    def words_for_missing(self) -> tuple[str, ...]:
        """`missing_words` in lower case, without those that are answers."""
        named = {name.lower() for name in self.named_answers}
        return tuple(word for word in dict.fromkeys(word.strip().lower() for word in self.missing_words) if word not in named)

    @property
    def own_class_weights(self) -> ClassWeights | None:
        """The option `class_weights` of tasks that have it; None where it is not given."""
        weights: ClassWeights | None = dict(self).get("class_weights")
        return weights

    @property
    def compares_rows(self) -> bool:
        """True if the loss of a row depends on the other rows of its batch."""
        return self.is_ranked

    @property
    def ranked_within(self) -> str:
        """Header of the group within which rows are ordered; empty for a task that is not `is_ranked`."""
        return ""

    @property
    def declared_labels(self) -> tuple[str, ...]:
        """Labels listed in the experiment file; empty where they come from the table."""
        return ()

    def with_answers(self, names: Iterable[str]) -> Target:
        """Return the same target, for which none of these names means a missing label."""
        known = {name.lower() for name in names}
        return self.model_copy(update={"missing_words": tuple(word for word in self.missing_words if word.strip().lower() not in known)})

    def missing_cells(self, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows without a label: the cell is empty, or a word for missing, such as `NA`."""
        return super().missing_cells(cells) | is_word(cells, self.words_for_missing)

    @property
    def needs_every_header(self) -> bool:
        """True where an answer is missing as soon as one of its headers is, not only where all of them are."""
        return False

    def missing_rows(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows without an answer, (rows,), from the cells under its headers."""
        import numpy as np

        combine = np.logical_or if self.needs_every_header else np.logical_and
        return np.asarray(combine.reduce([self.missing_cells(column) for column in cells.values()]))

    def answered(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows that have an answer, (rows,): those that are not among `missing_rows`. Only with `missing: mask` not all."""
        import numpy as np

        if not self.masks_missing:
            return np.ones(len(next(iter(cells.values()))), dtype=np.bool_)
        return ~self.missing_rows(cells)

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Return the errors of rows without a label."""
        import numpy as np

        errors = missing_cell_error(cells, self.missing, {"drop": "leave the row out"})
        rows = np.flatnonzero(self.missing_cells(cells) & cells.notna().to_numpy())
        if self.missing != "error" or not len(rows):
            return errors
        words = [repr(word) for word in cells.iloc[rows].unique()]
        what = f"{listed(words)} {'means' if len(words) == 1 else 'mean'} that there is no answer."
        other = f"if {words[0]} is an answer, set `missing_words: []`"
        if len(words) > 1:
            other = "if one of these words is an answer, list the others alone under `missing_words`"
        return [*errors, CellError(rows, what, f"Write the answer, set `missing: drop` to leave the row out, or, {other}.")]

    def strata(self, cells: Mapping[str, pd.Series[str]]) -> pd.Categorical[str] | None:  # noqa: ARG002
        """Return the class of each row, for stratified splits; None where rows have no single class."""
        return None

    def answers(self, cells: Mapping[str, pd.Series[str]]) -> list[str]:  # noqa: ARG002
        """Return the classes or labels that occur, by name; none for a number."""
        return []

    def tally(self, cells: Mapping[str, pd.Series[str]]) -> Mapping[str, int]:
        """Return the number of rows of each class or label that occurs; none for a number."""
        classes = self.strata(cells)
        return {} if classes is None else {str(name): int(rows) for name, rows in classes.value_counts().items() if rows}

    def numbers(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """Return the number by which parts of a split are compared, (rows,), NaN where it is missing; None for classes and labels."""
        return parse_numbers(cells[self.column]) if self.is_continuous else None

    def malformed(self, cells: pd.Series[str]) -> list[CellError]:  # noqa: ARG002
        """Return the errors of cells that can never be a label."""
        return []

    def header_malformed(self, header: str, cells: pd.Series[str]) -> list[CellError]:  # noqa: ARG002
        """Return `malformed` of the cells under one header; a target whose headers differ in kind tells them apart here."""
        return self.malformed(cells)

    def part_faults(self, cells: Mapping[str, pd.Series[str]]) -> list[CellError]:  # noqa: ARG002
        """Return the errors of the answers of one part that only all headers together show; none by default."""
        return []

    @abstractmethod
    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedTarget:
        """Learn from training rows; `default_weights` is used where the target has no `class_weights` of its own."""


def as_target(column: Column | None) -> Target | None:
    """Return a column that is predicted as such; None for every other."""
    return column if isinstance(column, Target) else None


def targets_among(columns: Mapping[str, Column | None]) -> dict[str, Target]:
    """Return the columns that are predicted, by key, in their order."""
    return {key: target for key, column in columns.items() if (target := as_target(column)) is not None}


class KnownLabels(Column):
    """The labels of a table that is only scored. Missing labels, and those unknown to training, are counted as such."""

    role: Literal["target"] = "target"
    of: Target

    def reads(self) -> tuple[str, ...]:
        """Return the headers of the target."""
        return self.of.reads()

    @property
    def holds_numbers(self) -> bool:
        """True if the target's cells are numbers."""
        return self.of.holds_numbers

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Return the errors of cells that can never be a label."""
        return self.of.malformed(cells)

    def header_faults(self, header: str, cells: pd.Series[str]) -> list[CellError]:
        """Return the same of the cells under one header."""
        return self.of.header_malformed(header, cells)


tasks: Registry[type[Target]] = Registry("task")
fitted_tasks: Registry[type[FittedTarget]] = Registry("fitted task")


def task(name: str, fitted: type[FittedTarget]) -> Any:
    """Register a `Target` class as `task: name`, with the class that `fit` returns, and the metrics that it states.

    Raises:
        ValueError: the name is taken, or a metric is known with another direction.
    """

    def register(target: type[Target]) -> type[Target]:
        for metric in (*target.metrics, *target.label_metrics):
            add_metric(metric)
        fitted_tasks.add(name, fitted)
        return tasks.add(name, target)

    return register


# By name, so that messages and the schema do not depend on the folders of tasks.
AnyTarget = Annotated[Target, OneOf("task", lambda: dict(sorted(tasks.items())))]
AnyFittedTarget = Annotated[FittedTarget, OneOf("task", lambda: dict(fitted_tasks.items()))]
role("target")(AnyTarget)
