"""The official Python SDK and FastMCP as clients of `sabir mcp`, in each era and over each transport they speak."""
import base64
import os

import pytest
from harness import write
from mcp_project import PACKAGES, everything, serve_http

pytestmark = pytest.mark.skipif(not PACKAGES.is_dir(), reason="CI=true script/setup installs the clients")
ERAS = ["legacy", "auto"]


def run(program):
    import anyio

    async def bounded():
        with anyio.fail_after(90):
            await program()

    anyio.run(bounded)


@pytest.fixture(params=ERAS)
def era(request):
    return request.param


@pytest.fixture(params=["stdio", "http"])
def project(machine, request):
    folder = everything(machine)
    machine.address = serve_http(machine, folder) if request.param == "http" else None
    return folder


def client(machine, project, era, **options):
    from mcp import Client, StdioServerParameters, stdio_client
    if machine.address:
        return Client(machine.address, mode=era, **options)
    parameters = StdioServerParameters(command=str(machine.binary), args=["mcp"], cwd=str(project), env=dict(machine.env))
    return Client(stdio_client(parameters, errlog=open(os.devnull, "w")), mode=era, **options)


def test_the_sdk_finds_everything(machine, project, era):
    async def program():
        async with client(machine, project, era) as session:
            assert session.protocol_version == ("2025-11-25" if era == "legacy" else "2026-07-28")
            assert session.instructions.startswith("Tools, prompts and resources")
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            assert tools["test_simple_text"].annotations.read_only_hint is True
            assert tools["test_simple_text"].output_schema is not None
            prompts = {prompt.name for prompt in (await session.list_prompts()).prompts}
            assert {"test_simple_prompt", "test_prompt_with_image"} <= prompts
            assert "test://static-text" in {str(one.uri) for one in (await session.list_resources()).resources}
            assert "test://template/{id}/data" in {one.uri_template for one in (await session.list_resource_templates()).resource_templates}

    run(program)


def test_the_sdk_calls_tools_and_checks_what_they_promised(machine, project, era):
    async def program():
        seen = []

        async def progress(done, total, message):
            seen.append((done, total, message))

        async with client(machine, project, era) as session:
            await session.list_tools()
            text = await session.call_tool("test_simple_text", {})
            assert text.content[0].text == "This is a simple text response for testing."
            assert text.structured_content == ({"result": text.content[0].text} if era == "legacy" else text.content[0].text)
            image = (await session.call_tool("test_image_content", {})).content[0]
            assert image.mime_type == "image/png" and base64.b64decode(image.data).startswith(b"\x89PNG")
            sound = (await session.call_tool("test_audio_content", {})).content[0]
            assert sound.mime_type == "audio/wav"
            mixed = (await session.call_tool("test_multiple_content_types", {})).content
            assert [one.type for one in mixed] == ["text", "image", "resource"]
            assert (await session.call_tool("test_error_handling", {})).is_error is True
            await session.call_tool("test_tool_with_progress", {}, progress_callback=progress)
            assert seen == [(0, 100, "0 of 100"), (50, 100, "50 of 100"), (100, 100, "100 of 100")]

    run(program)


def test_the_sdk_reads_prompts_and_resources(machine, project, era):
    async def program():
        from mcp.types import PromptReference
        async with client(machine, project, era) as session:
            prompt = await session.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
            assert prompt.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"
            image = await session.get_prompt("test_prompt_with_image")
            assert [message.content.type for message in image.messages] == ["image", "text"]
            embedded = await session.get_prompt("test_prompt_with_embedded_resource", {"resourceUri": "test://example"})
            assert str(embedded.messages[0].content.resource.uri) == "test://example"
            text = (await session.read_resource("test://static-text")).contents[0]
            assert text.text.startswith("This is the content") and text.mime_type == "text/plain"
            picture = (await session.read_resource("test://static-binary")).contents[0]
            assert base64.b64decode(picture.blob).startswith(b"\x89PNG")
            data = (await session.read_resource("test://template/123/data")).contents[0]
            assert '"id":"123"' in data.text.replace(" ", "")
            completed = await session.complete(PromptReference(type="ref/prompt", name="test_prompt_with_arguments"), {"name": "arg1", "value": "test"})
            assert completed.completion.values == ["testValue1"]

    run(program)


def test_the_sdk_answers_what_functions_ask(machine, project, era):
    async def program():
        from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent
        asked = []

        async def elicit(context, params):
            asked.append(params.message)
            fields = {"name": "Ana", "color": "red", "username": "ana", "email": "ana@example.org"}
            wanted = params.requested_schema["properties"]
            return ElicitResult(action="accept", content={key: value for key, value in fields.items() if key in wanted})

        async def sample(context, params):
            return CreateMessageResult(role="assistant", model="test", content=TextContent(type="text", text="Paris"))

        async def roots(context):
            return ListRootsResult(roots=[Root(uri="file:///work", name="work")])

        async with client(machine, project, era, elicitation_callback=elicit, sampling_callback=sample, list_roots_callback=roots) as session:
            assert (await session.call_tool("test_sampling", {"prompt": "Capital?"})).content[0].text == "LLM response: Paris"
            assert "action=accept" in (await session.call_tool("test_elicitation", {"message": "Who are you?"})).content[0].text
            assert (await session.call_tool("test_input_required_result_multi_round", {})).content[0].text == "Ana likes red"
            assert "Paris Ana, with 1 roots" == (await session.call_tool("test_input_required_result_multiple_inputs", {})).content[0].text
            prompt = await session.get_prompt("test_input_required_result_prompt")
            assert prompt.messages[0].content.text.startswith("Use this context")
            assert "Step 1: What is your name?" in asked and "Step 2: What is your favorite color?" in asked

    run(program)


def test_the_sdk_hears_changes(machine, project):
    async def program():
        async with client(machine, project, "auto") as session:
            before = {tool.name for tool in (await session.list_tools()).tools}
            async with session.listen(tools_list_changed=True) as changes:
                await session.call_tool("test_trigger_tool_change", {})
                async for _ in changes:
                    break
            after = {tool.name for tool in (await session.list_tools()).tools}
            assert after - before == {"changing"}

    run(program)


def test_fastmcp_calls_tools_with_its_own_types(machine, project):
    async def program():
        import anyio
        from fastmcp import Client
        from fastmcp.client.transports import StdioTransport
        write(project / "functions/python/points.py", '"""Points."""\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass Point:\n    x: float\n    y: float\n\n\n'
              'def mirrored(point: Point) -> Point:\n    """Mirrors a point.\n\n    Effect: read\n    """\n    return Point(-point.x, point.y)\n')
        transport = machine.address or StdioTransport(command=str(machine.binary), args=["mcp"], cwd=str(project), env=dict(machine.env))
        async with Client(transport) as session:
            while "mirrored" not in {tool.name for tool in await session.list_tools()}:
                await anyio.sleep(0.1)
            result = await session.call_tool("mirrored", {"point": {"x": 1.0, "y": 2.0}})
            assert result.data.x == -1.0 and result.data.y == 2.0
            assert (await session.call_tool("test_simple_text", {})).data.startswith("This is a simple text")
            assert "hello" in (await session.get_prompt("test_prompt_with_arguments", {"arg1": "hello", "arg2": "b"})).messages[0].content.text

    run(program)
