"""Frames and messages of the worker protocol (spec/worker-protocol.md) over two descriptors.

Threads: any thread may send. request() may run in several threads at once: one of them reads for all, the others wait
for their answers. Everything else belongs to the thread that reads.
"""

import os

from ._error import Error
from ._plain import Unfit, default, plain

MAX_FRAME = 64 << 20
MAX_BLOBS = 1024
MAX_HEAD = 16384
BLOB = 65536
_MOST_KEPT = 1 << 20  # bytes of a frame whose buffer is used again
_MOST_PARTS = 64  # of one write
_ROOM = 65536
# A string of BLOB bytes has at least this many characters.
_BLOB_CHARACTERS = BLOB // 4


class FrameError(Exception):
    """The peer's bytes are no frames; nothing after them can be read."""


class Closed(Exception):
    """The connection has ended."""


def _no_constant(name):
    raise ValueError("%s is not JSON" % name)


# A cold call waits for these imports: where the interpreter has them, the compiled parts of json, collections and threading
# serve without the rest, which takes half of the time until the first call is answered.
try:
    from _collections import deque
    from _thread import allocate_lock
except ImportError:
    from collections import deque
    from threading import Lock as allocate_lock


class _Reading:
    """What the compiled scanner asks of a decoder."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_constant)
    memo = {}


def _decode_slowly(text):
    import json
    return json.JSONDecoder(parse_constant=_no_constant).decode(text)


try:
    from _json import make_scanner
    _scan = make_scanner(_Reading)
    if _scan('{"a":[1,2.5,"x",null]}', 0) != ({"a": [1, 2.5, "x", None]}, 22):
        raise TypeError
except (ImportError, TypeError, AttributeError):
    # An interpreter without the compiled scanner, or with another one.
    import json
    _scan = json.JSONDecoder(parse_constant=_no_constant).scan_once


def decode(text):
    """One JSON text to Python values. Errors: ValueError (also for a depth that Python cannot hold)."""
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, SystemError):
        # Its own error needs json.decoder, which Python 3.11 does not load for it.
        pass
    except RecursionError:
        raise ValueError("nested too deeply")
    return _decode_slowly(text)


try:
    from _json import encode_basestring, make_encoder
    _compiled = make_encoder(None, default, encode_basestring, None, ":", ",", False, False, False)

    def encode(value):
        """A value to JSON text. Errors: ValueError, TypeError, RecursionError for what JSON cannot carry."""
        return "".join(_compiled(value, 0))

    if encode({"a": [1, "é", None]}) != '{"a":[1,"é",null]}':
        raise TypeError
except (ImportError, TypeError):
    # An interpreter without the compiled encoder, or with another signature.
    import json
    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False, default=default).encode


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
            blob = str(blob, "utf-8")
        else:
            blob = bytes(blob)
        at = entry.get("at")
        if type(at) is str and "~" not in at:
            # A member of params.arguments or of such an object.
            parts = at.split("/")
            inside = value.get(parts[1]) if len(parts) == 3 and not parts[0] else None
            if type(inside) is dict and inside.get(parts[2], at) is None:
                inside[parts[2]] = blob
                continue
        _place(value, at, blob)


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
        self._large = bytearray()  # of the last frame that was larger than the buffer
        self._start = 0
        self._end = 0
        self.out = deque()
        self._write_lock = allocate_lock()
        self._lock = allocate_lock()
        self._changed = None
        self._waiters = 0
        self._next_id = 1
        self._answers = {}
        self._streams = {}  # chunks that have come, by request
        self._expected = set()

    @property
    def changed(self):
        """Threads wait here, holding `_lock`, for what another one reads."""
        if self._changed is None:
            import threading
            self._changed = threading.Condition(self._lock)
        return self._changed

    def _notify(self):
        if self._changed is not None:
            self._changed.notify_all()

    # Reading

    def _take(self):
        """The next frame's (text, blobs) if the buffer has it whole, else None. The blobs are views that hold until the next
        frame. Errors: FrameError, Closed."""
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
        elif stop - start <= len(buffer):
            return None
        elif stop - start <= _MOST_KEPT:
            # Where such frames come, the next is likely to be one too: it is then read to where it is parsed.
            self._resize(start, end, stop - start)
            return None
        else:
            if total > len(self._large):
                self._large = bytearray(total)
            whole = memoryview(self._large)[:total]
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
            blobs.append(whole[at:at + length])
            at += length
        text = str(whole[:size], "utf-8")
        if len(self._large) > _MOST_KEPT:
            # The blobs keep it as long as they need it.
            self._large = bytearray()
        return text, blobs

    def _resize(self, start, end, size):
        """Makes a buffer for frames of `size` bytes; what was read stays."""
        room = len(self._buffer)
        while room < size:
            room *= 4
        buffer = bytearray(room)
        self._view = memoryview(buffer)
        self._view[:end - start] = self._buffer[start:end]
        self._buffer = buffer
        self._whole = [self._view]
        self._start, self._end = 0, end - start

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
            if self._streams and message.get("method") == "chunk":
                self._take_chunk(message.get("params"))
            return message

    def _take_chunk(self, params):
        chunks = self._streams.get(params.get("id")) if type(params) is dict else None
        if chunks is None:
            return
        chunks.append(params.get("value"))
        if self._waiters:
            with self._lock:
                self._notify()

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
            if 1 < len(parts) <= _MOST_PARTS and len(parts[-1]) >= BLOB:
                # Without a copy, as far as the peer takes it.
                written = os.writev(self.write_fd, parts)
                while parts and written >= len(parts[0]):
                    written -= len(parts.pop(0))
                if not parts:
                    return
                parts[0] = memoryview(parts[0])[written:]
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
            self.out.extend([head.encode() + body] + blobs)
        else:
            if len(body) > MAX_FRAME:
                raise Unfit("", "it is larger than %d bytes" % MAX_FRAME)
            self.out.append(b"%d\n%b" % (len(body), body))

    def answer_value(self, id, value):
        """Queues {"value": value} as the answer to `id`. Errors: Unfit for what JSON cannot carry."""
        if type(value) is str and len(value) >= BLOB and type(id) is int:
            return self._answer_text(id, value)
        try:
            body = ('{"jsonrpc":"2.0","id":%s,"result":{"value":%s}}' % (
                id if type(id) is int else encode(id), encode(value))).encode()
            if len(body) < BLOB:
                self.out.append(b"%d\n%b" % (len(body), body))
                return
        except (ValueError, TypeError, RecursionError):
            pass
        self._put_slowly({"jsonrpc": "2.0", "id": id}, "result", {"value": value}, ("value",))

    def _answer_text(self, id, text):
        try:
            blob = text.encode()
        except UnicodeEncodeError:
            raise Unfit("/value", "the string has a lone surrogate, which UTF-8 cannot carry")
        body = b'{"jsonrpc":"2.0","id":%d,"result":{"value":null,"blobs":[{"at":"/value","type":"string"}]}}' % id
        if len(body) + len(blob) > MAX_FRAME:
            raise Unfit("", "it is larger than %d bytes" % MAX_FRAME)
        self.out.extend((b"%d %d\n%b" % (len(body), len(blob), body), blob))

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

    def stream(self, method, params, large=()):
        """Sends a request and yields the chunks that come before its answer, or its value when none came.

        Errors: as request().
        """
        with self._lock:
            if self.closed:
                raise Closed(False)
            id = self._next_id
            self._next_id += 1
            self._expected.add(id)
        chunks = self._streams[id] = deque()
        finished = False
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
            any_came = False
            while True:
                message = self._await(id, chunks)
                while chunks:
                    any_came = True
                    yield chunks.popleft()
                if message is not None:
                    break
            finished = True
        finally:
            self._expected.discard(id)
            self._streams.pop(id, None)
            if not finished and not self.closed:
                # Left early: nobody wants the rest.
                try:
                    self.notify("cancel", {"id": id, "reason": "the stream was left"})
                except OSError:
                    pass
        if "error" in message:
            raise Error._from_wire(message["error"])
        if not any_came:
            yield message["result"]["value"]

    def _await(self, id, chunks=()):
        """The answer to `id`; None when one of its chunks came first."""
        answers = self._answers
        while True:
            with self._lock:
                while id not in answers and not chunks and self.reading and not self.closed:
                    self._waiters += 1
                    self.changed.wait()
                    self._waiters -= 1
                if chunks:
                    return None
                if id in answers:
                    return answers.pop(id)
                if self.closed:
                    raise Closed(True)
                self.reading = True
            try:
                while id not in answers and not chunks:
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
                with self._lock:
                    self._notify()

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
                self._notify()

    def wait_change(self, ready):
        """Waits until ready() or nobody reads."""
        with self._lock:
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
