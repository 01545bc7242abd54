"""What `sabir serve` answers at /v1, whole and streamed, against OpenAI's published OpenAPI document (SABIR_OPENAI_DOCUMENT)."""
import json
import sys

import pytest
from harness import ROOT
from openai_clients.shop import FILES, config
from serving import Served, events_of, machine_of, write_project

sys.path.insert(0, str(ROOT / "tests" / "models"))
sys.path.insert(0, str(ROOT / "tests" / "cli"))
from test_models import serving  # noqa: E402
from test_openai_document import complaints, document, none, pytestmark, validator_of  # noqa: E402, F401

DOOR = {"name": "open_door", "parameters": {"type": "object"}}


def group_of(item):
    return "openai_document_served"


@pytest.fixture(scope="module")
def served(binary, cache):
    with machine_of(binary, cache) as machine, serving() as port:
        project = write_project(machine.folder / "shop", files={**FILES, "config/openai_config.yml": config(port)}, languages="python")
        server = Served(machine, project, env={"OPENAI_API_KEY": "sk-test-0123456789"})
        yield server
        server.stop()


def chats():
    for model, text, more in (("clerk", "How many pears?", {}), ("scripted", "hello", {"temperature": 0.5, "user": "u"}), ("scripted", "at length", {}), ("scripted", "declined", {}),
                              ("clerk", "open the door", {"tools": [{"type": "function", "function": DOOR}]}), ("scripted", "as JSON", {"response_format": {"type": "json_object"}}),
                              ("server", "hi", {})):
        yield {"model": model, "messages": [{"role": "user", "content": text}], **more}


def responses():
    for model, text, more in (("clerk", "How many pears?", {}), ("scripted", "hello", {"temperature": 0.5, "instructions": "Be kind.", "metadata": {"a": "b"}}), ("scripted", "at length", {}),
                              ("clerk", "open the door", {"tools": [{"type": "function", **DOOR, "strict": False}], "tool_choice": "auto"}),
                              ("scripted", "as JSON", {"text": {"format": {"type": "json_object"}}}), ("server", "hi", {"conversation": "c9"})):
        yield {"model": model, "input": text, **more}


def without_ours(value):
    """`sabir`, which tells of the run, is the one member that is not OpenAI's. A `usage` of null, which is not known yet, is what the document
    describes in words and OpenAI's server sends, and its schema does not have."""
    for one in (value, value.get("response")):
        if isinstance(one, dict):
            one.pop("sabir", None)
            if one.get("usage", 0) is None:
                one.pop("usage")
    return value


def test_whole_answers(served, validator_of):  # noqa: F811
    found = []
    for path, name, bodies in (("chat/completions", "CreateChatCompletionResponse", chats()), ("responses", "Response", responses())):
        for body in bodies:
            answer = served.ask("POST", "/v1/" + path, body)
            assert answer.status == 200, answer
            found += complaints(validator_of(name), without_ours(answer.json), name)
    kept = served.ask("POST", "/v1/responses", {"model": "scripted", "input": "x"}).json["id"]
    found += complaints(validator_of("Response"), served.ask("GET", "/v1/responses/" + kept).json, "kept")
    for form in ("float", "base64"):
        answer = served.ask("POST", "/v1/embeddings", {"model": "scripted", "input": ["a", "b"], "encoding_format": form})
        if form == "float":  # the document knows but floats
            found += complaints(validator_of("CreateEmbeddingResponse"), answer.json, "embeddings")
    found += complaints(validator_of("ListModelsResponse"), served.ask("GET", "/v1/models").json, "models")
    for body in ({"model": "nobody", "messages": [{"role": "user", "content": "x"}]}, {"model": "clerk"}, {"model": "down", "messages": [{"role": "user", "content": "x"}]}):
        answer = served.ask("POST", "/v1/chat/completions", body)
        assert answer.status >= 400
        found += complaints(validator_of("ErrorResponse"), answer.json, "error")
    none(found)


def test_streams(served, validator_of, document):  # noqa: F811
    names = {}
    for alternative in document["components"]["schemas"]["ResponseStreamEvent"]["anyOf"]:
        name = alternative["$ref"].rsplit("/", 1)[1]
        type_of = document["components"]["schemas"][name]["properties"]["type"]
        for value in type_of.get("enum", [type_of.get("const")]):
            names[value] = name
    found, seen = [], 0
    for body in chats():
        for usage in (False, True):
            more = {"stream_options": {"include_usage": True}} if usage else {}
            answer = served.ask("POST", "/v1/chat/completions", {**body, "stream": True, **more})
            assert answer.headers["Content-Type"].startswith("text/event-stream"), answer
            events = events_of(answer.body)
            assert events[-1] == ("message", "[DONE]"), events[-1]
            for _, data in events[:-1]:
                seen += 1
                found += complaints(validator_of("CreateChatCompletionStreamResponse"), without_ours(json.loads(data)), "chunk")
    for body in responses():
        events = events_of(served.ask("POST", "/v1/responses", {**body, "stream": True}).body)
        for kind, data in events:
            seen += 1
            value = without_ours(json.loads(data))
            assert kind == value["type"] and kind in names, kind
            found += complaints(validator_of(names[kind]), value, kind)
    assert seen > 100
    none(found)
