"""A terminal for tests: a pty of a given width, and what a person would see on it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
import unicodedata

SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    """`file` writes to it; `close` ends it, after which `screen` and `lines` tell what was seen."""

    def __init__(self, width):
        self.width = width
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        self._bytes = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # of a pty that nobody writes to any more
                return
            if not data:
                return
            self._bytes += data

    def settle(self):
        """Wait until what was written has come through."""
        before = -1
        while before != len(self._bytes):
            before = len(self._bytes)
            time.sleep(0.05)

    def close(self):
        self.file.close()
        self._reader.join(30)
        os.close(self._master)

    @property
    def raw(self):
        """All that was written, as text."""
        return self._bytes.decode("utf-8")

    @property
    def seen(self):
        """Every line that ever stood there, those that others replaced included, without colours."""
        return [line for part in re.split(r"[\r\n]", SEQUENCE.sub("", self.raw)) if (line := part.rstrip())]

    @property
    def screen(self):
        """The lines that stand there at the end."""
        return _screen(self.raw)

    def too_wide(self):
        """Lines that the terminal would have to break by itself."""
        return [line for line in self.seen if columns(line) > self.width]


def columns(text):
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 0 if unicodedata.combining(sign) else 1 for sign in text)


def _screen(text):
    lines, row, column = [""], 0, 0
    position = 0
    while position < len(text):
        if sequence := SEQUENCE.match(text, position):
            position = sequence.end()
            count = int(sequence[1] or 1) if (sequence[1] or "1").isdecimal() else 1
            if sequence[2] == "A":
                row = max(0, row - count)
            elif sequence[2] == "K":
                lines[row] = "" if sequence[1] == "2" else lines[row][:column]
            continue
        sign = text[position]
        position += 1
        if sign == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif sign == "\r":
            column = 0
        else:
            lines[row] = lines[row].ljust(column)[:column] + sign + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def run_on_terminal(*arguments, folder, width, **environment):
    """Run mmtrain in a process of its own with all of its output on a terminal; the exit code and the terminal."""
    terminal = Terminal(width)
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        env.pop(name, None)
    command = [sys.executable, "-m", "mmtrain", *map(str, arguments)]
    done = subprocess.run(
        command, stdin=terminal.file, stdout=terminal.file, stderr=terminal.file, cwd=folder, env=env, check=False, timeout=300
    )
    terminal.close()
    return done.returncode, terminal
