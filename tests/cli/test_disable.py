"""`sabir functions disable`: at once, recorded, and seen at every door."""
import json
import threading
import time

import pytest
from harness import write
from serving import Served, write_project


@pytest.fixture
def notes(machine):
    return write_project(machine.folder / "notes", languages="python")


def disable(machine, project, *more):
    done = machine.sabir("functions", "disable", "notes.shorten", "--reason", "it charges twice", "--user", "ada", *more, cwd=project)
    assert done.code == 0, done
    return done


def test_without_an_engine_it_is_kept_for_the_next(machine, notes):
    done = disable(machine, notes)
    assert "python/notes.shorten is disabled in development" in done.out
    done = machine.sabir("call", "notes.shorten", "text=abc", "--json", cwd=notes)
    error = done.json["error"]
    assert done.code == 1 and error["type"] == "disabled", done
    assert "ada" in error["message"] and "it charges twice" in error["message"] and "sabir functions enable python/notes.shorten" in error["hint"]
    assert error["disabled"]["who"] == "ada" and error["disabled"]["at_ms"] > 0
    listed = machine.sabir("functions", "disabled", "--json", cwd=notes).json["disabled"]
    assert [(one["address"], one["who"], one["reason"]) for one in listed] == [("python/notes.shorten", "ada", "it charges twice")]
    for _ in range(2):  # as read, and as kept from then
        shown = machine.sabir("functions", cwd=notes).out
        assert "disabled by ada: it charges twice" in next(line for line in shown.splitlines() if line.startswith("notes.shorten"))
    assert machine.sabir("functions", "notes.shorten", "--json", cwd=notes).json["disabled"]["who"] == "ada"
    # Other environments have it.
    assert machine.sabir("call", "notes.shorten", "text=abc", "--env", "staging", cwd=notes).code == 0
    assert machine.sabir("functions", "enable", "shorten", "--user", "bob", "--reason", "mended", cwd=notes).code == 0
    assert machine.sabir("call", "notes.shorten", "text=abc", cwd=notes).out == "abc\n"
    assert "disabled" not in machine.sabir("functions", cwd=notes).out
    # Every word is kept, with who said it.
    words = [json.loads(line) for line in (notes / ".sabir/development/disabled_functions.jsonl").read_text().splitlines()]
    assert [(word["who"], word["disabled"], word["reason"]) for word in words] == [("ada", True, "it charges twice"), ("bob", False, "mended")]


def test_names_that_are_none_are_refused(machine, notes):
    done = machine.sabir("functions", "disable", "notes.shortem", cwd=notes)
    assert done.code == 1 and "notes.shorten" in done.err, done
    done = machine.sabir("functions", "enable", "notes.shorten", cwd=notes)
    assert done.code == 1 and "is not disabled" in done.err, done
    assert machine.sabir("functions", "disable", cwd=notes).code == 2


def mcp(served, method, params=None, session=None, id=1):
    headers = {"Accept": "application/json, text/event-stream"}
    if session:
        headers["Mcp-Session-Id"] = session
    answer = served.ask("POST", "/mcp", {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}, headers=headers)
    text = answer.body
    if text.startswith(("event:", "id:", "data:", "retry:", ":")):
        text = next(line[6:] for line in text.splitlines() if line.startswith("data: {"))
    return answer, json.loads(text)


def test_a_running_server_takes_no_more_calls_at_any_door(machine, notes):
    served = Served(machine, notes)
    assert served.call("notes.shorten", {"text": "abc"}).status == 200
    slow = []
    running = threading.Thread(target=lambda: slow.append(served.call("notes.slow", {"seconds": 2, "mark": str(machine.folder / "mark")})))
    running.start()
    while not (machine.folder / "mark.begun").exists():
        time.sleep(0.02)
    answer, opened = mcp(served, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}})
    assert opened["result"]["capabilities"]["tools"]["listChanged"] is True
    session = answer.headers["Mcp-Session-Id"]
    served.ask("POST", "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers={"Accept": "application/json, text/event-stream", "Mcp-Session-Id": session})
    names = lambda: [tool["name"] for tool in mcp(served, "tools/list", session=session)[1]["result"]["tools"]]
    assert {"shorten", "slow"} <= set(names())

    # What it is told without asking.
    heard = []
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request("GET", "/mcp", headers={"Accept": "text/event-stream", "Mcp-Session-Id": session})
    stream = connection.getresponse()

    def listen():
        try:
            for line in iter(stream.readline, b""):
                if b"list_changed" in line:
                    heard.append(line)
        except (OSError, ValueError, AttributeError):
            pass  # the test is over

    threading.Thread(target=listen, daemon=True).start()

    disable(machine, notes)
    assert machine.sabir("functions", "disable", "notes.slow", "--user", "ada", cwd=notes).code == 0
    refused = served.call("notes.shorten", {"text": "abc"})
    assert refused.status == 503 and refused.json["type"] == "urn:sabir:error:disabled" and "ada" in refused.json["detail"], refused
    assert served.call("notes.slow", {"seconds": 0}).status == 503
    begin = time.monotonic()
    while {"shorten", "slow"} & set(names()) and time.monotonic() - begin < 30:
        time.sleep(0.05)
    assert not {"shorten", "slow"} & set(names()) and "rate" in names()
    while not heard and time.monotonic() - begin < 30:
        time.sleep(0.05)
    assert heard
    called = mcp(served, "tools/call", {"name": "shorten", "arguments": {"text": "abc"}}, session)[1]
    assert "error" in called or called["result"]["isError"], called
    listed = next(one for one in served.ask("GET", "/functions").json["functions"] if one["address"] == "notes.shorten")
    assert listed["disabled"]["who"] == "ada"
    # What ran is answered.
    running.join(30)
    assert slow[0].status == 200 and slow[0].json == "awake"

    # A saved file takes nothing back, nor does another server.
    file = notes / "functions/python/notes.py"
    file.write_text(file.read_text() + "\n\ndef another() -> int:\n    return 1\n")
    while served.call("notes.another").status == 404 and time.monotonic() - begin < 60:
        time.sleep(0.05)
    assert served.call("notes.shorten", {"text": "abc"}).status == 503
    assert machine.sabir("functions", "enable", "notes.shorten", cwd=notes).code == 0
    assert served.call("notes.shorten", {"text": "abc"}).status == 200
    connection.close()
    assert served.stop() == 0


def test_an_engine_that_was_not_asked_sees_it_within_a_moment(machine, notes):
    first, second = Served(machine, notes), Served(machine, notes)
    disable(machine, notes)
    begin = time.monotonic()
    while second.call("notes.shorten", {"text": "abc"}).status == 200:
        assert time.monotonic() - begin < 30
        time.sleep(0.1)
    assert first.call("notes.shorten", {"text": "abc"}).status == 503
    assert second.call("notes.shorten", {"text": "abc"}).status == 503
    first.stop()
    second.stop()


def test_an_assistant_is_not_offered_it(machine, project):
    write(project / "tests/scripted_replies.json", json.dumps({"replies": [
        {"contains": "go", "tool_calls": [{"name": "slugify", "arguments": {"text": "a b"}}], "text": "it said: {tool:slugify}"}]}))
    scripted = {"SABIR_MODEL": "scripted"}
    said = machine.sabir("chat", "assistant1", "go", "--json", cwd=project, env=scripted)
    assert said.code == 0 and "a-b" in said.json["content"], said
    assert machine.sabir("functions", "disable", "slugify", cwd=project).code == 0
    said = machine.sabir("chat", "assistant1", "go", "--json", cwd=project, env=scripted)
    assert "a-b" not in said.text and "slugify" in said.text, said
