"""The npm clients of the Model Context Protocol: both generations of the SDK, and the inspector's command line."""
import json

import pytest
from harness import node
from mcp_project import ORACLES, everything, serve_http

PACKAGES = ORACLES / "node"
pytestmark = pytest.mark.skipif(not (PACKAGES / "node_modules").is_dir(), reason="CI=true script/setup installs the clients")


def check(seen):
    assert seen["server"] == "sabir" and seen["instructions"].startswith("Tools, prompts and resources")
    assert {"test_simple_text", "test_x_mcp_header"} <= set(seen["tools"])
    assert seen["text"]["content"][0]["text"] == "This is a simple text response for testing."
    assert seen["image"] == "image/png" and seen["failure"] is True
    assert seen["progress"] == [0, 50, 100]
    assert "action=accept" in seen["asked"] and seen["sampled"] == "LLM response: Paris"
    assert "test_simple_prompt" in seen["prompts"] and seen["prompt"] == "Prompt with arguments: arg1='a', arg2='b'"
    assert "test://static-text" in seen["resources"] and json.loads(seen["resource"])["id"] == "7"
    assert seen["completed"] == ["hello"]


@pytest.mark.parametrize("generation", ["sdk", "client"])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_sdk_visits_everything(machine, generation, transport):
    project = everything(machine)
    target = str(machine.binary) if transport == "stdio" else serve_http(machine, project)
    done = machine.run(node(), PACKAGES.parents[3] / "tests/mcp_clients/node/visit.mjs", generation, transport, target, project, env={"MCP_PACKAGES": str(PACKAGES)})
    assert done.code == 0, done
    check(done.json)
    if generation == "client":
        assert done.json["revision"] == "2026-07-28"


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_inspector_lists_and_calls(machine, transport):
    project = everything(machine)
    target = [machine.binary, "mcp"] if transport == "stdio" else [serve_http(machine, project), "--transport", "http"]
    program = PACKAGES / "node_modules" / ".bin" / "mcp-inspector"
    listed = machine.run(node(), program.resolve(), "--cli", *target, "--method", "tools/list", cwd=project)
    assert listed.code == 0, listed
    assert "test_simple_text" in {tool["name"] for tool in listed.json["tools"]}
    called = machine.run(node(), program.resolve(), "--cli", *target, "--method", "tools/call", "--tool-name", "test_x_mcp_header", "--tool-arg", "region=eu", "--tool-arg", "priority=3", cwd=project)
    assert called.code == 0, called
    assert called.json["content"][0]["text"].startswith("eu 3")
