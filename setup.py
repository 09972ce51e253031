"""Build step that puts the sample data of `mmtrain demo` into the wheel, so that the repository has one copy of them."""

from pathlib import Path
from shutil import copy2, copytree

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithSamples(build_py):
    """Build the package, and copy the clinic's table, its scans and its experiment file into it."""

    def run(self) -> None:
        """Build; an editable install reads the samples from the checkout."""
        super().run()
        if self.editable_mode:
            return
        demo = Path(self.build_lib) / "mmtrain" / "demo_data"
        copytree(ROOT / "sample_data" / "clinic", demo, dirs_exist_ok=True)
        copy2(ROOT / "configs" / "scan_and_demographics.yaml", demo / "experiment.yaml")


setup(cmdclass={"build_py": BuildWithSamples})
