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

if TYPE_CHECKING:
    import pandas as pd

PathOrText: TypeAlias = str | PathLike[str]
ExperimentLike: TypeAlias = PathOrText | Mapping[Any, Any] | Experiment
Overrides: TypeAlias = Iterable[str] | Mapping[str, Any]
"""`["training.epochs=3"]`, or `{"training.epochs": 3}`."""
TableLike: TypeAlias = "PathOrText | pd.DataFrame"


@dataclass(frozen=True)
class TableFileOf:
    """The file of a table."""

    path: Path
    frame: bool = False
    """Whether it holds a DataFrame, and was written by us."""

    def reported(self) -> AbstractContextManager[None]:
        """While active, problems speak of the DataFrame and not of its file."""
        from mmtrain.data.tables.stored_frame import spoken_of

        return spoken_of(self.path) if self.frame else nullcontext()


def as_path(path: PathOrText) -> Path:
    """An absolute path: relative to the current folder, and `~` is the user's."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:  # `~nobody`: whoever opens it says that it does not exist
        return Path(path).absolute()


def as_table(table: TableLike, runs: PathOrText) -> TableFileOf:
    """A table as a file; a DataFrame is written next to the `runs`, once. Raises DataError for what is not a table."""
    if isinstance(table, str | PathLike):
        return TableFileOf(as_path(table))
    from mmtrain.data.tables.stored_frame import FOLDER, store

    return TableFileOf(store(table, as_path(runs) / FOLDER), frame=True)


@contextmanager
def table_for_now(table: TableLike) -> Iterator[TableFileOf]:
    """A table as a file; that of a DataFrame is removed at the end."""
    if isinstance(table, str | PathLike):
        yield TableFileOf(as_path(table))
        return
    from mmtrain.data.tables.stored_frame import store

    with TemporaryDirectory(prefix="mmtrain_") as folder:
        yield TableFileOf(store(table, Path(folder)).rename(Path(folder, "DataFrame.parquet")), frame=True)


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
    """A file, or what a dictionary would be as a file in the current folder. Raises ConfigError for anything else."""
    if isinstance(experiment, str | PathLike):
        return as_path(experiment)
    if isinstance(experiment, Experiment):
        return InMemory(experiment.model_dump(mode="json"), Path.cwd())
    if isinstance(experiment, Mapping):
        return InMemory(experiment, Path.cwd())
    what = f"an experiment is expected; found a {type(experiment).__name__}."
    raise ConfigError(Problem("experiment", what, "Give the path of an experiment file, or a dictionary of the same shape."))


@dataclass(frozen=True)
class Asked:
    """An experiment and its overrides, which name the table and the folder of images if those were given beside it."""

    source: Path | InMemory
    overrides: tuple[str, ...]

    def on(self, table: TableFileOf | None, images: PathOrText | None) -> Asked:
        """On another table. Raises ConfigError where the experiment cannot be read."""
        folder = as_path(images) if images is not None else self._images() if table is not None and table.frame else None
        places = {"table": None if table is None else table.path, "images": folder}
        named = [f"data.{key}={json.dumps(str(path), ensure_ascii=False)}" for key, path in places.items() if path is not None]
        return Asked(self.source, (*self.overrides, *named))

    def _images(self) -> Path | None:
        """The folder of the images of a DataFrame: as the experiment says, else where its own table is, else where it lies itself."""
        data = read(self.source, self.overrides).tree.get("data")
        data = data if isinstance(data, dict) else {}
        if data.get("images"):
            return None
        own = self.source.parent if isinstance(self.source, Path) else self.source.folder
        return (own / str(data["table"])).parent if data.get("table") else own


def asked(experiment: ExperimentLike, overrides: Overrides) -> Asked:
    """Return the experiment and the overrides of a function of the API."""
    return Asked(as_experiment(experiment), as_overrides(overrides))
