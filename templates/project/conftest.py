"""Before any test: finds the engine and its Python SDK, and keeps tests away from the data you develop with."""
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# sabir depends: nothing
# (What is asked of the engine here is where its SDK lies, which no test's outcome depends on: docs/testing.md.)
os.environ.setdefault("SABIR_PROJECT", str(Path(__file__).parent))


def find_engine():
    """The engine's path, or None: $SABIR_BIN, inside the installed package, beside this Python, on PATH."""
    given = os.environ.get("SABIR_BIN")
    if given:
        return shutil.which(given)
    sdk = importlib.util.find_spec("sabir")
    folders = [os.path.dirname(sys.executable), os.environ.get("PATH", "")]
    if sdk and sdk.origin:
        folders.insert(0, os.path.join(os.path.dirname(sdk.origin), "bin"))
    return shutil.which("sabir", path=os.pathsep.join(folders))


def pytest_configure(config):
    engine = find_engine()
    if engine is None:
        pytest.exit("these tests need the engine: put `sabir` on PATH or set SABIR_BIN to its path", returncode=2)
    sdk = importlib.util.find_spec("sabir")
    if sdk is None or sdk.origin is None:
        # No installed package: the SDK that the engine carries.
        asked = subprocess.run([engine, "sdk", "path", "python"], capture_output=True, text=True, timeout=60)
        if asked.returncode != 0:
            pytest.exit("the engine %s offers no SDK: %s" % (engine, asked.stderr.strip()), returncode=2)
        sys.path.insert(0, asked.stdout.strip())
    os.environ["SABIR_BIN"] = engine
    # Fixtures (engine, sabir, memory, models, secrets, recording), the tests' own environment (SABIR_ENV=test) and models that cost
    # nothing: replies of tests/scripted_replies.json, or the recording that a test has in tests/recordings.
    config.pluginmanager.import_plugin("sabir.testing")
