"""Tables and images at remote addresses, from servers on loopback, and images in tar archives."""

import io
import os
import tarfile

import numpy as np
import pandas as pd
import pytest
from remote_servers import Bucket, Files, Strict, serve
from tiny import paint

from mmtrain import config
from mmtrain.commands.deployment.unpack import _table
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.image_file import ImageFile
from mmtrain.data.images.locate import ImageFinder, locate
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.errors import DataError, RunError
from mmtrain.image_decoding import UnreadableImage
from mmtrain.system.remote import address_of, is_address, local_path, mirror, secrets, sources

CSV = "x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(2000))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mirror.time, "sleep", lambda _: None)
    new_process()
    yield tmp_path / "cache"
    new_process()


def new_process():
    mirror._fetch_once.cache_clear()
    secrets._whole.clear()
    os.environ.pop(secrets.VARIABLE, None)
    sources._s3.cache_clear()


@pytest.fixture
def web():
    with serve(Files, {"/table.csv": CSV.encode()}) as server:
        yield server


@pytest.fixture
def bucket(monkeypatch):
    with serve(Bucket, {}, signed=True) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield server


def rows(path):
    file = open_table(path)
    return pd.concat([pd.DataFrame(piece) for piece in file.pieces(file.headers, size=10_000)])


def parquet(**columns):
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/scans/1.png",
        "https://host:8080/a/t.csv?name=a%2Fb&x=*",
        "hdfs://name/user/t.parquet",
        "gs://anonymous@bucket/t",
    ],
)
def test_a_path_in_the_mirror_tells_its_address(address):
    assert address_of(local_path(address)) == address
    # As `pathlib` writes it.
    assert local_path(address.replace("://", ":/")) == local_path(address)


def test_other_texts_are_no_addresses(tmp_path):
    assert not any(map(is_address, ("scans/1.png", "file:///scans/1.png", "data:image/png;base64,AA", "C:/scans/1.png", "/s3/x")))
    assert address_of(tmp_path / "table.csv") == ""
    with pytest.raises(ValueError, match=r"Write it without `\.\.`"):
        local_path("s3://bucket/../../etc/passwd")


def test_a_table_by_http_is_fetched_once_and_again_when_it_changed(web):
    address = f"{web.address}/table.csv"
    assert len(rows(address)) == 2000
    assert len(rows(address)) == 2000
    new_process()
    rows(address)
    assert [command for command, *_ in web.log] == ["HEAD", "GET", "HEAD"]
    web.files["/table.csv"] = b"x,y\n1,0\n"
    new_process()
    assert len(rows(address)) == 1


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(web):
    web.cut = [5000, 3000]
    assert rows(f"{web.address}/table.csv")["x"].tolist() == [str(row) for row in range(2000)]
    assert [given for command, _, given in web.log if command == "GET"] == [None, "bytes=5000-", "bytes=8000-"]


def test_a_download_of_a_process_that_ended_goes_on_in_the_next_one(web):
    web.cut = [1000, 1000, 1000]
    with pytest.raises(DataError, match="the connection ended after 3,000 of"):
        open_table(f"{web.address}/table.csv")
    web.log.clear()
    assert len(rows(f"{web.address}/table.csv")) == 2000
    assert web.log[-1] == ("GET", "/table.csv", "bytes=3000-")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, "nothing is at this address. Check its spelling."),
        (403, "it may not be read: the server answered 403 Forbidden. Check your credentials."),
        (
            503,
            "the source does not answer: the server answered 503 Service Unavailable. "
            "Check the address and the network, then try again: the download continues where it stopped.",
        ),
    ],
)
def test_what_a_server_refuses_is_a_problem_with_its_address(web, status, expected):
    web.status = status
    with pytest.raises(DataError) as caught:
        open_table(f"{web.address}/table.csv")
    assert str(caught.value) == f"{web.address}/table.csv: {expected}"
    assert len(web.log) == {503: 3, 403: 2}.get(status, 1), "503 may pass, and an address that refuses HEAD is asked with GET"


def test_an_address_that_may_only_be_read_is_read():
    with serve(Strict, {"/my table.csv": CSV.encode()}) as server:
        assert len(rows(local_path(f"{server.address}/my table.csv?signature=x"))) == 2000
        assert [(command, given) for command, _, given in server.log] == [("GET", "bytes=0-0"), ("GET", None)]


def test_a_signature_is_left_out_of_all_that_is_kept_and_of_messages(tmp_path):
    word = "planted"
    signed = f"?X-Amz-Credential={word}&X-Amz-Signature={word}"
    with serve(Strict, {"/t.csv": CSV.encode()}) as server:
        path = tmp_path / "e.yaml"
        path.write_text(
            f"data: {{table: '{server.address}/t.csv{signed}'}}\ncolumns: {{x: {{role: numeric}}, y: {{role: target, task: binary}}}}\n"
        )
        experiment = config.load(path)
        assert len(rows(experiment.data.table)) == 2000
        written = config.to_yaml(experiment, tmp_path / "runs" / "1")
        assert f"table: {server.address}/t.csv?signature=left-out" in written
        path.write_text(written)
        new_process()
        server.log.clear()
        # A later command has no signature, and takes what is in the mirror.
        assert len(rows(config.load(path).data.table)) == 2000
        assert server.log == []
        assert not [one for one in tmp_path.rglob("*") if word in str(one) or (one.is_file() and word in one.read_text())]
        local_path(experiment.data.table).unlink()
        new_process()
        with pytest.raises(DataError) as caught:
            rows(config.load(path).data.table)
        assert str(caught.value) == (
            f"{server.address}/t.csv?signature=left-out: its signature or token is not stored. Give the signed address again."
        )
        server.status = 403
        with pytest.raises(
            DataError, match=r"left-out: it may not be read: the server answered 403 Forbidden\. Sign the address again"
        ) as caught:
            rows(f"{server.address}/t.csv{signed}")
        assert word not in str(caught.value)


def test_signed_images_are_fetched_and_named_without_their_signature(web, tmp_path):
    web.files |= {"/scans/1.png": PNG, "/scans/2.png": PNG + b"2"}
    cells = pd.Series([f"{web.address}/scans/{number}.png?sig=planted{number}" for number in (1, 2, 3)])
    for folder in (ImageFolder(local_path(f"{web.address}/scans")), ImageFolder(tmp_path, allow_outside=True)):
        first, second, absent = locate(cells, folder).results
        assert [first.source.read_bytes(), second.source.read_bytes()] == [PNG, PNG + b"2"]
        assert absent.what == (f"the file {web.address}/scans/3.png?signature=left-out cannot be fetched: nothing is at this address.")
        assert "planted" not in first.path
    assert list(secrets._whole) == [f"{web.address}/scans/3.png?signature=left-out"]


def test_a_table_in_chunks_that_was_cut_off_is_a_problem():
    with serve(Strict, {}) as server, pytest.raises(DataError, match="the connection ended too early"):
        open_table(local_path(f"{server.address}/cut.csv"))


def test_a_server_that_is_away_is_a_problem():
    with pytest.raises(DataError, match=r"http://127.0.0.1:9/t.csv: the source does not answer: .*Connection refused"):
        open_table("http://127.0.0.1:9/t.csv")


def test_a_partitioned_folder_in_a_bucket_is_a_table(bucket):
    bucket.files = {f"/data/t/site={site}/part.parquet": parquet(x=[1, 2], word=[site, "é"]) for site in "ab"}
    cells = rows("s3://data/t")
    assert cells["site"].tolist() == ["a", "a", "b", "b"]
    assert rows("s3://data/t/*/part.parquet").equals(cells)
    del bucket.files["/data/t/site=a/part.parquet"]
    new_process()
    assert rows("s3://data/t")["site"].tolist() == ["b", "b"]


def test_a_bucket_without_credentials_says_what_to_set(bucket, monkeypatch, tmp_path):
    bucket.files = {"/data/t.parquet": parquet(x=[1])}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(DataError) as caught:
        open_table("s3://data/t.parquet?anonymous=true")
    assert str(caught.value).startswith("s3://data/t.parquet?anonymous=true: it may not be read: ")
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(caught.value)


def test_other_schemes_are_read_by_fsspec_and_say_how_to_install_it(monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="the extra `remote` is not installed")
    fsspec.filesystem("memory").pipe("/folder/t.csv", CSV.encode())
    assert len(rows("memory://folder/t.csv")) == 2000
    new_process()
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(DataError, match=r"pip install 'mmtrain\[remote\]'"):
        open_table("memory://folder/t.csv")


def test_an_experiment_keeps_the_address(tmp_path):
    path = tmp_path / "e.yaml"
    text = "data: {table: 's3://data/t.parquet', images: 'https://host/scans'}\n"
    text += "columns: {x: {role: numeric}, y: {role: target, task: binary}}\n"
    path.write_text(text)
    experiment = config.load(path)
    assert address_of(experiment.data.table) == "s3://data/t.parquet"
    written = config.to_yaml(experiment, tmp_path / "runs" / "1")
    assert "table: s3://data/t.parquet" in written
    assert "images: https://host/scans" in written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: {table: 's3://data/t.parquet'}", "looks for tables or images"),
        ("data: {table: data/t.csv, tables: {visits: {table: 'http://host/v.csv', key: id}}}", "looks for tables or images"),
        ("data: {table: data/t.csv, tables: {visits: {table: /etc/v.csv, key: id}}}", "looks for tables or images"),
        ("data: {table: data/t.csv}\ntraining: {trackers: [{name: mlflow, tracking_uri: 'http://host'}]}", "callbacks or trackers"),
    ],
)
def test_an_archive_of_a_stranger_may_not_send_requests(tmp_path, text, expected):
    (tmp_path / "config.yaml").write_text("data: {table: data/t.csv, tables: {visits: {table: data/v.csv, key: id}}}\n")
    assert str(_table(tmp_path, "config.yaml", tmp_path)) == "data/t.csv"
    (tmp_path / "config.yaml").write_text(f"{text}\n")
    with pytest.raises(RunError, match=expected):
        _table(tmp_path, "config.yaml", tmp_path)


PNG = b"\x89PNG\r\n\x1a\n not decoded here"


def test_images_come_from_addresses_below_the_images_folder_or_from_anywhere_if_allowed(web, tmp_path):
    web.files |= {"/scans/1.png": PNG, "/other/2.png": PNG + b"2"}
    folder = local_path(f"{web.address}/scans")
    cells = pd.Series(["1.png", f"{web.address}/scans/1.png", f"{web.address}/other/2.png", "3.png", "1.png"])
    located = locate(cells, ImageFolder(folder))
    assert [isinstance(one, ImageFile) for one in located.results] == [True, True, False, False]
    assert len(located.files) == 1
    assert located.files[0].source.read_bytes() == PNG
    outside, absent = located.results[2:]
    assert outside.outside and "`data.allow_outside: true`" in outside.fix
    assert absent.what == "the file 3.png cannot be fetched: nothing is at this address."
    assert [path for command, path, _ in web.log if command == "GET"] == ["/scans/1.png"]
    allowed = locate(cells[2:3], ImageFolder(tmp_path, allow_outside=True))
    assert allowed.files[0].size == len(PNG) + 1


def test_images_that_are_predicted_are_fetched_together(web, tmp_path):
    from mmtrain.columns import Image
    from mmtrain.data.images import locate as module
    from mmtrain.data.images.decode_cells import decode_cells

    calls, fetch_all = [], module.fetch_all
    for number in range(3):
        paint(tmp_path / "x.png", 50 * number)
        web.files[f"/scans/{number}.png"] = (tmp_path / "x.png").read_bytes()
    finder = ImageFinder(ImageFolder(local_path(f"{web.address}/scans")))
    column, cells = Image(column="x", size=(2, 2), channels=1), pd.Series([f"{number}.png" for number in range(3)], dtype="str")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fetch_all", lambda paths: (calls.append(len(paths := list(paths))), fetch_all(paths))[1])
        decoded = decode_cells(cells, column.image_cells, finder, policy="error")
    assert calls[0] == 3
    assert decoded.pixels[:, 0, 0, 0].tolist() == [0, 50, 100]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "shards" / "0001.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for name, content in {"a.png": PNG, f"{'long/' * 40}b.png": PNG + b"b"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_a_cell_names_an_image_in_a_tar_archive(shard, tmp_path):
    cells = pd.Series(["shards/0001.tar#a.png", f"shards/0001.tar#{'long/' * 40}b.png", "shards/0001.tar#c.png", "shards/2.tar#a.png"])
    located = locate(cells, ImageFolder(tmp_path))
    first, second, absent, none = located.results
    assert (first.source, second.source) == (PNG, PNG + b"b")
    assert (absent.what, absent.fix) == ("the archive 0001.tar has no file c.png.", "It has 2 files.")
    assert none.what == "the file shards/2.tar does not exist."
    shard.write_bytes(b"short")
    with pytest.raises(UnreadableImage, match="was changed while it was in use"):
        _ = first.source


def test_images_of_an_archive_are_decoded_in_flight_and_compared(tmp_path):
    from mmtrain.audit.images.file_metadata import equal_bytes, file_facts
    from mmtrain.columns import Image
    from mmtrain.config.experiment import Cache
    from mmtrain.data.images.store import open_store

    paint(tmp_path / "a.png", 7)
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name in ("a.png", "b.png"):
            archive.add(tmp_path / "a.png", name)
    cells, folder = pd.Series(["s.tar#b.png", "s.tar#a.png"]), ImageFolder(tmp_path)
    without_room = Cache(folder=tmp_path / "cache", disk=0, memory=0)
    store, _ = open_store(cells, Image(column="x", size=(2, 2), channels=1).image_cells, folder, cache=without_room)
    assert store.notice
    assert store.take(np.arange(2)).ravel().tolist() == [7] * 8
    files = locate(cells, folder).files
    assert equal_bytes(files, file_facts(files, ends=True).tails).tolist() == [0, 0]


def test_a_compressed_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "z.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    refusal = ImageFinder(ImageFolder(tmp_path)).find("z.tar#a.png")
    assert refusal.fix == "Write it again, as a tar archive without compression."


def test_an_archive_comes_from_an_address(web, shard):
    web.files["/shards/0001.tar"] = shard.read_bytes()
    located = locate(pd.Series(["0001.tar#a.png"]), ImageFolder(local_path(f"{web.address}/shards")))
    assert located.results[0].source == PNG
