"""The contract of a split method and the registry of methods.

A method is a function `(rows, *, options) -> SplitPlan`; its keyword-only parameters are its options in the file. Rows of a group
may be on one side only: whatever a method returns is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, overload

from pydantic import Field, NonNegativeInt, PositiveInt

from mmtrain.errors import DataError, Problem
from mmtrain.registry import OneOf, Registry, Section, options_of, section_for
from mmtrain.splits.plan import Rows, SplitPlan

Build = TypeVar("Build", bound=Callable[..., SplitPlan])
Need = Literal["labels", "given", "times"]
"""A field of `Rows` that not every experiment has: classes, the column with the role `split`, the column with the role `time`."""

ValidationShare = Annotated[float, Field(gt=0, lt=1, description="Share of the rows that choose the best epoch.")]
TestShare = Annotated[float, Field(ge=0, lt=1, description="Share of the rows kept for `evaluate`; 0: no test part.")]
Folds = Annotated[
    int | None,
    Field(
        ge=2,
        le=100,
        description="Number of folds for cross-validation: as many trainings, each scored on the rows that it left out. Left out: one "
        "training. With folds, `validation` is a share of the rows that a fold does not score, and `test`, 0 if left out, the share of "
        "outer test rows that no fold sees.",
        examples=[5],
    ),
]
Repeats = Annotated[PositiveInt, Field(le=100, description="Number of times that the rows are divided into folds.")]
Seed = Annotated[NonNegativeInt, Field(description="Another seed deals the rows differently.")]


class SplitSection(Section):
    """How rows are divided into train, validation and test. A `group` column groups under every method."""

    method: str = Field(
        description="How the rows are divided. Left out: stratified for class targets, else random.",
    )

    def plan(self, rows: Rows) -> SplitPlan:
        """Divide the rows. Raises DataError where they cannot be divided so."""
        return split_methods[self.method].plan(rows, **options_of(self, SplitSection))


@dataclass(frozen=True)
class SplitMethod:
    """A registered split function."""

    build: Callable[..., SplitPlan]
    section: type[SplitSection]
    needs: Need | None = None

    def plan(self, rows: Rows, **options: Any) -> SplitPlan:
        """Return the plan of the function with these options, checked.

        Raises:
            DataError: the rows cannot be divided so, or a user's function divides them wrongly.
            RuntimeError: a function of mmtrain divides them wrongly.

        """
        plan = self.build(rows, **options)
        try:
            if not isinstance(plan, SplitPlan):
                raise RuntimeError(f"The split is a {type(plan).__name__}, not a SplitPlan.")
            plan.check(rows)
        except RuntimeError as error:
            if self.build.__module__.partition(".")[0] == __name__.partition(".")[0]:
                raise
            fix = "A plan uses every row once in each partition, and a group on one side only; see `mmtrain.splits.plan`."
            raise DataError(
                Problem(f"the split method `{self.build.__name__}`", f"{str(error)[:1].lower()}{str(error)[1:]}", fix)
            ) from error
        return plan

    @property
    def shares_all_rows(self) -> bool:
        """Return whether `validation` and `test` are shares of all rows, which together have to leave some."""
        return self.needs != "given" and {"validation", "test"} <= set(self.section.model_fields)


split_methods: Registry[SplitMethod] = Registry("split method")


@overload
def split_method(function: Build, /) -> Build: ...
@overload
def split_method(*, needs: Need) -> Callable[[Build], Build]: ...
def split_method(function: Build | None = None, *, needs: Need | None = None) -> Build | Callable[[Build], Build]:
    """Register a function as `split: <its name>`; `needs` is what it cannot do without.

    Raises TypeError for an option without type or default.
    """

    def register(build: Build) -> Build:
        split_methods.add(build.__name__, SplitMethod(build, section_for(build.__name__, build, SplitSection), needs))
        return build

    return register if function is None else register(function)


AnySplit = Annotated[SplitSection, OneOf("method", lambda: {name: entry.section for name, entry in split_methods.items()})]
