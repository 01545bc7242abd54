"""MCP over HTTP as its own bytes tell: sessions, streams that are taken up again, headers, and who is kept out."""
import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from harness import write
from mcp_project import MODERN, everything, meta, serve_http

BOTH = "application/json, text/event-stream"


class Http:
    def __init__(self, address):
        self.parts = urlsplit(address)

    def request(self, method, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=timeout)
        given = {"Accept": BOTH, "Content-Type": "application/json"}
        given.update(headers or {})
        given = {name: value for name, value in given.items() if value is not None}
        connection.request(method, self.parts.path, json.dumps(body) if isinstance(body, (dict, list)) else body, given)
        return connection.getresponse()

    def open(self, revision="2025-11-25", capabilities=None):
        answer = self.request("POST", {"jsonrpc": "2.0", "id": 0, "method": "initialize",
                                       "params": {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": {"name": "t", "version": "1"}}})
        assert answer.status == 200, answer.read()
        session = answer.getheader("Mcp-Session-Id")
        answer.read()
        headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": revision}
        assert self.request("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers).status == 202
        return headers

    def modern(self, method, params=None, headers=None, capabilities=None, id=1, timeout=30):
        params = dict(params or {}, _meta=meta(capabilities))
        given = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        name = params.get("name", params.get("uri"))
        if name:
            given["Mcp-Name"] = name
        given.update(headers or {})
        return self.request("POST", {"jsonrpc": "2.0", "id": id, "method": method, "params": params}, given, timeout)


def events(response):
    """(id, message) of each event, as they come."""
    number, data = None, []
    while True:
        line = response.readline().decode()
        if not line:
            return
        line = line.rstrip("\n")
        if line.startswith("id:"):
            number = line[3:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif line == "" and (data or number):
            text = "\n".join(data)
            yield number, json.loads(text) if text else None
            number, data = None, []


@pytest.fixture
def project(machine):
    folder = everything(machine)
    write(folder / "functions/python/pace.py", '"""Pace."""\nimport time\nfrom pathlib import Path\n\nimport sabir\n\n\ndef walk(steps: int, marker: str = "") -> str:\n    """Walks.\n\n    Effect: read\n    """\n'
          '    for i in range(steps):\n        sabir.progress(i + 1, steps)\n        if marker:\n            Path(marker).write_text(str(i))\n        time.sleep(0.1)\n    return "there"\n')
    return folder


@pytest.fixture
def server(machine, project):
    return Http(serve_http(machine, project))


def walk(steps, id=1, token="p", **arguments):
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "walk", "arguments": {"steps": steps, **arguments}, "_meta": {"progressToken": token}}}


def test_a_session_lives_from_initialize_to_delete(server):
    headers = server.open()
    assert len(headers["Mcp-Session-Id"]) > 40
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = server.request("POST", listing, headers)
    assert answer.status == 200 and answer.getheader("Content-Type").startswith("application/json") and "tools" in json.loads(answer.read())["result"]
    assert server.request("POST", listing).status == 400
    assert server.request("POST", listing, dict(headers, **{"Mcp-Session-Id": "x" * 52})).status == 404
    assert server.request("POST", listing, dict(headers, **{"MCP-Protocol-Version": "2025-06-18"})).status == 400
    assert server.request("POST", listing, dict(headers, **{"MCP-Protocol-Version": "1999-01-01"})).status == 400
    assert server.request("DELETE", None, headers).status == 200
    assert server.request("POST", listing, headers).status == 404
    assert server.request("DELETE", None, headers).status == 404


def test_what_no_client_of_mcp_sends_is_refused(server):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = server.open()
    assert server.request("POST", ping, dict(headers, **{"Content-Type": "text/plain"})).status == 415
    assert server.request("POST", ping, dict(headers, Accept="text/html")).status == 406
    assert server.request("POST", "{", headers).status == 400
    assert server.request("POST", [ping, ping], headers).status == 400
    assert server.request("GET", None, {"Accept": "text/event-stream"}).status == 405
    assert server.request("GET", None, dict(headers, Accept="application/json")).status == 406
    assert server.request("PUT", ping, headers).status == 405
    answer = server.request("POST", "[" * 100000, headers)
    assert answer.status == 400 and json.loads(answer.read())["error"]["code"] == -32700


def test_pages_of_other_hosts_are_kept_out(server):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert 400 <= server.request("POST", ping, {"Host": "evil.example.com"}).status < 500
    assert server.request("POST", ping, {"Origin": "http://evil.example.com"}).status == 403
    assert server.modern("tools/list", headers={"Origin": "http://evil.example.com"}).status == 403
    assert server.modern("tools/list", headers={"Origin": "http://127.0.0.1:%d" % server.parts.port}).status == 200


def test_a_lost_stream_is_taken_up_where_it_stood(server):
    headers = server.open()
    first = server.request("POST", walk(12), headers)
    assert first.getheader("Content-Type").startswith("text/event-stream")
    seen, last = [], None
    for number, message in events(first):
        last = number
        if message:
            seen.append(message["params"]["progress"])
        if len(seen) == 3:
            break
    first.close()
    time.sleep(0.3)
    again = server.request("GET", None, dict(headers, **{"Last-Event-ID": last}))
    answer = None
    for number, message in events(again):
        if message and "params" in message:
            seen.append(message["params"]["progress"])
        elif message:
            answer = message
    assert seen == [float(i) for i in range(1, 13)]
    assert answer["id"] == 1 and answer["result"]["content"][0]["text"] == "there"
    assert server.request("GET", None, dict(headers, **{"Last-Event-ID": "77-1"})).status == 404


def test_what_ended_unread_can_still_be_read(server):
    headers = server.open()
    first = server.request("POST", walk(4), headers)
    number, _ = next(events(first))
    first.close()
    time.sleep(1.5)
    messages = [message for _, message in events(server.request("GET", None, dict(headers, **{"Last-Event-ID": number}))) if message]
    assert messages[-1]["result"]["content"][0]["text"] == "there"


def test_a_sessions_own_stream_tells_of_changes(server, project):
    headers = server.open()
    stream = server.request("GET", None, dict(headers, Accept="text/event-stream"))
    assert stream.status == 200
    server.request("POST", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_trigger_tool_change"}}, headers).read()
    for _, message in events(stream):
        if message:
            assert message["method"] == "notifications/tools/list_changed"
            break


def test_closing_the_connection_cancels_a_request_of_the_newer_era(server, machine):
    marker = machine.folder / "at"
    body = {"name": "walk", "arguments": {"steps": 100, "marker": str(marker)}}
    params = dict(body, _meta=dict(meta(), progressToken="p"))
    raw = socket.create_connection((server.parts.hostname, server.parts.port))
    data = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    raw.sendall(("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: %s\r\nContent-Type: application/json\r\nMCP-Protocol-Version: %s\r\nMcp-Method: tools/call\r\nMcp-Name: walk\r\nContent-Length: %d\r\n\r\n%s"
                 % (server.parts.path, BOTH, MODERN, len(data), data)).encode())
    assert b"text/event-stream" in raw.recv(65536)
    time.sleep(0.5)
    raw.close()
    time.sleep(2)
    at = marker.read_text()
    time.sleep(1)
    assert marker.read_text() == at, "the function goes on"


def test_headers_must_say_what_the_request_says(server):
    assert server.modern("tools/call", {"name": "test_simple_text"}).status == 200
    for headers in ({"Mcp-Name": "other"}, {"Mcp-Name": None}, {"Mcp-Method": "tools/list"}, {"Mcp-Method": None}, {"MCP-Protocol-Version": "2025-11-25"}, {"MCP-Protocol-Version": None}):
        answer = server.modern("tools/call", {"name": "test_simple_text"}, headers)
        assert answer.status == 400 and json.loads(answer.read())["error"]["code"] == -32020, headers
    unknown = server.modern("nonsense")
    assert unknown.status == 404 and json.loads(unknown.read())["error"]["code"] == -32601
    call = {"name": "test_x_mcp_header", "arguments": {"region": "Köln"}}
    assert server.modern("tools/call", call).status == 400
    assert server.modern("tools/call", call, {"Mcp-Param-Region": "=?base64?S8O2bG4=?="}).status == 200


def test_listeners_of_the_newer_era_hear_changes(server):
    stream = server.modern("subscriptions/listen", {"notifications": {"promptsListChanged": True}}, id="l")
    heard = events(stream)
    assert next(heard)[1]["method"] == "notifications/subscriptions/acknowledged"
    server.modern("tools/call", {"name": "test_trigger_prompt_change"}).read()
    message = next(heard)[1]
    assert message["method"] == "notifications/prompts/list_changed" and message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "l"


def test_many_clients_of_both_eras_do_not_meet(server):
    def modern(i):
        answer = server.modern("tools/call", {"name": "test_x_mcp_header", "arguments": {"query": str(i)}})
        return json.loads(answer.read())["result"]["content"][0]["text"].endswith(" %d" % i)

    def session(i):
        headers = server.open()
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_x_mcp_header", "arguments": {"query": str(i)}}}
        text = json.loads(server.request("POST", call, headers).read())["result"]["content"][0]["text"]
        return text.endswith(" %d" % i) and server.request("DELETE", None, headers).status == 200

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(modern, range(200)))
        assert all(pool.map(session, range(100)))


def test_sessions_are_bounded_and_the_idle_go_first(server):
    first = server.open()
    with ThreadPoolExecutor(8) as pool:
        rest = list(pool.map(lambda _: server.open(), range(1000)))
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert server.request("POST", ping, first).status == 404
    assert server.request("POST", ping, rest[-1]).status == 200


def test_the_end_of_the_server_is_told_to_listeners(machine, server):
    stream = server.modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=5)
    heard = events(stream)
    next(heard)
    process = machine.started[-1]
    process.terminate()
    assert next(heard)[1]["result"]["resultType"] == "complete"
    assert process.wait(15) == 0


def test_a_session_that_ends_takes_its_approvals_along(machine):
    folder = machine.folder / "shop"
    write(folder / "sabir.yml", "languages: [python]\n")
    write(folder / "functions/python/shop.py", 'def refund() -> str:\n    """Pays back.\n\n    Effect: irreversible\n    """\n    open("paid", "w").close()\n    return "paid"\n')
    server = Http(serve_http(machine, folder))
    headers = server.open(capabilities={"elicitation": {}})
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "refund"}}
    heard = events(server.request("POST", call, headers))
    asked = next(message for _, message in heard if message)
    assert asked["method"] == "elicitation/create"
    other = server.open()
    said = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"approve": True}}}
    assert server.request("POST", said, other).status == 202  # of another session, where nothing was asked
    assert server.request("DELETE", None, headers).status == 200
    assert server.request("POST", said, headers).status == 404
    time.sleep(0.5)
    assert not (folder / "paid").exists()
    assert server.request("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, other).status == 200


def test_sabir_serve_has_it_for_those_with_the_scope(machine, project):
    done = machine.sabir("tokens", "add", "agent", "--scopes", "mcp", "--user", "ana", "--json", cwd=project)
    assert done.code == 0, done
    token = next(value for value in done.json.values() if isinstance(value, str) and len(value) > 20 and value != done.json.get("digest"))
    other = machine.sabir("tokens", "add", "other", "--scopes", "functions", "--json", cwd=project)
    wrong = next(value for value in other.json.values() if isinstance(value, str) and len(value) > 20)
    process = machine.start(machine.binary, "serve", "--port", "0", "--json", "--no-access-log", cwd=project)
    server = Http(json.loads(process.stdout.readline())["address"] + "/mcp")
    assert server.modern("tools/list").status == 401
    assert server.modern("tools/list", headers={"Authorization": "Bearer " + wrong}).status == 403
    mine = {"Authorization": "Bearer " + token}
    answer = json.loads(server.modern("tools/list", headers=mine).read())["result"]
    assert answer["cacheScope"] == "private" and "walk" in {tool["name"] for tool in answer["tools"]}
    stream = server.modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, headers=mine, id=5)
    heard = events(stream)
    next(heard)
    process.terminate()
    assert next(heard)[1]["result"]["resultType"] == "complete"
    assert process.wait(15) == 0
