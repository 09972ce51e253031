"""Arguments of the Python API as `commands/` takes them: experiments as files or dictionaries, tables as files or DataFrames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from mmtrain.config import Experiment
from mmtrain.config.in_memory import InMemory
from mmtrain.config.yaml_source import read
from mmtrain.errors import ConfigError, Problem
from mmtrain.system.remote import is_address, local_path

if TYPE_CHECKING:
    import pandas as pd

PathOrText: TypeAlias = str | PathLike[str]
ExperimentLike: TypeAlias = PathOrText | Mapping[Any, Any] | Experiment
Overrides: TypeAlias = Iterable[str] | Mapping[str, Any]
"""`["training.epochs=3"]`, or `{"training.epochs": 3}`."""
TableLike: TypeAlias = "PathOrText | pd.DataFrame"


@dataclass(frozen=True)
class TableArgument:
    """The file of a table."""

    path: Path
    frame: bool = False
    """True if the file holds a DataFrame and was written by mmtrain."""

    def named_as_given(self) -> AbstractContextManager[None]:
        """While active, problems name the DataFrame and not its file."""
        from mmtrain.data.tables.stored_frame import reported_as_frame

        return reported_as_frame(self.path) if self.frame else nullcontext()


def as_path(path: PathOrText) -> Path:
    """An absolute path: relative to the current folder, and `~` is the user's."""
    if is_address(str(path)):
        return local_path(path if isinstance(path, str) else Path(path))
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:  # `~nobody`, an unknown user: reported as a missing file when it is opened
        return Path(path).absolute()


def as_table(table: TableLike, runs: PathOrText) -> TableArgument:
    """Return a table as a file; a DataFrame is written next to the `runs`, once. Raises DataError for anything else."""
    if isinstance(table, str | PathLike):
        return TableArgument(as_path(table))
    from mmtrain.data.tables.stored_frame import FOLDER, store

    # Named by its content: the same DataFrame is written once.
    return TableArgument(store(table, as_path(runs) / FOLDER), frame=True)


@contextmanager
def temporary_table(table: TableLike) -> Iterator[TableArgument]:
    """A table as a file; the file of a DataFrame is removed at the end."""
    if isinstance(table, str | PathLike):
        yield TableArgument(as_path(table))
        return
    from mmtrain.data.tables.stored_frame import store

    with TemporaryDirectory(prefix="mmtrain_") as folder:
        # A plain name, since problems show it.
        yield TableArgument(store(table, Path(folder)).rename(Path(folder, "DataFrame.parquet")), frame=True)


def as_overrides(overrides: Overrides) -> tuple[str, ...]:
    """Return overrides as `--set` takes them. Raises ConfigError for a single text, whose characters would be taken one by one."""
    if isinstance(overrides, str):
        raise ConfigError(Problem("overrides", "a list of overrides is expected; found a text.", f"Write `overrides=[{overrides!r}]`."))
    if isinstance(overrides, Mapping):
        tree = InMemory(overrides, Path()).source().tree
        return tuple(f"{key}={json.dumps(value, ensure_ascii=False) if _nested(value) else value}" for key, value in tree.items())
    return tuple(overrides)


def _nested(value: Any) -> bool:
    return value is None or isinstance(value, list | dict)


def as_experiment(experiment: ExperimentLike) -> Path | InMemory:
    """Return an experiment as a file, or as a dictionary whose paths start from the current folder.

    Raises ConfigError for anything else.
    """
    if isinstance(experiment, str | PathLike):
        return as_path(experiment)
    if isinstance(experiment, Experiment):
        return InMemory(experiment.model_dump(mode="json"), Path.cwd())
    if isinstance(experiment, Mapping):
        return InMemory(experiment, Path.cwd())
    what = f"an experiment is expected; found a {type(experiment).__name__}."
    raise ConfigError(Problem("experiment", what, "Give the path of an experiment file, or a dictionary of the same shape."))


@dataclass(frozen=True)
class ExperimentArgument:
    """An experiment with its overrides; these include the table and the images folder if they were separate arguments."""

    source: Path | InMemory
    overrides: tuple[str, ...]

    def on(self, table: TableArgument | None, images: PathOrText | None) -> ExperimentArgument:
        """Return the experiment on another table. Raises ConfigError if it cannot be read."""
        # A DataFrame alone has no folder, so the experiment's is needed; a file has its own.
        folder = as_path(images) if images is not None else self._images() if table is not None and table.frame else None
        places = {"table": None if table is None else table.path, "images": folder}
        named = [f"data.{key}={json.dumps(str(path), ensure_ascii=False)}" for key, path in places.items() if path is not None]
        return ExperimentArgument(self.source, (*self.overrides, *named))

    def _images(self) -> Path | None:
        """The images folder of a DataFrame: None if the experiment names one, else the folder of its table, else its own folder."""
        data = read(self.source, self.overrides).tree.get("data")
        data = data if isinstance(data, dict) else {}
        if data.get("images"):
            return None
        folder = self.source.parent if isinstance(self.source, Path) else self.source.folder
        return (folder / str(data["table"])).parent if data.get("table") else folder


def experiment_argument(experiment: ExperimentLike, overrides: Overrides) -> ExperimentArgument:
    """Return the arguments `experiment` and `overrides` of a function of the API in one form. Raises ConfigError."""
    return ExperimentArgument(as_experiment(experiment), as_overrides(overrides))


def named_as_given(file: TableArgument | None) -> AbstractContextManager[None]:
    """Return a context in which messages name the DataFrame behind a file."""
    return nullcontext() if file is None else file.named_as_given()
