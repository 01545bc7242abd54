"""The target docker with podman: an image of the generated Dockerfile, built without a registry on a base of debootstrap's, run, exchanged, taken back."""
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from harness import write

pytestmark = [
    pytest.mark.skipif(os.environ.get("CI") != "true", reason="takes minutes: with CI=true only"),
    pytest.mark.skipif(not (shutil.which("podman") and shutil.which("debootstrap")) or os.getuid() != 0, reason="podman and debootstrap are installed where CI=true script/setup ran"),
]
BASE = Path("/var/tmp/sabir-test-base")
CONFIGURATION = ["/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/apt.conf.d", "/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"]


def group_of(item):
    return "image"


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    """An environment with an own store of images and the base in it; how to reach the registries is this machine's."""
    if not (BASE / ".ready").exists():
        shutil.rmtree(BASE, ignore_errors=True)
        # Where this machine has Debian itself from.
        policy = subprocess.run(["apt-cache", "policy", "base-files"], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
        mirror = re.search(r"(https?://\S+) bookworm/main", policy).group(1)
        subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(BASE), mirror], check=True, stdout=subprocess.DEVNULL, timeout=900)
        for name in CONFIGURATION:
            source, target = Path(name), BASE / name[1:]
            if source.is_dir():
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(source, target)
            elif source.exists():
                shutil.copy(source, target)
        (BASE / ".ready").touch()
    folder = tmp_path_factory.mktemp("podman")
    write(folder / "storage.conf", '[storage]\ndriver = "vfs"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' % (folder, folder))
    write(folder / "containers.conf", '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n%s'
          % ('runtime = "runc"\n' if shutil.which("runc") else ""))
    environment = {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "CONTAINERS_CONF": str(folder / "containers.conf"), "BUILDAH_ISOLATION": "chroot"}

    def run(*words, **options):
        return subprocess.run(["podman", *words], env={**os.environ, **environment}, text=True, timeout=600, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    pack = subprocess.Popen(["tar", "-C", str(BASE), "-c", "."], stdout=subprocess.PIPE)
    done = run("import", "-", "localhost/debian-base:12", stdin=pack.stdout)
    assert pack.wait() == 0 and done.returncode == 0, done.stdout
    run.environment = environment
    yield run
    run("rm", "--all", "--force", "--time", "1")
    subprocess.run(["umount", "-R", str(folder / "graph")], stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(os.environ.get("SABIR_CONTAINERS") != "true", reason="takes five minutes and a kernel that runs containers with a network: SABIR_CONTAINERS=true tries it")
def test_an_image_is_built_run_exchanged_and_taken_back(machine, made_projects, podman):
    project = machine.folder / "shop"
    shutil.copytree(made_projects("shell"), project, symlinks=True)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    write(project / "config/deployment_config.yml",
          "environments:\n  staging: {target: docker, port: %d, network: host, smoke: false, health: 60s, build_args: {BASE_IMAGE: 'localhost/debian-base:12'}}\n" % port)
    machine.env.update(podman.environment, XDG_STATE_HOME=str(machine.folder / "state"), BANK_KEY="bank-value-1234")
    write(project / "config/grants.yml", "functions:\n  backups.last: [bank_key]\n")
    assert machine.sabir("deploy", "init", "docker", cwd=project).code == 0

    def deploy(*words):
        return machine.sabir("deploy", *words, "--env", "staging", cwd=project, timeout=900)

    def ready():
        with urllib.request.urlopen("http://127.0.0.1:%d/readyz" % port, timeout=10) as answer:
            return json.load(answer)

    try:
        done = deploy("apply", "--yes")
        assert done.code == 0, done
        assert ready()
        inspected = json.loads(podman("container", "inspect", "shop-staging").stdout)[0]
        assert inspected["Config"]["User"] == "10001:10001"
        image = inspected["ImageName"]
        history = podman("image", "inspect", image).stdout + podman("history", "--no-trunc", image).stdout
        assert "bank-value-1234" not in history and "readyz" in history
        # Nothing secret is in any layer's files, and nothing of git.
        listed = podman("run", "--rm", "--network", "host", "--no-healthcheck", image, "ls", "-a", "/srv/shop", "/srv/shop/config").stdout
        assert "secrets.json" not in listed.replace("secrets.example.json", "") and ".git\n" not in listed and "sabir-engine" not in listed
        first = deploy("status", "--json").json
        # One that does not come up is taken back.
        write(project / "functions/shell/more.sh", "#!/usr/bin/env bash\n# More.\n#\n# Effect: read\nmore() {\n  echo more\n}\n")
        dockerfile = (project / "Dockerfile").read_text()
        write(project / "Dockerfile", dockerfile.replace('"sabir", "serve"', '"sabir", "serv"') + "ENTRYPOINT [\"/bin/false\"]\n")
        done = deploy("apply", "--yes")
        assert done.code == 1 and "started again" in done.text and ready(), done
        assert deploy("status", "--json").json == first or deploy("status").code == 0
        write(project / "Dockerfile", dockerfile)
        assert "more.sh" in deploy("plan").text
        done = deploy("destroy", "--yes")
        assert done.code == 0, done
        with pytest.raises(OSError):
            ready()
    finally:
        podman("rm", "--all", "--force", "--time", "1")


def test_what_is_missing_is_told_with_the_command_that_installs_it(machine, made_projects):
    project = machine.folder / "shop"
    shutil.copytree(made_projects("shell"), project, symlinks=True)
    write(project / "config/deployment_config.yml", "environments:\n  staging: {target: docker}\n")
    done = machine.sabir("deploy", "plan", "--env", "staging", cwd=project)
    assert done.code == 1 and "sabir deploy init docker" in done.text, done
    assert machine.sabir("deploy", "init", "docker", cwd=project).code == 0
    bare = machine.folder / "bare"
    bare.mkdir()
    for program in ("bash", "git", "sh"):
        (bare / program).symlink_to(shutil.which(program))
    done = machine.sabir("deploy", "plan", "--env", "staging", cwd=project, env={"PATH": str(bare)})
    assert done.code == 1 and "apt-get install podman" in done.text, done
