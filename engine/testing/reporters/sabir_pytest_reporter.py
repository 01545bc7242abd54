"""A pytest plugin that reports each test to `sabir test`: one JSON object per line on a descriptor of its own."""
import json
import os

_MOST = 20000
_fd = None
_root = ""


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
    # Parallel workers of pytest-xdist load this too; their results reach the first process, which reports them.
    if hasattr(config, "workerinput"):
        return
    try:
        fd = int(os.environ.get("SABIR_TEST_REPORT_FD", ""))
        os.set_inheritable(fd, False)
        _fd = fd
    except (ValueError, OSError):
        _fd = None


def pytest_collection_finish(session):
    if _fd is not None:
        _say(event="collected", count=len(session.items))


def pytest_collectreport(report):
    if report.failed:
        _say(event="broken", file=_from_here(report.nodeid.split("::")[0]), text=str(report.longrepr)[-_MOST:])


def _from_here(path):
    """A path from pytest's root as one from the folder that pytest runs in."""
    return os.path.relpath(os.path.join(_root, path)).replace(os.sep, "/")


def _reason(report):
    if isinstance(report.longrepr, tuple) and len(report.longrepr) == 3:
        return str(report.longrepr[2])
    return str(getattr(report, "wasxfail", ""))


def pytest_runtest_logreport(report):
    if report.when != "call" and not (report.failed or (report.when == "setup" and report.skipped)):
        return
    file, line, _ = report.location
    test_file, colons, rest = report.nodeid.partition("::")
    test_file = _from_here(test_file)
    event = {
        "event": "case",
        "id": report.nodeid,
        "outcome": "skipped" if report.skipped else "failed" if report.failed else "passed",
        "seconds": report.duration,
        "file": _from_here(file),
        "test_file": test_file,
        "rerun": test_file + colons + rest,
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
