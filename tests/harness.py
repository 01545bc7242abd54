"""Runs the built binary as a user would, in a machine of its own: its own home, cache and runtime folders.

The binary is $SABIR_BIN, else build/release/sabir, else build/dev/sabir.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Whatever a shell of a developer has set must not decide what a test sees.
OWN = ("SABIR_", "XDG_", "OPENAI_", "WEATHER_", "OTEL_", "TRACEPARENT", "BUNDLE_", "RUBYLIB", "RUBYOPT", "PYTHONPATH", "PYTEST_", "VIRTUAL_ENV")


# A sanitizer keeps freed memory for a while, and answers signals itself.
SANITIZED = bool(os.environ.get("ASAN_OPTIONS") or os.environ.get("TSAN_OPTIONS"))


def find_binary():
    given = os.environ.get("SABIR_BIN")
    if given:
        return Path(given).resolve() if Path(given).is_file() else None
    for preset in ("release", "dev"):
        path = ROOT / "build" / preset / "sabir"
        if path.is_file():
            return path
    return None


def node():
    """A Node.js of version 22.7 or newer: the machine's, else the one that script/setup has put beside this Python."""
    for program in (shutil.which("node"), str(Path(sys.executable).parent / "node")):
        if program and os.path.exists(program):
            version = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, timeout=20).stdout
            if tuple(int(part) for part in version.strip().lstrip("v").split(".")[:2]) >= (22, 7):
                return program
    raise AssertionError("no Node.js 22.7 or newer: script/setup installs one")


class Done:
    """What a command left: code, out, err."""

    def __init__(self, command, code, out, err, seconds):
        self.command, self.code, self.out, self.err, self.seconds = command, code, out, err, seconds

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return "$ %s\nexit %s after %.1f s\n--- out\n%s\n--- err\n%s" % (
            " ".join(map(str, self.command)), self.code, self.seconds, self.out, self.err)


def _listen_to_interrupts():
    """A shell's background job ignores SIGINT, and what it starts inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Machine:
    """A folder that plays a user's machine."""

    def __init__(self, folder, binary, cache):
        self.folder = folder
        self.binary = binary
        home, runtime, self.bin = folder / "home", folder / "run", folder / "bin"
        for made in (home, runtime, self.bin):
            made.mkdir(parents=True)
        runtime.chmod(0o700)
        (self.bin / "sabir").symlink_to(binary)
        # Commands behave differently in CI; a test of that says so itself.
        env = {name: value for name, value in os.environ.items() if not name.startswith(OWN) and name != "CI"}
        # The Python that runs this comes first: version managers' shims need the real home.
        python = str(Path(sys.executable).resolve().parent)
        env.update(HOME=str(home), XDG_CACHE_HOME=str(cache), XDG_RUNTIME_DIR=str(runtime), XDG_DATA_HOME=str(folder / "data"),
                   PATH=os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), python, env.get("PATH", "")]),
                   LANG="C.UTF-8", NO_COLOR="1", PYTHONDONTWRITEBYTECODE="1",
                   # Go's standard library is compiled once, by script/setup, and not for every machine.
                   GOCACHE=str(ROOT / "build" / "go-cache"))
        # Cargo's downloads serve every machine, and rustup's own commands need the real home too.
        home = Path(os.path.expanduser("~"))
        env.setdefault("CARGO_HOME", str(home / ".cargo"))
        if (home / ".rustup").is_dir():
            env.setdefault("RUSTUP_HOME", str(home / ".rustup"))
        self.env = env
        self.started = []

    def use_node(self):
        """Puts a Node.js that is new enough first on PATH."""
        (self.bin / "node").symlink_to(node())

    def use_rust(self):
        """Compiles Rust's describe program now, which has 30 s when the engine asks for it: a busy machine may need more."""
        done = self.run("sh", ROOT / "languages/rust/run.sh", "cargo", "describe", input='{"version": 1, "files": []}', timeout=300)
        assert done.code == 0, done

    def run(self, *command, cwd=None, env=None, input=None, timeout=120):
        """One command to its end; what it started goes with it."""
        start = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], cwd=str(cwd or self.folder), env=dict(self.env, **(env or {})),
                                   stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", start_new_session=True)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            out, err = process.communicate()
            raise AssertionError("no end after %d s: %r" % (timeout, Done(command, None, out, err, timeout)))
        return Done(command, process.returncode, out, err, time.monotonic() - start)

    def sabir(self, *arguments, **options):
        return self.run(self.binary, *arguments, **options)

    def start(self, *command, cwd, env=None):
        """A command that goes on; ended by stop()."""
        process = subprocess.Popen([str(word) for word in command], cwd=str(cwd), env=dict(self.env, **(env or {})),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True, preexec_fn=_listen_to_interrupts)
        self.started.append(process)
        return process

    def start_engine(self, project, env=None):
        """A running engine of the project; returns its process once it answers."""
        environment = dict(self.env, **(env or {})).get("SABIR_ENV", "development")
        process = self.start(self.binary, "engine", "run", cwd=project, env=env)
        published = project / ".sabir" / environment / "engine.json"
        # A compiled describe program may be compiled first.
        for _ in range(1200):
            if process.poll() is not None:
                raise AssertionError("the engine ended with status %s: %s" % (process.returncode, process.stderr.read()))
            if published.is_file():
                return process
            time.sleep(0.05)
        raise AssertionError("the engine did not publish %s" % published)

    def stop(self):
        for process in self.started:
            _kill(process)
            process.wait()
            process.stdout.close()
            process.stderr.close()


def _kill(process):
    try:
        os.killpg(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def children(pid):
    """The pids of a process's children, with each one's state letter and command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            fields = stat[stat.rindex(")") + 2:].split()
            if int(fields[1]) == pid:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.append((int(entry.name), fields[0], command))
        except (OSError, ValueError):
            continue
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found.append(child)
        found.extend(descendants(child[0]))
    return found


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def has(program):
    return shutil.which(program) is not None
