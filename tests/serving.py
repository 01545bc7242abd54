"""A project with functions in Python, Ruby and C++, and `sabir serve` of it, for tests of what is served."""
import http.client
import json
import shutil
import signal
import socket
import tempfile
import textwrap
from contextlib import contextmanager
from pathlib import Path

from harness import Machine

FILES = {
    "functions/python/notes.py": '''
        """Notes of a person."""
        import os
        import time
        from dataclasses import dataclass
        from typing import Literal, Optional

        from sabir import Context


        @dataclass
        class Note:
            title: str
            stars: int = 0
            tags: Optional[list[str]] = None


        def shorten(text: str, most: int = 20) -> str:
            """Cuts a text.

            Args:
                text: What to cut.
                most: How many characters stay.
            Effect: read
            """
            return text[:max(most, 0)]


        def rate(note: Note, kind: Literal["plain", "double"] = "plain") -> Note:
            """Gives a note a star more.

            Effect: read
            """
            note.stars += 2 if kind == "double" else 1
            return note


        def who(context: Context) -> dict:
            """Tells who asks.

            Effect: read
            """
            return {"user": context.user, "tenant": context.tenant, "conversation": context.conversation}


        def count(to: int):
            """Counts.

            Effect: read
            """
            for number in range(min(to, 1000)):
                yield number


        def slow(seconds: float, mark: str = "") -> str:
            """Sleeps.

            Effect: read
            """
            if mark:
                open(mark + ".begun", "w").close()
            time.sleep(seconds)
            if mark:
                open(mark + ".done", "w").close()
            return "awake"


        def append(file: str, text: str) -> int:
            """Writes a line more."""
            with open(file, "a") as out:
                out.write(text + "\\n")
            time.sleep({"slowly": 0.3, "very slowly": 5}.get(text, 0))
            return len(open(file).readlines())


        def break_off():
            """Fails half-way.

            Effect: read
            """
            yield 1
            raise ValueError("half-way")


        def fail(secret: str = "") -> str:
            """Fails.

            Effect: read
            """
            raise ValueError("no such note" + secret)
        ''',
    "functions/ruby/stats.rb": '''
        # The mean of some numbers.
        #
        # @param values [Array<Float>] the numbers
        # @return [Float]
        # @effect read
        def mean(values:)
          values.empty? ? 0.0 : values.sum / values.size
        end
        ''',
    "functions/cpp/numbers.cpp": '''
        #include <cstdint>
        #include <string>

        /// Adds two numbers.
        /// @effect read
        std::int64_t add(std::int32_t a, std::int32_t b) { return std::int64_t{a} + b; }

        /// Says a text several times.
        /// @effect read
        std::string repeat(const std::string& text, std::uint8_t times) {
          std::string out;
          for (int i = 0; i < times; ++i) out += text;
          return out;
        }
        ''',
    "completions/greet.prompt": "---\ndescription: A greeting.\n---\nHello {{ name }}!\n",
}


def write_project(folder, config="", files=FILES, languages="python, ruby, cpp"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    (folder / "sabir.yml").write_text("languages: [%s]\n" % languages + textwrap.dedent(config))
    return folder


@contextmanager
def machine_of(binary, cache):
    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    machine = Machine(folder, binary, cache)
    try:
        yield machine
    finally:
        machine.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %r\n%s" % (self.status, dict(self.headers), self.body[:2000])


class Served:
    """A running `sabir serve`."""

    def __init__(self, machine, project, *options, env=None, stderr=None):
        self.machine, self.project = machine, project
        self.process = machine.start(machine.binary, "serve", "--json", "--port", "0", *options, cwd=project, env=env)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("it did not serve: %s" % self.process.stderr.read())
        self.ready = json.loads(line)
        self.address = self.ready.get("address", "")
        self.port = int(self.address.rsplit(":", 1)[1]) if self.address.startswith("http") else None
        self.errors = []
        # What it logs is read all the time, so that it never waits for this.
        import threading
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def ask(self, method, path, body=None, token=None, headers=(), timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            sent = dict(headers)
            if token:
                sent["Authorization"] = "Bearer " + token
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            if body is not None:
                sent.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode("utf-8", "replace"))
        finally:
            connection.close()

    def call(self, address, body=None, **options):
        return self.ask("POST", "/functions/" + address, body if body is not None else {}, **options)

    def raw(self, data, timeout=10, read=True):
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            if not read:
                return b""
            got = b""
            while True:
                try:
                    piece = connection.recv(65536)
                except socket.timeout:
                    return got + b"<timeout>"
                except ConnectionResetError:
                    return got + b"<reset>"
                if not piece:
                    return got
                got += piece

    def log(self):
        return [json.loads(line) for line in self.errors if line.startswith("{")]

    def stop(self, how=signal.SIGTERM, timeout=30):
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout)
        self.reader.join(5)
        return self.process.returncode


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def events_of(text):
    """[(event, data)] of a stream of server-sent events."""
    out = []
    for block in text.split("\n\n"):
        kind, data = "message", []
        for line in block.split("\n"):
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data:
            out.append((kind, "\n".join(data)))
    return out
