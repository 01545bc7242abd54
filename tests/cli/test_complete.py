"""sabir complete: one question to a model, with a prompt of completions/ or with a text."""
import json
import os
import signal
import subprocess
import sys

import pytest
from harness import ROOT, write
from languages.engine_client import Engine

sys.path.insert(0, str(ROOT / "tests" / "cli"))
from test_models import serving  # noqa: E402

KEY = {"OPENAI_API_KEY": "sk-test-0123456789"}
REFUND = """---
description: Answers a refund request
model: scripted
parameters: {temperature: 0.2, max_tokens: 400}
input:
  defaults: {tone: kind}
  schema:
    type: object
    required: [customer]
    properties:
      customer: {type: string}
      orders: {type: array, items: {type: integer}}
---
== system ==
Be {{ tone }}.
== user ==
{{ customer }} asks about {{ orders | default([]) }}.
"""


@pytest.fixture
def shop(machine, project):
    write(project / "completions/support/refund.prompt", REFUND)
    write(project / "tests/scripted_replies.json", json.dumps({"piece_bytes": 4, "replies": [
        {"matches": "(.*) asks about (.*)\\.", "text": "Dear {match:1}, been there: {match:2} — été"},
        {"contains": "mean", "steps": [{"tool_calls": [{"name": "mean", "arguments": {"values": [1, 2, 6]}}]}, {"text": "It is {tool:mean}."}]},
        {"contains": "loop", "steps": [{"tool_calls": [{"name": "mean", "arguments": {"values": [1]}}]}] * 12},
        {"contains": "as JSON", "json": {"city": "Paris"}},
        {"text": "You said: {user}"}]}))
    write(project / "functions/python/numbers.py", 'def mean(values: list[float]) -> float:\n    """The mean.\n\n    Effect: read\n    """\n    return sum(values) / len(values)\n')
    return lambda *words, **options: machine.sabir("complete", *words, cwd=project, **options)


def use_server(project, port, scenario):
    (project / "config/openai_config.yml").write_text(json.dumps({"default": "server", "models": {
        "server": {"provider": "openai", "api": "chat", "base_url": "http://127.0.0.1:%d/%s/v1" % (port, scenario), "model": "gpt-test", "retries": 0},
        "scripted": {"provider": "scripted", "script": "tests/scripted_replies.json"}}}))


def test_a_prompt_by_its_name_with_variables(shop):
    done = shop("support/refund", "customer=42", "orders=7,8")
    assert (done.code, done.out) == (0, "Dear 42, been there: [7, 8] — été\n"), done
    assert "— scripted (scripted)" in done.err and "\x1b" not in done.text, done
    done = shop("support/refund.prompt", "--args", '{"customer": "Ana"}', "--json")
    assert done.json["content"] == "Dear Ana, been there: [] — été" and done.json["alias"] == "scripted" and done.err == "", done


def test_a_text_as_it_stands_or_from_standard_input(shop):
    assert shop("-m", "scripted", "Hello, you.").out == "You said: Hello, you.\n"
    assert shop("-m", "scripted", "-", input="From\na pipe\n").out == "You said: From\na pipe\n"
    assert shop("-m", "scripted", "completely").out == "You said: completely\n"
    # Nor does it matter that no path could be so.
    assert shop("-m", "scripted", "What is in ../secrets?").out == "You said: What is in ../secrets?\n"
    assert shop("-m", "scripted", "word " * 2000).code == 0


def test_what_is_wrong_is_told_before_a_model_is_asked(shop):
    done = shop("support/refnd")
    assert done.code == 1 and "no prompt 'support/refnd'" in done.err and "support/refund" in done.err and "sabir complete -" in done.err, done
    done = shop("no prompt of that name", "customer=Ana")
    assert done.code == 1 and "no prompt of that name" in done.err, done
    done = shop("support/refund")
    assert done.code == 1 and "input.schema" in done.err and "customer" in done.err, done
    done = shop("support/refund", "customer=Ana", "--system", "x", "--json")
    assert done.code == 2 and done.json["error"]["type"] == "usage", done
    for schema, wanted in (("{", "--schema"), ("missing.json", "missing.json"), ('{"type": 5}', "schema")):
        done = shop("Hello", "-m", "scripted", "--schema", schema)
        assert done.code == (1 if "5" in schema else 2) and wanted in done.err, done
    assert shop().code == 2


def test_an_answer_by_a_schema_is_json_alone(shop, project):
    schema = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}, "additionalProperties": False}
    write(project / "city.json", json.dumps(schema))
    for given in (json.dumps(schema), "city.json"):
        done = shop("A town, as JSON", "-m", "scripted", "--schema", given)
        assert done.code == 0 and json.loads(done.out) == {"city": "Paris"}, done
    write(project / "completions/town.prompt", "---\nmodel: scripted\noutput:\n  schema: %s\n---\nA town, as JSON\n" % json.dumps(schema))
    assert json.loads(shop("town").out) == {"city": "Paris"}
    done = shop("town", "--schema", '{"type": "object", "required": ["country"]}', "--json")
    assert done.code == 1 and done.json["error"]["reason"] == "schema_violation" and "You said" in done.json["error"]["partial"], done
    done = shop("town", "--schema", '{"type": "object", "required": ["country"]}')
    assert done.code == 1 and done.out == "" and "What had come by then:\nYou said" in done.err, done


def test_the_prompts_model_and_parameters_hold_unless_the_command_says_otherwise(machine, shop, project):
    with serving() as port:
        use_server(project, port, "ok.refund")
        write(project / "completions/support/refund.prompt", REFUND.replace("model: scripted", "model: server"))
        done = shop("support/refund", "customer=Ana", "--max-tokens", "50", env=KEY)
        assert done.code == 0 and "Ana asks about" in done.out, done
        bodies = json.loads(machine.run("curl", "-s", "http://127.0.0.1:%d/requests/ok.refund" % port).out)
        body = bodies[-1]["body"]
        assert body["temperature"] == 0.2 and 50 in (body.get("max_tokens"), body.get("max_completion_tokens")) and body["stream"], body
        assert [message["role"] for message in body["messages"]] == ["system", "user"], body
        assert shop("support/refund", "customer=Ana", "-m", "scripted").out.startswith("Dear Ana")
        # SABIR_MODEL is stronger than the file, and -m than both.
        assert shop("support/refund", "customer=Ana", env={"SABIR_MODEL": "scripted"}).out.startswith("Dear Ana")


def test_functions_that_a_prompt_offers_are_called(machine, shop, project):
    write(project / "completions/asks.prompt", "---\nmodel: scripted\nfunctions: [numbers.mean]\n---\n{{ question }}\n")
    done = shop("asks", "question=What is the mean?")
    assert (done.code, done.out) == (0, "It is 3.0.\n"), done
    assert "→ python/numbers.mean" in done.err, done
    told = shop("asks", "question=What is the mean?", "--json").json
    assert told["content"] == "It is 3.0." and told["steps"] == 2, told
    assert told["calls"] == [{"address": "python/numbers.mean", "arguments": {"values": [1, 2, 6]}, "value": 3.0}], told
    done = shop("asks", "question=loop", "--json")
    assert done.code == 1 and done.json["error"]["type"] == "limit" and "the prompt 'asks'" in done.json["error"]["message"], done
    write(project / "completions/asks.prompt", "---\nmodel: scripted\nfunctions: [numbers.meen]\n---\nx\n")
    done = shop("asks")
    assert done.code == 1 and "numbers.meen" in done.err and "numbers.mean" in done.err, done


def test_an_assistants_prompt_offers_functions_beside_its_own(machine, shop, project):
    write(project / "completions/teller.prompt", "---\nfunctions: [numbers.mean]\n---\nYou tell means.\n")
    write(project / "assistants/python/teller.py", 'prompt = "teller"\nmodel = "scripted"\n')
    done = machine.sabir("chat", "teller", "What is the mean?", cwd=project)
    assert done.code == 0 and done.out.endswith("It is 3.0.\n"), done


def test_an_sdk_completes_a_prompt_by_its_name(machine, shop, project):
    write(project / "completions/asks.prompt", "---\nmodel: scripted\nfunctions: [numbers.mean]\n---\n{{ question }}\n")
    machine.start_engine(project)
    client = Engine(project, {})
    try:
        answer = client.request("models.complete", {"prompt": "asks", "variables": {"question": "What is the mean?"}})[0]["result"]
        assert answer["content"] == "It is 3.0." and answer["calls"][0]["value"] == 3.0, answer
        answer = client.request("models.complete", {"prompt": "support/refund", "variables": {"customer": "Ana"}})[0]["result"]
        assert answer["content"].startswith("Dear Ana"), answer
        assert client.request("models.complete", {"prompt": "suport/refund"})[0]["error"]["data"]["type"] == "not_found"
    finally:
        client.close()


def begun(machine, project, *words):
    """A command whose first text has come, and the text."""
    process = machine.start(machine.binary, "complete", *words, cwd=project, env=KEY)
    first = os.read(process.stdout.fileno(), 1).decode()
    assert first, process.stderr.read()
    return process, first


def test_text_comes_while_the_model_writes_and_an_interrupt_tells_what_had_come(machine, shop, project):
    with serving() as port:
        use_server(project, port, "silent")
        process, first = begun(machine, project, "Hello there")
        assert process.poll() is None, "the stream has no end"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        out = first + out
        assert process.returncode == 1 and "cancelled" in err and "above: %d bytes" % len(out.rstrip("\n").encode()) in err, (out, err)
        assert "\x1b" not in out and out.endswith("\n"), out


def test_an_interrupt_tells_what_had_come_as_json_too(machine, shop, project):
    with serving() as port:
        use_server(project, port, "hang")
        process = machine.start(machine.binary, "complete", "Hello there", "--json", cwd=project, env=KEY)
        wait_until_asked(machine, port)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        error = json.loads(out)["error"]
        assert process.returncode == 1 and error["type"] == "cancelled" and err == "", (out, err)


def wait_until_asked(machine, port):
    for _ in range(200):
        asked = machine.run("curl", "-s", "http://127.0.0.1:%d/requests/hang" % port)
        if asked.out not in ("", "[]"):
            return
    raise AssertionError("the model was not asked")


def test_the_answer_goes_through_a_pipe_as_it_is(machine, shop, project):
    done = subprocess.run("sabir complete support/refund customer=Ana | tr a-z A-Z", shell=True, cwd=project, env=machine.env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "DEAR ANA, BEEN THERE: [] — éTé\n", done
