"""The tests of the workers and SDKs, each in its own language's runner. C++'s are among the C++ tests."""

import os
import pathlib
import re
import subprocess
import sys

from harness import node

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def run(command):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SABIR_", "PYTEST_"))}
    result = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    output = result.stdout.decode(errors="replace")
    assert result.returncode == 0, output[-6000:]
    return output


def test_python():
    assert " passed" in run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "languages/python/tests"])


def test_ruby():
    output = run(["rspec", "--no-color", "languages/ruby/spec"])
    assert ", 0 failures" in output and not output.startswith("0 examples")


def test_node():
    tests = sorted(str(path) for path in (pathlib.Path(ROOT) / "languages/node/tests").glob("*.test.mjs"))
    output = run([node(), "--test", "--test-reporter=tap", *tests])
    assert re.search(r"^# pass [1-9]", output, re.M) and re.search(r"^# fail 0$", output, re.M), output[-3000:]


def test_rust():
    output = run(["sh", "languages/rust/tests/run.sh", os.path.join(ROOT, "build/rust-tests")])
    passed = [int(count) for count in re.findall(r"^test result: ok\. (\d+) passed", output, re.M)]
    assert sum(passed) >= 13 and "FAILED" not in output, output[-3000:]
