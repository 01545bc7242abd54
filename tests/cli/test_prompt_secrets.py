"""Secrets of prompts and assistants: who may read them, that the provider gets the value, and that nobody else does."""
import base64
import http.server
import json
import re
import shutil
import threading

import pytest
from harness import write
from serving import Served

VALUE = "canary+account/4711=ü"
NAMED = "[secret:account_id]"


class Provider(http.server.BaseHTTPRequestHandler):
    """Speaks Chat Completions. It says the system message back, letter by letter, and calls an offered tool with it first."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        said = "You are told: " + " / ".join(str(message.get("content")) for message in body["messages"])
        if self.server.fails:
            return self.answer(400, {"error": {"message": "cannot: " + said}})
        calls = []
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            name = body["tools"][0]["function"]["name"]
            calls = [{"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps({"text": said})}}]
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if not body.get("stream"):
            message = {"role": "assistant", "content": None if calls else said, "tool_calls": calls} if calls else {"role": "assistant", "content": said}
            return self.answer(200, {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}], "usage": usage})
        deltas = [{"role": "assistant"}] + ([{"tool_calls": calls}] if calls else [{"content": letter} for letter in said])
        events = [{"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        events.append({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"}], "usage": usage})
        text = "".join("data: %s\n\n" % json.dumps(event) for event in events) + "data: [DONE]\n\n"
        self.reply(200, "text/event-stream", text.encode())

    def answer(self, status, value):
        self.reply(status, "application/json", json.dumps(value).encode())

    def reply(self, status, kind, data):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def provider():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.seen, server.fails = [], False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(machine, project, provider):
    write(project / "config/openai_config.yml", "models: {near: {provider: openai, api: chat, model: m, base_url: \"http://127.0.0.1:%d/v1\", retries: 0, cache: {ttl: 1h}}}\n" % provider.server_port)
    write(project / "config/secrets.json", json.dumps({"account_id": VALUE, "header_key": "canary-header-99"}))
    (project / "config/secrets.json").chmod(0o600)
    write(project / "completions/bank.prompt", "---\nsecrets: [account_id]\n---\n== system ==\nOur account is {{ secret(\"account_id\") }}.\n== user ==\n{{ question }}\n")
    write(project / "completions/plain.j2", "It is {{ secret('account_id') }}.")
    write(project / "completions/prompt_parts/account.txt", "Account: {{ secret(\"account_id\") }}")
    write(project / "completions/parted.prompt", "---\nsecrets: [account_id]\n---\n{% include \"account.txt\" %}\n")
    write(project / "functions/python/echo.py", 'from sabir import render\n\n\ndef echo(text: str) -> str:\n    """Says it again, the other way round.\n\n    Effect: read\n    """\n    print("echo", text)\n    return text\n\n\n'
          'def ask(question: str) -> str:\n    """Renders and asks.\n\n    Effect: read\n    """\n    return str(render("bank", question=question))\n')
    write(project / "assistants/python/teller.py", '"""Knows the account."""\nprompt = "teller"\nfunctions = ["echo.echo"]\nmax_steps = 3\n')
    write(project / "completions/teller.prompt", "---\nsecrets: [account_id]\n---\nYou are the teller of {{ secret(\"account_id\") }}.\n")
    return project


def forms(value):
    raw = value.encode()
    return [raw, raw.hex().encode(), base64.b64encode(raw)[:-4], json.dumps(value)[1:-1].encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode()]


def nowhere(folder, *texts):
    everything = "\n".join(texts).encode()
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "secrets.json":
            everything += b"\n" + path.read_bytes()
    for form in forms(VALUE):
        at = everything.find(form)
        assert at < 0, everything[max(0, at - 200):at + 200]


def test_the_provider_gets_the_value_and_nobody_else(machine, shop, provider):
    said = []
    for words in (("complete", "bank", "question=Which?"), ("complete", "bank", "question=Which?", "--json"), ("complete", "bank", "question=And?", "--record", "bank.json"),
                  ("chat", "teller", "Which account?"), ("chat", "teller", "Which account?", "--json"), ("prompt", "render", "bank", "question=x"),
                  ("prompt", "render", "bank", "question=x", "--json"), ("prompt", "explain", "bank", "question=x"), ("prompt", "tokens", "bank", "question=x"),
                  ("prompt", "render", "parted"), ("call", "echo.ask", "question=Which?")):
        done = machine.sabir(*words, cwd=shop)
        assert done.code == 0 and (words[1] == "tokens" or NAMED in done.out), done
        said.append(done.text)
    sent = json.dumps(provider.seen, ensure_ascii=False)
    assert sent.count(VALUE) >= 5 and "Our account is %s." % VALUE in sent and "teller of %s" % VALUE in sent
    # The tool that the model called was given the name.
    tools = [message for body in provider.seen for message in body["messages"] if message["role"] == "tool"]
    assert tools and all(NAMED in message["content"] for message in tools)
    # Asked twice the same, it was asked twice: its answers are not kept.
    assert sum("Which?" in json.dumps(body) for body in provider.seen) == 2
    provider.fails = True
    failed = machine.sabir("complete", "bank", "question=Fails?", "--json", cwd=shop)
    assert failed.code == 1 and NAMED in failed.out, failed
    provider.fails = False
    for words in (("trace", "--limit", "100"), ("trace", "last", "--verbose"), ("usage",), ("approvals", "list", "--all")):
        said.append(machine.sabir(*words, cwd=shop).text)
    nowhere(shop, failed.text, *said)
    replayed = machine.sabir("complete", "bank", "question=And?", "--replay", "bank.json", cwd=shop, env={"NO_NETWORK": "1"})
    assert replayed.code == 0 and NAMED in replayed.out, replayed


def test_it_is_shown_to_whoever_asks_for_it_by_name(machine, shop):
    done = machine.sabir("prompt", "render", "bank", "question=x", "--reveal", cwd=shop)
    assert done.code == 0 and "Our account is %s." % VALUE in done.out, done
    nowhere(shop)


def test_what_is_served_keeps_it(machine, shop, provider):
    write(shop / "sabir.yml", (shop / "sabir.yml").read_text() + "expose: {rest: [\"echo.*\", prompts/bank, assistants/teller], model: [assistants/teller]}\n")
    served = Served(machine, shop)
    said = []
    try:
        said.append(served.ask("POST", "/prompts/bank/render", {"question": "x"}).body)
        said.append(served.ask("POST", "/assistants/teller", {"message": "hello"}, timeout=60).body)
        body = {"model": "teller", "messages": [{"role": "user", "content": "hello"}], "stream": True}
        said.append(served.ask("POST", "/v1/chat/completions", body, timeout=60).body)
        body["stream"] = False
        said.append(served.ask("POST", "/v1/chat/completions", body, timeout=60).body)
        said.append(served.call("echo.ask", {"question": "x"}, timeout=60).body)
    finally:
        served.stop()
    assert NAMED in said[0] and NAMED in said[1] and NAMED in said[3] and NAMED in said[4], said
    streamed = "".join(json.loads(line[6:])["choices"][0]["delta"].get("content") or "" for line in said[2].splitlines() if line.startswith("data: {") and json.loads(line[6:])["choices"])
    assert NAMED in streamed, said[2]
    assert VALUE in json.dumps(provider.seen, ensure_ascii=False)
    nowhere(shop, streamed, "".join(served.errors), *said)


@pytest.mark.parametrize("prompt, line", [("plain", None), ("bare", "secrets: [account_id]")])
def test_an_ungranted_read_names_the_line_to_add(machine, shop, prompt, line):
    write(shop / "completions/bare.prompt", "---\nmodel: near\n---\n{{ secret(\"account_id\") }}\n")
    done = machine.sabir("prompt", "render", prompt, cwd=shop)
    file = "completions/plain.j2:1" if prompt == "plain" else "completions/bare.prompt:4"
    assert done.code == 1 and file in done.err and "not granted the secret 'account_id'" in done.err and "`%s: [account_id]` under prompts in config/grants.yml" % prompt in done.err, done
    if line:
        assert "`%s` to its front matter" % line in done.err, done
    write(shop / "config/grants.yml", "prompts: {%s: [account_id]}\n" % prompt)
    done = machine.sabir("prompt", "render", prompt, cwd=shop)
    assert done.code == 0 and NAMED in done.out, done
    assert machine.sabir("complete", prompt, cwd=shop).code == 0


@pytest.mark.parametrize("text, said", [("{{ secret() }}", "takes one text"), ("{{ secret(1) }}", "takes one text"), ("{{ secret('A') }}", "takes one text"), ("{{ secret(name='a') }}", "takes one text"),
                                        ("{{ secret('header_key') }}", "not granted the secret 'header_key'"), ("{{ secret }}", "")])
def test_other_uses_are_errors(machine, shop, text, said):
    write(shop / "completions/wrong.prompt", "---\nsecrets: [account_id]\n---\nsecret(x) %s\n" % text)
    done = machine.sabir("prompt", "render", "wrong", cwd=shop)
    assert done.code == 1 and said in done.err, done


def test_a_secret_without_a_value_fails_the_request_alone(machine, shop, provider):
    write(shop / "config/secrets.json", "{}")
    assert machine.sabir("prompt", "render", "bank", "question=x", cwd=shop).code == 0
    done = machine.sabir("complete", "bank", "question=x", cwd=shop)
    assert done.code == 1 and "account_id" in done.err and not provider.seen, done


def test_a_header_of_a_model_may_have_one(machine, shop, provider):
    config = shop / "config/openai_config.yml"
    config.write_text(config.read_text().replace("retries: 0", "retries: 0, headers: {X-Team: \"key ${secret:header_key}\", X-Plain: \"$${secret:x}\"}"))
    heads = []
    handle = Provider.do_POST

    def note(self):
        heads.append(dict(self.headers))
        return handle(self)

    Provider.do_POST = note
    try:
        done = machine.sabir("complete", "hello", cwd=shop)
    finally:
        Provider.do_POST = handle
    assert done.code == 0 and heads[0]["X-Team"] == "key canary-header-99" and heads[0]["X-Plain"] == "${secret:x}", (done, heads)
    assert "canary-header" not in machine.sabir("config", "show", "openai_config", "--explain", cwd=shop).text


ARCHIVE = '''from sabir import secret


{declared}
def respond(message: str) -> str:
    """Answers."""
    return str(len(secret("account_id"))) + " " + secret("account_id")
'''


def test_an_assistant_reads_what_it_is_granted(machine, shop):
    write(shop / "assistants/python/keeper.py", ARCHIVE.replace("{declared}", ""))
    done = machine.sabir("chat", "keeper", "hello", cwd=shop)
    assert done.code == 1 and "assistant python/keeper is not granted the secret 'account_id'" in done.err, done
    assert "`keeper: [account_id]` under assistants in config/grants.yml" in done.err and "assistants/python/keeper.py" in done.err
    # A grant to a function of that name is none to the assistant.
    write(shop / "config/grants.yml", "functions: {keeper.respond: [account_id], keeper.*: [account_id]}\n")
    assert machine.sabir("chat", "keeper", "hello", cwd=shop).code == 1
    write(shop / "config/grants.yml", "assistants: {keeper: [account_id]}\n")
    done = machine.sabir("chat", "keeper", "hello", cwd=shop)
    assert done.code == 0 and done.out.startswith(str(len(VALUE))) and NAMED in done.out and VALUE not in done.text, done
    write(shop / "config/grants.yml", "")
    write(shop / "assistants/python/keeper.py", ARCHIVE.replace("{declared}", 'secrets = ["account_id"]\n'))
    assert NAMED in machine.sabir("chat", "keeper", "hello", cwd=shop).out
    write(shop / "assistants/ruby/guard.rb", "require \"sabir\"\nSECRETS = [\"account_id\"].freeze\n\n# @param message [String]\n# @return [String]\ndef respond(message, _context)\n  Sabir.secret(\"account_id\").size.to_s\nend\n")
    assert machine.sabir("chat", "guard", "hello", cwd=shop).out.strip() == str(len(VALUE))


SHOWN = {
    "python": ("functions/python/around.py", 'import os\n\n\ndef see() -> dict:\n    """Sees.\n\n    Effect: read\n    """\n    return dict(os.environ)\n'),
    "ruby": ("functions/ruby/around.rb", "# @effect read\n# @return [Hash{String => String}]\ndef see\n  ENV.to_h\nend\n"),
    "cpp": ("functions/cpp/around.cpp", '#include <string>\n#include <vector>\nextern char** environ;\n/// Sees.\n/// @effect read\nstd::vector<std::string> see() {\n  std::vector<std::string> out;\n  for (char** at = environ; *at; ++at) out.push_back(*at);\n  return out;\n}\n'),
    "node": ("functions/node/around.ts", "/**\n * Sees.\n * @effect read\n */\nexport function see(): Record<string, string> { return { ...process.env } as Record<string, string>; }\n"),
    "shell": ("functions/shell/around.sh", "# Sees.\n# @effect read\n# @return [String]\nsee() { env; }\n"),
    "php": ("functions/php/around.php", "<?php\n/**\n * Sees.\n * @effect read\n */\nfunction see(): string { return json_encode(getenv()); }\n"),
}


@pytest.mark.parametrize("language", list(SHOWN))
def test_a_worker_sees_of_the_environment_what_is_passed_by_name(machine, made_projects, language):
    project = machine.folder / "around"
    shutil.copytree(made_projects(language), project, symlinks=True)
    if language == "node":
        machine.use_node()
    path, text = SHOWN[language]
    write(project / path, text)
    config = (project / "sabir.yml").read_text()
    config = re.sub(r"(?m)^environment: .*$", "", config)
    write(project / "sabir.yml", config + "environment: [PASSED_ON]\n")
    machine.env.update({"PASSED_ON": "seen-1", "OPENAI_API_KEY": "canary-1", "AWS_SECRET_ACCESS_KEY": "canary-2", "DATABASE_URL": "canary-3", "GEM_HOST_API_KEY": "canary-4",
                        "BUNDLE_GEMS__EXAMPLE__COM": "canary-5", "ACCOUNT_ID": "canary-6", "VAULT_TOKEN": "canary-7"})
    done = machine.sabir("call", "%s/around.see" % language, "--json", cwd=project, timeout=300)
    assert done.code == 0 and "seen-1" in done.out and "canary" not in done.out, done
