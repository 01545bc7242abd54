"""Tells what the types of functions are by importing them (spec/introspect.md); `sabir setup` alone runs this.

pydantic describes its own models and whatever carries its schema; the rest follows spec/function-schema.md.
"""

import json
import os
import sys
import typing

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = os.path.join(_here, "sdk")

from sabir import _convert
from sabir._load import LoadFailed, load

_SIMPLE = {
    "builtins.int": {"type": "integer"}, "builtins.float": {"type": "number"}, "builtins.str": {"type": "string"},
    "builtins.bool": {"type": "boolean"}, "builtins.NoneType": {"type": "null"}, "builtins.object": {},
    "builtins.bytes": {"type": "string", "contentEncoding": "base64"}, "builtins.bytearray": {"type": "string", "contentEncoding": "base64"},
    "builtins.list": {"type": "array"}, "builtins.tuple": {"type": "array"}, "builtins.dict": {"type": "object"},
    "builtins.set": {"type": "array", "uniqueItems": True}, "builtins.frozenset": {"type": "array", "uniqueItems": True},
    "datetime.datetime": {"type": "string", "format": "date-time"}, "datetime.date": {"type": "string", "format": "date"},
    "datetime.time": {"type": "string", "format": "time"},
    "datetime.timedelta": {"anyOf": [{"type": "string", "format": "duration"}, {"type": "number"}]},
    "uuid.UUID": {"type": "string", "format": "uuid"}, "decimal.Decimal": {"type": ["string", "number"]},
    "pathlib.PurePath": {"type": "string"}, "ipaddress.IPv4Address": {"type": "string", "format": "ipv4"},
    "ipaddress.IPv6Address": {"type": "string", "format": "ipv6"},
}


class Unknown(Exception):
    """A type that has no schema."""


def is_pydantic(kind):
    return any(hasattr(kind, name) for name in ("__get_pydantic_core_schema__", "__pydantic_core_schema__"))


class Schemas:
    """Schemas of one value, with the definitions of classes that contain themselves."""

    def __init__(self, output):
        self.output = output
        self.definitions = {}
        self.open = set()
        self.files = set()

    def whole(self, hint):
        schema = dict(self.of(hint))
        if self.definitions:
            schema["$defs"] = self.definitions
        return schema

    def of(self, hint, bound=None):
        if isinstance(hint, typing.TypeVar):
            return (bound or {}).get(hint, {})
        if hint is None:
            return {"type": "null"}
        if hint is typing.Any:
            return {}
        if hasattr(hint, "__supertype__"):
            return self.of(hint.__supertype__, bound)
        if hasattr(hint, "__value__"):
            return self.of(hint.__value__, bound)
        args = typing.get_args(hint)
        if hasattr(hint, "__metadata__"):
            if any(type(one).__module__.partition(".")[0] in ("pydantic", "annotated_types") for one in hint.__metadata__):
                return self.by_pydantic(hint)
            schema = dict(self.of(hint.__origin__, bound))
            texts = [one for one in hint.__metadata__ if isinstance(one, str)]
            return dict(schema, description=texts[0]) if texts else schema
        origin = typing.get_origin(hint)
        if origin is None:
            if not isinstance(hint, type):
                raise Unknown("%r is no type" % (hint,))
            return self.of_class(hint, {})
        if origin is typing.Union or type(hint).__name__ == "UnionType":
            return {"anyOf": [self.of(one, bound) for one in args]}
        if origin is typing.Literal:
            return {"enum": [getattr(one, "value", one) for one in args]}
        if not isinstance(origin, type):
            return self.of(args[0], bound)
        name = origin.__name__
        if origin is tuple:
            if len(args) == 2 and args[1] is Ellipsis:
                return {"type": "array", "items": self.of(args[0], bound)}
            items = [self.of(one, bound) for one in args if one != ()]
            return dict({"prefixItems": items} if items else {}, type="array", minItems=len(items), maxItems=len(items))
        if name in ("set", "frozenset", "Set", "MutableSet"):
            return {"type": "array", "items": self.of(args[0], bound), "uniqueItems": True}
        if name in ("list", "deque", "Sequence", "MutableSequence", "Iterable", "Collection"):
            return {"type": "array", "items": self.of(args[0], bound)}
        if name == "Counter":
            return {"type": "object", "additionalProperties": {"type": "integer"}}
        if name in ("dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict", "ChainMap"):
            return {"type": "object", "additionalProperties": self.of(args[1], bound)}
        if name in ("Iterator", "Generator", "AsyncIterator", "AsyncGenerator", "AsyncIterable", "Awaitable"):
            return self.of(args[0], bound)
        if name == "Coroutine":
            return self.of(args[2], bound)
        parameters = getattr(origin, "__parameters__", ())
        return self.of_class(origin, {one: self.of(arg, bound) for one, arg in zip(parameters, args)}, hint)

    def of_class(self, cls, bound, hint=None):
        if cls is object:
            return {}
        if not self.structured(cls) and not is_pydantic(cls):
            for one in cls.__mro__[:-1]:
                simple = _SIMPLE.get("%s.%s" % (one.__module__, one.__qualname__))
                if simple is not None:
                    return simple
        self.note_file(cls)
        if is_pydantic(cls) and not (hasattr(cls, "__dataclass_fields__") and not hasattr(cls, "__pydantic_validator__")):
            return self.by_pydantic(hint or cls)
        enum = sys.modules.get("enum")
        if enum and issubclass(cls, enum.Flag):
            return {"type": "integer", "minimum": 0}
        if enum and issubclass(cls, enum.Enum):
            return {"enum": [member.value for member in cls]}
        if not self.structured(cls):
            raise Unknown("%s.%s is none of Enum, TypedDict, NamedTuple, dataclass, pydantic model" % (cls.__module__, cls.__qualname__))
        name = "%s.%s" % (cls.__module__, cls.__qualname__) + ("" if not bound else "." + "_".join(
            str(one.get("type", "any")) for one in bound.values()))
        if name in self.definitions or name in self.open:
            return {"$ref": "#/$defs/" + name}
        self.open.add(name)
        schema = self.of_members(cls, bound)
        self.open.discard(name)
        if '"#/$defs/%s"' % name not in json.dumps([schema, self.definitions]):
            return schema
        self.definitions[name] = schema
        return {"$ref": "#/$defs/" + name}

    @staticmethod
    def structured(cls):
        return hasattr(cls, "__dataclass_fields__") or (issubclass(cls, tuple) and hasattr(cls, "_fields")) or (
            issubclass(cls, dict) and hasattr(cls, "__total__")) or any(one.__name__ == "Enum" for one in cls.__mro__)

    def of_members(self, cls, bound):
        hints = _convert._hints(cls)
        if issubclass(cls, tuple):
            items = [dict(self.of(hints.get(name, typing.Any), bound), title=name) for name in cls._fields]
            needed = len(items) if self.output else len(items) - len(cls._field_defaults)
            return {"type": "array", "prefixItems": items, "minItems": needed, "maxItems": len(items)}
        properties, required = {}, []
        if issubclass(cls, dict):
            for name, hint in hints.items():
                properties[name] = self.of(hint, bound)
            required = [name for name in properties if name in getattr(cls, "__required_keys__", properties)]
        else:
            import dataclasses
            for name, field in cls.__dataclass_fields__.items():
                kind = field._field_type.name
                if kind == "_FIELD_CLASSVAR" or (kind == "_FIELD_INITVAR" and self.output) or not (field.init or self.output):
                    continue
                hint = hints.get(name, typing.Any)
                properties[name] = dict(self.of(getattr(hint, "type", hint) if type(hint).__name__ == "InitVar" else hint, bound))
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                    required.append(name)
                elif isinstance(field.default, (str, int, float, bool)) and type(field.default).__module__ == "builtins":
                    properties[name]["default"] = field.default
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return dict(schema, required=required) if required else schema

    def by_pydantic(self, hint):
        from pydantic import TypeAdapter
        try:
            schema = TypeAdapter(hint).json_schema(mode="serialization" if self.output else "validation", ref_template="#/$defs/{model}")
        except Exception as error:
            raise Unknown("pydantic has no schema of %r: %s" % (hint, str(error).splitlines()[0]))
        # Definitions get the module's name, so that they meet none of the sources'.
        prefix = "pydantic." + getattr(hint, "__module__", "") + "."
        for name, definition in schema.pop("$defs", {}).items():
            self.definitions[prefix + name] = self.referred(definition, prefix)
        return self.referred(schema, prefix)

    def referred(self, value, prefix):
        if isinstance(value, dict):
            out = {}
            for key, item in value.items():
                if key == "$ref" and isinstance(item, str):
                    item = item.replace("#/$defs/", "#/$defs/" + prefix)
                # OpenAPI's discriminator says nothing in JSON Schema, and neither do generated titles.
                if key == "discriminator" and isinstance(item, dict) or key == "title" and isinstance(item, str):
                    continue
                out[key] = self.referred(item, prefix)
            return out
        return [self.referred(item, prefix) for item in value] if isinstance(value, list) else value

    def note_file(self, cls):
        for one in cls.__mro__[:-1]:
            module = sys.modules.get(one.__module__)
            file = getattr(module, "__file__", None)
            if file:
                self.files.add(os.path.abspath(file))


def function_of(module, asked):
    at = module
    for part in list(filter(None, asked.get("receiver", "").split("."))) + [asked["name"]]:
        at = getattr(at, part)
    return at


def told_of(function, asked, files):
    hints = _convert._hints(function)
    import inspect
    try:
        defaults = {name: one.default for name, one in inspect.signature(function).parameters.items()}
    except (TypeError, ValueError):
        defaults = {}
    told = {"name": asked["name"], "receiver": asked.get("receiver", ""), "parameters": {}}
    for name in asked["parameters"] + (["return"] if asked.get("result") else []):
        schemas = Schemas(output=name == "return")
        try:
            if name not in hints:
                raise Unknown("its annotation names nothing that is there")
            schema = schemas.whole(hints[name])
            if name in defaults and defaults[name] is None:
                # `x: Order = None` says that None may be passed.
                definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
                schema = dict({"anyOf": [schema, {"type": "null"}]}, **definitions)
            answer = {"schema": schema}
        except Unknown as unknown:
            answer = {"problem": str(unknown)}
        except Exception as error:
            answer = {"problem": "%s: %s" % (type(error).__name__, error)}
        files |= schemas.files
        if name == "return":
            told["result"] = answer
        else:
            told["parameters"][name] = answer
    return told


def told_of_file(asked, root):
    path = os.path.join(root, asked["path"])
    try:
        module = load(os.path.abspath(path), root)
    except LoadFailed as failed:
        return {"path": asked["path"], "error": {"message": failed.message, "line": failed.line}}
    files = set()
    functions = []
    for one in asked["functions"]:
        try:
            functions.append(told_of(function_of(module, one), one, files))
        except AttributeError:
            continue
    return {"path": asked["path"], "functions": functions, "depends": sorted(files - {os.path.abspath(path)})}


def main():
    # What the files print must not mix with the answer.
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    root = os.path.abspath(asked["project"])
    sys.path.insert(0, root)
    answer = json.dumps({"version": 1, "files": [told_of_file(one, root) for one in asked["files"]]})
    with os.fdopen(answer_fd, "w", encoding="utf-8") as out:
        out.write(answer)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
