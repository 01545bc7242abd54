"""Fixtures of the whole-binary tests: a machine for each test, and projects that `sabir new` made."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from harness import Machine, find_binary

# These need a server that script/llama-server builds, and runs them with.
collect_ignore = [] if os.environ.get("SABIR_LLAMA_SERVER") else ["llama_server"]


def pytest_configure(config):
    if find_binary() is None:
        pytest.exit("these tests need the built engine: script/build release, or set SABIR_BIN to its path", returncode=2)
    if not hasattr(config, "workerinput"):
        # Short, since sockets live below: a Unix socket's path has 107 bytes at most.
        os.environ["SABIR_TEST_CACHE"] = tempfile.mkdtemp(prefix="sabir-")


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop("SABIR_TEST_CACHE", ""), ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items):
    """With several processes (pytest-xdist), the tests that a module's group_of names alike run in one of them."""
    for item in items:
        group_of = getattr(item.module, "group_of", None)
        if group_of:
            item.add_marker(pytest.mark.xdist_group(group_of(item)))


@pytest.fixture(scope="session")
def binary():
    return find_binary()


@pytest.fixture(scope="session")
def cache():
    """One for all processes of this run, as a user has one."""
    return Path(os.environ["SABIR_TEST_CACHE"]) / "cache"


@pytest.fixture
def machine(binary, cache):
    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    made = Machine(folder, binary, cache)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def made_projects(binary, cache):
    """Makes one project for each choice of languages and keeps it as the pattern of copies."""
    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    machine = Machine(folder, binary, cache)
    made = {}

    def make(languages):
        if languages not in made:
            path = folder / ("project_" + languages.replace(",", "_"))
            done = machine.sabir("new", path, "--languages", languages)
            assert done.code == 0, done
            made[languages] = path
        return made[languages]

    yield make
    machine.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def project(machine, made_projects):
    """A new project in Python and Ruby."""
    path = machine.folder / "shop"
    shutil.copytree(made_projects("python,ruby"), path, symlinks=True)
    return path


@pytest.fixture
def whole_project(machine, made_projects):
    """A new project in Python, Ruby and C++."""
    path = machine.folder / "shop"
    shutil.copytree(made_projects("python,ruby,cpp"), path, symlinks=True)
    return path
