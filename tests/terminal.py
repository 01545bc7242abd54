"""A terminal for tests: a program on a pseudo-terminal, and what a person would see of it, by the emulator pyte."""
import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time

import pyte

SOON = float(os.environ.get("SABIR_TEST_SOON", 60))


class Screen(pyte.Screen):
    """With SU and SD, which pyte lacks."""

    def _from_the_top(self, what, count):
        at = self.cursor.y
        self.cursor.y = self.margins.top if self.margins else 0
        column = self.cursor.x
        what(count)
        self.cursor.y, self.cursor.x = at, column

    def scroll_up(self, count=None):
        self._from_the_top(self.delete_lines, count)

    def scroll_down(self, count=None):
        self._from_the_top(self.insert_lines, count)


class Stream(pyte.ByteStream):
    csi = dict(pyte.ByteStream.csi, S="scroll_up", T="scroll_down")
    events = pyte.ByteStream.events | {"scroll_up", "scroll_down"}


class Terminal:
    def __init__(self, machine, command, cwd, columns=100, rows=30, env=None):
        self.columns, self.rows = columns, rows
        self.screen = Screen(columns, rows)
        self.stream = Stream(self.screen)
        self.raw = b""
        self.lock = threading.Lock()
        self.status = None
        # The emulator knows what screen-256color is asked for, and not all of xterm's.
        environment = dict(machine.env, LINES="24", COLUMNS="80", **dict({"TERM": "screen-256color"}, **(env or {})))
        self.before = None
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            # Until the window has its size.
            while struct.unpack("hhhh", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))[0] == 0:
                time.sleep(0.01)
            os.execvpe(str(command[0]), [str(word) for word in command], environment)
        self.before = termios.tcgetattr(self.master)
        self._size()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _size(self):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("hhhh", self.rows, self.columns, 0, 0))

    def _read(self):
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                return
            if not piece:
                return
            with self.lock:
                self.raw += piece
                self.stream.feed(piece)

    @property
    def lines(self):
        with self.lock:
            return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def until(self, words, soon=SOON):
        """Waits until the screen has the words, or satisfies a function."""
        fits = words if callable(words) else lambda text: words in text
        begin = time.monotonic()
        while time.monotonic() - begin < soon:
            if fits(self.text):
                return self.text
            time.sleep(0.02)
        raise AssertionError("%r is not on the screen:\n%s" % (words, self.text))

    def without(self, words):
        return self.until(lambda text: words not in text)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        with self.lock:
            self.screen.resize(rows, columns)
            self.screen.reset()
        self._size()

    def wait(self, soon=SOON):
        """The program's exit status, negative for a signal."""
        begin = time.monotonic()
        while time.monotonic() - begin < soon:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.reader.join(5)
                return self.status
            time.sleep(0.02)
        raise AssertionError("it does not end:\n" + self.text)

    def is_restored(self):
        """Whether the terminal is as it was before the program."""
        with self.lock:
            left = self.raw.rfind(b"\x1b[?1049l") > self.raw.rfind(b"\x1b[?1049h") and self.raw.rfind(b"\x1b[?2026h") < self.raw.rfind(b"\x1b[?2026l")
            visible = self.raw.rfind(b"\x1b[?25l") < max(self.raw.rfind(b"\x1b[?25h"), self.raw.rfind(b"\x1b[34h\x1b[?25h"))
        return left and visible and termios.tcgetattr(self.master) == self.before

    def close(self):
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        os.close(self.master)
