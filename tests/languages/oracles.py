"""JSON Schemas of two programs in one form, so that what they accept can be compared.

References are put in place, draft 7's tuples and constants are written as draft 2020-12 has them, choices have no order, and what
says nothing is left out. Descriptions and defaults are not compared: the golden cases themselves have them.
"""
import json
from urllib.parse import unquote

import pytest

# Words that say nothing of which values are accepted.
SILENT = {"$schema", "$id", "$defs", "definitions", "$comment", "title", "description", "default", "examples", "deprecated"}


def normal(schema, root=None, open_refs=(), drop=frozenset(), nullable=False):
    """The schema in one form; a reference into itself is {"recursive": True}.

    drop: words that the oracle does not know. nullable: whether it leaves out that something may be null.
    """
    root = schema if root is None else root
    if schema is True or schema == {}:
        return {}
    if schema is False:
        return {"not": {}}
    if "$ref" in schema:
        name = schema["$ref"]
        if name in open_refs:
            return {"recursive": True}
        target = root
        for part in name.removeprefix("#").split("/")[1:]:
            target = target[_unescaped(part)]
        return normal(target, root, (*open_refs, name), drop, nullable)
    inner = lambda one: normal(one, root, open_refs, drop, nullable)  # noqa: E731
    out = {key: value for key, value in schema.items() if key not in SILENT and key not in drop}
    if "const" in out:
        out["enum"] = [out.pop("const")]
    if nullable and isinstance(out.get("type"), list) and "null" in out["type"]:
        kinds = [one for one in out["type"] if one != "null"]
        out["type"] = kinds[0] if len(kinds) == 1 else kinds
    if isinstance(out.get("type"), list) and "enum" not in out:
        rest = {key: value for key, value in out.items() if key != "type"}
        return _choices([inner({"type": one, **{k: v for k, v in rest.items() if _belongs(k, one)}}) for one in out["type"]])
    for key in ("anyOf", "oneOf"):
        if key in out:
            return _choices([inner(one) for one in out[key] if not (nullable and one == {"type": "null"})])
    if "enum" in out:
        return _choices([{"type": "null"} if value is None else {"enum": [value]} for value in out["enum"]])
    if isinstance(out.get("items"), list):
        out["prefixItems"] = out.pop("items")
        if "additionalItems" in out:
            out["items"] = out.pop("additionalItems")
    if "prefixItems" in out:
        out["prefixItems"] = [inner(one) for one in out["prefixItems"]]
        if out.get("maxItems") == len(out["prefixItems"]):
            out.pop("items", None)
            if out.get("minItems") == out["maxItems"] and all(one == out["prefixItems"][0] for one in out["prefixItems"]):
                out["items"] = out.pop("prefixItems")[0]
    for key in ("items", "additionalProperties"):
        if key in out and not (key == "additionalProperties" and out[key] is False):
            out[key] = inner(out[key])
            if out[key] == {}:
                del out[key]
    if "properties" in out:
        out["properties"] = {name: inner(one) for name, one in out["properties"].items()}
        if not out["properties"]:
            del out["properties"]
    if "required" in out:
        out["required"] = sorted(out["required"])
        if not out["required"]:
            del out["required"]
    if out.get("minItems") == 0:
        del out["minItems"]
    return out


def _unescaped(part):
    return unquote(part).replace("~1", "/").replace("~0", "~")


def _belongs(key, kind):
    words = {"array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"), "string": ("pattern", "format", "minLength", "maxLength", "contentEncoding"),
             "object": ("properties", "required", "additionalProperties")}
    owner = next((name for name, keys in words.items() if key in keys), None)
    return owner is None or owner == kind


def _choices(all_):
    """Any of them, without order and doubles; both booleans are the type."""
    flat = [one for choice in all_ for one in (choice["anyOf"] if list(choice) == ["anyOf"] else [choice])]
    if {} in flat:
        return {}
    if {"enum": [True]} in flat and {"enum": [False]} in flat:
        flat = [one for one in flat if one not in ({"enum": [True]}, {"enum": [False]})] + [{"type": "boolean"}]
    unique = {json.dumps(one, sort_keys=True): one for one in flat}
    if len(unique) == 1:
        return flat[0]
    return {"anyOf": [unique[key] for key in sorted(unique)]}


def differences(case, told, loose=None):
    """What an oracle says otherwise: told is its {function: {"input", "output"}}, with names as the source writes them."""
    by_name = {_bare(name): one for name, one in told.items()}
    problems = []
    for name, ours in case["functions"].items():
        theirs = by_name.get(_bare(name))
        if theirs is None:
            problems.append("the oracle knows no function %s" % name)
            continue
        for ours_key, key in (("input_schema", "input"), ("output_schema", "output")):
            schema = theirs.get(key)
            if schema is None or ours_key not in ours:
                continue
            if isinstance(schema, dict) and "error" in schema and "type" not in schema:
                problems.append("%s of %s: the oracle fails: %s" % (ours_key, name, schema["error"]))
                continue
            a, b = normal(ours[ours_key], **(loose or {})), normal(schema, **(loose or {}))
            if a != b:
                problems.append("%s of %s\nours   %s\noracle %s" % (ours_key, name, json.dumps(a, sort_keys=True), json.dumps(b, sort_keys=True)))
    return problems


def asked_and_judged(case, problems):
    """Fails where the oracle says something else, and where it does not although the case says so."""
    if case.get("oracle", True):
        if problems:
            pytest.fail("\n".join(problems + ["source:"] + case["source"]), pytrace=False)
        return
    assert case.get("oracle_reason"), "a case with \"oracle\": false says why in oracle_reason"
    assert problems, "the oracle says the same: take \"oracle\": false away"


def _bare(name):
    return name.replace("_", "").lower()
