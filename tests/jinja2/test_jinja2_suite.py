"""Jinja2's own test suite over the engine's templates (docs/templates.md).

exclusions.json names the tests that do not concern a prompt, by subject; misses.json the tests that fail, each with its
cause. Both have to be exact: a miss that is mended is taken out, a new one is a failure.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT, find_binary

HERE = Path(__file__).resolve().parent
SUITE = ROOT / "build/oracles/jinja2"
EXCLUSIONS = json.loads((HERE / "exclusions.json").read_text(encoding="utf-8"))
MISSES = json.loads((HERE / "misses.json").read_text(encoding="utf-8"))
LEAST = 0.9


def group_of(_item):
    """The suite runs once for all tests (conftest.py)."""
    return "jinja2-suite"


def run_suite(report):
    assert (SUITE / "tests").is_dir(), "script/setup fetches Jinja2's test suite"
    program = find_binary().parent / "tests/template_program"
    assert program.is_file(), "script/build all builds the renderer's test program"
    excluded = [test for subject in EXCLUSIONS for test in subject["tests"]]
    # Whole files are not even imported: they need what the façade does not have.
    ignored = ["--ignore=%s" % name for name in excluded if "::" not in name]
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(HERE / "facade"), str(HERE), str(SUITE / "packages")]),
        "TEMPLATE_PROGRAM": str(program), "SUITE_REPORT": str(report), "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1",
        "EXCLUDED_TESTS": json.dumps([name for name in excluded if "::" in name]),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "suite_plugin", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", os.devnull,
               "--rootdir=.", *ignored, "."]
    done = subprocess.run(command, cwd=SUITE / "tests", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout
    return json.loads(report.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return run_suite(tmp_path_factory.mktemp("jinja2") / "report.json")


@pytest.fixture(scope="module")
def failed(report):
    return {test: message for test, (outcome, message) in report["outcomes"].items() if outcome != "passed"}


def test_no_test_fails_that_is_no_known_miss(failed):
    assert {test: message for test, message in failed.items() if test not in MISSES["tests"]} == {}


def test_no_known_miss_passes(report, failed):
    gone = [test for test in MISSES["tests"] if test not in report["outcomes"]]
    mended = [test for test in MISSES["tests"] if test in report["outcomes"] and test not in failed]
    assert (gone, mended) == ([], []), "take them out of tests/jinja2/misses.json and docs/templates.md"


def test_every_miss_has_a_cause():
    assert set(MISSES["tests"].values()) == set(MISSES["causes"])
    page = (ROOT / "docs/templates.md").read_text(encoding="utf-8")
    assert [test for test in MISSES["tests"] if test.split("::")[-1] not in page] == [], "docs/templates.md lists every miss"


def test_every_exclusion_leaves_something_out(report):
    assert report["unused"] == []
    assert [name for subject in EXCLUSIONS for name in subject["tests"] if not (SUITE / "tests" / name.split("::")[0]).is_file()] == []


def test_enough_of_the_suite_passes(report, failed):
    total = len(report["outcomes"])
    assert total == 539, "as many as docs/templates.md says"
    assert total - len(failed) >= LEAST * total, "%d of %d" % (total - len(failed), total)
