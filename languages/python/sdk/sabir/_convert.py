"""JSON values to what a parameter's annotation says.

A converter is a function from a JSON value to the annotated type, or None where the JSON value is right as it is.
None always passes: whether it may is the schema's affair.
"""

import sys
import typing

_PLAIN = {str, bool, list, dict, object, None, type(None), typing.Any}


class Mismatch(ValueError):
    """A value that does not fit; `at` is its JSON Pointer below the argument, `also` are further (why, at)."""

    def __init__(self, why, at="", also=()):
        super().__init__(why)
        self.why = why
        self.at = at
        self.also = also


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


def whole(value):
    """5.0 is an integer in JSON; a function that asks for an int gets one."""
    return int(value) if type(value) is float and value.is_integer() else value


def real(value):
    if type(value) is not int:
        return value
    try:
        return float(value)
    except OverflowError:
        raise Mismatch("the integer is too large for a float")


def _base64(text):
    import base64
    return base64.b64decode(text, validate=True)


def _iso(parse):
    # Before Python 3.11, fromisoformat knows no Z.
    return lambda text: parse(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)


def _duration(value):
    """A timedelta from seconds or from ISO 8601's P1DT2H3M4.5S."""
    import re
    from datetime import timedelta
    if not isinstance(value, str):
        return timedelta(seconds=value)
    found = re.fullmatch(
        r"([-+])?P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", value, re.ASCII)
    if not found:
        raise ValueError("write it as P1DT2H3M4.5S or as a number of seconds")
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[1:5])
    delta = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=float(found.group(6) or 0))
    return -delta if found.group(1) == "-" else delta


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


def _fields(cls, build, bound=None):
    """A converter of objects with typed fields. Made lazily, since a class may contain itself.

    bound: what the type variables of a generic class stand for.
    """
    cache = {}

    def convert(value):
        if value is None or not isinstance(value, dict):
            return value
        if "ready" not in cache:
            cache["ready"] = {name: converter for name, converter in (
                (name, converter_for(hint)) for name, hint in _hints(cls, bound).items()) if converter}
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
        name = str(name).replace("~", "~0").replace("/", "~1")
        raise Mismatch(mismatch.why, "/%s%s" % (name, mismatch.at), [(why, "/%s%s" % (name, at)) for why, at in mismatch.also])


def _hints(of, bound=None):
    """{name: annotation} of a class or function. An annotation that names nothing known is left out."""
    try:
        hints = _type_hints(of, None)
    except Exception:
        module = sys.modules.get(unwrapped(of).__module__)
        names = dict(vars(module), **_late_names(module)) if module else {}
        try:
            hints = _type_hints(of, names)
        except Exception:
            hints = {}
            for name, hint in getattr(of, "__annotations__", {}).items():
                try:
                    hints[name] = eval(hint, names) if isinstance(hint, str) else hint
                except Exception:
                    continue
    if bound:
        hints = {name: _substituted(hint, bound) for name, hint in hints.items()}
    return hints


def unwrapped(function):
    """What decorators by functools.wraps have around them."""
    for _ in range(100):
        function = getattr(function, "__wrapped__", function)
    return function


def _type_hints(of, names):
    # Before Python 3.9 there is no include_extras.
    return typing.get_type_hints(of, names, include_extras=True) if sys.version_info >= (3, 9) else typing.get_type_hints(of, names)


_late = {}


def _late_names(module):
    """What a module imports under `if TYPE_CHECKING:` alone: its annotations name types that it does not have when it runs."""
    if module.__name__ not in _late:
        _late[module.__name__] = names = {"__name__": module.__name__, "__package__": module.__package__}
        import ast
        try:
            with open(module.__file__, encoding="utf-8") as file:
                statements = ast.parse(file.read()).body
        except (OSError, SyntaxError, TypeError, ValueError, AttributeError):
            statements = []
        for statement in statements:
            if not isinstance(statement, ast.If) or not ast.dump(statement.test).count("'TYPE_CHECKING'"):
                continue
            for line in statement.body:
                if isinstance(line, (ast.Import, ast.ImportFrom)):
                    try:
                        exec(compile(ast.Module([line], []), module.__file__, "exec"), names)
                    except Exception:
                        continue
    return _late[module.__name__]


def _substituted(hint, bound):
    if isinstance(hint, typing.TypeVar):
        return bound.get(hint, typing.Any)
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(bound.get(one, typing.Any) for one in parameters)] if parameters and not isinstance(hint, type) else hint


def _items(make, inner):
    def convert(value):
        if not isinstance(value, list):
            return value
        try:
            return make(_below(inner, item, index) if inner else item for index, item in enumerate(value))
        except TypeError as error:
            raise Mismatch("no %s: %s" % (make.__name__, error))
    return convert


def _numbers(convert_one):
    """Lists of numbers are long, and mostly right as they are."""
    wrong = int if convert_one is real else float

    def convert(value):
        if not isinstance(value, list) or wrong not in set(map(type, value)):
            return value
        return [_below(convert_one, item, index) for index, item in enumerate(value)]
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
        return {_below(key, name, name) if key else name: _below(inner, item, name) if inner else item for name, item in value.items()}
    return convert


def _key(kind):
    def convert(name):
        try:
            return kind(name)
        except ValueError:
            raise Mismatch("%r as a key is no %s" % (name, kind.__name__))
    return convert


def _union(annotation, choices):
    if any(hasattr(choice, "model_validate") for choice in choices):
        # pydantic tells its models apart better than trying one after the other.
        return _by_pydantic(annotation)

    def fits(choice, value):
        if choice in (str, int, float, bool, list, dict):
            return type(value) is choice
        if choice is typing.Any or choice is object:
            return True
        origin = typing.get_origin(choice)
        if origin is typing.Literal:
            return any(value == one and type(value) is type(one) for one in typing.get_args(choice))
        return origin in (list, dict) and type(value) is origin
    converters = [(choice, converter_for(choice)) for choice in choices if choice is not type(None)]
    exact = frozenset(choice for choice in choices if choice in (int, float, bool))

    def convert(value):
        if value is None or type(value) in exact:
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
            if converted is not value or fits(choice, value):
                return converted
        if failure is not None and all(converter for _, converter in converters):
            raise failure
        return value
    return convert if any(converter for _, converter in converters) else None


def _by_pydantic(annotation):
    """A converter by pydantic's own reading of JSON. Made lazily: a model may not be complete yet."""
    made = []

    def convert(value):
        if not made:
            import json
            from pydantic import TypeAdapter, ValidationError
            made.extend((TypeAdapter(annotation), ValidationError, json.dumps))
        adapter, failure, dumps = made
        try:
            try:
                text = dumps(value)
            except TypeError:
                # Large bytes come as such.
                return adapter.validate_python(value)
            return adapter.validate_json(text)
        except failure as error:
            raise _mismatch(error, value)
    return convert


def _mismatch(error, value):
    """pydantic's error as one Mismatch at the first place, with the others named."""
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:4]:
        at, here = "", value
        for part in one["loc"]:
            # Names of union members and validators stand in between.
            if isinstance(here, dict) and part in here or isinstance(here, list) and isinstance(part, int) and part < len(here):
                here = here[part]
            elif one["type"] != "missing" or part != one["loc"][-1]:
                continue
            at += "/%s" % str(part).replace("~", "~0").replace("/", "~1")
        found.append((one["msg"], at))
    if len({at for _, at in found}) == 1:
        found = [("; ".join(dict.fromkeys(why for why, _ in found)), found[0][1])]
    return Mismatch(found[0][0], found[0][1], found[1:])


def _literal(args):
    members = {one.value: one for one in args if hasattr(one, "value") and hasattr(type(one), "__members__")}

    def convert(value):
        return members.get(value, value) if isinstance(value, (str, int)) else value
    return convert if members else None


def _class_converter(cls):
    if hasattr(cls, "model_validate") or hasattr(cls, "__get_pydantic_core_schema__") or hasattr(cls, "__pydantic_validator__"):
        return _by_pydantic(cls)
    if hasattr(cls, "parse_obj"):
        return lambda value: value if value is None or isinstance(value, cls) else cls.parse_obj(value)
    if hasattr(cls, "__dataclass_fields__"):
        return _fields(cls, lambda fields: cls(**fields))
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _union_of_shapes(cls)
    if issubclass(cls, dict) and hasattr(cls, "__total__"):
        return _fields(cls, dict)
    if cls is int:
        return whole
    if cls is float:
        return real
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
            return _simple(datetime.timedelta, _duration, (int, float, str))
    if "decimal" in modules and issubclass(cls, modules["decimal"].Decimal):
        return _simple(cls, lambda number: cls(str(number)), (int, float, str))
    for module, name in (("uuid", "UUID"), ("pathlib", "PurePath"), ("ipaddress", "IPv4Address"), ("ipaddress", "IPv6Address")):
        if module in modules and issubclass(cls, getattr(modules[module], name)):
            return _simple(cls, cls)
    if cls in (set, frozenset, tuple):
        return _items(cls, None)
    return _container(cls, None)


def _container(cls, inner):
    """deque, OrderedDict, Counter and defaultdict: what JSON gives them is a list or an object."""
    collections = sys.modules.get("collections")
    if collections is None:
        return None
    if cls is collections.deque:
        return _items(collections.deque, inner)
    if cls in (collections.OrderedDict, collections.Counter, collections.ChainMap):
        convert = _mapping(None, inner)
        return lambda value: cls(convert(value)) if isinstance(value, dict) else value
    return None


def _union_of_shapes(cls):
    by_name = _fields(cls, lambda fields: cls(**fields))
    names = cls._fields

    def convert(value):
        if isinstance(value, list):
            if len(value) > len(names):
                raise Mismatch("no %s: it has %d members, not %d" % (cls.__name__, len(names), len(value)))
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
    if hasattr(annotation, "__value__"):
        # type X = …
        return converter_for(annotation.__value__)
    if type(annotation).__name__ == "InitVar":
        return converter_for(annotation.type)
    origin = typing.get_origin(annotation)
    if origin is None:
        return _class_converter(annotation) if isinstance(annotation, type) else None
    args = typing.get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        # Validators and constraints of pydantic are its own to apply.
        if any(type(one).__module__.partition(".")[0] == "pydantic" for one in annotation.__metadata__):
            return _by_pydantic(annotation)
        return converter_for(annotation.__origin__)
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        return _union(annotation, args)
    if origin is typing.Literal:
        return _literal(args)
    if not isinstance(origin, type):
        # Required[X], NotRequired[X], Final[X] …
        return converter_for(args[0]) if len(args) == 1 else None
    if hasattr(origin, "__dataclass_fields__"):
        return _fields(origin, lambda fields: origin(**fields), dict(zip(getattr(origin, "__parameters__", ()), args)))
    if issubclass(origin, dict) and hasattr(origin, "__total__"):
        return _fields(origin, dict, dict(zip(getattr(origin, "__parameters__", ()), args)))
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return _items(tuple, converter_for(args[0]))
        return _tuple([converter_for(arg) for arg in args if arg != ()])
    if origin in (set, frozenset):
        return _items(origin, converter_for(args[0]) if args else None)
    if len(args) == 2:
        key = _key(args[0]) if args[0] in (int, float) else converter_for(args[0])
        inner = converter_for(args[1])
        convert = _mapping(key, inner) if key or inner else None
        if origin.__name__ in ("OrderedDict", "defaultdict", "ChainMap"):
            import collections
            make = {"OrderedDict": collections.OrderedDict, "ChainMap": collections.ChainMap,
                    "defaultdict": lambda items: collections.defaultdict(None, items)}[origin.__name__]
            return lambda value: make(convert(value) if convert else value) if isinstance(value, dict) else value
        return convert
    if len(args) == 1:
        inner = converter_for(args[0])
        if origin.__name__ in ("Set", "AbstractSet", "MutableSet"):
            return _items(set, inner)
        special = _container(origin, inner)
        if special:
            return special
        if inner in (whole, real):
            return _numbers(inner)
        return _items(list, inner) if inner else None
    return None


def converters_of(function):
    """{parameter: converter} for a function's annotated parameters, or None when there is none."""
    found = {}
    code = getattr(unwrapped(function), "__code__", None)
    count = code.co_argcount + code.co_kwonlyargcount if code else 0
    variadic = code.co_varnames[count] if code and code.co_flags & 4 else None
    spread = code.co_varnames[count + (variadic is not None)] if code and code.co_flags & 8 else None
    for name, hint in _hints(function).items():
        if name == "return":
            continue
        converter = converter_for(hint)
        if converter:
            found[name] = _items(list, converter) if name == variadic else _mapping(None, converter) if name == spread else converter
    return found or None
