"""The command line: one file per command. Only this floor prints and exits."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `mmtrain`."""
    from mmtrain.cli.app import run

    sys.exit(run(sys.argv[1:]))
