"""The protocol's own conformance suite against our client: every client scenario of each revision, and the extensions."""
import re
import sys

import pytest
from harness import node
from servers_project import HERE, ORACLES

PROGRAM = ORACLES / "node" / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
EXPECTED = HERE / "expected-failures.yml"
pytestmark = pytest.mark.skipif(not PROGRAM.is_file(), reason="CI=true script/setup installs the suite")


def suite(machine, *arguments):
    command = "%s %s" % (sys.executable, HERE / "conformance_client.py")
    return machine.run(node(), PROGRAM, "client", "--command", command, "--timeout", "240000", *arguments, cwd=machine.folder, timeout=900)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_all_that_a_revision_requires(machine, revision):
    done = suite(machine, "--requirements", revision)
    assert done.code == 0, done


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25", "2026-07-28"])
def test_every_client_scenario(machine, revision):
    done = suite(machine, "--suite", "all", "--spec-version", revision)
    assert done.code == 0, done
    passed = re.search(r"Total: (\d+) passed, 0 failed, 0 warnings", done.text)
    assert passed and int(passed.group(1)) > 50, done


def test_the_extensions_that_apply(machine):
    done = suite(machine, "--suite", "extensions", "--expected-failures", EXPECTED)
    assert done.code == 0, done
