"""`mmtrain models download`: from a hub on this machine."""

import fcntl
import json
import os
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep

import pytest
from tiny_encoders import BERT, PIECES, checkpoint, write_safetensors
from typer.testing import CliRunner

from mmtrain.cli.app import app
from mmtrain.encoders import download
from mmtrain.errors import RunError, UsageError

REPOSITORY = "/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"


class Hub:
    """Files by path; `cut` is the number of bytes after which the first answer with weights ends.

    `refuse` are status codes by path, `whole` answers ranges with the whole file, `counted` sends Content-Length, `pause` is a delay in
    seconds before the content.
    """

    def __init__(self, files):
        self.files, self.cut, self.ranges, self.asked = files, None, [], []
        self.refuse, self.whole, self.counted, self.pause = {}, False, True, 0.0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.asked.append(self.path)
                content = hub.files.get(self.path)
                if content is None or self.path in hub.refuse:
                    return self.send_error(hub.refuse.get(self.path, 404))
                start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
                if start:
                    hub.ranges.append((self.path.rpartition("/")[2], start))
                if start >= len(content):
                    return self.send_error(416)
                start = 0 if hub.whole else start
                self.send_response(206 if start else 200)
                if hub.counted:
                    self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                sleep(hub.pause)
                whole = None
                if self.path.endswith("safetensors"):
                    whole, hub.cut = hub.cut, None
                self.wfile.write(content[start:][:whole])
                return None

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def hub(tmp_path):
    write_safetensors(tmp_path / "weights", checkpoint())
    files = {
        "config.json": json.dumps(BERT).encode(),
        "vocab.txt": ("\n".join(PIECES) + "\n").encode(),
        "model.safetensors": (tmp_path / "weights").read_bytes(),
    }
    made = Hub({REPOSITORY + name: content for name, content in files.items()})
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def run(tmp_path, hub, monkeypatch):
    """A function that runs the command, with the right checksum unless another one is given."""
    monkeypatch.delenv(download.HUB_VARIABLE, raising=False)
    right = sha256(hub.files[REPOSITORY + "model.safetensors"]).hexdigest()

    def command(name="all-minilm-l6-v2", checksum=right, *more):
        words = ["models", "download", name, "--sha256", checksum, "--folder", str(tmp_path / "models"), *more]
        return CliRunner().invoke(app, [*words, *(() if "--hub" in more else ("--hub", hub.address))])

    return command


def said(done):
    """Output and error of a command; `mmtrain` itself prints the error."""
    return " ".join(f"{done.output} {done.exception}".split())


def there(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def test_a_model_is_fetched_and_recognized(run, hub, tmp_path):
    done = run()
    assert done.exit_code == 0, done.output
    assert there(tmp_path / "models") == [
        "all-minilm-l6-v2",
        *(f"all-minilm-l6-v2/{name}" for name in ("config.json", "model.safetensors", "vocab.txt")),
    ]
    assert (tmp_path / "models" / "all-minilm-l6-v2" / "model.safetensors").read_bytes() == hub.files[REPOSITORY + "model.safetensors"]
    assert "bert" in done.output
    again = run()
    assert again.exit_code != 0 and "the model already exists. Remove the folder to fetch it again." in said(again)


def test_another_checksum_leaves_nothing(run, tmp_path):
    done = run("all-minilm-l6-v2", "0" * 64)
    assert done.exit_code != 0 and "the files that were fetched are removed. Check the checksum on the hub" in said(done)
    assert there(tmp_path / "models") == []


def test_an_interrupted_download_continues_where_it_stopped(run, hub, tmp_path):
    hub.cut = 100
    done = run()
    assert done.exit_code != 0 and "Try again: it continues from where it stopped." in said(done)
    assert not (tmp_path / "models" / "all-minilm-l6-v2").exists()
    asked = len(hub.asked)
    done = run()
    assert done.exit_code == 0, done.output
    assert hub.ranges == [("model.safetensors", 100)]
    assert REPOSITORY + "config.json" not in hub.asked[asked:]  # it was there


def test_a_changed_file_behind_an_interruption_is_noticed(run, hub, tmp_path):
    hub.cut = 100
    run()
    weights = tmp_path / "models" / ".all-minilm-l6-v2.part" / "model.safetensors.part"
    weights.write_bytes(b"x" * 100)
    assert "has the SHA-256" in said(run())
    assert there(tmp_path / "models") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("all-minilm-l6-v2", "12"), "--sha256: '12' is not a SHA-256. Copy it from the page of the file on the hub"),
        (("all-minilm-l6", "0" * 64), "all-minilm-l6: no family of encoders has a model of this name. Did you mean 'all-minilm-l6-v2'?"),
        (
            ("some/other", "0" * 64),
            "the hub has none of model.safetensors, pytorch_model.bin, open_clip_model.safetensors and open_clip_pytorch_model.bin there. "
            "Check the name of the repository and the revision.",
        ),
        (
            ("all-minilm-l6-v2", "0" * 64, "--hub", "file:///etc"),
            "--hub: 'file:///etc' is not the address of a hub. Give one that begins with https://.",
        ),
        (("all-minilm-l6-v2", "0" * 64, "--hub", ""), "--hub: no hub is set, and mmtrain has no default one. Give the address of a hub"),
        (("all-minilm-l6-v2", "0" * 64, "--hub", "http://127.0.0.1:9"), "the hub cannot be reached: "),
    ],
)
def test_mistakes_are_named(run, tmp_path, words, message):
    done = run(*words)
    assert done.exit_code != 0 and message in said(done)
    assert there(tmp_path / "models") == []


WEIGHTS = REPOSITORY + "model.safetensors"
HALF = 100
"""Bytes of the weights that an interrupted download has."""


@pytest.fixture
def fetch(tmp_path, hub):
    """A function that fetches the model, the folder it takes, and the file of incomplete weights."""
    folder = tmp_path / "models" / "minilm"
    right = sha256(hub.files[WEIGHTS]).hexdigest()

    def call(**options):
        return download.download_model("sentence-transformers/all-MiniLM-L6-v2", folder, **{"hub": hub.address, "sha256": right, **options})

    call.folder, call.partial = folder, folder.with_name(".minilm.part") / "model.safetensors.part"
    return call


def interrupted(fetch, hub):
    hub.cut = HALF
    with pytest.raises(RunError, match=f"the connection ended after {HALF} of {len(hub.files[WEIGHTS]):,} bytes"):
        fetch()


def weights(fetch):
    return (fetch.folder / "model.safetensors").read_bytes()


def test_progress_counts_the_bytes_of_an_earlier_attempt(fetch, hub, monkeypatch):
    monkeypatch.setattr(download, "BLOCK_BYTES", 500)
    interrupted(fetch, hub)
    seen, size = [], len(hub.files[WEIGHTS])
    fetch(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, size) for done in [*range(HALF + 500, size, 500), size]]
    assert weights(fetch) == hub.files[WEIGHTS]


def test_a_hub_that_ignores_ranges_sends_the_file_anew(fetch, hub):
    interrupted(fetch, hub)
    hub.whole = True
    seen = []
    fetch(progress=lambda done, total: seen.append((done, total)))
    assert weights(fetch) == hub.files[WEIGHTS] and seen == [(len(weights(fetch)),) * 2]


def test_complete_bytes_of_an_interrupted_download_are_not_fetched_again(fetch, hub):
    interrupted(fetch, hub)
    fetch.partial.write_bytes(hub.files[WEIGHTS])
    fetch()
    assert weights(fetch) == hub.files[WEIGHTS]
    assert hub.ranges == [("model.safetensors", len(weights(fetch)))]  # which the hub answered with 416


def test_a_hub_without_lengths_has_no_total(fetch, hub):
    interrupted(fetch, hub)
    hub.counted, totals = False, []
    fetch(progress=lambda _, total: totals.append(total))
    assert weights(fetch) == hub.files[WEIGHTS] and set(totals) == {0}


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_passing_trouble_of_the_hub_keeps_what_was_fetched(fetch, hub, code):
    interrupted(fetch, hub)
    hub.refuse = {WEIGHTS: code}
    with pytest.raises(RunError, match=f"the hub answered {code} .*Try again: it continues from where it stopped"):
        fetch()
    assert fetch.partial.read_bytes() == hub.files[WEIGHTS][:HALF]
    hub.refuse = {}
    fetch()
    assert hub.ranges == [("model.safetensors", HALF)] and weights(fetch) == hub.files[WEIGHTS]


def test_a_refused_file_is_an_error_and_not_a_missing_file(fetch, hub):
    interrupted(fetch, hub)
    hub.refuse = {WEIGHTS: 403}
    with pytest.raises(RunError, match=r"the hub answered 403 .*Check the address, and whether the repository is public\."):
        fetch()
    assert not fetch.partial.exists()


@pytest.mark.parametrize("code", [404, 410])
def test_the_second_file_of_weights_is_fetched_where_the_first_is_missing(fetch, hub, code):
    hub.files[REPOSITORY + "pytorch_model.bin"] = b"any"
    hub.refuse = {WEIGHTS: code}
    fetch(sha256=sha256(b"any").hexdigest().upper())
    assert there(fetch.folder) == ["config.json", "pytorch_model.bin", "vocab.txt"]


def test_the_second_file_is_not_fetched_next_to_the_first(fetch, hub):
    hub.files[REPOSITORY + "pytorch_model.bin"] = b"any"
    fetch()
    assert REPOSITORY + "pytorch_model.bin" not in hub.asked


def test_files_in_folders_and_names_of_revisions_with_slashes(fetch, hub):
    hub.files = {name.replace("/main/", "/refs%2Fpr%2F1/"): content for name, content in hub.files.items()}
    hub.files[REPOSITORY.replace("/main/", "/refs%2Fpr%2F1/") + "1_Pooling/config.json"] = b"{}"
    fetch(revision="refs/pr/1")
    assert there(fetch.folder) == ["1_Pooling", "1_Pooling/config.json", "config.json", "model.safetensors", "vocab.txt"]


def test_a_hub_that_stops_sending_is_not_waited_for(fetch, hub, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.05)
    hub.pause = 0.3
    with pytest.raises(RunError, match=r"the connection ended: timed out\. Try again"):
        fetch()


def test_two_processes_do_not_fetch_a_model_at_the_same_time(fetch, hub):
    fetch.partial.parent.mkdir(parents=True)
    other = os.open(fetch.partial.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(RunError, match="another process is fetching this model"):
        fetch()
    os.close(other)
    assert hub.asked == [] and fetch() == fetch.folder


def test_a_folder_that_cannot_be_written_is_named(fetch, hub):
    fetch.folder.parent.write_text("a file where the folder of models would be")
    with pytest.raises(RunError, match=r"a file cannot be written: .*Free disk space, then try again\."):
        fetch()
    assert hub.asked == []


@pytest.mark.parametrize("checksum", ["0" * 63, "0" * 65, "g" * 64])
def test_a_checksum_has_64_hexadecimal_digits(fetch, hub, checksum):
    with pytest.raises(UsageError, match="is not a SHA-256"):
        fetch(sha256=checksum)
    assert hub.asked == []


@pytest.mark.parametrize("name", ["a/../b", "../b", "a/b/c", "a b/c", "/b"])
def test_a_repository_is_an_owner_and_a_model(name):
    with pytest.raises(UsageError, match="no family of encoders has a model of this name"):
        download.repository_of(name)


def test_a_hub_from_the_environment_is_named_in_its_errors(monkeypatch):
    monkeypatch.setenv(download.HUB_VARIABLE, " http://hub.example/ ")
    assert download.hub_address(None) == "http://hub.example"
    assert download.hub_address("https://other.example//") == "https://other.example"
    monkeypatch.setenv(download.HUB_VARIABLE, "hub.example")
    with pytest.raises(UsageError, match=r"MMTRAIN_HUB: 'hub\.example' is not the address of a hub"):
        download.hub_address(None)
