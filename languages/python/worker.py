"""Sabir's Python worker: serves the functions of a project to the engine (spec/worker-protocol.md).

The main thread runs the calls, one at a time, in the order of their arrival.
"""

import os
import sys
from time import perf_counter

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = os.path.join(_here, "sdk")

import sabir
from sabir import _channel
from sabir._context import Context
from sabir._load import LoadFailed, load, place_of, shown
from sabir._plain import Unfit
from sabir._wire import Connection, FrameError, deque

_PLAIN_RESULTS = frozenset((str, int, float, bool, type(None), dict, list, tuple))
_PLAIN_HINTS = frozenset(("str", "bool", "list", "dict", "None", "Any", "object"))
_PLAIN_TYPES = frozenset((str, bool, list, dict, object, type(None), None))
_NUMBERS = {int: int, float: float, "int": int, "float": float}
# Answers wait for the others of the same read, unless the next call is known to take longer than this, in seconds.
_QUICK = 0.0002


class _Refused(Exception):
    """A call that cannot be run; becomes its error answer."""

    def __init__(self, code, type_, message, **data):
        super().__init__(message)
        self.code = code
        self.type = type_
        self.data = data


class _Entry:
    """A function as the worker calls it."""

    __slots__ = ("function", "file", "by_name", "names", "converters", "numbers", "positional_only", "quick", "module")

    def __init__(self, function, file):
        self.function = function
        self.file = file
        self.quick = False
        code = getattr(function, "__code__", None)
        # A list of positional names for which passing all by name means the same.
        self.by_name = None
        self.names = []
        if code is not None and not hasattr(function, "__wrapped__"):
            self.names = list(code.co_varnames[:code.co_argcount])
            if hasattr(function, "__self__"):
                self.names = self.names[1:]
        self.positional_only = code.co_posonlyargcount if code is not None else 0
        # Parameters that are plain numbers: JSON's 5.0 is an int's 5, and 5 a float's 5.0.
        self.numbers = []
        self.converters = self._converters()

    def _converters(self):
        function = self.function
        hints = getattr(function, "__annotations__", None)
        if isinstance(function, type):
            hints = getattr(function.__init__, "__annotations__", None)
            function = function.__init__
        code = getattr(function, "__code__", None)
        single = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount] if code is not None else ()
        for name, hint in (hints or {}).items():
            if name == "return":
                continue
            try:
                if hint in _NUMBERS and name in single:
                    self.numbers.append((name, _NUMBERS[hint]))
                    continue
                plain = hint in _PLAIN_HINTS if isinstance(hint, str) else hint in _PLAIN_TYPES
            except TypeError:
                plain = False
            if not plain:
                from sabir._convert import converters_of
                self.numbers = []
                return converters_of(function)
        return None

    def allows(self, positional):
        """Whether these positional arguments may as well go by name."""
        if self.positional_only == 0 and positional == self.names[:len(positional)]:
            self.by_name = positional
            return True
        return False


class Worker:
    def __init__(self, read_fd, write_fd):
        self.connection = Connection(read_fd, write_fd, self._meanwhile)
        self.queue = deque()
        self.entries = {}
        self.root = ""
        self.running = None
        self.sources = ()
        self.boot = None

    # Messages

    def serve(self):
        """Runs until the connection ends or drains. Returns the exit status."""
        connection = self.connection
        queue = self.queue
        out = connection.out
        try:
            while True:
                if queue:
                    message = queue.popleft()
                else:
                    if not connection.acquire():
                        connection.wait_change(lambda: queue)
                        if connection.closed:
                            return 0
                        continue
                    message = connection.receive()
                    connection.release()
                    if message is None:
                        return 0
                method = message.get("method")
                if method == "call":
                    id = message.get("id")
                    if id is not None or "id" in message:
                        self._call(id, message.get("params"))
                elif method is None:
                    connection.take_answer(message)
                else:
                    status = self._other(method, message)
                    if status is not None:
                        return status
                if out and queue:
                    connection.flush()
        except FrameError:
            return 1
        except BrokenPipeError:
            return 0

    def _other(self, method, message):
        """Everything but calls. An exit status ends the worker."""
        connection = self.connection
        params = message.get("params")
        if "id" not in message:
            if method == "cancel":
                self._cancel(params)
            return None
        id = message["id"]
        if method == "ping":
            connection.answer_result(id, {})
        elif method == "hello":
            versions = params.get("protocol") if type(params) is dict else None
            least, most = (versions.get("min"), versions.get("max")) if type(versions) is dict else (None, None)
            if type(least) is not int or type(most) is not int:
                connection.answer_error(id, -32602, "invalid_arguments", "hello needs protocol.min and protocol.max")
            elif least > 1 or most < 1:
                connection.answer_error(id, -32001, "protocol", "this worker speaks protocol 1, the engine %d to %d" % (least, most))
                connection.flush()
                return 1
            else:
                connection.answer_result(id, {
                    "protocol": 1, "language": "python", "runtime": "%d.%d.%d" % sys.version_info[:3],
                    "sdk": sabir.__version__, "capabilities": {"blobs": True, "chunks": True, "cancel": False}})
        elif method == "start":
            project = params.get("project") if type(params) is dict else None
            if type(project) is not str:
                connection.answer_error(id, -32602, "invalid_arguments", "start needs the project's folder")
            else:
                self.root = os.path.abspath(project)
                if self.root not in sys.path:
                    sys.path.insert(0, self.root)
                os.environ.setdefault("SABIR_PROJECT", self.root)
                if type(params.get("sources")) is list:
                    self.sources = tuple(os.path.abspath(path) for path in params["sources"] if type(path) is str)
                if type(params.get("boot")) is str:
                    self.boot = params["boot"]
                if type(params.get("environment")) is str:
                    os.environ.setdefault("SABIR_ENV", params["environment"])
                connection.answer_result(id, {})
        elif method == "drain":
            connection.answer_result(id, {})
            connection.flush()
            return 0
        else:
            connection.answer_error(id, -32601, "unknown_method", "unknown method %s" % method)
        return None

    def _meanwhile(self, message):
        """A message that arrives while a function waits for the engine."""
        method = message["method"]
        if method == "call" or method == "drain":
            self.queue.append(message)
        else:
            self._other(method, message)

    def _cancel(self, params):
        id = params.get("id") if type(params) is dict else None
        connection = self.connection
        if id is not None and id == self.running and type(id) is type(self.running):
            # Ends a wait for the engine; code that computes goes on.
            connection.cancelled = True
            return
        for message in self.queue:
            if message["method"] == "call" and message.get("id") == id and type(message.get("id")) is type(id):
                self.queue.remove(message)
                reason = params.get("reason")
                connection.answer_error(id, -32000, "cancelled", "the call was cancelled before it ran", reason=reason)
                return

    # Calls

    def _call(self, id, params):
        connection = self.connection
        try:
            try:
                entry = self.entries[params["module"], params["receiver"], params["function"]]
                arguments = params["arguments"]
                positional = params["positional"]
                known = True
            except (KeyError, TypeError):
                known = False
            if not known:
                entry, arguments, positional = self._resolve_loosely(params)
            if connection.out and not entry.quick:
                connection.flush()
            name = params.get("context_parameter")
            if name:
                arguments[name] = Context._from_wire(params.get("context"))
            for number, kind in entry.numbers:
                value = arguments.get(number)
                if type(value) is not kind and type(value) in _NUMBERS:
                    self._number(arguments, number, kind)
            converters = entry.converters
            if converters:
                self._convert(converters, arguments)
            before = ()
            if positional != entry.by_name or "variadic" in params or "keyword_variadic" in params:
                before, arguments = self._arrange(entry, params, arguments, positional)
        except _Refused as refused:
            connection.answer_error(id, refused.code, refused.type, str(refused), **refused.data)
            return
        self.running = connection.parent = id
        began = perf_counter()
        try:
            value = entry.function(*before, **arguments)
            if type(value) not in _PLAIN_RESULTS:
                value = self._finish(id, value)
        except BaseException as error:
            connection.parent = self.running = None
            self._answer_failure(id, entry, error, params)
            connection.cancelled = False
            return
        connection.parent = self.running = None
        connection.cancelled = False
        entry.quick = perf_counter() - began < _QUICK
        try:
            connection.answer_value(id, value)
        except Unfit as unfit:
            connection.answer_error(id, -32000, "invalid_result", "%s returned a value that JSON cannot carry: %s" % (
                params.get("function"), unfit), hint="return strings, finite numbers, booleans, None, lists and dicts")

    def _resolve(self, key):
        module, receiver, name = key
        path = os.path.abspath(module)
        try:
            at = self._load(path)
        except LoadFailed as failed:
            raise _Refused(-32000, "load_failed", failed.message, hint=failed.hint or None, file=failed.file, line=failed.line,
                           error_class=type(failed.error).__name__, traceback=_trace(failed.error))
        for part in (receiver.split(".") if receiver else []) + [name]:
            at = getattr(at, part, None)
            if at is None:
                break
        if not callable(at):
            raise _Refused(-32000, "unknown_function", "%s has no function %s" % (
                shown(path, self.root), ".".join(filter(None, (receiver, name)))), file=shown(path, self.root))
        entry = self.entries[key] = _Entry(at, path)
        return entry

    def _load(self, path):
        if not any(path == source or path.startswith(source + os.sep) for source in self.sources):
            return load(path, self.root)
        from sabir._existing import load_existing
        if self.boot is not None:
            load_existing(self.boot, self.root)
            self.boot = None
        return load_existing(path, self.root)

    def _resolve_loosely(self, params):
        """For calls that leave out what has a default."""
        if type(params) is not dict or type(params.get("module")) is not str or type(params.get("function")) is not str:
            raise _Refused(-32602, "invalid_arguments", "a call needs `module` and `function`")
        receiver = params.get("receiver") or ""
        arguments = params.get("arguments", {})
        positional = params.get("positional") or []
        if type(receiver) is not str or type(arguments) is not dict or type(positional) is not list:
            raise _Refused(-32602, "invalid_arguments", "`arguments` is an object, `positional` an array, `receiver` a string")
        key = (params["module"], receiver, params["function"])
        return self.entries.get(key) or self._resolve(key), arguments, positional

    def _number(self, arguments, name, kind):
        value = arguments[name]
        try:
            if kind is float or value.is_integer():
                arguments[name] = kind(value)
        except OverflowError:
            raise _Refused(-32602, "invalid_arguments", "argument /%s: the integer is too large for a float" % name)

    def _convert(self, converters, arguments):
        for name, converter in converters.items():
            if name in arguments:
                try:
                    arguments[name] = converter(arguments[name])
                except ValueError as error:
                    places = [(error, getattr(error, "at", ""))] + list(getattr(error, "also", ()))
                    raise _Refused(-32602, "invalid_arguments", "argument " + "; ".join("/%s%s: %s" % (name, at, why) for why, at in places))
                except Exception as error:
                    # The type itself is at fault, or code of its own that validates.
                    raise _Refused(-32000, "function_error", "argument /%s cannot be made: %s" % (name, error),
                                   error_class=type(error).__name__, traceback=_trace(error))

    def _arrange(self, entry, params, arguments, positional):
        """(positional values, named values) for anything but the plain case."""
        variadic = params.get("variadic")
        spread = params.get("keyword_variadic")
        if type(arguments) is not dict or type(positional) is not list:
            raise _Refused(-32602, "invalid_arguments", "`arguments` is an object and `positional` an array")
        if not variadic and not spread and entry.allows(positional):
            return (), arguments
        arguments = dict(arguments)
        extra = arguments.pop(variadic, None) or [] if variadic else []
        more = arguments.pop(spread, None) or {} if spread else {}
        if type(extra) is not list or type(more) is not dict:
            raise _Refused(-32602, "invalid_arguments", "`%s` is an array and `%s` an object" % (variadic, spread))
        before = []
        for name in positional:
            if name not in arguments:
                if not extra:
                    # A later one goes by its name.
                    break
                before.append(self._default(entry, name))
                continue
            before.append(arguments.pop(name))
        arguments.update(more)
        return before + extra, arguments

    def _default(self, entry, name):
        import inspect
        try:
            default = inspect.signature(entry.function).parameters[name].default
        except (KeyError, ValueError, TypeError):
            default = inspect.Parameter.empty
        if default is inspect.Parameter.empty:
            raise _Refused(-32602, "invalid_arguments", "argument /%s is missing" % name)
        return default

    def _finish(self, id, value):
        """The plain value of an awaitable or an iterator; iterators are sent as chunks while they run."""
        cls = type(value)
        if hasattr(cls, "__await__"):
            import asyncio
            value = asyncio.run(_awaited(value))
            cls = type(value)
        if hasattr(cls, "__anext__"):
            import asyncio
            return asyncio.run(self._drain_async(id, value))
        if hasattr(cls, "__next__"):
            values = []
            for item in value:
                self.connection.notify("chunk", {"id": id, "value": item}, "value")
                values.append(item)
            return values
        return value

    async def _drain_async(self, id, iterator):
        values = []
        async for item in iterator:
            self.connection.notify("chunk", {"id": id, "value": item}, "value")
            values.append(item)
        return values

    def _answer_failure(self, id, entry, error, params):
        connection = self.connection
        name = params.get("function")
        if isinstance(error, Unfit):
            connection.answer_error(id, -32000, "invalid_result", "%s yielded a value that JSON cannot carry: %s" % (name, error))
            return
        if isinstance(error, sabir.Error) and error.type == "cancelled" and connection.cancelled:
            connection.answer_error(id, -32000, "cancelled", "the call was cancelled")
            return
        if isinstance(error, TypeError) and error.__traceback__.tb_next is None:
            # Raised by the call itself: names or counts do not fit the signature.
            connection.answer_error(id, -32602, "invalid_arguments", str(error))
            return
        file, line = place_of(error, self.root, entry.file)
        data = {"error_class": type(error).__name__, "traceback": _trace(error), "line": line,
                "file": shown(file, self.root) if file else None}
        message = str(error) or type(error).__name__
        if isinstance(error, sabir.Error):
            message = error.message
            data["hint"] = error.hint or None
            data["cause"] = {"type": error.type, "data": error.data}
        try:
            connection.answer_error(id, -32000, "function_error", message, **data)
        except (TypeError, ValueError, RecursionError, Unfit):
            data.pop("cause", None)
            connection.answer_error(id, -32000, "function_error", message[:10000], **data)


async def _awaited(value):
    return await value


def _trace(error):
    import traceback
    # Without the worker's own frame.
    trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
    text = "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))
    return text if len(text) < 20000 else text[:4000] + "\n…\n" + text[-12000:]


def _descriptors():
    given = os.environ.pop("SABIR_FD", "")
    parts = given.split(",")
    if not 1 <= len(parts) <= 2 or not all(part.isdigit() for part in parts):
        sys.exit("sabir's Python worker is started by the engine: SABIR_FD has to name its connection")
    fds = [int(part) for part in parts]
    for fd in fds:
        try:
            # Programs that a function starts must not hold the connection open.
            os.set_inheritable(fd, False)
            os.set_blocking(fd, True)
        except OSError:
            sys.exit("sabir's Python worker: SABIR_FD names descriptor %d, which is not open" % fd)
    return fds[0], fds[-1]


def _exit(status):
    """Ends the process soon, whatever threads and exit handlers of the user's do."""
    import threading
    last = threading.Timer(0.7, os._exit, (status,))
    last.daemon = True
    last.start()
    sys.exit(status)


def main():
    read_fd, write_fd = _descriptors()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
        except (AttributeError, ValueError):
            pass
    worker = Worker(read_fd, write_fd)
    _channel.worker = worker.connection
    try:
        status = worker.serve()
    except KeyboardInterrupt:
        status = 130
    _exit(status)


if __name__ == "__main__":
    main()
