"""An SDK outside a worker: joins the project's running engine or starts a private one (spec/worker-protocol.md, 9)."""

import atexit
import json
import os
import shutil
import socket
import subprocess
import sysconfig

from ._error import Error
from ._wire import Closed, Connection, FrameError

DEADLINE = 10.0


def find_project():
    """($SABIR_PROJECT, or the nearest folder upward that has sabir.yml). Errors: Error no_project."""
    given = os.environ.get("SABIR_PROJECT")
    start = os.path.abspath(given or os.getcwd())
    folder = start
    while not os.path.exists(os.path.join(folder, "sabir.yml")):
        above = os.path.dirname(folder)
        if above == folder or given:
            raise Error("no_project", "no Sabir project at %s%s: there is no sabir.yml" % (start, "" if given else " or above it"),
                        "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`")
        folder = above
    return folder


def find_engine():
    """The engine's binary: $SABIR_BIN, beside this package, on PATH. Errors: Error unavailable."""
    given = os.environ.get("SABIR_BIN")
    if given:
        found = shutil.which(given)
        if found:
            return found
        raise Error("unavailable", "the engine `sabir` was not found: SABIR_BIN names %s, which is no program" % given,
                    "set SABIR_BIN to the engine's path, or unset it")
    here = os.path.dirname(os.path.abspath(__file__))
    for path in (os.path.join(here, "bin", "sabir"), os.path.join(sysconfig.get_path("scripts") or here, "sabir")):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    found = shutil.which("sabir")
    if found:
        return found
    raise Error("unavailable", "the engine `sabir` was not found",
                "install it with `pip install sabir`, put it on PATH, or set SABIR_BIN to its path")


def recorded():
    """Whether this process's calls are recorded or replayed."""
    return bool(os.environ.get("SABIR_RECORD") or os.environ.get("SABIR_REPLAY"))


def test_name():
    """The test that runs, "" outside of tests; a folder of recordings has a file for each."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0] or os.environ.get("SABIR_TEST_NAME", "")


class Client:
    """A connection to an engine, and the process when the engine is our own."""

    def __init__(self, sock, process=None):
        self.process = process
        self.test = None  # the test that the engine knows of
        self._owner = os.getpid()
        sock.settimeout(None)
        fd = sock.detach()
        os.set_blocking(fd, True)
        self.connection = Connection(fd, fd)
        atexit.register(self.close)

    @classmethod
    def connect(cls):
        root = find_project()
        environment = os.environ.get("SABIR_ENV") or "development"
        sock = cls._running(root, environment)
        if sock is not None:
            client = cls(sock)
            try:
                client._hello(root)
                return client
            except Error:
                # Another version, or an engine that is ending: a private one serves as well.
                client.close()
        return cls._attach(root, environment)

    @staticmethod
    def _running(root, environment):
        if recorded() or os.environ.get("SABIR_STATE_DIR") or os.environ.get("SABIR_ENGINE"):
            # What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
            return None
        try:
            with open(os.path.join(root, ".sabir", environment, "engine.json"), encoding="utf-8") as file:
                published = json.load(file)
            if published.get("format") != 1:
                return None
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except (OSError, ValueError, AttributeError):
            return None
        try:
            sock.settimeout(DEADLINE)
            sock.connect(published["socket"])
            return sock
        except (OSError, KeyError, TypeError):
            sock.close()
            return None

    @classmethod
    def _attach(cls, root, environment):
        binary = find_engine()
        ours, theirs = socket.socketpair()
        with theirs:
            env = dict(os.environ, SABIR_FD=str(theirs.fileno()))
            try:
                process = subprocess.Popen(
                    [binary, "attach", "--project", root, "--env", environment], pass_fds=[theirs.fileno()], env=env,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
            except OSError as error:
                ours.close()
                raise Error("unavailable", "the engine %s does not start: %s" % (binary, error.strerror),
                            "set SABIR_BIN to the engine's path")
        client = cls(ours, process)
        try:
            client._hello(root)
        except BaseException:
            client.close()
            raise
        return client

    def _hello(self, root):
        from . import __version__
        connection = self.connection
        # A deadline in the kernel: a silent peer ends the read with an error, which counts as the connection's end.
        sock = socket.socket(fileno=os.dup(connection.read_fd))
        try:
            import struct
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(DEADLINE), 0))
            params = {"protocol": {"min": 1, "max": 1}, "role": "client", "sdk": __version__, "language": "python", "project": root}
            user = os.environ.get("SABIR_USER")
            if user:
                params["context"] = {"user": user}
            try:
                connection.request("hello", params)
            except (Closed, FrameError):
                code = self.process.poll() if self.process else None
                raise Error("protocol", "the engine did not answer within %d seconds%s" % (
                    DEADLINE, "" if code is None else "; it ended with status %d" % code),
                    "`sabir doctor` looks for the cause; its messages are on standard error")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
        finally:
            sock.close()

    def tell_test(self):
        """Tells the engine of this process which test runs, when that has changed. Errors: Error, Closed."""
        name = test_name() if self.process is not None and recorded() else None
        if name != self.test:
            self.connection.request("recordings.use", {"name": name})
            self.test = name

    def close(self):
        """Ends the connection, and with it an engine of our own."""
        if self._owner != os.getpid():
            return
        atexit.unregister(self.close)
        self.connection.close()
        process, self.process = self.process, None
        if process is not None:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            except OSError:
                pass

    def abandon(self):
        """In a forked child: lets go of the parent's connection."""
        self.connection.close()
        atexit.unregister(self.close)
        if self.process is not None:
            # Not this process's child.
            self.process.returncode = 0
