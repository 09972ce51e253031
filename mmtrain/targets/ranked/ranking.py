"""`task: ranking`: the order of the rows of a group, such as the documents of a query, by a relevance; two columns of the table.

The network gives every row a number, by which the rows of its group are ordered. It learns from pairs of rows of one group whose
relevances differ, so that batches keep the rows of a group together. A number says nothing by itself: only the order within a group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import number_errors, parse_numbers
from mmtrain.errors import counted
from mmtrain.metrics.score import Metric
from mmtrain.targets.base import ClassWeights, Target, task
from mmtrain.targets.fitted_target import ScoreTable, TruthSpec
from mmtrain.targets.numbers.single_number import FittedNumber
from mmtrain.targets.prediction_columns import TRUTH
from mmtrain.targets.ranked.pair_losses import pair_losses
from mmtrain.targets.traits import DummyBaseline, TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score

GROUP_CODE, RANK = "group_code", "rank"
"""Columns of predictions: the code of the group, next to the truth, and the place of the row in its group."""
CODE_BITS = 52
"""Bits of the code of a group: such whole numbers are exact in float64. Of a million groups, two share a code in 1 of 9,000 tables."""
PLACES = (1, 3, 5, 10, 20)
"""Places of the table of NDCG in the report."""


class RankingTraits(TaskTraits):
    """An order within groups."""

    title = "an order within groups"
    meaning = "A number by which the rows of a group are ordered, from the largest to the smallest; it means nothing beyond that order."
    noun = "row"
    is_continuous = True
    is_ranked = True
    metrics = (
        Metric("ndcg", higher_is_better=True, title="NDCG", unbiased=True, minimum=0, maximum=1),
        Metric("pair_accuracy", higher_is_better=True, title="Accuracy of pairs", unbiased=True, minimum=0, maximum=1),
        Metric("mrr", higher_is_better=True, title="Mean reciprocal rank", unbiased=True, minimum=0, maximum=1),
    )
    main_metric = "ndcg"
    dummy = DummyBaseline("random order", "random order: every row of a group in every place with the same probability")


class FittedRanking(RankingTraits, FittedNumber):
    """The truth of a row is its relevance and the code of its group."""

    task: Literal["ranking"] = "ranking"
    group: str
    top: int = Field(ge=1)

    @property
    def truth_spec(self) -> TruthSpec:
        """Relevance and group; float64."""
        return TruthSpec((2,), "float64")

    @property
    def compares_rows(self) -> bool:
        """True: a pair is two rows of the batch."""
        return True

    @property
    def squares_losses(self) -> bool:
        """False: the pairwise loss is minimized as it is."""
        return False

    @property
    def row_headers(self) -> tuple[str, ...]:
        """The header of the group, from which the rank follows."""
        return (self.group,)

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, 2) float64: the relevance and the code of the group, NaN where one is missing."""
        import numpy as np
        import pandas as pd

        groups = cells[self.group]
        # A hash, so that a group has one code in every table and in every piece of one.
        codes = pd.util.hash_array(groups.fillna("").to_numpy(dtype=object)) >> np.uint64(64 - CODE_BITS)
        return np.stack([parse_numbers(cells[self.column]), np.where(groups.isna(), np.nan, codes.astype(np.float64))], axis=1)

    def known_rows(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Rows with a relevance and a group."""
        import numpy as np

        return np.asarray(~np.isnan(truth).any(axis=1))

    def group_codes(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The codes of the groups."""
        return truth[:, 1]

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """The pairwise logistic loss within groups."""
        import tensorflow as tf

        return self.weighted_losses(truth, raw, tf.ones_like(raw[:, 0]))

    def weighted_losses(self, truth: Any, raw: Any, weight: Any) -> Any:
        """The same with the weights of the rows of each pair."""
        if self.own_loss is not None:
            return super().weighted_losses(truth, raw, weight)
        return pair_losses(truth[:, 1], truth[:, 0], raw[:, 0], weight)

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (of probabilities)
        """The squared distance from the number of the teacher."""
        import tensorflow as tf

        return tf.square(teacher[:, 0] - raw[:, 0])

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The share of the pairs of a row that have the wrong order; 0 for a row without a pair."""
        import numpy as np

        from mmtrain.metrics.ranked_groups import misordered_pairs

        known = self.known_rows(truth)
        codes = np.unique(truth[known, 1], return_inverse=True)[1].reshape(-1)
        pairs = misordered_pairs(codes, truth[known, 0], prediction[known, 0])
        losses = np.full(len(truth), np.nan)
        losses[known] = pairs.wrong / np.maximum(pairs.all, 1)
        return losses

    def activation(self, name: str) -> Any:
        """The raw number itself; (batch, 1)."""
        from mmtrain.layers.numbers.prediction_scales import Affine

        return Affine(scale=1.0, offset=0.0, dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """NDCG, pairs and reciprocal rank, as means over groups."""
        from mmtrain.metrics.ranked_groups import ranking_scores

        return ranking_scores(truth[:, 1], truth[:, 0], prediction[:, 0], self.top)

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics.ranked_groups import ranking_scorer

        return ranking_scorer(truth[:, 1], truth[:, 0], prediction[:, 0], self.top)

    def tables(
        self,
        truth: np.ndarray[Any, Any],
        prediction: np.ndarray[Any, Any],
        groups: np.ndarray[Any, Any] | None = None,  # noqa: ARG002
    ) -> dict[str, ScoreTable]:
        """NDCG at several places, next to that of a random order."""
        import numpy as np

        from mmtrain.metrics.ranked_groups import ndcg_of_groups

        codes = np.unique(truth[:, 1], return_inverse=True)[1].reshape(-1)
        rows: list[list[str | bool | int | float | None]] = []
        for top in sorted({*PLACES, self.top}):
            of_groups = [ndcg_of_groups(codes, truth[:, 0], numbers, top) for numbers in (prediction[:, 0], np.zeros(len(codes)))]
            defined = ~np.isnan(of_groups[0])
            if defined.any():
                rows.append([f"first {top}", int(defined.sum()), *(float(np.mean(values[defined])) for values in of_groups)])
        head = ("Places", "groups", "NDCG", "random order")
        single = int((np.bincount(codes) == 1).sum())
        without_order = f", and {counted(single, 'group')} of one row" if single else ""
        note = f"Groups whose relevances are all 0 are left out{without_order}; of groups with fewer rows, all of them count."
        return {"ndcg": ScoreTable(head, rows, "NDCG of the first places", note)}

    def row_columns(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The rank of each row in its group, 1 for the first; NaN for a row without a group."""
        import numpy as np

        from mmtrain.metrics.ranked_groups import ranks_within

        grouped = ~np.isnan(truth[:, 1])
        ranks = np.full(len(truth), np.nan, np.float32)
        ranks[grouped] = ranks_within(truth[grouped, 1], prediction[grouped, 0])
        return {RANK: ranks}

    def truth_columns(self, truth: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The relevance and the code of the group."""
        import numpy as np

        codes = ["" if np.isnan(code) else str(int(code)) for code in truth[:, 1]]
        return {TRUTH: self.decode_truth(truth), GROUP_CODE: np.array(codes, dtype=object)}

    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The relevance."""
        return truth[:, 0]

    def parse_truth(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, 2) float64."""
        import numpy as np

        return np.stack([parse_numbers(columns[TRUTH]), parse_numbers(columns[GROUP_CODE])], axis=1)

    def reference_answers(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The relevance, whose order is that of the rows of a group."""
        return truth[:, 0]

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The same number for every row; tied rows share their places."""
        import numpy as np

        return np.zeros((count, 1))


@task("ranking", FittedRanking)
class RankingTarget(RankingTraits, Target):
    """The order of the rows of a group, such as the results of a query or the products that a customer was shown."""

    task: Literal["ranking"] = "ranking"
    group: str = Field(
        min_length=1, description="Header of the group within which rows are ordered; it also needs the role `group`, for the split."
    )
    top: int = Field(10, ge=1, description="Places that the score `ndcg` counts, from the first one.")

    @field_validator("group")
    @classmethod
    def _other_header(cls, group: str, values: ValidationInfo) -> str:
        if group == values.data.get("column"):
            raise ValueError("`column` and `group` name one column. Name the column of the group.")
        return group

    @property
    def holds_numbers(self) -> bool:
        """True: relevances."""
        return True

    @property
    def ranked_within(self) -> str:
        """The header of the group."""
        return self.group

    def reads(self) -> tuple[str, ...]:
        """The headers of relevance and group."""
        return (self.column, self.group)

    @property
    def needs_every_header(self) -> bool:
        """True: a relevance counts within its group."""
        return True

    def header_faults(self, header: str, cells: pd.Series[str]) -> list[CellError]:
        """Missing answers, relevances that are not numbers of 0 or more, and a table with one relevance alone."""
        import numpy as np

        errors = super().faults(cells) + self.header_malformed(header, cells)
        if errors or header == self.group:
            return errors
        values = parse_numbers(cells[~self.missing_cells(cells)])
        if len(values) and values.min() < values.max():
            return []
        what = "every row has the same number." if len(values) else "no row has a number."
        return [CellError(np.arange(1), what, "Rows of a group need different relevances, from which their order follows.")]

    def header_malformed(self, header: str, cells: pd.Series[str]) -> list[CellError]:
        """Return relevances that are not numbers of 0 or more; a group may have any name."""
        import numpy as np

        if header == self.group:
            return []
        answers = cells.mask(self.missing_cells(cells))
        errors = number_errors(answers, "Name the header of the relevance under `column`.")
        below = np.flatnonzero(parse_numbers(answers) < 0)
        if errors or not len(below):
            return errors
        return [CellError(below, f"{cells.iloc[below[0]]!r} is a relevance below 0.", "Add the same number to all of them.")]

    def part_faults(self, cells: Mapping[str, pd.Series[str]]) -> list[CellError]:
        """Return the error of rows without a pair: the loss would be 0 whatever is predicted, and no score defined."""
        import numpy as np
        import pandas as pd

        answered = ~self.missing_rows(cells)
        relevances = pd.Series(parse_numbers(cells[self.column][answered])).groupby(cells[self.group][answered].to_numpy())
        if (relevances.min() < relevances.max()).any():
            return []
        what = f"no two rows of one {self.group!r} have different relevances, so that there is no order to learn."
        return [CellError(np.arange(1), what, "Name the header that the rows to be ordered have in common under `group`.")]

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedRanking:  # noqa: ARG002
        """Nothing is learned from training rows: the order has no unit."""
        return FittedRanking(column=self.column, loss_weight=self.loss_weight, group=self.group, top=self.top)
