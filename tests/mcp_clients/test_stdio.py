"""`sabir mcp` as its own bytes tell: each era's messages, and what goes wrong."""
import json
import signal
import time

import pytest
from harness import write
from mcp_project import Raw, everything, meta

SHOP = '''
import time
from pathlib import Path
import sabir


def total(prices: list[float], tax: float = 0.2) -> float:
    """Adds prices up.

    With tax.

    Effect: read

    Args:
        prices: What each costs.
    """
    return sum(prices) * (1 + tax)


def order(name: str) -> dict:
    """Writes an order down.

    Idempotent: yes
    """
    return {"name": name}


def refund(amount: float) -> str:
    """Pays back.

    Effect: irreversible
    """
    with open("refunds.txt", "a") as file:
        file.write("%s\\n" % amount)
    return "paid %s" % amount


def slow(marker: str) -> str:
    """Takes its time.

    Effect: read
    """
    for i in range(200):
        sabir.progress(i, 200)
        Path(marker).write_text(str(i))
        time.sleep(0.05)
    return "done"


def many(n: int):
    """Counts.

    Effect: read
    """
    for i in range(n):
        yield i


def who(context: sabir.Context) -> str:
    """Tells who asks.

    Effect: read
    """
    return "%s of %s" % (context.user, context.tenant)


def loud() -> str:
    """Prints.

    Effect: read
    """
    print("this must not reach the client")
    return "printed"
'''


@pytest.fixture
def shop(machine):
    project = machine.folder / "shop"
    write(project / "sabir.yml", "languages: [python]\nname: shop\n")
    write(project / "functions/python/shop.py", SHOP)
    write(project / "completions/greet.prompt", "---\ndescription: Greets\ninput:\n  schema:\n    type: object\n    required: [name]\n"
          "    properties:\n      name: {type: string}\n      tone: {type: string, enum: [warm, cool, dry]}\n      times: {type: integer}\n  defaults: {tone: warm, times: 1}\n---\n"
          "== system ==\nBe {{ tone }}.\n== user ==\nI am {{ name }}, {{ times + 1 }}.\n== assistant ==\nHello.\n")
    write(project / "completions/prompt_parts/voices/tone.txt", "Be kind.\n")
    return project


@pytest.fixture
def raw(machine, shop):
    return Raw(machine, shop)


def test_initialize_agrees_on_a_revision_and_tools_tell_what_functions_are(raw):
    opened = raw.open("2025-06-18")
    assert opened["protocolVersion"] == "2025-06-18"
    assert opened["serverInfo"]["name"] == "sabir" and opened["serverInfo"]["title"] == "shop"
    assert opened["capabilities"]["tools"] == {"listChanged": True}
    tools = {tool["name"]: tool for tool in raw.ask("tools/list")["result"]["tools"]}
    assert tools["total"]["title"] == "Adds prices up"
    assert "With tax." in tools["total"]["description"]
    assert tools["total"]["inputSchema"]["required"] == ["prices"]
    assert tools["total"]["outputSchema"]["properties"]["result"]["type"] == "number"
    assert tools["total"]["annotations"]["readOnlyHint"] is True
    assert tools["order"]["annotations"] == {"title": "Writes an order down", "readOnlyHint": False, "destructiveHint": False, "idempotentHint": True}
    assert tools["refund"]["annotations"]["destructiveHint"] is True
    assert "context" not in tools["who"]["inputSchema"].get("properties", {})


def test_calls_give_text_and_structure_and_errors_that_a_model_can_act_on(raw):
    raw.open()
    result = raw.ask("tools/call", {"name": "total", "arguments": {"prices": [1, 2], "tax": 0}})["result"]
    assert result["structuredContent"] == {"result": 3.0} and result["content"] == [{"type": "text", "text": "3.0"}]
    wrong = raw.ask("tools/call", {"name": "total", "arguments": {"prices": "x"}})["result"]
    assert wrong["isError"] is True and "prices" in wrong["content"][0]["text"]
    assert raw.ask("tools/call", {"name": "nothing"})["error"]["code"] == -32602
    assert json.loads(raw.ask("tools/call", {"name": "many", "arguments": {"n": 3}})["result"]["content"][0]["text"]) == [0, 1, 2]


def test_what_a_function_prints_is_not_protocol(raw):
    raw.open()
    assert raw.ask("tools/call", {"name": "loud"})["result"]["content"][0]["text"] == "printed"
    code, rest = raw.close()
    assert code == 0 and rest == b""
    assert "this must not reach the client" in raw.process.stderr.read().decode()


def test_the_caller_is_who_the_command_says(machine, shop):
    raw = Raw(machine, shop, "--user", "ana", "--tenant", "acme")
    raw.open()
    assert raw.ask("tools/call", {"name": "who"})["result"]["content"][0]["text"] == "ana of acme"


def test_progress_comes_before_the_answer_and_a_cancelled_call_ends(raw, machine):
    raw.open()
    marker = machine.folder / "at"
    raw.send({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": {"name": "slow", "arguments": {"marker": str(marker)}, "_meta": {"progressToken": 7}}})
    first, second = raw.receive(), raw.receive()
    assert first["method"] == second["method"] == "notifications/progress"
    assert first["params"]["progressToken"] == 7 and first["params"]["total"] == 200
    assert second["params"]["progress"] > first["params"]["progress"]
    raw.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow", "reason": "test"}})
    time.sleep(2)
    at = marker.read_text()
    time.sleep(1)
    assert marker.read_text() == at, "the function goes on"
    answer = raw.ask("ping")
    assert answer["result"] == {}
    assert not any(message.get("id") == "slow" for message in raw.seen)


def test_an_irreversible_call_waits_for_a_person(raw, shop):
    raw.open("2025-11-25", {"elicitation": {}})
    for action, content, paid in (("decline", None, False), ("accept", {"approve": False}, False), ("accept", {"approve": True}, True)):
        raw.next_id += 1
        raw.send({"jsonrpc": "2.0", "id": raw.next_id, "method": "tools/call", "params": {"name": "refund", "arguments": {"amount": 5}}})
        asked = raw.receive()
        assert asked["method"] == "elicitation/create" and '{"amount":5}' in asked["params"]["message"].replace(" ", "")
        raw.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": action, **({"content": content} if content else {})}})
        answer = raw.receive()
        assert answer["result"].get("isError", False) is not paid
        assert (shop / "refunds.txt").exists() is paid


def test_an_irreversible_call_is_refused_where_nobody_can_be_asked(raw, shop):
    raw.open()
    result = raw.ask("tools/call", {"name": "refund", "arguments": {"amount": 5}})["result"]
    assert result["isError"] is True and "approval" in result["content"][0]["text"]
    assert not (shop / "refunds.txt").exists()


def test_an_irreversible_call_of_the_newer_era_is_approved_in_rounds_and_once(raw, shop):
    able = meta({"elicitation": {}})
    call = {"name": "refund", "arguments": {"amount": 5}, "_meta": able}
    answer = raw.ask("tools/call", dict(call, _meta=meta()))
    assert answer["error"]["code"] == -32021 and "elicitation" in answer["error"]["data"]["requiredCapabilities"]
    first = raw.ask("tools/call", call)["result"]
    assert first["resultType"] == "input_required"
    (key, question), = first["inputRequests"].items()
    assert question["method"] == "elicitation/create"
    said = {key: {"action": "accept", "content": {"approve": True}}}
    assert raw.ask("tools/call", dict(call, inputResponses=said))["result"]["resultType"] == "input_required"
    other = dict(call, arguments={"amount": 5000}, inputResponses=said, requestState=first["requestState"])
    assert raw.ask("tools/call", other)["error"]["code"] == -32602
    again = dict(call, inputResponses=said, requestState=first["requestState"])
    done = raw.ask("tools/call", again)["result"]
    assert done["resultType"] == "complete" and done["content"][0]["text"] == "paid 5.0" or done["content"][0]["text"] == "paid 5"
    assert raw.ask("tools/call", again)["result"]["isError"] is True
    assert len((shop / "refunds.txt").read_text().splitlines()) == 1


def test_prompts_have_arguments_completions_and_roles(raw):
    raw.open()
    prompt, = raw.ask("prompts/list")["result"]["prompts"]
    assert prompt["name"] == "greet" and prompt["description"] == "Greets"
    assert [(one["name"], one["required"]) for one in prompt["arguments"]] == [("name", True), ("tone", False), ("times", False)]
    got = raw.ask("prompts/get", {"name": "greet", "arguments": {"name": "42", "times": "2"}})["result"]
    assert [(m["role"], m["content"]["text"]) for m in got["messages"]] == [("user", "Be warm."), ("user", "I am 42, 3."), ("assistant", "Hello.")]
    values = raw.ask("completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "tone", "value": "c"}})
    assert values["result"]["completion"] == {"values": ["cool"], "total": 1, "hasMore": False}
    assert raw.ask("prompts/get", {"name": "greet"})["error"]["code"] == -32602
    wrong = raw.ask("prompts/get", {"name": "greet", "arguments": {"name": "x", "tone": "angry"}})["error"]
    assert wrong["code"] == -32602 and "tone" in wrong["message"]


def test_parts_and_memory_are_resources(raw, machine, shop):
    for key, value in (("a b", '"plain"'), ("deep/er", '{"n":1}')):
        done = machine.sabir("memory", "put", key, value, cwd=shop)
        assert done.code == 0, done
    raw.open()
    resources = {one["uri"]: one for one in raw.ask("resources/list")["result"]["resources"]}
    assert resources["sabir://parts/voices/tone.txt"]["mimeType"] == "text/plain"
    assert "sabir://memory/default/a%20b" in resources
    read = raw.ask("resources/read", {"uri": "sabir://parts/voices/tone.txt"})["result"]["contents"]
    assert read == [{"uri": "sabir://parts/voices/tone.txt", "mimeType": "text/plain", "text": "Be kind.\n"}]
    item, = raw.ask("resources/read", {"uri": "sabir://memory/default/deep%2Fer"})["result"]["contents"]
    assert item["mimeType"] == "application/json" and json.loads(item["text"]) == {"n": 1}
    for uri in ("sabir://memory/default/none", "sabir://parts/../sabir.yml", "sabir://parts/..%2Fgreet.prompt", "file:///etc/passwd"):
        assert raw.ask("resources/read", {"uri": uri})["error"]["code"] == -32002, uri
    templates = raw.ask("resources/templates/list")["result"]["resourceTemplates"]
    assert [one["uriTemplate"] for one in templates] == ["sabir://memory/{namespace}/{+key}"]
    completed = raw.ask("completion/complete", {"ref": {"type": "ref/resource", "uri": "sabir://memory/{namespace}/{+key}"}, "argument": {"name": "key", "value": "de"}})
    assert completed["result"]["completion"]["values"] == ["deep/er"]


def test_memory_is_whose_it_is(machine, shop):
    done = machine.sabir("memory", "put", "mine", '"secret"', "--user", "ana", cwd=shop)
    assert done.code == 0, done
    raw = Raw(machine, shop, "--user", "bob")
    raw.open()
    assert raw.ask("resources/read", {"uri": "sabir://memory/default/mine"})["error"]["code"] == -32002
    assert not any("mine" in one["uri"] for one in raw.ask("resources/list")["result"]["resources"])


def test_changes_of_sources_parts_and_memory_are_told(raw, machine, shop):
    raw.open()
    raw.ask("resources/subscribe", {"uri": "sabir://parts/voices/tone.txt"})
    raw.ask("resources/subscribe", {"uri": "sabir://memory/default/seen"})
    write(shop / "functions/python/more.py", '"""More."""\n\n\ndef extra() -> int:\n    """One more.\n\n    Effect: read\n    """\n    return 1\n')
    assert raw.receive()["method"] == "notifications/tools/list_changed"
    assert raw.ask("tools/call", {"name": "extra"})["result"]["structuredContent"] == {"result": 1}
    write(shop / "completions/prompt_parts/voices/tone.txt", "Be curt.\n")
    updated = raw.receive()
    assert updated == {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "sabir://parts/voices/tone.txt"}}
    write(shop / "completions/farewell.md", "Bye.\n")
    methods = set()
    while "notifications/prompts/list_changed" not in methods:
        methods.add(raw.receive()["method"])
    time.sleep(1.5)
    assert machine.sabir("memory", "put", "seen", "1", cwd=shop).code == 0
    while True:
        message = raw.receive()
        if message.get("params", {}).get("uri") == "sabir://memory/default/seen":
            break
    raw.ask("resources/unsubscribe", {"uri": "sabir://memory/default/seen"})
    assert machine.sabir("memory", "put", "seen", "2", cwd=shop).code == 0
    assert raw.nothing(2.5)


def test_pages_are_bounded_and_cursors_are_checked(machine, shop):
    write(shop / "functions/python/crowd.py", '"""Many."""\n' + "".join('\n\ndef f%03d() -> int:\n    """Number %d.\n\n    Effect: read\n    """\n    return %d\n' % (i, i, i) for i in range(150)))
    raw = Raw(machine, shop)
    raw.open()
    first = raw.ask("tools/list")["result"]
    assert len(first["tools"]) == 100
    second = raw.ask("tools/list", {"cursor": first["nextCursor"]})["result"]
    names = [tool["name"] for tool in first["tools"] + second["tools"]]
    assert len(names) == len(set(names)) == 157 and names == sorted(names) and "nextCursor" not in second
    assert raw.ask("tools/list", {"cursor": "x"})["error"]["code"] == -32602


def test_both_eras_share_one_process(raw):
    raw.open()
    discovered = raw.ask("server/discover", {"_meta": meta()})["result"]
    assert discovered["supportedVersions"][0] == "2026-07-28" and discovered["resultType"] == "complete"
    assert raw.ask("ping")["result"] == {}
    assert raw.ask("ping", {"_meta": meta()})["error"]["code"] == -32601
    unknown = raw.ask("tools/list", {"_meta": {"io.modelcontextprotocol/protocolVersion": "1999-01-01", "io.modelcontextprotocol/clientCapabilities": {}}})["error"]
    assert unknown["code"] == -32022 and unknown["data"]["requested"] == "1999-01-01"
    assert raw.ask("tools/call", {"name": "total", "arguments": {"prices": [2]}, "_meta": meta()})["result"]["structuredContent"] == 2.4


def test_a_listener_hears_what_it_asked_for_until_it_is_ended(raw, shop):
    raw.send({"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": {"notifications": {"toolsListChanged": True}, "_meta": meta()}})
    acknowledged = raw.receive()
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    write(shop / "functions/python/more.py", '"""More."""\n\n\ndef extra() -> int:\n    """One more.\n\n    Effect: read\n    """\n    return 1\n')
    told = raw.receive()
    assert told["method"] == "notifications/tools/list_changed" and told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "l"
    code, rest = raw.close()
    last = json.loads(rest)
    assert code == 0 and last["id"] == "l" and last["result"]["resultType"] == "complete"


def test_messages_that_are_none_are_refused_and_the_rest_goes_on(raw):
    raw.send(b"{nonsense")
    assert raw.receive()["error"]["code"] == -32700
    raw.send(b"[]")
    assert raw.receive()["error"]["code"] == -32600
    raw.send(b"[" * 100000)
    assert raw.receive()["error"]["code"] == -32700
    raw.send(b'{"jsonrpc":"2.0","id":1,"method":"\xff"}')
    assert raw.receive()["error"]["code"] == -32700
    raw.send(b"")
    assert raw.open()["protocolVersion"] == "2025-11-25"


def test_the_end_of_input_answers_what_runs_and_a_signal_ends_at_once(machine, shop):
    raw = Raw(machine, shop)
    raw.open()
    raw.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "total", "arguments": {"prices": [1]}}})
    code, rest = raw.close()
    assert code == 0 and json.loads(rest)["id"] == 9
    raw = Raw(machine, shop)
    raw.open()
    raw.process.send_signal(signal.SIGTERM)
    assert raw.process.wait(15) == 0


def test_a_project_that_is_none_is_said_on_standard_error(machine):
    done = machine.sabir("mcp", cwd=machine.folder, input="")
    assert done.code == 1 and done.out == "" and "sabir.yml" in done.err


def test_settings_are_checked(machine, shop):
    write(shop / "sabir.yml", "languages: [python]\nmcp:\n  resources:\n    nonsense: shop.total\n")
    done = machine.sabir("mcp", cwd=shop, input="")
    assert done.code == 1 and "sabir.yml:4" in done.err and "no URI" in done.err


def test_functions_ask_back_in_both_eras(machine):
    project = everything(machine)
    raw = Raw(machine, project)
    raw.open("2025-11-25", {"sampling": {}, "roots": {}, "elicitation": {}})
    raw.next_id += 1
    raw.send({"jsonrpc": "2.0", "id": raw.next_id, "method": "tools/call", "params": {"name": "test_input_required_result_multiple_inputs"}})
    answers = {"elicitation/create": {"action": "accept", "content": {"name": "Ana"}},
               "sampling/createMessage": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hi"}},
               "roots/list": {"roots": [{"uri": "file:///x"}]}}
    for _ in range(3):
        asked = raw.receive()
        raw.send({"jsonrpc": "2.0", "id": asked["id"], "result": answers[asked["method"]]})
    assert raw.receive()["result"]["content"][0]["text"] == "Hi Ana, with 1 roots"
    params = {"name": "test_input_required_result_multi_round", "_meta": meta({"elicitation": {}})}
    first = raw.ask("tools/call", params)["result"]
    second = raw.ask("tools/call", dict(params, requestState=first["requestState"], inputResponses={"step1": {"action": "accept", "content": {"name": "Ana"}}}))["result"]
    assert list(second["inputRequests"]) == ["step2"]
    third = raw.ask("tools/call", dict(params, requestState=second["requestState"], inputResponses={"step2": {"action": "accept", "content": {"color": "red"}}}))["result"]
    assert third["content"][0]["text"] == "Ana likes red"


def test_a_function_asks_from_any_depth_and_in_any_language(machine, shop):
    write(shop / "sabir.yml", "languages: [python, ruby]\nname: shop\n")
    write(shop / "functions/ruby/asker.rb", 'require "sabir"\n\n# Asks for a name.\n#\n# @effect read\n# @return [String]\ndef ask_name\n'
          '  form = {"message" => "Name?", "requestedSchema" => {"type" => "object", "properties" => {"name" => {"type" => "string"}}}}\n'
          '  answer = Sabir.call("client/ask", name: {"method" => "elicitation/create", "params" => form})\n  answer["name"]["content"]["name"]\nend\n')
    write(shop / "functions/python/hello.py", 'import sabir\n\n\ndef hello() -> str:\n    """Greets.\n\n    Effect: read\n    """\n    return "Hello " + sabir.call("asker.ask_name")\n')
    raw = Raw(machine, shop)
    first = raw.ask("tools/call", {"name": "hello", "_meta": meta({"elicitation": {}})})["result"]
    assert first["inputRequests"]["name"]["params"]["message"] == "Name?"
    again = {"name": "hello", "_meta": meta({"elicitation": {}}), "requestState": first["requestState"], "inputResponses": {"name": {"action": "accept", "content": {"name": "Ana"}}}}
    assert raw.ask("tools/call", again)["result"]["content"][0]["text"] == "Hello Ana"


def test_a_function_that_asks_has_nobody_to_ask_at_the_command_line(machine):
    done = machine.sabir("call", "tools.test_sampling", "prompt=x", "--json", cwd=everything(machine))
    assert done.code == 1 and "nobody can be asked" in done.text


def test_settings_that_lead_nowhere_are_said(machine, shop):
    write(shop / "sabir.yml", "languages: [python]\nmcp:\n  prompts:\n    review: shop.totl\n")
    done = machine.sabir("mcp", cwd=shop, input="")
    assert done.code == 0 and "mcp.prompts.review" in done.err and "shop.total" in done.err


def test_a_call_belongs_to_the_clients_trace(machine, shop, raw):
    raw.open()
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = raw.ask("tools/call", {"name": "total", "arguments": {"prices": [1]}, "_meta": {"traceparent": "00-%s-b7ad6b7169203331-01" % trace}})
    assert "result" in answer
    assert raw.close()[0] == 0
    done = machine.sabir("trace", trace, "--json", cwd=shop)
    assert done.code == 0 and "shop.total" in done.out, done


def test_outside_development_only_what_is_exposed_is_there(machine, shop):
    write(shop / "sabir.yml", "languages: [python]\nexpose:\n  mcp: [shop.total]\n")
    raw = Raw(machine, shop, "--env", "production")
    raw.open()
    assert [tool["name"] for tool in raw.ask("tools/list")["result"]["tools"]] == ["total"]
    assert raw.ask("tools/call", {"name": "order", "arguments": {"name": "x"}})["error"]["code"] == -32602
    assert raw.ask("prompts/list")["result"]["prompts"] == [] and raw.ask("resources/list")["result"]["resources"] == []
    assert raw.ask("resources/templates/list")["result"]["resourceTemplates"] == []
    for uri in ("sabir://memory/default/x", "sabir://parts/voices/tone.txt"):
        assert raw.ask("resources/read", {"uri": uri})["error"]["code"] == -32002
