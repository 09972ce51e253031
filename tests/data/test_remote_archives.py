"""Members of remote archives by ranges, and the cases in which an archive is fetched whole."""

import io
import tarfile

import pandas as pd
import pytest
from remote_servers import Bucket, Files, Whole, serve

from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.locate import ImageFinder, locate
from mmtrain.system.remote import archive_members, local_path, mirror, sources

NAMES = [f"a/{number}.png" for number in range(6)]
IMAGES = {name: b"\x89PNG\r\n\x1a\n" + bytes([number]) * 20_000 for number, name in enumerate(NAMES)}


def packed(images):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in images.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = packed(IMAGES)


@pytest.fixture(autouse=True)
def large_members(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mirror.time, "sleep", lambda _: None)
    monkeypatch.setattr(archive_members, "LARGE_MEMBER", 10_000)
    monkeypatch.setattr(archive_members, "PROBED", 2)
    sources._s3.cache_clear()


def found(address, *names):
    return locate(pd.Series([f"1.tar#{name}" for name in names]), ImageFolder(local_path(address))).results


def gets(server):
    return [given for command, _, given in server.log if command == "GET"]


def fetched_bytes(server):
    return sum(int(last) - int(first) + 1 for first, last in (given.removeprefix("bytes=").split("-") for given in gets(server)))


def test_only_the_members_that_cells_name_are_fetched(tmp_path):
    with serve(Files, {"/s/1.tar": ARCHIVE}) as server:
        first, second, absent = found(f"{server.address}/s", NAMES[4], NAMES[1], "a/9.png")
        assert [first.source.read_bytes(), second.source.read_bytes()] == [IMAGES[NAMES[4]], IMAGES[NAMES[1]]]
        assert (absent.what, absent.absent) == ("the archive 1.tar has no file a/9.png.", True)
        assert fetched_bytes(server) < 0.7 * len(ARCHIVE)
        server.log.clear()
        # They are there, as images are; the index is, too.
        assert found(f"{server.address}/s", NAMES[4])[0] == first
        assert server.log == []
        found(f"{server.address}/s", NAMES[0])
        assert gets(server) == [f"bytes=512-{511 + len(IMAGES[NAMES[0]])}"]
    assert not list(tmp_path.rglob("1.tar"))


def test_the_time_of_a_member_is_that_of_the_archive(tmp_path):
    with serve(Files, {"/s/1.tar": ARCHIVE, "/s/2.tar": ARCHIVE}) as server:
        (part,) = found(f"{server.address}/s", NAMES[2])
        folder = ImageFolder(local_path(f"{server.address}/s"))
        whole = locate(pd.Series([f"2.tar#{name}" for name in NAMES]), folder).results[2]
    assert (part.size, part.changed) == (whole.size, whole.changed)
    assert (part.offset, whole.offset > 0) == (-1, True)


@pytest.mark.parametrize("case", ["most of it", "small members", "no ranges"])
def test_an_archive_is_fetched_whole_where_that_is_less_work(monkeypatch, tmp_path, case):
    if case == "small members":
        monkeypatch.setattr(archive_members, "LARGE_MEMBER", 30_000)
    names = NAMES[:4] if case == "most of it" else NAMES[:1]
    with serve(Whole if case == "no ranges" else Files, {"/s/1.tar": ARCHIVE}) as server:
        files = found(f"{server.address}/s", *names)
        assert [file.source for file in files] == [IMAGES[name] for name in names]
        assert len([given for given in gets(server) if given is None]) >= 1
    (archive,) = tmp_path.rglob("1.tar")
    assert archive.read_bytes() == ARCHIVE


def test_an_archive_that_has_changed_is_read_anew(tmp_path):
    with serve(Files, {"/s/1.tar": ARCHIVE}) as server:
        found(f"{server.address}/s", NAMES[1])
        server.files["/s/1.tar"] = packed({"new.png": b"\x89PNG" + bytes(30_000), **IMAGES})
        assert found(f"{server.address}/s", NAMES[5])[0].source.read_bytes() == IMAGES[NAMES[5]]


def test_no_member_leads_out_of_the_mirror(tmp_path):
    outside = tmp_path / "cache" / "secret.png"
    outside.parent.mkdir()
    outside.write_bytes(b"\x89PNG")
    with serve(Files, {"/s/1.tar": packed({"../" * 9 + "x.png": b"x" * 20_000, **IMAGES})}) as server:
        finder = ImageFinder(ImageFolder(local_path(f"{server.address}/s")))
        finder.fetch([f"1.tar#{NAMES[0]}"])
        for name in (f"{'../' * 5}secret.png", "/etc/passwd", "../" * 9 + "x.png", "a//0.png", ""):
            assert finder.find(f"1.tar#{name}").what.startswith("the archive 1.tar has no file")


def test_members_come_from_a_bucket(monkeypatch):
    with serve(Bucket, {"/data/s/1.tar": ARCHIVE}, signed=True) as server:
        for name, value in {"URL": server.address}.items():
            monkeypatch.setenv(f"AWS_ENDPOINT_{name}", value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        (file,) = found("s3://data/s", NAMES[3])
        assert file.source.read_bytes() == IMAGES[NAMES[3]]
        assert fetched_bytes(server) < 0.6 * len(ARCHIVE)


def test_a_server_that_is_away_is_a_reason():
    (refusal,) = found("http://127.0.0.1:9/s", NAMES[0])
    assert refusal.what.startswith("the file 1.tar cannot be fetched: the source does not answer")


def test_a_server_that_sends_files_whole_is_asked_once():
    """It would answer the same a second time, 1.5 s later."""
    asked = []

    def read():
        asked.append(len(asked))
        raise sources.RangesError("the server sends the file whole")

    with pytest.raises(sources.RangesError):
        mirror.with_retries(read)
    assert asked == [0]
