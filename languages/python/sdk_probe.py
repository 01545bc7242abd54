"""Does through the SDK what tests/languages/sdk_behaviour.json asks."""

from typing import Any

import sabir


def probe_call(address: str, arguments: dict[str, Any]) -> Any:
    """The SDK's call."""
    return sabir.call(address, **arguments)


def probe_call_error(address: str, arguments: dict[str, Any]) -> dict[str, str]:
    """The error that comes."""
    try:
        sabir.call(address, **arguments)
    except sabir.Error as error:
        return {"type": error.type, "message": error.message, "hint": error.hint}
    raise AssertionError("there was no error")


def probe_functions() -> list[str]:
    """The addresses of all functions."""
    return sorted(one["address"] for one in sabir.functions())


def probe_put(key: str, value: Any, namespace: str = "") -> int:
    """Memory put."""
    return sabir.memory.put(key, value, namespace=namespace or "default")


def probe_put_if(key: str, value: Any, version: int) -> dict[str, Any]:
    """Conditional put."""
    try:
        return {"version": sabir.memory.put(key, value, if_version=version)}
    except sabir.Error as error:
        return {"type": error.type}


def probe_get(key: str, namespace: str = "") -> Any:
    """Memory get."""
    return sabir.memory.get(key, namespace=namespace or "default")


def probe_list(prefix: str) -> list[dict[str, Any]]:
    """Memory list."""
    return [{"key": item.key, "value": item.value} for item in sabir.memory.list(prefix)]


def probe_delete(key: str) -> bool:
    """Memory delete."""
    return sabir.memory.delete(key)


def probe_append(conversation: str, role: str, content: str) -> int:
    """Adds a message."""
    return sabir.memory.append(conversation, {"role": role, "content": content})


def probe_messages(conversation: str, limit: int = 0) -> list[dict[str, Any]]:
    """The last messages."""
    return sabir.memory.messages(conversation, limit=limit) if limit else sabir.memory.messages(conversation)


def probe_render(name: str, variables: dict[str, Any]) -> str:
    """A completion's text."""
    return sabir.render(name, **variables)


def probe_complete(prompt: str) -> str:
    """A model's reply."""
    return sabir.complete(prompt)


def probe_ask(assistant: str, message: str) -> dict[str, Any]:
    """Asks an assistant."""
    answer = sabir.ask(assistant, message)
    return {"content": answer, "conversation_is_set": bool(answer.conversation)}


def probe_secret(name: str) -> str:
    """A secret's value.

    Secrets: probe_secret
    """
    return sabir.secret(name)


def probe_secret_error(name: str) -> str:
    """The type of the error."""
    try:
        sabir.secret(name)
    except sabir.Error as error:
        return error.type
    return ""


def probe_progress(steps: int) -> int:
    """Reports each step."""
    for step in range(1, steps + 1):
        sabir.progress(step, steps)
    return steps


def probe_log(message: str) -> str:
    """One log record."""
    sabir.log(message)
    return message


def probe_context(context: sabir.Context) -> dict[str, str]:
    """The caller's context."""
    return context.to_dict()
