"""How values map: what a function sees of each JSON value, and what JSON comes of what it gives back.

A language takes part by a source of the same functions in tests/languages/values/.
"""
import shutil
import threading
import time

import pytest
from harness import ROOT
from languages.engine_client import Engine

SOURCES = {path.stem: path for path in sorted((ROOT / "tests/languages/values").glob("*.*"))}
LARGE = 123456789012345678901234567890

# function, arguments, {"value": …} or {"refused": type}; for a language in particular where they differ.
SAME = [
    ("echo", {"value": None}, {"value": None}),
    ("echo", {"value": [True, False]}, {"value": [True, False]}),
    ("echo", {"value": [0, -1, 9007199254740991, 9007199254740993]}, {"value": [0, -1, 9007199254740991, 9007199254740993]}),
    ("echo", {"value": [9223372036854775807, -9223372036854775808]}, {"value": [9223372036854775807, -9223372036854775808]}),
    ("echo", {"value": [18446744073709551615, LARGE, -LARGE]}, {"value": [18446744073709551615, LARGE, -LARGE]}),
    ("echo", {"value": [0.1, -2.5, 1e300, 5e-324]}, {"value": [0.1, -2.5, 1e300, 5e-324]}),
    ("echo", {"value": {"": {"é\n\u0000": []}, "b": {}}}, {"value": {"": {"é\n\u0000": []}, "b": {}}}),
    ("echo", {"value": "é ✓ 😀 \u0000\u007f\u2028"}, {"value": "é ✓ 😀 \u0000\u007f\u2028"}),
    ("echo", {"value": "a\ud800"}, {"refused": "invalid_arguments"}),
    ("echo", {"value": "é" * 40000}, {"value": "é" * 40000}),
    ("echo", {"value": {"a": ["x" * 70000, {"b": "y" * 65535}]}}, {"value": {"a": ["x" * 70000, {"b": "y" * 65535}]}}),
    ("echo", {"value": b"\x00\xff" * 40000}, {"value": b"\x00\xff" * 40000}),
    ("absent", {"given": "here"}, {"value": "here"}),
    ("absent", {"given": None}, {"value": "null"}),
    ("absent", {"given": 5}, {"refused": "invalid_arguments"}),
    ("size", {"data": b"\x00\xff"}, {"value": 2}),
    ("size", {"data": b""}, {"value": 0}),
    ("size", {"data": b"\x00\xff" * 100000}, {"value": 200000}),
    ("size", {"data": "no base64!"}, {"refused": "invalid_arguments"}),
    ("bytes", {"count": 3}, {"value": "BwcH"}),
    ("bytes", {"count": 65536}, {"value": b"\x07" * 65536}),
    ("text", {"count": 32767}, {"value": "é" * 32767}),
    ("text", {"count": 32768}, {"value": "é" * 32768}),
    ("later", {"at": "tomorrow"}, {"refused": "invalid_arguments"}),
    ("next", {"n": 9007199254740992}, {"value": 9007199254740993}),
    ("next", {"n": LARGE}, {"value": LARGE + 1}),
    ("next", {"n": 0.5}, {"refused": "invalid_arguments"}),
    ("odd", {"name": "nan"}, {"refused": "invalid_result"}),
    ("odd", {"name": "infinity"}, {"refused": "invalid_result"}),
    ("odd", {"name": "inside"}, {"refused": "invalid_result"}),
    ("odd", {"name": "absent"}, {"value": None}),
    ("odd", {"name": "member"}, {"value": {"a": 1, "c": [None]}}),
]
OWN = {
    "node": [
        ("kind", {"value": 1}, {"value": "number"}),
        ("kind", {"value": 9007199254740993}, {"value": "bigint"}),
        ("kind", {"value": 0.5}, {"value": "number"}),
        ("kind", {"value": b"\x00" * 70000}, {"value": "Buffer"}),
        ("absent", {}, {"value": "absent"}),
        ("later", {"at": "2024-05-01T12:00:00+02:00"}, {"value": "2024-05-01T10:00:00.001Z"}),
        ("odd", {"name": "surrogate"}, {"refused": "invalid_result"}),
    ],
    "go": [
        ("kind", {"value": 1}, {"value": "int64"}),
        ("kind", {"value": 0.5}, {"value": "float64"}),
        ("kind", {"value": LARGE}, {"value": "json.Number"}),
        ("kind", {"value": b"\x00" * 70000}, {"value": "[]uint8"}),
        ("absent", {}, {"value": "null"}),
        ("later", {"at": "2024-05-01T12:00:00+02:00"}, {"value": "2024-05-01T12:00:00.001+02:00"}),
        ("odd", {"name": "surrogate"}, {"value": "a\ufffd"}),
    ],
}


@pytest.mark.parametrize("language", SOURCES)
def test_values_go_there_and_back(machine, language):
    if language == "node":
        machine.use_node()
    project = machine.folder / "values"
    assert machine.sabir("new", project, "--languages", "python").code == 0
    source = SOURCES[language]
    (project / "functions" / language).mkdir(exist_ok=True)
    shutil.copy(source, project / "functions" / language / ("values" + source.suffix))
    # A language's own programs are compiled on their first use, and on a busy machine that takes several attempts.
    end = time.monotonic() + 400
    while "took more than" in machine.sabir("functions", "--json", cwd=project, timeout=300).out and time.monotonic() < end:
        pass
    engine = machine.start_engine(project)
    for stream in (engine.stdout, engine.stderr):
        threading.Thread(target=stream.read, daemon=True).start()
    client = Engine(project, {})
    problems = []
    for function, arguments, expected in SAME + OWN.get(language, []):
        answer = client.request("functions.call", {"address": "%s/values.%s" % (language, function), "arguments": arguments})[0]
        told = {"value": answer["result"]["value"]} if "result" in answer else {"refused": answer["error"]["data"]["type"]}
        if told != expected or repr(told) != repr(expected) and function != "odd":
            problems.append("%s(%.200r) should give %.200r: %.300r" % (function, arguments, expected, told if "value" in told else answer))
    client.close()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
