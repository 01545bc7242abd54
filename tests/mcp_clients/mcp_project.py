"""What the tests of MCP share: projects, the packages of its clients, and raw messages over standard input and output."""
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ORACLES = ROOT / "build" / "oracles" / "mcp"
# Independent clients, which script/setup installs.
PACKAGES = ORACLES / "python"
if str(PACKAGES) not in sys.path:
    sys.path.insert(0, str(PACKAGES))
MODERN = "2026-07-28"


def everything(machine):
    """A copy of examples/mcp_everything, whose tools change its files."""
    folder = machine.folder / "everything"
    shutil.copytree(ROOT / "examples" / "mcp_everything", folder, ignore=shutil.ignore_patterns(".sabir", "changing.*", "__pycache__"))
    return folder


def meta(capabilities=None, **more):
    out = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": capabilities or {}}
    out.update({"io.modelcontextprotocol/" + name: value for name, value in more.items()})
    return out


class Raw:
    """`sabir mcp` and what a client might say to it, line by line."""

    def __init__(self, machine, project, *arguments, env=None):
        self.process = subprocess.Popen([str(machine.binary), "mcp", *arguments], cwd=str(project), env=dict(machine.env, **(env or {})), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        machine.started.append(self.process)
        self.buffer = b""
        self.next_id = 0
        self.seen = []

    def send(self, message):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def receive(self, timeout=30):
        end = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, "nothing came within %d s; so far: %r" % (timeout, self.seen[-5:])
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, "the server ended: %s" % self.process.stderr.read().decode()
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        message = json.loads(line)
        self.seen.append(message)
        return message

    def nothing(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return not ready and not self.buffer

    def ask(self, method, params=None, **others):
        """The answer to a request; what comes before it is in `others["before"]`."""
        before = others.get("before", [])
        self.next_id += 1
        self.send({"jsonrpc": "2.0", "id": self.next_id, "method": method, **({} if params is None else {"params": params})})
        while True:
            message = self.receive()
            if message.get("id") == self.next_id and "method" not in message:
                return message
            before.append(message)

    def open(self, revision="2025-11-25", capabilities=None):
        answer = self.ask("initialize", {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": {"name": "test", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer["result"]

    def close(self, timeout=20):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        code = self.process.wait(timeout)
        return code, self.buffer + rest


def serve_http(machine, project, *arguments):
    """`sabir mcp --port 0` of a project; its address. The machine stops it."""
    process = machine.start(machine.binary, "mcp", "--port", "0", "--json", *arguments, cwd=project)
    ready, _, _ = select.select([process.stdout], [], [], 60)
    assert ready, "the server does not answer"
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)["address"]
