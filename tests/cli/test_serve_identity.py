"""Who may call what `sabir serve` serves, and what may be reached: tokens, JWTs, a proxy's headers, exposure."""
import base64
import concurrent.futures
import http.server
import json
import signal
import subprocess
import threading
import time

import pytest
from serving import Served, machine_of, write_project


def group_of(item):
    return "serve_identity"


@pytest.fixture(scope="module")
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        yield made


EXPOSE = """
expose:
  rest: [notes.who, notes.shorten, python/notes.fail, prompts/greet, memory]
  mcp: notes.*
"""


def token_of(machine, project, *options):
    done = machine.sabir("tokens", "add", *options, "--json", cwd=project)
    assert done.code == 0, done
    return done.json["token"]


def test_tokens_are_kept_as_digests_and_can_be_taken_back(machine):
    project = write_project(machine.folder / "tokens", languages="python")
    token = token_of(machine, project, "web", "--scopes", "functions,prompts", "--user", "ada", "--tenant", "acme", "--expires", "90d")
    kept = (project / ".sabir/development/tokens.json")
    assert kept.stat().st_mode & 0o777 == 0o600 and token not in kept.read_text() and token.split("_")[2] not in kept.read_text()
    listed = machine.sabir("tokens", "list", "--json", cwd=project).json["tokens"]
    assert [(t["name"], t["scopes"], t["user"], t["tenant"]) for t in listed] == [("web", ["functions", "prompts"], "ada", "acme")]
    assert "sha256" not in listed[0]
    assert "web" in machine.sabir("tokens", "list", cwd=project).out
    assert machine.sabir("tokens", "add", "web", "--scopes", "functions", cwd=project).code == 1
    wrong = machine.sabir("tokens", "add", "other", "--scopes", "function", cwd=project)
    assert wrong.code == 2 and "functions" in wrong.err
    assert machine.sabir("tokens", "add", "other", cwd=project).code == 2
    assert machine.sabir("tokens", "revoke", "web", cwd=project).code == 0
    assert machine.sabir("tokens", "revoke", "web", cwd=project).code == 1
    kept.chmod(0o644)
    assert "chmod 600" in machine.sabir("tokens", "list", cwd=project).err


def test_a_token_says_who_asks_and_what_it_may(machine):
    project = write_project(machine.folder / "who", languages="python")
    ada = token_of(machine, project, "ada", "--scopes", "functions,memory", "--user", "ada", "--tenant", "acme")
    bob = token_of(machine, project, "bob", "--scopes", "functions,memory", "--user", "bob", "--tenant", "acme")
    reader = token_of(machine, project, "reader", "--scopes", "prompts")
    server = Served(machine, project)
    try:
        assert server.ready["asks_who"] is True
        for bad in (None, "nonsense", ada[:-1] + ("a" if ada[-1] != "a" else "b"), "sabir_00000000_" + "0" * 43):
            answer = server.call("notes.who", token=bad)
            assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer") and "notes" not in answer.json["detail"], answer
        assert server.ask("GET", "/healthz").status == 200
        assert server.call("notes.who", token=ada, headers={"X-Sabir-Conversation": "c1"}).json == {"user": "ada", "tenant": "acme", "conversation": "c1"}
        # What the caller sends cannot make it another one.
        assert server.call("notes.who", {"context": {"user": "bob"}}, token=ada).status == 422
        assert server.call("notes.who", token=ada, headers={"X-Forwarded-User": "bob"}).json["user"] == "ada"
        refused = server.call("notes.who", token=reader)
        assert refused.status == 403 and "functions" in refused.json["detail"]
        assert server.ask("GET", "/metrics", token=ada).status == 403
        assert server.ask("GET", "/prompts", token=reader).status == 200
        assert machine.sabir("memory", "put", "colour", "blue", "--user", "ada", "--tenant", "acme", cwd=project).code == 0
        assert server.ask("GET", "/memory/default/colour", token=ada).json["value"] == "blue"
        assert server.ask("GET", "/memory/default/colour", token=bob).status == 404
        assert server.ask("GET", "/memory?user=ada", token=bob).json["items"] == []
        assert "bearer" in server.ask("GET", "/openapi.json", token=ada).json["components"]["securitySchemes"]
        page = server.ask("GET", "/docs", headers={"Authorization": "Basic " + base64.b64encode(("me:" + ada).encode()).decode()})
        assert page.status == 200 and "Bearer TOKEN" in page.body
        assert server.ask("POST", "/functions/notes.who", {}, headers={"Authorization": "Basic " + base64.b64encode(("me:" + ada).encode()).decode()}).status == 401
        assert machine.sabir("tokens", "revoke", "ada", cwd=project).code == 0
        time.sleep(1.5)
        assert server.call("notes.who", token=ada).status == 401
        for line in server.log():
            assert ada not in json.dumps(line)
        assert any(line.get("user") == "ada" and line.get("token") == "ada" for line in server.log())
    finally:
        server.stop()


def test_outside_development_only_what_is_exposed_is_there(machine):
    project = write_project(machine.folder / "exposed", EXPOSE, languages="python")
    checked = machine.sabir("check", "--json", cwd=project).json["exposed"]
    assert checked["rest"] == ["python/notes.fail", "python/notes.shorten", "python/notes.who", "prompts/greet", "memory"] or set(checked["rest"]) == {
        "python/notes.fail", "python/notes.shorten", "python/notes.who", "prompts/greet", "memory"}
    assert "python/notes.append" in checked["mcp"] and checked["model"] == []
    assert "exposed to rest: " in machine.sabir("check", cwd=project).out
    server = Served(machine, project, "--env", "production")
    try:
        assert [f["address"] for f in server.ask("GET", "/functions").json["functions"]].sort() == ["notes.fail", "notes.shorten", "notes.who"].sort()
        assert server.call("notes.shorten", {"text": "abc"}).json == "abc"
        for address in ("notes.append", "python/notes.append", "notes.count", "notes.none"):
            for answer in (server.call(address), server.ask("GET", "/functions/" + address)):
                assert answer.status == 404
                # Whether it is there is not told.
                assert answer.json["detail"] == "there is no function '%s' here" % address
        document = server.ask("GET", "/openapi.json").json
        assert "/functions/notes.shorten" in document["paths"] and "/functions/notes.append" not in document["paths"]
        assert "/assistants" not in document["paths"]
        assert "append" not in server.ask("GET", "/docs").body
        assert server.ask("GET", "/prompts/greet").status == 200
        assert server.ask("GET", "/assistants").json == {"assistants": []}
        # Files and lines of the project are nobody's business there.
        problem = server.call("notes.fail").json
        assert "file" not in problem and "data" not in problem and "notes.py" not in json.dumps(problem)
        assert "file" not in server.ask("GET", "/functions").json["functions"][0]
    finally:
        server.stop()
    (project / "sabir.yml").write_text("languages: [python]\n")
    server = Served(machine, project, "--env", "staging")
    try:
        assert server.ask("GET", "/functions").json == {"functions": []}
        assert server.call("notes.shorten", {"text": "abc"}).status == 404
        assert server.ask("GET", "/memory").status == 404
        assert server.ask("GET", "/prompts").json == {"prompts": []}
    finally:
        server.stop()


def test_secrets_do_not_leave_by_errors(machine):
    project = write_project(machine.folder / "secret", languages="python")
    assert machine.sabir("secrets", "set", "door_key", cwd=project, input="swordfish-9000\n").code == 0
    server = Served(machine, project)
    try:
        for path in ("notes.fail", "notes.fail?stream=1"):
            answer = server.call(path, {"secret": " swordfish-9000"})
            assert "swordfish" not in answer.body and "[secret:door_key]" in answer.body, answer
        server.ask("GET", "/functions/swordfish-9000")
        time.sleep(0.5)
        assert "swordfish" not in json.dumps(server.log())
    finally:
        server.stop()


def test_others_are_let_near_with_a_token_alone(machine):
    project = write_project(machine.folder / "near", "serve: {host: 0.0.0.0}\n", languages="python")
    done = machine.sabir("serve", "--port", "0", cwd=project)
    assert done.code == 1 and "sabir tokens add" in done.err and "127.0.0.1" in done.err, done
    token_of(machine, project, "web", "--scopes", "functions")
    server = Served(machine, project)
    try:
        assert server.call("notes.shorten", {"text": "a"}).status == 401
    finally:
        server.stop()


@pytest.mark.parametrize("config, line, said", [
    ("serve: {prot: 1}\n", 2, "port"),
    ("serve:\n  port: many\n", 3, "whole number"),
    ("serve:\n  limits:\n    bodies: 1MB\n", 4, "body"),
    ("serve:\n  jwt: {jwks: keys.json, issuer: https://a.example/}\n", 3, "audience"),
    ("serve:\n  jwt: {jwks: 'http://keys.example/', issuer: a, audience: b}\n", 3, "https"),
    ("serve:\n  proxy: {from: 127.0.0.1}\n", 3, "scopes"),
    ("serve:\n  proxy: {from: 127.0.0.1, scopes: [function]}\n", 3, "functions"),
    ("serve:\n  cors: [app.example]\n", 3, "origin"),
    ("serve:\n  environments:\n    production:\n      hst: 0.0.0.0\n", 5, "host"),
    ("expose: [notes.who]\n", 2, "mapping"),
    ("expose:\n  rset: [notes.who]\n", 3, "rest"),
])
def test_wrong_configuration_is_told_with_its_line(machine, config, line, said):
    project = write_project(machine.folder / "wrong", config, languages="python")
    done = machine.sabir("serve", "--port", "0", cwd=project)
    assert done.code == 1 and "sabir.yml:%d:" % line in done.err and said in done.err, done


def test_a_proxy_says_who_asks(machine):
    config = "serve:\n  proxy: {from: [127.0.0.0/8], user: X-Forwarded-User, tenant: X-Tenant, scopes: [functions]}\n"
    project = write_project(machine.folder / "proxied", config, languages="python")
    server = Served(machine, project)
    try:
        headers = {"X-Forwarded-User": "ada", "X-Tenant": "acme"}
        assert server.call("notes.who", headers=headers).json == {"user": "ada", "tenant": "acme", "conversation": ""}
        assert server.call("notes.who").status == 401
        assert server.call("notes.who", headers={"X-Forwarded-User": "ada"}).status == 401
        assert server.ask("GET", "/memory", headers=headers).status == 403
        twice = b"POST /functions/notes.who HTTP/1.1\r\nHost: localhost\r\nX-Tenant: a\r\nX-Forwarded-User: root\r\nX-Forwarded-User: ada\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        assert b" 401 " in server.raw(twice)
    finally:
        server.stop()
    (project / "sabir.yml").write_text("languages: [python]\n" + config.replace("127.0.0.0/8", "10.0.0.0/8"))
    server = Served(machine, project)
    try:
        assert server.call("notes.who", headers=headers).status == 401
    finally:
        server.stop()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens by the openssl program, as an issuer that this project has no part in."""

    def __init__(self, folder, kind, kid):
        self.kind, self.kid, self.key = kind, kid, folder / (kid + ".pem")
        options = {"RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "EdDSA": ["ED25519"]}[kind]
        self.openssl("genpkey", "-algorithm", *options, "-out", str(self.key))

    def openssl(self, *words, data=None):
        return subprocess.run(["openssl", *words], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, timeout=60).stdout

    def jwk(self):
        der = self.openssl("pkey", "-in", str(self.key), "-pubout", "-outform", "DER")
        common = {"kid": self.kid, "use": "sig", "alg": self.kind}
        if self.kind == "EdDSA":
            return dict(common, kty="OKP", crv="Ed25519", x=base64url(der[-32:]))
        if self.kind == "ES256":
            return dict(common, kty="EC", crv="P-256", x=base64url(der[-64:-32]), y=base64url(der[-32:]))
        modulus = self.openssl("rsa", "-in", str(self.key), "-noout", "-modulus").decode().strip().split("=")[1]
        return dict(common, kty="RSA", n=base64url(bytes.fromhex(modulus)), e="AQAB")

    def sign(self, claims, header=None):
        head = base64url(json.dumps(header or {"alg": self.kind, "kid": self.kid, "typ": "JWT"}).encode())
        signed = (head + "." + base64url(json.dumps(claims).encode())).encode()
        if self.kind == "EdDSA":
            path = self.key.with_suffix(".data")
            path.write_bytes(signed)
            signature = self.openssl("pkeyutl", "-sign", "-inkey", str(self.key), "-rawin", "-in", str(path))
        else:
            signature = self.openssl("dgst", "-sha256", "-sign", str(self.key), data=signed)
        if self.kind == "ES256":
            # From DER's two integers to two times 32 bytes.
            at, parts = 2, []
            for _ in range(2):
                size = signature[at + 1]
                parts.append(signature[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0"))
                at += 2 + size
            signature = b"".join(parts)
        return signed.decode() + "." + base64url(signature)


def test_an_issuers_tokens_say_who_asks(machine, tmp_path):
    issuers = {kind: Issuer(tmp_path, kind, kind.lower()) for kind in ("RS256", "ES256", "EdDSA")}
    project = machine.folder / "jwt"
    config = "serve:\n  jwt: {jwks: keys.json, issuer: 'https://login.example/', audience: notes, tenant: org}\n"
    write_project(project, config, languages="python")
    unknown = {"kty": "AKP", "kid": "new", "alg": "ML-DSA-44", "pub": "AA"}
    (project / "keys.json").write_text(json.dumps({"keys": [unknown] + [issuers[kind].jwk() for kind in ("RS256", "EdDSA")]}))
    now = int(time.time())
    good = {"iss": "https://login.example/", "aud": ["notes", "other"], "exp": now + 600, "nbf": now - 10, "sub": "ada", "org": "acme", "scope": "openid functions"}
    server = Served(machine, project)
    try:
        for kind in ("RS256", "EdDSA"):
            answer = server.call("notes.who", token=issuers[kind].sign(good))
            assert answer.status == 200 and answer.json["user"] == "ada" and answer.json["tenant"] == "acme", (kind, answer)
        rs256 = issuers["RS256"]
        for change, said in [({"exp": now - 600}, "expired"), ({"nbf": now + 600}, "not valid yet"), ({"aud": "other"}, "audience"), ({"iss": "https://evil.example/"}, "issuer"),
                             ({"exp": None}, ""), ({"aud": None}, "aud"), ({"iss": None}, "iss"), ({"sub": None}, "who"), ({"org": None}, "who")]:
            claims = {key: value for key, value in dict(good, **change).items() if value is not None}
            answer = server.call("notes.who", token=rs256.sign(claims))
            assert answer.status == 401 and said in answer.json["detail"], (change, answer)
        assert server.call("notes.who", token=rs256.sign(dict(good, scope="openid"))).status == 403
        token = rs256.sign(good)
        assert server.call("notes.who", token=token[:-8] + "AAAAAAAA").status == 401
        assert server.call("notes.who", token=base64url(b'{"alg":"none"}') + "." + token.split(".")[1] + ".").status == 401
        # The public key as a shared one.
        head = base64url(b'{"alg":"HS256","kid":"rs256"}') + "." + token.split(".")[1]
        pem = rs256.openssl("pkey", "-in", str(rs256.key), "-pubout")
        mac = rs256.openssl("dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:" + pem.hex(), "-binary", data=head.encode())
        assert server.call("notes.who", token=head + "." + base64url(mac)).status == 401
        # A key that the issuer published meanwhile: it is read again, though not for everyone all the time.
        es256 = issuers["ES256"]
        assert server.call("notes.who", token=es256.sign(good)).status == 401
        (project / "keys.json").write_text(json.dumps({"keys": [es256.jwk()]}))
        server.process.send_signal(1)
        for _ in range(50):
            if server.call("notes.who", token=es256.sign(good)).status == 200:
                break
            time.sleep(0.2)
        assert server.call("notes.who", token=es256.sign(good)).status == 200
        assert server.call("notes.who", token=token).status == 401
        own = token_of(machine, project, "own", "--scopes", "functions", "--user", "bob")
        time.sleep(1.2)
        assert server.call("notes.who", token=own).json["user"] == "bob"
    finally:
        server.stop()


def test_pages_of_named_origins_may_ask(machine):
    project = write_project(machine.folder / "cors", "serve: {cors: ['https://app.example']}\n", languages="python")
    server = Served(machine, project)
    try:
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        answer = server.ask("OPTIONS", "/functions/notes.shorten", headers=asked)
        assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"] and "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
        answer = server.call("notes.shorten", {"text": "a"}, headers={"Origin": "https://app.example"})
        assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert server.call("notes.shorten", {"text": "a"}, headers={"Origin": "https://other.example"}).status == 403
    finally:
        server.stop()


def test_a_caller_may_ask_so_often(machine):
    project = write_project(machine.folder / "rate", "serve: {limits: {per_minute: 5}}\n", languages="python")
    one = token_of(machine, project, "one", "--scopes", "functions")
    two = token_of(machine, project, "two", "--scopes", "functions")
    server = Served(machine, project)
    try:
        statuses = [server.ask("GET", "/functions", token=one).status for _ in range(8)]
        assert statuses[:5] == [200] * 5 and statuses[6:] == [429] * 2
        refused = server.ask("GET", "/functions", token=one)
        assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1
        assert server.ask("GET", "/functions", token=two).status == 200
    finally:
        server.stop()


def test_a_token_may_have_limits_of_its_own(machine):
    project = write_project(machine.folder / "own_rate", "serve: {limits: {rate: 2/h, at_once: 50}}\n", languages="python")
    common = token_of(machine, project, "common", "--scopes", "functions")
    often = token_of(machine, project, "often", "--scopes", "functions", "--rate", "1000/s")
    few = token_of(machine, project, "few", "--scopes", "functions", "--rate", "1000/s", "--at-once", "2")
    for wrong in (["--rate", "often"], ["--rate", "0/s"], ["--at-once", "0"]):
        assert machine.sabir("tokens", "add", "wrong", "--scopes", "functions", *wrong, cwd=project).code == 2
    listed = machine.sabir("tokens", "list", cwd=project).out
    assert "1000/s" in listed and "2 at once" in listed
    server = Served(machine, project)
    try:
        answers = [server.ask("GET", "/functions", token=common) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[0].headers["RateLimit-Policy"] == '"caller";q=2;w=3600' and answers[0].headers["RateLimit"].startswith('"caller";r=1;t=')
        assert int(answers[2].headers["Retry-After"]) > 60 and answers[2].json["detail"] == "more requests than 2/h"
        assert {server.ask("GET", "/functions", token=often).status for _ in range(20)} == {200}
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            statuses = [answer.status for answer in pool.map(lambda _: server.call("notes.slow", {"seconds": 0.7}, token=few), range(6))]
        assert sorted(statuses) == [200, 200, 429, 429, 429, 429]
        assert server.call("notes.slow", {"seconds": 0}, token=few).status == 200, "what has ended counts no more"
        # A client that leaves leaves its place.
        head = "POST /functions/notes.slow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" % few
        for _ in range(4):
            server.raw(head.encode() + b'{"seconds": 30}', read=False)
        until = time.monotonic() + 10
        while server.call("notes.slow", {"seconds": 0}, token=few).status != 200:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        server.stop()


def test_serve_is_read_again_at_a_reload(machine):
    project = write_project(machine.folder / "again", "serve: {limits: {rate: 100/s}}\n", languages="python")
    server = Served(machine, project)
    try:
        page = {"Origin": "https://app.example"}
        assert server.ask("GET", "/functions", headers=page).status == 403
        assert server.ask("GET", "/functions").headers["RateLimit-Policy"] == '"caller";q=100;w=1'
        config = project / "sabir.yml"
        config.write_text("languages: [python]\nserve:\n  cors: [https://app.example]\n  hosts: [api.example, localhost]\n  port: 9999\n  limits: {rate: 7/min, body: 1MB}\n")
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 20
        while True:
            answer = server.ask("GET", "/functions", headers={**page, "Host": "api.example"})
            if answer.status == 200:
                break
            assert time.monotonic() < until, answer
            time.sleep(0.05)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example" and answer.headers["RateLimit-Policy"] == '"caller";q=7;w=60'
        assert server.call("notes.shorten", '{"text": "%s"}' % ("a" * 2_000_000), headers={"Host": "localhost"}).status == 413
        assert server.ask("GET", "/healthz").status == 421, "127.0.0.1 is no longer among the hosts"
        while not any("port of sabir.yml's serve changed" in line for line in server.errors):
            assert time.monotonic() < until, server.errors
            time.sleep(0.05)
        config.write_text("serve: {limits: {rate: often}}\n")
        server.process.send_signal(signal.SIGHUP)
        while not any("sabir.yml:1" in line for line in server.errors):
            assert time.monotonic() < until, server.errors
            time.sleep(0.05)
        assert server.ask("GET", "/healthz", headers={"Host": "api.example"}).status == 200, "what was there is kept"
    finally:
        server.stop()


def test_keys_come_over_http_and_clients_are_told_of_the_issuer(machine, tmp_path):
    first, second = Issuer(tmp_path, "ES256", "one"), Issuer(tmp_path, "EdDSA", "two")
    published, asked = [first.jwk()], []

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps({"keys": published}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    keys = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=keys.serve_forever, daemon=True).start()
    config = "serve:\n  jwt: {jwks: 'http://127.0.0.1:%d/jwks.json', issuer: 'https://login.example/', audience: notes, granted: [functions, mcp]}\n" % keys.server_port
    project = write_project(machine.folder / "jwks", config, languages="python")
    server = None
    try:
        server = Served(machine, project)
        claims = {"iss": "https://login.example/", "aud": "notes", "exp": int(time.time()) + 600, "sub": "ada"}
        assert server.call("notes.who", token=first.sign(claims)).json["user"] == "ada" and asked == ["/jwks.json"]
        # Keys that are not known are asked for, but not all the time.
        published.append(second.jwk())
        for _ in range(5):
            assert server.call("notes.who", token=second.sign(claims)).status == 401
        assert len(asked) == 1, "they were read a moment ago"
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 20
        while server.call("notes.who", token=second.sign(claims)).status != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        base = server.address
        for path, resource in (("", ""), ("/mcp", "/mcp")):
            told = server.ask("GET", "/.well-known/oauth-protected-resource" + path)
            assert told.status == 200 and told.json["resource"] == base + resource and told.json["authorization_servers"] == ["https://login.example/"]
        refused = server.ask("POST", "/mcp", {}, headers={"Accept": "application/json, text/event-stream"})
        assert refused.status == 401 and refused.headers["WWW-Authenticate"] == 'Bearer resource_metadata="%s/.well-known/oauth-protected-resource/mcp"' % base
        refused = server.ask("POST", "/mcp", {}, token=second.sign(dict(claims, exp=1)))
        assert refused.status == 401 and refused.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", resource_metadata="')
        assert server.ask("GET", "/functions").headers["WWW-Authenticate"] == "Bearer"
    finally:
        if server:
            server.stop()
        keys.shutdown()
        keys.server_close()
    plain = Served(machine, write_project(machine.folder / "no_jwt", languages="python"))
    try:
        assert plain.ask("GET", "/.well-known/oauth-protected-resource").status == 404
    finally:
        plain.stop()
