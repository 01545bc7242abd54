"""The engine's side of a connection, for tests: a worker process and frames over a socket."""

import json
import os
import socket
import subprocess
import sys

LANGUAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def frame(message, *blobs):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b" ".join(b"%d" % len(part) for part in (body,) + blobs) + b"\n" + body + b"".join(blobs)


class Peer:
    """Reads and writes frames; every wait ends after 20 seconds."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(20)
        self.file = sock.makefile("rb")
        self.next_id = 1

    def send(self, message, *blobs):
        self.sock.sendall(frame(dict({"jsonrpc": "2.0"}, **message), *blobs))

    def receive(self):
        head = self.file.readline()
        if not head:
            raise EOFError
        sizes = [int(part) for part in head.split()]
        message = json.loads(self.file.read(sizes[0]))
        message["frame_blobs"] = [self.file.read(size) for size in sizes[1:]]
        return message

    def request(self, method, params, *blobs):
        """The response, and what came before it."""
        id = self.next_id
        self.next_id += 1
        self.send({"id": id, "method": method, "params": params}, *blobs)
        before = []
        while True:
            message = self.receive()
            if "method" not in message and message.get("id") == id:
                return message, before
            before.append(message)


class Worker(Peer):
    def __init__(self, project, command=None):
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command or [sys.executable, os.path.join(LANGUAGE, "worker.py")], pass_fds=[theirs.fileno()],
                env=dict(os.environ, SABIR_FD=str(theirs.fileno())), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        super().__init__(ours)
        self.project = str(project)
        self.request("hello", {"protocol": {"min": 1, "max": 1}})
        self.request("start", {"project": self.project, "environment": "test"})

    def call(self, function, arguments=None, file="functions/python/x.py", **more):
        arguments = arguments or {}
        params = {"module": os.path.join(self.project, file), "receiver": "", "function": function, "arguments": arguments,
                  "positional": list(arguments), "context": {"user": "u"}, "context_parameter": ""}
        params.update(more)
        return self.request("call", params)

    def value(self, *args, **kwargs):
        answer, _ = self.call(*args, **kwargs)
        assert "error" not in answer, answer
        return answer["result"]["value"]

    def error(self, *args, **kwargs):
        answer, _ = self.call(*args, **kwargs)
        return answer["error"]

    def close(self):
        self.file.close()
        self.sock.close()
        try:
            return self.process.communicate(timeout=10)[0].decode()
        finally:
            self.process.kill()
