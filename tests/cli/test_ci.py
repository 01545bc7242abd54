"""sabir ci: the workflow that GitHub runs, the same steps here, and the check before each commit."""
import json
import re
import subprocess

import pytest
from harness import ROOT, write

ACTIONLINT = ROOT / "build" / "oracles" / "actionlint" / "actionlint"


def git(folder, *words, **options):
    return subprocess.run(["git", "-c", "user.email=t@example.org", "-c", "user.name=t", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def steps_of(workflow):
    """Those of the job that tests; what deploys is its own."""
    return re.findall(r"^      - run: (sabir .*)$", workflow.read_text().split("\n  deploy-")[0], re.M)


def lint(*workflows):
    if not ACTIONLINT.exists():
        return
    done = subprocess.run([str(ACTIONLINT), "-shellcheck=", "-pyflakes=", *map(str, workflows)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not ACTIONLINT.exists(), reason="actionlint is installed where CI=true script/setup ran and found Go 1.24 or newer")
def test_actionlint_finds_nothing_in_any_language_s_workflow_and_something_in_a_broken_one(machine):
    everything = "python,ruby,cpp,node,go,php,java,rust,shell"
    for languages in (everything, *everything.split(",")):
        folder = machine.folder / ("p_" + languages.replace(",", ""))
        assert machine.sabir("new", folder, "--languages", languages).code == 0
        lint(folder / ".github/workflows/ci.yml")
    broken = folder / ".github/workflows/ci.yml"
    write(broken, broken.read_text().replace("runs-on: ubuntu-24.04", "runs-on: ubuntu-1"))
    with pytest.raises(AssertionError):
        lint(broken)


def test_a_workflow_is_pinned_has_least_permissions_and_no_secrets(project):
    text = (project / ".github/workflows/ci.yml").read_text()
    uses = re.findall(r"uses: (\S+)", text)
    assert uses and all(re.fullmatch(r"(actions/[a-z-]+|hashicorp/setup-terraform)@[0-9a-f]{40}", one) for one in uses), uses
    assert "permissions:\n  contents: read\n" in text and "persist-credentials: false" in text and "{{ secrets." not in text
    # Production comes after staging, behind its own environment's approval; neither runs for a pull request, nor is cut off half-way.
    jobs = dict(re.findall(r"^  ([a-z-]+):\n((?:    .*\n|\n)+)", text[text.index("jobs:"):], re.M))
    assert list(jobs) == ["test", "deploy-staging", "deploy-production"]
    for environment, after in (("staging", "test"), ("production", "deploy-staging")):
        job = jobs["deploy-" + environment]
        assert "needs: %s\n" % after in job and "environment: %s\n" % environment in job and "cancel-in-progress: false" in job
        assert "github.event_name == 'push' && github.ref == 'refs/heads/main'" in job and "sabir deploy apply --env %s --yes" % environment in job
    assert "id-token" not in jobs["test"]
    assert "pull_request:" in text and "pull_request_target" not in text and "fetch-depth: 0" in text


def test_init_writes_what_new_wrote_and_over_nothing_that_was_changed(machine, project):
    workflow = project / ".github/workflows/ci.yml"
    before = workflow.read_text()
    done = machine.sabir("ci", "init", "--json", cwd=project)
    assert done.code == 0 and done.json["changed"] is False and workflow.read_text() == before, done
    write(workflow, before.replace("timeout-minutes: 30", "timeout-minutes: 31"))
    done = machine.sabir("ci", "init", cwd=project)
    assert done.code == 1 and "--force" in done.err and "31" in workflow.read_text(), done
    assert machine.sabir("ci", "init", "--force", cwd=project).code == 0 and workflow.read_text() == before
    # A language more.
    write(project / "functions/go/more.go", "package functions\n")
    machine.sabir("ci", "init", "--force", cwd=project)
    assert "~/.cache/go-build" in workflow.read_text() and "~/.cache/go-build" not in before


def test_in_a_monorepo_it_stands_at_git_s_root_with_the_folder_and_paths(machine):
    root = machine.folder / "mono"
    root.mkdir()
    git(root, "init", "-q")
    assert machine.sabir("new", root / "apps/desk", "--languages", "python").code == 0
    done = machine.sabir("ci", "init", "--json", cwd=root / "apps/desk")
    workflow = root / ".github/workflows/ci-desk.yml"
    text = workflow.read_text()
    assert done.json["folder"] == "apps/desk" and "working-directory: apps/desk" in text, done
    assert text.count('paths: ["apps/desk/**", ".github/workflows/ci-desk.yml"]') == 2 and "path: apps/desk/.sabir/junit.xml" in text
    lint(workflow)


def test_run_does_the_workflow_s_steps_and_stops_at_the_first_that_fails(machine):
    project = machine.folder / "small"
    assert machine.sabir("new", project, "--languages", "shell").code == 0
    git(project, "init", "-q")
    done = machine.sabir("ci", "run", "--json", cwd=project, timeout=300)
    assert done.code == 0 and done.json["passed"], done
    assert [one["step"] for one in done.json["steps"]] == steps_of(project / ".github/workflows/ci.yml")
    assert (project / ".sabir/junit.xml").exists()
    write(project / "functions/shell/broken.sh", "#!/usr/bin/env bash\n# Breaks.\nbreaks() {\n")
    done = machine.sabir("ci", "run", cwd=project, timeout=300)
    assert done.code == 1 and "'sabir check' exited with status 1" in done.err and "secrets scan" not in done.text, done


def test_the_hook_keeps_a_broken_file_and_a_secret_from_being_committed(machine, project):
    assert "git init" in machine.sabir("ci", "hook", cwd=project).err
    git(project, "init", "-q")
    done = machine.sabir("ci", "hook", "--json", cwd=project)
    assert done.code == 0 and done.json["file"].endswith("pre-commit"), done
    machine.sabir("secrets", "set", "some_key", cwd=project, input="s3cret-value-for-hooks")
    git(project, "add", "-A")
    commit = lambda: git(project, "commit", "-qm", "x", env=machine.env)  # noqa: E731
    assert commit().returncode == 0
    write(project / "functions/python/bad.py", "def f(:\n")
    git(project, "add", "-A")
    done = commit()
    assert done.returncode != 0 and "functions/python/bad.py:1" in done.stdout, done.stdout
    write(project / "functions/python/bad.py", 'KEY = "s3cret-value-for-hooks"\n')
    git(project, "add", "-A")
    done = commit()
    assert done.returncode != 0 and "functions/python/bad.py:1: error: the secret some_key" in done.stdout, done.stdout
    assert machine.sabir("ci", "hook", "--remove", cwd=project).code == 0 and commit().returncode == 0
    hook = project / ".git/hooks/pre-commit"
    write(hook, "#!/bin/sh\ntrue\n")
    done = machine.sabir("ci", "hook", cwd=project)
    assert done.code == 1 and "somebody else's" in done.err and hook.read_text() == "#!/bin/sh\ntrue\n", done
    assert machine.sabir("ci", "hook", "--remove", cwd=project).code == 1
    assert json.loads(machine.sabir("ci", "hook", "--force", "--json", cwd=project).out)["removed"] is False
