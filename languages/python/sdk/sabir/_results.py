"""What models and assistants answer, as strings that carry the particulars."""


class Reply(str):
    """A completion's text. model, provider, usage (dict), tool_calls (list) and finish_reason tell the rest."""

    @classmethod
    def _from_wire(cls, result):
        reply = cls(result.get("content") or "")
        reply.model = result.get("model", "")
        reply.provider = result.get("provider", "")
        reply.usage = result.get("usage") or {}
        reply.tool_calls = result.get("tool_calls") or []
        reply.finish_reason = result.get("finish_reason", "")
        return reply


class AskReply(str):
    """An assistant's answer. conversation continues it; model; calls lists {"address", "arguments", "value" or "error"}."""

    @classmethod
    def _from_wire(cls, result):
        reply = cls(result.get("content") or "")
        reply.conversation = result.get("conversation", "")
        reply.model = result.get("model", "")
        reply.calls = result.get("calls") or []
        return reply
