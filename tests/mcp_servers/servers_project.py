"""What the tests of the MCP client share: a project with config/mcp.yml, and servers to put into it."""
import json
import socket
import sys
import time
from pathlib import Path

from harness import write

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ORACLES = ROOT / "build" / "oracles" / "mcp"
PROGRAMS = HERE / "programs"
EVERYTHING = ORACLES / "node" / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
PACKAGES = ORACLES / "python"


def project(machine, servers, name="project"):
    folder = machine.folder / name
    write(folder / "sabir.yml", "name: %s\n" % name)
    write(folder / "config" / "mcp.yml", json.dumps({"servers": servers}))  # JSON is YAML
    return folder


def python_server(program):
    return {"command": sys.executable, "args": [str(PROGRAMS / program)], "env": {"PYTHONPATH": str(PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"}}


def by_hand(machine, plan):
    """A server that does what `plan` says; its entry, the file of the plan and the one that counts its starts."""
    plan_file, starts = machine.folder / "plan.json", machine.folder / "starts"
    starts.write_text("")
    plan_file.write_text(json.dumps(plan))
    entry = {"command": sys.executable, "args": [str(PROGRAMS / "by_hand.py")], "env": {"PLAN": str(plan_file), "STARTS": str(starts)}, "revision": "2025-11-25"}
    return entry, plan_file, starts


def trust(machine, folder, *names):
    for name in names:
        done = machine.sabir("mcp", "trust", name, "--yes", cwd=folder)
        assert done.code == 0, done


def call(machine, folder, address, **arguments):
    done = machine.sabir("call", address, "--args", json.dumps(arguments), "--json", cwd=folder)
    answer = json.loads(done.out)
    return answer["error"] if done.code else answer


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(machine, command, port, cwd, env=None):
    """Starts a server and waits until its port answers; the machine stops it."""
    process = machine.start(*command, cwd=cwd, env=env)
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError("the server ended: %s" % process.stderr.read())
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    raise AssertionError("the server does not listen")
