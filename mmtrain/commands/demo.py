"""`mmtrain demo`: the sample data that come with mmtrain, with an experiment file, in a folder of the user."""

from __future__ import annotations

from pathlib import Path
from shutil import copy2, copytree

from mmtrain.artifacts.atomic_files import disk_errors
from mmtrain.errors import Problem, RunError, UsageError

TABLE, IMAGES, EXPERIMENT = "patients.csv", "scans", "clinic.yaml"
IN_CHECKOUT = "../sample_data/clinic/"
"""Folder of the samples as the experiment file of a checkout names it; in the demo's folder they are next to the file."""


def sample_files() -> tuple[Path, Path]:
    """Return the folder of the sample data and their experiment file: those in the package, or in a checkout those of the repository.

    Raises RunError if neither is there.
    """
    package = Path(__file__).parent.parent
    root = package.parent
    for folder, experiment in (
        (package / "demo_data", package / "demo_data" / "experiment.yaml"),
        (root / "sample_data" / "clinic", root / "configs" / "scan_and_demographics.yaml"),
    ):
        if (folder / TABLE).is_file() and experiment.is_file():
            return folder, experiment
    raise RunError(Problem(str(package), "this installation has no sample data.", "Install mmtrain again from its wheel."))


def write_demo(folder: Path) -> Path:
    """Write the sample data and their experiment file into `folder` and return the file; files that are there are kept.

    Raises UsageError if `folder` has other files, RunError if it cannot be written.
    """
    data, experiment = sample_files()
    file = folder / EXPERIMENT
    if file.is_file():
        return file
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(Problem(str(folder), "there is something here already.", "Name another folder: `mmtrain demo FOLDER`"))
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        copy2(data / TABLE, folder / TABLE)
        copytree(data / IMAGES, folder / IMAGES)
        # The file last: it says that the folder is whole.
        file.write_text(_experiment(experiment.read_text(encoding="utf-8")), encoding="utf-8")
    return file


def _experiment(text: str) -> str:
    """Return the experiment file for the demo's folder: paths next to it, and a comment of its own."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    head = (
        "# One image, numbers and categories of each row, joined, predict a diagnosis: 400 synthetic scans of 150 patients, whose scans\n"
        "# are never on two sides of the split. Change what you like, then: mmtrain fit clinic.yaml\n"
    )
    return f"{head}{body.replace(IN_CHECKOUT, '')}\n".replace("name: scan_and_demographics", "name: clinic")
