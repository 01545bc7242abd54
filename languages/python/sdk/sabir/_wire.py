"""Frames and messages of the worker protocol (spec/worker-protocol.md) over two descriptors.

Threads: any thread may send. request() may run in several threads at once: one of them reads for all, the others wait
for their answers. Everything else belongs to the thread that reads.
"""

import json
import os
import threading
from collections import deque

from ._error import Error
from ._plain import Unfit, default, plain

MAX_FRAME = 64 << 20
MAX_BLOBS = 1024
MAX_HEAD = 16384
BLOB = 65536
_ROOM = 65536
# A string of BLOB bytes has at least this many characters.
_BLOB_CHARACTERS = BLOB // 4


class FrameError(Exception):
    """The peer's bytes are no frames; nothing after them can be read."""


class Closed(Exception):
    """The connection has ended."""


def _no_constant(name):
    raise ValueError("%s is not JSON" % name)


_decoder = json.JSONDecoder(parse_constant=_no_constant)
_scan = _decoder.scan_once


def decode(text):
    """One JSON text to Python values. Errors: ValueError (also for a depth that Python cannot hold)."""
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except StopIteration:
        pass
    except RecursionError:
        raise ValueError("nested too deeply")
    return _decoder.decode(text)


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False, default=default)
try:
    _compiled = json.encoder.c_make_encoder(
        None, default, json.encoder.encode_basestring, None, ":", ",", False, False, False
    )

    def encode(value):
        """A value to JSON text. Errors: ValueError, TypeError, RecursionError for what JSON cannot carry."""
        return "".join(_compiled(value, 0))

    if encode({"a": [1, "é", None]}) != '{"a":[1,"é",null]}':
        raise TypeError
except TypeError:
    # An interpreter without the compiled encoder, or with another signature.
    encode = _encoder.encode


def _sizes(head):
    """The numbers of a frame's head. Errors: FrameError."""
    parts = head.split(b" ")
    for part in parts:
        if not part.isdigit() or (part[0] == 48 and len(part) > 1) or len(part) > 8:
            raise FrameError("malformed frame head")
    if len(parts) - 1 > MAX_BLOBS:
        raise FrameError("more than %d blobs in a frame" % MAX_BLOBS)
    sizes = [int(part) for part in parts]
    if sum(sizes) > MAX_FRAME:
        raise FrameError("frame larger than %d bytes" % MAX_FRAME)
    return sizes


def _place(root, pointer, blob):
    """Puts `blob` where the JSON Pointer leads. Errors: ValueError when that is not a null inside `root`."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise ValueError("a blob's place is a JSON Pointer")
    keys = [key.replace("~1", "/").replace("~0", "~") for key in pointer[1:].split("/")]
    at = root
    last = len(keys) - 1
    for index, key in enumerate(keys):
        if type(at) is list:
            if not (key.isascii() and key.isdigit()) or (key[0] == "0" and key != "0") or int(key) >= len(at):
                raise ValueError("no element %s for the blob" % pointer)
            key = int(key)
        elif type(at) is not dict or key not in at:
            raise ValueError("no member %s for the blob" % pointer)
        if index == last:
            if at[key] is not None:
                raise ValueError("the blob's place %s does not hold null" % pointer)
            at[key] = blob
        else:
            at = at[key]


def place_blobs(value, blobs):
    """Moves a frame's blobs into `value` (params or result) as value["blobs"] says. Errors: ValueError."""
    listed = value.get("blobs") if type(value) is dict else None
    if listed is None:
        listed = []
    if type(listed) is not list or len(listed) != len(blobs):
        raise ValueError("the frame has %d blobs, its JSON lists %s" % (
            len(blobs), len(listed) if type(listed) is list else "no array"))
    if not listed:
        return
    del value["blobs"]
    for entry, blob in zip(listed, blobs):
        if type(entry) is not dict or entry.get("type") not in ("string", "bytes"):
            raise ValueError("a blob's entry has `at` and a `type` of string or bytes")
        if entry["type"] == "string":
            blob = blob.decode("utf-8")
        _place(value, entry.get("at"), blob)


class Connection:
    """One protocol connection.

    Lifetime: owns its descriptors until close(). `on_message(message)` is called, in the thread that reads, with every
    request and notification of the peer that arrives while a request() waits.
    """

    def __init__(self, read_fd, write_fd, on_message=None):
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.on_message = on_message or self._refuse
        self.parent = None
        self.cancelled = False
        self.closed = False
        self.reading = False
        self._buffer = bytearray(_ROOM)
        self._view = memoryview(self._buffer)
        self._whole = [self._view]
        self._start = 0
        self._end = 0
        self.out = deque()
        self._write_lock = threading.Lock()
        self._lock = threading.Lock()
        self.changed = threading.Condition(self._lock)
        self._waiters = 0
        self._next_id = 1
        self._answers = {}
        self._expected = set()

    # Reading

    def _take(self):
        """The next frame's (text, blobs) if the buffer has it whole, else None. Errors: FrameError, Closed."""
        start, end = self._start, self._end
        buffer = self._buffer
        cut = buffer.find(b"\n", start, end)
        if cut < 0 or cut - start > MAX_HEAD:
            if end - start > MAX_HEAD:
                raise FrameError("frame head longer than %d bytes" % MAX_HEAD)
            if end > start and not 48 <= buffer[start] <= 57:
                raise FrameError("malformed frame head")
            return None
        head = buffer[start:cut]
        body = cut + 1
        if head.isdigit() and len(head) < 8 and (head[0] != 48 or len(head) == 1):
            size = total = int(head)
            sizes = None
        else:
            sizes = _sizes(bytes(head))
            size = sizes[0]
            total = sum(sizes)
        stop = body + total
        if stop <= end:
            self._start = stop
            if sizes is None:
                return str(self._view[body:stop], "utf-8"), ()
            whole = self._view[body:stop]
        elif stop - start <= _ROOM:
            return None
        else:
            whole = memoryview(bytearray(total))
            have = end - body
            whole[:have] = self._view[body:end]
            self._start = self._end = 0
            if self.out:
                self.flush()
            while have < total:
                count = os.readv(self.read_fd, [whole[have:]])
                if count == 0:
                    raise Closed
                have += count
        blobs = []
        at = size
        for length in sizes[1:] if sizes else ():
            blobs.append(bytes(whole[at:at + length]))
            at += length
        return str(whole[:size], "utf-8"), blobs

    def _fill(self):
        """One blocking read. False at the connection's end."""
        end = self._end
        if self._start == end:
            self._start = self._end = 0
            try:
                count = os.readv(self.read_fd, self._whole)
            except OSError:
                return False
            self._end = count
            return count > 0
        if self._start:
            # What remains is less than a frame; moving it keeps the rest of the buffer free.
            length = end - self._start
            self._view[:length] = bytes(self._view[self._start:end])
            self._start = 0
            self._end = end = length
        try:
            count = os.readv(self.read_fd, [self._view[end:]])
        except OSError:
            return False
        self._end = end + count
        return count > 0

    def receive(self):
        """The next message that is a JSON-RPC object, its blobs in place; None at the connection's end.

        Unsent frames are written before it blocks. Bad messages are answered here.
        Errors: FrameError, after it was answered.
        """
        while True:
            try:
                frame = self._take()
            except Closed:
                return None
            except FrameError as error:
                self.answer_error(None, -32600, "protocol", str(error))
                self._flush_quietly()
                raise
            except UnicodeDecodeError:
                self.answer_error(None, -32700, "protocol", "a frame's JSON text is not UTF-8")
                continue
            if frame is None:
                if self.out:
                    self._flush_quietly()
                if not self._fill():
                    return None
                continue
            text, blobs = frame
            try:
                message = decode(text)
            except (ValueError, RecursionError) as error:
                self.answer_error(None, -32700, "protocol", "a frame's JSON text does not parse: %s" % error)
                continue
            if type(message) is not dict or message.get("jsonrpc") != "2.0" or not (
                type(message.get("method")) is str or (
                    "method" not in message and "id" in message and ("result" in message or "error" in message))
            ):
                self.answer_error(None, -32600, "protocol", "a frame's JSON is not a JSON-RPC 2.0 object")
                continue
            if blobs or (len(text) > 100 and '"blobs"' in text):
                try:
                    place_blobs(message.get("params" if "method" in message else "result"), blobs)
                except ValueError as error:
                    if "method" not in message:
                        message = {"id": message["id"], "error": {
                            "code": -32602, "message": str(error), "data": {"type": "protocol"}}}
                    else:
                        if "id" in message:
                            self.answer_error(message["id"], -32602, "invalid_arguments", str(error))
                        continue
            return message

    def has_frame(self):
        """Whether a frame's head is buffered already."""
        return self._buffer.find(b"\n", self._start, self._end) >= 0

    # Writing

    def flush(self):
        """Writes what is unsent. Errors: OSError."""
        with self._write_lock:
            out = self.out
            parts = []
            while out:
                parts.append(out.popleft())
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            written = os.write(self.write_fd, data)
            while written < len(data):
                data = memoryview(data)[written:]
                written = os.write(self.write_fd, data)

    def _flush_quietly(self):
        try:
            if self.out:
                self.flush()
        except OSError:
            # The peer is gone; the next read says so.
            pass

    def _put(self, body, blobs=()):
        if blobs:
            size = len(body) + sum(map(len, blobs))
            if size > MAX_FRAME:
                raise Unfit("", "it is larger than %d bytes" % MAX_FRAME)
            head = "%d %s\n" % (len(body), " ".join(str(len(blob)) for blob in blobs))
            self.out.append(b"".join([head.encode(), body] + list(blobs)))
        else:
            if len(body) > MAX_FRAME:
                raise Unfit("", "it is larger than %d bytes" % MAX_FRAME)
            self.out.append(b"%d\n%b" % (len(body), body))

    def answer_value(self, id, value):
        """Queues {"value": value} as the answer to `id`. Errors: Unfit for what JSON cannot carry."""
        try:
            body = ('{"jsonrpc":"2.0","id":%s,"result":{"value":%s}}' % (
                id if type(id) is int else encode(id), encode(value))).encode()
            if len(body) < BLOB:
                self.out.append(b"%d\n%b" % (len(body), body))
                return
        except (ValueError, TypeError, RecursionError):
            pass
        self._put_slowly({"jsonrpc": "2.0", "id": id}, "result", {"value": value}, ("value",))

    def answer_result(self, id, result):
        """Queues a result without large values."""
        body = encode({"jsonrpc": "2.0", "id": id, "result": result}).encode()
        self._put(body)

    def answer_error(self, id, code, type_, message, **data):
        """Queues an error answer; None in `data` is left out."""
        fields = {"type": type_}
        fields.update((key, value) for key, value in data.items() if value is not None)
        error = {"code": code, "message": message, "data": fields}
        body = encode({"jsonrpc": "2.0", "id": id, "error": error}).encode("utf-8", "replace")
        self._put(body)

    def notify(self, method, params, large=None):
        """Sends a notification; params[large] may hold any size. Errors: Unfit."""
        if large is None:
            self._put(encode({"jsonrpc": "2.0", "method": method, "params": params}).encode("utf-8", "replace"))
        else:
            self._put_slowly({"jsonrpc": "2.0", "method": method}, "params", params, (large,))
        self.flush()

    def _put_slowly(self, message, member, content, large):
        """Queues a message whose content[name], for the names in `large`, may need conversion or blobs."""
        blobs = []
        listed = []
        content = dict(content)
        for name in large:
            if name in content:
                content[name] = plain(content[name], "/" + name, blobs, listed)
        if listed:
            content["blobs"] = listed
        message[member] = content
        try:
            body = encode(message).encode()
        except UnicodeEncodeError:
            raise Unfit("", "a string has a lone surrogate, which UTF-8 cannot carry")
        except RecursionError:
            raise Unfit("", "it is nested too deeply")
        self._put(body, blobs)

    # Requests of ours

    def request(self, method, params, large=()):
        """Sends a request and waits for its result.

        Errors: Error as the peer answered; Closed when the connection ends first (`sent` tells whether the frame left).
        """
        with self._lock:
            if self.closed:
                raise Closed(False)
            id = self._next_id
            self._next_id += 1
            self._expected.add(id)
        try:
            if self.parent is not None:
                params["parent"] = self.parent
            try:
                self._put_slowly({"jsonrpc": "2.0", "id": id, "method": method}, "params", params, large)
            except Unfit as unfit:
                raise Error("invalid_arguments", "%s cannot be sent: %s" % (method, unfit))
            try:
                self.flush()
            except OSError:
                raise Closed(False)
            message = self._await(id)
        finally:
            self._expected.discard(id)
        if "error" in message:
            raise Error._from_wire(message["error"])
        return message["result"]

    def _await(self, id):
        answers = self._answers
        while True:
            with self.changed:
                while id not in answers and self.reading and not self.closed:
                    self._waiters += 1
                    self.changed.wait()
                    self._waiters -= 1
                if id in answers:
                    return answers.pop(id)
                if self.closed:
                    raise Closed(True)
                self.reading = True
            try:
                while id not in answers:
                    if self.cancelled:
                        raise Error("cancelled", "the call was cancelled")
                    message = self.receive()
                    if message is None:
                        self.closed = True
                        break
                    if "method" in message:
                        self.on_message(message)
                    else:
                        self.take_answer(message)
            except FrameError:
                self.closed = True
            finally:
                self.release()

    def take_answer(self, message):
        """Keeps a response for the request that waits for it; others are dropped."""
        id = message["id"]
        if type(id) is int and id in self._expected:
            self._answers[id] = message
            if self._waiters:
                with self.changed:
                    self.changed.notify_all()

    def acquire(self):
        """Makes the calling thread the reader, or returns False when another thread reads now."""
        with self._lock:
            if self.reading:
                return False
            self.reading = True
            return True

    def release(self):
        """Lets another thread read."""
        with self._lock:
            self.reading = False
            if self._waiters:
                self.changed.notify_all()

    def wait_change(self, ready):
        """Waits until ready() or nobody reads."""
        with self.changed:
            self._waiters += 1
            while self.reading and not ready() and not self.closed:
                self.changed.wait()
            self._waiters -= 1

    def _refuse(self, message):
        if "id" in message:
            if message["method"] == "ping":
                self.answer_result(message["id"], {})
            else:
                self.answer_error(message["id"], -32601, "unknown_method", "unknown method %s" % message["method"])
            self._flush_quietly()

    def close(self):
        """Closes the descriptors; a second close does nothing."""
        if self.read_fd < 0:
            return
        self.closed = True
        fds = {self.read_fd, self.write_fd}
        self.read_fd = self.write_fd = -1
        for fd in fds:
            try:
                os.close(fd)
            except OSError:
                pass
