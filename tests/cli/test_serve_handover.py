"""`sabir serve` hands over to a new process, under load: no request fails."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
import requests
from harness import node
from openai_clients.shop import ORACLES
from serving import alive, machine_of, write_project


def group_of(item):
    return "serve_handover"


FILES = {
    "functions/python/work.py": '''
        """Work."""
        import os
        import time


        def who() -> int:
            """The process that serves.

            Effect: read
            """
            return os.getppid()


        def slow(seconds: float) -> str:
            """Takes its time.

            Effect: read
            """
            time.sleep(seconds)
            return "awake"


        def count(to: int):
            """Counts, with pauses.

            Effect: read
            """
            for number in range(to):
                time.sleep(0.1)
                yield number
        ''',
    "assistants/python/helper.py": '''
        """Helps."""
        model = "scripted"
        instructions = "Help."
        functions = ["work.who"]
        ''',
    "config/openai_config.yml": json.dumps({"default": "scripted", "models": {"scripted": {"provider": "scripted", "replies": [
        {"contains": "who", "steps": [{"tool_calls": [{"name": "who", "arguments": {}}]}, {"text": "It is {tool:who}."}]}]}}}),
}
CONFIG = """
serve:
  limits: {drain: 16s}
"""
CHAT = {"model": "helper", "messages": [{"role": "user", "content": "who is it?"}]}


@pytest.fixture(scope="module")
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        yield made


def eventually(what, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError("not within %s s" % seconds)


class Chain:
    """The processes that serve a project one after the other; what they print goes to two files."""

    def __init__(self, machine, project, *options):
        self.machine, self.project, self.options = machine, project, options
        self.out, self.err = project.parent / (project.name + ".out"), project.parent / (project.name + ".err")
        self.processes = []
        self.start()
        self.address = eventually(lambda: self.events("ready"), 60)[0]["address"]

    def start(self, *more, program=None, cwd=None):
        with open(self.out, "a") as out, open(self.err, "a") as err:
            self.processes.append(subprocess.Popen([str(program or self.machine.binary), "serve", "--json", "--no-access-log", *self.options, *more], cwd=cwd or self.project, env=self.machine.env,
                                                   stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True))
        return self.processes[-1]

    def events(self, kind):
        return [event for event in map(json.loads, self.out.read_text().splitlines()) if event.get("event") == kind]

    @property
    def pid(self):
        return self.events("ready")[-1]["pid"]

    def hand_over(self, by_signal):
        before = self.events("ready")
        if by_signal:
            os.kill(before[-1]["pid"], signal.SIGUSR2)
        else:
            self.start("--takeover")
        return eventually(lambda: self.events("ready")[len(before):])[0]["pid"]

    def stop(self):
        for event in self.events("ready"):
            try:
                os.kill(event["pid"], signal.SIGTERM)
            except ProcessLookupError:
                pass
        groups = [process.pid for process in self.processes]
        try:
            eventually(lambda: not any(alive(event["pid"]) for event in self.events("ready")), 15)
        finally:
            for group in groups:
                try:
                    os.killpg(group, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for process in self.processes:
                process.wait(10)


@contextmanager
def chain_of(machine, name, *options, config=CONFIG, files=FILES):
    chain = Chain(machine, write_project(machine.folder / name, config, files, languages="python"), *options)
    try:
        yield chain
    finally:
        chain.stop()


class Load:
    """Threads that ask all the time, each in its own way, until stop(); what failed is in `failed`."""

    def __init__(self):
        self.failed, self.counts, self.seen = [], {}, set()
        self.ended = threading.Event()
        self.threads = []

    def go(self, name, ask, pause=0.0, times=1):
        """`ask(state)` asks once and gives the serving process or None; `state` is the thread's own."""
        def run():
            state = {}
            while not self.ended.is_set():
                try:
                    who = ask(state)
                    if who:
                        self.seen.add(who)
                    self.counts[name] = self.counts.get(name, 0) + 1
                except Exception as error:  # whatever it is, a request has failed
                    self.failed.append("%s at %.2f: %s" % (name, time.monotonic(), repr(error)[:2000]))
                    state.clear()
                time.sleep(pause)
        for _ in range(times):
            self.threads.append(threading.Thread(target=run, daemon=True))
            self.threads[-1].start()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads)


def answered(response, text):
    assert response.status == 200, (response.status, text[:500])
    return json.loads(text)


def asks_fresh(connect):
    """A connection for each request."""
    def ask(_):
        connection = connect()
        try:
            connection.request("POST", "/functions/work.who", "{}", {"Content-Type": "application/json"})
            response = connection.getresponse()
            return answered(response, response.read())
        finally:
            connection.close()
    return ask


def asks_kept(connect):
    """One connection for as long as the server keeps it."""
    def ask(state):
        if state.get("connection") is None or state["connection"].sock is None:
            state["connection"] = connect()
        connection = state["connection"]
        connection.request("POST", "/functions/work.who", "{}", {"Content-Type": "application/json"})
        response = connection.getresponse()
        who = answered(response, response.read())
        if response.getheader("Connection") == "close":
            connection.close()
        return who
    return ask


def asks_by_requests(url):
    def ask(state):
        session = state.setdefault("session", requests.Session())
        response = session.post(url + "/functions/work.slow", json={"seconds": 0.2}, timeout=20)
        assert response.status_code == 200 and response.json() == "awake", response.text
    return ask


def calls_a_tool(url):
    """Of the Model Context Protocol, in the era in which a request stands for itself."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}, "io.modelcontextprotocol/clientCapabilities": {}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "slow"}

    def ask(state):
        session = state.setdefault("session", requests.Session())
        response = session.post(url + "/mcp", headers=headers, timeout=20, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "slow", "arguments": {"seconds": 0.3}, "_meta": meta}})
        assert response.status_code == 200 and response.json().get("result", {}).get("content"), response.text
    return ask


def streams(connect):
    """Server-sent events of half a second."""
    def ask(_):
        connection = connect()
        try:
            connection.request("POST", "/functions/work.count?stream=1", '{"to": 5}', {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status == 200 and text.count("event: chunk") == 5 and 'event: end\ndata: {"streamed":5}' in text, text
        finally:
            connection.close()
    return ask


def chats(url, stream):
    def ask(state):
        session = state.setdefault("session", requests.Session())
        response = session.post(url + "/v1/chat/completions", json={**CHAT, "stream": stream}, timeout=20)
        assert response.status_code == 200, response.text
        if stream:
            assert response.text.rstrip().endswith("data: [DONE]"), response.text
        else:
            assert re.fullmatch(r"It is \d+\.", response.json()["choices"][0]["message"]["content"]), response.text
    return ask


NODE = """
const [base] = process.argv.slice(1);
let stop = false, count = 0;
process.stdin.on("end", () => { stop = true; }).resume();
while (!stop) {
  const answer = await fetch(base + "/functions/work.who", {method: "POST", headers: {"content-type": "application/json"}, body: "{}"});
  if (answer.status !== 200) throw new Error(answer.status + " " + await answer.text());
  await answer.json();
  ++count;
  await new Promise((go) => setTimeout(go, count % 10 ? 5 : 700));
}
console.log(count);
"""
OPENAI = """
import sys, threading, openai
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0, timeout=20)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
count = 0
while not stop.wait(0.02):
    pieces = client.chat.completions.create(model="helper", messages=[{"role": "user", "content": "who is it?"}], stream=count % 2 == 0)
    text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) if count % 2 == 0 else pieces.choices[0].message.content
    assert text.startswith("It is ") and text[6:-1].isdigit(), text
    count += 1
print(count)
"""


def visitors(address):
    """Other languages' and libraries' clients, as processes that end when their input does."""
    started = [subprocess.Popen([node(), "--input-type=module", "-e", NODE, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)]
    if (ORACLES / "installed.txt").exists():
        env = {**os.environ, "PYTHONPATH": str(ORACLES / "python"), "NO_PROXY": "127.0.0.1"}
        started.append(subprocess.Popen([os.sys.executable, "-c", OPENAI, address], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return started


def test_twenty_handovers_under_load_fail_no_request(machine):
    with chain_of(machine, "busy", "--port", "0") as chain:
        host, port = "127.0.0.1", int(chain.address.rsplit(":", 1)[1])

        def connect():
            return http.client.HTTPConnection(host, port, timeout=20)

        load = Load()
        load.go("fresh", asks_fresh(connect), 0.01, 2)
        load.go("kept", asks_kept(connect), 0.01, 2)
        load.go("kept and mostly idle", asks_kept(connect), 1.0, 4)
        load.go("requests", asks_by_requests(chain.address), 0.01, 2)
        load.go("tools", calls_a_tool(chain.address), 0.01)
        load.go("streams", streams(connect), 0.01, 2)
        load.go("chat", chats(chain.address, stream=False), 0.05)
        load.go("streamed chat", chats(chain.address, stream=True), 0.05)
        others = visitors(chain.address)
        pids = [chain.pid]
        try:
            for number in range(20):
                time.sleep(0.2)
                pids.append(chain.hand_over(by_signal=number % 2 == 0))
                if number % 7 == 3:
                    # Commands join the newest, and nothing is left of the one before.
                    published = json.loads((chain.project / ".sabir/development/engine.json").read_text())
                    assert published["pid"] == pids[-1]
                    called = machine.sabir("call", "work.who", "--json", cwd=chain.project)
                    assert called.code == 0 and called.json == pids[-1], called
            time.sleep(0.5)
        finally:
            load.stop()
            done = [process.communicate(timeout=30) for process in others]
        assert load.failed == []
        assert [out for out, err in done if not out.strip().isdigit()] == [], done
        assert min(load.counts.values()) >= 10, load.counts
        assert all(int(out) >= 10 for out, _ in done), done
        assert len(set(pids)) == 21 and len(load.seen & set(pids)) >= 15
        eventually(lambda: not any(alive(pid) for pid in pids[:-1]), 15)
        assert chain.err.read_text().count("keeps serving") == 0


def test_tls_and_unix_sockets_are_handed_over(machine):
    folder = machine.folder / "tls"
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
    trust = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    socket_path = str(machine.folder / "app.sock")

    class UnixConnection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(20)
            self.sock.connect(socket_path)

    tls = CONFIG + "  tls: {certificate: cert.pem, key: key.pem}\n"
    with chain_of(machine, "tls", "--port", "0", config=tls) as secure, chain_of(machine, "unix", "--socket", socket_path) as local:
        assert secure.address.startswith("https://") and local.address == "unix:" + socket_path
        port = int(secure.address.rsplit(":", 1)[1])
        load = Load()
        for kind, connect in (("tls", lambda: http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trust)), ("unix", lambda: UnixConnection("localhost", timeout=20))):
            load.go(kind + " fresh", asks_fresh(connect), 0.01)
            load.go(kind + " kept", asks_kept(connect), 0.01)
            load.go(kind + " streams", streams(connect), 0.01)
        try:
            for number in range(4):
                time.sleep(0.6)
                secure.hand_over(by_signal=number % 2 == 0)
                local.hand_over(by_signal=number % 2 == 1)
        finally:
            load.stop()
        assert load.failed == [] and min(load.counts.values()) >= 4, load.counts
        # The file of the socket belongs to the last one, and goes with it.
        assert os.path.exists(socket_path)
    assert not os.path.exists(socket_path)


def test_a_new_version_that_does_not_start_changes_nothing(machine):
    with chain_of(machine, "stays", "--port", "0") as chain:
        first, port = chain.pid, int(chain.address.rsplit(":", 1)[1])
        ask = asks_fresh(lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=20))
        config = chain.project / "sabir.yml"
        good = config.read_text()
        config.write_text(good + "wrong: [\n")
        failed = chain.start("--takeover")
        assert failed.wait(30) == 1
        assert json.loads(chain.out.read_text().splitlines()[-1])["error"]["file"].endswith("sabir.yml")
        eventually(lambda: "no handover: " in chain.err.read_text() and "sabir.yml" in chain.err.read_text().split("no handover: ", 1)[1])
        os.kill(first, signal.SIGUSR2)
        eventually(lambda: "to take over exited with status 1; this one keeps serving" in chain.err.read_text())
        assert ask({}) == first
        config.write_text(good)
        # Ended half-way: it has the descriptor, and never says that it is ready.
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as half:
            half.settimeout(20)
            half.connect(str(chain.project / ".sabir/development/serve.sock"))
            half.send(json.dumps({"method": "takeover", "format": 1}).encode())
            said, descriptors, _, _ = socket.recv_fds(half, 16384, 1)
            assert json.loads(said)["pid"] == first and len(descriptors) == 1
            assert ask({}) == first
            os.close(descriptors[0])
        eventually(lambda: "it ended before it was ready" in chain.err.read_text())
        assert ask({}) == first
        assert chain.hand_over(by_signal=True) != first
        # The old one may have taken a connection while it gave its socket away, and answers it.
        eventually(lambda: ask({}) == chain.pid)


def test_a_service_manager_is_told_which_process_serves(machine):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = str(machine.folder / "notify")
        manager.bind(path)
        manager.settimeout(20)
        machine.env["NOTIFY_SOCKET"] = path
        try:
            with chain_of(machine, "unit", "--port", "0") as chain:
                assert manager.recv(1000) == b"READY=1"
                second = chain.hand_over(by_signal=True)
                assert [manager.recv(1000) for _ in range(3)] == [b"RELOADING=1", b"MAINPID=%d" % second, b"READY=1"]
                os.kill(second, signal.SIGHUP)
                assert [manager.recv(1000) for _ in range(2)] == [b"RELOADING=1", b"READY=1"]
                os.kill(second, signal.SIGTERM)
                assert manager.recv(1000) == b"STOPPING=1"
        finally:
            del machine.env["NOTIFY_SOCKET"]


def test_a_broken_language_holds_the_others_up_no_longer_than_it_takes(machine):
    files = {**FILES, "functions/cpp/bad.cpp": "/// Adds.\n/// @effect read\nint add(int a, int b) { return a + c; }\n"}
    project = write_project(machine.folder / "broken", "serve: {port: 0, limits: {drain: 2s}}\n", files, languages="python, cpp")
    process = machine.start(machine.binary, "serve", "--json", cwd=project)
    ready = json.loads(process.stdout.readline())
    connection = http.client.HTTPConnection("127.0.0.1", int(ready["address"].rsplit(":", 1)[1]), timeout=20)
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    state = json.loads(response.read())
    assert response.status == 200 and state["status"] == "ready"
    languages = {one["language"]: one for one in state["languages"]}
    assert languages["python"] == {"language": "python", "ok": True} and languages["cpp"]["ok"] is False and "bad.cpp" in languages["cpp"]["message"]
    connection.request("POST", "/functions/work.who", "{}", {"Content-Type": "application/json"})
    assert json.loads(connection.getresponse().read()) == process.pid
    connection.request("POST", "/functions/bad.add", '{"a": 1, "b": 2}', {"Content-Type": "application/json"})
    assert connection.getresponse().status == 503
    connection.close()
    # What is not whole does not take over.
    done = machine.sabir("serve", "--takeover", cwd=project)
    assert done.code == 1 and "not whole" in done.err and "bad.cpp" in done.err
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_it_is_not_ready_before_what_must_be_built_is_there(machine):
    """A C++ program that nobody has built before takes seconds."""
    files = {**FILES, "functions/cpp/fresh.cpp": "/// Adds, in %d.\n/// @effect read\nint add(int a, int b) { return a + b; }\n" % time.time_ns()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project = write_project(machine.folder / "fresh", "serve: {port: %d}\n" % port, files, languages="python, cpp")
    process = machine.start(machine.binary, "serve", "--json", cwd=project)
    seen = []

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            seen.append((response.status, json.loads(response.read())["status"]))
        except ConnectionError:
            pass
        finally:
            connection.close()
        return seen and seen[-1][0] == 200
    eventually(ask, 90)
    assert seen[0] == (503, "starting") and set(seen) == {(503, "starting"), (200, "ready")}
    assert json.loads(process.stdout.readline())["event"] == "ready"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_who_takes_over_from_nobody_is_told(machine):
    project = write_project(machine.folder / "nobody", languages="python", files=FILES)
    done = machine.sabir("serve", "--takeover", cwd=project)
    assert done.code == 1 and "no running server" in done.err and "--takeover-from" in done.err


def test_another_folder_of_the_project_takes_over(machine):
    """A link to the newest release, as deployments have it: SIGUSR2 follows it."""
    releases = machine.folder / "releases"
    old = write_project(releases / "1", CONFIG, FILES, languages="python")
    new = write_project(releases / "2", CONFIG, {**FILES, "functions/python/more.py": '"""New."""\n\n\ndef news() -> str:\n    """New.\n\n    Effect: read\n    """\n    return "new"\n'}, languages="python")
    link = releases / "current"
    link.symlink_to(old)
    machine.env["PWD"] = str(link)
    try:
        chain = Chain(machine, link, "--port", "0")
    finally:
        del machine.env["PWD"]
    try:
        port = int(chain.address.rsplit(":", 1)[1])
        link.unlink()
        link.symlink_to(new)
        chain.hand_over(by_signal=True)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/functions/more.news", "{}", {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read()) == "new"
        connection.close()
        assert chain.events("ready")[-1]["project"] == str(new)
    finally:
        chain.stop()
