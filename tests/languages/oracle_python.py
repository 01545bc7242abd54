"""What pydantic makes of the golden cases' real signatures. Reads a list of cases, writes what it says of each as JSON.

Run in a process of its own: it imports every case's file, with what only type checkers see made visible.
"""
import importlib
import inspect
import json
import re
import sys
import typing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
import pydantic.dataclasses
import typing_extensions

# Imports under `if TYPE_CHECKING:` become real in the cases' files, so that their names resolve.
typing.TYPE_CHECKING = True
# pydantic insists on this one before Python 3.12.
typing.TypedDict = typing_extensions.TypedDict


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def close_classes(prefix):
    """Sabir refuses unknown members of dataclasses and TypedDicts; pydantic does so when they say it."""
    for name, module in list(sys.modules.items()):
        if not str(getattr(module, "__file__", None) or "").startswith(prefix):
            continue
        for one in list(vars(module).values()):
            closable = hasattr(one, "__dataclass_fields__") or (isinstance(one, type) and issubclass(one, dict) and hasattr(one, "__total__"))
            if closable and "__pydantic_config__" not in vars(one) and not hasattr(one, "__pydantic_validator__"):
                one.__pydantic_config__ = ConfigDict(extra="forbid")


def model_of(function):
    hints = typing.get_type_hints(function, include_extras=True)
    fields, extra, config = {}, None, "forbid"
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, typing.Any)
        if "sabir" in str(hint):
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            config, extra = "allow", hint
        elif parameter.kind is parameter.VAR_POSITIONAL:
            fields[snake(parameter.name)] = (list[hint], [])
        elif parameter.default is parameter.empty:
            fields[snake(parameter.name)] = (hint, ...)
        else:
            # `x: str = None` says that None may be passed.
            fields[snake(parameter.name)] = (typing.Optional[hint] if parameter.default is None else hint, parameter.default)
    base = type("Base", (BaseModel,), {"model_config": ConfigDict(extra=config, protected_namespaces=()),
                                       **({"__annotations__": {"__pydantic_extra__": dict[str, extra]}} if extra else {})})
    return create_model(function.__name__, __base__=base, **fields)


def accepts(model, arguments, strict):
    try:
        model.model_validate_json(json.dumps(arguments), strict=strict)
        return True
    except ValidationError:
        return False


def said_of(case, index, root):
    package = "functions.python.case_%03d" % index
    folder = root / "functions" / "python" / ("case_%03d" % index)
    sys.path.append(str(folder))
    module = importlib.import_module(package + "." + Path(case["file"]).stem)
    close_classes(str(folder))
    models = {snake(name): model_of(one) for name, one in vars(module).items()
              if inspect.isfunction(one) and snake(name) in case["functions"] and snake(name) == snake(one.__name__)}
    schemas = {name: model.model_json_schema() for name, model in models.items()}
    calls = [accepts(models[call["function"]], call["arguments"], strict="refused" in call) if call["function"] in models else None
             for call in case.get("calls", [])]
    return {"schemas": schemas, "calls": calls}


def main():
    root = Path(sys.argv[1])
    sys.path.insert(0, str(root))
    out = {}
    for index, case in json.load(sys.stdin):
        try:
            out[index] = said_of(case, index, root)
        except Exception as error:
            out[index] = {"failed": "%s: %s" % (type(error).__name__, error)}
    json.dump(out, sys.stdout)


main()
