"""The folder of the images of a table, as the experiment file or the command line names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SETTING = "data.images"


@dataclass(frozen=True)
class ImageFolder:
    """The folder that image cells are relative to; cells may leave it where `allow_outside` says so."""

    path: Path
    allow_outside: bool = False
    setting: str = SETTING
    """What a person changes to have another one: a key of the experiment file or an option of the command."""
