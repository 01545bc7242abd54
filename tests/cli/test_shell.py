"""Bash files as functions, through the whole binary."""
import json
import os
import re
import time

import pytest
from harness import ROOT, children, descendants, write

ORDERS = r'''#!/usr/bin/env bash
# Orders.
set -uo pipefail

# Finds an order.
#
# @arg order_id string its number
# @opt limit integer(1..9)=3 how many
# @return {id: string, by: string, limit: integer}
# @effect read
lookup_order() { sabir_json "id=$order_id" "by=$(sabir_context user)" "limit:=$limit"; }

# A slug, by Ruby.
# @arg title string
address() { printf '/%s\n' "$(sabir_call slugify text="$1")"; }

# @arg value any
# @return integer
keep() { sabir_memory put --json from_shell "$value"; }

# @arg to integer
# @stream integer
# @effect read
count_to() {
  local i
  for ((i = 1; i <= to; i++)); do
    sabir_progress "$i" "$to"
    echo "$i"
  done
}

# @noargs
fails() {
  echo "looking" >&2
  ls /no/such/folder # here it fails
}

# @noargs
raises() {
  sabir_fail --class OutOfStock "no stock" # here it raises
}

_inner() {
  false # innermost
}

# @noargs
fails_inside() {
  _inner
}

# @arg name string
needs() { echo "${other:?is needed}"; }

# @noargs
# @timeout 300ms
# @effect read
spins() { while :; do :; done; }

# @arg marker string
# @timeout 2s
# @effect read
tidies_up() {
  trap 'echo tidied >"$marker"; exit 1' TERM
  while :; do sleep 0.02; done
}

# @arg marker string
# @effect read
leaves_something() {
  sleep 300 &
  echo "$!" >"$marker"
  echo done
}

# @arg text string
# @return integer
bytes_of() { LC_ALL=C; echo "${#text}"; }

# @noargs
dies() { kill -KILL "$BASHPID"; }

# @arg depth integer
# @return integer
deeper() { if ((depth > 1)); then sabir call orders.deeper depth="$((depth - 1))"; else echo 7; fi; }
'''


@pytest.fixture
def shop(machine, project):
    write(project / "functions/shell/orders.sh", ORDERS)
    return project


def line_of(text):
    return next(number for number, line in enumerate(ORDERS.splitlines(), 1) if text in line)


def test_functions_are_listed_with_their_types(machine, shop):
    done = machine.sabir("functions", "orders.lookup_order", "--json", cwd=shop)
    assert done.code == 0, done
    assert done.json["effect"] == "read" and done.json["summary"] == "Finds an order." and done.json["language"] == "shell", done
    assert done.json["input_schema"] == {
        "type": "object", "properties": {"order_id": {"type": "string", "description": "its number"},
                                         "limit": {"type": "integer", "minimum": 1, "maximum": 9, "description": "how many", "default": 3}},
        "required": ["order_id"], "additionalProperties": False}, done
    found = machine.sabir("call", "orders.lookup_order", "order_id=A 1", "--user", "ada", "--json", cwd=shop)
    assert found.code == 0 and found.json == {"id": "A 1", "by": "ada", "limit": 3}, found
    refused = machine.sabir("call", "orders.lookup_order", "order_id=A1", "limit=10", "--json", cwd=shop)
    assert refused.code == 1 and refused.json["error"]["type"] == "invalid_arguments", refused


def test_calls_cross_into_other_languages_and_back(machine, shop):
    write(shop / "functions/python/shop.py", 'import sabir\n\n\ndef shop(title: str) -> str:\n    """Python, bash, Ruby."""\n'
          '    return sabir.call("orders.address", title=title)\n')
    done = machine.sabir("call", "shop", "title=Été à Paris", cwd=shop)
    assert done.code == 0 and done.out.strip() == "/ete-a-paris", done
    assert machine.sabir("call", "orders.keep", 'value:={"a": [1, 2], "b": {}}', cwd=shop).code == 0
    assert json.loads(machine.sabir("memory", "get", "from_shell", cwd=shop).out) == {"a": [1, 2], "b": {}}


def test_the_command_line_inside_a_function_belongs_to_its_call(machine, shop):
    done = machine.sabir("call", "orders.deeper", "depth=4", cwd=shop)
    assert done.code == 0 and done.out.strip() == "7", done
    deep = machine.sabir("call", "orders.deeper", "depth=30", "--json", cwd=shop)
    assert deep.code == 1 and "depth" in deep.text, deep


def test_a_stream_comes_line_by_line(machine, shop):
    done = machine.sabir("call", "--stream", "orders.count_to", "to=3", "--json", cwd=shop)
    assert done.code == 0 and [json.loads(line) for line in done.out.split()] == [1, 2, 3], done


def test_failures_are_told_with_their_place(machine, shop):
    failed = machine.sabir("call", "orders.fails", cwd=shop)
    assert failed.code == 1 and "No such file" in failed.err and "functions/shell/orders.sh:%d" % line_of("here it fails") in failed.err, failed
    inside = machine.sabir("call", "orders.fails_inside", "--json", cwd=shop)
    assert inside.json["error"]["line"] == line_of("innermost"), inside
    raised = machine.sabir("call", "orders.raises", "--json", cwd=shop)
    error = raised.json["error"]
    assert error["message"] == "no stock" and error["line"] == line_of("here it raises") and error["error_class"] == "OutOfStock", raised
    unset = machine.sabir("call", "orders.needs", "name=x", "--json", cwd=shop)
    assert "other: is needed" in unset.json["error"]["message"] and unset.json["error"]["line"] == line_of("is needed"), unset
    dead = machine.sabir("call", "orders.dies", "--json", cwd=shop)
    assert dead.json["error"]["type"] == "function_error" and "SIGKILL" in dead.json["error"]["message"], dead


def test_nothing_that_is_sent_is_code(machine, shop):
    evil = "$(touch pwned) `touch pwned` '; touch pwned; '\"\n${x:=$(touch pwned)} a[$(touch pwned)] \\"
    write(shop / "functions/shell/same.sh", "declare -i number=1\n# @arg text string\n# @arg list string[]\n# @arg map map<string>\n# @arg number string\n# @return object\n"
          'same() { sabir_json "text=$1" "list:=$2" "first=${list[0]}" "map:=$3" "mapped=${map[$1]}" "number=$number"; }\n')
    arguments = {"text": evil, "list": [evil], "map": {evil: evil, "]": "x", "@": "y"}, "number": "a[$(touch pwned)]"}
    done = machine.sabir("call", "same", "--args", json.dumps(arguments), "--json", cwd=shop)
    assert done.code == 0, done
    assert done.json == {"text": evil, "list": [evil], "first": evil, "map": arguments["map"], "mapped": evil, "number": arguments["number"]}, done
    context = machine.sabir("call", "orders.lookup_order", "order_id=x", "--user", evil.replace("\n", " "), "--json", cwd=shop)
    assert context.code == 0 and context.json["by"] == evil.replace("\n", " "), context
    assert not list(shop.rglob("pwned")) and not (machine.folder / "pwned").exists()


def test_large_texts_need_no_command_line(machine, shop):
    done = machine.sabir("call", "orders.bytes_of", "--args", "-", cwd=shop, input=json.dumps({"text": "é" * 300_000}))
    assert done.code == 0 and done.out.strip() == "600000", done
    nul = machine.sabir("call", "orders.bytes_of", "--args", '{"text": "a\\u0000b"}', "--json", cwd=shop)
    assert nul.code == 1 and nul.json["error"]["type"] == "invalid_arguments" and "NUL" in nul.json["error"]["message"], nul


def test_a_call_is_ended_at_its_deadline_and_may_tidy_up(machine, shop):
    done = machine.sabir("call", "orders.spins", "--json", cwd=shop, timeout=30)
    assert done.code == 1 and done.json["error"]["type"] == "timeout" and done.seconds < 15, done
    marker = shop / "marker"
    # What a function does at SIGTERM has a moment only, which a busy machine may use up before bash gets there.
    for _ in range(5):
        done = machine.sabir("call", "orders.tidies_up", "marker=%s" % marker, "--json", cwd=shop, timeout=30)
        assert done.json["error"]["type"] == "timeout", done
        if marker.exists():
            break
    assert marker.read_text() == "tidied\n"


def test_what_a_call_leaves_running_ends_with_it(machine, shop):
    engine = machine.start_engine(shop)
    marker = shop / "marker"
    for _ in range(2):
        done = machine.sabir("call", "orders.leaves_something", "marker=%s" % marker, cwd=shop)
        assert done.code == 0 and done.out.strip() == "done", done
        assert not os.path.exists("/proc/%s" % marker.read_text().strip())
    # The worker that is killed takes the call's processes with it.
    caller = machine.start(machine.binary, "call", "orders.tidies_up", "marker=%s" % (shop / "other"), "--timeout", "60", cwd=shop)
    worker = busy = None
    for _ in range(200):
        worker = next((child for child in children(engine.pid) if "exec-worker" in child[2]), None)
        busy = worker and descendants(worker[0])
        if busy:
            break
        time.sleep(0.02)
    assert busy, children(engine.pid)
    os.kill(worker[0], 9)
    caller.wait(30)
    for _ in range(100):
        if not any(os.path.exists("/proc/%d" % child[0]) for child in busy):
            break
        time.sleep(0.05)
    assert not [child for child in busy if os.path.exists("/proc/%d" % child[0])]
    assert machine.sabir("call", "orders.lookup_order", "order_id=x", cwd=shop).code == 0


def test_a_broken_file_is_told_and_the_others_work(machine, shop):
    write(shop / "functions/shell/broken.sh", "fine() { echo 1; }\n\nbroken() {\n  if true; then\n")
    write(shop / "functions/shell/loads.sh", "# @noargs\nloads() { echo 1; }\nsource ./no_such_file.sh\n")
    write(shop / "functions/shell/says.sh", "echo 'loaded'\n# @noargs\nsays() { echo said; }\n[[ -n ${NO_SUCH:-} ]] && echo never\n")
    checked = machine.sabir("check", cwd=shop)
    assert checked.code == 1 and "functions/shell/broken.sh" in checked.text and "syntax error" in checked.text, checked
    failed = machine.sabir("call", "loads", "--json", cwd=shop)
    assert failed.json["error"]["type"] == "load_failed" and failed.json["error"]["line"] == 3, failed
    said = machine.sabir("call", "says", cwd=shop)
    assert said.code == 0 and said.out.strip() == "said", said


def test_a_saved_file_is_served_at_once(machine, shop):
    machine.start_engine(shop)
    path = shop / "functions/shell/again.sh"
    for wanted in ("first", "second"):
        write(path, "# @noargs\n# @effect read\nagain() { echo %s; }\n" % wanted)
        for _ in range(100):
            done = machine.sabir("call", "again", cwd=shop)
            if done.out.strip() == wanted:
                break
            time.sleep(0.05)
        assert done.out.strip() == wanted, done


def test_failing_tests_are_told_with_their_place(machine, shop):
    write(shop / "functions/shell/tests/orders.bats", '@test "works" {\n  true\n}\n\n@test "fails" {\n  echo numbers\n  [ 1 -eq 2 ]\n}\n\n'
          '@test "later" {\n  skip "not now"\n}\n')
    done = machine.sabir("test", "functions/shell", cwd=shop)
    assert done.code == 1 and "functions/shell/tests/orders.bats:7" in done.text, done
    assert "1 passed" in done.text and "1 failed" in done.text and "1 skipped" in done.text, done


def test_the_sdk_works_outside_of_a_function(machine, shop):
    script = write(shop / "try.sh", 'source "$(sabir sdk path shell)/sabir.sh"\nset -eu\n'
                   'sabir_memory put colour blue\nsabir_memory get colour\nsabir_call orders.lookup_order order_id=7 | sabir_get /id\n'
                   'sabir_functions | grep -c orders.address\nsabir_json a=1 b:=1 | sabir_get --json /a\n'
                   'sabir_call --try orders.nothing | sabir_get /error/type\nif sabir_memory get nothing; then echo wrong; fi\n')
    done = machine.run("bash", script, cwd=shop)
    assert done.code == 0 and done.out.split() == ["1", "blue", "7", "1", '"1"', "unknown_function"], done


def test_inner_commands_say_who_starts_them(machine, shop):
    """exec-worker, describe-shell and from-shell are for programs."""
    done = machine.sabir("exec-worker", ROOT / "languages/shell", "bash", cwd=shop)
    assert done.code == 2 and "started by the engine" in done.err, done
    described = machine.sabir("describe-shell", "bash", cwd=shop, input=json.dumps(
        {"version": 1, "files": [{"path": "a.sh", "source": "touch pwned\na() { echo $1; }\n"}, {"path": "b.sh", "source": "b() {\n"}]}))
    assert described.code == 0 and [one["path"] for one in described.json["files"]] == ["a.sh", "b.sh"], described
    assert "error" in described.json["files"][1] and described.json["files"][0]["functions"][0]["name"] == "a", described
    assert not (shop / "pwned").exists()
    assert machine.run("bash", "-c", "sabir from-shell 9 9< <(printf 'nonsense\\0')", cwd=shop).code == 2


def test_a_new_project_in_bash_passes_its_own_tests(machine, made_projects):
    made = machine.folder / "bash_project"
    assert machine.sabir("new", made, "--languages", "bash").code == 0
    done = machine.sabir("test", cwd=made, timeout=300)
    assert done.code == 0 and re.search(r"[67] passed", done.text), done
