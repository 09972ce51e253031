"""Results of `export`: signature.json, which describes an export to programs, with the check that it has passed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mmtrain.artifacts.command_results import CommandResult, FilePath, RunFolder
from mmtrain.metrics.score import ScoreName, higher_is_better
from mmtrain.result_model import Count, ResultModel

MAX_SCORE_DROP = 0.01
"""Tolerated drop of a score from 0 to 1 by quantization, and tolerated rise of an error as a fraction of it."""


class ScoreChange(ResultModel):
    """The main score of a target without and with quantization, on the same rows."""

    target: str
    score: ScoreName
    before: float
    """Without quantization."""
    after: float
    """With quantization."""

    @property
    def too_much(self) -> bool:
        """True if the score got worse by more than `MAX_SCORE_DROP`."""
        if higher_is_better(self.score):
            return self.before - self.after > MAX_SCORE_DROP
        # Errors have the unit of the target, so only their relative rise can be judged.
        return self.after - self.before > MAX_SCORE_DROP * abs(self.before)


class ExportCheck(ResultModel):
    """Check of an export, run in a separate process, against the predictions of `evaluate`."""

    part: str
    """The part that the rows are from."""
    rows: Count
    largest_difference: float
    """Largest difference of probabilities; of numbers in units of their standard deviation, or of their magnitude if that is larger."""
    tolerance: float | None
    """The largest difference that is tolerated; null where the scores alone decide."""
    scores: list[ScoreChange]
    """Of a quantized export."""


class ExportInput(ResultModel):
    """An input of an export."""

    name: str
    """In the export."""
    tensor: str
    """In model.keras."""
    column: str
    dtype: str
    shape: list[str | int]
    """Begins with `rows`."""
    meaning: str
    computed: str
    """How the value is computed from the cell of the table."""
    cell: str | dict[str, str] | None
    """The cell of the example, of several headers by header; null for presence and for an image."""
    example: Any
    """The value of the example; long ones are cut."""


class ExportOutput(ResultModel):
    """An output of an export."""

    name: str
    target: str | None
    """Null for the status of a row."""
    task: str | None
    dtype: str
    shape: list[str | int]
    """Begins with `rows`."""
    meaning: str
    labels: list[str]
    """Classes or labels in the order of the values."""
    threshold: float | None = None
    """The probability from which on a class or label is predicted."""
    factors: list[float] | None = None
    """Where the predicted class is not the most probable one: factors of the probabilities, whose largest product decides."""
    branch: str = ""
    """The branch that answers alone in rows that have it, as the fusion was worse on validation rows."""
    example: Any
    """What the export gives for the example."""


class ExportSource(ResultModel):
    """The run that was exported."""

    name: str
    model_sha256: str
    """SHA-256 of its model.keras; of a group, that of the hashes of its trainings' files, one a line."""


class Signature(ResultModel):
    """signature.json: inputs and outputs of an export."""

    format: str
    """`saved_model`, `keras`, `onnx` or `litert`."""
    quantize: str
    """`float16`, `int8`, or empty."""
    takes: Literal["raw", "encoded"]
    """`raw`: the inputs are cells and the bytes of image files; `encoded`: they are encoded columns."""
    file: str
    """The file or folder of the model."""
    usage: str
    """How to run it on the example."""
    opset: Count | None = None
    """Of ONNX."""
    bytes: Count
    """Size of the model."""
    float32_bytes: Count | None = None
    """Size of the model without quantization."""
    status: list[str] | None = None
    """Values of the output `status`."""
    run: ExportSource
    versions: dict[str, str]
    """Of Python, mmtrain and packages."""
    written: str
    """When, in UTC, ISO 8601."""
    missing: list[str]
    """Cells that count as missing."""
    headers: dict[str, list[str]]
    """Names of the inputs computed from each column of the table."""
    suffixes: dict[str, str] = Field(default_factory=dict)
    """Ends of file names that image cells may lack, by column of the experiment."""
    separators: dict[str, str] = Field(default_factory=dict)
    """Text between the images that cells list, by column of the experiment with several images per row."""
    inputs: list[ExportInput]
    outputs: list[ExportOutput]
    check: ExportCheck | None = None


class ExportResult(CommandResult):
    """`export --json`: a finished export."""

    run: RunFolder
    folder: FilePath
    signature: Signature
