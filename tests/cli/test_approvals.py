"""Calls that wait for a person's word: by the command line, over REST and OpenAI's API, across a death of the engine."""
import json
import signal
import time

import pytest
from serving import Served, events_of, machine_of, write_project


def group_of(item):
    return "approvals"


FILES = {
    "functions/python/bank.py": '''
        """A bank."""


        def _note(what: str) -> int:
            with open("done.txt", "a") as file:
                file.write(what + "\\n")
            return len(open("done.txt").readlines())


        def charge(amount: int) -> str:
            """Takes money.

            Effect: irreversible
            """
            _note("charge %d" % amount)
            return "charged %d" % amount


        def refund(amount: int) -> str:
            """Gives money back."""
            _note("refund %d" % amount)
            return "refunded %d" % amount


        def look(account: str) -> int:
            """What is there."""
            _note("look " + account)
            return 7
        ''',
    "assistants/python/cashier.py": '''
        """Handles money."""
        model = "scripted"
        instructions = "You handle money."
        functions = ["bank.*"]
        approve = {"bank.refund": "amount > 100"}
        ''',
}
REPLIES = [
    {"contains": "charge", "steps": [{"tool_calls": [{"name": "look", "arguments": {"account": "mine"}}, {"name": "charge", "arguments": {"amount": 5}}]},
                                     {"text": "It went so: {tool:charge}."}]},
    {"matches": "refund (\\d+)", "steps": [{"tool_calls": [{"name": "refund", "arguments": {"amount": "{match:1}"}}]}, {"text": "Then: {tool:refund}."}]},
    {"matches": "twice", "steps": [{"tool_calls": [{"name": "charge", "arguments": {"amount": 1}}]}, {"tool_calls": [{"name": "charge", "arguments": {"amount": 2}}]}, {"text": "Both."}]},
    {"text": "Hello."},
]


@pytest.fixture
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        yield made


@pytest.fixture
def project(machine):
    replies = json.loads(json.dumps(REPLIES))
    for amount in (50, 500):
        replies.insert(0, {"contains": "refund %d" % amount, "steps": [{"tool_calls": [{"name": "refund", "arguments": {"amount": amount}}]}, {"text": "Then: {tool:refund}."}]})
    config = {"default": "scripted", "models": {"scripted": {"provider": "scripted", "replies": replies}}}
    return write_project(machine.folder / "bank", files={**FILES, "config/openai_config.yml": json.dumps(config)}, languages="python")


def done(project):
    path = project / "done.txt"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def ask(server, message, **options):
    return server.ask("POST", "/assistants/cashier", {"message": message}, **options)


def test_a_run_waits_survives_the_engine_and_goes_on_where_it_stood(machine, project):
    server = Served(machine, project)
    answer = ask(server, "Please charge me")
    assert answer.status == 202 and answer.json["content"] == "" and len(answer.json["waiting"]) == 1, answer
    waiting = answer.json["waiting"][0]
    assert waiting["address"] == "python/bank.charge" and waiting["arguments"] == {"amount": 5} and waiting["state"] == "waiting"
    assert answer.headers["Location"] == "/runs/" + answer.json["run"]
    assert done(project) == ["look mine"], "what needs no word was done"
    run = server.ask("GET", answer.headers["Location"]).json
    assert run["status"] == "waiting" and run["waiting"][0]["id"] == waiting["id"], run
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(20)
    listed = machine.sabir("approvals", "list", "--json", cwd=project).json["approvals"]
    assert [one["id"] for one in listed] == [waiting["id"]]
    shown = machine.sabir("approvals", "list", cwd=project)
    assert waiting["id"] in shown.out and 'python/bank.charge {"amount":5}' in shown.out and "expires in 23 h" in shown.out and " ago" in shown.out, shown
    approved = machine.sabir("approvals", "approve", waiting["id"], "--user", "grace", cwd=project)
    assert approved.code == 0 and approved.out == "It went so: charged 5.\n" and "as grace" in approved.err, approved
    assert done(project) == ["look mine", "charge 5"], "each once"
    again = machine.sabir("approvals", "approve", waiting["id"], cwd=project)
    assert again.code == 1 and "'grace' has approved it already" in again.err, again
    assert machine.sabir("approvals", "list", cwd=project).out == ""
    assert "approved by grace" in machine.sabir("approvals", "list", "--all", cwd=project).out
    assert machine.sabir("approvals", "deny", "nothing", cwd=project).code == 1
    server = Served(machine, project)
    try:
        run = server.ask("GET", "/runs/" + run["run"]).json
        assert run["status"] == "finished" and run["output"]["content"] == "It went so: charged 5.", run
    finally:
        server.stop()


def test_what_is_denied_is_not_done_and_the_model_is_told(machine, project):
    server = Served(machine, project)
    try:
        waiting = ask(server, "charge me").json["waiting"][0]
        denied = machine.sabir("approvals", "deny", waiting["id"], "--reason", "too dear", "--json", cwd=project)
        content = denied.json["run"]["content"]
        assert denied.code == 0 and "did not allow" in content and "too dear" in content, denied
        assert denied.json["approval"]["state"] == "denied" and done(project) == ["look mine"]
    finally:
        server.stop()


def test_an_assistants_rule_decides_which_calls_wait(machine, project):
    server = Served(machine, project)
    try:
        assert ask(server, "refund 50").json["content"] == "Then: refunded 50."
        answer = ask(server, "refund 500")
        assert answer.status == 202 and answer.json["waiting"][0]["why"] == "amount > 100", answer
        decided = server.ask("POST", "/approvals/" + answer.json["waiting"][0]["id"], {"approve": True})
        assert decided.status == 200 and decided.json["approval"]["state"] == "approved", decided
        assert server.ask("GET", "/runs/" + answer.json["run"]).json["output"]["content"] == "Then: refunded 500."
        assert done(project) == ["refund 50", "refund 500"]
        # A run may wait more than once.
        first = ask(server, "do it twice").json
        server.ask("POST", "/approvals/" + first["waiting"][0]["id"], {"approve": True})
        run = server.ask("GET", "/runs/" + first["run"]).json
        assert run["status"] == "waiting" and run["waiting"][0]["arguments"] == {"amount": 2}, run
        server.ask("POST", "/approvals/" + run["waiting"][0]["id"], {"approve": True})
        assert server.ask("GET", "/runs/" + first["run"]).json["output"]["content"] == "Both."
        for body, status in ((b"{", 400), ({"approve": "yes"}, 422), ({"approve": True}, 409)):
            assert server.ask("POST", "/approvals/" + first["waiting"][0]["id"], body).status == status, body
        assert server.ask("POST", "/approvals/none", {"approve": True}).status == 404
    finally:
        server.stop()


def test_openai_s_clients_see_that_an_answer_waits(machine, project):
    server = Served(machine, project)
    try:
        answer = server.ask("POST", "/v1/chat/completions", {"model": "cashier", "messages": [{"role": "user", "content": "charge me"}]}).json
        choice = answer["choices"][0]
        assert choice["finish_reason"] == "stop" and choice["message"]["content"].startswith("This waits for somebody's approval:\n- python/bank.charge"), answer
        assert answer["sabir"]["waiting"][0]["id"] in choice["message"]["content"]
        response = server.ask("POST", "/v1/responses", {"model": "cashier", "input": "charge me"}).json
        assert response["status"] == "in_progress" and response["output"] == [], response
        early = server.ask("POST", "/v1/responses", {"model": "cashier", "input": "and?", "previous_response_id": response["id"]})
        assert early.status == 409 and "waits" in early.json["error"]["message"], early
        assert server.ask("GET", "/v1/responses/" + response["id"]).json["status"] == "in_progress"
        server.ask("POST", "/approvals/" + response["sabir"]["waiting"][0]["id"], {"approve": True})
        now = server.ask("GET", "/v1/responses/" + response["id"]).json
        assert now["status"] == "completed" and now["output"][0]["content"][0]["text"] == "It went so: charged 5.", now
        later = server.ask("POST", "/v1/responses", {"model": "cashier", "input": "thanks", "previous_response_id": response["id"]})
        assert later.status == 200 and later.json["output"][0]["content"][0]["text"] == "Hello.", later
        streamed = events_of(server.ask("POST", "/v1/responses", {"model": "cashier", "input": "charge me", "stream": True}).body)
        last = json.loads(streamed[-1][1])
        assert last["type"] == "response.in_progress" and last["response"]["sabir"]["waiting"], streamed
    finally:
        server.stop()


def test_who_may_decide(machine, project):
    def token(name, scopes, user, tenant="acme"):
        return machine.sabir("tokens", "add", name, "--scopes", scopes, "--user", user, "--tenant", tenant, "--json", cwd=project).json["token"]
    ann, boss, other = token("ann", "assistants", "ann"), token("boss", "approvals", "boss"), token("other", "approvals", "eve", "evil")
    bob = token("bob", "assistants", "bob")
    server = Served(machine, project)
    try:
        waiting = ask(server, "charge me", token=ann).json["waiting"][0]
        path = "/approvals/" + waiting["id"]
        assert server.ask("POST", path, {"approve": True}, token=ann).status == 403
        assert server.ask("GET", "/approvals", token=other).json["approvals"] == []
        assert server.ask("POST", path, {"approve": True}, token=other).status == 404
        assert [one["id"] for one in server.ask("GET", "/approvals", token=boss).json["approvals"]] == [waiting["id"]]
        assert server.ask("POST", path, {"approve": True}, token=boss).json["approval"]["decided_by"] == "boss"
        assert server.ask("GET", "/runs/" + waiting["run"], token=ann).json["status"] == "finished"
        assert server.ask("GET", "/runs/" + waiting["run"], token=bob).status == 404
    finally:
        server.stop()


def test_a_run_that_was_decided_while_no_engine_lived_goes_on_when_one_does(machine, project):
    server = Served(machine, project)
    waiting = ask(server, "charge me").json["waiting"][0]
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(20)
    import sqlite3
    base = sqlite3.connect(project / ".sabir/development/journal.db")
    base.execute("UPDATE approval SET expires_ms = 1")
    base.commit()
    base.close()
    expired = machine.sabir("approvals", "approve", waiting["id"], cwd=project)
    assert expired.code == 1 and "has expired" in expired.err, expired
    server = Served(machine, project)
    try:
        until = time.monotonic() + 30
        while server.ask("GET", "/runs/" + waiting["run"]).json["status"] != "finished" and time.monotonic() < until:
            time.sleep(0.2)
        run = server.ask("GET", "/runs/" + waiting["run"]).json
        assert "nobody has allowed" in run["output"]["content"] and done(project) == ["look mine"], run
    finally:
        server.stop()


def test_how_long_a_call_waits_is_the_project_s_to_say(machine, project):
    config = project / "sabir.yml"
    config.write_text(config.read_text() + "approvals: {expire: 2s}\n")
    server = Served(machine, project)
    try:
        waiting = ask(server, "charge me").json["waiting"][0]
        assert waiting["expires_ms"] - waiting["asked_ms"] == 2000
        until = time.monotonic() + 30
        while server.ask("GET", "/runs/" + waiting["run"]).json["status"] != "finished" and time.monotonic() < until:
            time.sleep(0.2)
        assert "nobody has allowed" in server.ask("GET", "/runs/" + waiting["run"]).json["output"]["content"]
        assert machine.sabir("approvals", "list", "--all", "--json", cwd=project).json["approvals"][0]["state"] == "expired"
    finally:
        server.stop()
    for wrong in ("soon", "0", "4000d", "10ms"):
        config.write_text("approvals: {expire: %s}\n" % wrong)
        done = machine.sabir("approvals", "list", cwd=project)
        assert done.code == 1 and "sabir.yml:1" in done.err and "24h" in done.err, done
    config.write_text("approvals: {expire: 14d}\n")
    assert machine.sabir("approvals", "list", cwd=project).code == 0


@pytest.mark.parametrize("rule, said", [('{"bank.refund": "amount >"}', "no expression"), ('{"bank.refnd": True}', "bank.refnd"), ('["bank.refund"]', "mapping"), ('{"bank.refund": 5}', "neither true")])
def test_a_wrong_rule_says_what_to_write(machine, project, rule, said):
    file = project / "assistants/python/cashier.py"
    file.write_text(file.read_text().replace('{"bank.refund": "amount > 100"}', rule))
    told = machine.sabir("chat", "cashier", "hello", cwd=project)
    assert told.code == 1 and said in told.err, told


def test_a_chat_where_nobody_can_be_asked_refuses_what_needs_approval(machine, project):
    told = machine.sabir("chat", "cashier", "refund 500", cwd=project)
    assert told.code == 0 and "did not allow" in told.out and done(project) == [], told
