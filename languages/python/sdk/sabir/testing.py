"""pytest's fixtures for tests of a Sabir project (docs/testing.md): engine, sabir, memory, models, secrets, recording, deployed.

Each test that asks for one of them has an engine of its own with an empty store, scripted models and placeholders for
secrets; nothing of it is there for the next test. `sabir test` loads this plugin; the project's conftest.py does for plain
pytest, and an installed sabir package brings it by itself.
"""

import json
import os
import shutil
import subprocess
import tempfile

import pytest

from . import _channel
from ._client import find_engine, find_project
from ._error import Error

_TIMEOUT = 120


def pytest_configure(config):
    try:
        root = find_project()
    except Error:
        return  # a plugin of an installed package: other projects' tests are none of its business
    config.addinivalue_line("markers", "sabir: a test that uses the project's engine")
    os.environ.setdefault("SABIR_PROJECT", root)
    os.environ.setdefault("SABIR_ENV", "test")
    if not os.environ.get("SABIR_RECORD"):
        os.environ.setdefault("SABIR_MODEL", "scripted")
        os.environ.setdefault("SABIR_LIVE_MODELS", "0")
        if not os.environ.get("SABIR_REPLAY") and os.path.isdir(os.path.join(root, "tests/recordings")):
            os.environ.update(SABIR_REPLAY="tests/recordings", SABIR_REPLAY_WHERE_PRESENT="1")


class Engine:
    """The test's own engine. Called with a command's words it gives back what the command printed as JSON."""

    def __init__(self):
        self.root = find_project()
        self.folder = tempfile.mkdtemp(prefix="sabir-test-")
        self._before = {}
        self._secrets = os.path.join(self.folder, "secrets.json")
        try:
            self.set("SABIR_STATE_DIR", self.folder)
            self.set("SABIR_ENGINE", None)
            if not os.environ.get("SABIR_RECORD"):
                self.set("SABIR_LIVE_MODELS", "0")
                self._hide_secrets()
        except BaseException:
            self.close()
            raise

    def __call__(self, *arguments):
        done = subprocess.run([find_engine(), *map(str, arguments), "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              encoding="utf-8", errors="replace", timeout=_TIMEOUT)
        assert done.returncode == 0, "sabir %s: exit code %d\n%s%s" % (" ".join(map(str, arguments)), done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def set(self, name, value):
        """An environment variable for the rest of the test; None takes it away. The engine starts anew where one runs."""
        self._before.setdefault(name, os.environ.get(name))
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
        self.restart()

    def restart(self):
        """The next request starts a new engine on the same store."""
        _channel.close()

    def set_secret(self, name, value):
        values = {}
        if os.path.exists(self._secrets):
            with open(self._secrets, encoding="utf-8") as file:
                values = json.load(file)
        values[name] = value
        descriptor = os.open(self._secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(values, file)
        self.restart()

    def close(self):
        _channel.close()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self.folder, ignore_errors=True)

    def _hide_secrets(self):
        # What the developer's own shell has set is none of the test's business.
        for name in _secret_names(self.root):
            if os.environ.get(name.upper()):
                self.set(name.upper(), None)
        self.set("SABIR_TEST_SECRETS", self._secrets)


_names = {}


def _secret_names(root):
    """The names of the project's secrets, asked for once in a run."""
    if root not in _names:
        done = subprocess.run([find_engine(), "secrets", "list", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=dict(os.environ, SABIR_TEST_SECRETS="-"), timeout=_TIMEOUT)
        try:
            listed = json.loads(done.stdout) if done.returncode == 0 else []
        except ValueError:
            listed = []
        if isinstance(listed, dict):
            listed = listed.get("secrets", [])
        _names[root] = [str(one["name"]) for one in listed if isinstance(one, dict) and "name" in one]
    return _names[root]


class Models:
    """Scripted replies of the test's models; `reply` adds one, `script` takes a whole list as docs/models.md has it."""

    def __init__(self, engine):
        self._engine = engine
        self._replies = []
        self._file = os.path.join(engine.folder, "replies.json")
        self._write()
        engine.set("SABIR_SCRIPTED_REPLIES", self._file)
        engine.set("SABIR_MODEL", "scripted")
        # What the test itself says is neither recorded nor replayed.
        for name in ("SABIR_RECORD", "SABIR_REPLAY"):
            engine.set(name, None)

    def reply(self, text=None, *, contains=None, matches=None, **more):
        """The model says `text` to what contains or matches something; without either, to whatever is asked next.

        more: json, tool_calls, error, as docs/models.md has them.
        """
        entry = dict(more)
        for name, value in (("text", text), ("contains", contains), ("matches", matches)):
            if value is not None:
                entry[name] = value
        self._replies.append(entry)
        self._write()

    def script(self, replies):
        self._replies = list(replies)
        self._write()

    def _write(self):
        beside = self._file + ".new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump({"replies": self._replies}, file)
        os.replace(beside, self._file)


class Secrets:
    """Values for the test's secrets; names that are not set have a placeholder."""

    def __init__(self, engine):
        self._engine = engine

    def set(self, name, value):
        self._engine.set_secret(name, value)


@pytest.fixture
def engine():
    """An engine of this test's own: engine("functions") runs a command and gives back its JSON."""
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def sabir(engine):
    """The SDK, on this test's own engine: sabir.call("text.words", text="…"), sabir.ask, sabir.render, sabir.complete."""
    import sabir as sdk
    return sdk


@pytest.fixture
def memory(sabir):
    """The project's memory, empty at the test's beginning."""
    return sabir.memory


@pytest.fixture
def models(engine):
    """Replies of this test's models: models.reply("I am here.", contains="are you there")."""
    return Models(engine)


@pytest.fixture
def secrets(engine):
    """Secrets of this test: secrets.set("weather_api_key", "a key for tests")."""
    return Secrets(engine)


@pytest.fixture
def deployed(engine):
    """The SDK, on the engine that `sabir deploy` has just deployed, at SABIR_URL with the token in SABIR_TOKEN; skipped where nothing was.

    What it does there is done: deployed.memory.put needs a token of the scope engine, and stays.
    """
    if not os.environ.get("SABIR_URL"):
        pytest.skip("runs after a deployment alone, against its address")
    # What is asked elsewhere is neither recorded nor replayed.
    for name, value in (("SABIR_RECORD", None), ("SABIR_REPLAY", None), ("SABIR_ENGINE", os.environ["SABIR_URL"])):
        engine.set(name, value)
    import sabir as sdk
    return sdk


@pytest.fixture
def recording(engine, request):
    """This test insists on its recording in tests/recordings: a question that is not in it fails. `sabir test --record` makes it."""
    if not os.environ.get("SABIR_RECORD"):
        engine.set("SABIR_REPLAY_WHERE_PRESENT", None)
        engine.set("SABIR_REPLAY", os.environ.get("SABIR_REPLAY") or "tests/recordings")
    return engine
