"""The one error type of the SDK."""


class Error(Exception):
    """What the engine, or a function it called, answered.

    type: the error's name in snake_case, as docs/errors.md lists them ("unknown_function", "timeout", …).
    message: what failed, on which input. hint: what to do next, or "". data: particulars, a dict.
    file, line: the place in a user's file, or "" and 0.
    """

    def __init__(self, type, message="", hint="", data=None):
        self.type = type
        self.message = message or type
        self.hint = hint or ""
        self.data = data if data is not None else {}
        super().__init__(type, message, hint, data)

    @property
    def file(self):
        return self.data.get("file", "")

    @property
    def line(self):
        return self.data.get("line", 0)

    def __str__(self):
        text = self.message
        if self.file:
            text = "%s:%s: %s" % (self.file, self.line, text)
        return "%s (%s)" % (text, self.hint) if self.hint else text

    @classmethod
    def _from_wire(cls, error):
        if not isinstance(error, dict):
            return cls("protocol", "the engine answered with a malformed error")
        data = error.get("data")
        data = dict(data) if isinstance(data, dict) else {}
        return cls(str(data.pop("type", "internal")), str(error.get("message", "")), str(data.pop("hint", "") or ""), data)
