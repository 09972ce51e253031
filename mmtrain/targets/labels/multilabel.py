"""`task: multilabel`: any number of labels per row; a logit and a probability per label.

The answer is one cell with labels between separators (`beach;sunset`, an empty cell means none) or with a list of them
(`["beach", "sunset"]`), or, with `labels`, one 0/1 column per label. Of such a row some labels may be known and others not: an empty
cell, or what is neither yes nor no, leaves that label out of loss and scores, and no other.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.base import Names
from mmtrain.columns.cells import CellError, is_word
from mmtrain.targets.base import ClassWeights, LabelSmoothing, Target, task
from mmtrain.targets.labels.class_balance import class_weights, effective_number
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel, MultilabelTraits
from mmtrain.targets.labels.yes_no import read_answers
from mmtrain.text.label_lists import LIST, lists_of, read_list, split_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd


@task("multilabel", FittedMultilabel)
class MultilabelTarget(MultilabelTraits, Target):
    """Any number of labels per row."""

    task: Literal["multilabel"] = "multilabel"
    separator: str = Field(
        ";", min_length=1, description="What stands between labels in one cell; list: cells are lists such as `['a', 'b']` or `[]`."
    )
    labels: Names = Field((), description="Headers of 0/1 columns, one per label; then no cell with separators is read.")
    class_weights: ClassWeights | None = Field(
        None,
        description="none; balanced: rows with a label add the same to its loss as rows without it; effective: the same by effective "
        "numbers of rows (Cui et al. 2019, arXiv:1901.05555); or a weight per label for the rows that have it. Left out: "
        "`training.class_weights`.",
    )
    label_smoothing: LabelSmoothing = 0.0

    @property
    def declared_labels(self) -> tuple[str, ...]:
        """Labels with a column of their own in the table."""
        return self.labels

    def reads(self) -> tuple[str, ...]:
        """One header, or those of `labels`."""
        return self.labels or (self.column,)

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """With `labels`: cells that are neither yes nor no, missing ones included. With one cell: no label anywhere."""
        import numpy as np

        if not self.labels:
            errors = super().faults(cells.fillna("")) + (self.malformed(cells) or self._other_separator(cells))
            return errors if cells.notna().any() else [*errors, CellError(np.arange(1), "no row has a label.", "Fill in the answers.")]
        errors = super().faults(cells) + self.malformed(cells)
        if errors or not self.missing_cells(cells).all():
            return errors
        return [CellError(np.arange(1), "no row has an answer.", "Fill in the answers, or leave the label out.")]

    def malformed(self, cells: pd.Series[str]) -> list[CellError]:
        """Return the errors of cells that are neither yes nor no (`labels`), or not a list (`separator: list`)."""
        import numpy as np

        if not self.labels:
            return self._no_lists(cells) if self.separator == LIST else []
        bad = np.flatnonzero(~self.missing_cells(cells) & (read_answers(cells) < 0))
        if not len(bad):
            return []
        return [CellError(bad, f"{cells.iloc[bad[0]]!r} is neither 0 nor 1.", "Write 1 where the row has the label and 0 where not.")]

    def _no_lists(self, cells: pd.Series[str]) -> list[CellError]:
        import numpy as np

        words = cells[~self.missing_cells(cells)].dropna().unique()
        bad = np.flatnonzero(cells.isin([word for word in words if read_list(word) is None]).to_numpy())
        if not len(bad):
            return []
        fix = 'Write it like ["a", "b"] or [], or set `separator` to what stands between labels.'
        return [CellError(bad, f"{cells.iloc[bad[0]]!r} is not a list of labels.", fix)]

    def _other_separator(self, cells: pd.Series[str]) -> list[CellError]:
        """No cell holds the separator, and many hold what surely is another one."""
        import numpy as np

        words = [str(cell) for cell in cells.dropna().unique()]
        if self.separator == LIST or any(self.separator in word for word in words):
            return []
        lists = lists_of(cells)
        if lists is None:
            return []
        rows = np.flatnonzero(cells == lists.example)[:1]
        what = f"no cell holds the separator {self.separator!r}, but {lists.example!r} looks like several labels{lists.between}."
        return [CellError(rows, what, f"Set `separator: {lists.as_option}`.")]

    def missing_cells(self, cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """An empty cell of labels means none of them; an empty 0/1 cell lacks an answer, but `-` is a no there."""
        if not self.labels:
            return is_word(cells, self.words_for_missing)
        return super().missing_cells(cells) & (read_answers(cells) < 0)

    def answers(self, cells: Mapping[str, pd.Series[str]]) -> list[str]:
        """The labels: those of the file, or those that occur, by name."""
        if self.labels:
            return list(self.labels)
        different = cells[self.column].drop_duplicates()
        different = different[~self.missing_cells(different)]
        return sorted({name for names in split_labels(different, self.separator) for name in names})

    def tally(self, cells: Mapping[str, pd.Series[str]]) -> Mapping[str, int]:
        """Rows that have each label; every different cell is split once."""
        if self.labels:
            return {label: int((read_answers(cells[label]) == 1).sum()) for label in self.labels}
        counts: Counter[str] = Counter()
        # Equal cells are split once and counted by their rows.
        times = cells[self.column].value_counts()
        for names, rows in zip(split_labels(times.index.to_series(), self.separator), times.tolist(), strict=True):
            counts.update(dict.fromkeys(names, rows))
        return counts

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedMultilabel:
        """The labels of training rows."""
        labels = tuple(self.answers(cells))
        # Without counts first: `truth` needs the labels, and the counts need the truth.
        fitted = FittedMultilabel(
            column=self.column,
            loss_weight=self.loss_weight,
            labels=labels,
            one_column_each=bool(self.labels),
            separator=self.separator,
            missing_words=() if self.labels else tuple(word for word in self.words_for_missing if word not in map(str.lower, labels)),
            rows=0,
            counts=(0,) * len(labels),
            weights=(1.0,) * len(labels),
            label_smoothing=self.label_smoothing,
        )
        truth = fitted.truth(cells)
        known = (truth >= 0).sum(axis=0).tolist()
        wanted = default_weights if self.class_weights is None else self.class_weights
        counts = (truth == 1).sum(axis=0).tolist()
        if wanted in ("balanced", "effective"):  # rows with and rows without a label add the same to its loss, where there are both
            size = effective_number if wanted == "effective" else float
            weights = [size(rows - count) / size(count) if 0 < count < rows else 1.0 for rows, count in zip(known, counts, strict=True)]
        else:
            weights = list(class_weights(dict(zip(labels, counts, strict=True)), wanted).values())
        return fitted.model_copy(update={"rows": len(truth), "known": tuple(known), "counts": tuple(counts), "weights": tuple(weights)})
