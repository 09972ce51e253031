"""Paths that a user gives: whatever stands there, or stands in the way, is a sentence and an exit code."""

import errno
import io
import json
import os
import socket
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import two_blobs, write_experiment

from mmtrain.cli.app import run
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.errors import DataError, shell_command
from mmtrain.system.paths import cache_folder, homeless_cache, input_fault, output_fault, refused_by_system
from mmtrain.text.printable import json_text, printable

COLUMNS = {"x": {"role": "numeric"}, "y": {"role": "target", "task": "binary", "positive": "low"}}
STRANGER = 54321


@contextmanager
def as_a_stranger():
    """Without the rights of root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(STRANGER)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared():
    """A folder that every user can look into, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def odd(folder, kind, suffix=""):
    """A path with something at it that is no file."""
    path = folder / f"odd{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nothing")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "long name":
        path = folder / ("n" * 300 + suffix)
    elif kind == "long path":
        path = folder.joinpath(*["d" * 200] * 30, f"odd{suffix}")
    return path


INPUT = {
    "pipe": "the table is a named pipe, not a file.",
    "device": "the table is a device, not a file.",
    "socket": "the table is a socket, not a file.",
    "folder": "the table is a folder, not a file.",
    "dangling": "the table is a link to nothing, which does not exist.",
    "loop": "the table cannot be used: the link leads back to itself.",
    "long name": "the table cannot be used: the path is too long.",
    "long path": "the table cannot be used: the path is too long.",
    "absent": "the table does not exist.",
}


@pytest.mark.parametrize("kind", INPUT)
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    with pytest.raises(DataError) as caught:
        open_table(odd(Path(), kind, ".csv"))
    (problem,) = caught.value.problems
    assert problem.what == INPUT[kind]
    assert problem.fix
    assert len(str(problem)) < 600


@pytest.mark.parametrize("kind", [kind if kind in ("pipe", "loop") else pytest.param(kind, marks=pytest.mark.slow) for kind in INPUT])
def test_every_command_that_reads_or_writes_a_file_says_what_is_there_instead(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    two_blobs(Path())
    tree = {"columns": COLUMNS}
    experiment = write_experiment(Path("clinic.yaml"), tree)
    for number, (suffix, command) in enumerate(
        {
            ".yaml": ("check", "{}"),
            ".csv": ("inspect-data", "{}"),
            ".py": ("check", str(experiment), "--code", "{}"),
            ".zip": ("unpack", "{}"),
            ".yml": ("init", "table.csv", "--force", "--output", "{}"),
            ".html": ("inspect-data", "table.csv", "--html", "{}"),
        }.items()
    ):
        writes = number > 3
        path = odd(Path(), kind, suffix)
        code = run([part.format(path) for part in command])
        said = capsys.readouterr().err
        if writes and kind == "absent":
            assert code == 0
        else:
            assert code in (1, 2, 3), (suffix, said)
            assert ": 1 problem." in said, (suffix, said)


@pytest.mark.parametrize("command", ["check", "inspect-data"])
def test_paths_of_the_experiment_file_are_looked_at_as_well(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    two_blobs(tmp_path, scan=lambda row: f"{row}.png")
    os.mkfifo(tmp_path / "pipe.csv")
    for data, expected in {
        "{table: pipe.csv}": f"{tmp_path}/pipe.csv: the table is a named pipe, not a file.",
        "{images: pipe.csv}": f"{tmp_path}/pipe.csv: the images folder is a named pipe, not a folder.",
        '{images: "a\\0b"}': r"data.images: 'a\x00b' is not a path: paths cannot hold the character `\0`. Remove it.",
    }.items():
        tree = {"columns": {**COLUMNS, "scan": {"role": "image", "size": [8, 8]}}}
        path = write_experiment(tmp_path / "clinic.yaml", tree)
        assert run([command, str(path), "--set", f"data={data.replace('{', '{table: table.csv, ') if 'images' in data else data}"]) in (
            0,
            2,
            3,
        )
        shown = capsys.readouterr()
        assert expected in shown.out + shown.err


def test_what_a_user_may_not_read_or_write_is_told(shared, monkeypatch, capsys):
    two_blobs(shared)
    write_experiment(shared / "clinic.yaml", {"columns": COLUMNS})
    (shared / "closed").mkdir()
    (shared / "closed" / "table.csv").write_text("x,y\n1,a\n")
    monkeypatch.chdir(shared)
    commands = {
        ("check", "clinic.yaml"): "the table cannot be read by this user. Change its permissions.",
        ("check", "clinic.yaml", "--set", "data.table=closed/table.csv"): "the table cannot be accessed by this user.",
        ("init", "closed/table.csv"): "the table cannot be accessed by this user.",
        ("evaluate", "closed/run"): "the run cannot be accessed by this user.",
        ("evaluate", "--output", "closed/runs"): "closed/runs: permission denied.",
        ("unpack", "closed/run.zip"): "the archive cannot be accessed by this user.",
    }
    for command in commands:
        run(list(command))  # whatever has to be imported is, as long as it may be
    capsys.readouterr()
    (shared / "table.csv").chmod(0)
    (shared / "closed").chmod(0)
    for command, expected in commands.items():
        with as_a_stranger():
            code = run(list(command))
        assert code in (1, 2, 3)
        assert expected in capsys.readouterr().err
    (shared / "closed").chmod(0o755)


def test_an_error_of_the_machine_is_a_sentence_and_one_of_the_program_is_not():
    full = refused_by_system(OSError(errno.ENOSPC, "No space left on device", "/data/runs/1"))
    assert str(full) == "/data/runs/1: the disk is full. Make room, or choose another folder."
    assert refused_by_system(FileNotFoundError(errno.ENOENT, "No such file", "columns.json")) is None
    assert refused_by_system(OSError(errno.EACCES, "Permission denied")) is None  # of what, nobody knows


def test_an_output_is_a_new_file_or_an_old_one(tmp_path):
    (tmp_path / "old.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    assert output_fault(tmp_path / "old.csv") is None
    assert output_fault(tmp_path / "new.csv") is None
    assert output_fault(tmp_path / "none" / "new.csv").what == f"cannot be written: there is no folder {tmp_path / 'none'}"
    assert output_fault(tmp_path / "folder.csv").what == "is a folder, not a file"
    assert output_fault(Path("/dev/null")).what == "is a device, not a file"
    assert input_fault(tmp_path / "a\0b").what == "has a path with a null character, which no file can have"


def test_init_is_not_led_astray_by_a_folder_as_its_output(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(two_blobs(tmp_path).parent)
    assert run(["init", "table.csv", "-o", "."]) == 2
    assert capsys.readouterr().err == (
        "The command cannot be carried out: 1 problem.\n"
        ".: this is a folder, not a name for an experiment file. Write `--output experiment.yaml`.\n"
    )
    (tmp_path / "empty").mkdir()
    assert run(["init", "empty"]) == 3
    assert "empty: the folder has no folder with images in it." in capsys.readouterr().err


# Users without a home folder


def test_a_user_without_a_home_has_a_cache_of_its_own(tmp_path, monkeypatch, capsys):
    for name in ("HOME", "MMTRAIN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(*_):
        raise KeyError("no such user")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_folder() == tmp_path / f"mmtrain-{os.geteuid()}"
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    assert run(["cache", "list"]) == 0
    assert capsys.readouterr().err == (
        f"note: this user has no home folder, so decoded images are cached in {cache_folder()}. Set MMTRAIN_CACHE to a permanent folder.\n"
    )
    cache_folder().chmod(0o777)
    with pytest.raises(PermissionError):
        homeless_cache()
    assert run(["cache", "list"]) == 1
    assert f"{tmp_path}/mmtrain-{os.geteuid()}: permission denied." in capsys.readouterr().err


# Names that are no text


def test_a_name_that_is_not_utf_8_from_init_to_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = two_blobs(tmp_path, z=lambda row: row * row % 17 / 3)
    table.rename(os.fsdecode(b"caf\xe9.csv"))
    for encoding in ("utf-8", "ascii"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", out)
        assert run(["init", os.fsdecode(b"caf\xe9.csv"), "--force"]) == 0
        assert run(["inspect-data", os.fsdecode(b"caf\xe9.yaml")]) == 0
        out.flush()
        out.seek(0)
        out.truncate()
        assert run(["inspect-data", os.fsdecode(b"caf\xe9.yaml"), "--html", "page.html", "--json"]) == 0
        out.flush()
        shown = json.loads(out.buffer.getvalue().decode(encoding))
        assert os.fsencode(shown["table"]) == os.fsencode(tmp_path) + b"/caf\xe9.csv"
        assert r"caf\udce9.csv" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_commands_to_copy_name_the_very_file():
    assert shell_command("check", os.fsdecode(b"caf\xe9 '1'.yaml")) == r"mmtrain check $'caf\xe9 \x271\x27.yaml'"
    assert shell_command("check", "café 1.yaml") == "mmtrain check 'café 1.yaml'"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'name: "\\U00110000"',
            "clinic.yaml:1: a backslash escape stands for a character that does not exist. Characters end at \\U0010FFFF.",
        ),
        (
            'name: "\\UFFFFFFFF"',
            "clinic.yaml:1: a backslash escape stands for a character that does not exist. Characters end at \\U0010FFFF.",
        ),
        (
            'columns: {y: {role: target, task: binary, positive: "a\\uD800"}}',
            "clinic.yaml:1: columns.y.positive: the escape \\uD800 is half of a character. Write the character itself, or both halves.",
        ),
        (
            'data: {table: t.csv, missing_values: ["\\uDCE9"]}',
            "clinic.yaml:1: data.missing_values, entry 1: the escape \\uDCE9 is half of a character. "
            "Write the character itself, or both halves.",
        ),
    ],
)
def test_escapes_that_are_no_character(tmp_path, capsys, text, problem):
    (tmp_path / "clinic.yaml").write_text(f"{text}\n", encoding="utf-8")
    assert run(["check", str(tmp_path / "clinic.yaml")]) == 2
    assert problem in capsys.readouterr().err.splitlines()


def test_two_halves_are_one_character_as_in_json(tmp_path, capsys):
    (tmp_path / "clinic.yaml").write_text(
        '{"data": {"table": "\\uD83D\\uDE00.csv"}, "columns": {"x": {"role": "numeric"}}}', encoding="utf-8"
    )
    run(["check", str(tmp_path / "clinic.yaml")])
    assert "half of a character" not in capsys.readouterr().err


# Characters that steer


def test_no_character_that_steers_is_shown_or_written():
    text = "a\x1b[31m\u202eb\x85\r\ud800\tc\n"
    assert printable(text) == "a\\x1b[31m\\u202eb\\x85\\r\\ud800\tc\n"
    assert json_text({"a": text}) == r'{"a": "a\u001b[31m\u202eb\u0085\r\ud800\tc\n"}'
    assert json.loads(json_text({"a": text})) == {"a": text}
    assert json.loads(json_text({"a": f"é{text}"}, "ascii")) == {"a": f"é{text}"}
