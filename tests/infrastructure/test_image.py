"""The target docker with podman and without root: an image of the generated Dockerfile, built on a base of debootstrap's, run, exchanged, taken back."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
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
def packer():
    """Who builds and runs images, with a store of its own and the base in it; how to reach the registries is this machine's."""
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
    folder = Path(tempfile.mkdtemp(prefix="sabir-image-"))
    folder.chmod(0o755)
    made = Packer(folder)
    try:
        with open(folder / "base.tar", "wb") as pack:
            subprocess.run(["tar", "-C", str(BASE), "-c", "."], check=True, stdout=pack, timeout=300)
        done = made("podman", "import", str(folder / "base.tar"), "localhost/debian-base:12")
        (folder / "base.tar").unlink()
        if done.returncode == 0:
            done = made("podman", "run", "--rm", "--network", "host", "--no-healthcheck", "localhost/debian-base:12", "apt-get", "update")
        if done.returncode != 0:
            pytest.skip("no container of a plain Debian runs here without root, or none reaches a registry: " + done.stdout[-1000:])
        yield made
    finally:
        made("podman", "rm", "--all", "--force", "--time", "1")
        made("podman", "unshare", "rm", "-rf", str(folder / "home"))
        # What keeps the user's namespace for the next command.
        for file in (folder / "run").rglob("pause.pid"):
            os.kill(int(file.read_text()), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


class Packer:
    """A user without rights, with 65,536 user ids below its own, as adduser makes one; known in a mount namespace alone, so that this machine has no such user."""

    ID = 12345

    def __init__(self, folder):
        self.folder = folder
        for name in ("home", "run"):
            (folder / name).mkdir()
            os.chown(folder / name, self.ID, self.ID)
        (folder / "run").chmod(0o700)
        write(folder / "passwd", Path("/etc/passwd").read_text() + "packer:x:%d:%d::%s/home:/bin/bash\n" % (self.ID, self.ID, folder))
        write(folder / "group", Path("/etc/group").read_text() + "packer:x:%d:\n" % self.ID)
        for name in ("subuid", "subgid"):
            write(folder / name, "packer:300000:65536\n")
        # Layers by the kernel's overlay where it has that for users: copies of all files take four times as long.
        tried = [folder / name for name in ("lower", "upper", "work", "merged")]
        for one in tried:
            one.mkdir()
        overlays = subprocess.run(["unshare", "-Urm", "mount", "-t", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s" % tuple(tried[:3]), "tried", str(tried[3])], stderr=subprocess.DEVNULL, timeout=30)
        driver = "vfs" if overlays.returncode != 0 else "overlay"
        write(folder / "storage.conf", '[storage]\ndriver = "%s"\ngraphroot = "%s/home/images"\nrootless_storage_path = "%s/home/images"\nrunroot = "%s/run/containers"\n' % (driver, folder, folder, folder))
        # A machine without systemd and with the cgroups of version 1 beside those of version 2, as in a sandbox, wants runc.
        write(folder / "containers.conf", '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n%s'
              % ('runtime = "runc"\n' if shutil.which("runc", path=os.environ["PATH"] + ":/usr/sbin") else ""))
        write(folder / "as_packer.sh", "set -e\nfor name in passwd group subuid subgid; do\n  [ -e /etc/$name ] || touch /etc/$name\n  mount --bind %s/$name /etc/$name\ndone\n"
              # Elsewhere anyone may use it; in a sandbox it may be root's alone.
              "if [ -c /dev/net/tun ]; then\n  mknod -m 666 /tmp/tun-$$ c 10 200\n  mount --bind /tmp/tun-$$ /dev/net/tun\n  rm -f /tmp/tun-$$\nfi\n"
              "exec setpriv --reuid %d --regid %d --clear-groups -- \"$@\"\n" % (folder, self.ID, self.ID))
        self.prefix = ["unshare", "--mount", "bash", str(folder / "as_packer.sh")]
        self.environment = {"HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(folder / "run"), "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
                            "CONTAINERS_CONF": str(folder / "containers.conf"), "BUILDAH_ISOLATION": "chroot", "PATH": os.environ["PATH"]}

    def __call__(self, *words, env=None):
        return subprocess.run([*self.prefix, *words], env={**self.environment, **(env or {})}, cwd=self.folder, text=True, errors="replace", timeout=600,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("network", ["own", "host"])
def test_an_image_is_built_run_exchanged_and_taken_back_without_root(binary, made_projects, packer, network):
    if network == "own":
        done = packer("podman", "run", "--rm", "--no-healthcheck", "localhost/debian-base:12", "true")
        if done.returncode != 0:
            pytest.skip("no container has a network of its own here: " + done.stdout[-1000:])
    project = packer.folder / network / "shop"
    shutil.copytree(made_projects("shell"), project, symlinks=True)
    engine = packer.folder / "sabir"
    shutil.copy(binary, engine)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    write(project / "config/deployment_config.yml",
          "environments:\n  staging: {target: docker, port: %d, %ssmoke: false, health: 60s, build_args: {BASE_IMAGE: 'localhost/debian-base:12'}}\n" % (port, "network: host, " if network == "host" else ""))
    write(project / "config/grants.yml", "functions:\n  backups.last: [bank_key]\n")
    subprocess.run(["chown", "-R", "%d:%d" % (packer.ID, packer.ID), str(project)], check=True, timeout=60)

    def sabir(*words):
        return packer("env", "-C", str(project), str(engine), *words, env={"BANK_KEY": "bank-value-1234", "NO_COLOR": "1"})

    def deploy(*words):
        return sabir("deploy", *words, "--env", "staging")

    def ready():
        with urllib.request.urlopen("http://127.0.0.1:%d/readyz" % port, timeout=10) as answer:
            return json.load(answer)

    assert "rootless: true" in packer("podman", "info").stdout
    done = sabir("deploy", "init", "docker")
    assert done.returncode == 0, done.stdout
    if network == "own":
        # Others may reach it there, so it wants a token before it starts; the command that makes one is in the message.
        done = deploy("apply", "--yes")
        assert done.returncode == 1 and "others can reach this server" in done.stdout, done.stdout
        command = re.search(r"^ +(podman run --rm --volume .*)$", done.stdout, re.M).group(1)
        token = packer("sh", "-c", command).stdout
        token = re.search(r"\bsabir_\w{20,}", token).group(0)
    done = deploy("apply", "--yes")
    assert done.returncode == 0, done.stdout
    assert ready()
    if network == "own":
        asked = urllib.request.Request("http://127.0.0.1:%d/functions" % port, headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen("http://127.0.0.1:%d/functions" % port, timeout=10)
    inspected = json.loads(packer("podman", "container", "inspect", "shop-staging").stdout)[0]
    assert inspected["Config"]["User"] == "10001:10001"
    # The first process in it is an init, which clears away what functions leave behind; none of them has another user.
    listed = packer("podman", "exec", "shop-staging", "sh", "-c", "cat /proc/1/comm; stat -c %u /proc/[0-9]*").stdout.split()
    assert listed[0] == "tini" and set(listed[1:]) == {"10001"}, listed
    image = inspected["ImageName"]
    history = packer("podman", "image", "inspect", image).stdout + packer("podman", "history", "--no-trunc", image).stdout
    assert "bank-value-1234" not in history and "readyz" in history
    # Nothing secret is in any layer's files, and nothing of git.
    listed = packer("podman", "run", "--rm", "--network", "host", "--no-healthcheck", image, "ls", "-a", "/srv/shop", "/srv/shop/config").stdout
    assert "deployment_config.yml" in listed and "secrets.json" not in listed.replace("secrets.example.json", "") and ".git\n" not in listed and "sabir-engine" not in listed
    first = json.loads(deploy("status", "--json").stdout)
    assert first["running"] == "yes" and first["ok"] and first["answers"], first
    # One that does not come up is taken back.
    write(project / "functions/shell/more.sh", "#!/usr/bin/env bash\n# More.\n#\n# Effect: read\nmore() {\n  echo more\n}\n")
    dockerfile = (project / "Dockerfile").read_text()
    write(project / "Dockerfile", dockerfile + 'ENTRYPOINT ["/bin/false"]\n')
    done = deploy("apply", "--yes")
    # With a network of its own it is tried beside what answers, which does not stop then.
    assert done.returncode == 1 and ("started again" in done.stdout) == (network == "host") and "ended" in done.stdout and ready(), done.stdout
    assert json.loads(deploy("status", "--json").stdout)["answers"] == first["answers"]
    write(project / "Dockerfile", dockerfile)
    assert "more.sh" in deploy("plan").stdout
    done = deploy("destroy", "--yes")
    assert done.returncode == 0, done.stdout
    with pytest.raises(OSError):
        ready()
    packer("podman", "volume", "rm", "shop-staging-state")


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
