#!/usr/bin/env python3
"""What `sabir serve` takes, against bare servers and others of its kind.

    script/bench serve [--json]      wrk and, for the others, `CI=true script/setup` are needed

REST against a bare Beast server by wrk; MCP's tools/call against the official TypeScript SDK and FastMCP, each with a function of
its own language; a request passed on to a model against a bare pass-through by Beast and libcurl, and LiteLLM's proxy. Those compared
are measured in turn, round by round, so that a busy machine disturbs all alike; each figure is the median of its rounds.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent / "serve"
ROOT = HERE.parent.parent
ORACLES = ROOT / "build" / "oracles" / "mcp"
LITELLM = ROOT / "build" / "bench-litellm"
PEERS = ROOT / "build" / "release" / "bench" / "bench_serve_peers"
ARGUMENTS = {"a": 1, "b": 2}
ASKED = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "What is the mean of 3, 5 and 10?"}]})


class Started:
    """Processes, ended by their groups however this ends."""

    def __init__(self):
        self.all = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.all):
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            except ProcessLookupError:
                process.wait()

    def start(self, *command, **options):
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, start_new_session=True, **options)
        self.all.append(process)
        return process

    def port_of(self, *command, **options):
        """Of a server that prints it."""
        return int(self.start(*command, **options).stdout.readline())


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until_answered(port, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def post(url, body, headers=None):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.headers, answer.read().decode()


class Wrk:
    """POST requests by wrk, each as `body` and `headers` say."""

    def __init__(self, folder, name, url, body, headers=None):
        self.url, self.script = url, Path(folder) / (re.sub(r"\W", "_", name) + ".lua")
        lines = ['wrk.method = "POST"', "wrk.body = [[%s]]" % json.dumps(body)]
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            lines.append("wrk.headers[%s] = %s" % (json.dumps(key), json.dumps(value)))
        self.script.write_text("\n".join(lines) + "\n")

    def per_second(self, connections, seconds):
        out = subprocess.run(["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "20s", "-s", str(self.script), self.url],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        if "Non-2xx" in out or "Socket errors" in out:
            sys.exit("%s answered with errors:\n%s" % (self.url, out))
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def medians(loads, connections, rounds, seconds):
    found = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            found[name].append(load.per_second(connections, seconds))
    return {name: statistics.median(values) for name, values in found.items()}


class AtLeast:
    """Rows whose value is a ratio that has to be reached."""

    def __init__(self, rows):
        self.rows = rows

    def add(self, measure, value, reference, target):
        met = value / reference >= target
        self.rows.all_met = self.rows.all_met and met
        row = {"measure": measure, "value": round(value), "unit": "1/s", "reference": round(reference), "ratio": round(value / reference, 2), "target": target, "met": met}
        if self.rows.as_json:
            print(json.dumps(row), flush=True)
        else:
            print("%-48s %10.0f /s     from %10.0f  %6.2f times, target >= %g  %s" % (measure, value, reference, value / reference, target, "met" if met else "MISSED"), flush=True)


def serve(started, project, *options):
    served = started.start(ROOT / "build/release/sabir", "serve", "--json", "--port", "0", "--no-access-log", *options, cwd=project,
                           env=dict(os.environ, PATH=str(ROOT / "build/venv/bin") + os.pathsep + os.environ["PATH"]))
    return json.loads(served.stdout.readline())["address"]


def bench_rest(started, folder, rows, options):
    project = Path(folder) / "rest"
    shutil.copytree(HERE / "project", project)
    address = serve(started, project)
    loads = {"bare": Wrk(folder, "bare", "http://127.0.0.1:%d/" % started.port_of(PEERS, "hello"), ARGUMENTS)}
    for name, function in (("C++ in the engine", "inside.add"), ("C++", "outside.add"), ("Python", "plain.add")):
        loads[name] = Wrk(folder, name, address + "/functions/" + function, ARGUMENTS)
        post(loads[name].url, ARGUMENTS)  # what is compiled is compiled now
    at_least = AtLeast(rows)
    for connections in (1, 64):
        found = medians(loads, connections, options.rounds, options.seconds)
        for name, target in (("C++ in the engine", 0.5), ("C++", 0.5), ("Python", 0.3)):
            at_least.add("REST, %s, %d connections (from: Beast)" % (name, connections), found[name], found["bare"], target)
    return address


def mcp_load(folder, name, url, tool=None, said=""):
    """`tool`, or the one that says `said` about itself."""
    headers = {"Accept": "application/json, text/event-stream"}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize",
             "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}}
    answered, _ = post(url, hello, headers)
    headers["MCP-Protocol-Version"] = "2025-06-18"
    if answered.get("mcp-session-id"):
        headers["Mcp-Session-Id"] = answered["mcp-session-id"]
    post(url, {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers)
    if not tool:
        _, listed = post(url, {"jsonrpc": "2.0", "id": 3, "method": "tools/list"}, headers)
        tool = next(one["name"] for one in json.loads(listed[listed.index("{"):])["result"]["tools"] if said in one["description"])
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": ARGUMENTS}}
    _, answer = post(url, call, headers)
    if not re.search(r'"text":\s*"3"', answer):
        sys.exit("%s: the tool's answer is not 3: %s" % (name, answer[:400]))
    return Wrk(folder, name, url, call, headers)


def bench_mcp(started, folder, rows, options, address):
    node = shutil.which("node", path=str(ROOT / "build/venv/bin") + os.pathsep + os.environ["PATH"])
    theirs = started.port_of(node, HERE / "mcp_server.mjs", ORACLES / "node")
    fast = free_port()
    started.start(sys.executable, HERE / "mcp_server.py", ORACLES / "python", fast, stderr=subprocess.DEVNULL)
    until_answered(fast, 60)
    loads = {"TypeScript SDK": mcp_load(folder, "TypeScript SDK", "http://127.0.0.1:%d/mcp" % theirs, "add"),
             "FastMCP": mcp_load(folder, "FastMCP", "http://127.0.0.1:%d/mcp" % fast, "add")}
    for name, said in (("C++ in the engine", "inside the engine"), ("JavaScript", "in JavaScript"), ("Python", "in Python")):
        loads[name] = mcp_load(folder, "MCP " + name, address + "/mcp", said=said)
    found = medians(loads, 64, options.rounds, options.seconds)
    at_least = AtLeast(rows)
    at_least.add("MCP tools/call, JavaScript (from: TypeScript SDK)", found["JavaScript"], found["TypeScript SDK"], 15)
    at_least.add("MCP tools/call, C++ (from: TypeScript SDK)", found["C++ in the engine"], found["TypeScript SDK"], 15)
    at_least.add("MCP tools/call, Python (from: FastMCP)", found["Python"], found["FastMCP"], 50)


def asked(port, path, rate, seconds):
    done = subprocess.run([str(PEERS), "ask", str(port), path, str(rate), str(seconds)], input=ASKED, stdout=subprocess.PIPE, text=True, timeout=seconds + 120)
    found = json.loads(done.stdout)
    if found["failed"]:
        sys.exit("port %d answered %d of %d requests with errors" % (port, found["failed"], found["requests"]))
    return found


def litellm(started, folder, upstream):
    wanted = (HERE / "requirements.txt").read_text()
    stamp = LITELLM / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(LITELLM, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(LITELLM)], check=True, stdout=sys.stderr)
        subprocess.run([str(LITELLM / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(HERE / "requirements.txt")], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    config = Path(folder) / "litellm.yaml"
    config.write_text("model_list:\n- model_name: fast\n  litellm_params: {model: openai/fake-1, api_base: 'http://127.0.0.1:%d/v1', api_key: none}\n" % upstream)
    port = free_port()
    quiet = dict(os.environ, LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true", LITELLM_TELEMETRY="False", NO_PROXY="127.0.0.1")
    started.start(LITELLM / "bin/litellm", "--config", config, "--host", "127.0.0.1", "--port", port, env=quiet, stderr=subprocess.DEVNULL)
    until_answered(port, 120)
    return port


def bench_passed_on(started, folder, rows, options):
    """The upstream answers at once, which shows what is added, and after 20 ms, which still is quicker than any model."""
    for pause, others in ((0, True), (20, False)):
        upstream = started.port_of(PEERS, "upstream", pause)
        project = Path(folder) / ("models-%d" % pause)
        (project / "config").mkdir(parents=True)
        (project / "sabir.yml").write_text("name: bench\nlanguages: [python]\n")
        (project / "config/openai_config.yml").write_text(
            "default: fast\nmodels:\n  fast: {provider: openai, base_url: 'http://127.0.0.1:%d/v1', model: fake-1}\n" % upstream)
        ports = {"direct": upstream, "relay": started.port_of(PEERS, "relay", upstream), "sabir": int(serve(started, project).rsplit(":", 1)[1])}
        if others:
            ports["litellm"] = litellm(started, folder, upstream)
        for port in ports.values():
            asked(port, "/v1/chat/completions", 50, 2)
        for rate, seconds in ((1, 10), (200, options.seconds)):
            found = {name: [] for name in ports}
            for _ in range(options.rounds):
                for name, port in ports.items():
                    # LiteLLM is asked as often as it can answer.
                    found[name].append(asked(port, "/v1/chat/completions", min(rate, 50) if name == "litellm" else rate, seconds))
            value = {(name, share): statistics.median(one[share] for one in several) for name, several in found.items() for share in ("p50", "p99")}
            title = "passed on, model answers after %d ms, %d/s" % (pause, rate)
            for share, times in (("p50", 1.3), ("p99", 1.5)):
                rows.add("%s, %s" % (title, share), value["sabir", share], "ms", round(times * value["relay", share], 3), value["relay", share])
            if others:
                added = {name: max(value[name, "p50"] - value["direct", "p50"], 1e-6) for name in ("sabir", "litellm")}
                rows.add("added, %d/s (from: LiteLLM)" % rate, added["sabir"], "ms", round(added["litellm"] / 10, 3), added["litellm"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", choices=("rest", "mcp", "models"))
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    if not ORACLES.exists() and options.only in (None, "mcp"):
        sys.exit("MCP's other servers are missing: CI=true script/setup")
    subprocess.run(["ninja", "-C", str(ROOT / "build" / "release"), "bench_serve_peers", "sabir"], check=True, stdout=sys.stderr)
    rows = machine.Rows(options.json)
    with tempfile.TemporaryDirectory(prefix="sabir-") as folder:
        if options.only in (None, "rest", "mcp"):
            with Started() as started:
                address = bench_rest(started, folder, rows, options)
                if options.only != "rest":
                    bench_mcp(started, folder, rows, options, address)
        if options.only in (None, "models"):
            with Started() as started:
                bench_passed_on(started, folder, rows, options)
    sys.exit(0 if rows.all_met else 1)


if __name__ == "__main__":
    main()
