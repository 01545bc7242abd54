"""A plugin of the pytest that runs Jinja2's suite: leaves out the excluded tests and writes what became of the others."""
import json
import os
from pathlib import Path

OUTCOMES = {}


def _inside(node, excluded):
    return node == excluded or node.startswith(excluded + "::") or node.startswith(excluded + "[")


def pytest_collection_modifyitems(config, items):
    excluded = json.loads(os.environ["EXCLUDED_TESTS"])
    left_out = [item for item in items if any(_inside(item.nodeid, name) for name in excluded)]
    chosen = set(map(id, left_out))
    items[:] = [item for item in items if id(item) not in chosen]
    config.hook.pytest_deselected(items=left_out)
    names = {item.nodeid for item in left_out}
    config.stash_unused = [name for name in excluded if not any(_inside(node, name) for node in names)]


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        crash = getattr(report.longrepr, "reprcrash", None)
        OUTCOMES[report.nodeid] = [report.outcome, crash.message if crash else str(report.longrepr or "")]


def pytest_sessionfinish(session):
    Path(os.environ["SUITE_REPORT"]).write_text(json.dumps({"outcomes": OUTCOMES, "unused": session.config.stash_unused}), encoding="utf-8")
