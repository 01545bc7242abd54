"""The Python worker beyond what the protocol's conformance checks ask: Python's own ways."""

import textwrap
import threading

import pytest

from peer import Worker


@pytest.fixture
def worker(tmp_path):
    """worker.file(path, source) writes a file of the project; the worker starts at the first call."""

    class Lazy:
        peer = None

        def file(self, path, source):
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(source), encoding="utf-8")

        def __getattr__(self, name):
            if self.peer is None:
                self.peer = Worker(tmp_path)
            return getattr(self.peer, name)
    lazy = Lazy()
    yield lazy
    if lazy.peer is not None and lazy.peer.process.poll() is None:
        lazy.peer.close()


X = "functions/python/x.py"


def test_arguments_become_what_the_annotations_say(worker):
    worker.file(X, """
        from __future__ import annotations
        import datetime, decimal, enum, pathlib, uuid
        from dataclasses import dataclass, field
        from typing import Dict, List, NamedTuple, NewType, Optional, Tuple, TypedDict, Union, Literal, Any

        class Colour(enum.Enum):
            RED = "red"

        @dataclass
        class Point:
            x: float
            when: datetime.date
            children: List[Point] = field(default_factory=list)

        class Pair(NamedTuple):
            left: int
            colour: Colour

        class Options(TypedDict, total=False):
            at: datetime.datetime

        Id = NewType("Id", uuid.UUID)

        def kinds(a: Point, b: Colour, c: Optional[datetime.datetime], d: List[Colour], e: Dict[str, datetime.date],
                  f: Tuple[int, Colour], g: Pair, h: Options, i: Id, j: decimal.Decimal, k: pathlib.Path, l: bytes,
                  m: Union[int, Colour], n: set, o: Literal["x"], p: Any = None, q: Dict[int, str] = None):
            return {name: type(value).__name__ for name, value in locals().items()} | {
                "child": type(a.children[0]).__name__, "day": type(a.children[0].when).__name__, "item": type(d[0]).__name__,
                "member": type(e["x"]).__name__, "second": type(f[1]).__name__, "named": type(g.colour).__name__,
                "at": type(h["at"]).__name__, "key": type(list(q)[0]).__name__, "bytes": l.decode()}
    """)
    day = "2026-01-02"
    value = worker.value("kinds", {
        "a": {"x": 1, "when": day, "children": [{"x": 2, "when": day}]}, "b": "red", "c": "2026-01-02T03:04:05Z", "d": ["red"],
        "e": {"x": day}, "f": [1, "red"], "g": {"left": 1, "colour": "red"}, "h": {"at": "2026-01-02T03:04:05"},
        "i": "12345678-1234-5678-1234-567812345678", "j": "1.10", "k": "a/b", "l": "aGk=", "m": "red", "n": [1, 1], "o": "x",
        "q": {"1": "one"}}, positional=list("abcdefghijklmnopq"))
    assert value == {
        "a": "Point", "b": "Colour", "c": "datetime", "d": "list", "e": "dict", "f": "tuple", "g": "Pair", "h": "dict", "i": "UUID",
        "j": "Decimal", "k": "PosixPath", "l": "bytes", "m": "Colour", "n": "set", "o": "str", "p": "NoneType", "q": "dict",
        "child": "Point", "day": "date", "item": "Colour", "member": "date", "second": "Colour", "named": "Colour", "at": "datetime",
        "key": "int", "bytes": "hi"}


def test_a_value_that_does_not_convert_names_its_path(worker):
    worker.file(X, """
        import dataclasses, datetime, typing
        @dataclasses.dataclass
        class Trip:
            days: typing.List[datetime.date]
        def go(trip: Trip):
            return 1
    """)
    error = worker.error("go", {"trip": {"days": ["2026-01-01", "tomorrow"]}})
    assert error["code"] == -32602
    assert error["message"].startswith("argument /trip/days/1: 'tomorrow' is not a date")
    assert worker.error("go", {"trip": {"nights": 1}})["data"]["type"] == "invalid_arguments"


def test_numbers_arrive_as_what_the_annotation_says(worker):
    worker.file(X, """
        from typing import Dict, List, Optional, Union
        def kinds(a: int, b: float, c: List[float], d: Dict[str, int], e: Optional[float], f: Union[int, float], g: "float" = 1):
            return [repr(a), repr(b), repr(c), repr(d), repr(e), repr(f), repr(g)]
        def plain(a: int, b: float = 2.0):
            return repr((a, b))
    """)
    names = list("abcdefg")
    assert worker.value("kinds", {"a": 3.0, "b": 5, "c": [1, 2.5], "d": {"x": 2.0}, "e": 7, "f": 4, "g": 2}, positional=names) == [
        "3", "5.0", "[1.0, 2.5]", "{'x': 2}", "7.0", "4", "2.0"]
    assert worker.value("plain", {"a": 4.0, "b": 1}, positional=["a", "b"]) == "(4, 1.0)"
    assert worker.value("plain", {"a": 2 ** 80}, positional=["a"]) == "(%d, 2.0)" % 2 ** 80
    assert worker.error("plain", {"a": 1, "b": 10 ** 400}, positional=["a", "b"])["message"] == "argument /b: the integer is too large for a float"


def test_integers_are_unbounded_until_other_readers_give_up(worker):
    worker.file(X, """
        def power(n: int):
            return 2 ** n
    """)
    assert worker.value("power", {"n": 64}) == 2 ** 64
    assert worker.value("power", {"n": 900}) == 2 ** 900
    error = worker.error("power", {"n": 20000})
    assert error["data"]["type"] == "invalid_result" and "over 300 digits" in error["message"]
    assert worker.value("power", {"n": 1}) == 2


def test_variadic_arguments_are_converted_one_by_one(worker):
    worker.file(X, """
        from datetime import date
        def days(*days: date, **named: date):
            return [day.year for day in days] + [day.month for day in named.values()]
        def real(*numbers: float, **named: float):
            return repr((numbers, named))
    """)
    extra = {"positional": [], "variadic": "days", "keyword_variadic": "named"}
    assert worker.value("days", {"days": ["2026-01-02"], "named": {"a": "2027-03-04"}}, **extra) == [2026, 3]
    assert worker.value("real", {"numbers": [1], "named": {"a": 2}}, positional=[], variadic="numbers", keyword_variadic="named") == "((1.0,), {'a': 2.0})"
    assert "argument /days/1: 'x' is not a date" in worker.error("days", {"days": ["2026-01-02", "x"]}, **extra)["message"]


def test_durations_go_both_ways(worker):
    worker.file(X, """
        from datetime import timedelta
        def twice(length: timedelta) -> timedelta:
            return length * 2
    """)
    for given, expected in (("PT1M30S", "PT3M"), (90, "PT3M"), (0.25, "PT0.5S"), ("P1DT0.5S", "P2DT1S"), ("-P1D", "-P2D"), ("P1W", "P14D"), (0, "PT0S")):
        assert worker.value("twice", {"length": given}) == expected
    for wrong in ("P", "PT", "1:30", "P1Y", "P1DT"):
        assert worker.error("twice", {"length": wrong})["data"]["type"] == "invalid_arguments"


def test_types_that_only_a_type_checker_imports_are_found(worker):
    worker.file("functions/python/shapes.py", """
        from dataclasses import dataclass
        @dataclass
        class Box:
            width: float
    """)
    worker.file(X, """
        from __future__ import annotations
        from typing import TYPE_CHECKING, List
        if TYPE_CHECKING:
            from datetime import date
            from nowhere import Nothing
            from .shapes import Box
        def widths(boxes: List[Box], day: date, other: Nothing):
            return [box.width for box in boxes], day.year, other
    """)
    assert worker.value("widths", {"boxes": [{"width": 2}], "day": "2026-01-02", "other": {"a": 1}}) == [[2.0], 2026, {"a": 1}]


def test_pydantic_refuses_with_the_path_in_the_argument(worker):
    pytest.importorskip("pydantic")
    worker.file(X, """
        from typing import List, Union
        from typing_extensions import Annotated
        from pydantic import AfterValidator, BaseModel, Field, field_validator
        class Line(BaseModel):
            item: str = Field(alias="name")
            count: int = Field(1, gt=0)
            @field_validator("item")
            @classmethod
            def known(cls, value):
                if value == "unicorn":
                    raise ValueError("there are none")
                return value
        class Order(BaseModel):
            lines: List[Line]
        class Note(BaseModel):
            text: str
        def total(order: Order) -> int:
            return sum(line.count for line in order.lines)
        def either(what: Union[Order, Note]):
            return what
        def even(n: Annotated[int, AfterValidator(lambda n: n + n % 2)]):
            return n
        def broken(what: "Union[Order, Missing]"):
            return type(what).__name__
    """)
    assert worker.value("total", {"order": {"lines": [{"name": "a", "count": 2}, {"name": "b"}]}}) == 3
    error = worker.error("total", {"order": {"lines": [{"name": "a"}, {"name": "unicorn", "count": 0}]}})
    assert error["data"]["type"] == "invalid_arguments"
    assert error["message"].startswith("argument /order/lines/1/name: Value error, there are none; /order/lines/1/count: ")
    assert "argument /order/lines/0/name: Field required" in worker.error("total", {"order": {"lines": [{}]}})["message"]
    assert worker.value("either", {"what": {"text": "x"}}) == {"text": "x"}
    assert worker.value("either", {"what": {"lines": [{"name": "a"}]}}) == {"lines": [{"name": "a", "count": 1}]}
    assert worker.value("even", {"n": 3}) == 4
    assert worker.value("broken", {"what": {"text": "x"}}) == "dict"


def test_results_become_json(worker):
    worker.file(X, """
        import collections, dataclasses, datetime, decimal, enum, pathlib, uuid
        class Colour(enum.Enum):
            RED = "red"
        class Size(enum.IntEnum):
            BIG = 3
        @dataclasses.dataclass
        class Point:
            x: int
            y: "Point" = None
        class Model:
            def model_dump(self, mode, by_alias):
                return {"mode": mode}
        class Row(collections.namedtuple("Row", "a b")):
            pass
        def all():
            return {"a": Colour.RED, "b": Size.BIG, "c": Point(1, Point(2)), "d": datetime.datetime(2026, 1, 2, 3, 4, 5),
                    "e": datetime.date(2026, 1, 2), "f": decimal.Decimal("1.10"), "g": {3, 1, 2}, "h": b"hi", "i": Model(),
                    "j": uuid.UUID(int=1), "k": pathlib.PurePosixPath("a/b"), "l": (1, 2), "m": collections.deque([1]),
                    "n": {1: "one", None: 2, Colour.RED: 3}, "o": range(3), "p": Row(1, 2), "q": datetime.timedelta(seconds=90),
                    "r": collections.OrderedDict(x=1), "s": datetime.time(1, 2)}
    """)
    assert worker.value("all") == {
        "a": "red", "b": 3, "c": {"x": 1, "y": {"x": 2, "y": None}}, "d": "2026-01-02T03:04:05", "e": "2026-01-02", "f": "1.10",
        "g": [1, 2, 3], "h": "aGk=", "i": {"mode": "json"}, "j": "00000000-0000-0000-0000-000000000001", "k": "a/b", "l": [1, 2],
        "m": [1], "n": {"1": "one", "null": 2, "red": 3}, "o": [0, 1, 2], "p": [1, 2], "q": "PT1M30S", "r": {"x": 1}, "s": "01:02:00"}


def test_unfit_results_name_their_place(worker):
    worker.file(X, """
        def nested():
            value = []
            value.append(value)
            return value
        def surrogate():
            return {"a": "\\ud800"}
        def unknown():
            return {"a": [1, lambda: 2]}
    """)
    assert "/value/a: the string has a lone surrogate" in worker.error("surrogate")["message"]
    assert "/value/a/1: a value of type function has no JSON form" in worker.error("unknown")["message"]
    assert worker.error("nested")["data"]["type"] == "invalid_result"


def test_async_functions_and_async_generators(worker):
    worker.file(X, """
        import asyncio
        async def double(x):
            await asyncio.sleep(0.01)
            return x * 2
        async def count(n):
            for i in range(n):
                await asyncio.sleep(0)
                yield i
    """)
    assert worker.value("double", {"x": 4}) == 8
    answer, before = worker.call("count", {"n": 2})
    assert answer["result"]["value"] == [0, 1]
    assert [message["params"]["value"] for message in before] == [0, 1]


def test_a_generator_that_raises_has_sent_what_it_yielded(worker):
    worker.file(X, """
        def partly():
            yield 1
            raise ValueError("enough")
    """)
    answer, before = worker.call("partly")
    assert [message["params"]["value"] for message in before] == [1]
    assert answer["error"]["message"] == "enough" and answer["error"]["data"]["line"] == 4


def test_modules_have_the_names_that_pytest_gives_them(worker):
    worker.file("functions/python/helper.py", "VALUE = 5\n")
    worker.file("functions/python/other.py", "import functions.python.x\nstate = functions.python.x.__name__\n")
    worker.file(X, """
        import helper
        def names():
            from functions.python import other
            import functions.python.x as itself
            return [__name__, helper.VALUE, other.state, itself.names is names]
    """)
    assert worker.value("names") == ["functions.python.x", 5, "functions.python.x", True]


def test_a_users_file_does_not_replace_the_standard_library(worker):
    worker.file("functions/python/statistics.py", "def mean(values):\n    import statistics\n    return statistics.mean(values)\n")
    assert worker.value("mean", {"values": [1, 3]}, file="functions/python/statistics.py") == 2


def test_packages_with_an_init_file_are_loaded_as_packages(worker):
    worker.file("functions/__init__.py", "ROOT = 1\n")
    worker.file("functions/python/__init__.py", "from functions import ROOT\n")
    worker.file(X, "from . import ROOT\n\ndef root():\n    return ROOT\n")
    assert worker.value("root") == 1


def test_classes_static_methods_and_receivers(worker):
    worker.file(X, """
        class Text:
            @staticmethod
            def up(value):
                return value.upper()
            @classmethod
            def name(cls):
                return cls.__name__
    """)
    assert worker.value("up", {"value": "a"}, receiver="Text") == "A"
    assert worker.value("name", receiver="Text") == "Text"
    assert worker.error("down", receiver="Text")["data"]["type"] == "unknown_function"


def test_decorated_and_positional_only_functions(worker):
    worker.file(X, """
        import functools
        def loud(function):
            @functools.wraps(function)
            def inner(*args, **kwargs):
                return function(*args, **kwargs).upper()
            return inner
        @loud
        def greet(name, mark="!"):
            return name + mark
        def only(a, b=2, /, c=3):
            return [a, b, c]
        def keyword(a, *, b):
            return [a, b]
    """)
    assert worker.value("greet", {"name": "ada"}, positional=["name", "mark"]) == "ADA!"
    assert worker.value("only", {"a": 1, "c": 5}, positional=["a", "b", "c"]) == [1, 2, 5]
    assert worker.value("keyword", {"a": 1, "b": 2}, positional=["a"]) == [1, 2]


def test_misfitting_arguments_are_the_callers_fault_and_a_type_error_inside_is_the_functions(worker):
    worker.file(X, """
        def one(a):
            return a + 1
    """)
    assert worker.error("one", {"b": 1}, positional=[])["data"]["type"] == "invalid_arguments"
    assert worker.error("one", {})["data"]["type"] == "invalid_arguments"
    error = worker.error("one", {"a": "x"})
    assert error["data"]["type"] == "function_error" and error["data"]["line"] == 3


def test_the_place_of_an_error_is_the_innermost_frame_of_the_project(worker):
    worker.file("functions/python/deep.py", "import json\n\ndef parse(text):\n    return json.loads(text)\n")
    worker.file(X, "import deep\n\ndef run(text):\n    return deep.parse(text)\n")
    data = worker.error("run", {"text": "{"})["data"]
    assert (data["file"], data["line"], data["error_class"]) == ("functions/python/deep.py", 4, "JSONDecodeError")
    assert "json/decoder.py" in data["traceback"]


def test_exit_recursion_and_odd_errors_do_not_end_the_worker(worker):
    worker.file(X, """
        import sys
        class Odd(Exception):
            def __str__(self):
                return "\\ud800 odd"
        def leave():
            sys.exit(3)
        def deep():
            return deep()
        def odd():
            raise Odd
        def empty():
            raise KeyError
        def fine():
            return 1
    """)
    assert worker.error("leave")["data"]["error_class"] == "SystemExit"
    assert worker.error("deep")["data"]["error_class"] == "RecursionError"
    assert worker.error("odd")["message"] == "? odd"
    assert worker.error("empty")["message"] == "KeyError"
    assert worker.value("fine") == 1


def test_a_corrected_file_is_loaded_at_the_next_call(worker):
    worker.file(X, "def f(:\n")
    error = worker.error("f")
    assert error["data"]["type"] == "load_failed" and error["data"]["line"] == 1
    assert error["message"].startswith("functions/python/x.py does not load: SyntaxError: ")
    worker.file(X, "def f():\n    return 1\n")
    assert worker.value("f") == 1


def test_a_broken_sibling_is_blamed_where_it_breaks(worker):
    worker.file("functions/python/part.py", "x = 1\ny = 1 / 0\n")
    worker.file(X, "import part\n")
    error = worker.error("f")
    assert (error["data"]["file"], error["data"]["line"]) == ("functions/python/part.py", 2)
    worker.file("functions/python/y.py", "import requests_of_nobody.api\n")
    error = worker.error("f", file="functions/python/y.py")
    assert "`requests_of_nobody` to requirements.txt" in error["data"]["hint"]


def test_threads_of_a_function_may_call_the_engine(worker):
    worker.file(X, """
        import concurrent.futures, sabir
        def fan_out(n):
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                return list(pool.map(lambda i: sabir.call("f", i=i), range(n)))
    """)
    worker.next_id = 1
    worker.send({"id": "c", "method": "call", "params": {
        "module": worker.project + "/" + X, "function": "fan_out", "arguments": {"n": 8}, "positional": ["n"]}})
    held = []
    for _ in range(8):
        message = worker.receive()
        assert message["method"] == "functions.call" and message["params"]["parent"] == "c"
        held.append(message)
        if len(held) == 4:
            for message in reversed(held):
                worker.send({"id": message["id"], "result": {"value": message["params"]["arguments"]["i"] * 10}})
            held = []
    assert worker.receive()["result"]["value"] == [i * 10 for i in range(8)]


def test_a_forked_child_leaves_the_connection_alone(worker):
    worker.file(X, """
        import multiprocessing
        def square(x):
            return x * x
        def pool():
            with multiprocessing.get_context("fork").Pool(2) as workers:
                return workers.map(square, [1, 2, 3])
    """)
    assert worker.value("pool") == [1, 4, 9]
    assert worker.value("square", {"x": 3}) == 9


def test_a_cancelled_wait_for_the_engine_ends(worker):
    worker.file(X, """
        import sabir
        def wait():
            return sabir.call("f")
    """)
    worker.send({"id": 50, "method": "call", "params": {"module": worker.project + "/" + X, "function": "wait"}})
    inner = worker.receive()
    worker.send({"method": "cancel", "params": {"id": 50, "reason": "deadline"}})
    answer = worker.receive()
    assert answer["id"] == 50 and answer["error"]["data"]["type"] == "cancelled"
    worker.send({"id": inner["id"], "result": {"value": "late"}})
    assert worker.request("ping", {})[0]["result"] == {}


def test_an_error_of_the_engine_that_is_not_caught_names_its_cause(worker):
    worker.file(X, """
        import sabir
        def key():
            return sabir.secret("weather")
    """)
    worker.send({"id": 50, "method": "call", "params": {"module": worker.project + "/" + X, "function": "key"}})
    inner = worker.receive()
    worker.send({"id": inner["id"], "error": {"code": -32000, "message": "not granted", "data": {
        "type": "not_granted", "hint": "add it to config/grants.yml"}}})
    error = worker.receive()["error"]
    assert error["message"] == "not granted" and error["data"]["type"] == "function_error"
    assert error["data"]["cause"]["type"] == "not_granted" and error["data"]["hint"] == "add it to config/grants.yml"
    assert error["data"]["line"] == 4


def test_many_calls_sent_at_once_are_answered_in_order(worker):
    worker.file(X, "def f(n):\n    return n\n")
    params = {"module": worker.project + "/" + X, "receiver": "", "function": "f", "positional": ["n"]}

    def send_all():
        for n in range(500):
            worker.send({"id": n + 1000, "method": "call", "params": dict(params, arguments={"n": n})})

    # Beside the reading: what both sides have sent need not fit into the socket's buffers.
    sender = threading.Thread(target=send_all)
    sender.start()
    assert [worker.receive()["result"]["value"] for _ in range(500)] == list(range(500))
    sender.join(20)


def test_output_is_log_and_the_environment_names_the_project(worker):
    worker.file(X, """
        import os, subprocess, sys
        def speak():
            print("from print")
            subprocess.run(["echo", "from a child"])
            return [os.environ.get("SABIR_FD"), os.environ["SABIR_PROJECT"]]
    """)
    assert worker.value("speak") == [None, worker.project]
    log = worker.close()
    assert "from print" in log and "from a child" in log
    assert worker.process.returncode == 0


def test_the_worker_says_how_it_is_started(tmp_path):
    import os
    import subprocess
    import sys
    from peer import LANGUAGE
    environment = {name: value for name, value in os.environ.items() if name != "SABIR_FD"}
    for fd in (None, "", "x", "1,2,3", "77"):
        result = subprocess.run([sys.executable, os.path.join(LANGUAGE, "worker.py")], stderr=subprocess.PIPE, timeout=20,
                                env=dict(environment, SABIR_FD=fd) if fd is not None else environment)
        assert result.returncode == 1 and b"SABIR_FD" in result.stderr
