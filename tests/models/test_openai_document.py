"""What the engine sends to OpenAI's API, and what the stand-in for it answers, against the API's published OpenAPI document.

SABIR_OPENAI_DOCUMENT is the path of that document (openapi.yaml of github.com/openai/openai-openapi); it is 3 MB and not part
of this project. The engine's own tests of its models run against the stand-in and leave a record of every exchange.
"""
import json
import os
import subprocess
from pathlib import Path

import pytest
from harness import find_binary

DOCUMENT = os.environ.get("SABIR_OPENAI_DOCUMENT", "")
pytestmark = pytest.mark.skipif(not Path(DOCUMENT).is_file(),
                                reason="SABIR_OPENAI_DOCUMENT names no copy of OpenAI's OpenAPI document (openai-openapi/openapi.yaml)")

REQUESTS = {"chat/completions": "CreateChatCompletionRequest", "responses": "CreateResponse", "embeddings": "CreateEmbeddingRequest"}
ANSWERS = {"chat/completions": "CreateChatCompletionResponse", "responses": "Response", "embeddings": "CreateEmbeddingResponse"}
# What compatible servers send, not OpenAI's own: the stand-in plays them on purpose.
NOT_OPENAIS = {"whole_calls", "overflow_llama", "overflow_vllm", "embed_short", "embed_ragged"}


def group_of(item):
    return "openai_document"  # one process runs the engine's tests, once


def kind_of(path):
    return path.split("/v1/", 1)[1]


@pytest.fixture(scope="module")
def document():
    import yaml

    return as_2020_12(yaml.load(Path(DOCUMENT).read_text(), Loader=yaml.CSafeLoader))


def as_2020_12(value):
    """The document's schemas as JSON Schema 2020-12: `nullable` is OpenAPI 3.0's, and alternatives of oneOf overlap in places (a
    message's forms, for one), which discriminators would tell apart."""
    if isinstance(value, list):
        return [as_2020_12(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {("anyOf" if key == "oneOf" else key): as_2020_12(inner) for key, inner in value.items() if key not in ("discriminator", "nullable")}
    if value.get("nullable") is True and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
        if "enum" in out:
            out["enum"] = out["enum"] + [None]
    return out


@pytest.fixture(scope="module")
def validator_of(document):
    import jsonschema
    import referencing

    registry = referencing.Registry().with_resource("urn:openai", referencing.Resource(document, referencing.jsonschema.DRAFT202012))
    made = {}

    def of(name, closed=True):
        """Of one schema; closed: a member that the schema does not know is wrong."""
        if (name, closed) not in made:
            schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "urn:openai#/components/schemas/" + name}
            if closed:
                schema["unevaluatedProperties"] = False
            made[name, closed] = jsonschema.Draft202012Validator(schema, registry=registry)
        return made[name, closed]

    return of


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory):
    """The record of the engine's tests that talk to the stand-in."""
    program = find_binary().parent / "engine/models/models_test"
    assert program.is_file(), "%s is not built: ninja models_test" % program
    folder = tmp_path_factory.mktemp("record")
    names = "*OpenAiModelTest*:*ChatModelTest*:*EmbeddingsTest*:*CheckedModelTest*:*OpenAiCheckedTest*:PolicyModelTest*"
    done = subprocess.run([str(program), "--gtest_filter=" + names], env=dict(os.environ, SABIR_STAND_IN_RECORD=str(folder)),
                          capture_output=True, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def complaints(validator, value, where):
    import jsonschema.exceptions

    for error in validator.iter_errors(value):
        best = jsonschema.exceptions.best_match([error])
        yield "%s: /%s: %s" % (where, "/".join(map(str, best.absolute_path)), best.message[:300])


def none(found):
    found = sorted(set(found))
    assert not found, "%d complaints:\n%s" % (len(found), "\n".join(found[:20]))


def test_the_record_has_every_kind_of_request(exchanges):
    bodies = [(kind_of(e["path"]), e["request"]) for e in exchanges]
    for kind in REQUESTS:
        assert sum(k == kind for k, _ in bodies) >= 2, kind
    for kind in ("chat/completions", "responses"):
        text = json.dumps([body for k, body in bodies if k == kind])
        for part in ('"tools"', '"stream": true', "json_schema", "data:image/png;base64", "reasoning_effort" if kind == "chat/completions" else '"effort"'):
            assert part in text, (kind, part)
    assert "function_call_output" in json.dumps(bodies) and '"encrypted_content"' in json.dumps(bodies)


def test_every_request_fits_the_document(exchanges, validator_of):
    found = []
    for exchange in exchanges:
        kind = kind_of(exchange["path"])
        found += complaints(validator_of(REQUESTS[kind]), exchange["request"], kind)
    none(found)


def test_every_whole_answer_fits_the_document(exchanges, validator_of):
    found, seen = [], 0
    for exchange in exchanges:
        if "answer" not in exchange or exchange["scenario"] in NOT_OPENAIS:
            continue
        seen += 1
        kind = kind_of(exchange["path"])
        name = ANSWERS[kind] if exchange["status"] == 200 else "ErrorResponse"
        found += complaints(validator_of(name), exchange["answer"], "%s %s" % (exchange["scenario"], name))
    assert seen > 20
    none(found)


def test_every_chunk_of_a_stream_fits_the_document(exchanges, document, validator_of):
    names = {}
    for alternative in document["components"]["schemas"]["ResponseStreamEvent"]["anyOf"]:
        name = alternative["$ref"].rsplit("/", 1)[1]
        type_of = document["components"]["schemas"][name]["properties"]["type"]
        for value in type_of.get("enum", [type_of.get("const")]):
            names[value] = name
    found, seen = [], 0
    for exchange in exchanges:
        if "events" not in exchange or exchange["scenario"] in NOT_OPENAIS:
            continue
        chat = kind_of(exchange["path"]) == "chat/completions"
        for event in exchange["events"]:
            if event == "[DONE]":
                continue
            seen += 1
            name = "CreateChatCompletionStreamResponse" if chat else names.get(event["type"])
            if name is None:
                found.append("%s: the document knows no event %s" % (exchange["scenario"], event["type"]))
            else:
                found += complaints(validator_of(name), event, "%s %s" % (exchange["scenario"], name))
    assert seen > 200
    none(found)


@pytest.mark.parametrize("kind, change", [
    ("chat/completions", {"temprature": 1}), ("chat/completions", {"messages": "hello"}), ("chat/completions", {"stream_options": {"include_usage": "yes"}}),
    ("responses", {"input": [{"type": "function_call", "name": "x"}]}), ("responses", {"max_tokens": 5}), ("responses", {"store": "no"}),
    ("embeddings", {"encoding_format": "hex"}), ("embeddings", {"input": None}),
])
def test_a_wrong_request_would_be_found(exchanges, validator_of, kind, change):
    request = next(e["request"] for e in exchanges if kind_of(e["path"]) == kind)
    assert not list(complaints(validator_of(REQUESTS[kind]), request, kind))
    assert list(complaints(validator_of(REQUESTS[kind]), dict(request, **change), kind))


def test_the_stand_in_takes_the_fields_that_the_document_has(document, validator_of):
    """It refuses what OpenAI does not know: a field that it forgot would hide a mistake, one too many as well."""
    import sys
    from harness import ROOT

    sys.path.insert(0, str(ROOT / "tests" / "stand_ins"))
    import openai_server

    for name, taken in (("CreateChatCompletionRequest", openai_server.CHAT_FIELDS), ("CreateResponse", openai_server.RESPONSES_FIELDS)):
        known = properties(document, {"$ref": "#/components/schemas/" + name})
        assert taken - known == set(), name


def properties(document, schema):
    if "$ref" in schema:
        return properties(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    known = set(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        known |= properties(document, part)
    return known
