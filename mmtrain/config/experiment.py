"""The experiment: every section of the file, frozen, as the rest of the house sees it.

Columns, branches and the fusion take their options from what is registered under their names (see `mmtrain.registry`).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from mmtrain.branches import AnyBranch
from mmtrain.columns import AnyColumn, Column, InputColumn, inputs_among
from mmtrain.config.byte_size import Size
from mmtrain.config.callback import Callback
from mmtrain.config.evaluation import Evaluation
from mmtrain.config.image_folder import ImageFolder
from mmtrain.config.parameter_groups import group_names, groups_below
from mmtrain.config.table_format import TableFormat
from mmtrain.fusion import AnyFusion
from mmtrain.optim import AnyOptimizer, AnySchedule
from mmtrain.registry import Section
from mmtrain.splits import AnySplit
from mmtrain.targets import Target, targets_among
from mmtrain.targets.base import ClassWeights

OfRole = TypeVar("OfRole", bound=Column)
Rate = Annotated[float, Field(gt=0)]
CountOrAuto = PositiveInt | Literal["auto"]
UNTRIED: dict[str, Any] = {"batch_size": 32, "precision": "float32", "jit": "off", "steps_per_call": 1}
"""What `auto` means for training settings where nothing is tried on the device."""
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
        "Where it does not suffice, every batch is decoded anew, and encoded columns stay in memory.",
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


class EarlyStopping(Section):
    """Which score says that an epoch is the best, and how long to wait for a better one."""

    monitor: str = Field(
        "validation_loss", description="<part>_<score>, with several targets <part>_<target>_<score>; part: train or validation."
    )
    direction: Literal["minimize", "maximize"] = Field(description="Left out: known from the score.")
    patience: PositiveInt | None = Field(
        None, description="Epochs without improvement before training stops; left out: all epochs are run."
    )
    min_delta: float = Field(0.0, ge=0, description="Less than this is no improvement.")


class Stage(Section):
    """A number of epochs in which the same parameter groups are trained at the same rates.

    Groups: `branches`, `branches.<name>` or `<name>`, `fusion`, `targets`, `targets.<name>`; inside a branch those that its architecture
    names, as `<name>.backbone` and `<name>.head`.
    """

    epochs: PositiveInt = Field(description="How many epochs the stage takes.")
    unfreeze: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Parameter groups that are trained from this stage on, besides those of the stages before. Left out: all.",
    )
    learning_rate: Rate | dict[str, Rate] | None = Field(
        None,
        description="Instead of `training.learning_rate`: one rate, or {group: rate}; groups that are not named have that of the training.",
    )

    def restricted_to(self, groups: Collection[str]) -> Stage:
        """Return the stage for a network that has only some of the groups; one that would train nothing trains the fusion and targets."""
        kept = None if self.unfreeze is None else tuple(name for name in self.unfreeze if groups_below([name], groups))
        rates = self.learning_rate
        if isinstance(rates, dict):
            rates = {name: rate for name, rate in rates.items() if groups_below([name], groups)}
        return self.model_copy(update={"unfreeze": ("fusion", "targets") if kept == () else kept, "learning_rate": rates})


class Training(Section):
    """How the network learns."""

    epochs: PositiveInt = Field(30, description="How often every training row is seen, at most.")
    batch_size: CountOrAuto = Field(32, description="Rows per step. auto: the largest power of two that fits in memory, at most 1024.")
    optimizer: AnyOptimizer = Field(description="How weights follow from gradients.", examples=[{"method": "adam"}])
    learning_rate: float = Field(0.001, gt=0, description="Size of a step, before the schedule's factor.")
    schedule: AnySchedule = Field(
        description="How the learning rate changes: over all epochs, or over each of the `stages` anew.", examples=[{"method": "cosine"}]
    )
    stages: tuple[Stage, ...] = Field(
        (),
        description="Parts of the training that differ in what is trained and how fast. Left out: one stage that trains everything.",
        examples=[[{"epochs": 5, "unfreeze": ["fusion", "targets"]}, {"epochs": 20, "learning_rate": 0.0001}]],
    )
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).")
    clip_norm: float | None = Field(None, gt=0, description="Gradients longer than this, all together, are shortened to it.")
    clip_value: float | None = Field(None, gt=0, description="Each number of a gradient is kept within plus and minus this.")
    accumulate: PositiveInt = Field(1, description="Batches whose gradients are averaged before the weights change.")
    weight_average: float | None = Field(
        None, gt=0, lt=1, description="Momentum of a moving average of the weights, say 0.99; it is what is scored and saved."
    )
    precision: Literal["float32", "bfloat16", "float16", "auto"] = Field(
        "float32",
        description="Of the network's inner computations; weights, heads and losses are always float32. "
        "auto: a short trial on this device decides; float32 unless another is 1.3 times faster.",
    )
    jit: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether XLA compiles the network's step; changes to images it always compiles on a CPU. auto: the trial decides.",
    )
    steps_per_call: CountOrAuto = Field("auto", description="Steps that one compiled call takes. auto: the trial decides.")
    class_weights: ClassWeights = Field("none", description="For class targets that have no `class_weights` of their own.")
    early_stopping: EarlyStopping = Field(description="Which epoch is the best one, and when to stop.")
    checkpoint_minutes: float = Field(5.0, gt=0, description="A checkpoint is written after every epoch, and this often within one.")
    tensorboard: bool = Field(
        False, description="Whether every epoch's scores are also written for TensorBoard, to `tensorboard/` in the run."
    )
    callbacks: tuple[Callback, ...] = Field(
        (),
        description="Keras callbacks: told of the training, every epoch and every call of the compiled step. Their logs have Keras' names "
        "(`loss`, `val_loss`, `val_auc`, `learning_rate`) and their epochs count from 0. They can stop the training, but not change the "
        "learning rate; what they keep in memory is lost when a run is gone on with.",
        examples=[[{"name": "keras.callbacks.CSVLogger", "filename": "log.csv"}]],
    )
    seed: NonNegativeInt = Field(0, description="Of initial weights, order, dropout and augmentation.")
    deterministic: bool = Field(False, description="Bit-identical weights and predictions on the same machine; slower.")

    @model_validator(mode="after")
    def _exclusive(self) -> Training:
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError("`clip_norm` and `clip_value` exclude each other. Leave one of them out.")
        if self.stages and self.epochs != sum(stage.epochs for stage in self.stages):
            raise ValueError(
                f"`epochs` is {self.epochs}, but the stages have {sum(stage.epochs for stage in self.stages)}. Leave `epochs` out."
            )
        if self.jit == "on" and self.deterministic:
            raise ValueError(
                "`jit` and `deterministic` exclude each other: XLA has no reproducible form of some operations. Leave one of them out."
            )
        return self


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
        return next((column for column in self.columns.values() if isinstance(column, role)), None)

    def alone(self, branch: str) -> Experiment:
        """The experiment of a baseline: without the other branches and what they read, and without whoever watches the training."""
        own = self.branches[branch]
        columns = {key: column for key, column in self.columns.items() if key in own.columns or not column.part_of_model}
        groups = group_names({branch: own.groups}, self.targets)
        stages = tuple(stage.restricted_to(groups) for stage in self.training.stages)
        unwatched = self.decided(tensorboard=False, callbacks=(), stages=stages)
        changed = {"columns": columns, "branches": {branch: own}, "evaluation": self.evaluation.of_baselines}
        return unwatched.model_copy(update=changed)

    @property
    def undecided(self) -> list[str]:
        """The training settings that are left to a trial on the device."""
        return [name for name in UNTRIED if getattr(self.training, name) == "auto"]

    def decided(self, **values: Any) -> Experiment:
        """The experiment with these training settings."""
        return self.model_copy(update={"training": self.training.model_copy(update=values)})

    def untried(self) -> Experiment:
        """The experiment with nothing left to a trial."""
        return self.decided(**{name: UNTRIED[name] for name in self.undecided})
