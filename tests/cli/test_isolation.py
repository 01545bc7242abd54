"""Sandboxed functions: what a hostile one tries is refused, and what an honest one needs works, in several languages."""
import json
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest
from harness import descendants, has, write

HOSTILE = r'''
"""Tries what it should not be able to do."""
import ctypes
import errno
import os
import socket
import sys
import tempfile
import time

libc = ctypes.CDLL(None, use_errno=True)
CALLS = {"io_uring_setup": (425, 8, 0), "ptrace": (101, 0x4206, 0, 0, 0), "process_vm_readv": (310, 0, 0, 0, 0, 0, 0),
         "process_vm_writev": (311, 0, 0, 0, 0, 0, 0), "bpf": (321, 0, 0, 0), "keyctl": (250, 0, 0, 0), "mount": (165, 0, 0, 0, 0, 0),
         "unshare": (272, 0x04000000), "setns": (308, 0, 0), "clone": (56, 0x10000000 | 17, 0, 0, 0, 0),
         "perf_event_open": (298, 0, 0, 0, 0, 0), "userfaultfd": (323, 0), "kexec_load": (246, 0, 0, 0, 0), "memfd_create": (319, 0, 0)}


def look(path: str) -> str:
    """Reads a file.

    Effect: read
    """
    try:
        with open(path, "rb") as file:
            return "done: %d bytes" % len(file.read(100))
    except OSError as error:
        return "refused: %s" % errno.errorcode[error.errno]


def put(path: str, text: str = "x") -> str:
    """Writes a file."""
    try:
        with open(path, "w") as file:
            file.write(text)
        return "done"
    except OSError as error:
        return "refused: %s" % errno.errorcode[error.errno]


def connect(kind: str, where: str) -> str:
    """Connects to tcp HOST:PORT, unix PATH or abstract NAME.

    Effect: read
    """
    try:
        if kind == "tcp":
            host, port = where.split(":")
            peer = socket.create_connection((host, int(port)), timeout=3)
        else:
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(where if kind == "unix" else "\0" + where)
        peer.close()
        return "done"
    except OSError as error:
        return "refused: %s" % errno.errorcode.get(error.errno, error)


def system_call(name: str) -> str:
    """Makes a system call with arguments that are of no use, so that nothing happens where it is allowed.

    Effect: read
    """
    number, *rest = CALLS[name]
    if name == "ptrace":
        child = os.fork()
        if child == 0:
            time.sleep(5)
            os._exit(0)
        rest[1] = child
    if name.startswith("process_vm"):
        rest[0] = os.getpid()
    words = [ctypes.c_long(one) for one in rest]
    if name == "memfd_create":
        words[0] = ctypes.c_char_p(b"x")
    result = libc.syscall(number, *words)
    number = ctypes.get_errno()
    if name == "ptrace":
        os.kill(child, 9)
        os.waitpid(child, 0)
    if name == "clone" and result == 0:
        os._exit(0)
    return "done" if result >= 0 else "refused: %s" % errno.errorcode[number]


def signal_to(pid: int) -> str:
    """Asks whether a process could be sent a signal.

    Effect: read
    """
    try:
        os.kill(pid, 0)
        return "done"
    except OSError as error:
        return "refused: %s" % errno.errorcode[error.errno]


def see() -> dict:
    """What is around.

    Effect: read
    """
    return {"environment": sorted(os.environ), "processes": [name for name in os.listdir("/proc") if name.isdigit()],
            "root": sorted(os.listdir("/")), "project": sorted(os.listdir(os.environ["SABIR_PROJECT"])), "uid": os.getuid(),
            "config": sorted(os.listdir(os.environ["SABIR_PROJECT"] + "/config"))}


def fill(megabytes: int) -> str:
    """Fills the folder for temporary files.

    Effect: read
    """
    with tempfile.TemporaryFile() as file:
        try:
            for _ in range(megabytes):
                file.write(b"x" * (1 << 20))
            return "done"
        except OSError as error:
            return "refused: %s" % errno.errorcode[error.errno]


def take(megabytes: int) -> str:
    """Takes memory.

    Effect: read
    """
    kept = []
    try:
        for _ in range(megabytes):
            kept.append(b"x" * (1 << 20))
            if len(kept) % 100 == 0:
                time.sleep(0.02)
    except MemoryError:
        return "refused: MemoryError"
    time.sleep(0.3)
    return "done"


def breed(count: int) -> str:
    """Starts processes that stay.

    Effect: read
    """
    started = []
    outcome = "done"
    for _ in range(count):
        try:
            child = os.fork()
        except OSError as error:
            outcome = "refused: %s" % errno.errorcode[error.errno]
            break
        if child == 0:
            time.sleep(60)
            os._exit(0)
        started.append(child)
    time.sleep(0.5)
    for child in started:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return outcome


def _multiply():
    # Without end, but for one: were the bound under test not there, the machine has to outlive this test.
    while True:
        if sum(name.isdigit() for name in os.listdir("/proc")) < 400:
            try:
                os.fork()
            except OSError:
                pass
        else:
            time.sleep(0.05)


def bomb() -> str:
    """Each process starts others, without end.

    Effect: read
    """
    _multiply()


def bomb_later() -> str:
    """Answers, and leaves a process behind that starts others without end.

    Effect: read
    """
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.3)
        _multiply()
    return "done"


def shout(megabytes: int) -> str:
    """Prints much.

    Effect: read
    """
    for _ in range(megabytes * 1024):
        print("x" * 1023)
    sys.stdout.flush()
    return "done"
'''
HONEST = '''
def fine(number: int) -> int:
    """Adds one.

    Effect: read
    """
    return number + 1
'''


def sandboxes_work():
    """Asks bwrap itself, not the engine."""
    command = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib",
               "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "true"]
    return has("bwrap") and subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20).returncode == 0


def configure(project, text):
    config = project / "sabir.yml"
    kept = [line for line in config.read_text().splitlines() if not line.startswith("environment:")]
    config.write_text("\n".join(kept) + "\n" + text + "\n")


@pytest.fixture
def hostile(project):
    write(project / "functions/python/hostile.py", HOSTILE)
    write(project / "functions/python/honest.py", HONEST)
    write(project / "config/secrets.json", '{"KEY": "value"}').chmod(0o600)
    write(project / "config/secrets.json.old", '{"KEY": "value"}')
    write(project / ".git/HEAD", "ref: refs/heads/main\n")
    write(project / ".env", "KEY=value\n")
    return project


class Session:
    """A running engine, calls of its functions, and what they might reach."""

    def __init__(self, machine, project):
        self.machine, self.project = machine, project
        self.engine = machine.start_engine(project, env={"SHOP_TOKEN": "token"})
        self.log = []
        for pipe in (self.engine.stdout, self.engine.stderr):
            threading.Thread(target=lambda p=pipe: self.log.append(p.read()), daemon=True).start()
        self.socket = json.loads((project / ".sabir/development/engine.json").read_text())["socket"]
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract_name = "sabir-test-%d" % os.getpid()
        self.abstract.bind("\0" + self.abstract_name)
        self.abstract.listen(5)

    def call(self, address, code=0, **arguments):
        words = ["%s:=%s" % (name, json.dumps(value)) for name, value in arguments.items()]
        done = self.machine.sabir("call", address, *words, "--json", cwd=self.project)
        assert done.code == code, done
        return done.json

    def attempts(self):
        project, home = self.project, self.machine.folder / "home"
        write(home / "notes", "mine\n")
        return {"secrets": ("look", {"path": str(project / "config/secrets.json")}),
                "old secrets": ("look", {"path": str(project / "config/secrets.json.old")}),
                "git": ("look", {"path": str(project / ".git/HEAD")}),
                "env": ("look", {"path": str(project / ".env")}),
                "state": ("look", {"path": str(project / ".sabir/development/engine.json")}),
                "home": ("look", {"path": str(home / "notes")}),
                "users": ("look", {"path": "/etc/machine-id" if os.path.exists("/etc/machine-id") else "/etc/debian_version"}),
                "shadow": ("look", {"path": "/etc/shadow"}),
                "engine's environment": ("look", {"path": "/proc/%d/environ" % self.engine.pid}),
                "a function": ("put", {"path": str(project / "functions/python/other.py")}),
                "the project": ("put", {"path": str(project / "other.txt")}),
                "config": ("put", {"path": str(project / "config/other.yml")}),
                "tcp": ("connect", {"kind": "tcp", "where": "127.0.0.1:%d" % self.tcp.getsockname()[1]}),
                "engine's socket": ("connect", {"kind": "unix", "where": self.socket}),
                "abstract": ("connect", {"kind": "abstract", "where": self.abstract_name}),
                "signal": ("signal_to", {"pid": self.engine.pid}),
                "tracing": ("system_call", {"name": "ptrace"}),
                "other memory": ("system_call", {"name": "process_vm_readv"}),
                "another namespace": ("system_call", {"name": "unshare"}),
                "memory file": ("system_call", {"name": "memfd_create"}),
                "filling /tmp": ("fill", {"megabytes": 80}),
                "many processes": ("breed", {"count": 200}),
                "much memory": ("take", {"megabytes": 700})}

    def outcome(self, name, arguments):
        words = ["%s:=%s" % (key, json.dumps(value)) for key, value in arguments.items()]
        done = self.machine.sabir("call", "hostile." + name, *words, "--json", cwd=self.project)
        if done.code == 0:
            return done.json
        error = json.loads(done.out)["error"]
        return "ended: " + error["type"] + " " + error["message"]

    def close(self):
        self.tcp.close()
        self.abstract.close()


@pytest.fixture
def session(machine, hostile):
    opened = []

    def begin(config):
        configure(hostile, config)
        opened.append(Session(machine, hostile))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def test_without_a_sandbox_what_a_hostile_function_tries_succeeds(session):
    begun = session("environment: [SHOP_TOKEN]")
    found = {what: begun.outcome(*attempt) for what, attempt in begun.attempts().items()}
    # What this machine itself forbids even to the engine's user says nothing about the sandbox.
    for what in ("shadow", "another namespace", "tracing"):
        if os.geteuid() != 0:
            found.pop(what)
    refused = {what: outcome for what, outcome in found.items() if not str(outcome).startswith("done")}
    assert refused == {}, refused
    assert "SHOP_TOKEN" in begun.call("hostile.see")["environment"]


def test_in_a_sandbox_all_of_it_is_refused_and_the_engine_goes_on(session):
    begun = session("environment: [SHOP_TOKEN]\nisolation:\n  functions/python/hostile.py: sandbox")
    if not sandboxes_work():
        done = begun.machine.sabir("call", "hostile.see", "--json", cwd=begun.project)
        error = json.loads(done.out)["error"]
        assert done.code == 1 and error["type"] == "unavailable" and "sandbox" in error["message"], done
        return
    assert begun.call("honest.fine", number=1) == 2
    for what, attempt in begun.attempts().items():
        outcome = begun.outcome(*attempt)
        assert str(outcome).startswith("refused") or str(outcome).startswith("ended: limit"), (what, outcome)
        assert begun.call("honest.fine", number=1) == 2
    for name in ("io_uring_setup", "ptrace", "process_vm_readv", "process_vm_writev", "bpf", "keyctl", "mount", "unshare", "setns", "clone",
                 "perf_event_open", "userfaultfd", "kexec_load", "memfd_create"):
        assert begun.outcome("system_call", {"name": name}) == "refused: EPERM", name
    seen = begun.call("hostile.see")
    assert "SHOP_TOKEN" not in seen["environment"] and "SABIR_BIN" not in seen["environment"], seen
    assert len(seen["processes"]) < 6 and str(begun.engine.pid) not in seen["processes"], seen
    assert not {"boot", "opt", "srv", "sys", "run"} & set(seen["root"]) and "functions" in seen["project"], seen
    assert not {".git", ".sabir", ".env"} & set(seen["project"]) and not [name for name in seen["config"] if "secret" in name], seen
    assert begun.engine.poll() is None and not (begun.project / "other.txt").exists()


def test_bombs_in_a_sandbox_leave_the_engine_responsive(session):
    begun = session("isolation:\n  functions/python/hostile.py: {level: sandbox, memory: 200MB, processes: 20}")
    if not sandboxes_work():
        assert begun.call("hostile.see", code=1)["error"]["type"] == "unavailable"
        return
    over, slow = threading.Event(), []

    def others():
        while not over.is_set():
            start = time.monotonic()
            assert begun.call("honest.fine", number=1) == 2
            slow.append(time.monotonic() - start)

    beside = threading.Thread(target=others)
    beside.start()
    try:
        for name, arguments, expected in (("bomb", {}, ("ended: limit", "ended: timeout")), ("take", {"megabytes": 2000}, ("ended: limit", "refused")),
                                          ("shout", {"megabytes": 60}, ("done",))):
            outcome = begun.outcome(name, arguments)
            assert str(outcome).startswith(expected), (name, outcome)
            assert begun.call("hostile.look", path="/etc/hosts").startswith("done"), name
        assert begun.outcome("bomb_later", {}) == "done"
        # What it left behind is ended by the processor time that it takes, of which a busy machine gives little.
        until = time.monotonic() + 60
        while len(descendants(begun.engine.pid)) >= 25 and time.monotonic() < until:
            time.sleep(0.2)
        assert len(descendants(begun.engine.pid)) < 25
        assert begun.call("hostile.look", path="/etc/hosts").startswith("done")
    finally:
        over.set()
        beside.join(60)
    assert slow and sorted(slow)[len(slow) // 2] < 3, slow
    begun.engine.terminate()
    begun.engine.wait(20)
    time.sleep(0.2)
    # Of 60 MB that it printed, the log has a part and says so.
    assert sum(len(text) for text in begun.log) < 40 << 20 and any("were left out" in text for text in begun.log)


GRANTS = '''
isolation:
  functions/python/hostile.py:
    level: sandbox
    paths: {read: [%s], write: [data/out]}
    network: true
    environment: [SHOP_TOKEN]
    tmp: 100MB
    memory: 1GB
'''


def test_what_a_sandbox_is_granted_it_can_use(session, tmp_path):
    outside = write(tmp_path / "prices.txt", "1\n")
    begun = session(GRANTS % tmp_path)
    if not sandboxes_work():
        return
    assert begun.call("hostile.look", path=str(outside)) == "done: 2 bytes"
    assert begun.call("hostile.put", path=str(outside)) == "refused: EROFS"
    assert begun.call("hostile.put", path=str(begun.project / "data/out/new.txt"), text="abc") == "done"
    assert (begun.project / "data/out/new.txt").read_text() == "abc"
    assert begun.call("hostile.put", path=str(begun.project / "data/new.txt")).startswith("refused")
    assert begun.call("hostile.connect", kind="tcp", where="127.0.0.1:%d" % begun.tcp.getsockname()[1]) == "done"
    assert begun.call("hostile.connect", kind="unix", where=begun.socket).startswith("refused")
    assert begun.call("hostile.connect", kind="abstract", where=begun.abstract_name).startswith("refused")
    assert begun.call("hostile.fill", megabytes=80) == "done"
    assert "SHOP_TOKEN" in begun.call("hostile.see")["environment"]


def test_a_link_out_of_the_project_is_no_grant(session, tmp_path):
    begun = session("isolation: {functions/python/hostile.py: {level: sandbox, paths: {read: [data/in]}}}")
    if not sandboxes_work():
        return
    (begun.project / "data").mkdir()
    (begun.project / "data/in").symlink_to(write(tmp_path / "prices.txt", "1\n").parent)
    # The engine may have tried to start a worker before there was anything there, and tries again after a while.
    until = time.monotonic() + 30
    while True:
        error = begun.call("hostile.see", code=1)["error"]
        if "a link leads to" in error["message"] or time.monotonic() > until:
            break
        time.sleep(0.2)
    assert error["type"] == "unavailable" and "a link leads to" in error["message"], error


WRONG = {"isolation: bubble": "isolation cannot be 'bubble'",
         "isolation: {pyhton: sandbox}": "neither a language nor a path",
         "isolation: {functions/python/absent: sandbox}": "there is no functions/python/absent",
         "isolation: {python: {level: sandbox, paths: {read: [../other]}}}": "is no path below",
         "isolation: {python: {level: sandbox, paths: {read: [.git]}}}": "hidden from every sandbox",
         "isolation: {python: {level: sandbox, paths: {read: [config/secrets.json]}}}": "hidden from every sandbox",
         "isolation: {python: {level: sandbox, paths: {write: [functions]}}}": "cannot be granted to write",
         "isolation: {python: {level: sandbox, paths: {read: [/]}}}": "cannot be granted all of /",
         "isolation: {python: {level: sandbox, netwrok: true}}": "netwrok",
         "isolation: {python: {level: process, network: true}}": "a sandbox's",
         "isolation: {functions/python: in_process}": "cannot run inside the engine"}


@pytest.mark.parametrize("config", list(WRONG))
def test_a_mistake_in_the_configuration_is_refused_at_its_line(machine, project, config):
    configure(project, config)
    done = machine.sabir("functions", cwd=project)
    assert done.code == 1 and WRONG[config] in done.err and "sabir.yml:" in done.err, done


def test_where_sandboxes_cannot_be_made_calls_are_refused_and_doctor_says_why(machine, hostile):
    configure(hostile, "isolation: {python: sandbox}")
    write(machine.bin / "bwrap", "#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n").chmod(0o755)
    done = machine.sabir("call", "honest.fine", "number=1", "--json", cwd=hostile)
    error = json.loads(done.out)["error"]
    assert done.code == 1 and error["type"] == "unavailable" and "Creating new namespace failed" in error["message"] and error["hint"], error
    assert machine.sabir("call", "ruby/slugify", "text=A b", cwd=hostile).code == 0
    told = machine.sabir("doctor", cwd=hostile)
    assert told.code == 1 and "Creating new namespace failed" in told.out, told
    (machine.bin / "bwrap").unlink()
    assert machine.sabir("doctor", "--json", cwd=hostile).json["sandbox"]["ok"] == sandboxes_work()


OTHERS = {
    "ruby": ("functions/ruby/boxed.rb", '''
# Reads a file.
#
# @param path [String]
# @return [String]
# @effect read
def look(path)
  File.read(path)
end

# Asks the engine in the middle.
#
# @return [Integer]
def ask
  Sabir.call("python/honest.fine", number: 1)
end
'''),
    "node": ("functions/node/boxed.ts", '''
import { readFileSync } from "node:fs";
import * as sabir from "sabir";

/** Reads a file.
 * @effect read */
export function look(path: string): string {
  return readFileSync(path, "utf8");
}

export function ask(): number {
  return sabir.call("python/honest.fine", { number: 1 }) as number;
}
'''),
    "php": ("functions/php/boxed.php", '''<?php
/**
 * Reads a file.
 * @effect read
 */
function look(string $path): string
{
    $text = @file_get_contents($path);
    if ($text === false) {
        throw new RuntimeException("cannot read");
    }
    return $text;
}

function ask(): int
{
    return Sabir\\call("python/honest.fine", ["number" => 1]);
}
'''),
    "go": ("functions/go/boxed.go", '''package functions

import (
	"context"
	"os"

	"sabir"
)

// Look reads a file.
//
// Effect: read
func Look(path string) (string, error) {
	text, err := os.ReadFile(path)
	return string(text), err
}

func Ask(ctx context.Context) (int, error) {
	return sabir.Call[int](ctx, "python/honest.fine", sabir.Args{"number": 1})
}
'''),
    "cpp": ("functions/cpp/boxed.cpp", '''#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "sabir/sabir.hpp"

// Reads a file.
//
// Effect: read
std::string look(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int ask() { return sabir::call("python/honest.fine", {{"number", 1}}).get<int>(); }
'''),
}
PROGRAMS = {"ruby": "ruby", "php": "php", "go": "go", "cpp": "g++"}


def test_every_language_runs_in_a_sandbox(machine, hostile):
    machine.use_node()
    # What this user's Go has compiled before need not be compiled again.
    machine.env["GOCACHE"] = os.path.expanduser("~/.cache/go-build")
    served = [name for name in OTHERS if name == "node" or has(PROGRAMS[name])]
    assert {"ruby", "node", "cpp"} <= set(served)
    for name in served:
        write(hostile / OTHERS[name][0], OTHERS[name][1].replace("\\\\", "\\"))
    shutil.rmtree(hostile / "functions/ruby/tests", ignore_errors=True)
    configure(hostile, "isolation: sandbox")
    for _ in range(6):
        # What reads Go is compiled first, on a busy machine for longer than an engine waits for it.
        if "took more than" not in machine.sabir("functions", "--json", cwd=hostile, timeout=300).text:
            break
    machine.start_engine(hostile)
    public = write(hostile / "data/public.txt", "hello")
    for name in served + ["python"]:
        look = "python/hostile.look" if name == "python" else name + "/boxed.look"
        done = machine.sabir("call", look, "path=%s" % public, "--json", cwd=hostile, timeout=600)
        if not sandboxes_work():
            assert done.code == 1 and json.loads(done.out)["error"]["type"] == "unavailable", done
            continue
        assert done.code == 0 and done.json in ("hello", "done: 5 bytes"), done
        hidden = machine.sabir("call", look, "path=%s" % (hostile / "config/secrets.json"), "--json", cwd=hostile)
        assert "value" not in hidden.text and (hidden.code == 1 or hidden.json.startswith("refused")), hidden
        if name != "python":
            asked = machine.sabir("call", name + "/boxed.ask", "--json", cwd=hostile)
            assert asked.code == 0 and asked.json == 2, asked
