"""`mmtrain export --format container`: a folder from which an image of a server can be built. Nothing is built here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.atomic_files import disk_errors, replacing_folder
from mmtrain.columns import Column, images_among, inputs_among
from mmtrain.commands.deployment.pack import pack
from mmtrain.errors import Problem, UsageError

ARCHIVE = "run.zip"
WHEELS = "wheels"
CODE = "code"
DOCKERFILE = """\
# Serves {run}: docker build -t mmtrain-model . && docker run -p 8000:8000 mmtrain-model
FROM python:3.12-slim

# Extras of mmtrain: the server{readers}.
ARG EXTRAS={extras}
COPY {wheels} /{wheels}
RUN useradd --create-home --uid 10001 mmtrain && pip install --no-cache-dir --find-links /{wheels} "mmtrain[$EXTRAS]=={version}"
USER 10001
WORKDIR /home/mmtrain
COPY --chown=mmtrain {archive} ./
RUN mmtrain unpack {archive} run && rm {archive}
{copy_code}# MMTRAIN_API_KEY, where it is set, is asked for: docker run -e MMTRAIN_API_KEY=...
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \\
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
# SIGTERM answers what is in flight; Docker kills after 10 s unless `docker stop` is given more.
STOPSIGNAL SIGTERM
CMD {command}
"""
COMMAND = ("mmtrain", "serve", "run", "--host", "0.0.0.0", "--port", "8000", "--reload", "0")  # noqa: S104 (the container's address)
READERS = {
    "heif": (".heic", ".heif", ".hif"),
    "medical": (".dcm", ".dicom", ".ima", ".nii", ".nii.gz"),
    "tiff": (".tif", ".tiff"),
}
"""Extras with readers of images, and the endings of their files."""
IGNORED = f"*\n!{ARCHIVE}\n!{WHEELS}\n!{CODE}\n"
"""Content of .dockerignore: the build sees the archive, the wheels and the user's own code alone."""
WHEELS_NOTE = """\
The build installs mmtrain {version} from the wheels in this folder, and what is not here from the package index.
To make one from a checkout of mmtrain:

    pip wheel --no-deps --wheel-dir {wheels} PATH_OF_MMTRAIN
"""


def write_container(which: str | None, folder: Path | None = None, *, code: Sequence[Path] = (), output: Path = Path("runs")) -> Path:
    """Write Dockerfile, .dockerignore, the packed run, files of `--code` and a folder for wheels; return their folder.

    Args:
        which: A run, as every command names it.
        folder: The folder to make, by default `exports/container` in the run.
        code: Python files that the run needs; the server imports copies of them.
        output: Folder that holds the runs.

    Raises UsageError for a folder that exists, and as `pack` does.
    """
    run = runs.find(which, output, group=True)
    target = (folder or run / "exports" / "container").absolute()
    if target.exists():
        raise UsageError(Problem(str(target), "there is something here already.", "Remove it, or give another folder with -o."))
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(target, others=target.parent == run / "exports") as temporary:
            pack(str(run.folder), temporary / ARCHIVE, output=output)
            readers = reader_extras(config.load(run / "config.yaml").columns)
            (temporary / "Dockerfile").write_text(dockerfile(str(run), _copied(code, temporary / CODE), readers), encoding="utf-8")
            (temporary / WHEELS).mkdir()
            (temporary / WHEELS / "README.txt").write_text(WHEELS_NOTE.format(version=version("mmtrain"), wheels=WHEELS), encoding="utf-8")
            (temporary / ".dockerignore").write_text(IGNORED, encoding="utf-8")
    return target


def reader_extras(columns: Mapping[str, Column]) -> list[str]:
    """Return the extras that read the files of the columns.

    For images without a `suffix` they are all readers of images, since a run does not record the formats of its files.
    """
    extras = set()
    for cells in images_among(inputs_among(columns)).values():
        if cells.layout.spectrogram is not None:
            extras.add("audio")
        elif cells.suffix:
            extras |= {extra for extra, endings in READERS.items() if cells.suffix.lower().endswith(endings)}
        else:
            extras |= READERS.keys()
    return sorted(extras)


def dockerfile(run: str, code: Sequence[str] = (), readers: Sequence[str] = ()) -> str:
    """Return the Dockerfile that serves the packed run.

    Args:
        run: Its name, for a comment.
        code: Names of files in the folder `code`.
        readers: Extras that read the files of its columns.

    """
    options = [word for name in code for word in ("--code", f"{CODE}/{name}")]
    copy_code = f"COPY --chown=mmtrain {CODE} ./{CODE}\n" if code else ""
    command = json.dumps([*COMMAND, *options])
    comment = f", and readers of the files that its columns may name ({', '.join(readers)})" if readers else ""
    return DOCKERFILE.format(
        run=run,
        version=version("mmtrain"),
        extras=",".join(["serve", *readers]),
        readers=comment,
        archive=ARCHIVE,
        wheels=WHEELS,
        copy_code=copy_code,
        command=command,
    )


def _copied(code: Sequence[Path], folder: Path) -> list[str]:
    """Copy files into a new folder, and return their names there: numbered folders keep two files of one name apart."""
    distinct = len({path.name for path in code}) == len(code)
    names = [path.name if distinct else f"{number}/{path.name}" for number, path in enumerate(code, 1)]
    for path, name in zip(code, names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    return names
