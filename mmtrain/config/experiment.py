"""The experiment: every section of the file, validated and frozen.

Columns, branches and the fusion take their options from what is registered under their names (see `mmtrain.registry`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mmtrain.branches import AnyBranch
from mmtrain.columns import AnyColumn, InputColumn, column_of_role, inputs_among
from mmtrain.columns.base import OfRole
from mmtrain.config.byte_size import Size
from mmtrain.config.image_folder import ImageFolder
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.config.sections.table_format import TableFormat
from mmtrain.config.sections.training import Training, group_names
from mmtrain.config.sections.tune import Tune
from mmtrain.fusions import AnyFusion
from mmtrain.registry import Section
from mmtrain.splits import AnySplit
from mmtrain.system.paths import table_folder
from mmtrain.system.remote import is_address
from mmtrain.targets import Target, targets_among

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
NAME = "Name of the run folder: letters, digits, `.`, `_` and `-`, beginning with a letter or a digit. Left out: the name of the file."


def _check_path(path: Path) -> Path:
    """Return a path that `defaults.fill_defaults` has made absolute. Raises ValueError if it could not."""
    if str(path).startswith("~"):
        raise ValueError(f"{path.parts[0]!r} is not the home folder of a user of this machine. Write the path in full.")
    if is_address(str(path)):
        raise ValueError(f"{path.name!r} is not the address of a file. Write it without `..`.")
    if "\0" in str(path):
        raise ValueError(f"{path.name!r} is not a path: paths cannot hold the character `\\0`. Remove it.")
    return path


CheckedPath = Annotated[Path, AfterValidator(_check_path)]


class Cache(Section):
    """Folder and size limits of the cache of decoded images and of encoded columns of large tables."""

    folder: CheckedPath | None = Field(None, description="Left out: the user's cache folder, or $MMTRAIN_CACHE.")
    verify: Literal["stat", "content"] = Field(
        "stat",
        description="How a changed image is detected. stat: by its size and modification time; content: by its bytes, read every time.",
    )
    disk: Size | None = Field(
        None,
        description="Maximum size of the folder, `20 GB` for instance. Left out: all of the disk but 1 GB. "
        "If it does not suffice, every batch is decoded again, and encoded columns stay in memory.",
    )
    memory: Size = Field(
        10**9, description="Maximum memory for decoded images if the disk does not suffice; images that fit are decoded once."
    )


class SecondTable(Section):
    """A table with any number of rows for each row of `data.table`: views of a patient, measurements of a stay."""

    table: CheckedPath = Field(description="The file, in a format of `data.table`; its path is relative to this file.")
    key: str = Field(min_length=1, description="Header, in both tables, of what rows of the two have in common.")
    main_key: str | None = Field(None, min_length=1, description="Header of the key in `data.table`, where it differs from `key`.")
    time: str | None = Field(
        None, min_length=1, description="Header whose dates or numbers order the rows of a key. Left out: their order in the file."
    )
    format: TableFormat = Field(TableFormat(), description="Format of the file, like `data.format`.")


TableName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]


class Data(Section):
    """The table and the images."""

    table: CheckedPath = Field(
        description="CSV, TSV, Parquet, Excel or JSON Lines file with a row per example, a folder or a pattern of several such as "
        "`parts/*.parquet`, or an address such as `s3://bucket/table.parquet`; a path is relative to this file."
    )
    images: CheckedPath | None = Field(None, description="The folder that image cells are relative to; left out: the folder of the table.")
    format: TableFormat = Field(
        TableFormat(),
        description="Format of the table. Left out: detected from its first lines. Later tables, for `evaluate` and `predict`, are read "
        "in this format if it fits them.",
        examples=[{"separator": ";", "decimal": ","}],
    )
    missing_values: tuple[str, ...] = Field((), description="Texts that mean 'missing', besides the empty cell.")
    tables: dict[TableName, SecondTable] = Field(
        {},
        description="Second tables by name, with several rows for a row of `table`. A column with `column: NAME.HEADER` reads, for each "
        "row of `table`, the list of the cells under HEADER in the rows with the same key.",
        examples=[{"views": {"table": "views.csv", "key": "patient"}}],
    )
    allow_outside: bool = Field(False, description="Let image cells name files outside of the images folder.")
    cache: Cache = Field(Cache(), description="The cache of decoded images and encoded columns, which runs share.")

    @property
    def images_folder(self) -> ImageFolder:
        """The folder that image cells are relative to: `images`, or that of the table."""
        return ImageFolder(self.images if self.images is not None else table_folder(self.table), self.allow_outside)


class Ensemble(Section):
    """Common prediction of the trainings of a group: of folds, seeds and single branches."""

    weights: Literal["mean", "greedy"] = Field(
        "mean",
        description="mean: every training counts the same. greedy: weights of seeds, repeats and single branches by forward selection with "
        "replacement (Caruana et al. 2004, doi:10.1145/1015330.1015432) on out-of-fold predictions, without folds on validation rows; the "
        "mean stays where they do not lower the loss of rows that they were not chosen on. Folds always count the same: each row has a "
        "prediction of one of them.",
    )
    single_branches: bool = Field(
        False, description="With `greedy`: train each branch alone as well, in every fold and with every seed, for a late fusion."
    )

    @model_validator(mode="after")
    def _weighted_branches(self) -> Ensemble:
        if self.single_branches and self.weights == "mean":
            what = "`single_branches` needs weights: in a plain mean, weak branches count as much as all together."
            raise ValueError(f"{what} Set `weights: greedy`.")
        return self


class Experiment(Section):
    """One experiment file, every default written out. Paths are absolute."""

    model_config = ConfigDict(defer_build=True)

    name: Annotated[str, Field(pattern=NAME_PATTERN, description=NAME)]
    data: Data = Field(description="The table and the images.", examples=[{"table": "patients.csv"}])
    columns: dict[str, AnyColumn] = Field(
        min_length=1,
        description="The role of each column of the table; columns not named are not used.",
        examples=[{"age": {"role": "numeric"}, "diagnosis": {"role": "target", "task": "binary"}}],
    )
    branches: dict[str, AnyBranch] = Field(
        description="The columns and the network of each branch. Left out: one branch per image, one per text, one for all the rest; an "
        "architecture alone, as `branches: tabm`, is that of the rest.",
        examples=[{"scan": {"columns": ["scan"], "architecture": "cnn"}}],
    )
    fusion: AnyFusion = Field(description="How branches are joined. Left out: concatenate.", examples=[{"method": "gated"}])
    split: AnySplit = Field(description="How rows are divided into train, validation and test.", examples=[{"method": "stratified"}])
    training: Training = Field(description="Settings of the training.")
    evaluation: Evaluation = Field(Evaluation(), description="Scores, baselines and analyses of the trained model.")
    ensemble: Ensemble | None = Field(
        None,
        description="The common prediction of several trainings (folds, seeds). Left out: their mean.",
        examples=[{"weights": "greedy", "single_branches": True}],
    )
    tune: Tune | None = Field(
        None,
        description="The search of `mmtrain tune`; other commands ignore it.",
        examples=[{"trials": 40, "space": {"training.learning_rate": {"low": 0.0001, "high": 0.01, "scale": "log"}}}],
    )

    @property
    def member_branches(self) -> tuple[str, ...]:
        """The branches that are trained alone, too, as members of a group."""
        return tuple(self.branches) if self.ensemble is not None and self.ensemble.single_branches else ()

    @property
    def inputs(self) -> dict[str, InputColumn]:
        """The columns that feed the network."""
        return inputs_among(self.columns)

    @property
    def targets(self) -> dict[str, Target]:
        """The columns to be predicted."""
        return targets_among(self.columns)

    def only(self, role: type[OfRole]) -> OfRole | None:
        """Return the column of a role that at most one column has, or None."""
        return column_of_role(self.columns, role)

    def alone(self, branch: str) -> Experiment:
        """Return the experiment of one branch alone: without other branches, their columns, callbacks, trackers and TensorBoard."""
        kept_branch = self.branches[branch]
        columns = {key: column for key, column in self.columns.items() if key in kept_branch.columns or not column.part_of_model}
        groups = group_names({branch: kept_branch.groups}, self.targets)
        stages = tuple(stage.restricted_to(groups) for stage in self.training.stages)
        unwatched = self.decided(tensorboard=False, callbacks=(), trackers=(), stages=stages)
        changed = {"columns": columns, "branches": {branch: kept_branch}, "evaluation": self.evaluation.of_baselines, "ensemble": None}
        return unwatched.model_copy(update=changed)

    def decided(self, **values: Any) -> Experiment:
        """Return the experiment with these training settings."""
        return self.model_copy(update={"training": self.training.with_settings(**values)})

    def untried(self) -> Experiment:
        """Return the experiment with defaults in place of `auto` settings, so that no trial is needed."""
        return self.model_copy(update={"training": self.training.without_trial()})
