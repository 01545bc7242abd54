"""Who is calling."""


class Context:
    """The caller's context: set by the caller, never by a model and never by the called function.

    A parameter annotated `sabir.Context` is filled in by the engine and absent from the function's schema.
    user, tenant, conversation, run: strings, "" for nobody in particular.
    """

    __slots__ = ("user", "tenant", "conversation", "run")

    def __init__(self, user="", tenant="", conversation="", run=""):
        self.user = user
        self.tenant = tenant
        self.conversation = conversation
        self.run = run

    @classmethod
    def _from_wire(cls, fields):
        fields = fields if isinstance(fields, dict) else {}
        return cls(*(fields.get(name) or "" for name in cls.__slots__))

    def to_dict(self):
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other):
        return isinstance(other, Context) and self.to_dict() == other.to_dict()

    __hash__ = None

    def __repr__(self):
        return "Context(%s)" % ", ".join("%s=%r" % item for item in self.to_dict().items())
