"""No module needs what only POSIX has: on Windows an import of one of these, or a use of such a function, is an error."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import paint, two_blobs, write_experiment

import mmtrain

MODULES = {"fcntl", "grp", "msvcrt", "pty", "pwd", "resource", "syslog", "termios", "tty", "winreg"}
"""Modules of Python that one system lacks."""
FUNCTIONS = {
    *("chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getuid", "killpg", "mkfifo", "nice"),
    *("posix_fadvise", "posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "sched_getaffinity", "setsid", "statvfs", "sysconf"),
    *("uname", "wait3", "wait4", "waitid"),
}
"""Functions of `os` that Windows lacks."""
FIELDS = {"st_blksize", "st_blocks", "st_flags", "st_gen", "st_rdev"}
"""Fields of `os.stat_result` that Windows lacks."""
NEEDED = re.compile(rf"import ({'|'.join(MODULES)})\b|\bos\.({'|'.join(FUNCTIONS)})\b")
GUARDS = re.compile(r'hasattr\(os, "(\w+)"\)')
SOURCES = sorted(Path(mmtrain.__file__).parent.rglob("*.py"))


def imports_at_once(tree):
    """The modules that are imported with a module, outside functions and `try`."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_module_needs_what_windows_lacks():
    needed = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if not NEEDED.search(text):
            continue
        needed += [f"{path.name}: import {name}" for name in imports_at_once(ast.parse(text)) if name in MODULES]
        used = {name for _, name in NEEDED.findall(text) if name}
        # The read-ahead of stores, which Linux alone has, is guarded by one function for the whole class.
        guarded = set(GUARDS.findall(text)) | ({"preadv"} if "posix_fadvise" in GUARDS.findall(text) else set())
        needed += [f"{path.name}: os.{name}" for name in used - guarded]
    assert needed == []


def test_no_module_reads_what_a_status_on_windows_lacks():
    needed = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        needed += [f"{path.name}: {name}" for name in FIELDS if f".{name}" in text and f', "{name}")' not in text]
    assert needed == []


TEXT_FILE = re.compile(r"""\.(?:read|write)_text\([^()]*(?:\([^()]*\)[^()]*)*\)|\b(?<!archive\.)open\([^()]*"[rwax]\+?"[^()]*\)""")
"""Calls that read or write a text file: on Windows its encoding is that of the language of the machine, unless one is given."""


def test_text_files_have_an_encoding():
    calls = [(path.name, call) for path in SOURCES for call in TEXT_FILE.findall(path.read_text(encoding="utf-8"))]
    assert len(calls) > 50
    # The method of run folders, which writes UTF-8, has a name and a text.
    without = [(name, call) for name, call in calls if "utf-8" not in call and "ascii" not in call and not call.startswith(".write_text(")]
    without += [(name, call) for name, call in calls if call.startswith(".write_text(") and "," not in call]
    assert without == []


HIDDEN = f"""
import builtins, os, sys

imported = builtins.__import__

def without_posix(name, globals=None, *rest, **options):
    # psutil and others have their own ways for each system.
    if name in {sorted(MODULES)!r} and (globals or {{}}).get("__name__", "").startswith("mmtrain"):
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return imported(name, globals, *rest, **options)

builtins.__import__ = without_posix
for name in ("posix_fadvise", "pread", "preadv", "pwrite", "pwritev", "sched_getaffinity"):
    delattr(os, name)
from mmtrain.system import locks
locks.ON_SEPARATE_FILES = True
from mmtrain.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.slow  # three fresh processes
def test_a_run_is_trained_and_used_without_what_windows_lacks(tmp_path):
    for row in range(60):
        paint(tmp_path / f"{row}.png", row)
    two_blobs(tmp_path, 60, scan=lambda row: f"{row}.png")
    columns = "{x: {role: numeric}, scan: {role: image, size: [8, 8], channels: 1}, y: {role: target, task: binary}}"
    write_experiment(tmp_path / "blobs.yaml", f"columns: {columns}\ntraining: {{epochs: 2}}\n")
    environment = os.environ | {"TMPDIR": str(tmp_path), "MMTRAIN_CACHE": str(tmp_path / "cache")}
    for words in (["fit", "blobs.yaml"], ["evaluate", "blobs"], ["predict", "blobs", "table.csv"]):
        command = [sys.executable, "-c", HIDDEN, *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "mmtrain-locks").iterdir())) >= 2
