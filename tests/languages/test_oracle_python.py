"""Python's golden cases against an oracle that shares no code with the engine: pydantic, from the imported signatures.

The schemas must say the same, and pydantic must accept and refuse the cases' arguments as the case says. A case or a call that
differs by design has `"oracle": false` and says why in `oracle_reason`.
"""
import json
import subprocess
import sys

import pytest
from harness import ROOT, write

CASES = [case for file in sorted(ROOT.glob("languages/python/golden/*.json")) for case in json.loads(file.read_text(encoding="utf-8"))]
COMPARED = [(index, case) for index, case in enumerate(CASES) if case.get("functions") and case.get("oracle", True)]


def group_of(item):
    """All compare what one process has said (conftest.py)."""
    return "oracle-python"


# Say nothing about which values are accepted.
SILENT = {"title", "description", "examples", "discriminator", "default", "$defs", "writeOnly"}


def key(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def constant(value):
    return {"type": "null"} if value is None else {"const": value}


def one_form(schema, definitions=None, open_=()):
    """The schema in a form of which there is only one: references resolved, unions as sorted alternatives, nothing redundant."""
    definitions = {**(definitions or {}), **schema.get("$defs", {})}
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name in open_:
            return {"recursive": len(open_) - open_.index(name)}
        return one_form({**definitions[name], **{k: v for k, v in schema.items() if k != "$ref"}}, definitions, open_ + (name,))
    schema = {name: value for name, value in schema.items() if name not in SILENT}
    if schema.get("format") in ("path", "binary"):  # formats of OpenAPI alone
        del schema["format"]
    choices = None
    if "const" in schema:
        choices = [constant(schema["const"])]
    elif "enum" in schema:
        choices = [constant(value) for value in schema["enum"]]
    elif "anyOf" in schema or "oneOf" in schema:
        choices = [one_form(one, definitions, open_) for one in schema.get("anyOf", schema.get("oneOf"))]
    elif isinstance(schema.get("type"), list):
        choices = [one_form({**schema, "type": one}, definitions, open_) for one in schema["type"]]
    if choices is not None:
        flat = [inner for one in choices for inner in one.get("anyOf", [one])]
        unique = sorted({key(one): one for one in flat}.values(), key=key)
        types = {one.get("type") for one in unique}
        # A Decimal is a number or its text; pydantic says with a pattern what that text looks like.
        if types >= {"number", "string"}:
            for one in unique:
                one.pop("pattern", None)
        # A duration may be a number of seconds, for pydantic as well; its schema does not say so.
        if {"type": "string", "format": "duration"} in unique:
            unique = [one for one in unique if one != {"type": "number"}]
        return unique[0] if len(unique) == 1 else {"anyOf": unique}
    out = {}
    kind = schema.get("type")
    numeric = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    for name, value in schema.items():
        if name in numeric and kind not in ("integer", "number", None):
            continue
        if name in ("minLength", "maxLength", "pattern", "format") and kind not in ("string", None):
            continue
        if name == "properties":
            value = {member: one_form(one, definitions, open_) for member, one in value.items()}
        elif name in ("items", "additionalProperties", "propertyNames") and isinstance(value, dict):
            value = one_form(value, definitions, open_)
        elif name == "prefixItems":
            value = [one_form(one, definitions, open_) for one in value]
        elif name == "required":
            value = sorted(value)
        if value in ({}, [], True) and name not in ("uniqueItems",) and not isinstance(value, int) or name == "additionalProperties" and value is True:
            continue
        out[name] = value
    if out.get("uniqueItems") is False:
        del out["uniqueItems"]
    return out


def defaults(schema):
    return {name: one["default"] for name, one in schema.get("properties", {}).items() if "default" in one}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    root = tmp_path_factory.mktemp("oracle")
    for index, case in COMPARED:
        folder = root / "functions" / "python" / ("case_%03d" % index)
        write(folder / case["file"], "\n".join(case["source"]) + "\n")
        for name, lines in case.get("beside", {}).items():
            write(folder / name, "\n".join(lines) + "\n")
    done = subprocess.run([sys.executable, str(ROOT / "tests/languages/oracle_python.py"), str(root)], input=json.dumps(COMPARED), text=True,
                          stdout=subprocess.PIPE, timeout=120, check=True,
                          env={"PYTHONPATH": str(ROOT / "languages/python/sdk"), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"})
    return json.loads(done.stdout)


def test_nearly_all_cases_are_compared():
    assert len(COMPARED) >= 45
    for case in CASES:
        assert case.get("oracle", True) or case["oracle_reason"], case["name"]


def test_the_one_form_keeps_what_matters():
    assert one_form({"type": ["integer", "null"], "minimum": 1}) == one_form({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 1}]})
    assert one_form({"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}) == {"type": "string"}
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}
    assert one_form({"$ref": "#/$defs/T", "$defs": {"T": tree}})["properties"]["next"] == {"recursive": 1}
    for one, other in (({"type": "integer"}, {"type": "number"}), ({"type": "integer", "minimum": 1}, {"type": "integer"}),
                       ({"enum": ["a"]}, {"enum": ["a", None]}), ({"type": "object", "additionalProperties": False}, {"type": "object"}),
                       ({"type": "array", "items": {"type": "string"}}, {"type": "array"}), ({"type": "object", "required": ["a"]}, {"type": "object"})):
        assert one_form(one) != one_form(other)


@pytest.mark.parametrize("index, case", COMPARED, ids=[case["name"].replace(" ", "_") for _, case in COMPARED])
def test_pydantic_agrees(said, index, case):
    told = said[str(index)]
    assert "failed" not in told, told
    for name, members in case["functions"].items():
        if "input_schema" not in members or name not in told["schemas"]:
            continue
        mine, theirs = members["input_schema"], told["schemas"][name]
        assert one_form(mine) == one_form(theirs), name
        others = defaults(theirs)
        for parameter, value in defaults(mine).items():
            assert others.get(parameter) == value, (name, parameter)
    for call, accepted in zip(case.get("calls", []), told["calls"]):
        if accepted is None or not call.get("oracle", True) or call.get("refused", "invalid_arguments") != "invalid_arguments":
            continue
        assert accepted == ("value" in call), "%s(%s)" % (call["function"], call["arguments"])
