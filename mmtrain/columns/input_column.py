"""The contract of a column that feeds the network, and the option of those that a pretrained encoder may read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.base import Column, Purpose
from mmtrain.columns.cells import MISSING_CELL_WARNINGS, CellWarning
from mmtrain.columns.fitted_column import FittedColumn
from mmtrain.registry import Section
from mmtrain.specs import Kind, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.pixels.audio_augment import AudioAugment
    from mmtrain.columns.pixels.image_augment import Augment


class ColumnEncoder(Section):
    """A frozen pretrained encoder, and the reduction of its features to numbers: a branch reads the column as these numbers."""

    model: str = Field(
        min_length=1,
        description="Name of a model, such as efficientnet_lite0, folder with config.json and weights, or file of weights "
        "(.safetensors, .pth). Nothing is downloaded; `mmtrain models list` shows the models at hand.",
    )
    weights: str = Field("", description="File or folder of the weights, where `model` is a name that says the architecture only.")
    components: int = Field(30, ge=1, le=4096, description="Numbers that the branch receives; at most as many as the encoder gives.")
    reduce: Literal["pca", "learned"] = Field(
        "pca",
        description="pca: principal components of the features of training rows, each with a standard deviation of 1; learned: a dense "
        "layer, trained with the branch.",
    )


ENCODER = Field(
    None,
    description="A pretrained encoder that makes numbers of the column, `{model: NAME, components: 30}` or `NAME`, for a branch that "
    "reads numbers, such as `tabm`, together with other columns.",
    # A name alone becomes `{model: NAME}` before pydantic sees it (`config.default_branches`), so that its schema lacks that form.
    json_schema_extra=lambda schema: schema["anyOf"].insert(0, {"type": "string"}),  # type: ignore[union-attr]
)
"""The option `encoder` of columns that encoders read."""


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

    @property
    def vector_encoder(self) -> ColumnEncoder | None:
        """The option `encoder` of those roles that have it: branches then read the column as numbers."""
        encoder: ColumnEncoder | None = dict(self).get("encoder")
        return encoder

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
