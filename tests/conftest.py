"""Fixtures of the whole-binary tests: a machine for each test, and projects that `sabir new` made."""
import shutil
import tempfile
from pathlib import Path

import pytest
from harness import Machine, find_binary


def pytest_configure():
    if find_binary() is None:
        pytest.exit("these tests need the built engine: script/build release, or set SABIR_BIN to its path", returncode=2)


@pytest.fixture(scope="session")
def binary():
    return find_binary()


@pytest.fixture(scope="session")
def cache():
    # Short, since sockets live below: a Unix socket's path has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    yield folder / "cache"
    shutil.rmtree(folder, ignore_errors=True)


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
