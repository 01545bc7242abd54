"""Prompts: functions whose value is a prompt's messages."""
import sabir


def with_resource(resourceUri: str) -> list:
    """A prompt that brings a resource along.

    Effect: read

    Args:
        resourceUri: URI of the resource to embed.
    """
    resource = {"uri": resourceUri, "mimeType": "text/plain", "text": "Embedded resource content for testing."}
    return [{"type": "resource", "resource": resource}, "Please process the embedded resource above."]


def with_image() -> list:
    """A prompt that brings a picture along.

    Effect: read
    """
    picture = sabir.call("media.red_pixel")
    return [{"type": "image", "data": picture, "mimeType": "image/png"}, "Please analyze the image above."]


def with_question() -> str:
    """A prompt that asks the person first.

    Effect: read
    """
    question = {
        "message": "What context should the prompt use?",
        "requestedSchema": {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]},
    }
    answer = sabir.call("client/ask", user_context={"method": "elicitation/create", "params": question})["user_context"]
    return "Use this context: %s" % answer.get("content", {}).get("context", "none")
