"""Python values to what JSON carries."""

import math
import sys

BLOB = 65536
_MAX_DEPTH = 200
_MOST_BITS = 1000
_SIMPLE = (bool, int, type(None))


class Unfit(Exception):
    """A value that JSON cannot carry; `at` is a JSON Pointer to it."""

    def __init__(self, at, why):
        super().__init__("%s: %s" % (at, why) if at else why)
        self.at = at


def _module(name):
    # A value of a class from a module that is not loaded cannot exist.
    return sys.modules.get(name)


def default(value):
    """One step from a value that the JSON encoder does not know to one that is nearer to JSON. Errors: TypeError."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (set, frozenset)):
        try:
            return sorted(value)
        except TypeError:
            return list(value)
    cls = type(value)
    if hasattr(cls, "__dataclass_fields__"):
        return {name: getattr(value, name) for name, field in cls.__dataclass_fields__.items()
                if field._field_type.name == "_FIELD"}
    if hasattr(cls, "model_dump"):
        # By alias, as its schema has it: what comes out of one function may go into another.
        return value.model_dump(mode="json", by_alias=True)
    enum = _module("enum")
    if enum and isinstance(value, enum.Enum):
        return value.value
    datetime = _module("datetime")
    if datetime:
        if isinstance(value, (datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return _duration(value)
    decimal = _module("decimal")
    if decimal and isinstance(value, decimal.Decimal):
        # As text, since a JSON number's reader may round it.
        return str(value)
    for name, kind in (("uuid", "UUID"), ("pathlib", "PurePath"), ("ipaddress", "_IPAddressBase")):
        module = _module(name)
        if module and isinstance(value, getattr(module, kind)):
            return str(value)
    if hasattr(cls, "__get_pydantic_core_schema__"):
        # Types of pydantic's own, such as HttpUrl and SecretStr.
        from pydantic import TypeAdapter
        return TypeAdapter(cls).dump_python(value, mode="json")
    abc = _module("collections.abc")
    if abc and isinstance(value, abc.Mapping):
        return dict(value)
    if hasattr(cls, "keys") and hasattr(cls, "__getitem__"):
        return {key: value[key] for key in value.keys()}
    if hasattr(cls, "tolist"):
        return value.tolist()
    if hasattr(cls, "__next__") or (abc and isinstance(value, abc.Sequence)):
        return list(value)
    if hasattr(cls, "dict") and hasattr(cls, "__fields__"):
        return value.dict()
    raise TypeError("a value of type %s has no JSON form" % cls.__name__)


def _duration(delta):
    """ISO 8601: P1DT2H3M4.5S."""
    sign = "-" if delta.days < 0 else ""
    delta = abs(delta)
    minutes, seconds = divmod(delta.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = (".%06d" % delta.microseconds).rstrip("0") if delta.microseconds else ""
    clock = "".join("%d%s" % (number, unit) for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if seconds or fraction:
        clock += "%d%sS" % (seconds, fraction)
    if not clock and not delta.days:
        clock = "0S"
    return sign + "P" + ("%dD" % delta.days if delta.days else "") + ("T" + clock if clock else "")


def _key(key, at):
    if isinstance(key, str):
        return str(key)
    if key is True or key is False or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, int):
        return str(int(key))
    if isinstance(key, float):
        return repr(key)
    try:
        simpler = default(key)
    except (TypeError, ValueError):
        simpler = None
    if isinstance(simpler, (str, int)):
        return str(simpler)
    raise Unfit(at, "a key of type %s cannot be a JSON member's name" % type(key).__name__)


def plain(value, at, blobs, listed, depth=0):
    """A copy of `value` in JSON's own types, its large strings and byte sequences moved to `blobs`.

    `at` is the value's JSON Pointer; `listed` receives the entries {"at", "type"}. Errors: Unfit.
    """
    if depth > _MAX_DEPTH:
        raise Unfit(at[:100], "nested deeper than %d levels, or it contains itself" % _MAX_DEPTH)
    kind = type(value)
    if kind in _SIMPLE:
        if kind is int and value.bit_length() > _MOST_BITS:
            raise Unfit(at, "the integer has over 300 digits, which JSON's readers do not take")
        return value
    if isinstance(value, str):
        try:
            if len(value) * 4 >= BLOB:
                encoded = value.encode()
                if len(encoded) >= BLOB:
                    blobs.append(encoded)
                    listed.append({"at": at, "type": "string"})
                    return None
            else:
                value.encode()
        except UnicodeEncodeError:
            raise Unfit(at, "the string has a lone surrogate, which UTF-8 cannot carry")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unfit(at, "%s is not a JSON number" % value)
        return value
    if isinstance(value, dict):
        return {name: plain(item, "%s/%s" % (at, name.replace("~", "~0").replace("/", "~1")), blobs, listed, depth + 1)
                for name, item in ((_key(key, at), item) for key, item in value.items())}
    if isinstance(value, (list, tuple)):
        return [plain(item, "%s/%d" % (at, index), blobs, listed, depth + 1) for index, item in enumerate(value)]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (bytes, bytearray, memoryview)) and memoryview(value).nbytes >= BLOB:
        blobs.append(bytes(value))
        listed.append({"at": at, "type": "bytes"})
        return None
    try:
        simpler = default(value)
    except (TypeError, ValueError) as error:
        raise Unfit(at, str(error))
    return plain(simpler, at, blobs, listed, depth + 1)
