"""Before any test: finds the engine and its Python SDK, and keeps tests away from the data you develop with."""
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# The tests' own store (.sabir/test/) and replies that need no model; set these variables to test with others. A test that has a
# recording is replayed; recordings are made of the model that the project asks (sabir test --record tests/recordings).
os.environ.setdefault("SABIR_ENV", "test")
os.environ.setdefault("SABIR_PROJECT", str(Path(__file__).parent))
if not os.environ.get("SABIR_RECORD"):
    os.environ.setdefault("SABIR_MODEL", "scripted")
    if not os.environ.get("SABIR_REPLAY") and Path(os.environ["SABIR_PROJECT"], "tests/recordings").is_dir():
        os.environ.update(SABIR_REPLAY="tests/recordings", SABIR_REPLAY_WHERE_PRESENT="1")


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


def pytest_configure():
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
