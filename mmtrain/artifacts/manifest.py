"""manifest.json of a packed run: which files it has, with their checksums, and what was left out and why.

Checksums reveal a damaged archive. They are not a signature: anyone who changes an archive can change them, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, ValidationError

from mmtrain.artifacts.run_folder import CHILD_NAME
from mmtrain.errors import Problem, RunError
from mmtrain.registry import Section

MANIFEST = "manifest.json"
VERSION = 1
MAX_MANIFEST_BYTES = 10**7
"""Largest manifest that is read; one with a thousand files has a hundredth of it."""

NEEDED = frozenset({"config.yaml", "columns.json", "data.json", "run.json", "split.csv", "statistics.json"})
GROUP_NEEDED = frozenset({"config.yaml", "data.json", "run.json", "split.csv", "targets.json", "cross_validation.json"})
"""Files without which a run, or a group of trainings, cannot be opened."""
MEMBER = r"(?:folds|seeds)/[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Regular expression of the name of a training of a group, which has all files of a run."""
RUN_FILES = (
    r"config\.yaml|data\.json|split\.csv|statistics\.json|network\.json|metrics\.json|report\.html|model_card\.md|epochs\.csv"
    r"|(scores|confusion|classes|contributions|missing_patterns|subgroups|calibration)_[^/]+\.csv"
    r"|predictions_[^/]+\.csv|worst_predictions_[^/]+\.json|plots/[^/]+\.png"
)
CHILD_FILES = (
    r"run\.json|columns\.json|decisions\.json|metrics\.jsonl|model\.keras"
    r"|checkpoints/(best|last|previous)/(weights\.npz|optimizer\.npz|position\.json)"
)
"""Files of every run of the tree; the others are of the numbered run at its root."""
REQUIRED_FILES = re.compile(rf"({MEMBER}/)?({RUN_FILES})|(targets|cross_validation|ensemble)\.json|({CHILD_NAME}/)*({CHILD_FILES})")
"""Names of the files that are packed. No other file is unpacked: Python, for example, would import a `yaml.py` from its current folder."""


def needed_files(names: Collection[str]) -> set[str]:
    """Return the files without which an archive with these files cannot be opened; a group has a file of targets, and members."""
    if "targets.json" not in names:
        return set(NEEDED)
    members = {match.group() for name in names if (match := re.match(MEMBER, name))}
    return set(GROUP_NEEDED) | {f"{member}/{name}" for member in members for name in NEEDED}


Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,300}$")]
"""A text for a terminal, without control characters."""


class File(Section):
    """One file of the archive."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: NonNegativeInt


class Manifest(Section):
    """Files of an archive with their checksums, and the parts of the run that it leaves out."""

    version: Literal[1] = 1
    mmtrain: Line
    """The version that packed it."""
    run: Line
    """Name and number of the run on the sender's machine: name/number."""
    files: dict[Line, File]
    left_out: dict[Line, Line]
    """Reasons, by file or by part of a file."""

    def text(self) -> str:
        """Return the text of the file."""
        return self.model_dump_json(indent=1) + "\n"


def read(content: bytes, where: str) -> Manifest:
    """Return the manifest in `content`. Raises RunError if it is damaged, or of another version."""
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
        what = f"{MANIFEST} is damaged: `{error.errors()[0]['loc'][0]}` does not have the right form."
        raise RunError(Problem(where, what, "Ask for the archive again.")) from None
