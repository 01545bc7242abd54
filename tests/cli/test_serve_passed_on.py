"""Answers of models that `sabir serve` passes on: many at once, whole and as streams, without a thread for each."""
import asyncio
import json
import socket
import threading
import time

import pytest

from harness import SANITIZED
from serving import Served, machine_of, write_project

MANY = 200 if SANITIZED else 1000
REPLY = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "slow-1",
         "choices": [{"index": 0, "message": {"role": "assistant", "content": "Six."}, "finish_reason": "stop"}],
         "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}


class Upstream:
    """A model's server: asked for `hold`, it answers once it is let go; for `tick`, a word each 50 ms until its client leaves."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.waiting = 0
        self.most = 0
        self.left = 0
        self.go = None
        self.port = None
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(10)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)

        async def begin():
            self.go = asyncio.Event()
            server = await asyncio.start_server(self._client, "127.0.0.1", 0, backlog=2048)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
        self.loop.run_until_complete(begin())
        self.loop.run_forever()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def let_go(self):
        self.loop.call_soon_threadsafe(self.go.set)

    async def _client(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                said = asked["messages"][-1]["content"]
                if said == "tick":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                    for _ in range(400):
                        writer.write(b'data: {"choices":[{"index":0,"delta":{"content":"tick "}}]}\n\n')
                        await writer.drain()
                        await asyncio.sleep(0.05)
                if said == "hold":
                    self.waiting += 1
                    self.most = max(self.most, self.waiting)
                    await self.go.wait()
                    self.waiting -= 1
                if asked.get("stream"):
                    chunk = {"choices": [{"index": 0, "delta": {"content": "Six."}, "finish_reason": "stop"}]}
                    body = "data: %s\n\ndata: [DONE]\n\n" % json.dumps(chunk)
                    kind = "text/event-stream"
                else:
                    body, kind = json.dumps(REPLY), "application/json"
                writer.write(("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left += 1
        finally:
            writer.close()


@pytest.fixture(scope="module")
def upstream():
    one = Upstream()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def served(binary, tmp_path_factory, upstream):
    with machine_of(binary, tmp_path_factory.mktemp("cache")) as machine:
        project = write_project(machine.folder / "project", files={}, languages="python")
        (project / "config").mkdir()
        (project / "config/openai_config.yml").write_text(
            "default: slow\nmodels:\n"
            "  slow: {provider: openai, base_url: 'http://127.0.0.1:%d/v1', model: slow-1}\n"
            "  counted: {provider: openai, base_url: 'http://127.0.0.1:%d/v1', model: slow-1}\n"
            "  gone: {provider: openai, base_url: 'http://127.0.0.1:1/v1', model: none, retries: 1}\n"
            "  instead: {provider: openai, base_url: 'http://127.0.0.1:1/v1', model: none, retries: 0, fallbacks: [slow]}\n"
            "  bounded: {provider: openai, base_url: 'http://127.0.0.1:%d/v1', model: slow-1, limits: {concurrency: 1}}\n" % (upstream.port, upstream.port, upstream.port))
        yield Served(machine, project)


def request(said, **more):
    return dict({"model": "slow", "messages": [{"role": "user", "content": said}]}, **more)


async def ask(port, body):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        data = json.dumps(body).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        return await asyncio.wait_for(reader.read(), 120)
    finally:
        writer.close()


def threads_of(pid):
    with open("/proc/%d/status" % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads:"))


@pytest.mark.parametrize("stream", [False, True])
def test_many_answers_wait_without_a_thread_for_each(served, upstream, stream):
    upstream.loop.call_soon_threadsafe(upstream.go.clear)
    upstream.most = 0

    async def all_of_them():
        asked = [asyncio.ensure_future(ask(served.port, request("hold", stream=stream))) for _ in range(MANY)]
        until = time.monotonic() + 60
        while upstream.waiting < MANY and time.monotonic() < until:
            await asyncio.sleep(0.05)
        threads = threads_of(served.process.pid)
        # Others are served meanwhile.
        quick = await asyncio.wait_for(ask(served.port, request("now")), 10)
        upstream.let_go()
        return threads, quick, await asyncio.gather(*asked)

    threads, quick, answers = asyncio.run(all_of_them())
    assert upstream.most == MANY
    assert threads < 64
    assert quick.startswith(b"HTTP/1.1 200")
    assert all(answer.startswith(b"HTTP/1.1 200") and b"Six." in answer for answer in answers)
    if stream:
        assert all(b"data: [DONE]" in answer for answer in answers)


def test_what_it_took_is_written_down(served):
    def calls():
        rows = served.machine.sabir("usage", "--by", "alias", "--json", cwd=served.project).json["rows"]
        return sum(row["calls"] for row in rows if row["alias"] == "counted")
    before = calls()
    for _ in range(3):
        assert served.ask("POST", "/v1/chat/completions", dict(request("now"), model="counted")).status == 200
    until = time.monotonic() + 10
    while calls() < before + 3 and time.monotonic() < until:
        time.sleep(0.1)
    assert calls() == before + 3


def test_a_client_that_leaves_ends_the_answer(served, upstream):
    left = upstream.left
    data = json.dumps(request("tick", stream=True))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)).encode())
        got = b""
        while got.count(b"tick") < 3:
            got += client.recv(65536)
    until = time.monotonic() + 10
    while upstream.left == left and time.monotonic() < until:
        time.sleep(0.05)
    assert upstream.left > left


def test_failures_are_tried_again_and_told(served):
    answer = served.ask("POST", "/v1/chat/completions", dict(request("now"), model="gone"))
    assert answer.status == 502 or answer.status == 503, answer
    assert "2 tries" in answer.json["error"]["message"]
    answer = served.ask("POST", "/v1/chat/completions", dict(request("now"), model="instead"))
    assert answer.status == 200 and answer.json["choices"][0]["message"]["content"] == "Six.", answer


def test_a_limit_makes_the_others_wait_their_turn(served):
    async def five():
        return await asyncio.gather(*[ask(served.port, dict(request("now"), model="bounded")) for _ in range(5)])
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in asyncio.run(five()))


def test_a_server_ends_while_answers_wait(binary, tmp_path, upstream):
    upstream.loop.call_soon_threadsafe(upstream.go.clear)
    with machine_of(binary, tmp_path / "cache") as machine:
        project = write_project(machine.folder / "project", files={}, languages="python", config="serve: {limits: {drain: 1s}}\n")
        (project / "config").mkdir()
        (project / "config/openai_config.yml").write_text(
            "default: slow\nmodels:\n  slow: {provider: openai, base_url: 'http://127.0.0.1:%d/v1', model: slow-1}\n" % upstream.port)
        served = Served(machine, project)
        waiting = upstream.waiting

        async def ten():
            asked = [asyncio.ensure_future(ask(served.port, request("hold"))) for _ in range(10)]
            until = time.monotonic() + 20
            while upstream.waiting < waiting + 10 and time.monotonic() < until:
                await asyncio.sleep(0.05)
            assert upstream.waiting >= waiting + 10
            began = time.monotonic()
            code = await asyncio.get_running_loop().run_in_executor(None, served.stop)
            await asyncio.gather(*asked, return_exceptions=True)
            return code, time.monotonic() - began

        code, took = asyncio.run(ten())
        assert code == 0 and took < 20
    upstream.let_go()
