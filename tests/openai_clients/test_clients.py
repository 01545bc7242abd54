"""OpenAI's own clients, and others', against what `sabir serve` serves at /v1."""
import json
import sys

import pytest
from harness import ROOT
from openai_clients.shop import FILES, ORACLES, config, visit
from serving import Served, machine_of, write_project

sys.path.insert(0, str(ROOT / "tests" / "cli"))
from test_models import serving  # noqa: E402

HERE = ROOT / "tests" / "openai_clients"
needs_clients = pytest.mark.skipif(not (ORACLES / "installed.txt").exists(), reason="OpenAI's clients are installed where CI=true script/setup ran")


def group_of(item):
    return "openai_clients"


@pytest.fixture(scope="module")
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        yield made


@pytest.fixture(scope="module")
def upstream():
    with serving() as port:
        yield port


@pytest.fixture(scope="module")
def served(machine, upstream):
    project = write_project(machine.folder / "shop", files={**FILES, "config/openai_config.yml": config(upstream)}, languages="python")
    server = Served(machine, project, env={"OPENAI_API_KEY": "sk-test-0123456789"})
    yield server
    server.stop()


@needs_clients
def test_python_s_openai(served):
    assert len(visit(HERE / "visit_openai.py", served)) == 11


@needs_clients
def test_python_s_agents(served):
    assert len(visit(HERE / "visit_agents.py", served)) == 2


@needs_clients
def test_node_s_openai_and_ai(served):
    assert len(visit(HERE / "visit_node.mjs", served)) == 2


def chat(served, text, **more):
    return served.ask("POST", "/v1/chat/completions", {"model": "clerk", "messages": [{"role": "user", "content": text}], **more})


def last_asked(machine, upstream):
    """The messages that the server behind the alias was asked with last."""
    return json.loads(machine.run("curl", "-s", "http://127.0.0.1:%d/requests/ok" % upstream).out)[-1]["body"]["messages"]


def test_a_conversation_by_its_previous_response_reaches_the_model_whole(served, machine, upstream):
    ask = lambda body: served.ask("POST", "/v1/responses", {"model": "server", **body})  # noqa: E731
    first = ask({"input": "I am called Grace", "instructions": "Be brief."})
    assert first.status == 200, first
    assert ask({"input": "Who am I?", "previous_response_id": first.json["id"]}).status == 200
    last = last_asked(machine, upstream)
    roles = [message["role"] for message in last]
    # Instructions are of one request alone.
    assert roles == ["user", "assistant", "user"] and last[0]["content"] == "I am called Grace" and last[2]["content"] == "Who am I?", last


def test_what_is_not_openai_s_is_refused_in_openai_s_form(served):
    for body, status in ((b"{", 400), (b"[]", 400), (b"\xff", 400), (b'{"model": "clerk", "messages": ' + b"[" * 10000, 400), (json.dumps({"model": "clerk"}), 400)):
        for path in ("/v1/chat/completions", "/v1/responses", "/v1/embeddings"):
            answer = served.ask("POST", path, body)
            assert answer.status == status and answer.json["error"]["type"] == "invalid_request_error" and answer.json["error"]["message"], answer
    assert served.ask("GET", "/v1/responses/resp_nothing").json["error"]["code"] == "not_found"


def test_turns_of_one_conversation_come_one_after_the_other(served, machine, upstream):
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: served.ask("POST", "/v1/responses", {"model": "server", "input": "turn %d" % i, "conversation": "c1"}), range(4)))
    assert [a.status for a in answers] == [200] * 4
    assert served.ask("POST", "/v1/responses", {"model": "server", "input": "last", "conversation": "c1"}).status == 200
    # Each has another before it, a chain and no fork: the model sees all of them.
    last = last_asked(machine, upstream)
    assert [message["role"] for message in last] == ["user", "assistant"] * 4 + ["user"], last
    assert sorted(message["content"] for message in last[0:8:2]) == ["turn %d" % i for i in range(4)] and last[8]["content"] == "last", last


def test_only_what_is_exposed_is_a_model_outside_development(machine, upstream):
    project = write_project(machine.folder / "shut", "expose:\n  model: [assistants/clerk, models/down, models/nothing]\n", files={**FILES, "config/openai_config.yml": config(upstream)}, languages="python")
    checked = machine.sabir("check", "--json", cwd=project).json
    assert checked["exposed"]["model"] == ["assistants/clerk", "models/down"], checked
    assert [one["message"] for one in checked["findings"] if one["area"] == "exposure"] == ["expose.model: 'models/nothing' leads to nothing"], checked
    token = machine.sabir("tokens", "add", "web", "--scopes", "model", "--json", "--env", "production", cwd=project).json["token"]
    other = machine.sabir("tokens", "add", "rest", "--scopes", "functions", "--json", "--env", "production", cwd=project).json["token"]
    server = Served(machine, project, "--env", "production")
    try:
        assert [one["id"] for one in server.ask("GET", "/v1/models", token=token).json["data"]] == ["clerk", "down"]
        for model in ("scripted", "echo"):
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            assert server.ask("POST", "/v1/chat/completions", body, token=token).json["error"]["code"] == "model_not_found"
        body = {"model": "clerk", "messages": [{"role": "user", "content": "How many?"}]}
        assert server.ask("POST", "/v1/chat/completions", body, token=token).json["choices"][0]["message"]["content"] == "There are 5 pears."
        for wrong, status, kind in ((None, 401, "invalid_request_error"), ("sk-wrong", 401, "invalid_request_error"), (other, 403, "invalid_request_error")):
            answer = server.ask("POST", "/v1/chat/completions", body, token=wrong)
            assert answer.status == status and answer.json["error"]["type"] == kind and answer.json["error"]["message"], answer
    finally:
        server.stop()


def test_responses_belong_to_who_asked(machine, upstream):
    project = write_project(machine.folder / "two", files={**FILES, "config/openai_config.yml": config(upstream)}, languages="python")
    tokens = [machine.sabir("tokens", "add", user, "--scopes", "model", "--user", user, "--json", cwd=project).json["token"] for user in ("ann", "bob")]
    server = Served(machine, project)
    try:
        kept = server.ask("POST", "/v1/responses", {"model": "scripted", "input": "a secret plan"}, token=tokens[0]).json["id"]
        assert server.ask("GET", "/v1/responses/" + kept, token=tokens[0]).status == 200
        assert server.ask("GET", "/v1/responses/" + kept, token=tokens[1]).status == 404
        assert server.ask("POST", "/v1/responses", {"model": "scripted", "input": "go on", "previous_response_id": kept}, token=tokens[1]).status == 404
    finally:
        server.stop()
