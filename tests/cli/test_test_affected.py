"""sabir test --affected and sabir graph: exactly what a change reaches, in every language."""
import os
import shutil
import signal
import statistics
import subprocess
import time

import pytest
from harness import SANITIZED, write

EVERY = "python,ruby,cpp,node,go,php,java,rust,shell"


@pytest.fixture
def every(machine, made_projects):
    """A new project in every language, in git, with two prompts and a helper of pytest's own."""
    project = machine.folder / "shop"
    shutil.copytree(made_projects(EVERY), project, symlinks=True)
    write(project / "functions/python/rates.py", "RATE = 2\n")
    write(project / "functions/python/doubled.py", 'from functions.python.rates import RATE\n\n\ndef twice(x: int) -> int:\n    """Twice."""\n    return x * RATE\n')
    write(project / "functions/python/tests/test_doubled.py", "from functions.python import doubled\n\n\ndef test_twice():\n    assert doubled.twice(2) == 4\n")
    for name, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com")):
        os.environ.setdefault("GIT_AUTHOR_" + name, value)
        os.environ.setdefault("GIT_COMMITTER_" + name, value)
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "first")
    return project


def git(project, *words):
    done = subprocess.run(["git", "-C", str(project), "-c", "commit.gpgsign=false", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout


def affected(machine, project, *more):
    done = machine.sabir("test", "--affected=HEAD", "--explain-affected", "--json", *more, cwd=project)
    assert done.code == 0, done
    return {one["file"]: one["reason"] for one in done.json["affected"]}


def edited(project, path):
    text = (project / path).read_text()
    (project / path).write_text(text + "\n")


# What each edit runs. `integration` lists every function, so that an edit of any runs it; tests of scripts start commands, which may do
# whatever they like.
INTEGRATION = {"tests/integration/test_integration.py"}
SCRIPTS = {"tests/test_scripts.py"}
REACHED = {
    "completions/prompt_parts/role.txt": {"completions/tests/test_generate_prompt.py", "completions/tests/test_key_points.py", "completions/tests/test_key_points.rb", "completions/tests/test_summary.rb"} | SCRIPTS,
    "completions/key_points.prompt": {"completions/tests/test_key_points.py", "completions/tests/test_key_points.rb"} | SCRIPTS,
    "functions/python/rates.py": {"functions/python/tests/test_doubled.py"} | INTEGRATION | SCRIPTS,
    "functions/ruby/slugify.rb": {"functions/ruby/tests/test_slugify.rb", "assistants/ruby/tests/test_editor.rb", "assistants/python/tests/test_assistant1.py"} | INTEGRATION | SCRIPTS,
    "functions/node/invoices.ts": {"functions/node/tests/test_invoices.ts", "assistants/node/tests/test_accountant.ts"} | INTEGRATION | SCRIPTS,
    "functions/go/distances.go": {"functions/go/distances_test.go", "assistants/go/navigator_test.go"} | INTEGRATION | SCRIPTS,
    "functions/php/calendar.php": {"functions/php/tests/CalendarTest.php", "assistants/php/tests/SecretaryTest.php"} | INTEGRATION | SCRIPTS,
    "functions/java/Gardens.java": {"functions/java/tests/GardensTest.java", "assistants/java/tests/GardenerTest.java"} | INTEGRATION | SCRIPTS,
    "functions/rust/shipping.rs": {"functions/rust/tests/shipping_test.rs", "assistants/rust/tests/dispatcher_test.rs"} | INTEGRATION | SCRIPTS,
    "functions/shell/backups.sh": {"functions/shell/tests/backups.bats", "assistants/shell/tests/janitor.bats"} | INTEGRATION | SCRIPTS,
    "assistants/node/accountant.ts": {"assistants/node/tests/test_accountant.ts"} | INTEGRATION | SCRIPTS,
    "tests/conftest.py": INTEGRATION | {"tests/integration/test_deployed.py"} | SCRIPTS,
}


def test_an_edit_runs_exactly_what_it_reaches_in_every_language(machine, every):
    assert affected(machine, every) == {}
    wrong = {}
    for path, expected in REACHED.items():
        edited(every, path)
        found = affected(machine, every)
        if set(found) != expected:
            wrong[path] = {"too many": sorted(set(found) - expected), "missing": sorted(expected - set(found))}
        git(every, "checkout", "-q", "--", path)
    assert wrong == {}
    # All of pytest's, and no other language's.
    edited(every, "conftest.py")
    found = affected(machine, every)
    assert {path for path in found if not path.endswith(".py")} == set() and len(found) == len(list(every.glob("**/test_*.py"))), found
    assert found["functions/python/tests/test_doubled.py"] == "conftest.py has changed (functions/python/tests/test_doubled.py → conftest.py)"


def test_what_was_removed_or_is_new_counts_as_changed(machine, every):
    (every / "functions/python/rates.py").unlink()
    found = affected(machine, every)
    assert "functions/python/tests/test_doubled.py" in found and "functions/python/rates.py is gone" in found["functions/python/tests/test_doubled.py"], found
    git(every, "checkout", "-q", "--", ".")
    write(every / "functions/python/tests/test_new.py", "def test_it():\n    pass\n")
    assert "functions/python/tests/test_new.py" in affected(machine, every)


def test_a_commit_that_is_not_here_runs_everything_and_says_so(machine, every):
    done = machine.sabir("test", "--affected=no-such-branch", "--explain-affected", "--json", cwd=every)
    assert done.code == 0 and len(done.json["affected"]) > 20, done
    assert "Everything is run: git does not know 'no-such-branch' here" in done.json["notes"][0] and "fetch-depth: 0" in done.json["notes"][0], done
    shutil.rmtree(every / ".git")
    done = machine.sabir("test", "--since", "main", "--explain-affected", "--json", cwd=every)
    assert done.code == 0 and len(done.json["affected"]) > 20, done


def test_the_graph_shows_what_depends_on_what(machine, every):
    done = machine.sabir("graph", "functions/python/rates.py", "--json", cwd=every)
    assert done.code == 0 and "functions/python/doubled.py" in done.json["reached_by"] and "functions/python/tests/test_doubled.py" in done.json["tests"], done
    by_address = machine.sabir("graph", "doubled.twice", "--json", cwd=every)
    assert by_address.json["node"] == "functions/python/doubled.py" and "functions/python/rates.py" in by_address.json["reaches"], by_address
    by_prompt = machine.sabir("graph", "summary", cwd=every)
    assert by_prompt.code == 0 and "completions/prompt_parts/role.txt" in by_prompt.out and "completions/tests/test_summary.rb" in by_prompt.out, by_prompt
    dot = machine.sabir("graph", "--dot", cwd=every)
    assert dot.code == 0 and '"functions/python/doubled.py" -> "functions/python/rates.py";' in dot.out, dot
    whole = machine.sabir("graph", "--json", cwd=every).json
    kinds = {one["name"]: one["kind"] for one in whole["nodes"]}
    assert kinds["completions/prompt_parts/role.txt"] == "part" and kinds["completions/summary.j2"] == "prompt" and kinds["assistants/ruby/editor.rb"] == "assistant", kinds
    none = machine.sabir("graph", "functions/python/rate.py", cwd=every)
    assert none.code == 1 and "functions/python/rates.py" in none.err, none


@pytest.fixture
def small(machine):
    root = machine.folder / "small"
    write(root / "sabir.yml", "engine: 0.1.0\n")
    write(root / "pytest.ini", "[pytest]\npythonpath = .\naddopts = --import-mode=importlib -p no:cacheprovider\n")
    write(root / "helper.py", "X = 1\n")
    write(root / "tests/test_a.py", "import helper\n\ndef test_a():\n    assert helper.X == 1\n")
    write(root / "tests/test_b.py", "def test_b():\n    pass\n")
    write(root / "spec/c_spec.rb", "RSpec.describe('c') { it('is') { expect(1).to eq(1) } }\n")
    return root


def ran(done):
    return sorted(case["test_file"] for suite in done.json["suites"] for case in suite["cases"])


def test_only_what_has_not_passed_is_run_again(machine, small):
    first = machine.sabir("test", "--affected", "--json", cwd=small)
    assert first.code == 0 and ran(first) == ["spec/c_spec.rb", "tests/test_a.py", "tests/test_b.py"], first
    second = machine.sabir("test", "--affected", "--junit", "out.xml", cwd=small)
    assert second.code == 0 and "3 test files unchanged since they passed; nothing to run" in second.out, second
    assert "<testcase" not in (small / "out.xml").read_text()
    # A touch is no change; another text is one.
    os.utime(small / "helper.py")
    assert ran(machine.sabir("test", "--affected", "--json", cwd=small)) == []
    write(small / "helper.py", "X = 2\n")
    third = machine.sabir("test", "--affected", "--json", cwd=small)
    assert third.code == 1 and ran(third) == ["tests/test_a.py"] and third.json["unchanged"] == 2, third
    # What failed runs until it passes, and what passed once with the same texts is known to.
    fourth = machine.sabir("test", "--affected", "--json", cwd=small)
    assert fourth.code == 1 and ran(fourth) == ["tests/test_a.py"], fourth
    assert "tests/test_a.py: it has not passed since it failed" in machine.sabir("test", "--explain-affected", cwd=small).out
    write(small / "helper.py", "X = 1\n")
    assert machine.sabir("test", "--affected", "--json", cwd=small).code == 0
    assert ran(machine.sabir("test", "--affected", "--json", cwd=small)) == []
    # Another model, another environment: other tests.
    assert len(ran(machine.sabir("test", "--affected", "--json", cwd=small, env={"SABIR_ENV": "staging"}))) == 3
    # What cannot be read is as if it were not there; what a newer version wrote as well.
    (small / ".sabir/tests/state").write_bytes(b"SABIRTST\x63\0\0\0")
    assert len(ran(machine.sabir("test", "--affected", "--json", cwd=small))) == 3


def test_a_watched_project_runs_what_is_saved(machine, small):
    process = machine.start(machine.binary, "test", "--watch", cwd=small)
    os.set_blocking(process.stdout.fileno(), False)
    seen = []

    def until(text, seconds=40):
        for _ in range(int(seconds / 0.05)):
            try:
                seen.append(os.read(process.stdout.fileno(), 65536).decode())
            except BlockingIOError:
                pass
            if text in "".join(seen):
                return
            assert process.poll() is None, "".join(seen)
            time.sleep(0.05)
        raise AssertionError("not seen: %r in %s" % (text, "".join(seen)))

    until("Waiting for changes")
    assert "2 passed" in "".join(seen)
    seen.clear()
    time.sleep(0.5)
    write(small / "helper.py", "X = 3\n")
    until("Waiting for changes")
    assert "tests/test_a.py:4" in "".join(seen) and "2 test files unchanged" in "".join(seen), seen
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 1


@pytest.mark.skipif(SANITIZED, reason="a sanitizer is slower")
def test_a_cached_run_over_a_thousand_test_files_ends_at_once(machine, small):
    # A stand-in says that each file passed, in the reporter's words: what is measured is the run that starts no runner.
    write(small / ".venv/bin/python", "#!/bin/sh\n[ \"$1\" = -c ] && exit 0\necho '{\"event\":\"collected\",\"count\":1}' >&3\nfor file in tests/many/test_*.py; do\n"
                                      "echo '{\"event\":\"case\",\"id\":\"'$file'::a\",\"outcome\":\"passed\",\"test_file\":\"'$file'\"}' >&3\ndone\n")
    (small / ".venv/bin/python").chmod(0o700)
    for name in ("tests/test_a.py", "tests/test_b.py", "spec/c_spec.rb"):
        (small / name).unlink()
    for i in range(1000):
        write(small / ("lib/module_%d.py" % i), "import lib.module_%d\n" % (i // 10))
        write(small / ("tests/many/test_%d.py" % i), "import lib.module_%d\n\ndef test_a():\n    pass\n" % i)
    done = machine.sabir("test", "--jobs", "1", cwd=small)
    assert done.code == 0 and "1000 passed" in done.out, done
    times = []
    for _ in range(7):
        done = machine.sabir("test", "--affected", cwd=small)
        assert done.code == 0 and "1000 test files unchanged" in done.out, done
        times.append(done.seconds)
    # 150 ms on a machine of its own (script/bench tests); here others may be at work.
    assert min(times) < 0.6 and statistics.median(times) < 3, times
