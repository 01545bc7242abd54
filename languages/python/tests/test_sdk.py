"""The SDK in a process that is no worker."""

import json
import os
import subprocess
import sys
import threading

import pytest

import sabir
from sabir import _channel, _client

HERE = os.path.dirname(os.path.abspath(__file__))
FAKE = os.path.join(HERE, "fake_engine.py")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder whose engine is the stand-in; .starts() are its starts."""
    (tmp_path / "sabir.yml").write_text("engine: 0.1.0\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    log = tmp_path / "engine.log"
    engine = tmp_path / "sabir"
    engine.write_text("#!/bin/sh\nexec %s %s \"$@\"\n" % (sys.executable, FAKE))
    engine.chmod(0o755)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    monkeypatch.setenv("SABIR_BIN", str(engine))
    monkeypatch.setenv("FAKE_ENGINE_LOG", str(log))
    for name in ("SABIR_PROJECT", "SABIR_ENV", "SABIR_USER"):
        monkeypatch.delenv(name, raising=False)
    _channel.close()

    class Project:
        path = tmp_path

        @staticmethod
        def lines(word):
            return [line for line in (log.read_text().splitlines() if log.exists() else []) if line.startswith(word)]
    yield Project
    _channel.close()


def test_call_starts_one_private_engine_for_the_project(project):
    assert sabir.call("slugify", text="Été")["arguments"] == {"text": "Été"}
    sabir.call("slugify", text="again")
    assert project.lines("start") == ["start attach --project %s --env development" % project.path]


def test_closing_ends_the_private_engine(project):
    sabir.functions()
    _channel.close()
    assert project.lines("end") == ["end"]


def test_memory_round_trip(project):
    assert sabir.memory.put("colour", {"name": "red"}) == 1
    assert sabir.memory.put("colour", {"name": "blue"}, if_version=1) == 2
    assert sabir.memory.get("colour") == {"name": "blue"}
    assert sabir.memory.get("absent", default=7) == 7
    assert sabir.memory.get("colour", namespace="other") is None
    with pytest.raises(sabir.Error) as caught:
        sabir.memory.put("colour", 1, if_version=1)
    assert caught.value.type == "conflict"
    assert sabir.memory.delete("colour") is True
    assert sabir.memory.delete("colour") is False


def test_memory_list_reads_every_page(project, monkeypatch):
    monkeypatch.setattr(sabir.memory, "_PAGE", 3)
    for number in range(7):
        sabir.memory.put("n%d" % number, number)
    items = sabir.memory.list("n")
    assert items.keys() == ["n%d" % number for number in range(7)]
    assert items["n4"] == 4 and "n4" in items and "x" not in items
    assert items[0].version == 1 and len(items) == 7
    assert items.to_dict()["n6"] == 6


def test_conversation_log(project):
    assert sabir.memory.append("c", {"role": "user", "content": "hi"}) == 1
    assert sabir.memory.append("c", {"role": "assistant", "content": "hello"}) == 2
    assert [message["role"] for message in sabir.memory.messages("c")] == ["user", "assistant"]


def test_prompts_models_assistants_and_secrets(project):
    assert sabir.render("greeting", name="Ada") == "Hello Ada"
    reply = sabir.complete("hi", temperature=0)
    assert reply == "HI" and reply.provider == "scripted" and reply.usage == {"input_tokens": 1}
    answer = sabir.ask("support", "a parcel")
    assert answer == "about a parcel" and answer.conversation == "c1" and answer.calls == []
    assert sabir.secret("key") == "s3cret"


def test_an_error_keeps_type_hint_place_and_particulars(project):
    with pytest.raises(sabir.Error) as caught:
        sabir.call("fail")
    error = caught.value
    assert (error.type, error.message, error.hint, error.file, error.line) == (
        "function_error", "no such city", "try another", "functions/x.py", 3)
    assert error.data["city"] == "Ur"
    assert str(error) == "functions/x.py:3: no such city (try another)"


def test_large_arguments_travel_as_blobs(project):
    assert sabir.call("echo", text="é" * 50000)["arguments"] == {"text": "é" * 50000}
    assert project.lines("functions.call") == ["functions.call 1"]


def test_what_json_cannot_carry_is_said_before_it_is_sent(project):
    with pytest.raises(sabir.Error, match="/value/a: nan is not a JSON number"):
        sabir.memory.put("k", {"a": float("nan")})
    with pytest.raises(sabir.Error, match="type object has no JSON form"):
        sabir.call("echo", value=object())
    for value, why in ((float("inf"), "inf is not a JSON number"), ("\ud800", "lone surrogate"), ({"a": [2 ** 2000]}, "over 300 digits")):
        with pytest.raises(sabir.Error, match=why):
            sabir.call("echo", value=value)
    assert sabir.call("echo", value=[2 ** 70, "\U0001f600", -0.5])["arguments"] == {"value": [2 ** 70, "\U0001f600", -0.5]}
    assert sabir.call("echo", value=1)["arguments"] == {"value": 1}


def test_threads_share_the_connection(project):
    wrong = []

    def work(number):
        for turn in range(20):
            if sabir.call("f", n=number, turn=turn)["arguments"] != {"n": number, "turn": turn}:
                wrong.append((number, turn))
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert len(project.lines("start")) == 1


def test_a_slow_call_does_not_hold_up_another_threads(project):
    sabir.functions()
    order = []

    def slow():
        sabir.call("slow")
        order.append("slow")
    thread = threading.Thread(target=slow)
    thread.start()
    while not project.lines("functions.call"):
        pass
    sabir.call("quick")
    order.append("quick")
    thread.join(10)
    assert order == ["quick", "slow"]


def test_a_forked_child_has_its_own_engine(project):
    parent = sabir.call("f")["pid"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(sabir.call("f")["pid"]).encode())
            _channel.close()
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    theirs = os.read(read, 100).decode()
    os.close(read)
    assert theirs.isdigit() and int(theirs) != parent
    assert sabir.call("f")["pid"] == parent


def test_an_engine_that_dies_in_a_call_leaves_its_outcome_unknown(project):
    with pytest.raises(sabir.Error) as caught:
        sabir.call("die")
    assert caught.value.type == "outcome_unknown"
    assert sabir.call("f")["address"] == "f"


def test_a_running_engine_is_joined(project):
    path = str(project.path / "e.sock")
    engine = subprocess.Popen([sys.executable, FAKE, "listen", path], stdout=subprocess.PIPE)
    try:
        assert engine.stdout.readline() == b"ready\n"
        state = project.path / ".sabir" / "development"
        state.mkdir(parents=True)
        (state / "engine.json").write_text(json.dumps({"format": 1, "socket": path, "pid": engine.pid, "engine": "0.1.0"}))
        assert sabir.call("f")["pid"] == engine.pid
        _channel.close()
    finally:
        engine.kill()
        engine.wait()
        engine.stdout.close()
    # The file is stale now: a private engine serves.
    assert sabir.call("f")["pid"] != engine.pid
    assert len(project.lines("start attach")) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2, "socket": "/x"}', '{"format": 1}', '{"format": 1, "socket": "/no/such"}'])
def test_an_unusable_engine_file_is_passed_over(project, content):
    state = project.path / ".sabir" / "development"
    state.mkdir(parents=True)
    (state / "engine.json").write_text(content)
    assert sabir.call("f")["address"] == "f"


def test_a_silent_engine_is_given_up(project, monkeypatch):
    monkeypatch.setattr(_client, "DEADLINE", 1)
    monkeypatch.setenv("FAKE_ENGINE_SILENT", "1")
    with pytest.raises(sabir.Error, match="did not answer within 1 seconds"):
        sabir.functions()


def test_a_missing_engine_is_said_in_one_line(project, monkeypatch):
    monkeypatch.setenv("SABIR_BIN", "/no/such/sabir")
    with pytest.raises(sabir.Error) as caught:
        sabir.functions()
    assert str(caught.value).startswith("the engine `sabir` was not found: SABIR_BIN names /no/such/sabir")
    monkeypatch.delenv("SABIR_BIN")
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(sabir.Error) as caught:
        sabir.functions()
    assert caught.value.type == "unavailable"
    assert str(caught.value).startswith("the engine `sabir` was not found (install it") and "\n" not in str(caught.value)


def test_no_project_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SABIR_PROJECT", raising=False)
    _channel.close()
    with pytest.raises(sabir.Error) as caught:
        sabir.functions()
    assert caught.value.type == "no_project"
    monkeypatch.setenv("SABIR_PROJECT", str(tmp_path / "none"))
    with pytest.raises(sabir.Error, match="none"):
        sabir.functions()


def test_progress_and_log_do_no_harm_outside_a_worker(project, capsys):
    sabir.progress(1, 2, "half")
    sabir.log("a line", "warning")
    assert capsys.readouterr().err == "warning: a line\n"
    assert not project.lines("start")
