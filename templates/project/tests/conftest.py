"""Fixtures for the integration tests. What every test needs stands in conftest.py above this folder."""
import json
import os
import subprocess

import pytest


@pytest.fixture
def engine():
    """Runs the engine's own command, for instance engine("functions"), and gives back what it printed as JSON."""

    def run(*arguments):
        done = subprocess.run([os.environ["SABIR_BIN"], *arguments, "--json"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
