"""Tools: plain functions. What a client sees of them follows from their signatures, their doc comments and their values."""
import os
import time
from pathlib import Path

import sabir


def _ask(**questions):
    """The client's answers, by name; the call begins anew where they are not there yet."""
    return sabir.call("client/ask", **questions)


def _form(message, properties, required=None):
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def _sample(text, max_tokens=100):
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": max_tokens}}


def _text_of(sampled):
    content = sampled["content"]
    return content["text"] if isinstance(content, dict) else content[0]["text"]


def test_simple_text() -> str:
    """Gives a text.

    Effect: read
    """
    return "This is a simple text response for testing."


def test_image_content() -> bytes:
    """Gives a picture.

    Effect: read
    """
    return sabir.call("media.red_pixel")


def test_audio_content() -> bytes:
    """Gives a sound.

    Effect: read
    """
    return sabir.call("media.silence")


def test_embedded_resource():
    """Gives a resource.

    Effect: read
    """
    resource = {"uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content."}
    return {"content": [{"type": "resource", "resource": resource}]}


def test_multiple_content_types():
    """Gives a text, a picture and a resource.

    Effect: read
    """
    resource = {"uri": "test://mixed-content-resource", "mimeType": "application/json", "text": '{"test":"data","value":123}'}
    return {"content": [
        {"type": "text", "text": "Multiple content types test:"},
        {"type": "image", "data": sabir.call("media.red_pixel"), "mimeType": "image/png"},
        {"type": "resource", "resource": resource},
    ]}


def test_tool_with_logging() -> str:
    """Writes three records to the log while it runs.

    Effect: read
    """
    sabir.log("Tool execution started")
    time.sleep(0.05)
    sabir.log("Tool processing data")
    time.sleep(0.05)
    sabir.log("Tool execution completed")
    return "Three records were logged."


def test_logging_tool() -> str:
    """Writes one record to the log.

    Effect: read
    """
    sabir.log("This is for those who asked for it")
    return "One record was logged."


def test_error_handling() -> str:
    """Fails, always.

    Effect: read
    """
    raise RuntimeError("This tool intentionally returns an error for testing")


def test_tool_with_progress() -> str:
    """Tells how far it is.

    Effect: read
    """
    for done in (0, 50, 100):
        sabir.progress(done, 100, "%d of 100" % done)
        time.sleep(0.05)
    return "It is done."


def test_reconnection() -> str:
    """Takes a while.

    Effect: read
    """
    time.sleep(0.2)
    return "It took a while."


def test_sampling(prompt: str) -> str:
    """Has the client's model answer.

    Effect: read

    Args:
        prompt: What the model is asked.
    """
    return "LLM response: " + _text_of(_ask(answer=_sample(prompt))["answer"])


def test_missing_capability() -> str:
    """Needs a client with a model.

    Effect: read
    """
    return _text_of(_ask(answer=_sample("Say something."))["answer"])


def test_elicitation(message: str) -> str:
    """Asks the person for a name and an address.

    Effect: read

    Args:
        message: What the person is told.
    """
    properties = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    answer = _ask(person=_form(message, properties, ["username", "email"]))["person"]
    return "User response: action=%s, content=%s" % (answer["action"], answer.get("content"))


def test_streaming_elicitation() -> str:
    """Tells how far it is, then asks the person.

    Effect: read
    """
    sabir.progress(1, 2, "about to ask")
    return "Answer: %s" % _ask(person=_form("Go on?", {"ok": {"type": "boolean"}}))["person"]["action"]


def test_elicitation_sep1034_defaults() -> str:
    """Asks with a default for each kind of value.

    Effect: read
    """
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    answer = _ask(person=_form("Please check these values", properties))["person"]
    return "Elicitation completed: action=%s, content=%s" % (answer["action"], answer.get("content"))


def test_elicitation_sep1330_enums() -> str:
    """Asks with each kind of choice.

    Effect: read
    """
    choices = ["option1", "option2", "option3"]
    properties = {
        "untitledSingle": {"type": "string", "enum": choices},
        "titledSingle": {"type": "string", "oneOf": [{"const": "value%d" % i, "title": "%s Option" % n}
                                                      for i, n in enumerate(("First", "Second", "Third"), 1)]},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": choices}},
        "titledMulti": {"type": "array", "items": {"anyOf": [{"const": "value%d" % i, "title": "%s Choice" % n}
                                                              for i, n in enumerate(("First", "Second", "Third"), 1)]}},
    }
    answer = _ask(person=_form("Please choose", properties))["person"]
    return "Elicitation completed: action=%s, content=%s" % (answer["action"], answer.get("content"))


def test_input_required_result_elicitation() -> str:
    """Asks for a name, and greets.

    Effect: read
    """
    answer = _ask(user_name=_form("What is your name?", {"name": {"type": "string"}}, ["name"]))["user_name"]
    return "Hello, %s!" % answer.get("content", {}).get("name", "stranger")


def test_input_required_result_sampling() -> str:
    """Has the client's model name a capital.

    Effect: read
    """
    return _text_of(_ask(capital_question=_sample("What is the capital of France?"))["capital_question"])


def test_input_required_result_list_roots() -> str:
    """Asks which folders the client works on.

    Effect: read
    """
    roots = _ask(client_roots={"method": "roots/list", "params": {}})["client_roots"]["roots"]
    return "Roots: " + ", ".join(root["uri"] for root in roots)


def test_input_required_result_request_state() -> str:
    """Asks for a confirmation; what has been said before comes back sealed.

    Effect: read
    """
    _ask(confirm=_form("Please confirm", {"ok": {"type": "boolean"}}, ["ok"]))
    return "state-ok"


def test_input_required_result_tampered_state() -> str:
    """Asks for a confirmation; a seal that does not fit is refused.

    Effect: read
    """
    _ask(confirm=_form("Please confirm", {"ok": {"type": "boolean"}}, ["ok"]))
    return "The seal fits."


def test_input_required_result_multiple_inputs() -> str:
    """Asks three things at once.

    Effect: read
    """
    answers = _ask(
        user_name=_form("What is your name?", {"name": {"type": "string"}}, ["name"]),
        greeting=_sample("Generate a greeting", 50),
        client_roots={"method": "roots/list", "params": {}},
    )
    return "%s %s, with %d roots" % (_text_of(answers["greeting"]), answers["user_name"].get("content", {}).get("name"), len(answers["client_roots"]["roots"]))


def test_input_required_result_multi_round() -> str:
    """Asks one thing after another.

    Effect: read
    """
    name = _ask(step1=_form("Step 1: What is your name?", {"name": {"type": "string"}}, ["name"]))["step1"]
    color = _ask(step2=_form("Step 2: What is your favorite color?", {"color": {"type": "string"}}, ["color"]))["step2"]
    return "%s likes %s" % (name.get("content", {}).get("name"), color.get("content", {}).get("color"))


def test_input_required_result_capabilities() -> str:
    """Asks whoever can be asked: the client's model, else the person.

    Effect: read
    """
    if "sampling" in sabir.call("client/capabilities"):
        return _text_of(_ask(question=_sample("What is the capital of France?"))["question"])
    return _ask(question=_form("What is the capital of France?", {"capital": {"type": "string"}}))["question"]["action"]


def test_x_mcp_header(region: str = "", priority: int = 0, verbose: bool = False, query: str = "") -> str:
    """Has parameters that are repeated in headers.

    Effect: read

    Args:
        region: Where it runs.
        priority: How urgent it is.
        verbose: Whether it says more.
        query: What is asked.
    """
    return "%s %d %s %s" % (region, priority, verbose, query)


def _touch(path: Path, text: str):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def test_trigger_tool_change() -> str:
    """Adds a function to the project, or takes it away."""
    path = Path(__file__).with_name("changing.py")
    if path.exists():
        path.unlink()
    else:
        _touch(path, '"""Comes and goes."""\n\n\ndef changing() -> str:\n    """Is there at times.\n\n    Effect: read\n    """\n    return "here"\n')
    return "The tools change."


def test_trigger_prompt_change() -> str:
    """Adds a prompt to the project, or takes it away."""
    path = Path(__file__).parents[2] / "completions" / "changing.md"
    if path.exists():
        path.unlink()
    else:
        _touch(path, "This prompt is there at times.\n")
    return "The prompts change."
