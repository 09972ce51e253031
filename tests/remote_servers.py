"""Servers on loopback for tests of remote files: HTTP with ranges, and the part of S3 that reads."""

import hashlib
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Files(BaseHTTPRequestHandler):
    """Serves `server.files`, {path: bytes}; `server.cut` are bytes after which the next answers end, `server.log` the requests."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_): ...

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        path = unquote(urlsplit(self.path).path)
        self.server.log.append((self.command, path, self.headers.get("Range")))
        if self.server.status:
            self.error(self.server.status)
        elif path in self.server.files:
            self.file(self.server.files[path], body)
        else:
            self.other(path, parse_qs(urlsplit(self.path).query))

    def other(self, path, query):
        self.error(404)

    def error(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def file(self, content, body):
        first, last = 0, len(content) - 1
        if given := self.headers.get("Range"):
            start, _, end = given.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or last), last)
        self.send_response(206 if given else 200)
        if given:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        self.send_header("Last-Modified", formatdate(1_700_000_000, usegmt=True))
        self.end_headers()
        if body and self.server.cut and last + 1 - first > self.server.cut[0]:
            self.wfile.write(content[first : first + self.server.cut.pop(0)])
            self.close_connection = True
        elif body:
            self.wfile.write(content[first : last + 1])


class Strict(Files):
    """Refuses HEAD, as the signed address of an object store does; `/cut.csv` ends within its first chunk."""

    def do_HEAD(self):
        self.error(403)

    def do_GET(self, body=True):
        if not self.path.startswith("/cut"):
            super().do_GET(body)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Last-Modified", "yesterday")
        self.end_headers()
        self.wfile.write(b"fff\r\nx,y\n")
        self.close_connection = True


class Whole(Files):
    """Sends files whole, whatever range is asked for."""

    def file(self, content, body):
        del self.headers["Range"]
        super().file(content, body)


class Bucket(Files):
    """The same as the objects of buckets, `/bucket/key`; requests without a signature are refused where `server.signed` is true."""

    def do_GET(self, body=True):
        if self.server.signed and "Authorization" not in self.headers:
            self.error(403)
        else:
            super().do_GET(body)

    def other(self, path, query):
        bucket, _, _ = path.strip("/").partition("/")
        if self.command == "HEAD" or "list-type" not in query:
            self.error(200 if path.strip("/") in {name.split("/")[1] for name in self.server.files} and "/" not in path.strip("/") else 404)
            return
        prefix = query.get("prefix", [""])[0]
        keys = {name.removeprefix(f"/{bucket}/"): content for name, content in self.server.files.items() if name.startswith(f"/{bucket}/")}
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, content in sorted(keys.items())
            if key.startswith(prefix)
        )
        count = f"<KeyCount>{entries.count('<Key>')}</KeyCount>"
        answer = f'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{count}{entries}</ListBucketResult>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@contextmanager
def serve(handler, files, signed=False):
    """Yield the server, whose `address` is that of its root."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.files, server.cut, server.log, server.status, server.signed = dict(files), [], [], 0, signed
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
