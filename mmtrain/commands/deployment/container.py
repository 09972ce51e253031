"""`mmtrain export --format container`: a folder from which an image of a server can be built. Nothing is built here."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from mmtrain.artifacts import runs
from mmtrain.artifacts.atomic_files import disk_errors, replacing_folder
from mmtrain.commands.deployment.pack import pack
from mmtrain.errors import Problem, UsageError

ARCHIVE = "run.zip"
WHEELS = "wheels"
DOCKERFILE = """\
# Serves {run}: docker build -t mmtrain-model . && docker run -p 8000:8000 mmtrain-model
FROM python:3.12-slim

COPY {wheels} /{wheels}
RUN useradd --create-home --uid 10001 mmtrain && pip install --no-cache-dir --find-links /{wheels} "mmtrain[serve]=={version}"
USER 10001
WORKDIR /home/mmtrain
COPY --chown=mmtrain {archive} ./
RUN mmtrain unpack {archive} run && rm {archive}
# MMTRAIN_API_KEY, where it is set, is asked for: docker run -e MMTRAIN_API_KEY=...
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \\
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
# SIGTERM answers what is in flight; Docker kills after 10 s unless `docker stop` is given more.
STOPSIGNAL SIGTERM
CMD ["mmtrain", "serve", "run", "--host", "0.0.0.0", "--port", "8000", "--reload", "0"]
"""
IGNORED = f"*\n!{ARCHIVE}\n!{WHEELS}\n"
"""Content of .dockerignore: the build sees the archive and the wheels alone."""
WHEELS_NOTE = """\
The build installs mmtrain {version} from the wheels in this folder, and what is not here from the package index.
To make one from a checkout of mmtrain:

    pip wheel --no-deps --wheel-dir {wheels} PATH_OF_MMTRAIN
"""


def write_container(which: str | None, folder: Path | None = None, *, output: Path = Path("runs")) -> Path:
    """Write Dockerfile, .dockerignore, the packed run and a folder for wheels; return their folder.

    Args:
        which: A run, as every command names it.
        folder: The folder to make, by default `exports/container` in the run.
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
            names = {"version": version("mmtrain"), "archive": ARCHIVE, "wheels": WHEELS}
            (temporary / "Dockerfile").write_text(DOCKERFILE.format(run=run, **names), encoding="utf-8")
            (temporary / WHEELS).mkdir()
            (temporary / WHEELS / "README.txt").write_text(WHEELS_NOTE.format(**names), encoding="utf-8")
            (temporary / ".dockerignore").write_text(IGNORED, encoding="utf-8")
    return target
