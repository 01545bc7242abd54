"""examples/own_language: a project that brings Lua, with nothing of it in the engine."""
import json
import re
import shutil
import time

import pytest
from harness import ROOT, write


@pytest.fixture
def carts(machine):
    path = machine.folder / "carts"
    shutil.copytree(ROOT / "examples/own_language", path, ignore=shutil.ignore_patterns(".sabir"))
    return path


CUPS = 'items:=[{"name": "cup", "price": 3.5, "count": 2}]'


def line_of(path, text):
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_nothing_of_lua_is_in_the_engine():
    for folder in ("engine", "bridge/src", "languages", "templates"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in (".cc", ".h", ".rs", ".yml", ".j2", ".py", ".rb", ".sh") and not path.name.endswith("_test.cc"):
                assert not re.search(r"\blua", path.read_text(errors="replace"), re.I), path


def test_its_functions_are_listed_by_their_annotations(machine, carts):
    done = machine.sabir("functions", "carts.total", "--json", cwd=carts)
    assert done.code == 0, done
    items = done.json["input_schema"]["properties"]["items"]
    assert done.json["language"] == "lua" and done.json["effect"] == "read" and done.json["output_schema"] == {"type": "number"}, done
    assert items["items"]["required"] == ["name", "price"] and items["items"]["properties"]["count"]["type"] == "integer", done
    listed = machine.sabir("functions", "--json", cwd=carts).json
    assert {one["address"] for one in listed["functions"]} == {
        "carts.total", "carts.receipt", "carts.countdown", "carts.keep", "carts.kept", "carts.take", "receipts.lines"}, listed


def test_calls_go_to_lua_and_back(machine, carts):
    assert machine.sabir("call", "carts.total", CUPS, cwd=carts).out.strip() == "7.0"
    refused = machine.sabir("call", "carts.total", 'items:=[{"name": "cup"}]', "--json", cwd=carts)
    assert refused.code == 1 and refused.json["error"]["type"] == "invalid_arguments", refused
    # Lua, Python, Lua.
    nested = machine.sabir("call", "carts.receipt", CUPS, cwd=carts)
    assert nested.code == 0 and nested.out.strip().splitlines() == ["cup 3.50", "total 7.00"], nested
    assert machine.sabir("call", "carts.keep", "name=ada", CUPS, cwd=carts).code == 0
    kept = machine.sabir("call", "carts.kept", "name=ada", "--json", cwd=carts)
    assert kept.json == [{"name": "cup", "price": 3.5, "count": 2}], kept
    assert machine.sabir("call", "carts.kept", "name=eve", "--json", cwd=carts).json is None


def test_coroutines_are_streams(machine, carts):
    done = machine.sabir("call", "carts.countdown", "from=3", "--stream", "--json", cwd=carts)
    assert done.code == 0 and [json.loads(line) for line in done.out.split()] == [3, 2, 1], done
    assert machine.sabir("call", "carts.countdown", "from=0", "--json", cwd=carts).json == []


def test_errors_are_told_with_their_place_and_a_crash_ends_one_call(machine, carts):
    path = carts / "functions/lua/carts.lua"
    failed = machine.sabir("call", "carts.take", "name=cup", "--json", cwd=carts).json["error"]
    assert failed["message"] == "no cups are left" and failed["error_class"] == "OutOfStock" and failed["line"] == line_of(path, "OutOfStock"), failed
    write(carts / "functions/lua/wild.lua", "--- Effect: read\nfunction wild()\n  local x = nil\n  return x.y\nend\n\nfunction dies() os.exit(9) end\n")
    wild = machine.sabir("call", "wild", cwd=carts)
    assert wild.code == 1 and "functions/lua/wild.lua:4" in wild.err and "nil value" in wild.err, wild
    machine.start_engine(carts)
    dead = machine.sabir("call", "wild.dies", "--json", cwd=carts)
    assert dead.code == 1 and dead.json["error"]["type"] == "outcome_unknown", dead
    assert machine.sabir("call", "carts.total", CUPS, cwd=carts).out.strip() == "7.0"


def test_a_saved_file_is_served_and_a_broken_one_is_told(machine, carts):
    machine.start_engine(carts)
    path = carts / "functions/lua/again.lua"
    for wanted in ("first", "second"):
        write(path, '--- Effect: read\nfunction again() return "%s" end\n' % wanted)
        for _ in range(100):
            done = machine.sabir("call", "again", cwd=carts)
            if done.out.strip() == wanted:
                break
            time.sleep(0.05)
        assert done.out.strip() == wanted, done
    write(carts / "functions/lua/broken.lua", "function broken()\n  return (1 +\nend\n")
    checked = machine.sabir("check", cwd=carts)
    assert checked.code == 1 and "functions/lua/broken.lua:3" in checked.text, checked


def test_its_own_tests_and_what_is_added_run(machine, carts):
    added = machine.sabir("add", "function", "say_it", "--language", "lua", cwd=carts)
    assert added.code == 0, added
    added = machine.sabir("add", "memory", "wishes", "--language", "lua", cwd=carts)
    assert added.code == 0, added
    done = machine.sabir("test", cwd=carts, timeout=300)
    assert done.code == 0 and "9 passed" in done.text, done
    write(carts / "functions/lua/tests/bad_test.lua", "function test_bad()\n  assert(1 == 2, 'numbers')\nend\n")
    bad = machine.sabir("test", "functions/lua", cwd=carts)
    assert bad.code == 1 and "functions/lua/tests/bad_test.lua:2" in bad.text and "numbers" in bad.text, bad


def test_the_worker_keeps_every_rule_of_the_protocol(machine, carts):
    folder = carts / "languages/lua"
    worker = "sh %s lua5.4 %s" % (folder / "start.sh", folder / "worker.lua")
    done = machine.sabir("conformance", "--worker", worker, "--testee", folder / "testee.lua", "--json", cwd=carts)
    assert done.code == 0, done
    by_name = machine.sabir("conformance", "--language", "lua", "--json", cwd=carts)
    assert by_name.code == 0, by_name
    for report in (done.json, by_name.json):
        checks = report["checks"] if "checks" in report else report["languages"][0]["checks"]
        # Lua has no type of its own for moments.
        assert len(checks) >= 94 and all(check["outcome"] == "pass" for check in checks if check["id"] != "VALUE-19"), report
