"""Models behind real sockets, asked by the whole binary: through a proxy, with TLS of a private authority, with fallbacks."""
import json
import select
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import pytest
from harness import ROOT

sys.path.insert(0, str(ROOT / "tests" / "stand_ins"))
import openai_server  # noqa: E402


def error_of(done):
    assert done.code == 1, done
    return done.json["error"]


def config(project, models, default="m", **more):
    text = json.dumps({"default": default, "models": models, **more})
    (project / "config/openai_config.yml").write_text(text)


@contextmanager
def serving(certificate=None):
    """The stand-in for OpenAI's API on a free port; with TLS when there is a certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), openai_server.Handler)
    server.daemon_threads = True
    server.block_on_close = False
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # a client that does not trust it leaves in the middle of the handshake
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Proxy:
    """An HTTP proxy that tunnels CONNECT to one port of this machine, whatever the name, and keeps the names it was asked for."""

    def __init__(self, port):
        self.target, self.asked = port, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client):
        with client:
            client.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            method, name, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.asked.append((method, name))
            if method != "CONNECT":
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self.target), timeout=20) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                both = {client: server, server: client}
                while True:
                    ready, _, _ = select.select(list(both), [], [], 20)
                    for one in ready:
                        piece = one.recv(65536)
                        if not piece:
                            return
                        both[one].sendall(piece)
                    if not ready:
                        return

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """(the authority's certificate, (a server's certificate, its key)) for models.example.test and localhost."""
    folder = tmp_path_factory.mktemp("authority")

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=An authority for tests",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=models.example.test", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:models.example.test,DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "server.pem")
    return folder / "ca.pem", (folder / "server.pem", folder / "server.key")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(machine):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "curl_ca_bundle"):
        machine.env.pop(name, None)
        machine.env.pop(name.upper(), None)


@pytest.fixture
def tls_port(authority):
    with serving(authority[1]) as port:
        yield port


def model(base_url, **more):
    return {"provider": "openai", "api": "chat", "model": "x", "base_url": base_url, "retries": 0, **more}


def test_a_proxy_and_a_private_authority_are_taken_from_the_environment(machine, project, authority, tls_port):
    proxy = Proxy(tls_port)
    try:
        config(project, {"m": model("https://models.example.test/ok/v1")})
        env = {"HTTPS_PROXY": "http://127.0.0.1:%d" % proxy.port, "SSL_CERT_FILE": str(authority[0])}
        done = machine.sabir("complete", "hello", "--json", cwd=project, env=env)
        assert done.code == 0, done
        assert done.json["content"].startswith("You said: hello")
        assert proxy.asked == [("CONNECT", "models.example.test:443")]
    finally:
        proxy.close()


def test_hosts_of_no_proxy_are_asked_directly(machine, project, authority, tls_port):
    proxy = Proxy(tls_port)
    try:
        config(project, {"m": model("https://localhost:%d/ok/v1" % tls_port)})
        env = {"HTTPS_PROXY": "http://127.0.0.1:%d" % proxy.port, "NO_PROXY": "localhost", "SSL_CERT_FILE": str(authority[0])}
        done = machine.sabir("complete", "hello", cwd=project, env=env)
        assert done.code == 0, done
        assert proxy.asked == []
    finally:
        proxy.close()


def test_a_certificate_nobody_vouches_for_is_refused_with_the_way_out(machine, project, tls_port):
    config(project, {"m": model("https://localhost:%d/ok/v1" % tls_port, retries=3)})
    done = machine.sabir("complete", "hello", "--json", cwd=project)
    error = error_of(done)
    assert error["type"] == "model_unreachable" and error["reason"] == "tls"
    assert "SSL_CERT_FILE" in error["hint"]
    assert "tries" not in error["message"], "trust does not come by trying again"


def test_a_proxy_that_is_not_there_is_named(machine, project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    config(project, {"m": model("https://models.example.test/ok/v1")})
    done = machine.sabir("complete", "hello", "--json", cwd=project, env={"HTTPS_PROXY": "http://127.0.0.1:%d" % port})
    assert "https_proxy" in error_of(done)["hint"]


def test_a_fallback_answers_and_the_answer_tells_why(machine, project):
    with serving() as port:
        base = "http://127.0.0.1:%d" % port
        config(project, {"m": model(base + "/overflow_openai/v1", fallbacks=["large"]), "large": model(base + "/ok/v1")})
        done = machine.sabir("complete", "hello", "--json", cwd=project)
        assert done.code == 0, done
        assert done.json["alias"] == "large"
        missed, = done.json["missed"]
        assert missed["alias"] == "m" and missed["error"]["reason"] == "context_overflow"
        told = machine.sabir("complete", "hello", cwd=project)
        assert told.out.startswith("You said: hello") and "'large' is asked instead" in told.err


# ---- Money -----------------------------------------------------------------------------------------------------------

PRICED = {"prices": {"x-stand-in": {"input": 100, "output": 1000}, "x": {"input": 100, "output": 1000}}}
EACH = (11 * 100 + 5 * 1000) / 1e6


def test_usage_tells_who_spent_what(machine, project):
    with serving() as port:
        config(project, {"m": model("http://127.0.0.1:%d/ok/v1" % port)}, **PRICED)
        for user in ("ann", "ann", "bob"):
            done = machine.sabir("complete", "hello", "--user", user, "--json", cwd=project)
            assert abs(done.json["cost_usd"] - EACH) < 1e-9, done
        assert ", 0.0061 USD" in machine.sabir("complete", "hello", cwd=project).err
    told = machine.sabir("usage", "--by", "user", "--json", cwd=project).json
    assert [(row["user"], row["calls"]) for row in told["rows"]] == [("ann", 2), ("", 1), ("bob", 1)]
    assert abs(told["cost_usd"] - 4 * EACH) < 1e-9
    table = machine.sabir("usage", "--by", "model", "--since", "1d", cwd=project)
    assert "openai/x-stand-in" in table.out and "0.0244" in table.out
    day = machine.sabir("usage", "--json", cwd=project).json["rows"]
    assert len(day) == 1 and day[0]["calls"] == 4
    assert machine.sabir("usage", "--since", "2099-01-01", "--json", cwd=project).json["rows"] == []
    wrong = machine.sabir("usage", "--since", "yesterday", cwd=project)
    assert wrong.code == 2 and "36h" in wrong.err
    assert machine.sabir("usage", "--by", "colour", cwd=project).code == 1


def test_an_assistants_runs_are_booked_to_it_and_bounded(machine, project):
    config(project, {"scripted": {"provider": "scripted", "script": "tests/scripted_replies.json"}}, default="scripted",
           prices={"scripted": {"input": 1, "output": 1}}, budgets={"run": {"tokens": 3}})
    write = project / "tests/scripted_replies.json"
    write.write_text(json.dumps([{"text": "Hello."}, {"text": "Hello."}]))
    refused = machine.sabir("chat", "assistant1", "hello", "--json", cwd=project)
    assert error_of(refused)["type"] == "budget" and error_of(refused)["budget"] == "run"
    config(project, {"scripted": {"provider": "scripted", "script": "tests/scripted_replies.json"}}, default="scripted",
           prices={"scripted": {"input": 1, "output": 1}})
    done = machine.sabir("chat", "assistant1", "hello", "--json", cwd=project)
    assert done.code == 0 and done.json["cost_usd"] > 0, done
    row, = machine.sabir("usage", "--by", "assistant", "--json", cwd=project).json["rows"]
    assert row["assistant"] == "assistant1" and row["calls"] == 1


def test_several_processes_share_one_budget(machine, project):
    with serving() as port:
        # Each call may take some 15 tokens: the prompt as estimated, and ten.
        config(project, {"m": model("http://127.0.0.1:%d/slow/v1" % port)}, budgets={"day": {"tokens": 60}})
        started = [machine.start(machine.binary, "complete", "hello", "--max-tokens", "10", cwd=project) for _ in range(8)]
        codes = [process.wait(60) for process in started]
        assert 1 <= codes.count(0) <= 4 and codes.count(0) + codes.count(1) == 8
        with openai_server.lock:
            assert len(openai_server.seen["slow"]) == codes.count(0), "what was refused was not sent"


def test_an_alias_is_switched_in_a_running_engine_and_back(machine, project):
    with serving() as port:
        config(project, {"m": model("http://127.0.0.1:%d/ok/v1" % port), "short": "m"})
        (project / "functions/python/asking.py").write_text(
            'import sabir\n\n\ndef ask() -> str:\n    """Asks.\n\n    Effect: read\n    """\n    return sabir.complete("hello").model\n')
        engine = machine.start(machine.binary, "engine", "run", cwd=project)
        asked = lambda: machine.sabir("call", "asking.ask", "--json", cwd=project)  # noqa: E731
        for _ in range(100):
            if machine.sabir("engine", "status", cwd=project).code == 0:
                break
        assert "x-stand-in" in asked().out, asked()
        done = machine.sabir("model", "use", "m", "newer", "--user", "ann", cwd=project)
        assert done.code == 0 and "m stands for newer now; it was x." in done.out, done
        assert "newer-stand-in" in asked().out
        listed = {entry["alias"]: entry for entry in machine.sabir("model", "list", "--json", cwd=project).json["aliases"]}
        assert listed["m"]["switched"]["from"] == "x" and listed["m"]["switched"]["who"] == "ann"
        assert listed["m"]["switched"]["at"].endswith("Z")
        assert "switched from x by ann" in machine.sabir("model", "list", cwd=project).out
        assert machine.sabir("model", "use", "m", "--reset", cwd=project).code == 0
        assert "x-stand-in" in asked().out
        assert engine.poll() is None
        assert machine.sabir("model", "use", "short", "y", cwd=project).code == 1
        assert "Did you mean" in machine.sabir("model", "use", "mm", "y", cwd=project).err
        assert machine.sabir("model", "use", "m", cwd=project).code == 2


# ---- Answers that are given again ------------------------------------------------------------------------------------

def asked(port, scenario):
    with urllib.request.urlopen("http://127.0.0.1:%d/requests/%s" % (port, scenario), timeout=20) as answer:
        return len(json.load(answer))


def test_an_answer_is_given_again_by_another_process_on_request_alone(machine, project):
    with serving() as port:
        config(project, {"m": model("http://127.0.0.1:%d/ok.again/v1" % port, cache={"ttl": "1h"})}, **PRICED)
        first = machine.sabir("complete", "hello", "--json", cwd=project)
        assert first.code == 0 and "cached" not in first.json, first
        again = machine.sabir("complete", "hello", "--json", cwd=project)
        assert again.json["cached"] is True and again.json["content"] == first.json["content"], again
        assert again.json["cost_usd"] == 0 and again.json["usage"] == first.json["usage"]
        shown = machine.sabir("complete", "hello", cwd=project)
        assert shown.out.strip() == first.json["content"] and "from the cache" in shown.err
        assert asked(port, "ok.again") == 1
        assert "cached" not in machine.sabir("complete", "hello", "--cache", "off", "--json", cwd=project).json
        assert asked(port, "ok.again") == 2

        row, = machine.sabir("usage", "--by", "alias", "--json", cwd=project).json["rows"]
        assert row["calls"] == 4 and row["cached_calls"] == 2 and abs(row["cost_usd"] - 2 * EACH) < 1e-9, row
        size = machine.sabir("model", "cache", "--json", cwd=project).json
        assert size["answers"] == 1 and 0 < size["bytes"] < 4096
        assert machine.sabir("model", "cache", "--clear", "--json", cwd=project).json == {"removed": 1}
        assert machine.sabir("model", "cache", cwd=project).out.startswith("0 answers, 0 KiB")
        machine.sabir("complete", "hello", cwd=project)
        assert asked(port, "ok.again") == 3


def test_one_call_asks_for_the_cache_itself_and_a_wrong_time_is_told(machine, project):
    with serving() as port:
        config(project, {"m": model("http://127.0.0.1:%d/ok.once/v1" % port)})
        for _ in range(2):
            machine.sabir("complete", "hello", "--cache", "7d", cwd=project)
        machine.sabir("complete", "hello", cwd=project)
        assert asked(port, "ok.once") == 2
        done = machine.sabir("complete", "hello", "--cache", "soon", cwd=project)
        assert done.code == 2 and "10m, 1h or 7d" in done.err
        config(project, {"m": model("http://127.0.0.1:%d/ok/v1" % port, cache={"ttl": "2y"})})
        done = machine.sabir("complete", "hello", "--json", cwd=project)
        assert "models.m.cache.ttl" in error_of(done)["message"]


def test_an_answer_with_a_secret_in_it_is_not_kept_and_no_question_is(machine, project):
    (project / "config/secrets.json").write_text('{"bank_key": "hunter22-hunter22"}')
    (project / "config/secrets.json").chmod(0o600)
    (project / "config/grants.yml").write_text("functions:\n  slugify: [bank_key]\n")
    with serving() as port:
        config(project, {"m": model("http://127.0.0.1:%d/ok.secret/v1" % port, cache={"ttl": "1h"})})
        for _ in range(2):
            machine.sabir("complete", "it is hunter22-hunter22", cwd=project)
        assert asked(port, "ok.secret") == 2
        machine.sabir("complete", "a question of some length", cwd=project)
    for file in (project / ".sabir/development").glob("cache.db*"):
        assert b"hunter22" not in file.read_bytes()
    assert machine.sabir("model", "cache", "--json", cwd=project).json["answers"] == 1


def test_what_comes_from_the_cache_is_recorded_and_replayed_as_ever(machine, project):
    with serving() as port:
        config(project, {"m": model("http://127.0.0.1:%d/ok.tape/v1" % port, cache={"ttl": "1h"})})
        first = machine.sabir("complete", "hello", "--json", cwd=project)
        taped = machine.sabir("complete", "hello", "--record", "tape", "--json", cwd=project)
        assert taped.json["cached"] is True
    machine.sabir("model", "cache", "--clear", cwd=project)
    played = machine.sabir("complete", "hello", "--replay", "tape", "--json", cwd=project)
    assert played.json["content"] == first.json["content"] and played.json["usage"]["output_tokens"] == 5, played
