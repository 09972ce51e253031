"""The signature of a table is in no file that commands write, and later commands do without it."""

import os
import zipfile

import pytest
from remote_servers import Strict, serve

from mmtrain.cli.app import run
from mmtrain.system.remote import mirror, secrets

WORD = "planted0secret"
ROWS = "x,city,y\n" + "".join(f"{(row % 2) * 2 - 1 + row % 7 / 10},{'ab'[row % 3 > 0]},{['low', 'high'][row % 2]}\n" for row in range(80))
EXPERIMENT = """
name: signed
data: {{table: '{address}'}}
columns: {{x: {{role: numeric}}, city: {{role: categorical}}, y: {{role: target, task: binary}}}}
training: {{epochs: 1, trackers: [tensorboard]}}
"""


def new_process(monkeypatch):
    mirror._fetch_once.cache_clear()
    secrets._whole.clear()
    monkeypatch.setenv(secrets.VARIABLE, "")


@pytest.mark.slow
def test_a_signature_is_in_no_file_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    new_process(monkeypatch)
    with serve(Strict, {"/t.csv": ROWS.encode()}) as server:
        address = f"{server.address}/t.csv?X-Amz-Credential={WORD}1&X-Amz-Signature={WORD}2"
        (tmp_path / "e.yaml").write_text(EXPERIMENT.format(address=address))
        for command in (["check", "e.yaml"], ["fit", "e.yaml"]):
            assert run(command) == 0
        # Later commands know nothing of it, and take the table from the mirror.
        (tmp_path / "e.yaml").unlink()
        new_process(monkeypatch)
        requests = len(server.log)
        for command in (
            ["evaluate", "signed"],
            ["explain", "signed"],
            ["report", "signed"],
            ["pack", "signed", "signed.zip", "--with-rows"],
        ):
            assert run(command) == 0, command
        assert len(server.log) == requests
        # Another table comes with a signature of its own, which its record does not keep either.
        assert run(["evaluate", "signed", "--data", address]) == 0
        assert run(["predict", "signed", address, "-o", "p.csv"]) == 0
    assert "signature=left-out" in (tmp_path / "runs" / "signed" / "1" / "config.yaml").read_text()
    with zipfile.ZipFile("signed.zip") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert [name for name, content in contents.items() if WORD in name or WORD.encode() in content] == []
    shown = capsys.readouterr()
    assert WORD not in shown.out + shown.err
    assert os.environ[secrets.VARIABLE]
