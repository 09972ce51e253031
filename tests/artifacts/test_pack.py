"""`pack` and `unpack`: a run in one file that tells nothing it should not, and an archive that can do no harm."""

import io
import json
import os
import shutil
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from tiny import write_experiment, write_table

from mmtrain.artifacts import archive
from mmtrain.artifacts.run_folder import Run
from mmtrain.cli.app import run as command_line
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.deployment.unpack import unpack
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.errors import DataError, RunError, UsageError

pytestmark = pytest.mark.usefixtures("models_opened_once")

EXPERIMENT = """
name: clinic
data: {cache: {folder: kept}}
columns:
  who: {role: id}
  x: {role: numeric, missing: drop}
  town: {role: categorical}
  y: {role: target, task: binary}
branches: {all: {columns: [x, town], units: [4]}}
fusion: {units: [4]}
training: {epochs: 1, optimizer: sgd}
"""
TABLE = [
    {"who": f"person{row}", "x": "" if row == 3 else (row % 2) * 2 - 1 + row % 7 / 10, "town": "ab"[row % 2], "y": ("low", "high")[row % 2]}
    for row in range(40)
]
BY_DEFAULT = [
    "calibration_test.csv",
    "classes_test.csv",
    "columns.json",
    "config.yaml",
    "confusion_test.csv",
    "contributions_test.csv",
    "data.json",
    "epochs.csv",
    "manifest.json",
    "metrics.json",
    "metrics.jsonl",
    "model.keras",
    "model_card.md",
    "network.json",
    "run.json",
    "scores_test.csv",
    "split.csv",
    "statistics.json",
]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A run that was scored, in a folder of its own with its table."""
    folder = tmp_path_factory.mktemp("sender")
    write_table(folder / "patients.csv", TABLE)
    path = write_experiment(folder / "clinic.yaml", EXPERIMENT.replace("data: {", "data: {table: patients.csv, "))
    run = fit(path, output=folder / "runs").run
    evaluate(str(run.folder))
    return run


@pytest.fixture
def run(evaluated, tmp_path):
    """A copy of it, to be changed."""
    shutil.copytree(evaluated.folder.parents[2], tmp_path / "sender", symlinks=True)
    return Run(tmp_path / "sender" / "runs" / "clinic" / "1")


def contents(path):
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def left_out(path):
    return json.loads(contents(path)["manifest.json"])["left_out"]


def refused(problem, call, *arguments, **options):
    """The call is refused with these words."""
    with pytest.raises(RunError) as caught:
        call(*arguments, **options)
    assert str(caught.value) == problem


# Packing


def test_pack_holds_what_opens_a_run_and_lists_what_it_leaves_out(run, tmp_path):
    done = pack(str(run.folder), tmp_path / "out.zip")
    assert sorted(contents(tmp_path / "out.zip")) == BY_DEFAULT
    assert done.manifest.left_out == {
        "checkpoints/": "only for resuming the training, which is finished",
        "config.yaml: paths": "where the table, the images, the cache and pretrained weights were",
        "data.json: ids and reasons of dropped rows": "name rows and show cells",
        "worst_predictions_test.json": "cells and images of rows",
        "plots/": "may show rows",
        "predictions_test.csv": "ids, answers and predictions of rows",
        "report.html": "may show rows",
        "split.csv: ids": "name rows",
    }


def test_pack_tells_neither_rows_nor_places(run, evaluated, tmp_path):
    run.update(error=f"{run.folder}: the disk is full", note={"made": [f"{Path.home()}/clinic.yaml"]})
    pack(str(run.folder), tmp_path / "out.zip")
    found = contents(tmp_path / "out.zip")
    for name, content in found.items():
        for secret in ("person", str(tmp_path), str(evaluated.folder.parents[2]), "kept", f"{Path.home()}/"):
            assert secret.encode() not in content, (name, secret)
    assert found["split.csv"].startswith(b"row,id,fold,part\n0,,0,")
    assert json.loads(found["data.json"])["dropped"] == [{"row": 3, "id": "", "reason": "left out of the packed run"}]
    assert {"run.json: error": "may hold paths", "run.json: note": "may hold paths"}.items() <= left_out(tmp_path / "out.zip").items()
    assert b"data:\n  table: data/patients.csv\n  images: null\n" in found["config.yaml"]


def test_pack_with_rows_adds_what_shows_rows(run, tmp_path):
    pack(str(run.folder), tmp_path / "out.zip", with_rows=True)
    found = contents(tmp_path / "out.zip")
    assert set(found) >= {*BY_DEFAULT, "predictions_test.csv", "report.html", "plots/roc_test.png"}
    for name in ("split.csv", "data.json", "predictions_test.csv"):
        assert found[name] == (run / name).read_bytes()
    assert b"person" in found["split.csv"]
    assert left_out(tmp_path / "out.zip") == {
        "checkpoints/": "only for resuming the training, which is finished",
        "config.yaml: paths": "where the table, the images, the cache and pretrained weights were",
    }


def test_pack_leaves_out_what_it_does_not_know(run, tmp_path):
    (run / "notes.txt").write_text("mine")
    (run / "export").mkdir()
    (run / "export" / "model.onnx").write_text("large")
    (run / ".run.json.1234.tmp").write_text("half")
    pack(str(run.folder), tmp_path / "out.zip")
    assert sorted(contents(tmp_path / "out.zip")) == BY_DEFAULT
    assert {
        "notes.txt": "not a part of a run that is packed",
        "export/": "not a part of a run that is packed",
    }.items() <= left_out(tmp_path / "out.zip").items()


def test_pack_leaves_out_names_that_do_not_travel(run, tmp_path):
    """The table is then looked for under a plain name."""
    (run / "predictions_a:b.csv").write_text("row\n")
    text = (run / "config.yaml").read_text()
    run.write_text("config.yaml", text.replace("../../../patients.csv", "'../what: all?.csv.gz'"))
    run.seal("config.yaml")
    pack(str(run.folder), tmp_path / "out.zip", with_rows=True)
    assert left_out(tmp_path / "out.zip")["predictions_a:b.csv"] == "its name does not mean the same file on every system"
    assert unpack(tmp_path / "out.zip", tmp_path / "mine").table == tmp_path / "mine" / "data" / "table.csv.gz"


def test_pack_of_a_stopped_run_keeps_its_checkpoints(run, tmp_path):
    run.update(state="interrupted")
    pack(str(run.folder), tmp_path / "out.zip")
    assert {name for name in contents(tmp_path / "out.zip") if "/last/" in name} == {
        "checkpoints/last/optimizer.npz",
        "checkpoints/last/position.json",
        "checkpoints/last/weights.npz",
    }


def test_pack_gives_the_same_bytes_every_time(run, tmp_path):
    pack(str(run.folder), tmp_path / "one.zip", with_rows=True)
    for path in run.folder.rglob("*"):
        os.utime(path, (1, 1))
    pack(str(run.folder), tmp_path / "two.zip", with_rows=True)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_pack_leaves_out_callbacks(run, tmp_path):
    text = (
        (run / "config.yaml").read_text().replace("  callbacks: []", "  callbacks: [{name: keras.callbacks.CSVLogger, filename: log.csv}]")
    )
    run.write_text("config.yaml", text)
    run.seal("config.yaml")
    pack(str(run.folder), tmp_path / "out.zip")
    assert left_out(tmp_path / "out.zip")["config.yaml: callbacks"] == "code that would run on the machine of the recipient"
    assert unpack(tmp_path / "out.zip", tmp_path / "mine").folder.is_dir()


def test_pack_refuses_in_words(run, tmp_path):
    (tmp_path / "out.zip").write_text("mine")
    with pytest.raises(UsageError) as caught:
        pack(str(run.folder), tmp_path / "out.zip")
    assert str(caught.value) == f"{tmp_path}/out.zip: the file exists already; nothing is overwritten. Give another name."
    assert (tmp_path / "out.zip").read_text() == "mine"
    problem = (
        f"{tmp_path}/no/out.zip: the file cannot be written: no such file or directory. Make its folder first, or choose another folder."
    )
    refused(problem, pack, str(run.folder), tmp_path / "no" / "out.zip")
    (run / "model.keras").unlink()
    run.update(files={})
    problem = f"{run.folder}: the run cannot be packed without model.keras; its state is 'finished'. Resume it, or train again."
    refused(problem, pack, str(run.folder), tmp_path / "new.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.zip", "sender"]


def test_pack_refuses_a_model_that_learned_paths_of_this_machine(run, tmp_path):
    learned = run.read_json("columns.json")
    learned["columns"]["town"]["categories"] = [f"{run.folder}/a", "b"]
    run.write_json("columns.json", learned)
    run.seal("columns.json")
    problem = "columns.json holds paths of this machine, among the categories of a column for instance. Train without that column."
    refused(f"{run.folder}: {problem}", pack, str(run.folder), tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


# There and back


@pytest.mark.slow
def test_unpacked_run_is_scored_once_its_table_is_there(run, tmp_path):
    pack(str(run.folder), tmp_path / "out.zip")
    done = unpack(tmp_path / "out.zip", tmp_path / "mine")
    assert (done.folder, done.table) == (tmp_path / "mine", tmp_path / "mine" / "data" / "patients.csv")
    assert sorted(path.name for path in done.folder.iterdir()) == BY_DEFAULT
    with pytest.raises(DataError) as caught:
        evaluate(str(done.folder))
    assert str(caught.value) == (
        f"{done.table}: the table is not here: a packed run comes without it. Put it there, with its images next to it, "
        "give its place with `--table FILE`, and that of the images with `--images FOLDER` if they are not next to it, "
        f"or score another: mmtrain evaluate {done.folder} --data TABLE"
    )
    done.table.parent.mkdir()
    shutil.copy(tmp_path / "sender" / "patients.csv", done.table)
    scores = run.read_json("metrics.json")["test"]
    assert {key: result.to_json() for key, result in evaluate(str(done.folder)).targets.items()} == scores
    other = write_table(tmp_path / "other.csv", [row for row in TABLE if row["x"] != ""])
    assert evaluate(str(done.folder), EvaluateOptions(table=other)).targets["y"].rows == 39


def test_unpacked_run_packs_again(run, tmp_path):
    pack(str(run.folder), tmp_path / "one.zip")
    unpack(tmp_path / "one.zip", tmp_path / "mine")
    pack(str(tmp_path / "mine"), tmp_path / "two.zip")
    one, two = contents(tmp_path / "one.zip"), contents(tmp_path / "two.zip")
    assert set(one) == set(two)
    assert {name for name in one if one[name] != two[name]} == {"manifest.json"}


def test_commands_pack_and_unpack(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command_line(["pack", "clinic", "clinic.zip", "--output", "sender/runs"]) == 0
    told = capsys.readouterr()
    assert told.out == "clinic.zip\n"
    assert told.err.startswith("left out: checkpoints/ (only for resuming the training, which is finished)\nleft out: config.yaml: paths (")
    assert command_line(["unpack", "clinic.zip"]) == 0
    told = capsys.readouterr()
    assert told.out == "clinic\n"
    assert told.err.startswith("Left out when it was packed: ")
    assert told.err.count("\n") == 3
    assert told.err.endswith(
        "items, listed with reasons in clinic/manifest.json.\n"
        "To score its parts, put the table at clinic/data/patients.csv. Put its images next to it, "
        "or give their folder with --images.\n"
        "To score another table: mmtrain evaluate clinic --data TABLE\n"
    )
    assert command_line(["unpack", "clinic.zip", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["table"] == "other/data/patients.csv"
    assert command_line(["unpack", "clinic.zip"]) == 2
    assert capsys.readouterr().err == (
        "The command cannot be carried out: 1 problem.\n"
        "clinic: the folder exists already; nothing is overwritten. Name another: mmtrain unpack ZIP FOLDER\n"
    )


# Archives that are not what `pack` writes

FILES = {
    "columns.json": b"{}",
    "config.yaml": b"data: {table: data/t.csv}\n",
    "data.json": b"{}",
    "run.json": b"{}",
    "split.csv": b"row,id,fold,part\n",
    "statistics.json": b"{}",
}
AGAIN = "Ask for the archive again."


def manifest_of(holds, **changes):
    known = {name: {"sha256": archive.hash_entry(content), "size": len(content)} for name, content in holds.items()}
    return json.dumps({"version": 1, "mmtrain": "0.1.0", "run": "clinic/1", "files": known, "left_out": {}, **changes}).encode()


def zipped(path, holds=None, more=(), change=lambda packed: None, **manifest):
    """An archive of these files with its manifest, and of `more` entries (name or ZipInfo, content) that the manifest does not know."""
    holds = FILES if holds is None else holds
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        warnings.simplefilter("ignore")  # a name twice
        for name, content in [*holds.items(), ("manifest.json", manifest_of(holds, **manifest)), *more]:
            packed.writestr(name, content)
        change(packed)
    return path


def entry(name, mode=stat.S_IFREG | 0o644, attributes=0):
    info = zipfile.ZipInfo("name")
    info.filename = info.orig_filename = name
    info.create_system, info.external_attr = 3, mode << 16 | attributes
    return info


def refused_archive(path, *problems, error=RunError):
    """The archive is refused with these words, and nothing is left behind."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(error) as caught:
        unpack(path, path.parent / "mine")
    assert [f"{problem.where}: {problem.what} {problem.fix}".replace(str(path), "ZIP") for problem in caught.value.problems] == list(
        problems
    )
    assert sorted(path.parent.rglob("*")) == before


def test_unpack_takes_an_archive_that_is_as_its_manifest_says(tmp_path):
    done = unpack(zipped(tmp_path / "out.zip"), tmp_path / "mine")
    assert {path.name for path in done.folder.iterdir()} == {*FILES, "manifest.json"}
    assert all((done.folder / name).read_bytes() == content for name, content in FILES.items())


AWAY, STRANGE = "the name is not a path below a folder.", "the name does not mean the same file on every system."
SPECIAL = "this is a folder, a link or a special file, not a plain file."


@pytest.mark.parametrize(
    ("strange", "what"),
    [
        (entry("../evil.py"), AWAY),
        (entry("a/../../evil.py"), AWAY),
        (entry("/etc/evil"), AWAY),
        (entry("./run.txt"), AWAY),
        (entry("a//b"), AWAY),
        (entry("folder/"), AWAY),
        (entry("C:evil"), STRANGE),
        (entry("C:/evil"), STRANGE),
        (entry("..\\evil"), STRANGE),
        (entry("run.json."), STRANGE),
        (entry("run.json "), STRANGE),
        (entry("plots./a"), STRANGE),
        (entry("a\nb"), STRANGE),
        (entry("run.json:stream"), STRANGE),
        (entry("plots/aux.png"), STRANGE),
        (entry("a" * 201), STRANGE),
        (entry("link", stat.S_IFLNK | 0o777), SPECIAL),
        (entry("pipe", stat.S_IFIFO | 0o644), SPECIAL),
        (entry("device", stat.S_IFCHR | 0o644), SPECIAL),
        (entry("folder", stat.S_IFDIR | 0o755), SPECIAL),
        (entry("junction", attributes=0x400), SPECIAL),
    ],
    ids=lambda case: repr(case.filename)[:20] if isinstance(case, zipfile.ZipInfo) else "",
)
def test_unpack_refuses_names_and_kinds_that_do_not_belong_into_a_folder(strange, what, tmp_path):
    refused_archive(zipped(tmp_path / "out.zip", more=[(strange, b"x")]), f"ZIP: {strange.filename!r}: {what} {AGAIN}")


def test_name_with_a_zero_byte_is_not_cut_there(tmp_path):
    path = zipped(tmp_path / "out.zip", more=[("run.json_.txt", b"x")])
    path.write_bytes(path.read_bytes().replace(b"run.json_.txt", b"run.json\0.txt"))
    refused_archive(path, f"ZIP: 'run.json': {STRANGE} {AGAIN}")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("run.json", "the name is here twice."),
        ("RUN.json", "the name differs from 'run.json' by case or accents only."),
        ("run.json/a", "the name is below a name that is a file."),
    ],
)
def test_unpack_refuses_two_names_of_one_file(name, what, tmp_path):
    refused_archive(zipped(tmp_path / "out.zip", more=[(name, b"x")]), f"ZIP: {name!r}: {what} {AGAIN}")


def test_accents_written_in_two_ways_are_one_name(tmp_path):
    path = zipped(tmp_path / "out.zip", more=[("predictions_\u00e9.csv", b""), ("predictions_e\u0301.csv", b"")])
    what = "the name differs from 'predictions_\u00e9.csv' by case or accents only."
    refused_archive(path, f"ZIP: 'predictions_e\u0301.csv': {what} {AGAIN}")


def test_unpack_refuses_an_archive_that_swells(tmp_path):
    refused_archive(
        zipped(tmp_path / "out.zip", FILES | {"metrics.jsonl": bytes(20_000_000)}),
        f"ZIP: 'metrics.jsonl': the file unpacks from 19 kB to 20 MB. {AGAIN}",
    )


def claiming(size):
    def change(packed):
        packed.filelist[0].file_size = size

    return change


def test_unpack_refuses_more_bytes_or_files_than_a_run_can_have(tmp_path):
    path = zipped(tmp_path / "out.zip", change=claiming(30 * 10**9))
    refused_archive(path, f"ZIP: the archive unpacks to 30.0 GB; 20.0 GB are allowed. {AGAIN}")
    path = zipped(tmp_path / "out.zip")
    with pytest.raises(RunError) as caught:
        archive.directory(path, archive.Limits(entries=5))
    assert str(caught.value) == f"{path}: the archive holds 7 files; 5 are allowed. {AGAIN}"


def test_unpack_refuses_files_that_share_their_bytes(tmp_path):
    def overlap(packed):
        packed.filelist += [packed.filelist[0]] * 9

    path = zipped(tmp_path / "out.zip", {"model.keras": os.urandom(5_000)} | FILES, change=overlap)
    refused_archive(path, f"ZIP: files of the archive lie one over the other, as in an archive made to fill a disk. {AGAIN}")


@pytest.mark.parametrize("size", [1, 3])
def test_unpack_stops_when_a_file_is_not_as_long_as_the_directory_says(size, tmp_path):
    """The manifest tells the same lie, so that only unpacking shows it."""
    known = json.loads(manifest_of(FILES))["files"]
    known["columns.json"]["size"] = size
    path = zipped(tmp_path / "out.zip", change=claiming(size), files=known)
    refused_archive(path, f"ZIP: the file is not a zip archive, or it is damaged. {AGAIN}")


def test_copying_stops_at_the_size_that_was_told():
    target = io.BytesIO()
    with pytest.raises(EOFError):
        archive.extract_entry(io.BytesIO(bytes(10_000_000)), target, 5)
    assert target.getvalue() == b""
    assert archive.extract_entry(io.BytesIO(b"abc"), target, 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_unpack_refuses_what_is_encrypted_or_compressed_in_rare_ways(tmp_path):
    def encrypted(packed):
        packed.filelist[0].flag_bits |= 1

    refused_archive(zipped(tmp_path / "out.zip", change=encrypted), f"ZIP: 'columns.json': the file is encrypted. {AGAIN}")
    rare = entry("metrics.json")
    rare.compress_type = zipfile.ZIP_LZMA
    path = tmp_path / "out.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(rare, b"{}", zipfile.ZIP_LZMA)
    refused_archive(path, f"ZIP: 'metrics.json': the file is compressed in a way that is not read. {AGAIN}")


def test_unpack_refuses_what_is_no_archive(tmp_path):
    with pytest.raises(RunError) as caught:
        unpack(tmp_path / "out.zip")
    assert str(caught.value) == f"{tmp_path}/out.zip: the file does not exist."
    path = zipped(tmp_path / "out.zip")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-30], whole.replace(b"row,id", b"row,xx").replace(b"PK\3\4", b"PK\3\5")):
        path.write_bytes(damaged)
        refused_archive(path, f"ZIP: the file is not a zip archive, or it is damaged. {AGAIN}")
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("run.json", b"{}")
    refused_archive(
        path, "ZIP: this is not a packed run: it has no manifest.json. `mmtrain pack RUN ZIP` makes archives that can be unpacked here."
    )


def test_unpack_refuses_a_wrong_checksum(tmp_path):
    known = json.loads(manifest_of(FILES))["files"]
    known["data.json"]["sha256"] = "0" * 64
    path = zipped(tmp_path / "out.zip", files=known)
    refused_archive(path, f"ZIP: 'data.json': the checksum is not that of the manifest. {AGAIN}")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 2}, "manifest.json has version 2; version 1 is read. Update mmtrain."),
        ({"version": None}, "manifest.json has version None; version 1 is read. Update mmtrain."),
        ({"files": []}, f"manifest.json is damaged: `files` does not have the right form. {AGAIN}"),
        ({"files": {"run.json": {"sha256": "0", "size": 1}}}, f"manifest.json is damaged: `files` does not have the right form. {AGAIN}"),
        ({"left_out": {"a\x1b[2J": "x"}}, f"manifest.json is damaged: `left_out` does not have the right form. {AGAIN}"),
        ({"run": "a\rb"}, f"manifest.json is damaged: `run` does not have the right form. {AGAIN}"),
        ({"script": "evil.py"}, f"manifest.json is damaged: `script` does not have the right form. {AGAIN}"),
    ],
)
def test_unpack_refuses_a_manifest_it_does_not_know(changes, problem, tmp_path):
    refused_archive(zipped(tmp_path / "out.zip", **changes), f"ZIP: {problem}")


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 200_000])
def test_unpack_refuses_a_manifest_that_is_none(content, tmp_path):
    path = tmp_path / "out.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("manifest.json", content)
    refused_archive(path, f"ZIP: manifest.json is damaged. {AGAIN}")


def test_unpack_refuses_files_that_the_manifest_does_not_list_or_no_run_has(tmp_path):
    path = zipped(tmp_path / "out.zip", more=[("metrics.json", b"{}")])
    refused_archive(path, f"ZIP: the manifest does not list metrics.json. {AGAIN}")
    path = zipped(tmp_path / "out.zip", FILES | {"yaml.py": b"print('evil')", "checkpoints/last/evil.npz": b""})
    refused_archive(path, f"ZIP: no run has checkpoints/last/evil.npz and yaml.py. {AGAIN}")
    path = zipped(tmp_path / "out.zip", {name: content for name, content in FILES.items() if name != "split.csv"})
    refused_archive(path, f"ZIP: the archive does not hold split.csv. {AGAIN}")
    known = json.loads(manifest_of(FILES))["files"]
    known["data.json"]["size"] = 3
    refused_archive(zipped(tmp_path / "out.zip", files=known), f"ZIP: the manifest has other sizes for data.json. {AGAIN}")


@pytest.mark.parametrize(
    "data",
    [
        "{table: ../t.csv}",
        "{table: /etc/passwd}",
        "{table: 'C:/t.csv'}",
        "{table: '..\\t.csv'}",
        "{}",
        "[]",
        "{table: [data/t.csv]}",
        "{table: data/t.csv, images: /home}",
        "{table: data/t.csv, cache: {folder: ../../.config}}",
        "{table: data/t.csv, cache: [x]}",
    ],
)
def test_unpack_refuses_an_experiment_that_reads_or_writes_elsewhere(data, tmp_path):
    path = zipped(tmp_path / "out.zip", FILES | {"config.yaml": f"data: {data}\n".encode()})
    what = "config.yaml looks for tables or images, or keeps a cache, outside of the run's folder."
    refused_archive(path, f"ZIP: {what} Do not use an archive of unknown origin.")


def test_unpack_refuses_an_experiment_that_runs_what_it_names(tmp_path):
    experiment = b"data: {table: data/t.csv}\ntraining: {callbacks: [{name: keras.callbacks.CSVLogger, filename: ~/.profile}]}\n"
    what = "config.yaml names callbacks or trackers, which would run with later commands."
    refused_archive(
        zipped(tmp_path / "out.zip", FILES | {"config.yaml": experiment}), f"ZIP: {what} Do not use an archive of unknown origin."
    )


def test_unpack_overwrites_nothing(tmp_path):
    path = zipped(tmp_path / "out.zip")
    (tmp_path / "mine").symlink_to(tmp_path / "nowhere")
    refused_archive(
        path,
        f"{tmp_path}/mine: the folder exists already; nothing is overwritten. Name another: mmtrain unpack ZIP FOLDER",
        error=UsageError,
    )
    problem = f"{tmp_path}/no/mine: the file cannot be written: no such file or directory. Make its folder first, or choose another folder."
    refused(problem, unpack, path, tmp_path / "no" / "mine")


def test_contents_of_another_size_than_the_archive_says_are_refused():
    for content, message in ((b"abcdef", "more than 4 bytes"), (b"ab", "2 of 4 bytes are missing")):
        with pytest.raises(EOFError, match=message):
            archive.extract_entry(io.BytesIO(content), io.BytesIO(), 4)
