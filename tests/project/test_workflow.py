"""The generated workflow's steps, run as GitHub would: on a fresh clone of a new project in all its languages, with the engine from a wheel and
nothing of this checkout."""
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from harness import ROOT

pytestmark = pytest.mark.skipif(os.environ.get("CI") != "true", reason="takes minutes: with CI=true only")
ALL = "python,ruby,cpp,node,go,php,java,rust,shell"


def group_of(item):
    return "workflow"


@pytest.fixture
def wheel(binary, machine):
    """The address of a wheel, with its digest."""
    folder = machine.folder / "dist"
    folder.mkdir()
    version = (ROOT / "VERSION").read_text().strip()
    subprocess.run([sys.executable, str(ROOT / "packaging/make_wheel.py"), version, str(binary), str(ROOT / "languages/python/sdk"), str(ROOT / "LICENSE"), str(folder)], check=True)
    (made,) = folder.glob("*.whl")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d/%s#sha256=%s" % (server.server_port, made.name, hashlib.sha256(made.read_bytes()).hexdigest())
    server.shutdown()
    server.server_close()


def git(folder, *words):
    subprocess.run(["git", "-c", "user.email=t@example.org", "-c", "user.name=t", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_its_steps_pass_on_a_fresh_clone_in_every_language(machine, wheel):
    origin = machine.folder / "origin"
    assert machine.sabir("new", origin, "--languages", ALL).code == 0
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "first")
    clone = machine.folder / "clone"
    git(machine.folder, "clone", "-q", str(origin), str(clone))
    workflow = yaml.safe_load((clone / ".github/workflows/ci.yml").read_text())
    machine.use_node()
    machine.use_rust()
    venv = machine.folder / "python"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    # As on GitHub's machine: the engine is what the workflow installs, and no variable points at another.
    (machine.bin / "sabir").unlink()
    environment = {name: value for name, value in machine.env.items() if name not in ("SABIR_BIN", "PYTHONDONTWRITEBYTECODE")}
    environment.update(CI="true", GITHUB_ACTIONS="true", PATH=str(venv / "bin") + os.pathsep + machine.env["PATH"])
    ran = []
    for step in workflow["jobs"]["test"]["steps"]:
        if "run" not in step or "apt-get" in step["run"]:
            continue  # actions of GitHub's, and Debian's packages, which are here
        values = {name: value.replace("${{ vars.SABIR_WHEEL }}", wheel) for name, value in step.get("env", {}).items()}
        assert "${{" not in step["run"] + "".join(values.values()), step
        done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=clone, env={**environment, **values}, text=True, timeout=900,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, (step, done.stdout[-6000:])
        ran.append(step["run"])
    assert shutil.which("sabir", path=str(venv / "bin")) and any(one.startswith("sabir test") for one in ran)
    report = (clone / ".sabir/junit.xml").read_text()
    for language in ALL.split(","):
        assert "/%s/" % language in report or language in report, language


def test_without_a_digest_the_engine_is_not_installed(machine, wheel):
    project = machine.folder / "plain"
    assert machine.sabir("new", project, "--languages", "shell").code == 0
    workflow = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())
    (script,) = [step["run"] for step in workflow["jobs"]["test"]["steps"] if step.get("name") == "Install the engine"]
    done = subprocess.run(["bash", "-e", "-c", script], env=dict(machine.env, SABIR_WHEEL=wheel.split("#")[0]), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1 and "#sha256=" in done.stdout
