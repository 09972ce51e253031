"""The folder of the images of a table, as the experiment file or the command line names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SETTING = "data.images"


@dataclass(frozen=True)
class ImageFolder:
    """The folder that image cells are relative to; with `allow_outside`, cells may name files outside of it."""

    path: Path
    allow_outside: bool = False
    setting: str = SETTING
    """The key of the experiment file or the option of the command that sets the folder, for messages."""
