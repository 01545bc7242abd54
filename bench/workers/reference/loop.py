"""The best loop one would write by hand in Python: decode, call, encode, one write per read. It knows two functions,
takes no blobs and checks nothing."""

import json
import os
import socket

decode = json.JSONDecoder().decode
encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def add(a, b):
    return a + b


def echo(text):
    return text


FUNCTIONS = {"add": add, "echo": echo}


def main():
    sock = socket.socket(fileno=int(os.environ["SABIR_FD"]))
    buffer = bytearray(65536)
    view = memoryview(buffer)
    end = 0
    while True:
        count = sock.recv_into(view[end:])
        if count == 0:
            return
        end += count
        start = 0
        out = []
        while True:
            cut = buffer.find(b"\n", start, end)
            if cut < 0:
                break
            stop = cut + 1 + int(buffer[start:cut])
            if stop > end:
                break
            message = decode(str(view[cut + 1:stop], "utf-8"))
            start = stop
            if message["method"] == "call":
                params = message["params"]
                result = {"value": FUNCTIONS[params["function"]](**params["arguments"])}
            else:
                result = {}
            body = encode({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
            out.append(b"%d\n" % len(body))
            out.append(body)
        if out:
            sock.sendall(b"".join(out))
        if start == end:
            end = 0
        else:
            rest = bytes(view[start:end])
            view[:len(rest)] = rest
            end = len(rest)


main()
