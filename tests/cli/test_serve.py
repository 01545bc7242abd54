"""`sabir serve`: REST over HTTP, asked by real clients and raw sockets."""
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from serving import Served, events_of, machine_of, write_project


def group_of(item):
    return "serve"


@pytest.fixture(scope="module")
def machine(binary, cache):
    with machine_of(binary, cache) as made:
        yield made


@pytest.fixture(scope="module")
def project(machine):
    return write_project(machine.folder / "notes")


@pytest.fixture(scope="module")
def served(machine, project):
    server = Served(machine, project)
    assert server.call("stats.mean", {"values": [1]}, timeout=120).status == 200
    assert server.call("numbers.add", {"a": 1, "b": 1}, timeout=120).status == 200
    yield server
    server.stop()


def test_functions_of_each_language_are_called(served):
    assert served.call("notes.shorten", {"text": "abcdef", "most": 3}).json == "abc"
    assert served.call("stats.mean", {"values": [1, 2, 6]}).json == 3.0
    assert served.call("numbers.add", {"a": 2, "b": 40}).json == 42
    assert served.call("python/notes.rate", {"note": {"title": "a", "stars": 1}, "kind": "double"}).json["stars"] == 3
    assert served.call("python%2Fnotes.shorten", {"text": "a"}).json == "a"


def test_curl_gets_the_same(served):
    command = ["curl", "-sS", "-X", "POST", "-H", "Content-Type: application/json", "-d", '{"a": 1, "b": 2}', served.address + "/functions/numbers.add"]
    assert json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout) == 3


def test_large_texts_go_both_ways(served):
    text = "é" * 400_000
    assert served.call("notes.shorten", {"text": text, "most": 400_000}).json == text


@pytest.mark.parametrize("body, status, kind", [
    ('{"text": 5}', 422, "invalid_arguments"),
    ('{"txt": "a"}', 422, "invalid_arguments"),
    ('{"text": ', 400, "protocol"),
    ('[1]', 422, "invalid_arguments"),
    ('{"text": "a"}, "b": 1', 400, "protocol"),
    (b'{"text": "\xff\xfe"}', 400, "protocol"),
    ('{"text": "\\ud800"}', 422, "invalid_arguments"),
    ("[" * 10_000 + "]" * 10_000, 400, "protocol"),
    ('{"text": ' + "[" * 10_000 + "]" * 10_000 + "}", 400, "protocol"),
    ('{"text": "' + "a" * 100_000 + '"', 400, "protocol"),
])
def test_bad_bodies_are_told_what_is_wrong(served, body, status, kind):
    answer = served.call("notes.shorten", body)
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["type"] == "urn:sabir:error:" + kind and problem["status"] == status and problem["detail"]
    assert problem["instance"] == "/functions/notes.shorten"


def test_errors_have_a_hint_and_particulars(served):
    answer = served.call("notes.shorten", {"txt": "a"})
    assert "text" in answer.json["hint"] or "text" in answer.json["detail"]
    assert served.call("notes.shortn", {"text": "a"}).status == 404
    assert "notes.shorten" in served.call("notes.shortn", {"text": "a"}).json["hint"]
    failed = served.call("notes.fail")
    assert failed.status == 500 and failed.json["type"] == "urn:sabir:error:function_error" and "no such note" in failed.json["detail"]
    assert served.ask("PUT", "/functions/notes.shorten", {}).status == 405
    assert served.ask("GET", "/elsewhere").status == 404
    assert served.call("notes.shorten", "text=a", headers={"Content-Type": "application/x-www-form-urlencoded"}).status == 415
    assert served.call("notes.shorten?stream=maybe", {"text": "a"}).status == 400


def test_listed_functions_have_their_schemas(served):
    listed = {f["address"]: f for f in served.ask("GET", "/functions").json["functions"]}
    assert {"notes.shorten", "stats.mean", "numbers.add"} <= set(listed)
    assert "context" not in listed["notes.who"]["input_schema"].get("properties", {})
    assert served.ask("GET", listed["numbers.add"]["url"]).json["input_schema"] == listed["numbers.add"]["input_schema"]


def test_streams_come_as_events(served):
    answer = served.call("notes.count?stream=1", {"to": 3})
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert events_of(answer.body) == [("chunk", "0"), ("chunk", "1"), ("chunk", "2"), ("end", '{"streamed":3}')]
    assert events_of(served.call("numbers.add?stream=1", {"a": 1, "b": 2}).body) == [("result", "3")]
    # What fails before anything was sent has a status of its own.
    assert served.call("notes.fail?stream=1").status == 500
    assert served.call("notes.count?stream=1", {"to": "many"}).status == 422
    events = events_of(served.call("notes.break_off?stream=1").body)
    assert events[0] == ("chunk", "1") and events[-1][0] == "error" and json.loads(events[-1][1])["type"] == "urn:sabir:error:function_error"


@pytest.mark.parametrize("streamed", ["", "?stream=1"])
def test_a_client_that_leaves_ends_its_call(served, tmp_path, streamed):
    mark = str(tmp_path / "mark")
    body = json.dumps({"seconds": 3, "mark": mark})
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(("POST /functions/notes.slow%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (streamed, len(body), body)).encode())
        for _ in range(300):
            if os.path.exists(mark + ".begun"):
                break
            time.sleep(0.05)
        assert os.path.exists(mark + ".begun")
    time.sleep(4)
    assert not os.path.exists(mark + ".done")


def test_the_trace_is_told_and_taken(served):
    answer = served.call("numbers.add", {"a": 1, "b": 2})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Sabir-Run-Id"])
    given = "0af7651916cd43dd8448eb211c80319c"
    assert served.call("numbers.add", {"a": 1, "b": 2}, headers={"traceparent": "00-%s-b7ad6b7169203331-01" % given}).headers["X-Sabir-Run-Id"] == given
    assert served.call("numbers.add", {"a": 1, "b": 2}, headers={"X-Sabir-Run-Id": given}).headers["X-Sabir-Run-Id"] == given
    assert served.call("numbers.add", {"a": 1}, headers={"X-Sabir-Run-Id": given}).json["run"] == given
    # The engine's own record of it.
    for _ in range(50):
        found = served.machine.sabir("trace", answer.headers["X-Sabir-Run-Id"], "--json", cwd=served.project)
        if found.code == 0:
            break
        time.sleep(0.2)
    assert found.code == 0 and "numbers.add" in found.out, found


def test_repeated_requests_with_a_key_happen_once(served, tmp_path):
    body = {"file": str(tmp_path / "lines"), "text": "a"}
    key = {"Idempotency-Key": "first"}
    first = served.call("notes.append", body, headers=key)
    again = served.call("notes.append", body, headers=key)
    assert (first.status, first.json, again.status, again.json) == (200, 1, 200, 1)
    assert again.headers["Idempotency-Replayed"] == "true" and again.headers["X-Sabir-First-Run-Id"] == first.headers["X-Sabir-Run-Id"]
    other = served.call("notes.append", dict(body, text="b"), headers=key)
    assert other.status == 422 and "another request" in other.json["detail"]
    assert served.call("notes.append", body).json == 2
    # What did not come to a call may be tried again with the same key.
    assert served.call("notes.append", {"file": 1}, headers={"Idempotency-Key": "second"}).status == 422
    assert served.call("notes.append", body, headers={"Idempotency-Key": "second"}).status == 200
    assert served.call("notes.append?stream=1", body, headers=key).status == 400


def test_the_same_key_at_once_is_a_conflict(served, tmp_path):
    body = {"file": str(tmp_path / "lines"), "text": "slowly"}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: served.call("notes.append", body, headers={"Idempotency-Key": "at once"}), range(6)))
    assert sorted(a.status for a in answers)[0] == 200 and {a.status for a in answers} <= {200, 409}, answers
    assert 409 in {a.status for a in answers}
    assert len((tmp_path / "lines").read_text().splitlines()) == 1


def test_a_key_outlives_a_client_and_the_server(machine, binary, tmp_path):
    project = write_project(machine.folder / "keys", languages="python")
    server = Served(machine, project)
    body = json.dumps({"file": str(tmp_path / "lines"), "text": "slowly"})
    server.call("notes.shorten", {"text": "warm"})
    server.raw(("POST /functions/notes.append HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)).encode(), read=False)
    for _ in range(100):
        if server.call("notes.append", body, headers={"Idempotency-Key": "k"}).status == 200:
            break
        time.sleep(0.1)
    assert server.stop() == 0
    server = Served(machine, project)
    try:
        assert server.call("notes.append", body, headers={"Idempotency-Key": "k"}).json == 1
        # A server that dies in between leaves a request that nobody knows the end of.
        other = json.dumps({"file": str(tmp_path / "others"), "text": "very slowly"})
        server.raw(("POST /functions/notes.append HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: died\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(other), other)).encode(), read=False)
        for _ in range(400):
            if (tmp_path / "others").exists():
                break
            time.sleep(0.05)
        server.stop(signal.SIGKILL)
        server = Served(machine, project)
        answer = server.call("notes.append", other, headers={"Idempotency-Key": "died"})
        assert answer.status == 409 and answer.json["type"] == "urn:sabir:error:outcome_unknown", answer
    finally:
        server.stop()


def test_prompts_assistants_and_memory(served):
    assert [p["name"] for p in served.ask("GET", "/prompts").json["prompts"]] == ["greet"]
    assert served.ask("GET", "/prompts/greet").json["variables"] == ["name"]
    rendered = served.ask("POST", "/prompts/greet/render", {"name": "Ada"})
    assert rendered.status == 200 and rendered.json["text"].strip() == "Hello Ada!"
    assert served.ask("POST", "/prompts/greet/render", {}).status == 422
    assert served.ask("POST", "/prompts/none/render", {}).status == 404
    assert served.ask("GET", "/assistants").json == {"assistants": []}
    assert served.machine.sabir("memory", "put", "colour", "blue", "-n", "likes", cwd=served.project).code == 0
    assert [item["key"] for item in served.ask("GET", "/memory?namespace=likes").json["items"]] == ["colour"]
    assert served.ask("GET", "/memory/likes/colour").json["value"] == "blue"
    assert served.ask("GET", "/memory/likes/none").status == 404
    assert served.ask("GET", "/memory?limit=many").status == 400


def test_health_and_metrics(served):
    assert served.ask("GET", "/healthz").json == {"status": "ok"}
    state = served.ask("GET", "/readyz").json
    assert state["status"] == "ready" and sorted((one["language"], one["ok"]) for one in state["languages"]) == [("cpp", True), ("python", True), ("ruby", True)]
    text = served.ask("GET", "/metrics").body
    assert re.search(r'sabir_http_requests_total\{method="POST",route="/functions/\{address\.\.\.\}",function="cpp/numbers\.add",status="200"\} \d+', text)
    assert re.search(r'sabir_workers\{pool="python"\} \d+', text)
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)*\})? [0-9.e+-]+', line), line


def test_the_access_log_has_a_line_for_each_request(served):
    answer = served.call("numbers.add", {"a": 20, "b": 3})
    for _ in range(50):
        lines = [line for line in served.log() if line.get("trace") == answer.headers["X-Sabir-Run-Id"]]
        if lines:
            break
        time.sleep(0.1)
    assert len(lines) == 1
    assert lines[0]["status"] == 200 and lines[0]["function"] == "cpp/numbers.add" and lines[0]["method"] == "POST" and lines[0]["ms"] > 0


def test_other_hosts_and_origins_are_refused(served):
    assert served.ask("GET", "/functions", headers={"Host": "evil.example"}).status == 421
    assert served.ask("GET", "/functions", headers={"Origin": "http://evil.example"}).status == 403
    answer = served.ask("GET", "/functions", headers={"Origin": served.address})
    assert answer.status == 200 and "Access-Control-Allow-Origin" not in answer.headers


HEAD = b"POST /functions/numbers.add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("data, status", [
    (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
    (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", b"400"),
    (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n", b"501"),
    (HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n", b"431"),
    (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"413"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
    (b"GET / HTTP/9.9\r\n\r\n", b"505"),
])
def test_what_could_hide_a_request_is_refused(served, data, status):
    got = served.raw(data)
    assert got.split(b" ")[1] == status, got
    assert got.count(b"\r\nDate: ") == 1
    assert served.call("numbers.add", {"a": 1, "b": 2}).json == 3


def test_slow_and_silent_clients_hold_nobody_up(served):
    idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(200)]
    slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
    try:
        for connection in slow:
            connection.sendall(b"POST /functions/numbers.add HTTP/1.1\r\nHo")
        begin = time.monotonic()
        for i in range(100):
            assert served.call("numbers.add", {"a": i, "b": 1}).json == i + 1
        assert time.monotonic() - begin < 20
    finally:
        for connection in idle + slow:
            connection.close()


def test_the_document_says_what_there_is(served):
    document = served.ask("GET", "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    operation = document["paths"]["/functions/notes.rate"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"note", "kind"}
    # Every reference leads somewhere.
    for ref in re.findall(r'"\$ref": "(#[^"]*)"', json.dumps(document)):
        at = document
        for part in ref[2:].split("/"):
            at = at[part.replace("~1", "/").replace("~0", "~")]
    # The examples are answered.
    for path, methods in document["paths"].items():
        example = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if example is None or methods["post"].get("x-sabir-effect") != "read" or path.endswith(("fail", "slow", "break_off")):
            continue
        assert served.call(path[len("/functions/"):], example).status == 200, (path, example)
    assert "Idempotency-Key" in [p["name"] for p in document["paths"]["/functions/notes.append"]["post"]["parameters"]]


def test_the_page_needs_nothing_else(served):
    answer = served.ask("GET", "/docs")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "notes.shorten" in answer.body and not re.search(r'(src|href)="?(https?:)?//', answer.body) and "<script" not in answer.body


def test_a_saved_function_is_served_anew(machine):
    project = write_project(machine.folder / "reloaded", languages="python")
    server = Served(machine, project)
    try:
        assert server.call("notes.shorten", {"text": "abc"}).json == "abc"
        (project / "functions/python/more.py").write_text('def twice(text: str) -> str:\n    """Twice.\n\n    Effect: read\n    """\n    return text * 2\n')
        for _ in range(200):
            if server.call("more.twice", {"text": "a"}).status == 200:
                break
            time.sleep(0.1)
        assert server.call("more.twice", {"text": "a"}).json == "aa"
        assert "/functions/more.twice" in server.ask("GET", "/openapi.json").json["paths"]
    finally:
        server.stop()


def test_it_ends_after_what_runs(machine):
    project = write_project(machine.folder / "ends", languages="python")
    server = Served(machine, project)
    server.call("notes.shorten", {"text": "warm"})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.call, "notes.slow", {"seconds": 1.5})
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        assert answer.result(20).json == "awake"
    assert server.process.wait(20) == 0


def test_it_tells_the_service_manager_and_takes_its_socket(machine):
    project = write_project(machine.folder / "managed", languages="python")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket() as listening:
        manager.bind(str(machine.folder / "notify"))
        manager.settimeout(30)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        token = machine.sabir("tokens", "add", "manager", "--scopes", "functions", cwd=project).out.strip()
        try:
            script = "import os,sys\nos.dup2(%d, 3)\nos.environ['LISTEN_PID'] = str(os.getpid())\nos.environ['LISTEN_FDS'] = '1'\nos.execv(sys.argv[1], sys.argv[1:])" % listening.fileno()
            listening.set_inheritable(True)
            process = subprocess.Popen([sys.executable, "-c", script, str(machine.binary), "serve", "--json"], cwd=str(project), pass_fds=[listening.fileno()], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True, env=dict(machine.env, NOTIFY_SOCKET=str(machine.folder / "notify")))
            try:
                assert json.loads(process.stdout.readline())["address"].endswith(":%d" % listening.getsockname()[1])
                assert manager.recv(100) == b"READY=1"
                answer = subprocess.run(["curl", "-sS", "-H", "Authorization: Bearer " + token, "http://127.0.0.1:%d/functions" % listening.getsockname()[1]], stdout=subprocess.PIPE, timeout=30)
                assert b"notes.shorten" in answer.stdout
                process.send_signal(signal.SIGHUP)
                assert [manager.recv(100), manager.recv(100)] == [b"RELOADING=1", b"READY=1"]
                process.send_signal(signal.SIGTERM)
                assert manager.recv(100) == b"STOPPING=1"
                assert process.wait(20) == 0
            finally:
                process.kill()
                process.wait()
        finally:
            assert machine.sabir("tokens", "revoke", "manager", cwd=project).code == 0


def test_it_serves_a_unix_socket(machine, project):
    path = machine.folder / "app.sock"
    process = machine.start(machine.binary, "serve", "--json", "--socket", path, cwd=project)
    assert json.loads(process.stdout.readline())["address"] == "unix:" + str(path)
    answer = subprocess.run(["curl", "-sS", "--unix-socket", str(path), "http://any.example/healthz"], stdout=subprocess.PIPE, timeout=30)
    assert json.loads(answer.stdout) == {"status": "ok"}
    assert path.stat().st_mode & 0o777 == 0o600
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0 and not path.exists()


def test_it_speaks_tls(machine):
    project = write_project(machine.folder / "tls", "serve:\n  tls: {certificate: cert.pem, key: key.pem}\n", languages="python")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(project / "key.pem"), "-out", str(project / "cert.pem"), "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, stderr=subprocess.DEVNULL, timeout=60)
    server = Served(machine, project)
    try:
        assert server.address.startswith("https://")
        url = "https://localhost:%d" % server.port
        large = json.dumps({"text": "a" * 300_000, "most": 300_000})
        answer = subprocess.run(["curl", "-sS", "--cacert", str(project / "cert.pem"), "-H", "Content-Type: application/json", "-d", "@-", url + "/functions/notes.shorten"], input=large.encode(),
                                stdout=subprocess.PIPE, timeout=60)
        assert json.loads(answer.stdout) == "a" * 300_000
        stream = subprocess.run(["curl", "-sSN", "--cacert", str(project / "cert.pem"), "-H", "Content-Type: application/json", "-d", '{"to": 2}', url + "/functions/notes.count?stream=1"],
                                stdout=subprocess.PIPE, timeout=60)
        assert events_of(stream.stdout.decode())[-1] == ("end", '{"streamed":2}')
    finally:
        server.stop()
    (project / "key.pem").write_text("none")
    done = machine.sabir("serve", "--port", "0", cwd=project)
    assert done.code == 1 and "key.pem" in done.err


def test_openssl_is_opened_by_who_needs_it_alone(served, binary):
    with open("/proc/%d/maps" % served.process.pid) as maps:
        assert "libssl" not in maps.read()
    linked = subprocess.run(["ldd", str(binary)], stdout=subprocess.PIPE, text=True, timeout=30).stdout
    assert "libssl" not in linked and "libcrypto" not in linked
