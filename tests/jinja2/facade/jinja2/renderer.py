"""The engine's renderer as a process that answers a line of JSON with a line of JSON (tests/jinja2/template_program.cc)."""
import atexit
import collections.abc
import json
import os
import subprocess

from markupsafe import Markup

from .exceptions import (OperationError, TemplateAssertionError, TemplateNotFound, TemplateRuntimeError, TemplatesNotFound,
                         TemplateSyntaxError, UndefinedError)

_program = None

# What Jinja2's compiler refuses, and not its parser.
ASSERTIONS = ("No filter named", "No test named", "When defining macros or call blocks")


def answered(request):
    global _program
    if _program is None or _program.poll() is not None:
        _program = subprocess.Popen([os.environ["TEMPLATE_PROGRAM"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(_program.kill)
    _program.stdin.write(json.dumps(request).encode() + b"\n")
    _program.stdin.flush()
    line = _program.stdout.readline()
    assert line, "the renderer ended at %s" % json.dumps(request)
    answer = json.loads(line)
    if "text" in answer:
        return answer["text"]
    raise _error(answer)


def _error(answer):
    kind, message = answer["kind"], answer["message"]
    if kind == "undefined":
        return UndefinedError(message)
    if kind == "syntax":
        wanted = TemplateAssertionError if message.startswith(ASSERTIONS) else TemplateSyntaxError
        return wanted(message, answer["line"], answer["template"])
    if kind == "not_found":
        if message.endswith("]"):
            names = json.loads(message[message.index("["):])
            return TemplatesNotFound(names, message)
        return TemplateNotFound(message.split('"')[1] if '"' in message else message, message)
    if kind == "fuel":
        return OverflowError(message) if "range" in message.lower() else TemplateRuntimeError(message)
    if kind == "other":
        return OperationError(message)
    return AssertionError("%s: %s" % (kind, message))


def plain(value):
    """A variable as JSON carries it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(member) for name, member in value._asdict().items()}
    if isinstance(value, collections.abc.Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, collections.abc.Iterable):
        return [plain(member) for member in value]
    if callable(value):
        raise TypeError("a variable that is Python code: %r" % (value,))
    return str(value)


def safe_names(variables):
    return [name for name, value in variables.items() if isinstance(value, Markup)]
