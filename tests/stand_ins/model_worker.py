#!/usr/bin/env python3
"""A stand-in for the local model's process: the worker protocol with load, complete and embed, and no model behind them.

The last user's message chooses what happens: "crash" ends the process, "deaf" ignores cancel and hangs, "hang" hangs until
cancelled, "error" answers an error, "pid" says the process id, "size" the length of the first message; anything else is
said back, word by word. The path of the weights chooses what load does: "broken.gguf" fails, "dead.gguf" ends the process.
"""
import json
import os
import select
import socket
import sys
import time

connection = socket.socket(fileno=int(os.environ["SABIR_FD"]))
buffer = b""


def send(message):
    text = json.dumps({"jsonrpc": "2.0", **message}).encode()
    connection.sendall(b"%d\n" % len(text) + text)


def receive(wait=None):
    """The next message, or None after `wait` seconds without one."""
    global buffer
    while True:
        if b"\n" in buffer:
            head, rest = buffer.split(b"\n", 1)
            lengths = [int(n) for n in head.split()]
            if len(rest) >= sum(lengths):
                message = json.loads(rest[: lengths[0]])
                at = lengths[0]
                for place, size in zip(message.get("params", {}).get("blobs", []), lengths[1:]):
                    put(message["params"], place["at"].split("/")[1:], rest[at : at + size].decode())
                    at += size
                buffer = rest[at:]
                return message
        if not select.select([connection], [], [], wait)[0]:
            return None
        data = connection.recv(65536)
        if not data:
            sys.exit(0)
        buffer += data


def put(value, path, text):
    for part in path[:-1]:
        value = value[int(part) if isinstance(value, list) else part]
    value[int(path[-1]) if isinstance(value, list) else path[-1]] = text


def fail(message_id, kind, text):
    send({"id": message_id, "error": {"code": -32000, "message": text, "data": {"type": kind}}})


def embed(call, arguments):
    texts = arguments["texts"]
    vectors = [[len(text), 0.25] for text in texts]
    if texts[0] == "ragged":
        vectors[0].append(1)
    elif texts[0] == "none":
        vectors.pop()
    elif texts[0] == "words":
        vectors[0][0] = "one"
    send({"id": call, "result": {"value": {"vectors": vectors, "tokens": sum(map(len, texts)), "model": "tiny"}}})


def complete(call, arguments):
    last = [m["content"] for m in arguments["messages"] if m["role"] == "user"][-1]
    message = {"role": "assistant", "content": None}
    finish = "stop"
    if last == "crash":
        print("terminate called: out of memory", file=sys.stderr, flush=True)
        os._exit(134)
    elif last == "deaf":
        time.sleep(60)
    elif last == "hang":
        while True:
            notice = receive(30)
            if notice and notice["method"] == "cancel" and notice["params"]["id"] == call:
                return fail(call, "cancelled", "cancelled")
    elif last == "error":
        return fail(call, "context_overflow", "the prompt is too long")
    elif last == "pid":
        message["content"] = str(os.getpid())
    elif last == "size":
        message["content"] = str(len(arguments["messages"][0]["content"]))
    elif last == "arguments":
        message["content"] = json.dumps({k: v for k, v in arguments.items() if k != "messages"}, sort_keys=True)
    elif arguments.get("tools"):
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": t["function"]["name"], "arguments": "{}"}}
            for i, t in enumerate(arguments["tools"])
        ]
        finish = "tool_calls"
    else:
        message["content"] = last
        for word in last.split(" "):
            send({"method": "chunk", "params": {"id": call, "value": {"delta": {"content": word + " "}}}})
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    send({"id": call, "result": {"value": {"message": message, "finish_reason": finish, "usage": usage, "model": "tiny"}}})


while True:
    request = receive()
    method, number = request.get("method"), request.get("id")
    if method == "hello":
        send({"id": number, "result": {"protocol": 1, "language": "model", "runtime": "0", "sdk": "0", "capabilities": {}}})
    elif method == "call" and request["params"]["function"] == "load":
        name = os.path.basename(request["params"]["arguments"]["path"])
        if name == "dead.gguf":
            print("cannot map the file", file=sys.stderr, flush=True)
            os._exit(3)
        if name == "broken.gguf":
            fail(number, "model_unreadable", "cannot load broken.gguf")
            continue
        for done in (0, 50, 100):
            send({"method": "progress", "params": {"id": number, "done": done, "total": 100, "message": "loading"}})
        send({"id": number, "result": {"value": {"model": "tiny", "context": 4096}}})
    elif method == "call" and request["params"]["function"] == "embed":
        embed(number, request["params"]["arguments"])
    elif method == "call":
        complete(number, request["params"]["arguments"])
    elif number is not None:
        send({"id": number, "result": {}})
