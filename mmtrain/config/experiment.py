"""The experiment: every section of the file, frozen, as the rest of the house sees it.

Columns, branches and the fusion take their options from what is registered under their names (see `mmtrain.registry`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from mmtrain.branches import AnyBranch
from mmtrain.columns import AnyColumn, InputColumn, column_of_role, inputs_among
from mmtrain.columns.base import OfRole
from mmtrain.config.byte_size import Size
from mmtrain.config.evaluation import Evaluation
from mmtrain.config.image_folder import ImageFolder
from mmtrain.config.table_format import TableFormat
from mmtrain.config.training import Training, group_names
from mmtrain.fusions import AnyFusion
from mmtrain.registry import Section
from mmtrain.splits import AnySplit
from mmtrain.targets import Target, targets_among

NAME = "Names the run folder: letters, digits, `.`, `_` and `-`, beginning with a letter or a digit. Left out: the name of the file."


def _check_path(path: Path) -> Path:
    """A path that `defaults.filled` could make absolute."""
    if str(path).startswith("~"):
        raise ValueError(f"{path.parts[0]!r} is the home folder of no user here. Write the path in full.")
    if "\0" in str(path):
        raise ValueError(f"{path.name!r} cannot be a path: no path holds the character `\\0`. Remove it.")
    return path


CheckedPath = Annotated[Path, AfterValidator(_check_path)]


class Cache(Section):
    """Where decoded images and encoded columns of large tables are kept between runs, and how much room they may take."""

    folder: CheckedPath | None = Field(None, description="Left out: the user's cache folder, or $MMTRAIN_CACHE.")
    verify: Literal["stat", "content"] = Field(
        "stat",
        description="How a changed image is noticed. stat: by its size and time of change; content: by its bytes, read again every time.",
    )
    disk: Size | None = Field(
        None,
        description="The most that the folder may hold, `20 GB` for instance. Left out: all of the disk but 1 GB. "
        "Where it does not suffice, every batch is decoded again, and encoded columns stay in memory.",
    )
    memory: Size = Field(
        10**9, description="The most memory for decoded images where the disk does not suffice; those that fit are decoded once."
    )


class Data(Section):
    """Where the rows and the images are."""

    table: CheckedPath = Field(
        description="CSV, TSV, Parquet, Excel or JSON Lines file with a row per example; its path is relative to this file."
    )
    images: CheckedPath | None = Field(None, description="The folder that image cells are relative to; left out: the folder of the table.")
    format: TableFormat = Field(
        TableFormat(),
        description="How the table is written. Left out: found in its first lines. Tables that come later, for `evaluate` and "
        "`predict`, are read like this where it fits them.",
        examples=[{"separator": ";", "decimal": ","}],
    )
    missing_values: tuple[str, ...] = Field((), description="Texts that mean 'missing', besides the empty cell.")
    allow_outside: bool = Field(False, description="Whether image cells may leave the images folder.")
    cache: Cache = Field(Cache(), description="Where decoded images and encoded columns are kept between runs.")

    @property
    def images_folder(self) -> ImageFolder:
        """The folder that image cells are relative to: `images`, or that of the table."""
        return ImageFolder(self.images if self.images is not None else self.table.parent, self.allow_outside)


class Experiment(Section):
    """One experiment file, every default written out. Paths are absolute."""

    model_config = ConfigDict(defer_build=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description=NAME)]
    data: Data = Field(description="Where the rows and the images are.", examples=[{"table": "patients.csv"}])
    columns: dict[str, AnyColumn] = Field(
        min_length=1,
        description="What each column of the table is for; columns not named are not used.",
        examples=[{"age": {"role": "numeric"}, "diagnosis": {"role": "target", "task": "binary"}}],
    )
    branches: dict[str, AnyBranch] = Field(
        description="Which columns go through which network. Left out: one branch per image, one per text, one for all the rest.",
        examples=[{"scan": {"columns": ["scan"], "architecture": "cnn"}}],
    )
    fusion: AnyFusion = Field(description="How branches are joined. Left out: concatenate.", examples=[{"method": "gated"}])
    split: AnySplit = Field(description="How rows are divided into train, validation and test.", examples=[{"method": "stratified"}])
    training: Training = Field(description="How the network learns.")
    evaluation: Evaluation = Field(Evaluation(), description="What is found out about the trained model.")

    @property
    def inputs(self) -> dict[str, InputColumn]:
        """The columns that feed the network."""
        return inputs_among(self.columns)

    @property
    def targets(self) -> dict[str, Target]:
        """The columns to be predicted."""
        return targets_among(self.columns)

    def only(self, role: type[OfRole]) -> OfRole | None:
        """The column of a role that at most one column has, or None."""
        return column_of_role(self.columns, role)

    def alone(self, branch: str) -> Experiment:
        """The experiment of a baseline: without the other branches and what they read, and without whoever watches the training."""
        own = self.branches[branch]
        columns = {key: column for key, column in self.columns.items() if key in own.columns or not column.part_of_model}
        groups = group_names({branch: own.groups}, self.targets)
        stages = tuple(stage.restricted_to(groups) for stage in self.training.stages)
        unwatched = self.decided(tensorboard=False, callbacks=(), stages=stages)
        changed = {"columns": columns, "branches": {branch: own}, "evaluation": self.evaluation.of_baselines}
        return unwatched.model_copy(update=changed)

    def decided(self, **values: Any) -> Experiment:
        """The experiment with these training settings."""
        return self.model_copy(update={"training": self.training.with_settings(**values)})

    def untried(self) -> Experiment:
        """The experiment with nothing left to a trial."""
        return self.model_copy(update={"training": self.training.without_trial()})
