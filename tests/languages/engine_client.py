"""A client of a running engine that speaks the protocol by itself, so that no SDK is judged by another."""
import base64
import json
import socket

BLOB = 65536


class Engine:
    """One connection (spec/worker-protocol.md, 9). context: the caller's user and tenant."""

    def __init__(self, project, context):
        published = json.loads((project / ".sabir/development/engine.json").read_text())
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(600)
        self.socket.connect(published["socket"])
        self.input = self.socket.makefile("rb")
        self.next = 0
        self.request("hello", {"protocol": {"min": 1, "max": 1}, "role": "client", "sdk": "0", "language": "test", "project": str(project),
                               "context": context})

    def request(self, method, params):
        """(answer, the progress reports before it)"""
        self.next += 1
        params, blobs, listed = dict(params), [], []
        if "arguments" in params:
            params["arguments"] = self.outward(params["arguments"], "/arguments", blobs, listed)
        if listed:
            params["blobs"] = listed
        text = json.dumps({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}).encode()
        self.socket.sendall(b" ".join(str(len(part)).encode() for part in [text, *blobs]) + b"\n" + b"".join([text, *blobs]))
        progress = []
        while True:
            sizes = [int(part) for part in self.input.readline().split()]
            assert sizes, "the engine ended the connection"
            message = json.loads(self.input.read(sizes[0]))
            blobs = [self.input.read(size) for size in sizes[1:]]
            if message.get("method") == "progress":
                progress.append([message["params"]["done"], message["params"].get("total")])
            if message.get("id") == self.next and "method" not in message:
                if "result" in message:
                    self.inward(message["result"], blobs)
                return message, progress

    def outward(self, value, at, blobs, listed):
        data = value.encode(errors="surrogatepass") if isinstance(value, str) else value
        if isinstance(data, bytes) and len(data) >= BLOB:
            blobs.append(data)
            listed.append({"at": at, "type": "string" if isinstance(value, str) else "bytes"})
            return None
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        if isinstance(value, dict):
            return {key: self.outward(item, at + "/" + key.replace("~", "~0").replace("/", "~1"), blobs, listed) for key, item in value.items()}
        return [self.outward(item, "%s/%d" % (at, i), blobs, listed) for i, item in enumerate(value)] if isinstance(value, list) else value

    @staticmethod
    def inward(result, blobs):
        for entry, blob in zip(result.get("blobs", []), blobs, strict=True):
            *path, last = [part.replace("~1", "/").replace("~0", "~") for part in entry["at"].split("/")[1:]]
            holder = result
            for part in path:
                holder = holder[int(part)] if isinstance(holder, list) else holder[part]
            holder[int(last) if isinstance(holder, list) else last] = blob.decode() if entry["type"] == "string" else blob

    def close(self):
        self.input.close()
        self.socket.close()
