"""A small project and `sabir deploy` of it, for tests of what is deployed."""
import http.client
import json
import os
import signal
import time
from contextlib import contextmanager

from serving import alive, write_project

FILES = {
    "functions/python/work.py": '''
        """Work."""
        import os

        VERSION = 1


        def version() -> int:
            """Which version of this file answers.

            Effect: read
            """
            return VERSION


        def engine() -> int:
            """The process that serves.

            Effect: read
            """
            return os.getppid()
        ''',
    "functions/python/tests/test_work.py": '''
        from functions.python.work import version


        def test_version_is_a_number():
            assert version() > 0
        ''',
    "tests/integration/test_deployed.py": '''
        import json
        import os
        import urllib.request

        import pytest


        @pytest.mark.skipif("SABIR_URL" not in os.environ, reason="of what is deployed alone")
        def test_what_is_deployed_answers():
            request = urllib.request.Request(os.environ["SABIR_URL"] + "/functions/work.version", data=b"{}", headers={"Content-Type": "application/json"})
            assert json.load(urllib.request.urlopen(request, timeout=20)) < 90


        def test_by_the_sdk_it_is_the_same_process(deployed, engine):
            request = urllib.request.Request(os.environ["SABIR_URL"] + "/functions/work.engine", data=b"{}", headers={"Content-Type": "application/json"})
            assert deployed.call("work.engine") == json.load(urllib.request.urlopen(request, timeout=20))
            assert engine("call", "work.engine") == deployed.call("work.engine")


        def test_other_tests_have_an_engine_of_their_own(sabir, memory):
            memory.put("smoke", "of the test")
            assert memory.get("smoke") == "of the test"
        ''',
    "config/deployment_config.yml": '''
        environments:
          development: {target: local, health: 30s}
          spare: {target: local, smoke: false, health: 30s}
          production: {target: local, health: 30s}
        ''',
    "conftest.py": "",
    ".gitignore": ".sabir/\n__pycache__/\nconfig/secrets.json\n*.log\n",
}
CONFIG = "expose: {rest: ['*']}\nserve: {limits: {drain: 3s}}\n"


class Deployed:
    def __init__(self, machine, project, environment="development"):
        self.machine, self.project, self.environment = machine, project, environment
        self.folder = project / ".sabir" / environment / "deploy"

    def sabir(self, *words, env=None, timeout=300):
        return self.machine.sabir("deploy", *words, "--env", self.environment, cwd=self.project, env=env, timeout=timeout)

    def apply(self, *words, **options):
        return self.sabir("apply", "--yes", "--json", *words, **options)

    def status(self):
        return self.sabir("status", "--json").json

    def edit(self, version):
        file = self.project / "functions/python/work.py"
        lines = ["VERSION = %d" % version if line.startswith("VERSION = ") else line for line in file.read_text().splitlines()]
        file.write_text("\n".join(lines) + "\n")

    def supervisor(self):
        return json.loads((self.folder / "run/supervisor.json").read_text())

    def records(self):
        return [json.loads(file.read_text()) for file in sorted((self.folder / "backend/ledger").glob("*.json"))]


@contextmanager
def deployed(machine, environment="development", files=None):
    project = write_project(machine.folder / "app", CONFIG, {**FILES, **(files or {})}, languages="python")
    made = Deployed(machine, project, environment)
    try:
        yield made
    finally:
        made.sabir("destroy", "--yes", "--break-lock")
        if (made.folder / "run/supervisor.json").exists():
            state = made.supervisor()
            for pid in (state["pid"], state["engine_pid"]):
                if pid and alive(pid):
                    os.kill(pid, signal.SIGKILL)


def ask(url, function="work.version"):
    host, port = url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request("POST", "/functions/" + function, "{}", {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        return json.loads(body)
    finally:
        connection.close()


def eventually(true, seconds=30):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.05)
