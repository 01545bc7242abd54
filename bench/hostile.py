#!/usr/bin/env python3
"""What an ordinary client of `sabir serve` feels of hostile ones, and what thousands of silent connections and event streams take.

The attackers (tests/hostile_clients.py) and the guest are processes of their own: what the guest measures is the server.
"""
import argparse
import http.client
import json
import multiprocessing
import resource
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from machine import Machine, Rows, find_binary, resident_mb, write
from hostile_clients import Guest, Hostile

FILES = {
    "sabir.yml": "languages: [python, cpp]\nserve: {limits: {connections: 20000}}\nisolation: {functions/cpp/numbers.cpp: in_process}\n",
    "functions/cpp/numbers.cpp": "#include <cstdint>\n/// Adds.\n/// @effect read\nstd::int64_t add(std::int32_t a, std::int32_t b) { return std::int64_t{a} + b; }\n",
    "functions/python/notes.py": '"""Notes."""\nimport time\n\n\ndef count(to: int):\n    """Counts.\n\n    Effect: read\n    """\n    for number in range(to):\n        yield number\n',
}
PATH = "/functions/numbers.add"


def visit(port, seconds, out):
    guest = Guest(port, PATH).visit(seconds)
    out.put((guest.percentile(0.5), guest.percentile(0.99), len(guest.took), guest.failed[:3]))


def guest_of(port, seconds):
    out = multiprocessing.Queue()
    process = multiprocessing.Process(target=visit, args=(port, seconds, out))
    process.start()
    return process, out


def attack(port, ended):
    hostile = Hostile(port, PATH, "/functions/notes.count?stream=1").start()
    ended.wait()
    hostile.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    rows = Rows(options.json)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="sabir-") as folder:
        machine = Machine(Path(folder), find_binary(), Path(folder) / "cache")
        project = Path(folder) / "project"
        for name, text in FILES.items():
            write(project / name, text)
        process = machine.start(machine.binary, "serve", "--json", "--port", "0", "--no-access-log", cwd=project)
        try:
            port = int(json.loads(process.stdout.readline())["address"].rsplit(":", 1)[1])
            Guest(port, PATH).visit(1)
            found = {}
            ended = multiprocessing.Event()
            for kind in ("undisturbed", "disturbed"):
                attacker = None
                if kind == "disturbed":
                    attacker = multiprocessing.Process(target=attack, args=(port, ended))
                    attacker.start()
                    time.sleep(0.5)
                visitor, out = guest_of(port, options.seconds)
                found[kind] = out.get(timeout=options.seconds + 60)
                visitor.join()
                ended.set()
                if attacker:
                    attacker.join()
                if found[kind][3]:
                    sys.exit("the guest was not served: %r" % (found[kind][3],))
            calm, busy = found["undisturbed"][1] * 1000, found["disturbed"][1] * 1000
            rows.add("p99 of a guest among hostile clients", busy, "ms", 3 * calm, calm)
            rows.add("p50 of a guest among hostile clients", found["disturbed"][0] * 1000, "ms", 3 * found["undisturbed"][0] * 1000, found["undisturbed"][0] * 1000)
            before = resident_mb(process.pid)
            held = []
            for _ in range(min(10_000, hard - 1200)):
                held.append(socket.create_connection(("127.0.0.1", port)))
            idle = len(held)
            # Streams that stay open by themselves: those of sessions of the Model Context Protocol.
            opening = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}})
            accept = "application/json, text/event-stream"
            for _ in range(1000):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("POST", "/mcp", opening, {"Content-Type": "application/json", "Accept": accept})
                answer = connection.getresponse()
                answer.read()
                connection.request("GET", "/mcp", headers={"Accept": "text/event-stream", "Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"})
                stream = connection.getresponse()
                if stream.status != 200:
                    sys.exit("a stream was refused: %d" % stream.status)
                held.append(connection)
            time.sleep(3)
            Guest(port, PATH).visit(0.5)
            rows.add("%d idle connections, 1000 streams: memory" % idle, resident_mb(process.pid), "MB", 300.0, before)
            for connection in held:
                connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            finally:
                machine.stop()
    return 0 if rows.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
