"""A pytest plugin that reports each test to `sabir test`: one JSON object per line on a descriptor of its own.

SABIR_TEST_SELECTION names a JSON file of the test files that are meant, and of the tests among them, if not all. pytest reads a
folder anew for each file of it that is named on a command line, so that many are chosen here, of what it finds in their folders.
"""
import json
import os

import pytest

_MOST = 20000
_fd = None
_root = ""
_files = None  # full paths, and those of the folders above them
_tests = None


def _say(**event):
    if _fd is None:
        return
    data = (json.dumps(event) + "\n").encode("utf-8", "replace")
    while data:
        try:
            data = data[os.write(_fd, data):]
        except OSError:
            return


def pytest_configure(config):
    global _fd, _root
    _root = str(config.rootpath) if hasattr(config, "rootpath") else str(config.rootdir)
    _read_selection(config)
    # Parallel workers of pytest-xdist load this too; their results reach the first process, which reports them.
    if hasattr(config, "workerinput"):
        return
    try:
        fd = int(os.environ.get("SABIR_TEST_REPORT_FD", ""))
        os.set_inheritable(fd, False)
        _fd = fd
    except (ValueError, OSError):
        _fd = None


def _read_selection(config):
    global _files, _tests
    if not os.environ.get("SABIR_TEST_SELECTION"):
        return
    with open(os.environ["SABIR_TEST_SELECTION"], encoding="utf-8") as file:
        selection = json.load(file)
    if not _CHOOSES:
        config.args[:] = selection["tests"] or selection["files"]
        return
    _files = set()
    for name in selection["files"]:
        path = os.path.abspath(name)
        while path not in _files:
            _files.add(path)
            path = os.path.dirname(path)
    _tests = set(selection["tests"])


# The name of the argument is pytest 7's.
_CHOOSES = int(pytest.__version__.split(".")[0]) >= 7
if _CHOOSES:

    def pytest_ignore_collect(collection_path):
        return True if _files is not None and str(collection_path) not in _files else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if not _tests:
        return
    kept, dropped = [], []
    for item in items:
        (kept if _id_from_here(item.nodeid) in _tests else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_collection_finish(session):
    if _fd is not None:
        _say(event="collected", count=len(session.items))


def pytest_collectreport(report):
    if report.failed:
        _say(event="broken", file=_from_here(report.nodeid.split("::")[0]), text=str(report.longrepr)[-_MOST:])


def _from_here(path):
    """A path from pytest's root as one from the folder that pytest runs in."""
    return os.path.relpath(os.path.join(_root, path)).replace(os.sep, "/")


def _id_from_here(nodeid):
    file, colons, rest = nodeid.partition("::")
    return _from_here(file) + colons + rest


def _reason(report):
    if isinstance(report.longrepr, tuple) and len(report.longrepr) == 3:
        return str(report.longrepr[2])
    return str(getattr(report, "wasxfail", ""))


def pytest_runtest_logreport(report):
    if report.when != "call" and not (report.failed or (report.when == "setup" and report.skipped)):
        return
    file, line, _ = report.location
    event = {
        "event": "case",
        "id": report.nodeid,
        "outcome": "skipped" if report.skipped else "failed" if report.failed else "passed",
        "seconds": report.duration,
        "file": _from_here(file),
        "test_file": _from_here(report.nodeid.partition("::")[0]),
        "rerun": _id_from_here(report.nodeid),
        "line": (line or 0) + 1,
    }
    if report.skipped:
        event["message"] = _reason(report)
    elif report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            path = os.path.relpath(str(crash.path)) if os.path.isabs(str(crash.path)) else str(crash.path)
            if not path.startswith(".."):
                event["file"], event["line"] = path.replace(os.sep, "/"), crash.lineno
            event["message"] = str(crash.message)[:_MOST]
        event["text"] = str(report.longrepr)[-_MOST:]
        if report.when != "call":
            event["id"] += " (" + report.when + ")"
    _say(**event)
