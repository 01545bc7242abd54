"""What the conformance runner calls. conformance/README.md describes each function."""

import dataclasses
import datetime
import enum
import sys
import time

import sabir


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: float
    y: float


class TesteeError(Exception):
    pass


_runs = 0


def echo(value):
    """Its argument."""
    return value


def subtract(a, b):
    """a - b."""
    return a - b


def describe(a, b=10, *rest, scale=1, **options):
    """What arrived, by kind of parameter."""
    return {"a": a, "b": b, "rest": list(rest), "scale": scale, "options": options}


def context_user(greeting: str, context: sabir.Context) -> str:
    """greeting and the caller's user, joined by a space."""
    return greeting + " " + context.user


def context_fields(context: sabir.Context) -> dict:
    """The whole context."""
    return context.to_dict()


def fail(message: str):
    """Raises an error with that text."""
    raise TesteeError(message)  # conformance: fail


def not_a_number():
    """NaN, which JSON cannot carry."""
    return {"list": [1, float("nan")]}


def unfit():
    """A value without any JSON form."""
    return object()


def count(n: int):
    """Yields 0 … n - 1."""
    for number in range(n):
        yield number


def text_of(size: int) -> str:
    """`size` bytes of text."""
    return "é" * (size // 2) + "x" * (size % 2)


def bytes_of(size: int) -> bytes:
    """`size` bytes, each its index modulo 256."""
    return bytes(bytearray(range(256)) * (size // 256 + 1))[:size]


def length(value) -> int:
    """The argument's length: characters of a string, bytes of a byte sequence."""
    return len(value)


def kind(value) -> str:
    """"bytes" for a byte sequence, "text" for a string, else "other"."""
    return "bytes" if isinstance(value, (bytes, bytearray)) else "text" if isinstance(value, str) else "other"


def print_line(text: str) -> str:
    """Writes to standard output and standard error, which are the log."""
    print(text)
    print(text, file=sys.stderr)
    return text


def sleep(milliseconds: int) -> int:
    """Waits, without talking to the engine."""
    time.sleep(milliseconds / 1000)
    return milliseconds


def call_engine(address: str, arguments: dict):
    """functions.call of the engine."""
    return sabir.call(address, **arguments)


def call_engine_caught(address: str) -> dict:
    """The engine's error as a value."""
    try:
        return {"value": sabir.call(address)}
    except sabir.Error as error:
        return {"type": error.type, "message": error.message}


def report(message: str) -> str:
    """One progress and one log notification before the answer."""
    sabir.progress(1, 2, message)
    sabir.log(message)
    return message


def count_run() -> int:
    """How often this function ran in this worker."""
    global _runs
    _runs += 1
    return _runs


def runs() -> int:
    """How often count_run ran in this worker."""
    return _runs


def point_kind(point: Point) -> str:
    """The type that the argument has for the function."""
    return type(point).__name__ if isinstance(point, Point) and isinstance(point.x, (int, float)) else "other"


def structured() -> dict:
    """Values of the language's own kinds as JSON: {"point": {"x": 1.5, "y": 2}, "colour": "red"}."""
    return {"point": Point(1.5, 2), "colour": Colour.RED}


def an_hour_later(moment: datetime.datetime) -> datetime.datetime:
    """The moment an hour later."""
    return moment + datetime.timedelta(hours=1)
