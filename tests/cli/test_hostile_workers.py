"""Workers that break every rule of the protocol: the engine answers with typed errors, stays responsive and bounded."""
import json
import threading
import time

import pytest
from harness import write

LANGUAGE = """
name: wild
extensions: [.wild]
interpreters: [python3]
missing_hint: "install Python 3"
worker: worker.py
launch: ["{interpreter}", "{worker}"]
describe: ["{interpreter}", "{resources}/describe.py"]
"""

FINE = ["fine", "one_byte", "wrong_id", "twice", "not_json", "flood_of_logs", "flood_of_chunks", "flood_of_requests"]
DESCRIBE = "FINE = %r\n" % FINE + r'''
import json, sys

asked = json.load(sys.stdin)
names = ["fine", "one_byte", "long_line", "deep", "garbage", "wrong_id", "twice", "huge_head", "huge_frame", "no_value", "not_json",
         "flood_of_logs", "flood_of_chunks", "flood_of_requests", "deaf", "silent", "lonely_blobs", "bad_utf8", "closes"]
print(json.dumps({"version": 1, "files": [{"path": file["path"], "functions": [
    {"name": name, "line": 1, "doc": "Effect: read\nTimeout: " + ("180s" if name in FINE else "1500ms"),
     "parameters": [{"name": "text", "schema": {"type": "string"}, "required": False}]} for name in names]}
    for file in asked["files"]]}))
'''

WORKER = r'''
import json, os, socket, sys, time

peer = socket.socket(fileno=int(os.environ["SABIR_FD"]))
stream = peer.makefile("rb")


def raw(body):
    peer.sendall(b"%d\n%s" % (len(body), body))


def send(message):
    raw(json.dumps(dict({"jsonrpc": "2.0"}, **message)).encode())


def answer(id, value):
    return json.dumps({"jsonrpc": "2.0", "id": id, "result": {"value": value}}).encode()


while True:
    head = stream.readline()
    if not head:
        break
    sizes = [int(part) for part in head.split()]
    message = json.loads(stream.read(sizes[0]))
    stream.read(sum(sizes[1:]))
    method, id = message.get("method"), message.get("id")
    if method == "hello":
        send({"id": id, "result": {"protocol": 1}})
    elif method != "call":
        if id is not None and method:
            send({"id": id, "result": {}})
    else:
        name = message["params"]["function"]
        if name == "fine":
            send({"id": id, "result": {"value": "fine"}})
        elif name == "one_byte":
            body = answer(id, "x" * 200)
            for byte in b"%d\n%s" % (len(body), body):
                peer.sendall(bytes([byte]))
        elif name == "long_line":
            peer.sendall(b"1000000000\n")
            try:
                for _ in range(1000):
                    peer.sendall(b"x" * 1000000)
            except OSError:
                sys.exit(0)
        elif name == "deep":
            raw(b'{"jsonrpc":"2.0","id":%d,"result":{"value":%s}}' % (id, b"[" * 10000 + b"]" * 10000))
        elif name == "garbage":
            peer.sendall(os.urandom(5000))
        elif name == "wrong_id":
            send({"id": 987654321, "result": {"value": 1}})
            send({"id": id, "result": {"value": "fine"}})
        elif name == "twice":
            send({"id": id, "result": {"value": "fine"}})
            send({"id": id, "result": {"value": "again"}})
        elif name == "huge_head":
            peer.sendall(b"9" * 20000 + b"\n")
        elif name == "huge_frame":
            peer.sendall(b"5 70000000\n{}xxx")
        elif name == "no_value":
            send({"id": id, "result": {}})
        elif name == "not_json":
            raw(b"{this is no JSON")
            send({"id": id, "result": {"value": "fine"}})
        elif name == "flood_of_logs":
            for i in range(20000):
                send({"method": "log", "params": {"level": "info", "message": "flood " * 20, "id": id}})
            for i in range(200):
                sys.stdout.write("x" * 100000)
            sys.stdout.write("\n")
            sys.stdout.flush()
            send({"id": id, "result": {"value": "fine"}})
        elif name == "flood_of_chunks":
            for i in range(50000):
                send({"method": "chunk", "params": {"id": id, "value": i}})
            send({"id": id, "result": {"value": "fine"}})
        elif name == "flood_of_requests":
            for i in range(1000):
                send({"id": i + 1, "method": "functions.list", "params": {"parent": id}})
            send({"id": id, "result": {"value": "fine"}})
        elif name == "deaf":
            time.sleep(60)
        elif name == "silent":
            pass
        elif name == "lonely_blobs":
            body = answer(id, "x")
            peer.sendall(b"%d 3\n%s" % (len(body), body) + b"abc")
        elif name == "bad_utf8":
            raw(b'{"jsonrpc":"2.0","id":%d,"result":{"value":"\xff\xfe"}}' % id)
        elif name == "closes":
            peer.close()
            time.sleep(60)
'''

# What each of the others ends in.
ENDS = {"long_line": {"protocol", "worker_crashed"}, "deep": {"protocol", "timeout"},
        "garbage": {"protocol", "worker_crashed"}, "huge_head": {"protocol", "worker_crashed"}, "huge_frame": {"protocol", "worker_crashed"},
        "no_value": {"protocol"}, "deaf": {"timeout"}, "silent": {"timeout"}, "lonely_blobs": {"protocol"},
        "bad_utf8": {"protocol", "invalid_result", "worker_crashed", "timeout"}, "closes": {"worker_crashed", "timeout"}}


@pytest.fixture
def wild(project):
    for name, text in (("language.yml", LANGUAGE), ("describe.py", DESCRIBE), ("worker.py", WORKER)):
        write(project / "languages/wild" / name, text)
    write(project / "functions/wild/things.wild", "things\n")
    return project


@pytest.fixture
def engine(machine, wild):
    process = machine.start_engine(wild)
    for pipe in (process.stdout, process.stderr):
        threading.Thread(target=pipe.read, daemon=True).start()
    assert machine.sabir("call", "things.fine", cwd=wild).code == 0
    return process


def resident(pid):
    with open("/proc/%d/statm" % pid) as file:
        return int(file.read().split()[1]) * 4096


def test_what_a_worker_may_do_works(machine, wild, engine):
    for name in FINE:
        done = machine.sabir("call", "things." + name, "--json", cwd=wild, timeout=300)
        assert done.code == 0 and (done.json == "fine" or done.json == "x" * 200), done
        assert machine.sabir("call", "things.fine", cwd=wild).code == 0, name


def test_what_it_may_not_ends_in_a_typed_error_and_the_next_call_works(machine, wild, engine):
    before = resident(engine.pid)
    over, slow = threading.Event(), []

    def others():
        # Functions in another language never notice.
        while not over.is_set():
            start = time.monotonic()
            assert machine.sabir("call", "slugify", "text=A b", cwd=wild).code == 0
            slow.append(time.monotonic() - start)

    beside = threading.Thread(target=others)
    beside.start()
    try:
        for name in sorted(ENDS):
            begin = time.monotonic()
            done = machine.sabir("call", "things." + name, "--json", cwd=wild)
            assert done.code == 1 and json.loads(done.out)["error"]["type"] in ENDS[name], done
            assert time.monotonic() - begin < 8, name
            assert machine.sabir("call", "things.fine", cwd=wild).code == 0, name
            assert resident(engine.pid) - before < 200 << 20, name
    finally:
        over.set()
        beside.join(30)
    assert len(slow) > 20 and sorted(slow)[len(slow) * 9 // 10] < 1.0, sorted(slow)[-5:]
