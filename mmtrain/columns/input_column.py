"""The contract of a column that feeds the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mmtrain.columns.base import Column, Purpose
from mmtrain.columns.cells import MISSING_CELL_WARNINGS, CellWarning
from mmtrain.columns.fitted_column import FittedColumn
from mmtrain.specs import Kind, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.pixels.audio_augment import AudioAugment
    from mmtrain.columns.pixels.image import Augment


class InputColumn(Column):
    """A column that feeds the network."""

    own_branch: ClassVar[bool] = False
    """True if it has a branch of its own where the file names no branches; all others share one."""

    purpose: ClassVar[Purpose] = "input"

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Kind of the tensor that branches read; known before any data is read."""

    @abstractmethod
    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedColumn:
        """Learn from the cells of training rows, given in one or several pieces."""

    @property
    def augmentation(self) -> Augment | AudioAugment | None:
        """Random changes to the encoded images of training rows; None where nothing is changed."""
        return None

    def declared_spec(self) -> TensorSpec | None:
        """Return the spec of the encoded cells where it follows from the declaration alone; None where training rows decide.

        Raises RunError for a declared file that cannot be read.
        """
        return None

    @property
    def description(self) -> str:
        """Role and the options that decide on the kind, with an article."""
        return f"{'an' if self.role[:1] in 'aeiou' else 'a'} {self.role} column"

    def option_for(self, kinds: Collection[str]) -> str:  # noqa: ARG002
        """Return the option that would give a tensor of one of these kinds, `name: value`; empty where none would."""
        return ""

    def options_without_effect(self) -> dict[str, tuple[str, str]]:
        """Return the options that have no effect with the others, by name: a sentence, and what to do."""
        return {}

    def remarks(self, cells: pd.Series[str], raw: np.ndarray[Any, Any], encoded: np.ndarray[Any, Any]) -> list[CellWarning]:  # noqa: ARG002
        """Return the remarks on cells that are predicted; the fitted column makes `raw` of them, and `encoded` of that.

        The policy for missing values is that of training: what it refuses or leaves out there cannot be predicted here.
        """
        import numpy as np

        rows = np.flatnonzero(self.missing_cells(cells))
        what, fix = MISSING_CELL_WARNINGS[self.policy or "error"]
        return [CellWarning(rows, what, fix)] if len(rows) else []


def inputs_among(columns: Mapping[str, Column | None]) -> dict[str, InputColumn]:
    """Return the columns that feed the network, by key, in their order."""
    return {key: column for key, column in columns.items() if isinstance(column, InputColumn)}
