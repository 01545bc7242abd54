"""`sabir deploy` by Terraform's own program: the module `preview` of a new project starts and stops real servers on this machine."""
import json
import os
import shutil
import signal
from contextlib import contextmanager

import pytest
from deploying import CONFIG, FILES, Deployed, ask, eventually
from harness import ROOT
from serving import alive, machine_of, write_project


def group_of(item):
    return "deploy"


PROGRAMS = [program for program in (shutil.which("terraform"), shutil.which("tofu"), ROOT / "build/oracles/tofu/tofu") if program and os.path.exists(program)]
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is here: CI=true script/setup builds OpenTofu")
PREVIEW = ROOT / "templates/project/deploy/terraform/preview"
SECRET = "c4nary-of-the-preview"


@pytest.fixture
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        made.env.pop("TF_CLI_CONFIG_FILE", None)
        yield made


class Preview(Deployed):
    def current(self):
        return json.loads((self.folder / "run/current.json").read_text())


@contextmanager
def preview(machine, program=None):
    settings = "environments:\n  preview: {target: terraform, module: deploy/terraform/preview, health: 20s, program: %s}\n" % (program or PROGRAMS[0])
    project = write_project(machine.folder / "app", CONFIG, {**FILES, "config/deployment_config.yml": settings}, languages="python")
    shutil.copytree(PREVIEW, project / "deploy/terraform/preview")
    (project / "config/secrets.json").write_text(json.dumps({"weather_key": SECRET}))
    (project / "config/secrets.json").chmod(0o600)
    made = Preview(machine, project, "preview")
    pids = set()
    try:
        yield made
    finally:
        made.sabir("destroy", "--yes", "--break-lock")
        for file in (made.folder / "run").glob("*.json"):
            pids.add(json.loads(file.read_text())["pid"])
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: os.path.basename(program))
def test_preview_goes_there_drifts_comes_back_and_goes_away(machine, program):
    with preview(machine, program) as made:
        plan = made.sabir("plan", "--json")
        assert plan.code == 0, plan
        assert [(one["change"], one["what"]) for one in plan.json["infrastructure"]] == [("create", "terraform_data.server")], plan
        done = made.apply("--skip-tests")
        assert done.code == 0 and done.json["outcome"] == "released", done
        url = done.json["url"]
        assert ask(url) == 1 and made.status()["ok"]
        # All as it should be: nothing to do, for Terraform too.
        assert made.sabir("plan", "--json").json["unchanged"] is True
        # Somebody kills it.
        first = made.current()["pid"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not alive(first))
        status = made.sabir("status", "--json")
        assert status.code == 1 and status.json["running"] == "nothing" and "r1 should answer, and nothing answers" in status.json["truth"], status
        plan = made.sabir("plan", "--json").json
        assert plan["unchanged"] is False and plan["drift"] == ["the process %d, which served r1, is gone" % first] and plan["infrastructure"][0]["change"] == "replace", plan
        done = made.apply("--skip-tests")
        assert done.json["outcome"] == "released" and ask(url) == 1, done
        # A new release takes over.
        made.edit(2)
        done = made.apply("--skip-tests")
        assert done.code == 0 and done.json["release"]["id"] == "r2" and done.json["url"] == url and ask(url) == 2, done
        # One that fails its smoke tests goes back.
        made.edit(99)
        done = made.apply("--skip-tests")
        assert done.code == 1 and done.json["outcome"] == "rolled_back" and done.json["failed_step"] == "smoke" and ask(url) == 2, done
        assert made.status()["ok"], made.status()
        back = made.sabir("rollback", "--yes", "--json")
        assert back.code == 0 and back.json["release"]["id"] == "r1" and ask(url) == 1, back
        last = made.current()["pid"]
        gone = made.sabir("destroy", "--yes")
        assert gone.code == 0, gone
        eventually(lambda: not alive(last))
        assert made.status()["running"] == "nothing" and made.status()["ok"]
        # No secret is in what Terraform keeps.
        for file in (made.folder / "terraform").rglob("*"):
            assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_a_release_that_does_not_start_leaves_the_one_before_serving(machine):
    with preview(machine) as made:
        url = made.apply("--skip-tests").json["url"]
        first = made.current()["pid"]
        # Started, it would not even read its configuration. `sabir check` does not look at what serve alone reads.
        start = made.project / "deploy/terraform/preview/start.sh"
        good = start.read_text()
        start.write_text(good.replace('serve --json --env', 'serve --no-such-option --env'))
        made.edit(2)
        done = made.apply("--skip-tests")
        assert done.code == 1 and done.json["failed_step"] == "activate" and done.json["outcome"] == "failed" and "ended before it was ready" in done.err, done
        # Nothing else can start now, the old release neither: but what served still does.
        assert ask(url) == 1 and alive(first)
        start.write_text(good)
        status = made.status()
        assert status["live"]["id"] == "r1", status
        done = made.sabir("rollback", "--yes", "--json")
        assert done.code == 0 and ask(url) == 1 and made.status()["ok"], done
        made.edit(3)
        assert made.apply("--skip-tests").code == 0 and ask(url) == 3


def test_what_is_wrong_is_said_before_anything_is_changed(machine):
    with preview(machine) as made:
        config = made.project / "config/deployment_config.yml"
        config.write_text("environments:\n  preview: {target: terraform, variables: {prot: 80}}\n")
        done = made.sabir("plan")
        assert done.code == 1 and "config/deployment_config.yml:2:44: the module has no variable 'prot'" in done.err and "port" in done.err, done
        config.write_text("environments:\n  preview: {target: terraform, module: deploy/none}\n")
        done = made.sabir("apply", "--yes")
        assert done.code == 1 and "deploy/none has no Terraform files" in done.err, done
        config.write_text("environments:\n  preview: {target: terraform, program: no-such-terraform}\n")
        done = made.sabir("apply", "--yes")
        assert done.code == 1 and "neither terraform nor tofu is installed" in done.err, done
        config.write_text("environments:\n  preview: {target: terraform}\n")
        (made.project / "deploy/terraform/preview/more.tf").write_text('resource "terraform_data" "x" {\n  input = var.nothing\n}\n')
        done = made.sabir("plan")
        assert done.code == 1 and "Reference to undeclared input variable" in done.err, done
