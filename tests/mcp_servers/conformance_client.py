"""The client that the protocol's conformance suite runs: a project whose config/mcp.yml names the scenario's server, used as people use
one: `sabir mcp login`, `sabir mcp trust`, and its tools called through `sabir mcp` by a client that can be asked.

    conformance_client.py URL     # MCP_CONFORMANCE_SCENARIO, …_PROTOCOL_VERSION and …_CONTEXT say what is played
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
REVISION = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25")
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
SABIR = shutil.which("sabir")


def entry(url):
    server = {"url": url, "timeout": "20s", "start_timeout": "20s"}
    if REVISION != "2026-07-28":
        server["revision"] = REVISION  # what the suite asks a client for; otherwise it finds out
    auth = {}
    if "client_id" in CONTEXT:
        auth["client_id"] = CONTEXT["client_id"]
        if "client_secret" in CONTEXT:
            auth["client_secret"] = "${secret:conformance_key}"
    if SCENARIO.startswith("auth/client-credentials"):
        auth["grant"] = "client_credentials"
    if SCENARIO == "auth/basic-cimd":
        auth["client_metadata"] = "https://conformance-test.local/client-metadata.json"
    if auth:
        server["auth"] = auth
    return server


class Project:
    def __init__(self, folder, url):
        self.folder = folder
        self.env = dict(os.environ, CONFORMANCE_KEY=CONTEXT.get("client_secret", ""))
        (folder / "config").mkdir()
        (folder / "sabir.yml").write_text("name: conformance\nmcp: {irreversible: client}\n")
        (folder / "config" / "mcp.yml").write_text(json.dumps({"servers": {"peer": entry(url)}}))

    def run(self, *arguments):
        done = subprocess.run([SABIR, *arguments], cwd=str(self.folder), env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        print("$ sabir %s\n%s%s" % (" ".join(arguments), done.stdout[-2000:], done.stderr[-2000:]), flush=True)
        return done

    def login(self):
        """Opens the address as a browser does, which the suite's server answers with the redirect."""
        process = subprocess.Popen([SABIR, "mcp", "login", "peer", "--json"], cwd=str(self.folder), env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        told = json.loads(line) if line.startswith("{") else {}
        if "url" in told:
            print("open %s" % told["url"], flush=True)
            try:
                urllib.request.urlopen(told["url"], timeout=20).read()
            except OSError as error:
                print("the browser: %s" % error, flush=True)
        else:
            print(line, flush=True)
        rest = process.stdout.read()
        print(rest, flush=True)
        return process.wait(30) == 0


def sample(schema):
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "text", "number": 2.5, "integer": 3, "boolean": True, "array": [], "object": {}, "null": None}.get(kind, "text")


class Client:
    """A client of `sabir mcp` that answers what it is asked, with the defaults."""

    def __init__(self, project):
        self.process = subprocess.Popen([SABIR, "mcp"], cwd=str(project.folder), env=project.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        self.id = 0
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"form": {}, "url": {}}}, "clientInfo": {"name": "conformance", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.id += 1
        self.send({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("method") == "elicitation/create":
                asked = message["params"].get("requestedSchema", {}).get("properties", {})
                self.send({"jsonrpc": "2.0", "id": message["id"], "result": {"action": "accept", "content": {name: sample(one) for name, one in asked.items()}}})
            elif message.get("id") == self.id and "method" not in message:
                return message.get("result", message)
        raise SystemExit("sabir mcp has ended")

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


def arguments_for(function, functions):
    if function["address"] == "peer.json_schema_echo":
        return {"schema": next(one for one in functions if one["address"] == "peer.json_schema_2020_12_tool")["input_schema"]}
    schema = function["input_schema"]
    properties = schema.get("properties", {})
    return {name: sample(properties.get(name, {})) for name in schema.get("required", [])}


def play(project):
    # What needs a login says so; a person logs in for it, twice at most.
    for attempt in range(3):
        trusted = project.run("mcp", "trust", "peer", "--yes")
        if trusted.returncode == 0:
            break
        if "mcp login" not in trusted.stderr or attempt == 2 or not project.login():
            return 1
    functions = json.loads(project.run("functions", "--json").stdout)["functions"]
    if SCENARIO.startswith("auth/"):
        for function in functions:
            for attempt in range(3):
                done = project.run("call", function["address"], "--args", json.dumps(arguments_for(function, functions)))
                if done.returncode == 0 or "mcp login" not in done.stderr or attempt == 2 or not project.login():
                    break
        return 0
    client = Client(project)
    # An argument that is null is one that is not given: the engine checks arguments by their schema.
    calls = [("peer." + one["name"], {name: value for name, value in one["arguments"].items() if value is not None}) for one in CONTEXT.get("toolCalls", [])]
    named = {function["address"]: function["tool_name"] for function in functions}
    failed = 0
    for address, arguments in calls or [(function["address"], arguments_for(function, functions)) for function in functions]:
        result = client.ask("tools/call", {"name": named[address.replace("-", "_")], "arguments": arguments})
        print("%s %s -> %s" % (address, json.dumps(arguments)[:300], json.dumps(result)[:1000]), flush=True)
        failed += 1 if result.get("isError") or "error" in result else 0
    client.close()
    return 1 if failed else 0


def main():
    with tempfile.TemporaryDirectory(prefix="sabir-conformance-") as folder:
        return play(Project(Path(folder), sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
