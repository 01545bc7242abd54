"""JSON values to what a parameter's annotation says.

A converter is a function from a JSON value to the annotated type, or None where the JSON value is right as it is.
None always passes: whether it may is the schema's affair.
"""

import sys
import typing

_PLAIN = {str, int, float, bool, list, dict, object, None, type(None), typing.Any}
_ITEMS = {list: list, set: set, frozenset: frozenset}


class Mismatch(ValueError):
    """A value that does not fit; `at` is its JSON Pointer below the argument."""

    def __init__(self, why, at=""):
        super().__init__(why)
        self.why = why
        self.at = at


def _simple(kind, make, accepts=str):
    def convert(value):
        if value is None or isinstance(value, kind):
            return value
        if not isinstance(value, accepts) or isinstance(value, bool):
            raise Mismatch("expected a %s, got %s" % (kind.__name__, type(value).__name__))
        try:
            return make(value)
        except (ValueError, ArithmeticError, KeyError, TypeError) as error:
            raise Mismatch("%r is not a %s: %s" % (value, kind.__name__, error))
    return convert


def _base64(text):
    import base64
    return base64.b64decode(text, validate=True)


def _iso(parse):
    # Before Python 3.11, fromisoformat knows no Z.
    return lambda text: parse(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)


def _enum(cls):
    def convert(value):
        if value is None or isinstance(value, cls):
            return value
        try:
            return cls(value)
        except ValueError:
            if isinstance(value, str) and value in cls.__members__:
                return cls[value]
            raise Mismatch("%r is not one of %s" % (value, ", ".join(repr(member.value) for member in cls)))
    return convert


def _fields(cls, hints, build):
    """A converter of objects with typed fields. Made lazily, since a class may contain itself."""
    cache = {}

    def convert(value):
        if value is None or not isinstance(value, dict):
            return value
        if "ready" not in cache:
            cache["ready"] = {name: converter for name, converter in (
                (name, converter_for(hint)) for name, hint in hints(cls).items()) if converter}
        converters = cache["ready"]
        fields = {}
        for name, item in value.items():
            converter = converters.get(name)
            fields[name] = _below(converter, item, name) if converter else item
        try:
            return build(fields)
        except (TypeError, ValueError) as error:
            raise Mismatch("no %s: %s" % (cls.__name__, error))
    return convert


def _below(converter, value, name):
    try:
        return converter(value)
    except Mismatch as mismatch:
        raise Mismatch(mismatch.why, "/%s%s" % (name, mismatch.at))


def _hints(cls):
    try:
        return typing.get_type_hints(cls)
    except Exception:
        # An annotation that names nothing known converts nothing.
        return {}


def _items(make, inner):
    def convert(value):
        if not isinstance(value, list):
            return value
        return make(_below(inner, item, index) if inner else item for index, item in enumerate(value))
    return convert


def _tuple(inners):
    def convert(value):
        if not isinstance(value, list):
            return value
        return tuple(
            _below(inners[index], item, index) if index < len(inners) and inners[index] else item
            for index, item in enumerate(value))
    return convert


def _mapping(key, inner):
    def convert(value):
        if not isinstance(value, dict):
            return value
        return {key(name) if key else name: _below(inner, item, name) if inner else item for name, item in value.items()}
    return convert


def _union(choices):
    def fits(choice, value):
        if choice in (str, int, float, bool, list, dict):
            return type(value) is choice or (choice is float and type(value) is int)
        origin = typing.get_origin(choice)
        if origin is typing.Literal:
            return value in typing.get_args(choice)
        return False
    converters = [(choice, converter_for(choice)) for choice in choices if choice is not type(None)]

    def convert(value):
        if value is None:
            return value
        failure = None
        for choice, converter in converters:
            if converter is None:
                if fits(choice, value):
                    return value
                continue
            try:
                converted = converter(value)
            except Mismatch as mismatch:
                failure = mismatch
                continue
            if converted is not value:
                return converted
        if failure is not None and all(converter for _, converter in converters):
            raise failure
        return value
    return convert if any(converter for _, converter in converters) else None


def _class_converter(cls):
    if hasattr(cls, "model_validate"):
        def validate(value):
            if value is None or isinstance(value, cls):
                return value
            try:
                return cls.model_validate(value)
            except ValueError as error:
                raise Mismatch("no %s: %s" % (cls.__name__, "; ".join(str(error).splitlines()[1:]) or error))
        return validate
    if hasattr(cls, "parse_obj"):
        return lambda value: value if value is None or isinstance(value, cls) else cls.parse_obj(value)
    if hasattr(cls, "__dataclass_fields__"):
        return _fields(cls, _hints, lambda fields: cls(**fields))
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _union_of_shapes(cls)
    if issubclass(cls, dict) and hasattr(cls, "__total__"):
        return _fields(cls, _hints, dict)
    if issubclass(cls, bytes):
        return _simple(bytes, _base64)
    if issubclass(cls, bytearray):
        def to_bytearray(value):
            return value if value is None else bytearray(_simple(bytes, _base64)(value))
        return to_bytearray
    modules = sys.modules
    if "enum" in modules and issubclass(cls, modules["enum"].Enum):
        return _enum(cls)
    if "datetime" in modules:
        datetime = modules["datetime"]
        if issubclass(cls, datetime.datetime):
            return _simple(datetime.datetime, _iso(datetime.datetime.fromisoformat))
        if issubclass(cls, datetime.date):
            return _simple(datetime.date, datetime.date.fromisoformat)
        if issubclass(cls, datetime.time):
            return _simple(datetime.time, _iso(datetime.time.fromisoformat))
        if issubclass(cls, datetime.timedelta):
            return _simple(datetime.timedelta, lambda seconds: datetime.timedelta(seconds=seconds), (int, float))
    if "decimal" in modules and issubclass(cls, modules["decimal"].Decimal):
        return _simple(cls, lambda number: cls(str(number)), (int, float, str))
    if "uuid" in modules and issubclass(cls, modules["uuid"].UUID):
        return _simple(cls, cls)
    if "pathlib" in modules and issubclass(cls, modules["pathlib"].PurePath):
        return _simple(cls, cls)
    if cls in (set, frozenset, tuple):
        return _items(cls, None)
    return None


def _union_of_shapes(cls):
    by_name = _fields(cls, _hints, lambda fields: cls(**fields))
    names = cls._fields

    def convert(value):
        if isinstance(value, list):
            value = dict(zip(names, value))
        return by_name(value)
    return convert


def converter_for(annotation):
    """The converter for one annotation; None when JSON's value is right as it is."""
    try:
        if annotation in _PLAIN:
            return None
    except TypeError:
        # An unhashable annotation.
        return None
    if hasattr(annotation, "__supertype__"):
        return converter_for(annotation.__supertype__)
    origin = typing.get_origin(annotation)
    if origin is None:
        return _class_converter(annotation) if isinstance(annotation, type) else None
    args = typing.get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return converter_for(annotation.__origin__)
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        return _union(args)
    if origin is typing.Literal or not isinstance(origin, type):
        # Required[X], NotRequired[X], Final[X] …
        return converter_for(args[0]) if origin is not typing.Literal and len(args) == 1 else None
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return _items(tuple, converter_for(args[0]))
        return _tuple([converter_for(arg) for arg in args])
    if origin in (set, frozenset):
        return _items(origin, converter_for(args[0]) if args else None)
    if len(args) == 2:
        key = {int: int, float: float}.get(args[0]) or converter_for(args[0])
        inner = converter_for(args[1])
        return _mapping(key, inner) if key or inner else None
    if len(args) == 1:
        inner = converter_for(args[0])
        if origin.__name__ in ("Set", "AbstractSet", "MutableSet"):
            return _items(set, inner)
        return _items(list, inner) if inner else None
    return None


def converters_of(function):
    """{parameter: converter} for a function's annotated parameters, or None when there is none."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:
        hints = {name: hint for name, hint in getattr(function, "__annotations__", {}).items() if not isinstance(hint, str)}
    found = {}
    for name, hint in hints.items():
        if name != "return":
            converter = converter_for(hint)
            if converter:
                found[name] = converter
    return found or None
