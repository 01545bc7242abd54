"""Calls per second, 64 in flight, of Sabir's Python functions and of what else serves a Python function: they take turns.

    peers.py PYTHON GRPC_CLIENT [--json] [--rounds N] -- RATES…

PYTHON has the packages of peers/requirements.txt; RATES is the command of `bench_functions … --rates python`.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
TEXT = "x" * 100
WINDOW = 64
SECONDS = 1.0
DEADLINE = 60


class Rates:
    """Ours."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rate(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)


class Grpc:
    def __init__(self, python, client):
        self.client = client
        self.folder = tempfile.TemporaryDirectory()
        self.socket = os.path.join(self.folder.name, "grpc")
        self.process = subprocess.Popen([python, str(PEERS / "grpc_server.py"), self.socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def rate(self):
        return float(subprocess.run([self.client, self.socket, TEXT, str(SECONDS)], stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True).stdout)

    def close(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.folder.cleanup()


class Mcp:
    """A server over stdio, one JSON text a line."""

    def __init__(self, python, script):
        self.process = subprocess.Popen([python, str(PEERS / script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.send({"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                                                               "clientInfo": {"name": "bench", "version": "1"}}})
        assert "result" in self.receive()
        self.send({"method": "notifications/initialized"})
        self.next = 1
        self.rate(0.2)

    def send(self, message):
        self.process.stdin.write(json.dumps(dict({"jsonrpc": "2.0"}, **message)).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self):
        while True:
            message = json.loads(self.process.stdout.readline())
            if "id" in message:
                return message

    def call(self):
        self.send({"id": self.next, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": TEXT}}})
        self.next += 1

    def rate(self, seconds=SECONDS):
        answered, begin = 0, time.perf_counter()
        for _ in range(WINDOW):
            self.call()
        while time.perf_counter() - begin < seconds:
            assert TEXT in json.dumps(self.receive()["result"])
            answered += 1
            self.call()
        took = time.perf_counter() - begin
        for _ in range(WINDOW):
            self.receive()
        return answered / took

    def close(self):
        self.process.kill()
        self.process.wait(DEADLINE)


class Process:
    """A process for each call, as many at once as there are cores."""

    def __init__(self, python):
        # Not a virtual environment's: it starts more slowly.
        self.command = [os.path.realpath(python), "-I", str(PEERS / "process.py"), json.dumps({"text": TEXT})]

    def rate(self):
        answered, begin = 0, time.perf_counter()
        running = []
        while time.perf_counter() - begin < SECONDS:
            while len(running) < os.cpu_count():
                running.append(subprocess.Popen(self.command, stdout=subprocess.PIPE))
            first = running.pop(0)
            assert json.loads(first.communicate(timeout=DEADLINE)[0]) == TEXT
            answered += 1
        took = time.perf_counter() - begin
        for process in running:
            process.communicate(timeout=DEADLINE)
        return answered / took

    def close(self):
        pass


def main():
    words, rates = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
    as_json = "--json" in words
    rounds = int(words[words.index("--rounds") + 1]) if "--rounds" in words else 5
    python, client = words[:2]
    ours = Rates(rates)
    peers = {"a gRPC server in Python": (Grpc(python, client), 4), "the official MCP SDK over stdio": (Mcp(python, "mcp_server.py"), 10),
             "FastMCP over stdio": (Mcp(python, "fastmcp_server.py"), 10), "a Python process for each call": (Process(python), 200)}
    met = True
    try:
        for name, (peer, target) in peers.items():
            own, theirs = [], []
            for _ in range(rounds):
                own.append(ours.rate())
                theirs.append(peer.rate())
            ratio = statistics.median(a / b for a, b in zip(own, theirs))
            row = {"measure": "Python functions, 64 in flight, against " + name, "value": statistics.median(own), "unit": "calls/s",
                   "reference": statistics.median(theirs), "ratio": ratio, "target": target, "met": ratio >= target}
            met = met and row["met"]
            if as_json:
                print(json.dumps(row), flush=True)
            else:
                print("%-62s %9.0f calls/s  theirs %9.1f  ratio %7.1f  target >= %d  %s" % (
                    row["measure"], row["value"], row["reference"], ratio, target, "met" if row["met"] else "MISSED"), flush=True)
    finally:
        for peer, _ in peers.values():
            peer.close()
        ours.close()
    return 0 if met else 1


sys.exit(main())
