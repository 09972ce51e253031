"""The addresses of a server: every way to send rows has the same answer, and no bad request has a 5xx or the name of a folder."""

import asyncio
import base64
import csv
import gc
import io
import json
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
import weakref
import zipfile
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_serving import cells, form, image_bytes

from mmtrain.artifacts.run_folder import FORMAT
from mmtrain.cli.app import run as command_line
from mmtrain.columns.numeric import Numeric
from mmtrain.columns.pixels.audio import Audio
from mmtrain.columns.pixels.image import Image
from mmtrain.columns.pixels.volume import Volume
from mmtrain.commands.deployment import serve as serve_command
from mmtrain.commands.deployment.container import dockerfile, reader_extras, write_container
from mmtrain.errors import Problem, RunError, UsageError
from mmtrain.serving.batcher import QueueFull
from mmtrain.serving.http import server as server_process
from mmtrain.serving.http.access import Access
from mmtrain.serving.http.answers import Server, _csv, with_image
from mmtrain.serving.http.app import _reload, make_app
from mmtrain.serving.http.bodies import ImageBody
from mmtrain.serving.http.openapi import _example
from mmtrain.serving.http.server import listen
from mmtrain.serving.metrics import Metrics
from mmtrain.serving.refused import Refused
from mmtrain.serving.served_model import Limits, _inline_rows, newer_run, newest_run
from mmtrain.system.memory import freeze_objects

IMAGE = image_bytes(90)
ROW = cells(0) | {"scan": base64.b64encode(IMAGE).decode()}
FORM = {"Content_Type": "multipart/form-data; boundary=part"}
TENSORS = [{"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [[value]]} for name, value in ROW.items()]


def test_every_way_to_send_a_row_has_the_same_answer(served):
    status, answer = served.json("POST", "/predict", {"rows": [ROW]})
    assert status == 200
    assert (answer["model"], answer["run"], len(answer["predictions"])) == ("clinic", "1", 1)
    expected = answer["predictions"][0]
    assert expected["status"] == "ok"
    assert 0 < expected["calibrated_high"] < 1
    file = io.StringIO()
    writer = csv.DictWriter(file, list(ROW))
    writer.writeheader()
    writer.writerow(ROW)
    ways = [
        ("/predict", [ROW], {}),
        ("/models/clinic/predict", ROW, {}),
        ("/predict", {"instances": [ROW]}, {}),
        ("/predict", form(ROW | {"scan": IMAGE}), FORM),
        ("/predict", file.getvalue(), {"Content_Type": "text/csv", "Accept": "application/json"}),
    ]
    for path, body, headers in ways:
        assert served.json("POST", path, body, **headers) == (200, answer)
    status, answer = served.json("POST", "/v2/models/clinic/infer", {"id": "a", "inputs": TENSORS})
    assert (status, answer["model_name"], answer["model_version"], answer["id"]) == (200, "clinic", "1", "a")
    assert {one["name"]: one["data"][0] for one in answer["outputs"]} == {key: value for key, value in expected.items() if key != "id"}
    status, text, headers = served.ask("POST", "/predict", file.getvalue(), Content_Type="text/csv")
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert next(csv.DictReader(io.StringIO(text)))["probability_high"] == str(expected["probability_high"])


def test_an_image_alone_is_a_row_with_the_cells_of_the_address(served):
    status, answer = served.json("POST", "/predict?age=41&city=ulm", IMAGE, Content_Type="image/png")
    assert status == 200
    assert answer["predictions"][0]["status"].startswith("dose: missing, imputed; smokes: missing")


def test_a_column_without_a_header_is_not_an_image(served):
    # The index of a data frame is written without a header.
    table = "," + ",".join(ROW) + "\n0," + ",".join(map(str, ROW.values()))
    expected = served.json("POST", "/predict", [ROW])
    assert served.json("POST", "/predict", table, Content_Type="text/csv", Accept="application/json") == expected
    assert served.json("POST", "/predict", [ROW | {"": 0}]) == expected


def test_a_model_without_images_refuses_one():
    model = SimpleNamespace(predictor=SimpleNamespace(reader=SimpleNamespace(image_headers={})))
    with pytest.raises(Refused, match=r"^the model reads no images\. Send rows, as application/json or text/csv\.$"):
        with_image(model, [{"": ImageBody(IMAGE)}])


def test_a_form_has_several_rows_where_fields_are_there_several_times(served):
    body = form(ROW | {"scan": IMAGE}).replace(b"--part--\r\n", b"") + form({"scan": image_bytes(10)})
    status, answer = served.json("POST", "/predict", body, **FORM)
    assert (status, len(answer["predictions"])) == (200, 2)
    odd = body.replace(b"--part--\r\n", b"") + form({"scan": IMAGE, "age": "3"})
    status, answer = served.json("POST", "/predict", odd, **FORM)
    assert (status, answer["error"]) == (
        400,
        "the field 'age' is there 2 times, another one 3 times. Send each field once, or once for each row.",
    )


JSON = {"Content_Type": "application/json"}
REFUSED = [
    ("GET", "/predict", None, {}, 405, "this address takes POST, not GET; see /docs."),
    ("GET", "/../../etc/passwd", None, {}, 404, "there is nothing at this address. /docs lists what there is."),
    ("POST", "/models/x/predict", [ROW], {}, 404, "there is no model 'x'. There are clinic."),
    ("POST", "/predict", b"", JSON, 400, "the body is not a JSON document: Expecting value: line 1 column 1."),
    ("POST", "/predict", b"\xff", JSON, 400, "the body is not a JSON document: it is not UTF-8."),
    ("POST", "/predict", b"[" * 50_000, JSON, 400, "the body is not a JSON document: it is nested too deeply."),
    ("POST", "/predict", b"1" * 5000, JSON, 400, "the body is not a JSON document: a number has too many digits."),
    ("POST", "/predict", [], {}, 400, "the request has no row."),
    ("POST", "/predict", [1], {}, 400, "row 0 is not an object."),
    ("POST", "/predict", {"age": 3}, {}, 422, "row 0: the row has no 'dose', 'city'"),
    ("POST", "/predict", [ROW] * 31, {}, 413, "the request has 31 rows, more than 30."),
    ("POST", "/predict", b" " * 100_001, JSON, 413, "the body has more than 100,000 bytes."),
    ("POST", "/predict", b"x", {"Content_Type": "text/plain"}, 415, "bodies of the type 'text/plain' are not read."),
    (
        "POST",
        "/predict",
        b"a=1",
        {"Content_Type": "application/x-www-form-urlencoded"},
        415,
        "the body has the type application/x-www-form-urlencoded, which curl",
    ),
    ("POST", "/predict", b'a,b\n1,"2', {"Content_Type": "text/csv"}, 400, "the table is damaged: unexpected end of data."),
    ("POST", "/predict", b"a,b\n1", {"Content_Type": "text/csv"}, 400, "row 0 of the table has 1 cells; the headers are 2."),
    ("POST", "/predict", b"a,b1,2", {"Content_Type": "text/csv"}, 400, "the table has a single line. Send a line of headers"),
    ("POST", "/predict", b"a,b,a\n1,2,3", {"Content_Type": "text/csv"}, 400, "the table has the header 'a' twice."),
    ("POST", "/predict", b"\x1f\x8b", JSON | {"Content_Encoding": "gzip"}, 415, "the body is compressed by 'gzip', which is not read."),
    ("POST", "/predict", b"nonsense", FORM, 400, "the form is damaged"),
    ("POST", "/predict", b"nonsense", {"Content_Type": "multipart/form-data"}, 400, "the form is damaged"),
    ("POST", "/explain", [ROW, ROW], {}, 400, "one row is explained at a time."),
    ("POST", "/explain?target=z", [ROW], {}, 400, "the model predicts no 'z'. It predicts y."),
    ("POST", "/v2/models/clinic/infer", [], {}, 400, "the request has no list of inputs."),
    ("POST", "/v2/models/clinic/infer", {"inputs": [{}]}, {}, 400, "input 0 has no name."),
    ("POST", "/v2/models/clinic/infer", {"inputs": [{"name": "a", "datatype": "X"}]}, {}, 400, "the input 'a' has the datatype 'X'."),
    ("POST", "/v2/models/clinic/infer", {"inputs": [{"name": "a", "datatype": []}]}, {}, 400, "the input 'a' has the datatype '[]'."),
    ("POST", "/v2/models/clinic/infer", {"inputs": TENSORS, "outputs": [{"name": []}]}, {}, 400, "there is no output '[]'."),
    ("POST", "/v2/models/clinic/infer", {"inputs": []}, {}, 400, "the list of inputs is empty."),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "words"), REFUSED)
def test_a_bad_request_is_refused_with_a_sentence(served, clinic, method, path, body, headers, status, words):
    found, text, _ = served.ask(method, path, body, **headers)
    assert (found, json.loads(text)["error"][: len(words)]) == (status, words)
    assert str(clinic) not in text


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ({"type": "number", "median": 12.850000000000001}, 12.85),
        ({"type": "number", "median": None}, None),
        ({"type": "category", "categories": ["F", "M"]}, "F"),
        ({"type": "text"}, ""),
    ],
)
def test_an_example_of_a_cell_is_one_that_a_person_would_write(column, cell):
    assert _example(column) == cell


def test_the_page_of_addresses_has_commands_that_can_be_pasted(served):
    text = unescape(served.ask("GET", "/docs")[1])
    command = next(line for line in text.splitlines() if "application/json' -d " in line)
    words = shlex.split(command.partition("<pre>")[2])
    assert words[:2] == ["curl", f"http://127.0.0.1:{served.port}/models/clinic/predict"]
    row = json.loads(words[-1])
    assert row | {"age": 39.0, "city": "bonn", "scan": "FILE IN BASE64"} == row
    status, answer = served.json("POST", "/models/clinic/predict", row | {"scan": base64.b64encode(IMAGE).decode()})
    assert (status, answer["predictions"][0]["prediction"] is None) == (200, False)
    assert "-F scan=@FILE" in text


def test_a_full_queue_a_slow_network_and_little_memory_are_503_with_words(served, monkeypatch):
    words = {
        QueueFull(): "more than 4,000 rows wait to be predicted. Try again later.",
        TimeoutError(): "there was no prediction within 120 seconds. Try again later.",
        RunError([]): "there is not enough memory for these rows. Send fewer rows at once.",
    }
    for error, sentence in words.items():

        async def submit(rows, error=error):
            raise error

        monkeypatch.setattr(served.server.model().batcher, "submit", submit)
        status, text, headers = served.ask("POST", "/predict", [ROW])
        assert (status, json.loads(text)["error"], headers["retry-after"]) == (503, sentence, "1")


def test_states_metadata_and_metrics(served):
    for path in ("/health", "/ready", "/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/clinic/ready", "/docs", "/openapi.json"):
        assert served.ask("GET", path)[0] == 200
    model = served.json("GET", "/models")[1]["models"][0]
    columns = {column["name"]: column for column in model["columns"]}
    assert columns["age"] == {"name": "age", "required": True, "type": "number", "minimum": 20.0, "maximum": 69.0, "median": 39.0}
    assert (columns["city"]["categories"], columns["scan"]["type"], columns["who"]["type"]) == (["bonn", "trier", "ulm"], "image", "id")
    assert (model["targets"][0]["labels"], model["targets"][0]["conformal"]) == (["high", "low"], "set")
    tensors = served.json("GET", "/v2/models/clinic")[1]
    assert {one["name"]: one["datatype"] for one in tensors["inputs"]}.items() >= {"age": "FP64", "scan": "BYTES"}.items()
    assert [one["name"] for one in tensors["outputs"]][-1] == "status"
    served.json("POST", "/predict", [ROW | {"age": 500, "city": "rom"}] * 30)
    text = served.ask("GET", "/metrics")[1]
    for line in (
        'mmtrain_model_info{model="clinic",run="1"} 1',
        'mmtrain_drift{model="clinic",column="city",kind="unseen"} 1',
        'mmtrain_requests_total{route="/v2",status="200"} 1',
    ):
        assert line in text.splitlines()
    assert int(re.search(r'mmtrain_cells_total{model="clinic",column="age",kind="outside_range"} (\d+)', text)[1]) >= 30
    assert float(re.search(r'mmtrain_batch_rows_sum{model="clinic"} (\d+)', text)[1]) >= 30
    for line in text.splitlines():  # as Prometheus reads it
        assert re.fullmatch(r'(# (HELP|TYPE) \w+ .+)|([a-z_]+({(\w+="([^"\\]|\\.)*",?)+})? [0-9.e+-]+)', line), line


def test_the_page_loads_nothing_from_elsewhere(served):
    status, text, headers = served.ask("GET", "/")
    assert status == 200
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert re.search(r"script-src 'sha256-[\w+/]+=*'", headers["content-security-policy"])


def mutated(random_state):
    """A request with something wrong in it, perhaps."""
    junk = [
        None,
        "",
        "x" * 300,
        -1,
        1e308,
        float("nan"),
        [],
        ["a"],
        [1],
        {},
        {"a": []},
        True,
        "\ud800",
        "\0",
        "data:image/png;base64,AA",
        "../a",
    ]
    row = {name: random_state.choice(junk) if random_state.random() < 0.4 else value for name, value in ROW.items()}
    if random_state.random() < 0.2:
        row.pop(random_state.choice(list(row)))
    kind = random_state.randrange(6)
    if kind == 0:
        body = form({name: value for name, value in row.items() if isinstance(value, str) and value.isascii()} | {"scan": IMAGE})
    elif kind == 1:
        image = bytearray(random_state.choice([IMAGE, image_bytes(40, "JPEG", (40, 30)), image_bytes(9, "GIF"), image_bytes(9, "BMP")]))
        for _ in range(random_state.randrange(1, 9)):
            image[random_state.randrange(len(image))] = random_state.randrange(256)
        body = json.dumps([row | {"scan": base64.b64encode(image[: random_state.randrange(1, len(image) + 1)]).decode()}]).encode()
    elif kind == 2:
        body = json.dumps(
            {"inputs": [{"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in row.items()]}
        ).encode()
    else:
        body = json.dumps(random_state.choice([row, [row], {"rows": [row] * 3}, {"rows": row}])).encode()
    if random_state.random() < 0.3:
        body = bytearray(body)
        body[random_state.randrange(len(body))] = random_state.randrange(256)
    types = ["application/json", "multipart/form-data; boundary=part", "text/csv", "image/png", "x/y", ""]
    usual = types[1] if kind == 0 else types[0]
    content_type = usual if random_state.random() < 0.9 else random_state.choice(types)
    path = random_state.choice(
        ["/v2/models/clinic/infer"] if kind == 2 else ["/predict", "/models/clinic/predict", "/models/%2e%2e/predict"]
    )
    return path, bytes(body), content_type


@pytest.mark.parametrize("count", [150, pytest.param(2000, marks=pytest.mark.slow)])
def test_nothing_that_is_sent_has_a_5xx_or_tells_a_path(served, clinic, count):
    random_state, statuses = random.Random(count), set()
    for _ in range(count):
        path, body, content_type = mutated(random_state)
        status, text, _ = served.ask("POST", path, body, Content_Type=content_type)
        assert status < 500, (path, body[:500], content_type, text)
        assert str(clinic) not in text
        assert "Traceback" not in text
        json.loads(text) if "predictions" in text or "error" in text else None
        statuses.add(status)
    assert statuses >= {200, 400, 422}


class Asked:
    """A request as `Access` sees it."""

    def __init__(self, host="127.0.0.1", **headers):
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.client = type("Client", (), {"host": host})


def test_a_key_is_asked_for_and_a_client_has_a_rate():
    access = Access("secret")
    access.check(Asked(x_api_key="secret"))
    access.check(Asked(authorization="Bearer secret"))
    for wrong in (Asked(), Asked(x_api_key="secre"), Asked(authorization="Basic secret"), Asked(x_api_key="ä")):
        with pytest.raises(Refused, match=r"the request has no valid API key\.") as refused:
            access.check(wrong)
        assert refused.value.status == 401
    time = [0.0]
    access = Access(rate=2, clock=lambda: time[0])
    for _ in range(4):
        access.check(Asked())
    access.check(Asked("127.0.0.2"))
    with pytest.raises(Refused, match="more than 2 requests per second") as refused:
        access.check(Asked())
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    time[0] = 0.6
    access.check(Asked())


@pytest.mark.parametrize(("host", "key", "noted"), [("0.0.0.0", "", True), ("0.0.0.0", "secret", False), ("127.0.0.1", "", False)])
def test_an_address_for_everyone_without_a_key_is_noted(monkeypatch, host, key, noted):
    monkeypatch.setattr(serve_command, "_models", lambda *_: {})
    monkeypatch.setattr(server_process, "run", lambda *_: None)
    said = []
    serve_command.serve([], serve_command.ServeOptions(host, 0, key), say=said.append)
    assert said == ["note: everyone who reaches this address is answered. Set --api-key to ask for a key."] * noted


def test_the_document_of_addresses_names_columns_only_where_no_key_is_needed(served):
    for key, named in (("", True), ("secret", False)):
        made = make_app(Server(served.server.models, Limits(), Access(key), Metrics())).openapi()
        assert "/predict" in made["paths"]
        assert ('"age"' in json.dumps(made)) is named
        (name,) = made["paths"]["/models/{name}/predict"]["post"]["parameters"]
        assert name["schema"].get("enum") == (["clinic"] if named else None)


def test_every_reference_in_the_document_of_addresses_is_found_there(served):
    _, made = served.json("GET", "/openapi.json")
    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(made)))
    assert references <= set(made["components"]["schemas"])
    error = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    assert made["paths"]["/models/{name}/predict"]["post"]["responses"]["422"]["content"]["application/json"]["schema"] == error


def test_a_table_of_predictions_has_ids_that_only_some_rows_have():
    assert _csv([{"status": "ok"}, {"id": "a", "status": "ok"}]) == b"row,id,status\n0,,ok\n1,a,ok\n"


def test_the_memory_of_all_requests_together_is_bounded():
    server = Server({}, Limits(max_bytes=100, bytes_in_flight=150), Access(), Metrics())
    with server.admitted(Asked(content_length="70")):
        with server.admitted(Asked(content_length="80")):
            for more in (Asked(content_length="1"), Asked()):
                with pytest.raises(Refused, match="requests of more than 150 bytes are being answered") as refused, server.admitted(more):
                    pass
                assert refused.value.status == 503
        with server.admitted(Asked(content_length="80")):
            pass


def test_the_newest_run_with_a_model_is_served(tmp_path):
    def begin(name, number, state, *files):
        folder = tmp_path / "runs" / name / str(number)
        folder.mkdir(parents=True)
        facts = {"format": FORMAT, "name": name, "state": state, "started": "2026-01-01T00:00:00+00:00"}
        (folder / "run.json").write_text(json.dumps(facts))
        for file in files:
            (folder / file).touch()
        return folder

    first = begin("a", 1, "finished", "model.keras")
    begin("a", 2, "finished", "model.keras")
    begin("a", 3, "running", "model.keras")
    begin("a", 4, "finished")
    begin("b", 1, "running")
    newest = newest_run("a", tmp_path / "runs")
    assert newest.folder.name == "2"
    assert newer_run("a", tmp_path / "runs", newest) is None
    assert newer_run("a", tmp_path / "runs", newest_run(str(first), tmp_path)).folder.name == "2"
    with pytest.raises(UsageError, match=r"none of its runs has a trained model\. .* resume the latest: mmtrain fit --resume .*/runs/b/1$"):
        newest_run("b", tmp_path / "runs")
    begin("b", 2, "finished", "search.json")
    with pytest.raises(UsageError, match=r"The latest is a search; train its best experiment: mmtrain fit .*/runs/b/2/best\.yaml$"):
        newest_run("b", tmp_path / "runs")


def test_a_run_that_cannot_be_opened_is_noted_once_and_looked_at_again():
    errors = [IsADirectoryError("run.json"), RunError(Problem("a/2", "it is damaged.")), RunError(Problem("a/2", "it is damaged."))]
    said = []

    class Model:
        name, version = "a", "3"

        async def reload(self):
            if errors:
                raise errors.pop(0)
            return True

    async def test():
        task = asyncio.create_task(_reload(SimpleNamespace(models={"a": Model()}), 0.001, said.append))
        async with asyncio.timeout(5):
            while len(said) < 3:
                await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(test())
    assert said[:3] == ["note: run.json", "note: a/2: it is damaged.", "a is answered by run 3 now."]


def test_without_its_packages_the_command_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(serve_command, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"the package fastapi is not installed\. Run `pip install 'mmtrain\[serve\]'`\."):
        serve_command.serve(["a"], serve_command.ServeOptions())


def test_an_address_that_is_taken_is_told():
    bound = listen("127.0.0.1", 0)
    with bound, pytest.raises(UsageError, match="address already in use"):
        listen("127.0.0.1", bound.getsockname()[1])


def test_an_address_of_another_machine_needs_another_host():
    with pytest.raises(UsageError, match=r"^192\.0\.2\.1:0: .* Give an address of this machine as --host; 0\.0\.0\.0 is all of them\.$"):
        listen("192.0.2.1", 0)


def test_answers_do_not_wait_for_the_acknowledgement_of_their_headers():
    # asyncio turns Nagle's algorithm off for sockets that are named as TCP.
    with listen("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_a_mistake_is_found_before_a_model_is_opened_and_frees_the_port(clinic):
    with listen("127.0.0.1", 0) as bound:
        options, said = serve_command.ServeOptions(port=bound.getsockname()[1]), []
    for _ in range(2):
        with pytest.raises(UsageError, match="two of the runs are called 'clinic'"):
            serve_command.serve(["clinic", "clinic/1"], options, output=clinic / "runs", say=said.append)
    assert said == []


def test_metrics_escape_labels():
    metrics = Metrics()
    metrics.set("mmtrain_queue_rows", 1, model='a"b\\c\nd')
    assert metrics.text().splitlines()[-1] == 'mmtrain_queue_rows{model="a\\"b\\\\c\\nd"} 1'


def test_a_container_folder_has_the_run_without_its_rows(clinic, tmp_path, capsys):
    folder = write_container("clinic", tmp_path / "container", output=clinic / "runs")
    assert {path.name for path in folder.iterdir()} == {"Dockerfile", ".dockerignore", "run.zip", "wheels"}
    text = (folder / "Dockerfile").read_text()
    assert text.startswith("# Serves clinic/1: ")
    assert 'CMD ["mmtrain", "serve", "run", "--host", "0.0.0.0", "--port", "8000", "--reload", "0"]' in text
    assert str(clinic) not in text
    # Without a release on the package index, mmtrain comes from a wheel in the folder.
    assert "COPY wheels /wheels\n" in text
    assert "--find-links /wheels " in text
    assert "!wheels\n" in (folder / ".dockerignore").read_text()
    assert "pip wheel --no-deps --wheel-dir wheels PATH_OF_MMTRAIN" in (folder / "wheels" / "README.txt").read_text()
    names = zipfile.ZipFile(folder / "run.zip").namelist()
    assert {"model.keras", "config.yaml", "columns.json", "statistics.json"} <= set(names)
    assert not [name for name in names if name.startswith("predictions_")]
    (tmp_path / "own.py").write_text("OWN = 1\n")
    own = write_container("clinic", tmp_path / "own", code=[tmp_path / "own.py"], output=clinic / "runs")
    assert (own / "code" / "own.py").read_text() == "OWN = 1\n"
    assert "COPY --chown=mmtrain code ./code\n" in (own / "Dockerfile").read_text()
    assert '"--reload", "0", "--code", "code/own.py"]' in (own / "Dockerfile").read_text()
    with pytest.raises(UsageError, match="there is something here already"):
        write_container("clinic", folder, output=clinic / "runs")
    others = ["--quantize", "int8", "--images", str(clinic), "--force"]
    assert command_line(["export", "clinic", "--output", str(clinic / "runs"), "--format", "container", *others]) == 2
    assert "a container serves the run as it is. Leave --quantize, --images and --force out." in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("columns", "extras"),
    [
        ([Numeric(column="age")], "serve"),
        ([Image(column="scan")], "serve,heif,medical,tiff"),
        ([Image(column="scan", suffix=".png")], "serve"),
        ([Image(column="scan", suffix=".TIF")], "serve,tiff"),
        ([Volume(column="scan", suffix=".nii.gz"), Audio(column="cough")], "serve,audio,medical"),
    ],
)
def test_a_container_has_the_readers_of_its_columns(columns, extras):
    text = dockerfile("clinic/1", (), reader_extras({one.column: one for one in columns}))
    assert f"ARG EXTRAS={extras}\n" in text
    assert '"mmtrain[$EXTRAS]==' in text


def test_the_dockerfile_passes_a_linter(tmp_path):
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed")
    (tmp_path / "Dockerfile").write_text(dockerfile("clinic/1", ["own.py"]))
    found = subprocess.run([linter, tmp_path / "Dockerfile"], check=False, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(("slow_from", "inline"), [(1, 0), (5, 4), (17, 16), (1000, 64)])
def test_calls_are_made_between_requests_up_to_the_rows_that_take_milliseconds(slow_from, inline):
    predictor = SimpleNamespace(most_rows=100, predict=lambda rows: time.sleep(0.02 if len(rows) >= slow_from else 0))
    assert _inline_rows(predictor, None) == inline


def test_a_server_leaves_what_it_has_loaded_to_no_garbage_collection():
    class Cycle: ...

    lost = Cycle()
    lost.itself, known = lost, weakref.ref(lost)
    gc.freeze()
    del lost
    freeze_objects()
    assert known() is not None
    freeze_objects(again=True)
    assert known() is None
    assert gc.get_freeze_count() > 1000


@pytest.mark.parametrize(("note", "in_thread"), [("short", False), ("word " * 5000, True)])
def test_a_row_with_a_long_text_does_not_keep_other_requests_waiting(served, monkeypatch, note, in_thread):
    model, threads = served.server.model(), []
    predict = model.predictor.predict
    monkeypatch.setattr(model.predictor, "predict", lambda rows: threads.append(threading.current_thread()) or predict(rows))
    for name in ("batcher", "drift"):
        monkeypatch.setattr(model, name, getattr(model, name))  # those that the next call changes

    async def one_request():
        model._use(model.predictor, 64)
        await model.predict([ROW | {"note": note}])
        await model.batcher.drain()

    asyncio.run(one_request())
    assert [thread is not threading.current_thread() for thread in threads] == [in_thread]
