"""Traces through the whole binary: every call is a span of one tree, whatever the language; `sabir trace` finds and draws it; what is
exported is what OpenTelemetry's own definitions read; no secret leaves by any of it."""
import base64
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from google.protobuf import json_format
from harness import ROOT, write
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.insert(0, str(ROOT / "tests" / "stand_ins"))
import openai_server  # noqa: E402


@contextmanager
def serving(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Collector:
    """What a collector was sent over a real socket, read by OpenTelemetry's own definitions; anything that they do not know is an error."""

    def __init__(self):
        self.bodies, self.headers, self.answers = [], [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.headers.append((self.path, dict(self.headers)))
                collector.bodies.append(body)
                status, answer = collector.answers.pop(0) if collector.answers else (200, b"{}")
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.handler = Handler

    def requests(self):
        return [as_protobuf(body) for body in self.bodies]

    def spans(self):
        return [span for request in self.requests() for resource in request.resource_spans
                for scope in resource.scope_spans for span in scope.spans]


def as_protobuf(body):
    """OTLP's JSON has ids as hexadecimal digits where protobuf's mapping has base64; the rest is that mapping, read strictly."""
    def ids(value):
        if isinstance(value, list):
            return [ids(one) for one in value]
        if not isinstance(value, dict):
            return value
        out = {}
        for key, one in value.items():
            if key in ("traceId", "spanId", "parentSpanId"):
                assert re.fullmatch("[0-9a-f]{%d}" % (32 if key == "traceId" else 16), one), (key, one)
                one = base64.b64encode(bytes.fromhex(one)).decode()
            out[key] = ids(one)
        return out
    request = ExportTraceServiceRequest()
    json_format.Parse(json.dumps(ids(json.loads(body))), request, ignore_unknown_fields=False)
    return request


def attributes(span):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.fixture
def collector():
    made = Collector()
    with serving(made.handler) as port:
        made.url = "http://127.0.0.1:%d" % port
        yield made


def sample(project):
    """Python calls Ruby, which remembers something and calls Python."""
    write(project / "functions/python/outer.py",
          'import sabir\n\n\ndef outer(text: str) -> str:\n    """Outer.\n\n    Effect: read\n    """\n    return sabir.call("inner.inner", text=text)\n\n\n'
          'def leaf(text: str) -> str:\n    """Leaf.\n\n    Effect: read\n    """\n    return text.upper()\n\n\n'
          'def bad(text: str) -> str:\n    """Raises.\n\n    Effect: read\n    """\n    raise ValueError("no " + text)\n')
    write(project / "functions/ruby/inner.rb",
          '# Inner.\n#\n# @param text [String]\n# @return [String]\n# @effect read\ndef inner(text)\n'
          '  Sabir.memory.put("seen", text)\n  Sabir.memory.get("seen")\n  Sabir.call("outer.leaf", text: text)\nend\n')


def scripted(project, replies, **more):
    write(project / "tests/scripted_replies.json", json.dumps({"replies": replies}))
    write(project / "config/openai_config.yml", json.dumps({"default": "m", "models": {"m": {"provider": "scripted", "script": "tests/scripted_replies.json"}}, **more}))


def one_trace(machine, project, id="last", env=None):
    done = machine.sabir("trace", id, "--json", cwd=project, env=env)
    assert done.code == 0, done
    return done.json


def runs(machine, project, *words, env=None):
    done = machine.sabir("trace", "--json", *words, cwd=project, env=env)
    assert done.code == 0, done
    return done.json["runs"]


def tree(trace):
    """[name, [children]] of the root; children in the order of time."""
    def below(span):
        return [span["name"], [below(one) for one in trace["span_list"] if one["parent"] == span["span"]]]
    roots = [span for span in trace["span_list"] if span["parent"] not in {one["span"] for one in trace["span_list"]}]
    assert len(roots) == 1, roots
    return below(roots[0])


def named(trace, name):
    return next(span for span in trace["span_list"] if span["name"] == name)


def git(project, *words):
    done = subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false", *words], cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- one tree --------------------------------------------------------------------------------------------------------

def test_a_call_across_languages_is_one_tree(machine, project):
    sample(project)
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    commit = git(project, "rev-parse", "HEAD")
    done = machine.sabir("call", "outer.outer", "text=hello", "--user", "ann", "--tenant", "acme", cwd=project)
    assert (done.code, done.out) == (0, "HELLO\n"), done
    trace = one_trace(machine, project)
    assert tree(trace) == ["python/outer.outer", [["ruby/inner.inner", [["upsert_memory", []], ["search_memory", []], ["python/outer.leaf", []]]]]], trace
    assert (trace["user"], trace["tenant"], trace["ok"], trace["spans"]) == ("ann", "acme", True, 5)
    root = named(trace, "python/outer.outer")
    facts = root["attributes"]
    assert facts["vcs.ref.head.revision"] == commit and facts["sabir.vcs.dirty"] is False and facts["sabir.environment"] == "development"
    assert facts["code.file.path"] == "functions/python/outer.py" and facts["code.line.number"] == 4 and facts["sabir.function.effect"] == "read"
    assert facts["user.id"] == "ann"
    assert root["texts"] == {"sabir.function.arguments": '{"text":"hello"}', "sabir.function.result": '"HELLO"'}
    memory = named(trace, "search_memory")
    assert memory["attributes"]["gen_ai.memory.record.id"] == "seen" and memory["attributes"]["sabir.memory.version"] == 1
    # Its worker had to be started first.
    boot = [event for event in root["events"] if event["name"] == "worker.found"]
    assert boot and boot[0]["attributes"]["sabir.worker.boot.ms"] > 0, root
    # The hash of a function is its file's: another state of it has another.
    write(project / "functions/python/outer.py", (project / "functions/python/outer.py").read_text() + "\n# changed\n")
    assert machine.sabir("call", "outer.outer", "text=hello", cwd=project).code == 0
    later = one_trace(machine, project)
    assert named(later, "python/outer.outer")["attributes"]["sabir.vcs.dirty"] is True
    for name, same in (("python/outer.outer", False), ("ruby/inner.inner", True)):
        assert (named(later, name)["attributes"]["sabir.function.hash"] == named(trace, name)["attributes"]["sabir.function.hash"]) is same


def test_a_failure_is_told_with_its_type(machine, project):
    sample(project)
    done = machine.sabir("call", "outer.bad", "text=luck", cwd=project)
    assert done.code == 1, done
    trace = one_trace(machine, project)
    assert not trace["ok"] and trace["error"] == "function_error"
    assert trace["span_list"][0]["error"]["type"] == "function_error" and "no luck" in trace["span_list"][0]["error"]["message"]
    assert machine.sabir("call", "outer.leaf", "text=x", cwd=project).code == 0
    assert machine.sabir("call", "nothing.here", cwd=project).code == 1
    assert [run["name"] for run in runs(machine, project, "--failed")] == ["nothing.here", "python/outer.bad"]
    shown = machine.sabir("trace", trace["trace"][:10], cwd=project)
    assert shown.code == 0 and "✗ python/outer.bad" in shown.out and "function_error" in shown.out and "no luck" in shown.out, shown
    assert "\x1b" not in shown.out


def test_a_running_engine_keeps_what_its_clients_begin(machine, project):
    sample(project)
    machine.start_engine(project)
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    done = machine.sabir("call", "outer.outer", "text=hello", cwd=project, env={"TRACEPARENT": parent})
    assert done.code == 0, done
    for _ in range(200):
        if runs(machine, project):
            break
        time.sleep(0.05)
    trace = one_trace(machine, project, "4bf92f35")
    assert trace["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    root = named(trace, "python/outer.outer")
    assert root["parent"] == "00f067aa0ba902b7"
    assert tree(trace)[1][0][0] == "ruby/inner.inner"


# ---- models and assistants -------------------------------------------------------------------------------------------

def test_a_run_of_an_assistant_tells_what_it_was_made_from(machine, project):
    sample(project)
    write(project / "completions/teller.prompt", "---\nparameters: {temperature: 0.5}\n---\n== system ==\n{% include 'prompt_parts/brief.txt' %}\nYou are {{ assistant }}.\n")
    write(project / "completions/prompt_parts/brief.txt", "Be brief.")
    write(project / "assistants/python/teller.py", 'prompt = "teller"\nfunctions = ["outer.leaf"]\n')
    scripted(project, [{"contains": "time", "tool_calls": [{"name": "leaf", "arguments": {"text": "noon"}}], "text": "It is {tool:leaf}."}, {"text": "Again."}])
    done = machine.sabir("chat", "teller", "What time is it?", "--json", "--user", "ann", cwd=project)
    assert done.code == 0 and done.json["content"] == "It is NOON.", done
    trace = one_trace(machine, project, done.json["trace"])
    assert trace["run"] == done.json["run"] and trace["conversation"] == done.json["conversation"]
    # A run is found by its own id too.
    assert one_trace(machine, project, done.json["run"])["trace"] == done.json["trace"]
    names = [name for name, _ in tree(trace)[1]]
    assert tree(trace)[0] == "invoke_agent teller" and names.count("chat m") == 2 and "execute_tool leaf" in names and "create_memory" in names, names
    root = named(trace, "invoke_agent teller")
    facts = root["attributes"]
    assert facts["gen_ai.agent.name"] == "teller" and facts["gen_ai.operation.name"] == "invoke_agent" and facts["sabir.run.id"] == done.json["run"]
    assert facts["gen_ai.prompt.name"] == "teller.prompt"
    assert [one.split("@")[0] for one in facts["sabir.prompt.files"]] == ["completions/teller.prompt", "completions/prompt_parts/brief.txt"]
    assert "Be brief." in root["texts"]["sabir.prompt.messages"]
    assert json.loads(root["texts"]["gen_ai.input.messages"]) == [{"role": "user", "parts": [{"type": "text", "content": "What time is it?"}]}]
    chat = named(trace, "chat m")
    assert chat["attributes"]["gen_ai.request.temperature"] == 0.5 and chat["attributes"]["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert chat["attributes"]["gen_ai.usage.input_tokens"] > 0 and chat["attributes"]["sabir.prompt.names"] == ["teller.prompt"]
    assert json.loads(chat["texts"]["gen_ai.output.messages"])[0]["parts"][0]["name"] == "leaf"
    tool = named(trace, "execute_tool leaf")["attributes"]
    assert tool["gen_ai.tool.name"] == "leaf" and tool["gen_ai.tool.call.id"] and tool["sabir.function.address"] == "python/outer.leaf"
    recalled = named(trace, "search_memory")["attributes"]
    assert recalled["gen_ai.memory.store.id"] == "conversation" and recalled["gen_ai.memory.record.count"] == 0
    # What the models took is the run's, once.
    assert trace["input_tokens"] == sum(span["attributes"]["gen_ai.usage.input_tokens"] for span in trace["span_list"] if span["name"] == "chat m")
    shown = machine.sabir("trace", "last", cwd=project)
    for words in ("invoke_agent teller", "teller.prompt @", "assistants/python/teller.py @", "python/outer.leaf @", "temperature=0.5", "├ ", "█"):
        assert words in shown.out, (words, shown)
    # The hash of a prompt is that of all its files.
    write(project / "completions/prompt_parts/brief.txt", "Be very brief.")
    assert machine.sabir("chat", "teller", "Again?", cwd=project).code == 0
    assert named(one_trace(machine, project), "invoke_agent teller")["attributes"]["sabir.prompt.hash"] != facts["sabir.prompt.hash"]
    # The same by words alone.
    assert [run["trace"] for run in runs(machine, project, "--assistant", "teller", "--user", "ann")] == [trace["trace"]]
    assert [run["trace"] for run in runs(machine, project, "--text", "WHAT TIME")] == [trace["trace"]]
    assert runs(machine, project, "--text", "whatever else") == [] and runs(machine, project, "--assistant", "other") == []
    assert len(runs(machine, project, "--since", "1h")) == 2 and runs(machine, project, "--until", "1h") == []
    assert len(runs(machine, project, "--limit", "1")) == 1


def test_every_try_and_fallback_of_a_model_is_in_its_span(machine, project):
    with serving(openai_server.Handler) as port:
        base = "http://127.0.0.1:%d" % port
        models = {"main": {"provider": "openai", "api": "chat", "model": "stand-in", "base_url": base + "/down/v1", "retries": 1, "fallbacks": ["spare"]},
                  "spare": {"provider": "openai", "api": "chat", "model": "stand-in-2", "base_url": base + "/ok/v1", "parameters": {"max_tokens": 50}}}
        write(project / "config/openai_config.yml", json.dumps({"default": "main", "models": models, "prices": {"stand-in": {"input": 1000, "output": 1000}}}))
        done = machine.sabir("complete", "Hello", "--temperature", "0", "--json", cwd=project)
        assert done.code == 0 and done.json["alias"] == "spare", done
        trace = one_trace(machine, project, done.json["trace"])
        with urllib_open(base + "/requests/ok") as answer:
            asked = json.load(answer)
    chat = trace["span_list"][0]
    assert chat["name"] == "chat stand-in" and chat["parent"] is None
    a = chat["attributes"]
    assert (a["gen_ai.provider.name"], a["sabir.model.alias"], a["sabir.fallbacks"]) == ("openai", "spare", 1)
    assert (a["server.address"], a["server.port"]) == ("127.0.0.1", port)
    assert a["gen_ai.request.temperature"] == 0 and a["gen_ai.usage.output_tokens"] == done.json["usage"]["output_tokens"]
    tries = [event["attributes"] for event in chat["events"] if event["name"] == "try"]
    assert [(one["sabir.model.alias"], one["sabir.try"], one.get("http.response.status_code")) for one in tries] == [("main", 1, 503), ("main", 2, 503), ("spare", 1, None)]
    assert tries[0]["error.type"] == "model" and tries[0]["sabir.reason"] == "server_fault"
    # The server is told whose part its answer is.
    headers = {name.lower(): value for name, value in asked[-1]["headers"].items()}
    assert headers["traceparent"] == "00-%s-%s-01" % (trace["trace"], chat["span"])


def urllib_open(url):
    import urllib.request
    return urllib.request.urlopen(url, timeout=10)


def test_a_refused_budget_and_a_replayed_answer_are_marked(machine, project):
    sample(project)
    scripted(project, [{"text": "ok"}, {"text": "ok"}], prices={"m": {"input": 1, "output": 1}}, budgets={"day": {"tokens": 3}})
    done = machine.sabir("complete", "Hello", "--json", cwd=project)
    assert done.code == 1 and done.json["error"]["type"] == "budget", done
    trace = one_trace(machine, project)
    assert trace["error"] == "budget" and trace["span_list"][0]["events"][-1]["attributes"]["error.type"] == "budget", trace
    scripted(project, [{"text": "ok"}])
    assert machine.sabir("complete", "Hello", "--record", "hello", cwd=project).code == 0
    assert "sabir.replayed" not in one_trace(machine, project)["span_list"][0]["attributes"]
    assert machine.sabir("complete", "Hello", "--replay", "hello", cwd=project).code == 0
    assert one_trace(machine, project)["span_list"][0]["attributes"]["sabir.replayed"] is True
    assert machine.sabir("call", "outer.outer", "text=a", "--record", "outer", cwd=project).code == 0
    assert machine.sabir("call", "outer.outer", "text=a", "--replay", "outer", "--replay-functions", cwd=project).code == 0
    assert tree(one_trace(machine, project)) == ["outer.outer", []]
    assert one_trace(machine, project)["span_list"][0]["attributes"]["sabir.replayed"] is True


def test_a_prompt_with_its_functions_and_its_answer_is_one_tree(machine, project):
    sample(project)
    write(project / "completions/ask.prompt", "---\ncalls: [outer.leaf]\nfunctions: [outer.leaf]\n---\n== user ==\nSay {{ outer.leaf(text=word) }} in time.\n")
    scripted(project, [{"contains": "NOON", "tool_calls": [{"name": "leaf", "arguments": {"text": "x"}}], "text": "It is {tool:leaf}."}])
    done = machine.sabir("complete", "ask", "word=noon", "--json", "--user", "ann", cwd=project)
    assert done.code == 0 and done.json["content"] == "It is X.", done
    trace = one_trace(machine, project, done.json["trace"])
    assert trace["user"] == "ann" and trace["run"] == done.json["run"]
    assert tree(trace) == ["complete ask", [["python/outer.leaf", []], ["chat m", []], ["execute_tool leaf", []], ["chat m", []]]], trace
    assert named(trace, "complete ask")["attributes"]["gen_ai.prompt.name"] == "ask.prompt"
    assert named(trace, "chat m")["attributes"]["sabir.prompt.names"] == ["ask.prompt"]


def test_an_answer_from_the_cache_is_marked_and_counts_nothing(machine, project):
    with serving(openai_server.Handler) as port:
        write(project / "config/openai_config.yml", json.dumps({"default": "m", "models": {"m": {
            "provider": "openai", "api": "chat", "model": "stand-in", "base_url": "http://127.0.0.1:%d/ok/v1" % port, "cache": {"ttl": "1h"}}}}))
        for again in (False, True):
            done = machine.sabir("complete", "Hello", "--json", cwd=project)
            assert done.code == 0 and done.json.get("cached", False) is again, done
            trace = one_trace(machine, project, done.json["trace"])
            assert trace["span_list"][0]["attributes"].get("sabir.cache.hit", False) is again
            assert (trace["input_tokens"] == 0) is again


# ---- policy ----------------------------------------------------------------------------------------------------------

def configure(project, text):
    file = project / "sabir.yml"
    file.write_text(file.read_text() + "\n" + text)


def texts(machine, project, env=None):
    return [sorted(span.get("texts", {})) for span in one_trace(machine, project, env=env)["span_list"]]


def test_the_policy_of_the_environment_decides_about_texts(machine, project):
    sample(project)
    configure(project, "tracing:\n  environments:\n    staging: {capture: none}\n    sampled: {capture: sample, sample: 0}\n")
    both = ["sabir.function.arguments", "sabir.function.result"]
    for environment, good, failed in (("development", both, both[:1]), ("production", [], both[:1]), ("staging", [], []), ("sampled", [], [])):
        env = {"SABIR_ENV": environment}
        assert machine.sabir("call", "outer.leaf", "text=x", cwd=project, env=env).code == 0
        assert texts(machine, project, env) == [good], environment
        assert machine.sabir("call", "outer.bad", "text=x", cwd=project, env=env).code == 1
        assert texts(machine, project, env) == [failed], environment
        error = one_trace(machine, project, env=env)["span_list"][0]["error"]
        assert error["type"] == "function_error" and ("no x" in error["message"]) == (environment in ("development", "production")), error


@pytest.mark.parametrize("text, line, words", [
    ("tracing: {capture: some}", 0, "capture cannot be 'some'"),
    ("tracing:\n  keep_day: 3", 1, "keep_day"),
    ("tracing:\n  sample: 2", 1, "sample must be a number from 0 to 1"),
    ("tracing:\n  keep_mb: 0", 1, "keep_mb"),
    ("tracing:\n  otlp: {endpoint: localhost}", 1, "no http or https address"),
    ("tracing:\n  otlp:\n    header: {}", 2, "header"),
    ("tracing:\n  environments:\n    production: {capture: yes}", 2, "capture"),
    ("tracing:\n  environments:\n    production: {environments: {}}", 2, "environments"),
    ("tracing: yes", 0, "tracing must be a mapping"),
])
def test_settings_that_are_wrong_are_pointed_at(machine, project, text, line, words):
    file = project / "sabir.yml"
    before = len(file.read_text().splitlines())
    configure(project, text + "\n")
    done = machine.sabir("call", "anything", cwd=project)
    assert done.code == 1 and "sabir.yml:%d:" % (before + 2 + line) in done.err and words in done.err, done


def test_otel_sdk_disabled_turns_all_of_it_off(machine, project, collector):
    sample(project)
    env = {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    assert machine.sabir("call", "outer.outer", "text=x", cwd=project, env=env).code == 0
    assert not (project / ".sabir/development/traces.db").exists() and collector.bodies == []
    nothing = machine.sabir("trace", cwd=project)
    assert nothing.code == 0 and nothing.out == "" and "No traces yet" in nothing.err, nothing
    assert machine.sabir("trace", "--json", cwd=project).json == {"runs": [], "dropped_spans": 0}
    missing = machine.sabir("trace", "last", cwd=project)
    assert missing.code == 1 and "no traces" in missing.err, missing


def test_a_trace_that_is_not_there_and_wrong_usage(machine, project):
    sample(project)
    assert machine.sabir("call", "outer.leaf", "text=x", cwd=project).code == 0
    for words, code, said in ((["zz"], 1, "no trace begins with 'zz'"), (["last", "--failed"], 2, "exclude each other"), (["--since", "soon"], 2, "--since 'soon'"),
                              (["--limit", "0"], 2, "--limit")):
        done = machine.sabir("trace", *words, cwd=project)
        assert done.code == code and said in done.err, done
    assert machine.sabir("trace", "zz", "--json", cwd=project).json["error"]["type"] == "not_found"


def test_a_disk_that_cannot_be_written_fails_no_call(machine, project):
    sample(project)
    state = project / ".sabir/development/traces.db"
    state.mkdir(parents=True)  # where the file would be
    done = machine.sabir("call", "outer.leaf", "text=x", cwd=project)
    assert (done.code, done.out) == (0, "X\n"), done
    assert done.err.count("traces are not kept") == 1, done


# ---- export ----------------------------------------------------------------------------------------------------------

def test_what_is_exported_is_what_opentelemetry_reads(machine, project, collector):
    sample(project)
    configure(project, "tracing:\n  otlp:\n    endpoint: %s\n    headers: {Authorization: collector_key}\n" % collector.url)
    write(project / "config/secrets.json", json.dumps({"collector_key": "Bearer sesame-sesame"})).chmod(0o600)
    env = {"OTEL_SERVICE_NAME": "the shop", "OTEL_EXPORTER_OTLP_HEADERS": "x-team=red%20team"}
    done = machine.sabir("call", "outer.outer", "text=hello", "--user", "ann", cwd=project, env=env)
    assert done.code == 0 and "Bearer" not in done.err, done
    assert {path for path, _ in collector.headers} == {"/v1/traces"}
    headers = {name.lower(): value for name, value in collector.headers[0][1].items()}
    assert headers["authorization"] == "Bearer sesame-sesame" and headers["x-team"] == "red team" and headers["content-type"] == "application/json"
    resource = {one.key: one.value.string_value for one in collector.requests()[0].resource_spans[0].resource.attributes}
    assert resource["service.name"] == "the shop" and resource["deployment.environment.name"] == "development" and resource["telemetry.sdk.name"] == "sabir"
    spans = {span.name: span for span in collector.spans()}
    assert sorted(spans) == ["python/outer.leaf", "python/outer.outer", "ruby/inner.inner", "search_memory", "upsert_memory"]
    outer, inner = spans["python/outer.outer"], spans["ruby/inner.inner"]
    assert len({span.trace_id for span in spans.values()}) == 1 and len(outer.trace_id) == 16 and len(outer.span_id) == 8
    assert inner.parent_span_id == outer.span_id and spans["python/outer.leaf"].parent_span_id == inner.span_id and outer.parent_span_id == b""
    assert outer.kind == 1 and outer.status.code == 0
    assert outer.start_time_unix_nano <= inner.start_time_unix_nano <= inner.end_time_unix_nano <= outer.end_time_unix_nano
    assert abs(outer.end_time_unix_nano / 1e9 - time.time()) < 300
    facts = attributes(outer)
    assert facts["user.id"] == "ann" and facts["code.line.number"] == 4 and facts["sabir.function.arguments"] == '{"text":"hello"}'
    # The local copy has the same ids.
    assert one_trace(machine, project)["trace"] == outer.trace_id.hex()
    for span in spans.values():
        keys = [one.key for one in span.attributes]
        assert len(keys) == len(set(keys)), keys


def test_failures_and_models_are_exported_with_the_names_of_the_conventions(machine, project, collector):
    sample(project)
    scripted(project, [{"text": "ok"}])
    env = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url + "/v1/traces"}
    assert machine.sabir("call", "outer.bad", "text=luck", cwd=project, env=env).code == 1
    (span,) = collector.spans()
    assert span.status.code == 2 and "no luck" in span.status.message and attributes(span)["error.type"] == "function_error"
    collector.bodies.clear()
    assert machine.sabir("complete", "Hello", cwd=project, env=env).code == 0
    (span,) = collector.spans()
    facts = attributes(span)
    assert span.kind == 3 and span.name == "chat m" and facts["gen_ai.operation.name"] == "chat" and facts["gen_ai.provider.name"] == "scripted"
    assert [one.string_value for one in facts["gen_ai.response.finish_reasons"].values] == ["stop"]
    assert span.events[0].name == "try"
    collector.bodies.clear()
    # Whoever began the trace does not want it.
    unsampled = dict(env, TRACEPARENT="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
    assert machine.sabir("call", "outer.leaf", "text=x", cwd=project, env=unsampled).code == 0
    assert collector.bodies == [] and one_trace(machine, project)["trace"].startswith("4bf92f35")


def test_a_collector_that_is_overloaded_gone_or_picky_fails_no_call(machine, project, collector):
    sample(project)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    collector.answers = [(503, b"{}"), (200, json.dumps({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}).encode())]
    done = machine.sabir("call", "outer.leaf", "text=x", cwd=project, env=env)
    assert (done.code, done.out) == (0, "X\n") and len(collector.bodies) == 2 and "refused 1 of 1 spans: too old" in done.err, done
    collector.answers = [(400, b'{"message":"what is this"}')]
    done = machine.sabir("call", "outer.leaf", "text=x", cwd=project, env=env)
    assert done.code == 0 and len(collector.bodies) == 3 and "answered 400" in done.err and "what is this" in done.err, done
    done = machine.sabir("call", "outer.leaf", "text=x", cwd=project, env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    assert (done.code, done.out) == (0, "X\n") and "spans were not exported" in done.err, done


# ---- secrets ---------------------------------------------------------------------------------------------------------

def forms_of(secret):
    """How a value looks where somebody might have encoded it: plain, in JSON, URL, hexadecimal, and in base64 at each alignment."""
    raw = secret.encode()
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret, safe=""),
             raw.hex(), raw.hex().upper()}
    for before in range(3):
        digits = base64.b64encode(b"\0" * before + raw).decode()
        core = digits[(before * 8 + 5) // 6:(before + len(raw)) * 8 // 6]
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return {form.encode() for form in forms}


def test_a_secret_leaves_by_no_trace_recording_log_or_export(machine, project, collector):
    secret = 'Gold"en/Kéy+77?&x'
    write(project / "completions/leak.txt", "The key is {{ key }}.\n")
    write(project / "functions/python/vault.py", '''
import base64
import sys
import urllib.parse

import sabir


def leak(key: str) -> str:
    """Spreads a secret.

    Secrets: weather_api_key
    """
    own = sabir.secret("weather_api_key")
    assert own == key
    raw = own.encode()
    for text in (own, urllib.parse.quote(own, safe=""), raw.hex(), *(base64.b64encode(b"-" * n + raw).decode() for n in range(3))):
        sabir.log("log: " + text, "error")
        print("print: " + text)
        print("err: " + text, file=sys.stderr)
        sabir.memory.put("copy", {"deep": text, "json": '{"inner": "%s"}' % text})
        sabir.memory.get("copy")
        sabir.call("vault.echo", key=text)
        try:
            sabir.call("vault.fail", key=text)
        except sabir.Error:
            pass
    return sabir.complete(sabir.render("leak", key=own))


def echo(key: str) -> dict:
    """Gives it back."""
    return {key: [key, "basic " + key]}


def fail(key: str) -> str:
    """Raises."""
    raise ValueError("bad key " + key)
''')
    write(project / "assistants/python/gossip.py", 'instructions = "Gossip."\nfunctions = ["vault.echo", "vault.fail"]\n')
    configure(project, "tracing: {capture: all}\n")
    with serving(openai_server.Handler) as port:
        write(project / "config/openai_config.yml", json.dumps({"default": "server", "models": {"server": {
            "provider": "openai", "api": "chat", "model": "stand-in", "base_url": "http://127.0.0.1:%d/ok/v1" % port, "key": "openai_api_key", "retries": 0}}}))
        env = {"WEATHER_API_KEY": secret, "OPENAI_API_KEY": "sk-test-0123456789", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
               "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20collector-token-1", "SABIR_LOG": "debug"}
        said = []
        for words in (["call", "vault.leak", "key=" + secret, "--record", "leak"], ["call", "vault.fail", "key=" + secret],
                      ["chat", "gossip", "Tell " + secret, "--record", "gossip"], ["complete", "The key is " + secret], ["prompt", "render", "leak", "key=" + secret]):
            done = machine.sabir(*words, cwd=project, env=env)
            assert done.code == (1 if "vault.fail" in words else 0), done
            # What the caller asked for is the caller's; the rest is anybody's.
            said.append(("the words of %s" % words[0], done.err.encode() if words[0] != "call" or words[1] != "vault.fail" else
                         "\n".join(line for line in done.err.splitlines() if not line.startswith("sabir: functions/python/vault.py:")).encode()))
        assert said and collector.bodies
        trace = machine.sabir("trace", "--json", "--limit", "50", cwd=project)
        said.append(("sabir trace", trace.out.encode()))
        for run in trace.json["runs"]:
            said.append(("sabir trace ID", machine.sabir("trace", run["trace"], "--json", cwd=project).out.encode()))
            said.append(("sabir trace ID --verbose", machine.sabir("trace", run["trace"], "--verbose", cwd=project).out.encode()))
    assert len(trace.json["runs"]) >= 4
    everything = said + [("an export", body) for body in collector.bodies]
    # Every file of the machine but the user's own sources and what the functions were told to remember.
    for file in sorted(Path(machine.folder).rglob("*")):
        if file.is_file() and not file.is_symlink() and not file.name.startswith("store.db"):
            everything.append((str(file.relative_to(machine.folder)), file.read_bytes()))
    for other in (secret, "sk-test-0123456789", "collector-token-1"):
        for form in forms_of(other):
            for place, content in everything:
                assert form not in content, (place, form)
    # They were there: the traces say where.
    kept = sqlite3.connect("file:%s?mode=ro" % (project / ".sabir/development/traces.db"), uri=True)
    marked = kept.execute("SELECT count(*) FROM text WHERE value LIKE '%[secret:weather_api_key]%'").fetchone()[0]
    kept.close()
    assert marked > 20, marked
    assert any(b"[secret:weather_api_key]" in body for body in collector.bodies)
    assert any("recordings/leak.json" in place and b"[secret:weather_api_key]" in content for place, content in everything)
