"""Classes as codes, class weights and decisions, shared by the two tasks with one class per row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mmtrain.columns.base import Names
from mmtrain.columns.categorical import spelled_as
from mmtrain.columns.cells import CellError, intern_cells
from mmtrain.targets.base import ClassWeights, LabelSmoothing, Target
from mmtrain.targets.fitted_target import FittedTarget
from mmtrain.targets.labels.class_balance import Decision
from mmtrain.targets.losses import LOGIT_ADJUSTED
from mmtrain.targets.traits import TaskTraits
from mmtrain.text.label_lists import lists_of
from mmtrain.text.spelling import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import pandas as pd


def near_spellings(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that people may have meant to be one, together, each in its own spelling: `Yes` and `yes`, `1` and `1.0`; sorted."""
    import pyarrow as pa

    ordered = sorted(names)
    alike: dict[str, list[str]] = {}
    # Names with one key are the same but for case and notation.
    for name, key in zip(ordered, keys(pa.array(ordered, pa.large_string())).to_pylist(), strict=True):
        alike.setdefault(key, []).append(name)
    return [tuple(group) for group in alike.values() if len(group) > 1]


def difference(names: Sequence[str]) -> str:
    """Return how near spellings differ, as the end of a sentence."""
    return "differ only in case" if len({name.casefold() for name in names}) == 1 else "differ only in how they are written"


class ClassTraits(TaskTraits):
    """One class per row."""

    has_classes = True
    stratifies = True
    calibratable = True
    conformal = "sets"


class ClassTarget(ClassTraits, Target):
    """A declared target whose answer is one class per row."""

    class_weights: ClassWeights | None = Field(
        None,
        description="none; balanced: every class adds the same to the loss; effective: in between, by the effective number of rows (Cui et "
        "al. 2019, arXiv:1901.05555); or a weight per class. Left out: `training.class_weights`. They reach the loss, not the scores. "
        "Their price: probabilities shift towards rare classes, and log loss and accuracy become worse. `decision` gives the balance "
        "without that.",
    )
    decision: Decision | None = Field(
        None,
        description="Correct the predicted class for how often classes occur (logit adjustment: Menon et al. 2021, arXiv:2007.07314); "
        "probabilities stay as they are. Left out: the most probable class; of two, `evaluation.threshold`. Its price: what balance gains "
        "in rare classes, accuracy loses in frequent ones.",
        examples=[{"prior": "balanced"}],
    )
    label_smoothing: LabelSmoothing = 0.0
    sample: Literal["all", "balanced"] = Field(
        "all",
        description="all: an epoch visits every training row once; balanced: an epoch of n rows and k classes visits n // k rows of each "
        "class, so that rows of rare classes come several times. Rows of a class are visited equally often over the epochs. As class "
        "weights do, it shifts probabilities towards rare classes.",
    )

    @property
    def named_answers(self) -> tuple[str, ...]:
        """The classes that have a weight or a share."""
        weighted = tuple(self.class_weights) if isinstance(self.class_weights, dict) else ()
        return (*weighted, *(self.decision.named_classes if self.decision else ()))

    def prior(self, counts: Mapping[str, int]) -> tuple[float, ...]:
        """Return the share of each class that decisions assume; empty without `decision`."""
        return () if self.decision is None else self.decision.shares(counts)

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing answers, and a target with only one class."""
        import numpy as np

        errors = super().faults(cells)
        names = cells[~self.missing_cells(cells)].unique()
        if len(names) == 1:
            errors.append(CellError(np.arange(1), f"every row has the class {names[0]!r}.", "A target needs at least two classes."))
        if not len(names):
            errors.append(CellError(np.arange(1), "no row has a class.", "Fill in the answers."))
        return errors

    def doubts(self, cells: pd.Series[str]) -> list[CellError]:
        """Classes that look like several labels each."""
        import numpy as np

        lists = lists_of(cells)
        if lists is None:
            return []
        rows = np.flatnonzero(cells == lists.example)
        what = f"{lists.example!r} looks like several labels{lists.between}: {lists.labels:,} labels make {cells.nunique():,} classes."
        return [CellError(rows[:1], what, f"{lists.fix} if a row can have several of them.")]

    def strata(self, cells: Mapping[str, pd.Series[str]]) -> pd.Categorical[str] | None:
        """The class of each row; one without an answer has an empty name."""
        return intern_cells(self._known_cells(cells))

    def answers(self, cells: Mapping[str, pd.Series[str]]) -> list[str]:
        """The classes that occur, by name."""
        return sorted(str(name) for name in self._known_cells(cells).dropna().unique())

    def tally(self, cells: Mapping[str, pd.Series[str]]) -> Mapping[str, int]:
        """Rows of each class; those without an answer are left out."""
        return {name: rows for name, rows in super().tally(cells).items() if name}

    def _known_cells(self, cells: Mapping[str, pd.Series[str]]) -> pd.Series[str]:
        # Words for missing are in the table only where rows without an answer stay.
        column = cells[self.column]
        return column.mask(self.missing_cells(column)) if self.masks_missing else column


class FittedClassTarget(ClassTraits, FittedTarget):
    """Classes in code order, and the weight of each in the loss."""

    classes: Names
    counts: tuple[int, ...] = Field(description="Training rows of each class.")
    weights: tuple[float, ...]
    prior: tuple[Annotated[float, Field(ge=0)], ...] = Field((), description="Class shares that decisions assume; left out: not corrected.")
    label_smoothing: float = 0.0
    sample: Literal["all", "balanced"] = "all"

    @model_validator(mode="after")
    def _of_each_class(self) -> FittedClassTarget:
        if not len(self.classes) == len(self.counts) == len(self.weights) or len(self.prior) not in (0, len(self.classes)):
            raise ValueError("each class has a count and a weight")
        return self

    @property
    def decision_factors(self) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Return the factor of each class's probability in a decision, (classes,), 1 for the largest; None where there is no correction.

        p(class) of a network that was trained with weights follows rows * weight; Bayes' rule exchanges these shares for the prior.
        """
        import numpy as np

        if not self.prior:
            return None
        learned = self.learned_frequencies
        factors = np.divide(np.array(self.prior), learned, out=np.zeros(len(learned)), where=learned > 0)
        # Only ratios matter; 1 for the largest keeps the products within float32.
        return np.asarray(factors / factors.max(), dtype=np.float32)

    @property
    def is_sampled(self) -> bool:
        """With `sample: balanced`."""
        return self.sample == "balanced"

    @property
    def balance(self) -> str:
        """Class weights, balanced sampling or logit adjustment."""
        if len(set(self.weights)) > 1:
            return "class weights"
        adjusted = (self.own_loss or {}).get("method") == LOGIT_ADJUSTED
        return "balanced sampling" if self.is_sampled else "logit adjustment" if adjusted else ""

    @property
    def learned_frequencies(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return how often each class seems to occur in what the network has learned, (classes,): its visits times their weight."""
        import numpy as np

        counts = np.array(self.counts, dtype=np.float64)
        if self.is_sampled:
            counts = (counts > 0).astype(np.float64)
        loss = self.own_loss or {}
        # Logit adjustment takes the frequencies, to the power of `strength`, out of what is learned.
        adjusted = counts ** loss["strength"] if loss.get("method") == LOGIT_ADJUSTED else 1.0
        return np.asarray(np.divide(counts * np.array(self.weights), adjusted, out=np.zeros(len(counts)), where=counts > 0))

    def without_decision(self) -> Self:
        """Return the same target that predicts the most probable class."""
        return self.with_threshold().model_copy(update={"prior": ()})

    def with_decision_of(self, member: FittedTarget) -> Self:
        """Return the same target with the threshold or the prior of the other, and the training rows that the prior is corrected by."""
        target = super().with_decision_of(member)
        counts, weights = member.class_counts, member.class_weights
        prior = dict(zip(member.columns, dict(member).get("prior", ()), strict=False))
        return target.model_copy(
            update={
                "counts": tuple(counts.get(name, 0) for name in self.classes),
                "weights": tuple(weights.get(name, 0.0) for name in self.classes),
                # A class without training rows is never decided on, whatever its share.
                "prior": tuple(prior.get(name, 1.0) for name in self.classes) if prior else (),
            }
        )

    def compiled_values(self) -> dict[str, Any]:
        """Leave out what decides, and the weights of classes, which reach the loss with every batch."""
        unread = ("counts", "weights", "prior", "threshold", "sample") if self.has_known_loss else ()
        return {name: value for name, value in super().compiled_values().items() if name not in unread}

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def class_counts(self) -> dict[str, int]:
        """Training rows of each class."""
        return dict(zip(self.classes, self.counts, strict=True))

    @property
    def class_weights(self) -> dict[str, float]:
        """The weight of each class."""
        return dict(zip(self.classes, self.weights, strict=True))

    def spelled(self, cells: pd.Series[str]) -> pd.Series[str]:
        """Notation of the classes in the file."""
        return spelled_as(self.classes, cells)

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows,) int32 codes; -1 for a missing class or one that training did not have."""
        import numpy as np
        import pandas as pd

        codes, names = pd.factorize(cells[self.column])
        # One place for the missing code -1: the entry appended last.
        return np.append(pd.Index(list(self.classes)).get_indexer(pd.Index(names)), -1).astype(np.int32)[codes]  # -1 is missing

    def row_weights(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The weight of each row's class; 0 for -1, which has no loss that would mean anything."""
        import numpy as np

        weights: np.ndarray[Any, np.dtype[np.float32]] = np.array([*self.weights, 0], dtype=np.float32)[truth]
        return weights

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Log loss: minus the logarithm of the probability of the true class."""
        import numpy as np

        given = self.probabilities(prediction)[np.arange(len(truth)), truth].astype(np.float64)
        # A float32 probability may be exactly 0, whose logarithm is infinite; the smallest positive one stands for it.
        return np.where(truth >= 0, -np.log(np.maximum(given, np.finfo(np.float32).tiny)), np.nan)

    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Class names; empty for -1."""
        import numpy as np

        names: np.ndarray[Any, Any] = np.array([*self.classes, ""], dtype=object)[truth]
        return names
