"""manifest.json of a packed run: which files it has, with their checksums, and what was left out and why.

Checksums tell a damaged archive from a whole one. They are no signature: whoever changes an archive can change them too.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, ValidationError

from mmtrain.artifacts.run_folder import CHILD_NAME
from mmtrain.errors import Problem, RunError
from mmtrain.registry import Section

MANIFEST = "manifest.json"
VERSION = 1
LARGEST = 10**7
"""Bytes of a manifest; one with a thousand files has a hundredth."""

NEEDED = frozenset({"config.yaml", "columns.json", "data.json", "run.json", "split.csv", "statistics.json"})
CHILD_FILES = (
    r"run\.json|columns\.json|decisions\.json|metrics\.jsonl|model\.keras"
    r"|checkpoints/(best|last|previous)/(weights\.npz|optimizer\.npz|position\.json)"
)
"""Files of every run of the tree; the others are of the numbered run at its root."""
REQUIRED_FILES = re.compile(
    r"config\.yaml|data\.json|split\.csv|statistics\.json|network\.json|metrics\.json|report\.html|model_card\.md|epochs\.csv"
    r"|(scores|confusion|classes|contributions|missing_patterns|subgroups|calibration)_[^/]+\.csv"
    r"|predictions_[^/]+\.csv|worst_predictions_[^/]+\.json|plots/[^/]+\.png"
    rf"|({CHILD_NAME}/)*({CHILD_FILES})"
)
"""Names that are ever packed. Nothing else is unpacked either: Python, for one, would run a `yaml.py` in the folder it starts in."""


Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,300}$")]
"""A text for a terminal, without what could steer it."""


class File(Section):
    """One file of the archive."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: NonNegativeInt


class Manifest(Section):
    """Description of an archive by itself."""

    version: Literal[1] = 1
    mmtrain: Line
    """The version that packed it."""
    run: Line
    """As the sender's mmtrain calls it: name/number."""
    files: dict[Line, File]
    left_out: dict[Line, Line]
    """Reasons, by file or by part of a file."""

    def text(self) -> str:
        """Return the text of the file."""
        return self.model_dump_json(indent=1) + "\n"


def read(content: bytes, where: str) -> Manifest:
    """The manifest in `content`. Raises RunError for one of a newer version, and for what is no manifest."""
    try:
        values: Any = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise RunError(Problem(where, f"{MANIFEST} is damaged.", "Ask for the archive again."))
    version = values.get("version")
    if version != VERSION:
        raise RunError(Problem(where, f"{MANIFEST} has version {version!r}; version {VERSION} is read.", "Update mmtrain."))
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        what = f"{MANIFEST}: `{error.errors()[0]['loc'][0]}` is not as it should be."
        raise RunError(Problem(where, what, "Ask for the archive again.")) from None
