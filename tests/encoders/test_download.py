"""`mmtrain models download`: from a hub on this machine."""

import json
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tiny_encoders import BERT, PIECES, checkpoint, write_safetensors
from typer.testing import CliRunner

from mmtrain.cli.app import app
from mmtrain.encoders import download

REPOSITORY = "/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"


class Hub:
    """Files by path; `cut` is the number of bytes after which the first answer with weights ends."""

    def __init__(self, files):
        self.files, self.cut, self.ranges, self.asked = files, None, [], []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.asked.append(self.path)
                content = hub.files.get(self.path)
                if content is None:
                    return self.send_error(404)
                start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
                if start:
                    hub.ranges.append((self.path.rpartition("/")[2], start))
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                whole = None
                if self.path.endswith("safetensors"):
                    whole, hub.cut = hub.cut, None
                self.wfile.write(content[start:][:whole])
                return None

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


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
            "the hub has no model.safetensors or pytorch_model.bin there. Check the name of the repository and the revision.",
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
