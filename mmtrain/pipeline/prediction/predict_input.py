"""The table that `mmtrain predict` reads: a file, standard input, one image or a folder of images."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from mmtrain.columns import Column, ImageCells, images_among, inputs_among
from mmtrain.columns.pixels.image_cells import IMAGE_ENDINGS, SOUND_ENDINGS
from mmtrain.data.tables.table_file import table_exists
from mmtrain.errors import DataError, Problem, listed
from mmtrain.image_decoding.folder_content import is_dicom_file
from mmtrain.system.paths import table_folder
from mmtrain.system.remote import fetch, local_path
from mmtrain.text.spelling import BLANKS

STANDARD_INPUT = Path("-")
FILES = (*(f".{ending}" for ending in IMAGE_ENDINGS), *SOUND_ENDINGS)
"""Endings of the names of images and recordings."""
HEAD = 65_536
"""Bytes of standard input that tell JSON Lines from CSV."""
JSON_LIST = re.compile(r"\[\s*[{\]]")
"""Beginning of a JSON document with the rows as a list; a header of CSV does not begin so."""


@dataclass(frozen=True)
class PredictInput:
    """A table file; `folder` is where image cells start that the experiment gives no folder for, `named_by` a header that names rows."""

    path: Path
    folder: Path
    named_by: str = ""


@contextmanager
def predict_input(table: Path, columns: Mapping[str, Column]) -> Iterator[PredictInput]:
    """Return the table that `table` stands for; files that are written for it are removed at the end.

    `-` is standard input, CSV or JSON Lines. An image, or a folder with images at any depth, is a table with a row for each image;
    its other cells are empty. Where the column may name folders, one of the DICOM files of a series is one row.

    Raises DataError where that cannot be: the run reads no image or several, the folder holds none or files of several series, or the
    address of a table cannot be read.
    """
    table = local_path(table)
    fetch(table)  # an address may be that of an image, or of a folder of images
    images = (table.is_dir() and not table_exists(table)) or (table.is_file() and _is_image_file(table))
    if table != STANDARD_INPUT and not images:
        yield PredictInput(table, table_folder(table.resolve()))
        return
    with TemporaryDirectory(prefix="mmtrain_") as folder:
        if images:
            yield _image_table(table, columns, Path(folder))
        else:
            yield PredictInput(_stored(Path(folder)), Path.cwd())


def _is_image_file(path: Path) -> bool:
    """Return whether a file is an image or a recording by its name, or DICOM by its first bytes."""
    return path.name.lower().endswith(FILES) or (not path.suffix and is_dicom_file(path))


def _stored(folder: Path) -> Path:
    """Write standard input to a file whose name says what it is. A table is read twice, which a pipe cannot be."""
    if sys.stdin is None:  # `mmtrain predict RUN - <&-`, or a service without one
        raise DataError(Problem("standard input", "it is closed.", "Send it a table, or give the path of one."))
    stream: IO[bytes] = sys.stdin.buffer
    head = stream.read(HEAD)
    rows = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").lstrip(BLANKS)
    if JSON_LIST.match(rows):
        fix = "Send one object a line, for example by `jq -c '.[]'`."
        raise DataError(Problem("standard input", "the rows are a list in one JSON document.", fix))
    path = folder / ("stdin.jsonl" if rows.startswith("{") else "stdin.csv")
    with path.open("wb") as file:
        file.write(head)
        shutil.copyfileobj(stream, file)
    return path


def _image_table(place: Path, columns: Mapping[str, Column], folder: Path) -> PredictInput:
    inputs = inputs_among(columns)
    images = images_among(inputs)
    if len(images) != 1:
        found = listed([inputs[key].column for key in images]) if images else "none"
        what = f"images alone are predicted by a run with one column of images; this one has {found}."
        raise DataError(Problem(str(place), what, "Give a table with its columns."))
    (key, cells), root = next(iter(images.items())), place if place.is_dir() else place.parent
    header = inputs[key].reads()[0]
    paths = _files_of(place, cells)
    if not paths:
        raise DataError(_no_files(place, cells, header))
    root = root.parent if root in paths else root
    names = [path.relative_to(root).as_posix() for path in paths]
    if problems := [Problem(str(root / name), what, "Rename it.") for name in names if (what := _unnameable(name))]:
        raise DataError(problems)
    others = list(dict.fromkeys(other for column in inputs.values() for other in column.reads() if other != header))
    path = folder / "images.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([header, *others])
        writer.writerows([name, *([""] * len(others))] for name in names)
    return PredictInput(path, root, header)


def _files_of(place: Path, cells: ImageCells) -> list[Path]:
    """Return the files that a column reads: those in a folder, or the file itself."""
    paths = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    if cells.suffix:
        # It completes every other name: `a.JPG` would be looked up as `a.JPG.jpg`.
        return [path for path in paths if path.name.endswith(cells.suffix)]
    named = [path for path in paths if path.name.lower().endswith(cells.endings)]
    if place.is_file() and is_dicom_file(place):
        return [place]
    return _with_series(paths, named) if cells.folders else named


def _no_files(place: Path, cells: ImageCells, header: str) -> Problem:
    """Return the problem of a folder or a file that the column cannot read."""
    endings = listed([cells.suffix] if cells.suffix else cells.endings, "or")
    if place.is_dir():
        return Problem(str(place), "the folder holds no images.", f"Its files end in none of {endings}.")
    if cells.suffix:
        what = f"its name does not end in {cells.suffix}, the `suffix` of the column {header}."
        return Problem(str(place), what, "Give the image a name with this end.")
    return Problem(str(place), f"its name ends in none of {endings}, which the column {header} reads.", "Give another file.")


def _with_series(paths: Sequence[Path], named: Sequence[Path]) -> list[Path]:
    """Return the files that are `named` like images, and all DICOM files of `paths`.

    Where those of a folder are slices of one series, the folder takes their place, as a cell of training names it. Raises DataError for
    slices of a series next to other DICOM files: each slice would be predicted as if it were a volume.
    """
    from mmtrain.image_decoding.formats.dicom_series import OWN_FOLDER, has_slices_of_series, is_series

    by_folder: dict[Path, list[Path]] = {}
    for path in filter(is_dicom_file, paths):
        by_folder.setdefault(path.parent, []).append(path)
    several = {folder: files for folder, files in by_folder.items() if len(files) > 1}
    whole = {folder: files for folder, files in several.items() if is_series(files)}
    mixed = [folder for folder, files in several.items() if folder not in whole and has_slices_of_series(files)]
    if mixed:
        what = "the folder has slices of a DICOM series next to other DICOM files; a row is one series."
        raise DataError([Problem(str(folder), what, OWN_FOLDER) for folder in mixed])
    series = {path: folder for folder, files in whole.items() for path in files}
    files = {*named, *(path for those in by_folder.values() for path in those)}
    return sorted({series.get(path, path) for path in files})


def _unnameable(name: str) -> str:
    """Return why no cell of a table can name this file; empty if one can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the name is not UTF-8."
    return "the name begins or ends with a blank, which a cell has not." if name != name.strip(BLANKS) else ""
