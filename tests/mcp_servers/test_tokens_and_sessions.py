"""What a server of MCP takes back while it is used: tokens that end and are renewed, sessions that it has forgotten."""
import base64
import hashlib
import json
import threading
import time
import urllib.parse
import urllib.request
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from servers_project import call, project, trust

TOOL = {"name": "add", "description": "Adds.", "annotations": {"readOnlyHint": True},
        "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}}


class Peer:
    """An MCP server (2025-11-25) that is its own authorization server."""

    def __init__(self, guarded, lives_s=3600):
        self.guarded, self.lives_s = guarded, lives_s
        self.lock = threading.Lock()
        self.access, self.refresh, self.codes = {}, set(), {}   # token: when it ends; code: its challenge
        self.sessions = set()
        self.grants, self.opened, self.calls = [], 0, 0
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body=None, **headers):
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                if body is not None:
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def body(self):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def do_GET(self):
                path, _, query = self.path.partition("?")
                if path.startswith("/.well-known/oauth-protected-resource"):
                    return self.answer(200, {"resource": peer.url, "authorization_servers": [peer.root]})
                if path.startswith("/.well-known/"):
                    return self.answer(200, {"issuer": peer.root, "authorization_endpoint": peer.root + "/authorize", "token_endpoint": peer.root + "/token",
                                             "registration_endpoint": peer.root + "/register", "response_types_supported": ["code"],
                                             "grant_types_supported": ["authorization_code", "refresh_token"], "code_challenge_methods_supported": ["S256"],
                                             "token_endpoint_auth_methods_supported": ["none"]})
                if path == "/authorize":
                    asked = dict(urllib.parse.parse_qsl(query))
                    code = uuid.uuid4().hex
                    peer.codes[code] = asked["code_challenge"]
                    back = {"code": code, "state": asked["state"], "iss": peer.root}
                    return self.answer(302, None, Location=asked["redirect_uri"] + "?" + urllib.parse.urlencode(back))
                self.answer(405, {"error": "no stream here"})

            def do_DELETE(self):
                peer.sessions.discard(self.headers.get("Mcp-Session-Id"))
                self.answer(200)

            def do_POST(self):
                if self.path == "/register":
                    return self.answer(201, dict(json.loads(self.body()), client_id="client-1", token_endpoint_auth_method="none"))
                if self.path == "/token":
                    return self.token(dict(urllib.parse.parse_qsl(self.body().decode())))
                message = json.loads(self.body())
                with peer.lock:
                    if peer.guarded:
                        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                        if peer.access.get(token, 0) < time.monotonic():
                            return self.answer(401, {"error": "invalid_token"}, WWW_Authenticate='Bearer error="invalid_token", resource_metadata="%s/.well-known/oauth-protected-resource"' % peer.root)
                    session = self.headers.get("Mcp-Session-Id")
                    if message["method"] == "initialize":
                        session = uuid.uuid4().hex
                        peer.sessions.add(session)
                        peer.opened += 1
                    elif session not in peer.sessions:
                        return self.answer(404, {"jsonrpc": "2.0", "id": message.get("id"), "error": {"code": -32001, "message": "Session not found"}})
                    if "id" not in message:
                        return self.answer(202)
                    self.answer(200, {"jsonrpc": "2.0", "id": message["id"], **peer.result(message)}, Mcp_Session_Id=session)

            def token(self, asked):
                with peer.lock:
                    peer.grants.append(asked["grant_type"])
                    if asked["grant_type"] == "refresh_token":
                        # Each is good for once.
                        if asked.get("refresh_token") not in peer.refresh:
                            return self.answer(400, {"error": "invalid_grant"})
                        peer.refresh.discard(asked["refresh_token"])
                    else:
                        seen = base64.urlsafe_b64encode(hashlib.sha256(asked["code_verifier"].encode()).digest()).rstrip(b"=").decode()
                        if peer.codes.pop(asked.get("code"), None) != seen:
                            return self.answer(400, {"error": "invalid_grant"})
                    access, refresh = uuid.uuid4().hex, uuid.uuid4().hex
                    peer.access = {access: time.monotonic() + peer.lives_s}
                    peer.refresh.add(refresh)
                    self.answer(200, {"access_token": access, "token_type": "Bearer", "expires_in": peer.lives_s, "refresh_token": refresh}, Cache_Control="no-store")

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = "http://127.0.0.1:%d" % self.http.server_address[1]
        self.url = self.root + "/mcp"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def result(self, message):
        method = message["method"]
        if method == "initialize":
            return {"result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "peer", "version": "1"}}}
        if method == "tools/list":
            return {"result": {"tools": [TOOL]}}
        if method == "tools/call":
            self.calls += 1
            arguments = message["params"]["arguments"]
            return {"result": {"content": [{"type": "text", "text": str(arguments["a"] + arguments["b"])}]}}
        if method == "ping":
            return {"result": {}}
        return {"error": {"code": -32601, "message": "no " + method}}

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def peer_of(**how):
    one = Peer(**how)
    try:
        yield one
    finally:
        one.stop()


def login(machine, folder):
    process = machine.start(machine.binary, "mcp", "login", "peer", "--json", cwd=folder)
    urllib.request.urlopen(json.loads(process.stdout.readline())["url"], timeout=20).read()
    process.stdout.read()
    assert process.wait(30) == 0, process.stderr.read()


def with_peer(machine, peer):
    return project(machine, {"peer": {"url": peer.url, "revision": "2025-11-25", "timeout": "20s", "start_timeout": "20s"}})


def test_a_token_that_ends_is_renewed(machine):
    with peer_of(guarded=True, lives_s=2) as peer:
        folder = with_peer(machine, peer)
        login(machine, folder)
        trust(machine, folder, "peer")
        assert call(machine, folder, "peer.add", a=1, b=2) == "3"
        for _ in range(3):
            time.sleep(2.2)
            assert call(machine, folder, "peer.add", a=2, b=2) == "4"
        # By what the first login gave, again and again, and never by another login.
        assert peer.grants[0] == "authorization_code" and set(peer.grants[1:]) == {"refresh_token"} and len(peer.grants) >= 4


def test_a_token_taken_back_before_its_time_is_renewed(machine):
    with peer_of(guarded=True) as peer:
        folder = with_peer(machine, peer)
        login(machine, folder)
        trust(machine, folder, "peer")
        assert call(machine, folder, "peer.add", a=1, b=2) == "3"
        peer.access.clear()
        assert call(machine, folder, "peer.add", a=2, b=2) == "4"
        assert peer.grants == ["authorization_code", "refresh_token"]


def test_a_login_taken_back_asks_for_another(machine):
    with peer_of(guarded=True) as peer:
        folder = with_peer(machine, peer)
        login(machine, folder)
        trust(machine, folder, "peer")
        peer.access.clear()
        peer.refresh.clear()
        error = call(machine, folder, "peer.add", a=1, b=2)
        assert "sabir mcp login peer" in error["hint"], error
        login(machine, folder)
        assert call(machine, folder, "peer.add", a=1, b=2) == "3"


@pytest.mark.parametrize("guarded", [False, True])
def test_a_forgotten_session_is_opened_again(machine, guarded):
    with peer_of(guarded=guarded) as peer:
        folder = with_peer(machine, peer)
        if guarded:
            login(machine, folder)
        trust(machine, folder, "peer")
        # One engine, which keeps its connection.
        machine.start(machine.binary, "engine", "run", cwd=folder)
        until = time.monotonic() + 20
        while not (folder / ".sabir/development/engine.json").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert call(machine, folder, "peer.add", a=1, b=2) == "3"
        opened = peer.opened
        assert call(machine, folder, "peer.add", a=1, b=3) == "4"
        assert peer.opened == opened
        calls = peer.calls
        peer.sessions.clear()
        assert call(machine, folder, "peer.add", a=2, b=3) == "5"
        assert peer.opened == opened + 1 and peer.calls == calls + 1
