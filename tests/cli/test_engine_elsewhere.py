"""`sabir --engine URL …`: commands ask a served engine, over TLS and with tokens, outside any project."""
import http.server
import json
import subprocess
import threading
import time

import pytest
from harness import write
from serving import FILES, Served, machine_of, write_project


def group_of(item):
    return "engine_elsewhere"


MORE = {
    **FILES,
    "functions/python/bank.py": '''
        """A bank."""


        def charge(amount: int) -> str:
            """Takes money.

            Effect: irreversible
            """
            return "charged %d" % amount
        ''',
    "assistants/python/helper.py": '''
        """Helps."""
        model = "scripted"
        instructions = "Help."
        functions = ["notes.shorten", "bank.charge"]
        ''',
    "config/openai_config.yml": json.dumps({"default": "scripted", "models": {"scripted": {"provider": "scripted", "replies": [
        {"contains": "shorten", "steps": [{"tool_calls": [{"name": "shorten", "arguments": {"text": "abcdef", "most": 3}}]}, {"text": "It is {tool:shorten}."}]},
        {"contains": "charge", "steps": [{"tool_calls": [{"name": "charge", "arguments": {"amount": 5}}]}, {"text": "Well: {tool:charge}."}]},
        {"matches": "^hi$", "text": "Hello."}]}}}),
}
CONFIG = """
serve:
  tls: {certificate: cert.pem, key: key.pem}
expose:
  rest: [notes.shorten, notes.count, notes.slow, notes.who, prompts/greet, assistants/helper, memory]
"""


@pytest.fixture(scope="module")
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        yield made


class Elsewhere:
    def __init__(self, machine):
        self.machine = machine
        self.project = write_project(machine.folder / "served", CONFIG, MORE, languages="python")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.project / "key.pem", "-out", self.project / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        self.tokens = {}
        for name, scopes, *more in (("ada", "functions,prompts,memory,assistants,approvals", "--user", "ada", "--tenant", "acme"), ("operator", "engine"), ("reader", "prompts"),
                                    ("grace", "approvals", "--user", "grace", "--tenant", "other")):
            done = machine.sabir("tokens", "add", name, "--scopes", scopes, "--json", "--env", "production", *more, cwd=self.project)
            assert done.code == 0, done
            self.tokens[name] = done.json["token"]
        self.server = Served(machine, self.project, "--env", "production")

    def __call__(self, who, *words, engine=None, ca=True, env=None):
        """Runs a command in a folder that is no project."""
        outside = self.machine.folder / "outside"
        outside.mkdir(exist_ok=True)
        options = ["--engine", engine or self.server.address] + (["--cacert", self.project / "cert.pem"] if ca else [])
        return self.machine.sabir(*options, *words, cwd=outside, env={**({"SABIR_TOKEN": self.tokens[who]} if who else {}), **(env or {})})


@pytest.fixture(scope="module")
def elsewhere(machine):
    made = Elsewhere(machine)
    yield made
    made.server.stop()


def test_functions_are_called_and_listed(elsewhere):
    done = elsewhere("ada", "call", "notes.shorten", "text=abcdef", "most=2")
    assert (done.code, done.out) == (0, "ab\n"), done
    assert elsewhere("ada", "call", "notes.who", "--json").json == {"user": "ada", "tenant": "acme", "conversation": ""}
    listed = elsewhere("ada", "functions", "--json").json["functions"]
    assert sorted(one["address"] for one in listed) == ["notes.count", "notes.shorten", "notes.slow", "notes.who"]
    assert "file" in elsewhere("ada", "functions", "notes.shorten").out
    whole = "é" * 300_000
    file = elsewhere.machine.folder / "arguments.json"
    file.write_text(json.dumps({"text": whole, "most": 300_000}))
    assert elsewhere("ada", "call", "notes.shorten", "--args", "@%s" % file).out == whole + "\n"
    assert elsewhere("ada", "call", "notes.count", "to=3", "--stream").out == "0\n1\n2\n"
    wrong = elsewhere("ada", "call", "notes.shorten", "txt=a")
    assert wrong.code == 1 and "txt" in wrong.err, wrong


def test_what_is_not_exposed_is_the_operator_s(elsewhere):
    for words in (["call", "notes.rate", "--args", '{"note": {"title": "a"}}'], ["functions", "notes.rate"]):
        assert elsewhere("ada", *words).code == 1
        assert "there is no function 'notes.rate' here" in elsewhere("ada", *words).err
        assert elsewhere("operator", *words).code == 0
    assert "there is no function" in elsewhere("operator", "call", "client/capabilities").err


def test_prompts_are_rendered(elsewhere):
    assert elsewhere("ada", "prompt", "render", "greet", "name=Ada").out.strip() == "Hello Ada!"
    assert elsewhere("ada", "prompt", "tokens", "greet", "name=Ada", "--json").json["tokens"] > 3
    assert elsewhere("ada", "prompt", "explain", "greet", "name=Ada").code == 0
    assert elsewhere("reader", "prompt", "render", "greet", "name=Ada").code == 0


def test_assistants_answer_and_what_waits_is_approved(elsewhere):
    done = elsewhere("ada", "chat", "helper", "shorten it")
    assert done.code == 0 and "It is abc." in done.out and "→ python/notes.shorten" in done.err and "← " in done.err, done
    assert elsewhere("ada", "chat", "helper", "hi", "--json").json["content"] == "Hello."
    assert elsewhere("ada", "chat", "nobody", "hi").code == 1
    done = elsewhere("ada", "chat", "helper", "charge me")
    assert done.code == 0 and "sabir approvals approve " in done.err, done
    id = done.err.split("sabir approvals approve ")[1].split()[0]
    assert [one["id"] for one in elsewhere("ada", "approvals", "list", "--json").json["approvals"]] == [id]
    assert elsewhere("grace", "approvals", "list", "--json").json["approvals"] == [], "another tenant's"
    assert elsewhere("grace", "approvals", "approve", id).code == 1
    done = elsewhere("operator", "approvals", "approve", id)
    assert done.code == 0 and "approved python/bank.charge as operator" in done.err and done.out == "Well: charged 5.\n", done


def test_memory_usage_and_traces(elsewhere):
    context = ["--user", "ada", "--tenant", "acme", "--env", "production"]
    assert elsewhere.machine.sabir("memory", "put", "colour", "blue", *context, cwd=elsewhere.project).code == 0
    assert elsewhere("ada", "memory", "get", "colour").out == "blue\n"
    assert "colour" in elsewhere("ada", "memory", "list").out
    denied = elsewhere("ada", "memory", "put", "colour", "red")
    assert denied.code == 1 and "lacks the scope 'engine'" in denied.err and "sabir tokens add" in denied.err, denied
    assert elsewhere("ada", "chat", "helper", "hi").code == 0
    assert elsewhere("operator", "usage", "--json").json["rows"][0]["calls"] >= 1
    for command in ("usage", "trace"):
        assert "lacks the scope 'engine'" in elsewhere("ada", command).err
    # Spans are written within a second of their end.
    until = time.monotonic() + 10
    runs = []
    while not runs and time.monotonic() < until:
        runs = elsewhere("operator", "trace", "--json").json["runs"]
    assert runs and all(len(run["trace"]) == 32 for run in runs)
    assert elsewhere("operator", "trace", "--user", "nobody", "--json").json["runs"] == []
    here = elsewhere.machine.sabir("trace", runs[0]["trace"], "--env", "production", cwd=elsewhere.project)
    there = elsewhere("operator", "trace", runs[0]["trace"])
    assert there.code == 0 and there.out == here.out, (here, there)
    assert elsewhere("operator", "trace", "0" * 32).code == 1


def test_who_is_not_let_in_is_told_what_to_do(elsewhere):
    for who, env, said in ((None, {}, "has to know who asks"), (None, {"SABIR_TOKEN": "sabir_aaaaaaaa_bbbb"}, "does not take the token")):
        done = elsewhere(who, "call", "notes.shorten", "text=a", env=env)
        assert done.code == 1 and said in done.err and "sabir tokens add" in done.err and "SABIR_TOKEN" in done.err, done
        assert "sabir_aaaaaaaa_bbbb" not in done.text
    done = elsewhere("reader", "call", "notes.shorten", "--args", '{"text": "a"}')
    assert done.code == 1 and "lacks the scope 'functions'" in done.err, done
    assert elsewhere(None, "--token-from-env", "MINE", "call", "notes.shorten", "text=a", env={"MINE": elsewhere.tokens["ada"]}).out == "a\n"
    assert elsewhere(None, "--token-from-env", "NONE", "functions").code == 2


def test_who_cannot_be_reached_is_told(elsewhere, machine):
    done = elsewhere("ada", "functions", engine="http://127.0.0.1:1")
    assert done.code == 1 and "cannot reach the engine at 127.0.0.1:1" in done.err and "sabir serve" in done.err, done
    done = elsewhere("ada", "functions", ca=False)
    assert done.code == 1 and "--cacert" in done.err, done
    for engine in ("ftp://127.0.0.1", "localhost", "unix:/tmp/x"):
        assert elsewhere("ada", "functions", engine=engine).code == 2
    done = elsewhere("ada", "functions", "--json", engine="http://127.0.0.1:1")
    assert done.json["error"]["type"] == "unavailable"


@pytest.mark.parametrize("status, body, said", [
    (404, b"<html>", "no engine of this version"),
    (200, b'{"format": 2, "result": {}}', "no engine of this version"),
    (200, b"hello", "no engine of this version"),
    (400, b'{"type": "urn:sabir:error:protocol", "detail": "this engine (sabir 9.0.0) understands requests of format 7", "hint": "Use a `sabir` of the engine\'s version."}', "sabir 9.0.0"),
    (429, b'{"type": "about:blank", "detail": "more than 5 requests a minute", "hint": "Try again in 12 s."}', "Try again in 12 s."),
])
def test_what_is_no_engine_or_another_version_is_told(elsewhere, status, body, said):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = elsewhere("ada", "functions", "--json", engine="http://127.0.0.1:%d" % server.server_port)
        assert done.code == 1 and said in json.dumps(done.json["error"]), done
    finally:
        server.shutdown()
        server.server_close()


def test_what_belongs_to_this_machine_stays_here(elsewhere, machine):
    for words in (["serve"], ["tokens", "list"], ["test"], ["prompt", "list"], ["check"]):
        done = elsewhere("ada", *words)
        assert done.code == 2 and "works on a project of this machine" in done.err, done
    for words, said in ((["call", "notes.who", "--user", "eve"], "token's to say"), (["call", "notes.who", "--debug"], "debugged"), (["call", "notes.who", "--record", "x"], "recorded")):
        done = elsewhere("ada", *words)
        assert done.code == 2 and said in done.err, done
    misplaced = machine.sabir("call", "notes.who", "--engine", "http://127.0.0.1:1", cwd=elsewhere.project)
    assert misplaced.code == 2 and "stands before the command" in misplaced.err, misplaced
    # By the environment it concerns the commands that can, and them alone.
    env = {"SABIR_ENGINE": elsewhere.server.address, "SABIR_TOKEN": elsewhere.tokens["ada"], "CURL_CA_BUNDLE": str(elsewhere.project / "cert.pem")}
    assert machine.sabir("call", "notes.shorten", "text=abc", cwd=machine.folder, env=env).out == "abc\n"
    assert machine.sabir("tokens", "list", "--env", "production", cwd=elsewhere.project, env=env).code == 0


@pytest.mark.parametrize("body, status", [
    ({"format": 1, "method": "secrets.get", "params": {"name": "x"}}, 404),
    ({"format": 1, "method": "recordings.use", "params": {}}, 404),
    ({"format": 2, "method": "functions.list"}, 400),
    ({"method": "functions.list"}, 400),
    ({"format": 1, "method": "functions.call", "params": []}, 422),
    ({"format": 1, "method": "functions.call", "params": {"address": "notes.who", "blobs": []}}, 422),
    ({"format": 1, "method": "approvals.decide", "params": {"id": "x"}}, 422),
    ({"format": 1, "method": "functions.call", "params": {"address": "notes.slow", "arguments": {"seconds": 30}}, "timeout_ms": 300}, 504),
    ("[", 400),
])
def test_other_requests_are_refused(elsewhere, body, status):
    text = body if isinstance(body, str) else json.dumps(body)
    done = subprocess.run(["curl", "-sS", "--cacert", elsewhere.project / "cert.pem", "-w", "\n%{http_code}", "-H", "Content-Type: application/json", "-H", "Authorization: Bearer " + elsewhere.tokens["operator"],
                           "-d", text, elsewhere.server.address + "/engine/requests"], stdout=subprocess.PIPE, check=True, timeout=30, text=True).stdout
    assert done.rsplit("\n", 1)[1] == str(status), done


def test_an_operator_sees_what_runs_and_takes_a_function_out_of_use(elsewhere):
    elsewhere("ada", "call", "notes.shorten", "text=abcdef")
    stats = elsewhere("operator", "top", "--json").json
    assert stats["environment"] == "production" and any(one["address"] == "python/notes.shorten" and one["calls"] >= 1 for one in stats["functions"]), stats
    assert isinstance(elsewhere("operator", "logs", "--json").json["lines"], list)
    for words in (("top", "--json"), ("logs",), ("functions", "disable", "notes.count"), ("functions", "disabled")):
        denied = elsewhere("ada", *words)
        assert denied.code == 1 and "lacks the scope 'engine'" in denied.text, denied
    done = elsewhere("operator", "functions", "disable", "notes.count", "--reason", "too loud", "--json")
    # Whoever the client says it is, the token says who did it.
    assert done.code == 0 and done.json["disabled"]["who"] == "operator", done
    refused = elsewhere("ada", "call", "notes.count", "to=1")
    assert refused.code == 1 and "too loud" in refused.err and "operator" in refused.err, refused
    assert [one["address"] for one in elsewhere("operator", "functions", "disabled", "--json").json["disabled"]] == ["python/notes.count"]
    assert elsewhere("operator", "functions", "enable", "notes.count").code == 0
    assert elsewhere("ada", "call", "notes.count", "to=1", "--stream").out == "0\n"


CLIENTS = {
    "python": (["python3", "-c"], '''
import json
import sabir
said = {"short": sabir.call("notes.shorten", text="abcdef", most=2), "who": sabir.call("notes.who")["user"], "long": len(sabir.call("notes.shorten", text="é" * 300000, most=300000)),
        "stream": list(sabir.stream("notes.count", to=3)), "ask": str(sabir.ask("helper", "hi")), "render": str(sabir.render("greet", name="Ada")), "memory": sabir.memory.get("nothing")}
for name, ask in (("argument", lambda: sabir.call("notes.shorten", txt="a")), ("hidden", lambda: sabir.call("notes.rate", note={"title": "a"})), ("scope", lambda: sabir.memory.put("a", 1)),
                  ("model", lambda: sabir.complete("hi"))):
    try:
        said[name] = ask()
    except sabir.Error as error:
        said[name] = error.type
print(json.dumps(said))
'''),
    "ruby": (["ruby", "-e"], '''
require "json"
require "sabir"
said = { short: Sabir.call("notes.shorten", text: "abcdef", most: 2), who: Sabir.call("notes.who")["user"], long: Sabir.call("notes.shorten", text: "é" * 300000, most: 300000).length,
         stream: Sabir.stream("notes.count", to: 3).to_a, ask: Sabir.ask("helper", "hi").to_s, render: Sabir.render("greet", name: "Ada").to_s, memory: Sabir::Memory.get("nothing") }
{ argument: -> { Sabir.call("notes.shorten", txt: "a") }, hidden: -> { Sabir.call("notes.rate", note: { title: "a" }) }, scope: -> { Sabir::Memory.put("a", 1) },
  model: -> { Sabir.complete("hi") } }.each do |name, ask|
  said[name] = ask.call
rescue Sabir::Error => e
  said[name] = e.type
end
puts JSON.generate(said)
'''),
    "node": (["node", "-e"], '''
const sabir = require("sabir");
(async () => {
  const said = {short: await sabir.call("notes.shorten", {text: "abcdef", most: 2}), who: (await sabir.call("notes.who")).user,
    long: (await sabir.call("notes.shorten", {text: "é".repeat(300000), most: 300000})).length, stream: [], ask: String(await sabir.ask("helper", "hi")),
    render: String(await sabir.render("greet", {name: "Ada"})), memory: await sabir.memory.get("nothing")};
  for await (const value of sabir.stream("notes.count", {to: 3})) said.stream.push(value);
  for (const [name, ask] of [["argument", () => sabir.call("notes.shorten", {txt: "a"})], ["hidden", () => sabir.call("notes.rate", {note: {title: "a"}})],
    ["scope", () => sabir.memory.put("a", 1)], ["model", () => sabir.complete("hi")]]) {
    try { said[name] = await ask(); } catch (error) { said[name] = error.type; }
  }
  console.log(JSON.stringify(said));
  await sabir.close();
})();
'''),
}


@pytest.fixture
def client(elsewhere):
    """A project that has nothing but its place, and the environment of a program in it that asks the engine elsewhere."""
    folder = elsewhere.machine.folder / "client"
    write(folder / "sabir.yml", "engine: 0.1.0\n")
    env = {"SABIR_ENGINE": elsewhere.server.address, "SABIR_TOKEN": elsewhere.tokens["ada"], "CURL_CA_BUNDLE": str(elsewhere.project / "cert.pem"), "SABIR_BIN": str(elsewhere.machine.binary)}
    for name, language in (("PYTHONPATH", "python"), ("RUBYLIB", "ruby"), ("NODE_PATH", "node")):
        env[name] = elsewhere.machine.sabir("sdk", "path", language).out.strip()
    return folder, env


@pytest.mark.parametrize("language", CLIENTS)
def test_sdks_ask_it_as_well(elsewhere, client, language):
    if language == "node" and not (elsewhere.machine.bin / "node").exists():
        elsewhere.machine.use_node()
    folder, env = client
    command, program = CLIENTS[language]
    done = elsewhere.machine.run(*command, program, cwd=folder, env=env)
    assert done.code == 0, done
    assert done.json == {"short": "ab", "who": "ada", "long": 300_000, "stream": [0, 1, 2], "ask": "Hello.", "render": "Hello Ada!", "memory": None,
                         "argument": "invalid_arguments", "hidden": "unknown_function", "scope": "not_granted", "model": "not_found"}, done


def test_an_sdk_is_told_why_nobody_answers_and_what_it_leaves_behind_ends(elsewhere, client):
    folder, env = client
    asks = "import sabir\ntry:\n    print(sabir.call('notes.who'))\nexcept sabir.Error as error:\n    print(error.type, error, error.hint)\n"
    done = elsewhere.machine.run("python3", "-c", asks, cwd=folder, env={**env, "SABIR_ENGINE": "http://127.0.0.1:1"})
    assert done.out.startswith("unavailable cannot reach the engine at 127.0.0.1:1") and "curl http://127.0.0.1:1/healthz" in done.out, done
    done = elsewhere.machine.run("python3", "-c", asks, cwd=folder, env={**env, "SABIR_ENGINE": "nowhere"})
    assert done.out.startswith("usage 'nowhere' is no address of an engine"), done
    done = elsewhere.machine.run("python3", "-c", asks, cwd=folder, env={**env, "SABIR_TOKEN": "wrong"})
    assert done.out.startswith("not_granted"), done
    # Sixty at once are all answered; one that is left behind holds nobody up.
    many = ("import concurrent.futures, os, threading, time, sabir\nwith concurrent.futures.ThreadPoolExecutor(60) as threads:\n"
            "    print(sum(len(text) for text in threads.map(lambda i: sabir.call('notes.shorten', text='abc', most=2), range(60))))\n"
            "threading.Thread(target=lambda: sabir.call('notes.slow', seconds=25), daemon=True).start()\ntime.sleep(0.5)\nos._exit(0)\n")
    done = elsewhere.machine.run("python3", "-c", many, cwd=folder, env=env)
    assert done.code == 0 and done.out == "120\n" and done.seconds < 20, done
    until = time.monotonic() + 15
    while subprocess.run(["pgrep", "-f", "attach --project %s" % folder], stdout=subprocess.DEVNULL, timeout=10).returncode == 0:
        assert time.monotonic() < until, "the SDK's engine outlives it"
        time.sleep(0.1)
