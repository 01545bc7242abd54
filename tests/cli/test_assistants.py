"""Assistants through the whole binary: their loop with a scripted model and with a real HTTP server, respond, approval."""
import json
import os
import pty
import select
import subprocess
import sys
import time
import urllib.request

import pytest
from harness import ROOT, write

SCRIPTED = {"SABIR_MODEL": "scripted"}
QUESTION = "What is the mean of 3, 5 and 10?"


def script(project, *replies):
    write(project / "tests/scripted_replies.json", json.dumps({"replies": list(replies)}))


@pytest.fixture
def openai_server():
    server = subprocess.Popen([sys.executable, str(ROOT / "tests/stand_ins/openai_server.py")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        yield "http://127.0.0.1:" + server.stdout.readline().split()[1]
    finally:
        server.stdin.close()
        server.kill()
        server.wait()
        server.stdout.close()


# ---- the loop -------------------------------------------------------------------------------------------------------

def test_an_assistant_calls_functions_of_two_languages_and_remembers(machine, project):
    script(project,
           {"contains": "both", "tool_calls": [{"name": "do_something", "arguments": {"text": "one two"}},
                                               {"name": "slugify", "arguments": {"text": "Été à Paris"}}],
            "text": "{tool:do_something} / {tool:slugify}"},
           {"contains": "again", "text": "you said: {user}"})
    done = machine.sabir("chat", "assistant1", "both please", "--json", cwd=project, env=SCRIPTED)
    assert done.code == 0, done
    answer = done.json
    assert "ete-a-paris" in answer["content"] and answer["provider"] == "scripted", answer
    assert [call["address"].split("/")[0] for call in answer["calls"]] == ["python", "ruby"], answer
    assert all("value" in call for call in answer["calls"]), answer
    more = machine.sabir("chat", "assistant1", "again", "--conversation", answer["conversation"], "--json", cwd=project, env=SCRIPTED)
    assert more.code == 0 and more.json["content"] == "you said: again", more
    kept = machine.sabir("memory", "messages", answer["conversation"], "--json", cwd=project)
    assert kept.code == 0, kept
    said = kept.json["messages"] if isinstance(kept.json, dict) else kept.json
    assert [(item.get("message") or item).get("role") for item in said].count("user") == 2, kept


def test_a_failed_call_is_told_to_the_model_and_the_run_goes_on(machine, project):
    script(project, {"contains": "go", "steps": [
        {"tool_calls": [{"name": "slugify", "arguments": {"text": 7}}]},
        {"text": "it said: {tool:slugify}"}]})
    done = machine.sabir("chat", "assistant1", "go", "--json", cwd=project, env=SCRIPTED)
    assert done.code == 0, done
    assert "error" in done.json["calls"][0] and "/text" in done.json["content"], done


def test_endless_calls_end_at_the_assistants_own_limit(machine, project):
    script(project, {"contains": "go", "steps": [
        {"tool_calls": [{"name": "slugify", "arguments": {"text": "a%d" % n}}]} for n in range(30)]})
    done = machine.sabir("chat", "assistant1", "go", cwd=project, env=SCRIPTED)
    assert done.code == 1 and "max_steps" in done.err, done


# ---- a server that speaks OpenAI's API ------------------------------------------------------------------------------

@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("scenario", ["ok", "odd", "plain"])
def test_an_assistant_works_through_openais_interfaces(machine, project, openai_server, api, scenario):
    write(project / "functions/python/clock.py", 'def now(text: str, number: int) -> str:\n    """The time.\n\n    Effect: read\n    """\n    return "noon %d" % number\n')
    write(project / "assistants/python/teller.py", 'instructions = "Tell the time."\nfunctions = ["clock.now"]\n')
    write(project / "config/openai_config.yml", "default: server\nmodels:\n  server: {provider: openai, api: %s, model: stand-in, "
          "base_url: %s/%s/v1, key: openai_api_key}\n" % (api, openai_server, scenario))
    key = {"OPENAI_API_KEY": "sk-test-0123456789"}
    done = machine.sabir("chat", "teller", "What time is it?", "--json", cwd=project, env=key)
    assert done.code == 0, done
    assert [(call["address"], call["value"]) for call in done.json["calls"]] == [("python/clock.now", "noon 0")], done
    assert done.json["content"] and done.json["model"].startswith("stand-in"), done
    with urllib.request.urlopen(openai_server + "/requests/" + scenario, timeout=10) as answer:
        requests = json.load(answer)
    assert len(requests) == 2 and "noon" in json.dumps(requests[1]["body"]), requests
    assert requests[0]["headers"]["authorization"] == "Bearer sk-test-0123456789"
    # The key is nowhere but in that header.
    assert "sk-test" not in done.text
    assert "sk-test" not in json.dumps([request["body"] for request in requests])


# ---- respond --------------------------------------------------------------------------------------------------------

RESPOND = '''
import sabir

functions = ["slugify"]


def respond(message: str, context: sabir.Context):
    """Answers by itself."""
    slug = sabir.call("slugify", text=message)
    return "%s for %s in %s" % (slug, context.user, context.conversation)
'''


def test_respond_takes_over_with_the_callers_context(machine, project):
    write(project / "assistants/python/own.py", RESPOND)
    done = machine.sabir("chat", "own", "Été à Paris", "--user", "ada", "--conversation", "c1", cwd=project)
    assert done.code == 0 and done.out.strip() == "ete-a-paris for ada in c1", done
    write(project / "assistants/ruby/mine.rb", 'FUNCTIONS = %w[slugify].freeze\n\n# @param message [String]\ndef respond(message, context)\n'
          '  "#{message.upcase} from #{context.user}"\nend\n')
    done = machine.sabir("chat", "mine", "hello", "--user", "ada", cwd=project)
    assert done.code == 0 and done.out.strip() == "HELLO from ada", done


def test_respond_is_bound_by_the_assistants_time(machine, project):
    write(project / "assistants/python/slow.py",
          "import time\n\nmax_seconds = 1\n\n\ndef respond(message: str):\n    time.sleep(60)\n    return message\n")
    done = machine.sabir("chat", "slow", "hello", cwd=project, timeout=40)
    assert done.code == 1 and done.seconds < 30, done
    assert "slow.respond" in done.err or "assistant python/slow" in done.err, done


def test_an_error_in_respond_names_its_file_and_line(machine, project):
    write(project / "assistants/python/broken.py", "def respond(message: str):\n    return message.nothing\n")
    done = machine.sabir("chat", "broken", "hello", cwd=project)
    assert done.code == 1 and "assistants/python/broken.py:2" in done.err, done


# ---- what cannot be undone ------------------------------------------------------------------------------------------

def with_a_deleting_function(project):
    write(project / "functions/python/files.py",
          'from pathlib import Path\n\n\ndef wipe(name: str) -> str:\n    """Deletes it.\n\n    Effect: irreversible\n    """\n'
          '    Path("wiped.txt").write_text(name)\n    return "gone"\n')
    write(project / "assistants/python/cleaner.py", 'instructions = "Clean."\nfunctions = ["files.wipe"]\n')
    script(project, {"contains": "wipe", "steps": [
        {"tool_calls": [{"name": "wipe", "arguments": {"name": "a"}}]}, {"text": "{tool:wipe}"}]})


def test_without_a_person_an_irreversible_call_is_refused(machine, project):
    with_a_deleting_function(project)
    done = machine.sabir("chat", "cleaner", "wipe it", "--json", cwd=project, env=SCRIPTED)
    assert done.code == 0 and "error" in done.json["calls"][0], done
    assert not (project / "wiped.txt").exists()


@pytest.mark.parametrize("typed, happens", [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_at_the_terminal_decides(machine, project, typed, happens):
    with_a_deleting_function(project)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.execve(str(machine.binary), [str(machine.binary), "chat", "cleaner", "wipe it"], dict(machine.env, **SCRIPTED))
    shown = b""
    try:
        end = time.monotonic() + 60
        asked = False
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # the program has ended
                break
            if not piece:
                break
            shown += piece
            if b"Allow it?" in shown and not asked:
                asked = True
                os.write(terminal, typed.encode())
        text = shown.decode(errors="replace")
        assert asked and "files.wipe" in text and "cannot be undone" in text, text
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
        pid = 0
        assert (project / "wiped.txt").exists() == happens, text
    finally:
        if pid:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        os.close(terminal)
