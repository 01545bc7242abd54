#!/usr/bin/env python3
"""A stand-in for the engine in SDK tests: `attach` on an inherited socket, or `listen PATH`.

It keeps memory in a dict, answers functions.call by echoing, and notes its starts and requests in $FAKE_ENGINE_LOG.
Addresses do something: "fail" answers with an error, "die" ends the process, "slow" waits 0.2 s.
"""

import json
import os
import socket
import sys
import threading
import time

memory = {}
lock = threading.Lock()


def note(text):
    path = os.environ.get("FAKE_ENGINE_LOG")
    if path:
        with open(path, "a") as file:
            file.write(text + "\n")


class Failure(Exception):
    pass


def answer(method, params, state):
    if method == "hello":
        if os.environ.get("FAKE_ENGINE_SILENT"):
            time.sleep(60)
        state["hello"] = params
        return {"protocol": 1, "engine": "0.1.0", "project": params["project"], "environment": "test"}
    if method == "functions.call":
        address = params["address"]
        if address == "fail":
            raise Failure({"code": -32000, "message": "no such city", "data": {
                "type": "function_error", "hint": "try another", "file": "functions/x.py", "line": 3, "city": "Ur"}})
        if address == "die":
            os._exit(3)
        if address == "slow":
            time.sleep(0.2)
        return {"value": {"address": address, "arguments": params["arguments"], "pid": os.getpid()}}
    if method == "functions.list":
        return {"functions": [{"address": "text.slugify"}]}
    key = (params.get("namespace"), params.get("key"))
    with lock:
        if method == "memory.put":
            version = memory.get(key, (None, 0))[1]
            if params.get("if_version") not in (None, version):
                raise Failure({"code": -32000, "message": "another version", "data": {"type": "conflict"}})
            memory[key] = (params["value"], version + 1)
            return {"version": version + 1}
        if method == "memory.get":
            found = memory.get(key)
            return {"found": True, "value": found[0], "version": found[1]} if found else {"found": False}
        if method == "memory.list":
            items = [{"key": k, "value": v, "version": n, "updated_ms": 1} for (s, k), (v, n) in sorted(memory.items(), key=str)
                     if s == params["namespace"] and k.startswith(params.get("prefix", "")) and k > params.get("after", "")]
            return {"items": items[:params.get("limit", 100)]}
        if method == "memory.delete":
            return {"deleted": memory.pop(key, None) is not None}
        log = memory.setdefault(("log", params.get("conversation")), [])
        if method == "memory.append":
            log.append(params["message"])
            return {"seq": len(log)}
        if method == "memory.messages":
            return {"messages": [{"seq": i + 1, "message": m, "created_ms": 1} for i, m in enumerate(log)][-params["limit"]:]}
    if method == "completions.render":
        return {"text": "Hello %s" % params["variables"].get("name"), "messages": []}
    if method == "models.complete":
        return {"content": params["messages"][-1]["content"].upper(), "tool_calls": [], "finish_reason": "stop", "model": "m",
                "provider": "scripted", "usage": {"input_tokens": 1}}
    if method == "assistants.run":
        return {"content": "about " + params["message"], "conversation": "c1", "model": "m", "calls": []}
    if method == "secrets.get":
        return {"value": "s3cret"}
    raise Failure({"code": -32601, "message": "unknown method", "data": {"type": "unknown_method"}})


def set_at(value, pointer, blob):
    keys = pointer[1:].split("/")
    for key in keys[:-1]:
        value = value[int(key) if isinstance(value, list) else key]
    value[int(keys[-1]) if isinstance(value, list) else keys[-1]] = blob


def serve(sock):
    state = {}
    file = sock.makefile("rb")
    write = threading.Lock()

    def handle(message):
        response = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            response["result"] = answer(message["method"], message.get("params", {}), state)
        except Failure as failure:
            response["error"] = failure.args[0]
        body = json.dumps(response).encode()
        with write:
            try:
                sock.sendall(b"%d\n%b" % (len(body), body))
            except OSError:
                pass

    while True:
        head = file.readline().split()
        if not head:
            return
        sizes = [int(part) for part in head]
        message = json.loads(file.read(sizes[0]))
        blobs = [file.read(size) for size in sizes[1:]]
        for entry, blob in zip(message["params"].pop("blobs", []), blobs):
            set_at(message["params"], entry["at"], blob.decode())
        note("%s %s" % (message["method"], len(blobs)))
        threading.Thread(target=handle, args=(message,), daemon=True).start()


if __name__ == "__main__":
    note("start " + " ".join(sys.argv[1:]))
    if sys.argv[1] == "attach":
        serve(socket.socket(fileno=int(os.environ["SABIR_FD"])))
        note("end")
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(sys.argv[2])
        listener.listen()
        print("ready", flush=True)
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
