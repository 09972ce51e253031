"""The section `training`: epochs, optimizer, schedule, stages over parameter groups, early stopping, callbacks, trackers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from mmtrain.config.sections.mixing import Mix
from mmtrain.config.yaml_syntax import typed_value
from mmtrain.optim import AnyOptimizer, AnySchedule
from mmtrain.registry import Section
from mmtrain.targets.base import ClassWeights
from mmtrain.trackers import AnyTracker

Rate = Annotated[float, Field(gt=0)]
CountOrAuto = PositiveInt | Literal["auto"]
RateOrAuto = Rate | Literal["auto"]
UNTRIED: dict[str, Any] = {"batch_size": 32, "learning_rate": 0.001, "precision": "float32", "jit": "off", "steps_per_call": 1}
"""Values of `auto` settings without a trial on the device."""
CALLBACK_PLACE = (
    "Module and class, as `keras.callbacks.CSVLogger`, or as `my_callbacks.Mine` for a file given with `--code my_callbacks.py`. "
    "Other installed modules need `--allow-callbacks`."
)


def group_names(branches: Mapping[str, Iterable[str]], targets: Iterable[str]) -> tuple[str, ...]:
    """Return the groups of a network, given the groups inside each branch.

    >>> group_names({"scan": ("backbone", "head"), "table": ()}, ["diagnosis"])
    ('branches.scan', 'branches.scan.backbone', 'branches.scan.head', 'branches.table', 'fusion', 'targets.diagnosis')
    """
    of_branches = [name for key, inner in branches.items() for name in (f"branches.{key}", *(f"branches.{key}.{group}" for group in inner))]
    return (*of_branches, "fusion", *(f"targets.{key}" for key in targets))


def groups_below(names: Iterable[str], groups: Collection[str]) -> dict[str, str]:
    """Return the groups that `names` mean, each with the name that means it; of several, the most specific one.

    A name stands for itself and for every group below it, as `branches` for `branches.scan`; `scan` is short for `branches.scan`.

    >>> groups_below(["branches", "scan.head"], ["branches.scan", "branches.scan.head", "fusion"])
    {'branches.scan': 'branches', 'branches.scan.head': 'scan.head'}
    """
    full = {name: name if _below(name, groups) else f"branches.{name}" for name in names}
    meanings: dict[str, str] = {}
    for name in sorted(full, key=lambda name: full[name].count(".")):
        meanings |= dict.fromkeys(_below(full[name], groups), name)
    return meanings


def _below(name: str, groups: Collection[str]) -> list[str]:
    return [group for group in groups if group == name or group.startswith(f"{name}.")]


class Callback(Section):
    """A Keras callback, your own or one of Keras. All keys but `name` are parameters of its constructor."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$", description=CALLBACK_PLACE)]

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, values: Any) -> Any:
        return (
            {key: value if key == "name" else typed_value(value) for key, value in values.items()} if isinstance(values, dict) else values
        )

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return dict(self.model_extra or {})


class EarlyStopping(Section):
    """The score by which the best epoch is chosen, and the patience without improvement."""

    monitor: str = Field(
        "validation_loss", description="<part>_<score>, with several targets <part>_<target>_<score>; part: train or validation."
    )
    direction: Literal["minimize", "maximize"] = Field(description="Direction of better scores. Left out: that of the score.")
    patience: PositiveInt | None = Field(
        None, description="Number of epochs without improvement after which the training stops. Left out: all epochs are trained."
    )
    min_delta: float = Field(0.0, ge=0, description="Smallest change of the score that counts as an improvement.")
    standard_errors: float = Field(
        0.0,
        ge=0,
        le=10,
        description="With `validation_loss`: the latest epoch is kept whose loss is above the lowest one by at most this many standard "
        "errors of the difference over validation rows, or groups of them (the one-standard-error rule of Breiman et al. 1984). With more "
        "than 2,000 validation rows it is the lowest one: their noise is small.",
    )

    @model_validator(mode="after")
    def _of_losses(self) -> EarlyStopping:
        if self.standard_errors and self.monitor != "validation_loss":
            raise ValueError(f"`standard_errors` is for `monitor: validation_loss`, not for {self.monitor}. Leave it out.")
        return self

    @property
    def reason(self) -> str:
        """The reason recorded for a training that early stopping ended."""
        return f"{self.monitor} has not improved for {self.patience} epochs"


class Stage(Section):
    """A number of epochs in which the same parameter groups are trained at the same rates.

    Groups: `branches`, `branches.<name>` or `<name>`, `fusion`, `targets`, `targets.<name>`; inside a branch those that its architecture
    names, as `<name>.backbone` and `<name>.head`.
    """

    epochs: PositiveInt = Field(description="Number of epochs of the stage.")
    unfreeze: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Parameter groups that are trained from this stage on, in addition to those of earlier stages. Left out: all.",
    )
    learning_rate: Rate | dict[str, Rate] | None = Field(
        None,
        description="In place of `training.learning_rate`: one rate, or {group: rate}; other groups keep that of the training.",
    )
    warmup_epochs: float | None = Field(None, ge=0, description="In place of `warmup_epochs` of the schedule, for this stage.")
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor on the learning rate from each tuned block of a pretrained encoder to the one before it: the first blocks, "
        "which are the most general, change least (Howard and Ruder 2018, arXiv:1801.06146).",
    )
    begin_with: Literal["last", "best"] = Field(
        "last", description="Weights that the stage begins with: those after the stage before, or those of the best epoch so far."
    )

    def restricted_to(self, groups: Collection[str]) -> Stage:
        """Return the stage for a network with only some of the groups; if no group is left to train, fusion and targets are trained."""
        names = None if self.unfreeze is None else tuple(name for name in self.unfreeze if groups_below([name], groups))
        rates = self.learning_rate
        if isinstance(rates, dict):
            rates = {name: rate for name, rate in rates.items() if groups_below([name], groups)}
        return self.model_copy(update={"unfreeze": ("fusion", "targets") if names == () else names, "learning_rate": rates})


TUNED_SHARE = 5
"""Without `stages`, one of this many epochs tunes pretrained encoders; before, they are frozen, and their features are cached."""
TUNING_RATES = {"lora": 0.0005, "last_blocks": 0.0001, "all": 0.00005}
"""Learning rate of an encoder by the branch's `tune`, for Adam; benchmarks/LOG.md has the trials."""


def tuned_epochs(epochs: int) -> int:
    """Return the number of epochs that tune encoders, of those of a training without stages."""
    return max(1, epochs // TUNED_SHARE)


def tuning_stages(epochs: int, groups: Collection[str], tuned: Mapping[str, str], tuning: int = 0) -> list[dict[str, Any]]:
    """Return the stages of a training that tunes pretrained encoders: first everything else is trained, then they are as well.

    Args:
        epochs: Epochs of the training; a single one tunes.
        groups: All groups of the network, see `group_names`.
        tuned: How each of the groups with an encoder is tuned, see `TUNING_RATES`.
        tuning: Epochs that tune; by default a share of all.
    """
    tuning = tuning or tuned_epochs(epochs)
    rates = {group: TUNING_RATES[tune] for group, tune in tuned.items()}
    last = {"epochs": tuning, "learning_rate": rates, "warmup_epochs": min(1.0, tuning / 4), "layer_decay": 0.8, "begin_with": "best"}
    # A group with groups inside would unfreeze the encoder as well.
    leaves = [group for group in groups if not any(other.startswith(f"{group}.") for other in groups)]
    first = {"epochs": epochs - tuning, "unfreeze": [group for group in leaves if group not in tuned]}
    return [first, last] if epochs > tuning else [last]


class Training(Section):
    """Settings of the training: optimizer, schedule, stages, early stopping, device settings."""

    epochs: PositiveInt = Field(30, description="Maximum number of passes over the training rows.")
    minutes: float | None = Field(
        None,
        gt=0,
        description="Maximum wall time of `mmtrain fit` as a whole, shared by folds and seeds. The speed is measured before the training, "
        "and `epochs` is lowered to what fits, so that the schedule runs to its end. Left out: all epochs.",
        examples=[10],
    )
    batch_size: CountOrAuto = Field(32, description="Rows per step. auto: the largest power of two that fits in memory, at most 1024.")
    optimizer: AnyOptimizer = Field(description="The rule that updates weights from gradients.", examples=[{"method": "adam"}])
    learning_rate: RateOrAuto = Field(
        0.001,
        description="Size of a step, before the schedule's factor. auto: the rate at which the loss falls fastest in a test of at most 200 "
        "steps with rising rates, on training rows and a network that is thrown away.",
    )
    schedule: AnySchedule = Field(
        description="Course of the learning rate: over all epochs, or over each of the `stages` anew.", examples=[{"method": "cosine"}]
    )
    stages: tuple[Stage, ...] = Field(
        (),
        description="Parts of the training with their own trained groups and rates. Left out: one stage that trains everything.",
        examples=[[{"epochs": 5, "unfreeze": ["fusion", "targets"]}, {"epochs": 20, "learning_rate": 0.0001}]],
    )
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).")
    clip_norm: float | None = Field(None, gt=0, description="Maximum norm of all gradients together; larger ones are scaled down to it.")
    clip_value: float | None = Field(None, gt=0, description="Each number of a gradient is clipped to plus and minus this.")
    accumulate: PositiveInt = Field(1, description="Batches whose gradients are averaged before the weights change.")
    weight_average: float | None = Field(
        None, gt=0, lt=1, description="Momentum of a moving average of the weights, 0.99 for instance; the average is scored and saved."
    )
    soup: int | None = Field(
        None,
        ge=2,
        le=20,
        description="Number of best epochs whose weights may be averaged after the training (greedy soup, Wortsman et al. 2022, "
        "arXiv:2203.05482): each is added if the monitored score of the mean does not fall. Left out: the weights are those of one epoch.",
        examples=[3],
    )
    precision: Literal["float32", "bfloat16", "float16", "auto"] = Field(
        "float32",
        description="Precision of the network's inner computations; weights, heads and losses are always float32. "
        "auto: a short trial on this device decides; float32 unless another is 1.3 times as fast.",
    )
    jit: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compile the network's step with XLA; augmentation is always compiled on a CPU. auto: the trial decides.",
    )
    devices: Literal["all"] | PositiveInt = Field(
        "all",
        description="Devices of the machine that share a training, a process each: all its GPUs, or at most this many. Without a GPU it is "
        "the processor. `mmtrain fit --workers` chooses another number.",
    )
    steps_per_call: CountOrAuto = Field("auto", description="Steps that one compiled call takes. auto: the trial decides.")
    class_weights: ClassWeights = Field(
        "none",
        description="For class targets that have no `class_weights` of their own. balanced shifts probabilities towards rare classes, at "
        "the price of accuracy and log loss; a target's `decision: {prior: balanced}` balances predictions alone.",
    )
    mix: Mix | None = Field(
        None,
        description="Train on mixtures of two rows of a batch, with the answers of both; `mixup` or `cutmix` alone for their defaults.",
        examples=[{"method": "mixup", "alpha": 0.2}],
    )
    balance_targets: Literal["fixed", "uncertainty"] = Field(
        "fixed",
        description="Weights of several targets in the minimized loss. fixed: their `loss_weight`; uncertainty: this times a factor that "
        "is learned with the network, small for targets with large losses (Kendall et al. 2018, arXiv:1705.07115). Reported losses and "
        "scores have the fixed weights; epochs.csv has the learned ones.",
    )
    early_stopping: EarlyStopping = Field(description="Choice of the best epoch, and early stopping.")
    checkpoint_minutes: float = Field(5.0, gt=0, description="A checkpoint is written after every epoch, and this often within one.")
    tensorboard: bool = Field(False, description="Also write every epoch's scores for TensorBoard, to `tensorboard/` in the run.")
    callbacks: tuple[Callback, ...] = Field(
        (),
        description="Keras callbacks, called for the training, every epoch and every call of the compiled step. Their logs have the names "
        "of Keras (`loss`, `val_loss`, `val_auc`, `learning_rate`) and their epochs count from 0. They can stop the training, but not "
        "change the learning rate; what they keep in memory is lost when a run is resumed.",
        examples=[[{"name": "keras.callbacks.CSVLogger", "filename": "log.csv"}]],
    )
    trackers: tuple[AnyTracker, ...] = Field(
        (),
        description="Observers of the training, which cannot stop it: databases of experiments, logs within epochs, or your own from a "
        "file given with `--code`.",
        examples=[["steps", "mlflow"], [{"name": "steps", "every": 100}]],
    )
    seed: NonNegativeInt = Field(0, description="Random seed of initial weights, order of rows, dropout and augmentation.")
    seeds: PositiveInt = Field(
        1,
        le=1000,
        description="Number of trainings on the same rows, with the seeds `seed`, `seed` + 1, and so on; with folds, of each fold.",
    )
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

    @property
    def open_settings(self) -> list[str]:
        """Settings that are `auto`, so that a trial on the device chooses them."""
        return [name for name in UNTRIED if getattr(self, name) == "auto"]

    def with_settings(self, **values: Any) -> Training:
        """Return the section with these settings; values are not validated."""
        return self.model_copy(update=values)

    def without_trial(self) -> Training:
        """Return the section with the default of every open setting."""
        return self.with_settings(**{name: UNTRIED[name] for name in self.open_settings})
