"""Workers that break one rule each, to prove that the conformance checks can fail.

    broken_worker.py --break MUST-8

is Sabir's Python worker with that rule broken; without --break it breaks none. A rule's function changes the worker's
classes before the worker starts.
"""

import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.join(HERE, "..", "..", "languages", "python")
# worker.py puts its SDK into the first place, which is this script's folder.
sys.path.insert(0, PYTHON)

import worker as good
from sabir import _wire
from sabir._wire import Connection

Worker = good.Worker


def replaced(cls, name):
    """Decorator: the function becomes cls.name and receives the original as its first argument."""
    def apply(function):
        original = getattr(cls, name)

        def method(*args, **kwargs):
            return function(original, *args, **kwargs)
        setattr(cls, name, method)
        return function
    return apply


def head_and_body(frame):
    head, body = frame.split(b"\n", 1)
    return head, body


def must_1():
    """Takes a socket only."""
    if "," in os.environ.get("SABIR_FD", ""):
        sys.exit("pipes are not for me")


def must_2():
    """Shows its answers on standard output."""
    @replaced(Connection, "flush")
    def flush(original, self):
        for frame in list(self.out):
            print(frame[:200].decode("utf-8", "replace"))
        original(self)


def must_3():
    """Stays when its connection ends."""
    @replaced(Worker, "serve")
    def serve(original, self):
        original(self)
        time.sleep(30)
        return 0


def must_4():
    """Counts characters instead of bytes."""
    @replaced(Connection, "flush")
    def flush(original, self):
        for index, frame in enumerate(self.out):
            head, body = head_and_body(frame)
            if b" " not in head:
                self.out[index] = b"%d\n%b" % (len(body.decode("utf-8")), body)
        original(self)


def must_5():
    """Takes a head with leading zeros."""
    @replaced(_wire, "_sizes")
    def sizes(original, head):
        return original(b" ".join(part.lstrip(b"0") or b"0" for part in head.split(b" ")))


def must_6():
    """Believes that a read gives a whole frame."""
    @replaced(Connection, "_fill")
    def fill(original, self):
        self._start = self._end = 0
        return original(self)


def must_7():
    """Writes an answer to ping in the middle of a large frame."""
    @replaced(Connection, "flush")
    def flush(original, self):
        frames = [self.out.popleft() for _ in range(len(self.out))]
        large = [frame for frame in frames if len(frame) > 100000]
        if large:
            rest = [frame for frame in frames if len(frame) <= 100000]
            middle = len(large[0]) // 2
            frames = [large[0][:middle] + b"".join(rest) + large[0][middle:]] + large[1:]
        self.out.extend(frames)
        original(self)


def must_8():
    """Answers with the id as a string."""
    @replaced(Connection, "answer_result")
    def answer_result(original, self, id, result):
        original(self, str(id), result)


def must_9():
    """Answers a failing call twice."""
    @replaced(Worker, "_answer_failure")
    def answer_failure(original, self, *args):
        original(self, *args)
        original(self, *args)


def must_10():
    """Answers an unknown method as if it had worked."""
    @replaced(Connection, "answer_error")
    def answer_error(original, self, id, code, type_, message, **data):
        if code == -32601:
            return self.answer_result(id, {})
        return original(self, id, code, type_, message, **data)


def must_11():
    """Stays after it refused a version."""
    @replaced(Worker, "_other")
    def other(original, self, method, message):
        status = original(self, method, message)
        return None if method == "hello" else status


def must_12():
    """Dies of a file that does not load."""
    @replaced(good, "load")
    def load(original, path, root):
        try:
            return original(path, root)
        except good.LoadFailed:
            os._exit(1)


def must_13():
    """Ignores ping before start."""
    @replaced(Worker, "_other")
    def other(original, self, method, message):
        if method == "ping" and not self.root:
            return None
        return original(self, method, message)


def must_14():
    """Stops at once when it is drained."""
    @replaced(Connection, "receive")
    def receive(original, self):
        message = original(self)
        if message and message.get("method") == "call" and b'"drain"' in bytes(self._view[self._start:self._end]):
            os._exit(0)
        return message


def must_15():
    """Passes the arguments in the order in which they came."""
    @replaced(Worker, "_arrange")
    def arrange(original, self, entry, params, arguments, positional):
        return list(arguments.values()), {}


def must_16():
    """Keeps the first caller's context."""
    first = []

    @replaced(good.Context, "_from_wire")
    def from_wire(original, fields):
        first.append(fields)
        return original(first[0])


def must_17():
    """Writes NaN."""
    @replaced(Connection, "answer_value")
    def answer_value(original, self, id, value):
        try:
            original(self, id, value)
        except good.Unfit:
            self.out.append(self._frame(json.dumps({"jsonrpc": "2.0", "id": id, "result": {"value": None}}).encode()))
    Connection._frame = staticmethod(lambda body: b"%d\n%b" % (len(body), body))


def must_18():
    """Names the worker's own line."""
    good.place_of = lambda error, root, file: (file, 1)


def must_19():
    """Calls whatever function is there."""
    @replaced(Worker, "_resolve")
    def resolve(original, self, key):
        try:
            return original(self, key)
        except good._Refused:
            return good._Entry(lambda **_: None, key[0])


def must_20():
    """Runs the newest call first."""
    @replaced(Worker, "_meanwhile")
    def meanwhile(original, self, message):
        original(self, message)
        self.queue.rotate(1)


def must_21():
    """Runs a queued call that was cancelled."""
    @replaced(Worker, "_cancel")
    def cancel(original, self, params):
        return None


def must_22():
    """Sends its chunks after the answer."""
    held = []
    good_notify = Connection.notify

    @replaced(Connection, "notify")
    def notify(original, self, method, params, large=None):
        held.append((method, params, large))

    @replaced(Connection, "answer_value")
    def answer_value(original, self, id, value):
        original(self, id, value)
        self.flush()
        while held:
            good_notify(self, *held.pop(0))


def must_23():
    """Puts a blob over any value."""
    def place(root, pointer, blob):
        keys = [key.replace("~1", "/").replace("~0", "~") for key in (pointer or "").split("/")[1:]]
        try:
            for key in keys[:-1]:
                root = root[int(key) if isinstance(root, list) else key]
            root[int(keys[-1]) if isinstance(root, list) else keys[-1]] = blob
        except (LookupError, TypeError):
            return
    _wire._place = place


def must_24():
    """Keeps text inside the JSON, however long."""
    _wire.BLOB = 1 << 30
    _wire.plain.__globals__["BLOB"] = 1 << 30


def must_25():
    """Does not answer ping while a function waits."""
    @replaced(Worker, "_meanwhile")
    def meanwhile(original, self, message):
        if message["method"] == "ping":
            self.queue.append(message)
        else:
            original(self, message)


def must_26():
    """Leaves at the first bad message."""
    @replaced(Connection, "answer_error")
    def answer_error(original, self, id, code, type_, message, **data):
        if code == -32700:
            os._exit(1)
        return original(self, id, code, type_, message, **data)


def main():
    args = sys.argv[1:]
    if args:
        if len(args) != 2 or args[0] != "--break" or not args[1].startswith("MUST-"):
            sys.exit("usage: broken_worker.py [--break MUST-N]")
        rule = globals().get("must_" + args[1][len("MUST-"):])
        if rule is None:
            sys.exit("no broken worker for " + args[1])
        rule()
    good.main()


if __name__ == "__main__":
    main()
