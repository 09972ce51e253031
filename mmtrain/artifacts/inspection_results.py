"""Results of `inspect-data`, `check` and `init`: contents of a table, guessed or declared roles, and findings of the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mmtrain.artifacts.inspection_figures import ClassThumbnails, ColumnHistogram
from mmtrain.columns.base import Guess, OptionValue
from mmtrain.columns.profile import Profile
from mmtrain.errors import Problem
from mmtrain.result_model import FullResult, ResultModel

Level = Literal["error", "warning", "note"]
"""error: scores would be wrong; warning: they may be; note: good to know."""


class Finding(FullResult):
    """A fault of the data: what was found, where, why it matters and what to do."""

    level: Level
    kind: str
    """`duplicate_rows`: what to look for in the JSON."""
    where: str
    """Headers of the columns it is about, or the name of the table."""
    what: str
    why: str
    fix: str
    rows: tuple[int, ...] = ()
    """Positions in the table's file, counted from 0, the first one under the header; the first of them."""
    files: tuple[str, ...] = ()
    """Cells of an image column; the first of them."""
    count: int = 0
    """Number of rows or files in all."""
    places: tuple[int, ...] = ()
    """Those rows as problems name them: lines of a CSV file, counted from 1 with the header; of Parquet the same as `rows`."""
    unit: str = ""
    """The unit of `places`: `line` or `row`."""
    strength: float = 0.0
    """Severity among findings of its kind, where something else than `count` decides."""

    def __init__(
        self, level: Level, kind: str, where: str, what: str, why: str, fix: str, rows: tuple[int, ...] = (), **details: Any
    ) -> None:
        """Take the sentences in their order; `details` are the other fields."""
        super().__init__(level=level, kind=kind, where=where, what=what, why=why, fix=fix, rows=rows, **details)


class MissingPlan(FullResult):
    """The empty cells of one column."""

    header: str
    chosen: str
    """The policy of the experiment; empty where none was chosen."""
    cells: int
    """Number of empty cells."""
    share: float
    """Share of all rows, 0 to 1."""
    by_class: dict[str, int] = Field(default_factory=dict)
    """Rows of each class or label of the first target that has any, with an empty cell."""
    effects: dict[str, str] = Field(default_factory=dict)
    """The effect of each policy that the column could have."""


class ImageProfile(FullResult):
    """Different paths of a column. Sizes are (height, width) in pixels, upright; the others count files."""

    folder: Path
    paths: int
    """Different paths that were looked up."""
    found: int
    """Paths of files that can be opened as images, by their headers."""
    smallest: tuple[int, int] | None = None
    median: tuple[int, int] | None = None
    """Size in the middle, by the number of pixels."""
    largest: tuple[int, int] | None = None
    sizes: int = 0
    """Different sizes."""
    formats: dict[str, int] = Field(default_factory=dict)
    modes: dict[str, int] = Field(default_factory=dict)
    """Pillow's: L is grey, RGB colour, RGBA colour with transparency, P a palette."""
    bits: dict[int, int] = Field(default_factory=dict)
    """Bits of one sample."""
    bad: tuple[tuple[str, str], ...] = ()
    """The first twenty paths that could not be opened, and why."""
    unread: tuple[str, str] | None = None
    """The first file that exists and cannot be opened as an image, and why."""


class ProfiledColumn(FullResult):
    """One header, the contents of the column and its probable role."""

    header: str
    guess: Guess
    profile: Profile | None = None
    """None where the column cannot be read: no header, the same one twice, or cells that are not text."""
    images: ImageProfile | None = None


class EncoderProposal(FullResult):
    """A pretrained encoder for the images or the texts of a table, and the time that it takes on this machine."""

    content: Literal["images", "texts"]
    columns: tuple[str, ...]
    """Headers of the columns that it reads."""
    model: str
    inputs: int
    """Images, or distinct texts, that it has to read, once."""
    per_second: float
    """Images or texts per second on this machine, measured."""
    minutes: float
    used: bool
    """False where it would take long, so that it is only named."""


class TableProfile(FullResult):
    """A table without an experiment, and the guesses."""

    path: Path
    rows: int
    columns: tuple[ProfiledColumn, ...]
    target: str
    """Header of the answer; empty when no column can be one."""
    images: Path | None
    """The folder of the images; None without images that exist."""
    classes: dict[str, int]
    """Rows of each class of a binary or multiclass target."""
    scarce: bool
    """True where some class is in fewer than three rows, or in fewer than three groups."""
    format: dict[str, OptionValue] = Field(default_factory=dict)
    """`data.format` that reads the table as it was read, where its file is not written in the usual way."""
    notice: str = ""
    """A sentence on the way the table was read; empty for the usual way."""
    missing_words: tuple[str, ...] = ()
    """Cells that mean missing in every column, in the order of the columns that need it."""
    encoders: tuple[EncoderProposal, ...] = Field((), exclude=True)
    """The encoders that `init` proposes, at most one for images and one for texts that are at hand."""

    @property
    def used(self) -> tuple[ProfiledColumn, ...]:
        """The columns that the guesses use."""
        return tuple(column for column in self.columns if column.guess.used)


class GuessedRole(FullResult):
    """A header and its guessed role."""

    header: str
    role: str
    """Empty for a column that cannot be used at all."""
    used: bool
    """False where the experiment file leaves the column out."""
    reason: str


class StarterResult(ResultModel):
    """`init --json`: the experiment file that was written, and the guesses in it."""

    file: Path
    """The file that was written."""
    table: Path | None = None
    """The table that was written for a folder of class folders."""
    format: dict[str, OptionValue]
    """`data.format`, where the table is not written in the usual way."""
    target: str
    """Header of the answer."""
    columns: list[GuessedRole]
    survey: TableProfile = Field(exclude=True)
    """The profile behind the guesses."""

    @classmethod
    def of(cls, file: Path, profile: TableProfile, table: Path | None = None) -> StarterResult:
        """Return the result of writing `file` by the guesses of a profile."""
        guesses = [
            GuessedRole(header=one.header, role=one.guess.role, used=one.guess.used, reason=one.guess.reason) for one in profile.columns
        ]
        return cls(file=file, table=table, format=profile.format, target=profile.target, columns=guesses, survey=profile)


class InspectedTable(TableProfile):
    """Contents of a table without an experiment, and the findings that hold if the guessed roles are right."""

    findings: tuple[Finding, ...]
    histograms: tuple[ColumnHistogram, ...] = Field((), exclude=True)
    """For the page only."""

    @property
    def spoiled(self) -> bool:
        """True where a finding is an error, so that scores would mean nothing."""
        return any(finding.level == "error" for finding in self.findings)


class ImageCounts(FullResult):
    """The rows of an image column, without those that other columns drop."""

    rows: int
    empty: int
    """Rows without a path."""
    unreadable: int
    """Rows with a path, but no image that can be decoded."""
    bad: tuple[Problem, ...]
    """The first of these."""


class PartSummary(FullResult):
    """Summary of one part of a split."""

    part: str
    rows: int
    share: float
    """Proportion of all rows, 0 to 1."""
    groups: int | None
    """None where the table has no group column."""
    classes: dict[str, int]
    """Rows of each class of the first target that has classes, or of each label of the first that has labels; those of the whole
    table, in the order of their names or of the file. Empty where there are none."""
    medians: dict[str, float | None]
    """Median of each target that is a number, by its key; None where the part has no rows."""


class CheckResult(ResultModel):
    """`check --json`: a table that can be trained on, and the parts it would have."""

    ok: bool = True
    """Always true: mistakes are an error and its problems."""
    rows: int
    dropped: int
    """Rows that leave the table because of missing cells."""
    parts: dict[str, int]
    """Rows by part of the split."""
    notes: tuple[str, ...] = ()
    """Remarks and warnings about data that can be used, one line each."""
    summary: tuple[PartSummary, ...] = Field(exclude=True)


class InspectedColumn(FullResult):
    """One column of the experiment; `image_counts` and `images` for images, `classes` for targets other than numbers."""

    key: str
    header: str
    role: str
    task: str
    """Empty for roles other than target."""
    profile: Profile | None
    """None where the table has no such column."""
    image_counts: ImageCounts | None = None
    images: ImageProfile | None = None
    """Profile of the first `MOST_PATHS` different files, by their headers."""
    classes: dict[str, int] | None = None
    """Rows of each class or label, most rows first."""


class Inspection(FullResult):
    """Contents and findings of the table of an experiment."""

    table: Path
    rows: int
    """Rows of the file."""
    dropped: int
    """Rows that leave the table because of missing cells."""
    headers: tuple[str, ...]
    unused: tuple[str, ...]
    """Headers that no column reads."""
    columns: tuple[InspectedColumn, ...]
    method: str
    """Method of the split."""
    parts: tuple[PartSummary, ...]
    """Empty when the rows cannot be divided; a problem says why."""
    split_notes: tuple[str, ...]
    """Notes of the split method, such as where the cuts of a split by time are."""
    problems: tuple[Problem, ...]
    """Everything that `check` would refuse."""
    findings: tuple[Finding, ...]
    """Faults that spoil a study, the worst first."""
    missing: tuple[MissingPlan, ...]
    """Effects of each policy on the empty cells of a column."""
    histograms: tuple[ColumnHistogram, ...] = Field((), exclude=True)
    """For the page only, as are the thumbnails."""
    thumbnails: tuple[ClassThumbnails, ...] = Field((), exclude=True)

    @property
    def spoiled(self) -> bool:
        """True where there is a problem or a finding is an error, so that scores would mean nothing."""
        return bool(self.problems) or any(finding.level == "error" for finding in self.findings)
