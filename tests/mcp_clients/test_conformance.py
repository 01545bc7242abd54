"""The protocol's own conformance suite against examples/mcp_everything: what each revision requires, and every server scenario beyond it."""
import re

import pytest
from harness import node
from mcp_project import ORACLES, ROOT, everything, serve_http

PROGRAM = ORACLES / "node" / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
pytestmark = pytest.mark.skipif(not PROGRAM.is_file(), reason="CI=true script/setup installs the suite")
EXPECTED = ROOT / "tests" / "mcp_clients" / "expected-failures.yml"


@pytest.fixture
def address(machine):
    return serve_http(machine, everything(machine))


def suite(machine, *arguments):
    return machine.run(node(), PROGRAM, "server", *arguments, cwd=machine.folder, timeout=400)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_all_that_a_revision_requires(machine, address, revision):
    done = suite(machine, "--url", address, "--requirements", revision)
    assert done.code == 0, done


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25", "2026-07-28"])
def test_every_server_scenario(machine, address, revision):
    done = suite(machine, "--url", address, "--suite", "all", "--spec-version", revision, "--expected-failures", EXPECTED)
    assert done.code == 0, done
    passed = re.search(r"Total: (\d+) passed", done.text)
    assert passed and int(passed.group(1)) > 20, done
