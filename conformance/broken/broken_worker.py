"""Workers that break one rule each, to prove that the conformance checks can fail.

    broken_worker.py --break MUST-8.1

is Sabir's Python worker with the rule of that check broken; without --break it breaks none, and --list prints the checks
that have one. A break is a function that changes the worker's classes before the worker starts.
"""

import datetime
import json
import math
import os
import select
import sys
import time
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.join(HERE, "..", "..", "languages", "python")
# worker.py puts its SDK into the first place, which is this script's folder.
sys.path.insert(0, PYTHON)

import worker as good
from sabir import _plain, _wire
from sabir._wire import Connection

Worker = good.Worker
BREAKS = {}


def breaks(*checks):
    """Decorator: the function breaks what these checks look at."""
    def register(function):
        for check in checks:
            assert check not in BREAKS, check
            BREAKS[check] = function
        return function
    return register


def replaced(cls, name):
    """Decorator: the function becomes cls.name and receives the original as its first argument."""
    def apply(function):
        original = getattr(cls, name)

        def method(*args, **kwargs):
            return function(original, *args, **kwargs)
        setattr(cls, name, method)
        return function
    return apply


def changed_values(change):
    """Every value that a function returns goes through `change`."""
    @replaced(Connection, "answer_value")
    def answer_value(original, self, id, value):
        original(self, id, change(value))


def everywhere(change):
    """`change` for each value inside a value, the innermost first."""
    def deep(value):
        if type(value) is list:
            value = [deep(item) for item in value]
        elif type(value) is dict:
            value = {key: deep(item) for key, item in value.items()}
        return change(value)
    return deep


def arranged(change):
    """The arguments of every call go through change(entry, arguments, before)."""
    good._Entry.allows = lambda self, positional: False

    @replaced(Worker, "_arrange")
    def arrange(original, self, entry, params, arguments, positional):
        before, named = original(self, entry, params, arguments, positional)
        return change(entry, params, list(before), named)


# ---- Transport and frames ------------------------------------------------------------------------------------------


@breaks("MUST-1.1")
def takes_pipes_only():
    if "," not in os.environ.get("SABIR_FD", ""):
        sys.exit("a socket is not for me")


@breaks("MUST-1.2")
def takes_descriptor_3_only():
    os.environ["SABIR_FD"] = "3"


@breaks("MUST-1.3")
def takes_a_socket_only():
    if "," in os.environ.get("SABIR_FD", ""):
        sys.exit("pipes are not for me")


@breaks("MUST-2.1")
def shows_its_answers_on_standard_output():
    @replaced(Connection, "flush")
    def flush(original, self):
        for frame in list(self.out):
            print(frame[:200].decode("utf-8", "replace"))
        original(self)


@breaks("MUST-3.1", "MUST-3.2")
def stays_when_its_connection_ends():
    @replaced(Worker, "serve")
    def serve(original, self):
        original(self)
        time.sleep(30)
        return 0


@breaks("MUST-4.1")
def counts_characters_instead_of_bytes():
    @replaced(Connection, "flush")
    def flush(original, self):
        for index, frame in enumerate(self.out):
            head, body = frame.split(b"\n", 1)
            if b" " not in head:
                self.out[index] = b"%d\n%b" % (len(body.decode("utf-8")), body)
        original(self)


@breaks("MUST-4.2")
def writes_two_spaces_before_a_blobs_length():
    @replaced(Connection, "flush")
    def flush(original, self):
        for index, frame in enumerate(self.out):
            head, body = frame.split(b"\n", 1)
            self.out[index] = head.replace(b" ", b"  ") + b"\n" + body
        original(self)


@breaks("MUST-4.3")
def takes_an_empty_blob_for_none():
    @replaced(_wire, "place_blobs")
    def place_blobs(original, value, blobs):
        original(value, [blob for blob in blobs if blob])


@breaks("MUST-5.1")
def takes_a_head_with_leading_zeros():
    @replaced(_wire, "_sizes")
    def sizes(original, head):
        return original(b" ".join(part.lstrip(b"0") or b"0" for part in head.split(b" ")))


@breaks("MUST-5.2")
def takes_frames_of_any_size():
    @replaced(_wire, "_sizes")
    def sizes(original, head):
        return [int(part) for part in head.split(b" ")]


@breaks("MUST-5.3")
def takes_any_number_of_blobs():
    _wire.MAX_BLOBS = 1 << 30


@breaks("MUST-5.4")
def takes_half_of_the_largest_frame():
    _wire.MAX_FRAME = 32 << 20


@breaks("MUST-6.1", "MUST-6.2", "MUST-6.3")
def believes_that_a_read_gives_a_whole_frame():
    @replaced(Connection, "_fill")
    def fill(original, self):
        self._start = self._end = 0
        return original(self)


@breaks("MUST-7.1")
def writes_an_answer_to_ping_in_the_middle_of_a_large_frame():
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


@breaks("MUST-8.1")
def answers_with_the_id_as_a_string():
    @replaced(Connection, "answer_result")
    def answer_result(original, self, id, result):
        original(self, str(id), result)


@breaks("MUST-8.2")
def answers_failed_calls_with_another_id():
    @replaced(Connection, "answer_error")
    def answer_error(original, self, id, code, type_, message, **data):
        original(self, [id], code, type_, message, **data)


@breaks("MUST-8.3")
def numbers_its_requests_from_100():
    @replaced(Connection, "request")
    def request(original, self, method, params, large=()):
        self._next_id = max(self._next_id, 100)
        return original(self, method, params, large)


@breaks("MUST-9.1")
def answers_a_failing_call_twice():
    @replaced(Worker, "_answer_failure")
    def answer_failure(original, self, *args):
        original(self, *args)
        original(self, *args)


# ---- Life ----------------------------------------------------------------------------------------------------------


@breaks("MUST-10.1")
def answers_an_unknown_method_as_if_it_had_worked():
    @replaced(Connection, "answer_error")
    def answer_error(original, self, id, code, type_, message, **data):
        if code == -32601:
            return self.answer_result(id, {})
        return original(self, id, code, type_, message, **data)


@breaks("MUST-10.2")
def answers_an_unknown_notification():
    @replaced(Worker, "_other")
    def other(original, self, method, message):
        if "id" not in message and method != "cancel":
            self.connection.answer_error(None, -32601, "unknown_method", "unknown notification " + method)
        return original(self, method, message)


@breaks("MUST-10.3")
def refuses_unknown_members_of_a_call():
    @replaced(Worker, "_call")
    def call(original, self, id, params):
        if "of_the_future" in params:
            return self.connection.answer_error(id, -32602, "invalid_arguments", "unknown member of_the_future")
        return original(self, id, params)


@breaks("MUST-10.4")
def takes_the_first_member_of_a_result():
    @replaced(Connection, "request")
    def request(original, self, method, params, large=()):
        result = original(self, method, params, large)
        return {"value": next(iter(result.values()))}


@breaks("MUST-11.1")
def answers_with_a_version_that_was_not_offered():
    @replaced(Connection, "answer_result")
    def answer_result(original, self, id, result):
        original(self, id, dict(result, protocol=100) if "protocol" in result else result)


@breaks("MUST-11.2")
def does_not_say_its_runtime():
    @replaced(Connection, "answer_result")
    def answer_result(original, self, id, result):
        original(self, id, {key: value for key, value in result.items() if key != "runtime"})


@breaks("MUST-11.3")
def stays_after_it_refused_a_version():
    @replaced(Worker, "_other")
    def other(original, self, method, message):
        status = original(self, method, message)
        return None if method == "hello" else status


@breaks("MUST-12.1", "MUST-12.2", "MUST-12.3")
def dies_of_a_file_that_does_not_load():
    @replaced(good, "load")
    def load(original, path, root):
        try:
            return original(path, root)
        except good.LoadFailed:
            os._exit(1)


@breaks("MUST-13.1")
def ignores_ping_before_start():
    @replaced(Worker, "_other")
    def other(original, self, method, message):
        if method == "ping" and not self.root:
            return None
        return original(self, method, message)


@breaks("MUST-13.2")
def answers_ping_with_pong():
    @replaced(Connection, "answer_result")
    def answer_result(original, self, id, result):
        original(self, id, result or {"pong": True})


@breaks("MUST-14.1")
def stops_at_once_when_it_is_drained():
    @replaced(Connection, "receive")
    def receive(original, self):
        message = original(self)
        if message and message.get("method") == "call":
            # It follows at once, but may still be on its way.
            if b'"drain"' not in bytes(self._view[self._start:self._end]) and select.select([self.read_fd], [], [], 1)[0]:
                self._fill()
            if b'"drain"' in bytes(self._view[self._start:self._end]):
                os._exit(0)
        return message


@breaks("MUST-14.2")
def exits_with_status_3():
    @replaced(Worker, "serve")
    def serve(original, self):
        original(self)
        return 3


# ---- Calls ---------------------------------------------------------------------------------------------------------


@breaks("MUST-15.1")
def passes_arguments_in_the_order_in_which_they_came():
    good._Entry.allows = lambda self, positional: False

    @replaced(Worker, "_arrange")
    def arrange(original, self, entry, params, arguments, positional):
        return list(arguments.values()), {}


@breaks("MUST-15.2")
def passes_none_for_what_is_missing():
    def change(entry, params, before, named):
        return before, dict({name: None for name in entry.names[len(before):]}, **named)
    arranged(change)


@breaks("MUST-15.3")
def passes_variadic_arguments_as_one():
    def change(entry, params, before, named):
        count = len(params["positional"])
        return before[:count] + ([before[count:]] if len(before) > count else []), named
    arranged(change)


@breaks("MUST-15.4")
def forgets_what_has_no_position():
    def change(entry, params, before, named):
        return before, {name: value for name, value in named.items() if name in params["positional"]}
    arranged(change)


@breaks("MUST-15.5")
def calls_functions_with_whatever_fits():
    def change(entry, params, before, named):
        named = {name: value for name, value in named.items() if name in entry.names}
        return before, named
    arranged(change)


@breaks("MUST-16.1")
def forgets_the_context():
    @replaced(good.Context, "_from_wire")
    def from_wire(original, fields):
        return original({})


@breaks("MUST-16.2")
def keeps_the_first_callers_context():
    first = []

    @replaced(good.Context, "_from_wire")
    def from_wire(original, fields):
        first.append(fields)
        return original(first[0])


@breaks("MUST-17.1")
def writes_structured_values_as_text():
    changed_values(lambda value: {key: str(item) for key, item in value.items()} if type(value) is dict else value)


@breaks("MUST-17.2")
def writes_what_has_no_json_form_as_text():
    changed_values(lambda value: str(value) if type(value) is object else value)


@breaks("MUST-18.1")
def puts_the_class_into_the_message():
    @replaced(Connection, "answer_error")
    def answer_error(original, self, id, code, type_, message, **data):
        original(self, id, code, type_, "%s: %s" % (data.get("error_class"), message), **data)


@breaks("MUST-18.2")
def names_the_workers_own_line():
    good.place_of = lambda error, root, file: (file, 1)


@breaks("MUST-18.3")
def leaves_after_an_error():
    @replaced(Connection, "answer_error")
    def answer_error(original, self, *args, **data):
        original(self, *args, **data)
        self.flush()
        os._exit(1)


@breaks("MUST-18.4")
def forgets_the_cause():
    @replaced(Connection, "answer_error")
    def answer_error(original, self, *args, **data):
        data.pop("cause", None)
        original(self, *args, **data)


@breaks("MUST-19.1")
def calls_whatever_function_is_there():
    @replaced(Worker, "_resolve")
    def resolve(original, self, key):
        try:
            return original(self, key)
        except good._Refused:
            return good._Entry(lambda **_: None, key[0])


@breaks("MUST-20.1")
def runs_the_second_call_first():
    held = []

    @replaced(Connection, "receive")
    def receive(original, self):
        if held:
            return held.pop()
        message = original(self)
        if message and message.get("method") == "call" and self.has_frame():
            held.append(message)
            message = original(self)
        return message


@breaks("MUST-20.2", "MUST-25.2")
def runs_the_newest_call_first():
    @replaced(Worker, "_meanwhile")
    def meanwhile(original, self, message):
        original(self, message)
        if message["method"] == "call":
            self.queue.appendleft(self.queue.pop())


@breaks("MUST-20.3")
def does_not_name_the_parent():
    @replaced(Connection, "request")
    def request(original, self, method, params, large=()):
        parent, self.parent = self.parent, None
        try:
            return original(self, method, params, large)
        finally:
            self.parent = parent


@breaks("MUST-21.1")
def runs_a_queued_call_that_was_cancelled():
    @replaced(Worker, "_cancel")
    def cancel(original, self, params):
        return None


@breaks("MUST-21.2")
def answers_cancel_for_an_unknown_call():
    @replaced(Worker, "_cancel")
    def cancel(original, self, params):
        if params["id"] != self.running and all(message.get("id") != params["id"] for message in self.queue):
            self.connection.answer_error(params["id"], -32000, "cancelled", "there is no such call")
        return original(self, params)


@breaks("MUST-21.3")
def answers_a_cancelled_call_at_once_and_again():
    @replaced(Worker, "_cancel")
    def cancel(original, self, params):
        if params["id"] == self.running:
            self.connection.answer_error(params["id"], -32000, "cancelled", "soon")
        return original(self, params)


def drops(method):
    @replaced(Connection, "notify")
    def notify(original, self, name, params, large=None):
        if name != method:
            original(self, name, params, large)


@breaks("MUST-22.1")
def drops_progress():
    drops("progress")


@breaks("MUST-22.2")
def drops_log_records():
    drops("log")


@breaks("MUST-22.3")
def drops_chunks():
    drops("chunk")


@breaks("MUST-22.4")
def answers_with_the_last_value():
    @replaced(Worker, "_finish")
    def finish(original, self, id, value):
        values = original(self, id, value)
        return values[-1:] if type(values) is list else values


@breaks("MUST-22.5")
def sends_its_chunks_after_the_answer():
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


# ---- Blobs and bad messages ----------------------------------------------------------------------------------------


def placing(place):
    """place_blobs that goes by what came, whatever the list's length, with place(root, pointer, blob, type)."""
    def place_blobs(value, blobs):
        for entry, blob in zip(value.pop("blobs", None) or [], blobs):
            place(value, entry["at"], blob, entry["type"])
    _wire.place_blobs = place_blobs


@breaks("MUST-23.1")
def takes_text_for_bytes():
    @replaced(_wire, "place_blobs")
    def place_blobs(original, value, blobs):
        for entry in value.get("blobs") or []:
            entry["type"] = "bytes"
        original(value, blobs)


@breaks("MUST-23.2")
def does_not_unescape_pointers():
    def place(root, pointer, blob, kind):
        keys = pointer.split("/")[1:]
        for key in keys[:-1]:
            root = root[int(key) if type(root) is list else key] if type(root) is list or key in root else {}
        root[int(keys[-1]) if type(root) is list else keys[-1]] = blob.decode() if kind == "string" else blob
    placing(place)


@breaks("MUST-23.3")
def does_not_count_the_blobs():
    placing(lambda root, pointer, blob, kind: _wire._place(root, pointer, blob.decode() if kind == "string" else blob))


@breaks("MUST-23.4")
def puts_a_blob_over_any_value():
    def place(root, pointer, blob):
        keys = [key.replace("~1", "/").replace("~0", "~") for key in (pointer or "").split("/")[1:]]
        try:
            for key in keys[:-1]:
                root = root[int(key) if isinstance(root, list) else key]
            root[int(keys[-1]) if isinstance(root, list) else keys[-1]] = blob
        except (LookupError, TypeError):
            return
    _wire._place = place


@breaks("MUST-23.5")
def takes_unknown_types_for_bytes():
    @replaced(_wire, "place_blobs")
    def place_blobs(original, value, blobs):
        for entry in value.get("blobs") or []:
            if type(entry) is dict and entry.get("type") == "picture":
                entry["type"] = "bytes"
        original(value, blobs)


def keeps_inside(kind):
    """Values of that type never become blobs."""
    def wrapped(original, value, at, blobs, listed, depth=0):
        found, places = [], []
        result = original(value, at, found, places, depth)
        if any(place["type"] == kind for place in places):
            limit, _plain.BLOB = _plain.BLOB, 1 << 30
            try:
                return original(value, at, blobs, listed, depth)
            finally:
                _plain.BLOB = limit
        blobs.extend(found)
        listed.extend(places)
        return result
    original = _wire.plain
    _wire.plain = lambda *args: wrapped(original, *args)


@breaks("MUST-24.1")
def keeps_text_inside_the_json():
    _wire.BLOB = 1 << 30
    keeps_inside("string")


@breaks("MUST-24.2")
def keeps_bytes_inside_the_json():
    keeps_inside("bytes")


@breaks("MUST-24.3")
def keeps_arguments_inside_the_json():
    @replaced(Connection, "request")
    def request(original, self, method, params, large=()):
        limit, _plain.BLOB = _plain.BLOB, 1 << 30
        try:
            return original(self, method, params, large)
        finally:
            _plain.BLOB = limit


@breaks("MUST-24.4")
def drops_the_blobs_of_answers():
    @replaced(_wire, "place_blobs")
    def place_blobs(original, value, blobs):
        if type(value) is dict and "value" not in value:
            original(value, blobs)


@breaks("MUST-25.1")
def does_not_answer_ping_while_a_function_waits():
    @replaced(Worker, "_meanwhile")
    def meanwhile(original, self, message):
        if message["method"] == "ping":
            self.queue.append(message)
        else:
            original(self, message)


@breaks("MUST-26.1", "MUST-26.3")
def leaves_at_the_first_bad_message():
    @replaced(Connection, "answer_error")
    def answer_error(original, self, id, code, type_, message, **data):
        if code == -32700:
            os._exit(1)
        return original(self, id, code, type_, message, **data)


@breaks("MUST-26.2")
def takes_any_bytes_for_text():
    @replaced(Connection, "_take")
    def take(original, self):
        try:
            return original(self)
        except UnicodeDecodeError:
            return '{"jsonrpc":"2.0","id":"?","method":"ping"}', ()


@breaks("MUST-26.4")
def does_not_answer_what_is_no_request():
    @replaced(Connection, "answer_error")
    def answer_error(original, self, id, code, type_, message, **data):
        if code != -32600:
            original(self, id, code, type_, message, **data)


# ---- Values --------------------------------------------------------------------------------------------------------


@breaks("VALUE-1")
def leaves_null_members_out():
    changed_values(everywhere(lambda v: {key: item for key, item in v.items() if item is not None} if type(v) is dict else v))


@breaks("VALUE-2")
def writes_booleans_as_numbers():
    changed_values(everywhere(lambda value: int(value) if type(value) is bool else value))


@breaks("VALUE-3")
def wraps_integers_at_32_bits():
    changed_values(everywhere(lambda v: (v + (1 << 31)) % (1 << 32) - (1 << 31) if type(v) is int else v))


@breaks("VALUE-4")
def rounds_integers_to_doubles():
    changed_values(everywhere(lambda value: int(float(value)) if type(value) is int else value))


@breaks("VALUE-5")
def clamps_integers_at_64_bits():
    changed_values(everywhere(lambda v: max(-(1 << 63), min(v, (1 << 63) - 1)) if type(v) is int else v))


@breaks("VALUE-6")
def writes_six_digits():
    changed_values(everywhere(lambda value: float("%.6g" % value) if type(value) is float else value))


@breaks("VALUE-7")
def cuts_fractions_off():
    changed_values(everywhere(lambda value: math.trunc(value) if type(value) is float else value))


@breaks("VALUE-8")
def writes_nan_as_null():
    changed_values(everywhere(lambda value: None if type(value) is float and not math.isfinite(value) else value))


@breaks("VALUE-9")
def normalises_text():
    changed_values(everywhere(lambda value: unicodedata.normalize("NFC", value) if type(value) is str else value))


@breaks("VALUE-10")
def reads_each_half_of_a_pair_by_itself():
    @replaced(_wire, "decode")
    def decode(original, text):
        return original(text.replace("\\ud834\\udd1e", "\\ufffd\\ufffd"))


@breaks("VALUE-11")
def replaces_lone_surrogates():
    changed_values(everywhere(lambda value: value.encode("utf-8", "replace").decode() if type(value) is str else value))


@breaks("VALUE-12")
def writes_small_bytes_as_numbers():
    changed_values(lambda value: list(value) if type(value) is bytes else value)


@breaks("VALUE-13")
def takes_an_empty_object_for_a_list():
    changed_values(everywhere(lambda value: value or [] if type(value) is dict else value))


@breaks("VALUE-14")
def takes_numbered_members_for_a_list():
    def change(value):
        return list(value.values()) if type(value) is dict and list(value) == [str(i) for i in range(len(value))] else value
    changed_values(everywhere(change))


@breaks("VALUE-15")
def sorts_arrays():
    def change(value):
        return sorted(value) if type(value) is list and value and all(type(item) is int for item in value) else value
    changed_values(everywhere(change))


@breaks("VALUE-16")
def refuses_forty_levels():
    _plain._MAX_DEPTH = 40
    good_encode = _wire.encode
    _wire.encode = lambda value: good_encode(_plain.plain(value, "", [], []))


@breaks("VALUE-17")
def dies_of_deep_nesting():
    @replaced(_wire, "decode")
    def decode(original, text):
        if "[" * 10000 in text:
            os._exit(1)
        return original(text)


@breaks("VALUE-18")
def keeps_the_first_of_a_repeated_key():
    _wire.decode = json.JSONDecoder(object_pairs_hook=lambda pairs: dict(reversed(pairs))).decode


@breaks("VALUE-19")
def writes_dates_as_people_do():
    changed_values(lambda value: value.strftime("%d.%m.%Y") if isinstance(value, datetime.datetime) else value)


def main():
    args = sys.argv[1:]
    if args == ["--list"]:
        print("\n".join(BREAKS))
        return
    if args:
        if len(args) != 2 or args[0] != "--break":
            sys.exit("usage: broken_worker.py [--break CHECK | --list]")
        if args[1] not in BREAKS:
            sys.exit("no broken worker for " + args[1])
        BREAKS[args[1]]()
    good.main()


if __name__ == "__main__":
    main()
