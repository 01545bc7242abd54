"""The protocol's test vectors (spec/vectors) against this SDK's reader."""

import base64
import json
import os
import socket
import threading

import pytest

from sabir._wire import Closed, Connection, FrameError, place_blobs

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "spec", "vectors")


def vectors(name):
    with open(os.path.join(VECTORS, name), encoding="utf-8") as file:
        return [pytest.param(vector, id=vector["name"]) for vector in json.load(file)["vectors"]]


class Pair:
    """A connection and the other end of its socket."""

    def __init__(self):
        self.ours, theirs = socket.socketpair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.connection = Connection(os.dup(theirs.fileno()), theirs.detach())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ours.close()
        self.connection.close()


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
@pytest.mark.parametrize("vector", vectors("frames.json"))
def test_frames_come_out_alike_in_any_fragmentation(vector, step):
    data = base64.b64decode(vector["bytes"])
    if len(data) > 2000 and step == 1:
        step = 977
    found = []
    failed = False
    with Pair() as pair:
        connection = pair.connection

        def send():
            for at in range(0, len(data), step):
                pair.ours.sendall(data[at:at + step])
            pair.ours.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            while True:
                taken = connection._take()
                if taken is not None:
                    found.append((taken[0], list(taken[1])))
                elif not connection._fill():
                    break
        except FrameError:
            failed = True
        except Closed:
            assert vector["incomplete"]
        sender.join()
    assert failed == vector.get("error", False)
    assert [text for text, _ in found] == [frame["json"] for frame in vector["frames"]]
    assert [blobs for _, blobs in found] == [[base64.b64decode(blob) for blob in frame["blobs"]] for frame in vector["frames"]]


@pytest.mark.parametrize("vector", vectors("messages.json"))
def test_messages_are_told_apart(vector):
    text = base64.b64decode(vector["bytes"]) if "bytes" in vector else vector["text"].encode()
    with Pair() as pair:
        pair.ours.sendall(b"%d\n%b" % (len(text), text))
        pair.ours.shutdown(socket.SHUT_WR)
        message = pair.connection.receive()
        if "error" in vector:
            assert message is None
            pair.ours.settimeout(5)
            answer = json.loads(pair.ours.recv(65536).split(b"\n", 1)[1])
            assert answer["id"] is None
            assert answer["error"]["code"] == vector["error"]
            return
        kind = "response" if "method" not in message else "request" if "id" in message else "notification"
        assert kind == vector["kind"]
        assert message.get("id") == vector.get("id")
        assert message.get("method") == vector.get("method")


def as_json(value):
    return json.loads(json.dumps(value, default=lambda data: base64.b64encode(data).decode()))


@pytest.mark.parametrize("vector", vectors("blobs.json"))
def test_blobs_go_to_their_places(vector):
    params = json.loads(json.dumps(vector["params"]))
    blobs = [base64.b64decode(blob) for blob in vector["blobs"]]
    if "error" in vector:
        with pytest.raises(ValueError):
            place_blobs(params, blobs)
        return
    place_blobs(params, blobs)
    params.pop("blobs", None)
    assert as_json(params) == vector["placed"]
