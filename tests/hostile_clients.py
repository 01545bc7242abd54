"""Clients that mean no good, or can do no better, and one that only wants to be served meanwhile."""
import http.client
import json
import socket
import struct
import threading
import time

HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Hostile:
    """Each kind in a thread of its own, over and over, until stop(). `path` is a function that takes two numbers, `stream` one that yields a lot."""

    def __init__(self, port, path, stream):
        self.port, self.head, self.stream = port, HEAD % path.encode(), HEAD % stream.encode()
        self.ended = threading.Event()
        self.rounds = {}
        self.broken = []
        self.threads = [threading.Thread(target=self._loop, args=(kind,), daemon=True) for kind in
                        (self.slow_loris, self.slow_bodies, self.large_heads, self.pipelines, self.smugglers, self.deep_json, self.invalid_utf8, self.half_open, self.resets, self.slow_readers, self.noise)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)
        return [thread for thread in self.threads if thread.is_alive()]

    def _loop(self, kind):
        while not self.ended.is_set():
            try:
                kind()
            except (ConnectionError, socket.timeout, BrokenPipeError):
                pass  # that is the server's good right
            except Exception as error:
                self.broken.append("%s: %r" % (kind.__name__, error))
                return
            self.rounds[kind.__name__] = self.rounds.get(kind.__name__, 0) + 1
            self.ended.wait(0.01)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def statuses(self, data, shut=True):
        """The statuses of all answers to some bytes."""
        with self.connect() as connection:
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return [int(line.split(b" ")[1]) for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
                got += piece

    def drip(self, data, connections=50, seconds=1.0):
        open_ones = [self.connect() for _ in range(connections)]
        try:
            until = time.monotonic() + seconds
            at = 0
            while time.monotonic() < until and not self.ended.is_set():
                for connection in open_ones:
                    connection.sendall(data[at % len(data):at % len(data) + 1])
                at += 1
                time.sleep(0.02)
        finally:
            for connection in open_ones:
                connection.close()

    def slow_loris(self):
        self.drip(self.head + b"X-Padding: " + b"a" * 1000)

    def slow_bodies(self):
        open_ones = [self.connect() for _ in range(30)]
        try:
            for connection in open_ones:
                connection.sendall(self.head + b"Content-Length: 1000000\r\n\r\n{")
            for _ in range(20):
                for connection in open_ones:
                    connection.sendall(b" ")
                time.sleep(0.02)
        finally:
            for connection in open_ones:
                connection.close()

    def large_heads(self):
        for padding in (b"X: " + b"a" * 200_000 + b"\r\n", b"".join(b"X-%d: b\r\n" % i for i in range(20_000))):
            assert set(self.statuses(self.head + padding + b"\r\n")) <= {431}

    def pipelines(self):
        body = b'{"a": 1, "b": 2}'
        one = self.head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        got = self._pipelined(one, 200)
        assert got == [200] * 200, got[:5]

    def _pipelined(self, one, count):
        with self.connect() as connection:
            sender = threading.Thread(target=lambda: connection.sendall(one * count), daemon=True)
            sender.start()
            got, seen = b"", 0
            while seen < count:
                piece = connection.recv(65536)
                if not piece:
                    break
                got += piece
                seen = got.count(b"HTTP/1.1 ")
            sender.join(10)
            return [int(line.split(b" ")[1]) for line in got.split(b"\r\n") if b"HTTP/1.1 " in line for line in [line[line.index(b"HTTP/1.1 "):]]]

    def smugglers(self):
        hidden = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for data in (self.head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
                     self.head + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nabcde" + hidden,
                     self.head + b"Content-Length: 5, 5\r\n\r\nabcde" + hidden,
                     self.head + b"Content-Length: +5\r\n\r\nabcde" + hidden,
                     self.head + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
                     self.head + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
                     self.head + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + hidden,
                     self.head + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n" + hidden,
                     self.head + b"X: a\r\n Content-Length: 5\r\n\r\nabcde" + hidden,
                     self.head + b"Content-Length: 5\rX: a\r\n\r\nabcde" + hidden):
            got = self.statuses(data)
            assert len(got) <= 1 and all(status >= 400 for status in got), (data, got)

    def deep_json(self):
        for body in (b"[" * 10_000 + b"]" * 10_000, b'{"a": ' * 10_000 + b"1" + b"}" * 10_000, b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b', "b": 1}'):
            assert set(self.statuses(self.head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body, shut=False)) <= {400, 422}

    def invalid_utf8(self):
        for body in (b'{"a": "\xff\xfe", "b": 1}', b'{"\xc0\x80": 1}', b'{"a": "\xed\xa0\x80"}', b"\xef\xbb\xbf{}"):
            assert set(self.statuses(self.head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body, shut=False)) <= {400, 422}

    def half_open(self):
        body = b'{"a": 1, "b": 2}'
        whole = self.head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        for cut in (1, 40, len(whole) - 1):
            self.statuses(whole[:cut])
        self.statuses(whole)

    def resets(self):
        body = b'{"a": 1, "b": 2}'
        for data in (b"", self.head, self.head + b"Content-Length: %d\r\n\r\n" % len(body) + body):
            for _ in range(10):
                connection = self.connect()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(data)
                connection.close()

    def slow_readers(self):
        body = b'{"to": 1000}'
        open_ones = [self.connect() for _ in range(5)]
        try:
            for connection in open_ones:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(self.stream + b"Accept: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.ended.wait(1)
        finally:
            for connection in open_ones:
                connection.close()

    def noise(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), bytes(range(256)) * 20, b"\r\n" * 10_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET " + b"/" * 60_000 + b" HTTP/1.1\r\n\r\n"):
            assert all(status >= 400 for status in self.statuses(data))


class Guest:
    """Calls a function by kept connections, one request after the other; seconds of each are in `took`."""

    def __init__(self, port, path):
        self.port, self.path, self.took, self.failed = port, path, [], []

    def visit(self, seconds, pause=0.002):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until:
            number += 1
            begin = time.monotonic()
            connection.request("POST", self.path, json.dumps({"a": number, "b": 1}), {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
            self.took.append(time.monotonic() - begin)
            if response.status != 200 or json.loads(body) != number + 1:
                self.failed.append((response.status, body[:200]))
            time.sleep(pause)
        connection.close()
        return self

    def percentile(self, part):
        return sorted(self.took)[min(len(self.took) - 1, int(len(self.took) * part))]
