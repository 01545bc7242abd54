"""Sabir's SDK: functions, memory, prompts, models and secrets of a Sabir project, from Python.

Inside a function that the engine calls, everything goes over the worker's own connection, under the caller's context.
In any other process (pytest, a script, a web application) the SDK joins the project's running engine or starts a
private one; there is one connection per process, shared by its threads, remade after a fork, closed at exit.

Every function raises sabir.Error.
"""

from . import _channel, memory
from ._context import Context
from ._error import Error
from ._results import AskReply, Reply

__version__ = "0.1.0"
__all__ = ["AskReply", "Context", "Error", "Reply", "ask", "call", "complete", "functions", "log", "memory", "progress",
           "render", "secret", "stream"]


def call(address, /, **arguments):
    """Calls a function of the project in whatever language it is written, and returns its value.

    address: "module.function", "function", or with a language in front: "ruby/module.function".
    """
    return _channel.request("functions.call", {"address": address, "arguments": arguments}, ("arguments",))["value"]


def stream(address, /, **arguments):
    """Calls a function and yields what it yields, as it comes; a function that yields nothing gives its one value.

    Leaving the loop early cancels the call.
    """
    return _channel.stream("functions.call", {"address": address, "arguments": arguments, "stream": True}, ("arguments",))


def functions():
    """The project's functions: dicts with address, language, summary, input_schema, output_schema and effect."""
    return _channel.request("functions.list", {}, again=True)["functions"]


def render(name, /, **variables):
    """A completion template's text with `variables` filled in; the same bytes as `sabir prompt render`."""
    return _channel.request("completions.render", {"name": name, "variables": variables}, ("variables",), again=True)["text"]


def complete(prompt, /, model=None, *, tools=None, output_schema=None, **parameters):
    """A model's completion, as a str that also has model, provider, usage, tool_calls and finish_reason.

    prompt: a string, or a list of messages {"role": …, "content": …}. model: an alias of config/openai_config.yml.
    parameters: temperature, max_tokens and the like, as the provider names them.
    """
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    params = {"messages": messages}
    for name, value in (("model", model), ("tools", tools), ("output_schema", output_schema), ("parameters", parameters or None)):
        if value is not None:
            params[name] = value
    return Reply._from_wire(_channel.request("models.complete", params, ("messages",)))


def ask(assistant, message, /, conversation=None):
    """An assistant's answer, as a str that also has conversation, model and calls (the functions it called)."""
    params = {"name": assistant, "message": message}
    if conversation is not None:
        params["conversation"] = conversation
    return AskReply._from_wire(_channel.request("assistants.run", params, ("message",)))


def secret(name, /):
    """A secret's value, if the running function is granted it. Keep it out of results and logs."""
    return _channel.request("secrets.get", {"name": name}, again=True)["value"]


def progress(done, total=None, message=""):
    """Tells the caller how far the running call is. Does nothing outside a worker."""
    params = {"done": done, "message": message}
    if total is not None:
        params["total"] = total
    _channel.notify("progress", params)


def log(message, level="info"):
    """One record in the engine's log; on standard error outside a worker. level: debug, info, warning or error."""
    if not _channel.notify("log", {"level": level, "message": str(message)}):
        import sys
        print("%s: %s" % (level, message), file=sys.stderr)
