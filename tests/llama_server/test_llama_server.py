"""The provider client against a server that others wrote: llama.cpp's own, with the default local model. script/llama-server builds
the one, brings the other and runs this file, which no other test run includes."""
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from harness import ROOT, write

CONTEXT = 2048
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"], "additionalProperties": False}}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 0}}, "required": ["city", "people"],
        "additionalProperties": False}
ASKER = '''import sabir


def ask(messages: list, model: str, options: dict) -> dict:
    """Asks a model.

    Timeout: 400s
    """
    reply = sabir.complete(messages, model=model, **options)
    return {"text": str(reply), "calls": reply.tool_calls, "finish": reply.finish_reason}
'''


def weights():
    catalog = json.loads((ROOT / "models/catalog.json").read_text())
    entry, = [model for model in catalog["models"] if model["name"] == catalog["default"]]
    return Path(os.environ["SABIR_MODELS"]) / entry["file"]


def ask_json(url, body=None):
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port it serves: llama.cpp's usual one, where `sabir model find` looks."""
    port = 8080
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))  # fails where something else serves there
    # One thread: two that wait for each other crawl where other tests run beside them.
    log = tmp_path_factory.mktemp("llama") / "log.txt"
    with open(log, "wb") as out:
        process = subprocess.Popen([os.environ["SABIR_LLAMA_SERVER"], "-m", str(weights()), "--host", "127.0.0.1", "--port", str(port), "-c", str(CONTEXT),
                                    "-np", "1", "-t", "1", "--jinja", "--chat-template-file", str(Path(__file__).with_name("chat.jinja")), "--alias", "coder"], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 240
        while True:
            assert process.poll() is None and time.monotonic() < until, log.read_text(errors="replace")[-4000:]
            try:
                if ask_json("http://127.0.0.1:%d/health" % port)["status"] == "ok":
                    break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def shop(machine, project, server):
    # What runs the local model was installed for this user.
    machine.env.update(SABIR_MODELS=os.environ["SABIR_MODELS"], XDG_CACHE_HOME=os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
    base = "http://127.0.0.1:%d" % server
    common = {"provider": "openai", "model": "coder", "base_url": base + "/v1", "retries": 0}
    models = {"whole": {**common, "stream": False, "parameters": {"temperature": 0, "max_tokens": 100}},
              # Streamed from the server also for callers that do not stream.
              "streamed": {**common, "first_token_timeout": "100s", "parameters": {"temperature": 0, "max_tokens": 100}},
              "elsewhere": {**common, "base_url": base + "/nowhere"},
              "small": {**common, "fallbacks": ["spare"]},
              "spare": {"provider": "scripted", "replies": [{"text": "from the spare one"}, {"text": "from the spare one"}]},
              "local": {"provider": "local", "model": "default", "parameters": {"temperature": 0, "max_tokens": 4}}}
    write(project / "config/openai_config.yml", json.dumps({"default": "whole", "models": models}))
    write(project / "functions/python/asker.py", ASKER)
    return lambda *words, **more: machine.sabir(*words, cwd=project, timeout=420, **more)


def called(shop, model, messages, **options):
    done = shop("call", "asker.ask", "messages:=" + json.dumps(messages), "model=" + model, "options:=" + json.dumps(options), "--timeout", "400", "--json")
    assert done.code == 0, done
    return done.json["value"] if isinstance(done.json, dict) and "value" in done.json else done.json


def test_it_is_found(shop, server):
    done = shop("model", "find", "--json")
    assert {"product": "llama.cpp", "base_url": "http://127.0.0.1:%d/v1" % server, "models": ["coder"]} in done.json["servers"], done


@pytest.mark.parametrize("model", ["whole", "streamed"])
def test_a_plain_question(shop, model):
    done = shop("complete", "-m", model, "What is the capital of France? Answer in one word.", "--json")
    assert done.code == 0 and "Paris" in done.json["content"] and done.json["finish_reason"] == "stop", done
    assert done.json["usage"]["input_tokens"] > 10 and done.json["usage"]["output_tokens"] > 0 and done.json["provider"] == "openai", done


def test_the_first_text_comes_before_the_last(machine, shop, project):
    process = subprocess.Popen([str(machine.binary), "complete", "-m", "streamed", "Count from one to ten in words."], cwd=project, env=machine.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        pieces = []
        while piece := os.read(process.stdout.fileno(), 65536):
            pieces.append((piece, process.poll() is None))
        assert process.wait(60) == 0, process.stderr.read()
        assert len(pieces) > 5 and pieces[0][1], pieces
        assert "two" in b"".join(piece for piece, _ in pieces).decode().lower()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_an_answer_cut_at_its_limit_says_so(shop):
    done = shop("complete", "-m", "streamed", "--max-tokens", "3", "Count from one to ten in words.", "--json")
    assert done.code == 0 and done.json["finish_reason"] == "length" and done.json["usage"]["output_tokens"] == 3, done


@pytest.mark.parametrize("model", ["whole", "streamed"])
def test_a_call_of_a_function_is_put_together(shop, model):
    # So small a model calls when it sees that it did before; results go there and back on the way.
    messages = []
    for number, (city, days, weather) in enumerate([("Oslo", 2, "rain"), ("Rome", 5, "sun"), ("Lisbon", 3, None)]):
        messages.append({"role": "user", "content": "How is the weather in %s for %d days?" % (city, days)})
        if weather:
            function = {"name": "get_weather", "arguments": json.dumps({"city": city, "days": days})}
            messages.append({"role": "assistant", "content": "", "tool_calls": [{"id": "call_%d" % number, "type": "function", "function": function}]})
            messages.append({"role": "tool", "tool_call_id": "call_%d" % number, "content": weather})
    answer = called(shop, model, messages, tools=[WEATHER])
    assert answer["finish"] == "tool_calls", answer
    call = answer["calls"][0]
    assert call["function"]["name"] == "get_weather" and call["id"], answer
    arguments = json.loads(call["function"]["arguments"])
    assert set(arguments) == {"city", "days"} and arguments["city"].startswith("Lisbo") and isinstance(arguments["days"], int), answer


@pytest.mark.parametrize("model", ["whole", "streamed"])
def test_an_answer_fits_its_schema(shop, model):
    answer = called(shop, model, [{"role": "user", "content": "Lisbon has about 550000 people. Tell the city and the people."}], output_schema=CITY)
    value = json.loads(answer["text"])
    assert set(value) == {"city", "people"} and value["people"] >= 0 and isinstance(value["city"], str), answer


def test_what_is_too_long_for_its_context_goes_to_a_fallback(shop):
    long = "word " * (2 * CONTEXT)
    done = shop("complete", "-m", "streamed", long, "--json")
    assert done.code == 1 and done.json["error"]["reason"] == "context_overflow" and done.json["error"]["status"] == 400, done
    done = shop("complete", "-m", "small", long, "--json")
    assert done.code == 0 and done.json["content"] == "from the spare one" and done.json["missed"][0]["error"]["reason"] == "context_overflow", done


def test_an_address_it_does_not_have_is_told(shop):
    done = shop("complete", "-m", "elsewhere", "hi", "--json")
    assert done.code == 1 and done.json["error"]["status"] == 404 and "base_url" in done.json["error"]["hint"], done


def test_tokens_of_the_local_model_are_the_servers(shop, server, project):
    write(project / "completions/text.j2", "{{ text }}")
    texts = ["hello", "  two  blanks \n\n\n and \t tabs ", "Été à Paris, 日本語 한국어 🇵🇹👩‍👩‍👧", "isn't IT'S we'Ve 1234567 3.14159", "<|im_start|>user <|im_end|> <tool_call>",
             "a\u0301e\u0308 \u00a0\u3000\u2003x\u200b", "".join(map(chr, range(0x21, 0x250))), "''''''    \r\n\r\n", (ROOT / "bridge/src/gguf.rs").read_text(),
             (ROOT / "docs/models.md").read_text()[:16000]]
    for text in texts:
        theirs = ask_json("http://127.0.0.1:%d/tokenize" % server, {"content": text, "add_special": False, "parse_special": False})["tokens"]
        ours = shop("prompt", "tokens", "text", "--args", "-", "--model", "local", "--json", input=json.dumps({"text": text}))
        assert ours.code == 0 and ours.json["exact"] is True, ours
        assert [message["tokens"] for message in ours.json["messages"]] == [len(theirs)], text[:80]


def test_what_the_local_provider_sends_has_as_many_tokens_as_were_told(shop, project):
    write(project / "completions/both.prompt", "== system ==\nBe kind to {{ name }}.\n== user ==\nWhat is 2 + 2, Été 日本?\n")
    write(project / "completions/one.prompt", "== user ==\nHello\n")
    for name, words in (("both", ["--system", "Be kind to Ana.", "What is 2 + 2, Été 日本?"]), ("one", ["Hello"])):
        told = shop("prompt", "tokens", name, *(["name=Ana"] if name == "both" else []), "--model", "local", "--json")
        sent = shop("complete", "-m", "local", *words, "--json")
        assert sent.code == 0 and told.json["tokens"] == sent.json["usage"]["input_tokens"], (told, sent)
