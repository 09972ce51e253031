"""Chromium without a window, for tests of pages: what a page says on its console, how wide it is, how it looks.

It is spoken to over a pipe in the Chrome DevTools Protocol: JSON documents, each ended by a zero byte.
"""

import base64
import json
import os
import shutil
import subprocess
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next((found for found in map(shutil.which, NAMES) if found), None)
"""The browser on the PATH, or None."""
OPTIONS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
    *("--no-first-run", "--disable-component-update", "--disable-background-networking"),
]


@contextmanager
def browser(folder):
    """A browser that keeps its profile in `folder`."""
    our_answers, their_answers = os.pipe()
    their_questions, our_questions = os.pipe()
    # It reads from 3 and writes to 4, whatever the pipes are called here.
    started = ["sh", "-c", f'exec "$@" 3</dev/fd/{their_questions} 4>/dev/fd/{their_answers}', "sh", FOUND]
    process = subprocess.Popen(
        [*started, *OPTIONS, f"--user-data-dir={folder}"],
        pass_fds=(their_questions, their_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (their_questions, their_answers):
        os.close(end)
    with open(our_answers, "rb") as answers, open(our_questions, "wb", buffering=0) as questions:
        try:
            yield Page(questions, answers)
        finally:
            process.kill()
            process.wait()


class Page:
    """The one page that is open; `complaints` are the errors and warnings of its console, and whatever it tried to load."""

    def __init__(self, questions, answers):
        self._questions, self._answers = questions, answers
        self._asked, self._waiting, self._session, self._open = 0, b"", None, False
        self.complaints, self.loaded = [], []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, path, *, width=1200, height=900, scheme="light"):
        """Show a file, or an address, in a window of this many CSS pixels."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._open = False
        self.complaints, self.loaded = [], []
        self._ask("Page.navigate", url=path if isinstance(path, str) else path.resolve().as_uri())
        while not self._open:
            self._hear(self._next())

    def value(self, expression):
        """What an expression of JavaScript gives in the page."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def emulate(self, medium):
        """Look as on `print` or `screen`."""
        self._ask("Emulation.setEmulatedMedia", media=medium)

    def press(self, key, *, text=""):
        """Press and release one key."""
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if kind == "keyDown" else {}
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=CODES[key], **typed)

    def screenshot(self, path, *, whole=True):
        """The whole page, or what the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))

    def pdf(self, path):
        """The page as it is printed, on A4."""
        found = self._ask("Page.printToPDF", printBackground=False, paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(base64.b64decode(found["data"]))

    def _ask(self, method, **parameters):
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._questions.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._asked:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._hear(answer)

    def _next(self):
        while b"\0" not in self._waiting:
            piece = self._answers.raw.read(65536)
            assert piece, "the browser has gone"
            self._waiting += piece
        message, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(message)

    def _hear(self, event):
        method, values = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._open = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(values["exceptionDetails"].get("text"))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(" ".join(str(argument.get("value")) for argument in values["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(values["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.loaded.append(values["request"]["url"])


CODES = {"Tab": 9, "Enter": 13}
