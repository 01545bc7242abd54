"""Commands that no other file follows from start to end: the engine's life, secrets, setup, the SDKs' paths, tests."""
import json
import os
import socket
import stat
import subprocess
import xml.etree.ElementTree

from harness import write


def test_an_engine_is_run_seen_and_stopped(machine, project):
    absent = machine.sabir("engine", "status", cwd=project)
    assert absent.code == 1 and "engine run" in absent.err, absent
    process = machine.start_engine(project)
    seen = machine.sabir("engine", "status", "--json", cwd=project)
    assert seen.code == 0 and seen.json["pid"] == process.pid, seen
    called = machine.sabir("call", "slugify", "text=Été à Paris", cwd=project)
    assert called.code == 0 and "ete-a-paris" in called.out, called
    again = machine.sabir("engine", "run", cwd=project)
    assert again.code == 1 and "engine stop" in again.err, again
    stopped = machine.sabir("engine", "stop", cwd=project)
    assert stopped.code == 0, stopped
    assert process.wait(timeout=10) == 0
    assert not (project / ".sabir/development/engine.json").exists()
    assert machine.sabir("engine", "status", cwd=project).code == 1


def test_stop_without_an_engine_says_so(machine, project):
    done = machine.sabir("engine", "stop", "--json", cwd=project)
    assert done.code == 1 and done.json["error"]["type"] == "not_found", done


def test_attach_serves_the_inherited_socket_and_ends_with_it(machine, project):
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    process = subprocess.Popen([str(machine.binary), "attach"], cwd=str(project), env=dict(machine.env, SABIR_FD=str(theirs.fileno())),
                               pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    machine.started.append(process)
    theirs.close()
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "hello",
                        "params": {"protocol": {"min": 1, "max": 1}, "role": "client", "sdk": "0.1.0", "language": "python"}}).encode()
    ours.sendall(b"%d\n%s" % (len(hello), hello))
    answer = b""
    while b"\n" not in answer or len(answer) < answer.index(b"\n") + 1 + int(answer[:answer.index(b"\n")]):
        piece = ours.recv(65536)
        assert piece, answer
        answer += piece
    message = json.loads(answer[answer.index(b"\n") + 1:])
    assert message["id"] == 1 and message["result"]["protocol"] == 1, message
    ours.close()
    assert process.wait(timeout=10) == 0


def test_attach_serves_two_pipes_for_languages_that_cannot_pass_a_socket_on(machine, project):
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    process = subprocess.Popen([str(machine.binary), "attach"], cwd=str(project), env=dict(machine.env, SABIR_FD="%d,%d" % (their_in, their_out)),
                               pass_fds=[their_in, their_out], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    machine.started.append(process)
    os.close(their_in)
    os.close(their_out)
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "hello",
                        "params": {"protocol": {"min": 1, "max": 1}, "role": "client", "sdk": "0.1.0", "language": "java"}}).encode()
    os.write(our_out, b"%d\n%s" % (len(hello), hello))
    with os.fdopen(our_in, "rb") as answers:
        message = json.loads(answers.read(int(answers.readline())))
        assert message["id"] == 1 and message["result"]["protocol"] == 1, message
        os.close(our_out)
        assert process.wait(timeout=10) == 0


def test_attach_by_hand_is_explained(machine, project):
    done = machine.sabir("attach", cwd=project)
    assert done.code == 2 and "SDKs start it themselves" in done.err, done


def test_a_secret_is_stored_listed_and_removed_without_being_shown(machine, project):
    stored = machine.sabir("secrets", "set", "weather_api_key", cwd=project, input="k-123456\n")
    assert stored.code == 0, stored
    path = project / "config/secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = machine.sabir("secrets", "list", cwd=project)
    assert listed.code == 0 and "weather_api_key" in listed.out, listed
    got = machine.sabir("secrets", "get", "weather_api_key", cwd=project)
    assert got.code == 0, got
    assert "k-123456" not in stored.text + listed.text + got.text
    removed = machine.sabir("secrets", "rm", "weather_api_key", cwd=project)
    assert removed.code == 0, removed
    assert machine.sabir("secrets", "rm", "weather_api_key", cwd=project).code == 1
    assert "k-123456" not in path.read_text()


def test_an_empty_secret_is_refused(machine, project):
    done = machine.sabir("secrets", "set", "weather_api_key", cwd=project, input="\n")
    assert done.code == 2 and "empty" in done.err, done


def test_setup_makes_every_language_ready(machine, project):
    # Without requirements there is nothing to fetch, so the test needs no network.
    write(project / "requirements.txt", "# nothing\n")
    done = machine.sabir("setup", "--json", cwd=project)
    assert done.code == 0 and done.json["ok"], done
    assert {line["language"] for line in done.json["languages"]} >= {"python", "ruby"}


def test_the_sdk_of_each_language_is_where_the_path_says(machine):
    for language, file in (("python", "sabir/__init__.py"), ("ruby", "sabir.rb"), ("cpp", "sabir/sabir.hpp")):
        done = machine.sabir("sdk", "path", language)
        assert done.code == 0 and os.path.isfile(os.path.join(done.out.strip(), file)), done
    assert machine.sabir("sdk", "path", "cobol").code == 2


def test_sabir_test_reports_failures_with_their_place_in_text_json_and_junit(machine, project):
    write(project / "functions/python/tests/test_wrong.py", "def test_sum():\n    assert 1 + 1 == 3\n")
    done = machine.sabir("test", "functions/python/tests/test_wrong.py", "--junit", "report.xml", cwd=project)
    assert done.code == 1, done
    assert "functions/python/tests/test_wrong.py:2" in done.out and "0 passed, 1 failed" in done.out, done
    suites = xml.etree.ElementTree.parse(project / "report.xml").getroot()
    assert suites.find("testsuite").get("failures") == "1"
    again = machine.sabir("test", "functions/python/tests/test_wrong.py", "--json", cwd=project)
    assert again.code == 1 and again.json["suites"][0]["cases"][0]["line"] == 2, again


def test_a_suite_whose_files_hold_no_test_fails(machine, project):
    write(project / "functions/python/tests/test_empty.py", "")
    done = machine.sabir("test", "functions/python/tests/test_empty.py", cwd=project)
    assert done.code == 1 and "no test was collected" in done.out, done


def test_conformance_of_a_carried_worker_ends_with_counts_and_no_failure(machine):
    done = machine.sabir("conformance", "--language", "python", "--only", "MUST-8", "--json")
    assert done.code == 0, done
    plain = machine.sabir("conformance", "--language", "python", "--only", "MUST-8")
    assert plain.code == 0 and "MUST-8.3" in plain.out and "3 passed, 0 failed" in plain.out, plain


def test_conformance_finds_a_worker_that_is_none(machine):
    done = machine.sabir("conformance", "--worker", "true", "--only", "MUST-8", "--json")
    assert done.code == 1, done


def test_models_are_listed_with_licence_and_whether_they_are_here(machine):
    done = machine.sabir("model", "list", "--json")
    assert done.code == 0 and done.json["models"], done
    assert all(model["licence"] and model["installed"] is False for model in done.json["models"]), done


def test_a_model_that_nobody_knows_is_answered_with_those_there_are(machine):
    for word in ("pull", "rm"):
        done = machine.sabir("model", word, "no-such-model")
        assert done.code == 1 and "no-such-model" in done.err and done.err.count("\n") >= 1, done


def test_cpp_files_may_define_the_same_name_and_share_what_only_one_defines(machine, whole_project):
    write(whole_project / "functions/cpp/shared.hpp", "#pragma once\nint once();\ninline int common() { return 100; }\n")
    write(whole_project / "functions/cpp/left.cpp", '#include "shared.hpp"\nint helper() { return 1; }\nint once() { return 10; }\n'
          "/// Left's own.\nint answer() { return helper() + once() + common(); }\n")
    write(whole_project / "functions/cpp/right.cpp", '#include "shared.hpp"\nint helper() { return 2; }\n'
          "/// Right's own.\nint answer() { return helper() + once() + common(); }\n")
    assert machine.sabir("call", "left.answer", cwd=whole_project).out.strip() == "111"
    assert machine.sabir("call", "right.answer", cwd=whole_project).out.strip() == "112"
