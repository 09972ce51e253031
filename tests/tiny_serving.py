"""A table with a column of every role for the tests of `mmtrain serve`."""

import http.client
import io
import json
import threading

import numpy as np
import PIL.Image

CONFIG = """
name: clinic
data: {images: scans, missing_values: [none]}
columns:
  who: {role: id}
  age: {role: numeric, missing: error}
  dose: {role: numeric}
  city: {role: categorical}
  smokes: {role: categorical}
  note: {role: text}
  story: {role: text, vectorize: hashed, buckets: 64, missing: mask}
  words: {role: text, vectorize: tokens}
  scan: {role: image, size: [8, 8], channels: 1, missing: mask}
  y: {role: target, task: binary}
branches:
  scan: {columns: [scan], filters: [4]}
  words: {columns: [words]}
  rest: {columns: [age, dose, city, smokes, note, story]}
split: {method: random, seed: 3}
training: {epochs: 1, deterministic: true, optimizer: sgd}
evaluation: {calibration: temperature, conformal: 0.9}
"""


def cells(row):
    """A row of the table; holes are in other rows for each column."""
    return {
        "who": f"p{row}",
        "age": 20 + row % 50,
        "dose": "" if row % 5 == 1 else row % 9 + 0.5,
        "city": "" if row % 6 == 1 else ("ulm", "bonn", "trier")[row % 3],
        "smokes": row % 2,
        "note": "" if row % 10 == 3 else f"Word{row % 5} of all",
        "story": "" if row % 7 == 2 else f"once upon a time {row % 4}",
        "words": f"one two three {row % 3}",
        "scan": "" if row % 9 == 2 else f"{row % 20}.png",
        "y": ("low", "high")[row % 2],
    }


def image_bytes(level, kind="PNG", size=(8, 8)):
    """The bytes of an image file of one brightness."""
    file = io.BytesIO()
    PIL.Image.fromarray(np.full(size, level, np.uint8)).save(file, kind)
    return file.getvalue()


class Served:
    """A server in a thread of this process, at a port of the loopback interface."""

    def __init__(self, models, limits, access, metrics):
        import uvicorn

        from mmtrain.serving.http.answers import Server
        from mmtrain.serving.http.app import make_app
        from mmtrain.serving.http.server import listen

        self.server, self.metrics = Server(models, limits, access, metrics), metrics
        self._bound = listen("127.0.0.1", 0)
        self.port = self._bound.getsockname()[1]
        config = uvicorn.Config(make_app(self.server), log_level="error", access_log=False, timeout_graceful_shutdown=5)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([self._bound],), daemon=True)
        self._thread.start()

    def ask(self, method, path, body=None, **headers):
        """The status, the text and the headers of an answer; a dictionary or a list is sent as JSON."""
        if isinstance(body, dict | list):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json"} | headers
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=150)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()

    def json(self, method, path, body=None, **headers):
        """The status and the document of an answer."""
        status, text, _ = self.ask(method, path, body, **headers)
        return status, json.loads(text)

    def close(self):
        self._uvicorn.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


def form(row, boundary="part"):
    """A row as multipart/form-data; bytes are files."""
    parts = []
    for name, value in row.items():
        file = '; filename="a.png"\r\nContent-Type: image/png' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else str(value).encode()
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
