"""Our client against servers that others have written: server-everything (npm), FastMCP and the official Python SDK (PyPI), over standard
input and output and over HTTP."""
import json
import sys

import pytest
from harness import node, write
from mcp_project import Raw
from servers_project import EVERYTHING, PACKAGES, PROGRAMS, call, free_port, project, python_server, serve, trust

pytestmark = pytest.mark.skipif(not EVERYTHING.is_file() or not PACKAGES.is_dir(), reason="CI=true script/setup installs the servers")


def entry(machine, program, transport):
    if transport == "stdio":
        return python_server(program)
    port = free_port()
    serve(machine, [sys.executable, PROGRAMS / program, "--http", str(port)], port, machine.folder, env={"PYTHONPATH": str(PACKAGES)})
    return {"url": "http://127.0.0.1:%d/mcp" % port}


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_server_everything(machine, transport):
    if transport == "stdio":
        server = {"command": node(), "args": [str(EVERYTHING), "stdio"]}
    else:
        port = free_port()
        serve(machine, [node(), EVERYTHING, "streamableHttp"], port, machine.folder, env={"PORT": str(port)})
        server = {"url": "http://127.0.0.1:%d/mcp" % port}
    folder = project(machine, {"everything": server})
    trust(machine, folder, "everything")
    assert call(machine, folder, "everything.echo", message="hi") == "Echo: hi"
    assert "5" in call(machine, folder, "everything.get_sum", a=2, b=3)
    assert set(call(machine, folder, "everything.get_structured_content", location="Chicago")) >= {"temperature", "conditions"}
    image = call(machine, folder, "everything.get_tiny_image")
    assert [block["type"] for block in image["content"]].count("image") == 1
    wrong = call(machine, folder, "everything.get_sum", a="two", b=3)
    assert wrong["type"] == "invalid_arguments"
    done = machine.sabir("call", "everything.trigger_long_running_operation", "duration=1", "steps=4", "--stream", cwd=folder)
    assert done.code == 0 and "4" in done.text, done


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_the_python_sdk(machine, transport, revision):
    folder = project(machine, {"shop": dict(entry(machine, "python_sdk_server.py", transport), revision=revision)})
    trust(machine, folder, "shop")
    listed = machine.sabir("functions", "--json", cwd=folder).json["functions"]
    assert {f["address"]: f["effect"] for f in listed} == {"shop.find_order": "read", "shop.delete_order": "irreversible", "shop.fail": "write", "shop.walk": "read"}
    assert {f["language"] for f in listed} == {"mcp"} and {f["file"] for f in listed} == {"config/mcp.yml"}
    assert call(machine, folder, "shop.find_order", id=7) == {"id": 7, "total": 12.5}
    failed = call(machine, folder, "shop.fail", why="no stock")
    assert failed["type"] == "function_error" and "no stock" in failed["message"]
    assert machine.sabir("mcp", "servers", "--json", cwd=folder).json["servers"][0]["revision"] == revision
    done = machine.sabir("call", "shop.walk", "steps=3", "--stream", cwd=folder)
    assert done.code == 0 and "there" in done.out and "3" in done.text, done


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_fastmcp_with_the_newest_revision_that_both_know(machine, transport):
    folder = project(machine, {"notes": entry(machine, "fastmcp_server.py", transport)})
    trust(machine, folder, "notes")
    assert call(machine, folder, "notes.add", a=40, b=2) in (42, {"result": 42})
    assert machine.sabir("mcp", "servers", "--json", cwd=folder).json["servers"][0]["revision"] == "2026-07-28"


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_servers_question_reaches_the_person_who_can_be_asked(machine, transport):
    folder = project(machine, {"notes": dict(entry(machine, "fastmcp_server.py", transport), revision="2025-11-25")})
    trust(machine, folder, "notes")
    nobody = call(machine, folder, "notes.ask_name")
    assert nobody["type"] == "function_error"
    client = Raw(machine, folder)
    client.open(capabilities={"elicitation": {}})
    client.send({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": {"name": "ask_name", "arguments": {}}})
    asked = client.receive(60)
    while asked.get("method") != "elicitation/create":
        asked = client.receive(60)
    assert asked["params"]["message"] == "What is your name?"
    client.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"value": "Ann"}}})
    answer = client.receive(60)
    assert answer["id"] == 99 and "hello Ann" in json.dumps(answer["result"]), answer
    client.close()


def test_every_language_and_every_door_reaches_them(machine):
    folder = project(machine, {"shop": python_server("python_sdk_server.py")})
    write(folder / "functions/python/orders.py", '"""Orders."""\nimport sabir\n\n\ndef total(id: int) -> float:\n    """The total of an order."""\n    return sabir.call("shop.find_order", id=id)["total"]\n')
    trust(machine, folder, "shop")
    assert call(machine, folder, "orders.total", id=3) == 12.5
    engine = machine.start_engine(folder)
    assert call(machine, folder, "orders.total", id=4) == 12.5
    servers = machine.sabir("mcp", "servers", "--json", cwd=folder).json["servers"]
    assert servers[0]["state"] == "ready"
    assert engine.poll() is None


def test_only_what_is_named_is_in_a_servers_environment(machine):
    server = python_server("fastmcp_server.py")
    server["env"].update(GIVEN="${secret:given}", PASSED_ON=None)
    folder = project(machine, {"notes": server})
    env = {"GIVEN": "treasure-chest", "PASSED_ON": "yes", "KEPT_BACK": "no"}
    assert machine.sabir("mcp", "trust", "notes", "--yes", cwd=folder, env=env).code == 0
    for name, expected in [("GIVEN", "[secret:given]"), ("PASSED_ON", "yes"), ("KEPT_BACK", "nothing")]:
        done = machine.sabir("call", "notes.seen", "name=" + name, "--json", cwd=folder, env=env)
        assert expected in json.dumps(done.json), done
